"""`create_blueprint(lab)`: the whole API as one blueprint, mountable in anyone's Flask application.

The checks and headers of `security` apply to the blueprint's own routes only, and so do its JSON
errors; addresses under its `/api/` that do not exist, and wrong methods there, are answered in JSON
too, without touching the host's other pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from gridlab.api import balance, grid, market, pages, system, trading
from gridlab.api.errors import ApiError, render
from gridlab.api.security import Guard, seal
from gridlab.app.facade import GridLab

NAME = "gridlab"


def create_blueprint(
    lab: GridLab,
    *,
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
    dashboard_url: str | None = None,
) -> Blueprint:
    """A blueprint that serves `lab`.

    Args:
        lab: a started engine; the blueprint neither starts nor stops it.
        allowed_hosts: names other than loopback under which the application is reached.
        allowed_origins: origins other than its own and loopback whose pages may change things.
        dashboard_url: shown on the start page when given.
    """
    blueprint = Blueprint(
        NAME,
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/gridlab-assets",
    )
    guard = Guard(allowed_hosts, allowed_origins)
    blueprint.before_request(guard.before)
    blueprint.after_request(seal)
    blueprint.register_error_handler(Exception, render)
    for group in (system, market, grid, trading, balance):
        group.add_routes(blueprint, lab)
    pages.add_routes(blueprint, lab, dashboard_url)
    blueprint.record_once(lambda state: _answer_misses(state, guard))
    return blueprint


def _answer_misses(state: BlueprintSetupState, guard: Guard) -> None:
    """Answer 404 and 405 under our `/api/` in JSON; all other misses go where they went before."""
    prefix = (state.url_prefix or "").rstrip("/") + "/api/"
    for kind in (NotFound, MethodNotAllowed):
        previous = state.app.error_handler_spec[None][kind.code].get(kind)
        state.app.register_error_handler(kind, _missing(prefix, guard, previous))


def _missing(
    prefix: str, guard: Guard, previous: Callable[[Any], Any] | None
) -> Callable[..., Any]:
    """A handler for misses under `prefix` that leaves every other one to `previous`."""

    def handle(error: HTTPException) -> Any:
        if not request.path.startswith(prefix):
            return previous(error) if previous else error
        try:
            guard.before()
            reply = render(error)
        except ApiError as refused:
            reply = render(refused)
        return seal(reply)

    return handle

"""`create_blueprint(lab)`: the whole API as one blueprint, mountable in anyone's Flask application.

The checks and headers of `security` apply to the blueprint's own routes only, and so do its JSON
errors; addresses under its `/api/` that do not exist, and wrong methods there, are answered in JSON
too, without touching the host's other pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, request
from flask import Response as FlaskResponse
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from gridlab.api import (
    ai,
    balance,
    checks,
    conditional,
    control,
    debug,
    grid,
    indicators,
    jobs,
    market,
    metrics,
    models,
    openapi,
    pages,
    pairs,
    prometheus,
    records,
    sentiment,
    stream,
    system,
    trading,
)
from gridlab.api.answers import Ready, SharedAnswers, Shortcut, bounded
from gridlab.api.errors import render
from gridlab.api.idempotency import Repeats
from gridlab.api.prometheus import Figures
from gridlab.api.register import scope_of
from gridlab.api.security import Guard
from gridlab.api.stream import Hub
from gridlab.api.tokens import Tokens
from gridlab.app.facade import GridLab

NAME = "gridlab"
#: Modules that each put one group of routes on the blueprint.
GROUPS = (
    *(system, market, grid, trading, pairs, balance, indicators, models, checks),
    *(ai, sentiment, control, jobs, records, metrics, debug),
)


class GridLabBlueprint(Blueprint):
    """The API, and what it holds beside its routes.

    Attributes:
        hub: the event streams; close it to end them.
        tokens: what requests prove themselves with; None where nothing is asked.
        guard: the checks, for a host that wants to answer misses of its own alike.
    """

    def __init__(self, lab: GridLab, guard: Guard, tokens: Tokens | None) -> None:
        super().__init__(
            NAME,
            __name__,
            template_folder="templates",
            static_folder="static",
            static_url_path="/gridlab-assets",
        )
        self.tokens = tokens
        self.guard = guard
        self.hub = Hub(lab)
        self._figures = Figures(lab, lambda: self.hub.streams)
        self._shared = SharedAnswers(lambda: lab.snapshot.sequence)
        self._repeats = Repeats()
        self.before_request(self._before)
        self.after_request(self._after)
        self.register_error_handler(Exception, render)

    def in_front_of(self, app: Flask) -> Callable[..., Any]:
        """What to serve for `app`, which has this blueprint and nothing before it."""
        return Shortcut(app, self._shared, self.guard.scope_in, self._figures.count_repeat)

    def _before(self) -> FlaskResponse | None:
        """Refuse, or answer at once what was answered already; None lets the route run."""
        self._figures.begin()
        return self.guard.before() or self._shared.before() or self._repeats.before()

    def _after(self, reply: FlaskResponse) -> Response:
        """The same answer, remembered, tagged, bounded, sealed, shared and counted."""
        if isinstance(reply, Ready):
            self.guard.name(reply)
            self._figures.count(200)
            return reply
        self._repeats.after(reply)
        if reply.headers.get("ETag") is None:
            conditional.tag(reply)
        sealed = self.guard.after(bounded(reply))
        self._shared.after(sealed)
        conditional.unmodified(sealed)
        self._figures.count(sealed.status_code)
        return sealed

    def add_group_routes(self, lab: GridLab, dashboard_url: str | None) -> None:
        """Put every route on the blueprint."""
        for group in GROUPS:
            group.add_routes(self, lab)
        pages.add_routes(self, lab, dashboard_url, self.guard)
        openapi.add_routes(self)
        stream.add_routes(self, self.hub)
        prometheus.add_routes(self, self._figures)


def create_blueprint(
    lab: GridLab,
    *,
    allowed_hosts: Iterable[str] | None = None,
    allowed_origins: Iterable[str] | None = None,
    dashboard_url: str | None = None,
    require_token: bool = False,
) -> GridLabBlueprint:
    """A blueprint that serves `lab`.

    Args:
        lab: a started engine; the blueprint neither starts nor stops it.
        allowed_hosts: names other than loopback under which the application is reached; by default
            those of the configuration.
        allowed_origins: origins other than its own and loopback whose pages may call it; by default
            those of the configuration.
        dashboard_url: shown on the start page when given.
        require_token: True asks for tokens, as a host must that other machines reach. They are
            always asked for when exchange keys are configured, or the configuration says so.

    Raises:
        InvalidConfig: an origin is not one, or the token file cannot be trusted.
    """
    server = lab.settings.config.api_server
    is_protected = require_token or server.require_token or has_keys(lab)
    tokens = Tokens.load_or_create(lab.settings.data_dir) if is_protected else None
    guard = Guard(
        server.allowed_hosts if allowed_hosts is None else allowed_hosts,
        server.allowed_origins if allowed_origins is None else allowed_origins,
        tokens=tokens,
        scope_of=scope_of,
    )
    blueprint = GridLabBlueprint(lab, guard, tokens)
    blueprint.add_group_routes(lab, dashboard_url)
    blueprint.record_once(lambda state: _answer_misses(state, guard))
    return blueprint


def has_keys(lab: GridLab) -> bool:
    """Whether somebody who reaches this API could reach an exchange account through it.

    A twin on this machine has a key too, and nothing behind it that is worth a token.
    """
    keys, access = lab.settings.config.api, lab.settings.access
    is_account = access.credentials is not None and not access.is_play
    return keys.key is not None or keys.secret is not None or is_account


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
        return answer_miss(error, guard)

    return handle


def answer_miss(error: Exception, guard: Guard) -> Response:
    """The sealed JSON for a request that found no route, told only to those who may ask."""
    try:
        reply: Response = guard.before() or render(error)
    except Exception as refused:
        reply = render(refused)
    return guard.after(reply)

"""An application of our own around the blueprint, and a server to run it in a thread."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable
from ipaddress import ip_address

from flask import Flask
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from gridlab.api.blueprint import GridLabBlueprint, answer_miss, create_blueprint
from gridlab.api.errors import MAX_BODY_BYTES
from gridlab.api.scopes import Scope
from gridlab.api.serving import Listener, listener
from gridlab.api.tokens import Tokens
from gridlab.app.facade import GridLab
from gridlab.domain.hosts import is_loopback
from gridlab.errors import Conflict, InvalidConfig

_BACKLOG = 128


def create_app(
    lab: GridLab,
    *,
    allowed_hosts: Iterable[str] | None = None,
    allowed_origins: Iterable[str] | None = None,
    dashboard_url: str | None = None,
    require_token: bool = False,
) -> Flask:
    """A Flask application that serves `lab` and nothing else; every error of it is JSON.

    The arguments are those of `create_blueprint`.
    """
    return _app_of(
        create_blueprint(
            lab,
            allowed_hosts=allowed_hosts,
            allowed_origins=allowed_origins,
            dashboard_url=dashboard_url,
            require_token=require_token,
        )
    )


def _app_of(blueprint: GridLabBlueprint) -> Flask:
    app = Flask("gridlab", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(blueprint)

    def render_any(error: Exception) -> Response:
        return answer_miss(error, blueprint.guard)

    # The blueprint leaves misses outside its /api/ to its host, which here is us.
    for kind in (Exception, NotFound, MethodNotAllowed):
        app.register_error_handler(kind, render_any)
    return app


class Server:
    """Serves a `GridLab` over HTTP from a daemon thread.

    Args:
        lab: a started engine; the server neither starts nor stops it.
        host: where to listen; on any address but loopback every request needs a token.
        port: 0 takes any free one; `url` then says which.
        dashboard_url: shown on the start page when given.
        require_token: True asks for tokens on loopback too; see `create_blueprint`.

    Attributes:
        tokens: what callers prove themselves with, for our own children; None where none is needed.

    Raises:
        InvalidConfig: `host` or `port` is none, or the token file cannot be trusted.
    """

    def __init__(
        self,
        lab: GridLab,
        host: str = "127.0.0.1",
        port: int = 5000,
        *,
        dashboard_url: str | None = None,
        require_token: bool = False,
    ) -> None:
        if not 0 <= port <= 65535:
            raise InvalidConfig(f"port is {port}; it must be from 0 to 65535")
        self.host = host
        self.port = port
        self._blueprint = create_blueprint(
            lab,
            allowed_hosts=(*lab.settings.config.api_server.allowed_hosts, *_names_of(host)),
            dashboard_url=dashboard_url,
            require_token=require_token or not is_loopback(host),
        )
        self.app = _app_of(self._blueprint)
        self._server: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def page_token(self) -> str | None:
        """The token for pages that watch and trade; None where none is asked for."""
        return None if self.tokens is None else self.tokens.of(Scope.TRADE)

    @property
    def url(self) -> str:
        """Where the server answers, such as `http://127.0.0.1:5000`."""
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        shown = f"[{here}]" if ":" in here else here
        return f"http://{shown}:{self.port}"

    @property
    def tokens(self) -> Tokens | None:
        """What callers prove themselves with; None where none is needed."""
        return self._blueprint.tokens

    def start(self) -> Server:
        """Listen and serve; returns once the port is open.

        Raises:
            Conflict: the port is taken, may not be used, or the server already runs.
        """
        if self._server is not None:
            raise Conflict(f"the server already runs at {self.url}")
        self._blueprint.hub.resume()
        with self._bound() as listening:
            application = self._blueprint.in_front_of(self.app)
            self._server = listener(application, self.host, self.port, listening.fileno())
        self.port = self._server.port
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="gridlab-api",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every stream; calls in progress are left to end by themselves."""
        if self._server is None or self._thread is None:
            return
        self._blueprint.hub.close()
        self._server.shutdown()
        self._server.hang_up()
        self._thread.join(timeout=5)
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bound(self) -> socket.socket:
        """A listening socket: the WSGI server would end the process on a busy port."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            raise Conflict(_why_not(self.port, error)) from error
        return listening


def _names_of(host: str) -> tuple[str, ...]:
    """The Host under which an address is reached; "every address" is no name.

    Raises:
        InvalidConfig: it is neither an IP address nor a host name.
    """
    try:
        address = ip_address(host)
    except ValueError:
        if not host or not all(part.isalnum() for part in host.replace("-", ".").split(".")):
            raise InvalidConfig(
                f"host is {host!r}; give an address of this machine, such as 127.0.0.1"
            ) from None
        return (host,)
    if address.is_unspecified:
        return ()
    return (f"[{address}]" if address.version == 6 else str(address),)


def _why_not(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; choose one above 1023 with --port"
    return f"port {port} cannot be opened ({error.strerror}); choose another with --port"

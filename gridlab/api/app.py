"""An application of our own around the blueprint, and a server to run it in a thread."""

from __future__ import annotations

import errno
import html
import json
import socket
import threading
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from gridlab.api.blueprint import create_blueprint
from gridlab.api.errors import MAX_BODY_BYTES, render
from gridlab.api.security import Guard, is_loopback, seal
from gridlab.app.facade import GridLab
from gridlab.errors import Conflict, InvalidConfig

_BACKLOG = 128


def create_app(
    lab: GridLab,
    *,
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
    dashboard_url: str | None = None,
) -> Flask:
    """A Flask application that serves `lab` and nothing else; every error of it is JSON.

    The arguments are those of `create_blueprint`.
    """
    hosts, origins = tuple(allowed_hosts), tuple(allowed_origins)
    app = Flask("gridlab", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(
        create_blueprint(
            lab, allowed_hosts=hosts, allowed_origins=origins, dashboard_url=dashboard_url
        )
    )
    guard = Guard(hosts, origins)

    def render_any(error: Exception) -> Response:
        try:
            guard.before()
        except Exception as refused:
            return seal(render(refused))
        return seal(render(error))

    # The blueprint leaves misses outside its /api/ to its host, which here is us.
    for kind in (Exception, NotFound, MethodNotAllowed):
        app.register_error_handler(kind, render_any)
    return app


class _Handler(WSGIRequestHandler):
    """One connection: silent, bounded in time, and plain JSON where even HTTP itself is broken."""

    timeout = 30
    wbufsize = 64 * 1024  # headers and body leave in one packet
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: request lines would print into a running notebook cell."""

    def log_error(self, format: str, *args: Any) -> None:
        """Say nothing; the answer tells the caller, and `errors` logs what breaks inside."""

    def version_string(self) -> str:
        return "gridlab"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP in the shape of every other error."""
        error: dict[str, object] = {
            "code": "bad_request",
            "message": html.escape(message or "The request is not valid HTTP", quote=False)[:200],
            "field_errors": [],
            "hint": None,
            "request_id": "",
        }
        body = json.dumps({"error": error}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


class Server:
    """Serves a `GridLab` over HTTP from a daemon thread.

    Args:
        lab: a started engine; the server neither starts nor stops it.
        host: a loopback address; others are refused until requests can prove who they are.
        port: 0 takes any free one; `url` then says which.

    Raises:
        InvalidConfig: `host` is not a loopback address, or `port` is no port.
    """

    def __init__(
        self,
        lab: GridLab,
        host: str = "127.0.0.1",
        port: int = 5000,
        *,
        dashboard_url: str | None = None,
    ) -> None:
        if not is_loopback(host):
            raise InvalidConfig(
                f"host is {host}; only loopback addresses are served: use 127.0.0.1, and an SSH "
                "tunnel from other machines"
            )
        if not 0 <= port <= 65535:
            raise InvalidConfig(f"port is {port}; it must be from 0 to 65535")
        self.host = host
        self.port = port
        self.app = create_app(lab, dashboard_url=dashboard_url)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the server answers, such as `http://127.0.0.1:5000`."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"

    def start(self) -> Server:
        """Listen and serve; returns once the port is open.

        Raises:
            Conflict: the port is taken, may not be used, or the server already runs.
        """
        if self._server is not None:
            raise Conflict(f"the server already runs at {self.url}")
        with self._bound() as listening:
            self._server = make_server(
                self.host,
                self.port,
                self.app,
                threaded=True,
                request_handler=_Handler,
                fd=listening.fileno(),
            )
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
        """Close the port; calls in progress are left to end by themselves."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
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


def _why_not(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; choose one above 1023 with --port"
    return f"port {port} cannot be opened ({error.strerror}); choose another with --port"

"""The HTTP server: connections that stay open, bounded in number, in time and in what is read.

Werkzeug's own handler closes each connection after one answer. This one keeps it, which makes a
polling client about three times as fast, and therefore has to know where each request ends: a body
that the application left unread is read away within bounds, or the connection is closed. Knows WSGI
and nothing of GridLab.
"""

from __future__ import annotations

import html
import io
import json
import socket
import threading
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any, Protocol, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

#: Connections that are served at once, each by a thread; more are answered 503.
MAX_CONNECTIONS = 256
#: Seconds that a connection may be silent, and that one write may take.
IDLE_S = 30.0
#: Bytes of an unwanted body that are read away, so that the refusal can be read by the sender.
DRAIN_BYTES = 16 * 1024 * 1024
_PIECE = 64 * 1024
_SERVER = "gridlab"


class _Counted(io.RawIOBase):
    """A request's body: counts what is left of it, and never reads into the next request."""

    def __init__(self, source: Any, length: int) -> None:
        self._source = source
        self.left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self.left)
        part: bytes = self._source.read1(wanted) if wanted else b""
        buffer[: len(part)] = part
        self.left -= len(part)
        return len(part)

    def drain(self, most: int) -> bool:
        """Read away what is left, at most `most` bytes; whether nothing is left."""
        while self.left and most > 0:
            part = self._source.read1(min(_PIECE, self.left, most))
            if not part:
                return False
            self.left -= len(part)
            most -= len(part)
        return not self.left


class Handler(WSGIRequestHandler):
    """One connection: silent, bounded in time, and plain JSON where even HTTP itself is broken."""

    timeout = IDLE_S
    wbufsize = 64 * 1024  # headers and body leave in one packet
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def run_wsgi(self) -> None:
        """Answer one request and leave the connection ready for the next."""
        listener = cast(Listener, self.server)
        listener.answering.add(self.connection)
        try:
            self._answer()
        finally:
            listener.answering.discard(self.connection)
            self.close_connection |= listener.is_stopping

    def _answer(self) -> None:
        length = self._content_length()
        if length is None:
            self.send_error(400, "Content-Length is not a number")
            return
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        self.environ = environ = self.make_environ()
        chunked = bool(environ.get("wsgi.input_terminated"))
        body = _Counted(self.rfile, length)
        if chunked:
            self.close_connection = True  # its end is only known once the application has read it
        else:
            environ["wsgi.input"] = io.BufferedReader(body)
        _Answer(self).send(environ, self.server.app)
        if chunked:
            self._read_away()
        elif not body.drain(DRAIN_BYTES):
            self.close_connection = True

    def _content_length(self) -> int | None:
        """Bytes of the body; None when the headers contradict themselves."""
        given = self.headers.get_all("Content-Length") or ["0"]
        texts = {text.strip() for text in given}
        text = texts.pop()
        if texts or not (text.isascii() and text.isdigit()) or len(text) > 18:
            return None
        return int(text)

    def _read_away(self) -> None:
        """Take what a sender of chunks may still send: a reset would cost it our answer."""
        self.connection.settimeout(0.2)
        left = DRAIN_BYTES
        try:
            while left > 0 and (part := self.rfile.read1(_PIECE)):
                left -= len(part)
        except OSError:
            return  # silence, or the sender is gone

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: request lines would print into a running notebook cell."""

    def log_error(self, format: str, *args: Any) -> None:
        """Say nothing; the answer tells the caller, and `errors` logs what breaks inside."""

    def version_string(self) -> str:
        return _SERVER

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP in the shape of every other error."""
        text = html.escape(message or "The request is not valid HTTP", quote=False)[:200]
        body = _error_body("bad_request", text)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


class _Answer:
    """One answer on its way out: its head is written with the first bytes of its body."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._is_begun = False
        self._is_chunked = False

    def send(self, environ: dict[str, Any], app: Callable[..., Iterable[bytes]]) -> None:
        """Run the application and write what it answers."""
        parts = app(environ, self._start)
        try:
            for part in parts:
                self._write(part)
            if not self._is_begun:
                self._write(b"")
            if self._is_chunked:
                self._handler.wfile.write(b"0\r\n\r\n")
            self._handler.wfile.flush()
        except Exception:
            self._handler.close_connection = True
            raise
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        self._status, self._headers = status, headers
        return self._write

    def _write(self, part: bytes) -> None:
        out = self._handler.wfile
        if not self._is_begun:
            self._is_begun = True
            out.write(self._head())
        if not part:
            if self._is_chunked:
                out.flush()  # a stream shows its head at once
            return
        if self._is_chunked:
            out.write(b"%x\r\n%b\r\n" % (len(part), part))
            out.flush()
        else:
            out.write(part)

    def _head(self) -> bytes:
        handler = self._handler
        code = int(self._status[:3])
        names = {name.lower() for name, _ in self._headers}
        has_no_body = handler.command == "HEAD" or code in (204, 304)
        if "content-length" not in names and not has_no_body:
            # HTTP/1.0 knows no chunks: there the end of the connection ends the body.
            self._is_chunked = handler.request_version >= "HTTP/1.1"
            handler.close_connection |= not self._is_chunked
        lines = [f"HTTP/1.1 {self._status}", f"Server: {_SERVER}"]
        lines += [f"Date: {handler.date_time_string()}"] if "date" not in names else []
        lines += [f"{name}: {value}" for name, value in self._headers]
        lines += ["Transfer-Encoding: chunked"] if self._is_chunked else []
        lines += ["Connection: close"] if handler.close_connection else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Listener(ThreadedWSGIServer):
    """A server with a thread for each connection, up to a limit, that can hang up on idle ones."""

    daemon_threads = True

    def __init__(self, *args: Any, **named: Any) -> None:
        self._open: set[socket.socket] = set()
        self.answering: set[socket.socket] = set()
        self.is_stopping = False
        self._lock = threading.Lock()
        super().__init__(*args, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            has_room = len(self._open) < MAX_CONNECTIONS
            if has_room:
                self._open.add(request)
        if has_room:
            super().process_request(request, client_address)
        else:
            self._refuse(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: what broke inside was logged where it broke, a lost client is no news."""

    def hang_up(self) -> None:
        """End every idle connection now, and each other one once its present answer is out."""
        self.is_stopping = True
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            is_busy = connection in self.answering
            try:
                connection.shutdown(socket.SHUT_RD if is_busy else socket.SHUT_RDWR)
            except OSError:
                continue  # it is gone already

    def _refuse(self, request: socket.socket) -> None:
        body = _error_body("too_many_connections", f"More than {MAX_CONNECTIONS} connections")
        head = (
            f"HTTP/1.1 503 {responses[503]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
        )
        try:
            request.settimeout(1)
            request.sendall(head.encode() + body)
        except OSError:
            pass  # nobody is left to be told
        self.shutdown_request(request)


class Application(Protocol):
    """Anything that speaks WSGI."""

    def __call__(self, environ: dict[str, Any], start_response: Any, /) -> Iterable[bytes]: ...


def listener(app: Application, host: str, port: int, descriptor: int) -> Listener:
    """A listener for `app` on the listening socket `descriptor`."""
    return Listener(host, port, app, handler=Handler, fd=descriptor)


def _error_body(code: str, message: str) -> bytes:
    error: dict[str, object] = {
        "code": code,
        "message": message,
        "field_errors": [],
        "hint": None,
        "request_id": "",
    }
    return json.dumps({"error": error}).encode()

"""A server on loopback that speaks Ollama's protocol, honest or in one of the ways of failing.

`LocalOllama` answers `/`, `/api/version`, `/api/tags`, `/api/show` and `/api/chat`, whole and as
lines of JSON, with Ollama's own error bodies. No model is behind it: what it says is what it was
handed, or the smallest value that fits the schema it was asked to follow. It is for tests of
whatever must survive a model that hangs, lies, cuts, invents, floods, drips, drops or fails.

Source of the protocol: Ollama's API document, `docs/api.md` of its repository, version 0.12.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

#: What an answer is made from: the messages, and the schema or None.
Answerer = Callable[[list[dict[str, str]], dict[str, Any] | None], str]
#: A figure that no test hands in.
INVENTED: Final = "987654.321"
_DIGEST: Final = "8648f39daa8fbf5b18c7b4e6a8fb4990c692751d49917417b8842ca5758e7ffc"
_CREATED: Final = "2026-03-24T13:00:00.000000Z"


class Mode(StrEnum):
    """How it behaves in `/api/chat`; the list of models stays true in all but the first few."""

    HONEST = "honest"
    STRANGE = "strange"  # a page of HTML for everything
    REDIRECTS = "redirects"  # everything is elsewhere
    HANGS = "hangs"  # takes the request and never answers
    DRIPS = "drips"  # one byte every 50 ms
    DROPS = "drops"  # closes the line in the middle
    CUTS_JSON = "cuts_json"  # ends the text in the middle and says that it is done
    FLOODS = "floods"  # never ends a line
    FAILS = "fails"  # 500, as when the runner dies
    BUSY = "busy"  # 503
    BUSY_ONCE = "busy_once"  # 503, then honest
    LIES_ABOUT_MODEL = "lies_about_model"
    INVENTS_NUMBERS = "invents_numbers"
    WANTS_TOOLS = "wants_tools"
    PACKED = "packed"  # a compressed body that nobody asked for
    THINKS = "thinks"  # writes its thoughts before the answer
    CUT_AT_LENGTH = "cut_at_length"  # done_reason is length


class LocalOllama:
    """One server in threads, closed by leaving its `with`.

    Args:
        models: what it lists.
        mode: may be changed while it runs.
        answer: what a model says; by default the smallest value that fits the schema.
    """

    def __init__(
        self,
        models: Sequence[str] = ("gemma3:1b",),
        mode: Mode = Mode.HONEST,
        answer: Answerer | None = None,
    ) -> None:
        self.models = tuple(models)
        self.mode = mode
        self.answer = answer or said
        #: Paths asked for, in order, and bodies that came with `/api/chat`.
        self.paths: list[str] = []
        self.chats: list[dict[str, Any]] = []
        #: Headers of the last request, in lower case.
        self.headers: dict[str, str] = {}
        #: Set when a client left while something was still to be said.
        self.left = threading.Event()
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LocalOllama:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def said(messages: list[dict[str, str]], schema: dict[str, Any] | None) -> str:
    """The smallest value that fits `schema` as JSON; a sentence when there is none."""
    if schema is None:
        return "The market is quiet."
    return json.dumps(smallest(schema))


def smallest(schema: dict[str, Any]) -> Any:
    """The smallest value that fits `schema`."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {name: smallest(inner) for name, inner in schema["properties"].items()}
        case "array":
            return [smallest(schema["items"])] * schema.get("minItems", 0)
        case "string":
            return "Quiet".ljust(schema.get("minLength", 0), ".")
        case "boolean":
            return False
        case _:
            return schema.get("minimum", 0)


def _invented(value: Any) -> Any:
    """`value` with a figure of the server's own in every text."""
    if isinstance(value, dict):
        return {name: _invented(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_invented(inner) for inner in value]
    return f"It will reach {INVENTED} soon." if isinstance(value, str) else value


def _handler(server: LocalOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        owner = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    owner: LocalOllama
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._is_diverted():
            return
        match self.path:
            case "/":
                self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
            case "/api/version":
                self._json(200, {"version": "0.12.3"})
            case "/api/tags":
                self._json(200, {"models": [_listed(name) for name in self.owner.models]})
            case _:
                self._send(404, b"404 page not found", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_diverted():
            return
        try:
            asked = json.loads(body)
            name = asked["model"]
        except (ValueError, KeyError, TypeError):
            self._json(400, {"error": "invalid request"})
            return
        if name not in self.owner.models:
            self._json(404, {"error": f"model '{name}' not found"})
        elif self.path == "/api/show":
            self._json(200, _shown(name))
        elif self.path == "/api/chat":
            self.owner.chats.append(asked)
            self._chat(asked)
        else:
            self._send(404, b"404 page not found", "text/plain")

    def _is_diverted(self) -> bool:
        """Whether the whole server is something else, and has answered as that."""
        self.owner.paths.append(self.path)
        self.owner.headers = {name.lower(): value for name, value in self.headers.items()}
        if self.owner.mode is Mode.STRANGE:
            self._send(200, b"<html>hello</html>", "text/html")
        elif self.owner.mode is Mode.REDIRECTS:
            self.send_response(302)
            self.send_header("Location", f"{self.owner.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            return False
        return True

    # --- chat -------------------------------------------------------------------------------------

    def _chat(self, asked: dict[str, Any]) -> None:
        owner = self.owner
        match owner.mode:
            case Mode.HANGS:
                self._wait_for_leave()
            case Mode.FAILS:
                error = "llama runner process has terminated: exit status 2"
                self._json(500, {"error": error})
            case Mode.BUSY | Mode.BUSY_ONCE:
                if owner.mode is Mode.BUSY_ONCE:
                    owner.mode = Mode.HONEST
                error = "server busy, please try again.  maximum pending requests exceeded"
                self._json(503, {"error": error})
            case Mode.FLOODS:
                self._head("application/json")
                while self._write(b" " * 65_536):
                    pass
            case Mode.PACKED:
                self._head("application/json", ("Content-Encoding", "gzip"))
                self._write(b"\x1f\x8b")
                self.close_connection = True
            case _:
                self._say(asked, owner.answer(asked["messages"], asked.get("format") or None))

    def _say(self, asked: dict[str, Any], text: str) -> None:
        mode, name = self.owner.mode, asked["model"]
        if mode is Mode.LIES_ABOUT_MODEL:
            name = "gpt-oss:120b"
        if mode is Mode.INVENTS_NUMBERS:
            text = _with_figures(text)
        if mode is Mode.CUTS_JSON:
            text = text[: len(text) // 2]
        if mode is Mode.THINKS:
            text = f"<think>It asks {INVENTED} times.</think>{text}"
        if asked.get("stream", True):
            self._lines(name, text)
            return
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if mode is Mode.WANTS_TOOLS:
            call = {"function": {"name": "place_order", "arguments": {"side": "BUY"}}}
            message["tool_calls"] = [call]
        whole = json.dumps({**_part(name, message), **_end(text, mode)}).encode()
        if mode is Mode.DRIPS:
            self._drip(whole)
        elif mode is Mode.DROPS:
            self._head("application/json", ("Content-Length", str(len(whole))))
            self._write(whole[: len(whole) // 2])
            self.close_connection = True
        else:
            self._send(200, whole, "application/json; charset=utf-8")

    def _lines(self, name: str, text: str) -> None:
        """The answer as lines of JSON, one for each word."""
        self._head("application/x-ndjson")
        self.close_connection = True
        words = text.split(" ")
        for number, word in enumerate(words):
            content = word if number == len(words) - 1 else word + " "
            line = json.dumps(_part(name, {"role": "assistant", "content": content}))
            if self.owner.mode is Mode.DROPS and number:
                return
            if self.owner.mode is Mode.DRIPS:
                self.owner.closing.wait(0.2)
            if not self._write(line.encode() + b"\n"):
                return
        end = {**_part(name, {"role": "assistant", "content": ""}), **_end(text, self.owner.mode)}
        self._write(json.dumps(end).encode() + b"\n")

    # --- bytes ------------------------------------------------------------------------------------

    def _json(self, status: int, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(body)

    def _head(self, kind: str, *more: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()

    def _write(self, data: bytes) -> bool:
        """Whether the client still takes what is said."""
        if self.owner.closing.is_set():
            return False
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.owner.left.set()
            self.close_connection = True
            return False
        return True

    def _drip(self, whole: bytes) -> None:
        self._head("application/json", ("Content-Length", str(len(whole))))
        for number in range(len(whole)):
            if not self._write(whole[number : number + 1]):
                return
            self.owner.closing.wait(0.05)

    def _wait_for_leave(self) -> None:
        self.connection.settimeout(0.05)
        while not self.owner.closing.is_set():
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.owner.left.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing into the tests' output."""


def _with_figures(text: str) -> str:
    try:
        return json.dumps(_invented(json.loads(text)))
    except ValueError:
        return str(_invented(text))


def _part(name: str, message: dict[str, Any]) -> dict[str, Any]:
    return {"model": name, "created_at": _CREATED, "message": message, "done": False}


def _end(text: str, mode: Mode) -> dict[str, Any]:
    reason = "length" if mode is Mode.CUT_AT_LENGTH else "stop"
    return {
        **{"done": True, "done_reason": reason, "total_duration": 850_000_000},
        **{"load_duration": 1_000_000, "prompt_eval_count": 26},
        **{"prompt_eval_duration": 130_000_000, "eval_count": max(1, len(text) // 4)},
        "eval_duration": 700_000_000,
    }


def _listed(name: str) -> dict[str, Any]:
    return {
        **{"name": name, "model": name, "modified_at": _CREATED, "size": 815_319_791},
        "digest": _DIGEST,
        "details": _details(name),
    }


def _details(name: str) -> dict[str, Any]:
    family = name.partition(":")[0]
    return {
        **{"parent_model": "", "format": "gguf", "family": family, "families": [family]},
        **{"parameter_size": "999.89M", "quantization_level": "Q4_K_M"},
    }


def _shown(name: str) -> dict[str, Any]:
    return {
        **{"modelfile": f"FROM {name}", "parameters": "", "template": "{{ .Prompt }}"},
        "details": _details(name),
        "model_info": {"general.architecture": name.partition(":")[0]},
        "capabilities": ["completion"],
    }

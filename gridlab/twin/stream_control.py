"""What a client may say on a market socket, and what it is answered.

Pure: texts in, answers out, and the set of names that the connection listens to. Which names mean
something is not asked here: the venue takes every name and stays silent on those it does not know.

Source: Binance spot "Live Subscribing/Unsubscribing to streams" with its table of error messages;
the `error` wrapper is what clients read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from gridlab.twin.stream_payloads import Payload

UNKNOWN_PROPERTY = 0
WRONG_VALUE = 1
INVALID_REQUEST = 2
INVALID_JSON = 3
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

_TEXT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_INT64 = 1 << 63

OnChange = Callable[[list[str], list[str]], None]


class _Refused(Exception):
    """One of the documented errors."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamControl:
    """The names that one connection listens to, and its properties.

    Args:
        names: those of the URL.
        is_combined: whether data is wrapped with the name of its stream.
        most: how many streams a connection may have.
        on_change: told the names added and removed, before the client is answered.
    """

    def __init__(
        self, names: Iterable[str], *, is_combined: bool, most: int, on_change: OnChange
    ) -> None:
        self.names = list(dict.fromkeys(names))
        self.is_combined = is_combined
        self._most = most
        self._on_change = on_change

    def answer(self, text: str) -> Payload:
        """What the client hears back; the change, if any, is made."""
        request_id: Any = None
        try:
            request = _read(text)
            request_id = _request_id(request)
            return {"result": self._do(text, request), "id": request_id}
        except _Refused as refused:
            error = {"error": {"code": refused.code, "msg": refused.message}}
            return error if request_id is None else error | {"id": request_id}

    def _do(self, text: str, request: dict[str, Any]) -> object:
        if "method" not in request:
            raise _Refused(
                INVALID_REQUEST,
                f"Invalid request: missing field `method` at line 1 column {len(text)}",
            )
        method, params = request["method"], request.get("params", [])
        if method not in METHODS:
            allowed = ", ".join(f"`{name}`" for name in METHODS)
            column = text.find(str(method)) + len(str(method)) + 1
            raise _Refused(
                INVALID_REQUEST,
                f"Invalid request: unknown variant `{method}`, expected one of {allowed} "
                f"at line 1 column {column}",
            )
        if not isinstance(params, list):
            raise _Refused(INVALID_REQUEST, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            if params:
                raise _Refused(INVALID_REQUEST, "Invalid request: too many parameters")
            return list(self.names)
        if method == "SUBSCRIBE":
            self._subscribe(_names(params))
            return None
        if method == "UNSUBSCRIBE":
            self._unsubscribe(_names(params))
            return None
        return self._property(method, params)

    def _subscribe(self, wanted: list[str]) -> None:
        new = [name for name in wanted if name not in self.names]
        if len(self.names) + len(new) > self._most:
            raise _Refused(INVALID_REQUEST, "Invalid request: too many parameters")
        self.names += new
        self._on_change(new, [])

    def _unsubscribe(self, unwanted: list[str]) -> None:
        old = [name for name in self.names if name in unwanted]
        self.names = [name for name in self.names if name not in unwanted]
        self._on_change([], old)

    def _property(self, method: str, params: list[Any]) -> object:
        expected = 2 if method == "SET_PROPERTY" else 1
        if not params or not isinstance(params[0], str):
            raise _Refused(INVALID_REQUEST, "Invalid request: property name must be a string")
        if len(params) > expected:
            raise _Refused(INVALID_REQUEST, "Invalid request: too many parameters")
        if params[0] != "combined":
            raise _Refused(UNKNOWN_PROPERTY, "Unknown property")
        if method == "GET_PROPERTY":
            return self.is_combined
        if len(params) < expected or not isinstance(params[1], bool):
            raise _Refused(WRONG_VALUE, "Invalid value type: expected Boolean")
        self.is_combined = params[1]
        return None


def _read(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except json.JSONDecodeError as error:
        raise _Refused(
            INVALID_JSON,
            f"Invalid JSON: expected value at line {error.lineno} column {error.colno}",
        ) from None
    except RecursionError:
        raise _Refused(INVALID_JSON, "Invalid JSON: recursion limit exceeded") from None
    if not isinstance(request, dict):
        raise _Refused(INVALID_REQUEST, "Invalid request: expected an object at line 1 column 0")
    return request


def _request_id(request: dict[str, Any]) -> int | str | None:
    given = request.get("id", False)
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and -_INT64 <= given < _INT64:
        return given
    if isinstance(given, str) and _TEXT_ID.fullmatch(given):
        return given
    raise _Refused(INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer")


def _names(params: list[Any]) -> list[str]:
    if not params or not all(isinstance(name, str) for name in params):
        raise _Refused(INVALID_REQUEST, "Invalid request: stream names must be strings")
    return list(dict.fromkeys(params))

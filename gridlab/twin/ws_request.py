"""One request of the WebSocket API as it arrives: its parts, and the text that is signed.

Pure. Numbers keep the digits that were sent, because the signature is over what the client wrote.

Source: Binance spot WebSocket API, "Request format" and "SIGNED request security"; the texts of the
refusals are those of the live venue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gridlab.twin.answers import VenueError

RequestId: TypeAlias = int | str | None

BAD_REQUEST = -1135
_TEXT_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")
_VERSION = re.compile(r"v\d+/")
#: Names that steer the answer and not the request.
SHOW_LIMITS = "returnRateLimits"


class BadRequest(Exception):
    """The text is no request; `request_id` is its id when that much could be read."""

    def __init__(self, message: str, request_id: RequestId = None) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.error = VenueError(BAD_REQUEST, message)


@dataclass(frozen=True, slots=True)
class WsRequest:
    """A request.

    Args:
        method: without the prefix of its version, which is in `version` (such as `v3/`).
        params: every parameter as text, an array or an object as compact JSON.
        shows_limits: whether the answer shows the rate limits; None where the request is silent.
    """

    request_id: RequestId
    method: str
    version: str
    params: Mapping[str, str]
    shows_limits: bool | None

    def signed_text(self) -> str:
        """What the signature covers: all parameters but itself, by name, not percent-encoded."""
        return "&".join(
            f"{name}={value}" for name, value in sorted(self.params.items()) if name != "signature"
        )


def parse(text: str) -> WsRequest:
    """The request that `text` writes.

    Raises:
        BadRequest: not JSON, or a part of it has the wrong type.
    """
    try:
        # Decimal fractions stay the text that was sent.
        body = json.loads(text, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadRequest("Invalid JSON Request") from None
    if not isinstance(body, dict):
        raise BadRequest("Invalid JSON request; expected an object.")
    request_id = _request_id(body)
    method = body.get("method")
    if not isinstance(method, str) or not method:
        raise BadRequest("Invalid 'method' in JSON request; expected a string.", request_id)
    given = body.get("params", {})
    if not isinstance(given, dict):
        raise BadRequest("Invalid 'params' in JSON request; expected an object.", request_id)
    shows_limits = given.get(SHOW_LIMITS)
    if shows_limits is not None and not isinstance(shows_limits, bool):
        shows_limits = str(shows_limits).lower() == "true"
    version = found[0] if (found := _VERSION.match(method)) else ""
    params = {name: as_text(value) for name, value in given.items() if value is not None}
    return WsRequest(request_id, method.removeprefix(version), version, params, shows_limits)


def as_text(value: Any) -> str:
    """A parameter as REST would have received it.

    >>> as_text(["BTCUSDT"]), as_text(True), as_text(5)
    ('["BTCUSDT"]', 'true', '5')
    """
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _request_id(body: Mapping[str, Any]) -> RequestId:
    given = body.get("id", False)
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    if isinstance(given, str) and _TEXT_ID.fullmatch(given):
        return given
    raise BadRequest(
        "Invalid 'id' in JSON request; expected an integer, a string matching "
        "'^[a-zA-Z0-9-_]{1,36}$', or null."
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")

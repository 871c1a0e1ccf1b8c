"""The venue's refusals: codes with their exact texts, and the exception that carries them out.

Clients decide by code and many of them by text, so neither may differ from the venue's by a letter.
Source: Binance's spot page "Errors", and answers of the live venue. USD-M's own texts are in
`futures_refusals`; the texts here that both markets share are used by both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One answer that refuses.

    Args:
        status: HTTP status.
        data: what some answers add beside code and text, such as those of cancelReplace.
    """

    code: int
    message: str
    status: int = 400
    data: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)

    def body(self) -> dict[str, Any]:
        """The JSON object that travels."""
        body: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


class VenueError(Exception):
    """A request is refused; part of the protocol, so not one of GridLab's own errors.

    Args:
        code: negative, as on the wire.
        message: the venue's text.
        status: HTTP status.
        data: further object of the body.
        headers: further headers of the answer, such as `Retry-After`.
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.refusal = Refusal(code, message, status, data, headers)

    @property
    def code(self) -> int:
        return self.refusal.code

    @property
    def message(self) -> str:
        return self.refusal.message

    @property
    def status(self) -> int:
        return self.refusal.status


#: Text by code, where the code has one text; `{}` stands for a value.
TEXTS: dict[int, str] = {
    -1002: "You are not authorized to execute this request.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '{}'; legal range is '{}'.",
    -1101: "Duplicate values for parameter '{}' detected.",
    -1102: "Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    -1104: "Not all sent parameters were read; read '{}' parameter(s) but was sent '{}'.",
    -1105: "Parameter '{}' was empty.",
    -1106: "Parameter '{}' sent when not required.",
    -1108: "Parameter '{}' overflowed.",
    -1111: "Parameter '{}' has too much precision.",
    -1114: "TimeInForce parameter sent when not required.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1118: "New client order ID was empty.",
    -1119: "Original client order ID was empty.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1122: "Invalid symbolStatus.",
    -1125: "This listenKey does not exist.",
    -1127: "Lookup interval is too big.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{}' is not valid.",
    -1131: "recvWindow must be less than 60000",
    -1136: "Invalid newOrderRespType.",
    -1194: "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2021: "Order cancel-replace partially failed.",
    -2022: "Order cancel-replace failed.",
}
_STATUS = {-1002: 401, -2014: 401, -2015: 401}

#: The four texts of -2010 that clients match literally.
INSUFFICIENT_BALANCE = "Account has insufficient balance for requested action."
DUPLICATE_ORDER = "Duplicate order sent."
WOULD_TAKE = "Order would immediately match and take."
MARKET_CLOSED = "Market is closed."
AMEND_INCREASES = "Order amend (quantity increase) is not supported."
AMEND_CHANGES_NOTHING = "The requested action would change no state; rejecting."


def refuse(code: int, *values: object) -> VenueError:
    """The error to raise for `code`, its text filled with `values`."""
    return VenueError(code, TEXTS[code].format(*values), _STATUS.get(code, 400))


def filter_failure(name: str, *, by_engine: bool = False) -> VenueError:
    """The refusal of a filter: -1013 at the door, -2010 for those that ask the account's state."""
    return VenueError(-2010 if by_engine else -1013, f"Filter failure: {name}")

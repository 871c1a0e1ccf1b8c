"""`Endpoints`: where a Binance, or something that speaks its protocol, is to be found.

Addresses only, and how they are read from a file. Paths below them are the protocol's own and known
to those who ask.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gridlab.domain.market import Market
from gridlab.errors import InvalidConfig

#: Hosts below this domain move real money, but for those whose first word is among `_PLAY`.
_REAL = ".binance.com"
_PLAY = ("demo-", "testnet")
_SCHEMES = {"rest": ("http", "https"), "ws": ("ws", "wss")}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The bases of one venue's REST and WebSocket services.

    Args:
        rest_spot, rest_futures: scheme, host and an optional prefix; `/api/v3/...`, `/fapi/v1/...`
            and, for the wallet, `/sapi/v1/...` under `rest_spot` are added.
        ws_spot, ws_futures: bases of the market and user streams.
        ws_api_spot: the WebSocket API's whole address, its path included.

    Raises:
        InvalidConfig: an address with another scheme, without a host, or with a user name, a query
            or a fragment.
    """

    rest_spot: str
    ws_spot: str
    ws_api_spot: str
    rest_futures: str
    ws_futures: str

    def __post_init__(self) -> None:
        problems = []
        for field in fields(self):
            given = getattr(self, field.name)
            problem = _problem(given, _SCHEMES[field.name.split("_")[0]])
            if problem:
                problems.append(f"{field.name} is {given!r}: {problem}")
            else:
                object.__setattr__(self, field.name, given.rstrip("/"))
        if problems:
            raise InvalidConfig(*problems)

    @classmethod
    def from_json(cls, text_or_path: str) -> Endpoints:
        """The endpoints in a JSON object, given as text or as the name of a file.

        Raises:
            InvalidConfig: unreadable, or an address is missing; with every one that is.
        """
        found = read_object(text_or_path)
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in found]
        if missing:
            raise InvalidConfig(
                f"the endpoints lack {', '.join(missing)}; give all of {', '.join(names)}"
            )
        return cls(**{name: found[name] for name in names})

    @property
    def is_production(self) -> bool:
        """Whether orders sent here can move real money."""
        return any(_is_real(address) for address in (self.rest_spot, self.rest_futures))

    def rest(self, market: Market) -> str:
        """The REST base of one market."""
        return self.rest_spot if market is Market.SPOT else self.rest_futures


def read_object(text_or_path: str) -> dict[str, Any]:
    """The JSON object that `text_or_path` writes, or that the file of that name holds.

    Raises:
        InvalidConfig: no such file, or no JSON object.
    """
    is_text = text_or_path.lstrip().startswith("{")
    text = text_or_path
    if not is_text:
        try:
            text = Path(text_or_path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfig(
                f"the endpoints' file {text_or_path!r} cannot be read ({error}); give a JSON file, "
                "or the JSON itself"
            ) from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidConfig(f"the endpoints are no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidConfig("the endpoints must be one JSON object")
    return found


def _problem(address: Any, schemes: tuple[str, ...]) -> str:
    """Why this address cannot be used; empty when it can."""
    if not isinstance(address, str):
        return "not a text"
    try:
        url = urlsplit(address)
        host = url.hostname
        _ = url.port  # a port that is no number raises
    except ValueError as error:
        return str(error)
    if url.scheme not in schemes or not host:
        return f"write {schemes[-1]}://host, or {schemes[0]}://host"
    if "@" in url.netloc or url.query or url.fragment:
        return "leave user name, query and fragment out"
    return ""


def _is_real(address: str) -> bool:
    host = (urlsplit(address).hostname or "").lower().rstrip(".")
    return (host == _REAL[1:] or host.endswith(_REAL)) and not host.startswith(_PLAY)


PRODUCTION = Endpoints(
    rest_spot="https://api.binance.com",
    ws_spot="wss://stream.binance.com:9443",
    ws_api_spot="wss://ws-api.binance.com:443/ws-api/v3",
    rest_futures="https://fapi.binance.com",
    ws_futures="wss://fstream.binance.com",
)
TESTNET = Endpoints(
    rest_spot="https://testnet.binance.vision",
    ws_spot="wss://stream.testnet.binance.vision",
    ws_api_spot="wss://ws-api.testnet.binance.vision/ws-api/v3",
    rest_futures="https://demo-fapi.binance.com",
    ws_futures="wss://demo-fstream.binance.com",
)

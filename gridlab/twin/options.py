"""`TwinOptions`: everything that decides what a twin is, from the command line or from a test."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from gridlab.errors import InvalidInput
from gridlab.money import parse

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT")
DEFAULT_FUNDS: Mapping[str, Decimal] = MappingProxyType(
    {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
)


@dataclass(frozen=True, slots=True)
class TwinOptions:
    """One twin.

    Args:
        port: of REST, 0 for any free one; `ws_port`: of the sockets, None for the same as REST.
        symbols: what is listed, on each market that has a recording of it.
        data: a file of candles or a folder of `gridlab data`; None plays the bundled recordings.
        start_ms: the recorded moment at which the play begins; None for a stated default.
        speed: recorded seconds for each real second; 0 stands still, and only `/price` moves it.
        pulse_ms: a market is never silent for longer: a small trade at the last price; 0 = off.
        faults: name or path of a fault plan; None for a venue that works.
        key, secret: the one API key; made up when empty.
        funds: what both wallets hold at the start; futures takes only what is margin there.
        has_limits: whether request weights and order counts are enforced.
    """

    port: int = 0
    ws_port: int | None = None
    control_port: int = 0
    host: str = "127.0.0.1"
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS
    data: Path | None = None
    start_ms: int | None = None
    speed: float = 1.0
    pulse_ms: int = 1_000
    seed: int = 0
    faults: str | None = None
    key: str = ""
    secret: str = field(default="", repr=False)
    funds: Mapping[str, Decimal] = field(default_factory=lambda: DEFAULT_FUNDS)
    has_limits: bool = True

    def __post_init__(self) -> None:
        if not self.symbols:
            raise InvalidInput("a twin needs at least one symbol, such as BTCUSDT")
        if not 0 <= self.speed < 1_000_000:
            raise InvalidInput(f"speed is {self.speed}; from 0 (stands still) to 1000000 is meant")
        for port in (self.port, self.ws_port or 0, self.control_port):
            if not 0 <= port <= 65_535:
                raise InvalidInput(f"port {port} does not exist; from 0 (any free one) to 65535")
        if self.pulse_ms < 0:
            raise InvalidInput(f"pulse_ms is {self.pulse_ms}; 0 switches it off, or give a time")


def parse_funds(text: str) -> dict[str, Decimal]:
    """The amounts in `USDT=100000,BTC=1`.

    Raises:
        InvalidInput: not that form, or an amount below zero.
    """
    funds = {}
    for part in text.split(","):
        asset, equals, amount = part.strip().partition("=")
        if not equals or not asset:
            raise InvalidInput(f"{part!r} is no amount; write such as USDT=100000,BTC=1")
        funds[asset.upper()] = parse(amount, f"funds of {asset}")
        if funds[asset.upper()] < 0:
            raise InvalidInput(f"funds of {asset} are {amount}; nobody starts with a debt")
    return funds


def parse_symbols(text: str) -> tuple[str, ...]:
    """The symbols in `BTCUSDT,ETHUSDT`, each once."""
    return tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of `gridlab twin`."""
    usual = TwinOptions()
    parser.add_argument("--port", type=int, default=8090, help="REST's port, 0 = any (8090)")
    parser.add_argument("--ws-port", type=int, default=None, help="the sockets' port (as REST)")
    parser.add_argument("--control-port", type=int, default=0, help="the control's port (any)")
    parser.add_argument("--host", default=usual.host, help=f"address to listen on ({usual.host})")
    parser.add_argument(
        "--symbols", default=",".join(usual.symbols), help="what is listed (BTCUSDT,ETHUSDT)"
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="a file of candles or a folder of gridlab data"
    )
    parser.add_argument(
        "--start-ms", type=int, default=None, help="recorded moment at which the play begins"
    )
    parser.add_argument(
        "--speed", type=float, default=usual.speed, help="recorded seconds a second; 0 = stand (1)"
    )
    parser.add_argument(
        "--pulse-ms", type=int, default=usual.pulse_ms, help="longest silence of a market (1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every drawn fault (0)")
    parser.add_argument(
        "--faults", default=None, help="a fault plan: a file, or default, calm, storm"
    )
    parser.add_argument("--key", default="", help="the API key (made up when not given)")
    parser.add_argument("--secret", default="", help="its secret (made up when not given)")
    parser.add_argument(
        "--funds", default=None, help="both wallets' start (USDT=100000,BTC=1,ETH=10)"
    )
    parser.add_argument("--no-limits", action="store_true", help="enforce no rate limits")


def from_arguments(words: argparse.Namespace) -> TwinOptions:
    """The options that the command line writes; raises `InvalidInput`."""
    return TwinOptions(
        port=words.port,
        ws_port=words.ws_port,
        control_port=words.control_port,
        host=words.host,
        symbols=parse_symbols(words.symbols),
        data=words.data,
        start_ms=words.start_ms,
        speed=words.speed,
        pulse_ms=words.pulse_ms,
        seed=words.seed,
        faults=words.faults,
        key=words.key,
        secret=words.secret,
        funds=DEFAULT_FUNDS if words.funds is None else parse_funds(words.funds),
        has_limits=not words.no_limits,
    )

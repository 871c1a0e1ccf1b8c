"""The bundled recordings: which there are, their bars, funding rates, instruments, hashes.

Everything lies beside this module in `bundled/`: Parquet files, funding rates, `manifest.json` with
provenance and hashes, `instruments.json` with the venue's rules. Reads those files only; knows no
network.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from gridlab.data.bars import Bars, read_bars
from gridlab.data.funding import Funding, read_funding
from gridlab.domain.market import Instrument, Interval, Market, PercentPrice
from gridlab.errors import NotFound, StorageError

BUNDLE = Path(__file__).with_name("bundled")

#: 2026-03-27 10:34 UTC. A BTCUSDT grid of 10 levels, 0.5 % apart, placed here sees its first touch
#: after 3 minutes (at most 15 if placed up to 20 minutes later) and trades on to the recording's
#: end; the 24 h before are recorded for every bundled spot symbol, so tickers are full at once.
DEFAULT_REPLAY_START_MS = 1_774_607_640_000
#: 2026-04-01 00:00 UTC: the first moment after the spot recordings.
DEFAULT_REPLAY_END_MS = 1_775_001_600_000


@dataclass(frozen=True, slots=True)
class Series:
    """One bundled recording.

    Args:
        first_ms, last_ms: open times of its first and last bar.
        source: where its numbers come from, in words.
    """

    market: Market
    symbol: str
    interval: Interval
    first_ms: int
    last_ms: int
    rows: int
    path: Path
    sha256: str
    source: str


@cache
def catalog() -> tuple[Series, ...]:
    """Every bundled recording, in the order of the manifest."""
    return tuple(
        Series(
            market=Market(entry["market"]),
            symbol=entry["symbol"],
            interval=Interval(entry["interval"]),
            first_ms=entry["first_open_time_ms"],
            last_ms=entry["last_open_time_ms"],
            rows=entry["rows"],
            path=BUNDLE / entry["file"],
            sha256=entry["sha256"],
            source=entry["source"],
        )
        for entry in _read_json("manifest.json")["files"]
    )


def load(
    symbol: str,
    market: Market = Market.SPOT,
    start_ms: int | None = None,
    end_ms: int | None = None,
    verify: bool = False,
) -> Bars:
    """The bundled bars of `symbol` that open from `start_ms` to before `end_ms`.

    Args:
        verify: compare the file with its hash first.

    Raises:
        NotFound: no such recording; the message lists those there are.
        StorageError: the file is not the one that was shipped.
    """
    series = _series(symbol, market)
    if verify:
        _verify([series])
    bars = read_bars(series.path, symbol=symbol, market=market, interval=series.interval)
    return bars if start_ms is None and end_ms is None else bars.slice(start_ms, end_ms)


@cache
def instrument(symbol: str, market: Market = Market.SPOT) -> Instrument:
    """The venue's rules for `symbol`, each with its source in `instruments.json`.

    Raises:
        NotFound: no such instrument; the message lists those there are.
    """
    entries = _read_json("instruments.json")["instruments"]
    for entry in entries:
        if (entry["symbol"], entry["market"]) == (symbol, market):
            return _instrument(entry)
    raise NotFound(_unknown(symbol, market, [(e["market"], e["symbol"]) for e in entries]))


def funding(symbol: str) -> Funding:
    """The bundled funding rates of a futures recording, over its whole span.

    Raises:
        NotFound: none are bundled of this symbol; the message lists those there are.
    """
    entry = _read_json("manifest.json")["funding"]
    if symbol not in entry["symbols"]:
        raise NotFound(
            f"no funding rates of {symbol!r} are bundled; bundled are {', '.join(entry['symbols'])}"
        )
    rates = read_funding(BUNDLE / entry["file"], symbol=symbol)
    source = f"bundled with gridlab: {entry['sources'][symbol]}"
    return Funding(symbol, rates.time_ms, rates.rates, source)


def verify_all() -> tuple[Series, ...]:
    """Every recording, after its file was compared with the hash in the manifest.

    Raises:
        StorageError: with every file that is missing or differs.
    """
    _verify(catalog())
    entry = _read_json("manifest.json")["funding"]
    if (found := _hash(BUNDLE / entry["file"])) != entry["sha256"]:
        raise StorageError(
            f"{entry['file']} has hash {found}, the manifest says {entry['sha256']}; install the "
            "package again"
        )
    return catalog()


def _series(symbol: str, market: Market) -> Series:
    for series in catalog():
        if (series.symbol, series.market) == (symbol, market):
            return series
    raise NotFound(_unknown(symbol, market, [(s.market, s.symbol) for s in catalog()]))


def _unknown(symbol: str, market: Market, known: list[tuple[str, str]]) -> str:
    names = ", ".join(f"{name} ({where})" for where, name in known)
    return f"{symbol!r} is not bundled for {market}; bundled are {names}"


def _verify(wanted: tuple[Series, ...] | list[Series]) -> None:
    damaged = [
        f"{series.path.name} has hash {found}, the manifest says {series.sha256}"
        for series in wanted
        if (found := _hash(series.path)) != series.sha256
    ]
    if damaged:
        raise StorageError("; ".join(damaged) + "; install the package again")


def _hash(path: Path) -> str:
    if not path.is_file():
        return "none (no such file)"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_json(name: str) -> Any:
    return json.loads((BUNDLE / name).read_text(encoding="utf-8"))


def _instrument(entry: dict[str, Any]) -> Instrument:
    # In the file an exact number is a string and a count is a whole number.
    values: dict[str, Any] = {
        name: Decimal(rule["value"]) if isinstance(rule["value"], str) else rule["value"]
        for name, rule in entry["rules"].items()
    }
    bounds = values.get("percent_price")
    if bounds is not None:
        values["percent_price"] = PercentPrice(**{k: Decimal(v) for k, v in bounds.items()})
    names = {name: entry[name] for name in ("symbol", "base", "quote")}
    return Instrument(market=Market(entry["market"]), **names, **values)

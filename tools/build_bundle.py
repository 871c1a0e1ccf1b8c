"""Builds `gridlab/data/bundled/` from a folder of raw candles; the same input gives the same bytes.

    python tools/build_bundle.py RAW_FOLDER

The raw folder holds the files named in `bundle_sources.json` beside this script, and a
MANIFEST.json with their hashes; every file is compared with its hash before a number of it is used.
Each series is checked before it is written (see `checked`), and read back afterwards. Only for
maintainers: the package ships the result and never needs the raw folder.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from gridlab.clock import iso
from gridlab.data.aggregate import ExactColumn
from gridlab.data.bars import Bars, read_bars
from gridlab.data.funding import read_funding
from gridlab.domain.market import Market
from gridlab.money import is_multiple, parse, text

BUNDLE = Path(__file__).resolve().parents[1] / "gridlab" / "data" / "bundled"
SOURCES = Path(__file__).with_name("bundle_sources.json")
PRICES = ("open", "high", "low", "close")


class RawFolder:
    """The raw files, each compared with the folder's MANIFEST.json before it is handed out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        self.used: dict[str, str] = {}

    def __call__(self, name: str) -> Path:
        path, expected = self.root / name, self.manifest[name]["sha256"]
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"{name}: hash {found}, the raw folder's manifest says {expected}")
        self.used[name] = expected
        return path


def main() -> None:
    """Write the Parquet files, `manifest.json` and `instruments.json`."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/build_bundle.py RAW_FOLDER")
    raw = RawFolder(Path(sys.argv[1]))
    plan = json.loads(SOURCES.read_text(encoding="utf-8"))
    BUNDLE.mkdir(exist_ok=True)
    instruments = build_instruments(raw, plan)
    write_json("instruments.json", instruments)
    rules = {(e["market"], e["symbol"]): e["rules"] for e in instruments["instruments"]}
    files = [
        build_series(raw, entry, rules[entry["market"], entry["symbol"]])
        for entry in plan["series"]
    ]
    funding = build_funding(raw, plan["funding"])
    built = {"pyarrow": pa.__version__, "files": files, "funding": funding}
    write_json("manifest.json", plan["manifest"] | built)
    total = sum(path.stat().st_size for path in BUNDLE.iterdir())
    print(f"{BUNDLE}: {len(files)} series, {total} bytes")


def build_series(raw: RawFolder, entry: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Write one Parquet file; returns its entry in the manifest."""
    symbol, market = entry["symbol"], Market(entry["market"])
    whole = read_bars(raw(entry["raw"]), symbol=symbol, market=market)
    start, end = (int(np.datetime64(entry[k], "ms").astype(np.int64)) for k in ("start", "end"))
    bars = whole.slice(start, end)
    checks = checked(raw, entry, rules, bars)
    path = BUNDLE / entry["file"]
    write_bars(path, bars)
    if read_bars(path, symbol=symbol, market=market) != bars:
        sys.exit(f"{path.name}: does not read back as it was written")
    missing = sum((last - first) // bars.interval.ms + 1 for first, last in bars.gaps())
    print(f"{path.name}: {bars}, {path.stat().st_size} bytes")
    return {
        "file": path.name,
        "market": market.value,
        "symbol": symbol,
        "interval": bars.interval.value,
        "first_open_time_ms": int(bars.open_time_ms[0]),
        "last_open_time_ms": int(bars.open_time_ms[-1]),
        "first_open_time": iso(int(bars.open_time_ms[0])),
        "last_open_time": iso(int(bars.open_time_ms[-1])),
        "rows": len(bars),
        "missing_bars": missing,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "columns": column_names(bars),
        "not_recorded": [n for n in ("quote_volume", "trades") if n not in column_names(bars)],
        "source": entry["source"],
        "licence_of_source": entry["licence"],
        "taken_from": {"file": entry["raw"], "sha256": raw.used[entry["raw"]]},
        "checks": checks,
    }


def build_funding(raw: RawFolder, entry: dict[str, Any]) -> dict[str, Any]:
    """Write the funding rates of the futures spans; returns their entry in the manifest."""
    start, end = (int(np.datetime64(entry[k], "ms").astype(np.int64)) for k in ("start", "end"))
    path = BUNDLE / entry["file"]
    listed: list[dict[str, Any]] = []
    rows: dict[str, int] = {}
    for symbol in entry["symbols"]:
        rates = read_funding(raw(entry["raw"]), symbol=symbol).slice(start, end)
        hours = 3_600_000 * entry["interval_hours"]
        if rates.gaps() or rates.interval_ms != hours:
            sys.exit(f"{symbol}: funding has holes at {rates.gaps()}, every {rates.interval_ms} ms")
        pairs = zip(rates.time_ms.tolist(), rates.rates, strict=True)
        listed += [
            {"symbol": symbol, "fundingTime": time, "fundingRate": f"{rate:f}"}
            for time, rate in pairs
        ]
        rows[symbol] = len(rates)
    lines = ",\n".join(json.dumps(row) for row in listed)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return {
        "file": path.name,
        "symbols": list(rows),
        "rows": rows,
        "first_time": iso(start),
        "end": iso(end),
        "interval_hours": entry["interval_hours"],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "sources": entry["sources"],
        "licence_of_source": entry["licence"],
        "taken_from": {"file": entry["raw"], "sha256": raw.used[entry["raw"]]},
        "checks": entry["known"],
    }


def checked(raw: RawFolder, entry: dict[str, Any], rules: dict[str, Any], bars: Bars) -> list[str]:
    """What was found true of `bars`, in words; ends the build where something is not."""
    name = f"{entry['market']} {entry['symbol']}"
    if bars.gaps():
        sys.exit(f"{name}: has holes at {bars.gaps()}")
    for column, rule in [(p, "tick_size") for p in PRICES] + [("volume", "lot_size")]:
        if not is_on_step(getattr(bars, column), rules[rule]["value"]):
            sys.exit(f"{name}: {column} is not everywhere a multiple of {rule}")
    found = [
        "stamps ascend without a hole on the minute grid; prices are finite and above zero; high "
        "and low bound open and close",
        f"every price is a multiple of the tick {rules['tick_size']['value']}, every volume of the "
        f"lot {rules['lot_size']['value']}",
        "the file reads back bit for bit",
    ]
    other = entry.get("compare")
    if other:
        found.append(compared(raw(other["raw"]), bars, other))
    return [*found, *entry["known"]]


def compared(path: Path, bars: Bars, other: dict[str, Any]) -> str:
    """The result, in words, of comparing `bars` with an independent recording of the same time."""
    theirs = read_bars(path, symbol=bars.symbol, market=bars.market)
    ours = bars.resample(theirs.interval)
    width = theirs.interval.ms
    # Only candles that were recorded whole can be compared.
    first = -(-int(bars.open_time_ms[0]) // width) * width
    last = bars.end_ms // width * width
    theirs = theirs.slice(first, last)
    ours = ours.slice(int(theirs.open_time_ms[0]), theirs.end_ms)
    for column in ["open_time_ms", *other["columns"]]:
        if not np.array_equal(getattr(ours, column), getattr(theirs, column)):
            differing = int(np.sum(getattr(ours, column) != getattr(theirs, column)))
            sys.exit(f"{bars.symbol}: {column} differs in {differing} candles from {path.name}")
    return (
        f"{len(theirs)} of {len(theirs)} candles of {theirs.interval} equal {other['what']} in "
        f"{', '.join(other['columns'])}"
    )


def is_on_step(values: Any, step: str) -> bool:
    """Whether every value is a whole multiple of `step`, a power of ten."""
    column = ExactColumn.of(values)
    return not len(column.odd) and is_multiple(Decimal(1).scaleb(-column.decimals), parse(step))


def column_names(bars: Bars) -> list[str]:
    names = ["open_time", *PRICES, "volume"]
    names += ["quote_volume"] if bars.has_quote_volume else []
    return names + (["trades"] if bars.has_trades else [])


def write_bars(path: Path, bars: Bars) -> None:
    """Write plain doubles: what any reader of Parquet sees is what was recorded."""
    names = column_names(bars)
    columns = {n: getattr(bars, "open_time_ms" if n == "open_time" else n) for n in names}
    amounts = [n for n in names if n in ("volume", "quote_volume")]
    parquet.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=list(PRICES),
        column_encoding={"open_time": "DELTA_BINARY_PACKED"}
        | dict.fromkeys(amounts, "BYTE_STREAM_SPLIT")
        | ({"trades": "DELTA_BINARY_PACKED"} if "trades" in names else {}),
    )


def build_instruments(raw: RawFolder, plan: dict[str, Any]) -> dict[str, Any]:
    """The content of `instruments.json`: each rule with its value and the name of its source."""
    sources = plan["instrument_sources"]
    with raw(sources["ticks"]["raw"]).open(encoding="utf-8", newline="") as stream:
        ticks = {(r["type"], r["market_ticker"]): r for r in csv.DictReader(stream)}
    makers: dict[str, Callable[..., dict[str, Any]]] = {
        "spot": spot_rules,
        "futures": futures_rules,
    }
    types = {"spot": "crypto", "futures": "cryptofuture"}
    entries = []
    for market, maker in makers.items():
        with gzip.open(raw(sources[f"{market}_testnet"]["raw"]), "rt", encoding="utf-8") as stream:
            venue = {s["symbol"]: s for s in json.load(stream)["symbols"]}
        for symbol in sorted({e["symbol"] for e in plan["series"] if e["market"] == market}):
            filters = {f["filterType"]: f for f in venue[symbol]["filters"]}
            entries.append(
                {
                    "market": market,
                    "symbol": symbol,
                    "base": venue[symbol]["baseAsset"],
                    "quote": venue[symbol]["quoteAsset"],
                    "rules": maker(ticks[types[market], symbol], filters, plan),
                }
            )
    stated = {name: {k: v for k, v in s.items() if k != "raw"} for name, s in sources.items()}
    return {"about": plan["instruments_about"], "sources": stated, "instruments": entries}


def spot_rules(
    tick: dict[str, str], filters: dict[str, Any], plan: dict[str, Any]
) -> dict[str, Any]:
    price, lot, notional = (filters[k] for k in ("PRICE_FILTER", "LOT_SIZE", "NOTIONAL"))
    return {
        "tick_size": rule(tick["minimum_price_variation"], "ticks"),
        "lot_size": rule(tick["lot_size"], "ticks"),
        "min_notional": rule(tick["minimum_order_size"], "ticks"),
        "max_notional": rule(notional["maxNotional"], "spot_testnet"),
        "min_quantity": rule(lot["minQty"], "spot_testnet"),
        "max_quantity": rule(lot["maxQty"], "spot_testnet"),
        "min_price": rule(price["minPrice"], "spot_testnet"),
        "max_price": rule(price["maxPrice"], "spot_testnet"),
        "max_num_orders": count(filters["MAX_NUM_ORDERS"]["maxNumOrders"], "spot_testnet"),
        "percent_price": {"value": plan["spot_percent_price"], "source": "measured"},
        "commission_precision": count(8, "spot_testnet"),
    }


def futures_rules(
    tick: dict[str, str], filters: dict[str, Any], plan: dict[str, Any]
) -> dict[str, Any]:
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    return {
        "tick_size": rule(tick["minimum_price_variation"], "ticks"),
        "lot_size": rule(tick["lot_size"], "ticks"),
        "min_notional": rule(filters["MIN_NOTIONAL"]["notional"], "futures_testnet"),
        "max_notional": rule(plan["futures_max_notional"], "no_such_rule"),
        "min_quantity": rule(lot["minQty"], "futures_testnet"),
        "max_quantity": rule(lot["maxQty"], "futures_testnet"),
        "min_price": rule(price["minPrice"], "futures_testnet"),
        "max_price": rule(price["maxPrice"], "futures_testnet"),
        "max_num_orders": count(filters["MAX_NUM_ORDERS"]["limit"], "futures_testnet"),
        "percent_price": {"value": None, "source": "futures_percent_price"},
        "commission_precision": count(8, "futures_testnet"),
    }


def rule(number: str, source: str) -> dict[str, str]:
    """A rule's value in plain digits (1e-05 is written 0.00001), and its source."""
    return {"value": text(parse(number)), "source": source}


def count(number: int, source: str) -> dict[str, Any]:
    return {"value": int(number), "source": source}


def write_json(name: str, content: dict[str, Any]) -> None:
    (BUNDLE / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

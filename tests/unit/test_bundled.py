"""The bundled recordings: whole, as described, and lively where the replay begins."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridlab.clock import ManualClock
from gridlab.data import catalog
from gridlab.data.aggregate import ExactColumn
from gridlab.data.bars import Bars
from gridlab.data.recorded import DAY_MS, RecordedMarket
from gridlab.domain.market import Interval, Market, PercentPrice
from gridlab.errors import NotFound, StorageError
from gridlab.money import is_multiple

SERIES = catalog.catalog()
MINUTE = 60_000
SPOT = ("BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")


def test_every_file_is_the_one_in_the_manifest_and_the_folder_is_small() -> None:
    assert catalog.verify_all() == SERIES
    in_folder = {path.name for path in catalog.BUNDLE.iterdir()}
    named = {series.path.name for series in SERIES}
    others = {"manifest.json", "instruments.json", "README.md", "futures-funding.json"}
    assert in_folder == named | others
    assert sum(path.stat().st_size for path in catalog.BUNDLE.iterdir()) < 5_000_000


@pytest.mark.parametrize("series", SERIES, ids=lambda s: f"{s.market}-{s.symbol}")
def test_a_series_is_what_the_manifest_says_and_obeys_its_instrument(
    series: catalog.Series,
) -> None:
    bars = catalog.load(series.symbol, series.market, verify=True)
    assert (bars.symbol, bars.market, bars.interval) == (series.symbol, series.market, Interval.M1)
    assert (len(bars), bars.gaps()) == (series.rows, [])
    assert (bars.open_time_ms[0], bars.open_time_ms[-1]) == (series.first_ms, series.last_ms)
    rules = catalog.instrument(series.symbol, series.market)
    steps = [(name, rules.tick_size) for name in ("open", "high", "low", "close")]
    for name, step in [*steps, ("volume", rules.lot_size)]:
        column = ExactColumn.of(getattr(bars, name))
        assert not len(column.odd)
        assert is_multiple(Decimal(1).scaleb(-column.decimals), step), name
    assert bars.low.min() > rules.min_price and bars.high.max() < rules.max_price


def test_manifest_states_provenance_and_what_was_not_recorded() -> None:
    manifest = json.loads((catalog.BUNDLE / "manifest.json").read_text())
    assert "Binance's terms apply" in manifest["terms"]
    for entry in manifest["files"]:
        assert " @ " in entry["source"] and entry["licence_of_source"] and entry["checks"]
        bars = catalog.load(entry["symbol"], Market(entry["market"]))
        lacking = [n for n in ("quote_volume", "trades") if not getattr(bars, f"has_{n}")]
        assert entry["not_recorded"] == lacking
        assert entry["missing_bars"] == 0


def test_bitcoin_spot_has_every_column_and_the_published_digits() -> None:
    first = catalog.load("BTCUSDT").kline(0)
    assert first.path == tuple(map(Decimal, ("66973.26", "66967.18", "67029.25", "66998.58")))
    assert first.volume == Decimal("9.19306")
    assert (first.quote_volume, first.trades) == (Decimal("615904.3840724"), 5610)


def test_files_are_plain_doubles_for_any_reader() -> None:
    series = next(s for s in SERIES if s.symbol == "SOLUSDT")
    frame = pd.read_parquet(series.path)
    bars = catalog.load("SOLUSDT")
    assert list(frame.columns) == ["open_time", "open", "high", "low", "close", "volume"]
    assert np.array_equal(frame["close"], bars.close)
    assert np.array_equal(frame["open_time"], bars.open_time_ms)


def test_load_cuts_and_names_what_there_is() -> None:
    part = catalog.load("ETHUSDT", Market.FUTURES, 1_749_600_000_000, 1_749_600_120_000)
    assert part.open_time_ms.tolist() == [1_749_600_000_000, 1_749_600_060_000]
    with pytest.raises(NotFound, match=r"'DOGEUSDT' is not bundled for spot; .*BTCUSDT \(spot\)"):
        catalog.load("DOGEUSDT")
    with pytest.raises(NotFound, match=r"'SOLUSDT' is not bundled for futures"):
        catalog.instrument("SOLUSDT", Market.FUTURES)


def test_instruments_carry_the_stated_rules_each_with_a_known_source() -> None:
    spot = catalog.instrument("BTCUSDT")
    assert (spot.base, spot.quote, spot.market) == ("BTC", "USDT", Market.SPOT)
    assert (spot.tick_size, spot.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (spot.min_notional, spot.max_num_orders) == (Decimal(5), 200)
    assert spot.percent_price == PercentPrice(
        bid_down=Decimal("0.5"), bid_up=Decimal("1.2"), ask_down=Decimal("0.8"), ask_up=Decimal(2)
    )
    futures = catalog.instrument("BTCUSDT", Market.FUTURES)
    assert (futures.tick_size, futures.lot_size) == (Decimal("0.1"), Decimal("0.001"))
    assert (futures.min_notional, futures.percent_price) == (Decimal(100), None)
    assert futures.max_notional > futures.max_quantity * futures.max_price
    content = json.loads((catalog.BUNDLE / "instruments.json").read_text())
    for entry in content["instruments"]:
        assert {rule["source"] for rule in entry["rules"].values()} <= set(content["sources"])


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The bundle in a folder that may be damaged."""
    folder = tmp_path / "bundled"
    shutil.copytree(catalog.BUNDLE, folder)
    monkeypatch.setattr(catalog, "BUNDLE", folder)
    catalog.catalog.cache_clear()
    yield folder
    catalog.catalog.cache_clear()


def test_a_damaged_or_missing_file_is_reported_with_its_name(copied: Path) -> None:
    damaged, gone = copied / "spot-SOLUSDT-1m.parquet", copied / "spot-BNBUSDT-1m.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    gone.unlink()
    found = hashlib.sha256(damaged.read_bytes()).hexdigest()
    with pytest.raises(StorageError) as raised:
        catalog.verify_all()
    assert f"{damaged.name} has hash {found}" in str(raised.value)
    assert f"{gone.name} has hash none" in str(raised.value)
    with pytest.raises(StorageError, match="SOLUSDT"):
        catalog.load("SOLUSDT", verify=True)


def touches(bars: Bars, start_ms: int, levels: int, spacing: float) -> list[int]:
    """Minutes after `start_ms` at which a grid around that minute's open has a line touched.

    The line nearest the price stays empty; a touched line becomes the empty one, as each fill of a
    grid is answered by an order at the line beside it.
    """
    first = bars.index_at(start_ms)
    half = levels // 2
    lines = [float(bars.open[first]) * (1 + spacing) ** k for k in range(-half, half + 1)]
    empty, times = half, []
    for i in range(first, len(bars)):
        o, h, low, c = (float(x[i]) for x in (bars.open, bars.high, bars.low, bars.close))
        for price in (o, low, h, c) if c >= o else (o, h, low, c):
            while empty < levels and price >= lines[empty + 1]:
                empty += 1
                times.append(i - first)
            while empty > 0 and price <= lines[empty - 1]:
                empty -= 1
                times.append(i - first)
    return times


def test_the_default_start_is_lively() -> None:
    bars = catalog.load("BTCUSDT")
    fills = touches(bars, catalog.DEFAULT_REPLAY_START_MS, levels=10, spacing=0.005)
    assert fills[0] <= 15
    assert sum(minute < 300 for minute in fills) >= 10
    assert len(fills) >= 80
    late = catalog.DEFAULT_REPLAY_START_MS + 20 * MINUTE
    assert touches(bars, late, levels=10, spacing=0.005)[0] <= 30


def test_the_default_replay_has_all_spot_symbols_with_a_full_day_behind_them() -> None:
    keys = [(Market.SPOT, symbol) for symbol in SPOT]
    start_ms = catalog.DEFAULT_REPLAY_START_MS
    market = RecordedMarket(
        {key: catalog.load(key[1]) for key in keys},
        {key: catalog.instrument(key[1]) for key in keys},
        ManualClock(start_ms),
    )
    assert market.symbols(Market.SPOT) == SPOT
    for key in keys:
        ticker = market.ticker(*key)
        assert (ticker.window_ms, ticker.time_ms) == (DAY_MS, start_ms)
        assert (ticker.quote_volume is None) == (key[1] != "BTCUSDT")
    ends = {series.last_ms + MINUTE for series in SERIES if series.market is Market.SPOT}
    assert ends == {catalog.DEFAULT_REPLAY_END_MS}

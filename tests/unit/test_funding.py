"""`data.funding`: Binance's three forms, exact digits, order, gaps; a replay that pays them."""

from __future__ import annotations

import gzip
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.clock import ManualClock
from gridlab.data.catalog import BUNDLE, catalog, funding, instrument, load
from gridlab.data.funding import Funding, read_funding
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.errors import BugError, InvalidInput, NotFound
from gridlab.exchange.paper import PaperBook, PaperExchange, Record
from gridlab.exchange.paper_futures import FuturesBook, PaperFutures
from gridlab.exchange.replay import Replay

T0, HOURS_8 = 1_749_513_600_000, 28_800_000
ROWS = [(T0, "0.00010000"), (T0 + HOURS_8, "-0.00001801"), (T0 + 2 * HOURS_8 + 3, "0.00003858")]
TABLE = "symbol,funding_time,funding_rate\n" + "".join(f"BTCUSDT,{t},{r}\n" for t, r in ROWS)
DUMP = "calc_time,funding_interval_hours,last_funding_rate\n" + "".join(
    f"{t},8,{r}\n" for t, r in ROWS
)
REST = json.dumps(
    [
        {"symbol": "BTCUSDT", "fundingTime": t, "fundingRate": r, "markPrice": "105000.00000000"}
        for t, r in ROWS
    ]
)


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content.encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BTCUSDT-fundingRate-2025-06.csv", content)
    else:
        path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rates.csv", TABLE),
        ("rates.csv.gz", TABLE),
        ("BTCUSDT-fundingRate-2025-06.zip", DUMP),
        ("rates.json", REST),
        ("excel.csv", "\ufeff" + DUMP),
    ],
)
def test_every_form_gives_the_digits_that_were_written(
    tmp_path: Path, name: str, content: str
) -> None:
    rates = read_funding(written(tmp_path, name, content), symbol="BTCUSDT")
    assert rates.rates == tuple(Decimal(rate) for _, rate in ROWS)
    assert rates.time_ms.tolist() == [time for time, _ in ROWS]
    assert rates == Funding.of(ROWS, "BTCUSDT") and name in rates.source


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([0.0001, -0.00001801, 0.00003858], pd.Index([t for t, _ in ROWS])),
        pd.Series(
            [0.0001, -0.00001801, 0.00003858],
            pd.to_datetime([t for t, _ in ROWS], unit="ms", utc=True),
        ),
        pd.DataFrame({"fundingTime": [t for t, _ in ROWS], "fundingRate": [r for _, r in ROWS]}),
        pd.DataFrame(
            {"rate": [0.0001, -0.00001801, 0.00003858]},
            pd.to_datetime([t for t, _ in ROWS], unit="ms", utc=True),
        ),
    ],
)
def test_frames_and_series_are_read(value: Any) -> None:
    assert Funding.of(value, "BTCUSDT") == Funding.of(ROWS, "BTCUSDT")


def test_what_cannot_be_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="row 1 .*does not come after"):
        Funding.of([ROWS[1], ROWS[0]], "BTCUSDT")
    with pytest.raises(InvalidInput, match="keep each time once"):
        Funding.of([ROWS[0], ROWS[0]], "BTCUSDT")
    with pytest.raises(InvalidInput, match="not a percentage"):
        Funding.of([(T0, "0.1")], "BTCUSDT")
    with pytest.raises(InvalidInput, match="whole milliseconds"):
        read_funding(written(tmp_path, "a.csv", "time,rate\n2025-06-10,0.0001\n"), symbol="BTCUSDT")
    with pytest.raises(InvalidInput, match="has columns a, b"):
        read_funding(written(tmp_path, "b.csv", "a,b\n1,2\n"), symbol="BTCUSDT")
    with pytest.raises(InvalidInput, match="no zone"):
        Funding.of(pd.Series([0.1], pd.to_datetime([T0], unit="ms")), "BTCUSDT")
    with pytest.raises(InvalidInput, match="no list of objects"):
        read_funding(written(tmp_path, "c.json", '{"code": -1121}'), symbol="BTCUSDT")
    with pytest.raises(NotFound, match="it has BTCUSDT"):
        read_funding(written(tmp_path, "d.csv", TABLE), symbol="ETHUSDT")
    with pytest.raises(NotFound, match="no such file"):
        read_funding(tmp_path / "none.csv", symbol="BTCUSDT")
    with pytest.raises(InvalidInput, match=r"a float|give a path"):
        Funding.of(0.0001, "BTCUSDT")  # type: ignore[arg-type]


def test_gaps_are_found_and_late_stamps_are_none() -> None:
    times = [T0 + k * HOURS_8 + k % 5 for k in range(20) if k not in (7, 8)]
    rates = Funding.of([(time, "0.0001") for time in times], "BTCUSDT")
    assert rates.interval_ms == HOURS_8
    assert rates.gaps() == [(T0 + 6 * HOURS_8 + 1, T0 + 9 * HOURS_8 + 4)]
    part = rates.slice(times[2], times[5])
    assert part.time_ms.tolist() == times[2:5] and not part.gaps()
    assert Funding.of([], "BTCUSDT").interval_ms == 0


def test_bundled_rates_span_the_futures_recordings_and_state_their_source() -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text())["funding"]
    assert manifest["checks"] and manifest["licence_of_source"]
    assert all(" @ " in source for source in manifest["sources"].values())
    for series in (s for s in catalog() if s.market is Market.FUTURES):
        rates, bars = funding(series.symbol), load(series.symbol, Market.FUTURES)
        assert rates.interval_ms == HOURS_8 and not rates.gaps()
        assert rates.time_ms[0] <= bars.open_time_ms[0]
        assert bars.end_ms - int(rates.time_ms[-1]) < HOURS_8
        assert float(np.mean([float(rate) for rate in rates.rates])) == pytest.approx(
            3e-5, abs=5e-5
        )
        assert "bundled" in rates.source
    with pytest.raises(NotFound, match="bundled are BTCUSDT, ETHUSDT"):
        funding("SOLUSDT")


# --- a replay pays them ---------------------------------------------------------------------------

BARS = load("BTCUSDT", Market.FUTURES, T0, T0 + 3 * HOURS_8)
FREE = FeeSchedule(Decimal(0), Decimal(0), FeeMode.QUOTE)
#: Two in one step, one in the middle of a minute.
PAID = [
    (T0, "0.001"),
    (T0 + HOURS_8, "0.0001"),
    (T0 + HOURS_8 + 61_000, "0.0002"),
    (T0 + HOURS_8 + 62_000, "0.0004"),
    (T0 + 2 * HOURS_8, "-0.0003"),
]


class Disk:
    """Records in memory, as a venue's transactions leave them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self.left = -1

    def commit(self, records: list[Record]) -> None:
        if self.left == 0:
            raise OSError("killed")
        self.left -= 1
        for kind, key, payload in records:
            assert payload is not None
            self.rows[kind, key] = payload

    def load(self) -> list[Record]:
        return [(kind, key, payload) for (kind, key), payload in self.rows.items()]


def replayed(disk: Disk) -> tuple[Replay, PaperFutures]:
    rules, clock = instrument("BTCUSDT", Market.FUTURES), ManualClock(T0)
    replay = Replay(
        clock,
        {"BTCUSDT": BARS},
        start_ms=T0,
        end_ms=BARS.end_ms,
        funding={"BTCUSDT": [(time, Decimal(rate)) for time, rate in PAID]},
    )
    stored = disk.load()
    replay.restore(stored)
    book = FuturesBook.restore(stored, {"BTCUSDT": rules}, {"USDT": Decimal(200_000)}, fees=FREE)
    venue = PaperFutures(book, clock, disk, cursor=replay.records)
    replay.attach(venue)
    return replay, venue


def play(disk: Disk, buys_at_ms: int) -> FuturesBook:
    """Play to the end; one bitcoin is bought at the first step from that moment on."""
    replay, venue = replayed(disk)
    while (step := replay.next_step()) is not None:
        replay.play(step)
        if step.time_ms >= buys_at_ms and not venue.book.orders():
            request = OrderRequest(
                "x", "BTCUSDT", Market.FUTURES, Side.BUY, OrderType.MARKET, Decimal(1)
            )
            venue.book.place(request, step.time_ms)
            venue.save()
    return venue.book


def test_a_replay_pays_each_once_at_the_last_price_before_it() -> None:
    book = play(Disk(), T0)
    paid = book.funding("BTCUSDT")
    assert [payment.time_ms for payment in paid] == [time for time, _ in PAID[1:]]
    bar = BARS.index_at(T0 + HOURS_8)
    before = Decimal(str(BARS.close[bar - 1]))
    assert paid[0].amount == -before * Decimal("0.0001")
    assert paid[2].amount == 2 * paid[1].amount  # one step, so one price
    last = Decimal(str(BARS.close[BARS.index_at(T0 + 2 * HOURS_8) - 1]))
    assert paid[3].amount == last * Decimal("0.0003")


@pytest.mark.parametrize("buys_at_ms", [T0, T0 + HOURS_8 + 30_000])
def test_a_replay_that_was_killed_pays_none_twice_and_none_late(buys_at_ms: int) -> None:
    """Killed at every transaction in turn; what had no position to pay then has none later."""
    whole = Disk()
    truth = play(whole, buys_at_ms).funding("BTCUSDT")
    commits = -1 - whole.left
    assert commits >= 5
    for kept in range(1, commits):
        disk = Disk()
        disk.left = kept
        with pytest.raises(OSError, match="killed"):
            play(disk, buys_at_ms)
        disk.left = -1
        assert play(disk, buys_at_ms).funding("BTCUSDT") == truth, kept


def test_funding_into_a_spot_venue_is_a_bug() -> None:
    clock = ManualClock(T0)
    replay = Replay(
        clock,
        {"BTCUSDT": BARS},
        start_ms=T0,
        end_ms=BARS.end_ms,
        funding={"BTCUSDT": [(T0 + 1, Decimal("0.001"))]},
    )
    replay.attach(
        PaperExchange(PaperBook({"BTCUSDT": instrument("BTCUSDT")}, {}, fees=FREE), clock)
    )
    with pytest.raises(BugError, match="funding is paid on futures"):
        while (step := replay.next_step()) is not None:
            replay.play(step)

"""`data.trades`: the venue's dumps in all their forms, what they must obey, the bars they make."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tapes import PART, part, trades_of

from gridlab.data.trades import Trades, read_trades
from gridlab.domain.market import Interval
from gridlab.errors import InvalidInput, NotFound
from gridlab.money import from_float, text


def equal(mine: Trades, other: Trades) -> bool:
    names = ("time_ms", "price", "quantity", "is_buyer_maker", "id", "count")
    return all(np.array_equal(getattr(mine, n), getattr(other, n)) for n in names)


def test_the_spot_dump_is_read_as_it_stands() -> None:
    trades = part()
    assert len(trades) == 1500 and trades.gaps() == []
    assert (trades.id[0], trades.time_ms[0]) == (60959904, 1729998465316)
    assert text(from_float(trades.price[0])) == "0.00000898"
    assert trades.quantity[0] == 1339132.0 and not trades.is_buyer_maker[0]
    assert trades.is_buyer_maker[-1] and trades.count.sum() > len(trades)


@pytest.mark.parametrize("form", ["zip", "gz", "header", "futures", "us", "parquet", "frame"])
def test_every_form_gives_the_same_trades(tmp_path: Path, form: str) -> None:
    lines = PART.read_text().splitlines()
    seven = [line.rsplit(",", 1)[0] for line in lines]
    path = tmp_path / f"x.{form if form in ('zip', 'gz', 'parquet') else 'csv'}"
    trades = part()
    frame = pd.DataFrame(
        {
            "Price": trades.price,
            "qty": trades.quantity,
            "transact_time": trades.time_ms,
            "agg_trade_id": trades.id,
            "first_trade_id": trades.id,
            "last_trade_id": trades.id + trades.count - 1,
            "is_buyer_maker": trades.is_buyer_maker,
        }
    )
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.csv", PART.read_text())
    elif form == "gz":
        path.write_bytes(gzip.compress(PART.read_bytes()))
    elif form == "header":
        head = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
        path.write_text("\n".join([head + "is_buyer_maker", *seven]).replace("True", "true"))
    elif form == "futures":
        path.write_text("\n".join(seven))
    elif form == "us":
        rows = [line.split(",") for line in lines]
        path.write_text("\n".join(",".join([*r[:5], r[5] + "417", *r[6:]]) for r in rows))
    elif form == "parquet":
        frame.to_parquet(path)
    else:
        times = pd.to_datetime(frame.pop("transact_time"), unit="ms", utc=True)
        read = Trades.from_frame(frame.set_index(pd.DatetimeIndex(times)), symbol="PEPEUSDT")
        assert equal(read, trades)
        return
    assert equal(read_trades(path, symbol="PEPEUSDT"), trades)


def test_the_letters_of_a_stream_are_columns_too() -> None:
    rows = [{"a": 7, "p": "61837.63", "q": "0.02", "f": 1, "l": 3, "T": 1723161255342, "m": True}]
    frame = pd.DataFrame(rows).astype({"p": float, "q": float}).assign(M=False, e="aggTrade")
    trades = Trades.from_frame(frame, symbol="BTCUSDT")
    assert (trades.id[0], trades.count[0], trades.time_ms[0]) == (7, 3, 1723161255342)
    assert bool(trades.is_buyer_maker[0])


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        ([(5, 1.0, 1.0), (4, 1.0, 1.0)], {}, "trade 1: time_ms 4 does not come after 5"),
        ([(5, 1.0, 1.0), (5, 0.0, 1.0)], {}, "price is 0.0"),
        ([(5, 1.0, np.nan)], {}, "quantity is nan"),
        ([(5, 1.0, 1.0)] * 2, {"id": np.array([3, 3])}, "trade 1: id 3"),
        ([(5, 1.0, 1.0)], {"count": np.array([0])}, "count is 0"),
        ([(5, 1.0, 1.0)], {"id": np.array([1, 2])}, "shape"),
    ],
)
def test_what_cannot_be_is_refused(
    rows: list[tuple[int, float, float]], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        trades_of(rows, **more)


def test_gaps_are_told_by_ids() -> None:
    trades = trades_of([(1, 1.0, 1.0)] * 3, id=np.array([4, 5, 9]))
    assert trades.gaps() == [(2, 3)]
    with pytest.raises(InvalidInput, match="no ids"):
        trades_of([(1, 1.0, 1.0)] * 3, id=np.full(3, -1)).gaps()


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("x.csv", "1,2,3\n", "no dump of aggregated trades"),
        ("x.csv", "id,price,when\n1,2,3\n", "no column time, quantity"),
        ("x.csv", "time,price,quantity\n1,x,2\n", "x.csv"),
        ("x.txt", "", "unknown kind of file"),
        ("x.zip", "", "x.zip"),
    ],
)
def test_files_that_are_no_trades_are_refused(
    tmp_path: Path, name: str, body: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(body)
    with pytest.raises(InvalidInput, match=words):
        read_trades(path, symbol="BTCUSDT")
    with pytest.raises(NotFound):
        read_trades(tmp_path / "absent.csv", symbol="BTCUSDT")


def test_times_without_a_zone_are_refused() -> None:
    frame = pd.DataFrame({"time": [pd.Timestamp("2024-01-01")], "price": [1.0], "qty": [1.0]})
    with pytest.raises(InvalidInput, match="no zone"):
        Trades.from_frame(frame, symbol="BTCUSDT")


def test_bars_are_what_the_venue_draws() -> None:
    """Two minutes with trades, one between them without: it stands at the last price."""
    minute = 60_000
    bars = trades_of(
        [(1, 10.0, 0.1), (2, 12.0, 0.1), (3, 9.0, 0.1), (2 * minute, 11.0, 0.7)],
        count=np.array([1, 2, 1, 5]),
    ).to_bars("1m")
    assert bars.open_time_ms.tolist() == [0, minute, 2 * minute]
    assert bars.open.tolist() == [10.0, 9.0, 11.0] and bars.close.tolist() == [9.0, 9.0, 11.0]
    assert bars.high.tolist() == [12.0, 9.0, 11.0] and bars.low.tolist() == [9.0, 9.0, 11.0]
    assert bars.volume.tolist() == [0.3, 0.0, 0.7]
    assert bars.quote_volume.tolist() == [3.1, 0.0, 7.7]
    assert bars.trades.tolist() == [4, 0, 5]
    with pytest.raises(InvalidInput, match="no trade"):
        trades_of([]).to_bars()


def test_bars_of_five_minutes_are_those_of_one_joined() -> None:
    trades = part()
    assert trades.to_bars("5m") == trades.to_bars("1m").resample(Interval.M5)


def test_a_slice_keeps_what_lies_in_the_span() -> None:
    trades = trades_of([(1, 1.0, 1.0), (2, 2.0, 1.0), (3, 3.0, 1.0)])
    assert trades.slice(2, 3).price.tolist() == [2.0]
    assert len(trades.slice()) == 3 and "3 trades" in repr(trades)

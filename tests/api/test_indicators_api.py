"""`/api/indicators`: documented defaults, every line by name, no row without a value."""

from __future__ import annotations

import numpy as np
import pytest
from extra import answered, client_of, refused
from flask.testing import FlaskClient

from gridlab.api.requests_tools import INDICATORS
from gridlab.app.facade import GridLab
from gridlab.research.indicators import INDICATORS as COMPUTED


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


def test_documented_defaults(api: FlaskClient, lab: GridLab) -> None:
    answer = answered(api.get("/api/indicators/btcusdt?type=RSI"))
    assert (answer["indicator"], answer["period"], answer["interval"]) == ("RSI", 14, "1h")
    assert len(answer["values"]) + answer["warmup"] == len(lab.klines("BTCUSDT", "1h", 500))
    for row in answer["values"]:
        assert set(row) == {"timestamp", "value"}
        assert isinstance(row["timestamp"], int)
        assert 0 <= row["value"] <= 100


def test_every_documented_name_is_computed(api: FlaskClient) -> None:
    assert set(INDICATORS) <= set(COMPUTED)
    for name in INDICATORS:
        answer = answered(api.get(f"/api/indicators/BTCUSDT?type={name}&limit=200&period=20"))
        lines = answer["lines"]
        assert answer["indicator"] == name
        assert lines == list(COMPUTED[name].lines)
        assert answer["period"] == (20 if COMPUTED[name].takes_period else None)
        assert answer["values"], name
        for row in answer["values"]:
            named = {line for line in lines if line != "value"}
            assert set(row) == {"timestamp", "value"} | named
            if named:
                assert row["value"] == row[answer["main_line"]]


def test_rows_are_those_of_a_plain_computation(api: FlaskClient) -> None:
    """A moving average over candles that the API itself gave, by hand."""
    answer = answered(api.get("/api/indicators/BTCUSDT?type=SMA&period=5&interval=1d&limit=10"))
    data = api.get("/api/klines/BTCUSDT?interval=1d&limit=14").json["data"]
    closes = np.array([candle["close"] for candle in data])
    assert (len(answer["values"]), answer["warmup"]) == (10, 0)  # warmed up on what lies before
    for row, candle, end in zip(answer["values"], data[4:], range(5, 15), strict=True):
        assert row["timestamp"] == candle["timestamp"]
        # The last candle is open and moves between the two requests.
        assert row["value"] == pytest.approx(closes[end - 5 : end].mean(), rel=1e-3)


def test_bands_enclose_their_middle(api: FlaskClient) -> None:
    answer = answered(api.get("/api/indicators/BTCUSDT?type=BBANDS&period=20&interval=5m"))
    assert answer["main_line"] == "middle"
    assert answer["parameters"]["period"] == 20
    for row in answer["values"]:
        assert row["lower"] <= row["middle"] == row["value"] <= row["upper"]


def test_too_few_candles_give_no_row(api: FlaskClient, lab: GridLab) -> None:
    """The recording has less than a thousand days."""
    answer = answered(api.get("/api/indicators/BTCUSDT?type=RSI&period=1000&interval=1d"))
    assert answer["values"] == []
    assert answer["warmup"] == len(lab.klines("BTCUSDT", "1d", 500))


def test_small_letters(api: FlaskClient) -> None:
    assert answered(api.get("/api/indicators/BTCUSDT?type=macd"))["indicator"] == "MACD"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("", "type"), ("type=", "type"), ("type=KDJ", "type"), ("type=RSI&type=SMA", "type")),
        *(("type=RSI&period=0", "period"), ("type=RSI&period=1001", "period")),
        *(("type=RSI&period=1.5", "period"), ("type=RSI&period=-3", "period")),
        *(("type=RSI&period=99999999999999999999", "period"), ("type=SMA&limit=0", "limit")),
        *(("type=SMA&limit=1001", "limit"), ("type=SMA&interval=7m", "interval")),
        *(("type=SMA&market_type=margin", "market_type"), ("type=SMA&perod=3", "perod")),
        ("type=RSI&period=1", ""),
    ],
)
def test_queries(api: FlaskClient, query: str, field: str) -> None:
    assert refused(api.get(f"/api/indicators/BTCUSDT?{query}")) == [field]


@pytest.mark.parametrize(
    ("symbol", "status"), [("NOSUCH", 404), ("BTC-USDT", 400), ("X" * 21, 400)]
)
def test_symbols(api: FlaskClient, symbol: str, status: int) -> None:
    refused(api.get(f"/api/indicators/{symbol}?type=RSI"), status)

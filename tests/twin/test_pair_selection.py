"""Pair selection in Shadow over a twin: a symbol is chosen by facts that were asked for."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridlab.agents.pair_filters import Check, Verdict
from gridlab.agents.pairs import PairRow, PairTable
from gridlab.api.app import create_app
from gridlab.api.schemas.pairs import PairSelection
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.clock import SystemClock
from gridlab.data.rest import PublicRest
from gridlab.data.wire import book_of, quotes_of
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.errors import ExchangeUnavailable, InvalidInput, NotFound
from gridlab.exchange.budgets import WeightBudget
from gridlab.testing.twin import RunningTwin, running_twin

#: Only BTCUSDT is watched; ETHUSDT has too little volume, SOLUSDT is barred.
CONFIG = """
exchange: {supported_markets: [spot, futures]}
pair_selection:
  min_volume_usd_24h: 1000000000
  max_adx: 95
  blacklist: [SOL/USDT]
  spot_pairs: {preferred_symbols: [BTCUSDT]}
  futures_pairs: {preferred_symbols: [BTCUSDT]}
sentiment_analysis: {enabled: false}
ai_agent: {enabled: false}
"""
SYMBOLS = ("BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(symbols=SYMBOLS, pulse_ms=1_000) as running:
        yield running


def in_shadow(folder: Path, twin: RunningTwin, config: str = CONFIG) -> GridLab:
    path = folder / "config.yaml"
    path.write_text(config)
    return GridLab(
        folder / "data",
        config=load_config(path, {}),
        mode=Mode.SHADOW,
        endpoints=json.dumps(twin.ready),
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, twin: RunningTwin) -> Iterator[GridLab]:
    with in_shadow(tmp_path_factory.mktemp("shadow"), twin) as running:
        yield running


def row_of(table: PairTable, symbol: str) -> PairRow:
    return next(row for row in table if row.symbol == symbol)


def check_of(row: PairRow, name: str) -> Check:
    return next(check for check in row.checks if check.filter == name)


@pytest.mark.parametrize("market", Market)
def test_a_symbol_is_chosen_by_what_the_venue_says(lab: GridLab, market: Market) -> None:
    table = lab.pair_table(market)
    assert "BTCUSDT" in [row.symbol for row in table.chosen]
    chosen = row_of(table, "BTCUSDT")
    assert {check.verdict for check in chosen.checks} == {Verdict.PASSED}
    assert chosen.facts.spread_perc is not None and 0 < chosen.facts.spread_perc < Decimal("0.01")
    sized = chosen.facts.depth_usd if market is Market.SPOT else chosen.facts.open_interest_usd
    assert sized is not None and sized > 50_000_000 * (market is Market.FUTURES)


def test_who_fails_the_cheap_filters_is_not_looked_at(lab: GridLab) -> None:
    table = lab.pair_table()
    assert {row.symbol for row in table} == set(SYMBOLS)
    assert "ETHUSDT" not in lab.symbols()
    small, barred = row_of(table, "ETHUSDT"), row_of(table, "SOLUSDT")
    volume = check_of(small, "min_volume_usd_24h")
    assert (volume.verdict, volume.limit) == (Verdict.FAILED, Decimal(10**9))
    assert volume.value is not None and volume.missing == Decimal(10**9) - volume.value
    for name in ("min_atr_perc_24h", "max_adx", "min_liquidity_depth"):
        assert check_of(small, name).verdict is Verdict.NOT_LOOKED_AT
        assert check_of(small, name).note == "min_volume_usd_24h failed before"
    assert small.reason.startswith("min_volume_usd_24h: ") and "too low" in small.reason
    assert "not looked at" not in small.reason
    assert check_of(barred, "blacklist").verdict is Verdict.FAILED
    assert check_of(barred, "max_spread_perc").verdict is Verdict.PASSED


def test_a_second_look_is_answered_by_the_cache(lab: GridLab) -> None:
    lab.pair_table()
    before = lab.cache.metrics()
    lab.pair_table()
    after = lab.cache.metrics()
    assert after.reads - before.reads >= 5
    assert after.loads - before.loads <= 2  # the tickers or the quotes may just have aged


def test_each_request_weighs_what_the_venue_counts() -> None:
    class Scales(WeightBudget):
        """A budget that notes what it took and what the venue then had counted."""

        noted: list[tuple[int, int | None]]

        def settle(self, weight: int, minute: int, used: int | None) -> None:
            self.noted.append((weight, used))
            super().settle(weight, minute, used)

    async def weigh(twin: RunningTwin, market: Market) -> None:
        clock = SystemClock()
        scales = Scales.of(market, clock)
        scales.noted = []
        url = twin.ready["rest_spot" if market is Market.SPOT else "rest_futures"]
        async with PublicRest(url, market, clock=clock, weight_budget=scales) as rest:
            await rest.best_quotes()
            await rest.best_quotes()
            await rest.order_book("BTCUSDT")
            if market is Market.FUTURES:
                await rest.open_interest("BTCUSDT")
        for before, after in itertools.pairwise(scales.noted):
            assert before[1] is not None and after[1] is not None
            assert after[0] in (after[1] - before[1], after[1])  # a minute may have begun between

    with running_twin(symbols=("BTCUSDT",)) as alone:  # an engine would add its own requests
        for market in Market:
            asyncio.run(weigh(alone, market))


def test_spot_has_no_open_interest_and_odd_answers_are_refused(twin: RunningTwin) -> None:
    async def ask() -> None:
        clock = SystemClock()
        async with PublicRest(twin.ready["rest_spot"], Market.SPOT, clock=clock) as rest:
            with pytest.raises(InvalidInput, match="futures"):
                await rest.open_interest("BTCUSDT")
            with pytest.raises(NotFound, match="NOPEUSDT"):
                await rest.order_book("NOPEUSDT")

    asyncio.run(ask())
    for payload in ({}, {"bids": []}, {"bids": [], "asks": [["1"]]}, {"bids": 1, "asks": []}):
        with pytest.raises(ExchangeUnavailable, match="cannot be used"):
            book_of(payload, "BTCUSDT", "depth")
    with pytest.raises(ExchangeUnavailable, match="a list of quotes"):
        quotes_of({"symbol": "BTCUSDT"}, "bookTicker")


def test_the_api_shows_the_choice(lab: GridLab) -> None:
    answer = create_app(lab).test_client().get("/api/pairs?market_type=spot").json
    PairSelection.model_validate(answer)
    assert (answer["mode"], answer["unknown_facts"]) == ("Shadow", "fail")
    assert "BTCUSDT" in answer["chosen"]
    small = next(row for row in answer["pairs"] if row["symbol"] == "ETHUSDT")
    checks = {check["filter"]: check for check in small["checks"]}
    assert checks["min_volume_usd_24h"]["missing"] > 0
    assert checks["max_adx"]["verdict"] == "not_looked_at"


def test_the_table_is_as_old_as_its_oldest_fact(lab: GridLab) -> None:
    lab.pair_table()
    time.sleep(0.3)
    table = lab.pair_table()
    assert 300 <= table.age_ms < 60_000 and not table.is_stale
    answer = create_app(lab).test_client().get("/api/pairs").json
    assert answer["age_ms"] >= table.age_ms


def test_what_is_left_out_of_an_answer_is_counted(lab: GridLab) -> None:
    answer = create_app(lab).test_client().get("/api/pairs?limit=1").json
    assert [row["symbol"] for row in answer["pairs"]] == ["BTCUSDT"]
    assert answer["left_out"] == len(SYMBOLS) - 1


def test_a_preferred_symbol_that_the_venue_lacks_is_named(
    tmp_path: Path, twin: RunningTwin
) -> None:
    config = CONFIG.replace(
        "futures_pairs: {preferred_symbols: [BTCUSDT]}",
        "futures_pairs: {preferred_symbols: [BTCUSDT, GONEUSDT]}",
    )
    with in_shadow(tmp_path, twin, config) as lab:
        answer = create_app(lab).test_client().get("/api/pairs?market_type=futures").json
    assert answer["absent"] == ["GONEUSDT"]


def test_a_market_that_is_not_configured_has_no_table(tmp_path: Path, twin: RunningTwin) -> None:
    config = CONFIG.replace("[spot, futures]", "[spot]")
    with in_shadow(tmp_path, twin, config) as lab, pytest.raises(NotFound, match="no futures"):
        lab.pair_table(Market.FUTURES)

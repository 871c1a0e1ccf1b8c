"""Pair selection: each filter at its limit, what is not known, the order, the table; real facts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.agents.pair_facts import (
    HOUR_MS,
    Sight,
    atr_perc,
    closed_run,
    ends_near,
    facts_from_market,
    facts_of,
    spread_perc,
    value_near,
)
from gridlab.agents.pair_scan import MOST_CLOSELY, finalists
from gridlab.agents.pairs import (
    PairCriteria,
    PairFacts,
    PairTable,
    UnknownFacts,
    Verdict,
    normalised,
    score_of,
    select_pairs,
)
from gridlab.app.config import load_config
from gridlab.app.pairs import Selection
from gridlab.clock import ManualClock
from gridlab.data.bars import Bars
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS, instrument, load
from gridlab.data.recorded import RecordedMarket
from gridlab.domain.market import BestQuote, Interval, Kline, Market, OrderBook, Ticker
from gridlab.errors import InvalidInput, NotFound

D = Decimal
LIMITS = PairCriteria(
    min_volume_usd_24h=D(100_000_000),
    min_atr_perc_24h=D(2),
    max_adx=D(25),
    max_spread_perc=D("0.1"),
    min_liquidity_depth=D(1_000_000),
    min_open_interest_usd=D(50_000_000),
    blacklist=("EXAMPLE/USDT",),
    preferred={Market.SPOT: ("BTCUSDT", "ETHUSDT")},
)
GOOD = PairFacts(
    "AAAUSDT",
    Market.SPOT,
    volume_usd_24h=D(200_000_000),
    atr_perc_24h=D(4),
    adx=D(20),
    spread_perc=D("0.05"),
    depth_usd=D(2_000_000),
    open_interest_usd=D(80_000_000),
)
#: filter -> its fact, a value that passes by equality, one that fails, by how much.
EDGES: dict[str, tuple[str, str, str, str]] = {
    "min_volume_usd_24h": ("volume_usd_24h", "100000000", "99999999.5", "0.5"),
    "min_atr_perc_24h": ("atr_perc_24h", "2", "1.4", "0.6"),
    "max_adx": ("adx", "25", "31.2", "6.2"),
    "max_spread_perc": ("spread_perc", "0.1", "0.101", "0.001"),
    "min_liquidity_depth": ("depth_usd", "1000000", "999999", "1"),
    "min_open_interest_usd": ("open_interest_usd", "50000000", "0", "50000000"),
}


def fact(symbol: str, **changes: Any) -> PairFacts:
    return replace(GOOD, symbol=symbol, **changes)


def market_of(filter_name: str) -> Market:
    return Market.FUTURES if filter_name == "min_open_interest_usd" else Market.SPOT


def verdicts(table: PairTable, symbol: str) -> Mapping[str, Verdict]:
    return {
        check.filter: check.verdict for row in table if row.symbol == symbol for check in row.checks
    }


def test_a_good_pair_passes_every_filter() -> None:
    table = select_pairs([GOOD], LIMITS, 1)
    assert [row.symbol for row in table.chosen] == ["AAAUSDT"]
    assert set(verdicts(table, "AAAUSDT").values()) == {Verdict.PASSED}


@pytest.mark.parametrize("name", EDGES)
def test_each_filter_at_its_limit_and_beyond(name: str) -> None:
    field, at_limit, beyond, missing = EDGES[name]
    here = replace(GOOD, market=market_of(name))
    passing = select_pairs([replace(here, **{field: D(at_limit)})], LIMITS, 1)
    assert verdicts(passing, "AAAUSDT")[name] is Verdict.PASSED and passing.chosen
    failing = select_pairs([replace(here, **{field: D(beyond)})], LIMITS, 1)
    assert not failing.chosen and failing.rows[0].rank is None
    (check,) = [check for check in failing.rows[0].checks if check.blocks]
    assert (check.filter, check.verdict, check.missing) == (name, Verdict.FAILED, D(missing))
    assert name in failing.rows[0].reason and "too" in failing.rows[0].reason


@pytest.mark.parametrize("name", EDGES)
def test_what_is_not_known_fails_for_money_and_is_let_pass_in_replay(name: str) -> None:
    unknown = replace(GOOD, market=market_of(name), **{EDGES[name][0]: None})
    live = select_pairs([unknown], LIMITS, 1)
    assert verdicts(live, "AAAUSDT")[name] is Verdict.UNKNOWN and not live.chosen
    assert live.rows[0].reason == f"{name}: unknown: {EDGES[name][0]} is not known"
    replay = select_pairs([unknown], LIMITS, 1, unknown=UnknownFacts.SKIP)
    assert verdicts(replay, "AAAUSDT")[name] is Verdict.SKIPPED and replay.chosen
    assert "let pass" in repr(replay)
    assert all(check.missing is None for check in replay.rows[0].checks)


def test_depth_is_for_spot_and_open_interest_for_futures() -> None:
    spot = verdicts(select_pairs([GOOD], LIMITS, 1), "AAAUSDT")
    futures = replace(GOOD, market=Market.FUTURES)
    other = verdicts(select_pairs([futures], LIMITS, 1), "AAAUSDT")
    assert set(spot) ^ set(other) == {"min_liquidity_depth", "min_open_interest_usd"}
    assert "min_open_interest_usd" in other


@pytest.mark.parametrize(
    "spelling", ["EXAMPLE/USDT", "example-usdt", "EXAMPLE/USDT:USDT", "EXAMPLEUSDT"]
)
def test_the_blacklist_knows_every_spelling(spelling: str) -> None:
    limits = replace(LIMITS, blacklist=(spelling,))
    table = select_pairs([fact("EXAMPLEUSDT"), GOOD], limits, 2)
    assert [row.symbol for row in table.chosen] == ["AAAUSDT"]
    assert table.rows[1].reason == "blacklist: failed: EXAMPLEUSDT is on the blacklist"


def test_preferred_go_first_in_their_order_but_must_pass() -> None:
    facts = [
        fact("AAAUSDT", atr_perc_24h=D(9)),
        fact("ETHUSDT", atr_perc_24h=D(8)),
        fact("BTCUSDT"),
    ]
    assert [r.symbol for r in select_pairs(facts, LIMITS, 2).chosen] == ["BTCUSDT", "ETHUSDT"]
    facts[2] = fact("BTCUSDT", adx=D(26))
    table = select_pairs(facts, LIMITS, 2)
    assert [row.symbol for row in table.chosen] == ["ETHUSDT", "AAAUSDT"]
    assert [row.symbol for row in table] == ["ETHUSDT", "AAAUSDT", "BTCUSDT"]
    assert [row.rank for row in table] == [1, 2, None]


def test_others_go_by_score_and_what_has_none_goes_last() -> None:
    facts = [
        fact("AUSDT", atr_perc_24h=D(3)),
        fact("BUSDT", atr_perc_24h=D(5)),
        fact("CUSDT", adx=None),
        fact("DUSDT", atr_perc_24h=D(5), spread_perc=D("0.09")),
    ]
    table = select_pairs(facts, LIMITS, 2, unknown=UnknownFacts.SKIP)
    assert [row.symbol for row in table] == ["BUSDT", "DUSDT", "AUSDT", "CUSDT"]
    assert table.rows[2].reason == "passes at rank 3, and only 2 are wanted"
    assert table.rows[3].score is None


def test_the_score_is_the_stated_formula() -> None:
    # 4 / (2 x 0.1 + 0.05) x (1 - 0.2) = 12.8
    assert score_of(GOOD, LIMITS) == D("12.8")
    assert score_of(replace(GOOD, spread_perc=None), LIMITS) == D(16)
    assert score_of(replace(GOOD, atr_perc_24h=None), LIMITS) is None
    rebate = replace(LIMITS, fee_fraction=D("-0.001"))
    assert score_of(GOOD, rebate) == D(320)


def test_a_symbol_is_chosen_on_one_market_only() -> None:
    both = [GOOD, replace(GOOD, market=Market.FUTURES, atr_perc_24h=D(6))]
    table = select_pairs([*both, fact("ZZZUSDT", atr_perc_24h=D(3))], LIMITS, 2)
    assert [(row.symbol, row.market) for row in table.chosen] == [
        ("AAAUSDT", Market.FUTURES),
        ("ZZZUSDT", Market.SPOT),
    ]
    assert table.rows[1].reason == "passes, but is chosen on futures already"


def test_sentiment_filters_new_pairs_only_and_only_where_there_is_a_score() -> None:
    name, limits = "min_sentiment_for_new_pair", replace(LIMITS, min_sentiment=D("-0.2"))
    facts = [
        fact("LOWUSDT", sentiment=D("-0.5")),
        fact("HELDUSDT", sentiment=D("-0.5")),
        fact("EDGEUSDT", sentiment=D("-0.2")),
        fact("NONEUSDT"),
    ]
    table = select_pairs(facts, limits, 9, active=["HELD/USDT"])
    found = {row.symbol: verdicts(table, row.symbol)[name] for row in table}
    assert found == {
        "LOWUSDT": Verdict.FAILED,
        "HELDUSDT": Verdict.SKIPPED,
        "EDGEUSDT": Verdict.PASSED,
        "NONEUSDT": Verdict.SKIPPED,
    }
    assert {row.symbol for row in table.chosen} == {"HELDUSDT", "EDGEUSDT", "NONEUSDT"}
    assert name not in verdicts(select_pairs(facts, LIMITS, 9), "LOWUSDT")


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="max_pairs is 0; at least 1"):
        select_pairs([GOOD], LIMITS, 0)
    with pytest.raises(InvalidInput, match="AAAUSDT is given twice on spot"):
        select_pairs([GOOD, GOOD], LIMITS, 1)
    for name, value in (("adx", D(101)), ("depth_usd", D(-1)), ("sentiment", D(2))):
        with pytest.raises(InvalidInput, match=f"AAAUSDT: {name} is"):
            replace(GOOD, **{name: value})
    for value in (D("NaN"), D("Infinity"), 3.0, "3"):
        with pytest.raises(InvalidInput, match="a Decimal from 0"):
            replace(GOOD, spread_perc=value)  # type: ignore[arg-type]


def test_no_facts_give_an_empty_table() -> None:
    table = select_pairs([], LIMITS, 3)
    assert len(table) == 0 and table.chosen == ()
    assert len(table.to_frame()) == 0
    assert "0 of 0 symbols chosen" in repr(table) and "<table>" in table._repr_html_()


def test_the_frame_has_every_fact_filter_and_reason() -> None:
    table = select_pairs([GOOD, fact("ETHUSDT", adx=D(30), spread_perc=None)], LIMITS, 2)
    frame = table.to_frame()
    assert list(frame.index) == ["AAAUSDT", "ETHUSDT"]
    assert frame.loc["ETHUSDT", "max_adx"] == "30 > 25: 5 too high"
    assert frame.loc["AAAUSDT", "min_volume_usd_24h"] == "passed at 200,000,000"
    assert frame.loc["ETHUSDT", "adx"] == 30.0 and math.isnan(frame.loc["ETHUSDT", "spread_perc"])
    assert str(frame["rank"].dtype) == "Int64" and frame["rank"].isna().tolist() == [False, True]
    assert frame["chosen"].tolist() == [True, False]


def test_the_page_escapes_what_it_shows() -> None:
    evil = fact("<script>alert(1)</script>", adx=None, why_unknown={"adx": "<b>why</b>"})
    page = select_pairs([evil], LIMITS, 1)._repr_html_()
    assert "<script>" not in page and "<b>why" not in page
    assert "&lt;script&gt;" in page and "&lt;b&gt;why" in page


def test_the_criteria_are_the_configurations() -> None:
    section = load_config(environment={}).pair_selection
    criteria = PairCriteria.from_settings(section, min_sentiment=D("-0.3"))
    assert criteria.blacklist == {"EXAMPLEUSDT"}
    assert criteria.max_adx == D(25) and criteria.min_volume_usd_24h == D(100_000_000)
    assert criteria.min_liquidity_depth == D(1_000_000)
    assert criteria.min_open_interest_usd == D(50_000_000)
    assert criteria.preferred[Market.FUTURES] == ("BTCUSDT", "ETHUSDT", "ADAUSDT")
    assert criteria.min_sentiment == D("-0.3")


amounts = st.none() | st.decimals(0, 3, places=1)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(Market), st.sampled_from("ABCDE"), amounts, amounts, amounts),
        max_size=10,
        unique_by=lambda row: row[:2],
    ),
    most=st.integers(1, 4),
    unknown=st.sampled_from(UnknownFacts),
    shuffle=st.randoms(use_true_random=False),
)
def test_whatever_comes_the_table_is_whole_and_does_not_depend_on_the_order(
    rows: list[tuple[Market, str, Any, Any, Any]], most: int, unknown: UnknownFacts, shuffle: Any
) -> None:
    facts = [
        PairFacts(
            name,
            market,
            volume_usd_24h=v,
            atr_perc_24h=a,
            adx=x,
            spread_perc=D(0),
            depth_usd=D(5),
            open_interest_usd=D(5),
        )
        for market, name, v, a, x in rows
    ]
    limits = PairCriteria(
        min_volume_usd_24h=D(1),
        min_atr_perc_24h=D(1),
        max_adx=D(2),
        max_spread_perc=D(1),
        min_liquidity_depth=D(1),
        min_open_interest_usd=D(1),
        preferred={Market.SPOT: ("C",)},
    )
    table = select_pairs(facts, limits, most, unknown=unknown)
    shuffle.shuffle(facts)
    assert select_pairs(facts, limits, most, unknown=unknown).rows == table.rows
    assert {(row.market, row.symbol) for row in table} == {(f.market, f.symbol) for f in facts}
    passing = [row for row in table if not any(check.blocks for check in row.checks)]
    assert [row.rank for row in table] == [
        *range(1, len(passing) + 1),
        *[None] * (len(table) - len(passing)),
    ]
    symbols = [row.symbol for row in table.chosen]
    assert len(symbols) == len(set(symbols)) == min(most, len({row.symbol for row in passing}))
    assert all(row.reason and len(row.checks) == 6 for row in table)
    if any(row.symbol == "C" and row.market is Market.SPOT for row in passing):
        assert (table.rows[0].symbol, table.rows[0].market) == ("C", Market.SPOT)


# Facts from a market.


def market_at(now_ms: int, bars: Bars) -> RecordedMarket:
    key = (bars.market, bars.symbol)
    rules = {key: instrument("BTCUSDT", bars.market)}
    return RecordedMarket({key: bars}, rules, ManualClock(now_ms))


@pytest.fixture(scope="module")
def minutes() -> Bars:
    return load("BTCUSDT")


def test_facts_of_a_recording_are_what_its_bars_say(minutes: Bars) -> None:
    now_ms = DEFAULT_REPLAY_START_MS
    market = market_at(now_ms, minutes)
    facts = facts_from_market(market, Market.SPOT, "BTCUSDT")
    end_ms = now_ms // HOUR_MS * HOUR_MS
    ranges = []
    for day in range(14):
        part = minutes.slice(end_ms - (day + 1) * 24 * HOUR_MS, end_ms - day * 24 * HOUR_MS)
        before = minutes.close[minutes.index_at(int(part.open_time_ms[0]) - 1)]
        ranges.append(max(part.high.max(), before) - min(part.low.min(), before))
    price = float(market.price(Market.SPOT, "BTCUSDT").value)
    assert facts.atr_perc_24h is not None and facts.adx is not None
    assert float(facts.atr_perc_24h) == pytest.approx(sum(ranges) / 14 / price * 100, abs=1e-4)
    assert facts.volume_usd_24h == market.ticker(Market.SPOT, "BTCUSDT").quote_volume
    assert 0 < facts.adx < 100
    assert facts.time_ms is not None and facts.time_ms <= now_ms
    assert (facts.spread_perc, facts.depth_usd, facts.open_interest_usd) == (None, None, None)
    assert facts.sentiment is None and not facts.why_unknown


def test_facts_know_no_future(minutes: Bars) -> None:
    now_ms = DEFAULT_REPLAY_START_MS
    cut = minutes.slice(None, now_ms + 60_000)
    whole = facts_from_market(market_at(now_ms, minutes), Market.SPOT, "BTCUSDT")
    assert facts_from_market(market_at(now_ms, cut), Market.SPOT, "BTCUSDT") == whole


def test_a_short_recording_says_what_is_missing(minutes: Bars) -> None:
    start_ms = DEFAULT_REPLAY_START_MS // HOUR_MS * HOUR_MS
    for hours, known in (
        (20, set()),
        (24, {"volume_usd_24h"}),
        (26, {"volume_usd_24h", "atr_perc_24h"}),
    ):
        market = market_at(start_ms + hours * HOUR_MS, minutes.slice(start_ms))
        facts = facts_from_market(market, Market.SPOT, "BTCUSDT")
        asked = {"volume_usd_24h", "atr_perc_24h", "adx"}
        assert {name for name in asked if getattr(facts, name) is not None} == known
        assert set(facts.why_unknown) == asked - known
        assert facts.why_unknown["adx"] == (
            f"28 closed hours up to now are needed and {hours} are there"
        )


def test_a_recording_without_quote_volume_has_no_dollar_volume() -> None:
    bars = load("ETHUSDT")
    facts = facts_from_market(market_at(DEFAULT_REPLAY_START_MS, bars), Market.SPOT, "ETHUSDT")
    assert facts.volume_usd_24h is None
    assert facts.why_unknown == {"volume_usd_24h": "no quote volume was recorded"}
    table = select_pairs([facts], LIMITS, 1)
    assert "min_volume_usd_24h: unknown: no quote volume was recorded" in table.rows[0].reason


def test_a_volume_in_another_asset_is_no_dollar_volume(minutes: Bars) -> None:
    key = (Market.SPOT, "BTCUSDT")
    rules = {key: replace(instrument("BTCUSDT"), quote="BNB")}
    market = RecordedMarket({key: minutes}, rules, ManualClock(DEFAULT_REPLAY_START_MS))
    facts = facts_from_market(market, *key)
    assert facts.volume_usd_24h is None and "in BNB" in facts.why_unknown["volume_usd_24h"]


def test_candles_too_wide_for_hours_leave_atr_and_adx_unknown(minutes: Bars) -> None:
    market = market_at(DEFAULT_REPLAY_START_MS, minutes.resample(Interval.H4))
    facts = facts_from_market(market, Market.SPOT, "BTCUSDT")
    assert facts.atr_perc_24h is None and facts.adx is None
    assert "do not make 1h" in facts.why_unknown["adx"]


def test_an_unknown_symbol_is_not_found(minutes: Bars) -> None:
    with pytest.raises(NotFound, match="XXXUSDT"):
        facts_from_market(market_at(DEFAULT_REPLAY_START_MS, minutes), Market.SPOT, "XXXUSDT")


# Facts from a venue, and whom it is asked about.


def sight(quote: str = "USDT", market: Market = Market.SPOT, **more: Any) -> Sight:
    ticker = Ticker(
        *("AAAUSDT", market, D(100), D(5), D(500), D(0), D(101), D(99)),
        *(24 * HOUR_MS, 24 * HOUR_MS),
    )
    return Sight(ticker, "AAA", quote, **more)


def test_a_spread_is_known_where_both_sides_are() -> None:
    def quoted(bid: str, ask: str) -> BestQuote:
        return BestQuote("AAAUSDT", D(bid), D(ask))

    assert spread_perc(quoted("99.95", "100.05")) == D("0.1")
    assert spread_perc(quoted("100", "100")) == 0
    for odd in (quoted("0", "100"), quoted("100", "0"), quoted("101", "100")):
        facts = facts_of(sight(best=odd))
        assert facts.spread_perc is None and "best bid" in facts.why_unknown["spread_perc"]


def test_depth_is_what_lies_within_a_hundredth_of_the_middle() -> None:
    book = OrderBook(
        "AAAUSDT",
        bids=((D("99.5"), D(2)), (D("99"), D(3)), (D("98.9"), D(1000))),
        asks=((D("100.5"), D(4)), (D("101"), D(5)), (D("101.1"), D(1000))),
    )
    assert value_near(book) == 199 + 297 + 402 + 505
    assert facts_of(sight(book=book)).depth_usd == 1403
    assert value_near(replace(book, asks=())) == 0
    assert facts_of(sight("BTC", book=book)).depth_usd is None
    assert "in BTC" in facts_of(sight("BTC", book=book)).why_unknown["depth_usd"]


def test_a_book_that_ends_near_tells_the_least_depth_and_no_more() -> None:
    book = OrderBook(
        "AAAUSDT",
        bids=((D("99.9"), D(2)), (D("99.5"), D(3))),
        asks=((D("100.1"), D(4)), (D("102"), D(5))),
        limit=2,
    )
    assert ends_near(book), "more bids may lie near"
    assert not ends_near(replace(book, limit=3)) and not ends_near(replace(book, limit=None))
    assert not ends_near(replace(book, bids=((D("99.9"), D(2)), (D("98"), D(3)))))
    seen = facts_of(sight(book=book))
    assert seen.depth_usd == D("898.7")
    facts = replace(GOOD, depth_usd=seen.depth_usd, at_least=seen.at_least)
    enough = replace(LIMITS, min_liquidity_depth=D(800))
    checks = {
        name: next(c for c in table.rows[0].checks if c.filter == "min_liquidity_depth")
        for name, table in {
            "above": select_pairs([facts], enough, 1),
            "below": select_pairs([facts], LIMITS, 1),
            "replayed": select_pairs([facts], LIMITS, 1, unknown=UnknownFacts.SKIP),
        }.items()
    }
    assert (checks["above"].verdict, checks["above"].value) == (Verdict.PASSED, D("898.7"))
    assert (checks["below"].verdict, checks["below"].value) == (Verdict.UNKNOWN, None)
    assert checks["below"].note == (
        "at least 898.7; the 2 levels read end within 1 % of the middle"
    )
    assert checks["replayed"].verdict is Verdict.SKIPPED
    whole = facts_of(sight(book=replace(book, limit=None)))
    failed = select_pairs([replace(GOOD, depth_usd=whole.depth_usd)], LIMITS, 1)
    assert verdicts(failed, "AAAUSDT")["min_liquidity_depth"] is Verdict.FAILED


def test_open_interest_is_valued_at_the_price() -> None:
    facts = facts_of(sight(market=Market.FUTURES, contracts=D("1.5")))
    assert facts.open_interest_usd == 150


def test_the_largest_volumes_are_looked_at_and_preferred_and_active_ones_always() -> None:
    costly = dict.fromkeys(("atr_perc_24h", "adx", "depth_usd"))
    cheap = [
        fact(f"C{number:02}USDT", volume_usd_24h=D(200_000_000 + number), **costly)
        for number in range(30)
    ]
    cheap += [
        fact("BTCUSDT", volume_usd_24h=D(1), **costly),  # preferred
        fact("HELDUSDT", spread_perc=D(5), **costly),
        fact("WIDEUSDT", spread_perc=D(5), volume_usd_24h=D(1), **costly),
        fact("EXAMPLEUSDT", **costly),
    ]
    found = finalists(cheap, LIMITS, ["HELDUSDT"])
    assert set(found) == {one.symbol for one in cheap}
    looked_at = {symbol for symbol, why in found.items() if not why}
    largest = {f"C{number:02}USDT" for number in range(30 - (MOST_CLOSELY - 2), 30)}
    assert looked_at == {"BTCUSDT", "HELDUSDT"} | largest
    assert found["C00USDT"] == "20 symbols of more volume were"
    assert found["WIDEUSDT"] == "min_volume_usd_24h, max_spread_perc failed before"
    assert found["EXAMPLEUSDT"] == "blacklist failed before"


def test_who_was_not_looked_at_is_not_chosen_and_stands_behind_who_was() -> None:
    unseen = fact("AAAUSDT", atr_perc_24h=None, adx=None, depth_usd=None, not_looked_at="too many")
    table = select_pairs([unseen, fact("BBBUSDT", adx=D(50), spread_perc=D(9))], LIMITS, 2)
    assert not table.chosen
    assert [row.symbol for row in table] == ["BBBUSDT", "AAAUSDT"]
    assert table.rows[1].reason == "not looked at: too many"
    assert verdicts(table, "AAAUSDT")["max_adx"] is Verdict.NOT_LOOKED_AT
    larger = replace(unseen, symbol="ZZZUSDT", volume_usd_24h=D(900_000_000))
    assert [row.symbol for row in select_pairs([unseen, larger], LIMITS, 2)] == [
        "ZZZUSDT",
        "AAAUSDT",
    ]


def test_the_table_names_preferred_symbols_that_are_not_there_and_says_when_it_is_old() -> None:
    asked = Selection(Market.SPOT, load_config(None, {}), {})
    wanted = asked.criteria.preferred[Market.SPOT]
    here, *others = wanted
    table = asked.table([fact(here)], UnknownFacts.FAIL)
    assert others and table.absent == tuple(others)
    assert f"Preferred, and not traded on this market now: {', '.join(others)}." in repr(table)
    assert not asked.table([fact(symbol) for symbol in wanted], UnknownFacts.FAIL).absent
    old = repr(replace(table, age_ms=90_000, is_stale=True))
    assert "Stale: some facts are up to 90 s old." in old


def hour(number: int, low: str = "99", high: str = "101", close: str = "100") -> Kline:
    opened = number * HOUR_MS
    return Kline(opened, D(100), D(high), D(low), D(close), D(1), opened + HOUR_MS - 1)


def test_the_run_of_hours_ends_at_a_hole_and_with_the_last_closed_one() -> None:
    hours = [hour(n) for n in (0, 1, 2, 4, 5, 6)]
    open_since = 6 * HOUR_MS + 5
    assert [k.open_time_ms // HOUR_MS for k in closed_run(hours, open_since)] == [4, 5]
    assert len(closed_run(hours, 7 * HOUR_MS - 1)) == 3
    assert len(closed_run(hours, 9 * HOUR_MS - 1)) == 3
    assert closed_run(hours, 9 * HOUR_MS) == ()
    assert closed_run([], 5) == ()


def test_the_range_of_a_day_begins_at_the_close_before_it() -> None:
    day = [hour(n) for n in range(1, 25)]
    assert atr_perc([hour(0), *day], D(100)) == 2
    assert atr_perc([hour(0, high="110", close="110"), *day], D(100)) == 11
    assert atr_perc([hour(0), *day], D(50)) == 4
    assert atr_perc(day, D(100)) is None
    quiet = [hour(n, "100", "100") for n in range(25, 49)]
    assert atr_perc([hour(0), *day, *quiet], D(100)) == 1
    assert atr_perc([hour(-1), hour(0), *itertools.islice(day, 23)], D(100)) == 2


def test_the_spelling_of_symbols() -> None:
    assert normalised(" btc_usdt ") == "BTCUSDT"
    assert normalised("BTC/USDT:USDT") == "BTCUSDT"

"""Why an order was placed, from the journal of a real replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridlab.agents.decisions import decision_of
from gridlab.app.facade import GridLab
from gridlab.app.recent_fills import RecentFills
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import OrderAccepted, OrderFilled
from gridlab.domain.orders import INITIAL_BUY, ClientId
from gridlab.domain.snapshot import EngineState
from gridlab.errors import InvalidInput, NotFound
from gridlab.llm.guard import check
from gridlab.llm.tasks.explanation import Cause, Decision, Fate, brief_for
from gridlab.money import exact
from gridlab.store.journal import Entry, read_entries

pytestmark = pytest.mark.slow  # seconds each: left out of make check

HOUR = 3_600_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    """A replay of two days, played to its end."""
    with GridLab(
        tmp_path_factory.mktemp("lab"),
        speed=0,
        start_ms=DEFAULT_REPLAY_START_MS,
        end_ms=DEFAULT_REPLAY_START_MS + 48 * HOUR,
        first_bot="BTCUSDT",
    ) as started:
        while started.snapshot.state is EngineState.READY:
            started._ready.wait(0.05)
        yield started


@pytest.fixture(scope="module")
def entries(lab: GridLab) -> list[Entry]:
    return [entry for _, entry in read_entries(lab.settings.journal_path)]


def placed(entries: list[Entry]) -> list[tuple[str, Entry]]:
    return [
        (command.client_id, entry)
        for entry in entries
        for command in entry.commands
        if isinstance(command, PlaceOrder)
    ]


def test_every_order_of_a_run_has_a_reason_that_the_journal_shows(entries: list[Entry]) -> None:
    decisions: dict[str, Decision] = {}
    for client_id, entry in placed(entries):
        decision = decisions[client_id] = decision_of(entries, client_id)
        assert decision.time_ms == entry.event.time_ms
        parsed = ClientId.parse(client_id)
        assert parsed is not None
        if parsed.slot == INITIAL_BUY:
            assert (decision.cause, decision.lower) == (Cause.START, None)
        else:
            assert decision.cause in (Cause.STOCKED, Cause.TURNED, Cause.RETRY)
            assert decision.price in (decision.lower, decision.upper)
            assert decision.round_profit is not None and decision.round_profit > 0
        brief = brief_for(decision, "en")
        check(" ".join(brief.template), brief.facts, "en")
    causes = {decision.cause for decision in decisions.values()}
    assert {Cause.START, Cause.STOCKED, Cause.TURNED} <= causes


def test_a_turned_slot_names_the_fill_that_turned_it(entries: list[Entry]) -> None:
    turned = [
        decision
        for client_id, _ in placed(entries)
        if (decision := decision_of(entries, client_id)).cause is Cause.TURNED
    ]
    assert turned
    for decision in turned:
        assert decision.cause_price in (decision.lower, decision.upper)
        assert decision.cause_price != decision.price
        assert decision.cause_quantity is not None and decision.cause_quantity > 0


def test_fates_agree_with_the_trades(entries: list[Entry]) -> None:
    filled: dict[str, object] = {}
    for entry in entries:
        if isinstance(entry.event, OrderFilled):
            trade = entry.event.trade
            with exact():
                filled[trade.client_id] = filled.get(trade.client_id, 0) + trade.quantity  # type: ignore[operator]
    for client_id, _ in placed(entries):
        decision = decision_of(entries, client_id)
        assert decision.executed == filled.get(client_id, 0)
        assert (decision.fate is Fate.FILLED) is (decision.executed == decision.quantity)


def test_a_venues_id_finds_the_same_order(entries: list[Entry]) -> None:
    accepted = next(e.event for e in entries if isinstance(e.event, OrderAccepted))
    assert decision_of(entries, accepted.order_id) == decision_of(entries, accepted.client_id)
    with pytest.raises(NotFound, match="no order 'gl-r1-0-99-0'"):
        decision_of(entries, "gl-r1-0-99-0")


def test_before_its_answer_an_order_is_only_sent(entries: list[Entry]) -> None:
    client_id, entry = placed(entries)[0]
    upto = entries[: entries.index(entry) + 1]
    assert decision_of(upto, client_id).fate is Fate.SENT


def test_the_facade_explains(lab: GridLab, entries: list[Entry]) -> None:
    client_id = placed(entries)[-1][0]
    told = lab.explain(client_id, language="pt")
    assert client_id in told.text and told.author == "template" and told.language == "pt"
    accepted = next(e.event for e in entries if isinstance(e.event, OrderAccepted))
    assert lab.explain(accepted.order_id, "BTCUSDT").text == lab.explain(accepted.client_id).text
    with pytest.raises(InvalidInput, match="say whose order"):
        lab.explain("12345")
    with pytest.raises(InvalidInput, match="language is 'de'"):
        lab.explain(client_id, language="de")


def test_recent_fills_are_counted_once(lab: GridLab, entries: list[Entry]) -> None:
    now_ms, path = lab.snapshot.time_ms, lab.settings.journal_path
    times = [e.event.time_ms for e in entries if isinstance(e.event, OrderFilled)]
    recent = RecentFills(24 * HOUR)
    expected = sum(time_ms >= now_ms - 24 * HOUR for time_ms in times)
    assert recent.count(path, now_ms) == {"BTCUSDT": expected}
    assert recent.count(path, now_ms) == {"BTCUSDT": expected}
    assert recent.count(path, now_ms + 48 * HOUR) == {}
    every = RecentFills(1000 * HOUR)
    assert every.count(path, now_ms) == {"BTCUSDT": len(times)}


def test_another_journal_is_counted_anew(lab: GridLab, tmp_path: Path) -> None:
    recent = RecentFills(1000 * HOUR)
    recent.count(lab.settings.journal_path, lab.snapshot.time_ms)
    with GridLab(tmp_path) as other:
        assert recent.count(other.settings.journal_path, other.snapshot.time_ms) == {}

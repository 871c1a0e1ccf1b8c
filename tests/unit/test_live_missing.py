"""What a user stream owes after an answer by REST, and when that is overdue."""

from __future__ import annotations

from decimal import Decimal

from gridlab.clock import ManualClock
from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.orders import Side, Trade, VenueStatus
from gridlab.exchange.binance import missing as module
from gridlab.exchange.binance.missing import Missing

NOW_MS = 1_700_000_000_000


def make() -> tuple[Missing, ManualClock]:
    clock = ManualClock(NOW_MS)
    return Missing(clock), clock


def trade(trade_id: int, time_ms: int = NOW_MS, client_id: str = "gl-a-0-0-0") -> Trade:
    one = Decimal(1)
    return Trade(trade_id, "7", client_id, "AUSDT", Side.BUY, one, one, one, "USDT", True, time_ms)


def late(clock: ManualClock) -> None:
    clock.advance_to(clock.now_ms() + module.MISSING_AFTER_MS)


def test_an_order_that_is_never_told_is_overdue_after_five_seconds() -> None:
    missing, clock = make()
    missing.owes_order("gl-a-0-0-0")
    clock.advance_to(NOW_MS + 4_999)
    assert not missing.overdue()
    clock.advance_to(NOW_MS + 5_000)
    assert missing.overdue() == "no event of order gl-a-0-0-0 within 5 s of its answer"


def test_what_is_told_before_or_after_the_answer_is_not_owed() -> None:
    missing, clock = make()
    missing.told(OrderAccepted(NOW_MS, "before", "1"))
    missing.owes_order("before")
    missing.owes_order("after")
    missing.told(OrderFilled(NOW_MS, trade(5, client_id="after")))
    missing.owes_trades([trade(5, NOW_MS)], since_ms=0)
    late(clock)
    assert not missing.overdue()


def test_a_cancel_owes_the_end_and_not_just_any_event() -> None:
    missing, clock = make()
    missing.told(OrderAccepted(NOW_MS, "x", "1"))
    missing.owes_end("x")
    late(clock)
    assert "end of order x" in missing.overdue()
    missing.told(OrderEnded(NOW_MS, "x", VenueStatus.CANCELED, Decimal(0)))
    assert not missing.overdue()


def test_trades_from_before_the_connection_are_not_owed() -> None:
    missing, clock = make()
    missing.owes_trades([trade(1, NOW_MS - 1), trade(2, NOW_MS + 1_000)], since_ms=NOW_MS)
    late(clock)
    assert not missing.overdue(), "the clocks agree to a second only"
    missing.owes_trades([trade(3, NOW_MS + 9_000), trade(4, NOW_MS + 9_001)], since_ms=NOW_MS)
    late(clock)
    assert missing.overdue().startswith("no event of trade AUSDT:3 and 1 more")


def test_a_gap_forgives_and_memory_is_bounded() -> None:
    missing, clock = make()
    missing.owes_order("x")
    missing.forgive()
    late(clock)
    assert not missing.overdue()
    for number in range(module.REMEMBERED + 500):
        missing.told(OrderAccepted(NOW_MS, f"id{number}", "1"))
    assert len(missing._told) == module.REMEMBERED

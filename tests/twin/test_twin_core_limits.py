"""Windows, headers, refusals and bans, by a clock that the test holds."""

from __future__ import annotations

import pytest

from gridlab.domain.market import Market
from gridlab.twin.answers import VenueError
from gridlab.twin.limits import DAY_MS, FIRST_BAN_MS, LONGEST_BAN_MS, PATIENCE, Limits

MINUTE = 60_000
START = 1_774_607_640_000
PEER = "127.0.0.1"


def refusal(limits: Limits, weight: int, now_ms: int) -> VenueError:
    with pytest.raises(VenueError) as caught:
        limits.admit(PEER, weight, now_ms)
    return caught.value


def test_weight_is_counted_in_whole_minutes() -> None:
    limits = Limits(Market.SPOT)
    limits.admit(PEER, 5_990, START + 10_000)
    limits.admit(PEER, 10, START + 59_999)
    refused = refusal(limits, 1, START + 59_999)
    assert (refused.code, refused.status) == (-1003, 429)
    assert "6000 request weight per 1 MINUTE" in refused.message
    assert refused.refusal.headers["Retry-After"] == "1"
    limits.admit(PEER, 6_000, START + MINUTE)
    headers = limits.headers(PEER, START + MINUTE, with_orders=False)
    assert headers == {"X-MBX-USED-WEIGHT-1M": "6000", "X-MBX-USED-WEIGHT": "6000"}


def test_a_refused_request_costs_nothing_and_addresses_are_apart() -> None:
    limits = Limits(Market.FUTURES)
    limits.admit(PEER, 2_399, START)
    refusal(limits, 2, START)
    limits.admit(PEER, 1, START)
    limits.admit("127.0.0.2", 2_400, START)


def test_who_does_not_listen_is_banned_longer_each_time() -> None:
    limits = Limits(Market.SPOT)
    now_ms, expected_ms = START, FIRST_BAN_MS
    while expected_ms < LONGEST_BAN_MS:
        limits.admit(PEER, 6_000, now_ms)
        for _ in range(PATIENCE):
            assert refusal(limits, 1, now_ms).status == 429
        banned = refusal(limits, 1, now_ms)
        assert (banned.code, banned.status) == (-1003, 418)
        assert f"IP banned until {now_ms + expected_ms}." in banned.message
        assert banned.refusal.headers["Retry-After"] == str(expected_ms // 1_000)
        assert refusal(limits, 0, now_ms + expected_ms - 1).status == 418
        now_ms += expected_ms
        now_ms += -now_ms % MINUTE
        expected_ms = min(2 * expected_ms, LONGEST_BAN_MS)
    assert expected_ms == LONGEST_BAN_MS


def test_a_ban_is_forgotten_after_a_day() -> None:
    limits = Limits(Market.SPOT)
    for now_ms in (START, START + FIRST_BAN_MS + 2 * DAY_MS):
        limits.admit(PEER, 6_000, now_ms)
        for _ in range(PATIENCE):
            refusal(limits, 1, now_ms)
        assert f"until {now_ms + FIRST_BAN_MS}" in refusal(limits, 1, now_ms).message


def test_the_end_of_a_ban_is_told_by_the_venues_clock() -> None:
    limits = Limits(Market.SPOT, server_offset_ms=lambda: -2_500)
    told = limits.ban(PEER, 10_000, START)
    assert f"until {START + 7_500}" in told.message
    assert refusal(limits, 1, START + 9_999).status == 418
    limits.admit(PEER, 1, START + 10_000)


def test_order_counts_and_what_a_first_fill_gives_back() -> None:
    limits = Limits(Market.SPOT)
    limits.count_orders(100, START)
    with pytest.raises(VenueError) as caught:
        limits.check_orders(1, START + 9_000)
    assert (caught.value.code, caught.value.status) == (-1015, 429)
    assert caught.value.message == "Too many new orders; current limit is 100 orders per 10 SECOND."
    assert caught.value.refusal.headers["Retry-After"] == "1"
    limits.note_first_fill(is_maker=True, now_ms=START)
    limits.note_first_fill(is_maker=False, now_ms=START)
    headers = limits.headers(PEER, START, with_orders=True)
    assert headers["X-MBX-ORDER-COUNT-10S"] == "94"
    assert headers["X-MBX-ORDER-COUNT-1D"] == "94"
    limits.check_orders(6, START)
    assert [row["count"] for row in limits.order_rows(START + 10_000)] == [0, 94]


def test_futures_give_nothing_back_and_name_their_minute() -> None:
    limits = Limits(Market.FUTURES)
    limits.count_orders(7, START)
    limits.note_first_fill(is_maker=True, now_ms=START)
    headers = limits.headers(PEER, START, with_orders=True)
    assert headers["X-MBX-ORDER-COUNT-1M"] == headers["X-MBX-ORDER-COUNT-10S"] == "7"


def test_without_limits_a_told_ban_still_holds() -> None:
    limits = Limits(Market.SPOT, is_enforced=False)
    limits.admit(PEER, 1_000_000, START)
    limits.check_orders(1_000_000, START)
    limits.ban(PEER, 5_000, START)
    assert refusal(limits, 1, START + 4_999).status == 418

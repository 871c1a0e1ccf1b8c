"""Every documented code of Binance, what it means, and what becomes of undocumented ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.agents.restraint import WHOLE_SYMBOL
from gridlab.agents.trader import RULE_CODES
from gridlab.domain.market import Market
from gridlab.exchange.base import RejectCode
from gridlab.exchange.binance.codes import NAMES, Action, Meaning, Reaction, by_code, reaction

SPOT, FUTURES = Market.SPOT, Market.FUTURES
ALL = [(market, code) for market in Market for code in NAMES[market]]
STATUSES = (400, 401, 403, 404, 408, 409, 410, 418, 429, 451, 500, 502, 503, 504)


@pytest.mark.parametrize(("market", "code"), ALL)
def test_every_documented_code_has_a_meaning(market: Market, code: int) -> None:
    found = reaction(market, 400, code, "some words")
    assert found.meaning in Meaning
    if found.meaning is Meaning.REJECTED:
        assert found.code, "a refusal has a name"
    if found.meaning is Meaning.UNKNOWN:
        assert found.action is Action.QUERY


def test_the_lists_are_whole() -> None:
    """What is known of the exchange's pages; a code that vanishes from a table would be UNKNOWN.

    The USD-M page counts 206; the other three are not known by number.
    """
    assert (len(NAMES[SPOT]), len(NAMES[FUTURES])) == (105, 203)
    named = {-4120, -4161, -4164, -5021, -5022, -5026, -5027, -5028, -5043, -5047}
    assert named <= set(NAMES[FUTURES])
    common = set(NAMES[SPOT]) & set(NAMES[FUTURES])
    assert {-1000, -1003, -1013, -1021, -2010, -2011, -2013, -2015} <= common


#: Who does what an action asks for; a refusal's code is what reaches the trader.
CONSUMERS: Mapping[Action, Callable[[Reaction], bool]] = {
    Action.NONE: lambda reaction: reaction.meaning is not Meaning.UNKNOWN,
    Action.BACK_OFF: lambda reaction: (
        reaction.code.lstrip("-").isdigit() or reaction.code == RejectCode.TOO_MANY_ORDERS
    ),  # the throttle, in `test_binance_pacing`
    Action.STOP_ALL: lambda reaction: reaction.code == RejectCode.PERMISSION,  # the transport
    Action.RESYNC_CLOCK: lambda reaction: reaction.code == RejectCode.CLOCK,  # the transport
    Action.REFRESH_RULES: lambda reaction: reaction.code in RULE_CODES,
    Action.QUERY: lambda reaction: (
        reaction.meaning is Meaning.UNKNOWN
        or reaction.code in (RejectCode.DUPLICATE, RejectCode.NOT_OPEN)
    ),
    Action.HALT: lambda reaction: reaction.code in WHOLE_SYMBOL,
}


@pytest.mark.parametrize(("market", "code"), ALL)
def test_every_action_has_somebody_who_does_it(market: Market, code: int) -> None:
    texts = ("", "Market is closed.", "This symbol is not permitted for this account.")
    for text in texts:
        found = reaction(market, 400, code, text)
        assert CONSUMERS[found.action](found), found


def test_no_action_is_without_a_consumer() -> None:
    assert set(CONSUMERS) == set(Action)


@pytest.mark.parametrize("market", list(Market))
def test_only_these_leave_the_outcome_open(market: Market) -> None:
    """Every other documented code is a definite refusal, so no order of ours waits for nothing."""
    open_codes = {c for c in NAMES[market] if by_code(market, c).meaning is Meaning.UNKNOWN}
    expected = {
        SPOT: {-1000, -1001, -1006, -1007, -1010, -2021},
        FUTURES: {-1000, -1001, -1006, -1007, -1010, -2012, -4083, -5047},
    }
    assert open_codes == expected[market]


@pytest.mark.parametrize(
    ("market", "code", "text", "name", "action"),
    [
        (SPOT, -2010, "Account has insufficient balance for requested action.",
         RejectCode.INSUFFICIENT_BALANCE, Action.NONE),
        (SPOT, -2010, "Order would immediately match and take.", RejectCode.WOULD_TAKE,
         Action.NONE),
        (SPOT, -2010, "Duplicate order sent.", RejectCode.DUPLICATE, Action.QUERY),
        (SPOT, -2010, "Market is closed.", RejectCode.MARKET_CLOSED, Action.HALT),
        (SPOT, -1013, "Market is closed.", RejectCode.MARKET_CLOSED, Action.HALT),
        (SPOT, -2010, "Filter failure: MAX_NUM_ORDERS", RejectCode.TOO_MANY_ORDERS,
         Action.REFRESH_RULES),
        (SPOT, -1013, "Filter failure: MAX_NUM_ORDERS", RejectCode.TOO_MANY_ORDERS,
         Action.REFRESH_RULES),
        (SPOT, -2010, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", RejectCode.TOO_MANY_ORDERS,
         Action.REFRESH_RULES),
        (SPOT, -2010, "Filter failure: MAX_POSITION", RejectCode.FILTER, Action.REFRESH_RULES),
        (SPOT, -1013, "Filter failure: PRICE_FILTER", RejectCode.FILTER, Action.REFRESH_RULES),
        (SPOT, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", RejectCode.FILTER,
         Action.REFRESH_RULES),
        (SPOT, -2010, "This action is disabled on this account.", RejectCode.PERMISSION,
         Action.STOP_ALL),
        (SPOT, -2010, "This symbol is not permitted for this account.", RejectCode.PERMISSION,
         Action.HALT),
        (SPOT, -2010, "Something new.", "-2010", Action.NONE),
        (SPOT, -2011, "Unknown order sent.", RejectCode.NOT_OPEN, Action.QUERY),
        (SPOT, -2011, "Order was not canceled due to cancel restrictions.", "-2011", Action.NONE),
        (SPOT, -2013, "Order does not exist.", RejectCode.NOT_OPEN, Action.QUERY),
        (SPOT, -2026, "Order was canceled.", RejectCode.NOT_OPEN, Action.QUERY),
        (SPOT, -1021, "Timestamp for this request is outside of the recvWindow.", RejectCode.CLOCK,
         Action.RESYNC_CLOCK),
        (SPOT, -1022, "Signature for this request is not valid.", RejectCode.PERMISSION,
         Action.STOP_ALL),
        (SPOT, -2014, "API-key format invalid.", RejectCode.PERMISSION, Action.STOP_ALL),
        (SPOT, -2015, "Invalid API-key, IP, or permissions for action.", RejectCode.PERMISSION,
         Action.STOP_ALL),
        (SPOT, -1121, "Invalid symbol.", RejectCode.INVALID_SYMBOL, Action.HALT),
        (SPOT, -1111, "Parameter 'quantity' has too much precision.", RejectCode.FILTER,
         Action.REFRESH_RULES),
        (SPOT, -1106, "Parameter 'timeInForce' sent when not required.", "-1106", Action.NONE),
        (SPOT, -2022, "Order cancel-replace failed.", "-2022", Action.NONE),
        (FUTURES, -2022, "ReduceOnly Order is rejected.", RejectCode.REDUCE_ONLY, Action.NONE),
        (FUTURES, -2021, "Order would immediately trigger.", "-2021", Action.NONE),
        (FUTURES, -2026, "This OrderType is not supported when reduceOnly.", RejectCode.REDUCE_ONLY,
         Action.NONE),
        (FUTURES, -2019, "Margin is insufficient.", RejectCode.MARGIN, Action.NONE),
        (FUTURES, -2027, "Exceeded the maximum position.", RejectCode.MARGIN, Action.NONE),
        (FUTURES, -2025, "Reach max open order limit.", RejectCode.TOO_MANY_ORDERS, Action.NONE),
        (FUTURES, -4116, "ClientOrderId is duplicated.", RejectCode.DUPLICATE, Action.QUERY),
        (FUTURES, -5022, "Due to the order could not be executed as maker.", RejectCode.WOULD_TAKE,
         Action.NONE),
        (FUTURES, -5028, "outside of the ME recvWindow.", RejectCode.CLOCK, Action.RESYNC_CLOCK),
        (FUTURES, -4164, "Order's notional must be no smaller than 5", RejectCode.FILTER,
         Action.REFRESH_RULES),
        (FUTURES, -4014, "Price not increased by tick size.", RejectCode.FILTER,
         Action.REFRESH_RULES),
        (FUTURES, -4024, "Limit price can't be lower than 5.", RejectCode.FILTER,
         Action.REFRESH_RULES),
        (FUTURES, -4061, "Order's position side does not match.", RejectCode.POSITION_MODE,
         Action.HALT),
        (FUTURES, -4141, "Symbol is closed.", RejectCode.MARKET_CLOSED, Action.HALT),
        (FUTURES, -4088, "User can not place order currently.", RejectCode.PERMISSION,
         Action.STOP_ALL),
        (FUTURES, -4400, "Futures Trading Quantitative Rules violated", RejectCode.PERMISSION,
         Action.HALT),
        (FUTURES, -2023, "User in liquidation mode now.", RejectCode.LIQUIDATION, Action.HALT),
    ],
)  # fmt: skip
def test_a_refusal_has_its_stable_name(
    market: Market, code: int, text: str, name: str, action: Action
) -> None:
    found = reaction(market, 400, code, text)
    assert (found.meaning, found.code, found.action) == (Meaning.REJECTED, name, action)


@pytest.mark.parametrize("code", [-4046, -4059, -4171])
def test_what_is_so_already_is_a_success(code: int) -> None:
    assert reaction(FUTURES, 400, code, "No need to change.").meaning is Meaning.ACCEPTED


@pytest.mark.parametrize("market", list(Market))
@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("code", [None, -1000, -1006, -1007, -2010, -1013, -4164])
def test_a_failure_of_the_server_decides_nothing(
    market: Market, status: int, code: int | None
) -> None:
    """Whatever the body says: a proxy's page, a code that would be a refusal elsewhere."""
    found = reaction(market, status, code, "Filter failure: LOT_SIZE")
    assert (found.meaning, found.action) == (Meaning.UNKNOWN, Action.QUERY)


def test_the_two_overloads_that_did_nothing() -> None:
    for market in Market:
        found = reaction(market, 503, -1008, "Request throttled by system-level protection.")
        assert (found.meaning, found.action) == (Meaning.REJECTED, Action.BACK_OFF)
    found = reaction(FUTURES, 503, None, "Service Unavailable.")
    assert (found.meaning, found.action) == (Meaning.REJECTED, Action.BACK_OFF)
    # The third kind of 503 on USD-M, and the same words on spot, leave it open.
    unknown = "Unknown error, please check your request or try again later."
    assert reaction(FUTURES, 503, None, unknown).meaning is Meaning.UNKNOWN
    assert reaction(SPOT, 503, None, "Service Unavailable.").meaning is Meaning.UNKNOWN


def test_limits_refuse_and_ask_for_a_pause() -> None:
    for market in Market:
        for status in (418, 429):
            found = reaction(market, status, -1003, "Too many requests.")
            assert (found.meaning, found.code) == (Meaning.REJECTED, "-1003")
            assert found.action is Action.BACK_OFF
        found = reaction(market, 429, -1015, "Too many new orders.")
        assert found.code == RejectCode.TOO_MANY_ORDERS
        assert found.action is Action.BACK_OFF
        assert reaction(market, 429, None).meaning is Meaning.REJECTED


def test_answers_without_a_code() -> None:
    assert reaction(SPOT, 403, None).action is Action.BACK_OFF
    assert reaction(SPOT, 401, None).action is Action.STOP_ALL
    assert reaction(SPOT, 404, None).action is Action.STOP_ALL
    for status in (200, 301, 302, 400, 409):
        assert reaction(SPOT, status, None).meaning is Meaning.UNKNOWN


@given(
    st.sampled_from(list(Market)),
    st.integers(-100_000, 100_000),
    st.text(max_size=60),
    st.sampled_from(STATUSES),
)
def test_what_is_not_documented_is_looked_up(
    market: Market, code: int, text: str, status: int
) -> None:
    """Unless the status itself is a definite refusal of a limit."""
    if code in NAMES[market]:
        code = -100_001 - abs(code)
    found = reaction(market, status, code, text)
    if status in (418, 429):
        assert found.meaning is Meaning.REJECTED
    elif (market, status) != (FUTURES, 503):
        assert found.meaning is Meaning.UNKNOWN
        assert found.action is Action.QUERY


@given(st.sampled_from(ALL), st.text(max_size=80), st.sampled_from(STATUSES))
def test_any_text_with_any_code_is_understood(
    which: tuple[Market, int], text: str, status: int
) -> None:
    found = reaction(which[0], status, which[1], text)
    assert found.meaning is not Meaning.ACCEPTED or status < 500

"""Stored values: what is encoded decodes to an equal value, and equal values give equal bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.codec import decode, encode
from gridlab.domain.commands import CancelOrder, PlaceOrder
from gridlab.domain.events import (
    FundingPaid,
    GridStarted,
    InstrumentChanged,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import (
    Balance,
    FeeMode,
    FeeSchedule,
    Instrument,
    Kline,
    Market,
    PercentPrice,
)
from gridlab.domain.orders import (
    ClientId,
    OrderReport,
    OrderRequest,
    OrderType,
    Side,
    Trade,
    VenueStatus,
)
from gridlab.domain.plan import Finding, Severity
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput

TEXTS = st.text(max_size=20)
TIMES = st.integers(0, 2**53)
POSITIVE = st.decimals(
    min_value=Decimal("0.00000001"), max_value=10**9, allow_nan=False, allow_infinity=False
)
SIGNED = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False)
RATES = st.decimals(min_value=Decimal("0"), max_value=Decimal("0.05"), places=6)
FEES = st.builds(
    FeeSchedule,
    maker=RATES,
    taker=RATES,
    mode=st.just(FeeMode.THIRD),
    third_asset=st.just("BNB"),
    third_price=POSITIVE,
) | st.builds(FeeSchedule, maker=RATES, taker=RATES)
INSTRUMENTS = st.builds(
    Instrument,
    symbol=TEXTS,
    market=st.sampled_from(Market),
    base=TEXTS,
    quote=TEXTS,
    tick_size=POSITIVE,
    lot_size=POSITIVE,
    min_notional=POSITIVE,
    min_quantity=POSITIVE,
    max_quantity=POSITIVE,
    min_price=POSITIVE,
    max_price=POSITIVE,
    percent_price=st.none() | st.builds(PercentPrice, POSITIVE, POSITIVE, POSITIVE, POSITIVE),
)
SPECS = st.builds(
    GridSpec,
    symbol=TEXTS,
    levels=st.integers(2, 1000),
    spacing=st.decimals(min_value=Decimal("0.0001"), max_value=1, places=4),
    investment=POSITIVE,
    mode=st.sampled_from(Spacing),
    market=st.sampled_from(Market),
    fees=FEES,
    allow_unprofitable=st.booleans(),
)
REQUESTS = st.builds(
    OrderRequest,
    client_id=TEXTS,
    symbol=TEXTS,
    market=st.sampled_from(Market),
    side=st.sampled_from(Side),
    type=st.sampled_from((OrderType.LIMIT, OrderType.LIMIT_MAKER)),
    quantity=POSITIVE,
    price=POSITIVE,
)
TRADES = st.builds(
    Trade,
    trade_id=st.integers(0, 2**63),
    order_id=TEXTS,
    client_id=TEXTS,
    symbol=TEXTS,
    side=st.sampled_from(Side),
    price=POSITIVE,
    quantity=POSITIVE,
    fee=SIGNED,
    fee_asset=TEXTS,
    is_maker=st.booleans(),
    time_ms=TIMES,
)
REPORTS = st.builds(
    OrderReport,
    order_id=TEXTS,
    client_id=TEXTS,
    symbol=TEXTS,
    side=st.sampled_from(Side),
    type=st.sampled_from(OrderType),
    quantity=POSITIVE,
    executed=SIGNED,
    status=st.sampled_from(VenueStatus),
    created_ms=TIMES,
    updated_ms=TIMES,
    price=st.none() | POSITIVE,
)
EVENTS = st.one_of(
    st.builds(GridStarted, TIMES, TEXTS, SPECS, INSTRUMENTS, POSITIVE),
    st.builds(OrderAccepted, TIMES, TEXTS, TEXTS),
    st.builds(OrderRejected, TIMES, TEXTS, TEXTS, TEXTS),
    st.builds(OrderUnknown, TIMES, TEXTS, TEXTS),
    st.builds(OrderAbsent, TIMES, TEXTS),
    st.builds(OrderFilled, TIMES, TRADES),
    st.builds(OrderEnded, TIMES, TEXTS, st.sampled_from(VenueStatus), SIGNED),
    st.builds(StopRequested, TIMES, TEXTS, st.sampled_from(StopPolicy)),
    st.builds(InstrumentChanged, TIMES, INSTRUMENTS),
    st.builds(Replan, TIMES, POSITIVE),
    st.builds(FundingPaid, TIMES, TEXTS, TEXTS, SIGNED),
)
COMMANDS = st.builds(PlaceOrder, REQUESTS) | st.builds(CancelOrder, TEXTS, TEXTS)
MARKET = st.builds(
    Kline,
    *(TIMES, POSITIVE, POSITIVE, POSITIVE, POSITIVE, POSITIVE, TIMES),
    quote_volume=st.none() | POSITIVE,
    trades=st.none() | st.integers(0, 10**9),
) | st.builds(Balance, TEXTS, SIGNED, SIGNED)
VALUES = st.one_of(EVENTS, COMMANDS, MARKET, REPORTS)


@given(VALUES)
def test_a_value_comes_back_equal_in_value_and_in_type(value: Any) -> None:
    back = decode(encode(value))
    assert type(back) is type(value)
    assert back == value
    # Equality of Decimals and of text enums hides lost digits and lost types; repr does not.
    assert repr(back) == repr(value)


@given(st.lists(VALUES, max_size=4))
def test_lists_come_back_as_tuples(values: list[Any]) -> None:
    assert decode(encode(values)) == tuple(values)


@given(VALUES)
def test_the_form_is_canonical(value: Any) -> None:
    written = encode(value)
    assert encode(decode(written)) == written
    assert json.dumps(json.loads(written), sort_keys=True, separators=(",", ":")) == written
    assert written.isascii()


def test_no_digit_of_a_decimal_is_lost() -> None:
    value = Replan(1, Decimal("1.2300"))
    assert encode(value) == '{"_":"Replan","price":"1.2300","time_ms":1}'
    assert str(decode(encode(value)).price) == "1.2300"


def test_the_bytes_do_not_depend_on_the_process() -> None:
    script = (
        "from decimal import Decimal; from gridlab.domain.codec import encode;"
        "from gridlab.domain.spec import GridSpec;"
        "print(encode(GridSpec('BTCUSDT', 10, Decimal('0.005'), investment=Decimal(1000))))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"_":"Nobody"}',
        '{"a":1}',
        '{"_":"Replan"}',
        '{"_":"Replan","time_ms":1,"price":"1","more":2}',
        '{"_":"OrderEnded","time_ms":1,"client_id":"x","status":"lost","executed":"0"}',
        '{"_":"Replan","time_ms":1,"price":"many"}',
    ],
)
def test_what_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a stored GridLab value"):
        decode(text)


@pytest.mark.parametrize("value", [1.5, object(), Finding(Severity.WARN, "rule", "why")])
def test_what_is_not_a_stored_type_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="not a stored type"):
        encode(value)


@given(
    st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True),
    st.integers(-2, 999),
    st.integers(0, 9_999_999),
    st.integers(0, 9_999_999),
)
def test_client_ids_say_where_they_belong(run: str, slot: int, cycle: int, attempt: int) -> None:
    made = ClientId(run, slot, cycle, attempt)
    assert ClientId.parse(str(made)) == made
    assert len(str(made)) <= 36


@pytest.mark.parametrize(
    "text", ["", "gl-", "web_1a2b", "gl-RUN-1-1-1", "gl-r-1-1-1x", "x-gl-r-1-1-1"]
)
def test_other_peoples_orders_are_not_ours(text: str) -> None:
    assert ClientId.parse(text) is None

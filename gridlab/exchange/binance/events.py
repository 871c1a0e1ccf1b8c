"""Binance's stream messages as domain values: order events of the account, trades of the market.

Pure. A message may come bare, inside `{"event": ...}` (WebSocket API) or inside `{"data": ...}`
(combined streams). What tells nothing about an order gives nothing; a message that claims to be
about one and cannot be read raises `ExchangeUnavailable`, so that its reader treats it as a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Market
from gridlab.domain.orders import Trade
from gridlab.exchange.base import VenueEvent
from gridlab.exchange.binance.fields import (
    flag,
    named,
    number,
    number_or_zero,
    record,
    text,
    whole,
)
from gridlab.exchange.binance.mapping import Tick, side, status
from gridlab.money import ZERO

__all__ = ["Tick", "market_tick", "unwrapped", "venue_events"]

_ORDER_EVENTS = {Market.SPOT: "executionReport", Market.FUTURES: "ORDER_TRADE_UPDATE"}
#: Executions after which nothing about the order has changed for us: a refusal is told by the
#: answer to the request, an amendment and a cancel under way end nothing.
_NO_NEWS = ("REJECTED", "REPLACED", "AMENDMENT", "PENDING_NEW", "PENDING_CANCEL")
_EXECUTIONS = ("TRADE", "CALCULATED")
_MARKET_TRADES = ("aggTrade", "trade")


def unwrapped(payload: Any) -> Mapping[str, Any]:
    """The event itself; an empty mapping where there is none."""
    for name in ("event", "data"):
        if isinstance(payload, dict) and isinstance(payload.get(name), dict):
            payload = payload[name]
    return payload if isinstance(payload, dict) else {}


def venue_events(payload: Any, market: Market) -> tuple[VenueEvent, ...]:
    """What one user-data message says about an order, in the order in which it happened.

    Raises:
        ExchangeUnavailable: an order event that is not what the protocol says.
    """
    event = unwrapped(payload)
    kind = _ORDER_EVENTS[market]
    if event.get("e") != kind:
        return ()
    entry = event if market is Market.SPOT else record(event.get("o"), kind)
    execution = text(entry, "x", kind)
    if execution in _NO_NEWS:
        return ()
    client_id, time_ms = _client_id(entry, kind), whole(entry, "T", kind)
    executed = number(entry, "z", kind)
    state = status(text(entry, "X", kind), executed, kind)
    found: list[VenueEvent] = []
    if execution == "NEW":
        found.append(OrderAccepted(time_ms, client_id, str(whole(entry, "i", kind))))
    if execution in _EXECUTIONS and number(entry, "l", kind):
        found.append(OrderFilled(time_ms, _trade(entry, kind, client_id, time_ms)))
    if not state.is_open:
        found.append(OrderEnded(time_ms, client_id, state, executed))
    return tuple(found)


def market_tick(payload: Any) -> Tick | None:
    """The market trade in a message; None for any other message.

    Raises:
        ExchangeUnavailable: a trade that is not what the protocol says, or at no price.
    """
    event = unwrapped(payload)
    kind = event.get("e")
    if kind not in _MARKET_TRADES:
        return None
    price, quantity = number(event, "p", kind), number(event, "q", kind)
    if price <= ZERO or quantity <= ZERO:
        return None  # a futures `trade` of the insurance fund or of ADL carries none
    return Tick(
        symbol=named(event, "s", kind),
        price=price,
        quantity=quantity,
        time_ms=whole(event, "T", kind),
        trade_id=whole(event, "a" if kind == "aggTrade" else "t", kind),
    )


def _client_id(entry: Mapping[str, Any], kind: str) -> str:
    """The order's own id; a spot cancel names itself in `c` and the order in `C`."""
    original = entry.get("C")
    if isinstance(original, str) and original not in ("", "null"):
        return original
    return text(entry, "c", kind)


def _trade(entry: Mapping[str, Any], kind: str, client_id: str, time_ms: int) -> Trade:
    return Trade(
        trade_id=whole(entry, "t", kind),
        order_id=str(whole(entry, "i", kind)),
        client_id=client_id,
        symbol=named(entry, "s", kind),
        side=side(entry, "S", kind),
        price=number(entry, "L", kind),
        quantity=number(entry, "l", kind),
        fee=number_or_zero(entry, "n", kind),
        fee_asset=str(entry.get("N") or ""),
        is_maker=flag(entry, "m", kind),
        time_ms=time_ms,
    )

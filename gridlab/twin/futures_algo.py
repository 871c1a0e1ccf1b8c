"""USD-M's conditional orders: a store of their own, and when each of them triggers.

Pure: it is told prices and says what triggers; whoever owns it sends the order that follows, and
tells it what became of that. Conditional orders left the ordinary order endpoint in December 2025.

Source: Binance's USD-M pages "New Algo Order", "Query Algo Order".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from gridlab.domain.orders import Side
from gridlab.money import ZERO, ceil_to, exact, floor_to
from gridlab.twin.futures_rules import FuturesRules, fixed

Payload: TypeAlias = dict[str, Any]

#: Open conditional orders that one account may have over all symbols.
MAX_OPEN = 200


class AlgoType(StrEnum):
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def is_limit(self) -> bool:
        """Whether a limit order follows, not a market one."""
        return self in (AlgoType.STOP, AlgoType.TAKE_PROFIT)

    def waits_for_rise(self, side: Side) -> bool:
        """Whether it triggers when the price rises to its trigger, not when it falls to it."""
        is_profit = self in (AlgoType.TAKE_PROFIT, AlgoType.TAKE_PROFIT_MARKET)
        return (side is Side.BUY) is not is_profit


class AlgoStatus(StrEnum):
    NEW = "NEW"
    TRIGGERED = "TRIGGERED"  # the order that follows rests or is under way
    FINISHED = "FINISHED"  # it filled
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"  # the order that follows was refused
    EXPIRED = "EXPIRED"


@dataclass(slots=True)
class AlgoOrder:
    """One conditional order; changed only by `AlgoBook` and by who carries it out.

    Args:
        trigger: price that it waits for; of a trailing one the price that its callback gives now,
            zero before it is active.
        callback_fraction: how far the price must turn back; trailing orders only.
        activation: a trailing order follows the price from here on; zero for at once.
        extreme: best price since a trailing order became active; zero before.
        actual_order_id: the order that followed; zero before.
    """

    algo_id: int
    client_id: str
    symbol: str
    side: Side
    kind: AlgoType
    quantity: Decimal
    price: Decimal
    trigger: Decimal
    time_in_force: str
    working_type: str
    created_ms: int
    is_reduce_only: bool = False
    is_close_position: bool = False
    callback_fraction: Decimal = ZERO
    activation: Decimal = ZERO
    extreme: Decimal = ZERO
    stp_mode: str = "EXPIRE_MAKER"
    status: AlgoStatus = AlgoStatus.NEW
    updated_ms: int = 0
    triggered_ms: int = 0
    actual_order_id: int = 0

    @property
    def is_open(self) -> bool:
        return self.status is AlgoStatus.NEW

    def is_met(self, price: Decimal) -> bool:
        """Whether a price at `price` triggers it now."""
        if not self.trigger:
            return False
        if self.kind.waits_for_rise(self.side):
            return price >= self.trigger
        return price <= self.trigger

    def follow(self, price: Decimal, tick_size: Decimal) -> None:
        """Move a trailing order's trigger after the price."""
        is_sell = self.side is Side.SELL
        if not self.extreme:
            is_far = price >= self.activation if is_sell else price <= self.activation
            if self.activation and not is_far:
                return
            self.extreme = price
        self.extreme = max(self.extreme, price) if is_sell else min(self.extreme, price)
        with exact():
            if is_sell:
                self.trigger = floor_to(self.extreme * (1 - self.callback_fraction), tick_size)
            else:
                self.trigger = ceil_to(self.extreme * (1 + self.callback_fraction), tick_size)


class AlgoBook:
    """Every conditional order of the account."""

    def __init__(self) -> None:
        self._orders: list[AlgoOrder] = []

    @property
    def next_id(self) -> int:
        """The number of the next order; far from ordinary order numbers, as the venue's are."""
        return 3_000_000_000_000_001 + len(self._orders)

    @property
    def open_count(self) -> int:
        return sum(order.is_open for order in self._orders)

    def add(self, order: AlgoOrder) -> None:
        self._orders.append(order)

    def find(self, algo_id: int | None, client_id: str | None) -> AlgoOrder | None:
        """The order of that number, or the newest of that client id."""
        for order in reversed(self._orders):
            if order.algo_id == algo_id or (algo_id is None and order.client_id == client_id):
                return order
        return None

    def is_taken(self, client_id: str) -> bool:
        """Whether an open order has this client id."""
        return any(order.is_open and order.client_id == client_id for order in self._orders)

    def orders(self, symbol: str | None = None, *, open_only: bool = False) -> list[AlgoOrder]:
        """Orders, oldest first."""
        return [
            order
            for order in self._orders
            if symbol in (None, order.symbol) and (order.is_open or not open_only)
        ]

    def following(self, order_id: int) -> AlgoOrder | None:
        """The conditional order that ordinary order `order_id` followed from."""
        return next((o for o in self._orders if o.actual_order_id == order_id), None)

    def cancel(self, order: AlgoOrder, now_ms: int) -> None:
        order.status = AlgoStatus.CANCELED
        order.updated_ms = now_ms

    def on_price(
        self, symbol: str, last: Decimal, mark: Decimal, tick_size: Decimal, now_ms: int
    ) -> list[AlgoOrder]:
        """The orders that these prices trigger, oldest first, marked as triggered."""
        met = []
        for order in self.orders(symbol, open_only=True):
            price = mark if order.working_type == "MARK_PRICE" else last
            if order.kind is AlgoType.TRAILING_STOP_MARKET:
                order.follow(price, tick_size)
            if order.is_met(price):
                order.status = AlgoStatus.TRIGGERED
                order.triggered_ms = order.updated_ms = now_ms
                met.append(order)
        return met


def algo_placed(order: AlgoOrder, rules: FuturesRules) -> Payload:
    """The answer to a placement."""
    price = rules.price_precision
    payload: Payload = {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.kind.value,
        "symbol": order.symbol,
        "side": order.side.upper(),
        "positionSide": "BOTH",
        "timeInForce": order.time_in_force,
        "quantity": fixed(order.quantity, rules.quantity_precision),
        "algoStatus": order.status.value,
        "triggerPrice": fixed(order.trigger, price),
        "price": fixed(order.price, price),
        "icebergQuantity": None,
        "selfTradePreventionMode": order.stp_mode,
        "workingType": order.working_type,
        "priceMatch": "NONE",
        "closePosition": order.is_close_position,
        "priceProtect": False,
        "reduceOnly": order.is_reduce_only,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": 0,
    }
    if order.kind is AlgoType.TRAILING_STOP_MARKET:
        payload["activatePrice"] = fixed(order.activation, price) if order.activation else ""
        payload["callbackRate"] = fixed(order.callback_fraction * 100, 1)
    return payload


def algo_queried(
    order: AlgoOrder, rules: FuturesRules, actual_price: Decimal, actual_quantity: Decimal
) -> Payload:
    """One order as a query tells it, with the order that followed."""
    payload = algo_placed(order, rules)
    followed = order.actual_order_id
    payload["actualOrderId"] = str(followed) if followed else ""
    payload["actualPrice"] = fixed(actual_price, rules.price_precision + 3)
    if followed:
        payload["actualQty"] = fixed(actual_quantity, rules.quantity_precision)
        payload["actualType"] = "LIMIT" if order.kind.is_limit else "MARKET"
    zero = fixed(ZERO, 3)
    for name in ("tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"):
        payload[name] = zero
    payload["tpOrderType"] = ""
    return payload


def triggers_at_once(order: AlgoOrder, prices: Iterable[Decimal]) -> bool:
    """Whether one of the prices of this moment triggers it already, which the venue refuses."""
    return any(order.is_met(price) for price in prices)

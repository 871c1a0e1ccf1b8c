"""The paper book against a naive venue that scans a list and recomputes all from its history.

The reference below shares no code with the book: orders are dicts in one list, the next fill is
found by a linear scan, and balances are computed anew from the opening and all that happened since.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market, PercentPrice
from gridlab.domain.orders import OrderRequest, OrderType, Side, VenueStatus
from gridlab.exchange.base import Accepted, Outcome, RejectCode
from gridlab.exchange.paper import FillRule, PaperBook

D = Decimal
SYMBOL = "XRPUSDT"
RULES = Instrument(
    symbol=SYMBOL,
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.5"),
    lot_size=D("0.1"),
    min_notional=D(5),
    min_quantity=D("0.2"),
    max_quantity=D(20),
    min_price=D(1),
    max_price=D(40),
    max_notional=D(150),
    max_num_orders=6,
    percent_price=PercentPrice(D("0.3"), D(2), D("0.6"), D(3)),
    commission_precision=3,
)


class NaiveVenue:
    """As slow and as plain as can be."""

    def __init__(self, opening: dict[str, Decimal], fees: FeeSchedule, rule: FillRule) -> None:
        self.opening, self.fees, self.rule = opening, fees, rule
        self.price: Decimal | None = None
        self.orders: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.log: list[tuple[Any, ...]] = []

    def totals(self) -> dict[str, Decimal]:
        total = {"USDT": D(0), "XRP": D(0), "BNB": D(0)} | self.opening
        for trade in self.trades:
            sign = 1 if trade["side"] is Side.BUY else -1
            total["XRP"] += sign * trade["quantity"]
            total["USDT"] -= sign * trade["quantity"] * trade["price"]
            total[trade["fee_asset"]] -= trade["fee"]
        return total

    def locked(self) -> dict[str, Decimal]:
        locked = {"USDT": D(0), "XRP": D(0), "BNB": D(0)}
        for order in self.orders:
            if order["open"]:
                left = order["quantity"] - order["executed"]
                asset = "USDT" if order["side"] is Side.BUY else "XRP"
                locked[asset] += self.need(order["side"], order["price"], left, self.fees.maker)
        return locked

    def free(self, asset: str) -> Decimal:
        return self.totals()[asset] - self.locked()[asset]

    def need(self, side: Side, price: Decimal, quantity: Decimal, rate: Decimal) -> Decimal:
        if side is Side.SELL:
            return quantity
        fee = price * quantity * rate if self.fees.mode is FeeMode.QUOTE else D(0)
        return price * quantity + max(D(0), fee.quantize(D("0.00000001"), ROUND_UP))

    def place(self, request: OrderRequest) -> str:
        """The empty string when accepted, else the code of the refusal."""
        takes = request.price is None or (
            self.price is not None
            and (
                request.price >= self.price
                if request.side is Side.BUY
                else request.price <= self.price
            )
        )
        if request.price is None and self.price is None:
            return RejectCode.MARKET_CLOSED
        if not self.passes_filters(request):
            return RejectCode.FILTER
        if any(o["open"] and o["client_id"] == request.client_id for o in self.orders):
            return RejectCode.DUPLICATE
        if request.price is not None and sum(o["open"] for o in self.orders) >= 6:
            return RejectCode.TOO_MANY_ORDERS
        if takes and request.type is OrderType.LIMIT_MAKER:
            return RejectCode.WOULD_TAKE
        price = self.price if request.price is None else request.price
        assert price is not None
        rate = self.fees.taker if takes else self.fees.maker
        need = self.need(request.side, price, request.quantity, rate)
        if need > self.free("USDT" if request.side is Side.BUY else "XRP"):
            return RejectCode.INSUFFICIENT_BALANCE
        order = {
            "number": len(self.orders) + 1,
            "client_id": request.client_id,
            "side": request.side,
            "type": request.type,
            "price": request.price,
            "quantity": request.quantity,
            "executed": D(0),
            "open": not takes,
        }
        self.orders.append(order)
        self.log.append(("accepted", request.client_id, str(len(self.orders))))
        if takes:
            assert self.price is not None
            self.fill(order, request.quantity, self.price, is_maker=False)
        return ""

    def passes_filters(self, request: OrderRequest) -> bool:
        price, quantity = request.price, request.quantity
        if price is not None:
            if not 1 <= price <= 40 or price % D("0.5") != 0:
                return False
            if self.price is not None:
                low, high = ("0.3", "2") if request.side is Side.BUY else ("0.6", "3")
                if not self.price * D(low) <= price <= self.price * D(high):
                    return False
        at = price if price is not None else self.price
        assert at is not None
        return D("0.2") <= quantity <= 20 and quantity % D("0.1") == 0 and 5 <= at * quantity <= 150

    def cancel(self, client_id: str) -> bool:
        for order in self.orders:
            if order["open"] and order["client_id"] == client_id:
                order["open"] = False
                self.log.append(("ended", client_id, VenueStatus.CANCELED, order["executed"]))
                return True
        return False

    def amend(self, client_id: str, price: Decimal | None, quantity: Decimal | None) -> str:
        found = [o for o in self.orders if o["open"] and o["client_id"] == client_id]
        if not found:
            return RejectCode.NOT_OPEN
        (order,) = found
        old = dict(order)
        price = order["price"] if price is None else price
        quantity = order["quantity"] if quantity is None else quantity
        assert price is not None and quantity is not None
        if quantity <= order["executed"]:
            return RejectCode.FILTER
        is_buy, last = order["side"] is Side.BUY, self.price
        takes = price != old["price"] and last is not None
        takes = takes and last is not None and (price >= last if is_buy else price <= last)
        if takes and order["type"] is OrderType.LIMIT_MAKER:
            return RejectCode.WOULD_TAKE
        order["open"] = False  # its own lock does not stand in its way
        rate = self.fees.taker if takes else self.fees.maker
        need = self.need(order["side"], price, quantity - order["executed"], rate)
        if need > self.free("USDT" if is_buy else "XRP"):
            order["open"] = True
            return RejectCode.INSUFFICIENT_BALANCE
        order |= {"open": not takes, "price": price, "quantity": quantity}
        if price != old["price"] or quantity > old["quantity"]:
            self.orders.remove(order)  # the list is in order of priority
            self.orders.append(order)
        if takes:
            assert last is not None
            self.fill(order, quantity - order["executed"], last, is_maker=False)
        return ""

    def walk(self, price: Decimal, volume: Decimal | None) -> None:
        self.price = price
        left = None if volume is None else volume // D("0.1") * D("0.1")
        while left is None or left > 0:
            best = None
            for order in self.orders:
                if self.is_reached(order, price) and (best is None or self.is_before(order, best)):
                    best = order
            if best is None:
                return
            quantity = best["quantity"] - best["executed"]
            if left is not None:
                quantity = min(quantity, left)
                left -= quantity
            self.fill(best, quantity, best["price"], is_maker=True)

    def is_reached(self, order: dict[str, Any], price: Decimal) -> bool:
        past = D("0.5") if self.rule is FillRule.THROUGH else D(0)
        if not order["open"]:
            return False
        if order["side"] is Side.BUY:
            return bool(price <= order["price"] - past)
        return bool(price >= order["price"] + past)

    def is_before(self, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Buys before sells, then the better price; the list itself is in order of priority."""
        if one["side"] is not other["side"]:
            return one["side"] is Side.BUY
        if one["side"] is Side.BUY:
            return bool(one["price"] > other["price"])
        return bool(one["price"] < other["price"])

    def fill(
        self, order: dict[str, Any], quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> None:
        order["executed"] += quantity
        ended = order["executed"] == order["quantity"]
        order["open"] = not ended
        trade = {
            "client_id": order["client_id"],
            "side": order["side"],
            "price": price,
            "quantity": quantity,
            "fee": D(0),
            "fee_asset": "USDT",
            "is_maker": is_maker,
        }
        self.trades.append(trade)
        trade["fee"], trade["fee_asset"] = self.fee(trade)
        self.log.append(("filled", *(trade[name] for name in TRADE_FIELDS)))
        if ended:
            self.log.append(("ended", order["client_id"], VenueStatus.FILLED, order["executed"]))

    def fee(self, trade: dict[str, Any]) -> tuple[Decimal, str]:
        rate = self.fees.maker if trade["is_maker"] else self.fees.taker
        value = trade["quantity"] * trade["price"] * rate
        if self.fees.mode is FeeMode.THIRD:
            token = (value / self.fees.third_price).quantize(D("0.001"), ROUND_HALF_EVEN)
            if token <= self.free("BNB"):
                return token, "BNB"
        if self.fees.mode is not FeeMode.QUOTE and trade["side"] is Side.BUY:
            return (trade["quantity"] * rate).quantize(D("0.001"), ROUND_HALF_EVEN), "XRP"
        return min(value.quantize(D("0.001"), ROUND_HALF_EVEN), self.free("USDT")), "USDT"


TRADE_FIELDS = ("client_id", "side", "price", "quantity", "fee", "fee_asset", "is_maker")


def plain(event: object) -> tuple[Any, ...]:
    if isinstance(event, OrderAccepted):
        return ("accepted", event.client_id, event.order_id)
    if isinstance(event, OrderFilled):
        return ("filled", *(getattr(event.trade, name) for name in TRADE_FIELDS))
    assert isinstance(event, OrderEnded)
    return ("ended", event.client_id, event.status, event.executed)


def code_of(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Accepted) else getattr(outcome, "code", "unknown")


# Most values are sound and crowd around one price, so that orders meet; some are to be refused.
client_ids = st.sampled_from([f"id{n}" for n in range(12)])
prices = st.integers(14, 26).map(lambda n: D(n) / 2)
quantities = st.sampled_from(
    [D(n) / 10 for n in range(10, 80)] + [D("0.1"), D("0.2"), D("0.25"), D(20), D("20.1")]
)
limit_prices = st.sampled_from(
    [D(n) / 2 for n in range(14, 27)] * 3 + [D("0.5"), D(3), D(20), D("10.25"), D("40.5")]
)
placements = st.tuples(
    st.just("place"),
    client_ids,
    st.sampled_from(Side),
    st.sampled_from(OrderType),
    quantities,
    limit_prices,
)
walks = st.tuples(
    st.just("walk"),
    st.one_of(prices, st.integers(600, 1400).map(lambda n: D(n) / 100)),
    st.one_of(st.none(), st.integers(0, 900).map(lambda n: D(n) / 100)),
)
cancels = st.tuples(st.just("cancel"), client_ids)
amendments = st.tuples(
    st.just("amend"),
    client_ids,
    st.one_of(st.none(), prices),
    st.one_of(st.none(), st.integers(1, 90).map(lambda n: D(n) / 10)),
)
# one_of drops repeated choices, so the weights are given by name.
STEPS = {"place": placements, "walk": walks, "cancel": cancels, "amend": amendments}
steps = st.sampled_from(["place"] * 7 + ["walk"] * 3 + ["amend"] * 2 + ["cancel"]).flatmap(
    STEPS.__getitem__
)
actions = st.lists(steps, min_size=20, max_size=40)
fee_schedules = st.builds(
    FeeSchedule,
    maker=st.sampled_from([D(0), D("0.001"), D("0.02"), D("-0.0005")]),
    taker=st.sampled_from([D(0), D("0.001"), D("0.03")]),
    mode=st.sampled_from(FeeMode),
    third_asset=st.just("BNB"),
    third_price=st.sampled_from([D(3), D("0.7")]),
)
openings = st.fixed_dictionaries(
    {
        "USDT": st.sampled_from([D(90), D("200.07"), D(10_000), D(10_000)]),
        "XRP": st.sampled_from([D("3.333"), D(500), D(500)]),
        "BNB": st.sampled_from([D(0), D("0.05"), D(10)]),
    }
)


def act(book: PaperBook, naive: NaiveVenue, action: tuple[Any, ...], time_ms: int) -> None:
    if action[0] == "place":
        _, client_id, side, kind, quantity, price = action
        limit = None if kind is OrderType.MARKET else price
        request = OrderRequest(client_id, SYMBOL, Market.SPOT, side, kind, quantity, limit)
        assert code_of(book.place(request, time_ms)) == naive.place(request)
    elif action[0] == "walk":
        book.walk(SYMBOL, action[1], time_ms, action[2])
        naive.walk(action[1], action[2])
    elif action[0] == "amend":
        _, client_id, price, quantity = action
        outcome = book.amend(SYMBOL, client_id, time_ms, price=price, quantity=quantity)
        assert code_of(outcome) == naive.amend(client_id, price, quantity)
    else:
        assert (code_of(book.cancel(SYMBOL, action[1], time_ms)) == "") is naive.cancel(action[1])


def check_equal(book: PaperBook, naive: NaiveVenue) -> None:
    locked, totals = naive.locked(), naive.totals()
    for balance in book.balances():
        assert balance.locked == locked[balance.asset]
        assert balance.total == totals[balance.asset]
        assert balance.free >= 0
    by_age = sorted(naive.orders, key=lambda order: order["number"])
    assert [(o.client_id, o.price, o.executed) for o in book.open_orders(SYMBOL)] == [
        (o["client_id"], o["price"], o["executed"]) for o in by_age if o["open"]
    ]


@settings(max_examples=250, deadline=None)
@given(actions=actions, fees=fee_schedules, opening=openings, rule=st.sampled_from(FillRule))
def test_the_book_equals_the_naive_venue(
    actions: list[tuple[Any, ...]],
    fees: FeeSchedule,
    opening: dict[str, Decimal],
    rule: FillRule,
) -> None:
    book = PaperBook({SYMBOL: RULES}, opening, fees=fees, fill_rule=rule)
    naive = NaiveVenue(opening, fees, rule)
    for time_ms, action in enumerate(actions):
        act(book, naive, action, time_ms)
        assert [plain(event) for event in book.take_events()] == naive.log
        naive.log.clear()
        check_equal(book, naive)


@settings(max_examples=80, deadline=None)
@given(
    actions=actions,
    fees=fee_schedules,
    opening=openings,
    rule=st.sampled_from(FillRule),
    cut=st.integers(0, 40),
)
def test_a_restart_anywhere_changes_nothing(
    actions: list[tuple[Any, ...]],
    fees: FeeSchedule,
    opening: dict[str, Decimal],
    rule: FillRule,
    cut: int,
) -> None:
    """Records committed step by step, a restart at `cut`, and the rest: the same as no restart."""
    stored: dict[tuple[str, str], str | None] = {}
    book = PaperBook.restore([], {SYMBOL: RULES}, opening, fees=fees, fill_rule=rule)
    naive = NaiveVenue(opening, fees, rule)
    for time_ms, action in enumerate(actions):
        act(book, naive, action, time_ms)
        stored |= {(kind, key): payload for kind, key, payload in book.take_changes()}
        if time_ms == cut:
            records = [(kind, key, payload) for (kind, key), payload in stored.items()]
            again = PaperBook.restore(records, {SYMBOL: RULES}, opening, fees=fees, fill_rule=rule)
            assert again.dump() == book.dump()
            book = again
    check_equal(book, naive)


@settings(max_examples=80, deadline=None)
@given(actions=actions, fees=fee_schedules, opening=openings)
def test_each_asset_changes_by_trades_and_fees_only(
    actions: list[tuple[Any, ...]], fees: FeeSchedule, opening: dict[str, Decimal]
) -> None:
    book = PaperBook({SYMBOL: RULES}, opening, fees=fees)
    naive = NaiveVenue(opening, fees, FillRule.TOUCH)
    for time_ms, action in enumerate(actions):
        act(book, naive, action, time_ms)
    expected = dict(opening)
    for trade in book.trades(SYMBOL):
        sign = 1 if trade.side is Side.BUY else -1
        expected["XRP"] += sign * trade.quantity
        expected["USDT"] -= sign * trade.quote_quantity
        expected[trade.fee_asset] -= trade.fee
    assert {b.asset: b.total for b in book.balances()} == expected

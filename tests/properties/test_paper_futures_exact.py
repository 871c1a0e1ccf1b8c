"""The futures book is exact: wallet and open profit are the cash flows, valued at the mark.

Random histories of orders, walks, marks, funding, transfers and settings, liquidations included.
The other side of each equation is computed here from the trades and payments alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from gridlab.domain.account import FuturesSettings, MarginType, PositionMode
from gridlab.domain.events import OrderEnded
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, VenueStatus
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import Accepted
from gridlab.exchange.paper import FillRule
from gridlab.exchange.paper_figures import IncomeKind
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.grid.ledger import Ledger, Lots
from gridlab.money import exact

D = Decimal
OPENING = D(300)


def rules(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        market=Market.FUTURES,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.03"),
        lot_size=D("0.07"),
        min_notional=D(5),
        min_quantity=D("0.07"),
        max_quantity=D(1_000),
        min_price=D("0.03"),
        max_price=D(1_000),
        max_notional=D(100_000),
        max_num_orders=8,
    )


MARKETS = {symbol: rules(symbol) for symbol in ("XRPUSDT", "COINUSDT")}
symbols = st.sampled_from(sorted(MARKETS))
# Prices around one another, so that orders meet; a deep fall or rise now and then.
prices = st.one_of(st.integers(300, 360), st.integers(300, 360), st.integers(20, 900)).map(
    lambda n: n * D("0.03")
)
quantities = st.integers(1, 900).map(lambda n: n * D("0.07"))
placements = st.tuples(
    st.just("place"),
    symbols,
    st.sampled_from([f"id{n}" for n in range(12)]),
    st.sampled_from(Side),
    st.sampled_from(OrderType),
    quantities,
    prices,
    st.sampled_from([False, False, True]),
)
STEPS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "place": placements,
    "walk": st.tuples(
        st.just("walk"), symbols, prices, st.one_of(st.none(), st.integers(0, 90).map(D))
    ),
    "cancel": st.tuples(st.just("cancel"), symbols, st.sampled_from([f"id{n}" for n in range(12)])),
    "part": st.tuples(
        st.just("part"), symbols, st.sampled_from([f"id{n}" for n in range(12)]), quantities
    ),
    "amend": st.tuples(
        st.just("amend"),
        symbols,
        st.sampled_from([f"id{n}" for n in range(12)]),
        st.one_of(st.none(), prices),
        st.one_of(st.none(), quantities),
        st.one_of(st.none(), st.sampled_from([f"id{n}" for n in range(12)])),
    ),
    "mark": st.tuples(st.just("mark"), symbols, st.one_of(st.none(), prices)),
    "funding": st.tuples(
        st.just("funding"), symbols, st.integers(-375, 375).map(lambda n: D(n) / 100_000)
    ),
    "transfer": st.tuples(st.just("transfer"), st.integers(-500, 500).map(D)),
    "leverage": st.tuples(st.just("leverage"), symbols, st.sampled_from([1, 3, 7, 20, 125])),
    "type": st.tuples(st.just("type"), symbols, st.sampled_from(MarginType)),
    "margin": st.tuples(st.just("margin"), symbols, st.integers(-50, 200).map(D)),
}
WEIGHTS = {"place": 8, "walk": 4, "cancel": 1, "part": 1, "mark": 1, "funding": 1}
WEIGHTS |= {"amend": 2, "transfer": 1, "leverage": 1, "type": 1, "margin": 1}
kinds = st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)])
actions = st.lists(kinds.flatmap(STEPS.__getitem__), min_size=15, max_size=45)
fee_schedules = st.builds(
    FeeSchedule,
    maker=st.sampled_from([D(0), D("0.0002"), D("-0.0001"), D("0.003")]),
    taker=st.sampled_from([D(0), D("0.0005"), D("0.004")]),
    mode=st.just(FeeMode.QUOTE),
)
starts = st.builds(
    FuturesSettings,
    leverage=st.sampled_from([1, 3, 20]),
    margin_type=st.sampled_from(MarginType),
)


def make_book(fees: FeeSchedule, start: FuturesSettings, **options: Any) -> FuturesBook:
    book = FuturesBook(MARKETS, {"USDT": OPENING}, fees=fees, settings=start, **options)
    for symbol in MARKETS:
        book.set_price(symbol, D("9.90"))
    return book


def act(book: FuturesBook, action: tuple[Any, ...], time_ms: int) -> None:
    name, *values = action
    try:
        if name == "place":
            symbol, client_id, side, kind, quantity, price, reduces = values
            limit = None if kind is OrderType.MARKET else price
            book.place(
                OrderRequest(
                    client_id, symbol, Market.FUTURES, side, kind, quantity, limit, reduces
                ),
                time_ms,
            )
        elif name == "walk":
            symbol, price, volume = values
            book.walk(symbol, price, time_ms, volume)
        elif name == "cancel":
            book.cancel(*values, time_ms)
        elif name == "amend":
            symbol, client_id, price, quantity, new_id = values
            book.amend(
                symbol, client_id, time_ms, price=price, quantity=quantity, new_client_id=new_id
            )
        elif name == "part":
            book.fill_part(*values, time_ms)
        elif name == "mark":
            book.set_mark_price(*values, time_ms)
        elif name == "funding":
            symbol, rate = values
            book.pay_funding(symbol, rate, time_ms, f"f{time_ms}")
        elif name == "transfer":
            book.transfer("USDT", values[0], time_ms)
        elif name == "leverage":
            book.set_leverage(*values, time_ms)
        elif name == "type":
            book.set_margin_type(*values, time_ms)
        else:
            book.move_margin(*values, time_ms)
    except (Conflict, InvalidInput):
        event(f"refused: {name}")


def equity_by_cash_flows(book: FuturesBook) -> Decimal:
    """Opening + transfers + signed cash flows + what is held at the mark - fees + funding."""
    total = OPENING
    for symbol in MARKETS:
        held = D(0)
        for trade in book.trades(symbol):
            sign = 1 if trade.side is Side.BUY else -1
            held += sign * trade.quantity
            total -= sign * trade.price * trade.quantity + trade.fee
        total += held * (book.mark_price(symbol) or D(0))
        total += sum((paid.amount for paid in book.funding(symbol)), D(0))
    moved = (i.amount for i in book.incomes() if i.kind is IncomeKind.TRANSFER)
    return total + sum(moved, D(0))


def check_books(book: FuturesBook) -> None:
    wallet = book.wallet("USDT")
    with exact():
        assert wallet.margin_balance == equity_by_cash_flows(book)
        assert wallet.wallet == OPENING + sum((i.amount for i in book.incomes()), D(0))
        isolated = D(0)
        for symbol in MARKETS:
            figures = book.figures(symbol)
            isolated += figures.isolated_wallet
            assert figures.quantity or not (figures.cost or figures.isolated_wallet)
            assert figures.unrealized == figures.quantity * figures.mark_price - figures.cost
            if figures.quantity:
                assert figures.quantity * figures.cost > 0 or figures.cost == 0
            check_orders(book, symbol)
        assert wallet.cross_wallet == wallet.wallet - isolated
        (balance,) = book.balances()
        assert balance.total == wallet.wallet and balance.free >= 0


def check_orders(book: FuturesBook, symbol: str) -> None:
    figures, bids, asks = book.figures(symbol), D(0), D(0)
    for order in book.open_orders(symbol):
        assert order.price is not None
        left = order.price * (order.quantity - order.executed)
        if book.is_reduce_only(order.order_id):
            closing = Side.SELL if figures.quantity > 0 else Side.BUY
            assert figures.quantity and order.side is closing
        elif order.side is Side.BUY:
            bids += left
        else:
            asks += left
    assert (figures.bids, figures.asks) == (bids, asks)


@settings(max_examples=250, deadline=None)
@given(actions=actions, fees=fee_schedules, start=starts, rule=st.sampled_from(FillRule))
def test_wallet_and_open_profit_are_the_cash_flows_at_the_mark(
    actions: list[tuple[Any, ...]], fees: FeeSchedule, start: FuturesSettings, rule: FillRule
) -> None:
    book = make_book(fees, start, fill_rule=rule)
    is_own_mark = False
    for time_ms, action in enumerate(actions):
        act(book, action, time_ms)
        check_books(book)
        is_own_mark |= action[0] == "mark" and action[2] is not None
        if not is_own_mark:  # else one can trade at prices that the margin knows nothing of
            wallet, (balance,) = book.wallet("USDT"), book.balances()
            assert wallet.cross_wallet >= 0 and balance.locked >= 0
    closed = [o for o in book.orders(limit=1000) if o.client_id.startswith("autoclose-")]
    event(f"liquidations: {min(len(closed), 3)}, positions: {len(book.positions())}")
    for order in closed:
        assert order.status is VenueStatus.FILLED and order.executed == order.quantity


@settings(max_examples=120, deadline=None)
@given(actions=actions, fees=fee_schedules, start=starts, cut=st.integers(0, 45))
def test_a_restart_anywhere_changes_nothing(
    actions: list[tuple[Any, ...]], fees: FeeSchedule, start: FuturesSettings, cut: int
) -> None:
    """Records committed step by step and a restart at `cut`: the same as no restart."""
    book, twin = make_book(fees, start, is_tracking=True), make_book(fees, start)
    stored: dict[tuple[str, str], str | None] = {}
    for time_ms, action in enumerate(actions):
        act(book, action, time_ms)
        act(twin, action, time_ms)
        stored |= {(kind, key): payload for kind, key, payload in book.take_changes()}
        if time_ms == cut:
            records = [(kind, key, payload) for (kind, key), payload in stored.items()]
            book.take_events(), book.take_position_changes()
            twin.take_events(), twin.take_position_changes()
            again = FuturesBook.restore(records, MARKETS, {}, fees=fees, settings=start)
            for symbol in MARKETS:  # a price alone is stored with the next change
                again.set_price(symbol, book.price(symbol) or D(0))
            assert sorted(again.dump()) == sorted(book.dump())
            book = again
    assert book.dump() == twin.dump()
    for symbol in MARKETS:
        for number in range(12):
            assert book.query(symbol, f"id{number}") == twin.query(symbol, f"id{number}")
    assert book.take_events() == twin.take_events()
    assert book.take_position_changes() == twin.take_position_changes()
    assert book.wallet("USDT") == twin.wallet("USDT")
    assert [book.figures(s) for s in MARKETS] == [twin.figures(s) for s in MARKETS]


longs = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), prices, quantities),
        st.tuples(st.just("sell"), prices, quantities),
        st.tuples(st.just("walk"), prices, st.one_of(st.none(), st.integers(0, 90).map(D))),
        st.tuples(st.just("funding"), st.integers(-375, 375).map(lambda n: D(n) / 100_000)),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=longs, fees=fee_schedules, leverage=st.sampled_from([1, 2, 10]))
def test_a_grids_ledger_agrees_to_the_last_digit(
    steps: list[tuple[Any, ...]], fees: FeeSchedule, leverage: int
) -> None:
    """Buys open and reduce-only sells close, as a grid does: the ledger's books are the wallet."""
    symbol = "XRPUSDT"
    book = make_book(fees, FuturesSettings(leverage=leverage))
    ledger, lots = Ledger("XRP", "USDT"), Lots()
    seen = 0
    for time_ms, (name, *values) in enumerate(steps):
        if name == "walk":
            book.walk(symbol, values[0], time_ms, values[1])
        elif name == "funding":
            paid = book.pay_funding(symbol, values[0], time_ms, f"f{time_ms}")
            if paid is not None:
                ledger.book_funding(paid.asset, paid.amount)
        else:
            side = Side.BUY if name == "buy" else Side.SELL
            price, quantity = values
            request = OrderRequest(
                f"o{time_ms}",
                symbol,
                Market.FUTURES,
                side,
                OrderType.LIMIT,
                quantity,
                price,
                side is Side.SELL,
            )
            book.place(request, time_ms)
        for trade in book.trades(symbol, seen):
            with exact():
                ledger.book(trade, lots)
            seen = trade.trade_id
        mark = book.mark_price(symbol)
        with exact():
            assert ledger.base_held == book.position(symbol).quantity >= 0
            change = book.wallet("USDT").margin_balance - OPENING
            assert ledger.wallet["USDT"] + ledger.base_held * (mark or D(0)) == change
            assert ledger.residuals() == {}


def test_the_strategies_reach_liquidations_turns_and_expiries() -> None:
    """The histories above would prove little if the rare things never happened in them."""
    from random import Random

    chance, seen = Random(5), set()
    for _ in range(150):
        book = make_book(
            FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE),
            FuturesSettings(20, chance.choice(list(MarginType)), PositionMode.ONE_WAY),
        )
        for time_ms in range(30):
            before = book.position("XRPUSDT").quantity
            side, price = chance.choice(list(Side)), D(chance.randint(300, 360)) * D("0.03")
            request = OrderRequest(
                f"o{time_ms}",
                "XRPUSDT",
                Market.FUTURES,
                side,
                OrderType.LIMIT,
                D(chance.randint(1, 900)) * D("0.07"),
                price,
                chance.random() < 0.3,
            )
            outcome = book.place(request, time_ms)
            seen.add(getattr(outcome, "code", ""))
            book.walk("XRPUSDT", D(chance.randint(280, 380)) * D("0.03"), time_ms)
            if before * book.position("XRPUSDT").quantity < 0:
                seen.add("turned")
            if isinstance(outcome, Accepted) and outcome.report.status is VenueStatus.EXPIRED:
                seen.add("shortened")
            for told in book.take_events():
                if isinstance(told, OrderEnded) and told.status is VenueStatus.EXPIRED:
                    seen.add("expired")
        if any(o.client_id.startswith("autoclose") for o in book.orders(limit=999)):
            seen.add("liquidated")
        check_books(book)
    wanted = {"", "turned", "shortened", "expired", "liquidated", "insufficient_margin"}
    assert wanted | {"reduce_only", "filter"} >= seen >= wanted | {"reduce_only"}, seen

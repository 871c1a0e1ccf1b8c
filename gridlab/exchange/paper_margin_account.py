"""The futures account of the paper venue: what backs an order, and what a fill changes.

One net position a symbol. An isolated position has its initial margin set aside from the wallet,
and gives back its part with everything that is closed; profit and fees go to the wallet. A fee, and
the margin that a fill sets aside, are at most what the wallet has left beside isolated margin. What
open orders tie up is stated in `paper_margin_books`. Knows no matching, no event and no clock; the
book calls it under `money.exact()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.account import PositionMode
from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, Side
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.exchange.paper_figures import IncomeKind
from gridlab.exchange.paper_margin import STEP, initial_margin, opening_notional
from gridlab.exchange.paper_margin_books import MarginBooks
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook
from gridlab.money import ZERO, ceil_to, exact, round_to, text

#: The refusal of an order that names no position side while the account is in hedge mode.
POSITION_SIDE = "position_side"


class MarginAccount:
    """Margin behind orders; satisfies `paper_accounts.AccountModel`.

    Raises:
        InvalidInput: fees in another asset than the margin's.
    """

    market = Market.FUTURES

    def __init__(self, books: MarginBooks, fees: FeeSchedule) -> None:
        if fees.mode is not FeeMode.QUOTE:
            raise InvalidInput(
                f"fees are taken in mode {fees.mode}; a futures account pays them in the margin "
                "asset, use FeeMode.QUOTE"
            )
        self._books = books
        self._fees = fees

    @property
    def has_changes(self) -> bool:
        return self._books.has_changes

    def admit(self, market: SymbolBook, request: OrderRequest, takes: bool) -> Decimal | Rejected:
        """Nothing to lock; or that margin, or a position to reduce, is missing."""
        if self._books.mode is PositionMode.HEDGE:
            return Rejected(
                POSITION_SIDE,
                f"Order's position side does not match user's setting: {request.client_id} names "
                "no position side and the account is in hedge mode; switch to one-way mode",
            )
        position = self._books.positions[request.symbol]
        if request.reduce_only:
            return _reduction_refusal(position, request) or ZERO
        return self._margin_refusal(position, market, request, takes) or ZERO

    def _margin_refusal(
        self, position: PaperPosition, market: SymbolBook, request: OrderRequest, takes: bool
    ) -> Rejected | None:
        value = _worst_price(market, request, takes) * request.quantity
        held = self._books.notional(position)
        bids = position.bids + (value if request.side is Side.BUY else ZERO)
        asks = position.asks + (value if request.side is Side.SELL else ZERO)
        opening = opening_notional(held, bids, asks)
        more = opening - opening_notional(held, position.bids, position.asks)
        if more > 0 and abs(held) + opening > position.bracket.notional_cap:
            return Rejected(
                RejectCode.MARGIN,
                "Exceeded the maximum allowable position at current leverage: it could become "
                f"{text(abs(held) + opening)} and {text(position.bracket.notional_cap)} is the "
                "limit",
            )
        needed = self._books.tied_up(position, bids, asks) - self._books.order_margin(position)
        if takes and more > 0:
            needed += self._cost_of_taking(position, market, request, more)
        if needed <= 0:
            return None
        available = self._books.free(position.asset)
        if needed <= available:
            return None
        return Rejected(
            RejectCode.MARGIN,
            f"Margin is insufficient: the order needs {text(needed)} {position.asset} at leverage "
            f"{position.leverage} and {text(max(available, ZERO))} is available; pay in, or cancel "
            "orders",
        )

    def _cost_of_taking(
        self, position: PaperPosition, market: SymbolBook, request: OrderRequest, opening: Decimal
    ) -> Decimal:
        """What a taker pays beyond a maker, and what it loses at once if the mark is elsewhere."""
        dearer = max(self._fees.taker, ZERO) - max(self._fees.maker, ZERO)
        mark, last = self._books.mark_of_held(position), market.price
        assert last is not None, "nothing takes before there is a price"
        worse = last - mark if request.side is Side.BUY else mark - last
        return ceil_to(max(dearer, ZERO) * opening, STEP) + max(worse, ZERO) * request.quantity

    def lock(self, market: SymbolBook, order: PaperOrder) -> None:
        if order.reduce_only:
            self._books.add_reduce_only(order.order_id)
        self._books.count(order, order.quantity - order.executed)

    def settle(
        self,
        market: SymbolBook,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        *,
        is_maker: bool,
        time_ms: int,
    ) -> tuple[Decimal, str]:
        """Take the fill into the position; book what it realises, and the fee."""
        position = self._books.positions[order.symbol]
        trade_id = len(market.trades) + 1
        self._books.count(order, -quantity)
        realized, opened = position.trade(order.side, quantity, price)
        if realized:
            self._post(time_ms, position, IncomeKind.REALIZED_PNL, realized, trade_id)
        rate = self._fees.maker if is_maker else self._fees.taker
        step = Decimal((0, (1,), -market.instrument.commission_precision))
        fee = round_to(price * quantity * rate, step)
        fee = min(fee, max(self._books.cross_wallet(position.asset), ZERO))
        if fee:
            self._post(time_ms, position, IncomeKind.COMMISSION, -fee, trade_id)
        if position.is_isolated:
            margin = initial_margin(opened, position.leverage)
            position.isolated += min(margin, max(self._books.cross_wallet(position.asset), ZERO))
        self._books.touch(position, time_ms)
        return fee, position.asset

    def _post(
        self,
        time_ms: int,
        position: PaperPosition,
        kind: IncomeKind,
        amount: Decimal,
        trade_id: int,
    ) -> None:
        self._books.post(
            time_ms, position.asset, kind, amount, symbol=position.symbol, trade_id=trade_id
        )

    def release(self, market: SymbolBook, order: PaperOrder) -> None:
        self._books.count(order, order.executed - order.quantity)

    def transfer(self, asset: str, amount: Decimal, time_ms: int) -> None:
        # Open profit backs orders, but it cannot be paid out.
        free = max(min(self._books.free(asset), self._books.cross_wallet(asset)), ZERO)
        if amount < 0 and -amount > free:
            raise Conflict(
                f"{text(-amount)} {asset} cannot be paid out: {text(free)} is not tied up; close "
                "positions, cancel orders or ask for less"
            )
        self._books.post(time_ms, asset, IncomeKind.TRANSFER, amount)

    def set_fees(self, fees: FeeSchedule) -> None:
        self._fees = fees
        self._books.set_maker_rate(fees.maker)

    def balances(self) -> tuple[Balance, ...]:
        """Every wallet: free is what may back new orders, at most the wallet; locked the rest."""
        rows = []
        with exact():
            for asset in sorted(self._books.wallets):
                wallet = self._books.wallets[asset]
                free = max(min(self._books.free(asset), wallet), ZERO)
                rows.append(Balance(asset, free, wallet - free))
        return tuple(rows)

    def take_records(self) -> list[Record]:
        return self._books.take_records()

    def dump(self) -> list[Record]:
        return self._books.dump()

    def load(self, stored: StoredBook, markets: Mapping[str, SymbolBook]) -> None:
        self._books.load(stored)


def _worst_price(market: SymbolBook, request: OrderRequest, takes: bool) -> Decimal:
    """The price at which an order ties up the most; a sell that takes gets more than its limit."""
    if request.price is not None and not (takes and request.side is Side.SELL):
        return request.price
    assert market.price is not None, "nothing takes before there is a price"
    return market.price


def _reduction_refusal(position: PaperPosition, request: OrderRequest) -> Rejected | None:
    reducible, open_already = position.reducible(request.side), position.reducing[request.side]
    if not reducible:
        return Rejected(
            RejectCode.REDUCE_ONLY,
            f"ReduceOnly Order is rejected: the position on {request.symbol} is "
            f"{text(position.quantity)} and a {request.side} reduces nothing of it",
        )
    if open_already >= reducible:
        return Rejected(
            RejectCode.REDUCE_ONLY,
            "ReduceOnly Order Failed. Please check your existing position and open orders: "
            f"{text(open_already)} of {text(reducible)} is reduced by open orders already; cancel "
            "one first",
        )
    return None

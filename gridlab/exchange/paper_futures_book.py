"""`FuturesBook`: the paper book of a USD-M futures account.

Matches as `PaperBook` does; behind the orders stands margin. Beside orders, time brings funding,
mark prices, changed settings and forced closings. Stated, because simulated results hang on it:

* Liquidation: a position whose margin balance is at or below its maintenance margin at the mark is
  closed. On a walk it happens before any resting order that lies beyond the failing price is
  filled. All open orders of the symbol end EXPIRED (crossed: of every crossed symbol of that
  asset), then a reduce-only market order `autoclose-<ms>` closes the position at the mark, or at
  the price that uses up its backing when the mark is beyond that; it pays the taker fee. So no
  wallet falls below zero, unless a mark was set far from the price at which its owner trades.
* Reduce-only orders end EXPIRED when the position that they reduce is closed or turned.
* Funding is `-rate * mark * quantity`, rounded to 8 decimals; out of the isolated margin if any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.account import FuturesSettings, MarginType, Position, PositionMode
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, Trade, VenueStatus
from gridlab.errors import InvalidNumber
from gridlab.exchange import paper_records, paper_settings
from gridlab.exchange.base import Outcome
from gridlab.exchange.paper_accounts import AccountModel
from gridlab.exchange.paper_book import PaperBook
from gridlab.exchange.paper_checks import check_market
from gridlab.exchange.paper_figures import (
    ChangeReason,
    Income,
    IncomeKind,
    PositionChange,
    PositionFigures,
    WalletFigures,
)
from gridlab.exchange.paper_liquidation import failing, forced_price, price_of_liquidation, swept
from gridlab.exchange.paper_margin import STEP, Bracket, entry_price
from gridlab.exchange.paper_margin_account import MarginAccount
from gridlab.exchange.paper_margin_books import MarginBooks
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.exchange.paper_queue import FillRule, PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record
from gridlab.money import ZERO, exact, round_to


class FuturesBook(PaperBook):
    """One account on simulated USD-M symbols.

    Args:
        instruments, fill_rule, is_tracking: as for `PaperBook`.
        balances: the wallets at the start, by margin asset.
        fees: what the venue takes, in the margin asset.
        settings: what every symbol and the account start with.
        brackets: maintenance brackets by symbol; a symbol without one has the default.

    Raises:
        InvalidInput: a spot instrument, fees in another asset, or a leverage out of range.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        balances: Mapping[str, Decimal],
        *,
        fees: FeeSchedule,
        settings: FuturesSettings | None = None,
        brackets: Mapping[str, Bracket] | None = None,
        fill_rule: FillRule = FillRule.TOUCH,
        is_tracking: bool = False,
    ) -> None:
        self.settings = settings or FuturesSettings()
        self._brackets = dict(brackets or {})
        self._books: MarginBooks
        self._position_changes: list[PositionChange] = []
        super().__init__(
            instruments, balances, fees=fees, fill_rule=fill_rule, is_tracking=is_tracking
        )

    def _open_account(self, balances: Mapping[str, Decimal]) -> AccountModel:
        self._books = MarginBooks(
            self._markets,
            balances,
            settings=self.settings,
            brackets=self._brackets,
            maker_rate=self.fees.maker,
        )
        return MarginAccount(self._books, self.fees)

    @classmethod
    def restore(
        cls,
        records: Iterable[Record],
        instruments: Mapping[str, Instrument],
        balances: Mapping[str, Decimal],
        *,
        fees: FeeSchedule,
        fill_rule: FillRule = FillRule.TOUCH,
        settings: FuturesSettings | None = None,
        brackets: Mapping[str, Bracket] | None = None,
    ) -> FuturesBook:
        """The book that `records` hold, with change tracking; a new one when there are none.

        Raises:
            StorageError: the records cannot be read, or do not agree with each other.
        """
        book = cls(
            instruments,
            balances,
            fees=fees,
            settings=settings,
            brackets=brackets,
            fill_rule=fill_rule,
            is_tracking=True,
        )
        book._load(paper_records.read_records(records))
        return book

    # -- orders and the market ------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> Outcome:
        outcome = super().place(request, now_ms)
        self._close_failing(now_ms)
        return outcome

    def fill_part(self, symbol: str, client_id: str, quantity: Decimal, now_ms: int) -> Outcome:
        outcome = super().fill_part(symbol, client_id, quantity, now_ms)
        self._close_failing(now_ms)
        return outcome

    def amend(
        self,
        symbol: str,
        client_id: str,
        now_ms: int,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        new_client_id: str | None = None,
    ) -> Outcome:
        outcome = super().amend(
            symbol,
            client_id,
            now_ms,
            price=price,
            quantity=quantity,
            new_client_id=new_client_id,
        )
        self._close_failing(now_ms)
        return outcome

    def walk(
        self, symbol: str, to_price: Decimal, time_ms: int, volume: Decimal | None = None
    ) -> None:
        super().walk(symbol, to_price, time_ms, volume)
        self._close_failing(time_ms)

    def add_instrument(self, instrument: Instrument) -> None:
        check_market(self.market, instrument)
        self._books.open_position(instrument, self._brackets.get(instrument.symbol))
        super().add_instrument(instrument)

    def set_instrument(self, instrument: Instrument) -> None:
        super().set_instrument(instrument)
        self._books.positions[instrument.symbol].instrument = instrument

    def set_mark_price(self, symbol: str, price: Decimal | None, time_ms: int) -> None:
        """Set the mark price; None lets it follow the last price again.

        Raises:
            InvalidNumber: the price is not above zero.
        """
        position = self._position_of(symbol)
        if price is not None and price <= ZERO:
            raise InvalidNumber(f"{symbol}: mark price {price} must be above zero")
        if price != position.mark:
            position.mark = price
            self._books.touch(position, position.updated_ms)
        self._close_failing(time_ms)

    def pay_funding(
        self, symbol: str, rate: Decimal, time_ms: int, funding_id: str
    ) -> FundingPaid | None:
        """Book one funding payment; None without a position, or when that id is booked already.

        Args:
            rate: fraction of the position's value; when positive, longs pay and shorts receive.
        """
        position = self._position_of(symbol)
        if not position.quantity or self._books.has_funding(symbol, funding_id):
            return None
        with exact():
            amount = -round_to(rate * self._books.notional(position), STEP)
            self._books.post(
                time_ms,
                position.asset,
                IncomeKind.FUNDING_FEE,
                amount,
                symbol=symbol,
                note=funding_id,
            )
            if position.is_isolated:
                position.isolated += amount
                self._books.touch(position, time_ms)
            self._tell(ChangeReason.FUNDING_FEE, position, time_ms, change=amount)
        self._close_failing(time_ms)
        return FundingPaid(time_ms, funding_id, position.asset, amount)

    def transfer(self, asset: str, amount: Decimal, time_ms: int) -> None:
        super().transfer(asset, amount, time_ms)
        reason = ChangeReason.WITHDRAW if amount < 0 else ChangeReason.DEPOSIT
        with exact():
            self._tell(reason, None, time_ms, change=amount, asset=asset)

    # -- settings -------------------------------------------------------------------------------

    @property
    def position_mode(self) -> PositionMode:
        return self._books.mode

    def set_leverage(self, symbol: str, leverage: int, time_ms: int) -> None:
        """Set a symbol's leverage; raises `InvalidInput` or `Conflict` in the exchange's words."""
        position = self._position_of(symbol)
        with exact():
            if paper_settings.change_leverage(self._books, position, leverage, time_ms):
                self._tell(ChangeReason.LEVERAGE_CHANGE, position, time_ms)

    def set_margin_type(self, symbol: str, margin_type: MarginType, time_ms: int) -> None:
        """Set a symbol's margin type; raises `Conflict` while it has orders or a position."""
        position, has_orders = self._position_of(symbol), bool(self._market(symbol).open)
        with exact():
            if paper_settings.change_margin_type(
                self._books, position, margin_type, time_ms, has_orders=has_orders
            ):
                self._tell(ChangeReason.MARGIN_TYPE_CHANGE, position, time_ms)

    def set_position_mode(self, mode: PositionMode) -> None:
        """Switch the account's mode; raises `Conflict` while there are orders or positions."""
        has_orders = any(market.open for market in self._markets.values())
        paper_settings.change_mode(self._books, mode, has_orders=has_orders)

    def move_margin(self, symbol: str, amount: Decimal, time_ms: int) -> None:
        """Move margin to an isolated position, away from it when negative; raises `Conflict`."""
        position = self._position_of(symbol)
        with exact():
            if paper_settings.move_margin(self._books, position, amount, time_ms):
                self._tell(ChangeReason.MARGIN_TRANSFER, position, time_ms, change=-amount)

    # -- reads ----------------------------------------------------------------------------------

    def position(self, symbol: str) -> Position:
        """The net position, its quantity zero when there is none; raises `NotFound`."""
        with exact():
            return self._report(self._position_of(symbol))

    def positions(self) -> tuple[Position, ...]:
        """Every position that is not empty, by symbol."""
        with exact():
            return tuple(self._report(self._books.held[s]) for s in sorted(self._books.held))

    def mark_price(self, symbol: str) -> Decimal | None:
        """The mark price; None before there is a price; raises `NotFound`."""
        return self._books.mark(self._position_of(symbol))

    def figures(self, symbol: str) -> PositionFigures:
        """Position, settings and margins of one symbol; raises `NotFound`."""
        position, books = self._position_of(symbol), self._books
        with exact():
            return PositionFigures(
                symbol=symbol,
                asset=position.asset,
                quantity=position.quantity,
                cost=position.cost,
                entry_price=entry_price(position.quantity, position.cost),
                mark_price=books.mark(position) or ZERO,
                notional=books.notional(position),
                unrealized=books.unrealized(position),
                isolated_wallet=position.isolated,
                position_margin=books.position_margin(position),
                order_margin=books.order_margin(position),
                maintenance_margin=books.maintenance(position),
                liquidation_price=price_of_liquidation(books, position),
                leverage=position.leverage,
                margin_type=position.margin_type,
                bids=position.bids,
                asks=position.asks,
                bracket=position.bracket,
                updated_ms=position.updated_ms,
            )

    def wallet(self, asset: str) -> WalletFigures:
        """One margin asset's wallet and all that rests on it; zeros for one never held."""
        books = self._books
        with exact():
            positions = books.of_asset(asset)
            crossed = [p for p in positions if not p.is_isolated]
            return WalletFigures(
                asset=asset,
                wallet=books.wallets.get(asset, ZERO),
                cross_wallet=books.cross_wallet(asset),
                unrealized=sum((books.unrealized(p) for p in positions), ZERO),
                cross_unrealized=sum((books.unrealized(p) for p in crossed), ZERO),
                position_margin=sum((books.position_margin(p) for p in positions), ZERO),
                order_margin=sum((books.order_margin(p) for p in positions), ZERO),
                maintenance_margin=sum((books.maintenance(p) for p in positions), ZERO),
                available=max(books.free(asset), ZERO),
            )

    def incomes(self, after: int = 0, symbol: str | None = None) -> tuple[Income, ...]:
        """Income rows with a number above `after`, oldest first; of one symbol or of all."""
        rows = self._books.incomes[max(0, after) :]
        return tuple(row for row in rows if symbol is None or row.symbol == symbol)

    def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        """Funding booked on `symbol` after that moment, oldest first."""
        return tuple(
            FundingPaid(row.time_ms, row.note, row.asset, row.amount)
            for row in self.incomes(symbol=symbol)
            if row.kind is IncomeKind.FUNDING_FEE and row.time_ms > after_ms
        )

    def realized(self, symbol: str, trade_id: int) -> Decimal:
        """The profit that a trade realised, before its fee; zero for one that only opened."""
        return self._books.realized(symbol, trade_id)

    def is_reduce_only(self, order_id: str) -> bool:
        """Whether an order, open or ended, may only reduce."""
        return order_id in self._books.reduce_only

    def take_position_changes(self) -> list[PositionChange]:
        """What happened to positions and wallets since the last call; the list is the caller's."""
        changes, self._position_changes = self._position_changes, []
        return changes

    # -- inside ---------------------------------------------------------------------------------

    def _position_of(self, symbol: str) -> PaperPosition:
        self._market(symbol)
        return self._books.positions[symbol]

    def _fillable(self, market: SymbolBook, order: PaperOrder) -> Decimal:
        left = order.quantity - order.executed
        if order.reduce_only:
            left = min(left, self._books.positions[order.symbol].reducible(order.side))
        return left

    def _holds_until(self, market: SymbolBook, price: Decimal) -> bool:
        return not self._books.held or not failing(self._books, market.instrument.symbol, price)

    def _fill(
        self,
        market: SymbolBook,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        time_ms: int,
        *,
        is_maker: bool,
    ) -> None:
        super()._fill(market, order, quantity, price, time_ms, is_maker=is_maker)
        position = self._books.positions[order.symbol]
        self._tell(ChangeReason.ORDER, position, time_ms, trade=market.trades[-1])
        for side in Side:
            if position.reducing[side] and not position.reducible(side):
                needless = [o for o in market.by_age() if o.reduce_only and o.side is side]
                self._expire(market, time_ms, needless)

    def _expire(self, market: SymbolBook, time_ms: int, orders: Iterable[PaperOrder]) -> None:
        for order in orders:
            self._finish(market, order, VenueStatus.EXPIRED, time_ms)

    def _close_failing(self, time_ms: int) -> None:
        """Close every position that no longer covers its maintenance margin."""
        with exact():
            while self._books.held and (failed := failing(self._books)):
                for symbol in swept(self._books, failed):
                    market = self._markets[symbol]
                    self._expire(market, time_ms, market.by_age())
                for symbol in failed:
                    self._close_by_force(self._markets[symbol], time_ms)

    def _close_by_force(self, market: SymbolBook, time_ms: int) -> None:
        position = self._books.positions[market.instrument.symbol]
        quantity, price = abs(position.quantity), forced_price(self._books, position)
        request = OrderRequest(
            f"autoclose-{time_ms}",
            position.symbol,
            Market.FUTURES,
            position.closing_side,
            OrderType.MARKET,
            quantity,
            reduce_only=True,
        )
        order = self._enter(market, request, ZERO, time_ms)
        self._fill(market, order, quantity, price, time_ms, is_maker=False)

    def _report(self, position: PaperPosition) -> Position:
        return Position(
            symbol=position.symbol,
            quantity=position.quantity,
            entry_price=entry_price(position.quantity, position.cost),
            mark_price=self._books.mark(position) or ZERO,
            liquidation_price=price_of_liquidation(self._books, position),
            leverage=position.leverage,
            margin_type=position.margin_type,
            updated_ms=position.updated_ms,
        )

    def _tell(
        self,
        reason: ChangeReason,
        position: PaperPosition | None,
        time_ms: int,
        *,
        change: Decimal = ZERO,
        trade: Trade | None = None,
        asset: str = "",
    ) -> None:
        asset = asset if position is None else position.asset
        symbol = "" if position is None else position.symbol
        self._position_changes.append(
            PositionChange(
                time_ms=time_ms,
                reason=reason,
                symbol=symbol,
                position=None if position is None else self._report(position),
                asset=asset,
                wallet=self._books.wallets[asset],
                cross_wallet=self._books.cross_wallet(asset),
                isolated_wallet=ZERO if position is None else position.isolated,
                change=change,
                trade=trade,
                realized=ZERO if trade is None else self.realized(symbol, trade.trade_id),
            )
        )

"""The books of a paper futures account: wallets, positions, income rows, and sums over them.

Wallets hold one margin asset each; profit, fees and funding of a symbol are in its quote asset. The
mark is the last price unless one was set. Open orders that may open tie up the initial margin, and
the maker fee, of the value by which they can make the position grow in the worse direction;
reduce-only orders, and those that only make a position smaller, tie up nothing. Knows no matching
and no rule of admission. Callers work under `money.exact()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.account import FuturesSettings, PositionMode
from gridlab.domain.market import Balance, Instrument
from gridlab.domain.orders import Side
from gridlab.errors import InvalidInput, StorageError
from gridlab.exchange import paper_futures_records as futures_records
from gridlab.exchange.paper_checks import check_position
from gridlab.exchange.paper_figures import Income, IncomeKind
from gridlab.exchange.paper_margin import STEP, Bracket, initial_margin, opening_notional
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook, balance_record
from gridlab.money import ZERO, ceil_to, parse


class MarginBooks:
    """Everything that a futures account remembers.

    Args:
        markets: every symbol that is listed.
        balances: the wallets at the start, by asset.
        settings: what every symbol starts with.
        brackets: by symbol; a symbol without one has the default.
        maker_rate: what orders that rest will pay.

    Attributes:
        held: positions that are not empty, by symbol.
        reduce_only: order ids of all orders that may only reduce.

    Raises:
        InvalidInput: a leverage that a bracket does not allow.
    """

    def __init__(
        self,
        markets: Mapping[str, SymbolBook],
        balances: Mapping[str, Decimal],
        *,
        settings: FuturesSettings,
        brackets: Mapping[str, Bracket],
        maker_rate: Decimal,
    ) -> None:
        self.mode = settings.position_mode
        self.wallets = {a: parse(n, f"wallet of {a}") for a, n in balances.items()}
        self.positions: dict[str, PaperPosition] = {}
        self.held: dict[str, PaperPosition] = {}
        self.incomes: list[Income] = []
        self.reduce_only: set[str] = set()
        self._markets = markets
        self._maker_rate = max(maker_rate, ZERO)
        self._realized: dict[tuple[str, int], Decimal] = {}
        self._funding_ids: set[tuple[str, str]] = set()
        self._settings = settings
        for symbol, market in markets.items():
            self.open_position(market.instrument, brackets.get(symbol))
        # What is not stored yet; and what was ever stored, so that a dump holds no more than that.
        self._new_wallets = dict.fromkeys(self.wallets)
        self._new_positions: dict[str, None] = {}
        self._new_reduce_only: list[str] = []
        self._stored_incomes = 0
        self._is_mode_new = False
        self._touched: dict[str, None] = {}
        self._is_mode_touched = False

    def open_position(self, instrument: Instrument, bracket: Bracket | None) -> None:
        """Begin the books of a symbol, with an empty position; those that exist stay.

        Raises:
            InvalidInput: the bracket does not allow the account's leverage.
        """
        symbol, settings = instrument.symbol, self._settings
        if symbol not in self.positions:
            bracket = bracket or Bracket()
            check_leverage(settings.leverage, symbol, bracket)
            self.positions[symbol] = PaperPosition(
                instrument, bracket, settings.leverage, settings.margin_type
            )
            self.wallets.setdefault(instrument.quote, ZERO)

    # -- sums -----------------------------------------------------------------------------------

    def mark(self, position: PaperPosition) -> Decimal | None:
        """The mark price: the one that was set, else the last price; None before any."""
        return self._markets[position.symbol].price if position.mark is None else position.mark

    def mark_of_held(self, position: PaperPosition) -> Decimal:
        """The mark price of a position that is not empty, or that an order takes into."""
        mark = self.mark(position)
        assert mark is not None, "what is held was traded, so there is a price"
        return mark

    def notional(self, position: PaperPosition) -> Decimal:
        """Signed value of the position at the mark."""
        return position.quantity * self.mark_of_held(position) if position.quantity else ZERO

    def unrealized(self, position: PaperPosition) -> Decimal:
        """Profit that closing at the mark would realise."""
        return position.unrealized(self.mark_of_held(position)) if position.quantity else ZERO

    def maintenance(self, position: PaperPosition) -> Decimal:
        """Margin below which the position is closed by force."""
        if not position.quantity:
            return ZERO
        return position.bracket.maintenance(abs(self.notional(position)))

    def position_margin(self, position: PaperPosition) -> Decimal:
        """Initial margin of the position at the mark."""
        return initial_margin(abs(self.notional(position)), position.leverage)

    def order_margin(self, position: PaperPosition) -> Decimal:
        """What open orders tie up beyond the position's own margin."""
        return self.tied_up(position, position.bids, position.asks)

    def tied_up(self, position: PaperPosition, bids: Decimal, asks: Decimal) -> Decimal:
        """What open orders of these values tie up beyond the position's own margin."""
        held = self.notional(position)
        opening = opening_notional(held, bids, asks)
        fee = ceil_to(self._maker_rate * opening, STEP)
        if not position.is_isolated or not position.quantity:
            return initial_margin(opening, position.leverage) + fee
        # To turn an isolated position frees what is left of its margin, whatever it is worth.
        growing, turning = (bids, asks) if held > 0 else (asks, bids)
        turned = initial_margin(max(turning - abs(held), ZERO), position.leverage)
        freed = max(position.isolated + self.unrealized(position), ZERO)
        return max(initial_margin(growing, position.leverage), turned - freed) + fee

    def of_asset(self, asset: str) -> list[PaperPosition]:
        """Every symbol's position whose margin is in `asset`, empty ones too."""
        return [p for p in self.positions.values() if p.asset == asset]

    def cross_wallet(self, asset: str) -> Decimal:
        """The wallet without what isolated positions have set aside."""
        isolated = sum((p.isolated for p in self.of_asset(asset)), ZERO)
        return self.wallets.get(asset, ZERO) - isolated

    def free(self, asset: str) -> Decimal:
        """What may back new orders; below zero after losses."""
        left = self.cross_wallet(asset)
        for position in self.of_asset(asset):
            if position.quantity and not position.is_isolated:
                left += self.unrealized(position) - self.position_margin(position)
            if position.bids or position.asks:
                left -= self.order_margin(position)
        return left

    # -- changes --------------------------------------------------------------------------------

    def set_maker_rate(self, maker_rate: Decimal) -> None:
        """Let orders that rest reserve another fee from now on."""
        self._maker_rate = max(maker_rate, ZERO)

    def count(self, order: PaperOrder, quantity: Decimal) -> None:
        """Add to the sums of open orders, or take off them; a market order never rests."""
        if order.price is None:
            return
        position = self.positions[order.symbol]
        if order.reduce_only:
            position.reducing[order.side] += quantity
        elif order.side is Side.BUY:
            position.bids += order.price * quantity
        else:
            position.asks += order.price * quantity

    def post(
        self,
        time_ms: int,
        asset: str,
        kind: IncomeKind,
        amount: Decimal,
        *,
        symbol: str = "",
        trade_id: int | None = None,
        note: str = "",
    ) -> None:
        """Change a wallet, with an income row that says why."""
        number = len(self.incomes) + 1
        self.incomes.append(Income(number, time_ms, symbol, kind, asset, amount, trade_id, note))
        self.wallets[asset] = self.wallets.get(asset, ZERO) + amount
        self._new_wallets[asset] = None
        if kind is IncomeKind.REALIZED_PNL and trade_id is not None:
            self._realized[symbol, trade_id] = amount
        elif kind is IncomeKind.FUNDING_FEE:
            self._funding_ids.add((symbol, note))

    def has_funding(self, symbol: str, funding_id: str) -> bool:
        """Whether a funding payment of this id is booked."""
        return (symbol, funding_id) in self._funding_ids

    def realized(self, symbol: str, trade_id: int) -> Decimal:
        """The profit that one trade realised, before its fee; zero for one that only opened."""
        return self._realized.get((symbol, trade_id), ZERO)

    def touch(self, position: PaperPosition, time_ms: int) -> None:
        """Remember that a position or its settings changed."""
        position.updated_ms = time_ms
        self._new_positions[position.symbol] = None
        self._touched[position.symbol] = None
        if position.quantity:
            self.held[position.symbol] = position
        else:
            self.held.pop(position.symbol, None)

    def set_mode(self, mode: PositionMode) -> None:
        self.mode = mode
        self._is_mode_new = self._is_mode_touched = True

    def add_reduce_only(self, order_id: str) -> None:
        if order_id not in self.reduce_only:
            self.reduce_only.add(order_id)
            self._new_reduce_only.append(order_id)

    # -- records --------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether anything changed since `take_records`."""
        return bool(self._new_wallets or self._new_positions or self._is_mode_new)

    def take_records(self) -> list[Record]:
        """The records of what changed since the last call."""
        records = [self._wallet_record(asset) for asset in self._new_wallets]
        records += [
            futures_records.position_record(self.positions[symbol])
            for symbol in self._new_positions
        ]
        records += [futures_records.income_record(i) for i in self.incomes[self._stored_incomes :]]
        records += [futures_records.reduce_only_record(i) for i in self._new_reduce_only]
        if self._is_mode_new:
            records.append(futures_records.mode_record(self.mode))
        self._forget_changes()
        return records

    def dump(self) -> list[Record]:
        """Everything as records, in a fixed order."""
        records = [self._wallet_record(asset) for asset in sorted(self.wallets)]
        records += [
            futures_records.position_record(self.positions[symbol])
            for symbol in sorted(self._touched)
        ]
        records += [futures_records.income_record(income) for income in self.incomes]
        records += [
            futures_records.reduce_only_record(order_id)
            for order_id in sorted(self.reduce_only, key=int)
        ]
        if self._is_mode_touched:
            records.append(futures_records.mode_record(self.mode))
        return records

    def load(self, stored: StoredBook) -> None:
        """Become what is stored; the orders and trades are in their markets already.

        Raises:
            StorageError: the records do not agree with each other.
        """
        account = futures_records.read_account(stored.others)
        self.wallets = {asset: balance.total for asset, balance in stored.balances.items()}
        self.incomes = account.incomes
        self.reduce_only = account.reduce_only
        if account.mode is not None:
            self.mode, self._is_mode_touched = account.mode, True
        for symbol, values in account.positions.items():
            position = self.positions.get(symbol)
            if position is None:
                if not values.quantity:
                    continue  # its settings alone hold nothing
                raise StorageError(
                    f"the venue's records hold a position on {symbol}, which is not among its "
                    "instruments; start with the same symbols"
                )
            values.put_into(position)
            self._touched[symbol] = None
        self._after_load()

    def _after_load(self) -> None:
        for income in self.incomes:
            if income.kind is IncomeKind.REALIZED_PNL and income.trade_id is not None:
                self._realized[income.symbol, income.trade_id] = income.amount
            elif income.kind is IncomeKind.FUNDING_FEE:
                self._funding_ids.add((income.symbol, income.note))
        for symbol, position in self.positions.items():
            market = self._markets[symbol]
            for order in market.open.values():
                order.reduce_only = order.order_id in self.reduce_only
                self.count(order, order.quantity - order.executed)
            realized = sum((self.realized(symbol, t.trade_id) for t in market.trades), ZERO)
            check_position(position, market.trades, realized)
        self.held = {symbol: p for symbol, p in self.positions.items() if p.quantity}
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._new_wallets.clear()
        self._new_positions.clear()
        self._new_reduce_only.clear()
        self._stored_incomes = len(self.incomes)
        self._is_mode_new = False

    def _wallet_record(self, asset: str) -> Record:
        return balance_record(Balance(asset, self.wallets[asset]))


def check_leverage(leverage: int, symbol: str, bracket: Bracket) -> None:
    """Return when a symbol may have this leverage; else raise `InvalidInput`."""
    if not 1 <= leverage <= bracket.max_leverage:
        raise InvalidInput(
            f"Leverage {leverage} is not valid: {symbol} allows 1 to {bracket.max_leverage}"
        )

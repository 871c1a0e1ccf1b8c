"""`AccountClient`: the documented verbs of the Binance client, for both markets of one account.

One call, one thing, in the names that people know: orders, positions, balances, prices, transfers.
Grids do not go this way: their orders are journalled before they leave. What is placed here has a
client id that no grid owns, so every grid leaves it alone.

A transfer moves money between the account's own wallets. It works only where it was switched on,
and only after whoever keeps the audit has taken the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import TypeAlias, TypeVar

from gridlab.clock import iso
from gridlab.domain.account import Position
from gridlab.domain.market import Balance, Interval, Kline, Market, Ticker
from gridlab.domain.orders import CLIENT_ID_PREFIX, OrderReport, OrderRequest, OrderType, Side
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidInput
from gridlab.exchange.base import Outcome, RejectCode, Rejected
from gridlab.exchange.binance.account import BinanceAccount
from gridlab.exchange.binance.endpoints import TESTNET
from gridlab.exchange.binance.fields import record, whole
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.routes import TRANSFER
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import Done
from gridlab.money import ONE, ZERO, Number, parse, rounding, text

#: The documented directions, and what the venue calls them.
_DIRECTIONS = {"1": "MAIN_UMFUTURE", "2": "UMFUTURE_MAIN"}
_USDT = "USDT"
_E = TypeVar("_E", Side, OrderType, Interval)


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """One asset in one wallet; `usdt_value` is None where no price in USDT exists."""

    asset: str
    free: Decimal
    locked: Decimal
    total: Decimal
    usdt_value: Decimal | None


@dataclass(frozen=True, slots=True)
class SpotBalance:
    """The spot wallet; `error` tells in words why it could not be read, and it is empty then."""

    balances: tuple[AssetBalance, ...]
    total_usdt: Decimal
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FuturesBalance:
    """The futures wallet, in USDT: all of it, with open profit, and free for new orders."""

    balances: tuple[AssetBalance, ...]
    total_usdt: Decimal
    margin_balance: Decimal
    available_balance: Decimal
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Both wallets at one moment."""

    spot: SpotBalance
    futures: FuturesBalance
    timestamp: str


@dataclass(frozen=True, slots=True)
class TransferEntry:
    """What the audit is told of a transfer: once before it leaves, once when it is answered.

    Args:
        state: `asked`, then `accepted`, `rejected` or `unknown`.
        transfer_id: the venue's own, once it has accepted.
    """

    time_ms: int
    asset: str
    amount: Decimal
    transfer_type: str
    state: str
    reason: str = ""
    transfer_id: int | None = None


Audit: TypeAlias = Callable[[TransferEntry], None]


class AccountClient:
    """The verbs over a spot and a futures account.

    Args:
        allow_transfers: whether `transfer_between_markets` works at all.
        audit: takes each entry about a transfer; needed where transfers are allowed. If it raises,
            nothing is sent.

    Raises:
        InvalidInput: transfers without an audit.
    """

    def __init__(
        self,
        spot: BinanceSpot,
        futures: BinanceFutures,
        *,
        allow_transfers: bool = False,
        audit: Audit | None = None,
    ) -> None:
        if allow_transfers and audit is None:
            raise InvalidInput("transfers are allowed only with an audit that takes their entries")
        self._spot = spot
        self._futures = futures
        self._audit = audit if allow_transfers else None
        self._number = count(1)

    # -- futures ---------------------------------------------------------------------------------

    async def place_futures_order(
        self,
        symbol: str,
        side: str,
        order_type: str,
        quantity: Number,
        price: Number | None = None,
        *,
        reduce_only: bool = False,
    ) -> Outcome:
        """Send one order to USD-M futures; raises `InvalidInput` for one that cannot be written."""
        made = self._request(Market.FUTURES, symbol, side, order_type, quantity, price, reduce_only)
        return await self._futures.place(made)

    async def cancel_futures_order(self, symbol: str, orderId: int | str) -> Outcome:
        """End one order by the venue's number."""
        return await _cancel(self._futures, symbol, orderId)

    async def get_futures_order_status(self, symbol: str, orderId: int | str) -> OrderReport | None:
        """What the venue knows of one order; None when it knows none."""
        return await self._futures.find_order(symbol, _number(orderId))

    async def get_futures_positions(self) -> tuple[Position, ...]:
        """Every position that is open."""
        return await self._futures.positions()

    async def get_futures_position_info(self, symbol: str) -> Position:
        """One symbol's position, its quantity zero when there is none."""
        return await self._futures.position(symbol)

    async def get_futures_ticker(self, symbol: str) -> Ticker:
        """The rolling 24 h window."""
        return await self._futures.public.ticker(symbol)

    async def get_futures_klines(
        self, symbol: str, interval: str, limit: int = 500
    ) -> tuple[Kline, ...]:
        """The last candles, oldest first."""
        return await self._futures.public.klines(symbol, _interval(interval), limit)

    # -- spot ------------------------------------------------------------------------------------

    async def place_spot_order(
        self,
        symbol: str,
        side: str,
        order_type: str,
        quantity: Number,
        price: Number | None = None,
    ) -> Outcome:
        """Send one order to spot; raises `InvalidInput` for one that cannot be written."""
        made = self._request(Market.SPOT, symbol, side, order_type, quantity, price, False)
        return await self._spot.place(made)

    async def cancel_spot_order(self, symbol: str, orderId: int | str) -> Outcome:
        """End one order by the venue's number."""
        return await _cancel(self._spot, symbol, orderId)

    async def get_spot_order_status(self, symbol: str, orderId: int | str) -> OrderReport | None:
        """What the venue knows of one order; None when it knows none."""
        return await self._spot.find_order(symbol, _number(orderId))

    async def get_spot_ticker(self, symbol: str) -> Ticker:
        """The rolling 24 h window."""
        return await self._spot.public.ticker(symbol)

    async def get_spot_klines(
        self, symbol: str, interval: str, limit: int = 500
    ) -> tuple[Kline, ...]:
        """The last candles, oldest first."""
        return await self._spot.public.klines(symbol, _interval(interval), limit)

    # -- balances --------------------------------------------------------------------------------

    async def get_spot_account_balance(self) -> SpotBalance:
        """The spot wallet with values in USDT; what cannot be read is told in `error`."""
        try:
            found = _valued(await self._spot.balances(), await self._spot.public.prices())
        except ExchangeUnavailable as error:
            return SpotBalance((), ZERO, str(error))
        return SpotBalance(found, _sum(found))

    async def get_futures_account_balance(self) -> FuturesBalance:
        """The futures wallet with values in USDT; what cannot be read is told in `error`."""
        try:
            funds = await self._futures.funds()
            prices = await self._spot.public.prices()
        except ExchangeUnavailable as error:
            return FuturesBalance((), ZERO, ZERO, ZERO, str(error))
        found = _valued([wallet.as_balance() for wallet in funds.wallets], prices)
        return FuturesBalance(found, _sum(found), funds.margin_balance, funds.available)

    async def get_account_balance(self) -> AccountBalance:
        """Both wallets."""
        spot, futures = (
            await self.get_spot_account_balance(),
            await self.get_futures_account_balance(),
        )
        return AccountBalance(spot, futures, iso(self._spot.venue_now_ms()))

    # -- transfers -------------------------------------------------------------------------------

    async def transfer_between_markets(
        self, asset: str, amount: Number, transfer_type: str
    ) -> TransferEntry:
        """Move `amount` of `asset` between the account's wallets and return what became of it.

        An `unknown` one may have happened: compare the balances before it is asked for again.

        Args:
            transfer_type: '1' from spot to futures, '2' from futures to spot.

        Raises:
            Conflict: transfers are not switched on, or this venue has none.
            InvalidInput: another direction, or an amount that is not above zero.
        """
        audit = self._audit
        if audit is None:
            raise Conflict(
                "transfers are switched off; build the client with allow_transfers=True and audit"
            )
        wanted = _DIRECTIONS.get(str(transfer_type))
        if wanted is None:
            raise InvalidInput(
                f"transfer_type is {transfer_type!r}; '1' is spot to futures, '2' futures to spot"
            )
        exact = parse(amount, "amount")
        if exact <= ZERO:
            raise InvalidInput(f"amount is {exact}; it must be above zero")
        if self._spot.endpoints.rest_spot == TESTNET.rest_spot:
            raise Conflict("the test network has no wallet service; fund each market at its site")

        def entry(state: str, reason: str = "", number: int | None = None) -> TransferEntry:
            now_ms = self._spot.venue_now_ms()
            return TransferEntry(now_ms, asset, exact, str(transfer_type), state, reason, number)

        audit(entry("asked"))
        params = {"type": wanted, "asset": asset, "amount": text(exact)}
        change = await self._spot.transport.change(TRANSFER, params)
        if isinstance(change, Done):
            try:
                number = whole(record(change.payload, "transfer"), "tranId", "transfer")
                made = entry("accepted", number=number)
            except ExchangeUnavailable as error:
                made = entry("unknown", str(error))
        else:
            state = "rejected" if isinstance(change, Rejected) else "unknown"
            made = entry(state, change.reason)
        audit(made)
        return made

    # -- inside ----------------------------------------------------------------------------------

    def _request(
        self,
        market: Market,
        symbol: str,
        side: str,
        order_type: str,
        quantity: Number,
        price: Number | None,
        reduce_only: bool,
    ) -> OrderRequest:
        moment = self._spot.venue_now_ms()
        client_id = f"manual-{moment}-{next(self._number)}"
        assert not client_id.startswith(f"{CLIENT_ID_PREFIX}-"), "no grid's id"
        return OrderRequest(
            client_id=client_id,
            symbol=symbol,
            market=market,
            side=_member(Side, side, "side"),
            type=_member(OrderType, order_type, "order_type"),
            quantity=parse(quantity, "quantity"),
            price=None if price is None else parse(price, "price"),
            reduce_only=reduce_only,
        )


async def _cancel(account: BinanceAccount, symbol: str, order_id: int | str) -> Outcome:
    try:
        report = await account.find_order(symbol, _number(order_id))
    except ExchangeUnavailable as error:
        return Rejected(RejectCode.NOT_SENT, f"not sent: {error}")
    if report is None:
        return Rejected(RejectCode.NOT_OPEN, f"the venue knows no order {order_id} on {symbol}")
    return await account.cancel_by_number(symbol, report.order_id, report.client_id)


def _number(order_id: int | str) -> str:
    said = str(order_id)
    if not (said.isascii() and said.isdigit()):
        raise InvalidInput(f"orderId is {order_id!r}; the venue's whole number is meant")
    return said


def _interval(said: str) -> Interval:
    return _member(Interval, said, "interval")


def _member(kind: type[_E], said: str, name: str) -> _E:
    try:
        return kind(said.lower())
    except ValueError:
        raise InvalidInput(
            f"{name} is {said!r}; one of {', '.join(member.value for member in kind)} is meant"
        ) from None


def _valued(
    balances: tuple[Balance, ...] | list[Balance], prices: Mapping[str, Decimal]
) -> tuple[AssetBalance, ...]:
    found = []
    with rounding():
        for held in balances:
            price = _price(held.asset, prices)
            value = None if price is None else held.total * price
            found.append(AssetBalance(held.asset, held.free, held.locked, held.total, value))
    return tuple(found)


def _price(asset: str, prices: Mapping[str, Decimal]) -> Decimal | None:
    return ONE if asset == _USDT else prices.get(f"{asset}{_USDT}")


def _sum(balances: tuple[AssetBalance, ...]) -> Decimal:
    with rounding():
        return sum((held.usdt_value or ZERO for held in balances), ZERO)

"""`BinanceFutures`: the requests of one account on Binance's USD-M futures.

One-way position mode only: the account's mode is asserted and never changed from here, because it
binds every symbol and other people's bots too. Margin type and leverage are set for each symbol.
"""

from __future__ import annotations

from gridlab.domain.account import FuturesSettings, MarginType, Position, PositionMode
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Balance, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, OrderType
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidConfig
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.exchange.binance import account_mapping
from gridlab.exchange.binance.account import BinanceAccount, Permissions
from gridlab.exchange.binance.account_mapping import FuturesFunds, SymbolSettings
from gridlab.exchange.binance.fields import flag, named, record, rows, whole
from gridlab.exchange.binance.key_rights import key_rights
from gridlab.exchange.binance.public import PAGE, RULES_MS
from gridlab.exchange.binance.routes import (
    ACCOUNT_CONFIG,
    CLOSE_LISTEN_KEY,
    INCOME,
    KEEP_LISTEN_KEY,
    POSITION,
    SET_LEVERAGE,
    SET_MARGIN_TYPE,
    START_LISTEN_KEY,
    SYMBOL_CONFIG,
)
from gridlab.exchange.binance.transport import Change, Done, SignedTransport
from gridlab.exchange.silence import Silence
from gridlab.money import ZERO, text

DAY_MS = 86_400_000
#: The venue keeps trades and income for three months.
KEPT_MS = 89 * DAY_MS
#: How long leverage and margin type that were read may be told beside a position.
SETTINGS_MS = 60_000

#: Refusals that say nothing about the setting: asked again later, it may well be taken.
_PASSING = (RejectCode.NOT_SENT, "-1003", "-1008", "-1016", "403", "503", RejectCode.CLOCK)
_MARGIN_NAMES = {MarginType.CROSSED: "CROSSED", MarginType.ISOLATED: "ISOLATED"}


class BinanceFutures(BinanceAccount):
    """A USD-M account; post-only orders are `LIMIT` with time in force `GTX`.

    Args:
        settings: what every symbol is traded under.

    Raises:
        InvalidConfig: settings that grids cannot be traded under.
    """

    trades_window_ms = 7 * DAY_MS

    def __init__(
        self,
        transport: SignedTransport,
        settings: FuturesSettings | None = None,
        *,
        rules_ms: int = RULES_MS,
    ) -> None:
        super().__init__(transport, Market.FUTURES, rules_ms=rules_ms)
        self.settings = settings or FuturesSettings()
        if self.settings.position_mode is not PositionMode.ONE_WAY:
            raise InvalidConfig("hedge mode is asked for; grids are traded in one-way mode only")
        if not 1 <= self.settings.leverage <= 125:
            raise InvalidConfig(f"leverage is {self.settings.leverage}; 1 to 125 is possible")
        self._known: dict[str, tuple[int, SymbolSettings]] = {}

    # -- settings --------------------------------------------------------------------------------

    async def prepare(self, symbol: str) -> None:
        """Set margin type and leverage of `symbol` where they differ, and assert the result.

        Raises:
            Conflict: hedge mode, or the venue refuses a setting; with the remedy.
            ExchangeUnavailable: the venue could not be asked; asking again does no harm.
        """
        await self._assert_one_way(symbol)
        now = await self._settings(symbol)
        if now.margin_type is not self.settings.margin_type:
            wanted = _MARGIN_NAMES[self.settings.margin_type]
            params = {"symbol": symbol, "marginType": wanted}
            self._check(
                await self._transport.change(SET_MARGIN_TYPE, params),
                f"the margin type of {symbol} cannot be set to {wanted}",
                "close the symbol's position and orders, leave multi-assets mode, and start again",
            )
        if now.leverage != self.settings.leverage:
            params = {"symbol": symbol, "leverage": str(self.settings.leverage)}
            self._check(
                await self._transport.change(SET_LEVERAGE, params),
                f"the leverage of {symbol} cannot be set from {now.leverage} to "
                f"{self.settings.leverage}",
                "close the symbol's position, or configure a leverage that the venue allows",
            )
        if difference := await self.mismatch(symbol):
            raise Conflict(f"{difference}; set it at the exchange and start again")

    async def mismatch(self, symbol: str) -> str:
        """How the account's settings differ from those assumed, in words; empty when they agree."""
        found = []
        if hedge := await self._hedge_words(symbol):
            found.append(hedge)
        now, wanted = await self._settings(symbol), self.settings
        if now.margin_type is not wanted.margin_type:
            found.append(f"{symbol} has {now.margin_type} margin, {wanted.margin_type} is assumed")
        if now.leverage != wanted.leverage:
            found.append(f"{symbol} has leverage {now.leverage}, {wanted.leverage} is assumed")
        return "; ".join(found)

    # -- positions and money ---------------------------------------------------------------------

    async def position(self, symbol: str) -> Position:
        """The net position with the venue's own liquidation price."""
        known = self._known.get(symbol)
        now_ms = self._transport.clock.now_ms()
        if known is None or not 0 <= now_ms - known[0] < SETTINGS_MS:
            settings = await self._settings(symbol)
        else:
            settings = known[1]
        payload = await self.ask_about(symbol, POSITION)
        found = account_mapping.position(payload, symbol, settings, ZERO, self.venue_now_ms())
        if found.mark_price > ZERO:
            return found
        mark = await self.public.mark_price(symbol)
        return account_mapping.position(payload, symbol, settings, mark.value, mark.time_ms)

    async def positions(self) -> tuple[Position, ...]:
        """Every net position that is not zero, by symbol."""
        payload = await self._transport.ask(POSITION, {})
        held = sorted(
            {
                named(record(row, "positionRisk"), "symbol", "positionRisk")
                for row in rows(payload, "positionRisk")
            }
        )
        found = [
            account_mapping.position(
                payload, symbol, await self._settings(symbol), ZERO, self.venue_now_ms()
            )
            for symbol in held
        ]
        return tuple(position for position in found if position.quantity)

    async def balances(self) -> tuple[Balance, ...]:
        """The wallets: free is what new orders may use, locked the rest."""
        return account_mapping.futures_balances(await self._transport.ask(self._routes.account, {}))

    async def funds(self) -> FuturesFunds:
        """The wallets, by asset name, and the margin that the venue counts."""
        return account_mapping.futures_funds(await self._transport.ask(self._routes.account, {}))

    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        """Funding booked on `symbol` after that moment, oldest first; weight 30 a question.

        The venue keeps three months; what is older is not told.
        """
        start_ms = max(after_ms + 1, self.venue_now_ms() - KEPT_MS)
        found: dict[str, FundingPaid] = {}
        while True:
            params = {
                "incomeType": "FUNDING_FEE",
                "startTime": str(start_ms),
                "limit": str(PAGE),
            }
            payload = await self.ask_about(symbol, INCOME, params)
            page = account_mapping.funding(payload, symbol)
            found.update((paid.funding_id, paid) for paid in page if paid.time_ms > after_ms)
            if len(rows(payload, "income")) < PAGE or not page or page[-1].time_ms <= start_ms:
                break
            start_ms = page[-1].time_ms  # rows of the same moment may go on
        return tuple(sorted(found.values(), key=lambda p: (p.time_ms, int(p.funding_id))))

    async def fees(self, symbol: str) -> FeeSchedule:
        """The account's own rates on `symbol`, paid in quote."""
        return account_mapping.futures_fees(await self.ask_about(symbol, self._routes.fees))

    async def permissions(self) -> Permissions:
        """What the account and, where the venue tells, the key may do on futures."""
        where = "accountConfig"
        config = record(await self._transport.ask(ACCOUNT_CONFIG, {}), where)
        can_trade = flag(config, "canTrade", where)
        is_hedged = flag(config, "dualSidePosition", where)
        words = (
            f"the account may {'' if can_trade else 'NOT '}trade USD-M futures",
            f"position mode is {'HEDGE; switch to one-way' if is_hedged else 'one-way'}",
        )
        key = await key_rights(self._transport)
        if isinstance(key, str):
            return Permissions(can_trade, None, None, (*words, key))
        return Permissions(
            can_trade and key.may_trade_futures,
            key.may_withdraw,
            key.is_ip_restricted,
            (*words, *key.words()),
        )

    # -- the user stream's key -------------------------------------------------------------------

    @property
    def silence(self) -> Silence:
        """When the venue may be spoken to again, by whatever means."""
        return self._transport.silence(self.market)

    async def start_listen_key(self) -> str:
        """A key for the user stream, good for an hour; the same one while it is active.

        Raises:
            ExchangeUnavailable: the venue gave none.
        """
        change = await self._transport.change(START_LISTEN_KEY, {})
        if not isinstance(change, Done):
            raise ExchangeUnavailable(f"no listenKey: {change.reason}")
        return named(record(change.payload, "listenKey"), "listenKey", "listenKey")

    async def keep_listen_key(self) -> bool:
        """Make the key good for another hour; False when it is gone and a new one is needed.

        Raises:
            ExchangeUnavailable: not known; ask again soon.
        """
        change = await self._transport.change(KEEP_LISTEN_KEY, {})
        if isinstance(change, Done):
            return True
        if isinstance(change, Rejected) and change.code == "-1125":
            return False
        raise ExchangeUnavailable(f"the listenKey was not kept: {change.reason}")

    async def close_listen_key(self) -> None:
        """End the user stream; a key that is gone already is none the worse."""
        await self._transport.change(CLOSE_LISTEN_KEY, {})

    # -- inside ----------------------------------------------------------------------------------

    def _order_params(self, request: OrderRequest) -> dict[str, str]:
        is_market = request.type is OrderType.MARKET
        params = {"type": "MARKET" if is_market else "LIMIT"}
        if request.price is not None:
            params["price"] = text(request.price)
            params["timeInForce"] = "GTX" if request.type is OrderType.LIMIT_MAKER else "GTC"
        if request.reduce_only:
            params["reduceOnly"] = "true"
        return params

    async def _newest_trade(self, symbol: str) -> tuple[int, int] | None:
        """Backwards by weeks: a question without times is answered with the week's oldest."""
        end_ms = self.venue_now_ms() + DAY_MS
        for _ in range(KEPT_MS // self.trades_window_ms + 1):
            start_ms = end_ms - self.trades_window_ms + 1
            span = {"startTime": str(start_ms), "endTime": str(end_ms)}
            page = await self._trade_page(symbol, span, PAGE)
            while len(page) == PAGE:
                further = await self._trade_page(symbol, {"fromId": str(page[-1][0] + 1)}, PAGE)
                if not further:
                    break
                page = further
            if page:
                return page[-1][0], whole(page[-1][1], "time", "futures trades")
            end_ms = start_ms - 1
        return None

    async def _settings(self, symbol: str) -> SymbolSettings:
        payload = await self.ask_about(symbol, SYMBOL_CONFIG)
        found = account_mapping.symbol_settings(payload, symbol)
        self._known[symbol] = (self._transport.clock.now_ms(), found)
        return found

    async def _hedge_words(self, symbol: str) -> str:
        """Why one-way mode cannot be assumed; empty when it can."""
        where = "accountConfig"
        config = record(await self._transport.ask(ACCOUNT_CONFIG, {}), where)
        if not flag(config, "dualSidePosition", where):
            return ""
        sides = account_mapping.hedged_sides(await self.ask_about(symbol, POSITION), symbol)
        held = f" and holds {' and '.join(sides)} of {symbol}" if sides else ""
        return f"the account is in hedge mode{held}, one-way mode is assumed"

    async def _assert_one_way(self, symbol: str) -> None:
        if words := await self._hedge_words(symbol):
            raise Conflict(
                f"{words}; close all positions and orders, switch the position mode to one-way at "
                "the exchange, and start again"
            )

    def _check(self, change: Change, what: str, remedy: str) -> None:
        if isinstance(change, Done):
            return
        if isinstance(change, Rejected) and change.code not in _PASSING:
            raise Conflict(f"{what} ({change.code}: {change.reason}); {remedy}")
        raise ExchangeUnavailable(f"{what}: {change.reason}; try again")

"""`BinanceSpot`: the requests of one account on Binance's spot market."""

from __future__ import annotations

from gridlab.domain.market import Balance, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, OrderType
from gridlab.exchange.binance import account_mapping
from gridlab.exchange.binance.account import BinanceAccount, Permissions
from gridlab.exchange.binance.fields import flag, record, whole
from gridlab.exchange.binance.public import RULES_MS
from gridlab.exchange.binance.routes import KEY_RESTRICTIONS
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.money import text


class BinanceSpot(BinanceAccount):
    """A spot account. Post-only orders are `LIMIT_MAKER`, which the venue refuses to let take.

    Self-trade prevention is left to the symbol's own default.
    """

    trades_window_ms = 86_400_000

    def __init__(self, transport: SignedTransport, *, rules_ms: int = RULES_MS) -> None:
        super().__init__(transport, Market.SPOT, rules_ms=rules_ms)

    async def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name, without what it does not."""
        return account_mapping.spot_balances(await self._transport.ask(self._routes.account, {}))

    async def fees(self, symbol: str) -> FeeSchedule:
        """The account's own rates on `symbol`, as if paid in what is received."""
        return account_mapping.spot_fees(await self.ask_about(symbol, self._routes.fees))

    async def permissions(self) -> Permissions:
        """What the account and, on the real exchange, the key may do."""
        where = "spot account"
        account = record(await self._transport.ask(self._routes.account, {}), where)
        can_trade, can_withdraw = (flag(account, n, where) for n in ("canTrade", "canWithdraw"))
        words = [f"the account may {'' if can_trade else 'NOT '}trade on spot"]
        is_restricted: bool | None = None
        if self.endpoints.is_production:  # the test network has no wallet service
            where = "apiRestrictions"
            key = record(await self._transport.ask(KEY_RESTRICTIONS, {}), where)
            can_trade = can_trade and flag(key, "enableSpotAndMarginTrading", where)
            can_withdraw = flag(key, "enableWithdrawals", where)
            is_restricted = flag(key, "ipRestrict", where)
            words.append(f"the key may {'' if can_trade else 'NOT '}trade on spot")
            words.append(
                f"the key may {'' if flag(key, 'enableFutures', where) else 'NOT '}trade futures"
            )
            words.append(
                "the key works from listed addresses only"
                if is_restricted
                else "the key works from ANY address; restrict it to yours"
            )
            if can_withdraw:
                words.append("the key may WITHDRAW; take that right away, nothing here needs it")
        return Permissions(can_trade, can_withdraw, is_restricted, tuple(words))

    def _order_params(self, request: OrderRequest) -> dict[str, str]:
        params = {"type": request.type.value.upper()}
        if request.price is not None:
            params["price"] = text(request.price)
        if request.type is OrderType.LIMIT:
            params["timeInForce"] = "GTC"  # a LIMIT_MAKER takes none
        return params

    async def _newest_trade(self, symbol: str) -> tuple[int, int] | None:
        page = await self._trade_page(symbol, {}, 1)  # without times: the newest
        return (page[0][0], whole(page[0][1], "time", "spot trades")) if page else None

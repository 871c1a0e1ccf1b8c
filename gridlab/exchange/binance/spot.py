"""`BinanceSpot`: the requests of one account on Binance's spot market."""

from __future__ import annotations

from gridlab.domain.market import Balance, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, OrderType
from gridlab.exchange.binance import account_mapping
from gridlab.exchange.binance.account import BinanceAccount, Permissions
from gridlab.exchange.binance.fields import flag, record, whole
from gridlab.exchange.binance.key_rights import key_rights
from gridlab.exchange.binance.public import RULES_MS
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
        """What the account and, where the venue tells, the key may do."""
        where = "spot account"
        account = record(await self._transport.ask(self._routes.account, {}), where)
        can_trade = flag(account, "canTrade", where)
        words = (f"the account may {'' if can_trade else 'NOT '}trade on spot",)
        key = await key_rights(self._transport)
        if isinstance(key, str):
            return Permissions(can_trade, None, None, (*words, key))
        return Permissions(
            can_trade and key.may_trade_spot,
            key.may_withdraw,
            key.is_ip_restricted,
            (*words, *key.words()),
        )

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

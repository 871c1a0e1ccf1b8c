"""Every request that is sent to Binance: method, path, weight, and what it takes to be allowed.

Data only. What a request needs is its type: a transport without keys accepts none but `Public`
ones, which the type checker sees. Weights are the documented ones, with a symbol where one fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridlab.domain.market import Market


class Service(StrEnum):
    """Which of Binance's services a path belongs to; the value is the path's first part."""

    SPOT = "api"
    FUTURES = "fapi"
    WALLET = "sapi"

    @property
    def market(self) -> Market:
        """Whose address and allowance it is sent under."""
        return Market.FUTURES if self is Service.FUTURES else Market.SPOT


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request; a subclass says who may send it."""

    service: Service
    method: str
    path: str
    version: int
    weight: int

    @property
    def market(self) -> Market:
        return self.service.market

    @property
    def is_change(self) -> bool:
        """Whether it changes something at the venue."""
        return self.method != "get"

    def __str__(self) -> str:
        return f"{self.method.upper()} /{self.service}/v{self.version}/{self.path}"


@dataclass(frozen=True, slots=True)
class Public(Route):
    """For everybody."""


@dataclass(frozen=True, slots=True)
class Keyed(Route):
    """With the API key in a header, unsigned."""


@dataclass(frozen=True, slots=True)
class Signed(Route):
    """With key, time and signature."""


@dataclass(frozen=True, slots=True)
class PublicRoutes:
    """The public requests of one market.

    Args:
        all_prices, all_tickers: of every symbol, the same paths for another weight.
    """

    time: Public
    rules: Public
    price: Public
    all_prices: Public
    ticker: Public
    all_tickers: Public
    klines: Public
    agg_trades: Public


def _spot(path: str, weight: int) -> Public:
    return Public(Service.SPOT, "get", path, 3, weight)


def _futures(path: str, weight: int, version: int = 1) -> Public:
    return Public(Service.FUTURES, "get", path, version, weight)


PUBLIC: dict[Market, PublicRoutes] = {
    Market.SPOT: PublicRoutes(
        time=_spot("time", 1),
        rules=_spot("exchangeInfo", 20),
        price=_spot("ticker/price", 2),
        all_prices=_spot("ticker/price", 4),
        ticker=_spot("ticker/24hr", 2),
        all_tickers=_spot("ticker/24hr", 80),
        klines=_spot("klines", 2),
        agg_trades=_spot("aggTrades", 4),
    ),
    Market.FUTURES: PublicRoutes(
        time=_futures("time", 1),
        rules=_futures("exchangeInfo", 1),
        price=_futures("ticker/price", 1, 2),
        all_prices=_futures("ticker/price", 2, 2),
        ticker=_futures("ticker/24hr", 1),
        all_tickers=_futures("ticker/24hr", 40),
        klines=_futures("klines", 5),
        agg_trades=_futures("aggTrades", 20),
    ),
}
MARK_PRICE = _futures("premiumIndex", 1)


@dataclass(frozen=True, slots=True)
class AccountRoutes:
    """The signed requests that both markets have.

    Args:
        all_open: the open orders of every symbol, the same path for another weight.
    """

    place: Signed
    cancel: Signed
    query: Signed
    open: Signed
    all_open: Signed
    history: Signed
    trades: Signed
    account: Signed
    fees: Signed


def _signed(service: Service, method: str, path: str, weight: int, version: int = 0) -> Signed:
    default = 3 if service is Service.SPOT else 1
    return Signed(service, method, path, version or default, weight)


ACCOUNT: dict[Market, AccountRoutes] = {
    Market.SPOT: AccountRoutes(
        # Free when it succeeds; a refused one costs its weight.
        place=_signed(Service.SPOT, "post", "order", 1),
        cancel=_signed(Service.SPOT, "delete", "order", 1),
        query=_signed(Service.SPOT, "get", "order", 4),
        open=_signed(Service.SPOT, "get", "openOrders", 6),
        all_open=_signed(Service.SPOT, "get", "openOrders", 80),
        history=_signed(Service.SPOT, "get", "allOrders", 20),
        trades=_signed(Service.SPOT, "get", "myTrades", 20),
        account=_signed(Service.SPOT, "get", "account", 20),
        fees=_signed(Service.SPOT, "get", "account/commission", 20),
    ),
    Market.FUTURES: AccountRoutes(
        place=_signed(Service.FUTURES, "post", "order", 0),
        cancel=_signed(Service.FUTURES, "delete", "order", 1),
        query=_signed(Service.FUTURES, "get", "order", 1),
        open=_signed(Service.FUTURES, "get", "openOrders", 1),
        all_open=_signed(Service.FUTURES, "get", "openOrders", 40),
        history=_signed(Service.FUTURES, "get", "allOrders", 5),
        trades=_signed(Service.FUTURES, "get", "userTrades", 5),
        account=_signed(Service.FUTURES, "get", "account", 5, 3),
        fees=_signed(Service.FUTURES, "get", "commissionRate", 20),
    ),
}

POSITION = _signed(Service.FUTURES, "get", "positionRisk", 5, 3)
ACCOUNT_CONFIG = _signed(Service.FUTURES, "get", "accountConfig", 5)
SYMBOL_CONFIG = _signed(Service.FUTURES, "get", "symbolConfig", 5)
SET_LEVERAGE = _signed(Service.FUTURES, "post", "leverage", 1)
SET_MARGIN_TYPE = _signed(Service.FUTURES, "post", "marginType", 1)
INCOME = _signed(Service.FUTURES, "get", "income", 30)
START_LISTEN_KEY = Keyed(Service.FUTURES, "post", "listenKey", 1, 1)
KEEP_LISTEN_KEY = Keyed(Service.FUTURES, "put", "listenKey", 1, 1)
CLOSE_LISTEN_KEY = Keyed(Service.FUTURES, "delete", "listenKey", 1, 1)

#: The wallet counts by user and apart from spot; its own weights are far above what we ask.
TRANSFER = _signed(Service.WALLET, "post", "asset/transfer", 1)
KEY_RESTRICTIONS = _signed(Service.WALLET, "get", "account/apiRestrictions", 1)

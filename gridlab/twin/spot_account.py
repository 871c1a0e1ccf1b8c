"""Spot's account endpoints, and what of the wallet service clients ask for: fees, coins, transfers.

Source: Binance spot page "Account endpoints", wallet pages "Trade fee", "All coins' information",
"User universal transfer".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridlab.domain.market import Market
from gridlab.domain.orders import Trade
from gridlab.errors import Conflict
from gridlab.twin import wire_spot
from gridlab.twin.answers import VenueError, refuse
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.spot_market import listed
from gridlab.twin.spot_new_order import listed_symbol
from gridlab.twin.spot_orders import time_window

#: Which optional parameters `myTrades` takes together; any other combination is refused.
_TRADE_FILTERS = ("orderId", "startTime", "endTime", "fromId")
_COMBINATIONS = {
    frozenset(names)
    for names in (
        (),
        ("orderId",),
        ("startTime",),
        ("endTime",),
        ("fromId",),
        ("startTime", "endTime"),
        ("orderId", "fromId"),
    )
}
_TO_FUTURES, _FROM_FUTURES = "MAIN_UMFUTURE", "UMFUTURE_MAIN"
_SHORT = "Asset transfer failed: insufficient balance"
_GONE = "This endpoint is retired. Subscribe to the user data stream on the WebSocket API instead."


async def account(request: TwinRequest) -> Any:
    fees = request.venue.paper.book.fees
    balances = request.history.account(request.stale_ms)
    omit_zero = request.params.maybe_boolean("omitZeroBalances") or False
    updated_ms = request.venue.updated_ms
    return wire_spot.account(balances, fees, updated_ms, omit_zero=omit_zero)


async def commission(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    return wire_spot.commission(symbol, request.venue.paper.book.fees)


async def my_trades(request: TwinRequest) -> Any:
    """The account's trades; without an id or a time the newest."""
    params = request.params
    symbol = listed_symbol(params, request.venue)
    if frozenset(name for name in _TRADE_FILTERS if name in params) not in _COMBINATIONS:
        raise refuse(-1128)
    start_ms, end_ms = time_window(params)
    order_id, from_id = params.maybe_integer("orderId"), params.maybe_integer("fromId")
    limit = params.limit(500, 1_000)

    def is_wanted(trade: Trade) -> bool:
        return (
            (order_id is None or int(trade.order_id) == order_id)
            and (from_id is None or trade.trade_id >= from_id)
            and (start_ms is None or trade.time_ms >= start_ms)
            and (end_ms is None or trade.time_ms <= end_ms)
        )

    found = [t for t in request.history.trades(symbol, request.stale_ms) if is_wanted(t)]
    is_forward = from_id is not None or start_ms is not None
    return [wire_spot.my_trade(t) for t in (found[:limit] if is_forward else found[-limit:])]


def _trades_weight(params: Params) -> int:
    return 5 if "orderId" in params else 20


# -- the wallet service -------------------------------------------------------------------------


async def trade_fee(request: TwinRequest) -> Any:
    fees = request.venue.paper.book.fees
    wanted = request.params.get("symbol")
    return [
        {
            "symbol": instrument.symbol,
            "makerCommission": str(fees.maker),
            "takerCommission": str(fees.taker),
        }
        for instrument in listed(request.venue)
        if wanted in (None, instrument.symbol)
    ]


async def coins(request: TwinRequest) -> Any:
    """Every asset that is traded or held; none can be paid in or out of the twin."""
    held = {balance.asset: balance for balance in request.venue.balances()}
    names = {a for i in listed(request.venue) for a in (i.base, i.quote)} | set(held)
    return [
        {
            "coin": name,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "name": name,
            "free": wire_spot.money(held[name].free if name in held else Decimal(0)),
            "locked": wire_spot.money(held[name].locked if name in held else Decimal(0)),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for name in sorted(names)
    ]


async def user_assets(request: TwinRequest) -> Any:
    wanted = request.params.get("asset")
    return [
        {
            "asset": balance.asset,
            "free": wire_spot.money(balance.free),
            "locked": wire_spot.money(balance.locked),
            "freeze": "0",
            "withdrawing": "0",
            "ipoable": "0",
            "btcValuation": "0",
        }
        for balance in request.venue.balances()
        if balance.total and wanted in (None, balance.asset)
    ]


async def key_restrictions(request: TwinRequest) -> Any:
    """What the key may do: read, trade spot and futures, move money between the two wallets."""
    return {
        "ipRestrict": True,
        "createTime": request.world.started_ms,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": Market.FUTURES in request.world.venues,
        "permitsUniversalTransfer": True,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }


async def nothing(request: TwinRequest) -> Any:
    """A list of what the twin has none of, such as margin pairs or order lists."""
    return []


async def system_status(request: TwinRequest) -> Any:
    return {"status": 0, "msg": "normal"}


async def account_status(request: TwinRequest) -> Any:
    return {"data": "Normal"}


async def trading_status(request: TwinRequest) -> Any:
    return {"data": {"isLocked": False, "plannedRecoverTime": 0, "updateTime": request.now_ms}}


async def transfer(request: TwinRequest) -> Any:
    """Universal transfer; the twin knows its two wallets."""
    kind = request.params.text("type")
    if kind not in (_TO_FUTURES, _FROM_FUTURES):
        raise refuse(-1130, "type")
    return _moved(request, is_to_futures=kind == _TO_FUTURES)


async def futures_transfer(request: TwinRequest) -> Any:
    """The older form: type 1 goes to USD-M, 2 comes back."""
    kind = request.params.integer("type")
    if kind not in (1, 2):
        raise refuse(-1130, "type")
    return _moved(request, is_to_futures=kind == 1)


def _moved(request: TwinRequest, *, is_to_futures: bool) -> Any:
    params, world = request.params, request.world
    asset, amount = params.text("asset"), params.decimal("amount")
    if not amount:
        raise refuse(-1130, "amount")
    futures = world.venues.get(Market.FUTURES)
    margin = {b.asset for b in futures.balances()} if futures is not None else set()
    if futures is None or asset not in margin:
        raise VenueError(-1108, f"Asset {asset} can't be held in the futures wallet.")
    spot = request.venue
    source, target = (spot, futures) if is_to_futures else (futures, spot)
    try:
        source.adjust(asset, -amount, "WITHDRAW")
    except Conflict:
        raise VenueError(-5013, _SHORT) from None
    target.adjust(asset, amount, "DEPOSIT")
    world.transfers += 1
    return {"tranId": world.started_ms * 1_000 + world.transfers}


async def gone(request: TwinRequest) -> Any:
    """Spot's listen keys were retired in February 2026."""
    raise VenueError(-1020, _GONE, 410)


_SIGNED = Security.SIGNED
_STREAM = "/api/v3/userDataStream"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/v3/account", account, 20, _SIGNED),
    Endpoint("GET", "/api/v3/account/commission", commission, 20, _SIGNED),
    Endpoint("GET", "/api/v3/myTrades", my_trades, _trades_weight, _SIGNED),
    Endpoint("GET", "/api/v3/myPreventedMatches", nothing, 20, _SIGNED),
    Endpoint("GET", "/api/v3/openOrderList", nothing, 6, _SIGNED),
    Endpoint("GET", "/api/v3/allOrderList", nothing, 20, _SIGNED),
    *(Endpoint(method, _STREAM, gone, 2) for method in ("POST", "PUT", "DELETE")),
    Endpoint("GET", "/sapi/v1/asset/tradeFee", trade_fee, 1, _SIGNED),
    Endpoint("GET", "/sapi/v1/capital/config/getall", coins, 10, _SIGNED),
    Endpoint("POST", "/sapi/v3/asset/getUserAsset", user_assets, 5, _SIGNED),
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", key_restrictions, 1, _SIGNED),
    Endpoint("GET", "/sapi/v1/account/status", account_status, 1, _SIGNED),
    Endpoint("GET", "/sapi/v1/account/apiTradingStatus", trading_status, 1, _SIGNED),
    Endpoint("GET", "/sapi/v1/margin/allPairs", nothing, 1, Security.KEY),
    Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", nothing, 10, _SIGNED),
    Endpoint("GET", "/sapi/v1/system/status", system_status),
    Endpoint("POST", "/sapi/v1/asset/transfer", transfer, 1, _SIGNED, is_order=True),
    Endpoint("POST", "/sapi/v1/futures/transfer", futures_transfer, 1, _SIGNED, is_order=True),
)

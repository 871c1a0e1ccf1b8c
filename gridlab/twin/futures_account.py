"""USD-M's account endpoints: wallet, positions, settings, income, fees, listen keys.

Source: Binance's USD-M pages "Account Endpoints", "Trade Endpoints" and "User Data Streams";
weights and limits from there.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gridlab.domain.account import MarginType
from gridlab.errors import Conflict
from gridlab.exchange.paper_figures import Income
from gridlab.money import ZERO, text
from gridlab.twin import wire_futures as wire
from gridlab.twin.answers import VenueError
from gridlab.twin.futures_orders import LONGEST_WINDOW_MS
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import FOREVER_MS, listed, maybe_listed, member, times
from gridlab.twin.futures_rules import fixed
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.limits import ORDERS, RULES
from gridlab.twin.rest import Endpoint, Security, TwinRequest

SUCCESS = {"code": 200, "msg": "success"}
_MARGIN_TYPES = {"ISOLATED": MarginType.ISOLATED, "CROSSED": MarginType.CROSSED}


# -- what there is ------------------------------------------------------------------------------


async def account_v3(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    account = state.history.account(request.stale_ms)
    return wire.account_v3(
        account.assets, account.positions, state.all_rules(), state.margin_asset()
    )


async def account_v2(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    account = state.history.account(request.stale_ms)
    return wire.account_v2(
        account.assets, account.positions, state.all_rules(), state.margin_asset()
    )


async def balance(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    return [wire.balance(row) for row in state.history.account(request.stale_ms).assets]


async def positions_v3(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """Only symbols with a position or an open order; leverage and margin type are not in it."""
    symbol = maybe_listed(state, request.params)
    return [
        wire.position_v3(row, state.rules(row.symbol), state.margin_asset())
        for row in state.history.account(request.stale_ms).positions
        if symbol in (None, row.symbol) and row.is_used
    ]


async def positions_v2(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = maybe_listed(state, request.params)
    return [
        wire.position_v2(row, state.rules(row.symbol))
        for row in state.history.account(request.stale_ms).positions
        if symbol in (None, row.symbol)
    ]


async def symbol_config(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = maybe_listed(state, request.params)
    return [
        {
            "symbol": row.symbol,
            "marginType": "ISOLATED" if row.is_isolated else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": row.leverage,
            "maxNotionalValue": text(row.max_notional),
        }
        for row in state.figures.account().positions
        if symbol in (None, row.symbol)
    ]


async def account_config(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": state.is_hedged,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


async def leverage_bracket(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """The one bracket that each contract has here; its numbers are JSON numbers on the venue."""
    symbol = maybe_listed(state, request.params)
    rows = []
    for each in state.venue.symbols():
        bracket = state.book.figures(each).bracket
        only = {
            "bracket": 1,
            "initialLeverage": bracket.max_leverage,
            "notionalCap": int(bracket.notional_cap),
            "notionalFloor": 0,
            "maintMarginRatio": float(bracket.maintenance_rate),
            "cum": float(bracket.maintenance_amount),
        }
        if symbol in (None, each):
            rows.append({"symbol": each, "notionalCoef": 1.0, "brackets": [only]})
    return rows


async def commission_rate(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {
        "symbol": listed(state, request.params),
        "makerCommissionRate": fixed(state.fees.maker, 6),
        "takerCommissionRate": fixed(state.fees.taker, 6),
        "rpiCommissionRate": fixed(ZERO, 6),
    }


async def income(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """What changed the wallet, oldest first; without a start the last seven days."""
    params = request.params
    symbol = maybe_listed(state, params)
    kind = params.get("incomeType")
    limit, page = params.limit(100, 1_000), params.maybe_integer("page", 1) or 1
    start_ms, end_ms = times(params)
    until_ms = FOREVER_MS if end_ms is None else end_ms
    since_ms = request.now_ms - LONGEST_WINDOW_MS if start_ms is None else start_ms
    visible_ms = request.now_ms - request.stale_ms
    rows = [
        row
        for row in state.book.incomes(symbol=symbol)
        if kind in (None, row.kind.value)
        and since_ms <= row.time_ms <= until_ms
        and (not request.stale_ms or row.time_ms <= visible_ms)
        and row.amount
    ]
    if start_ms is None and page == 1:
        rows = rows[-limit:]
    else:
        rows = rows[(page - 1) * limit : page * limit]
    return [_income(state, row) for row in rows]


def _income(state: FuturesState, row: Income) -> dict[str, Any]:
    trade_id = ""
    if row.trade_id is not None:
        # The engine numbers the account's trades from 1; the tape has its own numbers for them.
        trade_id = str(state.venue.account_trades(row.symbol)[row.trade_id - 1].trade_id)
    return {
        "symbol": row.symbol,
        "incomeType": row.kind.value,
        "income": fixed(row.amount, 8),
        "asset": row.asset,
        "time": row.time_ms,
        "info": trade_id or row.kind.value,
        "tranId": 9_000_000_000 + row.number,
        "tradeId": trade_id,
    }


async def order_limits(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """The limits alone; how much of them is used stands in the headers of placements."""
    rules = sorted(
        (rule for rule in RULES[state.venue.market] if rule.kind == ORDERS),
        key=lambda rule: rule.window_ms,
    )
    return [rule.row() for rule in rules]


async def trading_status(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {"indicators": {}, "updateTime": request.now_ms}


# -- settings -----------------------------------------------------------------------------------


async def set_leverage(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    leverage = request.params.integer("leverage")
    figures = state.book.figures(symbol)
    if not 1 <= leverage <= figures.bracket.max_leverage:
        raise refuse(-4028, leverage)
    is_isolated = figures.margin_type is MarginType.ISOLATED
    if is_isolated and figures.quantity and leverage < figures.leverage:
        raise refuse(-4161)
    if abs(figures.notional) > figures.bracket.notional_cap:
        raise refuse(-2027)
    try:
        state.set_leverage(symbol, leverage)
    except Conflict:
        raise VenueError(
            -2028, "Leverage is smaller than permitted: insufficient margin balance."
        ) from None
    return {
        "leverage": leverage,
        "maxNotionalValue": text(figures.bracket.notional_cap),
        "symbol": symbol,
    }


async def set_margin_type(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    wanted = _MARGIN_TYPES[member(request.params, "marginType", _MARGIN_TYPES, -1130)]
    row = state.figures.position(symbol)
    if row.margin_type is wanted:
        raise refuse(-4046)
    if state.venue.open_count(symbol):
        raise refuse(-4047)
    if row.quantity:
        raise refuse(-4048)
    state.set_margin_type(symbol, wanted)
    return SUCCESS


async def position_mode(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {"dualSidePosition": state.is_hedged}


async def set_position_mode(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    params = request.params
    params.text("dualSidePosition")
    wanted = params.maybe_boolean("dualSidePosition")
    if wanted == state.is_hedged:
        raise refuse(-4059)
    if state.venue.open_orders(None):
        raise refuse(-4067)
    if any(row.quantity for row in state.figures.account().positions):
        raise refuse(-4068)
    state.set_hedged(not state.is_hedged)
    return SUCCESS


async def multi_assets(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {"multiAssetsMargin": False}


async def set_multi_assets(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """Single-asset mode is all that the twin has; asking for it again is refused as there."""
    request.params.text("multiAssetsMargin")
    if request.params.maybe_boolean("multiAssetsMargin"):
        raise VenueError(-4084, "Method is not allowed currently. Upcoming soon.")
    raise VenueError(
        -4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly."
    )


async def move_margin(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """Put margin to an isolated position (type 1) or take it away (type 2)."""
    params = request.params
    symbol = listed(state, params)
    amount = params.decimal("amount")
    kind = member(params, "type", ("1", "2"), -1130)
    row = state.figures.position(symbol)
    if amount <= 0:
        raise refuse(-4055)
    if not row.is_isolated:
        raise refuse(-4049)
    if not row.quantity:
        raise refuse(-4054)
    try:
        state.move_margin(symbol, amount if kind == "1" else -amount)
    except Conflict:
        raise refuse(-4050 if kind == "1" else -4051) from None
    # The amount is a JSON number on the venue, and the only one that is.
    return {
        "amount": float(amount),
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": int(kind),
    }


# -- listen keys --------------------------------------------------------------------------------


async def open_stream(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {"listenKey": state.listen_keys.create(request.api_key, state.wall_ms())}


async def keep_stream(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    if not state.listen_keys.keep_alive(request.api_key, state.wall_ms()):
        raise refuse(-1125)
    return {"listenKey": state.listen_keys.create(request.api_key, state.wall_ms())}


async def close_stream(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    state.listen_keys.close(request.api_key, state.wall_ms())
    return {}


# -- table --------------------------------------------------------------------------------------


def endpoints(state: FuturesState) -> tuple[Endpoint, ...]:
    """The endpoints of this module over one futures market."""
    reads: tuple[tuple[str, Any, int], ...] = (
        ("v3/account", account_v3, 5),
        ("v2/account", account_v2, 5),
        ("v3/balance", balance, 5),
        ("v2/balance", balance, 5),
        ("v3/positionRisk", positions_v3, 5),
        ("v2/positionRisk", positions_v2, 5),
        ("v1/symbolConfig", symbol_config, 5),
        ("v1/accountConfig", account_config, 5),
        ("v1/leverageBracket", leverage_bracket, 1),
        ("v1/commissionRate", commission_rate, 20),
        ("v1/income", income, 30),
        ("v1/rateLimit/order", order_limits, 1),
        ("v1/apiTradingStatus", trading_status, 1),
        ("v1/positionSide/dual", position_mode, 30),
        ("v1/multiAssetsMargin", multi_assets, 30),
    )
    changes: tuple[tuple[str, str, Any, Security], ...] = (
        ("POST", "leverage", set_leverage, Security.SIGNED),
        ("POST", "marginType", set_margin_type, Security.SIGNED),
        ("POST", "positionSide/dual", set_position_mode, Security.SIGNED),
        ("POST", "multiAssetsMargin", set_multi_assets, Security.SIGNED),
        ("POST", "positionMargin", move_margin, Security.SIGNED),
        ("POST", "listenKey", open_stream, Security.KEY),
        ("PUT", "listenKey", keep_stream, Security.KEY),
        ("DELETE", "listenKey", close_stream, Security.KEY),
    )
    return (
        *(
            Endpoint("GET", f"/fapi/{path}", partial(handler, state), weight, Security.SIGNED)
            for path, handler, weight in reads
        ),
        *(
            Endpoint(
                method, f"/fapi/v1/{name}", partial(handler, state), 1, security, is_order=True
            )
            for method, name, handler, security in changes
        ),
    )

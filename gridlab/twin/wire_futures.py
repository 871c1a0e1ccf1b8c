"""What USD-M REST answers carry: values of the account -> the JSON of Binance, key by key.

Pure. Prices and amounts are decimal strings, ids and times integers, flags booleans. An answer to a
placement, a change or a cancel has neither `avgPrice` nor `cumQuote`; queries have both.

Source: Binance's USD-M REST pages and payloads recorded from the venue (key sets and JSON types).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.domain.account import MarginType
from gridlab.domain.orders import OrderReport, Side, Trade
from gridlab.money import ZERO, rounding, text
from gridlab.twin.futures_rules import FuturesRules, fixed, whole

Payload: TypeAlias = dict[str, Any]

POSITION_SIDE = "BOTH"  # one-way mode is the only one that the twin's account has
WORKING_TYPE = "CONTRACT_PRICE"


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order as the venue tells it.

    Args:
        kind: LIMIT or MARKET.
        original: the type that was asked for, such as STOP for a triggered order.
        status: the venue's word, such as NEW or EXPIRED.
        quote: price x quantity of all fills.
    """

    report: OrderReport
    kind: str
    original: str
    time_in_force: str
    status: str
    quote: Decimal
    is_reduce_only: bool = False
    stp_mode: str = "EXPIRE_MAKER"
    good_till_ms: int = 0


def placed(facts: OrderFacts, rules: FuturesRules) -> Payload:
    """The answer to a placement, a change or a cancel."""
    report = facts.report
    price, quantity = rules.price_precision, rules.quantity_precision
    return {
        "orderId": int(report.order_id),
        "symbol": report.symbol,
        "status": facts.status,
        "clientOrderId": report.client_id,
        "price": whole(report.price or ZERO, price),
        "origQty": whole(report.quantity, quantity),
        "executedQty": whole(report.executed, quantity),
        "cumQty": whole(report.executed, quantity),
        "timeInForce": facts.time_in_force,
        "type": facts.kind,
        "reduceOnly": facts.is_reduce_only,
        "closePosition": False,
        "side": report.side.upper(),
        "positionSide": POSITION_SIDE,
        "stopPrice": fixed(ZERO, price),
        "workingType": WORKING_TYPE,
        "priceProtect": False,
        "origType": facts.original,
        "priceMatch": "NONE",
        "selfTradePreventionMode": facts.stp_mode,
        "goodTillDate": facts.good_till_ms,
        "updateTime": report.updated_ms,
    }


def queried(facts: OrderFacts, rules: FuturesRules) -> Payload:
    """One order as a query tells it."""
    payload = placed(facts, rules)
    del payload["cumQty"]
    payload["avgPrice"] = _average(facts, rules)
    payload["cumQuote"] = fixed(facts.quote, rules.price_precision + rules.quantity_precision)
    payload["time"] = facts.report.created_ms
    return payload


def _average(facts: OrderFacts, rules: FuturesRules) -> str:
    if not facts.report.executed:
        return fixed(ZERO, rules.price_precision)
    with rounding():
        return fixed(facts.quote / facts.report.executed, rules.price_precision + 3)


def user_trade(trade: Trade, realized: Decimal, rules: FuturesRules) -> Payload:
    """One row of `userTrades`; the commission is positive where it was paid."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": int(trade.order_id),
        "side": trade.side.upper(),
        "price": whole(trade.price, rules.price_precision),
        "qty": whole(trade.quantity, rules.quantity_precision),
        "realizedPnl": fixed(realized, 8),
        "quoteQty": text(trade.quote_quantity),
        "commission": fixed(trade.fee, 8),
        "commissionAsset": trade.fee_asset,
        "time": trade.time_ms,
        "positionSide": POSITION_SIDE,
        "buyer": trade.side is Side.BUY,
        "maker": trade.is_maker,
    }


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """One symbol's position and every margin that it and its orders take, quote units.

    Args:
        quantity: signed base units.
        liquidation: zero when the position would never be closed by force.
        max_notional: the largest position at this leverage.
        bid_notional, ask_notional: value of the open buys and sells.
    """

    symbol: str
    quantity: Decimal
    entry: Decimal
    break_even: Decimal
    mark: Decimal
    unrealized: Decimal
    liquidation: Decimal
    leverage: int
    margin_type: MarginType
    isolated_wallet: Decimal
    notional: Decimal
    maintenance: Decimal
    position_initial: Decimal
    order_initial: Decimal
    max_notional: Decimal
    bid_notional: Decimal
    ask_notional: Decimal
    updated_ms: int

    @property
    def is_isolated(self) -> bool:
        return self.margin_type is MarginType.ISOLATED

    @property
    def initial(self) -> Decimal:
        return self.position_initial + self.order_initial

    @property
    def isolated_margin(self) -> Decimal:
        return self.isolated_wallet + self.unrealized if self.is_isolated else ZERO

    @property
    def is_used(self) -> bool:
        """Whether there is a position or an open order: only such rows does v3 list."""
        return bool(self.quantity or self.bid_notional or self.ask_notional)


@dataclass(frozen=True, slots=True)
class AssetFigures:
    """One asset of the futures wallet with all that its positions and orders take."""

    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    unrealized: Decimal
    cross_unrealized: Decimal
    maintenance: Decimal
    position_initial: Decimal
    order_initial: Decimal
    available: Decimal
    updated_ms: int

    @property
    def initial(self) -> Decimal:
        return self.position_initial + self.order_initial

    @property
    def margin_balance(self) -> Decimal:
        return self.wallet + self.unrealized

    @property
    def withdrawable(self) -> Decimal:
        """What could be moved out: the available, less profit that is not realised yet."""
        return max(ZERO, min(self.available, self.available - self.cross_unrealized))


def balance(row: AssetFigures) -> Payload:
    """One row of `balance`, v2 and v3."""
    return {
        "accountAlias": "GridLabTwin",
        "asset": row.asset,
        "balance": _money(row.wallet),
        "crossWalletBalance": _money(row.cross_wallet),
        "crossUnPnl": _money(row.cross_unrealized),
        "availableBalance": _money(row.available),
        "maxWithdrawAmount": _money(row.withdrawable),
        "marginAvailable": True,
        "updateTime": row.updated_ms,
    }


def _asset(row: AssetFigures) -> Payload:
    return {
        "asset": row.asset,
        "walletBalance": _money(row.wallet),
        "unrealizedProfit": _money(row.unrealized),
        "marginBalance": _money(row.margin_balance),
        "maintMargin": _money(row.maintenance),
        "initialMargin": _money(row.initial),
        "positionInitialMargin": _money(row.position_initial),
        "openOrderInitialMargin": _money(row.order_initial),
        "crossWalletBalance": _money(row.cross_wallet),
        "crossUnPnl": _money(row.cross_unrealized),
        "availableBalance": _money(row.available),
        "maxWithdrawAmount": _money(row.withdrawable),
        "updateTime": row.updated_ms,
    }


def _totals(assets: Iterable[AssetFigures], margin_asset: str) -> Payload:
    """The account's sums; in single-asset mode they are those of the margin asset."""
    rows = [row for row in assets if row.asset == margin_asset]
    total = {
        "totalInitialMargin": [row.initial for row in rows],
        "totalMaintMargin": [row.maintenance for row in rows],
        "totalWalletBalance": [row.wallet for row in rows],
        "totalUnrealizedProfit": [row.unrealized for row in rows],
        "totalMarginBalance": [row.margin_balance for row in rows],
        "totalPositionInitialMargin": [row.position_initial for row in rows],
        "totalOpenOrderInitialMargin": [row.order_initial for row in rows],
        "totalCrossWalletBalance": [row.cross_wallet for row in rows],
        "totalCrossUnPnl": [row.cross_unrealized for row in rows],
        "availableBalance": [row.available for row in rows],
        "maxWithdrawAmount": [row.withdrawable for row in rows],
    }
    return {name: _money(sum(values, ZERO)) for name, values in total.items()}


def account_v3(
    assets: Iterable[AssetFigures],
    positions: Iterable[PositionFigures],
    rules: dict[str, FuturesRules],
    margin_asset: str,
) -> Payload:
    """`GET /fapi/v3/account`: only positions that exist or have open orders."""
    assets = tuple(assets)
    rows = [
        {
            "symbol": row.symbol,
            "positionSide": POSITION_SIDE,
            "positionAmt": fixed(row.quantity, rules[row.symbol].quantity_precision),
            "unrealizedProfit": _money(row.unrealized),
            "isolatedMargin": _money(row.isolated_margin),
            "notional": text(row.notional),
            "isolatedWallet": text(row.isolated_wallet),
            "initialMargin": text(row.initial),
            "maintMargin": text(row.maintenance),
            "updateTime": row.updated_ms,
        }
        for row in positions
        if row.is_used
    ]
    totals = _totals(assets, margin_asset)
    return totals | {"assets": [_asset(row) for row in assets], "positions": rows}


def account_v2(
    assets: Iterable[AssetFigures],
    positions: Iterable[PositionFigures],
    rules: dict[str, FuturesRules],
    margin_asset: str,
) -> Payload:
    """`GET /fapi/v2/account`: every symbol, with its leverage; and the account's rights."""
    assets = tuple(assets)
    rows = [
        {
            "symbol": row.symbol,
            "initialMargin": text(row.initial),
            "maintMargin": text(row.maintenance),
            "unrealizedProfit": _money(row.unrealized),
            "positionInitialMargin": text(row.position_initial),
            "openOrderInitialMargin": text(row.order_initial),
            "leverage": str(row.leverage),
            "isolated": row.is_isolated,
            "entryPrice": _price(row.entry),
            "breakEvenPrice": _price(row.break_even),
            "maxNotional": text(row.max_notional),
            "bidNotional": text(row.bid_notional),
            "askNotional": text(row.ask_notional),
            "positionSide": POSITION_SIDE,
            "positionAmt": fixed(row.quantity, rules[row.symbol].quantity_precision),
            "notional": text(row.notional),
            "isolatedWallet": text(row.isolated_wallet),
            "updateTime": row.updated_ms,
        }
        for row in positions
    ]
    rights: Payload = {
        "feeTier": 0,
        "feeBurn": True,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }
    return (
        rights
        | _totals(assets, margin_asset)
        | {
            "assets": [_asset(row) | {"marginAvailable": True} for row in assets],
            "positions": rows,
        }
    )


def position_v3(row: PositionFigures, rules: FuturesRules, margin_asset: str) -> Payload:
    """One row of `GET /fapi/v3/positionRisk`: no leverage and no margin type in it."""
    return {
        "symbol": row.symbol,
        "positionSide": POSITION_SIDE,
        "positionAmt": fixed(row.quantity, rules.quantity_precision),
        "entryPrice": _price(row.entry),
        "breakEvenPrice": _price(row.break_even),
        "markPrice": _money(row.mark),
        "unRealizedProfit": _money(row.unrealized),
        "liquidationPrice": text(row.liquidation),
        "isolatedMargin": _money(row.isolated_margin),
        "notional": text(row.notional),
        "marginAsset": margin_asset,
        "isolatedWallet": text(row.isolated_wallet),
        "initialMargin": text(row.initial),
        "maintMargin": text(row.maintenance),
        "positionInitialMargin": text(row.position_initial),
        "openOrderInitialMargin": text(row.order_initial),
        "adl": 0,
        "bidNotional": text(row.bid_notional),
        "askNotional": text(row.ask_notional),
        "updateTime": row.updated_ms,
    }


def position_v2(row: PositionFigures, rules: FuturesRules) -> Payload:
    """One row of `GET /fapi/v2/positionRisk`."""
    return {
        "symbol": row.symbol,
        "positionAmt": fixed(row.quantity, rules.quantity_precision),
        "entryPrice": _price(row.entry),
        "breakEvenPrice": _price(row.break_even),
        "markPrice": _money(row.mark),
        "unRealizedProfit": _money(row.unrealized),
        "liquidationPrice": text(row.liquidation),
        "leverage": str(row.leverage),
        "maxNotionalValue": text(row.max_notional),
        "marginType": "isolated" if row.is_isolated else "cross",
        "isolatedMargin": _money(row.isolated_margin),
        "isAutoAddMargin": "false",
        "positionSide": POSITION_SIDE,
        "notional": text(row.notional),
        "isolatedWallet": text(row.isolated_wallet),
        "updateTime": row.updated_ms,
    }


def _money(value: Decimal) -> str:
    return fixed(value, 8)


def _price(value: Decimal) -> str:
    """A computed price: eight decimals at most, one at least, as the venue writes them."""
    plain = text(value if not value else Decimal(fixed(value, 8)))
    return plain if "." in plain else f"{plain}.0"

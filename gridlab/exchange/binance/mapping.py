"""Orders, trades, rules, prices: Binance's REST answers as domain values. Pure; no float anywhere.

Each function takes a parsed payload and raises `ExchangeUnavailable` when it is not what the
protocol says. Candles and rules of symbols are read like public data elsewhere in the house; here
they are read with the account's own client, so that a live venue depends on one address only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridlab.domain.market import Instrument, Interval, Kline, Market, PercentPrice, Ticker
from gridlab.domain.orders import OrderReport, OrderType, Side, Trade, VenueStatus
from gridlab.exchange.binance.fields import (
    flag,
    named,
    number,
    record,
    rows,
    step,
    text,
    unusable,
    whole,
)
from gridlab.money import ONE, ZERO, round_to, rounding

#: A limit so high that it never binds, where the venue has no such rule.
NO_LIMIT = Decimal("1000000000")
#: Digits of a computed ratio.
_RATIO_STEP = Decimal("0.0000000001")
#: Commissions are told with this many decimals on both markets.
_COMMISSION_DECIMALS = 8

_STATUSES = {
    "NEW": VenueStatus.NEW,
    "PENDING_NEW": VenueStatus.NEW,
    "NEW_INSURANCE": VenueStatus.NEW,
    "NEW_ADL": VenueStatus.NEW,
    "PARTIALLY_FILLED": VenueStatus.PARTIALLY_FILLED,
    "FILLED": VenueStatus.FILLED,
    "CANCELED": VenueStatus.CANCELED,
    "EXPIRED": VenueStatus.EXPIRED,
    "EXPIRED_IN_MATCH": VenueStatus.EXPIRED,
    # Refused after it was taken in: it has ended, and what it traded is told beside it.
    "REJECTED": VenueStatus.EXPIRED,
}
_POST_ONLY = "GTX"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of `exchangeInfo`: `limit` of `kind` for each `interval_num` x `interval`."""

    kind: str
    interval: str
    interval_num: int
    limit: int

    @property
    def interval_ms(self) -> int:
        """The window's length; zero for an interval that Binance does not document."""
        units = {"SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
        return units.get(self.interval, 0) * self.interval_num


@dataclass(frozen=True, slots=True)
class Tick:
    """One (aggregate) trade of the market."""

    symbol: str
    price: Decimal
    quantity: Decimal
    time_ms: int
    trade_id: int


def side(entry: Mapping[str, Any], name: str, where: str) -> Side:
    """BUY or SELL."""
    said = text(entry, name, where)
    if said not in ("BUY", "SELL"):
        raise unusable(where, f"{name} is {said!r}, neither BUY nor SELL")
    return Side(said.lower())


def status(said: str, executed: Decimal, where: str) -> VenueStatus:
    """The order's state; a cancel under way does not end it."""
    if said == "PENDING_CANCEL":
        return VenueStatus.PARTIALLY_FILLED if executed else VenueStatus.NEW
    found = _STATUSES.get(said)
    if found is None:
        raise unusable(where, f"status is {said!r}, which is no documented one")
    return found


def order_type(said: str, time_in_force: str) -> OrderType:
    """The kind of an order. Other people's stop and trailing orders are told by what they become:
    a limit order where they have a limit price, else a market order."""
    if said == "LIMIT_MAKER" or (said == "LIMIT" and time_in_force == _POST_ONLY):
        return OrderType.LIMIT_MAKER
    if said in ("LIMIT", "STOP", "TAKE_PROFIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
        return OrderType.LIMIT
    return OrderType.MARKET


def order_report(payload: Any, market: Market) -> OrderReport:
    """What an order, cancel, query or open-orders answer says of one order.

    A spot cancel names itself in `clientOrderId` and the order in `origClientOrderId`. An answer to
    a placement has `transactTime` (spot) or only `updateTime` (futures) for its moment.
    """
    where = f"{market} order"
    entry = record(payload, where)
    executed = number(entry, "executedQty", where)
    kind = order_type(
        text(entry, "origType" if entry.get("origType") else "type", where),
        str(entry.get("timeInForce", "")),
    )
    price = number(entry, "price", where)
    updated_ms = _moment(entry, ("updateTime", "transactTime", "time"), where)
    created_ms = _moment(entry, ("time", "transactTime", "updateTime"), where)
    if market is Market.SPOT and kind is OrderType.LIMIT and not price:
        kind = OrderType.MARKET
    return OrderReport(
        order_id=str(whole(entry, "orderId", where)),
        client_id=str(entry.get("origClientOrderId") or text(entry, "clientOrderId", where)),
        symbol=named(entry, "symbol", where),
        side=side(entry, "side", where),
        type=kind,
        quantity=number(entry, "origQty", where),
        executed=executed,
        status=status(text(entry, "status", where), executed, where),
        created_ms=created_ms,
        updated_ms=max(created_ms, updated_ms),
        price=None if kind is OrderType.MARKET else price,
    )


def order_reports(payload: Any, market: Market) -> tuple[OrderReport, ...]:
    """Every order of a list, oldest first."""
    found = [order_report(entry, market) for entry in rows(payload, f"{market} orders")]
    return tuple(sorted(found, key=lambda r: (r.created_ms, int(r.order_id))))


def trade(payload: Any, market: Market, client_id: str) -> Trade:
    """One row of `myTrades` or `userTrades`; the venue does not tell the client id there."""
    where = f"{market} trades"
    entry = record(payload, where)
    is_spot = market is Market.SPOT
    if is_spot:
        who = Side.BUY if flag(entry, "isBuyer", where) else Side.SELL
    else:
        who = side(entry, "side", where)
    return Trade(
        trade_id=whole(entry, "id", where),
        order_id=str(whole(entry, "orderId", where)),
        client_id=client_id,
        symbol=named(entry, "symbol", where),
        side=who,
        price=number(entry, "price", where),
        quantity=number(entry, "qty", where),
        fee=number(entry, "commission", where),
        fee_asset=str(entry.get("commissionAsset") or ""),
        is_maker=flag(entry, "isMaker" if is_spot else "maker", where),
        time_ms=whole(entry, "time", where),
    )


def instrument(payload: Any, market: Market) -> Instrument:
    """The rules in one symbol's entry of `exchangeInfo`.

    Raises:
        ExchangeUnavailable: a rule is missing or unreadable.
        InvalidInput: the venue has switched a step off (0), so that no order can be built.
    """
    where = f"{market} exchangeInfo"
    entry = record(payload, where)
    rules = {
        named(record(rule, where), "filterType", where): rule
        for rule in rows(entry.get("filters"), where)
    }
    prices, lots = _rule(rules, where, "PRICE_FILTER"), _rule(rules, where, "LOT_SIZE")
    notional = _rule(rules, where, "NOTIONAL", "MIN_NOTIONAL")
    orders = rules.get("MAX_NUM_ORDERS", {})
    most = "maxNumOrders" if "maxNumOrders" in orders else "limit"
    return Instrument(
        symbol=named(entry, "symbol", where),
        market=market,
        base=named(entry, "baseAsset", where),
        quote=named(entry, "quoteAsset", where),
        tick_size=step(prices, "tickSize", where),
        lot_size=step(lots, "stepSize", where),
        min_notional=number(
            notional, "notional" if "notional" in notional else "minNotional", where
        ),
        min_quantity=number(lots, "minQty", where),
        max_quantity=number(lots, "maxQty", where),
        min_price=number(prices, "minPrice", where),
        max_price=number(prices, "maxPrice", where),
        max_notional=(
            number(notional, "maxNotional", where) if "maxNotional" in notional else NO_LIMIT
        ),
        max_num_orders=whole(orders, most, where) if most in orders else 200,
        percent_price=_percent_price(rules, where),
        commission_precision=(
            whole(entry, "baseCommissionPrecision", where)
            if "baseCommissionPrecision" in entry
            else _COMMISSION_DECIMALS
        ),
        status=str(entry.get("status") or entry.get("contractStatus") or "TRADING"),
    )


def agg_trades(payload: Any, symbol: str) -> tuple[Tick, ...]:
    """The market trades of an answer of `aggTrades`, oldest first; they have the stream's ids."""
    where = "aggTrades"
    return tuple(
        Tick(
            symbol=symbol,
            price=number(record(entry, where), "p", where),
            quantity=number(entry, "q", where),
            time_ms=whole(entry, "T", where),
            trade_id=whole(entry, "a", where),
        )
        for entry in rows(payload, where)
    )


def last_price(payload: Any, symbol: str) -> Decimal:
    """The price in an answer of `ticker/price` about one symbol; above zero."""
    where = f"ticker/price {symbol}"
    value = number(record(payload, where), "price", where)
    if value <= 0:
        raise unusable(where, f"price is {value}; a halted symbol may be told as zero")
    return value


def symbol_entries(payload: Any) -> dict[str, Mapping[str, Any]]:
    """The entry of each symbol in an answer of `exchangeInfo`, by name."""
    where = "exchangeInfo"
    entries = [record(e, where) for e in rows(record(payload, where).get("symbols"), where)]
    return {named(entry, "symbol", where): entry for entry in entries}


def rate_limits(payload: Any) -> tuple[RateLimit, ...]:
    """The limits that an answer of `exchangeInfo` states."""
    where = "exchangeInfo rateLimits"
    entries = rows(record(payload, where).get("rateLimits"), where)
    return tuple(
        RateLimit(
            named(record(entry, where), "rateLimitType", where),
            named(entry, "interval", where),
            whole(entry, "intervalNum", where),
            whole(entry, "limit", where),
        )
        for entry in entries
    )


def ticker(payload: Any, market: Market) -> Ticker:
    """One object of `ticker/24hr`; its own percentage is rounded, so the change is computed."""
    where = f"{market} ticker/24hr"
    entry = record(payload, where)
    price, first = number(entry, "lastPrice", where), number(entry, "openPrice", where)
    with rounding():
        change = round_to(price / first - ONE, _RATIO_STEP) if first else ZERO
    end_ms = whole(entry, "closeTime", where)
    return Ticker(
        symbol=named(entry, "symbol", where),
        market=market,
        price=price,
        volume=number(entry, "volume", where),
        quote_volume=number(entry, "quoteVolume", where),
        change_fraction=change,
        high=number(entry, "highPrice", where),
        low=number(entry, "lowPrice", where),
        time_ms=end_ms,
        window_ms=end_ms - whole(entry, "openTime", where),
    )


def klines(payload: Any, interval: Interval) -> tuple[Kline, ...]:
    """The candles of an answer of `klines`, oldest first."""
    where = f"klines {interval}"
    names = ("open time", "open", "high", "low", "close", "volume", "close time", "quote", "trades")
    found = []
    for row in rows(payload, where):
        cells = rows(row, where)
        if len(cells) < len(names):
            raise unusable(where, f"a candle has 12 parts, here are {len(cells)}")
        parts = dict(zip(names, cells, strict=False))
        open_, high, low, close, volume = (number(parts, name, where) for name in names[1:6])
        found.append(
            Kline(
                open_time_ms=whole(parts, "open time", where),
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
                close_time_ms=whole(parts, "close time", where),
                quote_volume=number(parts, "quote", where),
                trades=whole(parts, "trades", where),
            )
        )
    for before, after in zip(found, found[1:], strict=False):
        if after.open_time_ms <= before.open_time_ms:
            raise unusable(where, f"candle {after.open_time_ms} follows {before.open_time_ms}")
    return tuple(found)


def _moment(entry: Mapping[str, Any], names: tuple[str, ...], where: str) -> int:
    """The first of these times that is there and not zero; an old cancel answer has none."""
    for name in names:
        if entry.get(name):
            return whole(entry, name, where)
    return 0


def _rule(rules: Mapping[str, Mapping[str, Any]], where: str, *names: str) -> Mapping[str, Any]:
    for name in names:
        if name in rules:
            return rules[name]
    raise unusable(where, f"no rule {' or '.join(names)}")


def _percent_price(rules: Mapping[str, Mapping[str, Any]], where: str) -> PercentPrice | None:
    """The band by side; that of futures follows the mark price and binds one side only, which a
    grid that buys below and sells above never meets."""
    rule = rules.get("PERCENT_PRICE_BY_SIDE")
    if rule is None:
        return None
    return PercentPrice(
        bid_down=number(rule, "bidMultiplierDown", where),
        bid_up=number(rule, "bidMultiplierUp", where),
        ask_down=number(rule, "askMultiplierDown", where),
        ask_up=number(rule, "askMultiplierUp", where),
    )

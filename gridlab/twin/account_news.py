"""News of a venue -> the user data events that tell it, in the venue's sequence.

Spot: every step of an order is an `executionReport`, every change of balances an
`outboundAccountPosition` with the assets that changed, a transfer a `balanceUpdate` before it.
USD-M: a fill is told by `TRADE_LITE`, then the account by `ACCOUNT_UPDATE`, then the order by
`ORDER_TRADE_UPDATE`; a placement or a cancel moves no balance and is told by the order alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from gridlab.domain.market import Instrument
from gridlab.money import ZERO
from gridlab.twin import user_payloads as payloads
from gridlab.twin.futures_figures import FuturesFigures
from gridlab.twin.news import (
    BalanceNews,
    FundingNews,
    OrderNews,
    PositionNews,
    SettingsNews,
    VenueNews,
)
from gridlab.twin.stream_payloads import Digits, Payload
from gridlab.twin.user_payloads import AccountChange, Execution, Fill
from gridlab.twin.wire_futures import AssetFigures

#: The reason of changes that a trade made; those are told with the order.
BY_ORDER = "ORDER"
#: A position's margin is called when maintenance takes this share of its margin balance.
MARGIN_CALL_SHARE = Decimal("0.8")


class Rules(Protocol):
    """Who knows a symbol's rules."""

    def finest(self, symbol: str) -> Instrument: ...


def execution_of(news: OrderNews, realized: Decimal = ZERO) -> Execution:
    """The step that an order's news tells; on a cancel under the cancel's own name."""
    order, trade = news.order, news.trade
    report, extras = order.report, order.extras
    fill = None
    if trade is not None:
        fill = Fill(
            trade.trade_id,
            trade.price,
            trade.quantity,
            trade.fee,
            trade.fee_asset,
            trade.is_maker,
            realized,
        )
    return Execution(
        symbol=report.symbol,
        order_id=order.order_id,
        client_id=news.cancel_id or report.client_id,
        original_client_id=report.client_id if news.cancel_id else "",
        side=report.side.upper(),
        order_type=order.type_name,
        original_type=extras.original_type,
        time_in_force=extras.time_in_force,
        quantity=report.quantity,
        price=report.price or ZERO,
        execution_type=news.execution_type,
        status=order.status,
        executed=report.executed,
        quote_executed=order.quote_executed,
        created_ms=report.created_ms,
        time_ms=news.time_ms,
        execution_id=news.execution_id,
        is_on_book=order.is_open,
        expiry_reason=order.ending.reason,
        stp_mode=extras.stp_mode,
        quote_order_quantity=extras.quote_order_quantity,
        strategy_id=extras.strategy_id,
        strategy_type=extras.strategy_type,
        position_side=extras.position_side,
        is_reduce_only=extras.is_reduce_only,
        is_close_position=extras.is_close_position,
        good_till_ms=extras.good_till_ms,
        fill=fill,
        prevention=order.ending.prevention,
    )


def spot_events(news: VenueNews, now_ms: int) -> list[Payload]:
    """What spot tells of `news`; nothing of what is not the account's."""
    if isinstance(news, OrderNews):
        return [payloads.execution_report(execution_of(news), now_ms)]
    if isinstance(news, BalanceNews):
        moved = [
            payloads.balance_update(asset, change, news.time_ms, now_ms)
            for asset, change in news.changes.items()
        ]
        return [*moved, payloads.account_position(news.balances, news.time_ms, now_ms)]
    return []


class FuturesEvents:
    """What USD-M tells of news; remembers which positions were warned of their margin."""

    def __init__(self, rules: Rules, figures: FuturesFigures) -> None:
        self._rules = rules
        self._figures = figures
        self._warned: set[str] = set()

    def of(self, news: VenueNews, now_ms: int) -> list[Payload]:
        """The events, in their order."""
        if isinstance(news, OrderNews):
            return self._order(news, now_ms)
        if isinstance(news, BalanceNews) and news.reason != BY_ORDER:
            return [self._balance(news, now_ms)]
        if isinstance(news, PositionNews) and news.reason != BY_ORDER:
            return [self._account((news.symbol,), news.reason, news.time_ms, now_ms)]
        if isinstance(news, FundingNews):
            return [self._funding(news, now_ms)]
        if isinstance(news, SettingsNews) and news.leverage is not None:
            return [payloads.leverage_update(news.symbol, news.leverage, news.time_ms, now_ms)]
        return []

    def margin_call(self, symbol: str, now_ms: int) -> list[Payload]:
        """A `MARGIN_CALL` when a position's margin has just become short; once until it is not."""
        figures = self._figures.position(symbol)
        balance = figures.isolated_margin if figures.is_isolated else self._cross_balance(symbol)
        if not figures.quantity or figures.maintenance < balance * MARGIN_CALL_SHARE:
            self._warned.discard(symbol)
            return []
        if symbol in self._warned:
            return []
        self._warned.add(symbol)
        wallet = sum((asset.cross_wallet for asset in self._margin((symbol,))), ZERO)
        return [payloads.margin_call(figures, self._digits(symbol), wallet, now_ms)]

    def _order(self, news: OrderNews, now_ms: int) -> list[Payload]:
        symbol, trade = news.order.symbol, news.trade
        digits = self._digits(symbol)
        if trade is None:
            # USD-M names the order only, also on a cancel that had an id of its own.
            own = replace(news, cancel_id="")
            return [payloads.order_trade_update(execution_of(own), digits, now_ms)]
        step = execution_of(news, self._figures.realized(symbol, trade.trade_id))
        assert step.fill is not None, "a trade makes a fill"
        return [
            payloads.trade_lite(step, step.fill, digits, now_ms),
            self._account((symbol,), BY_ORDER, news.time_ms, now_ms),
            payloads.order_trade_update(step, digits, now_ms),
        ]

    def _account(self, symbols: Collection[str], reason: str, time_ms: int, now_ms: int) -> Payload:
        positions = [
            payloads.position_row(
                self._figures.position(symbol),
                self._digits(symbol),
                self._figures.realized_total(symbol),
            )
            for symbol in symbols
        ]
        change = AccountChange(reason, time_ms, self._margin(symbols), tuple(positions))
        return payloads.account_update(change, now_ms)

    def _balance(self, news: BalanceNews, now_ms: int) -> Payload:
        named = {balance.asset for balance in news.balances} | set(news.changes)
        assets = tuple(asset for asset in self._figures.assets() if asset.asset in named)
        return payloads.account_update(
            AccountChange(news.reason, news.time_ms, assets, changes=news.changes), now_ms
        )

    def _funding(self, news: FundingNews, now_ms: int) -> Payload:
        """Funding carries the balance alone, and the symbol that it was booked for."""
        payment = news.payment
        assets = tuple(each for each in self._figures.assets() if each.asset == payment.asset)
        change = AccountChange(
            "FUNDING_FEE",
            payment.time_ms,
            assets,
            changes={payment.asset: payment.amount},
            symbol=news.symbol,
        )
        return payloads.account_update(change, now_ms)

    def _cross_balance(self, symbol: str) -> Decimal:
        return sum(
            (asset.cross_wallet + asset.cross_unrealized for asset in self._margin((symbol,))), ZERO
        )

    def _margin(self, symbols: Iterable[str]) -> tuple[AssetFigures, ...]:
        """The wallets that these symbols' positions are kept in; others back nothing here."""
        quotes = {self._rules.finest(symbol).quote for symbol in symbols}
        return tuple(each for each in self._figures.assets() if each.asset in quotes)

    def _digits(self, symbol: str) -> Digits:
        return Digits.of(self._rules.finest(symbol))

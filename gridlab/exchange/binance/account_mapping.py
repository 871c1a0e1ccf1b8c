"""An account as Binance tells it: balances, wallets, settings, positions, funding, fees. Pure.

The counterpart of `mapping`, which reads orders, trades and what is public. No float anywhere; a
payload that is not what the protocol says raises `ExchangeUnavailable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridlab.domain.account import MarginType, Position
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Balance, FeeMode, FeeSchedule
from gridlab.exchange.binance.fields import (
    named,
    number,
    number_or_zero,
    record,
    rows,
    text,
    unusable,
    whole,
)
from gridlab.money import ZERO


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """How a futures account trades one symbol."""

    leverage: int
    margin_type: MarginType


@dataclass(frozen=True, slots=True)
class FuturesWallet:
    """A futures account's money in one asset.

    Args:
        balance: the wallet: deposits and everything realised.
        available: what new orders may use.
        unrealized: profit or loss of open positions at the mark.
    """

    asset: str
    balance: Decimal
    available: Decimal
    unrealized: Decimal

    @property
    def margin_balance(self) -> Decimal:
        """What positions stand on: the wallet and the open profit."""
        return self.balance + self.unrealized

    def as_balance(self) -> Balance:
        """Free is what new orders may use, locked the rest of the wallet.

        Open profit of crossed positions can make more available than the wallet holds; then
        nothing is locked and the wallet is what is told.
        """
        free = min(max(self.available, ZERO), self.balance)
        return Balance(self.asset, free, self.balance - free)


@dataclass(frozen=True, slots=True)
class FuturesFunds:
    """A futures account's money, and how much of it stands behind positions.

    Which assets do is the venue's affair: in single-asset mode only the contracts' margin asset
    does, whatever else lies in the wallets.

    Args:
        margin_balance: what positions stand on, open profit included, in USDT; in multi-assets
            mode in USD.
        available: what of it new orders may use.
    """

    wallets: tuple[FuturesWallet, ...]
    margin_balance: Decimal
    available: Decimal


def spot_balances(payload: Any) -> tuple[Balance, ...]:
    """The balances of `account` that are not zero, by asset name."""
    where = "spot account"
    found = [
        Balance(
            named(entry, "asset", where),
            number(entry, "free", where),
            number(entry, "locked", where),
        )
        for entry in rows(record(payload, where).get("balances"), where)
    ]
    return tuple(sorted((b for b in found if b.total), key=lambda balance: balance.asset))


def futures_wallets(payload: Any) -> tuple[FuturesWallet, ...]:
    """The assets of `account` that hold something, by name."""
    where = "futures account"
    found = [
        FuturesWallet(
            asset=named(record(entry, where), "asset", where),
            balance=number(entry, "walletBalance", where),
            available=number(entry, "availableBalance", where),
            unrealized=number(entry, "unrealizedProfit", where),
        )
        for entry in rows(record(payload, where).get("assets"), where)
    ]
    held = (wallet for wallet in found if wallet.balance or wallet.unrealized)
    return tuple(sorted(held, key=lambda wallet: wallet.asset))


def futures_funds(payload: Any) -> FuturesFunds:
    """The assets of `account`, and what the venue itself counts as margin."""
    where = "futures account"
    entry = record(payload, where)
    return FuturesFunds(
        wallets=futures_wallets(payload),
        margin_balance=number(entry, "totalMarginBalance", where),
        available=number(entry, "availableBalance", where),
    )


def futures_balances(payload: Any) -> tuple[Balance, ...]:
    """The wallets as balances."""
    return tuple(wallet.as_balance() for wallet in futures_wallets(payload))


def symbol_settings(payload: Any, symbol: str) -> SymbolSettings:
    """Leverage and margin type from an answer of `symbolConfig`."""
    where = "symbolConfig"
    for row in rows(payload, where):
        entry = record(row, where)
        if entry.get("symbol") == symbol:
            said = text(entry, "marginType", where).lower()
            crossed = said in ("crossed", "cross")
            if not crossed and said != "isolated":
                raise unusable(where, f"marginType is {said!r}")
            return SymbolSettings(
                whole(entry, "leverage", where),
                MarginType.CROSSED if crossed else MarginType.ISOLATED,
            )
    raise unusable(where, f"{symbol} is not in it")


def position(
    payload: Any, symbol: str, settings: SymbolSettings, mark_price: Decimal, now_ms: int
) -> Position:
    """The net position of `symbol` in an answer of `positionRisk`.

    The answer holds only symbols with a position or an open order, and `liquidationPrice` is "0"
    where the venue would never close by force.

    Args:
        mark_price: for a symbol that the answer does not hold.
    """
    where = "positionRisk"
    for row in rows(payload, where):
        entry = record(row, where)
        if entry.get("symbol") != symbol or entry.get("positionSide", "BOTH") != "BOTH":
            continue
        quantity = number(entry, "positionAmt", where)
        liquidation = number_or_zero(entry, "liquidationPrice", where)
        return Position(
            symbol=symbol,
            quantity=quantity,
            entry_price=number(entry, "entryPrice", where) if quantity else ZERO,
            mark_price=number_or_zero(entry, "markPrice", where) or mark_price,
            liquidation_price=liquidation if quantity and liquidation > 0 else None,
            leverage=settings.leverage,
            margin_type=settings.margin_type,
            updated_ms=whole(entry, "updateTime", where) or now_ms,
        )
    return Position(
        symbol=symbol,
        quantity=ZERO,
        entry_price=ZERO,
        mark_price=mark_price,
        liquidation_price=None,
        leverage=settings.leverage,
        margin_type=settings.margin_type,
        updated_ms=now_ms,
    )


def hedged_sides(payload: Any, symbol: str) -> tuple[str, ...]:
    """The sides of positions that exist beside the net one; a grid cannot live with them."""
    where = "positionRisk"
    entries = [record(row, where) for row in rows(payload, where)]
    return tuple(
        str(entry["positionSide"])
        for entry in entries
        if entry.get("symbol") == symbol
        and entry.get("positionSide") in ("LONG", "SHORT")
        and number(entry, "positionAmt", where)
    )


def mark_price(payload: Any) -> Decimal:
    """The mark price in an answer of `premiumIndex` about one symbol."""
    return number(record(payload, "premiumIndex"), "markPrice", "premiumIndex")


def funding(payload: Any, symbol: str) -> tuple[FundingPaid, ...]:
    """The funding payments of `symbol` among rows of `income`, oldest first, each id once."""
    where = "income"
    found: dict[str, FundingPaid] = {}
    for row in rows(payload, where):
        entry = record(row, where)
        if entry.get("incomeType") != "FUNDING_FEE" or entry.get("symbol") != symbol:
            continue
        paid = FundingPaid(
            time_ms=whole(entry, "time", where),
            funding_id=str(whole(entry, "tranId", where)),
            asset=named(entry, "asset", where),
            amount=number(entry, "income", where),
        )
        found[paid.funding_id] = paid
    return tuple(sorted(found.values(), key=lambda paid: (paid.time_ms, int(paid.funding_id))))


def spot_fees(payload: Any) -> FeeSchedule:
    """The account's rates from `account/commission`: standard, tax and special ones together.

    Each part has a rate by role and one by side; the dearer side is taken, so that a plan never
    counts on less than the venue takes. A discount for paying in another asset is left out.
    """
    where = "account/commission"
    entry = record(payload, where)
    maker, taker = ZERO, ZERO
    for part in ("standardCommission", "taxCommission", "specialCommission"):
        if part not in entry:
            continue
        rates = record(entry[part], where)
        by_side = max(number_or_zero(rates, "buyer", where), number_or_zero(rates, "seller", where))
        maker += number(rates, "maker", where) + by_side
        taker += number(rates, "taker", where) + by_side
    return FeeSchedule(maker=maker, taker=taker, mode=FeeMode.RECEIVED)


def futures_fees(payload: Any) -> FeeSchedule:
    """The account's rates on one symbol from `commissionRate`."""
    where = "commissionRate"
    entry = record(payload, where)
    return FeeSchedule(
        maker=number(entry, "makerCommissionRate", where),
        taker=number(entry, "takerCommissionRate", where),
        mode=FeeMode.QUOTE,
    )

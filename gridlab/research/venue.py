"""The paper venue of a backtest: which rules it has, and what its account holds.

A symbol whose rules are bundled gets those. For any other, rules are read off the data itself: the
steps in which its prices and volumes were recorded. Whoever reports a result says which it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridlab.data.aggregate import ExactColumn
from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument as bundled_instrument
from gridlab.domain.market import FeeMode, Instrument, Market
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput, NotFound
from gridlab.money import Number, exact, parse, rounding, text

#: Quote assets by which a symbol's name is divided; longer names first, so that FDUSD beats USD.
QUOTES: tuple[str, ...] = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "BTC", "ETH", "BNB"),
    *("EUR", "TRY", "BRL", "USD"),
)
#: Rows that are looked at to find the steps: prices change their decimals rarely if ever.
SAMPLE = 50_000
_FINEST = Decimal("0.00000001")
_WIDE = Decimal("1000000000")
#: An account with this many times the grid's need is never what stops the grid.
PLENTY = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """An instrument, and in words where its rules come from."""

    instrument: Instrument
    source: str


def rules_for(bars: Bars) -> Rules:
    """The rules under which a grid trades on `bars`: the symbol's bundled ones, else derived."""
    try:
        rules = bundled_instrument(bars.symbol, bars.market)
    except NotFound:
        return derived_rules(bars)
    return Rules(rules, f"the exchange's rules for {bars.symbol}, as bundled")


def derived_rules(bars: Bars) -> Rules:
    """Rules read off the recorded digits: tick and lot; no least order value, no price band.

    Raises:
        InvalidInput: the symbol's name does not tell its quote asset.
    """
    tick = min(_step(getattr(bars, name)[:SAMPLE]) for name in ("open", "high", "low", "close"))
    lot = _step(bars.volume[:SAMPLE])
    base, quote = split_symbol(bars.symbol)
    rules = Instrument(
        symbol=bars.symbol,
        market=bars.market,
        base=base,
        quote=quote,
        tick_size=tick,
        lot_size=lot,
        min_notional=_FINEST,
        min_quantity=lot,
        max_quantity=_WIDE,
        min_price=tick,
        max_price=_WIDE,
        max_notional=_WIDE,
        max_num_orders=1000,
    )
    return Rules(
        rules,
        f"{bars.symbol} has no bundled rules: tick {text(tick)} and lot {text(lot)} are read off "
        "the data, and no least order value is assumed",
    )


def split_symbol(symbol: str) -> tuple[str, str]:
    """(base, quote) of a symbol's name.

    Raises:
        InvalidInput: it ends in no known quote asset.

    >>> split_symbol("SOLUSDT")
    ('SOL', 'USDT')
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    raise InvalidInput(
        f"{symbol} ends in no known quote asset ({', '.join(QUOTES)}); hand in an Instrument, "
        "which names base and quote"
    )


def account_for(plan: GridPlan, balances: Mapping[str, Number] | None = None) -> dict[str, Decimal]:
    """What the paper account holds when the grid starts, by asset.

    By default twice what the grid needs, in quote and in the token that pays its fees if there is
    one, so that the account is never what stops it. On futures the need is the margin: the leverage
    divides it.
    """
    if balances is not None:
        return {asset: parse(amount, f"balance of {asset}") for asset, amount in balances.items()}
    fees = plan.spec.fees
    with exact():
        if plan.spec.market is Market.FUTURES:
            needed = PLENTY * plan.margin_needed
        else:
            needed = PLENTY * max(plan.capital_needed, plan.spec.investment or plan.capital_needed)
    account = {plan.instrument.quote: needed}
    if fees.mode is FeeMode.THIRD:
        with rounding():
            account[fees.third_asset] = needed / fees.third_price
    return account


def _step(values: object) -> Decimal:
    """The step of ten in which a column was recorded, 0.00000001 at the finest."""
    decimals = ExactColumn.of(values).decimals  # type: ignore[arg-type]
    return Decimal((0, (1,), -decimals))

"""What a venue says about a market: instruments with their rules, candles, tickers, fees.

Values only. Prices are in the quote asset, quantities in the base asset, times in UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from gridlab.errors import InvalidInput
from gridlab.money import ZERO


class Market(StrEnum):
    """A venue's market; the API's `market_type`."""

    SPOT = "spot"
    FUTURES = "futures"


class Interval(StrEnum):
    """Candle widths, written as Binance writes them."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"

    @property
    def ms(self) -> int:
        """Width in milliseconds."""
        return _WIDTHS_MS[self]


_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WIDTHS_MS = {each: int(each.value[:-1]) * _UNITS_MS[each.value[-1]] for each in Interval}


@dataclass(frozen=True, slots=True)
class PercentPrice:
    """How far from the reference price an order may lie, as factors of that price.

    Source: Binance's PERCENT_PRICE_BY_SIDE filter; each side has a floor and a ceiling.
    """

    bid_down: Decimal
    bid_up: Decimal
    ask_down: Decimal
    ask_up: Decimal


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable symbol and the rules that its orders must pass.

    Args:
        tick_size: price step, quote units.
        lot_size: quantity step, base units.
        min_notional, max_notional: bounds of price x quantity, quote units.
        max_num_orders: open orders that the venue allows on this symbol.
        commission_precision: decimals that a commission is rounded to.

    Raises:
        InvalidInput: a step or a minimum that is not above zero.
    """

    symbol: str
    market: Market
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_price: Decimal
    max_price: Decimal
    max_notional: Decimal = Decimal("9000000")
    max_num_orders: int = 200
    percent_price: PercentPrice | None = None
    commission_precision: int = 8
    status: str = "TRADING"

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "min_quantity", "min_price"):
            if getattr(self, name) <= 0:
                raise InvalidInput(f"{self.symbol}: {name} is {getattr(self, name)}; must be > 0")


def path_times_ms(open_time_ms: int, width_ms: int) -> tuple[int, int, int, int]:
    """Times of a bar's open, first extreme, second extreme and close."""
    return (
        open_time_ms,
        open_time_ms + width_ms // 3,
        open_time_ms + 2 * width_ms // 3,
        open_time_ms + width_ms - 1,
    )


class BarPath(StrEnum):
    """The order in which a price visits the extremes of a bar, which no bar tells."""

    STATED = "stated"  # low first when the bar rose or stood, else high first
    LOW_FIRST = "low_first"
    HIGH_FIRST = "high_first"
    CONTRARY = "contrary"  # the other way round than stated: the longest way through the bar


@dataclass(frozen=True, slots=True)
class Kline:
    """One candle. `quote_volume` and `trades` are None where the recording lacks them."""

    open_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time_ms: int
    quote_volume: Decimal | None = None
    trades: int | None = None

    @property
    def is_rising(self) -> bool:
        return self.close >= self.open

    @property
    def path(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """The stated path inside the bar: O-L-H-C when it rose or stood, O-H-L-C when it fell."""
        return self.along(BarPath.STATED)

    def along(self, path: BarPath) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Open, first extreme, second extreme, close, in the order of `path`."""
        is_low_first = path is BarPath.LOW_FIRST
        if path in (BarPath.STATED, BarPath.CONTRARY):
            is_low_first = self.is_rising == (path is BarPath.STATED)
        if is_low_first:
            return (self.open, self.low, self.high, self.close)
        return (self.open, self.high, self.low, self.close)


@dataclass(frozen=True, slots=True)
class Ticker:
    """The rolling window that ends now, at most 24 hours.

    Args:
        window_ms: how much of the 24 hours the recording really covers.
        change_fraction: last / first open - 1.
    """

    symbol: str
    market: Market
    price: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    change_fraction: Decimal
    high: Decimal
    low: Decimal
    time_ms: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class BestQuote:
    """The best bid and ask of one symbol; a price of 0 is an empty side of the book."""

    symbol: str
    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The best levels of one symbol's book: (price, quantity in base units), best first.

    Args:
        limit: how many levels of a side were asked for; a side of so many may go on. None where
            nothing was left out.
    """

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    limit: int | None = None


class FeeMode(StrEnum):
    """The asset in which a venue takes its commission."""

    QUOTE = "quote"
    RECEIVED = "received"  # Binance spot: base on a buy, quote on a sell
    THIRD = "third"  # a fee token such as BNB, at a stated price


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Commission rates, as fractions of the traded value.

    Args:
        mode: which asset pays.
        third_asset, third_price: fee token and its price in quote units; only for `THIRD`.
    """

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    mode: FeeMode = FeeMode.RECEIVED
    third_asset: str = ""
    third_price: Decimal = ZERO

    def __post_init__(self) -> None:
        for name in ("maker", "taker"):
            rate = getattr(self, name)
            if not Decimal("-0.01") < rate < Decimal("0.1"):
                raise InvalidInput(f"{name} fee is {rate}; a fraction such as 0.001 is meant")
        if self.mode is FeeMode.THIRD and not (self.third_asset and self.third_price > 0):
            raise InvalidInput("fees in a third asset need its name and its price above zero")


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds of one asset: free to use, and locked in open orders."""

    asset: str
    free: Decimal = field(default=ZERO)
    locked: Decimal = field(default=ZERO)

    @property
    def total(self) -> Decimal:
        return self.free + self.locked

"""nautilus_trader on the standard work: its engine walks each bar and fills resting limit orders.

The engine takes high or low first by which is nearer to the open, not by the bar's colour, and the
grid is laid when the first bar has closed. Building its bar objects is not counted.

    python nautilus_grid.py --data bars.npz [--configs N] [--reps K]
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
from decimal import Decimal  # noqa: E402

import nautilus_trader  # noqa: E402
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig  # noqa: E402
from nautilus_trader.config import (  # noqa: E402
    LoggingConfig,
    RiskEngineConfig,
    StrategyConfig,
)
from nautilus_trader.model import (  # noqa: E402
    Bar,
    BarType,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.model.currencies import BTC, USDT  # noqa: E402
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide  # noqa: E402
from nautilus_trader.model.instruments import CurrencyPair  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402

IMPORT_S = time.perf_counter() - BEGAN

import work  # noqa: E402

VENUE, LOT = Venue("SIM"), 1e-6
PAIR = InstrumentId(Symbol("BTCUSDT"), VENUE)
MINUTES = BarType.from_str("BTCUSDT.SIM-1-MINUTE-LAST-EXTERNAL")


def instrument() -> CurrencyPair:
    fee = Decimal(str(work.FEE))
    return CurrencyPair(
        instrument_id=PAIR, raw_symbol=Symbol("BTCUSDT"), base_currency=BTC, quote_currency=USDT,
        price_precision=2, size_precision=6, price_increment=Price(0.01, 2),
        size_increment=Quantity(LOT, 6), lot_size=None, max_quantity=Quantity(9000, 6),
        min_quantity=Quantity(LOT, 6), max_notional=None, min_notional=None,
        max_price=Price(1_000_000, 2), min_price=Price(0.01, 2), margin_init=Decimal(0),
        margin_maint=Decimal(0), maker_fee=fee, taker_fee=fee, ts_event=0, ts_init=0,
    )  # fmt: skip


class LinesConfig(StrategyConfig, frozen=True):
    lines: tuple[float, ...]
    gap: int
    quantity: float


class Lines(Strategy):
    """A limit order on every line but one; each fill rests the opposite one beside it."""

    def on_start(self) -> None:
        self.size = Quantity(self.config.quantity, 6)
        self.lines = [Price(line, 2) for line in self.config.lines]
        self.at, self.buys, self.sells = {}, 0, 0
        self.subscribe_bars(MINUTES)

    def rest(self, k: int, side: OrderSide) -> None:
        order = self.order_factory.limit(PAIR, side, self.size, self.lines[k])
        self.at[order.client_order_id] = k
        self.submit_order(order)

    def on_bar(self, bar: Bar) -> None:
        if self.at or self.buys or self.sells:
            return
        for k in range(len(self.lines)):
            if k != self.config.gap:
                self.rest(k, OrderSide.BUY if k < self.config.gap else OrderSide.SELL)

    def on_order_filled(self, event: object) -> None:
        k = self.at.pop(event.client_order_id)
        is_buy = event.order_side == OrderSide.BUY
        self.buys, self.sells = self.buys + is_buy, self.sells + (not is_buy)
        self.rest(k + 1 if is_buy else k - 1, OrderSide.SELL if is_buy else OrderSide.BUY)


def run(grid: work.BareGrid, bars: list[Bar], last: float) -> tuple[float, int, int, float]:
    """(seconds, buys, sells, equity)."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        VENUE, oms_type=OmsType.NETTING, account_type=AccountType.CASH, base_currency=None,
        starting_balances=[Money(grid.cash, USDT), Money(grid.base, BTC)],
        bar_adaptive_high_low_ordering=True,
    )  # fmt: skip
    engine.add_instrument(instrument())
    lines = tuple(float(line) for line in grid.lines)
    strategy = Lines(LinesConfig(lines=lines, gap=grid.gap, quantity=grid.quantity))
    engine.add_strategy(strategy)
    engine.add_data(bars)
    began = time.perf_counter()
    engine.run()
    took = time.perf_counter() - began
    account = engine.portfolio.account(VENUE)
    cash, base = (account.balance_total(each).as_double() for each in (USDT, BTC))
    found = (took, strategy.buys, strategy.sells, cash + base * last)
    engine.dispose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1)
    parser.add_argument("--reps", type=int, default=1)
    options = parser.parse_args()
    data = work.load(options.data)
    plenty = Quantity(1e6, 6)
    stamps = ((data["t"] + 60_000) * 1_000_000).tolist()
    columns = (data[name].tolist() for name in "ohlc")
    bars = [
        Bar(MINUTES, Price(o, 2), Price(h, 2), Price(low, 2), Price(c, 2), plenty, when, when)
        for o, h, low, c, when in zip(*columns, stamps, strict=True)
    ]
    wanted = [(work.WIDTH, work.LEVELS)]
    wanted = wanted if options.configs == 1 else work.variants(options.configs)
    grids = [work.lay(data["o"][0], *each, lot=LOT) for each in wanted]
    rounds = [[run(grid, bars, data["c"][-1]) for grid in grids] for _ in range(options.reps)]
    found = min(rounds, key=lambda each: sum(part[0] for part in each))
    seconds, buys, sells, equity = (sum(column) for column in zip(*found, strict=True))
    work.report(
        "nautilus_trader", nautilus_trader.__version__, import_s=IMPORT_S, wall_s=seconds,
        bars=len(bars), configs=len(grids), buys=buys, sells=sells, equity=equity / len(grids),
    )  # fmt: skip


if __name__ == "__main__":
    main()

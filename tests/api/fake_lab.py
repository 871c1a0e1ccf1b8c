"""A hand-made lab over the bundled recording: real prices and plans, no engine thread."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from gridlab.clock import ManualClock, SystemClock
from gridlab.data import catalog
from gridlab.data.recorded import RecordedMarket
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Balance, Market
from gridlab.domain.orders import Side, Trade
from gridlab.domain.snapshot import *
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, InvalidSpec, NotFound
from gridlab.grid.preflight import plan_grid
from gridlab.money import ZERO


class FakeLab:
    def __init__(self):
        bars = {}
        for s in ("BTCUSDT", "ETHUSDT"):
            b = catalog.load(s, Market.SPOT)
            bars[(Market.SPOT, s)] = b
        self.clock = ManualClock(next(iter(bars.values())).open_time_ms[0].item() + 3 * 86400_000)
        self.market = RecordedMarket(
            bars, {k: catalog.instrument(k[1], k[0]) for k in bars}, self.clock
        )
        self.bots = {}
        self._trades = {}
        self.seq = 0

    @property
    def snapshot(self):
        self.seq += 1
        now = self.clock.now_ms()
        return Snapshot(
            sequence=self.seq, mode=Mode.REPLAY, state=EngineState.READY, time_ms=now,
            wall_ms=SystemClock().now_ms() - 5, started_ms=now, speed=300.0, progress=0.25,
            prices=MappingProxyType(
                {(Market.SPOT, s): self.market.price(Market.SPOT, s).value for s in self.symbols()}
            ),
            bots=MappingProxyType(dict(self.bots)),
            balances=(Balance("USDT", Decimal(9000), Decimal(500)), Balance("BTC", Decimal("0.01"))),
            agents=(AgentHealth("trader", "running", SystemClock().now_ms(), 0),),
        )

    def default_spec(self, symbol="BTCUSDT"):
        self.instrument(symbol)
        return GridSpec(symbol, 10, spacing=Decimal("0.005"), investment=Decimal(1000))

    def preflight(self, spec):
        inst = self.instrument(spec.symbol, spec.market)
        return plan_grid(spec, inst, self.market.price(spec.market, spec.symbol).value)

    def start_grid(self, spec):
        if spec.symbol in self.bots and self.bots[spec.symbol].status is BotStatus.RUNNING:
            raise Conflict("already")
        plan = self.preflight(spec)
        if not plan.ok:
            raise InvalidSpec(*(f.message for f in plan.findings))
        now = self.clock.now_ms()
        trade = Trade(1, "11", "gl-r1-i-0-0", spec.symbol, Side.BUY, plan.reference_price,
                      plan.quantity, Decimal("0.00001"), "BTC", False, now)
        self._trades[spec.symbol] = (trade,)
        self.bots[spec.symbol] = BotSnapshot(
            spec.symbol, spec.market, "r1", BotStatus.RUNNING, "", plan.reference_price,
            plan.lines, spec.levels, spec.spacing or ZERO, plan.quantity, now - 8_100_000, now,
            tuple(
                OpenOrder(f"gl-r1-{o.slot}-0-0", str(o.slot + 20), o.slot, o.side, o.price,
                          o.quantity, ZERO, "open", now)
                for o in plan.orders
            ),
            (Vacancy(3, plan.lines[3], Side.BUY, "percent_price"),),
            1, trade,
            Money(Decimal(1000), Decimal(3), Decimal("-1.5"), Decimal("-0.25"), ZERO,
                  Decimal("1.25"), Decimal("0.01"), (("BTC", Decimal("-0.00001")),)),
        )
        return self.bots[spec.symbol]

    def stop_grid(self, symbol, policy=StopPolicy.KEEP):
        bot = self.bots[symbol]
        if bot.status is BotStatus.STOPPED:
            raise Conflict("stopped")
        self.bots[symbol] = replace(bot, status=BotStatus.STOPPED, open_orders=())
        return self.bots[symbol]

    def trades(self, symbol, limit=500):
        return self._trades.get(symbol, ())[-limit:]

    def symbols(self, market=Market.SPOT):
        return self.market.symbols(market)

    def ticker(self, symbol, market=Market.SPOT):
        return self.market.ticker(market, symbol)

    def klines(self, symbol, interval="1h", limit=100, market=Market.SPOT):
        return self.market.klines(market, symbol, interval, limit)

    def instrument(self, symbol, market=Market.SPOT):
        return self.market.instrument(market, symbol)

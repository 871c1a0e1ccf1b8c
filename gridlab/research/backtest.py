"""`backtest`: one grid over recorded candles, through the very core that trades live.

Where the compiled kernel is the core's equal, fill by fill (see `ladder.why_not`), it makes the
figures, and the core is asked only for what is made of objects: trades, commands.

The loop below is the replay without its event loop: the same `Grid`, the same `PaperBook`, the same
turns (everything that happened is handled, then everything that was decided is sent), the same
moments for vacant slots. A test holds the two equal, command by command. What makes it fast is
only what it leaves out: candles that touch no resting order are passed over by a scan.
Knows no clock: the time of a backtest is the recording's.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.commands import CancelOrder, Command
from gridlab.domain.events import Event, GridStarted, OrderFilled, OrderRejected, Replan
from gridlab.domain.market import Instrument, Market, path_times_ms
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.base import Rejected
from gridlab.exchange.paper import FillRule, PaperBook
from gridlab.exchange.replay import POINTS
from gridlab.grid.engine import Grid
from gridlab.grid.invariants import check
from gridlab.grid.preflight import checked, plan_grid
from gridlab.grid.view import money_at
from gridlab.money import ZERO, Number, exact, from_float, parse, rounding, text
from gridlab.research.flows import Flows
from gridlab.research.kernel_run import KernelRun, try_kernel
from gridlab.research.outcome import Story
from gridlab.research.result import BacktestResult
from gridlab.research.venue import Rules, account_for, rules_for

__all__ = ["BacktestResult", "Engine", "FillRule", "backtest", "core_story", "fill_rule_of"]

#: The first run of a new replay has this name too, so the commands of both are the same bytes.
RUN = "r1"
#: Bars that the scan compares at once: few at first, because the next touch is often near.
FIRST_CHUNK = 128
LARGEST_CHUNK = 16_384
#: From so many bars on the core takes longer than it takes to load the kernel.
LONG_SERIES = 100_000
#: How often `progress` is called in a run.
PROGRESS_STEPS = 200


def backtest(
    spec: GridSpec,
    bars: Bars,
    *,
    engine: Engine | str = "auto",
    instrument: Instrument | None = None,
    fill_rule: FillRule | str = FillRule.TOUCH,
    balances: Mapping[str, Number] | None = None,
    participation: Number | None = None,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """What `spec` would have done on `bars`, started at the first bar's open.

    Args:
        engine: `auto` takes the kernel where it is exact and worth loading, the core elsewhere;
            `kernel` refuses where it is not exact; `core` never takes it. The figures are equal.
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        fill_rule: `touch`, or `through`: the price must go one tick beyond an order to fill it.
        balances: what the account holds, by asset; by default more than the grid needs.
        participation: the fraction of a bar's volume that may fill the grid's orders; None fills
            without limit.
        progress: called now and then with the fraction of the bars that is done, 0 to 1.

    Raises:
        InvalidSpec: the grid cannot start at this price; every rule that forbids it is named.
        InvalidInput: bars of another symbol or market, no bars, or a setting out of range.
    """
    wanted = _choice_of(Engine, engine, "engine")
    _check_bars(spec, bars)
    rules = Rules(instrument, "the instrument handed in") if instrument else rules_for(bars)
    plan = plan_grid(spec, rules.instrument, from_float(bars.open[0]))
    account = account_for(plan, balances)
    plan = checked(plan, account)
    failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    if failures:
        raise InvalidSpec(*failures)
    rule = fill_rule_of(fill_rule)
    share = _share_of(participation)
    core = _Core(plan, bars, account, rule, share)
    if wanted is Engine.KERNEL or (wanted is Engine.AUTO and _is_worth_loading(bars)):
        found = _by_kernel(core) if share is None else "participation limits the fills"
        if not isinstance(found, str):
            if progress is not None:
                progress(1.0)
            return BacktestResult(
                flows=found.flows(bars),
                money=found.books.money,
                ledger_lines=found.books.lines,
                bars_walked=found.walked,
                tell=core.play,
                **core.named(rules, Engine.KERNEL),
            )
        if wanted is Engine.KERNEL:
            raise InvalidInput(f"the kernel is not exact here: {found}; use engine='core'")
    story = core.play(progress)
    return BacktestResult(
        flows=Flows.of(story.trades, bars, rules.instrument),
        money=story.money,
        ledger_lines=story.ledger_lines,
        bars_walked=story.bars_walked,
        tell=lambda: story,
        **core.named(rules, Engine.CORE),
    )


class Engine(StrEnum):
    """Who makes the figures of a backtest."""

    AUTO = "auto"
    KERNEL = "kernel"
    CORE = "core"


@dataclass(frozen=True, eq=False)
class _Core:
    """All that a run of the core depends on, to be played at once or when it is asked for."""

    plan: GridPlan
    bars: Bars
    account: Mapping[str, Decimal]
    rule: FillRule
    share: Decimal | None

    def play(self, progress: Callable[[float], None] | None = None) -> Story:
        spec, rules = self.plan.spec, self.plan.instrument
        book = PaperBook({spec.symbol: rules}, self.account, fees=spec.fees, fill_rule=self.rule)
        run = _Run(self.plan, self.bars, book, self.share)
        run.play(progress)
        return run.story()

    def named(self, rules: Rules, engine: Engine) -> dict[str, Any]:
        """What a result says of itself."""
        return {
            "plan": self.plan,
            "bars": self.bars,
            "rules": rules.source,
            "fill_rule": str(self.rule),
            "engine": str(engine),
        }


def _is_worth_loading(bars: Bars) -> bool:
    """Whether the kernel saves more than loading its compiler costs, some half a second once."""
    return "numba" in sys.modules or len(bars) >= LONG_SERIES


def _by_kernel(core: _Core) -> KernelRun | str:
    return try_kernel(core.plan, core.bars, core.account, core.rule)


def core_story(plan: GridPlan, bars: Bars, account: Mapping[str, Decimal], rule: FillRule) -> Story:
    """What the core makes of a plan that is laid at the first bar's open."""
    return _Core(plan, bars, account, rule, None).play()


def _check_bars(spec: GridSpec, bars: Bars) -> None:
    if spec.market is not Market.SPOT:
        raise InvalidSpec(f"market is {spec.market}; backtests trade a spot account, choose spot")
    if (bars.symbol, bars.market) != (spec.symbol, spec.market):
        raise InvalidInput(
            f"the grid is for {spec.symbol} ({spec.market}) and the bars are of {bars.symbol} "
            f"({bars.market}); load the bars of the same symbol and market"
        )
    if not len(bars):
        raise InvalidInput(f"there is no bar of {bars.symbol} to run over; widen the span")


def fill_rule_of(value: FillRule | str) -> FillRule:
    """The fill rule of this name; raises `InvalidInput` for any other word."""
    return _choice_of(FillRule, value, "fill_rule")


_Kind = TypeVar("_Kind", bound=StrEnum)


def _choice_of(kind: type[_Kind], value: str, name: str) -> _Kind:
    try:
        return kind(value)
    except ValueError:
        raise InvalidInput(f"{name} is {value!r}; choose one of {', '.join(kind)}") from None


def _share_of(participation: Number | None) -> Decimal | None:
    if participation is None:
        return None
    share = parse(participation, "participation")
    if not ZERO < share <= 1:
        raise InvalidInput(
            f"participation is {text(share)}; it is a fraction of the volume above 0 and at most 1"
        )
    return share


class _Run:
    """One grid on one paper account, and where in the bars it stands."""

    def __init__(
        self, plan: GridPlan, bars: Bars, book: PaperBook, participation: Decimal | None
    ) -> None:
        self.plan = plan
        self.bars = bars
        self.book = book
        self.symbol = plan.spec.symbol
        # Books are checked once at the end: they are the same whether or not each event is audited.
        self.grid = Grid(audit=False)
        self.time_ms = int(bars.open_time_ms[0])
        self.commands: list[Command] = []
        self.trades: list[Trade] = []
        self.profits: list[Decimal] = []
        self.bars_walked = 0
        self._participation = participation
        self._inbox: deque[Event] = deque()

    # --- over the bars ----------------------------------------------------------------------------

    def play(self, progress: Callable[[float], None] | None) -> None:
        """Start at the first open, go to the last close, then check the books."""
        self._begin()
        self._walk(0, first_point=1)
        bar, count, told = 1, len(self.bars), 0
        while bar < count:
            bar = self._play_next(bar) + 1
            if progress is not None and (bar - told) * PROGRESS_STEPS >= count:
                progress(bar / count)
                told = bar
        with exact():
            check(self.grid)

    def _begin(self) -> None:
        price = self.plan.reference_price
        self.book.walk(self.symbol, price, self.time_ms)
        spec, rules = self.plan.spec, self.plan.instrument
        self._inbox.append(GridStarted(self.time_ms, RUN, spec, rules, price))
        self._settle()

    def _play_next(self, bar: int) -> int:
        """Play from `bar` to the next one that touches an order, and return the last bar played.

        A grid with vacant slots tries them again between any two bars, so it is led bar by bar.
        """
        last = len(self.bars) - 1
        if self.grid.wants_replan:
            self._inbox.append(Replan(self.time_ms, self._price))
            self._settle()
            last = bar
        touched = self._next_touch(bar, last + 1)
        if touched > bar:
            self._jump_over(touched - 1)
        if touched <= last:
            self._walk(touched)
            return touched
        return last

    @property
    def _price(self) -> Decimal:
        price = self.book.price(self.symbol)
        assert price is not None, "the first walk sets it"
        return price

    def _next_touch(self, start: int, stop: int) -> int:
        """The first bar in [start, stop) whose range reaches a resting order; `stop` if none does.

        Comparing doubles misses nothing: a decimal and its nearest double keep their order, so a
        low at or below an order's price has a double at or below that price's double. A bar that
        comes out of it without need is walked in decimals and fills nothing.
        """
        buy, sell = self.book.bounds(self.symbol)
        floor = -np.inf if buy is None else float(buy)
        ceiling = np.inf if sell is None else float(sell)
        low, high, size = self.bars.low, self.bars.high, FIRST_CHUNK
        while start < stop:
            end = min(start + size, stop)
            touches = (low[start:end] <= floor) | (high[start:end] >= ceiling)
            first = int(touches.argmax())
            if touches[first]:
                return start + first
            start, size = end, min(4 * size, LARGEST_CHUNK)
        return stop

    def _jump_over(self, bar: int) -> None:
        """Stand at the close of `bar`; nothing between here and there touched an order."""
        self.time_ms = self._times_of(bar)[-1]
        self.book.set_price(self.symbol, from_float(self.bars.close[bar]))

    def _walk(self, bar: int, first_point: int = 0) -> None:
        """Take the price along the candle's path, and let the grid answer at each point.

        The bar's volume, if it limits anything, is spread evenly over the legs of the path.
        """
        kline, times = self.bars.kline(bar), self._times_of(bar)
        self.bars_walked += 1
        for point in range(first_point, len(times)):
            self.time_ms = times[point]
            volume = self._volume_share(kline.volume) if point else None
            self.book.walk(self.symbol, kline.path[point], self.time_ms, volume)
            self._settle()

    def _times_of(self, bar: int) -> tuple[int, int, int, int]:
        return path_times_ms(int(self.bars.open_time_ms[bar]), self.bars.interval.ms)

    def _volume_share(self, volume: Decimal) -> Decimal | None:
        if self._participation is None:
            return None
        with rounding():
            return volume * self._participation / (POINTS - 1)

    # --- between grid and book --------------------------------------------------------------------

    def _settle(self) -> None:
        """Handle all that happened, send all that was decided, until nothing more comes of it."""
        self._inbox.extend(self.book.take_events())
        while self._inbox:
            commands: list[Command] = []
            while self._inbox:
                event = self._inbox.popleft()
                if self.grid.is_news(event):
                    commands += self._handle(event)
            for command in commands:
                self._send(command)
            self.commands += commands

    def _handle(self, event: Event) -> tuple[Command, ...]:
        if not isinstance(event, OrderFilled):
            return self.grid.handle(event)
        before = self.grid.ledger.grid_profit
        commands = self.grid.handle(event)
        with exact():
            self.profits.append(self.grid.ledger.grid_profit - before)
        self.trades.append(event.trade)
        return commands

    def _send(self, command: Command) -> None:
        if isinstance(command, CancelOrder):  # the order window moves
            self.book.cancel(command.symbol, command.client_id, self.time_ms)
            self._inbox.extend(self.book.take_events())
            return
        request = command.request
        outcome = self.book.place(request, self.time_ms)
        self._inbox.extend(self.book.take_events())
        if isinstance(outcome, Rejected):
            self._inbox.append(
                OrderRejected(self.time_ms, request.client_id, outcome.code, outcome.reason)
            )

    # --- the end ----------------------------------------------------------------------------------

    def story(self) -> Story:
        """Everything that is known at the last close."""
        fees = self.plan.spec.fees
        money = money_at(
            self.grid, from_float(self.bars.close[-1]), {fees.third_asset: fees.third_price}
        )
        return Story(
            trades=tuple(self.trades),
            profits=tuple(self.profits),
            commands=tuple(self.commands),
            vacancies=tuple(
                (slot.index, slot.vacancy) for slot in self.grid.slots if slot.order is None
            ),
            money=money,
            ledger_lines=self.grid.ledger.lines(),
            bars_walked=self.bars_walked,
        )

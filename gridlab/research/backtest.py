"""`backtest`: one grid over recorded candles, through the very core that trades live.

Where the compiled kernel is the core's equal, fill by fill (see `ladder.why_not`), it makes the
figures, and the core is asked only for what is made of objects: trades, commands.

The core's run is in `core_run`: the replay without its event loop; a test holds the two equal,
command by command. Knows no clock: the time of a backtest is the recording's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from gridlab.data.bars import Bars
from gridlab.data.funding import Funding, FundingData
from gridlab.domain.account import MarginType
from gridlab.domain.market import BarPath, Instrument, Market
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule, PaperBook
from gridlab.grid.preflight import checked, plan_grid
from gridlab.money import ZERO, Number, from_float, parse, text
from gridlab.research.core_run import CoreRun, Shock
from gridlab.research.feed import Data, bars_of
from gridlab.research.flows import Flows
from gridlab.research.futures_run import FuturesSide, margin_type_of
from gridlab.research.kernel_futures import FuturesRun, try_futures
from gridlab.research.kernel_partial import PartialRun, try_partial
from gridlab.research.kernel_run import KernelRun, try_kernel
from gridlab.research.outcome import Story
from gridlab.research.result import BacktestResult
from gridlab.research.venue import Rules, account_for, rules_for

__all__ = ["BacktestResult", "Engine", "FillRule", "backtest", "core_story", "fill_rule_of"]

#: From so many bars on the core takes longer than it takes to load the kernel.
LONG_SERIES = 100_000


def backtest(
    spec: GridSpec,
    data: Data,
    *,
    engine: Engine | str = "auto",
    instrument: Instrument | None = None,
    fill_rule: FillRule | str = FillRule.TOUCH,
    balances: Mapping[str, Number] | None = None,
    participation: Number | None = None,
    path: BarPath | str = BarPath.STATED,
    latency_ms: int = 0,
    funding: FundingData | None = None,
    margin: MarginType | str = MarginType.ISOLATED,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """What `spec` would have done on `data`, started at the first bar's open.

    Args:
        data: `Bars`, a DataFrame of candles, or the path of a file of them; see `feed.bars_of`.
        engine: `auto` takes the kernel where it is exact and worth loading, the core elsewhere;
            `kernel` refuses where it is not exact; `core` never takes it. The figures are equal.
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        fill_rule: `touch`, or `through`: the price must go one tick beyond an order to fill it.
        balances: what the account holds, by asset; by default more than the grid needs.
        participation: the fraction of a bar's volume that may fill the grid's orders; None fills
            without limit.
        path: which extreme of a bar comes first: `stated` (the low of a bar that rose, the high of
            one that fell), `low_first`, `high_first`, or `contrary` to what is stated.
        latency_ms: how long an order is on its way after the fill that caused it, counted from the
            start of that leg of the path. A bar's prices have known times at its open and close
            only, so an order arrives at the first of these that is late enough, at the price there;
            what a bar does before passes it by.
        funding: futures: the rates, in any form that `Funding.of` takes; None books none, and the
            result says so. Each is paid once, at its time, at the last price before it.
        margin: futures: `isolated` or `crossed`; what stands behind the position.
        progress: called now and then with the fraction of the bars that is done, 0 to 1.

    Raises:
        InvalidSpec: the grid cannot start at this price; every rule that forbids it is named.
        InvalidInput: bars of another symbol or market, no bars, or a setting out of range.
        NotFound: no such file of funding rates, or none of the symbol in it.
    """
    wanted = _choice_of(Engine, engine, "engine")
    bars = bars_of(data, spec)
    _check_bars(spec, bars)
    rules, plan, account = laid(spec, bars, instrument, balances)
    rule = fill_rule_of(fill_rule)
    share = share_of(participation)
    side = _futures_side_of(spec, bars, funding, margin)
    along, late_ms = _choice_of(BarPath, path, "path"), latency_of(latency_ms)
    core = _Core(plan, bars, account, rule, share, side, path=along, latency_ms=late_ms)
    if wanted is Engine.KERNEL or (wanted is Engine.AUTO and _is_worth_loading(bars)):
        found = _by_kernel(core)
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
    return _told(core, rules, core.play(progress))


def _told(core: _Core, rules: Rules, story: Story) -> BacktestResult:
    """A run of the core as a result."""
    return BacktestResult(
        flows=Flows.of(story.trades, core.bars, rules.instrument, story.payments),
        money=story.money,
        ledger_lines=story.ledger_lines,
        bars_walked=story.bars_walked,
        liquidation=story.liquidation,
        tell=lambda: story,
        **core.named(rules, Engine.CORE),
    )


class Engine(StrEnum):
    """Who makes the figures of a backtest."""

    AUTO = "auto"
    KERNEL = "kernel"
    CORE = "core"


def shocked(
    plan: GridPlan,
    bars: Bars,
    shocks: Sequence[Shock] = (),
    *,
    rules: str,
    side: FuturesSide | None = None,
) -> BacktestResult:
    """What the core makes of a plan laid at the first open while the venue changes on the way.

    Args:
        shocks: by bar, ascending. rules: where the instrument's rules come from, in words.
        side: as for `core_story`.
    """
    if side is None and plan.spec.market is Market.FUTURES:
        side = FuturesSide()
    core = _Core(plan, bars, account_for(plan), FillRule.TOUCH, None, side, tuple(shocks))
    return _told(core, Rules(plan.instrument, rules), core.play())


@dataclass(frozen=True, eq=False)
class _Core:
    """All that a run of the core depends on, to be played at once or when it is asked for."""

    plan: GridPlan
    bars: Bars
    account: Mapping[str, Decimal]
    rule: FillRule
    share: Decimal | None
    futures: FuturesSide | None = None
    shocks: tuple[Shock, ...] = ()
    path: BarPath = BarPath.STATED
    latency_ms: int = 0

    def play(self, progress: Callable[[float], None] | None = None) -> Story:
        spec, rules = self.plan.spec, self.plan.instrument
        watch = None
        if self.futures is not None:
            watch = self.futures.watch(self.plan, self.bars, self.account, self.rule)
            book: PaperBook = watch.book
        else:
            book = PaperBook(
                {spec.symbol: rules}, self.account, fees=spec.fees, fill_rule=self.rule
            )
        run = CoreRun(self.plan, self.bars, book, self.share, self.path, self.latency_ms)
        run.margin = watch
        run.shocks.extend(self.shocks)
        run.play(progress)
        return run.story()

    def _again(self) -> Callable[..., BacktestResult]:
        """This very backtest, to be asked for with other assumptions."""
        side = self.futures
        futures: dict[str, Any] = {}
        if side is not None:
            futures = {"funding": side.funding, "margin": side.margin}
        return partial(
            backtest,
            self.plan.spec,
            self.bars,
            instrument=self.plan.instrument,
            balances=self.account,
            fill_rule=self.rule,
            participation=self.share,
            path=self.path,
            latency_ms=self.latency_ms,
            **futures,
        )

    def named(self, rules: Rules, engine: Engine) -> dict[str, Any]:
        """What a result says of itself."""
        return {
            "plan": self.plan,
            "bars": self.bars,
            "rules": rules.source,
            "fill_rule": str(self.rule),
            "participation": self.share,
            "path": self.path,
            "latency_ms": self.latency_ms,
            "engine": str(engine),
            "again": None if self.shocks else self._again(),
            **({} if self.futures is None else self.futures.named(self.bars)),
        }


def laid(
    spec: GridSpec,
    bars: Bars,
    instrument: Instrument | None,
    balances: Mapping[str, Number] | None,
) -> tuple[Rules, GridPlan, dict[str, Decimal]]:
    """The grid at the first open, under which rules, and what the account holds.

    Raises:
        InvalidSpec: it may not start; every rule that forbids it is named.
    """
    rules = Rules(instrument, "the instrument handed in") if instrument else rules_for(bars)
    plan = plan_grid(spec, rules.instrument, from_float(bars.open[0]))
    account = account_for(plan, balances)
    plan = checked(plan, account)
    failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    if failures:
        raise InvalidSpec(*failures)
    return rules, plan, account


def _is_worth_loading(bars: Bars) -> bool:
    """Whether the kernel saves more than loading its compiler costs, some half a second once."""
    return "numba" in sys.modules or len(bars) >= LONG_SERIES


def _by_kernel(core: _Core) -> KernelRun | PartialRun | FuturesRun | str:
    if core.latency_ms:
        return f"orders are {core.latency_ms} ms on their way"
    if core.share is not None:
        return try_partial(core.plan, core.bars, core.account, core.rule, core.share, core.path)
    if core.futures is not None and core.path is not BarPath.STATED:
        return "it watches a margin on the stated path only"
    if core.futures is not None:
        return try_futures(core.plan, core.bars, core.account, core.rule, core.futures)
    return try_kernel(core.plan, core.bars, core.account, core.rule, core.path)


def core_story(
    plan: GridPlan,
    bars: Bars,
    account: Mapping[str, Decimal],
    rule: FillRule,
    side: FuturesSide | None = None,
    share: Decimal | None = None,
) -> Story:
    """What the core makes of a plan laid at the first bar's open.

    Args:
        side: on futures, funding and margin; None for isolated margin and no funding.
        share: of a bar's volume that may fill orders; None for no limit.
    """
    if side is None and plan.spec.market is Market.FUTURES:
        side = FuturesSide()
    return _Core(plan, bars, account, rule, share, side).play()


def _check_bars(spec: GridSpec, bars: Bars) -> None:
    if (bars.symbol, bars.market) != (spec.symbol, spec.market):
        raise InvalidInput(
            f"the grid is for {spec.symbol} ({spec.market}) and the bars are of {bars.symbol} "
            f"({bars.market}); load the bars of the same symbol and market"
        )
    if not len(bars):
        raise InvalidInput(f"there is no bar of {bars.symbol} to run over; widen the span")


def _futures_side_of(
    spec: GridSpec, bars: Bars, funding: FundingData | None, margin: MarginType | str
) -> FuturesSide | None:
    kind = margin_type_of(margin)
    if spec.market is Market.FUTURES:
        rates = None if funding is None else Funding.of(funding, spec.symbol)
        return FuturesSide(rates, kind)
    if funding is not None:
        raise InvalidInput(
            "funding is paid on futures and this grid trades spot; leave it out, or choose "
            "market='futures'"
        )
    return None


def fill_rule_of(value: FillRule | str) -> FillRule:
    """The fill rule of this name; raises `InvalidInput` for any other word."""
    return _choice_of(FillRule, value, "fill_rule")


_Kind = TypeVar("_Kind", bound=StrEnum)


def _choice_of(kind: type[_Kind], value: str, name: str) -> _Kind:
    try:
        return kind(value)
    except ValueError:
        raise InvalidInput(f"{name} is {value!r}; choose one of {', '.join(kind)}") from None


def latency_of(latency_ms: int) -> int:
    """The latency as it is; raises `InvalidInput` for anything but whole milliseconds from 0 up."""
    if isinstance(latency_ms, bool) or not isinstance(latency_ms, int) or latency_ms < 0:
        raise InvalidInput(
            f"latency_ms is {latency_ms!r}; a whole number of milliseconds from 0 up is meant"
        )
    return latency_ms


def share_of(participation: Number | None) -> Decimal | None:
    """The fraction of a volume; raises `InvalidInput` for one outside 0 to 1."""
    if participation is None:
        return None
    share = parse(participation, "participation")
    if not ZERO < share <= 1:
        raise InvalidInput(
            f"participation is {text(share)}; it is a fraction of the volume above 0 and at most 1"
        )
    return share

"""The desk of the AI agent: where the model's tasks meet the engine's pictures and market data.

Everything here reads. The desk serves the agent's schedule and whoever asks through the facade
alike; each task says whether a model wrote its text or the template, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final, Protocol

from gridlab.agents.ai import AiAgent, AiPlan, Proposed
from gridlab.agents.ai_facts import (
    LEAD_HOURS,
    WIDTH,
    WINDOW_HOURS,
    grid_facts,
    market_facts,
    report_facts,
)
from gridlab.agents.decisions import decision_of
from gridlab.app.ai_proposal import CANDLES, Proposal, Trials
from gridlab.app.ai_proposal import WIDTH as PLAYED_WIDTH
from gridlab.app.config_models import AiAgent as AiSection
from gridlab.app.recent_fills import RecentFills
from gridlab.app.settings import Settings
from gridlab.clock import Clock, SystemClock
from gridlab.domain.market import Instrument, Interval, Kline, Market
from gridlab.domain.orders import ClientId
from gridlab.domain.snapshot import (
    STALE_AFTER_MS,
    BotSnapshot,
    BotStatus,
    EngineState,
    Snapshot,
)
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.exchange.base import Dated
from gridlab.llm.answers import Preset
from gridlab.llm.client import LocalAIClient
from gridlab.llm.facts import Language
from gridlab.llm.render import Report
from gridlab.llm.tasks import explanation, grid, market, reports
from gridlab.llm.tasks.market import MarketFacts
from gridlab.llm.tasks.reports import ReportKind
from gridlab.llm.writing import Written, write
from gridlab.store.journal import read_entries

#: Hours in which a report counts fills.
REPORT_HOURS = 24
#: Why nobody is asked, in the language of the text that then has no author.
_OFF: Final[dict[Language, str]] = {
    "en": "{switch} is false in the configuration",
    "pt": "{switch} é false na configuração",
}
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000


def nothing_said(done: float, words: str = "") -> None:
    """Nobody wants to hear how far the work is."""


class Lab(Protocol):
    """What the desk reads; `GridLab` is one."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def settings(self) -> Settings: ...

    def klines(
        self, symbol: str, interval: Interval | str, limit: int, market: Market
    ) -> tuple[Kline, ...]: ...

    def dated_klines(
        self, symbol: str, interval: Interval | str, limit: int, market: Market
    ) -> Dated[tuple[Kline, ...]]: ...

    def bot_price(self, bot: BotSnapshot, snapshot: Snapshot) -> Dated[Decimal] | None: ...

    def instrument(self, symbol: str, market: Market) -> Instrument: ...

    def default_spec(self, symbol: str, market: Market | None) -> GridSpec: ...


def client_of(section: AiSection) -> LocalAIClient:
    """The client that the configuration describes."""
    common = section.model_settings
    return LocalAIClient(
        section.base_url,
        timeout_s=float(common.timeout_seconds),
        temperature=float(common.temperature),
        max_tokens=common.max_tokens,
        presets={
            name: Preset(preset.model_name, float(preset.temperature), preset.max_tokens)
            for name, preset in section.model_presets.items()
        },
    )


class AiDesk:
    """The tasks over one engine; satisfies `gridlab.agents.ai.Desk`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._section = lab.settings.config.ai_agent
        self._recent = RecentFills(REPORT_HOURS * _HOUR_MS)
        self.client = client_of(self._section)

    def agent(self, clock: Clock) -> AiAgent:
        """The agent on the configured intervals; a feature that is off is never due."""
        section, features = self._section, self._section.features
        wanted = section.report_generation
        kinds = {
            ReportKind.DAILY: wanted.daily_report,
            ReportKind.PERFORMANCE: wanted.performance_summary,
        }
        minutes = section.analysis_interval_minutes * features.market_analysis
        hours = section.optimization_interval_hours * features.grid_optimization
        is_reporting = features.report_generation
        plan = AiPlan(
            analyse_every_ms=int(minutes * _MINUTE_MS),
            optimise_every_ms=int(hours * _HOUR_MS),
            reports=tuple(kind for kind, is_wanted in kinds.items() if is_wanted and is_reporting),
        )
        return AiAgent(self, plan, clock)

    # --- what the agent asks ----------------------------------------------------------------------

    def running(self) -> tuple[tuple[str, Market], ...]:
        snapshot = self._lab.snapshot
        if snapshot.state is not EngineState.READY:
            return ()
        return tuple(
            (bot.symbol, bot.market)
            for bot in snapshot.bots.values()
            if bot.status is BotStatus.RUNNING
        )

    def now_ms(self) -> int:
        return self._lab.snapshot.time_ms

    def analyse(
        self,
        symbol: str,
        where: Market,
        language: Language,
        still_wanted: Callable[[], None] | None = None,
    ) -> Written:
        """The analysis of one pair; raises `NotFound` for a symbol without a price."""
        brief = market.brief_for(self._market(symbol, where), language)
        return write(self.client, brief, self._off("market_analysis", language), still_wanted)

    def optimise(
        self,
        symbol: str,
        where: Market,
        language: Language,
        still_wanted: Callable[[], None] | None = None,
    ) -> Proposed:
        """`propose`, as much of it as the agent needs."""

        def told(_: float, __: str = "") -> None:
            if still_wanted is not None:
                still_wanted()

        found = self.propose(symbol, where, language, told)
        return Proposed(
            symbol,
            found.present.shape,
            found.proposed.shape,
            found.proposed.is_startable,
            found.written,
        )

    def report(
        self,
        kind: ReportKind,
        language: Language,
        still_wanted: Callable[[], None] | None = None,
        symbol: str = "",
    ) -> Report:
        """A report; of one pair when `symbol` is given.

        Raises:
            InvalidInput: a pair's report without a symbol.
            NotFound: no such symbol.
        """
        if (kind is ReportKind.PAIR) is not bool(symbol):
            raise InvalidInput(f"a {kind} report takes {'no' if symbol else 'a'} symbol")
        snapshot = self._lab.snapshot
        about = None
        if symbol:
            bot = snapshot.bots.get(symbol)
            about = self._market(symbol, Market.SPOT if bot is None else bot.market)
        quotes = {
            bot.symbol: self._lab.instrument(bot.symbol, bot.market).quote
            for bot in snapshot.bots.values()
        }
        journal = self._lab.settings.journal_path
        fills = self._recent.count(journal, snapshot.time_ms)
        ages = self._ages(snapshot)
        facts = report_facts(kind, snapshot, quotes, fills, REPORT_HOURS, ages, about)
        brief = reports.brief_for(facts, language)
        summary = write(self.client, brief, self._off("report_generation", language), still_wanted)
        return reports.assemble(facts, summary)

    # --- what only people ask ---------------------------------------------------------------------

    def explain(
        self,
        order: str,
        run: str,
        language: Language,
        still_wanted: Callable[[], None] | None = None,
    ) -> Written:
        """Why `order` was placed.

        Args:
            order: our client id, or the venue's order id.
            run: the run or the symbol whose order it is; may be empty for a client id.

        Raises:
            NotFound: the journal has no such order.
            InvalidInput: a venue's id without a run or symbol.
        """
        parsed = ClientId.parse(order)
        bot = self._lab.snapshot.bots.get(run)
        stream = parsed.run if parsed is not None else run if bot is None else bot.run
        if not stream:
            raise InvalidInput(
                f"{order!r} is a venue's order id; say whose order it is by its run or symbol"
            )
        entries = read_entries(self._lab.settings.journal_path, stream)
        decision = decision_of((entry for _, entry in entries), order)
        brief = explanation.brief_for(decision, language)
        return write(self.client, brief, self._off("decision_explanation", language), still_wanted)

    def propose(
        self,
        symbol: str,
        where: Market,
        language: Language,
        told: Callable[[float, str], None] = nothing_said,
    ) -> Proposal:
        """Another shape for the grid on `symbol`, planned and played beside the present one.

        Balances are left out of the plans, because the present grid holds them.

        Raises:
            NotFound: no such symbol.
        """
        told(0.0, f"reading {symbol}")
        about = self._market(symbol, where)
        bot = self._bot(symbol, where)
        spec = self._spec(symbol, where, bot)
        facts = grid_facts(about, spec, bot)
        told(0.05, "asking for a proposal")
        written = write(
            self.client,
            grid.brief_for(facts, language),
            self._off("grid_optimization", language),
            lambda: told(0.05, "asking for a proposal"),
        )
        candles = self._lab.klines(symbol, PLAYED_WIDTH, CANDLES, where)
        trials = Trials(
            spec,
            self._lab.instrument(symbol, where),
            about.price,
            candles,
            about.time_ms,
            lambda done: told(0.2 + 0.8 * done, f"{len(candles)} candles of {symbol}"),
        )
        present, proposed = trials.of(facts.present), trials.of(written.values["shape"])
        played = trials.candles
        return Proposal(
            symbol=symbol,
            market=where,
            is_running=facts.is_running,
            present=present,
            proposed=proposed,
            written=written,
            from_ms=played[0].open_time_ms if played else about.time_ms,
            to_ms=played[-1].close_time_ms if played else about.time_ms,
        )

    # --- reading ----------------------------------------------------------------------------------

    def _off(self, feature: str, language: Language) -> str:
        """Why no model is to be asked for `feature`; empty when one is."""
        if not self._section.enabled:
            return _OFF[language].format(switch="ai_agent.enabled")
        if not getattr(self._section.features, feature):
            return _OFF[language].format(switch=f"ai_agent.features.{feature}")
        return ""

    def _market(self, symbol: str, where: Market) -> MarketFacts:
        rules = self._lab.instrument(symbol, where)
        candles = self._lab.dated_klines(symbol, WIDTH, WINDOW_HOURS + LEAD_HOURS, where)
        return market_facts(symbol, rules.quote, candles, self._lab.snapshot.time_ms)

    def _ages(self, snapshot: Snapshot) -> dict[str, Dated[Decimal]]:
        """The price of each bot whose value hangs on one, as old as the picture that shows it."""
        picture_ms = max(0, SystemClock().now_ms() - snapshot.wall_ms)
        ages = {}
        for bot in snapshot.bots.values():
            price = self._lab.bot_price(bot, snapshot)
            if price is None:
                continue
            ages[bot.symbol] = Dated(
                bot.price,
                max(price.age_ms, picture_ms),
                price.is_stale or picture_ms > STALE_AFTER_MS,
            )
        return ages

    def _bot(self, symbol: str, where: Market) -> BotSnapshot | None:
        bot = self._lab.snapshot.bots.get(symbol)
        is_there = bot is not None and bot.market is where and bot.status is BotStatus.RUNNING
        return bot if is_there else None

    def _spec(self, symbol: str, where: Market, bot: BotSnapshot | None) -> GridSpec:
        """The configured grid, at the running bot's shape and size where there is one."""
        spec = self._lab.default_spec(symbol, where)
        if bot is None or not bot.spacing:
            return spec
        invested: Decimal = bot.money.investment
        return replace(
            spec,
            levels=bot.levels,
            spacing=bot.spacing,
            investment=invested or spec.investment,
            leverage=bot.leverage,
        )

"""`BotPanel`: one symbol's grid on one screen, live.

Everything that changes a widget runs on the feed's thread; a press or a changed field only posts
to it. The panel shows what its source says, how old that is, and says so when nothing answers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w

from gridlab.client import Client
from gridlab.clock import Clock, SystemClock
from gridlab.domain.market import Market
from gridlab.errors import GridLabError
from gridlab.widgets import markup
from gridlab.widgets.chart import LiveChart
from gridlab.widgets.feed import Feed
from gridlab.widgets.form import Controls
from gridlab.widgets.source import MAX_FILLS, Source, source_of
from gridlab.widgets.view import (
    BotView,
    Candles,
    EngineView,
    FillRow,
    GridForm,
    Preview,
    profit_history,
    quote_asset,
)

STYLE = Path(__file__).with_name("panel.css")
HISTORY_BARS = 240
#: Bars asked for at each poll; more when the feed has slept.
FRESH_BARS = 8
#: Polls between two pre-flights of an unchanged form: its prices move with the market.
PREVIEW_EVERY = 4
FIRST_INTERVAL = "1m"


class BotPanel(w.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Banner, figures, chart, controls and tables of one symbol.

    Args:
        engine: a `Client`, a started `GridLab`, or a `Source`.
        symbol: which bot to show; by default the first one that runs.
        controls: whether to offer the form with start and stop.
        tables: whether to show orders, fills and vacant slots.
        clock: measures how long ago the engine last answered.
    """

    def __init__(
        self,
        engine: Any,
        symbol: str = "",
        *,
        controls: bool = True,
        tables: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.source: Source = source_of(engine)
        self._clock = clock or SystemClock()
        self._symbol = symbol
        self._run = ""
        self._interval = FIRST_INTERVAL
        self._symbols: tuple[str, ...] = ()
        self._market = Market.SPOT.value
        self._view: EngineView | None = None
        self._fills: list[FillRow] = []
        self._fills_of: tuple[str, str, int] = ("", "", -1)
        self._candles = Candles(())
        self._mark: float | None = None
        self._last_bar_ms = 0
        self._down_since_ms: int | None = None
        self._answered_ms = self._clock.now_ms()
        self._preview: Preview | None = None
        self._polls = 0
        self._build(controls, tables)
        self.feed = Feed(self.poll)
        self.chart.on_view(self._from_browser)
        self.feed.touch()

    def _build(self, controls: bool, tables: bool) -> None:
        self.chart = LiveChart(symbol=self._symbol, interval=self._interval)
        self.chart.add_class("gl-chart")
        self.controls = Controls(
            on_form=lambda: self.feed.post(self._form_changed),
            on_start=lambda form: self.feed.post(lambda: self._start(form)),
            on_stop=lambda symbol, policy: self.feed.post(lambda: self._stop(symbol, policy)),
        )
        style = w.HTML(f"<style>{STYLE.read_text(encoding='utf-8')}</style>")
        style.add_class("gl-style")
        self._banner = w.HTML(markup.banner(None, None, 0))
        self._alarm = w.HTML("")
        self._alarm.layout.display = "none"
        self._tiles = w.HTML(markup.tiles(None, None, self._symbol, None, 0))
        main = w.Box([self.chart, self.controls.widget] if controls else [self.chart])
        main.add_class("gl-main" if controls else "gl-main-wide")
        self._orders, self._filled, self._vacant = w.HTML(), w.HTML(), w.HTML()
        parts: list[w.Widget] = [style, self._banner, self._alarm, self._tiles, main]
        if tables:
            table_box = w.Box([self._orders, self._filled, self._vacant])
            parts.append(table_box.add_class("gl-tables"))
        super().__init__(parts)
        self.add_class("gl-panel")

    @property
    def symbol(self) -> str:
        """The symbol on show; empty until the engine has named one."""
        return self._symbol

    def close(self) -> None:
        """End the feed and the widgets."""
        self.feed.stop()
        super().close()

    # -- what the feed's thread does

    def poll(self) -> None:
        """Read the source once and show what it said, or that it said nothing."""
        try:
            view = self.source.engine()
            self._settle_symbol(view)
            bot = view.bots.get(self._symbol)
            if self._last_bar_ms == 0 or (bot.run if bot else "") != self._run:
                self._load(bot)
            candles = self.source.candles(
                self._symbol, self._interval, self._bars_needed(view), self._market
            )
            self._refresh_fills(bot)
            self._refresh_preview(view, bot)
        except GridLabError as error:
            self._show_down(error)
            return
        self._view = view
        self._answered_ms = self._clock.now_ms()
        self._down_since_ms = None
        self._polls += 1
        self._candles = candles
        if candles.bars:
            self._last_bar_ms = candles.bars[-1][0]
            self._mark = bot.price if bot and bot.is_active else candles.bars[-1][4]
        self._show(view, bot, view.age_ms)
        self._push(view, bot, candles)

    def _settle_symbol(self, view: EngineView) -> None:
        """Choose a symbol at first, and offer those that there are.

        A bot that runs decides on which market its symbol is shown.
        """
        bot = view.bots.get(self._symbol)
        if bot is not None and bot.is_active and bot.market != self._market:
            self._market, self._symbols, self._last_bar_ms = bot.market, (), 0
        if self._symbols and self._symbol:
            return
        running = [bot for bot in view.bots.values() if bot.is_active]
        if not self._symbol and running:
            self._symbol, self._market = running[0].symbol, running[0].market
        self._symbols = self.source.symbols(self._market)
        if not self._symbol:
            self._symbol = next(iter([*view.bots, *self._symbols]), "BTCUSDT")
        offered = sorted({*self._symbols, self._symbol})
        self.controls.offer(offered, self._symbol, self._market)

    def _bars_needed(self, view: EngineView) -> int:
        """Enough bars to close the gap since the last poll, however long the feed slept."""
        width = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}[self._interval]
        behind = (view.time_ms - self._last_bar_ms) // width + 2
        return int(min(1000, max(FRESH_BARS, behind)))

    def _load(self, bot: BotView | None) -> None:
        """Send the history of the symbol on show, with the fills and profit of this run alone."""
        self._run = bot.run if bot else ""
        self._fills_of = ("", "", -1)
        self._refresh_fills(bot)
        bars = self.source.candles(self._symbol, self._interval, HISTORY_BARS, self._market).bars
        profit = profit_history(bot, self._fills, bars) if bot else []
        self.chart.replace(
            bars,
            levels=bot.drawn_levels() if bot and bot.is_active else (),
            fills=self._fills,
            profit=profit,
            symbol=self._symbol,
            interval=self._interval,
            quote=quote_asset(self._symbol),
            digits=markup.decimals_of(bar[4] for bar in bars),
        )
        self._last_bar_ms = bars[-1][0] if bars else 0

    def _refresh_fills(self, bot: BotView | None) -> None:
        """Fetch the trades when their number says that there are new ones."""
        if bot is None:
            self._fills = []
            return
        key = (bot.symbol, bot.run, bot.trade_count)
        if key != self._fills_of:
            self._fills = self.source.fills(bot.symbol, bot.run)
            # Right after a restart the engine may count trades that it does not list yet.
            if len(self._fills) >= min(bot.trade_count, MAX_FILLS):
                self._fills_of = key

    def _refresh_preview(self, view: EngineView, bot: BotView | None) -> None:
        """Ask the pre-flight while no bot runs, now and then; show its lines on the chart."""
        if bot is not None and bot.is_active:
            self._preview = None
            self.chart.show_preview(())
        elif self._preview is None or self._polls % PREVIEW_EVERY == 0:
            self._ask_preview()

    def _ask_preview(self) -> None:
        form = self.controls.form
        if not form.symbol:
            return
        try:
            self._preview = self.source.preview(form)
        except GridLabError as error:
            if self._unreachable():
                raise
            self._preview = Preview(ok=False, problems=getattr(error, "problems", (str(error),)))
        self.chart.show_preview(self._preview.lines)

    def _unreachable(self) -> bool:
        """Whether the source has stopped answering at all, rather than refused a form."""
        try:
            self.source.engine()
        except GridLabError:
            return True
        return False

    def _push(self, view: EngineView, bot: BotView | None, candles: Candles) -> None:
        note, age_ms = "", max(view.age_ms, candles.age_ms)
        if markup.is_stale(view, view.age_ms):
            note = f"The engine has not moved for {markup.age(view.age_ms)}"
        elif markup.are_stale(view, candles):
            note = f"The candles are {markup.age(age_ms)} old"
        point = [(view.time_ms, bot.total, bot.grid_profit)] if bot else []
        self.chart.push(
            candles.bars,
            levels=bot.drawn_levels() if bot and bot.is_active else (),
            fills=self._fills,
            profit=point,
            stale=bool(note),
            tag=markup.stamp(view, age_ms),
            note=note,
        )

    # -- what is shown

    def _show_numbers(self, view: EngineView, bot: BotView | None, age_ms: int) -> None:
        digits = markup.decimals_of(
            [*(bot.lines if bot else ()), *([self._mark] if self._mark is not None else [])]
        )
        note = markup.stamp(view, age_ms)
        is_old = self._down_since_ms is not None or markup.is_stale(view, age_ms)
        self._put(self._banner, markup.banner(view, bot, age_ms, is_old=is_old))
        price_note = "" if bot and bot.is_active else self._candles_note(view, age_ms)
        self._put(
            self._tiles,
            markup.tiles(view, bot, self._symbol, self._mark, age_ms, mark_note=price_note),
        )
        self._put(self._orders, markup.orders_card(bot, note, digits))
        count = bot.trade_count if bot else 0
        self._put(self._filled, markup.fills_card(self._fills, count, note, digits))
        self._put(self._vacant, markup.vacancies_card(bot, note, digits))

    def _candles_note(self, view: EngineView, age_ms: int) -> str:
        """What stands beside a price of the candles when the engine's word is `age_ms` old."""
        behind_ms = max(0, self._candles.age_ms - view.age_ms)
        words = markup.stamp(view, age_ms + behind_ms)
        return f"STALE · {words}" if markup.are_stale(view, self._candles) else words

    def _show(self, view: EngineView, bot: BotView | None, age_ms: int) -> None:
        self._show_numbers(view, bot, age_ms)
        stale = markup.is_stale(view, age_ms)
        words = (
            "<b>Stale data.</b> The engine answers, but its newest step is "
            f"{markup.age(age_ms)} old."
            if stale
            else ""
        )
        self._show_alarm(words, stale)
        position = view.positions.get(self._symbol)
        self.controls.show(bot, view.mode, self._preview, position)

    def _show_down(self, error: GridLabError) -> None:
        now_ms = self._clock.now_ms()
        if self._down_since_ms is None:
            self._down_since_ms = now_ms
        silent_ms = now_ms - self._answered_ms
        words = markup.unreachable(str(error), silent_ms, self._view)
        self._show_alarm(words, True)
        if self._view is not None:
            age_ms = self._view.age_ms + silent_ms
            bot = self._view.bots.get(self._symbol)
            self._show_numbers(self._view, bot, age_ms)
        note = f"Engine unreachable for {markup.age(silent_ms)}"
        self.chart.push((), stale=True, note=note, tag=note)
        self.controls.show_offline()

    def _show_alarm(self, words: str, stale: bool) -> None:
        self._put(self._alarm, markup.alarm(words))
        display = None if words else "none"
        if self._alarm.layout.display != display:
            self._alarm.layout.display = display
        if stale != ("gl-stale" in self._dom_classes):
            (self.add_class if stale else self.remove_class)("gl-stale")

    @staticmethod
    def _put(target: w.HTML, text: str) -> None:
        if target.value != text:
            target.value = text

    # -- what a viewer does

    def _from_browser(self, content: dict[str, Any]) -> None:
        if content.get("type") == "interval":
            self.feed.post(lambda: self._choose_interval(str(content.get("interval"))))
        else:
            self.feed.touch()

    def _choose_interval(self, interval: str) -> None:
        if interval in ("1m", "5m", "15m", "1h"):
            self._interval, self._last_bar_ms = interval, 0
            self.poll()

    def _form_changed(self) -> None:
        form = self.controls.form
        if form.market != self._market:
            self._market, self._symbols, self._last_bar_ms = form.market, (), 0
        if form.symbol and form.symbol != self._symbol:
            self._symbol, self._last_bar_ms = form.symbol, 0
        self._preview = None
        self.poll()

    def _start(self, form: GridForm) -> None:
        self.controls.say(f"Starting {form.symbol}…")
        self._act(lambda: self.source.start(form), f"{form.symbol} started.")

    def _stop(self, symbol: str, policy: str) -> None:
        self.controls.say(f"Stopping {symbol}…")
        # A venue confirms each cancel later; the status beside this says when all have ended.
        self._act(
            lambda: self.source.stop(symbol, policy),
            f"{symbol} is stopping; its orders are cancelled.",
        )

    def _act(self, change: Callable[[], None], done: str) -> None:
        """Do it and say what came of it, in the engine's words when it refuses."""
        try:
            change()
        except GridLabError as error:
            self.controls.say(str(error), "bad")
        else:
            self.controls.say(done, "good")
        self.poll()


def dashboard(engine: Any = None, symbol: str = "") -> BotPanel:
    """The whole panel; by default over the engine that `GRIDLAB_API_URL` names."""
    return BotPanel(Client() if engine is None else engine, symbol)


def live(engine: Any = None, symbol: str = "") -> BotPanel:
    """Chart and figures alone, for a notebook's cell; looks and never acts."""
    return BotPanel(Client() if engine is None else engine, symbol, controls=False, tables=False)

"""Panel and chart without a browser: what they show, what they send, when they fall silent."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridlab.errors import ExchangeUnavailable, InvalidInput, InvalidSpec
from gridlab.widgets import markup
from gridlab.widgets.chart import MODULE, LiveChart
from gridlab.widgets.feed import Feed
from gridlab.widgets.panel import BotPanel
from gridlab.widgets.source import of_this_run, source_of
from gridlab.widgets.view import (
    BotView,
    Candle,
    Candles,
    EngineView,
    FillRow,
    GridForm,
    Level,
    OrderRow,
    PositionRow,
    Preview,
    VacancyRow,
    profit_history,
)

BOT = BotView(
    symbol="BTCUSDT",
    market="spot",
    status="running",
    run="r1",
    price=100.0,
    grid_profit=3.0,
    floating=-1.0,
    fees=-0.5,
    total=1.5,
    investment=1000.0,
    equity=1001.5,
    base_held=2.0,
    trade_count=2,
    spacing_percentage=0.5,
    levels=2,
    lines=(90.0, 100.0, 110.0),
    orders=(
        OrderRow("buy", 90.0, 1.0, 0.25, "open", 1),
        OrderRow("sell", 110.0, 1.0, 0.0, "unknown", 1),
    ),
    vacancies=(VacancyRow("buy", 100.0, "<script>alert(1)</script>"),),
    uptime="1h 0m",
)
VIEW = EngineView("Replay", "ready", 600_000, 300, 300.0, 0.25, bots={"BTCUSDT": BOT})
FILLS = [
    FillRow("1", "buy", 100.0, 2.0, 0.0, "USDT", 60_500),
    FillRow("2", "sell", 104.0, 1.0, 0.5, "USDT", 180_500),
]


def candles(*closes: float) -> list[Candle]:
    return [(i * 60_000, close, close, close, close, 1.0) for i, close in enumerate(closes)]


class ScriptedSource:
    """An engine whose answers the test writes; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.view = VIEW
        self.down = False
        self.started: list[GridForm] = []
        self.stopped: list[tuple[str, str]] = []
        self.refuse = ""
        self.candles_age_ms, self.has_old_candles = 0, False
        self.asked: list[tuple[str, str]] = []

    def engine(self) -> EngineView:
        if self.down:
            raise ExchangeUnavailable("no engine answers")
        return self.view

    def symbols(self, market: str = "spot") -> tuple[str, ...]:
        return ("BTCUSDT", "ETHUSDT") if market == "spot" else ("ETHUSDT",)

    def candles(self, symbol: str, interval: str, limit: int, market: str = "spot") -> Candles:
        self.asked.append((symbol, market))
        return Candles(candles(100.0, 101.0, 102.0), self.candles_age_ms, self.has_old_candles)

    def fills(self, symbol: str, run: str) -> list[FillRow]:
        return FILLS

    def preview(self, form: GridForm) -> Preview:
        if form.spacing_percent == "x":
            raise InvalidSpec("spacing is 'x', which is not a number")
        return Preview(ok=True, lines=(95.0, 100.0, 105.0), facts=(("Range", "95 – 105"),))

    def start(self, form: GridForm) -> None:
        if self.refuse:
            raise InvalidSpec(self.refuse)
        self.started.append(form)

    def stop(self, symbol: str, policy: str) -> None:
        self.stopped.append((symbol, policy))


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture
def panel(source: ScriptedSource) -> Any:
    shown = BotPanel(source)
    shown.feed.stop()  # the tests poll by hand, so that they wait for nothing
    shown.poll()
    yield shown
    shown.close()


def now(panel: BotPanel) -> None:
    """Do what presses have posted, then poll, on this thread."""
    while not panel.feed._commands.empty():
        command = panel.feed._commands.get()
        if command is not None:
            command()
    panel.poll()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def without_bot(source: ScriptedSource) -> None:
    source.view = replace(VIEW, bots={})


# -- imports


def test_importing_widgets_and_client_loads_nothing_heavy() -> None:
    code = (
        "import sys, gridlab.client, gridlab.widgets;"
        "heavy = {'pandas', 'numpy', 'torch', 'plotly', 'pyarrow', 'flask', 'gridlab.app.facade'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_client_alone_loads_no_widgets() -> None:
    code = "import sys, gridlab.client; print({'ipywidgets', 'anywidget'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_chart_module_loads_nothing_from_elsewhere() -> None:
    code = MODULE.read_text(encoding="utf-8")
    assert len(code) < 33_000
    for forbidden in ("http://", "https://", "import ", "fetch(", "innerHTML", "eval("):
        assert forbidden not in code, forbidden


# -- markup


def test_everything_from_outside_is_escaped() -> None:
    shown = markup.vacancies_card(BOT, "<i>", 2) + markup.banner(
        replace(VIEW, mode="<b>", reason="<img>"), replace(BOT, symbol="<x>"), 100
    )
    assert "<script>" not in shown and "<img>" not in shown and "<x>" not in shown
    assert "&lt;script&gt;" in shown and "&lt;X&gt;" not in shown


def test_an_unknown_mode_looks_like_real_money() -> None:
    shown = markup.banner(replace(VIEW, mode="Weird"), None, 0)
    assert markup.DANGER in shown and "treat it as real money" in shown


def test_each_tile_carries_mode_and_age() -> None:
    shown = markup.tiles(VIEW, BOT, "BTCUSDT", 100.0, 300)
    assert shown.count('title="Replay · 0.3 s old"') == 8
    assert "+1.50" in shown and "−0.50" in shown


def test_old_numbers_are_called_stale_unless_the_recording_is_over() -> None:
    assert "STALE" in markup.banner(VIEW, BOT, 6_000)
    assert "was running" in markup.banner(VIEW, BOT, 6_000)
    finished = replace(VIEW, state="finished")
    assert "STALE" not in markup.banner(finished, BOT, 60_000)
    assert "the recording has ended" in markup.banner(finished, BOT, 60_000)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0.00"), (1234.5, "1,234.50"), (-0.004, "−0.0040"), (0.00001, "0.0000")],
)
def test_money_has_a_sign_only_when_it_is_not_nothing(value: float, words: str) -> None:
    assert markup.money(value) == words


def test_orders_show_how_much_is_filled_and_states_that_are_not_plain() -> None:
    shown = markup.orders_card(BOT, "", 2)
    assert "25%" in shown and "unknown" in shown and "+10.00 %" in shown


# -- profit history


def test_profit_history_walks_back_through_the_fills() -> None:
    # Bought 2 at 100 in bar 1; sold 1 at 104 in bar 3 with a fee of 0.5; the price is 106 now.
    # Totals at the closes, by hand: 2x(103-100)=6, 2x(102-100)=4, then 4-0.5+1x(105-100)=8.5.
    bot = replace(BOT, base_held=1.0, price=106.0, total=4 - 0.5 + 6)
    points = profit_history(bot, FILLS, candles(99, 103, 102, 105))
    assert [(time_ms, round(total, 9)) for time_ms, total, _ in points] == [
        (60_000, 6.0),
        (120_000, 4.0),
        (180_000, 8.5),
    ]


def test_profit_history_counts_a_fee_taken_in_the_base_asset() -> None:
    fills = [FillRow("1", "buy", 100.0, 2.0, 0.1, "BTC", 60_500)]
    bot = replace(BOT, base_held=1.9, price=110.0, total=1.9 * 110 - 200)
    points = profit_history(bot, fills, candles(99, 105))
    assert points[0][1] == pytest.approx(1.9 * 105 - 200)


def test_profit_history_is_empty_rather_than_wrong() -> None:
    third = [replace(FILLS[0], fee=0.1, fee_asset="BNB")]
    assert profit_history(BOT, third, candles(99, 103)) == []
    assert profit_history(replace(BOT, base_held=None), FILLS, candles(99, 103)) == []


def test_every_line_is_drawn_once_with_what_rests_on_it() -> None:
    drawn = BOT.drawn_levels()
    assert [(level.price, level.side, level.note) for level in drawn] == [
        (90.0, "buy", ""),
        (100.0, "", "vacant"),
        (110.0, "sell", ""),
    ]
    assert drawn[0].to_js()["qty"] == "0.75"


# -- chart


def sent_by(chart: LiveChart) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    chart.send = lambda content, buffers=None: sent.append(content)
    return sent


def test_the_chart_sends_only_what_changed() -> None:
    chart = LiveChart(candles(1, 2), levels=[Level(1.0, "buy", 1.0)], symbol="BTCUSDT")
    sent = sent_by(chart)
    same = [Level(1.0, "buy", 1.0)]
    chart.push([(60_000, 2, 3, 2, 3, 1)], levels=same, fills=FILLS)
    chart.push(levels=same, fills=FILLS)
    assert sent[0]["bars"] == [[60_000, 2, 3, 2, 3, 1]]
    assert [fill["id"] for fill in sent[0]["fills"]] == ["1", "2"]
    assert "levels" not in sent[0]
    assert set(sent[1]) == {"type"}


def test_a_browser_that_attaches_late_gets_everything() -> None:
    chart = LiveChart(candles(1, 2), symbol="BTCUSDT")
    heard: list[dict[str, Any]] = []
    chart.on_view(heard.append)
    chart.push([(120_000, 3, 3, 3, 3, 1)], fills=FILLS)
    chart.show_preview([1.0, 2.0])
    sent = sent_by(chart)
    chart._heard(chart, {"type": "hello"}, [])
    chart._heard(chart, {"type": "nonsense"}, [])
    assert [bar[0] for bar in sent[0]["bars"]] == [0, 60_000, 120_000]
    assert sent[0]["preview"] == [{"price": 1.0}, {"price": 2.0}]
    assert heard == [{"type": "hello"}]


# -- feed


def test_the_feed_ends_when_nobody_watches_and_begins_again() -> None:
    polls: list[int] = []
    feed = Feed(lambda: polls.append(1), period_s=0.01, silence_s=0.1)
    feed.touch()
    assert wait_for(lambda: not feed.is_running)
    count = len(polls)
    assert count > 2
    feed.touch()
    assert feed.is_running and wait_for(lambda: len(polls) > count)
    feed.stop()
    assert not feed.is_running
    feed.touch()
    assert not feed.is_running


def test_the_feed_survives_an_error_and_does_posted_work_on_its_thread() -> None:
    threads: list[str] = []

    def fail() -> None:
        threads.append("poll")
        raise ValueError("one bad answer")

    feed = Feed(fail, period_s=0.01)
    feed.post(lambda: threads.append(threading.current_thread().name))
    assert wait_for(lambda: threads.count("poll") > 2)
    feed.stop()
    assert threads.count("gridlab-feed") == 1


# -- panel


def test_the_panel_shows_the_running_bot_first(panel: BotPanel) -> None:
    assert panel.symbol == "BTCUSDT"
    assert "BTCUSDT" in panel._banner.value and "running" in panel._banner.value
    assert "+1.50" in panel._tiles.value
    assert panel.controls.go.disabled and not panel.controls.halt.disabled


def test_a_dead_engine_greys_the_numbers_and_coming_back_clears_them(
    panel: BotPanel, source: ScriptedSource
) -> None:
    source.down = True
    panel.poll()
    assert "gl-stale" in panel._dom_classes
    assert "Engine unreachable" in panel._alarm.value
    assert "+1.50" in panel._tiles.value  # still there, greyed
    assert panel.controls.halt.disabled and panel.controls.arm.disabled
    source.down = False
    panel.poll()
    assert "gl-stale" not in panel._dom_classes
    assert panel._alarm.value == "" and not panel.controls.halt.disabled


def test_an_engine_that_stands_still_is_stale_though_it_answers(
    panel: BotPanel, source: ScriptedSource
) -> None:
    source.view = replace(VIEW, age_ms=7_000)
    panel.poll()
    assert "gl-stale" in panel._dom_classes and "Stale data" in panel._alarm.value


def test_old_candles_are_told_though_the_engine_is_fresh(
    panel: BotPanel, source: ScriptedSource
) -> None:
    source.candles_age_ms, source.has_old_candles = 42_000, True
    now(panel)
    assert panel.chart._options["stale"] and "42 s old" in panel.chart._options["tag"]
    assert panel.chart._options["note"] == "The candles are 42 s old"
    assert "42 s old" not in panel._tiles.value, "the bot's price is the engine's"
    without_bot(source)
    now(panel)
    assert "<small>STALE · Replay · 42 s old</small>" in panel._tiles.value
    source.view = replace(source.view, state="finished")
    now(panel)
    assert not panel.chart._options["stale"] and "STALE" not in panel._tiles.value
    source.candles_age_ms, source.has_old_candles = 0, False
    now(panel)
    assert "<small>Replay · 0.3 s old</small>" in panel._tiles.value


def test_start_needs_arming_and_a_change_disarms(panel: BotPanel, source: ScriptedSource) -> None:
    without_bot(source)
    panel.poll()
    controls = panel.controls
    assert controls.go.disabled and not controls.arm.disabled
    controls._start()
    assert source.started == []
    controls.arm.value = True
    assert not controls.go.disabled
    controls.levels.value = 20
    assert controls.go.disabled and not controls.arm.value
    now(panel)
    controls.arm.value = True
    controls.go.click()
    now(panel)
    assert source.started == [GridForm("BTCUSDT", 20, "0.5")]
    assert "started" in controls.said.value


def test_a_refused_start_is_told_in_the_engines_words(
    panel: BotPanel, source: ScriptedSource
) -> None:
    without_bot(source)
    source.refuse = "quantity 0.1 is <below> the minimum 0.2; invest more"
    panel.poll()
    panel.controls.arm.value = True
    panel.controls.go.click()
    now(panel)
    assert "&lt;below&gt;" in panel.controls.said.value and "bad" in panel.controls.said.value


def test_stop_asks_first_and_can_be_declined(panel: BotPanel, source: ScriptedSource) -> None:
    controls = panel.controls
    assert controls.confirm.layout.display == "none"
    controls.halt.click()
    assert controls.confirm.layout.display is None and "2 open orders" in controls.question.value
    controls.no.click()
    now(panel)
    assert source.stopped == []
    controls.halt.click()
    controls.policy.value = "sell"
    controls.yes.click()
    now(panel)
    assert source.stopped == [("BTCUSDT", "sell")]


def test_the_preview_follows_the_form_and_is_never_a_bot(
    panel: BotPanel, source: ScriptedSource
) -> None:
    assert panel.chart._preview == []  # a bot runs
    without_bot(source)
    panel.poll()
    assert [line["price"] for line in panel.chart._preview] == [95.0, 100.0, 105.0]
    panel.controls.spacing.value = "x"
    now(panel)
    assert panel.chart._preview == [] and "not a number" in panel.controls.note.value
    assert panel.controls.arm.disabled and source.started == []


def test_production_needs_the_symbol_typed(panel: BotPanel, source: ScriptedSource) -> None:
    source.view = replace(VIEW, mode="Production", bots={})
    panel.poll()
    controls = panel.controls
    assert controls.arm.disabled and controls.typed.layout.display is None
    controls.typed.value = "btcusdt"
    assert not controls.arm.disabled


def test_an_idle_panel_sends_no_html_again(panel: BotPanel) -> None:
    changes: list[Any] = []
    for part in (panel._banner, panel._tiles, panel._orders, panel._filled, panel._vacant):
        part.observe(changes.append, "value")
    panel.poll()
    assert changes == []


def test_what_is_no_engine_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="int is no engine"):
        source_of(3)


def test_trades_of_an_earlier_run_are_told_apart() -> None:
    assert of_this_run("gl-r2-3-0-1", "r2") and not of_this_run("gl-r1-3-0-1", "r2")
    assert of_this_run("anything", "")


def test_a_new_run_begins_with_its_own_fills_and_profit(
    panel: BotPanel, source: ScriptedSource
) -> None:
    panel.chart.push(profit=[(1, 77.0, 77.0)])
    assert 1 in panel.chart._profit
    source.view = replace(VIEW, bots={"BTCUSDT": replace(BOT, run="r2")})
    panel.poll()
    assert 1 not in panel.chart._profit


def test_a_futures_bot_is_shown_on_its_own_market(source: ScriptedSource) -> None:
    bot = replace(BOT, symbol="ETHUSDT", market="futures")
    position = PositionRow("ETHUSDT", 2.0, 100.0, 55.0, 3, "isolated")
    source.view = replace(VIEW, bots={"ETHUSDT": bot}, positions={"ETHUSDT": position})
    shown = BotPanel(source)
    shown.feed.stop()
    shown.poll()
    assert set(source.asked) == {("ETHUSDT", "futures")}
    assert shown.controls.form.market == "futures"
    assert "2 at 3x, isolated" in shown.controls.note.value
    assert "55.00 (" in shown.controls.note.value
    shown.controls.market.value = "spot"
    now(shown)
    assert shown.controls.form.market == "futures", "its bot decides where a symbol is shown"
    source.view = replace(VIEW, bots={})
    shown.controls.market.value = "spot"
    now(shown)
    assert source.asked[-1] == ("ETHUSDT", "spot")
    shown.close()


def test_the_banner_says_what_a_mode_alone_would_hide() -> None:
    testnet = replace(VIEW, mode="Testnet", speed=1.0, progress=None)
    assert "Binance testnet" in markup.banner(testnet, None, 0)
    twin = replace(testnet, origin="a twin of Binance on this machine <here>")
    assert "a twin of Binance on this machine &lt;here&gt;" in markup.banner(twin, None, 0)
    silent = replace(testnet, unready={"futures": "silent for 12 s"})
    assert "futures: silent for 12 s" in markup.banner(silent, None, 0)

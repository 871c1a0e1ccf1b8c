"""The controls of a panel: what to trade, arm-then-start, stop-with-confirmation.

Only widgets and what they say about themselves. What a press does is handed in; nothing here talks
to an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w

from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.widgets import markup
from gridlab.widgets.view import BotView, GridForm, PositionRow, Preview

#: Label to value of the stop's two policies.
MARKETS = [("Spot", "spot"), ("USD-M futures", "futures")]
POLICIES = [("Keep the base asset", "keep"), ("Sell it at the market", "sell")]


class Controls:
    """The form at the side of the chart.

    Args:
        on_form: called with no argument after any field changed.
        on_start: called with the form when an armed start is pressed.
        on_stop: called with symbol and policy when a stop is confirmed.
    """

    def __init__(
        self,
        *,
        on_form: Callable[[], None],
        on_start: Callable[[GridForm], None],
        on_stop: Callable[[str, str], None],
    ) -> None:
        self._on_form, self._on_start, self._on_stop = on_form, on_start, on_stop
        self._bot: BotView | None = None
        self._mode = ""
        self._can_start = False
        self._quiet = False
        self._make_fields()
        self._make_buttons()
        self.widget = _box(
            [
                _html('<div class="gl-title">Grid</div>'),
                self.market,
                self.symbol,
                self.levels,
                self.spacing,
                self.investment,
                self.note,
                self.typed,
                self.row,
                self.halt,
                self.confirm,
                self.said,
            ],
            "gl-form",
        )

    def _make_fields(self) -> None:
        self.market = w.Dropdown(description="Market", options=MARKETS, value=Market.SPOT.value)
        self.symbol = w.Dropdown(description="Symbol", options=[])
        self.levels = w.BoundedIntText(value=10, min=2, max=1000, description="Grids")
        self.spacing = w.Text(value="0.5", description="Spacing, %", continuous_update=False)
        self.investment = w.Text(
            value="",
            placeholder="from the config",
            description="Investment",
            continuous_update=False,
        )
        self.typed = w.Text(description="Type symbol", placeholder="real money: type the symbol")
        self.typed.layout.display = "none"
        self.note = _html("")
        self.said = _html("")
        for field in (self.market, self.symbol, self.levels, self.spacing, self.investment):
            field.observe(self._form_changed, "value")
        self.typed.observe(lambda change: self._refresh(), "value")

    def _make_buttons(self) -> None:
        self.arm = w.ToggleButton(description="Arm", tooltip="Unlock the start button")
        self.go = w.Button(
            description="Start grid", tooltip="Place the previewed orders; arm first", disabled=True
        )
        self.row = w.HBox([self.arm, self.go]).add_class("gl-row")
        self.halt = w.Button(
            description="Stop grid…", tooltip="Cancel every order of this bot; asks first"
        )
        self.policy = w.Dropdown(options=POLICIES, value="keep", description="On stop")
        self.yes = w.Button(description="Yes, stop it")
        self.no = w.Button(description="Keep it running")
        self.question = _html("")
        self.confirm = _box(
            [self.question, self.policy, w.HBox([self.yes, self.no]).add_class("gl-row")],
            "gl-confirm",
        )
        self.confirm.layout.display = "none"
        for button, name in (
            (self.arm, "gl-armed"),
            (self.go, "gl-go"),
            (self.halt, "gl-stop"),
            (self.yes, "gl-yes"),
        ):
            button.add_class(name)
        self.arm.observe(lambda change: self._refresh(), "value")
        self.go.on_click(lambda _: self._start())
        self.halt.on_click(lambda _: self._ask())
        self.yes.on_click(lambda _: self._stop())
        self.no.on_click(lambda _: self._close())

    @property
    def form(self) -> GridForm:
        """What the fields say now."""
        return GridForm(
            symbol=str(self.symbol.value or ""),
            levels=int(self.levels.value),
            spacing_percent=str(self.spacing.value).strip(),
            investment=str(self.investment.value).strip(),
            market=str(self.market.value),
        )

    def offer(self, symbols: Sequence[str], chosen: str, market: str = "spot") -> None:
        """Fill the list of symbols without that counting as a change by the user."""
        self._quiet = True
        try:
            self.symbol.options = list(symbols)
            self.symbol.value = chosen
            self.market.value = market
        finally:
            self._quiet = False

    def show_offline(self) -> None:
        """Nothing answers: nothing can be started or stopped from here."""
        self.say("")
        self.show(None, self._mode, None)
        _set(self.note, "value", markup.OFFLINE_NOTE)

    def show(
        self,
        bot: BotView | None,
        mode: str,
        preview: Preview | None,
        position: PositionRow | None = None,
    ) -> None:
        """Fit the controls to the bot on the chosen symbol, the mode and the last pre-flight."""
        self._bot, self._mode = bot, mode
        active = bot is not None and bot.is_active
        self._can_start = preview is not None and preview.ok and not active
        note = markup.preview_note(preview)
        if active and bot is not None:
            note = markup.running_note(bot, position)
        self._refresh()  # before the words: whoever reads that it may not start cannot arm it
        _set(self.note, "value", note)
        for field in (self.levels, self.spacing, self.investment):
            _set(field.layout, "display", "none" if active else None)
        _set(self.row.layout, "display", "none" if active else None)

    def say(self, text: str, kind: str = "") -> None:
        """Tell what a button did; `kind` is `good`, `bad` or empty."""
        _set(self.said, "value", markup.message(text, kind))

    def _refresh(self) -> None:
        active = self._bot is not None and self._bot.is_active
        real = self._mode == Mode.PRODUCTION.value
        _set(self.typed.layout, "display", None if real and not active else "none")
        named = not real or self.typed.value.strip().upper() == self.form.symbol
        ready = self._can_start and named
        if self.arm.value and not ready:
            self.arm.value = False
        _set(self.arm, "disabled", not ready)
        _set(self.arm, "description", "Armed" if self.arm.value else "Arm")
        _set(self.go, "disabled", not (ready and self.arm.value))
        _set(self.halt, "disabled", not active)
        if not active and self.confirm.layout.display != "none":
            self._close()

    def _form_changed(self, change: dict[str, Any]) -> None:
        if self._quiet:
            return
        self.arm.value = False
        self.say("")
        self._close()
        self._on_form()

    def _start(self) -> None:
        if not (self._can_start and self.arm.value):
            return
        self.arm.value = False
        self._can_start = False
        self._refresh()
        self._on_start(self.form)

    def _ask(self) -> None:
        bot = self._bot
        if bot is None:
            return
        held = (
            "" if not bot.base_held else f" It holds {markup.quantity(bot.base_held)} base units."
        )
        _set(
            self.question,
            "value",
            markup.message(
                f"Stop {bot.symbol} in {self._mode}? "
                f"Its {len(bot.orders)} open orders are cancelled.{held}",
                "bad",
            ),
        )
        self.confirm.layout.display = None
        self.halt.layout.display = "none"

    def _close(self) -> None:
        self.confirm.layout.display = "none"
        self.halt.layout.display = None

    def _stop(self) -> None:
        bot = self._bot
        self._close()
        if bot is not None:
            self._on_stop(bot.symbol, str(self.policy.value))


def _set(target: Any, name: str, value: Any) -> None:
    """Assign only a change, so that an idle panel sends nothing."""
    if getattr(target, name) != value:
        setattr(target, name, value)


def _html(text: str) -> w.HTML:
    return w.HTML(text)


def _box(children: Sequence[w.Widget], name: str) -> w.VBox:
    return w.VBox(list(children)).add_class(name)

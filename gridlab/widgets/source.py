"""Where a panel's numbers come from: an engine over HTTP, or the engine in this process.

Both answer the same questions with the values of `view`, so that no widget knows which one it has.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from gridlab.client import Client
from gridlab.clock import Clock, SystemClock, human_duration
from gridlab.domain.account import Position
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Kline, Market
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import BotSnapshot, BotStatus
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.money import parse, rounding, text
from gridlab.widgets.view import (
    BotView,
    Candle,
    Candles,
    EngineView,
    FillRow,
    GridForm,
    OrderRow,
    PositionRow,
    Preview,
    VacancyRow,
    quote_asset,
)

if TYPE_CHECKING:
    from gridlab.app.facade import GridLab

#: Trades that a panel asks for; the table shows fewer, the chart marks them all.
MAX_FILLS = 500


class Source(Protocol):
    """What a panel needs of an engine. Every method raises `GridLabError` when it cannot answer."""

    def engine(self) -> EngineView:
        """The engine and its bots now."""
        ...

    def symbols(self, market: str = "spot") -> tuple[str, ...]:
        """Symbols of one market that have a price."""
        ...

    def candles(self, symbol: str, interval: str, limit: int, market: str = "spot") -> Candles:
        """The last candles, oldest first, the open one included."""
        ...

    def fills(self, symbol: str, run: str) -> list[FillRow]:
        """The latest trades of the bot's present run, oldest first."""
        ...

    def preview(self, form: GridForm) -> Preview:
        """What the form's grid would place; changes nothing."""
        ...

    def start(self, form: GridForm) -> None:
        """Start the form's grid."""
        ...

    def stop(self, symbol: str, policy: str) -> None:
        """Stop the bot on `symbol`; `policy` keeps or sells what it holds."""
        ...


def source_of(engine: Any) -> Source:
    """The source over a `Client`, over a `GridLab`, or a source itself."""
    if isinstance(engine, Client):
        return ClientSource(engine)
    if hasattr(engine, "snapshot") and hasattr(engine, "start_grid"):
        return LabSource(engine)
    if hasattr(engine, "engine") and hasattr(engine, "candles"):
        found: Source = engine
        return found
    raise InvalidInput(
        f"{type(engine).__name__} is no engine; give a GridLab() or a Client('http://127.0.0.1:5000')"
    )


def of_this_run(client_order_id: str, run: str) -> bool:
    """Whether an order id belongs to `run`; every order does when the run is not known."""
    return not run or client_order_id.startswith(f"gl-{run}-")


class ClientSource:
    """An engine over HTTP."""

    #: Answers of `engine()` between two looks at what changes slowly.
    SLOW_EVERY = 4

    def __init__(self, client: Client) -> None:
        self._client = client
        self._slow: dict[str, Any] = {}
        self._positions: dict[str, PositionRow] = {}
        self._reads = 0

    def engine(self) -> EngineView:
        if self._reads % self.SLOW_EVERY == 0:
            self._slow = self._client.status()
            futures = self._client.balance().get("futures") or {}
            self._positions = {
                str(row["symbol"]): _position_of_json(row) for row in futures.get("positions") or ()
            }
        answer = self._client.executions()
        self._reads += 1
        bots = {str(one["symbol"]): _bot_of_json(one) for one in answer.get("executions", ())}
        return EngineView(
            mode=str(answer.get("mode", "unknown mode")),
            state=str(answer.get("engine_state", "")),
            time_ms=int(answer.get("as_of_ms") or answer.get("timestamp") or 0),
            age_ms=int(answer.get("age_ms", 0)),
            speed=self._slow.get("replay_speed"),
            progress=self._slow.get("replay_progress"),
            reason=str(self._slow.get("reason") or ""),
            prices={symbol: bot.price for symbol, bot in bots.items()},
            bots=bots,
            origin=_origin(str(answer.get("data_source", ""))),
            unready={
                market: str(venue.get("reason") or venue["state"])
                for market, venue in (self._slow.get("venues") or {}).items()
                if venue["state"] != "ready"
            },
            positions=self._positions,
        )

    def symbols(self, market: str = "spot") -> tuple[str, ...]:
        rows = self._client.market_data(market)
        return tuple(str(row["symbol"]) for row in rows if row.get("market_type", "spot") == market)

    def candles(self, symbol: str, interval: str, limit: int, market: str = "spot") -> Candles:
        answer = self._client.dated_klines(symbol, interval, limit, market)
        return Candles(
            [_candle_of_json(row) for row in answer["data"]],
            int(answer.get("age_ms", 0)),
            bool(answer.get("stale", False)),
        )

    def fills(self, symbol: str, run: str) -> list[FillRow]:
        rows = [
            FillRow(
                trade_id=str(row["trade_id"]),
                side=str(row["type"]),
                price=float(row["price"]),
                quantity=float(row["quantity"]),
                fee=float(row.get("fee", 0)),
                fee_asset=str(row.get("fee_asset", "")),
                time_ms=int(row["timestamp"]),
            )
            for row in self._client.trades(symbol, MAX_FILLS)
            if of_this_run(str(row.get("client_order_id", "")), run)
        ]
        return sorted(rows, key=lambda fill: (fill.time_ms, int(fill.trade_id)))

    def preview(self, form: GridForm) -> Preview:
        answer = self._client.preflight(form.symbol, **_config_of(form))
        return _preview_of_json(answer, form)

    def start(self, form: GridForm) -> None:
        self._client.start_grid(form.symbol, **_config_of(form))

    def stop(self, symbol: str, policy: str) -> None:
        self._client.stop_grid(symbol, policy)


def _candle_of_json(row: dict[str, Any]) -> Candle:
    return (
        int(row["timestamp"]),
        float(row["open"]),
        float(row["high"]),
        float(row["low"]),
        float(row["close"]),
        float(row["volume"]),
    )


def _origin(data_source: str) -> str:
    """The stamp's words where they say more than the mode does: a twin is no exchange."""
    return data_source if "twin" in data_source else ""


def _position_of_json(row: dict[str, Any]) -> PositionRow:
    at = row.get("liquidation_price")
    return PositionRow(
        symbol=str(row["symbol"]),
        quantity=float(row["quantity"]),
        entry=float(row["entry_price"]),
        liquidation=None if at is None else float(at),
        leverage=int(row["leverage"]),
        margin=str(row["margin_type"]),
    )


def _config_of(form: GridForm) -> dict[str, Any]:
    """The API's `config` fields of a form."""
    config: dict[str, Any] = {
        "initial_levels": form.levels,
        "spacing_perc": parse(form.spacing_percent, "spacing"),
        "market_type": form.market,
    }
    if form.investment:
        config["investment"] = float(parse(form.investment, "investment"))
    return config


def _bot_of_json(one: dict[str, Any]) -> BotView:
    return BotView(
        symbol=str(one["symbol"]),
        market=str(one.get("market_type", "spot")),
        status=str(one.get("phase") or one.get("status", "")),
        run=str(one.get("run", "")),
        reason=str(one.get("reason") or ""),
        price=float(one["current_price"]),
        grid_profit=float(one["grid_profit"]),
        floating=float(one["floating_pnl"]),
        fees=float(one["fees"]),
        total=float(one["total_pnl"]),
        investment=float(one["investment"]),
        equity=float(one["equity"]),
        base_held=float(one["base_held"]),
        trade_count=int(one["total_trades"]),
        spacing_percentage=float(one["spacing_percentage"]),
        levels=int(one["grid_levels"]),
        lines=tuple(float(line) for line in one.get("lines", ())),
        orders=tuple(
            OrderRow(
                side=str(order["side"]),
                price=float(order["price"]),
                quantity=float(order["quantity"]),
                executed=float(order.get("executed_quantity", 0)),
                state=str(order.get("state") or order["status"]),
                time_ms=int(order["timestamp"]),
                order_id=str(order["order_id"]),
            )
            for order in one.get("open_orders", ())
        ),
        vacancies=tuple(
            VacancyRow(str(v["side"]), float(v["price"]), str(v["reason"]))
            for v in one.get("vacancies", ())
        ),
        uptime=str(one.get("uptime", "")),
    )


def _preview_of_json(answer: dict[str, Any], form: GridForm) -> Preview:
    params: dict[str, Any] = answer.get("calculated_params") or {}
    findings = params.get("findings") or ()
    warnings = tuple(str(f["message"]) for f in findings if f.get("severity") == Severity.WARN)
    problems = tuple(str(problem) for problem in answer.get("errors") or ())
    lines = tuple(float(line) for line in params.get("levels_preview") or ())
    if not lines:
        return Preview(ok=bool(answer.get("valid")), problems=problems, warnings=warnings)
    facts = _facts(
        form.symbol,
        lines=lines,
        capital=params.get("estimated_capital_needed"),
        quantity=params.get("quantity"),
        profit=(params.get("profit_per_grid_min_perc"), params.get("profit_per_grid_max_perc")),
    )
    ok = bool(answer.get("valid"))
    return Preview(ok, lines, facts=facts, problems=problems, warnings=warnings)


def _facts(
    symbol: str,
    *,
    lines: tuple[float, ...],
    capital: float | None,
    quantity: float | None,
    profit: tuple[float | None, float | None],
) -> tuple[tuple[str, str], ...]:
    """The pre-flight's figures in words, for the form."""
    quote = quote_asset(symbol)
    base = symbol.removesuffix(quote) if quote else ""
    facts = [("Range", f"{lines[0]:,.8g} – {lines[-1]:,.8g}")]
    if capital is not None:
        facts.append(("Capital needed", f"{capital:,.2f} {quote}"))
    if quantity is not None:
        facts.append(("Order size", f"{quantity:.8f}".rstrip("0").rstrip(".") + f" {base}"))
    low, high = profit
    if low is not None and high is not None:
        spread = f"{low:.2f} %" if abs(high - low) < 0.005 else f"{low:.2f} – {high:.2f} %"
        facts.append(("Net profit a grid", spread))
    return tuple(facts)


class LabSource:
    """The engine in this process."""

    def __init__(self, lab: GridLab, clock: Clock | None = None) -> None:
        self._lab = lab
        self._clock = clock or SystemClock()

    def engine(self) -> EngineView:
        snapshot = self._lab.snapshot
        prices = {
            symbol: float(price)
            for (market, symbol), price in snapshot.prices.items()
            if symbol not in snapshot.bots or snapshot.bots[symbol].market is market
        }
        bots = snapshot.bots.values()
        silent_ms = self._clock.now_ms() - snapshot.known_ms([bot.market for bot in bots])
        return EngineView(
            mode=snapshot.mode.value,
            state=snapshot.state.value,
            time_ms=snapshot.time_ms,
            age_ms=max(0, silent_ms, self._lab.stale_price_ms(bots, snapshot)),
            speed=snapshot.speed,
            progress=snapshot.progress,
            reason=snapshot.reason,
            prices=prices,
            bots={
                symbol: _bot_of_snapshot(bot, snapshot.time_ms, prices.get(symbol))
                for symbol, bot in snapshot.bots.items()
            },
            origin=snapshot.source,
            unready={
                market.value: venue.reason or venue.state
                for market, venue in snapshot.venues.items()
                if venue.state != "ready"
            },
            positions={p.symbol: _position_row(p) for p in snapshot.positions},
        )

    def symbols(self, market: str = "spot") -> tuple[str, ...]:
        return self._lab.symbols(Market(market))

    def candles(self, symbol: str, interval: str, limit: int, market: str = "spot") -> Candles:
        found = self._lab.dated_klines(symbol, interval, limit, Market(market))
        return Candles([_candle(kline) for kline in found.value], found.age_ms, found.is_stale)

    def fills(self, symbol: str, run: str) -> list[FillRow]:
        trades = self._lab.trades(symbol, MAX_FILLS)
        return [_fill(trade) for trade in trades if of_this_run(trade.client_id, run)]

    def preview(self, form: GridForm) -> Preview:
        return _preview_of_plan(self._lab.preflight(self._spec(form)), form)

    def start(self, form: GridForm) -> None:
        self._lab.start_grid(self._spec(form))

    def stop(self, symbol: str, policy: str) -> None:
        self._lab.stop_grid(symbol, StopPolicy(policy))

    def _spec(self, form: GridForm) -> GridSpec:
        percent = parse(form.spacing_percent, "spacing")
        with rounding():
            spacing = percent / 100
        default = self._lab.default_spec(form.symbol, Market(form.market))
        asked = bool(form.investment)
        return GridSpec(
            form.symbol,
            form.levels,
            spacing=spacing,
            quantity=None if asked else default.quantity,
            investment=parse(form.investment, "investment") if asked else default.investment,
            market=Market(form.market),
            fees=default.fees,
            leverage=default.leverage,
            liquidation_buffer=default.liquidation_buffer,
        )


def _position_row(position: Position) -> PositionRow:
    at = position.liquidation_price
    return PositionRow(
        symbol=position.symbol,
        quantity=float(position.quantity),
        entry=float(position.entry_price),
        liquidation=None if at is None else float(at),
        leverage=position.leverage,
        margin=position.margin_type.value,
    )


def _candle(kline: Kline) -> Candle:
    return (
        kline.open_time_ms,
        float(kline.open),
        float(kline.high),
        float(kline.low),
        float(kline.close),
        float(kline.volume),
    )


def _fill(trade: Trade) -> FillRow:
    return FillRow(
        trade_id=str(trade.trade_id),
        side=trade.side.value,
        price=float(trade.price),
        quantity=float(trade.quantity),
        fee=float(trade.fee),
        fee_asset=trade.fee_asset,
        time_ms=trade.time_ms,
    )


def _bot_of_snapshot(bot: BotSnapshot, now_ms: int, price: float | None) -> BotView:
    money = bot.money
    with rounding():
        equity: Decimal = money.investment + money.total
        spacing: Decimal = bot.spacing * 100
    active = bot.status in (BotStatus.STARTING, BotStatus.RUNNING, BotStatus.STOPPING)
    uptime = human_duration((now_ms if active else bot.updated_ms) - bot.started_ms)
    return BotView(
        symbol=bot.symbol,
        market=bot.market.value,
        status=bot.status.value,
        run=bot.run,
        reason=bot.reason,
        price=float(bot.price) if price is None else price,
        grid_profit=float(money.grid_profit),
        floating=float(money.floating),
        fees=float(money.fees),
        total=float(money.total),
        investment=float(money.investment),
        equity=float(equity),
        base_held=float(money.base_held),
        trade_count=bot.trade_count,
        spacing_percentage=float(spacing),
        levels=bot.levels,
        lines=tuple(float(line) for line in bot.lines),
        orders=tuple(
            OrderRow(
                side=order.side.value,
                price=float(order.price),
                quantity=float(order.quantity),
                executed=float(order.executed),
                state=order.state,
                time_ms=order.time_ms,
                order_id=order.order_id,
            )
            for order in bot.open_orders
        ),
        vacancies=tuple(VacancyRow(v.side.value, float(v.price), v.reason) for v in bot.vacancies),
        uptime=uptime,
    )


def _preview_of_plan(plan: GridPlan, form: GridForm) -> Preview:
    lines = tuple(float(line) for line in plan.lines)
    facts = _facts(
        form.symbol,
        lines=lines,
        capital=float(plan.capital_needed),
        quantity=float(text(plan.quantity)),
        profit=(float(plan.profit_min) * 100, float(plan.profit_max) * 100),
    )
    return Preview(
        ok=plan.ok,
        lines=lines,
        facts=facts if lines else (),
        problems=tuple(f.message for f in plan.findings if f.severity is Severity.FAIL),
        warnings=tuple(f.message for f in plan.findings if f.severity is Severity.WARN),
    )

"""A grid as the immutable values that people and programs outside the engine read."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.orders import Side
from gridlab.domain.snapshot import BotSnapshot, BotStatus, Money, OpenOrder, Recovery, Vacancy
from gridlab.grid.engine import Grid, Phase
from gridlab.grid.lifecycle import Order
from gridlab.money import ZERO, exact, rounding

STATUS = {
    Phase.IDLE: BotStatus.STARTING,
    Phase.STOCKING: BotStatus.STARTING,
    Phase.RUNNING: BotStatus.RUNNING,
    Phase.STOPPING: BotStatus.STOPPING,
    Phase.EMPTYING: BotStatus.STOPPING,
    Phase.STOPPED: BotStatus.STOPPED,
    Phase.FAILED: BotStatus.ERROR,
}


def money_at(grid: Grid, mark: Decimal, third_marks: Mapping[str, Decimal] | None = None) -> Money:
    """The grid's books in quote units when one base unit is worth `mark`.

    Args:
        third_marks: prices in quote of fee assets that are neither base nor quote. An asset that
            nobody priced counts as zero here; `fees_by_asset` has what was really paid in it.
    """
    ledger = grid.ledger
    unpriced = dict.fromkeys(ledger.fees_paid, ZERO)
    # The base comes last: the fee token may be the base itself.
    marks = {**unpriced, **(third_marks or {}), ledger.base: mark}
    with exact():
        floating = ledger.base_held * mark - ledger.cost_held
        fees = ledger.value("fees", marks)
        funding = ledger.value("funding", marks)
        spec = grid.plan.spec
        return Money(
            investment=spec.investment or grid.plan.capital_needed,
            grid_profit=ledger.grid_profit,
            floating=floating,
            fees=fees,
            funding=funding,
            total=ledger.grid_profit + ledger.liquidation + floating + fees + funding,
            base_held=ledger.base_held,
            fees_by_asset=tuple(sorted(ledger.fees_paid.items())),
            liquidation=ledger.liquidation,
        )


def bot_snapshot(
    grid: Grid,
    price: Decimal,
    *,
    halted: str = "",
    waiting: str = "",
    recovery: Recovery | None = None,
) -> BotSnapshot:
    """The grid at `price`.

    Args:
        halted: why the shell stopped driving the grid; it is then shown as an error.
        waiting: why none of its orders leaves at present, though it runs.
    """
    plan = grid.plan
    third = {plan.spec.fees.third_asset: plan.spec.fees.third_price}
    return BotSnapshot(
        symbol=grid.instrument.symbol,
        market=grid.instrument.market,
        run=grid.run,
        status=BotStatus.ERROR if halted else STATUS[grid.phase],
        reason=halted or waiting or grid.reason,
        price=price,
        lines=plan.lines,
        levels=plan.spec.levels,
        spacing=spacing_of(plan.lines) if plan.spec.spacing is None else plan.spec.spacing,
        quantity=plan.quantity,
        started_ms=grid.started_ms,
        updated_ms=grid.updated_ms,
        open_orders=tuple(_open_order(order, slot) for order, slot in _live(grid)),
        vacancies=tuple(
            Vacancy(
                slot.index,
                slot.lower if slot.side is Side.BUY else slot.upper,
                slot.side,
                slot.vacancy,
            )
            for slot in grid.slots
            if slot.order is None
        ),
        trade_count=grid.trade_count,
        last_trade=grid.last_trade,
        money=money_at(grid, price, third),
        recovery=recovery,
        leverage=plan.spec.leverage,
    )


def spacing_of(lines: tuple[Decimal, ...]) -> Decimal:
    """The mean ratio between neighbouring lines minus 1, to eight decimals."""
    with rounding():
        ratio = (lines[-1] / lines[0]) ** (Decimal(1) / (len(lines) - 1))
        return (ratio - 1).quantize(Decimal("1e-8"))


def _live(grid: Grid) -> list[tuple[Order, int]]:
    live = [(slot.order, slot.index) for slot in grid.slots if slot.order is not None]
    if grid.errand is not None and grid.errand.order is not None:
        live.insert(0, (grid.errand.order, grid.errand.slot))
    return live


def _open_order(order: Order, slot: int) -> OpenOrder:
    request = order.request
    return OpenOrder(
        client_id=order.client_id,
        order_id=order.order_id,
        slot=slot,
        side=request.side,
        price=ZERO if request.price is None else request.price,
        quantity=request.quantity,
        executed=order.filled,
        state=str(order.state),
        time_ms=order.time_ms,
    )

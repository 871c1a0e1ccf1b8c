"""What a stream tells of one moment, and what changed between two of them.

Pictures are plain JSON values by topic, made from the engine's snapshot with the same shapes as the
answers of the API. Knows neither HTTP nor how events are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gridlab.api.readiness import readiness
from gridlab.api.schemas import Execution, OrderShape, TradeShape
from gridlab.api.schemas.base import Say
from gridlab.app.facade import GridLab
from gridlab.clock import SystemClock
from gridlab.domain.orders import Trade
from gridlab.domain.snapshot import BotSnapshot, Mode, Snapshot

Json = dict[str, Any]
#: Of a bot; its orders have a topic of their own, and its lines do not change.
_LEFT_OUT: Final = {"open_orders", "lines"}
#: Fields that hold sentences of the engine.
_REASONS: Final = {"reason", "killed"}
_MOST_FILLS: Final = 500
_clock: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class Change:
    """One event to be."""

    topic: str
    data: Any


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the topics tell at one moment.

    Args:
        bots: by symbol, with the snapshot that it was made from.
        orders: open ones by client id.
        fill_cursor: seq of the last entry that was looked at for fills, in the journal of the
            snapshot's mode.
    """

    snapshot: Snapshot
    state: Json
    prices: Mapping[str, Mapping[str, float]]
    bots: Mapping[str, tuple[BotSnapshot, Json]]
    orders: Mapping[str, tuple[object, Json]]
    jobs: Mapping[str, tuple[object, Json]]
    health: Json
    fill_cursor: int

    def whole(self, topics: tuple[str, ...]) -> Json:
        """The topics' present content; fills have none, `/api/trades` does."""
        everything: Json = {
            "snapshot": self.state,
            "prices": self.prices,
            "bots": [shape for _, shape in self.bots.values()],
            "orders": [shape for _, shape in self.orders.values()],
            "jobs": [shape for _, shape in self.jobs.values()],
            "health": self.health,
        }
        return {topic: everything[topic] for topic in topics if topic in everything}


def picture_of(lab: GridLab, before: Picture | None) -> Picture:
    """The engine now; what did not change is taken over from `before`.

    In another mode than `before`, fills are looked for from the end of that mode's journal on.
    """
    snapshot = lab.snapshot
    jobs, health = _jobs(lab, before), _health(snapshot)
    if before is not None and before.snapshot is snapshot:
        if jobs is before.jobs and health == before.health:
            return before
        return replace(before, jobs=jobs, health=health)
    prices: dict[str, dict[str, float]] = {}
    for (market, symbol), price in snapshot.prices.items():
        prices.setdefault(market.value, {})[symbol] = float(price)
    return Picture(
        snapshot=snapshot,
        state=_state(snapshot),
        prices=prices,
        bots={symbol: (bot, _bot(bot, snapshot)) for symbol, bot in snapshot.bots.items()},
        orders=_orders(snapshot, before),
        jobs=jobs,
        health=health,
        fill_cursor=before.fill_cursor
        if before is not None and _has_same_books(before, snapshot)
        else _end_of_journal(lab, snapshot.mode),
    )


def _has_same_books(before: Picture, snapshot: Snapshot) -> bool:
    """Whether `snapshot` is of the journal that `before` is of; each mode has its own."""
    return before.snapshot.mode is snapshot.mode


def goes_on(before: Picture, present: Picture) -> bool:
    """Whether `changes_between` can lead somebody who knows `before` to `present`.

    It cannot in another mode, and it has no words for a bot or a price that is gone.
    """
    return (
        _has_same_books(before, present.snapshot)
        and before.bots.keys() <= present.bots.keys()
        and before.snapshot.prices.keys() <= present.snapshot.prices.keys()
    )


def changes_between(before: Picture, present: Picture) -> Iterator[Change]:
    """What to tell somebody who knows `before`, where `goes_on`; fills apart."""
    if before.health != present.health:
        yield Change("health", present.health)
    if before.jobs is not present.jobs:
        for job_id, (job, shape) in present.jobs.items():
            if job_id not in before.jobs or before.jobs[job_id][0] is not job:
                yield Change("jobs", shape)
    if before.snapshot is present.snapshot:
        return
    yield Change("snapshot", present.state)
    changed = {
        market: found
        for market, prices in present.prices.items()
        if (found := _changed(before.prices.get(market, {}), prices))
    }
    if changed:
        yield Change("prices", changed)
    for symbol, (_, shape) in present.bots.items():
        known = before.bots.get(symbol)
        if known is None or known[1] != shape:
            yield Change("bots", shape)
    yield from _order_changes(before, present)


def fills_of(lab: GridLab, before: Picture, present: Picture) -> tuple[list[Change], int]:
    """Fills booked since `before` in its mode, and the cursor with which `present` goes on.

    When the mode was left, its last fills may be in no picture, so its journal is asked anyway.
    """
    goes_on_here = _has_same_books(before, present.snapshot)
    if goes_on_here and _trade_counts(before) == _trade_counts(present):
        return [], present.fill_cursor
    mode, cursor, found = before.snapshot.mode, before.fill_cursor, []
    while page := _booked(lab, mode, cursor):
        cursor = page[-1][0]
        found += [
            Change("fills", {"cursor": seq, **TradeShape.of(trade).model_dump(mode="json")})
            for seq, trade in page
        ]
        if len(page) < _MOST_FILLS:
            break
    return found, cursor if goes_on_here else present.fill_cursor


def _booked(lab: GridLab, mode: Mode, after: int) -> tuple[tuple[int, Trade], ...]:
    """The next fills in the journal of `mode`; none where it is not made yet."""
    if not _has_journal(lab, mode):
        return ()
    return lab.fills(after=after, limit=_MOST_FILLS, mode=mode)


def _trade_counts(picture: Picture) -> dict[str, tuple[str, int]]:
    return {symbol: (bot.run, bot.trade_count) for symbol, (bot, _) in picture.bots.items()}


def _changed(before: Mapping[str, float], present: Mapping[str, float]) -> dict[str, float]:
    return {symbol: price for symbol, price in present.items() if before.get(symbol) != price}


def _order_changes(before: Picture, present: Picture) -> Iterator[Change]:
    if before.orders is present.orders:
        return
    for client_id, (_, shape) in before.orders.items():
        if client_id not in present.orders:
            yield Change("orders", {"change": "gone", "order": shape})
    for client_id, (order, shape) in present.orders.items():
        known = before.orders.get(client_id)
        if known is None:
            yield Change("orders", {"change": "new", "order": shape})
        elif known[0] != order:
            yield Change("orders", {"change": "changed", "order": shape})


def _orders(snapshot: Snapshot, before: Picture | None) -> Mapping[str, tuple[object, Json]]:
    """Open orders by client id; the shapes of unchanged ones are taken over."""
    known = {} if before is None else before.orders
    found: dict[str, tuple[object, Json]] = {}
    for bot in snapshot.bots.values():
        for order in bot.open_orders:
            old = known.get(order.client_id)
            if old is not None and old[0] == order:
                found[order.client_id] = old
            else:
                shape = OrderShape.of(order).model_dump(mode="json")
                found[order.client_id] = (order, {"symbol": bot.symbol, "run": bot.run, **shape})
    return found


def _jobs(lab: GridLab, before: Picture | None) -> Mapping[str, tuple[object, Json]]:
    known = {} if before is None else before.jobs
    jobs = lab.jobs.all()
    is_same = len(jobs) == len(known) and all(
        job.id in known and known[job.id][0] is job for job in jobs
    )
    if before is not None and is_same:
        return known
    return {
        job.id: (
            job,
            {
                "id": job.id,
                "kind": job.kind,
                "state": str(job.state),
                "progress": job.progress,
                "message": job.message,
                "error": job.error,
            },
        )
        for job in jobs
    }


def reworded(value: Any, say: Say) -> Any:
    """A topic's content with each reason in it put into words by `say`."""
    if isinstance(value, list):
        return [reworded(one, say) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: say(one) if key in _REASONS and isinstance(one, str) else reworded(one, say)
        for key, one in value.items()
    }


def _state(snapshot: Snapshot) -> Json:
    return {
        "sequence": snapshot.sequence,
        "mode": snapshot.mode.value,
        "engine_state": snapshot.state.value,
        "as_of_ms": snapshot.time_ms,
        "published_ms": snapshot.wall_ms,
        "replay_progress": snapshot.progress,
        "replay_speed": snapshot.speed,
    }


def _bot(bot: BotSnapshot, snapshot: Snapshot) -> Json:
    return Execution.of(bot, snapshot, str).model_dump(mode="json", exclude=_LEFT_OUT)


def _health(snapshot: Snapshot) -> Json:
    """What `/api/health` says, without the ages, which are never the same twice."""
    judged = readiness(snapshot, _clock.now_ms())
    return {
        "ready": judged.ready,
        "accepts_orders": judged.accepts_orders,
        "stale": judged.stale,
        "engine_state": snapshot.state.value,
        "reason": snapshot.reason,
        "killed": snapshot.killed,
        "agents": {agent.name: agent.state for agent in snapshot.agents},
        "venues": {market.value: venue.state for market, venue in snapshot.venues.items()},
    }


def _has_journal(lab: GridLab, mode: Mode) -> bool:
    """Whether the journal of `mode` is made; a mode that could not be entered leaves none."""
    return lab.settings.in_mode(mode).journal_path.exists()


def _end_of_journal(lab: GridLab, mode: Mode) -> int:
    """Seq of the last entry in the journal of `mode`; 0 while that has none, or is not made yet.

    Found by doubling and halving: each look is one index seek. Only what is booked afterwards is
    told, so the entries before need not be read.
    """
    if not _has_journal(lab, mode):
        return 0

    def has_after(seq: int) -> bool:
        return bool(lab.events(after=seq, limit=1, mode=mode))

    if not has_after(0):
        return 0
    low, high = 0, 1
    while has_after(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if has_after(middle) else (low, middle)
    return high

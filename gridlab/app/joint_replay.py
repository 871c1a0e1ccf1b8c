"""Recordings of both markets played as one: whichever comes next in time, spot first at a tie.

Each market has its own `Replay`, with its own position; here they share a clock. Satisfies what
`agents.player.Player` plays. Knows no book and no disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.exchange.replay import Replay, Step


@dataclass(frozen=True, slots=True)
class JointStep:
    """One step of one market's recording."""

    market: Market
    step: Step

    @property
    def point(self) -> int:
        return self.step.point

    @property
    def time_ms(self) -> int:
        return self.step.time_ms


class JointReplay:
    """What is played next, over every market.

    Args:
        replays: by market; at least one.
        clock: the market time that they share.
        market_of: the market on which a symbol's grid runs, where both have the symbol.
    """

    def __init__(
        self,
        replays: Mapping[Market, Replay],
        clock: Clock,
        market_of: Callable[[str], Market],
        *,
        start_ms: int,
        end_ms: int,
        width_ms: int = 60_000,
    ) -> None:
        self._replays = {market: replays[market] for market in Market if market in replays}
        self._clock = clock
        self._market_of = market_of
        self._start_ms, self._end_ms, self._width_ms = start_ms, end_ms, width_ms
        self._next: dict[Market, JointStep | None] = {}
        self._has_ended = False

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted({s for replay in self._replays.values() for s in replay.symbols}))

    @property
    def progress(self) -> float:
        """The part already played, 0 to 1: of the steps where there is one market, else of time."""
        if len(self._replays) == 1:
            (only,) = self._replays.values()
            return only.progress
        if self._has_ended:
            return 1.0
        return (self._clock.now_ms() - self._start_ms) / (self._end_ms - self._start_ms)

    def next_step(self) -> JointStep | None:
        """The earliest next step of all; None when every recording has ended."""
        for market, replay in self._replays.items():
            if market not in self._next:  # looking for it can mean to pass months without a bar
                step = replay.next_step()
                self._next[market] = None if step is None else JointStep(market, step)
        steps = [joint for joint in self._next.values() if joint is not None]
        self._has_ended = not steps
        return min(steps, key=lambda joint: joint.time_ms, default=None)

    def opens_bar(self, joint: JointStep) -> bool:
        """Whether `joint` is the first of a new candle, of any market, after the first candle.

        Decided by what the books remember alone, so that a replay that was killed and one that was
        not do the same at the same moments.
        """
        if len(self._replays) == 1:
            return self._replays[joint.market].opens_bar(joint.step)
        began = any(replay.has_begun for replay in self._replays.values())
        opened_ms = joint.step.kline.open_time_ms
        return began and opened_ms // self._width_ms > self._clock.now_ms() // self._width_ms

    def play(self, joint: JointStep) -> None:
        """Move the clock and that market's venue by one step."""
        self._next.pop(joint.market, None)
        self._replays[joint.market].play(joint.step)

    def price(self, symbol: str) -> Decimal | None:
        """The last price of `symbol` on the market where its grid runs; None before the first."""
        market = self._market_of(symbol)
        if market not in self._replays or symbol not in self._replays[market].symbols:
            market = next(m for m, replay in self._replays.items() if symbol in replay.symbols)
        return self._replays[market].price(symbol)

    def save(self) -> None:
        """Save every position; any one venue's transaction carries them all."""
        next(iter(self._replays.values())).save()

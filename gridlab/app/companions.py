"""What runs beside the trader in the engine's loop: agents that read and advise, and never trade.

Each has a supervisor of its own, so that one which breaks, or fails for good, takes nothing along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gridlab.agents.supervisor import Supervisor
from gridlab.clock import Clock
from gridlab.domain.snapshot import AgentHealth


@dataclass(frozen=True, slots=True)
class Companion:
    """One agent beside the trader.

    Args:
        name: what people call it.
        work: runs until it is cancelled; each call is a fresh start. It must never block.
        beat_ms: when it last showed that it lives, by the machine's clock.
    """

    name: str
    work: Callable[[], Awaitable[None]]
    beat_ms: Callable[[], int]


class Company:
    """All companions of one engine."""

    def __init__(self, companions: tuple[Companion, ...], clock: Clock) -> None:
        self._kept = [(one, Supervisor(one.name, one.work, clock)) for one in companions]

    @property
    def supervisors(self) -> tuple[Supervisor, ...]:
        return tuple(supervisor for _, supervisor in self._kept)

    def health(self) -> tuple[AgentHealth, ...]:
        return tuple(supervisor.health(one.beat_ms()) for one, supervisor in self._kept)

"""The composition root: which session a mode is. A mode is what is built here.

The only place that knows the concrete sessions of every mode at once. What outlives a session is
kept here: the allowances of the process, and through them bans, which outlive it as well. The live
sessions are imported when they are asked for, so that a replay needs no exchange library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gridlab.app.replay_session import ReplaySession
from gridlab.app.session import Session
from gridlab.app.settings import Settings
from gridlab.clock import SystemClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.snapshot import Mode

if TYPE_CHECKING:
    from gridlab.exchange.budgets import Budgets


class Sessions:
    """Makes one session after the other, for one process.

    Args:
        cache: of market data; shared with whoever else reads some.
        on_step: told whenever there may be something new to show.
        budgets: those of another engine of this process; by default its own.
    """

    def __init__(
        self,
        wall: SystemClock,
        cache: IntelligentCache,
        on_step: Callable[[], None],
        budgets: Budgets | None = None,
    ) -> None:
        self._wall = wall
        self._cache = cache
        self._on_step = on_step
        self._budgets = budgets

    @property
    def budgets(self) -> Budgets | None:
        """The allowances at the venues; None while no session asked one."""
        return self._budgets

    @property
    def banned_until_ms(self) -> int:
        """When the exchange's present ban ends; 0 when there is none."""
        return 0 if self._budgets is None else self._budgets.banned_until_ms

    def make(self, settings: Settings) -> Session:
        """A session over the books of the mode, not yet connected and not yet recovered.

        Raises:
            JournalCorrupt, StorageError: the books on disk do not verify, or belong to another
                replay or another account.
            InvalidConfig: the mode lacks what it needs, such as a recording to play.
        """
        if settings.mode is Mode.REPLAY:
            return ReplaySession(settings, self._wall, self._on_step)
        from gridlab.app.ban_file import remembering_budgets
        from gridlab.app.exchange_session import ExchangeSession
        from gridlab.app.shadow_session import ShadowSession

        if self._budgets is None:
            self._budgets = remembering_budgets(settings.data_dir, self._wall)
        kind = ShadowSession if settings.mode is Mode.SHADOW else ExchangeSession
        return kind(settings, self._wall, self._budgets, self._cache, self._on_step)

"""The verb of `GridLab` that chooses pairs."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from gridlab.domain.market import Market
from gridlab.domain.snapshot import BotStatus, Snapshot
from gridlab.errors import NotFound

if TYPE_CHECKING:
    from gridlab.agents.pairs import PairTable
    from gridlab.app.session import Session
    from gridlab.app.settings import Settings
    from gridlab.sentiment.mood import Mood

T = TypeVar("T")


class PairVerbs:
    """What `GridLab` knows of pairs to trade; a part of it, without a state."""

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...
        @property
        def snapshot(self) -> Snapshot: ...
        def moods(self) -> Mapping[str, Mood]: ...
        def _session(self) -> Session: ...
        def _call(self, work: Coroutine[Any, Any, T]) -> T: ...

    def pair_table(self, market: Market = Market.SPOT) -> PairTable:
        """Every symbol of the market against the configured filters of pair selection.

        In Replay those that were recorded; else all in USDT that the venue lists.

        Raises:
            NotFound: this engine has no such market.
            ExchangeUnavailable: the venue could not be asked.
        """
        from gridlab.app.pairs import Selection, live_table, recorded_table

        session = self._session()
        moods = {asset: mood.score for asset, mood in self.moods().items()}
        busy = [
            bot.symbol
            for bot in self.snapshot.bots.values()
            if bot.market is market and bot.status is not BotStatus.STOPPED
        ]
        asked = Selection(market, self.settings.config, moods, busy)
        if session.is_recorded:
            return recorded_table(asked, session.market)
        if market not in session.agents:
            raise NotFound(f"this engine has no {market} market (exchange.supported_markets)")
        return live_table(asked, session.agents[market], self._call)

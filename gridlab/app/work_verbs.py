"""The verbs of `GridLab` that start long work of research: each returns a job at once."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.app.config import Config
from gridlab.app.config_models import ApiKeys
from gridlab.app.jobs import Job, Jobs
from gridlab.app.modes import Access
from gridlab.app.work import backtest_work, shadow_work
from gridlab.domain.codec import encode
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import GridSpec

if TYPE_CHECKING:
    from gridlab.app.settings import Settings


class WorkVerbs:
    """What `GridLab` can have worked out beside its engine; a part of it.

    Attributes:
        jobs: where long work goes.
    """

    jobs: Jobs
    _shadow_tests = itertools.count(1)

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...

    def submit_backtest(
        self,
        spec: GridSpec,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        fill_rule: str = "touch",
    ) -> Job:
        """A job that backtests `spec` over the bundled recording of its symbol."""
        asked = {
            "spec": json.loads(encode(spec)),
            "start_ms": start_ms,
            "end_ms": end_ms,
            "fill_rule": fill_rule,
        }
        work = backtest_work(spec, start_ms, end_ms, fill_rule)
        return self.jobs.submit("backtest", asked, work)

    def submit_shadow_test(self, seconds: float = 3.0) -> Job:
        """A job that runs an engine of its own for `seconds` of real time, on books that go away.

        Where this process was started with a live market, that is Shadow on the same addresses,
        without a key; else it plays the recording.
        """
        access = self.settings.access
        mode = Mode.REPLAY if access.endpoints is None else Mode.SHADOW
        config = _bare(self.settings.config)
        spec = config.spec_for(_symbol_to_try(config, mode))

        def make(folder: Path) -> Any:
            return type(self)(  # type: ignore[call-arg]  # the whole of which this is a part
                folder,
                config=config,
                access=Access(mode, access.endpoints),
                first_bot=spec.symbol,
                beside=self,
            )

        # A number of its own for each, because a test of an hour ago says nothing about now.
        asked = {"seconds": seconds, "mode": str(mode), "number": next(self._shadow_tests)}
        return self.jobs.submit("shadow_test", asked, shadow_work(make, spec, seconds))


def _bare(config: Config) -> Config:
    """`config` without keys, and without the agents that read texts or ask a model."""
    return config.model_copy(
        update={
            "api": ApiKeys(key=None, secret=None),
            "ai_agent": config.ai_agent.model_copy(update={"enabled": False}),
            "sentiment_analysis": config.sentiment_analysis.model_copy(update={"enabled": False}),
        }
    )


def _symbol_to_try(config: Config, mode: Mode) -> str:
    """A symbol that is followed from the start: the most preferred one, or a recorded one."""
    pairs = config.pair_selection
    is_futures = config.default_market_type is Market.FUTURES
    preferred = (pairs.futures_pairs if is_futures else pairs.spot_pairs).preferred_symbols
    return preferred[0] if preferred and mode is Mode.SHADOW else "BTCUSDT"

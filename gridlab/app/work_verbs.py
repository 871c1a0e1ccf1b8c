"""The verbs of `GridLab` that start long work of research: each returns a job at once."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.app.jobs import Job, Jobs
from gridlab.app.work import backtest_work, shadow_work
from gridlab.domain.codec import encode
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
        """A job that runs an engine of its own on recorded prices for `seconds` of real time."""

        def make(folder: Path) -> Any:
            return type(self)(  # type: ignore[call-arg]  # the whole of which this is a part
                folder, config=self.settings.config, mode=Mode.REPLAY, first_bot="BTCUSDT"
            )

        # A number of its own for each, because a test of an hour ago says nothing about now.
        asked = {"seconds": seconds, "number": next(self._shadow_tests)}
        return self.jobs.submit("shadow_test", asked, shadow_work(make, seconds))

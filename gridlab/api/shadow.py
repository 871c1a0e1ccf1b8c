"""The route that runs an engine for some seconds and counts what it did.

The run is a job; the request only waits for it. One run at a time, and few waiting requests: the
others get the job, to look at. What is recommended follows from what the run counted.
"""

from __future__ import annotations

import threading
from typing import Final

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, language, teller
from gridlab.api.jobs import accepted, submitted
from gridlab.api.messages import say
from gridlab.api.requests_tools import ShadowQuery
from gridlab.api.schemas.checks import ShadowRun, ShadowTest
from gridlab.api.schemas.jobs import AnyJob
from gridlab.api.wire import answer, read_query, stamp_of
from gridlab.app.facade import GridLab

KIND: Final = "shadow_test"
#: Requests that may wait for a run at once; a server has only so many threads.
_MOST_WAITING = 4
#: Seconds beyond the run itself that a request waits: for the engine to start and to end.
_PATIENCE_S = 15.0


def add_shadow_route(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the shadow test on `blueprint`."""
    waiting = threading.BoundedSemaphore(_MOST_WAITING)
    choosing = threading.Lock()

    @blueprint.get("/api/test/shadow_mode")
    def test_shadow_mode() -> Response:
        query = read_query(ShadowQuery)
        with choosing:
            job = _job_for(lab, query.seconds)
        if not query.wait or not waiting.acquire(blocking=False):
            return accepted(lab, job)
        try:
            ended: AnyJob = lab.jobs.wait(job.id, query.seconds + _PATIENCE_S)
        finally:
            waiting.release()
        return _outcome(lab, ended)


def _job_for(lab: GridLab, seconds: int) -> AnyJob:
    """A new run, or the one of the same length that runs already and that nobody cancelled.

    Raises:
        ApiError: a run of another length runs; two at once would measure each other.
    """
    running: tuple[AnyJob, ...] = lab.jobs.under_way(KIND)
    for job in running:
        if job.parameters.get("seconds") == seconds:
            return job
        raise ApiError(
            429,
            "shadow_busy",
            hint="shadow_busy_hint",
            seconds=job.parameters.get("seconds"),
            job=job.id,
        )
    return submitted(lambda: lab.submit_shadow_test(seconds))


def _outcome(lab: GridLab, job: AnyJob) -> Response:
    if job.state == "failed":
        raise ApiError(503, "as_told", code="shadow_test_failed", reason=job.error)
    if job.state == "cancelled":
        raise ApiError(409, "shadow_cancelled", code="shadow_test_cancelled")
    if job.state != "done":
        return accepted(lab, job)
    run = _retold(ShadowRun.model_validate(job.result))
    is_whole = not _problems(run)
    return answer(
        ShadowTest(
            shadow_test=run,
            test_status="success" if is_whole else "incomplete",
            recommendations=[say(key, language(), **values) for key, values in _advice(run)],
            job_id=job.id,
            **stamp_of(lab.snapshot).parts,
        )
    )


def _retold(run: ShadowRun) -> ShadowRun:
    """The run with its sentences in the request's language."""
    tell, cache = teller(), run.cache_performance
    return run.model_copy(
        update={
            "price_source": tell(run.price_source),
            "cache_performance": cache.model_copy(
                update={"reason": None if cache.reason is None else tell(cache.reason)}
            ),
        }
    )


def _problems(run: ShadowRun) -> list[tuple[str, dict[str, object]]]:
    """What the run found wrong, as messages."""
    seen, quality = run.market_data_collected, run.data_quality
    if not seen:
        return [("shadow_no_data", {"seconds": run.duration_seconds})]
    found: list[tuple[str, dict[str, object]]] = []
    if not quality.valid_price_data:
        found.append(("shadow_bad_prices", {}))
    if quality.complete_market_states < seen:
        missing = seen - quality.complete_market_states
        found.append(("shadow_incomplete", {"missing": missing, "states": seen}))
    if quality.indicator_calculations != "success":
        found.append(("shadow_indicators", {"reason": quality.indicator_calculations}))
    return found


def _advice(run: ShadowRun) -> list[tuple[str, dict[str, object]]]:
    """Problems first, then what the run counted, then what it cannot say."""
    advice = _problems(run)
    cache, seconds = run.cache_performance, run.duration_seconds
    if run.market_data_collected:
        complete = run.data_quality.complete_market_states
        counted: dict[str, object] = {
            "states": run.market_data_collected,
            "complete": complete,
            "seconds": seconds,
        }
        advice.append(("shadow_collected", counted))
    if run.simulated_trades:
        advice.append(("shadow_traded", {"trades": run.simulated_trades}))
    else:
        advice.append(("shadow_no_trades", {"seconds": seconds}))
    if cache.hit_rate is not None and cache.api_calls_saved is not None:
        percent = f"{100 * cache.hit_rate:.0f}"
        advice.append(("shadow_cache", {"percent": percent, "saved": cache.api_calls_saved}))
    if run.mode == "Shadow":
        return [*advice, ("shadow_live", {"source": run.price_source})]
    return [*advice, ("shadow_not_production", {})]

"""Long work as jobs: asked for once, run by a small pool, watched and cancelled by whoever asked.

A job's picture (`Job`) is immutable and replaced at each change, so readers need no lock. The same
request asked again while its job lives, or after it is done, gives that job and not a second one;
one that was cancelled lives no more, though its work may take a moment to end.
Knows nothing of what the work is.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gridlab.clock import Clock, SystemClock
from gridlab.errors import Conflict, GridLabError, NotFound

log = logging.getLogger(__name__)

WORKERS = 2
#: Jobs that are remembered; the oldest ended ones are forgotten first.
REMEMBERED = 200
#: Jobs that may wait; more are refused, so that nobody fills the memory by asking.
LONGEST_QUEUE = 20


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of long work at one moment.

    Args:
        progress: fraction done, 0 to 1.
        result: JSON-able, once the state is `done`.
        error: why it failed, in words, once the state is `failed`.
    """

    id: str
    kind: str
    parameters: Mapping[str, object]
    state: JobState
    progress: float
    message: str
    created_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    result: Any = None
    error: str = ""


class Cancelled(GridLabError):
    """Raised inside a job's work when somebody cancelled it."""


class JobHandle:
    """What a job's work uses to tell how far it is, and to hear that it is no longer wanted."""

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self._cancelled = threading.Event()

    def progress(self, fraction: float, message: str = "") -> None:
        """Show how far the work is.

        Raises:
            Cancelled: it is no longer wanted; let this pass.
        """
        if self._cancelled.is_set():
            raise Cancelled("cancelled on request")
        self._tell(min(1.0, max(0.0, fraction)), message)

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than the work is wanted; raises `Cancelled`."""
        if self._cancelled.wait(seconds):
            raise Cancelled("cancelled on request")

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()


class Jobs:
    """All jobs of one process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._handles: dict[str, JobHandle] = {}
        self._futures: dict[str, Future[None]] = {}
        # job id -> the first id of the same request; see `_ids`.
        self._asked: dict[str, str] = {}
        self._pool: ThreadPoolExecutor | None = None

    def submit(
        self, kind: str, parameters: Mapping[str, object], work: Callable[[JobHandle], object]
    ) -> Job:
        """The job for this work: a new one, or the one that is doing or has done the same.

        Args:
            parameters: JSON-able; with `kind` they are the job's identity.

        Raises:
            Conflict: too many jobs wait.
        """
        with self._lock:
            first_id = next(_ids(kind, parameters))
            known = self._wanted(first_id)
            if known is not None:
                return known
            waiting = sum(job.state is JobState.QUEUED for job in self._jobs.values())
            if waiting >= LONGEST_QUEUE:
                raise Conflict(
                    f"{waiting} jobs wait and no more than {LONGEST_QUEUE} may; cancel some or "
                    "wait for them"
                )
            job_id = next(i for i in _ids(kind, parameters) if not self._is_alive(i))
            self._pool = self._pool or ThreadPoolExecutor(WORKERS, "gridlab-job")
            now_ms = self._clock.now_ms()
            job = Job(job_id, kind, dict(parameters), JobState.QUEUED, 0.0, "", now_ms)
            self._jobs[job_id] = job
            self._jobs.move_to_end(job_id)
            handle = JobHandle(lambda done, words: self._tell(job_id, done, words))
            self._handles[job_id] = handle
            self._asked[job_id] = first_id
            self._futures[job_id] = self._pool.submit(self._run, job_id, handle, work)
            self._forget_old()
            return job

    def get(self, job_id: str) -> Job:
        """The job; raises `NotFound`."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}; ended ones are forgotten after a while")
        return job

    def all(self) -> tuple[Job, ...]:
        """Every remembered job, newest first."""
        with self._lock:
            return tuple(reversed(self._jobs.values()))

    def under_way(self, kind: str) -> tuple[Job, ...]:
        """Those of `kind` that wait or run; one that was cancelled and still ends is not."""
        with self._lock:
            return tuple(
                job
                for job in self._jobs.values()
                if job.kind == kind and self._is_under_way(job.id)
            )

    def cancel(self, job_id: str) -> Job:
        """Ask a job to end; a running one ends at its next sign of progress. Raises `NotFound`."""
        job = self.get(job_id)
        if not job.state.is_over:
            self._handles[job_id].cancel()
            if self._futures[job_id].cancel():
                self._change(job_id, state=JobState.CANCELLED, finished_ms=self._clock.now_ms())
        return self.get(job_id)

    def wait(self, job_id: str, seconds: float) -> Job:
        """The job once it is over, or as it is after `seconds`. Raises `NotFound`."""
        self.get(job_id)
        with self._lock:
            future = self._futures.get(job_id)
        if future is not None and not future.cancelled():
            _wait_for(future, seconds)
        return self.get(job_id)

    def close(self) -> None:
        """Cancel everything and end the pool."""
        for job in self.all():
            self.cancel(job.id)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job_id: str, handle: JobHandle, work: Callable[[JobHandle], object]) -> None:
        self._change(job_id, state=JobState.RUNNING, started_ms=self._clock.now_ms())
        try:
            result = work(handle)
            ended = {"state": JobState.DONE, "result": result, "progress": 1.0}
        except Cancelled:
            ended = {"state": JobState.CANCELLED}
        except GridLabError as error:
            ended = {"state": JobState.FAILED, "error": str(error)}
        except Exception as error:
            # The words of a stranger's exception may hold anything; the log has the whole of it.
            log.exception("job %s broke", job_id)
            ended = {"state": JobState.FAILED, "error": f"internal error ({type(error).__name__})"}
        self._change(job_id, finished_ms=self._clock.now_ms(), **ended)

    def _wanted(self, first_id: str) -> Job | None:
        """The job that does or has done what `first_id` was asked for, under whichever id."""
        for job_id, asked in self._asked.items():
            if asked != first_id:
                continue
            job = self._jobs[job_id]
            if job.state is JobState.DONE or self._is_under_way(job_id):
                return job
        return None

    def _is_under_way(self, job_id: str) -> bool:
        return self._is_alive(job_id) and not self._handles[job_id].is_cancelled

    def _is_alive(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        return job is not None and not job.state.is_over

    def _tell(self, job_id: str, progress: float, message: str) -> None:
        self._change(job_id, progress=progress, message=message)

    def _change(self, job_id: str, **changes: Any) -> None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is not None:
                self._jobs[job_id] = replace(job, **changes)

    def _forget_old(self) -> None:
        for job_id in [i for i, job in self._jobs.items() if job.state.is_over]:
            if len(self._jobs) <= REMEMBERED:
                return
            for table in (self._jobs, self._handles, self._futures, self._asked):
                table.pop(job_id, None)


def _ids(kind: str, parameters: Mapping[str, object]) -> Iterator[str]:
    """The id of the job that is asked for, then those that it has while earlier ones end."""
    for attempt in itertools.count():
        asked = [kind, parameters, attempt] if attempt else [kind, parameters]
        identity = json.dumps(asked, sort_keys=True, default=str)
        yield hashlib.sha256(identity.encode()).hexdigest()[:16]


def _wait_for(future: Future[None], seconds: float) -> None:
    """Wait for the end of `future`, whatever it is, for at most `seconds`."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait(seconds)

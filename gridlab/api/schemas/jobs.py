"""Long work: one job, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from gridlab.api.schemas.base import Shape, Stamp
from gridlab.clock import iso

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class AnyJob(Protocol):
    """What an answer needs of a job."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, object]: ...
    @property
    def state(self) -> str: ...
    @property
    def progress(self) -> float: ...
    @property
    def message(self) -> str: ...
    @property
    def created_ms(self) -> int: ...
    @property
    def started_ms(self) -> int | None: ...
    @property
    def finished_ms(self) -> int | None: ...
    @property
    def result(self) -> Any: ...
    @property
    def error(self) -> str: ...


class JobSummary(Shape):
    """One job without its result; times are the machine's, `progress` is a fraction.

    `error` says why a failed job failed and is null for every other.
    """

    id: str
    kind: str
    state: JobState
    progress: float
    message: str
    parameters: dict[str, Any]
    created_at: str
    started_at: str | None
    finished_at: str | None
    error: str | None

    @classmethod
    def of(cls, job: AnyJob) -> JobSummary:
        return cls.model_validate(_fields(job))


class JobShape(Stamp, JobSummary):
    """`/api/jobs/{id}`; `result` is null until the state is `done`."""

    result: Any

    @classmethod
    def of_job(cls, job: AnyJob, stamp: Stamp) -> JobShape:
        return cls.model_validate({**_fields(job), "result": job.result, **stamp.parts})


class JobList(Stamp):
    """`/api/jobs`, newest first, without results."""

    jobs: list[JobSummary]
    total: int


def _fields(job: AnyJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": str(job.state),
        "progress": job.progress,
        "message": job.message,
        "parameters": dict(job.parameters),
        "created_at": iso(job.created_ms),
        "started_at": None if job.started_ms is None else iso(job.started_ms),
        "finished_at": None if job.finished_ms is None else iso(job.finished_ms),
        "error": job.error or None,
    }

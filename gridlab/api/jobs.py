"""Routes about long work: start a backtest, watch jobs, cancel one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from flask import Blueprint, Response, url_for

from gridlab.api.errors import ApiError, Problem, invalid
from gridlab.api.grid import range_problems, spec_of, symbol_problem
from gridlab.api.requests import GridRequest, NoQuery, examine, shortened
from gridlab.api.requests_tools import BacktestRequest
from gridlab.api.schemas.jobs import AnyJob, JobList, JobShape, JobSummary
from gridlab.api.wire import ACCEPTED, answer, fitting, read_json, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.errors import Conflict, NotFound

Submitted = TypeVar("Submitted")
_OVER = ("done", "failed", "cancelled")


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the job routes on `blueprint`."""

    @blueprint.post("/api/backtest")
    def backtest() -> Response:
        return accepted(lab, _backtest(lab))

    @blueprint.get("/api/jobs")
    def jobs() -> Response:
        read_query(NoQuery)
        found = [JobSummary.of(job) for job in lab.jobs.all()]
        return answer(
            JobList(jobs=fitting(found), total=len(found), **stamp_of(lab.snapshot).parts)
        )

    @blueprint.get("/api/jobs/<job_id>")
    def job(job_id: str) -> Response:
        read_query(NoQuery)
        return answer(_shape(lab, _find(lab, job_id)))

    @blueprint.delete("/api/jobs/<job_id>")
    def cancel_job(job_id: str) -> Response:
        read_query(NoQuery)
        found = _find(lab, job_id)
        if found.state in _OVER:
            values: dict[str, object] = {"job": found.id, "state": str(found.state)}
            raise ApiError(409, "job_over", values=values)
        ended: AnyJob = lab.jobs.cancel(found.id)
        # Running work ends at its next sign of progress; until then the cancel is only accepted.
        return answer(_shape(lab, ended), 200 if ended.state in _OVER else ACCEPTED)


def accepted(lab: GridLab, job: AnyJob) -> Response:
    """202 with the job and where to watch it."""
    reply = answer(_shape(lab, job), ACCEPTED)
    reply.headers["Location"] = url_for(".job", job_id=job.id)
    return reply


def submitted(submit: Callable[[], Submitted]) -> Submitted:
    """What `submit` gives; raises `ApiError` 429 when too many jobs wait already."""
    try:
        return submit()
    except Conflict as error:
        raise ApiError(
            429,
            "as_told",
            code="too_many_jobs",
            hint="job_hint",
            headers={"Retry-After": "5"},
            reason=str(error),
        ) from None


def _shape(lab: GridLab, job: AnyJob) -> JobShape:
    return JobShape.of_job(job, stamp_of(lab.snapshot))


def _find(lab: GridLab, job_id: str) -> AnyJob:
    try:
        return lab.jobs.get(job_id)
    except NotFound:
        raise ApiError(
            404, "job_unknown", code="job_not_found", hint="job_hint", job=shortened(job_id)
        ) from None


def _backtest(lab: GridLab) -> AnyJob:
    asked = _asked_backtest(lab, read_json())
    spec = spec_of(lab, asked.symbol, asked.config)
    return submitted(
        lambda: lab.submit_backtest(
            spec, start_ms=asked.start_ms, end_ms=asked.end_ms, fill_rule=asked.fill_rule
        )
    )


def _asked_backtest(lab: GridLab, sent: Mapping[str, object]) -> BacktestRequest:
    """The body, checked; raises `ApiError` with every problem, an unknown symbol included."""
    asked, problems = examine(BacktestRequest, sent)
    known = {(problem.field, problem.key) for problem in problems}
    grid = {name: sent[name] for name in ("symbol", "config") if name in sent}
    problems += [p for p in examine(GridRequest, grid)[1] if (p.field, p.key) not in known]
    if asked is not None and not problems:
        problems = _more_problems(lab, asked)
    if asked is None or problems:
        raise invalid(problems)
    return asked


def _more_problems(lab: GridLab, asked: BacktestRequest) -> list[Problem]:
    """Problems that no single field shows."""
    market = asked.config.market_type
    if market is not Market.SPOT:
        return [Problem("config.market_type", "backtest_spot_only", received=market.value)]
    unknown = symbol_problem(lab, asked.symbol, market)
    problems = [unknown] if unknown else range_problems(lab, asked)
    start_ms, end_ms = asked.start_ms, asked.end_ms
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        problems.append(Problem("start_ms", "span_crossed", received=str(start_ms)))
    return problems

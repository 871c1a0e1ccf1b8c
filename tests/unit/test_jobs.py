"""Jobs: one for each request, watched, cancelled, bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from gridlab.app.jobs import LONGEST_QUEUE, WORKERS, JobHandle, Jobs, JobState
from gridlab.errors import Conflict, InvalidInput, NotFound


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.close()


def count_to_ten(handle: JobHandle) -> dict[str, int]:
    for number in range(10):
        handle.progress(number / 10, f"at {number}")
    return {"counted": 10}


def test_a_job_runs_to_its_result(jobs: Jobs) -> None:
    job = jobs.wait(jobs.submit("count", {"to": 10}, count_to_ten).id, 30)
    assert (job.state, job.progress, job.result) == (JobState.DONE, 1.0, {"counted": 10})
    assert job.started_ms is not None and job.finished_ms is not None


def test_the_same_request_gives_the_same_job(jobs: Jobs) -> None:
    first = jobs.submit("count", {"to": 10}, count_to_ten)
    assert jobs.submit("count", {"to": 10}, count_to_ten).id == first.id
    assert jobs.submit("count", {"to": 11}, count_to_ten).id != first.id
    jobs.wait(first.id, 30)
    assert jobs.submit("count", {"to": 10}, count_to_ten).state is JobState.DONE


def test_a_running_job_ends_when_it_is_cancelled(jobs: Jobs) -> None:
    running = threading.Event()

    def forever(handle: JobHandle) -> None:
        while True:
            running.set()
            handle.progress(0.5)
            handle.wait(0.01)

    job = jobs.submit("forever", {}, forever)
    assert running.wait(30)
    jobs.cancel(job.id)
    assert jobs.wait(job.id, 30).state is JobState.CANCELLED
    again = jobs.submit("forever", {}, count_to_ten)
    assert jobs.wait(again.id, 30).state is JobState.DONE, "a cancelled job may be asked for again"


def test_a_cancelled_job_is_not_what_is_asked_for_while_it_ends(jobs: Jobs) -> None:
    """Work hears of its cancel at its next sign of progress, which compiling may put off."""
    running, release = threading.Event(), threading.Event()

    def slow(handle: JobHandle) -> dict[str, int]:
        running.set()
        release.wait(5)
        return count_to_ten(handle)

    first = jobs.submit("count", {"to": 10}, slow)
    assert running.wait(5)
    assert jobs.cancel(first.id).state is JobState.RUNNING
    again = jobs.submit("count", {"to": 10}, count_to_ten)
    assert jobs.submit("count", {"to": 10}, count_to_ten).id == again.id != first.id
    assert jobs.wait(again.id, 5).state is JobState.DONE
    release.set()
    assert jobs.wait(first.id, 5).state is JobState.CANCELLED


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_job_after_a_cancelled_one_stays_what_is_asked_for(jobs: Jobs, has_ended: bool) -> None:
    """The cancelled job's id is free again once its work is over; the later job goes on."""
    running, release, others = threading.Event(), threading.Event(), threading.Event()

    def deaf(handle: JobHandle) -> None:
        running.set()
        release.wait(30)
        handle.progress(0.5)

    dying = jobs.submit("work", {"to": 10}, deaf)
    assert running.wait(30)
    jobs.cancel(dying.id)
    second = jobs.submit("work", {"to": 10}, lambda _: others.wait(30))
    release.set()
    assert jobs.wait(dying.id, 30).state is JobState.CANCELLED
    if has_ended:
        others.set()
        assert jobs.wait(second.id, 30).state is JobState.DONE
    third = jobs.submit("work", {"to": 10}, count_to_ten)
    others.set()
    assert third.id == second.id != dying.id


def test_waiting_jobs_can_be_cancelled_and_are_bounded(jobs: Jobs) -> None:
    release, workers = threading.Event(), threading.Barrier(WORKERS + 1, timeout=30)

    def block(handle: JobHandle) -> None:
        workers.wait()
        release.wait(60)

    for number in range(WORKERS):
        jobs.submit("block", {"n": number}, block)
    workers.wait()  # now every worker is busy, and what comes can only wait
    waiting = [jobs.submit("wait", {"n": n}, count_to_ten) for n in range(LONGEST_QUEUE)]
    with pytest.raises(Conflict, match=f"no more than {LONGEST_QUEUE}"):
        jobs.submit("wait", {"n": "one too many"}, count_to_ten)
    assert jobs.cancel(waiting[0].id).state is JobState.CANCELLED
    release.set()
    assert jobs.wait(waiting[-1].id, 30).state is JobState.DONE


def test_our_errors_are_told_and_strangers_words_are_not(jobs: Jobs) -> None:
    def refuse(handle: JobHandle) -> None:
        raise InvalidInput("levels is 1; it must be from 2 to 1000")

    def break_down(handle: JobHandle) -> None:
        raise RuntimeError("secret=hunter2")

    told = jobs.wait(jobs.submit("refuse", {}, refuse).id, 30)
    assert told.state is JobState.FAILED and "from 2 to 1000" in told.error
    hidden = jobs.wait(jobs.submit("break", {}, break_down).id, 30)
    assert hidden.state is JobState.FAILED and hidden.error == "internal error (RuntimeError)"


def test_unknown_jobs_are_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        jobs.get("nonsense")

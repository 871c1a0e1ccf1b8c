"""A sweep and a study on real Dask workers: the same rows in the same order, bit by bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from test_sweep import BARS, GRIDS, same

from gridlab.errors import InvalidInput
from gridlab.research import workers
from gridlab.research.space import space
from gridlab.research.study import study
from gridlab.research.sweep import sweep
from gridlab.research.workers import workers_of

if TYPE_CHECKING:
    from distributed import Client

#: Six parts for two workers.
FAR = space("BTCUSDT", levels=range(4, 52), spacing=["0.15%", "0.6%"], investment=9000)

pytestmark = pytest.mark.slow  # each worker is a process that loads the compiler
distributed = pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture(scope="module")
def connected() -> Iterator[Client]:
    """Two processes on loopback."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster) as found:
            yield found


@pytest.fixture
def client(connected: Client) -> Client:
    """Of two workers, also after a test that killed one: the parts follow their number."""
    connected.wait_for_workers(2, timeout=120)
    return connected


def test_a_cluster_gives_the_same_rows_in_the_same_order(client: Client) -> None:
    told: list[float] = []
    far = sweep(FAR, BARS, client=client, progress=told.append)
    assert len(told) == 7 and told[-1] == 1.0
    assert 0 < far.ran.sum() < len(FAR)
    assert same(far.to_frame(), sweep(FAR, BARS, progress=False).to_frame())


def test_a_study_on_a_cluster_tries_the_same_trials(client: Client) -> None:
    ranges = {"levels": (4, 30), "spacing": "0.3%..2% log", "investment": 3000}
    settings: dict[str, Any] = {"trials": 20, "seed": 1, "batch": 10, "progress": False}
    far = study(ranges, BARS, client=client, **settings)
    assert same(far.to_frame(), study(ranges, BARS, **settings).to_frame())


def test_work_of_a_worker_that_dies_is_done_by_another(client: Client) -> None:
    victim = next(iter(client.run(os.getpid).values()))
    killed = False

    def kill(fraction: float) -> None:
        nonlocal killed
        if fraction > 0 and not killed:
            killed = True
            os.kill(victim, signal.SIGKILL)

    far = sweep(FAR, BARS, client=client, progress=kill)
    assert killed and victim not in client.run(os.getpid).values()
    assert same(far.to_frame(), sweep(FAR, BARS, progress=False).to_frame())


def test_an_address_is_a_client_too(client: Client) -> None:
    address = client.scheduler.address
    far = sweep(GRIDS.sample(4, seed=0), BARS, client=address, progress=False)
    assert len(far) == 4


def test_workers_of_another_version_are_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "__version__", "99.0")
    with pytest.raises(InvalidInput, match=r"and this is 99\.0; install the same version"):
        sweep(GRIDS, BARS, client=client, progress=False)


def test_what_is_no_client_is_said() -> None:
    with pytest.raises(InvalidInput, match="client is of type int"):
        sweep(GRIDS, BARS, client=7, progress=False)  # type: ignore[arg-type]


def test_nobody_at_the_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://here"):
        with pytest.raises(InvalidInput, match="no Dask scheduler answers"):
            with workers_of(address, None):
                pass

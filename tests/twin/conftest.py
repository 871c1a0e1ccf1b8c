"""A twin for each test module: it stands still at BTCUSDT 60000 until the module moves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from spot_client import SpotClient

from gridlab.testing.twin import RunningTwin, running_twin


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(has_limits=False) as running:
        running.price("BTCUSDT", "60000")
        yield running


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts are locked in the user's home; each test has one of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def spot(twin: RunningTwin) -> Iterator[SpotClient]:
    """The twin's spot account, without open orders, the price at 60000."""
    client = SpotClient(twin)
    client.clear()
    twin.price("BTCUSDT", "60000")
    yield client
    client.http.close()

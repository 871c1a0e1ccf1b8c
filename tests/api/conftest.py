"""One lab and one running bot for all API tests, and a client for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from gridlab.api import create_app
from gridlab.app.facade import GridLab

GRID: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    with GridLab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture
def client(lab: GridLab) -> FlaskClient:
    return create_app(lab).test_client()


@pytest.fixture
def running(client: FlaskClient) -> str:
    """The symbol of a bot that runs."""
    reply = client.post("/api/grid/start", json=GRID)
    assert reply.status_code in (201, 409), reply.text
    return "BTCUSDT"

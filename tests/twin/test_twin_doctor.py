"""The doctor at a venue that answers as the exchange does."""

from __future__ import annotations

import asyncio

import pytest

from gridlab.app.checks import Verdict
from gridlab.app.config import load_config
from gridlab.app.doctor_venue import ask_venues
from gridlab.app.modes import Access
from gridlab.clock import SystemClock
from gridlab.domain.snapshot import Mode
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.signing import Credentials
from gridlab.exchange.budgets import Budgets
from gridlab.testing.twin import RunningTwin


def test_the_shipped_configuration_passes_for_real_money(
    twin: RunningTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin's accounts may withdraw, as nearly everybody's may, and its key may not."""
    monkeypatch.setattr(Endpoints, "is_production", True)
    access = Access(
        Mode.PRODUCTION,
        Endpoints(**{name: twin.ready[name] for name in Endpoints.__dataclass_fields__}),
        Credentials(twin.ready["key"], twin.ready["secret"]),
    )
    checks = asyncio.run(ask_venues(access, load_config(None, {}), Budgets(SystemClock())))
    assert {"spot key", "futures key"} <= {check.name for check in checks}
    assert [check for check in checks if check.verdict is Verdict.FAIL] == []

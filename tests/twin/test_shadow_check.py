"""`/api/test/shadow_mode` in a process with a live market: a Shadow of its own, without a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridlab.api.app import create_app
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.app.modes import Access
from gridlab.app.work_verbs import _bare
from gridlab.domain.snapshot import Mode
from gridlab.testing.twin import RunningTwin, running_twin

CONFIG = """
pair_selection: {spot_pairs: {preferred_symbols: [BTCUSDT]}}
sentiment_analysis: {enabled: false}
ai_agent: {enabled: false}
"""


def test_a_test_is_given_no_key_and_no_agent() -> None:
    config = load_config(None, {"BINANCE_API_KEY": "k" * 64, "BINANCE_API_SECRET": "s" * 64})
    bare = _bare(config)
    assert config.api.key is not None and bare.api.key is None and bare.api.secret is None
    assert not bare.ai_agent.enabled and not bare.sentiment_analysis.enabled
    assert bare.grid == config.grid


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin(has_limits=False, pulse_ms=100) as running:
        yield running


def test_a_process_with_a_real_account_tests_on_paper(
    tmp_path: Path, twin: RunningTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    made: list[GridLab] = []
    build = GridLab.__init__

    def noting(self: GridLab, *args: Any, **named: Any) -> None:
        build(self, *args, **named)
        made.append(self)

    monkeypatch.setattr(GridLab, "__init__", noting)
    config, endpoints = load_config(path, {}), json.dumps(twin.ready)
    with GridLab(tmp_path / "data", config=config, mode=Mode.TESTNET, endpoints=endpoints) as lab:
        held = twin.account()["spot"]["open_orders"]
        answer = create_app(lab).test_client().get("/api/test/shadow_mode?seconds=1").json
        assert "shadow_test" in answer, answer
        run = answer["shadow_test"]
        assert answer["mode"] == "Testnet" and not lab.snapshot.bots
        assert twin.account()["spot"]["open_orders"] == held == []
    assert run["mode"] == "Shadow" and "twin" in run["price_source"]
    assert answer["test_status"] == "success", run
    assert run["market_data_collected"] >= 1
    assert any("Live prices of a twin" in words for words in answer["recommendations"])
    assert not any("recording" in words for words in answer["recommendations"])
    saved = run["cache_performance"]
    assert saved["reason"] is None and saved["api_calls_saved"] >= 0
    real, paper = (one.settings.access for one in made)
    assert paper == Access(Mode.SHADOW, real.endpoints), "no key and no confirmation"
    assert made[1]._running().budgets is made[0]._running().budgets is not None

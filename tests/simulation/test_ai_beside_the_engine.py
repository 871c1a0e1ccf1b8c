"""Whatever the language model does, the engine's journal is the same, entry by entry.

A replay as fast as it can, with the AI agent working all the time against a local server that fails
in another way at every turn, and one with the agent switched off.
"""

from __future__ import annotations

import itertools
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.advice import NEUTRAL, AdviceKind
from gridlab.domain.snapshot import EngineState
from gridlab.store.journal import Journal
from gridlab.testing.ollama import LocalOllama, Mode

HOURS = 90
#: Real seconds that the replay takes at this speed: long enough for the agent to be about.
SPEED = HOURS * 3600 / 5


def config_for(url: str, enabled: bool) -> Any:
    config = load_config(None)
    often = Decimal("0.001")
    settings = config.ai_agent.model_settings.model_copy(update={"timeout_seconds": Decimal("0.3")})
    section = config.ai_agent.model_copy(
        update={
            "enabled": enabled,
            "base_url": url,
            "model_settings": settings,
            "analysis_interval_minutes": often,
            "optimization_interval_hours": often,
        }
    )
    return config.model_copy(update={"ai_agent": section})


def played(folder: Path, config: Any, speed: float = SPEED) -> tuple[str, int, dict[str, Any]]:
    """Head and length of the journal after the replay, and what was seen of the agent."""
    seen: dict[str, Any] = {"health": set(), "texts": [], "advice": []}
    lab = GridLab(
        folder,
        config=config,
        speed=speed,
        start_ms=DEFAULT_REPLAY_START_MS,
        end_ms=DEFAULT_REPLAY_START_MS + HOURS * 3_600_000,
        first_bot="BTCUSDT",
    )
    with lab:
        while lab.snapshot.state is EngineState.READY:
            seen["health"] |= {(agent.name, agent.state) for agent in lab.snapshot.agents}
            if lab.ai_agent is not None:
                seen["texts"] += lab.ai_agent.texts.values()
                seen["advice"] += lab.advice()
                seen["proposals"] = dict(lab.ai_agent.proposals)
            time.sleep(0.05)
        assert lab.snapshot.state is EngineState.FINISHED, lab.snapshot.reason
    with Journal.open(lab.settings.journal_path, lambda: "x") as journal:
        return journal.head, journal.length, seen


def test_the_journal_is_the_same_with_a_failing_model_and_without_any(tmp_path: Path) -> None:
    without = played(tmp_path / "without", config_for("http://127.0.0.1:9", enabled=False))
    others = {("trader", "running"), ("sentiment", "running"), ("trade_log", "running")}
    assert without[1] > 100 and without[2]["health"] == others
    turns, over = itertools.cycle(Mode), threading.Event()
    with LocalOllama(("gemma3:1b", "qwen3:0.6b")) as server:

        def turn() -> None:
            while not over.wait(0.25):
                server.mode = next(turns)

        turning = threading.Thread(target=turn)
        turning.start()
        try:
            for patience in (1, 4, 16):  # on a busy machine the agent needs more than five seconds
                folder = tmp_path / f"with-{patience}"
                beside = played(folder, config_for(server.url, enabled=True), SPEED / patience)
                if beside[2]["texts"] and beside[2]["proposals"] and len(server.chats) > 3:
                    break
        finally:
            over.set()
            turning.join()
    assert beside[:2] == without[:2]
    seen = beside[2]
    assert ("ai", "running") in seen["health"] and ("ai", "failed") not in seen["health"]
    assert seen["texts"] and seen["proposals"], "the agent was not about while the engine ran"
    assert len(server.chats) > 3, "no model was asked"
    for text in seen["texts"]:
        assert text.is_by_model or text.refusal
        assert "987654" not in text.text
    for advice in seen["advice"]:
        safe = (
            advice.value >= NEUTRAL
            if advice.kind is AdviceKind.SPACING
            else (advice.value <= NEUTRAL)
        )
        assert safe

"""`/api/pairs` over a table of a whole venue: what is told first, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Blueprint, Flask

from gridlab.agents.pair_filters import PairFacts, UnknownFacts
from gridlab.agents.pairs import PairTable
from gridlab.api import pairs
from gridlab.api.answers import MAX_ANSWER_BYTES
from gridlab.app.config import load_config
from gridlab.app.pairs import Selection
from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.snapshot import EngineState, Mode, Snapshot

COUNT = 1_500


class Lab:
    """As much of a lab as the route asks: one symbol looked at closely, the others passed over."""

    def __init__(self) -> None:
        now_ms = SystemClock().now_ms()
        self.snapshot = Snapshot(
            sequence=1,
            mode=Mode.SHADOW,
            state=EngineState.READY,
            time_ms=now_ms,
            wall_ms=now_ms + 60_000,
            started_ms=0,
            speed=1.0,
            progress=None,
        )
        facts = [
            PairFacts(
                f"LONGNAME{number:04}USDT",
                Market.SPOT,
                volume_usd_24h=Decimal(COUNT - number),
                spread_perc=Decimal("0.123456"),
                not_looked_at="min_volume_usd_24h, max_spread_perc failed before",
            )
            for number in range(COUNT)
        ]
        facts[-1] = replace(facts[-1], not_looked_at="")
        asked = Selection(Market.SPOT, load_config(None, {}), {})
        self.table = replace(asked.table(facts, UnknownFacts.FAIL), age_ms=42_000, is_stale=True)

    def pair_table(self, market: Market) -> PairTable:
        return self.table


@pytest.fixture(scope="module")
def app() -> Flask:
    made, blueprint = Flask("test"), Blueprint("api", "test")
    pairs.add_routes(blueprint, Lab())  # type: ignore[arg-type]
    made.register_blueprint(blueprint)
    return made


def asked(app: Flask, query: str = "", **headers: str) -> Any:
    reply = app.test_client().get(f"/api/pairs{query}", headers=headers)
    assert reply.status_code == 200 and len(reply.data) < MAX_ANSWER_BYTES - 50_000
    return reply.json


@pytest.mark.parametrize("query", ["", "?limit=1000"])
def test_a_whole_venue_fits_into_an_answer(app: Flask, query: str) -> None:
    found = asked(app, query)
    assert len(found["pairs"]) + found["left_out"] == COUNT
    assert found["left_out"] >= COUNT - 1_000 and len(found["pairs"]) >= 500


def test_who_was_looked_at_comes_first_and_then_the_largest(app: Flask) -> None:
    found = [row["symbol"] for row in asked(app, "?limit=3")["pairs"]]
    assert found == [f"LONGNAME{COUNT - 1:04}USDT", "LONGNAME0000USDT", "LONGNAME0001USDT"]


def test_the_stamp_is_the_facts(app: Flask) -> None:
    found = asked(app, "?limit=1")
    assert (found["age_ms"], found["stale"]) == (42_000, True)


def test_reasons_are_told_in_portuguese(app: Flask) -> None:
    row = asked(app, "?limit=2", **{"Accept-Language": "pt-BR"})["pairs"][1]
    assert row["reason"].startswith("min_volume_usd_24h: ") and "faltam" in row["reason"]
    notes = {check["note"] for check in row["checks"]} - {None}
    passed_over = "reprovado antes em min_volume_usd_24h, max_spread_perc"
    assert notes == {passed_over, "não há pontuação"}

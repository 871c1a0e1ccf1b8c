"""The route of pair selection: which symbols suit a grid, and which filter the others failed."""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import language
from gridlab.api.pair_words import translate_reason
from gridlab.api.requests import PairsQuery
from gridlab.api.schemas.pairs import PairRowShape, PairSelection
from gridlab.api.wire import answer, fitting, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the pair route on `blueprint`."""

    @blueprint.get("/api/pairs")
    def pair_table() -> Response:
        asked = read_query(PairsQuery)
        return answer(_table(lab, asked.market_type, asked.limit))


def _table(lab: GridLab, market: Market, limit: int) -> PairSelection:
    table, tongue = lab.pair_table(market), language()

    def say(text: str) -> str:
        return translate_reason(text, tongue)

    rows = fitting(PairRowShape.of(row, say) for row in table.rows[:limit])
    return PairSelection(
        market_type=market.value,
        max_pairs=table.max_pairs,
        unknown_facts=str(table.unknown),
        chosen=[row.symbol for row in table.chosen],
        absent=list(table.absent),
        left_out=len(table) - len(rows),
        pairs=rows,
        **stamp_of(lab.snapshot, table).parts,
    )

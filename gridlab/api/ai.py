"""Routes that ask the AI agent's tasks for a text: a report, an explanation, a proposal.

Each is a job, because a model may think for half a minute. None changes anything: a proposal is
shown beside the present grid, and whoever wants it starts it like any other grid.
"""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, Problem, invalid, language
from gridlab.api.jobs import accepted, submitted
from gridlab.api.requests_tools import AiExplainRequest, AiProposeRequest, AiReportRequest
from gridlab.api.wire import find_instrument, read_body
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId

_PAIR = "pair"


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the routes of the AI agent on `blueprint`."""

    @blueprint.post("/api/ai/report")
    def ai_report() -> Response:
        asked, tongue = read_body(AiReportRequest), language()
        if (asked.kind == _PAIR) is (asked.symbol is None):
            raise invalid([Problem("symbol", "report_symbol", received=asked.symbol)])
        if asked.symbol is not None:
            _check_pair(lab, asked.symbol)
        return accepted(
            lab,
            submitted(
                lambda: lab.submit_ai_report(asked.kind, asked.symbol or "", language=tongue)
            ),
        )

    @blueprint.post("/api/ai/explain")
    def ai_explain() -> Response:
        asked, tongue = read_body(AiExplainRequest), language()
        if asked.run is None and ClientId.parse(asked.order) is None:
            values: dict[str, object] = {"order": asked.order}
            raise invalid([Problem("run", "order_needs_run", values)])
        return accepted(
            lab,
            submitted(
                lambda: lab.submit_explanation(asked.order, asked.run or "", language=tongue)
            ),
        )

    @blueprint.post("/api/ai/propose")
    def ai_propose() -> Response:
        asked, tongue = read_body(AiProposeRequest), language()
        find_instrument(lab, asked.symbol, asked.market_type)
        return accepted(
            lab,
            submitted(
                lambda: lab.submit_proposal(asked.symbol, asked.market_type, language=tongue)
            ),
        )


def _check_pair(lab: GridLab, symbol: str) -> None:
    """Raise `ApiError` 404 for a symbol that is on no market."""
    try:
        find_instrument(lab, symbol, Market.SPOT)
    except ApiError:
        if symbol not in lab.snapshot.bots:
            raise

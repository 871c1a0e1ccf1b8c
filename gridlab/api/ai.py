"""Routes of the AI agent: what it said, and its tasks: a report, an explanation, a proposal.

Each task is a job, because a model may think for half a minute. None changes anything: a proposal
is shown beside the present grid, and whoever wants it starts it like any other grid.
"""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, Problem, invalid, language, teller
from gridlab.api.jobs import accepted, submitted
from gridlab.api.requests import NoQuery
from gridlab.api.requests_tools import AiExplainRequest, AiProposeRequest, AiReportRequest
from gridlab.api.schemas.ai import AdviceShape, AiProposal, AiReport, AiStatus, AiText
from gridlab.api.wire import answer, find_instrument, read_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId

_PAIR = "pair"


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the routes of the AI agent on `blueprint`."""

    @blueprint.get("/api/ai/status")
    def ai_status() -> Response:
        read_query(NoQuery)
        return answer(_status(lab))

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


def _status(lab: GridLab) -> AiStatus:
    section, agent, say = lab.settings.config.ai_agent, lab.ai_agent, teller()
    texts = {} if agent is None else agent.texts
    reports = {} if agent is None else agent.reports
    proposals = {} if agent is None else agent.proposals
    return AiStatus(
        enabled=agent is not None,
        features=section.features.model_dump(),
        analysis_interval_minutes=float(section.analysis_interval_minutes),
        optimization_interval_hours=float(section.optimization_interval_hours),
        analyses=[
            AiText.model_validate({**text.to_dict(), "symbol": symbol})
            for (_, symbol), text in sorted(texts.items())
        ],
        reports=[
            AiReport.model_validate({**report.to_dict(), "symbol": ""})
            for report in reports.values()
        ],
        proposals=[
            AiProposal.model_validate({**found.to_dict(), "symbol": symbol})
            for symbol, found in sorted(proposals.items())
        ],
        advice=[AdviceShape.of(advice, say) for advice in lab.advice()],
        **stamp_of(lab.snapshot).parts,
    )


def _check_pair(lab: GridLab, symbol: str) -> None:
    """Raise `ApiError` 404 for a symbol that is on no market."""
    try:
        find_instrument(lab, symbol, Market.SPOT)
    except ApiError:
        if symbol not in lab.snapshot.bots:
            raise

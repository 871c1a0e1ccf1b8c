"""The verbs of `GridLab` about the local language models; everything they do only reads.

Each blocks until its text is there, a model's or the template's, and has a form that returns a job.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gridlab.app.ai_models import AiModels, ModelCheck
from gridlab.app.jobs import Job, JobHandle, Jobs
from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.llm.facts import LANGUAGES, Language

if TYPE_CHECKING:
    from gridlab.agents.ai import AiAgent
    from gridlab.app.ai import AiDesk
    from gridlab.app.ai_proposal import Proposal
    from gridlab.llm.render import Report
    from gridlab.llm.writing import Written


class AiVerbs:
    """What `GridLab` can ask of the models; a part of it, with no state but its own.

    Attributes:
        jobs: where long work goes.
        ai_agent: runs the tasks on their intervals; None while the engine is not started, or the
            configuration switches it off.
    """

    jobs: Jobs
    ai_agent: AiAgent | None = None
    _ai_numbers = itertools.count(1)

    @cached_property
    def ai_desk(self) -> AiDesk:
        from gridlab.app.ai import AiDesk

        return AiDesk(self)  # type: ignore[arg-type]

    @cached_property
    def _model_check(self) -> ModelCheck:
        return ModelCheck(self.ai_desk.client)

    def ai_models(self) -> AiModels:
        """Every configured model that is there, asked one short question; see `app.ai_models`."""
        return self._model_check.ask()

    def ai_analysis(
        self, symbol: str, market: Market = Market.SPOT, *, language: str = "en"
    ) -> Written:
        """The market analysis of one pair, in words; raises `NotFound`."""
        return self.ai_desk.analyse(symbol, market, _language(language))

    def ai_report(self, kind: str, symbol: str = "", *, language: str = "en") -> Report:
        """A `daily`, `performance` or (with `symbol`) `pair` report.

        Raises:
            InvalidInput: no such kind or language, or a symbol where none is meant.
            NotFound: no such symbol.
        """
        return self.ai_desk.report(_kind(kind), _language(language), symbol=symbol)

    def explain(self, order: str, run: str = "", *, language: str = "en") -> Written:
        """Why `order` (our client id, or the venue's id with a run or symbol) was placed.

        Raises:
            NotFound: the journal has no such order.
            InvalidInput: a venue's id without a run or symbol.
        """
        return self.ai_desk.explain(order, run, _language(language))

    def propose_grid(
        self, symbol: str, market: Market = Market.SPOT, *, language: str = "en"
    ) -> Proposal:
        """Another shape for the grid on `symbol`, planned and backtested beside the present one.

        Nothing of it is applied. Raises `NotFound`.
        """
        return self.ai_desk.propose(symbol, market, _language(language))

    # --- as jobs ----------------------------------------------------------------------------------

    def submit_ai_report(self, kind: str, symbol: str = "", *, language: str = "en") -> Job:
        """A job whose result is the report; arguments and errors of `ai_report`."""
        what, tongue = _kind(kind), _language(language)
        asked = {"kind": kind, "symbol": symbol, "language": language}
        return self._submit(
            "ai_report",
            asked,
            lambda handle: self.ai_desk.report(what, tongue, _wanted(handle), symbol).to_dict(),
        )

    def submit_explanation(self, order: str, run: str = "", *, language: str = "en") -> Job:
        """A job whose result is the explanation; arguments and errors of `explain`."""
        tongue = _language(language)

        def work(handle: JobHandle) -> dict[str, Any]:
            written = self.ai_desk.explain(order, run, tongue, _wanted(handle))
            return {
                **written.to_dict(),
                "order": order,
                "cause": str(written.values["cause"]),
                "fate": str(written.values["fate"]),
            }

        asked = {"order": order, "run": run, "language": language}
        return self._submit("ai_explain", asked, work)

    def submit_proposal(
        self, symbol: str, market: Market = Market.SPOT, *, language: str = "en"
    ) -> Job:
        """A job whose result is the proposal; arguments and errors of `propose_grid`."""
        tongue = _language(language)
        asked = {"symbol": symbol, "market": str(market), "language": language}
        return self._submit(
            "ai_propose",
            asked,
            lambda handle: self.ai_desk.propose(symbol, market, tongue, handle.progress).to_dict(),
        )

    def _submit(
        self, kind: str, asked: dict[str, Any], work: Callable[[JobHandle], dict[str, Any]]
    ) -> Job:
        # A number of its own for each, because what was said a while ago says nothing about now.
        return self.jobs.submit(kind, {**asked, "number": next(self._ai_numbers)}, work)


def _wanted(handle: JobHandle) -> Callable[[], None]:
    return lambda: handle.progress(0.1, "asking for words")


def _language(name: str) -> Language:
    for known in LANGUAGES:
        if name == known:
            return known
    raise InvalidInput(f"language is {name!r}; choose one of {', '.join(LANGUAGES)}")


def _kind(name: str) -> Any:
    from gridlab.llm.tasks.reports import ReportKind

    try:
        return ReportKind(name)
    except ValueError:
        raise InvalidInput(f"kind is {name!r}; choose one of {', '.join(ReportKind)}") from None

"""The client's verbs about the local language models: work that is asked for and waited for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any

import httpx

from gridlab.clock import monotonic_s
from gridlab.errors import Conflict, ExchangeUnavailable

Json = dict[str, Any]
#: Seconds for the test of the models, and between two looks at a job.
MODELS_TIMEOUT_S = 40.0
LOOK_EVERY_S = 0.2
_POST_TIMEOUT_S = 10.0
_OVER = ("done", "failed", "cancelled")


class AiVerbs(ABC):
    """A part of `Client`."""

    @abstractmethod
    def _send(
        self, method: str, path: str, body: Json | None, *, timeout: float
    ) -> httpx.Response: ...

    @abstractmethod
    def _checked(self, response: httpx.Response) -> Json: ...

    def ai_models(self) -> Json:
        """Every configured model that is there, asked one short question."""
        return self._checked(
            self._send("GET", "/api/test/ai_models", None, timeout=MODELS_TIMEOUT_S)
        )

    def ai_status(self) -> Json:
        """What the AI agent said of its own accord, and what it advises."""
        return self._checked(self._send("GET", "/api/ai/status", None, timeout=_POST_TIMEOUT_S))

    def ai_report(self, kind: str, symbol: str = "", *, within_s: float = 120.0) -> Json:
        """A `daily`, `performance` or (with `symbol`) `pair` report, as Markdown and HTML too.

        Raises:
            InvalidConfig: no such kind, or a symbol where none is meant.
            NotFound: no such symbol.
            Conflict: the work failed or was cancelled.
            ExchangeUnavailable: no engine answers, or not within `within_s` seconds.
        """
        return self._worked("/api/ai/report", {"kind": kind, "symbol": symbol or None}, within_s)

    def explain(self, order: str, run: str = "", *, within_s: float = 120.0) -> Json:
        """Why an order (our id, or the venue's with a run or symbol) was placed; as `ai_report`."""
        body: Json = {"order": order} | ({"run": run} if run else {})
        return self._worked("/api/ai/explain", body, within_s)

    def propose_grid(
        self, symbol: str, market_type: str = "spot", *, within_s: float = 120.0
    ) -> Json:
        """Another grid beside the present one, backtested; applies nothing; as `ai_report`."""
        body: Json = {"symbol": symbol, "market_type": market_type}
        return self._worked("/api/ai/propose", body, within_s)

    def _worked(self, path: str, body: Json, within_s: float) -> Json:
        """The result of the job that `path` starts."""
        until_s = monotonic_s() + within_s
        job = self._checked(self._send("POST", path, body, timeout=_POST_TIMEOUT_S))
        where = f"/api/jobs/{job['id']}"
        while job["state"] not in _OVER:
            if monotonic_s() > until_s:
                raise ExchangeUnavailable(
                    f"the work is not done within {within_s:g} s; GET {where} shows it"
                )
            threading.Event().wait(LOOK_EVERY_S)
            job = self._checked(self._send("GET", where, None, timeout=_POST_TIMEOUT_S))
        if job["state"] != "done":
            raise Conflict(f"the work was {job['state']}: {job['error'] or 'on request'}")
        result: Json = job["result"]
        return result

"""HybridAnalyzer: a language model where one answers, the ONNX model always, and which and why.

A text goes to Ollama's gemma3 first. When that is off, slow, wrong or left alone by its breaker,
the ONNX model answers, and the lexicon where onnxruntime is missing; the result says who judged and
why not somebody better. Verdicts are kept by a hash of the text. Any thread; whatever the string,
there is a valid result.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from gridlab.clock import monotonic_s
from gridlab.errors import InvalidInput, ModelAnswerRefused, ModelUnavailable
from gridlab.sentiment.breaker import Breaker, State
from gridlab.sentiment.features import MAX_LETTERS
from gridlab.sentiment.judges import (
    Judge,
    LexiconJudge,
    LlmJudge,
    OnnxJudge,
    Verdict,
    one_line,
)
from gridlab.sentiment.kept import Judged, Kept, key_of
from gridlab.sentiment.relevance import relevance
from gridlab.sentiment.result import SentimentResult

if TYPE_CHECKING:
    from gridlab.llm.client import LocalAIClient

Preference: TypeAlias = Literal["auto", "ollama", "onnx", "lexicon"]
OLLAMA_URL = "http://127.0.0.1:11434"
_FAILURES = (InvalidInput, ModelAnswerRefused, ModelUnavailable)


def create_sentiment_analyzer(
    prefer: Preference = "auto",
    *,
    base_url: str = OLLAMA_URL,
    model: str | None = None,
    model_folder: str | Path | None = None,
    timeout_s: float = 10.0,
    batch_timeout_s: float = 60.0,
    cache_size: int = 4096,
    client: LocalAIClient | None = None,
    breaker: Breaker | None = None,
) -> HybridAnalyzer:
    """An analyser of short texts about markets, in English and Portuguese.

    Args:
        prefer: `auto`: gemma3 over Ollama when it answers, else ONNX; `ollama`: any model of Ollama
            before ONNX; `onnx`: Ollama is never asked; `lexicon`: word counts alone.
        base_url: Ollama's address. model: as Ollama lists it, instead of the first gemma3.
        model_folder: another ONNX model than the shipped one; see `gridlab.sentiment.onnx_text`.
        timeout_s: for one answer of Ollama. batch_timeout_s: for a whole batch; ONNX does the rest.
        cache_size: how many verdicts are kept; 0 keeps none.
        client: instead of one made from `base_url`. breaker: opens after 3 failures, for a minute.

    Raises:
        InvalidInput: a preference that does not exist, or a number out of range.
    """
    if prefer not in get_args(Preference):
        known = ", ".join(get_args(Preference))
        raise InvalidInput(f"prefer is {prefer!r}; one of {known} is meant")
    if cache_size < 0 or timeout_s <= 0 or batch_timeout_s <= 0:
        raise InvalidInput(
            f"cache_size is {cache_size}, timeout_s {timeout_s}, batch_timeout_s "
            f"{batch_timeout_s}; give 0 or more texts and more than 0 seconds"
        )
    llm = None
    if prefer in ("auto", "ollama"):
        from gridlab.llm.client import LocalAIClient

        asked = client or LocalAIClient(base_url, timeout_s=timeout_s, retries=0)
        llm = LlmJudge(asked, model, takes_any=prefer == "ollama")
    return HybridAnalyzer(
        llm,
        folder=Path(model_folder) if model_folder else None,
        is_bare=prefer == "lexicon",
        batch_timeout_s=batch_timeout_s,
        cache_size=cache_size,
        breaker=breaker,
    )


class HybridAnalyzer:
    """Judges texts; made by `create_sentiment_analyzer`."""

    def __init__(
        self,
        llm: LlmJudge | None = None,
        *,
        folder: Path | None = None,
        is_bare: bool = False,
        batch_timeout_s: float = 60.0,
        cache_size: int = 4096,
        breaker: Breaker | None = None,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        self._llm = llm
        self._folder = folder
        self._is_bare = is_bare
        self._batch_s = batch_timeout_s
        self._breaker = breaker or Breaker()
        self._now_s = now_s
        self._kept = Kept(cache_size)
        self._lock = threading.Lock()
        self._own: Judge | None = None
        self._own_why = ""
        self._llm_problem = ""
        self._llm_model = ""
        self._counts: Counter[str] = Counter()
        self._total_ms = 0.0

    def __repr__(self) -> str:
        return f"HybridAnalyzer(llm={self._llm is not None}, done={dict(self._counts)})"

    # --- judging ----------------------------------------------------------------------------------

    def analyze(self, text: str) -> SentimentResult:
        """The judgement of one text.

        Raises:
            InvalidInput: `text` is no string.
        """
        began_s, key = self._now_s(), key_of(text)
        kept, why = self._by_llm(text, key) if self._llm else (None, "")
        kept = kept or self._by_own([text], [key])[0]
        return self._result(text, kept, why, 1000 * (self._now_s() - began_s))

    async def aanalyze(self, text: str) -> SentimentResult:
        """`analyze`, awaitable; ONNX's fraction of a millisecond is not moved to a thread."""
        began_s, key = self._now_s(), key_of(text)
        kept, why = (await self._aby_llm(text, key)) if self._llm else (None, "")
        kept = kept or self._by_own([text], [key])[0]
        return self._result(text, kept, why, 1000 * (self._now_s() - began_s))

    def analyze_batch(self, texts: Sequence[str]) -> list[SentimentResult]:
        """One judgement for each text, in their order; equal texts are judged once.

        Raises:
            InvalidInput: one string instead of a list of them, or something else than strings.
        """
        if isinstance(texts, str):
            raise InvalidInput("analyze_batch takes a list of texts; analyze takes one")
        began_s = self._now_s()
        keys = [key_of(text) for text in texts]
        unique = dict(zip(keys, texts, strict=True))
        found: dict[bytes, tuple[Judged, str]] = {}
        whys: dict[bytes, str] = {}
        if self._llm:
            for key, text in unique.items():
                late = self._now_s() - began_s > self._batch_s
                kept, why = (None, "the batch's time was over") if late else self._by_llm(text, key)
                whys[key] = why
                if kept:
                    found[key] = kept, ""
        left = [key for key in unique if key not in found]
        own = self._by_own([unique[key] for key in left], left)
        found.update((key, (one, whys.get(key, ""))) for key, one in zip(left, own, strict=True))
        share_ms = 1000 * (self._now_s() - began_s) / max(1, len(keys))
        return [
            self._result(text, *found[key], share_ms) for key, text in zip(keys, texts, strict=True)
        ]

    def _by_llm(self, text: str, key: bytes) -> tuple[Judged | None, str]:
        """A language model's verdict, or None and why there is none."""
        assert self._llm is not None
        if (kept := self._kept.get(b"llm" + key)) or (why := self._not_asked(text)):
            return (kept, "") if kept else (None, why)
        try:
            model = self._llm.choose(self._llm.client.health_check())
            return self._llm_answered(text, key, self._llm.judge(text, model)), ""
        except _FAILURES as error:
            return None, self._llm_failed(error)
        except BaseException:  # interrupted while it tried: the breaker must not wait for its word
            self._breaker.fail()
            raise

    async def _aby_llm(self, text: str, key: bytes) -> tuple[Judged | None, str]:
        assert self._llm is not None
        if (kept := self._kept.get(b"llm" + key)) or (why := self._not_asked(text)):
            return (kept, "") if kept else (None, why)
        try:
            model = self._llm.choose(await self._llm.client.ahealth_check())
            return self._llm_answered(text, key, await self._llm.ajudge(text, model)), ""
        except _FAILURES as error:
            return None, self._llm_failed(error)
        except BaseException:
            self._breaker.fail()
            raise

    def _not_asked(self, text: str) -> str:
        """Why no language model is asked; if empty, the breaker waits for word of one."""
        if not any(sign.isalpha() for sign in text[:MAX_LETTERS]):
            return "there are no words"
        if not self._breaker.enter():
            return f"{self._llm_problem}; asked again in {self._breaker.seconds_left:.0f} s"
        return ""

    def _llm_answered(self, text: str, key: bytes, verdict: Verdict) -> Judged:
        self._breaker.succeed()
        self._llm_problem, self._llm_model = "", verdict.model
        kept = verdict, relevance(text).is_crypto
        self._kept.put(b"llm" + key, kept)
        return kept

    def _llm_failed(self, error: Exception) -> str:
        self._breaker.fail()
        self._llm_model = ""
        self._llm_problem = one_line(str(error)).rstrip(".")
        return self._llm_problem

    def _by_own(self, texts: Sequence[str], keys: Sequence[bytes]) -> list[Judged]:
        """Verdicts of the judge that is always there."""
        out = [self._kept.get(b"own" + key) for key in keys]
        missing = [at for at, kept in enumerate(out) if kept is None]
        if missing:
            wanted = [texts[at] for at in missing]
            try:
                verdicts = self._own_judge().judge(wanted)
            except ModelAnswerRefused as error:
                verdicts = self._replaced(error).judge(wanted)
            for at, verdict in zip(missing, verdicts, strict=True):
                kept = out[at] = verdict, relevance(texts[at]).is_crypto
                self._kept.put(b"own" + keys[at], kept)
        return [kept for kept in out if kept is not None]

    def _own_judge(self) -> Judge:
        """The ONNX judge, opened when it is first wanted; the shipped one when another fails."""
        with self._lock:
            if self._own is None:
                folders = () if self._is_bare else dict.fromkeys((self._folder, None))
                self._own = self._opened(folders)
            return self._own

    def _replaced(self, error: ModelAnswerRefused) -> Judge:
        """Another judge for good, as the present one failed: the shipped model, or the lexicon."""
        with self._lock:
            self._own_why = one_line(str(error)).rstrip(".")
            is_shipped = isinstance(self._own, OnnxJudge) and self._own.is_shipped
            self._own = LexiconJudge() if is_shipped else self._opened((None,))
            return self._own

    def _opened(self, folders: Iterable[Path | None]) -> Judge:
        for folder in folders:
            try:
                return OnnxJudge(folder)
            except (InvalidInput, ModelAnswerRefused) as error:
                self._own_why = one_line(str(error)).rstrip(".")
        return LexiconJudge()

    def _result(self, text: str, kept: Judged, why: str, took_ms: float) -> SentimentResult:
        verdict, is_crypto = kept
        reasons = [verdict.reasoning]
        if why:
            reasons.append(f"[{verdict.model}, because: {why}]")
        if self._own_why and verdict.analyzer in ("onnx", "lexicon"):
            reasons.append(f"[{verdict.model}, because: {self._own_why}]")
        with self._lock:
            self._counts[verdict.analyzer] += 1
            self._total_ms += took_ms
        return SentimentResult(
            text=text,
            sentiment=verdict.label,
            confidence=verdict.confidence,
            analyzer_used=verdict.analyzer,
            reasoning=" ".join(reasons),
            crypto_relevant=is_crypto,
            raw_score=verdict.raw_score,
            model_used=verdict.model,
            processing_time_ms=max(0.0, took_ms),
        )

    # --- what is there ----------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What could judge now, what did so far, and why not somebody better.

        Takes at most as long as Ollama's list of models (3 s), and opens the ONNX model.
        """
        own = self._own_judge()
        name, size, llm_why = self._llm_state()
        with self._lock:
            done, total_ms, counts = sum(self._counts.values()), self._total_ms, dict(self._counts)
        card = own.model.card if isinstance(own, OnnxJudge) else {}
        measured = card.get("measured", {}).get("all held aside", {})
        best = name.split(":")[0] if name and not llm_why else own.name
        return {
            "models": {
                "gemma3": {
                    "available": bool(name),
                    "loaded": bool(self._llm_model),
                    "model_size": size,
                    "crypto_optimized": False,
                    "model_name": name,
                    "reason": llm_why,
                },
                "onnx": {
                    "available": own.name == "onnx",
                    "loaded": own.name == "onnx",
                    "model_name": card.get("name"),
                    "sha256": card.get("sha256"),
                    "reason": self._own_why,
                },
            },
            "performance": {
                "analyses_completed": done,
                "avg_analysis_time": total_ms / done / 1000 if done else None,
                "accuracy_score": measured.get("accuracy") if best == "onnx" else None,
                "accuracy_set": "held-aside texts" if best == "onnx" and measured else None,
                "by_analyzer": counts,
                "kept": len(self._kept),
            },
            "recommended_model": best,
            "status": "operational",
            "reason": llm_why or self._own_why,
            "breaker": self._breaker.state.value,
        }

    def _llm_state(self) -> tuple[str | None, str | None, str]:
        """The language model that would be asked, its size, and why it is not."""
        if self._llm is None:
            return None, None, "the configuration does not ask for a language model"
        try:
            name = self._llm.choose(self._llm.client.health_check())
        except InvalidInput as error:
            return None, None, str(error)
        size = name.partition(":")[2].upper() or None
        left_alone = self._breaker.state is State.OPEN
        return name, size, self._llm_problem if left_alone else ""

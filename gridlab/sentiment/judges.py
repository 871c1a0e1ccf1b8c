"""The judges behind the analyser: ONNX, the bare lexicon, and a language model over Ollama.

Each turns texts into verdicts and knows nothing of the others. A language model is asked by
`gridlab.llm.tasks.sentiment`, whose prompt and schema leave it three fields to fill; its reason is
shown to people and fed to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gridlab.errors import InvalidInput
from gridlab.sentiment.features import Features, Featurizer, clean
from gridlab.sentiment.measures import Probabilities
from gridlab.sentiment.result import LABELS, Label

if TYPE_CHECKING:
    from gridlab.llm.answers import Health
    from gridlab.llm.client import LocalAIClient
    from gridlab.llm.tasks.sentiment import Judgement

_LONGEST_REASON = 300
_SAID = {
    "en": {"positive": "positive", "neutral": "neutral", "negative": "negative"},
    "pt": {"positive": "positivo", "neutral": "neutro", "negative": "negativo"},
}
_WORDS = {
    "en": ("Reads as {label} ({sure:.0%})", "speaks for it: {}", "against it: {}"),
    "pt": ("Lido como {label} ({sure:.0%})", "a favor: {}", "contra: {}"),
}
_NOTHING = {"en": "There are no words to judge.", "pt": "Não há palavras para julgar."}
#: Points of the lexicon, less than which it calls a text neutral.
_LEAST_POINTS = 1.0


class Verdict(NamedTuple):
    """What a judge says of one text; fields as in `SentimentResult`."""

    label: Label
    confidence: float
    raw_score: float
    reasoning: str
    analyzer: str
    model: str


class Judge(Protocol):
    """A judge that is always there and takes any string."""

    @property
    def name(self) -> str: ...

    def judge(self, texts: Sequence[str]) -> list[Verdict]: ...


def nothing(language: str, analyzer: str, model: str) -> Verdict:
    """The verdict on a text without words: neutral, and sure of nothing."""
    return Verdict("neutral", 0.0, 0.0, _NOTHING[language], analyzer, model)


class OnnxJudge:
    """The model of a folder, by default the shipped one.

    Raises:
        InvalidInput: it cannot be opened.
    """

    name = "onnx"

    def __init__(self, folder: Path | None = None, record: Path | None = None) -> None:
        from gridlab.sentiment.onnx_model import HashedModel
        from gridlab.sentiment.onnx_probe import open_model

        self.is_shipped = folder is None
        self.model = open_model(folder, record=record)
        self._hashed = self.model if isinstance(self.model, HashedModel) else None
        self._featurizer = Featurizer()

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """One verdict for each text.

        Raises:
            ModelAnswerRefused: the model failed.
        """
        if self._hashed:
            found = [self._hashed.features(text) for text in texts]
            chances = self._hashed.judge(found)
        else:
            found = [self._featurizer.features(text) for text in texts]
            chances = self.model.probabilities(texts)
        return [self._verdict(*one) for one in zip(found, chances, strict=True)]

    def _verdict(self, found: Features, chances: Probabilities) -> Verdict:
        if not found.has_words:
            return nothing(found.language, self.name, self.model.name)
        bad, neutral, good = chances.tolist()
        place = int(np.argmax(chances))
        label, sure = LABELS[place], min(1.0, (bad, neutral, good)[place])
        score = max(-1.0, min(1.0, good - bad))
        return Verdict(label, sure, score, explain(found, label, sure), self.name, self.model.name)


class LexiconJudge:
    """The lexicon's count alone: no library beyond numpy, and much less right."""

    name = "lexicon"

    def __init__(self) -> None:
        self._featurizer = Featurizer()

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """One verdict for each text."""
        return [self._verdict(self._featurizer.features(text)) for text in texts]

    def _verdict(self, found: Features) -> Verdict:
        if not found.has_words:
            return nothing(found.language, self.name, "lexicon")
        good, bad = np.expm1(found.dense[:2]).tolist()
        net = good - bad
        score = float(np.tanh(net / 3))
        label: Label = "neutral"
        if abs(net) >= _LEAST_POINTS:
            label = "positive" if net > 0 else "negative"
        sure = 1 - abs(score) if label == "neutral" else 0.4 + abs(score) / 2
        return Verdict(label, sure, score, explain(found, label, sure), self.name, "lexicon")


class LlmJudge:
    """A language model over Ollama.

    Args:
        model: as Ollama lists it; None for the first that begins with `gemma3`.
        takes_any: without a `gemma3`, ask whatever model is there.
    """

    def __init__(self, client: LocalAIClient, model: str | None, *, takes_any: bool) -> None:
        self.client = client
        self._wanted = model
        self._takes_any = takes_any

    def choose(self, health: Health) -> str:
        """The model to ask.

        Raises:
            InvalidInput: Ollama is not there, or has no such model.
        """
        if not health.ok:
            raise InvalidInput(one_line(health.reason))
        if self._wanted:
            if self._wanted in health.models:
                return self._wanted
            raise InvalidInput(f"Ollama has no model {one_line(self._wanted)}")
        for name in health.models:
            if name.startswith("gemma3"):
                return name
        if self._takes_any and health.models:
            return health.models[0]
        raise InvalidInput("Ollama has no gemma3 model; ollama pull gemma3:1b")

    def judge(self, text: str, model: str) -> Verdict:
        """The verdict of `model`.

        Raises:
            ModelUnavailable: it did not answer.
            ModelAnswerRefused: it answered something else than a judgement.
        """
        from gridlab.llm.tasks import sentiment

        return verdict_of(sentiment.judge(self.client, text, model))

    async def ajudge(self, text: str, model: str) -> Verdict:
        """`judge`, awaitable."""
        from gridlab.llm.tasks import sentiment

        return verdict_of(await sentiment.ajudge(self.client, text, model))


def verdict_of(found: Judgement) -> Verdict:
    """A language model's judgement as a verdict; its score stands for how sure it is."""
    score = max(-1.0, min(1.0, float(found.score)))
    sure = 1 - abs(score) if found.label == "neutral" else (1 + abs(score)) / 2
    family = found.model.split(":")[0]
    label: Label = LABELS[LABELS.index(found.label)]
    return Verdict(label, sure, score, one_line(found.reason), family, found.model)


def explain(found: Features, label: str, sure: float) -> str:
    """Which words of the lexicon speak for the label, which against it, in the text's language."""
    head, for_it, against_it = _WORDS[found.language]
    out = [head.format(label=_SAID[found.language][label], sure=sure)]
    good = _quoted(word for word, weight in found.signs if weight > 0)
    bad = _quoted(word for word, weight in found.signs if weight < 0)
    if label == "negative":
        good, bad = bad, good
    if label != "neutral" and good:
        out.append(for_it.format(good))
    if label != "neutral" and bad:
        out.append(against_it.format(bad))
    return "; ".join(out) + "."


def one_line(text: str) -> str:
    """`text` without control signs, on one line, of bounded length."""
    return " ".join(clean(text).split())[:_LONGEST_REASON]


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"“{word}”" for word in dict.fromkeys(words))

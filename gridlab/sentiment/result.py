"""What an analyser says of one text: the documented fields, as a frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gridlab.errors import BugError

Label = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")


@dataclass(frozen=True, slots=True)
class SentimentResult:
    """The judgement of one text.

    Args:
        text: as it was handed in.
        confidence: 0 to 1. The ONNX model's is calibrated: of texts with 0.8, about 80 % are right
            on texts like those it was trained on. A language model's is its own word.
        analyzer_used: `gemma3` or another model's family, `onnx`, `lexicon`.
        reasoning: for people only; nothing may act on it.
        crypto_relevant: by the package's list of assets and terms.
        raw_score: -1 to 1; of the label's sign, and for a neutral label which way it leans.
        model_used: the full name of the model.
        processing_time_ms: of this text; in a batch its share.

    Raises:
        BugError: a value outside its bounds.
    """

    text: str
    sentiment: Label
    confidence: float
    analyzer_used: str
    reasoning: str
    crypto_relevant: bool
    raw_score: float
    model_used: str
    processing_time_ms: float

    def __post_init__(self) -> None:
        if self.sentiment not in LABELS:
            raise BugError(f"{self.sentiment!r} is no sentiment; {', '.join(LABELS)}")
        if not 0 <= self.confidence <= 1 or not -1 <= self.raw_score <= 1:
            raise BugError(f"confidence {self.confidence} or score {self.raw_score} out of range")
        if self.processing_time_ms < 0:
            raise BugError(f"a text took {self.processing_time_ms} ms")

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, in the documented names."""
        return asdict(self)

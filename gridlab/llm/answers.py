"""What the client of the local models gives back, and how a model is set up. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Problem(StrEnum):
    """Why no model can be asked at an address."""

    NONE = ""
    NOT_LOCAL = "not_local"  # the address is on another machine, so nothing was sent
    SILENT = "silent"  # nothing answered in time
    STRANGE = "strange"  # something answered that is not Ollama
    EMPTY = "empty"  # Ollama answered and has no model


@dataclass(frozen=True, slots=True)
class Preset:
    """One configured model.

    Args:
        model_name: as Ollama lists it, such as `gemma3:1b`.
        temperature: 0 for the likeliest word each time, at most 2.
        max_tokens: longest answer.
    """

    model_name: str
    temperature: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Health:
    """What came of asking for the list of models; true when a model can be asked.

    Args:
        ok: it answered as Ollama does and has at least one model.
        reason: one sentence with the remedy; empty when `ok`.
        models: the names it lists, in its order.
        took_ms: how long it took; None when nothing answered.
        address: what was asked, without credentials.
    """

    ok: bool
    reason: str
    models: tuple[str, ...] = ()
    took_ms: int | None = None
    problem: Problem = Problem.NONE
    address: str = ""

    def __bool__(self) -> bool:
        return self.ok

    @property
    def is_running(self) -> bool:
        """Whether Ollama answered, with or without models."""
        return self.problem in (Problem.NONE, Problem.EMPTY)


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One whole answer.

    Args:
        text: what the model wrote, without its thoughts.
        model: the model that was asked, and that says that it answered.
        took_ms: from asking to the last byte, repeated attempts included.
        parsed: the value of `text` under the schema that was asked for; numbers with a fraction are
            Decimals. None without a schema.
        tokens: tokens the model says it generated; None when it does not say.
        is_cut: the answer ended at `max_tokens`, not where the model wanted to end.
    """

    text: str
    model: str
    took_ms: int
    parsed: Any = None
    tokens: int | None = None
    is_cut: bool = False

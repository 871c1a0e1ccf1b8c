"""What a check of the doctor is: a name, a verdict, and words that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `words` say what was found, and what to do about it."""

    name: str
    verdict: Verdict
    words: str

    def __str__(self) -> str:
        return f"{self.verdict:<5} {self.name:<12} {self.words}"

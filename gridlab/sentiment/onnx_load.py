"""A model from a folder, whichever kind it is: the hashed one, or an exported transformer.

Knows no record of what ran before: `onnx_probe.open_model` is what callers want.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from gridlab.sentiment.measures import Probabilities
from gridlab.sentiment.onnx_model import HashedModel


class Classifier(Protocol):
    """A judge of texts; `card` is its manifest, or what stands in for one."""

    card: dict[str, Any]

    @property
    def name(self) -> str: ...

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Shape (texts, 3): negative, neutral, positive; each row sums to 1."""
        ...


def load(folder: Path) -> Classifier:
    """The model in `folder`, without a child process first."""
    if (folder / "tokenizer.json").exists():
        from gridlab.sentiment.onnx_text import TokenizedModel

        return TokenizedModel(folder)
    return HashedModel(folder)


def fingerprint(folder: Path) -> str:
    """One hash of all the files of a model that are read."""
    digest = hashlib.sha256()
    for name in ("model.onnx", "manifest.json", "tokenizer.json", "config.json"):
        path = folder / name
        if path.exists():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

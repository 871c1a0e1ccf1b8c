"""The small hashed model that the package ships: `model.onnx` and its `manifest.json` in a folder.

The file is read once; the bytes whose hash was checked are the bytes that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from gridlab.errors import InvalidInput
from gridlab.sentiment.features import BUCKETS, DENSE, FEATURES_VERSION, Features, Featurizer
from gridlab.sentiment.lexicon import lexicon_hash
from gridlab.sentiment.measures import LABELS, Probabilities
from gridlab.sentiment.onnx_file import check_hash, read_json, read_model
from gridlab.sentiment.onnx_session import run, session_of

#: The shipped model may grow to this; a bigger one is not one that a package should carry.
MOST_SHIPPED_BYTES = 8_000_000
_BATCH = 64
_MANIFEST_KEYS = {"name", "kind", "sha256", "bytes", "features_version", "lexicon_sha256"}


class HashedModel:
    """The model that `gridlab train sentiment` makes, over features of this package.

    Raises:
        InvalidInput: the manifest is of other features, another lexicon or another file.
    """

    def __init__(self, folder: Path) -> None:
        self.card = manifest(folder)
        path = folder / "model.onnx"
        data = read_model(path, most_bytes=MOST_SHIPPED_BYTES)
        check_hash(data, str(self.card["sha256"]), path)
        self._session = session_of(data)
        self._featurizer = Featurizer()

    @property
    def name(self) -> str:
        return str(self.card["name"])

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Shape (texts, 3): negative, neutral, positive."""
        return self.judge([self.features(text) for text in texts])

    def features(self, text: str) -> Features:
        """What the model sees of one text."""
        return self._featurizer.features(text)

    def judge(self, found: Sequence[Features]) -> Probabilities:
        """Probabilities from features; texts of like length share a batch."""
        out = np.zeros((len(found), len(LABELS)), np.float32)
        counted = [np.unique(one.ids, return_counts=True) for one in found]
        order = sorted(range(len(found)), key=lambda at: len(counted[at][0]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            width = len(counted[chosen[-1]][0])
            ids = np.zeros((len(chosen), width), np.int32)
            counts = np.zeros((len(chosen), width), np.float32)
            for row, at in enumerate(chosen):
                rows, times = counted[at]
                ids[row, : len(rows)] = rows
                counts[row, : len(rows)] = times
            figures = np.stack([found[at].dense for at in chosen])
            feed = {"ids": ids, "counts": counts, "figures": figures}
            out[chosen] = run(self._session, feed)
        return out


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a hashed model, checked against this package.

    Raises:
        InvalidInput: it is not there, not whole, or of other features.
    """
    found = read_json(folder / "manifest.json")
    if lacking := _MANIFEST_KEYS - found.keys():
        raise InvalidInput(f"{folder}/manifest.json lacks {', '.join(sorted(lacking))}")
    mine = {
        "features_version": FEATURES_VERSION,
        "lexicon_sha256": lexicon_hash(),
        "buckets": BUCKETS,
        "figures": list(DENSE),
        "labels": list(LABELS),
    }
    for key, value in mine.items():
        if found.get(key) != value:
            raise InvalidInput(
                f"the model in {folder} was trained with another {key} than this version has; "
                "train it anew: gridlab train sentiment"
            )
    return found


def shipped_folder() -> Path:
    """Where the package keeps its model."""
    return Path(str(files("gridlab.sentiment"))) / "model"

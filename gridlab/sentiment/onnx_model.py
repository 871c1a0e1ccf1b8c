"""Sentiment models in ONNX: opening a folder, and the small hashed model that the package ships.

A folder holds `model.onnx` and a `manifest.json` (hash, labels, what it was trained on), or an
exported transformer (`model.onnx`, `tokenizer.json`, `config.json`; see `onnx_text`). A file is read
once; the bytes that were checked are the bytes that run. A file that this machine never ran runs in
a child process first (`onnx_probe`). Every session has one thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.sentiment.features import BUCKETS, DENSE, FEATURES_VERSION, Featurizer, Features
from gridlab.sentiment.lexicon import lexicon_hash
from gridlab.sentiment.measures import LABELS, Probabilities
from gridlab.sentiment.onnx_file import check_hash, read_json, read_model

if TYPE_CHECKING:
    import onnxruntime

#: The shipped model may grow to this; a bigger one is not one that a package should carry.
MOST_SHIPPED_BYTES = 8_000_000
_BATCH = 64
_MANIFEST_KEYS = {"name", "kind", "sha256", "bytes", "features_version", "lexicon_sha256"}


class Classifier(Protocol):
    """A judge of texts."""

    @property
    def name(self) -> str: ...

    @property
    def card(self) -> dict[str, Any]:
        """The manifest, or what stands in for one."""
        ...

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Shape (texts, 3): negative, neutral, positive; each row sums to 1."""
        ...


def session_of(data: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread on the CPU.

    Raises:
        InvalidInput: onnxruntime is not there, or refuses the model.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise InvalidInput("onnxruntime is missing; pip install 'gridlab[sentiment]'") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise InvalidInput(f"onnxruntime refuses the model: {str(error)[:300]}") from error


def run(session: onnxruntime.InferenceSession, feed: dict[str, Any]) -> NDArray[np.float32]:
    """The first output of one run.

    Raises:
        ModelAnswerRefused: the model failed.
    """
    try:
        return np.asarray(session.run(None, feed)[0])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelAnswerRefused(f"the ONNX model failed: {str(error)[:200]}") from error


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
                f"the model in {folder} was trained with another {key} than this version has; train "
                "it anew: gridlab train sentiment"
            )
    return found


def shipped_folder() -> Path:
    """Where the package keeps its model."""
    return Path(str(files("gridlab.sentiment"))) / "model"


@cache
def shipped_card() -> dict[str, Any]:
    """The manifest of the shipped model."""
    return manifest(shipped_folder())


def open_model(folder: Path | None = None, *, record: Path | None = None) -> Classifier:
    """The model in `folder`, by default the shipped one, ready to judge.

    Args:
        record: where the hashes of models are kept that ran well in a child process once; None for
            `models/verified.json` in the data directory.

    Raises:
        InvalidInput: there is no model that can be run.
    """
    from gridlab.sentiment import onnx_probe

    folder = folder or shipped_folder()
    onnx_probe.ensure(folder, record=record)
    return load(folder)


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

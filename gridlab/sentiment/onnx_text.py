"""Any ONNX sequence classifier in a local folder: FinBERT, CryptoBERT, slim-sentiment and the like.

The folder holds `model.onnx` (one file), `tokenizer.json` and `config.json` with `id2label`, or a
`manifest.json` with `labels`, a list in the order of the outputs. Two labels without a neutral one
are taken too. Names such as LABEL_0 say nothing and are refused. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.sentiment.features import clean
from gridlab.sentiment.measures import LABELS, Probabilities
from gridlab.sentiment.onnx_file import MOST_TEXT_BYTES, check_hash, read_json, read_model
from gridlab.sentiment.onnx_session import run, session_of

MOST_TOKENS = 512
_BATCH = 16
_MEANS = {
    **dict.fromkeys(("negative", "neg", "bearish", "bear", "sell", "-1", "negativo"), 0),
    **dict.fromkeys(("neutral", "neu", "hold", "0", "none", "neutro"), 1),
    **dict.fromkeys(("positive", "pos", "bullish", "bull", "buy", "1", "positivo"), 2),
}
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class TokenizedModel:
    """A transformer, its tokenizer and what its outputs mean.

    Raises:
        InvalidInput: a file is missing or too big, the outputs are not named as sentiments, or the
            graph wants inputs that a tokenizer does not give.
    """

    def __init__(self, folder: Path) -> None:
        config = _json_or_empty(folder / "config.json")
        stated = _json_or_empty(folder / "manifest.json")
        path = folder / "model.onnx"
        data = read_model(path)
        if "sha256" in stated:
            check_hash(data, str(stated["sha256"]), path)
        self._classes = _classes(config, stated, folder)
        self._tokenizer = _tokenizer(folder, config)
        self._session = session_of(data)
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        if unknown := set(self._inputs) - _INPUTS:
            raise InvalidInput(f"{path} wants {', '.join(sorted(unknown))}; a tokenizer gives none")
        name = str(stated.get("name") or config.get("_name_or_path") or folder.name)[:100]
        self.card: dict[str, Any] = {**stated, "name": name, "kind": "tokenized"}

    @property
    def name(self) -> str:
        return str(self.card["name"])

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Shape (texts, 3): negative, neutral, positive; a label that the model lacks has 0."""
        out = np.zeros((len(texts), len(LABELS)), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [clean(text) for text in texts[start : start + _BATCH]]
            found = _softmax(self._logits(batch))
            for column, label in enumerate(self._classes):
                out[start : start + len(batch), label] += found[:, column]
        return out

    def _logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = self._tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        values = run(self._session, {name: given[name] for name in self._inputs})
        if values.shape != (len(texts), len(self._classes)) or not np.isfinite(values).all():
            raise ModelAnswerRefused(
                f"{self.name} answers with shape {values.shape}; ({len(texts)}, "
                f"{len(self._classes)}) finite numbers are meant"
            )
        return values.astype(np.float32)


def _classes(config: dict[str, Any], stated: dict[str, Any], folder: Path) -> list[int]:
    """For each output of the model, which of LABELS it is."""
    names = stated.get("labels")
    if names is None and isinstance(config.get("id2label"), dict):
        named = config["id2label"]
        names = [named.get(str(at)) for at in range(len(named))]
    if not isinstance(names, list) or len(names) not in (2, 3):
        raise InvalidInput(
            f"{folder} does not say what its outputs mean; config.json needs id2label, or "
            'manifest.json "labels", with two or three names'
        )
    found = [_MEANS.get(str(name).strip().lower()) for name in names]
    if None in found or len(set(found)) != len(found):
        raise InvalidInput(
            f"{folder} names its outputs {names}; negative, neutral and positive are meant. Write "
            'the right order into manifest.json as "labels"'
        )
    return [label for label in found if label is not None]


def _tokenizer(folder: Path, config: dict[str, Any]) -> Any:
    path = folder / "tokenizer.json"
    if path.stat().st_size > MOST_TEXT_BYTES:
        raise InvalidInput(f"{path} is bigger than {MOST_TEXT_BYTES} bytes")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InvalidInput("tokenizers is missing; pip install 'gridlab[sentiment]'") from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exceptions
        raise InvalidInput(f"{path} is no tokenizer: {str(error)[:200]}") from error
    most = config.get("max_position_embeddings")
    most = min(most, MOST_TOKENS) if isinstance(most, int) and most > 8 else MOST_TOKENS
    # RoBERTa counts positions from behind its padding token, so that two of them are never used.
    most -= 2 if str(config.get("model_type", "")).endswith("roberta") else 0
    padding = tokenizer.padding or {"pad_id": config.get("pad_token_id") or 0}
    tokenizer.enable_truncation(most)
    tokenizer.enable_padding(
        pad_id=int(padding.get("pad_id", 0)), pad_token=str(padding.get("pad_token", "[PAD]"))
    )
    return tokenizer


def _json_or_empty(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

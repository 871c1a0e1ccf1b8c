"""The model card's figures: each source's held-aside texts, other sets, pairs, sources left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridlab.sentiment.labelled import Labelled, pairs, read_labelled
from gridlab.sentiment.measures import Probabilities, accuracy, card, macro_f1, reliability
from gridlab.sentiment.training.fit import Learner, Weights, logits, matrices, softmax

#: Another judge: texts in, labels out.
Yardstick = Callable[[Sequence[str]], NDArray[np.int64]]
NOTES = (
    "Trained on English texts and on rough Portuguese made of them by the package's own lexicon.",
    "The pairs were written by the project before the model and never trained on; they are short "
    "and plainly worded, so that a stranger's Portuguese will be judged less well.",
    "Sources label alike texts differently (a product launch is positive in one, neutral in "
    "another): see source_left_out for what to expect of a new source.",
    "It reads words, not the world: irony, rumours and prices are beyond it.",
)


def judged(weights: Weights, texts: Sequence[str]) -> Probabilities:
    """Probabilities of texts by weights that are still in memory."""
    inputs = matrices(texts)
    return softmax(logits(weights, inputs, slice(None)) / np.float32(weights.temperature))


def held_aside(
    weights: Weights,
    texts: Sequence[Labelled],
    extra: Mapping[str, Path],
    yardsticks: Mapping[str, Yardstick],
) -> dict[str, dict[str, Any]]:
    """Every set that training never saw, measured: by source, all together, extras, the pairs."""
    aside = [text for text in texts if text.is_held_aside]
    sets: dict[str, tuple[list[str], list[int]]] = {}
    for source in sorted({text.source for text in aside}):
        mine = [text for text in aside if text.source == source]
        sets[source] = ([text.text for text in mine], [text.label for text in mine])
    sets["all held aside"] = ([text.text for text in aside], [text.label for text in aside])
    for name, path in extra.items():
        rows = read_labelled(path)
        sets[name] = ([row.text for row in rows], [row.label for row in rows])
    for language in ("english", "portuguese"):
        own = pairs()
        sets[f"pairs {language}"] = (
            [getattr(pair, language) for pair in own],
            [pair.label for pair in own],
        )
    return {
        name: _measured(weights, words, np.array(truth), yardsticks)
        for name, (words, truth) in sets.items()
    }


def _measured(
    weights: Weights,
    texts: Sequence[str],
    truth: NDArray[np.int64],
    yardsticks: Mapping[str, Yardstick],
) -> dict[str, Any]:
    found = judged(weights, texts)
    out = card(truth, found)
    out["reliability"] = [
        [round(sure, 4), round(right, 4), count] for sure, right, count in reliability(truth, found)
    ]
    for name, yardstick in yardsticks.items():
        said = yardstick(texts)
        out[name] = {
            "accuracy": round(accuracy(truth, said), 4),
            "macro_f1": round(macro_f1(truth, said), 4),
        }
    return out


def left_out(learner: Learner, aside: NDArray[np.bool_]) -> dict[str, dict[str, Any]]:
    """Each source's texts (none held aside) judged by a model of the other sources alone."""
    out = {}
    for source in np.unique(learner.sources):
        mine = learner.sources == source
        weights = learner.fit(np.flatnonzero(~mine & ~aside))
        rows = np.flatnonzero(mine & ~aside)
        found = softmax(logits(weights, learner.original, rows))
        out[str(source)] = card(learner.labels[rows], found)
    return out


def data_card(path: Path, texts: Sequence[Labelled], aside: NDArray[np.bool_]) -> dict[str, Any]:
    """What was learned from: the file's hash, and texts by source and label."""
    learned = [text for text, away in zip(texts, aside, strict=True) if not away]
    counts = Counter((text.source, text.label) for text in learned)
    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "texts": len(texts),
        "learned": len(learned),
        "held_aside": int(aside.sum()),
        "by_source": {
            source: [counts[source, label] for label in range(3)]
            for source in sorted({text.source for text in learned})
        },
    }

"""How good a judge is: accuracy, macro-F1, calibration.

Labels are 0 negative, 1 neutral, 2 positive. Knows no model; probabilities are arrays of shape
(texts, 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LABELS = ("negative", "neutral", "positive")
Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]


def accuracy(truth: Labels, said: Labels) -> float:
    """The share of labels that agree."""
    return float(np.mean(truth == said))


def macro_f1(truth: Labels, said: Labels) -> float:
    """The mean F1 of the classes that occur in `truth` or in `said`; 1 when all agree.

    A class that only `said` has counts with an F1 of 0, as in scikit-learn's `f1_score`.
    """
    scores = []
    for label in np.union1d(truth, said):
        hits = int(np.sum((truth == label) & (said == label)))
        scores.append(2 * hits / int(np.sum(truth == label) + np.sum(said == label)))
    return float(np.mean(scores))


def reliability(
    truth: Labels, probabilities: Probabilities, bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean confidence, accuracy, texts) of each bin of confidence that holds any text."""
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[here].mean()), float(is_right[here].mean()), int(here.sum()))
        for at in range(bins)
        if (here := place == at).any()
    ]


def calibration_error(truth: Labels, probabilities: Probabilities, bins: int = 10) -> float:
    """The expected calibration error: mean distance of confidence and accuracy over the bins.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3.
    """
    found = reliability(truth, probabilities, bins)
    return sum(abs(sure - right) * count for sure, right, count in found) / max(1, len(truth))


def log_loss(truth: Labels, probabilities: Probabilities) -> float:
    """The mean negative logarithm of what the true label was given."""
    given = probabilities[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.maximum(given, 1e-9))))


def card(truth: Labels, probabilities: Probabilities) -> dict[str, Any]:
    """Texts, accuracy, macro-F1, calibration error and the majority's accuracy, to 4 places."""
    said = probabilities.argmax(axis=1)
    return {
        "texts": len(truth),
        "accuracy": round(accuracy(truth, said), 4),
        "macro_f1": round(macro_f1(truth, said), 4),
        "ece": round(calibration_error(truth, probabilities), 4),
        "majority_accuracy": round(float(np.bincount(truth, minlength=3).max() / len(truth)), 4),
    }

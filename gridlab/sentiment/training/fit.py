"""Fits the shipped model: hashed n-grams and a logistic regression over them.

Each text is learned twice: as it is, and in rough Portuguese (`translation`). Sources have other
shares of neutral texts, so that small sources and rare labels weigh more, by fixed factors. The
temperature that makes confidence honest comes from cross-validation within the training texts. Same
texts, seed, lexicon and library versions: same weights. Knows no file.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridlab.errors import InvalidInput
from gridlab.sentiment.features import BLOCKS, BUCKETS, Featurizer
from gridlab.sentiment.labelled import Labelled, bucket
from gridlab.sentiment.measures import log_loss
from gridlab.sentiment.training.translation import portuguese

#: A row of the table counts by its rarity times this: letters say the same thing many times.
BLOCK_WEIGHTS = {"concept": 2.0, "word": 1.0, "pair": 1.0, "letters": 0.5}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that training is free to choose.

    Args:
        strength: inverse of the L2 penalty.
        dense_scale: weight of the figures of style and lexicon beside the unit-length n-grams.
        portuguese_weight: of a rough translation beside its original.
        source_weights: of a source's texts; 1 for a source that is not named.
        balance: 0 leaves the shares of labels within a source, 1 makes them equal.
        folds: of the cross-validation for the temperature.
    """

    seed: int = 7
    strength: float = 2.0
    dense_scale: float = 0.5
    portuguese_weight: float = 0.5
    source_weights: tuple[tuple[str, float], ...] = (("surge_crypto", 4.0), ("cryptolin", 1.5))
    balance: float = 0.4
    folds: int = 3
    most_steps: int = 250


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained model: logits = normed(sqrt(counts) * rarity) @ table + dense @ figures + bias."""

    rarity: NDArray[np.float32]
    table: NDArray[np.float32]
    figures: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def as_stored(self) -> Weights:
        """These weights as the file keeps them: the big tables in 16 bits."""
        return replace(
            self,
            rarity=self.rarity.astype(np.float16).astype(np.float32),
            table=self.table.astype(np.float16).astype(np.float32),
        )


class Learner:
    """Features of a list of texts, and the fitting of weights to parts of it."""

    def __init__(self, texts: Sequence[Labelled], recipe: Recipe) -> None:
        self.recipe = recipe
        self.texts = texts
        self.labels = np.array([text.label for text in texts])
        self.sources = np.array([text.source for text in texts])
        self.original = matrices([text.text for text in texts])
        # Chance of its own for each text: what one text says changes no other's translation.
        self.translated = matrices(
            [portuguese(text.text, random.Random(f"{recipe.seed}:{text.id}")) for text in texts]
        )

    def fit(self, rows: NDArray[np.int64]) -> Weights:
        """Weights learned from `rows` and their translations; not calibrated."""
        from scipy import sparse
        from sklearn.linear_model import LogisticRegression

        counts = sparse.vstack([self.original[0][rows], self.translated[0][rows]]).tocsr()
        dense = np.vstack([self.original[1][rows], self.translated[1][rows]])
        labels = np.concatenate([self.labels[rows]] * 2)
        weigh = self._weigh(rows)
        weigh = np.concatenate([weigh, weigh * self.recipe.portuguese_weight])
        rarity = _rarity(self.original[0][rows])
        scaled = np.float32(self.recipe.dense_scale)
        inputs = sparse.hstack([_normed(counts, rarity), sparse.csr_matrix(dense * scaled)])
        inputs = inputs.tocsr().astype(np.float32)
        # A row of the table that no text uses stays 0 whatever the solver does: leave it out.
        used = np.unique(inputs.indices)
        model = LogisticRegression(C=self.recipe.strength, max_iter=self.recipe.most_steps)
        model.fit(inputs[:, used], labels, sample_weight=weigh)
        if list(model.classes_) != [0, 1, 2]:
            raise InvalidInput("training needs negative, neutral and positive texts")
        table = np.zeros((inputs.shape[1], len(model.classes_)), np.float32)
        table[used] = model.coef_.T
        return Weights(
            rarity,
            table[:BUCKETS],
            table[BUCKETS:] * scaled,
            model.intercept_.astype(np.float32),
        )

    def _weigh(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each row's weight by its source, and by the rarity of its label within the source."""
        weights = np.ones(len(rows))
        named = dict(self.recipe.source_weights)
        sources, labels = self.sources[rows], self.labels[rows]
        for source in np.unique(sources):
            of_source = sources == source
            weights[of_source] *= named.get(str(source), 1.0)
            for label in np.unique(labels[of_source]):
                here = of_source & (labels == label)
                weights[here] *= (of_source.sum() / 3 / here.sum()) ** self.recipe.balance
        return weights

    def learn(self, rows: NDArray[np.int64]) -> Weights:
        """Calibrated weights learned from `rows`."""
        return replace(self.fit(rows), temperature=self.calibrate(rows))

    def calibrate(self, rows: NDArray[np.int64]) -> float:
        """The temperature by which logits of unseen texts are divided to be honest.

        Source: Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2; the
        temperature is searched on a grid of ratios, and the unseen texts are folds of `rows`.
        """
        fold = np.array([bucket(self.texts[row].id + "/fold") % self.recipe.folds for row in rows])
        unseen = np.zeros((len(rows), 3), np.float32)
        for at in range(self.recipe.folds):
            weights = self.fit(rows[fold != at])
            unseen[fold == at] = logits(weights, self.original, rows[fold == at])
        tried = [1.03**step for step in range(-40, 41)]
        truth = self.labels[rows]
        return min(tried, key=lambda heat: log_loss(truth, softmax(unseen / np.float32(heat))))


def matrices(texts: Sequence[str]) -> tuple[Any, NDArray[np.float32]]:
    """Counts of hashed features as a sparse matrix (texts, BUCKETS), and the dense figures."""
    from scipy import sparse

    featurizer = Featurizer()
    found = [featurizer.features(text) for text in texts]
    ends = np.cumsum([0] + [len(one.ids) for one in found])
    ids = np.concatenate([one.ids for one in found])
    shape = (len(found), BUCKETS)
    counts = sparse.csr_matrix((np.ones(len(ids), np.float32), ids, ends), shape=shape)
    counts.sum_duplicates()
    return counts, np.array([one.dense for one in found])


def _rarity(counts: Any) -> NDArray[np.float32]:
    """How much each row of the table counts: smoothed inverse document frequency, by block."""
    holders = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + counts.shape[0]) / (1 + holders)) + 1
    for block, (first, rows) in BLOCKS.items():
        rarity[first : first + rows] *= BLOCK_WEIGHTS[block]
    return np.asarray(rarity, np.float32)


def _normed(counts: Any, rarity: NDArray[np.float32]) -> Any:
    from scipy import sparse

    values = counts.copy()
    values.data = np.sqrt(values.data)
    values = (values @ sparse.diags(rarity)).tocsr()
    lengths = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    return sparse.diags(1 / np.maximum(lengths, 1e-6)) @ values


def logits(weights: Weights, inputs: tuple[Any, NDArray[np.float32]], rows: Any) -> Any:
    """Logits, shape (rows, 3), not divided by the temperature."""
    counts, dense = inputs
    hashed = _normed(counts[rows], weights.rarity) @ weights.table
    return (hashed + dense[rows] @ weights.figures + weights.bias).astype(np.float32)


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)

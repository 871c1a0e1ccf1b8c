"""Training of the shipped model, from labelled texts to `model.onnx` and its manifest.

The texts that `Labelled.is_held_aside` names are taken away before anything else and only measured.
Needs scikit-learn and onnx, which the running analyser does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.errors import InvalidInput

if TYPE_CHECKING:
    from gridlab.sentiment.training.evaluate import Yardstick
    from gridlab.sentiment.training.fit import Recipe

MODEL_NAME = "gridlab-sentiment-1"


def train(
    path: Path,
    folder: Path,
    *,
    recipe: Recipe | None = None,
    extra: Mapping[str, Path] | None = None,
    yardsticks: Mapping[str, Yardstick] | None = None,
    with_left_out: bool = True,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train on the CSV file at `path`, write `model.onnx` and `manifest.json` into `folder`.

    Args:
        extra: labelled files that are measured and never learned from, by name.
        yardsticks: other judges to measure on the same texts, by name.
        with_left_out: also measure each source by a model that never saw that source.
        tell: is told what was done, line by line.

    Returns:
        The manifest.

    Raises:
        InvalidInput: texts that cannot be used, or a package that training needs is not there.
    """
    try:
        import onnx  # noqa: F401 - before minutes of work, not after
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InvalidInput(
            f"training needs {error.name}; pip install 'gridlab[sentiment]' onnx"
        ) from error
    import numpy as np

    from gridlab.sentiment.labelled import read_labelled
    from gridlab.sentiment.training import evaluate
    from gridlab.sentiment.training.export import described, write_model
    from gridlab.sentiment.training.fit import Learner, Recipe

    recipe = recipe or Recipe()
    texts = read_labelled(path)
    learner = Learner(texts, recipe)
    aside = np.array([text.is_held_aside for text in texts])
    tell(f"{len(texts)} texts, {int(aside.sum())} of them held aside")
    weights = learner.learn(np.flatnonzero(~aside)).as_stored()
    tell(f"trained; temperature {weights.temperature:.3f}")
    measured = evaluate.held_aside(weights, texts, extra or {}, yardsticks or {})
    for name, found in measured.items():
        tell(f"{name}: accuracy {found['accuracy']:.3f}, macro-F1 {found['macro_f1']:.3f}")
    left_out = evaluate.left_out(learner, aside) if with_left_out else {}
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": MODEL_NAME,
        **write_model(weights, folder / "model.onnx"),
        **described(weights),
        "recipe": asdict(recipe),
        "training_data": evaluate.data_card(path, texts, aside),
        "measured": measured,
        "source_left_out": left_out,
        "notes": evaluate.NOTES,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return manifest

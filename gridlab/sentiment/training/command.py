"""`gridlab train sentiment`: from labelled texts to a model and its card, on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridlab.errors import InvalidInput

WHAT_TO_FETCH = (
    "Training needs a CSV file (or .csv.gz) with the columns id, source, label (-1, 0, 1), text. "
    "The shipped model learned from CryptoLin (crypto headlines), Surge AI's crypto sentiment "
    "(Reddit comments) and zeroshot/twitter-financial-news-sentiment (finance tweets), joined into "
    "such a file; pass it as --data."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the command's options on `parser`."""
    parser.add_argument("--data", type=Path, default=None, help="labelled texts, .csv or .csv.gz")
    parser.add_argument(
        "--out", type=Path, default=Path("sentiment-model"), help="a folder (./sentiment-model)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the rough translations (7)")
    parser.add_argument(
        "--evaluate",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="labelled texts to measure on and never learn from; may be repeated",
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out the models that miss one source each"
    )


def run(options: argparse.Namespace) -> int:
    """Train, measure, write, and print the card."""
    from gridlab.sentiment.training import train
    from gridlab.sentiment.training.fit import Recipe
    from gridlab.sentiment.training.yardsticks import yardsticks

    if options.data is None:
        raise InvalidInput(WHAT_TO_FETCH)
    extra = {}
    for entry in options.evaluate:
        name, equals, file = entry.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--evaluate {entry!r}; NAME=FILE is meant")
        extra[name] = Path(file)
    found = train(
        options.data,
        options.out,
        recipe=Recipe(seed=options.seed),
        extra=extra,
        yardsticks=yardsticks(),
        with_left_out=not options.quick,
    )
    print(card_text(found))
    print(f"Written: {options.out / 'model.onnx'}, {found['bytes']} bytes")
    return 0


def card_text(found: Mapping[str, Any]) -> str:
    """The manifest's figures as a table of text."""
    head = ("set", "texts", "acc", "F1", "ECE", "VADER F1", "majority")
    lines = ["{:<26}{:>6}{:>7}{:>7}{:>7}{:>10}{:>10}".format(*head)]
    for name, row in found["measured"].items():
        vader = f"{row['vader']['macro_f1']:.3f}" if "vader" in row else "-"
        lines.append(
            f"{name[:25]:<26}{row['texts']:>6}{row['accuracy']:>7.3f}{row['macro_f1']:>7.3f}"
            f"{row['ece']:>7.3f}{vader:>10}{row['majority_accuracy']:>10.3f}"
        )
    for name, row in found["source_left_out"].items():
        lines.append(
            f"{'never saw ' + name:<26.25}{row['texts']:>6}{row['accuracy']:>7.3f}"
            f"{row['macro_f1']:>7.3f}{row['ece']:>7.3f}{'-':>10}{row['majority_accuracy']:>10.3f}"
        )
    return "\n".join(lines)

"""Training: what is held aside, what is reproducible, and what the shipped model's card may say."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from gridlab.cli import main
from gridlab.errors import InvalidInput
from gridlab.sentiment.labelled import HELD_ASIDE, Labelled, bucket, pairs, read_labelled
from gridlab.sentiment.measures import (
    accuracy,
    calibration_error,
    card,
    log_loss,
    macro_f1,
    reliability,
)
from gridlab.sentiment.onnx_file import MOST_MODEL_BYTES
from gridlab.sentiment.onnx_load import load
from gridlab.sentiment.onnx_model import MOST_SHIPPED_BYTES, HashedModel, manifest, shipped_folder

pytestmark = pytest.mark.slow  # seconds each: left out of make check

sklearn = pytest.importorskip("sklearn", reason="training needs scikit-learn")
pytest.importorskip("onnx", reason="training needs onnx")

UP = ["surges", "rallies", "gains", "jumps", "beats estimates", "wins approval"]
DOWN = ["plunges", "crashes", "falls", "drops", "misses estimates", "is hacked"]
SAME = ["to hold a meeting", "names a director", "publishes its report", "is open today"]
WHO = ["Bitcoin", "Ether", "Solana", "The bank", "The index", "Oil", "Gold", "The exchange"]


def rows() -> list[tuple[str, str, int, str]]:
    """(id, source, label, text) of some plain sentences."""
    out = []
    for label, ways in ((-1, DOWN), (0, SAME), (1, UP)):
        for who in WHO:
            for way in ways:
                text = f"{who} {way}"
                out.append(
                    (hashlib.md5(text.encode()).hexdigest(), f"s{len(who) % 2}", label, text)
                )
    return out


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "source", "label", "text"])
        writer.writerows(rows())
    return path


def test_the_command_trains_a_model_that_runs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["train", "sentiment", "--data", str(data), "--out", str(first)]) == 0
    said = capsys.readouterr().out
    assert "held aside" in said and "never saw s0" in said and "pairs portuguese" in said
    words = ["train", "sentiment", "--data", str(data), "--out", str(second), "--quick"]
    assert main(words) == 0
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()
    model = load(first)
    found = model.probabilities(["Silver rallies", "Silver crashes", "O banco despenca"])
    assert found.argmax(axis=1).tolist() == [2, 0, 0]
    assert set(manifest(first)["source_left_out"]) == {"s0", "s1"}


def test_the_file_gives_what_the_weights_give(data: Path, tmp_path: Path) -> None:
    """The ONNX graph against the same sum in numpy, on texts of many lengths."""
    from gridlab.sentiment.training.evaluate import judged
    from gridlab.sentiment.training.export import write_model
    from gridlab.sentiment.training.fit import Learner, Recipe

    learner = Learner(read_labelled(data), Recipe())
    weights = learner.learn(np.arange(len(learner.texts))).as_stored()
    folder = tmp_path / "model"
    folder.mkdir()
    card_of = json.loads((shipped_folder() / "manifest.json").read_text(encoding="utf-8"))
    found = write_model(weights, folder / "model.onnx")
    (folder / "manifest.json").write_text(json.dumps({**card_of, **found}))
    texts = ["", "up", "Bitcoin surges 5%!", "não cai " * 40, "x" * 500, "🚀"]
    wanted = judged(weights, texts)
    assert np.allclose(HashedModel(folder).probabilities(texts), wanted, atol=1e-5)


def test_what_is_held_aside_is_never_learned(data: Path, tmp_path: Path) -> None:
    """Turning the labels of all held-aside texts round leaves every byte of the model alone."""
    from gridlab.sentiment.training import train

    texts = read_labelled(data)
    share = sum(text.is_held_aside for text in texts) / len(texts)
    assert 0.1 < share < 0.3
    other = tmp_path / "other.csv"
    with other.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "source", "label", "text"])
        for text in texts:
            label = text.label - 1
            words = "nothing of it" if text.is_held_aside else text.text
            label = -label if text.is_held_aside else label
            writer.writerow([text.id, text.source, label, words])
    hush = {"with_left_out": False, "tell": lambda _: None}
    one = train(data, tmp_path / "a", **hush)  # type: ignore[arg-type]
    two = train(other, tmp_path / "b", **hush)  # type: ignore[arg-type]
    assert one["training_data"]["sha256"] != two["training_data"]["sha256"]
    assert one["training_data"]["learned"] == two["training_data"]["learned"]
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()


def test_without_data_the_command_says_what_to_fetch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sentiment"]) == 1
    assert "CryptoLin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,source,text\n1,a,b\n", "lacks the columns label"),
        ("id,source,label,text\n1,a,7,b\n", "has the label '7'"),
        ("", "lacks the columns"),
    ],
)
def test_files_that_cannot_be_learned_from(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_labelled(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_labelled(tmp_path / "none.csv")


# --- the shipped model ----------------------------------------------------------------------------


def test_the_card_is_of_the_file_that_ships() -> None:
    found = manifest(shipped_folder())
    data = (shipped_folder() / "model.onnx").read_bytes()
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["bytes"] == len(data) <= 2_000_000 < MOST_SHIPPED_BYTES < MOST_MODEL_BYTES
    assert found["training_data"]["by_source"].keys() == {"cryptolin", "surge_crypto", "tfns"}
    assert "phrasebank" not in json.dumps(found["training_data"])


def test_the_pairs_are_judged_as_the_card_says() -> None:
    """Measured again here: the goals for Portuguese and the distance to VADER on the card."""
    found, own = manifest(shipped_folder())["measured"], pairs()
    model = HashedModel(shipped_folder())
    truth = np.array([pair.label for pair in own])
    scores = {}
    for language in ("english", "portuguese"):
        texts = [getattr(pair, language) for pair in own]
        measured = card(truth, model.probabilities(texts))
        stated = found[f"pairs {language}"]
        assert measured["accuracy"] == pytest.approx(stated["accuracy"], abs=0.007)
        assert measured["macro_f1"] == pytest.approx(stated["macro_f1"], abs=0.007)
        scores[language] = measured["accuracy"]
    assert len(own) >= 300
    assert scores["english"] - scores["portuguese"] <= 0.08
    for name in ("cryptolin", "tfns", "pairs english"):
        assert found[name]["macro_f1"] - found[name]["vader"]["macro_f1"] >= 0.15, name


def test_the_pairs_are_pairs() -> None:
    own = pairs()
    assert len({pair.english for pair in own}) == len({pair.portuguese for pair in own}) == len(own)
    assert min(np.bincount([pair.label for pair in own])) >= 90


@pytest.mark.skipif(
    "GRIDLAB_SENTIMENT_DATA" not in os.environ, reason="GRIDLAB_SENTIMENT_DATA names no file"
)
def test_the_held_aside_texts_are_judged_as_the_card_says() -> None:
    stated = manifest(shipped_folder())["measured"]
    texts = read_labelled(Path(os.environ["GRIDLAB_SENTIMENT_DATA"]))
    model = HashedModel(shipped_folder())
    for source in ("cryptolin", "surge_crypto", "tfns"):
        mine = [text for text in texts if text.source == source and text.is_held_aside]
        chances = model.probabilities([text.text for text in mine])
        measured = card(np.array([text.label for text in mine]), chances)
        assert measured["accuracy"] == pytest.approx(stated[source]["accuracy"], abs=0.005)
        assert measured["ece"] == pytest.approx(stated[source]["ece"], abs=0.01)


# --- measures -------------------------------------------------------------------------------------


def test_the_measures_agree_with_scikit_learn() -> None:
    from sklearn.metrics import f1_score
    from sklearn.metrics import log_loss as their_loss

    rng = np.random.default_rng(5)
    for _ in range(20):
        truth, said = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
        assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro"))
        assert accuracy(truth, said) == np.mean(truth == said)
        chances = rng.dirichlet([1, 1, 1], 50).astype(np.float32)
        exact = chances.astype(float) / chances.astype(float).sum(axis=1, keepdims=True)
        theirs = their_loss(truth, exact, labels=[0, 1, 2])
        assert log_loss(truth, chances) == pytest.approx(theirs, rel=1e-4)


def test_a_label_that_never_occurs_counts_only_when_it_was_said() -> None:
    assert macro_f1(np.array([0, 2]), np.array([0, 2])) == 1.0
    assert macro_f1(np.array([0, 2]), np.array([0, 1])) == pytest.approx(1 / 3)


def test_calibration_of_a_judge_that_is_right_as_often_as_it_says() -> None:
    chances = np.tile(np.array([[0.75, 0.15, 0.1]], np.float32), (100, 1))
    truth = np.array([0] * 75 + [1] * 25)
    assert calibration_error(truth, chances) == pytest.approx(0, abs=1e-6)
    assert calibration_error(np.zeros(100, int), chances) == pytest.approx(0.25, abs=1e-6)
    assert reliability(truth, chances) == [(pytest.approx(0.75), 0.75, 100)]


def test_the_held_aside_fifth_is_a_property_of_the_id() -> None:
    one = Labelled("cryptolin-0001", "cryptolin", 1, "x")
    assert one.is_held_aside == (bucket("cryptolin-0001") % HELD_ASIDE == 0)

"""ONNX models from folders: what is refused before it runs, the trial run, and transformers."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.sentiment import create_sentiment_analyzer, onnx_probe
from gridlab.sentiment.onnx_file import check_hash, external_names, read_model
from gridlab.sentiment.onnx_load import fingerprint, load
from gridlab.sentiment.onnx_model import HashedModel, shipped_folder
from gridlab.sentiment.onnx_probe import ensure, open_model

onnx = pytest.importorskip("onnx", reason="building graphs needs onnx")
tokenizers = pytest.importorskip("tokenizers", reason="the models under test need tokenizers")

WIDTH = 8
WORDS = ["up", "moon", "gain", "down", "crash", "loss", "the", "market", "bitcoin", "is"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLAB_DATA_DIR", str(tmp_path / "home"))


@pytest.fixture
def hashed(tmp_path: Path) -> Path:
    """A copy of the shipped model."""
    return Path(shutil.copytree(shipped_folder(), tmp_path / "hashed"))


# --- a tiny transformer ---------------------------------------------------------------------------


def tiny_tokenizer() -> Any:
    """Word pieces, trained here on a few sentences, with BERT's frame."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    made.train_from_iterator([" ".join(WORDS)] * 20, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def embeddings(tokenizer: Any) -> np.ndarray[Any, Any]:
    """Words of gain point one way, words of loss the other; all others are small noise."""
    table = np.random.default_rng(1).normal(0, 0.01, (tokenizer.get_vocab_size(), WIDTH))
    for word, sign in zip(WORDS[:6], (1, 1, 1, -1, -1, -1), strict=True):
        table[tokenizer.token_to_id(word), 0] = 4.0 * sign
    return table.astype(np.float32)


def tiny_graph(table: np.ndarray[Any, Any], outputs: int, inputs: tuple[str, ...]) -> Any:
    """One attention layer over `table`, a masked mean and a linear head."""
    from onnx import TensorProto, helper, numpy_helper

    head = np.zeros((WIDTH, outputs), np.float32)
    head[0, 0], head[0, -1] = -2.0, 2.0
    stored = {
        "table": table,
        "types": np.zeros((2, WIDTH), np.float32),
        "head": head,
        "scale": np.array(WIDTH**0.5, np.float32),
        "far": np.array(-1e9, np.float32),
        "one": np.array(1.0, np.float32),
        "axis1": np.array([1], np.int64),
        "axis2": np.array([2], np.int64),
        "bias": np.array([0.0, 0.5, 0.0] if outputs == 3 else [0.0] * outputs, np.float32),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Gather", ["table", "input_ids"], "words", {}),
        ("Cast", ["attention_mask"], "mask", {"to": TensorProto.FLOAT}),
        ("Sub", ["one", "mask"], "absent", {}),
        ("Mul", ["absent", "far"], "minus", {}),
        ("Unsqueeze", ["minus", "axis1"], "minus_keys", {}),
    ]
    if "token_type_ids" in inputs:
        steps += [("Gather", ["types", "token_type_ids"], "kinds", {})]
        steps += [("Add", ["words", "kinds"], "x", {})]
    else:
        steps += [("Identity", ["words"], "x", {})]
    steps += [
        ("Transpose", ["x"], "keys", {"perm": [0, 2, 1]}),
        ("MatMul", ["x", "keys"], "raw", {}),
        ("Div", ["raw", "scale"], "scaled", {}),
        ("Add", ["scaled", "minus_keys"], "scores", {}),
        ("Softmax", ["scores"], "attention", {"axis": -1}),
        ("MatMul", ["attention", "x"], "seen", {}),
        ("Unsqueeze", ["mask", "axis2"], "column", {}),
        ("Mul", ["seen", "column"], "kept", {}),
        ("ReduceSum", ["kept", "axis1"], "sum", {"keepdims": 0}),
        ("ReduceSum", ["mask", "axis1"], "count", {"keepdims": 1}),
        ("Div", ["sum", "count"], "mean", {}),
        ("MatMul", ["mean", "head"], "scored", {}),
        ("Add", ["scored", "bias"], "logits", {}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, ins, [out], **more) for kind, ins, out, more in steps],
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "n"]) for n in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", outputs])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_transformer(
    folder: Path,
    labels: list[str] | None = None,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    **config: Any,
) -> Path:
    labels = labels or ["Bearish", "Neutral", "Bullish"]
    folder.mkdir()
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    model = tiny_graph(embeddings(tokenizer), len(labels), inputs)
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    named = {"id2label": dict(enumerate(labels)), "max_position_embeddings": 64, **config}
    (folder / "config.json").write_text(json.dumps(named))
    return folder


def test_a_transformer_from_a_folder(tmp_path: Path) -> None:
    folder = write_transformer(tmp_path / "tiny", _name_or_path="tiny-bert")
    analyzer = create_sentiment_analyzer("onnx", model_folder=folder)
    found = analyzer.analyze_batch(["bitcoin is up", "the market is down", "the market", ""])
    said = [one.sentiment for one in found]
    assert said == ["positive", "negative", "neutral", "neutral"]
    assert {one.model_used for one in found} == {"tiny-bert"}
    assert analyzer.status()["models"]["onnx"]["model_name"] == "tiny-bert"


def test_batches_pad_without_a_trace_and_long_texts_are_cut(tmp_path: Path) -> None:
    model = load(write_transformer(tmp_path / "tiny"))
    texts = ["up", "the market is down " * 3, "up " * 5000, "moon"]
    together = model.probabilities(texts)
    alone = np.vstack([model.probabilities([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(together.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("inputs", [("input_ids", "attention_mask")], ids=["no token types"])
def test_other_inputs_and_other_orders_of_labels(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    folder = write_transformer(tmp_path / "tiny", ["positive", "neutral", "negative"], inputs)
    assert load(folder).probabilities(["up"]).argmax() == 0, "output 0 is called positive"
    (folder / "manifest.json").write_text('{"labels": ["negative", "neutral", "positive"]}')
    assert load(folder).probabilities(["up"]).argmax() == 2, "the manifest has the last word"


def test_two_labels_leave_neutral_empty(tmp_path: Path) -> None:
    found = load(write_transformer(tmp_path / "two", ["NEG", "POS"])).probabilities(["up", "down"])
    assert found.argmax(axis=1).tolist() == [2, 0] and not found[:, 1].any()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["LABEL_0", "LABEL_1", "LABEL_2"], "names its outputs"),
        (["positive", "positive", "negative"], "names its outputs"),
        (["a", "b", "c", "d"], "does not say what its outputs mean"),
    ],
)
def test_outputs_without_a_meaning_are_refused(
    tmp_path: Path, labels: list[str], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(write_transformer(tmp_path / "tiny", labels))


def test_a_graph_that_wants_more_than_a_tokenizer_gives(tmp_path: Path) -> None:
    folder = write_transformer(tmp_path / "tiny")
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data.replace(b"token_type_ids", b"pixels_values_"))
    with pytest.raises(InvalidInput, match="wants pixels_values_"):
        load(folder)


def test_a_model_of_another_shape_gives_no_verdict(tmp_path: Path) -> None:
    folder = write_transformer(tmp_path / "tiny")
    (folder / "manifest.json").write_text('{"labels": ["negative", "positive"]}')
    with pytest.raises(ModelAnswerRefused, match="answers with shape"):
        load(folder).probabilities(["up"])
    with pytest.raises(InvalidInput, match="failed its trial run"):
        open_model(folder)


def test_a_model_that_fails_while_it_judges_gives_way_to_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes its trial run and breaks afterwards: no text is left without a verdict."""
    analyzer = create_sentiment_analyzer("onnx", model_folder=write_transformer(tmp_path / "tiny"))
    assert analyzer.analyze("up").model_used == "tiny"

    def broken(*_: object) -> None:
        raise ModelAnswerRefused("the ONNX model failed: out of memory")

    monkeypatch.setattr("gridlab.sentiment.onnx_text.run", broken)
    found = analyzer.analyze("Bitcoin surges")
    assert found.model_used == "gridlab-sentiment-1" and "out of memory" in found.reasoning
    monkeypatch.setattr("gridlab.sentiment.onnx_model.run", broken)
    found = analyzer.analyze("Bitcoin surges again")
    assert found.analyzer_used == "lexicon" and found.sentiment == "positive"
    assert not analyzer.status()["models"]["onnx"]["loaded"]


# --- files ----------------------------------------------------------------------------------------


def test_a_changed_byte_is_refused(hashed: Path) -> None:
    data = bytearray((hashed / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (hashed / "model.onnx").write_bytes(data)
    with pytest.raises(InvalidInput, match="SHA-256"):
        HashedModel(hashed)
    found = create_sentiment_analyzer("onnx", model_folder=hashed).analyze("Bitcoin surges")
    assert found.model_used == "gridlab-sentiment-1" and "SHA-256" in found.reasoning


@pytest.mark.parametrize(
    ("key", "value"),
    [("lexicon_sha256", "0" * 64), ("features_version", 99), ("buckets", 7), ("labels", ["a"])],
)
def test_a_model_of_other_features_is_refused(hashed: Path, key: str, value: object) -> None:
    path = hashed / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InvalidInput, match=f"another {key}"):
        HashedModel(hashed)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 1}', "[" * 100_000])
def test_a_damaged_manifest_is_refused(hashed: Path, text: str) -> None:
    (hashed / "manifest.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"manifest\.json"):
        HashedModel(hashed)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    folder = write_transformer(tmp_path / "tiny")
    path = folder / "model.onnx"
    model = onnx.load(str(path))
    onnx.save_model(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert set(external_names(path.read_bytes(), "x")) >= {"weights.bin"}
    with pytest.raises(InvalidInput, match=r"another file \('weights\.bin'\)"):
        load(folder)


def test_external_weights_hidden_in_an_attribute_are_found() -> None:
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "g", [], [])
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([node], "outer", [], []))
    assert "../../secret" in external_names(model.SerializeToString(), "x")


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"not a model", b"\xff" * 40, b"\x3a\xff\xff\xff\x7f", b"\x08\x08"]
)
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="is no ONNX model"):
        read_model(path)


def test_random_damage_never_escapes_as_another_error(hashed: Path) -> None:
    rng = np.random.default_rng(3)
    head = (hashed / "model.onnx").read_bytes()[:4000]
    refused = 0
    for _ in range(300):
        data = bytearray(head[: int(rng.integers(1, len(head)))])
        for at in rng.integers(0, len(data), 8):
            data[at] = int(rng.integers(256))
        try:
            external_names(bytes(data), "x")
        except InvalidInput:
            refused += 1
    assert refused > 200, "what is cut off or overwritten is no model"


def test_too_big_is_refused(hashed: Path) -> None:
    with pytest.raises(InvalidInput, match="at most 1000 are read"):
        read_model(hashed / "model.onnx", most_bytes=1000)


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    check_hash(b"x", hashlib.sha256(b"x").hexdigest(), tmp_path)
    with pytest.raises(InvalidInput, match="train anew"):
        check_hash(b"y", hashlib.sha256(b"x").hexdigest(), tmp_path)


# --- the trial run --------------------------------------------------------------------------------


def test_the_trial_run_is_paid_once(hashed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Path] = []
    real = onnx_probe._run
    monkeypatch.setattr(onnx_probe, "_passed", set())
    monkeypatch.setattr(onnx_probe, "_run", lambda f, t: (ran.append(f), real(f, t)))
    record = hashed / "verified.json"
    ensure(hashed, record=record)
    monkeypatch.setattr(onnx_probe, "_passed", set())  # as another process would start
    ensure(hashed, record=record)
    assert len(ran) == 1
    assert json.loads(record.read_text())[0].startswith(fingerprint(hashed))
    (hashed / "manifest.json").write_text((hashed / "manifest.json").read_text() + " ")
    ensure(hashed, record=record)
    assert len(ran) == 2, "other bytes are another model"


@pytest.mark.parametrize("text", ["", "null", '{"a": 1}', "[1, 2]"])
def test_a_damaged_record_means_another_run(
    hashed: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    ran: list[Path] = []
    monkeypatch.setattr(onnx_probe, "_passed", set())
    monkeypatch.setattr(onnx_probe, "_run", lambda f, _: ran.append(f))
    record = hashed / "verified.json"
    record.write_text(text)
    ensure(hashed, record=record)
    assert len(ran) == 1 and len(json.loads(record.read_text())) == 1


def test_a_model_that_takes_too_long_or_crashes_harms_nobody(
    hashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match=r"did not run within 0\.01 s"):
        ensure(hashed, record=hashed / "r.json", timeout_s=0.01, force=True)
    crash = hashed / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crash))
    with pytest.raises(InvalidInput, match="signal 11"):
        ensure(hashed, record=hashed / "r.json", force=True)
    assert not (hashed / "r.json").exists()

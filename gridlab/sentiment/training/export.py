"""Writes fitted weights as one ONNX file: gather rows, weigh, sum, soften. Knows no text.

The graph takes `ids` (texts, n) int32, `counts` (texts, n) float32 with 0 where a text has fewer
features, and `figures` (texts, m) float32; it gives `probabilities` (texts, 3). The big tables are
kept as 16-bit floats and widened row by row after the gather.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gridlab.sentiment.features import BUCKETS, DENSE, FEATURES_VERSION
from gridlab.sentiment.labelled import HELD_ASIDE
from gridlab.sentiment.lexicon import lexicon_hash
from gridlab.sentiment.measures import LABELS
from gridlab.sentiment.training.fit import Weights

#: Old enough for any onnxruntime that the package accepts.
_OPSET = 17
_IR_VERSION = 8


def described(weights: Weights) -> dict[str, Any]:
    """What a loader must know to feed the model, as the manifest's entries."""
    return {
        "kind": "hashed",
        "made_with": {name: version(name) for name in ("numpy", "scikit-learn", "onnx")},
        "features_version": FEATURES_VERSION,
        "lexicon_sha256": lexicon_hash(),
        "buckets": BUCKETS,
        "figures": list(DENSE),
        "labels": list(LABELS),
        "languages": ["en", "pt"],
        "temperature": round(weights.temperature, 6),
        "held_aside": f"sha256 of a text's id, modulo {HELD_ASIDE}, is 0: measured, never learned",
    }


def write_model(weights: Weights, path: Path) -> dict[str, Any]:
    """Write the file; its SHA-256 and size as the manifest's entries."""
    model = _model(weights)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _model(weights: Weights) -> onnx.ModelProto:
    heat = np.float32(weights.temperature)
    stored: dict[str, NDArray[Any]] = {
        "rarity": weights.rarity.astype(np.float16),
        "table": weights.table.astype(np.float16),
        "of_figures": (weights.figures / heat).astype(np.float32),
        "bias": (weights.bias / heat).astype(np.float32),
        "heat": np.array([heat], np.float32),
        "least": np.array([1e-6], np.float32),
        "across": np.array([1], np.int64),
        "last": np.array([-1], np.int64),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Gather", ["rarity", "ids"], "rare16", {}),
        ("Cast", ["rare16"], "rare", {"to": TensorProto.FLOAT}),
        ("Sqrt", ["counts"], "roots", {}),
        ("Mul", ["roots", "rare"], "raw", {}),
        ("Mul", ["raw", "raw"], "squares", {}),
        ("ReduceSum", ["squares", "across"], "square", {"keepdims": 1}),
        ("Sqrt", ["square"], "length", {}),
        ("Max", ["length", "least"], "safe", {}),
        ("Div", ["raw", "safe"], "unit", {}),
        ("Unsqueeze", ["unit", "last"], "column", {}),
        ("Gather", ["table", "ids"], "rows16", {}),
        ("Cast", ["rows16"], "rows", {"to": TensorProto.FLOAT}),
        ("Mul", ["rows", "column"], "shares", {}),
        ("ReduceSum", ["shares", "across"], "hashed", {"keepdims": 0}),
        ("Div", ["hashed", "heat"], "cooled", {}),
        ("MatMul", ["figures", "of_figures"], "styled", {}),
        ("Add", ["cooled", "styled"], "both", {}),
        ("Add", ["both", "bias"], "logits", {}),
        ("Softmax", ["logits"], "probabilities", {"axis": -1}),
    ]
    nodes = [helper.make_node(kind, ins, [out], **more) for kind, ins, out, more in steps]
    width = len(weights.figures)
    graph = helper.make_graph(
        nodes,
        "gridlab-sentiment",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, ["texts", "features"]),
            helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["texts", "features"]),
            helper.make_tensor_value_info("figures", TensorProto.FLOAT, ["texts", width]),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", len(LABELS)])],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(
        graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="gridlab"
    )

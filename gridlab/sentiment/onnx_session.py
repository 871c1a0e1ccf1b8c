"""An onnxruntime session of one thread on the CPU, and a run of it that fails in our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridlab.errors import InvalidInput, ModelAnswerRefused

if TYPE_CHECKING:
    import onnxruntime


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

"""The first run of a model on this machine: in a child process, bounded in time and memory.

A model is a program in a format whose readers have had faults. The child opens it exactly as the
parent would, judges a few texts, and says so; a crash, a hang or a hunger for memory ends the child
and nothing else. What went well is written down by a hash of all the model's files and
onnxruntime's version, so that the fraction of a second is paid once for each model and not at each
start. Whoever can write that record can write the package too, so that it guards against accidents
and bad downloads, not against an intruder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.sentiment.onnx_load import Classifier, fingerprint, load
from gridlab.sentiment.onnx_model import shipped_folder

TIMEOUT_S = 60.0
MEMORY_BYTES = 6_000_000_000
_MOST_RECORDED = 200
#: Whether a model copes with what it will meet: nothing, the usual, another script, too much.
TEXTS = ("", "Bitcoin surges", "está indo para a lua! 🚀", "\x00\ud800" + "crash " * 3000)
_passed: set[str] = set()


def open_model(folder: Path | None = None, *, record: Path | None = None) -> Classifier:
    """The model in `folder`, by default the shipped one, ready to judge.

    Args:
        record: see `ensure`.

    Raises:
        InvalidInput: there is no model that can be run.
    """
    folder = folder or shipped_folder()
    ensure(folder, record=record)
    return load(folder)


def ensure(
    folder: Path, *, record: Path | None = None, timeout_s: float = TIMEOUT_S, force: bool = False
) -> None:
    """Return when the model in `folder` has run well in a child process, now or earlier.

    Args:
        record: the file of what ran well; None for `models/verified.json` in the data directory.
        force: run it again whatever the record says.

    Raises:
        InvalidInput: the child refused, crashed, took too long or too much memory.
    """
    record = record or data_dir() / "models" / "verified.json"
    key = f"{fingerprint(folder)}:{_runtime_version()}"
    if not force and (key in _passed or key in _recorded(record)):
        _passed.add(key)
        return
    _run(folder, timeout_s)
    _passed.add(key)
    _write(record, key)


def data_dir() -> Path:
    """Where GridLab keeps its state: GRIDLAB_DATA_DIR, or `~/.gridlab`."""
    return Path(os.environ.get("GRIDLAB_DATA_DIR") or Path.home() / ".gridlab")


def _run(folder: Path, timeout_s: float) -> None:
    command = [sys.executable, "-m", "gridlab.sentiment.onnx_probe", str(folder.resolve())]
    root = str(Path(__file__).parents[2])
    env = {
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
        "PATH": os.environ.get("PATH", ""),
        "OMP_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout_s, env=env, cwd="/", check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput(
            f"the model in {folder} did not run within {timeout_s:g} s; it is not used"
        ) from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word"]
        how = f"signal {-done.returncode}" if done.returncode < 0 else "refused"
        raise InvalidInput(f"the model in {folder} failed its trial run ({how}): {last[0][:300]}")


def _runtime_version() -> str:
    try:
        return version("onnxruntime")
    except PackageNotFoundError as error:
        raise InvalidInput("onnxruntime is missing; pip install 'gridlab[sentiment]'") from error


def _recorded(record: Path) -> list[str]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []  # no record, or a damaged one: the models run in a child again
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def _write(record: Path, key: str) -> None:
    with suppress(OSError):  # a read-only home: each process tries the model anew
        record.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([*_recorded(record), key][-_MOST_RECORDED:])
        beside = record.with_name(f".{record.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(record)


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> int:
    """Open the model in the folder that is named, and judge a few texts with it."""
    import numpy as np

    _limit_memory()
    try:
        found = load(Path(arguments[0])).probabilities(TEXTS)
    except (InvalidInput, ModelAnswerRefused) as error:
        print(error, file=sys.stderr)
        return 1
    if found.shape != (len(TEXTS), 3) or not np.allclose(found.sum(axis=1), 1, atol=1e-3):
        print(f"its probabilities do not add up: {found.sum(axis=1).tolist()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

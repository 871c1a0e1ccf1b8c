"""`import gridlab` is cheap, and the core needs none of the heavy packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

LIMIT_S = 0.3
#: Never imported by `import gridlab`; who needs one pays for it.
HEAVY = {
    *("torch", "stable_baselines3", "gymnasium", "pandas", "numpy", "pyarrow", "numba", "talib"),
    *("voila", "jupyterlab", "ipywidgets", "anywidget", "IPython", "sklearn", "onnxruntime"),
    *("plotly", "flask", "pydantic", "yaml", "binance", "aiohttp", "httpx", "requests", "optuna"),
}
#: Extras: paper trading, the API and the command must work where none of them is installed.
OPTIONAL = {
    *("torch", "stable_baselines3", "gymnasium", "numba", "talib", "voila", "jupyterlab"),
    *("ipywidgets", "anywidget", "IPython", "sklearn", "onnx", "onnxruntime", "tokenizers"),
    *("plotly", "praw", "ollama", "optuna", "tqdm"),
}


def seconds_of(script: str) -> float:
    """Wall seconds of a fresh interpreter that runs `script`."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    return time.perf_counter() - before


def test_import_is_fast() -> None:
    """Best of five, less the best of five bare starts: a busy machine slows both."""
    bare = min(seconds_of("pass") for _ in range(5))
    loaded = min(seconds_of("import gridlab") for _ in range(5))
    # On a machine that starts a bare interpreter slowly, the limit grows in proportion.
    allowed = LIMIT_S * max(1.0, bare / 0.05)
    assert loaded - bare < allowed, f"import gridlab takes {loaded - bare:.2f} s"


def test_import_loads_nothing_heavy() -> None:
    script = "import gridlab, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert "gridlab" in loaded
    assert not loaded & HEAVY


def test_every_public_name_can_be_had() -> None:
    import gridlab

    names = [name for name in gridlab.__all__ if name != "__version__"]
    assert 0 < len(names) <= 30
    assert names == sorted(set(names), key=names.index), "a name is listed twice"
    missing = [name for name in names if getattr(gridlab, name, None) is None]
    assert not missing
    assert set(names) <= set(dir(gridlab)), "tab completion must offer every public name"


def test_an_unknown_name_is_an_attribute_error() -> None:
    import gridlab

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gridlab.no_such_name


@pytest.mark.parametrize(
    "module",
    ["gridlab.app.facade", "gridlab.app.config", "gridlab.api", "gridlab.client", "gridlab.cli"],
)
def test_paper_trading_needs_no_extra(module: str) -> None:
    """The import works in an interpreter in which the extras do not exist."""
    script = f"import sys; sys.modules.update(dict.fromkeys({sorted(OPTIONAL)!r})); import {module}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_socks_proxy_in_the_environment_is_no_error() -> None:
    """httpx needs a package of its own for one, and `ollama` makes a client as it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", "import httpx, ollama; httpx.Client(); httpx.AsyncClient()"],
        env=os.environ | {"ALL_PROXY": "socks5://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr

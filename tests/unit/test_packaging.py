"""What is promised about installing: one list of dependencies, told alike in every file."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import gridlab

ROOT = Path(__file__).parents[2]
#: PyPI's name to conda-forge's, where they differ.
CONDA_NAMES = {"torch": "pytorch", "ollama": "ollama-python"}
#: Import name to the distribution that brings it, where they differ.
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "pydantic-core": "pydantic",
    "binance": "python-binance",
    "talib": "ta-lib",
    "sklearn": "scikit-learn",
    "scipy": "scikit-learn",
    "werkzeug": "flask",
    "prawcore": "praw",
    "jinja2": "flask",
    "traitlets": "ipywidgets",
    "ipython": "ipykernel",
    "nbformat": "nbclient",
    "jupyter-client": "ipykernel",
    "tornado": "jupyterlab",
    "jupyter-server": "jupyterlab",
}


def project() -> dict[str, Any]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = document["project"]
    return found


def requirements(lines: list[str]) -> dict[str, SpecifierSet]:
    """Name to versions; a name that is given twice must be given alike."""
    found: dict[str, SpecifierSet] = {}
    for line in lines:
        one = Requirement(line)
        name = canonicalize_name(one.name)
        assert found.setdefault(name, one.specifier) == one.specifier, f"{name} is given two ways"
    return found


def declared() -> dict[str, SpecifierSet]:
    """Every dependency of the core and of all extras."""
    extras = project()["optional-dependencies"]
    lines = [*project()["dependencies"]]
    for name, more in extras.items():
        lines += more if name != "all" else []
    return requirements(lines)


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, Version] = {}
    for line in lines:
        if line and not line.startswith("#"):
            matched = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
            assert matched, f"{line!r} is no exact pin"
            found[canonicalize_name(matched[1])] = Version(matched[2])
    return found


def test_all_is_every_extra() -> None:
    extras = project()["optional-dependencies"]
    assert set(extras) == {"notebooks", "research", "sentiment", "training", "rl", "dev", "all"}
    (whole,) = extras["all"]
    assert Requirement(whole).extras == set(extras) - {"all"}


def test_the_core_is_light() -> None:
    core = set(requirements(project()["dependencies"]))
    heavy = {"torch", "scikit-learn", "numba", "jupyterlab", "voila", "plotly", "onnxruntime"}
    assert not core & heavy


def test_conda_users_get_the_same() -> None:
    document = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [line for line in document["dependencies"] if isinstance(line, str)]
    (pip,) = [entry["pip"] for entry in document["dependencies"] if isinstance(entry, dict)]
    conda = requirements([line for line in plain if line != "pip"])
    assert conda.pop("python") == SpecifierSet(project()["requires-python"])
    assert conda == {CONDA_NAMES.get(name, name): wanted for name, wanted in declared().items()}
    assert document["channels"] == ["conda-forge"]
    assert "pip" in plain and pip == ["-e ."]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    exact = pins()
    for name, wanted in declared().items():
        assert name in exact, f"constraints.txt does not pin {name}"
        assert exact[name] in wanted, f"{name} {exact[name]} is outside {wanted}"
    assert all(not pin.local for pin in exact.values())


def test_every_import_is_declared() -> None:
    known = set(declared())
    undeclared = set()
    for path in (ROOT / "gridlab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in (name.split(".")[0] for name in names):
                if name in sys.stdlib_module_names or name == "gridlab":
                    continue
                plain = canonicalize_name(name)
                if DISTRIBUTIONS.get(plain, plain) not in known:
                    undeclared.add(f"{path.relative_to(ROOT)}: {name}")
    assert not undeclared


def test_the_version_is_written_once() -> None:
    assert project()["dynamic"] == ["version"] and "version" not in project()
    written = (ROOT / "gridlab" / "_version.py").read_text(encoding="utf-8")
    assert f'__version__ = "{gridlab.__version__}"' in written
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{gridlab.__version__}]" in changes


def test_the_package_is_typed_and_carries_its_files() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = document["tool"]["setuptools"]["package-data"]["gridlab"]
    assert (ROOT / "gridlab" / "py.typed").exists()
    left_out = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "gridlab").rglob("*")
        if path.is_file()
        and path.suffix != ".py"
        and "__pycache__" not in path.parts  # bytecode, and compiled kernels
        and not any(fnmatch(path.name, pattern.removeprefix("**/")) for pattern in patterns)
    ]
    assert not left_out, f"no pattern of package-data takes {left_out}"


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "gridlab").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_the_command_exists() -> None:
    assert project()["scripts"] == {"gridlab": "gridlab.cli:main"}
    done = subprocess.run(
        [sys.executable, "-m", "gridlab", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert gridlab.__version__ in done.stdout


def make(
    folder: Path, *arguments: str, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`make` on a copy of the Makefile and of what it reads."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@needs_make
def test_make_explains_itself(tmp_path: Path) -> None:
    shown = make(tmp_path, "help").stdout
    for target in ("up", "test", "check", "bench", "sim", "campaign", "clean"):
        assert f"make {target}" in shown
    assert shown == make(tmp_path).stdout


@needs_make
@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        ('case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac', "3.9.2 is too old"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
)
def test_make_says_what_python_lacks(tmp_path: Path, fake: str, sentence: str) -> None:
    program(tmp_path / "bin" / "python3", fake)
    done = make(tmp_path, "up", path=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert sentence in done.stderr


@needs_make
def test_make_names_a_python_that_is_not_there(tmp_path: Path) -> None:
    done = make(tmp_path, "up", "PYTHON=python-of-nowhere")
    assert done.returncode != 0
    assert "There is no python-of-nowhere" in done.stderr


@needs_make
def test_make_installs_once_for_each_state_of_the_files(tmp_path: Path) -> None:
    """A Python that only writes down what it was told stands in the environment."""
    log = tmp_path / "log"
    program(tmp_path / ".venv" / "bin" / "python", f'echo "$@" >> "{log}"')

    def installs() -> list[str]:
        return [line for line in log.read_text("utf-8").splitlines() if "install" in line]

    make(tmp_path, "install-up")
    make(tmp_path, "install-up")
    assert len(installs()) == 1
    assert "-c constraints.txt -e .[notebooks,sentiment]" in installs()[0]
    make(tmp_path, "install-all")
    assert installs()[1].endswith("-e .[all]")
    (tmp_path / ".venv" / ".installed-notebooks,sentiment").unlink()
    make(tmp_path, "install-up")  # `all` has brought it already
    assert len(installs()) == 2
    (tmp_path / ".venv" / ".installed-all").write_text("other files")
    make(tmp_path, "install-all")
    assert len(installs()) == 3


def test_the_build_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert text.rstrip().splitlines()[-1] == "make test"
    assert subprocess.run(["bash", "-n", str(script)], timeout=30).returncode == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make up" in readme and "make test" in readme

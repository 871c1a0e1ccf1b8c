"""The notebooks as files, and what the live one leaves behind when a cell fails half-way.

That they run is shown by nbval, which `make test` calls on them twice.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

#: Asks the kernel what is still there of earlier runs; the last line of output is JSON.
CENSUS = """
import glob, json, tempfile, threading
names = [thread.name for thread in threading.enumerate()]
folders = glob.glob(tempfile.gettempdir() + "/gridlab-*")
print(json.dumps([names.count("gridlab-engine"), len(folders)]))
"""


def cells_of(path: Path, kind: str = "code") -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_there_are_notebooks() -> None:
    names = {path.name for path in NOTEBOOKS}
    assert {
        "01_first_grid.ipynb",
        "02_live_in_the_notebook.ipynb",
        "04_sweep_and_walk_forward.ipynb",
    } <= names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_clean(path: Path) -> None:
    """No output, no counter, a plain kernel: nothing tells whose machine it was."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    nbformat.validate(nbformat.from_dict(document))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_explained(path: Path) -> None:
    for source in cells_of(path):
        ast.parse(source)
        assert len(source.splitlines()) <= 40
    assert len(cells_of(path, "markdown")) >= 5


@pytest.mark.slow
def test_live_notebook_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell fails while the engine runs; the notebook is run again; at its end all is gone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cells = [
        source.replace("range(8)", "range(1)")
        for source in cells_of(FOLDER / "02_live_in_the_notebook.ipynb")
    ]
    started = next(i for i, source in enumerate(cells) if "start_grid" in source) + 1
    program = [*cells[:started], "1 / 0", CENSUS, *cells[:1], CENSUS, *cells[1:], CENSUS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in program])
    NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
    errors = [out.ename for cell in notebook.cells for out in cell.outputs if "ename" in out]
    assert errors == ["ZeroDivisionError"]
    census = [printed(cell) for cell in notebook.cells if cell.source == CENSUS]
    assert census == [[1, 1], [0, 0], [0, 0]], "(engine threads, folders) at each census"
    assert list(tmp_path.glob("gridlab-*")) == []


def printed(cell: Any) -> Any:
    return json.loads("".join(out.text for out in cell.outputs if out.output_type == "stream"))

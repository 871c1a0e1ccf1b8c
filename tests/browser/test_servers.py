"""Voila and JupyterLab as children: refusals in words, tokens, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from ports import free_port
from waiting import wait_for

from gridlab.app import dashboards
from gridlab.app.dashboards import launch_lab, launch_voila, notebook_folder
from gridlab.errors import Conflict, GridLabError, InvalidConfig, NotFound

API = "http://127.0.0.1:9"
pytestmark = pytest.mark.slow


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_names_the_option_and_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} .*--dash-port"):
            launch_voila(API, port, tmp_path / "voila.log")
        with pytest.raises(Conflict, match="--lab-port"):
            launch_lab(API, tmp_path / "lab.log", port=port)
    assert not (tmp_path / "voila.log").exists()


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidConfig, match=r"pip install 'gridlab\[notebooks\]'"):
        launch_voila(API, free_port(), tmp_path / "voila.log")


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere.ipynb"):
        launch_voila(API, free_port(), tmp_path / "v.log", notebook=tmp_path / "nowhere.ipynb")
    with pytest.raises(NotFound, match="no folder 'nothing'"):
        notebook_folder("nothing")


def test_voila_asks_for_the_token_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    with launch_voila(API, port, tmp_path / "voila.log", token="s3cret") as voila:
        closed = httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
        assert closed.status_code in (302, 403)
        page = httpx.get(voila.url, timeout=60, follow_redirects=True)
        assert page.status_code == 200
        assert "cdn.jsdelivr" not in page.text and "Culling kernels" in voila.log_path.read_text()
    assert voila.poll() is not None
    assert is_free(port)
    mode = (tmp_path / "jupyter-runtime").stat().st_mode & 0o777
    assert mode == 0o700


def test_a_killed_parent_takes_its_server_along(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, time; from pathlib import Path;"
        "from gridlab.app.dashboards import launch_voila;"
        f"child = launch_voila({API!r}, {port}, Path({str(tmp_path / 'voila.log')!r}));"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: is_free(port), "the end of its server")


def test_a_server_that_dies_early_gives_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboards, "CULL_EVERY_S", "soon")  # Voila refuses it
    with pytest.raises(GridLabError, match="last words"):
        launch_voila(API, free_port(), tmp_path / "voila.log", ready_timeout_s=60)


def test_lab_always_asks_for_a_token_and_stops_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with launch_lab(API, tmp_path / "lab.log", port=port, folder=tmp_path) as lab:
        assert "token=" in lab.url
        closed = httpx.get(f"http://127.0.0.1:{port}/api/contents", timeout=60)
        assert closed.status_code == 403
        token = lab.url.split("token=")[1]
        headers = {"Authorization": f"token {token}"}
        opened = httpx.get(f"http://127.0.0.1:{port}/api/contents", headers=headers, timeout=60)
        assert opened.status_code == 200
        lab.stop(60)
    assert lab.poll() == 0
    assert is_free(port)

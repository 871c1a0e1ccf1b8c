"""A real workbench for the browser tests: engine, API and Voila as processes, and a page on it.

Every request that would leave this machine is aborted and remembered; the tests assert that there
was none. Skipped, with the reason, where there is no Chromium or no Voila.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from gridlab.app.dashboards import launch_voila
from gridlab.client import Client
from gridlab.errors import GridLabError

CHROMIUM = os.environ.get("GRIDLAB_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")


@dataclass
class Workbench:
    """A headless engine that can be killed and started again on the same data."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, timeout_s: float = 120) -> None:
        command = [sys.executable, "-m", "gridlab", "up", "--headless"]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        with (self.data_dir.parent / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout_s
        with Client(self.url) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    if client.health()["ready"]:
                        return
                except GridLabError:
                    time.sleep(0.1)
        log_text = (self.data_dir.parent / "engine.log").read_text()
        raise AssertionError(f"the engine was not ready: {log_text[-2000:]}")

    def end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Ends with its module: as long as it lives, Playwright holds this thread's event loop."""
    for module in ("playwright", "voila"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'gridlab[all]'")
    if not Path(CHROMIUM).is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}; install one or set GRIDLAB_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    bench = Workbench(tmp_path_factory.mktemp("browser") / "data")
    bench.start()
    yield bench
    bench.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def dashboard_url(workbench: Workbench) -> Iterator[str]:
    log_path = workbench.data_dir.parent / "logs" / "voila.log"
    with launch_voila(workbench.url, free_port(), log_path) as voila:
        yield voila.url


@pytest.fixture
def page(browser: Any, dashboard_url: str) -> Iterator[Any]:
    """The dashboard, painted; afterwards, that nothing left this machine and no script failed."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    outside: list[str] = []
    errors: list[str] = []

    def route(request: Any) -> None:
        if request.request.url.startswith(LOCAL):
            request.continue_()
        else:
            outside.append(request.request.url)
            request.abort()

    context.route("**/*", route)
    context.set_default_timeout(60_000)  # a busy machine; what is there comes at once
    shown = context.new_page()
    shown.on("pageerror", lambda error: errors.append(str(error)))
    shown.goto(dashboard_url)
    shown.wait_for_selector(".glc canvas", timeout=120_000)
    shown.wait_for_selector(".gl-mode:has-text('REPLAY')", timeout=60_000)
    yield shown
    context.close()
    assert outside == []
    assert errors == []

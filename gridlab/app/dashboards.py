"""Voila and JupyterLab as children of `gridlab up`: started, waited for, and stopped whole.

A child watches the pipe that its parent holds open, so that a killed parent never leaves a server
behind on its port. Everything binds to loopback. Knows no engine: a dashboard is a client of the
API, whose address travels in `GRIDLAB_API_URL`.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from gridlab.clock import SystemClock
from gridlab.errors import Conflict, GridLabError, InvalidConfig, NotFound

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0
#: Seconds between two looks for idle kernels, and how long one may idle.
CULL_EVERY_S = 60
CULL_IDLE_S = 300
#: The only frontend extensions that our page needs; every other one costs each viewer a download.
EXTENSIONS = (
    "@voila-dashboards/widgets-manager8",
    "@jupyter-widgets/jupyterlab-manager",
    "anywidget",
)
_PACKAGE = Path(__file__).resolve().parents[1]
_WATCH = "--watch-parent"


@dataclass(slots=True)
class ChildServer:
    """A web server in a child process.

    Args:
        url: where to open it, its token included when it has one.
        log_path: everything that it printed.
    """

    name: str
    url: str
    log_path: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has one."""
        return self.process.wait(timeout)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the server and the kernels that it started; returns when they are gone."""
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return  # it ended between the question and the signal

    def __enter__(self) -> ChildServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def launch_voila(
    api_url: str,
    port: int,
    log_path: Path,
    *,
    token: str | None = None,
    api_token: str | None = None,
    notebook: Path | None = None,
    preheat: int = 0,
    ready_timeout_s: float = READY_TIMEOUT_S,
) -> ChildServer:
    """The dashboard's server, once it answers.

    Args:
        api_url: the engine that the page shows.
        port: on loopback; 8866 by default in the command.
        log_path: gets what Voila prints.
        token: what a viewer must know; None leaves the page open to this machine's users.
        api_token: what the page must know to ask the engine; None where it asks for none.
        notebook: the page; `dashboards/grid_live.ipynb` by default.
        preheat: kernels that wait ready for a viewer, about 45 MB each.

    Raises:
        InvalidConfig: Voila is not installed.
        Conflict: the port is taken.
        NotFound: the dashboard's notebook is not there.
        GridLabError: it ended before it answered; the message has its last words.
    """
    _need("voila", "the dashboard")
    _need_free(port, "--dash-port")
    page = notebook or notebook_folder("dashboards") / "grid_live.ipynb"
    if not page.is_file():
        raise NotFound(f"the dashboard {page} does not exist; reinstall gridlab or name a notebook")
    arguments = [
        str(page),
        "--no-browser",
        f"--port={port}",
        f"--Voila.ip={HOST}",
        "--Voila.open_browser=False",
        "--template=gridlab",
        "--theme=dark",
        *(f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS),
        f"--Voila.connection_dir_root={_runtime(log_path)}",
        "--VoilaConfiguration.show_tracebacks=False",
        f"--MappingKernelManager.cull_interval={CULL_EVERY_S}",
        f"--MappingKernelManager.cull_idle_timeout={CULL_IDLE_S}",
        "--MappingKernelManager.cull_connected=True",
    ]
    if preheat:
        arguments += ["--preheat_kernel=True", f"--pool_size={preheat}"]
    arguments += [f"--token={token}"] if token else ["--token="]
    base = f"http://{HOST}:{port}"
    url = f"{base}/?token={token}" if token else f"{base}/"
    # The user's own Jupyter settings and secrets have no part in this page.
    own = str(_runtime(log_path))
    environment = {"GRIDLAB_API_URL": api_url, "JUPYTER_DATA_DIR": own, "JUPYTER_CONFIG_DIR": own}
    if api_token:
        environment["GRIDLAB_API_TOKEN"] = api_token
    child = _start("voila", arguments, url, log_path, environment)
    return _ready(child, f"{base}/voila/static/voila.js", ready_timeout_s)


def launch_lab(
    api_url: str,
    log_path: Path,
    *,
    port: int = 8888,
    token: str | None = None,
    folder: Path | None = None,
    ready_timeout_s: float = READY_TIMEOUT_S,
) -> ChildServer:
    """JupyterLab in the folder of notebooks, once it answers; it always asks for a token.

    Raises:
        InvalidConfig: JupyterLab is not installed.
        Conflict: the port is taken.
        NotFound: there is no folder of notebooks.
        GridLabError: it ended before it answered.
    """
    _need("jupyterlab", "JupyterLab")
    _need_free(port, "--lab-port")
    key = token or secrets.token_urlsafe(24)
    arguments = [
        "--no-browser",
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder or notebook_folder('notebooks')}",
        f"--IdentityProvider.token={key}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    base = f"http://{HOST}:{port}"
    # Our page settings leave out the prompt for news: nothing here asks the internet for anything.
    settings = [str(_PACKAGE / "widgets" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = {
        "GRIDLAB_API_URL": api_url,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in settings if path),
    }
    child = _start("jupyterlab", arguments, f"{base}/lab?token={key}", log_path, environment)
    return _ready(child, f"{base}/api", ready_timeout_s)


def notebook_folder(name: str) -> Path:
    """The folder `name` (`dashboards` or `notebooks`): of the checkout, else of the installation.

    Raises:
        NotFound: neither has it.
    """
    places = (
        _PACKAGE.parent / name,
        _PACKAGE / "share" / name,
        Path(sys.prefix) / "share" / "gridlab" / name,
    )
    for place in places:
        if place.is_dir():
            return place
    raise NotFound(
        f"no folder {name!r} in {', '.join(str(place) for place in places)}; "
        "run from a checkout or reinstall gridlab"
    )


def _need(module: str, what: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InvalidConfig(
            f"{what} needs {module}, which is not installed: pip install 'gridlab[notebooks]', "
            "or use --headless for the API alone"
        )


def _need_free(port: int, option: str) -> None:
    """Refuse a port that cannot be opened, before a child is started for it."""
    if not 1 <= port <= 65535:
        raise InvalidConfig(f"port is {port}; it must be from 1 to 65535: give another {option}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Conflict(
                f"port {port} on {HOST} cannot be opened ({error.strerror}); "
                f"choose another with {option}"
            ) from error


def _start(
    module: str, arguments: Sequence[str], url: str, log_path: Path, more: Mapping[str, str]
) -> ChildServer:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    paths = [str(_PACKAGE / "widgets"), os.environ.get("JUPYTER_PATH", "")]
    # From a checkout that is not installed, kernels in another folder must find the same gridlab.
    checkout = str(_PACKAGE.parent) if (_PACKAGE.parent / "pyproject.toml").is_file() else ""
    imports = [checkout, os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **more,
        "JUPYTER_PATH": os.pathsep.join(path for path in paths if path),
        "PYTHONPATH": os.pathsep.join(path for path in imports if path),
        "JUPYTER_RUNTIME_DIR": str(_runtime(log_path)),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "gridlab.app.dashboards", _WATCH, module, *arguments]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    return ChildServer(module, url, log_path, process)


def _runtime(log_path: Path) -> Path:
    """A folder beside the log for connection files, readable by this user alone."""
    folder = log_path.resolve().parent / "jupyter-runtime"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _ready(child: ChildServer, probe_url: str, timeout_s: float) -> ChildServer:
    """The child, once `probe_url` answers anything at all; stops it and raises otherwise."""
    try:
        if _answers(child, probe_url, timeout_s):
            return child
    except BaseException:
        child.stop()  # Ctrl-C while it starts must not leave it behind
        raise
    ended = child.poll()
    child.stop()
    why = f"ended with status {ended}" if ended is not None else f"was silent for {timeout_s:g} s"
    words = _tail(child)
    raise GridLabError(f"{child.name} {why}; its last words, from {child.log_path}:\n{words}")


def _answers(child: ChildServer, probe_url: str, timeout_s: float) -> bool:
    """Whether the child answered within the time; False as soon as it has ended."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    clock, rest = SystemClock(), threading.Event()
    deadline_ms = clock.now_ms() + int(timeout_s * 1000)
    while clock.now_ms() < deadline_ms and child.poll() is None:
        try:
            with opener.open(probe_url, timeout=2):
                return True
        except urllib.error.HTTPError:
            return True  # it answers, if only with a login
        except (OSError, HTTPException):
            rest.wait(0.1)
    return False


def _tail(child: ChildServer, lines: int = 8) -> str:
    text = child.log_path.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _end_with_parent() -> None:
    """Wait for the end of the parent's pipe, which comes however the parent ends; then end us."""
    # The bare descriptor: a buffered stdin, locked by this thread, aborts the interpreter's exit.
    while os.read(0, 4096):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str]) -> None:
    """Run a server module in this process, bound to the life of the parent."""
    if len(arguments) < 2 or arguments[0] != _WATCH:
        raise InvalidConfig("this module is started by `gridlab up`, not by hand")
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    module = arguments[1]
    sys.argv = [module, *arguments[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])

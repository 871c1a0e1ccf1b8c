"""`gridlab up`: engine, API and dashboard as one process with children, until a signal ends it.

It prints where everything is once, and `ready` once the API answers. SIGINT and SIGTERM stop it
cleanly; after SIGKILL the next start on the same data directory goes on where this one was.
"""

from __future__ import annotations

import logging
import logging.handlers
import secrets
import signal
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridlab._version import __version__
from gridlab.app.admission import admit
from gridlab.app.ban_file import wait_out_ban
from gridlab.app.config import DEFAULT_PATH, load_config
from gridlab.app.config_reach import limits_in_words, set_in_vain
from gridlab.app.console import ConsoleHandler
from gridlab.app.dashboards import ChildServer, launch_lab, launch_voila
from gridlab.app.doctor import DoctorOptions, examine
from gridlab.app.facade import GridLab
from gridlab.app.logs import RedactingFormatter
from gridlab.app.modes import REAL_ORDERS, Access, make_access
from gridlab.app.settings import default_data_dir
from gridlab.clock import iso
from gridlab.domain.snapshot import EngineState, Mode
from gridlab.errors import StorageError

#: What a mode is, in the banner's words.
_MEANINGS = {
    Mode.REPLAY: "recorded real prices, simulated orders",
    Mode.SHADOW: "real market data, simulated orders",
    Mode.TESTNET: "orders to a test venue, play money",
    Mode.PRODUCTION: "REAL ORDERS, REAL MONEY",
}


class Server(Protocol):
    """The API's server, such as `gridlab.api.Server`; entered to serve, left to stop."""

    @property
    def url(self) -> str: ...

    @property
    def page_token(self) -> str | None: ...

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...


class MakeServer(Protocol):
    """How a server is made; handed in, because the API stands above this layer."""

    def __call__(
        self, lab: GridLab, host: str, port: int, *, dashboard_url: str | None
    ) -> Server: ...


@dataclass(frozen=True, slots=True)
class Options:
    """The command's words; None where the configuration decides."""

    data_dir: Path | None = None
    config: Path | None = None
    speed: float | None = None
    port: int | None = None
    dash_port: int | None = None
    lab_port: int = 8888
    headless: bool = False
    with_lab: bool = False
    fresh: bool = False
    first_bot: str = "BTCUSDT"
    mode: Mode | None = None
    endpoints: str | None = None
    confirm: str = ""


def run(options: Options, make_server: MakeServer) -> int:
    """Run the workbench until SIGINT or SIGTERM; the exit status.

    Raises:
        GridLabError: it could not start; the message names the option that helps.
    """
    config = load_config(options.config)
    access = make_access(config, options.mode, options.endpoints)
    if access.mode is Mode.PRODUCTION:
        wait_out_ban(options.data_dir or default_data_dir(), access)
        access = _confirmed(access, options)
    stopping = _catch_signals()
    lab = GridLab(
        options.data_dir,
        config=config,
        access=access,
        speed=options.speed,
        first_bot=options.first_bot,
        fresh=options.fresh,
    )
    _log_to(lab)
    with ExitStack() as stack:
        server = _server(lab, options, make_server)
        # The port is taken before the engine starts, so that a taken port changes nothing.
        stack.enter_context(server)
        stack.enter_context(lab)
        children = {} if options.headless else _children(options, lab, server, stack)
        _print_banner(lab, server, children)
        _wait(lab, children, stopping)
        print(f"stopping: {_left_behind(lab)}", flush=True)
    return 0


def _confirmed(access: Access, options: Options) -> Access:
    """The right to real money, when the pre-flight found nothing and a person has confirmed."""
    checks = tuple(
        examine(
            DoctorOptions(
                mode=options.mode,
                config=options.config,
                data_dir=options.data_dir,
                port=options.port,
            )
        )
    )
    for check in checks:
        print(check, flush=True)
    return admit(access, checks, options.confirm)


def _left_behind(lab: GridLab) -> str:
    """What stays when the process ends, in words."""
    snapshot = lab.snapshot
    if snapshot.mode not in REAL_ORDERS:
        return "orders stay on the paper venue's books; start again to go on"
    count = sum(len(bot.open_orders) for bot in snapshot.bots.values())
    return f"{count} orders stay open at the exchange and nobody watches them until you start again"


def _catch_signals() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _log_to(lab: GridLab) -> None:
    settings = lab.settings
    path = settings.log_path
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3)
    except OSError as error:
        raise StorageError(
            f"the log {path} cannot be written: {error}; choose another --data-dir, or set "
            "logging.log_file in the configuration"
        ) from error
    handlers: list[logging.Handler] = [file]
    if settings.config.logging.log_to_console and sys.stderr is not None:
        console = ConsoleHandler(sys.stderr)
        console.addFilter(_concerns_the_user)
        handlers.append(console)
    form = RedactingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", lab.log_ring)
    for handler in handlers:
        handler.setFormatter(form)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request says nothing
    logging.basicConfig(level=settings.config.logging.level, handlers=handlers)


def _concerns_the_user(record: logging.LogRecord) -> bool:
    """Our own lines, and what other packages warn of."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == "gridlab"


def _server(lab: GridLab, options: Options, make_server: MakeServer) -> Server:
    listen = lab.settings.config.api_server
    dashboard = None if options.headless else f"http://127.0.0.1:{_dash_port(lab, options)}/"
    port = listen.port if options.port is None else options.port
    return make_server(lab, listen.host, port, dashboard_url=dashboard)


def _dash_port(lab: GridLab, options: Options) -> int:
    if options.dash_port is not None:
        return options.dash_port
    return lab.settings.config.api_server.dash_port


def _children(
    options: Options, lab: GridLab, server: Server, stack: ExitStack
) -> dict[str, ChildServer]:
    logs = lab.settings.log_path.parent
    children = {
        "Dashboard": launch_voila(
            server.url,
            _dash_port(lab, options),
            logs / "voila.log",
            # Where the API asks who is there, the page that holds a token asks too.
            token=secrets.token_urlsafe(24) if server.page_token else None,
            api_token=server.page_token,
        ),
    }
    stack.enter_context(children["Dashboard"])
    if options.with_lab:
        children["JupyterLab"] = launch_lab(
            server.url, logs / "jupyterlab.log", port=options.lab_port
        )
        stack.enter_context(children["JupyterLab"])
    return children


def _print_banner(lab: GridLab, server: Server, children: dict[str, ChildServer]) -> None:
    snapshot, settings = lab.snapshot, lab.settings
    rows = [("API", server.url), *((name, child.url) for name, child in children.items())]
    if server.page_token:
        rows.append(("Tokens", f"needed; in api-token.json of {settings.data_dir}"))
    if snapshot.mode is Mode.REPLAY:
        speed = f"{snapshot.speed:g}x" if snapshot.speed else "as fast as it can"
        rows.append(("Market", f"{iso(snapshot.time_ms)}, playing {speed}"))
    else:
        rows.append(("Account", settings.access.account))
        if snapshot.state is EngineState.RECOVERING:
            rows.append(("Waiting", snapshot.reason))
        rows += [(f"{name}", venue.state) for name, venue in snapshot.venues.items()]
    if snapshot.mode in REAL_ORDERS:
        rows.append(("Limits", limits_in_words()))
    if names := set_in_vain(settings.config, load_config(DEFAULT_PATH)):
        rows.append(("In vain", f"set, and nothing obeys it yet: {', '.join(names)}"))
    rows.append(("Data", str(settings.books_dir)))
    rows += [
        ("Grid", f"{bot.symbol}, {bot.levels} levels, {bot.status}")
        for bot in snapshot.bots.values()
    ]
    print(f"GridLab {__version__} | {snapshot.mode.upper()}: {_MEANINGS[snapshot.mode]}")
    for name, value in rows:
        print(f"  {name:<11}{value}")
    if snapshot.state is EngineState.FINISHED:
        print("  The recording has ended; begin anew with --fresh")
    print("Press Ctrl-C to stop. Killed or stopped, it goes on from here at the next start.")
    print("ready", flush=True)


def _wait(lab: GridLab, children: dict[str, ChildServer], stopping: threading.Event) -> None:
    """Wait for a signal; tell, once each, when the replay ends or a child dies."""
    told: set[str] = set()
    while not stopping.wait(0.5):
        state = lab.snapshot.state
        if state in (EngineState.FINISHED, EngineState.FAILED) and state not in told:
            told.add(state)
            print(f"engine {state}: {lab.snapshot.reason}", flush=True)
        for name, child in children.items():
            if child.poll() is not None and name not in told:
                told.add(name)
                print(
                    f"{name} ended (status {child.poll()}), see {child.log_path}; trading goes on",
                    file=sys.stderr,
                    flush=True,
                )

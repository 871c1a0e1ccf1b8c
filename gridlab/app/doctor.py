"""`gridlab doctor`: is everything as a start needs it, and what to do where it is not.

Every check is one line: OK, WARN (it starts, and you should know) or FAIL (it does not, or must
not). What is on this machine is checked here, what a venue says in `doctor_venue`. Changes nothing.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gridlab.app.ban_file import remembered_ban_ms, remembering_budgets
from gridlab.app.checks import Check, Verdict
from gridlab.app.config import DEFAULT_PATH, Config, load_config
from gridlab.app.config_reach import limits_in_words, set_in_vain
from gridlab.app.modes import COMMANDS, REAL_ORDERS, Access, make_access
from gridlab.app.settings import books_dir, default_data_dir
from gridlab.clock import SystemClock, iso
from gridlab.data.catalog import verify_all
from gridlab.domain.snapshot import Mode
from gridlab.errors import GridLabError, InvalidConfig, LeaseHeld, StorageError
from gridlab.store.journal import Journal
from gridlab.store.lease import Lease
from gridlab.store.records import SqliteRecords

LEAST_DISK_MB = 100
GOOD_DISK_MB = 1_000
#: Import names of what every start needs, and of what one part needs.
CORE = {
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "flask": "flask",
    "yaml": "pyyaml",
    "pydantic": "pydantic",
    "httpx": "httpx",
    "aiohttp": "aiohttp",
    "talib": "ta-lib",
    "binance": "python-binance",
}
EXTRAS = {
    "voila": ("voila", "the dashboard; without it start with --headless"),
    "ipywidgets": ("ipywidgets", "the dashboard and notebooks"),
    "jupyterlab": ("jupyterlab", "gridlab up --lab"),
    "plotly": ("plotly", "pictures of backtests"),
}


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What a start would be told; see `gridlab up`."""

    mode: Mode | None = None
    endpoints: str | None = None
    config: Path | None = None
    data_dir: Path | None = None
    port: int | None = None
    as_json: bool = False


def run(options: DoctorOptions) -> int:
    """Print every check; the exit status: 1 when one failed."""
    checks = list(examine(options))
    if options.as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(check, flush=True)
    failed = sum(check.verdict is Verdict.FAIL for check in checks)
    if not options.as_json:
        print(f"{len(checks)} checks, {failed} failed")
    return 1 if failed else 0


def examine(options: DoctorOptions) -> Iterator[Check]:
    """Every check of this machine, then of the mode's venues."""
    folder = options.data_dir or default_data_dir()
    yield _python()
    yield from _packages()
    yield from _guarded("recordings", _recordings)
    config, problem = _config(options)
    yield problem
    yield from _guarded("data", lambda: _data_dir(folder))
    yield from _guarded("disk", lambda: _disk(folder))
    if config is None:
        return
    yield from _reach(config)
    yield from _guarded("ports", lambda: _ports(config, options))
    access, told = _access(config, options)
    yield from told
    if access is not None and access.mode in REAL_ORDERS:
        yield Check("limits", Verdict.WARN, limits_in_words())
    yield from _guarded("books", lambda: _books(folder, (access or Access()).mode))
    if access is not None and access.mode is not Mode.REPLAY:
        yield from _venues(access, config, folder)


def _venues(access: Access, config: Config, folder: Path) -> Iterator[Check]:
    """What the mode's venues say; a venue that cannot be asked is a failure, not an error."""
    from gridlab.app.doctor_venue import ask_venues

    if until_ms := remembered_ban_ms(folder, access):
        words = f"the exchange has banned this address until {iso(until_ms)}; nothing was asked"
        yield Check("venues", Verdict.FAIL, words)
        return
    budgets = remembering_budgets(folder, SystemClock())
    yield from asyncio.run(ask_venues(access, config, budgets))


def _guarded(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    try:
        yield check()
    except (GridLabError, OSError) as error:
        yield Check(name, Verdict.FAIL, str(error))


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", Verdict.OK, f"{version} at {sys.executable}")


def _packages() -> Iterator[Check]:
    lacking = [name for module, name in CORE.items() if importlib.util.find_spec(module) is None]
    if lacking:
        words = f"missing: {', '.join(lacking)}; install the project again (make venv)"
        yield Check("packages", Verdict.FAIL, words)
    else:
        found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in CORE.values())
        yield Check("packages", Verdict.OK, found)
    for module, (name, purpose) in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            yield Check("packages", Verdict.WARN, f"{name} is not here; it serves {purpose}")


def _recordings() -> Check:
    return Check("recordings", Verdict.OK, f"{len(verify_all())} files, every hash agrees")


def _config(options: DoctorOptions) -> tuple[Config | None, Check]:
    try:
        config = load_config(options.config)
    except InvalidConfig as error:
        return None, Check("config", Verdict.FAIL, "; ".join(error.problems))
    where = options.config or os.environ.get("GRIDLAB_CONFIG") or "the packaged defaults"
    return config, Check("config", Verdict.OK, f"{where} can be read and agrees with itself")


def _reach(config: Config) -> Iterator[Check]:
    """What the user's own file sets to something else than the default, in vain."""
    if names := set_in_vain(config, load_config(DEFAULT_PATH)):
        words = f"set, and nothing obeys it yet: {', '.join(names)}"
        yield Check("config", Verdict.WARN, words)


def _data_dir(folder: Path) -> Check:
    """Whether durable files can be written there, tried with one of our own."""
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        writable = os.access(parent, os.W_OK)
        words = f"{folder} is not there yet; it will be made" + (
            "" if writable else f", and {parent} is not writable: name another with --data-dir"
        )
        return Check("data", Verdict.OK if writable else Verdict.FAIL, words)
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as probe:
        SqliteRecords.open(Path(probe) / "probe.sqlite").close()
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        words = f"{folder} has mode {mode:o}, so others may look in; run chmod 700 on it"
        return Check("data", Verdict.WARN, words)
    return Check("data", Verdict.OK, f"{folder} is private and takes durable files")


def _disk(folder: Path) -> Check:
    at = next(path for path in (folder, *folder.parents) if path.exists())
    free_mb = shutil.disk_usage(at).free // 1_000_000
    words = f"{free_mb} MB free at {at}"
    if free_mb < LEAST_DISK_MB:
        return Check("disk", Verdict.FAIL, f"{words}; at least {LEAST_DISK_MB} MB are needed")
    if free_mb < GOOD_DISK_MB:
        return Check("disk", Verdict.WARN, f"{words}; a journal that cannot grow halts every bot")
    return Check("disk", Verdict.OK, words)


def _ports(config: Config, options: DoctorOptions) -> Check:
    listen = config.api_server
    wanted = {"--port": options.port or listen.port, "--dash-port": listen.dash_port}
    taken = [f"{port} ({flag})" for flag, port in wanted.items() if port and not _is_free(port)]
    if taken:
        words = f"taken: {', '.join(taken)}; GridLab runs already, or choose others"
        return Check("ports", Verdict.WARN, words)
    return Check("ports", Verdict.OK, ", ".join(f"{port} is free" for port in wanted.values()))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _access(config: Config, options: DoctorOptions) -> tuple[Access | None, list[Check]]:
    """The access that the options ask for, and which modes could be started."""
    told = [Check("modes", Verdict.OK, f"Replay needs nothing: {COMMANDS[Mode.REPLAY]}")]
    chosen: Access | None = None
    asked = options.mode or config.operation_mode
    try:
        chosen = make_access(config, options.mode, options.endpoints)
    except InvalidConfig as error:
        told.append(Check("modes", Verdict.FAIL, f"{asked}: {'; '.join(error.problems)}"))
    for mode in (Mode.SHADOW, Mode.TESTNET, Mode.PRODUCTION):
        if mode is asked:
            continue
        try:
            make_access(config, mode)
            told.append(Check("modes", Verdict.OK, f"{mode} can be asked for: {COMMANDS[mode]}"))
        except InvalidConfig as error:
            told.append(Check("modes", Verdict.OK, f"not asked for: {'; '.join(error.problems)}"))
    if chosen is not None and chosen.mode is not Mode.REPLAY:
        told.append(Check("modes", Verdict.OK, f"{chosen.mode} with {chosen.account}"))
    return chosen, told


def _books(folder: Path, mode: Mode) -> Check:
    """Whether nobody holds the books and their journal verifies."""
    path = books_dir(folder, mode) / "journal.sqlite"
    if not path.exists():
        return Check("books", Verdict.OK, f"none yet at {path}")
    try:
        with Lease.acquire(folder / "lease.lock", "gridlab doctor"):
            with Journal.open(path, lambda: "r") as journal:
                return Check("books", Verdict.OK, f"{path}: {journal.length} entries verify")
    except LeaseHeld as error:
        return Check("books", Verdict.WARN, f"not checked: {error}")
    except StorageError as error:
        return Check("books", Verdict.FAIL, str(error))

"""The `gridlab` command: words in, exit status out. Each subcommand's work lives in its own room.

Exit status: 0 done; 1 it could not be done, for the reason printed; 2 the command's words are
wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gridlab._version import __version__
from gridlab.errors import GridLabError

if TYPE_CHECKING:
    from gridlab.domain.snapshot import Mode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.work(options) or 0)
    except GridLabError as error:
        print(f"gridlab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; there is nobody left to tell
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridlab", description="A workbench for grid trading: backtest, replay, watch."
    )
    parser.add_argument("--version", action="version", version=f"gridlab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_up(commands)
    _add_backtest(commands)
    _add_sweep(commands)
    _add_data(commands)
    _add_train(commands)
    _add_twin(commands)
    _add_doctor(commands)
    _add_replay_journal(commands)
    return parser


def _add_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser(
        "up",
        help="start the workbench: engine, API and dashboard",
        description=(
            "Start the engine, the API and the dashboard: on recorded real prices with a grid, or, "
            "by one of the mode options, against an exchange."
        ),
    )
    _add_mode(up)
    up.add_argument(
        "--confirm",
        default="",
        metavar="PHRASE",
        help="Production where nobody can type: the phrase, which GRIDLAB_CONFIRM_PRODUCTION must "
        "hold as well",
    )
    up.add_argument("--headless", action="store_true", help="only the engine and the API")
    up.add_argument("--lab", action="store_true", help="JupyterLab too")
    up.add_argument("--port", type=_port, default=None, help="the API's port (5000)")
    up.add_argument("--dash-port", type=_port, default=None, help="the dashboard's port (8866)")
    up.add_argument("--lab-port", type=_port, default=8888, help="JupyterLab's port (8888)")
    up.add_argument(
        "--data-dir", type=Path, default=None, help="where all state lives (~/.gridlab)"
    )
    up.add_argument(
        "--speed",
        type=float,
        default=None,
        help="market seconds for each second (300); 0 = as fast as it can",
    )
    up.add_argument("--config", type=Path, default=None, help="a YAML file over the defaults")
    up.add_argument("--fresh", action="store_true", help="put the earlier run aside, begin anew")
    up.add_argument(
        "--no-bot", action="store_true", help="Replay: start no grid in a new data directory"
    )
    up.set_defaults(work=_up)


def _add_mode(command: argparse.ArgumentParser) -> None:
    """The options that choose a mode; without one the configuration does."""
    modes = command.add_mutually_exclusive_group()
    for name, words in (
        ("Shadow", "real market data, simulated orders; no key"),
        ("Testnet", "orders to the exchange's test venue, or to the twin"),
        ("Production", "REAL MONEY; asks for a typed confirmation"),
    ):
        modes.add_argument(
            f"--{name.lower()}", dest="mode", action="store_const", const=name, help=words
        )
    command.add_argument(
        "--endpoints",
        default=None,
        metavar="FILE_OR_JSON",
        help="with --testnet or --shadow: other addresses, such as the line that gridlab twin "
        "prints; its key and secret are used",
    )


def _mode(options: argparse.Namespace) -> Mode | None:
    from gridlab.domain.snapshot import Mode

    return None if options.mode is None else Mode(options.mode)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def _up(options: argparse.Namespace) -> int:
    from gridlab.api.app import Server
    from gridlab.app.daemon import Options, run

    return run(
        Options(
            data_dir=options.data_dir,
            config=options.config,
            speed=options.speed,
            port=options.port,
            dash_port=options.dash_port,
            lab_port=options.lab_port,
            headless=options.headless,
            with_lab=options.lab,
            fresh=options.fresh,
            first_bot="" if options.no_bot else "BTCUSDT",
            mode=_mode(options),
            endpoints=options.endpoints,
            confirm=options.confirm,
        ),
        Server,
    )


def _add_backtest(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backtest = commands.add_parser(
        "backtest",
        help="run a grid over recorded candles",
        description="Run one grid through the decision core over recorded candles.",
    )
    backtest.add_argument("--symbol", required=True, help="such as BTCUSDT")
    backtest.add_argument("--levels", type=int, default=10, help="number of grids (10)")
    backtest.add_argument("--spacing-perc", default=None, help="percent between lines (0.5)")
    backtest.add_argument("--lower", default=None, help="lowest line, instead of a spacing")
    backtest.add_argument("--upper", default=None, help="highest line, instead of a spacing")
    backtest.add_argument("--mode", choices=["geometric", "arithmetic"], default="geometric")
    backtest.add_argument("--investment", default="10000", help="quote units in all (10000)")
    _add_fees(backtest)
    _add_futures(backtest)
    backtest.add_argument("--fill-rule", choices=["touch", "through"], default="touch")
    backtest.add_argument(
        "--file", type=Path, default=None, help="candles: Parquet, or CSV in Binance's form"
    )
    backtest.add_argument(
        "--data-dir", type=Path, default=None, help="take the candles from this data directory"
    )
    backtest.add_argument(
        "--interval", type=_interval, default=None, help="width of the stored candles (1m)"
    )
    backtest.add_argument("--start", type=_moment, default=None, help="UTC day or time")
    backtest.add_argument("--end", type=_moment, default=None, help="UTC day or time, exclusive")
    backtest.add_argument(
        "--html", type=Path, default=None, metavar="FILE", help="write a report that opens anywhere"
    )
    backtest.add_argument("--json", action="store_true", help="print one JSON object")
    backtest.set_defaults(work=_backtest)


def _add_fees(command: argparse.ArgumentParser) -> None:
    for name, usual in (("maker", "0.0002"), ("taker", "0.0005")):
        command.add_argument(
            f"--{name}-fee", default=None, help=f"fraction of the value (0.001; futures {usual})"
        )
    command.add_argument(
        "--fee-mode",
        choices=["received", "quote"],
        default=None,
        help="asset that pays (received; on futures always quote)",
    )


def _add_futures(command: argparse.ArgumentParser) -> None:
    """The options of a grid that trades perpetual futures."""
    command.add_argument("--market", choices=["spot", "futures"], default="spot")
    command.add_argument(
        "--leverage", type=int, default=1, help="futures: value of a position / its margin (1)"
    )
    command.add_argument(
        "--margin", choices=["isolated", "crossed"], default="isolated", help="futures (isolated)"
    )
    command.add_argument(
        "--funding",
        default=None,
        metavar="FILE",
        help="futures: rates as Binance writes them, CSV or JSON; 'bundled' for recorded ones; "
        "without it none is paid, and the result says so",
    )


def _backtest(options: argparse.Namespace) -> int:
    from gridlab.research.report import run_command

    return run_command(options)


def _add_sweep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="run every grid of a space over recorded candles",
        description="Run every combination of settings over recorded candles and rank them. A "
        "setting is a value, a list such as 10,20,40 or a range first:last:step; ranges include "
        "their ends.",
    )
    sweep.add_argument("--symbol", required=True, help="such as BTCUSDT")
    sweep.add_argument("--levels", default="10:50:10", help="numbers of grids (10:50:10)")
    sweep.add_argument("--spacing-perc", default=None, help="percent between lines (0.3:1.5:0.1)")
    sweep.add_argument(
        "--width-perc", default=None, help="percent on either side of the price, not a spacing"
    )
    sweep.add_argument("--mode", default="geometric", help="geometric, arithmetic, or both")
    sweep.add_argument("--investment", default="10000", help="quote units in all (10000)")
    _add_fees(sweep)
    _add_futures(sweep)
    sweep.add_argument("--fill-rule", choices=["touch", "through"], default="touch")
    sweep.add_argument(
        "--file", type=Path, default=None, help="candles: Parquet, or CSV in Binance's form"
    )
    sweep.add_argument("--sample", type=int, default=None, metavar="N", help="N rows at random")
    sweep.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    sweep.add_argument(
        "--resume", type=Path, default=None, metavar="FOLDER", help="keep finished parts, go on"
    )
    sweep.add_argument("--threads", type=int, default=None, help="one for each core by default")
    sweep.add_argument("--dask", default=None, metavar="ADDRESS", help="a Dask scheduler, or local")
    sweep.add_argument("--by", default="total_return", help="figure that ranks (total_return)")
    sweep.add_argument("--top", type=int, default=10, metavar="N", help="rows to print (10)")
    sweep.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="all rows: .parquet or .csv"
    )
    sweep.add_argument("--json", action="store_true", help="print one JSON object")
    sweep.add_argument("--quiet", action="store_true", help="no progress bar on stderr")
    sweep.set_defaults(work=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    from gridlab.research.sweep_command import run_command

    return run_command(options)


def _add_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    data = commands.add_parser("data", help="candles: the bundled recordings and your history")
    verbs = data.add_subparsers(required=True, metavar="VERB")
    fetch = verbs.add_parser("fetch", help="top up the history by what it lacks")
    fetch.add_argument(
        "--symbol",
        type=str.upper,
        action="append",
        required=True,
        help="such as BTCUSDT; may be repeated",
    )
    fetch.add_argument("--interval", type=_interval, default="1m", help="candle width (1m)")
    fetch.add_argument(
        "--start", type=_moment, required=True, help="UTC day or time, such as 2026-01-01"
    )
    fetch.add_argument("--end", type=_moment, default=None, help="exclusive (now)")
    fetch.add_argument("--market", choices=["spot", "futures"], default="spot")
    fetch.add_argument("--base-url", default=None, help="another address than the exchange's own")
    fetch.set_defaults(work=_fetch)
    listing = verbs.add_parser("list", help="what is recorded and stored")
    listing.set_defaults(work=_data("run_list"))
    check = verbs.add_parser("verify", help="check every file: hashes, order, gaps")
    check.set_defaults(work=_data("run_verify"))
    for verb in (fetch, listing, check):
        verb.add_argument(
            "--folder", type=Path, default=None, help="the history ($GRIDLAB_DATA_DIR/history)"
        )


def _interval(text: str) -> str:
    from gridlab.domain.market import Interval

    if text not in list(Interval):
        known = ", ".join(Interval)
        raise argparse.ArgumentTypeError(f"{text!r} is no interval; known are {known}")
    return text


def _moment(text: str) -> int:
    from gridlab.data.command import moment

    return moment(text)


def _fetch(options: argparse.Namespace) -> int:
    """Under a ban nothing is asked: it is told to the address that a bot trades from."""
    from gridlab.app.ban_file import remembering_budgets
    from gridlab.app.settings import default_data_dir
    from gridlab.clock import SystemClock
    from gridlab.data.command import run_fetch

    clock = SystemClock()
    return run_fetch(options, clock, remembering_budgets(default_data_dir(), clock))


def _data(verb: str) -> Callable[[argparse.Namespace], int]:
    def work(options: argparse.Namespace) -> int:
        from gridlab.data import command

        return int(getattr(command, verb)(options))

    return work


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gridlab.sentiment.training.command import add_arguments

    train = commands.add_parser("train", help="train a model from your own data")
    kinds = train.add_subparsers(required=True, metavar="MODEL")
    sentiment = kinds.add_parser(
        "sentiment",
        help="the judge of short texts, as the package ships one",
        description="Train the sentiment model on labelled texts and write it with its card.",
    )
    add_arguments(sentiment)
    sentiment.set_defaults(work=_train_sentiment)


def _train_sentiment(options: argparse.Namespace) -> int:
    from gridlab.sentiment.training.command import run

    return run(options)


def _add_replay_journal(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser(
        "replay-journal",
        help="check that a journal reproduces every command it holds",
        description="Verify a stopped data directory's journal and replay it through the core.",
    )
    replay.add_argument("--data-dir", type=Path, default=None)
    replay.add_argument(
        "--mode",
        type=str.capitalize,
        choices=["Replay", "Shadow", "Testnet", "Production"],
        default="Replay",
        help="whose journal (Replay)",
    )
    replay.set_defaults(work=_replay_journal)


def _replay_journal(options: argparse.Namespace) -> int:
    from gridlab.app.audit import audit_journal

    print(json.dumps(audit_journal(options.data_dir, _mode(options)), indent=2))
    return 0


def _add_twin(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from gridlab.twin.options import add_arguments

    twin = commands.add_parser(
        "twin",
        help="a local exchange that speaks Binance's protocol",
        description=(
            "Serve Binance's REST and WebSocket protocol, spot and USD-M, on this machine over "
            "recorded prices; any Binance client can be pointed at it."
        ),
    )
    add_arguments(twin)
    twin.set_defaults(work=_twin)


def _twin(options: argparse.Namespace) -> int:
    from gridlab.twin.server import main as serve

    return int(serve(options))


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check what a start needs, and say what to do",
        description="Check Python, packages, data directory, disk, ports, clock, keys and rules.",
    )
    _add_mode(doctor)
    doctor.add_argument("--config", type=Path, default=None, help="a YAML file over the defaults")
    doctor.add_argument("--data-dir", type=Path, default=None)
    doctor.add_argument("--port", type=_port, default=None, help="the API's port (5000)")
    doctor.add_argument("--json", action="store_true", help="print a JSON array")
    doctor.set_defaults(work=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from gridlab.app.doctor import DoctorOptions, run

    return run(
        DoctorOptions(
            mode=_mode(options),
            endpoints=options.endpoints,
            config=options.config,
            data_dir=options.data_dir,
            port=options.port,
            as_json=options.json,
        )
    )

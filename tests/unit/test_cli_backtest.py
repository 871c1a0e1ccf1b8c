"""`gridlab backtest`: the process, its JSON, its text, its refusals, its speed and its memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridlab.cli import main
from gridlab.data.catalog import load

YEAR = 525_600
BASE = ["backtest", "--symbol", "BTCUSDT"]


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recorded day as the exchange writes it: no header, stamps in microseconds."""
    start = 1_772_323_200_000
    bars = load("BTCUSDT", start_ms=start, end_ms=start + 86_400_000)
    path = tmp_path_factory.mktemp("klines") / "BTCUSDT-1m-2026-03-01.csv"
    with path.open("w") as out:
        for i in range(len(bars)):
            k = bars.kline(i)
            out.write(
                f"{k.open_time_ms}000,{k.open},{k.high},{k.low},{k.close},{k.volume},"
                f"{k.close_time_ms}999,{k.quote_volume},{k.trades},0,0,0\n"
            )
    return path


def test_json_has_every_documented_field(capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, *BASE, "--levels", "20", "--spacing-perc", "0.8")
    assert set(told) >= {
        *("symbol", "bars", "from", "to", "levels", "spacing_perc", "lines", "fills", "money"),
        *("equity", "max_drawdown", "hold_return", "seconds", "bars_per_second", "data_source"),
    }
    assert (told["symbol"], told["bars"], told["levels"]) == ("BTCUSDT", 44_640, 20)
    assert (told["from"], told["to"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert abs(Decimal(told["spacing_perc"]) - Decimal("0.8")) < Decimal("0.0001")
    assert len(told["lines"]) == 21
    assert told["fills"]["buys"] > 10 and told["fills"]["sells"] > 10
    money = {k: Decimal(v) for k, v in told["money"].items() if isinstance(v, str)}
    assert Decimal(told["equity"]) == money["investment"] + money["total"]
    assert "bundled" in told["data_source"] and "AIQuant" in told["data_source"]


def test_file_and_bundle_of_the_same_day_agree(
    capsys: pytest.CaptureFixture[str], day: Path
) -> None:
    told = answer(capsys, *BASE, "--levels", "8", "--spacing-perc", "0.3", "--file", str(day))
    assert (told["bars"], told["to"]) == (1_440, "2026-03-02T00:00:00Z")
    assert str(day) in told["data_source"]
    assert sum(told["fills"].values()) > 5


def test_a_perpetual_with_leverage_and_its_recorded_funding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [*BASE, "--market", "futures", "--leverage", "3", "--investment", "30000"]
    free = answer(capsys, *words)
    assert (free["bars"], free["leverage"], free["margin"]) == (20_791, 3, "isolated")
    assert free["money"]["funding"] == "0" and "none was booked" in free["funding"]
    paid = answer(capsys, *words, "--funding", "bundled", "--margin", "crossed")
    assert Decimal(paid["money"]["funding"]) < 0 and "43 rates" in paid["funding"]
    assert paid["margin"] == "crossed" and paid["liquidation"] is None
    rates = tmp_path / "rates.csv"
    rates.write_text("symbol,funding_time,funding_rate\nBTCUSDT,1749542400000,0.0001\n")
    once = answer(capsys, *words, "--funding", str(rates))
    assert 0 > Decimal(once["money"]["funding"]) > Decimal(paid["money"]["funding"])
    assert main([*words, "--funding", str(tmp_path / "none.csv")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert main([*BASE, "--leverage", "3"]) == 1
    assert "on spot it is 1" in capsys.readouterr().err


def test_options_reach_the_grid(capsys: pytest.CaptureFixture[str], day: Path) -> None:
    words = [*BASE, "--file", str(day), "--lower", "60000", "--upper", "72000", "--levels", "12"]
    words += ["--mode", "arithmetic", "--fee-mode", "quote", "--fill-rule", "through"]
    told = answer(capsys, *words, "--investment", "5000", "--maker-fee", "0", "--taker-fee", "0")
    assert told["lines"][:3] == ["60000", "61000", "62000"]
    assert (told["fill_rule"], told["money"]["investment"]) == ("through", "5000")
    assert told["money"]["fees"] == "0"


def test_unknown_symbols_run_on_derived_rules(
    capsys: pytest.CaptureFixture[str], day: Path
) -> None:
    assert main(["backtest", "--symbol", "NEWUSDT", "--file", str(day)]) == 0
    shown = capsys.readouterr().out
    assert "NEWUSDT has no bundled rules: tick 0.01" in shown
    assert "Backtest of NEWUSDT" in shown and str(day) in shown


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--symbol", "DOGEUSDT"], "not among the bundled spot recordings (BTCUSDT"),
        (["--symbol", "BTCUSDT", "--file", "nowhere.parquet"], "no such file"),
        (["--symbol", "BTCUSDT", "--spacing-perc", "wide"], "--spacing-perc is 'wide'"),
        (["--symbol", "BTCUSDT", "--spacing-perc", "0.1"], "a spacing above about 0.2 %"),
        (["--symbol", "BTCUSDT", "--lower", "60000"], "lower and upper are given together"),
        (["--symbol", "BTCUSDT", "--investment", "10"], "Invest at least"),
        (["--symbol", "BTCUSDT", "--levels", "1"], "from 2 to 1000"),
        (["--symbol", "BTCUSDT", "--maker-fee", "10"], "a fraction such as 0.001"),
    ],
)
def test_refusals_are_words_and_exit_1(
    capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert main(["backtest", *words]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("gridlab: ") and reason in shown.err


def test_neither_plotly_nor_the_workbench_is_imported_on_the_way() -> None:
    program = (
        "import sys; from gridlab.cli import main; main(sys.argv[1:]); "
        "print(sorted({'plotly', 'flask', 'pydantic', 'IPython', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *BASE], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.slow
def test_a_year_of_minutes_is_quick_and_light(tmp_path: Path) -> None:
    """The recorded month, forth and back, until a year is full: real candles, continuous prices.

    The limits leave room for a busy machine; `benchmarks/bench_backtest.py` measures.
    """
    path = tmp_path / "year.parquet"
    write_year(path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    began = time.perf_counter()
    words = [*BASE, "--levels", "20", "--spacing-perc", "1", "--file", str(path), "--json"]
    # VmHWM and not ru_maxrss: the latter is inherited from the process that forked, which is us.
    program = (
        "import sys; from gridlab.cli import main; code = main(sys.argv[1:]); "
        "peak = next(s for s in open('/proc/self/status') if s.startswith('VmHWM')); "
        "print(peak.split()[1], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    told = json.loads(done.stdout)
    assert told["bars"] == YEAR
    assert sum(told["fills"].values()) > 1_000
    assert used < 6 and took < 20, f"{took:.1f} s, {used:.1f} s of them computing"
    assert int(done.stderr) < 500 * 1024, f"{int(done.stderr) / 1024:.0f} MB"


def write_year(path: Path) -> None:
    month = load("BTCUSDT")
    rounds = -(-YEAR // len(month))
    turned = {name: getattr(month, name)[::-1] for name in ("high", "low", "volume")}
    turned |= {"open": month.close[::-1], "close": month.open[::-1]}
    columns = {
        name: np.concatenate(
            [turned[name] if i % 2 else getattr(month, name) for i in range(rounds)]
        )[:YEAR]
        for name in ("open", "high", "low", "close", "volume")
    }
    stamps = int(month.open_time_ms[0]) + 60_000 * np.arange(YEAR)
    pq.write_table(pa.table({"open_time": stamps} | columns), path)

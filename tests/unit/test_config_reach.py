"""The keys that nothing obeys: the list is the truth about the code, and users are told."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import gridlab
from gridlab.app.checks import Check, Verdict
from gridlab.app.config import DEFAULT_PATH, load_config
from gridlab.app.config_models import Section
from gridlab.app.config_reach import UNOBEYED_LIMITS, UNOBEYED_REST, set_in_vain, value_at
from gridlab.app.doctor import DoctorOptions, examine
from gridlab.domain.snapshot import Mode

PACKAGE = Path(gridlab.__file__).parent
UNOBEYED = (*UNOBEYED_LIMITS, *UNOBEYED_REST)
#: These only compare keys with each other.
ONLY_LOOK = {"config_rules.py", "config_reach.py"}
#: What they compare is the key's whole meaning.
IS_A_RULE = ("grid.spot.min_order_size_usd", "risk_management.futures_risk.max_leverage")
#: Keys that are read by their text or all at once, not one by one.
IN_BULK = ("cache.", "sentiment_analysis.binance_news.include_", "ai_agent.features.")


def leaves(section: Section, path: str = "") -> Iterator[str]:
    for name in type(section).model_fields:
        value, here = getattr(section, name), f"{path}{name}"
        if isinstance(value, Section):
            yield from leaves(value, f"{here}.")
        else:
            yield here


def names_read() -> set[str]:
    """Every attribute that the package reads somewhere."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
        if path.name not in ONLY_LOOK
    ]
    return {n.attr for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


def is_listed(name: str) -> bool:
    return any(name == listed or name.startswith(f"{listed}.") for listed in UNOBEYED)


def test_a_key_that_nothing_reads_is_listed_and_one_that_is_read_is_not() -> None:
    read, names = names_read(), tuple(leaves(load_config(DEFAULT_PATH)))
    for name in names:
        is_read = all(part in read for part in name.split("."))
        if not is_read and name not in IS_A_RULE and not name.startswith(IN_BULK):
            assert is_listed(name), f"{name} is read by nothing, and nobody is told"
    # Attributes of these names belong to something else, or only show what is configured.
    alike = ("grid.leverage", "rl_agent.", "alerts.", "sentiment_analysis.rl_feature.")
    for name in filter(is_listed, names):
        if not name.startswith(alike):
            assert name.rpartition(".")[2] not in read, f"{name} is read now; take it off the list"


def test_every_listed_key_exists_and_is_marked_in_the_packaged_file() -> None:
    config, marked = load_config(DEFAULT_PATH), 0
    for line in DEFAULT_PATH.read_text(encoding="utf-8").splitlines():
        key = line.split(":")[0].strip()
        if "# not obeyed yet" in line:
            assert key in {name.rpartition(".")[2] for name in UNOBEYED}, line
            marked += 1
    assert marked == len(UNOBEYED)
    for name in UNOBEYED:
        value_at(config, name)


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text("risk_management: {max_drawdown_perc: 5}\nalerts: {enabled: false}\n")
    return path


def test_what_a_file_sets_in_vain_is_found(own_file: Path) -> None:
    defaults = load_config(DEFAULT_PATH)
    assert set_in_vain(defaults, defaults) == ()
    found = set_in_vain(load_config(own_file), defaults)
    assert found == ("risk_management.max_drawdown_perc", "alerts")


def warnings_of(options: DoctorOptions, name: str) -> list[Check]:
    return [c for c in examine(options) if c.name == name and c.verdict is Verdict.WARN]


def test_the_doctor_names_them(own_file: Path, tmp_path: Path) -> None:
    (told,) = warnings_of(DoctorOptions(data_dir=tmp_path / "d", config=own_file), "config")
    assert "risk_management.max_drawdown_perc, alerts" in told.words
    assert warnings_of(DoctorOptions(data_dir=tmp_path / "d"), "config") == []
    assert warnings_of(DoctorOptions(data_dir=tmp_path / "d"), "limits") == []


def test_real_orders_are_preceded_by_the_limits_that_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BINANCE_TESTNET_API_KEY", "BINANCE_TESTNET_API_SECRET"):
        monkeypatch.setenv(name, "NoneThatWorks")
    silent = "127.0.0.1:9"
    nobody = dict.fromkeys(("rest_spot", "rest_futures"), f"http://{silent}")
    nobody |= dict.fromkeys(("ws_spot", "ws_api_spot", "ws_futures"), f"ws://{silent}")
    options = DoctorOptions(
        data_dir=tmp_path / "d", mode=Mode.TESTNET, endpoints=json.dumps(nobody)
    )
    checks = iter(examine(options))
    # The venue is asked after it; nobody answers here, so the rest is not waited for.
    told = next(check for check in checks if check.name == "limits")
    assert told.verdict is Verdict.WARN and "max_drawdown_perc" in told.words
    assert "/api/kill" in told.words

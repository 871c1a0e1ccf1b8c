"""Who may do what: keys, addresses, the phrase for Production, and types that keep orders in."""

from __future__ import annotations

import ast
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gridlab.app.admission import admit
from gridlab.app.checks import Check, Verdict
from gridlab.app.config import Config, load_config
from gridlab.app.facade import GridLab
from gridlab.app.modes import CONFIRM_VARIABLE, Access, make_access
from gridlab.cli import main
from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig
from gridlab.exchange.binance.endpoints import PRODUCTION, TESTNET

ROOT = Path(__file__).parents[2] / "gridlab"
TESTNET_KEYS = {"BINANCE_TESTNET_API_KEY": "testkey-wxyz", "BINANCE_TESTNET_API_SECRET": "s"}
REAL_KEYS = {"BINANCE_API_KEY": "realkey-abcd", "BINANCE_API_SECRET": "s"}
TWIN = (
    '{"rest_spot":"http://127.0.0.1:1","ws_spot":"ws://127.0.0.1:1","ws_api_spot":'
    '"ws://127.0.0.1:1/ws-api/v3","rest_futures":"http://127.0.0.1:1","ws_futures":'
    '"ws://127.0.0.1:1/fstream","key":"twinkey-1234","secret":"hush"}'
)


def config_of(environment: Mapping[str, str]) -> Config:
    return load_config(environment=environment)


def access_of(mode: Mode, environment: Mapping[str, str], endpoints: str | None = None) -> Access:
    return make_access(config_of(environment), mode, endpoints, environment)


def confirmed(environment: Mapping[str, str] = REAL_KEYS) -> Access:
    return access_of(Mode.PRODUCTION, environment).confirmed("PRODUCTION abcd")


def test_replay_needs_nothing_and_gives_no_right() -> None:
    access = make_access(config_of({}), None, None, {})
    assert access == Access() and access.modes == (Mode.REPLAY,)
    for mode in Mode:
        with pytest.raises(InvalidConfig, match="gridlab up"):
            access.right(mode)


def test_shadow_takes_no_key_although_there_are_some() -> None:
    access = access_of(Mode.SHADOW, {**REAL_KEYS, **TESTNET_KEYS})
    assert access.credentials is None and access.endpoints == PRODUCTION
    with pytest.raises(InvalidConfig):
        access.right(Mode.SHADOW)
    with pytest.raises(InvalidConfig):
        access.right(Mode.PRODUCTION)


def test_testnet_takes_its_own_keys_and_never_those_of_production() -> None:
    access = access_of(Mode.TESTNET, {**REAL_KEYS, **TESTNET_KEYS})
    assert access.credentials is not None and access.credentials.key == "testkey-wxyz"
    assert access.endpoints == TESTNET and access.right(Mode.TESTNET).mode is Mode.TESTNET
    with pytest.raises(InvalidConfig, match="BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SE"):
        access_of(Mode.TESTNET, REAL_KEYS)


def test_the_twins_line_brings_addresses_and_key(tmp_path: Path) -> None:
    path = tmp_path / "twin.json"
    path.write_text(TWIN + "\n")
    for given in (TWIN, str(path)):
        access = access_of(Mode.TESTNET, {}, given)
        assert access.credentials is not None and access.credentials.key == "twinkey-1234"
        assert access.is_play and "twin of Binance" in access.source(Mode.TESTNET)
    assert not access_of(Mode.TESTNET, TESTNET_KEYS).is_play
    assert access_of(Mode.SHADOW, {}, TWIN).credentials is None


@pytest.mark.parametrize(
    ("mode", "endpoints", "words"),
    [
        (Mode.REPLAY, TWIN, "Replay asks no venue"),
        (Mode.PRODUCTION, TWIN, "the exchange's own addresses"),
        (Mode.TESTNET, TWIN.replace("http://127.0.0.1:1", "https://api.binance.com"), "never goes"),
        (Mode.TESTNET, "{}", "lack rest_spot"),
        (Mode.TESTNET, "/nowhere.json", "cannot be read"),
    ],
)
def test_addresses_that_do_not_fit_are_refused(mode: Mode, endpoints: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        access_of(mode, {**REAL_KEYS, **TESTNET_KEYS}, endpoints)


def test_a_configuration_alone_cannot_start_production(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("operation_mode: Production")
    config = load_config(path, REAL_KEYS)
    with pytest.raises(InvalidConfig, match="run gridlab up --production"):
        make_access(config, None, None, REAL_KEYS)
    path.write_text("operation_mode: Testnet")
    assert make_access(load_config(path, {}), None, None, TESTNET_KEYS).mode is Mode.TESTNET


def test_production_needs_its_phrase_before_it_gives_a_right(tmp_path: Path) -> None:
    access = access_of(Mode.PRODUCTION, REAL_KEYS)
    with pytest.raises(InvalidConfig, match="not confirmed"):
        access.right(Mode.PRODUCTION)
    with pytest.raises(InvalidConfig, match="not confirmed"):
        GridLab(tmp_path, access=access)
    for typed in ("", "yes", "PRODUCTION", "production abcd", "PRODUCTION wxyz"):
        with pytest.raises(InvalidConfig, match="type PRODUCTION abcd"):
            access.confirmed(typed)
    assert confirmed().right(Mode.PRODUCTION).mode is Mode.PRODUCTION
    assert access.right_to_look().mode is Mode.PRODUCTION, "the doctor looks before anybody types"


def test_production_is_never_entered_by_a_call() -> None:
    access = confirmed()
    assert access.modes == (Mode.REPLAY, Mode.SHADOW, Mode.PRODUCTION)
    assert [m for m in Mode if access.may_enter(m)] == [Mode.REPLAY, Mode.SHADOW]
    testnet = access_of(Mode.TESTNET, TESTNET_KEYS)
    assert [m for m in Mode if testnet.may_enter(m)] == [Mode.REPLAY, Mode.TESTNET]
    assert [m for m in Mode if Access().may_enter(m)] == [Mode.REPLAY]


def test_keys_are_never_shown() -> None:
    for access in (confirmed(), access_of(Mode.TESTNET, {}, TWIN)):
        for shown in (repr(access), str(access), access.account, access.fingerprint):
            assert "realkey" not in shown and "twinkey" not in shown and "hush" not in shown


def test_accounts_have_names_of_their_own() -> None:
    twins = [
        access_of(Mode.TESTNET, {}, TWIN.replace("127.0.0.1:1", f"127.0.0.1:{n}")) for n in (1, 2)
    ]
    others = [confirmed(), access_of(Mode.TESTNET, TESTNET_KEYS), access_of(Mode.SHADOW, {})]
    assert len({access.fingerprint for access in (*twins, *others)}) == 5


class Keyboard(io.StringIO):
    """Standard input with somebody in front of it."""

    def isatty(self) -> bool:
        return True


FINE = (Check("clock", Verdict.OK, "right"), Check("disk", Verdict.WARN, "little left"))


def test_a_person_types_the_phrase() -> None:
    access = access_of(Mode.PRODUCTION, REAL_KEYS)
    assert admit(access, FINE, keyboard=Keyboard("PRODUCTION abcd\n")).is_confirmed
    with pytest.raises(InvalidConfig, match="not the phrase"):
        admit(access, FINE, keyboard=Keyboard("yes\n"))
    with pytest.raises(InvalidConfig, match="not the phrase"):
        admit(access, FINE, "PRODUCTION abcd", keyboard=Keyboard("\n"))


def test_a_service_needs_the_phrase_in_two_places() -> None:
    access, phrase = access_of(Mode.PRODUCTION, REAL_KEYS), "PRODUCTION abcd"
    nobody: dict[str, Any] = {"keyboard": io.StringIO(phrase)}
    for given, environment in (
        (phrase, {}),
        ("", {CONFIRM_VARIABLE: phrase}),
        (phrase, {CONFIRM_VARIABLE: "PRODUCTION"}),
        ("", {}),
    ):
        with pytest.raises(InvalidConfig, match="nobody can type"):
            admit(access, FINE, given, environment=environment, **nobody)
    with pytest.raises(InvalidConfig, match="not the phrase"):
        admit(access, FINE, "yes", environment={CONFIRM_VARIABLE: "yes"}, **nobody)
    found = admit(access, FINE, phrase, environment={CONFIRM_VARIABLE: phrase}, **nobody)
    assert found.is_confirmed


def test_one_failed_check_keeps_production_shut() -> None:
    failed = (*FINE, Check("spot key", Verdict.FAIL, "the key may withdraw"))
    with pytest.raises(InvalidConfig, match="the key may withdraw"):
        admit(access_of(Mode.PRODUCTION, REAL_KEYS), failed, keyboard=Keyboard("PRODUCTION abcd\n"))


def names_in(path: Path) -> set[str]:
    """Every name that a module's code speaks of, imports included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
    return found


def test_a_right_to_send_orders_is_made_in_one_place() -> None:
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) == "LiveRight"
    }
    assert makers == {"app/modes.py"}


@pytest.mark.parametrize("session", ["replay_session.py", "shadow_session.py", "live_session.py"])
def test_what_replay_and_shadow_build_cannot_sign(session: str) -> None:
    names = names_in(ROOT / "app" / session)
    assert not names & {"SignedTransport", "LiveRight", "Credentials", "BinanceSpot", "credentials"}


def test_a_replay_is_refused_nothing_by_keys_it_does_not_need(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="Production was not confirmed"):
        GridLab(tmp_path, mode=Mode.PRODUCTION, config=config_of(REAL_KEYS))
    with pytest.raises(InvalidConfig, match="needs an API key"):
        GridLab(tmp_path, mode=Mode.PRODUCTION, config=config_of({}))
    assert GridLab(tmp_path, config=config_of(REAL_KEYS)).settings.mode is Mode.REPLAY


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--testnet"], "set BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SECRET"),
        (["--production"], "set BINANCE_API_KEY and BINANCE_API_SECRET"),
        (["--endpoints", TWIN], "needs --testnet or --shadow"),
        (["--testnet", "--endpoints", "/nowhere.json"], "cannot be read"),
    ],
)
def test_the_command_refuses_in_words_and_leaves_nothing(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*TESTNET_KEYS, *REAL_KEYS):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    assert main(["up", "--headless", "--data-dir", str(folder), *words]) == 1
    assert told in capsys.readouterr().err
    assert not folder.exists()


def test_two_modes_at_once_are_no_start() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", "--testnet", "--production"])
    assert ended.value.code == 2

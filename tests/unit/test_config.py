"""The configuration: what is read, what is refused in which words, what is never printed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from gridlab.app.config import DEFAULT_PATH, Config, load_config
from gridlab.app.config_models import Section
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig

Refused = Callable[..., tuple[str, ...]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def refused(write: Callable[[str], Path]) -> Refused:
    def problems(text: str, **environment: str) -> tuple[str, ...]:
        with pytest.raises(InvalidConfig) as caught:
            load_config(write(text), environment)
        return caught.value.problems

    return problems


def test_the_defaults_are_sound_and_startable() -> None:
    config = load_config(environment={})
    assert config.operation_mode is Mode.REPLAY
    spec = config.spec_for("BTCUSDT")
    assert (spec.levels, spec.spacing, spec.investment) == (10, Decimal("0.005"), Decimal(1000))
    assert spec.market is Market.SPOT
    assert spec.fees == FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.RECEIVED)
    assert config.spec_for("BTCUSDT", Market.FUTURES).market is Market.FUTURES


def test_every_documented_section_is_there() -> None:
    documented = {
        *("operation_mode", "api", "exchange", "default_market_type", "grid", "trading"),
        *("pair_selection", "risk_management", "rl_agent", "sentiment_analysis", "ai_agent"),
        *("cache", "alerts", "logging"),
    }
    assert set(Config.model_fields) == documented | {"replay", "api_server"}


def test_the_packaged_file_is_the_only_place_of_defaults() -> None:
    def check(model: type[Section]) -> None:
        for name, field in model.model_fields.items():
            assert field.is_required(), f"{model.__name__}.{name} has a default in code"
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                check(field.annotation)

    check(Config)


def test_a_file_lies_over_the_defaults(write: Callable[[str], Path]) -> None:
    path = write("grid: {initial_levels: 20}\nreplay: {initial_balances: {BTC: '3', USDT: 2e3}}\n")
    config = load_config(path, {})
    assert config.grid.initial_levels == 20
    assert config.grid.initial_spacing_perc == Decimal("0.005")
    assert config.replay.initial_balances == {"BTC": Decimal(3), "USDT": Decimal(2000)}
    by_variable = load_config(environment={"GRIDLAB_CONFIG": str(path)})
    assert by_variable == config


def test_an_empty_file_changes_nothing(write: Callable[[str], Path]) -> None:
    assert load_config(write("# nothing yet\n"), {}) == load_config(environment={})


def test_numbers_keep_the_digits_that_were_typed(write: Callable[[str], Path]) -> None:
    config = load_config(write("replay: {maker_fee: 0.00075, taker_fee: '0.10e-2'}"), {})
    assert config.replay.maker_fee == Decimal("0.00075")
    assert config.replay.taker_fee == Decimal("0.001")


def test_test_is_another_name_of_testnet(write: Callable[[str], Path]) -> None:
    keys = {"BINANCE_API_KEY": "k", "BINANCE_API_SECRET": "s"}
    assert load_config(write("operation_mode: Test"), keys).operation_mode is Mode.TESTNET


@pytest.mark.parametrize("written", ["2026-03-24", "'2026-03-24T00:00:00Z'", "1774310400000"])
def test_times_are_dates_or_milliseconds(write: Callable[[str], Path], written: str) -> None:
    config = load_config(write(f"replay: {{start: {written}, end: 2026-03-25T13:00:00Z}}"), {})
    assert config.replay.start_ms == 1_774_310_400_000
    assert config.replay.end_ms == 1_774_310_400_000 + 37 * 3_600_000


def test_secrets_come_from_the_environment_and_are_never_shown(
    write: Callable[[str], Path],
) -> None:
    keys = {"BINANCE_API_KEY": "open-sesame", "BINANCE_API_SECRET": "hush"}
    config = load_config(write("{}"), keys)
    assert config.api.key is not None and config.api.key.get_secret_value() == "open-sesame"
    dumped = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert "open-sesame" not in dumped and "hush" not in dumped


def test_absent_variables_are_no_keys() -> None:
    config = load_config(environment={"BINANCE_API_KEY": ""})
    assert config.api.key is None and config.api.secret is None


def test_errors_never_show_secrets(refused: Refused) -> None:
    for text in (
        "api: {key: '${K}', kee: hush-literal}",
        "api: [hush-literal]",
        "api: hush-literal",
        "api: {key: {deep: hush-literal}}",
        "api: {key: hush-literal, key: hush-literal}",
        "api: {key: hush-literal",
        "api: {key: '${K}'}\ngrid: {initial_levels: 1}",
    ):
        assert "hush" not in " ".join(refused(text, K="hush"))


def test_errors_do_not_carry_the_input_in_their_chain(write: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_config(write("api: {key: hush, kee: 1}"), {})
    error: BaseException | None = caught.value
    while error is not None:
        assert "hush" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_all_problems_are_told_at_once(refused: Refused) -> None:
    problems = refused("operation_mode: Prod\ngrid: {initial_levels: 1}\nreplay: {speed: fast}\n")
    assert len(problems) == 3
    assert problems[0].startswith("operation_mode is 'Prod'; it must be one of Replay")
    assert problems[1] == "grid.initial_levels is 1; it must be at least 2"
    assert problems[2].startswith("replay.speed is 'fast'; a number is meant")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("grid: {inital_levels: 5}", "the nearest known one is initial_levels"),
        (
            "gird: {initial_levels: 5}",
            "gird is not a key at the top; the nearest known one is grid",
        ),
        ("capital_per_pair_usd: 5", "it belongs at trading.capital_per_pair_usd"),
        ("ai_agent: {model_presets: {qwen3_fast: {modelname: x}}}", "is model_name"),
        ("grid: {initial_spacing_perc: 0.5}", "for 0.5 % write '0.005'"),
        ("grid: {initial_spacing_perc: 40}", "it is a fraction from 0.0001 to 0.2"),
        ("grid: {initial_spacing_perc: .nan}", "a number is meant"),
        ("grid: {initial_levels: true}", "a whole number is meant"),
        ("grid: {initial_levels: 10.0}", "a whole number is meant"),
        ("grid: {initial_levels: 1001}", "at most 1000"),
        ("grid: 5", "grid is 5; a section with keys is meant"),
        ("grid:", "grid is None; a section with keys is meant"),
        ("alerts: {enabled: 1}", "true or false is meant"),
        ("logging: {level: info}", "'INFO'"),
        ("logging: {log_file: '${HOME}/x'}", "only in api.key and api.secret"),
        ("logging: {trade_log_file: /mnt/trades.csv}", "a path below that, such as"),
        ("logging: {trade_log_file: logs/../../t.csv}", "each mode's books"),
        ("trading: {capital_per_pair_usd: '8'}", "10 levels of at least 10 USD"),
        ("trading: {capital_per_pair_usd: '50'}", "lower grid.initial_levels to 5"),
        ("trading: {capital_per_pair_usd: '20000'}", "replay.initial_balances holds at most 10000"),
        ("trading: {market_allocation: {spot_percentage: 50}}", "adds up to 110"),
        ("risk_management: {spot_risk: {min_stable_balance_perc: 40}}", "promises 110 %"),
        ("grid: {futures: {leverage: 50}}", "max_leverage of 20"),
        ("exchange: {supported_markets: [futures]}", "default_market_type is spot"),
        ("sentiment_analysis: {alerts: {positive_threshold: -0.6}}", "must be below"),
        ("operation_mode: Production", "needs api.key"),
        ("replay: {start: 2026-03-25, end: 2026-03-24}", "before the end"),
        ("replay: {start: soon}", "a UTC date such as"),
        ("replay: {fee_mode: third}", "needs replay.fee_asset"),
        ("replay: {fee_asset: BNB}", "serve only fee_mode third"),
        ("replay: {participation: 0}", "above 0"),
        ("replay: {initial_balances: {}}", "at least 1"),
        ("api_server: {dash_port: 5000}", "are both 5000"),
        ("api_server: {port: 70000}", "at most 65535"),
        ("grid: {}\ngrid: {}", "given twice"),
        ("1: 2", "not a word"),
        ("- a", "holds a list"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_what_is_refused_and_why(refused: Refused, text: str, sentence: str) -> None:
    assert any(sentence in problem for problem in refused(text))


def test_the_trade_log_may_lie_anywhere_below_the_books(write: Callable[[str], Path]) -> None:
    config = load_config(write("logging: {trade_log_file: a/b..c/t.csv}"), {})
    assert config.logging.trade_log_file == "a/b..c/t.csv"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"absent\.yaml cannot be read"):
        load_config(tmp_path / "absent.yaml", {})


def test_the_packaged_file_is_plain_yaml() -> None:
    """Any YAML reader sees the same keys: our loader changes only how numbers are kept."""
    plain = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    assert set(plain) == set(Config.model_fields)
    assert plain["grid"]["initial_spacing_perc"] == "0.005"


def test_a_third_asset_pays_the_fees_at_its_price(write: Callable[[str], Path]) -> None:
    text = "replay: {fee_mode: third, fee_asset: BNB, fee_asset_price: '600'}"
    fees = load_config(write(text), {}).spec_for("BTCUSDT").fees
    assert (fees.mode, fees.third_asset, fees.third_price) == (FeeMode.THIRD, "BNB", Decimal(600))

"""Advice that is heeded: less leverage makes a futures grid smaller; all else is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridlab.app.facade import GridLab
from gridlab.app.heed import RULE, heeded
from gridlab.data.catalog import catalog
from gridlab.domain.advice import Advice, AdviceKind, advise
from gridlab.domain.market import Market
from gridlab.domain.plan import Severity
from gridlab.domain.spec import GridSpec

NOW_MS = 1_774_003_600_000
SPOT = GridSpec("BTCUSDT", 10, spacing=Decimal("0.005"), investment=Decimal(1000))
FUTURES = replace(SPOT, market=Market.FUTURES, leverage=5)


def advice(kind: AdviceKind, value: str, now_ms: int = NOW_MS, symbol: str | None = None) -> Advice:
    return advise(
        "sentiment",
        kind,
        symbol,
        value,
        now_ms=now_ms,
        lives_ms=3_600_000,
        reason="the mood is -0.6 by 12 texts",
    )


def test_less_leverage_is_less_value_for_the_same_margin() -> None:
    spec, told = heeded(FUTURES, [advice(AdviceKind.LEVERAGE, "0.5")], NOW_MS)
    assert spec == replace(FUTURES, investment=Decimal(500))
    assert [(one.severity, one.rule) for one in told] == [(Severity.WARN, RULE)]
    assert "risk_adjustment" in told[0].message and "-0.6 by 12 texts" in told[0].message
    by_size = replace(FUTURES, investment=None, quantity=Decimal("0.02"))
    assert heeded(by_size, [advice(AdviceKind.LEVERAGE, "0.5")], NOW_MS)[0].quantity == Decimal(
        "0.01"
    )


def test_a_grid_without_leverage_is_left_as_it_is() -> None:
    less = [advice(AdviceKind.LEVERAGE, "0.5")]
    assert heeded(SPOT, less, NOW_MS) == (SPOT, ())
    whole = replace(FUTURES, leverage=1)
    assert heeded(whole, less, NOW_MS) == (whole, ())


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (AdviceKind.EXPOSURE, "0.25", "invest 0.25"),
        (AdviceKind.NEW_PAIR, "0", "against a new grid on BTCUSDT"),
        (AdviceKind.SPACING, "1.5", "1.5 times as wide"),
    ],
)
def test_all_other_advice_is_told_and_changes_nothing(
    kind: AdviceKind, value: str, words: str
) -> None:
    spec, told = heeded(SPOT, [advice(kind, value)], NOW_MS)
    assert spec == SPOT and words in told[0].message and told[0].severity is Severity.WARN


def test_advice_that_is_over_or_about_another_pair_is_not_heard() -> None:
    old = advice(AdviceKind.LEVERAGE, "0.5", NOW_MS - 3_600_000)
    other = advice(AdviceKind.LEVERAGE, "0.5", symbol="ETHUSDT")
    assert heeded(FUTURES, [old, other], NOW_MS) == (FUTURES, ())


@pytest.fixture
def on_futures(tmp_path: Path) -> Iterator[GridLab]:
    """A replay where futures are recorded."""
    series = next(one for one in catalog() if one.market is Market.FUTURES)
    start_ms = series.first_ms + 60_000 * 60
    config = tmp_path / "config.yaml"
    config.write_text("grid: {futures: {leverage: 3}}\n")
    end_ms = start_ms + 86_400_000
    where = tmp_path / "data"
    with GridLab(where, config=config, speed=0.001, start_ms=start_ms, end_ms=end_ms) as lab:
        yield lab


def test_a_new_futures_grid_is_laid_smaller_and_says_why(
    on_futures: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = on_futures
    symbol = lab.symbols(Market.FUTURES)[0]
    spec = replace(lab.default_spec(symbol, Market.FUTURES), investment=Decimal(8000))
    whole = lab.preflight(spec)
    assert whole.spec.leverage == 3 and not whole.findings
    less = advice(AdviceKind.LEVERAGE, "0.5", lab.snapshot.time_ms)
    monkeypatch.setattr(lab._engine, "_advice", lambda: [less])
    plan = lab.preflight(spec)
    assert plan.ok and plan.quantity < whole.quantity
    assert [finding.rule for finding in plan.findings] == [RULE]
    bot = lab.start_grid(spec)
    assert whole.spec.investment and bot.money.investment == whole.spec.investment / 2

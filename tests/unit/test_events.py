"""The event study and the ablation: a planted effect is found, nothing is called nothing."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Market
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.research.ablation import MoodAblation, mood_ablation
from gridlab.research.events import HOUR_MS, Event, event_study

pytestmark = pytest.mark.slow  # seconds each: left out of make check


def walk(count: int, seed: int, jumps: dict[int, float] | None = None) -> Bars:
    """Hourly bars of a random walk; `jumps` are added to the return of single bars."""
    random = np.random.default_rng(seed)
    steps = 0.004 * random.standard_normal(count)
    for bar, size in (jumps or {}).items():
        steps[bar] += size
    close = 100 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([100.0], close[:-1]))
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.H1,
        HOUR_MS * np.arange(count),
        opened,
        np.maximum(opened, close),
        np.minimum(opened, close),
        close,
        np.full(count, 1.0),
        np.full(count, np.nan),
        np.full(count, -1),
    )


def events_at(bars: list[int], random: np.random.Generator, lag_ms: int = 0) -> list[Event]:
    """An event just before each of these bars opens, with a random sign."""
    signs = random.choice([-1.0, 1.0], len(bars))
    return [
        Event(HOUR_MS * bar - 1 + lag_ms, 0.8 * sign) for bar, sign in zip(bars, signs, strict=True)
    ]


def test_a_planted_effect_is_found_at_its_horizon() -> None:
    random = np.random.default_rng(1)
    when = sorted(random.choice(np.arange(10, 1_900), 120, replace=False).tolist())
    events = events_at(when, random)
    jumps = {bar: 0.004 * np.sign(e.score) for bar, e in zip(when, events, strict=True)}
    study = event_study(events, walk(2_000, 2, jumps), shifts=400)
    hour = study.effects[0]
    assert hour.is_real and hour.events == 120 and 0.002 < hour.mean < 0.006
    assert hour.low < 0 < hour.high < hour.mean
    assert "An effect: 1 h" in study.verdict or "An effect: 4 h" in study.verdict


def test_what_was_seen_after_the_move_earns_nothing() -> None:
    """The same jumps, but each text is seen when its bar is over: no price of the past is used."""
    random = np.random.default_rng(1)
    when = sorted(random.choice(np.arange(10, 1_900), 120, replace=False).tolist())
    events = events_at(when, random, lag_ms=HOUR_MS)
    jumps = {bar: 0.02 * np.sign(e.score) for bar, e in zip(when, events, strict=True)}
    study = event_study(events, walk(2_000, 2, jumps), shifts=400)
    assert study.verdict.startswith("Zero")


def test_noise_is_seldom_called_an_effect() -> None:
    called = 0
    for seed in range(40):
        random = np.random.default_rng(100 + seed)
        when = sorted(random.choice(np.arange(10, 900), 60, replace=False).tolist())
        study = event_study(events_at(when, random), walk(1_000, seed), shifts=199, seed=seed)
        called += any(effect.is_real for effect in study.effects)
    assert called <= 6  # 2 are expected at 5 %; 7 or more have a chance below 0.4 %


def test_few_events_decide_nothing_and_weak_ones_do_not_count() -> None:
    events = [Event(HOUR_MS * bar, 0.5) for bar in range(1, 20)]
    events += [Event(HOUR_MS * bar, 0.05) for bar in range(20, 90)]
    study = event_study(events, walk(200, 3), shifts=50)
    assert study.asked == 19 and study.verdict.startswith("Undecided: 19 usable")


def test_bars_that_are_missing_give_no_return() -> None:
    bars = walk(400, 4)
    holed = bars.slice(None, 100 * HOUR_MS)
    events = [Event(HOUR_MS * bar + 5, 0.5) for bar in range(60, 140)]
    study = event_study(events, holed, shifts=50, horizons_ms=(4 * HOUR_MS,))
    assert study.effects[0].events == 35  # from 60 to the last bar with an exit four bars on


def test_what_cannot_be_studied_is_refused() -> None:
    bars = walk(100, 5)
    with pytest.raises(InvalidInput, match="at least one bar"):
        event_study([], bars, horizons_ms=(60_000,))
    with pytest.raises(InvalidInput, match="from -1 to 1"):
        event_study([Event(0, 2.0)], bars)
    assert event_study([], bars, shifts=10).verdict.startswith("Undecided")


# --- on and off -----------------------------------------------------------------------------------


SPEC = GridSpec("BTCUSDT", 10, spacing=Decimal("0.005"), investment=Decimal(1000))
STRETCH_MS = 12 * HOUR_MS


@pytest.fixture(scope="module")
def march() -> Bars:
    return load("BTCUSDT").slice(None, 1_772_323_200_000 + 30 * STRETCH_MS)


@pytest.fixture(scope="module")
def blind(march: Bars) -> MoodAblation:
    return mood_ablation(SPEC, march, [], stretch_ms=STRETCH_MS)


def test_without_a_mood_on_is_off(blind: MoodAblation) -> None:
    test = blind
    assert len(test.start_ms) == 30 and test.on == test.off == test.blind
    assert test.gain == 0 and test.verdict.startswith("Undecided")


def test_a_mood_that_knows_is_told_and_one_that_guesses_is_not(
    march: Bars, blind: MoodAblation
) -> None:
    starts, returns = list(blind.start_ms), blind.returns
    bad = returns < np.median(returns)
    knowing = [Event(t - 60_000, -0.6 if b else 0.4) for t, b in zip(starts, bad, strict=True)]
    told = mood_ablation(SPEC, march, knowing, stretch_ms=STRETCH_MS, memory_ms=HOUR_MS)
    assert told.gain > 0 and told.p < 0.05 and "earned" in told.verdict
    random = np.random.default_rng(3)
    guessing = [Event(t - 60_000, float(random.uniform(-1, 1))) for t in starts]
    test = mood_ablation(SPEC, march, guessing, stretch_ms=STRETCH_MS, memory_ms=HOUR_MS)
    assert test.p > 0.05 and test.verdict.startswith("Zero")


def test_what_is_seen_at_the_start_or_later_is_not_known_then(
    march: Bars, blind: MoodAblation
) -> None:
    starts, returns = list(blind.start_ms), blind.returns
    bad = returns < np.median(returns)
    late = [Event(t, -0.6 if b else 0.4) for t, b in zip(starts, bad, strict=True)]
    test = mood_ablation(SPEC, march, late, stretch_ms=STRETCH_MS, memory_ms=HOUR_MS)
    assert np.isnan(test.mood).all()


def test_on_risks_the_stated_part(march: Bars, blind: MoodAblation) -> None:
    starts = list(blind.start_ms)
    events = [Event(t - 1, -1.0) for t in starts[:5]]
    test = mood_ablation(SPEC, march, events, stretch_ms=STRETCH_MS, memory_ms=HOUR_MS, part=0.25)
    assert test.part[:5].tolist() == [0.25] * 5 and test.part[5:].tolist() == [1.0] * 25
    assert test.on == pytest.approx(0.25 * test.returns[:5].sum() + test.returns[5:].sum())
    assert test.to_frame()["on"].sum() == pytest.approx(test.on)

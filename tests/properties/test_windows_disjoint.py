"""Windows of any lengths over bars with any holes: no moment is tried twice, none is seen early."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput
from gridlab.research.windows import LONGEST_HOLE_MS, windows_over

HOUR = 3_600_000
START = 20_000 * 24 * HOUR

holes = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 60)), max_size=5)


def bars_with(count: int, gaps: list[tuple[int, int]]) -> Bars:
    missing = [k for first, width in gaps for k in range(first, first + width)]
    kept = np.setdiff1d(np.arange(count), missing)
    price, none = np.full(len(kept), 50.0), np.full(len(kept), np.nan)
    volume = np.ones(len(kept))
    columns = (price, price, price, price, volume, none, np.full(len(kept), -1))
    return Bars("BTCUSDT", Market.SPOT, Interval.H1, START + HOUR * kept, *columns)


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(60, 900),
    gaps=holes,
    train=st.integers(1, 200),
    test=st.integers(1, 80),
    purge=st.integers(0, 30),
    pause=st.integers(0, 40),
    anchored=st.booleans(),
)
def test_windows(
    count: int,
    gaps: list[tuple[int, int]],
    train: int,
    test: int,
    purge: int,
    pause: int,
    anchored: bool,
) -> None:
    bars = bars_with(count, gaps)
    lengths = {"train_ms": train * HOUR, "test_ms": test * HOUR, "purge_ms": purge * HOUR}
    try:
        found = windows_over(bars, **lengths, step_ms=(test + pause) * HOUR, anchored=anchored)
    except InvalidInput as error:
        assert "in one piece" in str(error)
        return
    times = bars.open_time_ms
    tried = np.concatenate([window.trial(bars).open_time_ms for window in found])
    assert (np.diff(tried) > 0).all(), "no moment is tried twice, and trials are in order"
    for window in found:
        seen, after = window.training(bars).open_time_ms, window.trial(bars).open_time_ms
        assert len(seen) and len(after)
        assert after[0] - seen[-1] > purge * HOUR, "the purge lies between"
        assert window.test_to_ms - window.test_from_ms == test * HOUR
        inside = (times >= window.train_from_ms) & (times < window.test_to_ms)
        assert (np.diff(times[inside]) <= LONGEST_HOLE_MS + HOUR).all()
        assert anchored or window.train_to_ms - window.train_from_ms == train * HOUR
    for before, later in zip(found, found[1:], strict=False):
        joined = before.test_to_ms == later.test_from_ms
        assert (before.stretch == later.stretch) == joined

"""`research.stress`: each scenario does what it says, the books close, a card outlives its session.

Premises are checked on the paths themselves, money on the trades; no figure is taken on trust.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridlab
from gridlab.data.catalog import load
from gridlab.domain.account import MarginType
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput, InvalidSpec, NotFound
from gridlab.money import round_to
from gridlab.research.result import BacktestResult
from gridlab.research.scenarios import DEFAULT_VOLATILITY, SCENARIOS, raised, volatility_of
from gridlab.research.stress import StressCard, stress
from gridlab.research.words import signed

pytestmark = pytest.mark.slow  # seconds each: left out of make check

D = Decimal
HOUR = 60
SPOT = GridSpec("BTCUSDT", 20, spacing=D("0.005"), investment=D(10_000))
FUTURES = GridSpec(
    "BTCUSDT",
    12,
    spacing=D("0.01"),
    investment=D(30_000),
    market=Market.FUTURES,
    fees=FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE),
)


@pytest.fixture(scope="module")
def card() -> StressCard:
    return stress(SPOT)


@pytest.fixture(scope="module")
def levered() -> StressCard:
    return stress(replace(FUTURES, leverage=5))


# --- the card -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [SPOT, FUTURES])
def test_books_close_and_the_worst_comes_first(spec: GridSpec) -> None:
    card = stress(spec)
    assert len(card) == len(SCENARIOS) == 7
    applies = [strain for strain in card if strain.applies]
    assert [s.total for s in applies] == sorted(s.total for s in applies)
    assert card.worst is card.strains[0]
    for strain in applies:
        parts = strain.grid_profit + strain.inventory + strain.liquidation + strain.fees
        assert parts + strain.funding == strain.total
        result = card.results[strain.name]
        assert result.engine == "core" and result.money.total == strain.total
        assert (strain.buys, strain.sells) == result.fills
        assert strain.held * strain.last_price == strain.held_value
        assert strain.sentence.endswith(".") and "{" not in strain.sentence + strain.words


def test_the_same_seed_gives_the_same_card_and_another_another(card: StressCard) -> None:
    assert stress(SPOT).to_dict() == card.to_dict()
    other = stress(SPOT, seed=1)
    assert other["chop"].total != card["chop"].total
    assert other["pump"].total == card["pump"].total  # it has no noise
    bars = load("BTCUSDT")
    assert stress(SPOT, bars).to_dict() == card.to_dict()  # the bundled ones serve by default
    assert card.volatility == volatility_of(bars) > 0


def test_what_bars_and_price_do() -> None:
    at_price = stress(SPOT, price="50000")
    assert at_price.price == 50_000 and at_price.volatility == DEFAULT_VOLATILITY
    hours = load("BTCUSDT").slice(end_ms=1_772_323_200_000 + 86_400_000)
    assert stress(SPOT, hours, price=70_000).volatility == volatility_of(hours)
    wide = load("BTCUSDT").resample(gridlab.Interval.H1)
    assert volatility_of(wide) == pytest.approx(volatility_of(load("BTCUSDT")), rel=0.25)


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(InvalidSpec, match="takes no less than"):
        stress(replace(SPOT, investment=D(20)))
    with pytest.raises(InvalidInput, match="bars are of BTCUSDT"):
        stress(replace(SPOT, symbol="ETHUSDT"), load("BTCUSDT"))
    with pytest.raises(InvalidInput, match="give bars or a price"):
        stress(replace(SPOT, symbol="DOGEUSDT"))
    with pytest.raises(InvalidInput, match="choose one of crossed, isolated"):
        stress(FUTURES, margin="none")
    with pytest.raises(NotFound, match="there are"):
        stress(SPOT)["flood"]


def test_the_face_of_the_package_has_it() -> None:
    assert gridlab.stress is stress and "stress" in gridlab.__all__ and len(gridlab.__all__) <= 30


# --- each scenario does what it says --------------------------------------------------------------


def path_of(card: StressCard, name: str) -> BacktestResult:
    return card.results[name]


def test_crash_goes_through_the_bottom_and_leaves_the_grid_full(card: StressCard) -> None:
    result = path_of(card, "crash")
    low = float(result.lines[0])
    assert result.bars.close[-1] == pytest.approx(0.8 * low, rel=1e-6)
    assert np.abs(np.log(result.bars.close[: 6 * HOUR] / float(card.price))).max() < 0.05
    last = {}
    for trade in result.trades[1:]:
        last[trade.client_id.split("-")[2]] = trade.side
    assert set(last.values()) == {"buy"}  # every slot that ever traded has bought last
    assert card["crash"].inventory < 0 and card["crash"].held > 0


def test_pump_never_steps_back_and_empties_the_grid(card: StressCard) -> None:
    result = path_of(card, "pump")
    assert np.all(np.diff(result.bars.close) >= 0) and result.fills.buys == 0
    assert result.bars.close[-1] == pytest.approx(1.2 * float(result.lines[-1]), rel=1e-6)
    assert card["pump"].held < result.plan.quantity / 10
    assert card["pump"].total > 0 and result.hold_return > result.total_return


def test_chop_swings_as_far_as_it_says(card: StressCard) -> None:
    result = path_of(card, "chop")
    away = np.log(result.bars.close / float(card.price)) / np.log(1.005)
    assert 1.0 < away.std() < 2.0 and abs(away.mean()) < 1.0
    assert result.fills.buys > 40 and result.fills.sells > 40


def test_gap_trades_nothing_on_the_way(card: StressCard) -> None:
    result = path_of(card, "gap")
    bar = 6 * HOUR
    before, after = result.bars.close[bar - 1], result.bars.open[bar]
    assert result.bars.low[bar - 1] > after * 1.02 and result.bars.high[bar] < before / 1.02
    fills = [t for t in result.trades if result.bars.index_at(t.time_ms) == bar]
    assert len(fills) >= 5 and all(t.side == "buy" and t.is_maker for t in fills)
    assert all(float(t.price) >= result.bars.low[bar] for t in fills)
    assert sum(float(t.price) > after for t in fills) >= 5  # filled above where it opened
    assert f"The gap fills {len(fills)} buys at once" in card["gap"].sentence


def test_delisting_ends_every_order_and_takes_none(card: StressCard) -> None:
    result = path_of(card, "delisting")
    halted = result.bars.open_time_ms[-10]
    assert result.bars.close[-1] == pytest.approx(0.4 * float(card.price), rel=1e-6)
    assert all(trade.time_ms < halted for trade in result.trades)
    assert len(result.vacancies) == SPOT.levels
    assert all("percent_price" in why for _, why in result.vacancies)  # it would not even be sent
    perpetual = stress(FUTURES).results["delisting"]
    assert any("Market is closed" in why for _, why in perpetual.vacancies)
    strain = card["delisting"]
    with_nothing = signed(strain.total - strain.held_value)
    assert f"the whole comes to {with_nothing} USDT" in strain.sentence


@pytest.mark.parametrize("mode", list(FeeMode))
def test_the_fee_changes_half_way_and_the_grid_does_not_know(mode: FeeMode) -> None:
    token = {"third_asset": "BNB", "third_price": D(600)} if mode is FeeMode.THIRD else {}
    spec = replace(SPOT, fees=FeeSchedule(D("0.00075"), D("0.001"), mode, **token))
    card = stress(spec)
    result, strain = path_of(card, "fee_change"), card["fee_change"]
    half = result.bars.open_time_ms[len(result.bars) // 2]
    seen = {False: 0, True: 0}
    for trade in result.trades[1:]:
        rate = D("0.0015") if trade.time_ms >= half else D("0.00075")
        worth = trade.price * trade.quantity
        if trade.fee_asset == "BTC":
            worth = trade.quantity
        elif trade.fee_asset == "BNB":
            worth = worth / 600
        assert trade.fee == round_to(worth * rate, D("1e-8"))
        seen[bool(trade.time_ms >= half)] += 1
    assert min(seen.values()) > 20
    assert result.spec.fees == spec.fees
    assert strain.compared is not None and strain.compared > strain.total
    assert "With the old fees" in strain.sentence
    assert raised(spec.fees, dict(strain.parameters)).taker == D("0.002")


def test_without_fees_the_change_still_takes_the_floor() -> None:
    free = replace(SPOT, fees=FeeSchedule(D(0), D(0)))
    card = stress(free)
    assert card["fee_change"].fees < 0 == card["chop"].fees


def test_funding_spike_is_paid_eight_times_and_only_on_futures(card: StressCard) -> None:
    assert not card["funding_spike"].applies and card.strains[-1].name == "funding_spike"
    assert "pays no funding" in card["funding_spike"].sentence
    strain = (other := stress(FUTURES))["funding_spike"]
    result = path_of(other, "funding_spike")
    assert len(result.payments) == 8 and strain.funding < 0
    assert strain.compared == strain.total - strain.funding  # nothing else depends on it
    assert "8 payments" in strain.sentence


def test_leverage_brings_liquidation_and_it_is_told(levered: StressCard) -> None:
    assert levered["crash"].is_liquidated and levered["delisting"].is_liquidated
    assert (
        "LIQUIDATED" in levered["crash"].sentence and "of the margin" in levered["crash"].sentence
    )
    assert levered["crash"].liquidation < 0 == levered["crash"].held
    assert not any(strain.is_liquidated for strain in stress(FUTURES))
    crossed = stress(replace(FUTURES, leverage=5), margin=MarginType.CROSSED)
    assert crossed.margin == "crossed" and "crossed margin" in repr(crossed)


@pytest.mark.parametrize(
    "settings",
    [
        {"levels": 2, "spacing": D("0.02")},
        {"levels": 40, "spacing": None, "lower": D(50_000), "upper": D(60_000)},
        {"levels": 30, "spacing": None, "lower": D(70_000), "upper": D(90_000)},
        {"levels": 15, "spacing": D("0.01"), "mode": Spacing.ARITHMETIC},
        {"levels": 220, "spacing": D("0.0025"), "investment": D(90_000)},
    ],
)
def test_other_grids_have_cards_too(settings: dict[str, Any]) -> None:
    """Few lines, a start below or above every line, equal differences, an order window."""
    card = stress(replace(SPOT, **settings))
    assert sum(strain.applies for strain in card) == 6
    assert all(np.isfinite(strain.total_fraction) for strain in card)


# --- stored with a configuration ------------------------------------------------------------------


def test_a_card_lies_beside_its_configuration_and_reads_back(
    tmp_path: Path, levered: StressCard
) -> None:
    config = tmp_path / "my_grid.yaml"
    config.write_text("grid: {}\n")
    where = levered.save(config)
    assert where == tmp_path / "my_grid.stress.json" and config.read_text() == "grid: {}\n"
    back = StressCard.load(config)
    assert back.to_dict() == levered.to_dict() and back.strains == levered.strains
    assert back.spec == levered.spec and not back.results and repr(back) == repr(levered)
    assert back._repr_html_() == levered._repr_html_()
    assert not back.stale(levered.spec)


def test_a_card_is_stale_for_another_spec_and_says_why(tmp_path: Path, card: StressCard) -> None:
    words = card.stale(replace(SPOT, levels=21, investment=D(9_000)))
    assert words.startswith("stale: levels was 20 and is 21; investment was 10000 and is 9000")
    assert "edition" in replace(card, edition=0).stale(SPOT)


def test_store_keeps_what_still_holds_and_replaces_what_does_not(tmp_path: Path) -> None:
    store = tmp_path / "grid.yaml"
    first = stress(SPOT, store=store)
    assert first.results
    again = stress(SPOT, store=store)
    assert not again.results and again.to_dict() == first.to_dict()  # read, not run
    for changed in (
        stress(SPOT, seed=3, store=store),
        stress(SPOT, price=60_000, store=store),
        stress(replace(SPOT, levels=10), store=store),
    ):
        assert changed.results
    assert StressCard.load(store).spec.levels == 10


@pytest.mark.parametrize("content", ["{}", '{"kind": "other"}', "no json", "[]"])
def test_what_is_no_card_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.stress.json"
    path.write_text(content)
    with pytest.raises(InvalidInput):
        StressCard.load(path)
    with pytest.raises(NotFound, match="no stress card"):
        StressCard.load(tmp_path / "none.yaml")


# --- looking at it --------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_sound_and_says_every_scenario(card: StressCard, levered: StressCard) -> None:
    for one in (card, levered):
        html = one._repr_html_()
        tags = Tags(html)
        assert tags.open == [] and not tags.seen & {"script", "iframe", "link", "img"}
        assert not re.search(r"https?://", html) and "var(--jp-" in html
        for strain in one:
            assert strain.title in html
    assert "LIQUIDATED" in levered._repr_html_() and "LIQUIDATED" not in card._repr_html_()
    evil = replace(card, rules="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in evil and "&lt;script&gt;" in evil


def test_frame_and_text_have_a_row_for_each(card: StressCard) -> None:
    frame = card.to_frame()
    assert list(frame.index) == [strain.name for strain in card]
    assert frame.loc["crash", "total"] == float(card["crash"].total)
    assert frame["sentence"].str.len().min() > 20
    text = repr(card)
    assert all(strain.title in text and strain.sentence in text for strain in card)

"""The two languages say the same things, with the same values."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from gridlab.agents.pair_filters import PairFacts, shown
from gridlab.agents.pairs import select_pairs
from gridlab.api import messages, translation
from gridlab.api.messages import ENGLISH, PORTUGUESE, say
from gridlab.api.pair_words import translate_reason
from gridlab.api.translation import translate
from gridlab.app.config import load_config
from gridlab.app.pairs import Selection
from gridlab.data.catalog import instrument
from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.grid.preflight import plan_grid
from gridlab.research.indicators import INDICATORS, check_period

PLACE = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("key", messages._TEXTS)
def test_both_languages_have_the_same_values(key: str) -> None:
    english, portuguese = messages._TEXTS[key]
    assert set(PLACE.findall(english)) == set(PLACE.findall(portuguese))
    assert key == "as_told" or english != portuguese


def test_values_are_not_read_as_placeholders() -> None:
    assert say("http_404", PORTUGUESE, path="/{x}{0}") == "Não há nada em /{x}{0}"


@pytest.mark.parametrize(("english", "portuguese"), translation._SENTENCES)
def test_engine_sentences_are_translated(english: str, portuguese: str) -> None:
    names = PLACE.findall(english)
    values = {name: f"<{name} 1.5 {{x}}>" for name in names}
    said = english.format(**values)
    assert translate(said, ENGLISH) == said
    assert translate(said, PORTUGUESE) == portuguese.format(**values)


def test_what_the_engine_really_says_is_known() -> None:
    """Sentences as they are raised, so that a changed word is noticed here."""
    told = []
    with pytest.raises(InvalidInput) as period:
        check_period(INDICATORS["RSI"], 0)
    told.append(str(period.value))
    config = load_config(environment={})
    book = {"USDT": Decimal(1)}
    for market in Market:
        rules = instrument("BTCUSDT", market)
        spec = config.spec_for("BTCUSDT", market)
        askings = [spec, replace(spec, levels=300, spacing=Decimal("0.001"))]
        if market is Market.FUTURES:
            askings.append(replace(spec, leverage=20))
        for asked in askings:
            plan = plan_grid(asked, rules, Decimal(60_000), book)
            told += [finding.message for finding in plan.findings]
    assert len(told) > 4
    for sentence in told:
        assert translate(sentence, PORTUGUESE) != sentence


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("this engine has no futures market", "esta sessão não tem o mercado futures"),
        (
            "'NOPEUSDT' is not listed on spot at https://a.example",
            "'NOPEUSDT' não está listado em spot em https://a.example",
        ),
        ("NOPEUSDT is not listed on Binance spot", "NOPEUSDT não está listado em Binance spot"),
        (
            "orders are held back until 2026-01-01T00:00:00Z: too many orders",
            "as ordens ficam retidas até 2026-01-01T00:00:00Z: too many orders",
        ),
    ],
)
def test_what_a_live_venue_causes_is_known(sentence: str, said: str) -> None:
    assert translate(sentence, PORTUGUESE) == said


def test_every_reason_in_a_table_of_pairs_is_known() -> None:
    config = load_config(environment={})
    criteria = Selection(Market.SPOT, config, {}).criteria
    criteria = replace(criteria, blacklist=("BADUSDT",), min_sentiment=Decimal("0.5"))
    known = PairFacts(
        *("GOODUSDT", Market.SPOT, None, Decimal(10**10), Decimal(9), Decimal(5)),
        *(Decimal("0.001"), Decimal(10**8), None, Decimal(1)),
    )
    table = select_pairs(
        [
            known,
            replace(known, market=Market.FUTURES, open_interest_usd=Decimal(10**9)),
            replace(known, symbol="NEXTUSDT"),
            replace(known, symbol="BADUSDT", adx=Decimal(99), sentiment=None),
            replace(known, symbol="THINUSDT", depth_usd=Decimal(1), spread_perc=None),
            replace(
                known,
                symbol="CUTUSDT",
                depth_usd=Decimal(1),
                at_least={
                    "depth_usd": "at least 1; the 500 levels read end within 1 % of the middle"
                },
            ),
            replace(known, symbol="FARUSDT", adx=None, not_looked_at="max_adx failed before"),
        ],
        criteria,
        1,
        active=["NEXTUSDT"],
    )
    for row in table:
        for text in (row.reason, *(check.note for check in row.checks if check.note)):
            assert translate_reason(text, ENGLISH) == text
            said = translate_reason(text, PORTUGUESE)
            assert said != text
            assert not {"is", "are", "too", "the", "failed"} & set(said.split())
    thin = next(row for row in table if row.symbol == "THINUSDT")
    limit = shown(criteria.min_liquidity_depth)
    short = shown(criteria.min_liquidity_depth - 1)
    assert translate_reason(thin.reason, PORTUGUESE) == (
        "max_spread_perc: desconhecido: spread_perc não é conhecido; "
        f"min_liquidity_depth: 1 < {limit}: faltam {short}"
    )


def test_an_unknown_sentence_passes() -> None:
    assert translate("the moon is too near", PORTUGUESE) == "the moon is too near"

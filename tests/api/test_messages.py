"""The two languages say the same things, with the same values."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from gridlab.api import messages, translation
from gridlab.api.messages import ENGLISH, PORTUGUESE, say
from gridlab.api.translation import translate
from gridlab.app.config import load_config
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


def test_an_unknown_sentence_passes() -> None:
    assert translate("the moon is too near", PORTUGUESE) == "the moon is too near"

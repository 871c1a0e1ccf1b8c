"""The guard lets given figures pass, in both languages, and nothing else with digits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.llm.facts import (
    LANGUAGES,
    Fact,
    Facts,
    Language,
    count,
    moment_text,
    number_text,
    places_for,
    share,
)
from gridlab.llm.guard import check, figures_in

NOON = 1_774_353_600_000  # 2026-03-24 12:00 UTC
FACTS = Facts(
    (
        Fact("price", Decimal("64987.50"), "USDT", 2),
        share("change", Decimal("-0.0324")),
        share("volatility", Decimal("0.015")),
        Fact("held", Decimal("0.01234"), "BTC", 5),
        Fact("window", Decimal(24), "h"),
        Fact("leverage", Decimal(3), "x"),
        count("orders", 8),
        count("trades", 42),
        count("vacant", 0),
    ),
    names=("BTCUSDT", "RSI(14)", "gl-r1-3-0-0"),
    moments=(NOON,),
)


@pytest.mark.parametrize(
    "text",
    [
        "BTCUSDT trades at 64,987.50 USDT, a change of -3.24% in 24 h; RSI(14) is calm.",
        "The price is $64,987.5, or 64988 dollars, or 64.99k USDT.",
        "It moved -3.2 % while 8 orders (eight) rest and 42 trades were made on 2026-03-24.",
        "At 12:00 UTC on March 24, 2026 the leverage was 3x. Volatility: 1.5 to 1.50%.",
        "Order gl-r1-3-0-0 holds 0.0123 BTC. No vacancies (0, zero).",
        "24-hour change: \u22123.24 percent.",
        "No figures at all; one of them and a second.",
    ],
)
def test_given_figures_pass_in_english(text: str) -> None:
    check(text, FACTS, "en")


@pytest.mark.parametrize(
    "text",
    [
        "BTCUSDT está em 64.987,50 USDT, variação de -3,24% em 24 horas.",
        "São 8 ordens (oito) e 42 trades em 24/03/2026, ou 24 de março de 2026, às 12:00.",
        "O preço é US$ 64.987,5 ou 64,99 mil dólares; volatilidade de 1,5 por cento.",
        "uma ordem, alavancagem 3x",
    ],
)
def test_given_figures_pass_in_portuguese(text: str) -> None:
    check(text, FACTS, "pt")


@pytest.mark.parametrize(
    "text",
    [
        "It will reach 987654.321 soon.",
        "The price is 65,000 USDT.",  # not rounded to its shown digits
        "The price is 64,987.51 USDT.",
        "A change of 3.24%.",  # the sign of a loss must be shown
        "A change of +3.24%.",
        "A change of -3%.",  # rounds away a twentieth
        "A change of -3.25%.",
        "8% of orders",  # a count is no share
        "a move of -3.24",  # a share without its sign
        "42 days",
        "8x leverage",
        "0.01234 ETH",
        "64,987.50 BTC",
        "twenty trades",
        "trades doubled",
        "half of them",
        "a million USDT",
        "RSI(15) is calm",
        "BTCUSDT2 rose",
        "8 234 orders",
        "8'234 orders",
        "8/42",
        "42^8",
        "42:08",
        "13:00 UTC",
        "2026-03-25",
        "2026-03-24-8",
        "in 2027",
        "1e5",
        "v42",
        "42nd",
        "8\u00bd",
        "42\u00b2",
        "\u0664\u0662 trades",
        "\uff14\uff12 trades",
        "\u4e09 trades",
        "4\u200b2 trades",
        "64.987,50 USDT",
        "64,9875",
        "€64,987.50",
        "1. first",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ModelAnswerRefused):
        check(text, FACTS, "en")


@pytest.mark.parametrize(
    "text",
    ["64,987.50 USDT", "0.01234 BTC", "vinte trades", "o dobro", "metade", "64.988,1", "mil USDT"],
)
def test_anything_else_is_refused_in_portuguese(text: str) -> None:
    with pytest.raises(ModelAnswerRefused):
        check(text, FACTS, "pt")


def test_the_refusal_names_the_figure() -> None:
    with pytest.raises(ModelAnswerRefused, match=r"'987654\.321'"):
        check("up to 987654.321!", FACTS, "en")


# --- properties -----------------------------------------------------------------------------------

languages = st.sampled_from(LANGUAGES)
values = st.decimals(
    min_value=-10_000_000, max_value=10_000_000, allow_nan=False, allow_infinity=False, places=8
)
units = st.sampled_from(("", "%", "USDT", "BTC", "h", "x"))


@given(values, st.integers(0, 8), units, languages)
def test_a_fact_told_as_it_is_shown_passes(
    value: Decimal, places: int, unit: str, language: Language
) -> None:
    fact = Fact("it", value, unit, places)
    check(f"It is {fact.shown(language)}.", Facts((fact,)), language)


@given(values, values, st.integers(0, 4), languages)
def test_another_number_is_refused(
    value: Decimal, other: Decimal, places: int, language: Language
) -> None:
    shown = Decimal(number_text(other, places, "en").replace(",", ""))
    assume(abs(shown - value) > Decimal(1).scaleb(-places) / 2)
    text = f"It is {number_text(other, places, language)} now."
    with pytest.raises(ModelAnswerRefused):
        check(text, Facts((Fact("it", value, "USDT", 8),)), language)


@given(st.text(max_size=60), languages)
def test_any_text_is_read_or_refused(text: str, language: Language) -> None:
    try:
        figures = list(figures_in(text, FACTS, language))
    except ModelAnswerRefused:
        return
    digits = sum(sign.isdigit() for sign in text)
    assert digits == 0 or figures or any(name in text for name in FACTS.spellings())


@given(st.lists(values, max_size=5, unique=True), languages)
def test_what_a_prompt_shows_passes(numbers: list[Decimal], language: Language) -> None:
    items = tuple(Fact(f"fact {chr(97 + n)}", value, "USDT", 8) for n, value in enumerate(numbers))
    facts = Facts(items, ("1INCHUSDT",), (NOON,))
    check(facts.lines(language), facts, language)


def test_how_facts_are_written() -> None:
    assert FACTS.said("price", "en") == "64,987.50 USDT"
    assert FACTS.said("price", "pt") == "64.987,50 USDT"
    assert FACTS.said("change", "pt") == "-3,24%"
    assert moment_text(NOON) == "2026-03-24 12:00 UTC"
    assert "price" in FACTS and "cost" not in FACTS
    assert [places_for(Decimal(v)) for v in ("0", "2.5", "-99.9")] == [2, 4, 3]
    with pytest.raises(InvalidInput, match="no name"):
        Facts(names=("14",))
    with pytest.raises(InvalidInput, match="finite"):
        Fact("x", Decimal("NaN"))

"""The tasks: templates that pass their own guard, models that are checked, and who wrote what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.clock import iso
from gridlab.domain.orders import Side
from gridlab.domain.snapshot import BotStatus
from gridlab.llm.client import LocalAIClient
from gridlab.llm.facts import LANGUAGES, Language
from gridlab.llm.guard import check
from gridlab.llm.render import html, markdown
from gridlab.llm.tasks import explanation, grid, market, reports
from gridlab.llm.tasks.explanation import Cause, Decision, Fate
from gridlab.llm.tasks.grid import GridFacts, Shape, by_rule
from gridlab.llm.tasks.market import MarketFacts, Roughness, Trend
from gridlab.llm.tasks.reports import BotFacts, ReportFacts, ReportKind, points_of
from gridlab.llm.writing import TEMPLATE, Brief, write
from gridlab.testing.ollama import INVENTED, LocalOllama, Mode, smallest

pytestmark = pytest.mark.slow  # seconds each: left out of make check

NOON = 1_774_353_600_000
D = Decimal
MARKET = MarketFacts(
    *("BTCUSDT", "USDT", NOON, 168, D("64987.5"), D("-0.0324"), D("67100.00"), D("63950.10")),
    *(D("0.0081"), D("0.0045"), D("38.4"), D("31.2"), D("14.0"), D("28.9")),
)
GRID = GridFacts(
    *("BTCUSDT", "USDT", NOON, D("64987.5"), D("67100.00"), D("63950.10"), 168),
    *(Shape(10, D("0.005")), D("0.002"), D("0.0081"), True),
)
DECISION = Decision(
    *("BTCUSDT", "BTC", "USDT", "gl-r1-3-1-0", Side.SELL, D("65200.00"), D("0.00015"), NOON),
    *(Cause.TURNED, Fate.OPEN, 10, D("64870.00"), D("65200.00"), D("0.0301")),
    *(D("64870.00"), D("0.00015")),
)
BOT = BotFacts(
    *("BTCUSDT", "USDT", "running", D("1000"), D("-12.5"), D("4.2"), D("-14.6"), D("-2.1")),
    *(7, 9, 1, False),
)
REPORT = ReportFacts(ReportKind.DAILY, "Replay", NOON, 24, (BOT,))

prices = st.decimals(min_value="0.00000100", max_value="900000", places=8)
fractions = st.decimals(min_value="-0.9", max_value="9", places=6)
amounts = st.decimals(min_value="-1000000", max_value="1000000", places=8)
scores = st.none() | st.decimals(min_value=0, max_value=100, places=4)
languages = st.sampled_from(LANGUAGES)
markets = st.builds(
    lambda p, change, high, low, *rest: MarketFacts(
        "1INCHUSDT", "USDT", NOON, 48, p, change, p * (1 + high), p * (1 - low), *rest
    ),
    *(prices, fractions, st.decimals(0, 1, places=3), st.decimals(0, "0.9", places=3)),
    *(st.none() | st.decimals(0, "0.2", places=6), st.none() | st.decimals(0, "0.2", places=6)),
    *(scores, scores, scores, scores),
)
bots = st.builds(
    BotFacts,
    *(st.sampled_from(("BTCUSDT", "1INCHUSDT")), st.sampled_from(("USDT", "FDUSD"))),
    *(st.sampled_from(("running", "stopped", "error")), amounts.map(abs), amounts, amounts),
    *(amounts, amounts, st.integers(0, 9999), st.integers(0, 999), st.integers(0, 99)),
    st.booleans(),
)


def assert_template_passes(brief: Brief) -> None:
    written = brief.by_template("no model")
    assert written.author == TEMPLATE and written.sentences and written.refusal == "no model"
    check(written.text, written.facts, written.language)


@given(markets, languages)
def test_market_templates_tell_facts_only(facts: MarketFacts, language: Language) -> None:
    assert_template_passes(market.brief_for(facts, language))
    assert 0 <= facts.caution <= 3


@given(markets, st.integers(2, 900), st.decimals("0.0001", "0.9", places=5), languages)
def test_grid_templates_tell_facts_only(
    facts: MarketFacts, levels: int, spacing: Decimal, language: Language
) -> None:
    asked = GridFacts(
        *(facts.symbol, facts.quote, facts.time_ms, facts.price, facts.high, facts.low, 48),
        *(Shape(levels, spacing), D("0.002"), facts.volatility, False),
    )
    assert_template_passes(grid.brief_for(asked, language))
    shape = by_rule(asked)
    assert 4 <= shape.levels <= 60 and D("0.006") <= shape.spacing <= D("0.05")


@given(
    *(prices, st.sampled_from(Cause), st.sampled_from(Fate), st.sampled_from(Side)),
    *(st.sampled_from(("i", "f", "0", "57")), prices, st.integers(0, 9), languages),
)
def test_explanations_tell_facts_only(
    price: Decimal,
    cause: Cause,
    fate: Fate,
    side: Side,
    slot: str,
    quantity: Decimal,
    fills: int,
    language: Language,
) -> None:
    is_slot = slot.isdigit()
    decision = Decision(
        *("1INCHUSDT", "1INCH", "USDT", f"gl-r12-{slot}-3-1", side, price if is_slot else None),
        *(quantity, NOON, cause, fate, 10),
        lower=price if is_slot else None,
        upper=price * 2 if is_slot else None,
        round_profit=price / 100 if is_slot else None,
        cause_price=price if cause is Cause.TURNED else None,
        cause_quantity=quantity if cause is Cause.TURNED else None,
        executed=quantity if fate is Fate.FILLED else D(0),
        fills=fills,
    )
    assert_template_passes(explanation.brief_for(decision, language))


@given(
    st.sampled_from(ReportKind),
    st.lists(bots, max_size=3, unique_by=lambda bot: bot.symbol),
    st.none() | markets,
    languages,
)
def test_report_templates_tell_facts_only(
    kind: ReportKind, found: list[BotFacts], about: MarketFacts | None, language: Language
) -> None:
    symbol = "" if about is None else about.symbol
    report = ReportFacts(kind, "Replay", NOON, 24, tuple(found), about, symbol)
    brief = reports.brief_for(report, language)
    assert_template_passes(brief)
    made = reports.assemble(report, brief.by_template("no model"))
    assert made.points and all(
        not any(c.isdigit() for c in p.partition(":")[2]) for p in made.points
    )
    assert markdown(made).startswith("# ") and html(made).startswith("<article")


BRIEFS: list[Callable[[Language], Brief]] = [
    lambda language: market.brief_for(MARKET, language),
    lambda language: grid.brief_for(GRID, language),
    lambda language: explanation.brief_for(DECISION, language),
    lambda language: reports.brief_for(REPORT, language),
]


@pytest.fixture
def ollama() -> Iterator[LocalOllama]:
    with LocalOllama() as server:
        yield server


def client_of(server: LocalOllama) -> LocalAIClient:
    return LocalAIClient(server.url, timeout_s=5.0, retries=0)


def saying(brief: Brief, *sentences: str, **values: Any) -> Callable[..., str]:
    """A model that repeats the labels and says these sentences."""
    whole = smallest(brief.schema()) | {name: value for name, (value, _) in brief.labels.items()}
    if "spacing_percent" in whole:
        whole["spacing_percent"] = 0.9
    return lambda *_: json.dumps(whole | {"sentences": list(sentences)} | values)


@pytest.mark.parametrize("brief_for", BRIEFS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_keeps_to_the_facts_is_heard(
    ollama: LocalOllama, brief_for: Callable[[Language], Brief], language: Language
) -> None:
    brief = brief_for(language)
    ollama.answer = saying(brief, *brief.by_template("").sentences[:1][:0], "Quiet.", "BTCUSDT.")
    written = write(client_of(ollama), brief)
    assert (written.author, written.refusal) == ("gemma3:1b", "")
    assert written.text == "Quiet. BTCUSDT." and written.is_by_model
    sent = ollama.chats[0]
    assert sent["format"]["required"][0] == "sentences"
    told = sent["messages"][1]["content"]
    for fact in brief.facts.items:
        assert f"{fact.key}: {fact.shown(language)}" in told


OLD: list[Callable[[Language], Brief]] = [
    lambda language: market.brief_for(replace(MARKET, age_ms=95_000, is_stale=True), language),
    lambda language: grid.brief_for(replace(GRID, age_ms=95_000, is_stale=True), language),
    lambda language: reports.brief_for(
        replace(REPORT, bots=(replace(BOT, age_ms=95_000, is_stale=True),)), language
    ),
    lambda language: reports.brief_for(
        replace(REPORT, market=replace(MARKET, age_ms=95_000, is_stale=True)), language
    ),
]


@pytest.mark.parametrize("brief_for", OLD)
@pytest.mark.parametrize(
    ("language", "warning"),
    [
        ("en", "Attention: these figures are stale; their prices are 95 s old."),
        ("pt", "Atenção: estes números estão desatualizados; seus preços têm 95 s."),
    ],
)
def test_whoever_writes_about_a_stale_price_the_text_begins_with_that(
    ollama: LocalOllama, brief_for: Callable[[Language], Brief], language: Language, warning: str
) -> None:
    brief = brief_for(language)
    ollama.answer = saying(brief, "Quiet.")
    by_model, by_template = write(client_of(ollama), brief), write(None, brief)
    assert (by_model.is_by_model, by_template.is_by_model) == (True, False)
    assert by_model.text == f"{warning} Quiet."
    assert by_template.sentences == (warning, *brief.template)
    for written in (by_model, by_template):
        told = written.to_dict()
        assert (told["stale"], told["as_of"]) == (True, iso(NOON - 95_000))
    prompt = ollama.chats[0]["messages"][1]["content"]
    assert "age_of_prices: 95 s" in prompt and warning in prompt


@pytest.mark.parametrize("brief_for", BRIEFS)
def test_a_fresh_price_is_warned_of_by_nobody(brief_for: Callable[[Language], Brief]) -> None:
    told = brief_for("en").by_template("").to_dict()
    assert not told["stale"] and "stale" not in told["text"]
    assert told["as_of"] in (None, iso(NOON))


def test_a_bot_whose_price_is_old_is_a_point_to_look_at() -> None:
    old = replace(REPORT, bots=(replace(BOT, is_stale=True), replace(BOT, symbol="ETHUSDT")))
    assert "BTCUSDT: its price is stale, so its result is not of now." in points_of(old, "en")
    assert not any("ETHUSDT: its price" in point for point in points_of(old, "en"))


@pytest.mark.parametrize("brief_for", BRIEFS)
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.HANGS, "no whole answer"),
        (Mode.INVENTS_NUMBERS, INVENTED),
        (Mode.CUTS_JSON, "no JSON"),
        (Mode.LIES_ABOUT_MODEL, "gpt-oss:120b"),
        (Mode.FLOODS, "longer than"),
        (Mode.FAILS, "runner process has terminated"),
        (Mode.DROPS, "nothing answers"),
        (Mode.BUSY, "server busy"),
        (Mode.WANTS_TOOLS, "asks for a tool"),
        (Mode.STRANGE, "not Ollama"),
    ],
)
def test_any_other_model_gives_way_to_the_template(
    ollama: LocalOllama, brief_for: Callable[[Language], Brief], mode: Mode, reason: str
) -> None:
    brief = brief_for("en")
    ollama.mode, ollama.answer = mode, saying(brief, "Quiet.")
    client = LocalAIClient(ollama.url, timeout_s=0.4 if mode is Mode.HANGS else 5.0, retries=0)
    written = write(client, brief)
    assert written.author == TEMPLATE and written.sentences == brief.template
    assert reason in written.refusal or mode is Mode.STRANGE
    assert written.refusal and written.values == dict(brief.kept)


@pytest.mark.parametrize(
    "sentence",
    [
        "See https://example.org/now.",
        "<script>alert()</script>",
        "Look [here](x).",
        f"It reaches {INVENTED} USDT.",
        "It doubled.",
    ],
)
def test_sentences_that_are_refused(ollama: LocalOllama, sentence: str) -> None:
    brief = market.brief_for(MARKET, "en")
    ollama.answer = saying(brief, "Quiet.", sentence)
    assert write(client_of(ollama), brief).author == TEMPLATE


def test_a_lie_about_the_trend_is_refused(ollama: LocalOllama) -> None:
    brief = market.brief_for(MARKET, "en")
    assert (MARKET.trend, MARKET.roughness, MARKET.caution) == (Trend.DOWN, Roughness.HIGH, 3)
    ollama.answer = saying(brief, "Up it goes.", trend="up")
    written = write(client_of(ollama), brief)
    assert written.author == TEMPLATE and "calls trend up, and it is down" in written.refusal


def test_a_model_adds_caution_and_takes_none_away(ollama: LocalOllama) -> None:
    calm = MarketFacts(
        *("BTCUSDT", "USDT", NOON, 168, D(100), D(0), D(101), D(99), D("0.005"), D("0.005")),
        *(D(50), D(10), D(10), D(10)),
    )
    for facts, said, heard in ((calm, 0, 0), (calm, 2, 2), (MARKET, 0, 3)):
        brief = market.brief_for(facts, "en")
        ollama.answer = saying(brief, "Quiet.", caution=said)
        assert write(client_of(ollama), brief).values["caution"] == heard


def test_a_model_proposes_within_bounds(ollama: LocalOllama) -> None:
    brief = grid.brief_for(GRID, "en")
    ollama.answer = saying(brief, "Use 12 levels 0.9% apart.", levels=12, spacing_percent=0.9)
    written = write(client_of(ollama), brief)
    assert written.values["shape"] == Shape(12, D("0.009")) and written.is_by_model
    for levels, percent in ((12, 0.3), (61, 0.9), (12, 5.1), (12.5, 0.9)):
        ollama.answer = saying(brief, "Quiet.", levels=levels, spacing_percent=percent)
        written = write(client_of(ollama), brief)
        assert written.author == TEMPLATE and written.values["shape"] == by_rule(GRID)


def test_nobody_is_asked_without_a_model_or_when_switched_off(ollama: LocalOllama) -> None:
    brief = market.brief_for(MARKET, "pt")
    assert "no local model" in write(None, brief).refusal
    assert write(client_of(ollama), brief, off="ai_agent is off").refusal == "ai_agent is off"
    assert ollama.paths == []


def test_a_request_that_is_no_longer_wanted_ends(ollama: LocalOllama) -> None:
    ollama.mode = Mode.HANGS

    def unwanted() -> None:
        if ollama.chats:
            raise KeyboardInterrupt

    client = LocalAIClient(ollama.url, timeout_s=20, retries=0)
    with pytest.raises(KeyboardInterrupt):
        write(client, market.brief_for(MARKET, "en"), still_wanted=unwanted)
    assert ollama.left.wait(30)


def test_what_a_report_shows_cannot_be_markup() -> None:
    brief = reports.brief_for(REPORT, "en")
    summary = brief.by_template("a model said <b>*hi*</b> [x](y) | z")
    made = reports.assemble(REPORT, summary)
    assert "&lt;b&gt;" in html(made) and "<b>" not in html(made)
    assert r"\<b\>\*hi\*" in markdown(made) and r"\[x\](y) \| z" in markdown(made)
    assert "the price has left the grid" in markdown(made)
    table = [line for line in markdown(made).splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in table} == {9}


def test_templates_in_both_languages() -> None:
    english = " ".join(market.brief_for(MARKET, "en").template)
    assert english == (
        "BTCUSDT is at 64,987.50 USDT after a change of -3.24% in 168 h, between 63,950.10 USDT "
        "and 67,100.00 USDT. The trend is down (ADX 31.2). The market is rougher than usual: a "
        "typical hour moves 0.810%, the usual is 0.450%. RSI(14) is 38.4."
    )
    told = " ".join(explanation.brief_for(DECISION, "pt").template)
    assert told == (
        "A ordem gl-r1-3-1-0 vende 0,00015 BTC a 65.200,00 USDT. A ordem do outro lado do slot foi "
        "executada, e o slot inverteu o lado. Essa execução foi de 0,00015 BTC a 64.870,00 USDT. "
        "O slot 3 compra a 64.870,00 USDT e vende a 65.200,00 USDT; um ciclo rende 0,0301 USDT "
        "após taxas. Ela está no livro de ofertas."
    )


@pytest.mark.parametrize("status", BotStatus)
def test_a_report_tells_every_state_in_its_language(status: BotStatus) -> None:
    report = replace(REPORT, bots=(replace(BOT, status=status.value),))
    for language, is_named in (("en", True), ("pt", False)):
        brief = reports.brief_for(report, language)
        (table,) = reports.assemble(report, brief.by_template("no model")).tables
        assert (table.rows[0][1] == status.value) is is_named


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. It is calm", r"1\. It is calm"),
        ("- calm", r"\- calm"),
        ("# calm", r"\# calm"),
        ("== calm", r"\== calm"),
        ("-7.40 USDT", r"\-7.40 USDT"),
    ],
)
def test_a_summary_cannot_begin_a_list_or_a_heading(text: str, shown: str) -> None:
    summary = replace(reports.brief_for(REPORT, "en").by_template("x"), sentences=(text,))
    made = markdown(reports.assemble(REPORT, summary))
    assert shown in made.splitlines()
    assert "| -12.50 USDT |" in made  # a cell begins no line

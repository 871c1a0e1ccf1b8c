"""Reasons in Portuguese: all that the code can give, and where the API shows them."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from reasons import templates

from gridlab.api import create_app, shadow
from gridlab.api.messages import ENGLISH, PORTUGUESE
from gridlab.api.schemas.checks import CachePerformance, DataQuality, ShadowRun
from gridlab.api.sentence import Sentence
from gridlab.api.translation import LONGEST, translate
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.app.heed import heeded
from gridlab.domain.advice import AdviceKind, advise
from gridlab.domain.market import Market
from gridlab.domain.orders import Side
from gridlab.domain.snapshot import AgentHealth, Vacancy, VenueHealth

TEMPLATES = {
    text: place
    for text, place in templates().items()
    if re.search(r"[a-z]{2}", re.sub(r"«\d+»", "", text))
}
#: No words of Portuguese; one of them is in every English sentence of some length.
ENGLISH_WORDS = frozenset(
    ["the", "is", "are", "was", "were", "of", "and", "to", "at", "not", "from", "its", "it", "by"]
    + ["this", "that", "be", "on", "an", "with", "until", "when", "more", "than", "has", "have"]
    + ["they", "which", "so", "any", "or", "if", "there", "again", "may", "cannot", "will"]
)


def said_in_english(text: str) -> set[str]:
    return ENGLISH_WORDS & set(re.findall(r"\w+", text.lower()))


def test_the_reader_of_the_code_finds_what_is_known_to_be_there() -> None:
    for known in (
        "waiting for the initial purchase",
        "refused, «1»; tried again at the next cycle",
        "the grid is emptying",
        "stopped by the user",
        "the recording has ended",
        "«1»; the final sale was refused: «2»",
        "no message for «1» s",
        "orders are held back until «1»: «2»",
        "leverage of «1» is «2» and «3» is assumed",
    ):
        assert known in TEMPLATES, known
    assert len(TEMPLATES) > 120


@pytest.mark.parametrize("text", TEMPLATES)
def test_every_reason_that_the_code_can_give_has_portuguese(text: str) -> None:
    """A reason that is new or reworded needs its sentence in `api.translation_*`."""
    told = translate(text, PORTUGUESE)
    where = f"{TEMPLATES[text]}: {text!r} is told as {told!r}"
    assert told != text, where
    assert sorted(re.findall(r"«\d+»", told)) == sorted(re.findall(r"«\d+»", text)), where
    assert not said_in_english(told), where
    assert translate(text, ENGLISH) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "refused, insufficient_balance: not sent, as another was refused: Account has "
            "insufficient balance for requested action.; tried again at the next cycle",
            "recusada, insufficient_balance: não enviada, pois outra foi recusada: Account has "
            "insufficient balance for requested action.; nova tentativa no próximo ciclo",
        ),
        (
            "canceled by the venue; placed again at the next cycle",
            "cancelada pela corretora; colocada de novo no próximo ciclo",
        ),
        (
            "the connection ended: no close frame received or sent; no connection to "
            "wss://a.example/ws: the venue answers 503",
            "a conexão terminou: no close frame received or sent; sem conexão com "
            "wss://a.example/ws: a corretora responde 503",
        ),
        (
            "not listed of old; stopped by the user; the final sale was refused: filter: Filter "
            "failure: NOTIONAL: price x quantity 4 is below the minimum 5; raise it",
            "not listed of old; parado pelo usuário; a venda final foi recusada: filter: Filtro "
            "não atendido: NOTIONAL: preço x quantidade 4 está abaixo do mínimo 5; aumente",
        ),
        (
            "ExchangeUnavailable: GET /api/v3/account: it answered 503; nothing was changed, try "
            "again later",
            "ExchangeUnavailable: GET /api/v3/account: respondeu 503; nada foi alterado, tente de "
            "novo mais tarde",
        ),
        (
            "leverage of BTCUSDT is 5 and 2 is assumed; position mode of BTCUSDT is hedge and "
            "one_way is assumed",
            "a alavancagem de BTCUSDT é 5 e supõe-se 2; o modo de posição de BTCUSDT é hedge e "
            "supõe-se one_way",
        ),
        ("The book is empty, not yours", "The book is empty, not yours"),
        ("kill switch: gone fishing", "chave de emergência: gone fishing"),
        ("x" * 5_000 + "; kill switch", "x" * 5_000 + "; kill switch"),
    ],
)
def test_reasons_in_reasons_are_told_and_others_words_are_left(text: str, told: str) -> None:
    assert translate(text, PORTUGUESE) == told
    assert translate(text, ENGLISH) == text


@pytest.mark.parametrize(
    "piece", ["; ", "a: ", "a: b; ", "x is y (z); ", "refused, a; ", "1 of 2 "]
)
def test_no_text_is_too_much(piece: str) -> None:
    """A venue's words can be anything; what cannot be a sentence of ours is left in time."""
    text = (piece * LONGEST)[:LONGEST]
    begun_s = time.process_time()
    assert translate(text, PORTUGUESE)
    assert time.process_time() - begun_s < 0.5


#: Meets each literal of a sentence with five values many times, and is not that sentence.
MISLEADING = "the answer[" + "".join(f"a{word} " * 30 for word in (" has", " of", ", not", " to"))


def test_a_text_made_to_mislead_costs_no_more_than_another() -> None:
    """Read as regular expressions, the sentences took seconds for it and held every thread."""
    begun_s = time.process_time()
    for text in (("x; " + MISLEADING)[:705] + "; b" * 9, MISLEADING[:LONGEST], "a" + MISLEADING):
        translate(text, PORTUGUESE)
    assert time.process_time() - begun_s < 1


def test_a_missing_path_is_told_as_it_was_asked_for(lab: GridLab) -> None:
    client = create_app(lab).test_client()
    pt = {"Accept-Language": "pt"}
    path = "/api/nope; the grid is emptying"
    reply = client.get(quote(path), headers=pt)
    assert reply.status_code == 404
    assert reply.json["error"]["message"] == f"Não há nada em {path}"
    reply = client.get(quote("/api/" + MISLEADING * 2), headers=pt)
    assert len(reply.json["error"]["message"]) < 250


@pytest.mark.parametrize(
    ("template", "text", "values"),
    [
        ("no {a}", "no ", None),
        ("no {a}", "no way", {"a": "way"}),
        ("{a} is {b}", "x is is is y", {"a": "x", "b": "is is y"}),
        ("{a} is {b}", "x; z is y", None),
        ("{why} is {b}", "x; z is y", {"why": "x; z", "b": "y"}),
        # The nearest place of a literal is wrong here: a plain value holds no end of a sentence.
        ("{why} is {b} at 1", "x is y; z is y at 1", {"why": "x is y; z", "b": "y"}),
        ("{a} {b}", "x;  y", None),
        ("{a} of {b}", "1 of 2\n", None),
        ("{field} is {b}", "a b is c", None),
        ("{a}aa{b}", "xaaay", {"a": "x", "b": "ay"}),
        ("{a}aa{b}aab", "xaaaaab", {"a": "x", "b": "a"}),
        ("a{a}a", "a", None),
        ("a", "a", {}),
        ("a", "b", None),
    ],
)
def test_a_sentence_is_read_as_it_was_written(
    template: str, text: str, values: dict[str, str] | None
) -> None:
    assert Sentence(template).values(text) == values


def test_what_is_told_of_advice_has_portuguese() -> None:
    spec = load_config(None, {}).spec_for("BTCUSDT", Market.FUTURES)
    reason = "the mood is -0.5 by 7 texts"
    for kind in AdviceKind:
        value = Decimal(0) if kind is AdviceKind.NEW_PAIR else Decimal("0.5")
        value = Decimal(2) if kind is AdviceKind.SPACING else value
        advice = advise("sentiment", kind, None, value, now_ms=0, lives_ms=9_000, reason=reason)
        (finding,) = heeded(replace(spec, leverage=4), [advice], 1_000)[1]
        told = translate(finding.message, PORTUGUESE)
        assert "o humor é -0.5 segundo 7 textos" in told and not said_in_english(told), told


REASON = "the initial purchase waits: this machine stood still for 40 s"
TOLD = "a compra inicial espera: esta máquina ficou parada por 40 s"


@pytest.fixture
def troubled(lab: GridLab, running: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of an engine in which everything has a reason."""
    now = lab.snapshot
    bot = now.bots[running]
    seen = replace(
        now,
        reason="StorageError: " + REASON,
        killed="kill switch",
        bots={
            running: replace(
                bot,
                reason=REASON,
                vacancies=(Vacancy(0, Decimal(1), Side.BUY, "the grid is stopping"),),
            )
        },
        venues={Market.SPOT: VenueHealth("stale", "no message for 70 s", 0, 0)},
        agents=(AgentHealth("trader", "waiting", 0, 1, "ExchangeUnavailable: " + REASON),),
    )
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: seen))
    return create_app(lab).test_client()


def test_every_answer_tells_its_reasons_in_the_asked_language(troubled: FlaskClient) -> None:
    def read(path: str, tongue: str) -> Any:
        return troubled.get(path, headers={"Accept-Language": tongue}).json

    for tongue, reason, vacancy, venue, kill in (
        ("pt-BR", TOLD, "o grid está parando", "nenhuma mensagem há 70 s", "chave de emergência"),
        ("en", REASON, "the grid is stopping", "no message for 70 s", "kill switch"),
    ):
        (execution,) = read("/api/trading/executions", tongue)["executions"]
        for bot in (execution, read("/api/grid/status/BTCUSDT", tongue)):
            assert (bot["reason"], bot["vacancies"][0]["reason"]) == (reason, vacancy)
        for whole in (read("/api/status", tongue), read("/api/health", tongue)):
            assert whole["reason"] == f"StorageError: {reason}"
            assert whole["venues"]["spot"]["reason"] == venue
        (agent,) = read("/api/status", tongue)["agents"]
        assert agent["last_error"] == f"ExchangeUnavailable: {reason}"
        agents = read("/api/metrics", tongue)["multi_agent"]["agents"]
        assert agents["trader_agent"]["reason"] == f"ExchangeUnavailable: {reason}"
        source = "klines gravados da Binance" if tongue == "pt-BR" else "recorded Binance klines"
        assert read("/api/health", tongue)["data_source"] == source
        killed = read("/api/kill", tongue)
        assert killed["reason"] == kill and kill in killed["message"]
        page = troubled.get("/", headers={"Accept-Language": tongue}).text
        assert f">StorageError: {reason}</p>" in page


def test_a_stream_tells_its_reasons_in_the_asked_language(troubled: FlaskClient) -> None:
    for tongue, reason, kill in (
        ("pt", TOLD, "chave de emergência"),
        ("en", REASON, "kill switch"),
    ):
        reply = troubled.get("/api/stream", headers={"Accept-Language": tongue}, buffered=False)
        events = iter(reply.response)
        assert next(events) == b"retry: 2000\n\n"
        event = next(events)
        assert isinstance(event, bytes)
        (line,) = [line for line in event.splitlines() if line.startswith(b"data: ")]
        told = json.loads(line.removeprefix(b"data: "))
        reply.close()
        assert (told["bots"][0]["reason"], told["health"]["killed"]) == (reason, kill)
        assert told["health"]["reason"] == f"StorageError: {reason}"


def test_a_test_of_shadow_tells_its_reasons_in_the_asked_language(lab: GridLab) -> None:
    run = ShadowRun(
        mode="Replay",
        price_source="a recording",
        duration_seconds=1.0,
        market_data_collected=1,
        simulated_trades=0,
        rl_actions_generated=0,
        cache_performance=CachePerformance(reason="nothing was read through the cache"),
        data_quality=DataQuality(
            complete_market_states=1, valid_price_data=True, indicator_calculations="success"
        ),
    )
    for tongue, source, reason in (
        ("pt", "uma gravação", "nada foi lido pelo cache"),
        ("en", run.price_source, run.cache_performance.reason),
    ):
        with create_app(lab).test_request_context(headers={"Accept-Language": tongue}):
            told = shadow._retold(run)
        assert (told.price_source, told.cache_performance.reason) == (source, reason)

"""LocalAIClient against a real server that speaks Ollama's protocol and fails in every way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from waiting import wait_for

from gridlab.errors import InvalidInput, ModelAnswerRefused, ModelUnavailable
from gridlab.llm.answers import Preset, Problem
from gridlab.llm.client import LocalAIClient
from gridlab.testing.ollama import LocalOllama, Mode

pytestmark = pytest.mark.slow  # seconds each: left out of make check

ASK = [{"role": "user", "content": "How is the market?"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["positive", "neutral", "negative"]},
        "score": {"type": "number", "minimum": -1, "maximum": 1},
    },
    "required": ["label", "score"],
}
PRESETS = {
    "qwen3_fast": Preset("qwen3:0.6b", 0.2, 500),
    "gemma3_fast": Preset("gemma3:1b", 0.3, 600),
}


@pytest.fixture
def ollama() -> Iterator[LocalOllama]:
    with LocalOllama(("gemma3:1b", "mistral:7b")) as server:
        yield server


def client_of(server: LocalOllama, **settings: object) -> LocalAIClient:
    return LocalAIClient(server.url, **{"timeout_s": 30.0, "presets": PRESETS, **settings})  # type: ignore[arg-type]


# --- what is there --------------------------------------------------------------------------------


def test_the_models_that_are_there(ollama: LocalOllama) -> None:
    client = client_of(ollama)
    health = client.health_check()
    assert health and health.ok and health.models == ("gemma3:1b", "mistral:7b")
    assert health.took_ms is not None and health.reason == "" and health.address == ollama.url
    assert client.list_models() == health.models
    assert asyncio.run(client.alist_models()) == health.models
    assert ollama.paths == ["/api/tags"]  # one answer serves them all for a while


def test_nothing_is_there() -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else gets this port
        taken.bind(("127.0.0.1", 0))
        client = LocalAIClient(f"http://127.0.0.1:{taken.getsockname()[1]}", retries=0)
        health = client.health_check()
        assert not health and health.problem is Problem.SILENT and "ollama serve" in health.reason
        assert not health.is_running
        with pytest.raises(ModelUnavailable, match="ollama serve"):
            client.list_models()
        with pytest.raises(ModelUnavailable, match="ollama serve"):
            client.chat_completion(ASK, "gemma3:1b")


@pytest.mark.parametrize("mode", [Mode.STRANGE, Mode.REDIRECTS])
def test_what_is_not_ollama_is_told_apart(ollama: LocalOllama, mode: Mode) -> None:
    ollama.mode = mode
    assert client_of(ollama).health_check().problem is Problem.STRANGE
    assert ollama.paths == ["/api/tags"]  # a redirect is not followed
    with pytest.raises(ModelAnswerRefused):
        client_of(ollama).chat_completion(ASK, "gemma3:1b")


def test_an_ollama_without_models() -> None:
    with LocalOllama(()) as server:
        client = client_of(server)
        health = client.health_check()
        assert (health.ok, health.is_running, health.problem) == (False, True, Problem.EMPTY)
        assert client.list_models() == ()
        with pytest.raises(ModelUnavailable, match="ollama pull qwen3:0.6b"):
            client.chat_completion(ASK)


def test_hostile_names_are_left_out() -> None:
    names = ("good:1b", "", "x" * 500, "new\nline", "good:1b", *map(str, range(200)))
    with LocalOllama(names) as server:
        models = client_of(server).list_models()
    assert models[:2] == ("good:1b", "0") and len(models) == 100


def test_many_who_ask_share_one_answer(ollama: LocalOllama) -> None:
    client = client_of(ollama)
    threads = [threading.Thread(target=client.health_check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(ollama.paths) == 1


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7:11434", "http://example.org", "http://127.0.0.1.example.org"]
)
def test_other_machines_are_not_asked(url: str) -> None:
    client = LocalAIClient(url)
    assert client.health_check().problem is Problem.NOT_LOCAL
    for ask in (client.list_models, lambda: client.chat_completion(ASK, "gemma3:1b")):
        with pytest.raises(ModelUnavailable, match="not on this machine"):
            ask()


def test_credentials_are_not_shown_or_sent(
    ollama: LocalOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LocalAIClient("http://me:canary@192.0.2.7:11434/base/?token=canary")
    assert client.address == "http://192.0.2.7:11434/base" and "canary" not in repr(client)
    monkeypatch.setenv("OLLAMA_API_KEY", "canary")
    monkeypatch.setenv("OLLAMA_HOST", "http://192.0.2.7")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.7:3128")
    assert client_of(ollama).chat_completion(ASK).text
    assert "authorization" not in ollama.headers


# --- asking ---------------------------------------------------------------------------------------


def test_an_answer(ollama: LocalOllama) -> None:
    answer = client_of(ollama).chat_completion(ASK, temperature=0.7, max_tokens=77)
    assert answer.text == "The market is quiet." and answer.parsed is None
    assert answer.model == "gemma3:1b"  # the first configured one is not there
    assert answer.tokens and not answer.is_cut
    assert ollama.chats[0]["options"] == {"temperature": 0.7, "num_predict": 77, "seed": 0}
    assert ollama.chats[0]["messages"] == ASK and ollama.chats[0]["stream"] is False


def test_presets_and_models_by_name(ollama: LocalOllama) -> None:
    client = client_of(ollama, temperature=0.9, max_tokens=42)
    assert client.chat_completion(ASK, preset="gemma3_fast").model == "gemma3:1b"
    assert client.chat_completion(ASK, "gemma3:1b").model == "gemma3:1b"
    assert client.chat_completion(ASK, "mistral:7b").model == "mistral:7b"
    assert [chat["options"]["num_predict"] for chat in ollama.chats] == [600, 600, 42]
    with pytest.raises(ModelUnavailable, match="'qwen3:0.6b' not found") as caught:
        client.chat_completion(ASK, preset="qwen3_fast")
    assert caught.value.status == 404 and len(ollama.chats) == 3  # not asked twice
    with pytest.raises(InvalidInput, match="the nearest is gemma3_fast"):
        client.chat_completion(ASK, preset="gemma_fast")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "tool", "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": "x", "images": "y"}],
        [{"role": "user", "content": "x" * 60_001}],
    ],
)
def test_messages_that_cannot_be_sent(ollama: LocalOllama, messages: list[dict[str, str]]) -> None:
    with pytest.raises(InvalidInput):
        client_of(ollama).chat_completion(messages)
    assert ollama.chats == []


def test_an_answer_under_a_schema(ollama: LocalOllama) -> None:
    ollama.answer = lambda *_: '{"label": "neutral", "score": 0.10}'
    answer = client_of(ollama).chat_completion(ASK, schema=SCHEMA)
    assert answer.parsed == {"label": "neutral", "score": Decimal("0.10")}
    assert ollama.chats[0]["format"] == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        "fine",
        "[]",
        '{"label": "neutral"}',
        '{"label": "great", "score": 0}',
        '{"label": "neutral", "score": 1.01}',
        '{"label": "neutral", "score": true}',
        '{"label": "neutral", "score": NaN}',
        '{"label": "neutral", "score": 1e99999999999999999999}',
        '{"label": "neutral", "score": 0, "order": "BUY"}',
        '{"label": "neutral", "score": 0, "score": 1}',
        '{"label": "neutral", "score": ' + "1" * 5000 + "}",
        "[" * 9999,
    ],
)
def test_an_answer_that_does_not_fit_is_refused(ollama: LocalOllama, text: str) -> None:
    ollama.answer = lambda *_: text
    with pytest.raises(ModelAnswerRefused):
        client_of(ollama).chat_completion(ASK, schema=SCHEMA)
    assert len(ollama.chats) == 1  # asked once


def test_a_schema_with_rules_that_would_not_be_checked(ollama: LocalOllama) -> None:
    for schema in ({"type": "string", "pattern": "a"}, {"type": "null"}, {"enum": [1]}):
        with pytest.raises(InvalidInput, match="the schema has"):
            client_of(ollama).chat_completion(ASK, schema=schema)
    assert ollama.chats == []


# --- a server that fails --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.HANGS, Mode.DRIPS])
def test_what_never_ends_is_left_in_time(ollama: LocalOllama, mode: Mode) -> None:
    ollama.mode = mode
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"within 0\.4 s"):
        client_of(ollama, timeout_s=0.4).chat_completion(ASK, "gemma3:1b")
    assert time.monotonic() - began < 30
    assert ollama.left.wait(30), "the connection was kept"


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (Mode.FLOODS, "longer than"),
        (Mode.LIES_ABOUT_MODEL, "'gpt-oss:120b' answered"),
        (Mode.WANTS_TOOLS, "asks for a tool"),
        (Mode.PACKED, "compressed"),
        (Mode.CUTS_JSON, "no JSON"),
        (Mode.CUT_AT_LENGTH, "was cut at 600 tokens"),
    ],
)
def test_what_cannot_be_used_is_refused(ollama: LocalOllama, mode: Mode, words: str) -> None:
    ollama.mode = mode
    with pytest.raises(ModelAnswerRefused, match=words):
        client_of(ollama).chat_completion(ASK, "gemma3:1b", schema=SCHEMA)
    assert len(ollama.chats) == 1


@pytest.mark.parametrize(
    ("mode", "asked", "status"),
    [(Mode.FAILS, 1, 500), (Mode.BUSY, 3, 503), (Mode.DROPS, 3, None)],
)
def test_only_what_may_help_is_asked_again(
    ollama: LocalOllama, mode: Mode, asked: int, status: int | None
) -> None:
    ollama.mode = mode
    with pytest.raises(ModelUnavailable) as caught:
        client_of(ollama, retries=2).chat_completion(ASK, "gemma3:1b")
    assert (len(ollama.chats), caught.value.status) == (asked, status)


def test_a_busy_server_is_asked_again(ollama: LocalOllama) -> None:
    ollama.mode = Mode.BUSY_ONCE
    assert client_of(ollama).chat_completion(ASK).text == "The market is quiet."
    assert len(ollama.chats) == 2


def test_thoughts_are_no_answer(ollama: LocalOllama) -> None:
    ollama.mode = Mode.THINKS
    client = client_of(ollama)
    assert client.chat_completion(ASK).text == "The market is quiet."
    assert "".join(client.stream(ASK)) == "The market is quiet."


# --- in pieces ------------------------------------------------------------------------------------


def test_a_stream(ollama: LocalOllama) -> None:
    pieces = list(client_of(ollama).stream(ASK))
    assert pieces == ["The ", "market ", "is ", "quiet."]
    assert ollama.chats[0]["stream"] is True

    async def collected() -> list[str]:
        return [piece async for piece in client_of(ollama).astream(ASK)]

    assert asyncio.run(collected()) == pieces


def test_leaving_a_stream_closes_the_connection(ollama: LocalOllama) -> None:
    ollama.mode, ollama.answer = Mode.DRIPS, lambda *_: "word " * 200
    for piece in client_of(ollama).stream(ASK):
        assert piece == "word "
        break
    assert ollama.left.wait(30)


def test_an_interrupt_ends_a_stream_that_hangs(ollama: LocalOllama) -> None:
    ollama.mode = Mode.HANGS

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt_when_it_hangs() -> None:
        wait_for(lambda: ollama.chats, "the question")
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    person = threading.Thread(target=interrupt_when_it_hangs)
    try:
        with pytest.raises(KeyboardInterrupt):
            person.start()
            list(client_of(ollama, timeout_s=60.0).stream(ASK, "gemma3:1b"))
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # one that comes too late ends nothing
        person.join()
        signal.signal(signal.SIGALRM, before)
    assert ollama.left.wait(30)
    ollama.mode = Mode.HONEST
    assert client_of(ollama).chat_completion(ASK).text  # the loop is free for others


def test_cancelling_the_task_closes_the_connection(ollama: LocalOllama) -> None:
    ollama.mode, ollama.answer = Mode.DRIPS, lambda *_: "word " * 200
    seen: list[str] = []

    async def read() -> None:
        async for piece in client_of(ollama).astream(ASK):
            seen.append(piece)

    async def cancelled() -> None:
        task = asyncio.create_task(read())
        while not seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ollama.left.wait(30)


@pytest.mark.parametrize("mode", [Mode.DROPS, Mode.FLOODS, Mode.LIES_ABOUT_MODEL, Mode.FAILS])
def test_a_stream_that_fails(ollama: LocalOllama, mode: Mode) -> None:
    ollama.mode = mode
    with pytest.raises((ModelUnavailable, ModelAnswerRefused)):
        list(client_of(ollama).stream(ASK, "gemma3:1b"))


def test_a_stream_that_hangs(ollama: LocalOllama) -> None:
    ollama.mode = Mode.HANGS
    with pytest.raises(ModelUnavailable, match=r"within 0\.4 s"):
        list(client_of(ollama, timeout_s=0.4).stream(ASK, "gemma3:1b"))
    assert ollama.left.wait(30)


def test_the_blocking_form_works_where_a_loop_runs(ollama: LocalOllama) -> None:
    async def cell() -> str:
        return client_of(ollama).chat_completion(ASK).text

    assert asyncio.run(cell()) == "The market is quiet."


def test_hidden_characters_go_neither_way(ollama: LocalOllama) -> None:
    ollama.answer = lambda *_: "up\u202e\x00\x1b[31m 10"
    asked = [{"role": "user", "content": "a\u2066b\x07"}]
    assert client_of(ollama).chat_completion(asked).text == "up[31m 10"
    assert ollama.chats[0]["messages"][0]["content"] == "ab"


def test_the_local_server_speaks_as_ollama_does(ollama: LocalOllama) -> None:
    import httpx

    with httpx.Client(base_url=ollama.url, trust_env=False) as http:
        assert http.get("/").text == "Ollama is running"
        assert http.get("/api/version").json() == {"version": "0.12.3"}
        assert http.post("/api/show", json={"model": "gemma3:1b"}).json()["capabilities"]
        assert http.post("/api/chat", content=b"{").status_code == 400
        gone = http.post("/api/chat", json={"model": "x"})
        assert (gone.status_code, gone.json()) == (404, {"error": "model 'x' not found"})
        lines = http.post("/api/chat", json={"model": "gemma3:1b", "messages": ASK}).text
        parts = [json.loads(line) for line in lines.splitlines()]
    assert [part["done"] for part in parts] == [False] * 4 + [True]

"""What is given again: repeated changes, shared answers, answers that the reader has already."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from waiting import wait_for

from gridlab.api import Server, candles, create_app, idempotency
from gridlab.api.answers import MAX_ANSWER_BYTES, bounded
from gridlab.api.candles import CandleTexts
from gridlab.api.errors import ApiError, render
from gridlab.api.idempotency import Repeats
from gridlab.api.schemas import Candle
from gridlab.app.facade import GridLab
from gridlab.domain.market import Interval, Kline, Market
from gridlab.exchange.base import Dated

GRID = {
    "symbol": "ETHUSDT",
    "config": {"initial_levels": 5, "spacing_perc": 0.6, "market_type": "spot"},
}


@pytest.fixture
def counted() -> Iterator[tuple[FlaskClient, list[int]]]:
    """An application with one slow change that counts how often it ran."""
    app, ran = Flask("counted"), []
    repeats = Repeats(wait_s=60)
    app.before_request(repeats.before)
    gate = threading.Event()
    app.extensions.update(gate=gate, repeats=repeats)
    gate.set()

    @app.after_request
    def after(reply: Response) -> Response:
        repeats.after(reply)
        return reply

    app.register_error_handler(ApiError, render)

    @app.post("/change")
    def change() -> tuple[dict[str, int], int]:
        assert gate.wait(60)
        ran.append(1)
        return {"ran": len(ran)}, 201 if len(ran) < 3 else 409

    yield app.test_client(), ran


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def test_the_same_key_gives_the_first_answer(counted: tuple[FlaskClient, list[int]]) -> None:
    client, ran = counted
    first = client.post("/change", json={"a": 1}, headers=keyed("k"))
    again = client.post("/change", json={"a": 1}, headers=keyed("k"))
    assert (first.status_code, first.json) == (again.status_code, again.json) == (201, {"ran": 1})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert client.post("/change", json={"a": 1}, headers=keyed("l")).json == {"ran": 2}
    assert client.post("/change", json={"a": 1}).json == {"ran": 3}
    refused = client.post("/change", json={"a": 1}, headers=keyed("m"))
    assert refused.status_code == 409
    assert client.post("/change", json={"a": 1}, headers=keyed("m")).json == refused.json
    assert len(ran) == 4


def test_what_asks_to_be_tried_again_may_be(counted: tuple[FlaskClient, list[int]]) -> None:
    """Its copies that wait get the same answer; who comes after the pause has it run."""
    client, ran = counted
    gate, busy = client.application.extensions["gate"], [True]

    @client.application.after_request
    def refuse(reply: Response) -> Response:  # runs before the answer is remembered
        if busy:
            reply.status_code, reply.headers["Retry-After"] = 429, "5"
        return reply

    gate.clear()
    threading.Timer(0.2, gate.set).start()
    with ThreadPoolExecutor(4) as pool:
        senders = [client.application.test_client() for _ in range(4)]
        asked = [pool.submit(s.post, "/change", json={}, headers=keyed("k")) for s in senders]
        first = [future.result(10) for future in asked]
    assert {(r.status_code, r.headers["Retry-After"]) for r in first} == {(429, "5")}
    assert len(ran) == 1
    busy.clear()
    later = client.post("/change", json={}, headers=keyed("k"))
    assert (later.status_code, later.json) == (201, {"ran": 2})
    assert client.post("/change", json={}, headers=keyed("k")).json == later.json
    assert len(ran) == 2


def test_another_request_may_not_use_the_key(counted: tuple[FlaskClient, list[int]]) -> None:
    client, ran = counted
    client.post("/change", json={"a": 1}, headers=keyed("k"))
    for sent in ({"json": {"a": 2}}, {"json": {"a": 1}, "query_string": "x=1"}):
        reply = client.post("/change", headers=keyed("k"), **sent)
        assert reply.status_code == 422
        assert reply.json["error"]["code"] == "idempotency_key_reused"
    stranger = {**keyed("k"), "Authorization": "Bearer other"}
    assert client.post("/change", json={"a": 1}, headers=stranger).status_code == 422
    assert len(ran) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "k" * 129])
def test_odd_keys(counted: tuple[FlaskClient, list[int]], key: str) -> None:
    client, ran = counted
    environ = {"HTTP_IDEMPOTENCY_KEY": key}
    assert client.post("/change", json={}, environ_overrides=environ).status_code == 400
    assert ran == []


def test_copies_wait_for_the_first(counted: tuple[FlaskClient, list[int]]) -> None:
    client, ran = counted
    gate = client.application.extensions["gate"]
    gate.clear()
    answers: list[Any] = []

    def ask() -> None:
        sender = client.application.test_client()
        answers.append(sender.post("/change", json={}, headers=keyed("k")).json)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    threading.Timer(0.2, gate.set).start()
    for thread in threads:
        thread.join(60)
    assert answers == [{"ran": 1}] * 8
    assert ran == [1]


def test_a_copy_does_not_wait_for_ever(counted: tuple[FlaskClient, list[int]]) -> None:
    client, _ = counted
    gate, repeats = (client.application.extensions[name] for name in ("gate", "repeats"))
    gate.clear()
    repeats._wait_s = 0.1
    first = threading.Thread(
        target=lambda: client.application.test_client().post("/change", json={}, headers=keyed("k"))
    )
    first.start()
    wait_for(lambda: repeats._running, "the first")
    reply = client.post("/change", json={}, headers=keyed("k"))
    gate.set()
    first.join(60)
    assert reply.status_code == 409
    assert reply.json["error"]["code"] == "idempotency_running"
    assert reply.headers["Retry-After"] == "5"


def test_what_is_remembered_is_bounded(
    counted: tuple[FlaskClient, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ran = counted
    monkeypatch.setattr(idempotency, "MOST_KEYS", 10)
    for number in range(30):
        client.post("/change", json={}, headers=keyed(f"k{number}"))
    assert len(ran) == 30
    client.post("/change", json={}, headers=keyed("k29"))
    assert len(ran) == 30, "the newest are remembered"
    client.post("/change", json={}, headers=keyed("k0"))
    assert len(ran) == 31, "the oldest are forgotten"


def test_what_runs_at_once_is_bounded(
    counted: tuple[FlaskClient, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ran = counted
    app = client.application
    monkeypatch.setattr(idempotency, "MOST_RUNNING", 2)
    app.extensions["gate"].clear()

    def ask(key: str) -> int:
        return app.test_client().post("/change", json={}, headers=keyed(key)).status_code

    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(ask, key) for key in ("a", "b")]
        wait_for(lambda: app.extensions["repeats"]._running == 2, "both")
        refused = client.post("/change", json={}, headers=keyed("c"))
        app.extensions["gate"].set()
        assert [one.result(60) for one in first] == [201, 201]
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "busy")
    assert refused.headers["Retry-After"] == "5"
    assert len(ran) == 2, "what was refused did not run"
    assert ask("c") == 409, "the key is free again: this is the third run's own answer"


def test_a_start_is_made_once(lab: GridLab) -> None:
    client = create_app(lab).test_client()
    if "ETHUSDT" in lab.snapshot.bots:
        client.post("/api/grid/stop", json={"symbol": "ETHUSDT"})
    first = client.post("/api/grid/start", json=GRID, headers=keyed("start-1"))
    again = client.post("/api/grid/start", json=GRID, headers=keyed("start-1"))
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert client.post("/api/grid/start", json=GRID, headers=keyed("start-2")).status_code == 409
    client.post("/api/grid/stop", json={"symbol": "ETHUSDT"})


# --- ETag


def test_candles_are_not_sent_twice(client: FlaskClient) -> None:
    path = "/api/klines/BTCUSDT?interval=1d&limit=3"
    for _ in range(20):  # the open candle may change between the two
        first = client.get(path)
        tag = first.headers["ETag"]
        again = client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        if again.status_code == 304:
            break
    assert tag.startswith('W/"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["ETag"] == tag
    assert int(again.headers["X-GridLab-Age-Ms"]) >= 0
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get(path, headers={"If-None-Match": "*"}).status_code == 304
    other = client.get("/api/klines/BTCUSDT?interval=1d&limit=4").headers["ETag"]
    assert other != tag


def test_an_open_candle_changes_the_tag(client: FlaskClient) -> None:
    def tag() -> str:
        return client.get("/api/klines/BTCUSDT?interval=1m&limit=5").headers["ETag"]

    first = tag()
    wait_for(lambda: tag() != first, "a change of the open candle")


# --- shared answers


def test_one_answer_serves_all_readers_of_a_step(client: FlaskClient, running: str) -> None:
    first, again = client.get("/api/status"), client.get("/api/status")
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    names = [name for name, _ in first.headers]
    assert sorted(names) == sorted(name for name, _ in again.headers)
    assert (
        client.get("/api/balance", headers={"Accept-Language": "pt"})
        .json["futures"]["error"]
        .startswith("Não")
    )
    assert not client.get("/api/balance").json["futures"]["error"].startswith("Não")


def test_a_change_is_seen_at_once(lab: GridLab) -> None:
    with Server(lab, port=0) as server:
        import httpx

        with httpx.Client(base_url=server.url) as http:
            if "ETHUSDT" in lab.snapshot.bots:
                http.post("/api/grid/stop", json={"symbol": "ETHUSDT"})
            for _ in range(3):
                run = http.post("/api/grid/start", json=GRID).json()["run"]
                assert http.get("/api/grid/status/ETHUSDT").json()["run"] == run
                assert "ETHUSDT" in http.get("/api/status").json()["active_bots"]
                assert http.post("/api/grid/stop", json={"symbol": "ETHUSDT"}).status_code == 200
                assert "ETHUSDT" not in http.get("/api/status").json()["active_bots"]
            bad = http.get("/api/status", headers={"Host": "evil.example"})
            assert bad.status_code == 400
            assert (
                http.get("/api/status", headers={"X-Request-Id": "mine"}).headers["X-Request-Id"]
                == "mine"
            )


def test_a_giant_answer_is_refused_in_words() -> None:
    app = Flask("giant")
    with app.test_request_context("/"):
        fits = Response(b" " * MAX_ANSWER_BYTES, mimetype="application/json")
        assert bounded(fits) is fits
        refused = bounded(Response(b" " * (MAX_ANSWER_BYTES + 1), mimetype="application/json"))
    assert refused.status_code == 422
    assert refused.json["error"]["code"] == "answer_too_large"


def test_candle_texts_are_the_candles(lab: GridLab) -> None:
    """Whatever was kept of earlier questions, the array is what the engine would say now."""
    texts = CandleTexts(lab)
    for limit in (10, 200, 3, 10, 1, 50, 200, 1000):
        for interval in (Interval.M1, Interval.H1):
            for _ in range(100):  # the recording goes on, now and then between the two
                before = lab.klines("BTCUSDT", interval, limit)
                got = texts.array("BTCUSDT", interval, limit, Market.SPOT).text
                after = lab.klines("BTCUSDT", interval, limit)
                if before == after:
                    break
            want = "[" + ",".join(Candle.of(one).model_dump_json() for one in before) + "]"
            assert got == want


def test_a_slow_series_holds_up_no_other(lab: GridLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the live modes the engine may wait many seconds for a venue's answer."""
    texts, asked, answered = CandleTexts(lab), threading.Event(), threading.Event()
    klines = GridLab.dated_klines

    def slow_for_ethereum(self: GridLab, symbol: str, *more: Any) -> Dated[tuple[Kline, ...]]:
        if symbol == "ETHUSDT":
            asked.set()
            assert answered.wait(60)
        return klines(self, symbol, *more)

    monkeypatch.setattr(GridLab, "dated_klines", slow_for_ethereum)
    ask = partial(texts.array, interval=Interval.H1, limit=5, market=Market.SPOT)
    with ThreadPoolExecutor(2) as pool:
        try:
            slow = pool.submit(ask, "ETHUSDT")
            assert asked.wait(30)
            assert pool.submit(ask, "BTCUSDT").result(30).text.startswith("[{")
            assert not slow.done()
        finally:
            answered.set()
        assert slow.result(30).text.startswith("[{")


def test_series_that_are_kept_are_bounded(lab: GridLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "_MOST_SERIES", 2)
    texts = CandleTexts(lab)
    for interval in (Interval.M1, Interval.H1, Interval.M1, Interval.M5):
        texts.array("BTCUSDT", interval, 5, Market.SPOT)
    assert [key[2] for key in texts._known] == [Interval.M1, Interval.M5], "the latest are kept"

"""Server-sent events: what they tell, where they go on, and that they end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from waiting import wait_for

from gridlab.api import Server
from gridlab.api.errors import ApiError
from gridlab.api.requests import TOPICS
from gridlab.api.stream import HEARTBEAT_S, MOST_STREAMS, POLL_S, Hub, Stream
from gridlab.app.facade import GridLab
from gridlab.client import Client
from gridlab.domain.snapshot import Mode, Snapshot, VenueHealth

Event = tuple[str, str, Any]


@pytest.fixture
def hub(lab: GridLab, running: str) -> Iterator[Hub]:
    made = Hub(lab, heartbeat_s=0.3, most_events=50)
    yield made
    made.close()


def events_of(part: bytes) -> list[Event]:
    """(id, topic, data) of each event in a piece of a stream; comments are left out."""
    found = []
    for block in part.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def first_events(stream: Stream, count: int) -> list[Event]:
    found: list[Event] = []
    deadline = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < deadline, f"no more was told than {found}"
        found += events_of(next(stream))
    return found


def test_a_stream_begins_with_everything(hub: Hub) -> None:
    stream = hub.open(TOPICS, "")
    assert next(stream) == b"retry: 2000\n\n"
    ((_, topic, data),) = events_of(next(stream))
    assert topic == "resync"
    assert set(data) == set(TOPICS) - {"fills"}
    assert "BTCUSDT" in [bot["symbol"] for bot in data["bots"]]
    assert data["prices"]["spot"]["BTCUSDT"] > 0
    assert data["orders"]
    stream.close()


def test_only_the_chosen_topics(hub: Hub) -> None:
    stream = hub.open(("prices", "snapshot"), "")
    topics = {topic for _, topic, _ in first_events(stream, 12)}
    assert topics == {"resync", "prices", "snapshot"}
    stream.close()


def test_going_on_after_the_last_event(hub: Hub) -> None:
    stream = hub.open(("snapshot",), "")
    seen = first_events(stream, 4)
    stream.close()
    again = hub.open(("snapshot",), seen[1][0])
    more = first_events(again, 2)
    assert [one[0] for one in more[:2]] == [one[0] for one in seen[2:4]]
    sequences = [data["sequence"] for _, _, data in seen[1:]]
    assert sequences == sorted(set(sequences))
    again.close()


@pytest.mark.parametrize("last", ["other-1", "x", "-", "99999999999999999999", "é-1"])
def test_an_unknown_last_event_gives_everything(hub: Hub, last: str) -> None:
    stream = hub.open(("snapshot",), last)
    assert first_events(stream, 1)[0][1] == "resync"
    stream.close()


def test_a_slow_reader_is_told_everything_anew(hub: Hub) -> None:
    """The ring overtakes it; its memory is the ring's, whatever it does."""
    slow = hub.open(("snapshot", "prices"), "")
    first_events(slow, 2)
    start = hub._last
    wait_for(lambda: hub._last >= start + 60, "more than the ring holds")
    assert len(hub._ring) <= 50
    assert events_of(next(slow))[0][1] == "resync"
    slow.close()


def test_silence_is_filled(hub: Hub) -> None:
    stream = hub.open(("jobs",), "")
    next(stream), next(stream)
    begun = time.monotonic()
    while not (part := next(stream)).startswith(b":"):
        assert events_of(part), "a job of an earlier test ended only now"
        begun = time.monotonic()
    assert time.monotonic() - begun > 0.2, "not before it was silent for so long"
    stream.close()


def test_the_number_is_bounded_and_given_back(hub: Hub) -> None:
    streams = [hub.open(("jobs",), "") for _ in range(MOST_STREAMS)]
    with pytest.raises(ApiError) as refused:
        hub.open(("jobs",), "")
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == "10"
    for stream in streams:
        stream.close()
        stream.close()
    assert hub.streams == 0
    hub.open(("jobs",), "").close()


def test_jobs_orders_and_fills_are_told(lab: GridLab, hub: Hub) -> None:
    stream = hub.open(("jobs", "fills", "orders"), "")
    first_events(stream, 1)
    job = lab.jobs.submit("demo", {"at": time.time()}, lambda handle: {"done": True})
    states: list[str] = []
    deadline = time.monotonic() + 30
    while "done" not in states:
        assert time.monotonic() < deadline, states
        told = [data for _, topic, data in events_of(next(stream)) if topic == "jobs"]
        states += [data["state"] for data in told if data["id"] == job.id]
    stream.close()


def test_closing_ends_every_stream(lab: GridLab, running: str) -> None:
    hub = Hub(lab)
    stream = hub.open(("jobs",), "")
    next(stream), next(stream)
    threading.Timer(0.2, hub.close).start()
    begun = time.monotonic()
    assert list(stream) == []
    assert time.monotonic() - begun < HEARTBEAT_S, "it was woken"
    with pytest.raises(ApiError):
        hub.open(("jobs",), "")


def show(monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot) -> None:
    """Let the engine have published `snapshot`, and nothing since."""
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: snapshot))


@pytest.mark.parametrize("gone", ["bots", "prices"])
def test_what_is_gone_is_told(
    lab: GridLab, hub: Hub, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    reader = hub.open((gone,), "")
    assert first_events(reader, 1)[0][2][gone]
    show(monkeypatch, replace(lab.snapshot, **{gone: {}}))
    told = first_events(reader, 1)
    while told[-1][1] != "resync":
        told = first_events(reader, 1)
    assert not told[-1][2][gone]
    reader.close()


def test_a_stream_opened_while_the_watcher_ends_is_served(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last pause of its last look the thread still lives, and must go on for this one."""
    monkeypatch.setattr("gridlab.api.stream.LINGER_S", POLL_S)
    late: list[Stream] = []
    pause = hub._pause

    def pause_in_which_a_reader_comes() -> None:
        pause()
        if not late:
            late.append(hub.open(("snapshot",), ""))

    monkeypatch.setattr(hub, "_pause", pause_in_which_a_reader_comes)
    with hub._news:  # the thread begins to look when this reader is gone
        hub.open(("jobs",), "").close()
    wait_for(lambda: late, "a reader that comes in the last pause")
    assert [event[1] for event in first_events(late[0], 2)] == ["resync", "snapshot"]
    late[0].close()


def test_the_watcher_ends_without_readers_and_comes_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridlab.api.stream.LINGER_S", POLL_S)
    hub.open(("snapshot",), "").close()
    wait_for(lambda: hub._thread is None, "the end of the watcher")
    reader = hub.open(("snapshot",), "")
    assert {topic for _, topic, _ in first_events(reader, 3)} == {"resync", "snapshot"}
    reader.close()


def test_health_is_that_of_the_route(
    lab: GridLab, client: FlaskClient, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the engine hangs, which publishes nothing, and when a venue's stream is down."""
    sound = lab.snapshot
    down = VenueHealth("stale", "silent", sound.wall_ms, sound.wall_ms)
    hour_ago = replace(sound, wall_ms=sound.wall_ms - 3_600_000)
    reader = hub.open(("health",), "")
    ((_, _, begun),) = first_events(reader, 1)
    assert begun["health"]["ready"] and not begun["health"]["stale"]
    for shown in (hour_ago, replace(sound, venues=dict.fromkeys(sound.venues, down))):
        show(monkeypatch, shown)
        told = first_events(reader, 1)[-1][2]
        route = client.get("/api/health")
        assert route.status_code == 503
        for name in ("ready", "accepts_orders", "stale", "engine_state", "reason"):
            assert told[name] == route.json[name], name
        assert not told["ready"] and not told["accepts_orders"]
        assert told["venues"] == {m: v["state"] for m, v in route.json["venues"].items()}
    reader.close()


@pytest.mark.parametrize("query", ["topics=", "topics=nope", "topics=bots,", "x=1"])
def test_wrong_topics(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/stream?{query}").status_code == 400


def test_over_a_socket(lab: GridLab, running: str) -> None:
    """Heads at once, events as they come, and other calls go on beside many streams."""
    with Server(lab, port=0) as server:
        lines = []
        for _ in range(MOST_STREAMS):
            line = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            line.sendall(b"GET /api/stream?topics=prices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            lines.append(line)
        assert all(b"text/event-stream" in line.recv(2000) for line in lines)
        refused = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        refused.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert refused.recv(2000).startswith(b"HTTP/1.1 503")
        with Client(server.url) as client:
            assert client.status()["api_status"] == "online"
        begun = time.monotonic()
    assert time.monotonic() - begun < HEARTBEAT_S, "no stream had to be waited for"
    for line in (*lines, refused):
        line.close()


def test_the_client_follows(lab: GridLab, running: str) -> None:
    with Server(lab, port=0) as server, Client(server.url) as client:
        found = []
        for event in client.stream(["prices", "snapshot"]):
            found.append(event)
            if len(found) == 5:
                break
    assert found[0].topic == "resync"
    assert {event.topic for event in found[1:]} <= {"prices", "snapshot"}
    assert all(event.id for event in found)


def test_a_mode_that_could_not_be_entered_has_no_fills_and_ends_no_stream(
    lab: GridLab, hub: Hub
) -> None:
    """Its blank snapshot was seen, and its journal was never made."""
    stream = hub.open(("snapshot",), "")
    first_events(stream, 1)
    with hub._news:
        seen = hub._picture
        assert seen is not None
        assert not lab.settings.in_mode(Mode.SHADOW).journal_path.exists()
        hub._picture = replace(seen, snapshot=replace(seen.snapshot, mode=Mode.SHADOW))
    told = [(topic, data) for _, topic, data in first_events(stream, 2)]
    assert told[0][0] == "resync" and told[0][1]["snapshot"]["mode"] == "Replay"
    stream.close()

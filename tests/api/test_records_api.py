"""Pages of orders, fills and events: nothing missing, nothing twice, and more when more comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from extra import answered, client_of, refused
from flask.testing import FlaskClient
from waiting import wait_for

from gridlab.app import paper_account, record_verbs
from gridlab.app.facade import GridLab
from gridlab.store.journal import read_entries

#: The key of each kind's items and their identity.
KINDS = {"orders": "order_id", "fills": "cursor", "events": "sequence"}
ORDER = {"order_id", "type", "side", "price", "quantity", "status", "timestamp"}


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    """A lab that stands still after a grid was started, traded and stopped."""
    with GridLab(tmp_path_factory.mktemp("traded"), speed=0, end_ms=1_774_618_440_000) as lab:
        lab.start_grid(lab.default_spec("BTCUSDT"))
        lab.stop_grid("BTCUSDT")
        lab_settles(lab)
        yield lab


def lab_settles(lab: GridLab) -> None:
    """Wait until the recording has ended, so that pages do not grow under a test."""
    wait_for(lambda: lab.snapshot.state.value == "finished", "the end of the recording", 60)


@pytest.fixture
def api(traded: GridLab) -> FlaskClient:
    return client_of(traded)


def pages(api: FlaskClient, kind: str, limit: int, query: str = "") -> list[Any]:
    """Every item, read page by page."""
    items: list[Any] = []
    cursor: Any = 0
    while True:
        page = answered(api.get(f"/api/{kind}?cursor={cursor}&limit={limit}{query}"))
        assert len(page[kind]) <= limit
        items += page[kind]
        assert isinstance(page["next_cursor"], str if kind == "orders" else int)
        assert int(page["next_cursor"]) >= int(cursor)
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return items


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_join_without_gap_or_repeat(api: FlaskClient, kind: str, limit: int) -> None:
    items = pages(api, kind, limit)
    identities = [int(item[KINDS[kind]]) for item in items]
    assert identities == sorted(set(identities))
    assert items == answered(api.get(f"/api/{kind}?limit=1000"))[kind]
    assert len(items) >= (1 if kind == "fills" else 10)


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_the_end_the_cursor_stays(api: FlaskClient, kind: str) -> None:
    last = answered(api.get(f"/api/{kind}?limit=1000"))["next_cursor"]
    page = answered(api.get(f"/api/{kind}?cursor={last}"))
    assert (page[kind], page["has_more"], page["next_cursor"]) == ([], False, last)
    far = answered(api.get(f"/api/{kind}?cursor={10**15 - 1}"))
    assert (far[kind], int(far["next_cursor"])) == ([], 10**15 - 1)


def test_exactly_a_full_page_has_no_more(api: FlaskClient) -> None:
    count = len(pages(api, "orders", 1000))
    assert answered(api.get(f"/api/orders?limit={count}"))["has_more"] is False
    assert answered(api.get(f"/api/orders?limit={count - 1}"))["has_more"] is True


def test_orders_have_the_documented_fields(api: FlaskClient, traded: GridLab) -> None:
    for order in pages(api, "orders", 1000):
        assert set(order) >= ORDER
        assert order["status"] in ("new", "filled", "cancelled")
        assert order["run"] == traded.snapshot.bots["BTCUSDT"].run
        assert (order["price"] is None) == (order["type"] == "market")
    states = {order["status"] for order in pages(api, "orders", 1000)}
    assert {"filled", "cancelled"} <= states


def test_filters(api: FlaskClient) -> None:
    assert pages(api, "orders", 7, "&open_only=true") == []
    assert pages(api, "orders", 7, "&open_only=false") == pages(api, "orders", 1000)
    assert pages(api, "orders", 7, "&symbol=btcusdt") == pages(api, "orders", 1000)
    assert pages(api, "orders", 7, "&symbol=ETHUSDT") == []
    assert pages(api, "fills", 7, "&symbol=ETHUSDT") == []
    assert pages(api, "events", 7, "&run=nosuch") == []


def test_one_request_for_fills_looks_at_a_bounded_part_of_the_journal(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pages(api, "fills", 1000)
    reads: list[int] = []

    def counted(*arguments: Any) -> Any:
        for found in read_entries(*arguments):
            reads.append(found[0])
            yield found

    monkeypatch.setattr(record_verbs, "read_entries", counted)
    monkeypatch.setattr(record_verbs, "MOST_ENTRIES", 5)
    page = answered(api.get("/api/fills?symbol=ETHUSDT"))
    assert (page["fills"], page["has_more"], page["next_cursor"]) == ([], True, 5)
    assert reads == [1, 2, 3, 4, 5, 6]
    assert pages(api, "fills", 1000) == whole and whole
    assert pages(api, "fills", 1000, "&symbol=ETHUSDT") == []


def test_one_request_for_orders_looks_at_a_bounded_number(
    api: FlaskClient, traded: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pages(api, "orders", 1000)
    assert traded.orders(open_only=True) == () and len(traded.orders("BTCUSDT")) == len(whole)
    monkeypatch.setattr(paper_account, "MOST_ORDERS", 4)
    for query in ("symbol=ETHUSDT", "open_only=true&limit=1"):
        page = answered(api.get(f"/api/orders?{query}"))
        assert (page["orders"], page["has_more"], page["next_cursor"]) == ([], True, "4")
    assert pages(api, "orders", 1000) == whole
    assert traded.orders(open_only=True) == () and len(traded.orders("BTCUSDT")) == len(whole)


def test_fills_are_those_of_the_bot(api: FlaskClient, traded: GridLab) -> None:
    fills = pages(api, "fills", 2)
    assert len(fills) == traded.snapshot.bots["BTCUSDT"].trade_count
    assert [fill["trade_id"] for fill in fills] == [t.trade_id for t in traded.trades("BTCUSDT")]


def test_events_tell_the_run_s_whole_story(api: FlaskClient, traded: GridLab) -> None:
    run = traded.snapshot.bots["BTCUSDT"].run
    events = pages(api, "events", 5, f"&run={run}")
    assert events[0]["type"] == "GridStarted"
    assert {event["run"] for event in events} == {run}
    assert "StopRequested" in {event["type"] for event in events}
    commands = [command["_"] for event in events for command in event["commands"]]
    assert {"PlaceOrder", "CancelOrder"} <= set(commands)
    spec = events[0]["event"]["spec"]
    assert (spec["symbol"], spec["levels"]) == ("BTCUSDT", 10)


def test_a_page_of_large_items_is_cut(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pages(api, "events", 1000)
    monkeypatch.setattr("gridlab.api.records.fitting", small_fitting)
    page = answered(api.get("/api/events?limit=1000"))
    assert page["has_more"] is True
    assert 1 <= len(page["events"]) < len(whole)
    assert pages(api, "events", 1000) == whole


def small_fitting(shapes: Any) -> Any:
    from gridlab.api.wire import fitting

    return fitting(shapes, 4_000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=-1", "cursor")),
        *(("cursor=x", "cursor"), ("cursor=9999999999999999", "cursor"), ("after=3", "after")),
        *(("cursor=1&cursor=2", "cursor"), ("cursor=1.", "cursor")),
    ],
)
def test_queries(api: FlaskClient, kind: str, query: str, field: str) -> None:
    assert refused(api.get(f"/api/{kind}?{query}")) == [field]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *(("orders?symbol=BTC-USDT", "symbol"), ("orders?open_only=yes", "open_only")),
        *(("fills?symbol=", "symbol"), ("events?run=a%20b", "run"), ("events?run=", "run")),
        ("events?symbol=BTCUSDT", "symbol"),
    ],
)
def test_filters_are_checked(api: FlaskClient, path: str, field: str) -> None:
    assert refused(api.get(f"/api/{path}")) == [field]


@pytest.mark.parametrize("kind", ["orders", "fills"])
def test_unknown_symbols(api: FlaskClient, kind: str) -> None:
    refused(api.get(f"/api/{kind}?symbol=NOSUCH"), 404, "symbol_not_found")

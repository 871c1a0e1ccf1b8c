"""What is refused, in which words, and that nothing that can be sent breaks the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridlab.api import create_app
from gridlab.app.facade import GridLab

JSON = {"Content-Type": "application/json"}
PORTUGUESE = {"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.5"}
GOOD = {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"}
BROKEN = [
    *("", "   ", "{", "[1", '{"symbol": }', "nul", "'x'", '{"a":1,}', "{'a': 1}", "\x00"),
    *('{"symbol": "BTCUSDT"} trailing', '{"a": 01}', '"\\ud8"'),
]


def config(client: FlaskClient, changes: dict[str, Any], **headers: str) -> Any:
    """The refusal of a configuration with `changes`; a value of `...` removes the field."""
    fields = {k: v for k, v in {**GOOD, **changes}.items() if v is not ...}
    return post(client, json.dumps({"symbol": "BTCUSDT", "config": fields}), **headers)


def post(
    client: FlaskClient, body: str | bytes, path: str = "/api/grid/config", **headers: str
) -> Any:
    return client.post(path, data=body, headers={**JSON, **headers})


def assert_refused(reply: Any, status: int = 400) -> list[str]:
    """Check the whole error shape; returns the sentences."""
    assert reply.status_code == status, reply.text
    assert reply.mimetype == "application/json"
    error = reply.json["error"]
    assert {"code", "message", "field_errors", "hint", "request_id"} <= set(error)
    assert error["message"]
    assert error["request_id"] == reply.headers["X-Request-Id"]
    assert "Traceback" not in reply.text
    sentences = [one["message"] for one in error["field_errors"]]
    if "valid" in reply.json:
        assert reply.json["valid"] is False
        assert reply.json["errors"] == (sentences or [error["message"]])
    return sentences


@pytest.mark.parametrize(
    ("changes", "english", "portuguese"),
    [
        (
            {"initial_levels": -1},
            "initial_levels must be a positive integer",
            "initial_levels deve ser um número inteiro positivo",
        ),
        (
            {"spacing_perc": 100.01},
            "spacing_perc must be less than or equal to 100",
            "spacing_perc deve ser menor ou igual a 100",
        ),
        ({"spacing_perc": ...}, "spacing_perc is required", "spacing_perc é obrigatório"),
        (
            {"market_type": "margin"},
            "market_type must be one of: spot, futures",
            "market_type deve ser um destes: spot, futures",
        ),
    ],
)
def test_words(client: FlaskClient, changes: Any, english: str, portuguese: str) -> None:
    assert assert_refused(config(client, changes)) == [english]
    assert assert_refused(config(client, changes, **PORTUGUESE)) == [portuguese]


@pytest.mark.parametrize("bad", [0, -1, 1, 1001, 10**400, 10.5, 10.0, "10", "", True, None, [], {}])
def test_levels(client: FlaskClient, bad: Any) -> None:
    (sentence,) = assert_refused(config(client, {"initial_levels": bad}))
    assert sentence.startswith("initial_levels must be")


@pytest.mark.parametrize("bad", [0, -0.5, 100.5, 10**400, "0.5", True, [], {}, 1e-9])
def test_spacing(client: FlaskClient, bad: Any) -> None:
    (sentence,) = assert_refused(config(client, {"spacing_perc": bad}))
    assert sentence.startswith("spacing_perc must be")


@pytest.mark.parametrize("field", ["initial_levels", "spacing_perc", "investment", "quantity"])
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e99999999999999999999", "-0.0"]
)
def test_numbers_beyond_reason(client: FlaskClient, field: str, number: str) -> None:
    fields = json.dumps({**GOOD, field: "@"}).replace('"@"', number)
    reply = post(client, f'{{"symbol": "BTCUSDT", "config": {fields}}}')
    assert any(field in sentence for sentence in assert_refused(reply))


def test_everything_wrong_is_told_at_once(client: FlaskClient) -> None:
    body = {
        "symbol": "NOPE",
        "config": {"initial_levels": 0, "spacing_perc": 101, "market_type": 7, "levels": 3},
        "sybmol": 1,
    }
    reply = post(client, json.dumps(body))
    assert_refused(reply)
    fields = {one["field"] for one in reply.json["error"]["field_errors"]}
    assert fields == {
        *("symbol", "config.initial_levels", "config.spacing_perc", "config.market_type"),
        *("config.levels", "sybmol"),
    }
    assert "did you mean symbol?" in reply.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lower_price": 60000}, "config.spacing_perc"),
        ({"lower_price": 60000, "spacing_perc": ...}, "config.upper_price"),
        ({"lower_price": 5, "upper_price": 5, "spacing_perc": None}, "config.lower_price"),
        ({"investment": 10, "quantity": 1}, "config.investment"),
        ({"grid_mode": "cubic"}, "config.grid_mode"),
        ({"investment": "1000"}, "config.investment"),
        ({"quantity": 0}, "config.quantity"),
    ],
)
def test_fields_that_contradict(client: FlaskClient, changes: Any, field: str) -> None:
    reply = config(client, changes)
    assert_refused(reply)
    assert [one["field"] for one in reply.json["error"]["field_errors"]] == [field]


@pytest.mark.parametrize(
    "symbol",
    ["", "BTC/USDT", "BTC USDT", "<b>", "ＢＴＣＵＳＤＴ", "ß", "X" * 21, 5, None, ["BTCUSDT"], {}],
)
def test_symbols_in_bodies(client: FlaskClient, symbol: Any) -> None:
    for path in ("/api/grid/config", "/api/grid/start"):
        assert_refused(post(client, json.dumps({"symbol": symbol, "config": GOOD}), path))
    assert_refused(post(client, json.dumps({"symbol": symbol}), "/api/grid/stop"))


@pytest.mark.parametrize("route", ["klines", "trades", "grid/status", "grid/recovery_status"])
@pytest.mark.parametrize(
    ("symbol", "status"),
    [("BTC-USDT", 400), ("%3Cscript%3E", 400), ("X" * 21, 400), ("NOSUCH", 404), ("%00", 400)],
)
def test_symbols_in_paths(client: FlaskClient, route: str, symbol: str, status: int) -> None:
    assert_refused(client.get(f"/api/{route}/{symbol}"), status)


def test_a_plan_that_cannot_start_is_invalid(client: FlaskClient) -> None:
    reply = config(client, {"initial_levels": 1000, "spacing_perc": 0.01})
    sentences = assert_refused(reply)
    assert any("after fees" in sentence for sentence in sentences)
    told = assert_refused(
        config(client, {"initial_levels": 1000, "spacing_perc": 0.01}, **PORTUGUESE)
    )
    assert any("após taxas" in sentence for sentence in told)
    started = post(client, json.dumps({"symbol": "BNBUSDT", "config": {**GOOD, "investment": 1}}))
    assert_refused(started)


def test_futures_is_refused_in_words(client: FlaskClient) -> None:
    body = json.dumps({"symbol": "SOLUSDT", "config": {**GOOD, "market_type": "futures"}})
    reply = post(client, body, "/api/grid/start")
    assert reply.status_code in (400, 409)
    assert_refused(reply, reply.status_code)


@pytest.mark.parametrize("path", ["/api/grid/config", "/api/grid/start", "/api/grid/stop"])
@pytest.mark.parametrize("body", BROKEN)
def test_broken_json(client: FlaskClient, path: str, body: str) -> None:
    assert_refused(post(client, body, path))


@pytest.mark.parametrize("body", ["[]", "3", '"x"', "null", "true", "[" * 5000, b"\xff\xfe{}"])
def test_bodies_that_are_no_object(client: FlaskClient, body: str | bytes) -> None:
    assert_refused(post(client, body))


def test_repeated_fields(client: FlaskClient) -> None:
    (sentence,) = assert_refused(post(client, '{"symbol": "A", "symbol": "B"}', "/api/grid/stop"))
    assert sentence == "symbol is given more than once"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_content_type(client: FlaskClient, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    reply = client.post("/api/grid/config", data=json.dumps({}), headers=headers)
    assert_refused(reply, 415)
    assert_refused(client.post("/api/grid/stop"), 415)
    charset = client.post(
        "/api/grid/stop", data="{}", headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert_refused(charset, 400)


def test_large_bodies(client: FlaskClient) -> None:
    assert_refused(post(client, '{"symbol": "' + "A" * 70_000 + '"}'), 413)
    assert_refused(post(client, " " * 65_000 + "{}"), 400)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("interval=7m", "interval"), ("interval=", "interval"), ("interval=1H", "interval")),
        *(("limit=0", "limit"), ("limit=1001", "limit"), ("limit=-5", "limit")),
        *(("limit=1.5", "limit"), ("limit=abc", "limit"), ("limit=٣", "limit")),
        *(("limit=99999999999999999999", "limit"), ("market_type=margin", "market_type")),
        *(("limit=5&limit=6", "limit"), ("intervall=1m", "intervall")),
    ],
)
def test_queries(client: FlaskClient, query: str, field: str) -> None:
    reply = client.get(f"/api/klines/BTCUSDT?{query}")
    assert_refused(reply)
    assert [one["field"] for one in reply.json["error"]["field_errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", "/nope", 404), ("GET", "/api/nope", 404), ("POST", "/api/nope", 404)),
        *(("GET", "/api/grid/start", 405), ("POST", "/api/status", 405), ("PUT", "/", 405)),
        *(("DELETE", "/api/grid/stop", 405), ("GET", "/api/klines/", 404)),
        *(("GET", "/gridlab-assets/nope.css", 404), ("GET", "/gridlab-assets/../app.py", 404)),
    ],
)
def test_misses_are_json(client: FlaskClient, method: str, path: str, status: int) -> None:
    reply = client.open(path, method=method, headers=JSON)
    assert_refused(reply, status)
    if status == 405:
        assert reply.headers["Allow"]


def test_stop_without_a_bot(client: FlaskClient) -> None:
    reply = post(client, json.dumps({"symbol": "NOSUCH"}), "/api/grid/stop", **PORTUGUESE)
    assert_refused(reply, 404)
    bad = post(client, json.dumps({"symbol": "BTCUSDT", "policy": "burn"}), "/api/grid/stop")
    assert assert_refused(bad) == ["policy must be one of: keep, sell"]


def test_what_breaks_inside_is_a_500_without_detail(lab: GridLab, caplog: Any) -> None:
    app = create_app(lab)

    @app.get("/api/boom")
    def boom() -> str:
        raise ZeroDivisionError("secret detail")

    reply = app.test_client().get("/api/boom")
    assert_refused(reply, 500)
    assert "secret" not in reply.text
    assert reply.json["error"]["request_id"] in caplog.text


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**420), max_value=10**420),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False).map(float),
    st.text(max_size=30),
    st.sampled_from(["BTCUSDT", "spot", "futures", "geometric", "NaN", 1e-300, 100, 0.3]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = [
    *("initial_levels", "spacing_perc", "market_type", "lower_price", "upper_price"),
    *("grid_mode", "investment", "quantity", "surprise"),
]
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(["BTCUSDT", "btcusdt", "NOPE"]) | VALUES,
        "config": st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)) | VALUES,
        "other": VALUES,
    },
)
PLAUSIBLE = st.fixed_dictionaries(
    {
        "initial_levels": st.integers(2, 1000),
        "spacing_perc": st.floats(1e-6, 100) | st.floats(0.2, 3),
    },
    optional={
        "market_type": st.sampled_from(["spot", "futures"]),
        "grid_mode": st.sampled_from(["geometric", "arithmetic"]),
        "investment": st.floats(1e-12, 1e12) | st.integers(1, 10**12),
        "quantity": st.floats(1e-12, 1e6),
    },
)
QUIET = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def assert_plain(reply: Any) -> None:
    """An answer or a refusal: JSON, and not our fault."""
    assert reply.status_code < 500, reply.text
    assert reply.mimetype == "application/json"
    answer = json.loads(reply.text)
    assert answer["valid"] is (reply.status_code == 200)


@QUIET
@given(body=BODIES | VALUES)
def test_any_body_is_answered(client: FlaskClient, body: Any) -> None:
    assert_plain(post(client, json.dumps(body)))


@QUIET
@given(body=PLAUSIBLE)
def test_any_plausible_grid_is_answered(client: FlaskClient, body: Any) -> None:
    assert_plain(post(client, json.dumps({"symbol": "BTCUSDT", "config": body})))


@QUIET
@given(
    levels=st.integers(2, 300),
    low=st.floats(1e-12, 1e12),
    high=st.floats(1e-12, 1e12),
    mode=st.sampled_from(["geometric", "arithmetic"]),
)
def test_any_range_is_answered(
    client: FlaskClient, levels: int, low: float, high: float, mode: str
) -> None:
    fields = {"initial_levels": levels, "lower_price": low, "upper_price": high, "grid_mode": mode}
    assert_plain(post(client, json.dumps({"symbol": "BTCUSDT", "config": fields})))


@pytest.mark.parametrize("spacing", [50, 100])
def test_wide_grids_that_reach_for_zero_are_answered(client: FlaskClient, spacing: int) -> None:
    for levels in range(30, 64):
        fields = {**GOOD, "initial_levels": levels, "spacing_perc": spacing}
        for symbol in ("BTCUSDT", "ETHUSDT"):
            assert_plain(post(client, json.dumps({"symbol": symbol, "config": fields})))


@QUIET
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_answered(client: FlaskClient, raw: bytes) -> None:
    assert_plain(post(client, raw))


@pytest.mark.parametrize("path", ["/api/grid/stop", "/api/grid/config", "/api/kill"])
@pytest.mark.parametrize(
    "body", [b'{"symbol": "\\ud800"}', b'{"\\udfff": 1}', b'{"\\ud800": 1, "\\ud800": 2}']
)
def test_half_a_character_is_refused_in_words(client: FlaskClient, path: str, body: bytes) -> None:
    reply = client.post(path, data=body, content_type="application/json")
    assert reply.status_code == 400 and reply.json["error"]["code"] == "bad_json"

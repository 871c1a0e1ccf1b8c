"""The OpenAPI document, its page, Prometheus' page, and connections that stay open."""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from gridlab.api import Server, create_app
from gridlab.api.register import ROUTES
from gridlab.api.scopes import Scope
from gridlab.app.facade import GridLab


@pytest.fixture(scope="module")
def app(lab: GridLab) -> Flask:
    return create_app(lab)


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get("/api/openapi.json").json


def test_every_route_is_in_it(app: Flask, document: Any) -> None:
    for rule in app.url_map.iter_rules():
        name = rule.endpoint.rpartition(".")[2]
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        methods = {method.lower() for method in rule.methods or ()} - {"head", "options"}
        if ROUTES[name].scope is Scope.OPEN:
            assert path not in document["paths"]
            continue
        for method in methods:
            operation = document["paths"][path][method]
            assert operation["operationId"] == name
            assert operation["x-scope"] == ROUTES[name].scope.word
            assert {"400", "401", "403", "500"} <= set(operation["responses"])


def test_references_and_examples_hold(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    text = json.dumps(document)
    named = document["components"]["schemas"]
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert reference in named
    for schema in named.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content and "example" in content:
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.validate(content["example"], schema)


def test_changes_take_a_key(document: Any) -> None:
    for methods in document["paths"].values():
        for method, operation in methods.items():
            names = {one["name"] for one in operation.get("parameters", [])}
            assert ("Idempotency-Key" in names) is (method != "get")


@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_page_loads_nothing_from_elsewhere(client: FlaskClient, language: str) -> None:
    reply = client.get("/api/docs", headers={"Accept-Language": language})
    assert reply.status_code == 200
    assert f'lang="{language}"' in reply.text
    assert not re.search(r'(src|href)="(https?:)?//', reply.text)
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", reply.text)
    for asset in re.findall(r"gridlab-assets/[\w.]+", reply.text):
        script = client.get(f"/{asset}")
        assert script.status_code == 200
        assert "innerHTML" not in script.text
        assert "http" not in script.text.replace("http://www.w3.org", "")


def test_prometheus(client: FlaskClient, running: str) -> None:
    client.get("/api/status")
    client.get("/api/nope")
    reply = client.get("/metrics")
    assert reply.mimetype == "text/plain"
    found = {family.name: family for family in text_string_to_metric_families(reply.text)}
    assert {
        *("gridlab_engine_state", "gridlab_snapshot_age_seconds", "gridlab_bot_open_orders"),
        *("gridlab_bot_fills", "gridlab_bot_profit", "gridlab_http_requests", "gridlab_price"),
    } <= set(found)
    parts = {sample.labels["part"] for sample in found["gridlab_bot_profit"].samples}
    assert parts == {"grid_profit", "liquidation", "floating", "fees", "funding"}
    requests = found["gridlab_http_requests"].samples
    assert any(s.labels["endpoint"] == "status" and s.value >= 1 for s in requests)
    latency = [s for s in found["gridlab_http_request_seconds"].samples if "le" in s.labels]
    assert latency[-1].labels["le"] == "+Inf"


# --- connections


def test_a_connection_serves_many_requests(lab: GridLab) -> None:
    with Server(lab, port=0) as server:
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        line.connect()
        place = line.sock.getsockname()
        for _ in range(5):
            line.request("GET", "/api/status")
            assert line.getresponse().read().startswith(b"{")
            body = json.dumps({"symbol": "NOSUCH"}).encode()
            line.request("POST", "/api/grid/stop", body, {"Content-Type": "application/json"})
            reply = line.getresponse()
            assert (reply.status, json.loads(reply.read())["error"]["code"][:6]) == (404, "symbol")
            line.request("POST", "/api/grid/stop", b"not read", {"Content-Type": "text/plain"})
            assert line.getresponse().read()
        assert line.sock.getsockname() == place
        line.close()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1x\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ],
)
def test_a_body_without_an_end_ends_the_connection(lab: GridLab, head: bytes) -> None:
    with Server(lab, port=0) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
            line.sendall(b"POST /api/grid/stop HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n")
            got = b""
            while part := line.recv(4096):
                got += part
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"HTTP/1.1") == 1


def test_a_second_request_is_not_smuggled_in_a_body(lab: GridLab) -> None:
    inner = b"GET /api/nope HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = b"POST /api/grid/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
    with Server(lab, port=0) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
            line.sendall(head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner)
            got = line.recv(65536)
            line.settimeout(1)
            with pytest.raises(TimeoutError):
                got += line.recv(65536)
    assert got.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 415" in got


def test_stopping_ends_idle_connections(lab: GridLab) -> None:
    server = Server(lab, port=0).start()
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    line.request("GET", "/api/status")
    line.getresponse().read()
    server.stop()
    with pytest.raises((OSError, http.client.HTTPException)):
        line.request("GET", "/api/status")
        line.getresponse()

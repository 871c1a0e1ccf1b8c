"""Hosts, origins, request ids, languages and headers."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gridlab.api import create_app, create_blueprint
from gridlab.app.facade import GridLab

STOP = {"symbol": "NOSUCH"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:5000", "127.0.0.1:8123", "127.8.9.1", "[::1]:5000", "LOCALHOST"],
)
def test_loopback_hosts(client: FlaskClient, host: str) -> None:
    assert client.get("/api/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.org", "127.0.0.1.example.org", "localhost.example.org:5000", "10.0.0.1"),
        *("evil@localhost", "localhost/x", "", "0.0.0.0", "localhost:5000:1", "[::2]"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/test", "/api/status", "/api/nope", "/nope"])
def test_foreign_hosts(client: FlaskClient, host: str, path: str) -> None:
    reply = client.get(path, headers={"Host": host}, environ_overrides={"HTTP_HOST": host})
    assert reply.status_code == 400
    assert reply.json["error"]["code"] == "host_not_allowed"


def test_listed_host(lab: GridLab) -> None:
    app = create_app(lab, allowed_hosts=["lab.example"])
    reply = app.test_client().get("/api/status", headers={"Host": "lab.example:80"})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        *((None, True), ("http://localhost", True), ("http://127.0.0.1:8866", True)),
        *(("http://[::1]:9", True), ("https://friend.example", True), ("null", False)),
        *(("https://friend.example/", True), ("https://friend.example.evil", False)),
        *(("http://example.org", False), ("file://", False), ("http://localhost@evil.org", False)),
        *(("http://[", False), ("", False)),
    ],
)
def test_origins(lab: GridLab, origin: str | None, allowed: bool) -> None:
    app = create_app(lab, allowed_origins=["https://friend.example/"])
    headers = {} if origin is None else {"Origin": origin}
    reply = app.test_client().post("/api/grid/stop", json=STOP, headers=headers)
    assert reply.status_code == (404 if allowed else 403)
    listed = (origin or "").rstrip("/") == "https://friend.example"
    assert ("Access-Control-Allow-Origin" in reply.headers) is listed


def test_reads_ignore_origin(client: FlaskClient) -> None:
    reply = client.get("/api/status", headers={"Origin": "http://example.org"})
    assert reply.status_code == 200
    assert not [name for name, _ in reply.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("given", ["abc-123", "a.b_c", "A" * 64])
def test_sane_request_ids_are_kept(client: FlaskClient, given: str) -> None:
    assert (
        client.get("/api/nope", headers={"X-Request-Id": given}).json["error"]["request_id"]
        == given
    )


@pytest.mark.parametrize("given", ["", "a b", "A" * 65, "<x>", "é"])
def test_other_request_ids_are_replaced(client: FlaskClient, given: str) -> None:
    reply = client.get("/api/status", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        *(("pt", "pt"), ("pt-BR", "pt"), ("pt-PT,en;q=0.5", "pt"), ("en;q=0.2,pt;q=0.9", "pt")),
        *(("en-US,en;q=0.9,pt;q=0.8", "en"), ("fr", "en"), ("", "en"), ("*", "en")),
        *(("pt;q=0", "en"), ("fr,pt;q=0.3", "pt"), ("nonsense;;q", "en")),
    ],
)
def test_languages(client: FlaskClient, accepted: str, language: str) -> None:
    reply = client.get("/api/nope", headers={"Accept-Language": accepted})
    words = {"en": "There is nothing at /api/nope", "pt": "Não há nada em /api/nope"}
    assert reply.json["error"]["message"] == words[language]
    assert reply.headers["Content-Language"] == language
    assert "Accept-Language" in reply.headers["Vary"]


@pytest.mark.parametrize("path", ["/", "/test", "/api/status", "/nope", "/gridlab-assets/test.js"])
def test_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_mounted_in_another_application(lab: GridLab) -> None:
    app = Flask("host")

    @app.get("/")
    def own() -> str:
        return "the host's page"

    @app.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return "the host's miss", 404

    app.register_blueprint(create_blueprint(lab), url_prefix="/grid")
    client = app.test_client()
    assert client.get("/").text == "the host's page"
    assert client.get("/", headers={"Host": "example.org"}).status_code == 200
    assert client.get("/other").text == "the host's miss"
    assert client.get("/grid/api/status").json["api_status"] == "online"
    assert client.get("/grid/api/status", headers={"Host": "example.org"}).status_code == 400
    assert client.get("/grid/api/nope").json["error"]["code"] == "not_found"
    assert client.get("/grid/api/grid/start").json["error"]["code"] == "method_not_allowed"
    assert client.get("/grid/").status_code == 200
    assert client.get("/grid/gridlab-assets/gridlab.css").status_code == 200

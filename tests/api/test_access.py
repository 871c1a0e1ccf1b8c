"""Who may do what: tokens, scopes, and every changing route against every wrong caller."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gridlab.api import Server, create_app
from gridlab.api.register import ROUTES, scope_of
from gridlab.api.scopes import GRANTED, Scope
from gridlab.api.security import normal_origin
from gridlab.api.tokens import FILE_NAME, Tokens
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.errors import InvalidConfig

CANARY_KEY = "canary-key-0123456789-do-not-show"
CANARY_SECRET = "canary-secret-9876543210-do-not-show"
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    """An engine with exchange keys in its configuration, so that everything needs a token."""
    folder = tmp_path_factory.mktemp("guarded")
    patch = pytest.MonkeyPatch()
    patch.setenv("BINANCE_API_KEY", CANARY_KEY)
    patch.setenv("BINANCE_API_SECRET", CANARY_SECRET)
    config = load_config(None)
    patch.undo()
    if config.api.key is None:
        keys = type(config.api).model_validate({"key": CANARY_KEY, "secret": CANARY_SECRET})
        config = config.model_copy(update={"api": keys})
    with GridLab(folder, config=config, first_bot="BTCUSDT") as lab:
        yield lab


@pytest.fixture(scope="module")
def app(guarded: GridLab) -> Flask:
    return create_app(guarded)


@pytest.fixture
def shut(app: Flask) -> FlaskClient:
    return app.test_client()


def tokens_of(lab: GridLab) -> Tokens:
    return Tokens.load_or_create(lab.settings.data_dir)


def bearer(lab: GridLab, scope: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens_of(lab).of(scope)}"}


def routes_of(app: Flask) -> list[tuple[str, str, str]]:
    """(method, address, endpoint) of every route of ours, with a symbol in its place."""
    found = []
    for rule in app.url_map.iter_rules():
        address = rule.rule.replace("<symbol>", "BTCUSDT").replace("<job_id>", "abc")
        address = address.replace("<path:filename>", "test.js")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found.append((method, address, rule.endpoint.rpartition(".")[2]))
    return sorted(found)


def changes_of(app: Flask) -> list[tuple[str, str, str]]:
    return [one for one in routes_of(app) if one[0] != "GET"]


# --- the table


def test_every_route_declares_its_scope(app: Flask) -> None:
    missing = [address for _, address, name in routes_of(app) if name not in ROUTES]
    assert not missing, f"name these in the catalogue: {missing}"


def test_the_table_names_no_route_that_is_gone(app: Flask) -> None:
    assert set(ROUTES) == {name for _, _, name in routes_of(app)}


def test_an_unknown_route_needs_the_strongest_scope() -> None:
    assert scope_of("nobody_knows_this") is Scope.ADMIN


def test_what_changes_trading_is_never_open_to_readers(app: Flask) -> None:
    for name in ("grid_start", "grid_stop", "grid_config", "cancel_job", "backtest", "kill"):
        assert scope_of(name) is Scope.TRADE
    for name in ("change_operation_mode", "revive", "debug_cache_clear"):
        assert scope_of(name) is Scope.ADMIN
    for name in ("debug_logs", "debug_config", "debug_performance"):
        assert scope_of(name) is Scope.ADMIN
    assert {name for name in ROUTES if scope_of(name) is Scope.OPEN} == {
        *("static", "home", "test_page", "docs_page"),
    }


# --- the matrix


WRONG: dict[str, dict[str, Any]] = {
    "no token": {"json": {}},
    "bad token": {"json": {}, "headers": {"Authorization": "Bearer " + "x" * 43}},
    "empty token": {"json": {}, "headers": {"Authorization": "Bearer "}},
    "no scheme": {"json": {}, "headers": {"Authorization": "x" * 43}},
    "bad Host": {"json": {}, "headers": {"Host": "evil.example"}},
    "bad Origin": {"json": {}, "headers": {"Origin": EVIL}},
    "text body": {"data": b"{}", "headers": {"Content-Type": "text/plain"}},
    "form body": {"data": {"symbol": "BTCUSDT"}},
    "oversized body": {"data": b" " * 70_000, "headers": {"Content-Type": "application/json"}},
}
#: These are wrong for a caller with the right token too.
ALWAYS_WRONG = ("bad Host", "bad Origin", "text body", "form body", "oversized body")
REFUSED = {400, 401, 403, 404, 405, 413, 415}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_changing_route_accepts(guarded: GridLab, app: Flask, wrong: str) -> None:
    """Every changing route x every wrong caller: nothing is accepted, nothing changes."""
    before = guarded.snapshot
    client = app.test_client()
    for method, address, name in changes_of(app):
        reply = client.open(address, method=method, **WRONG[wrong])
        assert reply.status_code in REFUSED, (wrong, method, address, reply.text)
        if wrong in ALWAYS_WRONG and not (method == "DELETE" and "body" in wrong):
            sent = dict(WRONG[wrong])
            sent["headers"] = {**sent.get("headers", {}), **bearer(guarded, Scope.ADMIN)}
            reply = client.open(address, method=method, **sent)
            assert reply.status_code in REFUSED, (wrong, method, address, name, reply.text)
    after = guarded.snapshot
    assert after.killed == before.killed == ""
    assert {s: b.run for s, b in after.bots.items()} == {s: b.run for s, b in before.bots.items()}
    assert len(guarded.jobs.all()) == 0


def test_a_get_changes_nothing(app: Flask, guarded: GridLab) -> None:
    client = app.test_client()
    gets = {address for method, address, _ in routes_of(app) if method == "GET"}
    for method, address, _ in changes_of(app):
        if address not in gets:
            reply = client.get(address, headers=bearer(guarded, Scope.ADMIN))
            assert reply.status_code == 405, (method, address)
            assert client.get(address).status_code == 401


def test_each_scope_opens_what_it_should(app: Flask, guarded: GridLab) -> None:
    client = app.test_client()
    slow = {"stream", "test_shadow_mode", "test_ai_models"}
    for method, address, name in routes_of(app):
        if name in slow or scope_of(name) is Scope.OPEN:
            continue
        for scope in GRANTED:
            if method != "GET" and scope >= scope_of(name):
                continue  # it would do its work
            reply = client.open(address, method=method, headers=bearer(guarded, scope), json={})
            is_allowed = scope >= scope_of(name)
            assert (reply.status_code == 403) is not is_allowed, (name, scope, reply.text)
            assert reply.status_code != 401


def test_a_refusal_does_not_say_what_was_wrong(shut: FlaskClient) -> None:
    texts = set()
    for header in (None, "Bearer", "Bearer x", "Basic eDp5", "Bearer " + "x" * 2000, "bearer é"):
        headers = {} if header is None else {"Authorization": header}
        reply = shut.get("/api/status", headers=headers)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        error = reply.json["error"]
        del error["request_id"]
        texts.add(json.dumps(error))
    assert len(texts) == 1


def test_misses_are_told_only_to_readers(shut: FlaskClient, guarded: GridLab) -> None:
    assert shut.get("/api/nope").status_code == 401
    assert shut.get("/nope").status_code == 401
    read = bearer(guarded, Scope.READ)
    assert shut.get("/api/nope", headers=read).status_code == 404
    assert shut.post("/api/status", headers=read, json={}).status_code == 405


def test_pages_come_without_data(shut: FlaskClient, guarded: GridLab) -> None:
    for path in ("/", "/test", "/api/docs", "/gridlab-assets/token.js"):
        assert shut.get(path).status_code == 200
    blank = shut.get("/").text
    assert "A token is needed." in blank
    assert "token.js" in blank
    assert guarded.snapshot.mode.value not in blank
    seen = shut.get("/", headers=bearer(guarded, Scope.READ)).text
    assert guarded.snapshot.mode.value in seen
    assert "A token is needed." not in seen


# --- canaries


def test_secrets_appear_nowhere(app: Flask, guarded: GridLab) -> None:
    """Every route with every scope, and what the process says of itself."""
    held = tokens_of(guarded)
    secrets = [CANARY_KEY, CANARY_SECRET, *(held.of(scope) for scope in GRANTED)]
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    level, root.level = root.level, logging.DEBUG
    said = [repr(held), str(held), repr(guarded), repr(guarded.settings), repr(app)]
    try:
        client = app.test_client()
        for method, address, name in routes_of(app):
            if name in ("stream", "test_shadow_mode", "test_ai_models", "kill", "backtest"):
                continue
            for headers in ({}, bearer(guarded, Scope.ADMIN), {"Authorization": CANARY_KEY}):
                reply = client.open(address, method=method, headers=headers, json={})
                said.append(reply.text + str(reply.headers))
    finally:
        root.removeHandler(handler)
        root.level = level
    try:
        raise RuntimeError(held, guarded.settings.config.api)
    except RuntimeError as error:
        said.append("".join(traceback.format_exception(error)))
    said.append(log.getvalue())
    said += [line.message for line in guarded.logs(2000)]
    for secret in secrets:
        assert not [text for text in said if secret in text]


# --- tokens


def test_the_token_file(tmp_path: Path) -> None:
    made = Tokens.load_or_create(tmp_path / "new")
    path = tmp_path / "new" / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == [FILE_NAME]
    again = Tokens.load_or_create(tmp_path / "new")
    for scope in GRANTED:
        assert made.of(scope) == again.of(scope)
        assert len(made.of(scope)) >= 43
        assert again.scope_of(made.of(scope)) is scope
    assert len({made.of(scope) for scope in GRANTED}) == 3
    assert made.scope_of("") is None
    assert made.scope_of(made.of(Scope.READ) + " ") is None
    assert made.scope_of("\ud800") is None
    assert made.of(Scope.READ) not in repr(made)


def test_a_readable_token_file_is_refused(tmp_path: Path) -> None:
    Tokens.load_or_create(tmp_path)
    os.chmod(tmp_path / FILE_NAME, 0o644)
    with pytest.raises(InvalidConfig, match="mode 644.*chmod 600"):
        Tokens.load_or_create(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"read": "", "trade": "", "admin": ""}', '{"read": 1}', "\x00"]
    + [json.dumps(dict.fromkeys(("read", "trade", "admin"), "x" * 40))],
)
def test_a_damaged_token_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE_NAME
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(InvalidConfig, match="delete it for new ones"):
        Tokens.load_or_create(tmp_path)


# --- origins


@pytest.mark.parametrize(
    "text", ["*", "example.org", "https://a.b/c", "https://", "ftp://a.b", "https://*.a.b", ""]
)
def test_an_origin_is_exact(text: str) -> None:
    with pytest.raises(InvalidConfig, match="allowed_origins has"):
        normal_origin(text)


def test_cors(lab: GridLab) -> None:
    client = create_app(lab, allowed_origins=["https://friend.example:3000/"]).test_client()
    friend = {"Origin": "https://friend.example:3000"}
    reply = client.get("/api/status", headers=friend)
    assert reply.headers["Access-Control-Allow-Origin"] == "https://friend.example:3000"
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "Origin" in reply.headers["Vary"]
    asked = {**friend, "Access-Control-Request-Method": "POST"}
    reply = client.options("/api/grid/start", headers=asked)
    assert reply.status_code == 204
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    for origin in (EVIL, "https://friend.example", "http://friend.example:3000"):
        reply = client.options("/api/grid/start", headers={**asked, "Origin": origin})
        assert reply.status_code == 403
        assert "allowed_origins" in reply.json["error"]["hint"]
        assert "Access-Control-Allow-Origin" not in reply.headers
        plain = client.get("/api/status", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in plain.headers


def test_beyond_loopback_needs_a_token(lab: GridLab) -> None:
    server = Server(lab, host="0.0.0.0", port=0)
    assert server.tokens is not None
    client = server.app.test_client()
    assert client.get("/api/status").status_code == 401
    headers = {"Authorization": f"Bearer {server.tokens.of(Scope.READ)}"}
    assert client.get("/api/status", headers=headers).status_code == 200
    assert Server(lab, port=0).tokens is None
    assert Server(lab, port=0, require_token=True).tokens is not None

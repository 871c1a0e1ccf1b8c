"""The start page and the test page: they load nothing from elsewhere and hide nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from gridlab.api import create_app, pages
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import BotStatus, EngineState, Mode

ASSET = re.compile(r"gridlab-assets/[\w.]+")


class Links(HTMLParser):
    """Collects what a page refers to, its inline scripts and its handlers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        for name, value in attrs:
            if name in ("src", "href", "action"):
                self.addresses.append(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(name)

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


@pytest.mark.parametrize("path", ["/", "/test"])
@pytest.mark.parametrize("language", ["en", "pt"])
def test_nothing_from_elsewhere(
    client: FlaskClient, running: str, path: str, language: str
) -> None:
    reply = client.get(path, headers={"Accept-Language": language})
    assert (reply.status_code, reply.mimetype) == (200, "text/html")
    links = Links(reply.text)
    assert links.inline == []
    assert not [one for one in links.addresses if "//" in one or one.startswith("/")]
    assert "http" not in reply.text
    for asset in set(ASSET.findall(reply.text)):
        found = client.get("/" + asset)
        assert found.status_code == 200
        assert "https:" not in found.text
        assert "innerHTML" not in found.text
        assert "@import" not in found.text


def test_every_link_on_the_start_page_answers(client: FlaskClient, running: str) -> None:
    for address in Links(client.get("/").text).addresses:
        assert client.get("/" + address).status_code == 200, address


def test_start_page_shows_mode_state_and_bots(client: FlaskClient, running: str) -> None:
    text = client.get("/").text
    for shown in ("Replay", "ready", "BTCUSDT", "running", "/api/grid/start"):
        assert shown in text
    assert "preços reais gravados" in client.get("/", headers={"Accept-Language": "pt"}).text


def test_dashboard_link(lab: GridLab) -> None:
    address = "http://127.0.0.1:8866/"
    page = create_app(lab, dashboard_url=address).test_client().get("/").text
    assert address in page


def test_test_page_offers_every_endpoint(client: FlaskClient) -> None:
    page = client.get("/test").text + client.get("/gridlab-assets/test.js").text
    rules = client.application.url_map.iter_rules()
    paths = {rule.rule for rule in rules if rule.rule.startswith("/api/")}
    assert len(paths) >= 15
    for path in paths:
        assert path.removeprefix("/").partition("<")[0] in page, path


@pytest.mark.parametrize("state", [*EngineState, *BotStatus])
def test_the_start_page_has_portuguese_for_every_state(state: str) -> None:
    assert pages._STATES[state] != state


def test_the_start_page_tells_states_and_source_in_its_language(
    lab: GridLab, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = "a twin of Binance on this machine (http://127.0.0.1:1)"
    seen = replace(lab.snapshot, mode=Mode.TESTNET, source=twin)
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: seen))
    client = create_app(lab).test_client()
    english = client.get("/", headers={"Accept-Language": "en"}).text
    portuguese = client.get("/", headers={"Accept-Language": "pt"}).text
    assert twin in english and ">running<" in english and ">ready<" in english
    assert "um gêmeo da Binance nesta máquina (http://127.0.0.1:1)" in portuguese
    assert ">em execução<" in portuguese and ">pronto<" in portuguese
    assert ">running<" not in portuguese and ">ready<" not in portuguese
    (kept,) = re.findall(r'data-states="([^"]*)"', portuguese)
    assert json.loads(unescape(kept)) == pages._STATES

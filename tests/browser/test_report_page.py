"""The report in a real browser, offline: it asks for nothing, fits, and follows the colours."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridlab.data.catalog import load
from gridlab.domain.spec import GridSpec
from gridlab.research.backtest import backtest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    spec = GridSpec("BTCUSDT", 16, spacing=Decimal("0.01"), investment=Decimal(10_000))
    backtest(spec, load("BTCUSDT")).to_html(path)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_opens_offline(browser: Any, report: Path, scheme: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    asked: list[str] = []
    said: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()] and said == []
    assert page.locator("svg").count() == 5
    drawn = page.locator("svg").evaluate_all("all => all.map(one => one.getBBox().width)")
    assert all(wide > 800 for wide in drawn), "in units of the picture, whatever the screen"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert (brightness(ground) < brightness(ink)) == (scheme == "dark")
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"the page is {overflow} pixels too wide"
    context.close()


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour.strip("rgb()").split(",")[:3])

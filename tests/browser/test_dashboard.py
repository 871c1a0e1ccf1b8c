"""What a trader does with the dashboard, in a real browser over a real engine."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from gridlab.client import Client

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Pixels of the candle pane that are neither background nor grey: candles, lines and labels.
COLOURED = """() => {
  const c = document.querySelector('.glc canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4) if (Math.abs(d[i] - d[i + 1]) > 60) n += 1;
  return n;
}"""
#: The time of the candle under the pointer, as the read-out tells it, without a year.
HOVERED = """() => new Date(document.querySelector('.glc-read span').innerText.trim()
  .replace(/^(\\d+ \\w+)/, '$1 2026'))"""
OVERFLOW = "() => [document.documentElement.scrollWidth, innerWidth]"
CLIPPED = """() => [...document.querySelectorAll('.gl-tile, .gl-banner, .gl-form, .glc, .gl-card')]
  .filter((n) => n.getBoundingClientRect().left < 0 || n.getBoundingClientRect().right > innerWidth)
  .map((n) => n.className)"""


def ensure_bot(workbench: Any) -> None:
    with Client(workbench.url) as client:
        if client.executions()["total_active"] == 0:
            client.start_grid("BTCUSDT", initial_levels=10, spacing_perc=0.5)


def running(page: Any) -> None:
    page.wait_for_selector(".gl-right:has-text('running')")


def test_it_paints_candles_lines_and_figures_and_moves(page: Any, workbench: Any) -> None:
    ensure_bot(workbench)
    running(page)
    page.wait_for_function(f"({COLOURED})() > 2000")
    assert page.locator(".gl-tile").count() == 8
    assert page.locator(".gl-tile[title^='Replay · ']").count() == 8
    before = page.inner_text(".gl-right b >> nth=1")
    page.wait_for_function(
        "(t) => document.querySelectorAll('.gl-right b')[1].innerText !== t", arg=before
    )
    assert "Candles" not in page.inner_text("body")
    assert "10 grid lines" not in page.get_attribute(".glc canvas", "aria-label")
    assert "11 grid lines" in page.get_attribute(".glc canvas", "aria-label")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768)])
def test_nothing_overflows(page: Any, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(500)
    page.wait_for_function(
        f"() => {{ const [content, room] = ({OVERFLOW})(); return content <= room }}"
    )
    page.wait_for_function(f"() => ({CLIPPED})().length === 0")
    assert page.locator(".gl-panel").bounding_box()["width"] > 0.95 * width


def test_zoom_crosshair_and_interval(page: Any) -> None:
    page.hover(".glc canvas")
    page.wait_for_selector(".glc-read:has-text('O ')")
    page.click(".glc-bar button:has-text('15m')")
    page.wait_for_selector(".glc-bar button[aria-pressed=true]:has-text('15m')")
    page.wait_for_function(f"() => ({HOVERED})().getMinutes() % 15 === 0")
    # Far left of the newest candle, which stays where it is: zooming in brings later candles here.
    box = page.locator(".glc canvas").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    page.wait_for_timeout(500)
    before = page.evaluate(f"() => +({HOVERED})()")
    for _ in range(6):
        page.mouse.wheel(0, -400)
    # Time itself moves the candles by less than a tenth of that.
    page.wait_for_function(f"(t) => ({HOVERED})() - t > 6 * 3600e3", arg=before, timeout=15_000)
    for _ in range(6):
        page.mouse.wheel(0, 400)
    page.wait_for_function(f"(t) => ({HOVERED})() - t < 3 * 3600e3", arg=before, timeout=15_000)


def test_stop_asks_preview_follows_the_form_and_start_needs_arming(
    page: Any, workbench: Any
) -> None:
    ensure_bot(workbench)
    running(page)
    page.click("button:has-text('Stop grid')")
    page.click("button:has-text('Keep it running')")
    with Client(workbench.url) as client:
        assert client.executions()["total_active"] == 1
    page.click("button:has-text('Stop grid')")
    page.click("button:has-text('Yes, stop it')")
    page.wait_for_selector(".gl-message.good:has-text('stopping')")

    levels = page.locator(".gl-form input[type=number]")
    levels.fill("12")
    levels.press("Tab")
    page.wait_for_function(
        "() => document.querySelector('.gl-facts')?.innerText.includes('Capital needed')"
    )
    with Client(workbench.url) as client:
        assert client.executions()["total_active"] == 0
    assert not page.is_enabled(".gl-go")
    page.click(".gl-armed")
    page.wait_for_selector(".gl-go:enabled")
    page.click(".gl-go")
    page.wait_for_selector(".gl-message.good:has-text('started')")
    with Client(workbench.url) as client:
        assert client.grid_status("BTCUSDT")["grid_levels"] == 12


def test_a_grid_that_loses_to_its_fees_cannot_be_armed(page: Any, workbench: Any) -> None:
    with Client(workbench.url) as client:
        if client.executions()["total_active"]:
            client.stop_grid("BTCUSDT")
    spacing = page.locator(".gl-form input[type=text]").first
    spacing.fill("0.05")
    spacing.press("Tab")
    page.wait_for_selector(".gl-list.gl-bad:has-text('fees')")
    assert not page.is_enabled(".gl-armed")
    assert not page.is_enabled(".gl-go")


def test_a_killed_engine_is_told_and_recovered_from(page: Any, workbench: Any) -> None:
    ensure_bot(workbench)
    running(page)
    workbench.end(signal.SIGKILL)
    page.wait_for_selector(".gl-alarm:has-text('Engine unreachable')")
    page.wait_for_selector(".gl-panel.gl-stale .gl-tile")
    page.wait_for_selector(".gl-age.old:has-text('STALE')")
    # Its own message to the page, so it may come a moment after the words.
    page.wait_for_selector("button:has-text('Stop grid'):disabled")
    workbench.start()
    page.wait_for_selector(".gl-panel:not(.gl-stale)")
    page.wait_for_selector(".gl-alarm", state="detached")
    running(page)

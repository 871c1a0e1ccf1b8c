"""A symbol that the venue removes while a grid trades it: that grid ends, the others go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_desk import Desk

from gridlab.domain.market import Market
from gridlab.domain.orders import Side
from gridlab.testing.twin import running_twin

SYMBOLS = ("BTCUSDT", "ETHUSDT")
GONE, STAYS = SYMBOLS


@pytest.mark.parametrize("market", Market)
def test_its_bot_is_halted_and_the_next_one_is_read_before_and_after_a_restart(
    tmp_path: Path, market: Market
) -> None:
    async def story() -> None:
        async with Desk(twin, tmp_path, markets=(market,), symbols=SYMBOLS) as desk:
            for symbol in SYMBOLS:
                await desk.grid(market, symbol, levels=4)
            where = {"venue": market.value, "symbol": GONE}
            await asyncio.to_thread(twin.control, "/delist", where)
            await desk.until(lambda: bool(desk.trader.bot(GONE).halted))
            assert f"'{GONE}' is not listed on Binance {market}" in desk.trader.bot(GONE).halted
            desk.driver._watches[market].note_gap("a test")
            await desk.driver.ready()
            buys = [s for s in desk.trader.bot(STAYS).grid.slots if s.side is Side.BUY]
        await asyncio.to_thread(twin.price, STAYS, buys[-1].lower * 999 / 1000, market)
        async with Desk(twin, tmp_path, markets=(market,), symbols=(STAYS,)) as again:
            assert "restart GridLab" in again.trader.bot(GONE).halted
            bot = again.trader.bot(STAYS)
            await again.until(lambda: bot.grid.slots[buys[-1].index].side is Side.SELL)
            assert not bot.halted

    with running_twin(symbols=SYMBOLS, has_limits=False) as twin:
        asyncio.run(story())

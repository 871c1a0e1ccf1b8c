"""The world by a clock that the test holds: recorded prices, pulses, candles, fills, speed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridlab.clock import ManualClock
from gridlab.data import catalog
from gridlab.data.bars import Bars
from gridlab.data.history import History
from gridlab.domain.market import Interval, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.errors import Conflict, InvalidInput, NotFound
from gridlab.exchange.base import Rejected
from gridlab.twin.news import BalanceNews, MarketNews, OrderExtras, OrderNews, VenueNews, VenueOrder
from gridlab.twin.options import TwinOptions, parse_funds, parse_symbols
from gridlab.twin.world import World

START = 1_780_000_000_000
MINUTE = 60_000


def world(**options: Any) -> tuple[World, ManualClock]:
    clock = ManualClock(START + 20_000)
    usual: dict[str, Any] = {"symbols": ("BTCUSDT",), "speed": 60, "pulse_ms": 0}
    return World(TwinOptions(**(usual | options)), clock), clock


def recorded(count: int) -> list[Decimal]:
    """The first points that the spot recording plays, four for each candle."""
    bars = catalog.load("BTCUSDT").slice(catalog.DEFAULT_REPLAY_START_MS, None)
    return [point for i in range(-(-count // 4)) for point in bars.kline(i).path][:count]


class TestPlayback:
    def test_each_point_of_a_candle_is_one_trade(self) -> None:
        made, clock = world()
        tape = made.venue(Market.SPOT).tape("BTCUSDT")
        made.playback.step()
        clock.advance_to(clock.now_ms() + 3_000)
        made.playback.step()
        # One opening trade, then three recorded minutes in three seconds, and the next open.
        assert [trade.price for trade in tape.trades][1:] == recorded(13)

    def test_no_speed_stands_still_and_speed_can_change(self) -> None:
        made, clock = world(speed=0)
        tape = made.venue(Market.SPOT).tape("BTCUSDT")
        clock.advance_to(clock.now_ms() + 600_000)
        made.playback.step()
        assert len(tape.trades) == 1
        made.speed = 1
        made.playback.step()
        clock.advance_to(clock.now_ms() + 59_999)
        made.playback.step()
        assert [trade.price for trade in tape.trades][1:] == recorded(4)
        with pytest.raises(InvalidInput, match="speed is -1"):
            made.speed = -1

    def test_a_pulse_breaks_every_silence(self) -> None:
        made, clock = world(speed=0, pulse_ms=1_000)
        tape = made.venue(Market.SPOT).tape("BTCUSDT")
        for _ in range(5):
            clock.advance_to(clock.now_ms() + 1_000)
            made.playback.step()
        assert len(tape.trades) == 6
        assert len({trade.price for trade in tape.trades}) == 1
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(60_000))
        clock.advance_to(clock.now_ms() + 999)
        made.playback.step()
        assert len(tape.trades) == 7

    def test_the_price_stays_at_the_end_of_the_recording(self, tmp_path: Path) -> None:
        made, clock = world(data=small_file(tmp_path), speed=1_000)
        clock.advance_to(clock.now_ms() + 600_000)
        made.playback.step()
        assert made.playback.has_ended
        assert made.venue(Market.SPOT).price("BTCUSDT") == Decimal("109.5")
        made.playback.step()

    def test_both_markets_move(self) -> None:
        made, clock = world(symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"))
        clock.advance_to(clock.now_ms() + 1_000)
        made.playback.step()
        spot, futures = (made.venue(market) for market in Market)
        assert tuple(spot.symbols()) == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
        # SOLUSDT is not recorded on futures.
        assert tuple(futures.symbols()) == ("BTCUSDT", "ETHUSDT")
        assert all(len(futures.trades(symbol)) > 4 for symbol in futures.symbols())


def small_file(folder: Path, closes: int = 10) -> Path:
    """Candles of ten minutes: 100.5, 101.5, ... in Binance's columns."""
    path = folder / "BTCUSDT.csv"
    first = 1_774_000_020_000 // MINUTE * MINUTE
    rows = ["open_time,open,high,low,close,volume"]
    rows += [
        f"{first + i * MINUTE},{100 + i},{102 + i},{99 + i},{100.5 + i},10" for i in range(closes)
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


class TestData:
    def test_a_file_plays_on_both_markets(self, tmp_path: Path) -> None:
        made, _ = world(data=small_file(tmp_path))
        for market in Market:
            assert made.venue(market).price("BTCUSDT") == 104

    def test_where_the_play_starts(self, tmp_path: Path) -> None:
        first = 1_774_000_020_000 // MINUTE * MINUTE
        path = small_file(tmp_path)
        made, _ = world(data=path, start_ms=first + 2 * MINUTE)
        assert made.venue(Market.SPOT).price("BTCUSDT") == 102
        with pytest.raises(InvalidInput, match="cannot start"):
            world(data=path, start_ms=first)

    def test_what_is_not_recorded(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="DOGEUSDT is not recorded in the bundle"):
            world(symbols=("DOGEUSDT",))
        with pytest.raises(NotFound, match="neither a file"):
            world(data=tmp_path / "nothing.csv")

    def test_history_folders(self, tmp_path: Path) -> None:
        store = History(tmp_path)
        bars = catalog.load("ETHUSDT").slice(None, 1_774_267_740_000 + 2_000 * MINUTE)
        with store.writing():
            store.add(bars, source="a test")
        made, _ = world(symbols=("ETHUSDT",), data=tmp_path)
        assert list(made.venues) == [Market.SPOT]
        with pytest.raises(NotFound, match="has no futures"):
            made.venue(Market.FUTURES)

    def test_only_the_part_after_a_hole_is_played(self, tmp_path: Path) -> None:
        whole = catalog.load("BTCUSDT").slice(None, 1_772_323_200_000 + 100 * MINUTE)
        keep = np.arange(100) != 40
        columns = {
            name: getattr(whole, name)[keep]
            for name in (
                *("open_time_ms", "open", "high", "low", "close", "volume"),
                *("quote_volume", "trades"),
            )
        }
        holed = Bars("BTCUSDT", Market.SPOT, Interval.M1, **columns)
        path = tmp_path / "holed.parquet"
        holed.to_frame().reset_index().to_parquet(path)
        made, clock = world(data=path)
        candles = made.venue(Market.SPOT).bars("BTCUSDT", Interval.M1, 1_000)
        opens = [candle.open_ms for candle in candles]
        assert opens == list(range(opens[0], opens[-1] + MINUTE, MINUTE))
        assert len(opens) == 59 // 2 + 1
        assert clock.now_ms() - opens[-1] < MINUTE


class TestCandlesAndDay:
    def test_quiet_minutes_stand_at_the_last_price(self) -> None:
        made, clock = world(speed=0)
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(60_000))
        clock.advance_to(clock.now_ms() + 3 * MINUTE)
        last = made.venue(Market.SPOT).bars("BTCUSDT", Interval.M1, 3)
        assert [(bar.open, bar.close, bar.volume, bar.trades) for bar in last] == [
            (60_000, 60_000, 0, 0)
        ] * 3
        assert {bar.first_trade_id for bar in last} == {-1}

    def test_the_day_forgets_what_is_older(self) -> None:
        made, clock = world(speed=0)
        venue = made.venue(Market.SPOT)
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(90_000))
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(60_000))
        assert venue.day("BTCUSDT").high == 90_000
        clock.advance_to(clock.now_ms() + 86_400_000 - MINUTE)
        assert venue.day("BTCUSDT").high == 90_000
        clock.advance_to(clock.now_ms() + MINUTE)
        day = venue.day("BTCUSDT")
        assert (day.high, day.volume, day.trades) == (60_000, 0, 0)

    def test_the_average_is_of_five_minutes(self) -> None:
        made, clock = world(speed=0)
        clock.advance_to(clock.now_ms() + 10 * MINUTE)
        for price, size in ((60_000, 1), (63_000, 2)):
            made.set_price(Market.SPOT, "BTCUSDT", Decimal(price), Decimal(size))
        price, time_ms = made.venue(Market.SPOT).average("BTCUSDT")
        assert (price, time_ms) == (62_000, clock.now_ms())
        clock.advance_to(clock.now_ms() + 5 * MINUTE)
        assert made.venue(Market.SPOT).average("BTCUSDT")[0] == 63_000


def order(side: Side, price: str | None, quantity: str = "0.5", name: str = "a") -> OrderRequest:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else Decimal(price)
    return OrderRequest(name, "BTCUSDT", Market.SPOT, side, kind, Decimal(quantity), limit)


class TestVenue:
    def stage(self) -> tuple[World, list[VenueNews]]:
        made, _ = world(speed=0)
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(60_000))
        heard: list[VenueNews] = []
        made.venue(Market.SPOT).subscribe(heard.append)
        return made, heard

    def test_each_step_of_a_taker_is_seen_by_itself(self) -> None:
        made, heard = self.stage()
        placed = asyncio.run(made.venue(Market.SPOT).place(order(Side.BUY, "61000"), OrderExtras()))
        assert isinstance(placed, VenueOrder) and placed.status == "FILLED"
        steps = [news for news in heard if isinstance(news, OrderNews)]
        assert [(s.execution_type, s.order.status, s.order.report.executed) for s in steps] == [
            ("NEW", "NEW", 0),
            ("TRADE", "FILLED", Decimal("0.5")),
        ]
        assert steps[0].execution_id < steps[1].execution_id
        printed = next(news.trade for news in heard if isinstance(news, MarketNews))
        assert steps[1].trade is not None and steps[1].trade.trade_id == printed.trade_id
        money = heard[-1]
        assert isinstance(money, BalanceNews)
        assert [balance.asset for balance in money.balances] == ["BTC", "USDT"]

    def test_what_the_engine_already_knows_can_be_asked_when_it_is_told(self) -> None:
        made, _ = self.stage()
        venue = made.venue(Market.SPOT)
        seen: list[str] = []

        def ask(news: VenueNews) -> None:
            if isinstance(news, OrderNews):
                found = venue.find("BTCUSDT", news.order.order_id, None)
                assert found is not None
                seen.append(found.status)

        venue.subscribe(ask)
        asyncio.run(venue.place(order(Side.SELL, None), OrderExtras()))
        assert seen == ["NEW", "FILLED"]

    def test_one_client_id_on_two_symbols(self) -> None:
        made, _ = world(symbols=("BTCUSDT", "ETHUSDT"), speed=0)
        venue = made.venue(Market.SPOT)

        async def run() -> None:
            await venue.place(order(Side.BUY, "50000"), OrderExtras())
            eth = OrderRequest(
                "a", "ETHUSDT", Market.SPOT, Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(1_500)
            )
            await venue.place(eth, OrderExtras())
            ended = await venue.cancel("ETHUSDT", "a", "c")
            assert isinstance(ended, VenueOrder) and ended.symbol == "ETHUSDT"

        asyncio.run(run())
        assert [o.symbol for o in venue.open_orders()] == ["BTCUSDT"]

    def test_a_refused_order_leaves_nothing(self) -> None:
        made, heard = self.stage()
        refused = asyncio.run(
            made.venue(Market.SPOT).place(order(Side.BUY, "59000", "500"), OrderExtras())
        )
        assert isinstance(refused, Rejected) and not heard
        assert made.venue(Market.SPOT).orders("BTCUSDT") == []

    def test_a_market_trade_passes_our_levels_on_its_way(self) -> None:
        made, heard = self.stage()
        venue = made.venue(Market.SPOT)

        async def run() -> None:
            for name, price in (("near", "59900"), ("far", "59800")):
                await venue.place(order(Side.BUY, price, "0.1", name), OrderExtras())

        asyncio.run(run())
        heard.clear()
        made.set_price(Market.SPOT, "BTCUSDT", Decimal(59_700))
        prints = [news.trade.price for news in heard if isinstance(news, MarketNews)]
        assert prints == [59_900, 59_800, 59_700]
        ids = [news.trade.trade_id for news in heard if isinstance(news, MarketNews)]
        assert ids == list(range(ids[0], ids[0] + 3))

    def test_nobody_takes_out_more_than_is_free(self) -> None:
        made, heard = self.stage()
        venue = made.venue(Market.SPOT)
        with pytest.raises(Conflict, match="is free"):
            venue.adjust("USDT", Decimal(-100_001), "WITHDRAW")
        venue.adjust("USDT", Decimal(-1), "WITHDRAW")
        news = heard[-1]
        assert isinstance(news, BalanceNews) and news.changes == {"USDT": -1}

    @pytest.mark.parametrize("price", ["0", "-5", "2000000"])
    def test_impossible_prices(self, price: str) -> None:
        made, _ = self.stage()
        with pytest.raises(InvalidInput, match="cannot trade at"):
            made.set_price(Market.SPOT, "BTCUSDT", Decimal(price))


def test_words_of_the_command() -> None:
    assert parse_funds("usdt=10.5, BTC=1") == {"USDT": Decimal("10.5"), "BTC": Decimal(1)}
    assert parse_symbols("btcusdt,, ETHUSDT,BTCUSDT") == ("BTCUSDT", "ETHUSDT")
    for wrong in ("USDT", "USDT=x", "USDT=-1", "=5"):
        with pytest.raises(InvalidInput):
            parse_funds(wrong)
    with pytest.raises(InvalidInput, match="at least one symbol"):
        TwinOptions(symbols=())

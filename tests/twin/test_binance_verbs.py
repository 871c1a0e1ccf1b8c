"""The documented verbs of the Binance client against the twin: orders, balances, transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest
from account_desk import SYMBOL, Desk, accepted, play, refused
from futures_client import FuturesClient

from gridlab.domain.market import Market
from gridlab.domain.orders import VenueStatus
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import RejectCode
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.verbs import AccountClient, TransferEntry
from gridlab.testing.twin import RunningTwin, running_twin

D = Decimal


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(symbols=("BTCUSDT", "ETHUSDT")) as running:
        yield running


def test_the_documented_verbs(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        transport = desk.account.transport
        spot, futures = BinanceSpot(transport), BinanceFutures(transport)
        client = AccountClient(spot, futures)
        for place, status, cancel in (
            (client.place_spot_order, client.get_spot_order_status, client.cancel_spot_order),
            (
                client.place_futures_order,
                client.get_futures_order_status,
                client.cancel_futures_order,
            ),
        ):
            report = accepted(await place(SYMBOL, "BUY", "LIMIT", "0.01", "50000"))
            assert not report.client_id.startswith("gl-")
            found = await status(SYMBOL, report.order_id)
            assert found is not None
            assert found.status is VenueStatus.NEW
            ended = accepted(await cancel(SYMBOL, int(report.order_id)))
            assert ended.status is VenueStatus.CANCELED
            assert refused(await cancel(SYMBOL, 999_999)) == RejectCode.NOT_OPEN
            assert await status(SYMBOL, 999_999) is None
        accepted(await client.place_futures_order(SYMBOL, "buy", "market", D("0.01")))
        (held,) = await client.get_futures_positions()
        assert held == await client.get_futures_position_info(SYMBOL)
        shrunk = await client.place_futures_order(
            SYMBOL, "sell", "market", "0.01", reduce_only=True
        )
        accepted(shrunk)
        assert await client.get_futures_positions() == ()
        assert (await client.get_spot_ticker(SYMBOL)).market is Market.SPOT
        assert (await client.get_futures_ticker(SYMBOL)).market is Market.FUTURES
        assert len(await client.get_spot_klines(SYMBOL, "1m", 3)) == 3
        assert len(await client.get_futures_klines(SYMBOL, "5m", 2)) == 2
        for bad in ({"side": "LONG"}, {"order_type": "STOP"}, {"quantity": "much"}):
            fields = {"symbol": SYMBOL, "side": "BUY", "order_type": "LIMIT", "quantity": "1",
                      "price": "1"}  # fmt: skip
            with pytest.raises(InvalidInput):
                await client.place_spot_order(**(fields | bad))
        with pytest.raises(InvalidInput, match="interval"):
            await client.get_spot_klines(SYMBOL, "7m")

    play(twin, Market.SPOT, work)


@pytest.mark.parametrize("client_id", ["web:x/1", "web_x-1"])
def test_a_strangers_order_ends_by_its_number_whatever_its_own_name(
    twin: RunningTwin, client_id: str
) -> None:
    """USD-M takes `:` and `/` in a client id, which cannot be signed as it is sent."""

    async def work(desk: Desk) -> None:
        transport = desk.account.transport
        client = AccountClient(BinanceSpot(transport), BinanceFutures(transport))
        stranger = FuturesClient(twin.ready, twin.control)
        placed = await asyncio.to_thread(
            stranger.order, "BUY", "0.01", "50000", newClientOrderId=client_id
        )
        ended = accepted(await client.cancel_futures_order(SYMBOL, placed.body["orderId"]))
        assert (ended.client_id, ended.status) == (client_id, VenueStatus.CANCELED)

    play(twin, Market.FUTURES, work)


def test_balances_are_valued_and_say_why_when_they_cannot_be_read(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        transport = desk.account.transport
        client = AccountClient(BinanceSpot(transport), BinanceFutures(transport))
        found = await client.get_account_balance()
        told = twin.account()
        usdt = next(row for row in found.spot.balances if row.asset == "USDT")
        assert (usdt.total, usdt.usdt_value) == (D(told["spot"]["balances"]["USDT"]["total"]),) * 2
        assert found.spot.total_usdt == sum(row.usdt_value or 0 for row in found.spot.balances)
        assert found.futures.margin_balance == D(told["futures"]["balances"]["USDT"]["total"])
        assert found.futures.available_balance <= found.futures.margin_balance
        assert (found.spot.error, found.futures.error) == (None, None)
        desk.inject("unexpected_response", "GET", path="/api/v3/account", count=3)
        broken = await client.get_account_balance()
        assert broken.spot.error is not None
        assert "-1006" in broken.spot.error
        assert (broken.spot.balances, broken.futures.error) == ((), None)

    play(twin, Market.SPOT, work)


def test_transfers_need_the_flag_and_leave_their_entries(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        transport = desk.account.transport
        spot, futures = BinanceSpot(transport), BinanceFutures(transport)
        with pytest.raises(Conflict, match="switched off"):
            await AccountClient(spot, futures).transfer_between_markets("USDT", "1", "1")
        with pytest.raises(InvalidInput, match="audit"):
            AccountClient(spot, futures, allow_transfers=True)
        entries: list[TransferEntry] = []
        client = AccountClient(spot, futures, allow_transfers=True, audit=entries.append)

        def wallets() -> tuple[Decimal, Decimal]:
            told = twin.account()
            names = ("spot", "futures")
            first, second = (D(told[name]["balances"]["USDT"]["total"]) for name in names)
            return first, second

        before = wallets()
        made = await client.transfer_between_markets("USDT", "12.5", "1")
        assert wallets() == (before[0] - D("12.5"), before[1] + D("12.5"))
        back = await client.transfer_between_markets("USDT", D("12.5"), "2")
        assert wallets() == before
        assert [e.state for e in entries] == ["asked", "accepted", "asked", "accepted"]
        assert made.transfer_id is not None
        assert made.transfer_id != back.transfer_id
        lost = await client.transfer_between_markets("USDT", "999999999", "1")
        assert lost.state in ("rejected", "unknown")
        assert lost.reason
        assert wallets() == before
        for bad in (("USDT", "1", "3"), ("USDT", "0", "1"), ("USDT", "x", "1")):
            with pytest.raises(InvalidInput):
                await client.transfer_between_markets(*bad)
        assert len(entries) == 6

        def full(_: TransferEntry) -> None:
            raise OSError("no space left")

        with pytest.raises(OSError, match="space"):
            careful = AccountClient(spot, futures, allow_transfers=True, audit=full)
            await careful.transfer_between_markets("USDT", "1", "1")
        assert wallets() == before

    play(twin, Market.SPOT, work)

"""Every socket of one market, put together: what the venue tells, and the doors to hear it by."""

from __future__ import annotations

from aiohttp import web

from gridlab.domain.market import Market
from gridlab.twin.account_news import FuturesEvents, spot_events
from gridlab.twin.futures_figures import FuturesFigures
from gridlab.twin.key_listener import KeyedAccount
from gridlab.twin.news import BookNews, MarketNews, VenueNews
from gridlab.twin.rest import Desk
from gridlab.twin.stream_hub import StreamHub
from gridlab.twin.stream_payloads import Payload
from gridlab.twin.streams import StreamDoor
from gridlab.twin.user_news import UserNews
from gridlab.twin.user_stream import UserStream
from gridlab.twin.ws_api import ApiDoor


class MarketSockets:
    """The sockets of the market that `desk` serves.

    Args:
        figures: what the futures account is; none on spot.

    Attributes:
        hub: its market streams.
        account: its user data events.
        streams, api: where clients come in.
    """

    def __init__(self, desk: Desk, figures: FuturesFigures | None = None) -> None:
        world = desk.world
        self._world = world
        self._venue = world.venues[desk.market]
        self.hub = StreamHub(
            self._venue,
            world.clock,
            world.now_ms,
            is_silent=lambda: world.faults.silent_until_ms > world.wall_ms(),
        )
        self.account = UserStream(world.clock, world.faults)
        keyed = None
        self._futures: FuturesEvents | None = None
        if desk.market is Market.FUTURES:
            assert figures is not None, "futures sockets tell the account's figures"
            keyed = KeyedAccount(self.account, world.listen_keys, world.clock, world.now_ms)
            self._futures = FuturesEvents(self._venue, figures)
        self.streams = StreamDoor(
            self.hub,
            world.sockets,
            world.clock,
            world.now_ms,
            desk.note_handshake,
            account=keyed,
        )
        self.api = ApiDoor(desk, self.account, world.sockets)
        world.sockets.is_limited = world.options.has_limits
        self._venue.subscribe(self._on_news)

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Every address of this market's sockets."""
        return [*self.api.routes(prefix), *self.streams.routes(prefix)]

    def _on_news(self, news: VenueNews | UserNews) -> None:
        if isinstance(news, MarketNews):
            self.hub.on_trade(news.trade)
            self._call_margin(news.trade.symbol)
        elif isinstance(news, BookNews):
            self.hub.on_book(news.symbol)
        elif not self.account.has_listeners:
            return
        elif isinstance(news, UserNews):
            self.account.tell([dict(news.payload)])
        else:
            self.account.tell(self._events_of(news))

    def _events_of(self, news: VenueNews) -> list[Payload]:
        now_ms = self._world.now_ms()
        if self._futures is not None:
            return self._futures.of(news, now_ms)
        return spot_events(news, now_ms)

    def _call_margin(self, symbol: str) -> None:
        if self._futures is not None and self.account.has_listeners:
            self.account.tell(self._futures.margin_call(symbol, self._world.now_ms()))


def routes(
    desk: Desk, prefix: str = "", figures: FuturesFigures | None = None
) -> list[web.RouteDef]:
    """The routes of one market's sockets; to be called once a market."""
    return MarketSockets(desk, figures).routes(prefix)

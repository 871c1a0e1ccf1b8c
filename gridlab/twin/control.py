"""The control: what only the owner of a twin may do, on a loopback port of its own.

Not part of the venue's protocol: it moves prices, speed, rules and faults, cancels as the exchange
would, and tells the whole truth of both accounts, whatever the faults make clients see.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, TypeAlias

from aiohttp import web

from gridlab.clock import iso
from gridlab.domain.market import Instrument, Market, PercentPrice
from gridlab.errors import GridLabError, InvalidInput, NotFound
from gridlab.exchange.base import Rejected
from gridlab.money import parse, text
from gridlab.twin import wire_spot
from gridlab.twin.fault_runner import FaultRunner
from gridlab.twin.futures_desk import FuturesDesk
from gridlab.twin.news import EXCHANGE_CANCELED, VenueOrder
from gridlab.twin.venue import Venue
from gridlab.twin.world import World

Document: TypeAlias = Mapping[str, Any]
Action: TypeAlias = Callable[[Document], Awaitable[Any]]

#: What clients did: everything they sent, every socket they wanted to open.
CLIENT_COUNTERS = (
    "requests",
    "requests_in_ban",
    "requests_despite_ban",
    "connections",
    "connections_in_ban",
    "connections_despite_ban",
)
MARKETS = {"spot": Market.SPOT, "fut": Market.FUTURES, "futures": Market.FUTURES}


class Control:
    """The control port's verbs.

    Args:
        futures: None when the twin plays no futures.
    """

    def __init__(
        self,
        world: World,
        runner: FaultRunner,
        futures: FuturesDesk | None,
    ) -> None:
        self._world = world
        self._runner = runner
        self._futures = futures

    def routes(self) -> list[web.RouteDef]:
        verbs: dict[str, Action] = {
            "/price": self.price,
            "/speed": self.speed,
            "/instrument": self.instrument,
            "/order/cancel": self.cancel,
            "/delist": self.delist,
            "/faults": self._runner.post,
            "/funding": self.funding,
        }
        found = [web.post(path, _served(action)) for path, action in verbs.items()]
        return [*found, web.get("/account", _served(self.account))]

    async def price(self, document: Document) -> Any:
        """`{"venue": "spot" | "fut", "symbol": ..., "price": ..., "quantity": ...}`."""
        venue, symbol = self._place(document)
        quantity = document.get("quantity")
        trade = self._world.set_price(
            venue.market,
            symbol,
            _decimal(document, "price"),
            None if quantity is None else _decimal(document, "quantity"),
        )
        return {
            "symbol": symbol,
            "price": text(trade.price),
            "trade_id": trade.trade_id,
            "time_ms": trade.time_ms,
        }

    async def speed(self, document: Document) -> Any:
        """`{"speed": 60}`."""
        speed = document.get("speed")
        if isinstance(speed, bool) or not isinstance(speed, (int, float)):
            raise InvalidInput(f"speed is {speed!r}; a number such as 60 is meant")
        self._world.speed = float(speed)
        return {"speed": self._world.speed}

    async def instrument(self, document: Document) -> Any:
        """`{"venue":, "symbol":, "tick_size": "0.10", ...}`: any field of the rules."""
        venue, symbol = self._place(document)
        changes = {k: v for k, v in document.items() if k not in ("venue", "symbol")}
        instrument = changed(venue.instrument(symbol), changes)
        venue.set_instrument(instrument)
        return {"symbol": symbol, **{name: _plain(getattr(instrument, name)) for name in changes}}

    async def cancel(self, document: Document) -> Any:
        """`{"venue":, "symbol":, "client_id":}` or `"order_id":`: the exchange ends an order."""
        venue, symbol = self._place(document)
        number, client_id = document.get("order_id"), document.get("client_id")
        order = venue.find(symbol, number, client_id)
        reason = str(document.get("reason", EXCHANGE_CANCELED))
        ended = None if order is None else venue.expire(symbol, order.client_id, reason)
        if ended is None or isinstance(ended, Rejected):
            raise NotFound(f"{client_id or number} is not open on {venue.market} {symbol}")
        return order_row(ended)

    async def delist(self, document: Document) -> Any:
        """`{"venue":, "symbol":}`: the market is removed, with every open order on it."""
        venue, symbol = self._place(document)
        venue.delist(symbol)
        return {"symbol": symbol}

    async def funding(self, document: Document) -> Any:
        if self._futures is None:
            raise NotFound("this twin plays no futures; name a symbol that is recorded there")
        return await self._futures.pay_funding(document)

    async def account(self, document: Document) -> Any:
        """Everything that is true of both markets, of the faults, and of what clients did."""
        world = self._world
        world.check()
        answer: dict[str, Any] = {
            "time_ms": world.now_ms(),
            "wall_ms": world.wall_ms(),
            "started_ms": world.started_ms,
            "speed": world.speed,
            "played_ms": world.playback.played_ms,
            "played_until": {
                symbol: iso(start_ms + world.playback.played_ms)
                for symbol, start_ms in world.recorded_from_ms.items()
            },
            "has_ended": world.playback.has_ended,
            "faults": world.faults.counters(),
            # Some may have been under way when the ban began; "despite" it came what left later.
            **{name: world.counters[name] for name in CLIENT_COUNTERS},
        }
        for market, venue in world.venues.items():
            answer[market.value] = _truth(venue)
        if self._futures is not None:
            truth = self._futures.truth()
            truth["wallets"] = truth.pop("balances")
            answer[Market.FUTURES.value] |= truth
        return answer

    def _place(self, document: Document) -> tuple[Venue, str]:
        name, symbol = document.get("venue", "spot"), document.get("symbol")
        if name not in MARKETS:
            raise InvalidInput(f"venue is {name!r}; spot or fut is meant")
        if not isinstance(symbol, str):
            raise InvalidInput(f"symbol is {symbol!r}; a name such as BTCUSDT is meant")
        venue = self._world.venue(MARKETS[name])
        venue.tape(symbol)
        return venue, symbol


def _truth(venue: Venue) -> dict[str, Any]:
    symbols = tuple(venue.symbols())
    return {
        "balances": {
            b.asset: {"free": text(b.free), "locked": text(b.locked), "total": text(b.total)}
            for b in venue.balances()
        },
        "prices": {symbol: text(venue.price(symbol)) for symbol in symbols},
        "open_orders": [order_row(order) for order in venue.open_orders()],
        "orders": [order_row(order) for symbol in symbols for order in venue.orders(symbol)],
        "trades": [
            wire_spot.my_trade(trade) | {"client_id": trade.client_id}
            for symbol in symbols
            for trade in venue.account_trades(symbol)
        ],
        "repeated_client_ids": venue.repeated_ids(),
    }


def order_row(order: VenueOrder) -> dict[str, Any]:
    """One order in GridLab's words."""
    report = order.report
    return {
        "order_id": order.order_id,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": report.side.value,
        "type": report.type.value,
        "time_in_force": order.extras.time_in_force,
        "price": None if report.price is None else text(report.price),
        "quantity": text(report.quantity),
        "executed": text(report.executed),
        "quote_executed": text(order.quote_executed),
        "status": report.status.value,
        "reduce_only": order.extras.is_reduce_only,
        "created_ms": report.created_ms,
        "updated_ms": report.updated_ms,
        "expiry_reason": order.ending.reason,
    }


def changed(instrument: Instrument, changes: Document) -> Instrument:
    """The same rules with some of them changed, each given as it is stored: amounts as texts.

    Raises:
        InvalidInput: an unknown rule, or a value of the wrong kind.
    """
    known = {f.name: f for f in fields(Instrument)}
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name in ("symbol", "market", "base", "quote") or name not in known:
            rules = ", ".join(n for n in known if n not in ("symbol", "market", "base", "quote"))
            raise InvalidInput(f"{name!r} is no rule that can be changed; known are {rules}")
        values[name] = _rule(name, value, getattr(instrument, name))
    return replace(instrument, **values)


def _rule(name: str, value: Any, now: Any) -> Any:
    if name == "percent_price":
        if value is None:
            return None
        return PercentPrice(**{key: parse(part, key) for key, part in value.items()})
    if isinstance(now, Decimal):
        return parse(value, name)
    if not isinstance(value, type(now)) or isinstance(value, bool):
        raise InvalidInput(f"{name} is {value!r}; {type(now).__name__} is meant")
    return value


def _plain(value: Any) -> Any:
    return text(value) if isinstance(value, Decimal) else str(value)


def _decimal(document: Document, name: str) -> Decimal:
    """An amount, as a text or as a JSON number, which is read by its digits."""
    value = document.get(name)
    if isinstance(value, float):
        value = repr(value)
    if not isinstance(value, (str, int)):
        raise InvalidInput(f"{name} is {value!r}; an amount such as '65000.5' is meant")
    return parse(value, name)


def _served(action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            body = await request.read()
            document = json.loads(body) if body else {}
            if not isinstance(document, dict):
                raise InvalidInput('an object is meant, such as {"symbol": "BTCUSDT"}')
            return web.json_response(await action(document))
        except NotFound as error:
            return web.json_response({"error": str(error)}, status=404)
        except (GridLabError, ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return serve

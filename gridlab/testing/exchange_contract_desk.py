"""`Desk`: how a case of the contract suite trades, and the oracles that judge every case.

A case asks for what should happen (`accepted`, `refused`, `cancelled`); the desk sends it, and on a
venue that is not exact resolves what it was not told. When the case is over the desk leaves the
account as it found it and compares three things that the venue said in different ways: events,
trades and reports, and balances.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, Trade
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected, Unknown, VenueEvent
from gridlab.money import ZERO, ceil_to, exact, floor_to, rounding
from gridlab.testing.exchange_contract_venue import VenueUnderTest, futures_of

#: How often a request is repeated that provably never arrived, before the case fails.
ATTEMPTS = 20


class Desk:
    """One case's view of the venue.

    Attributes:
        rules: the instrument's.
        start_price: the last price when the case began; cases count prices from it.
    """

    def __init__(self, venue: VenueUnderTest, rules: Instrument, start_price: Decimal) -> None:
        self.venue = venue
        self.exchange = venue.exchange
        self.symbol = venue.symbol
        self.rules = rules
        self.start_price = start_price
        self._token = uuid.uuid4().hex[:12]
        self._names = 0
        self._first_event = len(venue.events())
        self._last_trade = -1
        self._opening: dict[str, Decimal] = {}
        self._order_ids: set[str] = set()
        self._placed: Counter[str] = Counter()
        self.flows = ZERO  # funding that the case caused, for the books' comparison

    @classmethod
    async def open(cls, venue: VenueUnderTest) -> Desk:
        """A desk on a venue that is at rest."""
        await venue.settle()
        rules = await venue.exchange.instrument(venue.symbol)
        desk = cls(venue, rules, await venue.price())
        trades = await venue.exchange.trades(venue.symbol)
        desk._last_trade = trades[-1].trade_id if trades else -1
        desk._opening = await desk.totals()
        desk._first_event = len(venue.events())
        return desk

    # -- what to ask ----------------------------------------------------------------------------

    def name(self) -> str:
        """A client id that was never used."""
        self._names += 1
        return f"ct-{self._token}-{self._names}"

    def price(self, percent: str) -> Decimal:
        """The tick nearest to that many percent above the start price; below when negative."""
        with rounding():
            wanted = self.start_price * (1 + Decimal(percent) / 100)
        return floor_to(wanted, self.rules.tick_size)

    def quantity(self, times: int | str = 3) -> Decimal:
        """That many times the least order that the filters allow 10 % below the start price."""
        with rounding():
            least = max(self.rules.min_notional, Decimal(1)) / (self.start_price * Decimal("0.9"))
        least = max(ceil_to(least, self.rules.lot_size), self.rules.min_quantity)
        return ceil_to(least * Decimal(times), self.rules.lot_size)

    def order(
        self,
        side: Side,
        percent: str | None = None,
        *,
        quantity: Decimal | None = None,
        name: str | None = None,
        kind: OrderType | None = None,
        reduce_only: bool = False,
    ) -> OrderRequest:
        """An order so many percent above the start price; a market order without a percentage."""
        if kind is None:
            kind = OrderType.MARKET if percent is None else OrderType.LIMIT
        return OrderRequest(
            client_id=name or self.name(),
            symbol=self.symbol,
            market=self.exchange.market,
            side=side,
            type=kind,
            quantity=quantity or self.quantity(),
            price=None if percent is None else self.price(percent),
            reduce_only=reduce_only,
        )

    def buy(self, percent: str | None = None, **options: Any) -> OrderRequest:
        """A buy; the options are those of `order`."""
        return self.order(Side.BUY, percent, **options)

    def sell(self, percent: str | None = None, **options: Any) -> OrderRequest:
        """A sell; the options are those of `order`."""
        return self.order(Side.SELL, percent, **options)

    async def stock(self, quantity: Decimal | None = None) -> None:
        """Have at least `quantity` to sell: buy it, and what a fee in base takes of it."""
        wanted = quantity or self.quantity()
        with rounding():
            bought = ceil_to(wanted * Decimal("1.02"), self.rules.lot_size)
        await self.accepted(self.buy(quantity=max(bought, self.quantity())))

    # -- asking ---------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Outcome:
        """The bare answer of one request; never UNKNOWN from an exact venue."""
        outcome = await self.exchange.place(request)
        return self._judged(outcome)

    async def accepted(self, request: OrderRequest) -> OrderReport:
        """Place an order that must be accepted; returns its report as it was accepted."""
        for _ in range(ATTEMPTS):
            outcome = await self.place(request)
            if isinstance(outcome, Accepted):
                return self._took(request, outcome.report)
            assert not self.venue.is_exact, f"{request} was answered {outcome}"
            await self.settle()
            report = await self.exchange.query(self.symbol, request.client_id)
            if report is not None and report.order_id not in self._order_ids:
                # A second copy that is told anything else would look like a refusal for good.
                is_copy = isinstance(outcome, Unknown) or outcome.code == RejectCode.DUPLICATE
                assert is_copy, f"{request} is at the venue and was answered {outcome}"
                return self._took(request, report)
            assert isinstance(outcome, Unknown) or outcome.code == RejectCode.CLOCK, outcome
        raise AssertionError(f"{request} never got through in {ATTEMPTS} attempts")

    async def adopt(self, client_id: str) -> None:
        """Count an order that was placed without `accepted`, as in a race."""
        report = await self.report(client_id)
        self._order_ids.add(report.order_id)
        self._placed[client_id] += 1

    def _took(self, request: OrderRequest, report: OrderReport) -> OrderReport:
        assert report.order_id not in self._order_ids, f"order id {report.order_id} came twice"
        self._order_ids.add(report.order_id)
        self._placed[request.client_id] += 1
        return report

    async def refused(self, request: OrderRequest, *codes: str) -> Rejected:
        """Place an order that must be refused, with one of `codes`."""
        return await self._refusal(lambda: self.place(request), codes)

    async def cancelled(self, client_id: str) -> OrderReport:
        """Cancel an order that must be open; returns its report."""
        outcome = self._judged(await self.exchange.cancel(self.symbol, client_id))
        if isinstance(outcome, Accepted):
            return outcome.report
        assert not self.venue.is_exact, f"the cancel of {client_id} was answered {outcome}"
        for _ in range(ATTEMPTS):
            await self.settle()
            report = await self.report(client_id)
            if not report.status.is_open:
                return report
            await self.exchange.cancel(self.symbol, client_id)
        raise AssertionError(f"{client_id} is open after {ATTEMPTS} cancels")

    async def not_open(self, client_id: str) -> None:
        """Cancel an order that must not be open."""
        await self._refusal(
            lambda: self.exchange.cancel(self.symbol, client_id), (RejectCode.NOT_OPEN,)
        )

    async def _refusal(
        self, ask: Callable[[], Coroutine[Any, Any, Outcome]], codes: tuple[str, ...]
    ) -> Rejected:
        for _ in range(ATTEMPTS):
            outcome = self._judged(await ask())
            assert not isinstance(outcome, Accepted), f"accepted: {outcome.report}"
            is_undecided = isinstance(outcome, Unknown) or outcome.code == RejectCode.CLOCK
            if isinstance(outcome, Rejected) and (self.venue.is_exact or not is_undecided):
                assert outcome.code in codes, f"{outcome} where {' or '.join(codes)} is due"
                assert outcome.reason, "a refusal says why"
                return outcome
            await self.settle()
        raise AssertionError(f"no answer in {ATTEMPTS} attempts")

    def _judged(self, outcome: Outcome) -> Outcome:
        if self.venue.is_exact:
            assert not isinstance(outcome, Unknown), f"{outcome} from an exact venue"
        return outcome

    async def move(self, percent: str) -> None:
        """Let the market trade that many percent above the start price, and wait for the news."""
        await self.venue.move(self.price(percent))
        await self.settle()

    async def settle(self) -> None:
        await self.venue.settle()

    # -- reading --------------------------------------------------------------------------------

    async def report(self, client_id: str) -> OrderReport:
        """What the venue knows of an order that must exist."""
        report = await self.exchange.query(self.symbol, client_id)
        assert report is not None, f"the venue does not know {client_id}"
        return report

    async def trades(self, client_id: str | None = None) -> list[Trade]:
        """The trades of this case, of one order or of all, oldest first."""
        trades = await self.exchange.trades(self.symbol, self._last_trade)
        return [t for t in trades if client_id is None or t.client_id == client_id]

    async def is_open(self, report: OrderReport) -> bool:
        """Whether an order is among the open ones, just as `report` shows it, times apart."""
        found = await self.exchange.open_orders(self.symbol)
        return timeless(report) in [timeless(one) for one in found]

    async def is_as(self, report: OrderReport) -> bool:
        """Whether the venue still knows an order just as `report` shows it, times apart."""
        return timeless(await self.report(report.client_id)) == timeless(report)

    async def open_ids(self) -> list[str]:
        """Client ids of the open orders, oldest first."""
        return [report.client_id for report in await self.exchange.open_orders(self.symbol)]

    async def totals(self) -> dict[str, Decimal]:
        """What the account holds, by asset."""
        return {balance.asset: balance.total for balance in await self.exchange.balances()}

    async def balance(self, asset: str) -> tuple[Decimal, Decimal]:
        """(free, locked) of one asset."""
        rows = {b.asset: (b.free, b.locked) for b in await self.exchange.balances()}
        return rows.get(asset, (ZERO, ZERO))

    async def position(self) -> Decimal:
        """The position's signed quantity; futures only."""
        return (await futures_of(self.venue).position(self.symbol)).quantity

    def events(self, client_id: str | None = None) -> list[VenueEvent]:
        """What was told in this case, of one order or of all."""
        events = list(self.venue.events()[self._first_event :])
        return [e for e in events if client_id is None or client_of(e) == client_id]

    # -- the end of a case ----------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Leave no order and no position, and the market where it was."""
        await self.settle()
        for client_id in await self.open_ids():
            if client_id in self._placed:
                await self.cancelled(client_id)
        if self.exchange.market is Market.FUTURES:
            held = await self.position()
            if held:
                side = Side.SELL if held > 0 else Side.BUY
                await self.accepted(self.order(side, quantity=abs(held), reduce_only=True))
        await self.venue.move(self.start_price)
        await self.settle()

    async def audit(self) -> None:
        """Compare events with trades and reports, and balances with trades."""
        trades = await self.trades()
        assert [t.trade_id for t in trades] == sorted({t.trade_id for t in trades})
        for client_id, count in self._placed.items():
            self._audit_events(client_id, count, [t for t in trades if t.client_id == client_id])
        if len(self._placed) == sum(self._placed.values()):
            for client_id in self._placed:
                await self._audit_report(client_id, trades)
        await self._audit_balances(trades)

    def _audit_events(self, client_id: str, count: int, trades: list[Trade]) -> None:
        events = self.events(client_id)
        fills = [e.trade for e in events if isinstance(e, OrderFilled)]
        accepted = [e.order_id for e in events if isinstance(e, OrderAccepted)]
        ended = [e for e in events if isinstance(e, OrderEnded)]
        if self.venue.is_exact:
            assert fills == trades, f"{client_id}: told {fills}, traded {trades}"
            assert (len(accepted), len(ended)) == (count, count), f"{client_id}: {events}"
        else:
            assert {t.trade_id: t for t in fills} == {t.trade_id: t for t in trades}
            assert len(set(accepted)) == len(set(ended)) == count, f"{client_id}: {events}"
        assert set(accepted) <= self._order_ids

    async def _audit_report(self, client_id: str, trades: list[Trade]) -> None:
        report = await self.report(client_id)
        own = [t for t in trades if t.client_id == client_id]
        assert report.executed == sum((t.quantity for t in own), ZERO)
        assert not report.status.is_open
        assert {t.order_id for t in own} <= {report.order_id}
        told = [e for e in self.events(client_id) if isinstance(e, OrderEnded)]
        ends = {(e.status, e.executed) for e in told}
        assert ends == {(report.status, report.executed)}

    async def _audit_balances(self, trades: list[Trade]) -> None:
        """Each asset changed by its trades and fees alone; a futures wallet by cash flows."""
        expected = dict(self._opening)
        with exact():
            for trade in trades:
                sign = 1 if trade.side is Side.BUY else -1
                if self.exchange.market is Market.SPOT:
                    add(expected, self.rules.base, sign * trade.quantity)
                add(expected, self.rules.quote, -sign * trade.price * trade.quantity)
                add(expected, trade.fee_asset, -trade.fee)
            add(expected, self.rules.quote, self.flows)
        found = await self.totals()
        assert {a: n for a, n in found.items() if n} == {a: n for a, n in expected.items() if n}


def timeless(report: OrderReport) -> OrderReport:
    """A report without its times: an answer and a query may be stamped differently."""
    return replace(report, created_ms=0, updated_ms=0)


def add(amounts: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    """Add to one of `amounts`, which may not be there yet."""
    amounts[asset] = amounts.get(asset, ZERO) + amount


def client_of(event: VenueEvent) -> str:
    """The client id that an event speaks of."""
    return event.trade.client_id if isinstance(event, OrderFilled) else event.client_id


def case(work: Callable[[Any, Desk], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A pytest method that runs the coroutine `work(self, desk)` on its `venue` fixture.

    The desk is opened before, cleans up and is audited after.
    """

    def run(self: object, venue: VenueUnderTest) -> None:
        async def whole() -> None:
            desk = await Desk.open(venue)
            try:
                await work(self, desk)
            finally:
                await desk.clean_up()
            await desk.audit()

        venue.run(whole)

    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(run, attribute, getattr(work, attribute))
    return run

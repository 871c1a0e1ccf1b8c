"""Equal books: what an engine journalled and booked, against the twin's truth, to the last digit.

Pure: it takes the twin's account as its control tells it, before and after, and an engine's trader
with its journal, and says in words what differs. The twin's truth is read from its matching engine,
past every fault; nothing here looks at what the faulty venue told the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.agents.bot import Bot
from gridlab.agents.recovery import rebuild
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import FundingPaid, GridStarted, OrderFilled
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId, OrderRequest, OrderType, Side, Trade
from gridlab.grid.engine import Grid
from gridlab.money import ZERO, exact
from gridlab.store.journal import Journal

Truth: TypeAlias = Mapping[str, Any]


@dataclass
class Booked:
    """What one market's runs did, by the journal alone."""

    trades: dict[tuple[str, int], Trade] = field(default_factory=dict)
    requests: dict[str, OrderRequest] = field(default_factory=dict)
    funding: list[FundingPaid] = field(default_factory=list)
    booked_twice: list[tuple[str, int]] = field(default_factory=list)


def read(journal: Journal) -> dict[Market, Booked]:
    """Play the journal through new grids and note each trade that really changed the books."""
    grids: dict[str, Grid] = {}
    found = {market: Booked() for market in Market}
    for entry in journal.entries():
        event = entry.event
        if isinstance(event, GridStarted):
            grids[entry.stream] = Grid(audit=False)
        grid = grids[entry.stream]
        before = grid.trade_count
        grid.handle(event)
        booked = found[grid.plan.spec.market]
        if isinstance(event, OrderFilled) and grid.trade_count > before:
            key = (event.trade.symbol, event.trade.trade_id)
            if key in booked.trades:
                booked.booked_twice.append(key)
            booked.trades[key] = event.trade
        elif isinstance(event, FundingPaid):
            booked.funding.append(event)
        for command in entry.commands:
            if isinstance(command, PlaceOrder):
                booked.requests[command.client_id] = command.request
    return found


def audit(truth: Truth, opening: Truth, bots: Iterable[Bot], journal: Journal) -> list[str]:
    """Everything that must be equal, and is not, in words; empty when the books are equal."""
    bots = list(bots)
    found = quick(truth, opening, bots)
    for market, booked in read(journal).items():
        account = truth[market.value]
        found += [f"{market}: trade {key} was booked twice" for key in booked.booked_twice]
        found += _trades(market, booked, ours(account, opening[market.value], "trades"))
        found += _orders(market, booked, ours(account, opening[market.value], "orders"))
    return found + _replay(bots, journal)


def quick(truth: Truth, opening: Truth, bots: Iterable[Bot]) -> list[str]:
    """What can be seen without reading the journal: wallets, live orders, counts."""
    bots = list(bots)
    found = [f"{bot.run} is halted: {bot.halted}" for bot in bots if bot.halted]
    for sent in ("requests", "connections"):
        despite = truth[f"{sent}_despite_ban"] - opening[f"{sent}_despite_ban"]
        if despite:
            found.append(f"{despite} {sent} despite a ban")
    for market in Market:
        account, own = truth[market.value], [bot for bot in bots if bot.market is market]
        found += [f"{market}: {i} was accepted twice" for i in account["repeated_client_ids"]]
        booked = sum(bot.grid.trade_count for bot in own)
        there = len(ours(account, opening[market.value], "trades"))
        if booked != there:
            found.append(f"{market}: {booked} trades are booked, {there} were made")
        found += _wallets(market, account, opening[market.value], own)
        found += _live(market, ours(account, opening[market.value], "open_orders"), own)
    return found


def ours(account: Truth, opening: Truth, name: str) -> list[Mapping[str, Any]]:
    """Rows that carry an id of a grid and were not there before."""
    before = {_key(row) for row in opening[name]}
    return [
        row
        for row in account[name]
        if ClientId.parse(row["client_id"]) is not None and _key(row) not in before
    ]


def _key(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["symbol"], row["id"] if "id" in row else row["order_id"]


# --- money ----------------------------------------------------------------------------------------


def _wallets(market: Market, account: Truth, opening: Truth, bots: list[Bot]) -> list[str]:
    """The ledgers' wallets against the account's change; nobody else trades on it."""
    booked: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    with exact():
        for bot in bots:
            for asset, amount in bot.grid.ledger.wallet.items():
                booked[asset] += amount  # type: ignore[assignment]
        for sign, side in ((1, account), (-1, opening)):
            for asset, row in side["balances"].items():
                changed[asset] += sign * Decimal(row["total"])  # type: ignore[assignment]
            for row in side.get("positions", ()):
                base = row["symbol"].removesuffix(row["marginAsset"])
                changed[base] += sign * Decimal(row["positionAmt"])  # type: ignore[assignment]
                changed[row["marginAsset"]] -= sign * Decimal(row["cost"])  # type: ignore[assignment]
    return [
        f"{market}: the ledgers hold {booked[asset]} {asset}, the account changed by "
        f"{changed[asset]}"
        for asset in sorted({*booked, *changed})
        if booked[asset] != changed[asset]
    ] + _income(market, account, opening)


def _income(market: Market, account: Truth, opening: Truth) -> list[str]:
    """The twin against itself: a futures wallet changes by what is booked on it."""
    if market is Market.SPOT:
        return []
    (wallet, income), (before, income_before) = (
        _wallet_and_income(account),
        _wallet_and_income(opening),
    )
    with exact():
        changed, booked = wallet - before, income - income_before
    if changed == booked:
        return []
    return [f"the twin's wallet changed by {changed}, its income says {booked}"]


def _wallet_and_income(account: Truth) -> tuple[Decimal, Decimal]:
    with exact():
        total = sum((Decimal(row["total"]) for row in account["balances"].values()), ZERO)
        return total, sum((Decimal(row["amount"]) for row in account["income"]), ZERO)


def _trades(market: Market, booked: Booked, rows: list[Mapping[str, Any]]) -> list[str]:
    """Each trade of the account is booked once, with its own price, quantity and fee."""
    there = {(row["symbol"], row["id"]): trade_of(row) for row in rows}
    found = [f"{market}: trade {key} is not booked" for key in there.keys() - booked.trades.keys()]
    found += [f"{market}: trade {key} never was" for key in booked.trades.keys() - there.keys()]
    found += [
        f"{market}: trade {key} is booked as {booked.trades[key]}, it was {there[key]}"
        for key in there.keys() & booked.trades.keys()
        if booked.trades[key] != there[key]
    ]
    return found


def trade_of(row: Mapping[str, Any]) -> Trade:
    """A trade from the twin's own rows."""
    return Trade(
        trade_id=row["id"],
        order_id=str(row["orderId"]),
        client_id=row["client_id"],
        symbol=row["symbol"],
        side=Side.BUY if row["isBuyer"] else Side.SELL,
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        fee=Decimal(row["commission"]),
        fee_asset=row["commissionAsset"],
        is_maker=row["isMaker"],
        time_ms=row["time"],
    )


# --- orders ---------------------------------------------------------------------------------------


def _live(market: Market, rows: list[Mapping[str, Any]], bots: list[Bot]) -> list[str]:
    """The open orders there are the live ones here: same price, same quantity, same fill."""
    there = {
        row["client_id"]: (row["symbol"], row["side"], row["price"], row["quantity"])
        for row in rows
    }
    filled = {row["client_id"]: Decimal(row["executed"]) for row in rows}
    found = []
    here = {order.client_id: order for bot in bots for order in bot.live()}
    for client_id in sorted(there.keys() ^ here.keys()):
        what = "an orphan" if client_id in there else f"not there, {here[client_id].state} here"
        found.append(f"{market}: open order {client_id} is {what}")
    for client_id in there.keys() & here.keys():
        if here[client_id].filled != filled[client_id]:
            found.append(
                f"{market}: {client_id} is filled {here[client_id].filled} here, "
                f"{filled[client_id]} there"
            )
    return found


def _orders(market: Market, booked: Booked, rows: list[Mapping[str, Any]]) -> list[str]:
    """Each order that the venue ever took from us was commanded, word for word, and once."""
    names = Counter(row["client_id"] for row in rows)
    found = [f"{market}: {name} was taken {n} times" for name, n in names.items() if n > 1]
    for row in rows:
        request = booked.requests.get(row["client_id"])
        if request is None:
            found.append(f"{market}: order {row['client_id']} was never commanded")
        elif (wanted := _as_asked(request)) != (seen := _as_taken(row)):
            found.append(f"{market}: {row['client_id']} was {wanted} and became {seen}")
    return found


def _as_asked(request: OrderRequest) -> tuple[Any, ...]:
    return (
        request.symbol,
        request.side.value,
        request.type is OrderType.MARKET,
        request.price,
        request.quantity,
        request.reduce_only,
    )


def _as_taken(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        row["symbol"],
        row["side"],
        row["type"] == OrderType.MARKET.value,
        None if row["price"] is None else Decimal(row["price"]),
        Decimal(row["quantity"]),
        row["reduce_only"],
    )


# --- the journal ----------------------------------------------------------------------------------


def _replay(bots: list[Bot], journal: Journal) -> list[str]:
    """The journal replayed gives the same commands, else `rebuild` raises, and the same books."""
    again = rebuild(journal)
    found = []
    if set(again) != {bot.run for bot in bots}:
        found.append(f"the journal has runs {sorted(again)}")
    for bot in bots:
        grid, twin = bot.grid, again[bot.run].grid
        if grid.ledger.lines() != twin.ledger.lines() or grid.ledger.residuals():
            found.append(f"{bot.run}: the journal gives other books: {twin.ledger.lines()}")
        if {o.client_id for o in grid.live_orders()} != {o.client_id for o in twin.live_orders()}:
            found.append(f"{bot.run}: the journal gives other live orders")
    return found

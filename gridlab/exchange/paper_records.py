"""The paper venue's books as records: what is stored, and how it is read back.

A record is (kind, key, payload): canonical JSON, or None to delete. The venue keeps these apart
from the bot's journal, as a real venue would, so that recovery has a second party to agree with.
Where they lie is the affair of whoever implements `Records`. Kinds that are not of every book are
handed on as they are: those of a futures account, and others that were saved in the same
transaction, such as a replay's position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeAlias

from gridlab.domain.codec import decode, encode
from gridlab.domain.market import Balance
from gridlab.domain.orders import OrderReport, Trade
from gridlab.errors import InvalidInput, StorageError
from gridlab.money import parse

Record: TypeAlias = tuple[str, str, str | None]

ORDER = "order"
TRADE = "trade"
BALANCE = "balance"
PRICE = "price"
RANK = "rank"


class Records(Protocol):
    """Durable storage of records, one payload for each (kind, key)."""

    def load(self) -> Iterable[Record]:
        """Every stored record, in any order."""
        ...

    def commit(self, records: Iterable[Record]) -> None:
        """Store all of `records` in one durable atomic transaction, or raise and store none."""
        ...


def order_record(report: OrderReport) -> Record:
    return (ORDER, report.order_id, encode(report))


def trade_record(trade: Trade) -> Record:
    return (TRADE, f"{trade.symbol}:{trade.trade_id}", encode(trade))


def balance_record(balance: Balance) -> Record:
    return (BALANCE, balance.asset, encode(balance))


def price_record(symbol: str, price: Decimal) -> Record:
    return (PRICE, symbol, f'"{price}"')


def rank_record(order_id: str, rank: int) -> Record:
    """The time priority of an order that was amended, which its report does not show."""
    return (RANK, order_id, str(rank))


@dataclass(slots=True)
class StoredBook:
    """What records say: orders by rising order id, trades by rising trade id.

    Attributes:
        others: records of kinds that only some accounts know, as they were stored.
    """

    orders: list[OrderReport] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    balances: dict[str, Balance] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    others: list[tuple[str, str, str]] = field(default_factory=list)


def read_records(records: Iterable[Record]) -> StoredBook:
    """The book that `records` hold.

    Raises:
        StorageError: a payload that cannot be read.
    """
    stored = StoredBook()
    for kind, key, payload in records:
        if payload is None:
            continue
        try:
            _read(stored, kind, key, payload)
        except InvalidInput as error:
            raise StorageError(
                f"the venue's record {kind} {key} cannot be read: {error}"
            ) from error
    stored.orders.sort(key=lambda order: int(order.order_id))
    stored.trades.sort(key=lambda trade: (trade.symbol, trade.trade_id))
    return stored


def _read(stored: StoredBook, kind: str, key: str, payload: str) -> None:
    if kind == ORDER:
        stored.orders.append(decode(payload))
    elif kind == TRADE:
        stored.trades.append(decode(payload))
    elif kind == BALANCE:
        stored.balances[key] = decode(payload)
    elif kind == PRICE:
        stored.prices[key] = parse(payload.strip('"'), f"price of {key}")
    elif kind == RANK:
        stored.ranks[key] = int(parse(payload, f"rank of order {key}"))
    else:
        stored.others.append((kind, key, payload))

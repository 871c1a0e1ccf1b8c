"""A paper futures account as records: what is stored beside what every book stores.

Wallets are stored as balances without a locked part. Knows no arithmetic; `paper_records` says what
a record is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridlab.domain.account import MarginType, PositionMode
from gridlab.errors import StorageError
from gridlab.exchange.paper_figures import Income, IncomeKind
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.exchange.paper_records import Record

POSITION = "position"
INCOME = "income"
MODE = "position_mode"
REDUCE_ONLY = "reduce_only"


def position_record(position: PaperPosition) -> Record:
    body = {
        "quantity": str(position.quantity),
        "cost": str(position.cost),
        "isolated": str(position.isolated),
        "leverage": position.leverage,
        "margin_type": position.margin_type.value,
        "mark": None if position.mark is None else str(position.mark),
        "updated_ms": position.updated_ms,
    }
    return (POSITION, position.symbol, _canonical(body))


def income_record(income: Income) -> Record:
    body = {
        "time_ms": income.time_ms,
        "symbol": income.symbol,
        "kind": income.kind.value,
        "asset": income.asset,
        "amount": str(income.amount),
        "trade_id": income.trade_id,
        "note": income.note,
    }
    return (INCOME, str(income.number), _canonical(body))


def mode_record(mode: PositionMode) -> Record:
    return (MODE, "account", _canonical(mode.value))


def reduce_only_record(order_id: str) -> Record:
    """The mark of an order that may only reduce, which its report does not show."""
    return (REDUCE_ONLY, order_id, "true")


@dataclass(slots=True)
class StoredPosition:
    """A position as it was stored, before it meets an instrument."""

    quantity: Decimal
    cost: Decimal
    isolated: Decimal
    leverage: int
    margin_type: MarginType
    mark: Decimal | None
    updated_ms: int

    def put_into(self, position: PaperPosition) -> None:
        """Make `position` what is stored."""
        position.quantity = self.quantity
        position.cost = self.cost
        position.isolated = self.isolated
        position.leverage = self.leverage
        position.margin_type = self.margin_type
        position.mark = self.mark
        position.updated_ms = self.updated_ms


@dataclass(slots=True)
class StoredAccount:
    """What the records say beyond orders, trades, wallets and prices; incomes by number."""

    positions: dict[str, StoredPosition] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    mode: PositionMode | None = None
    reduce_only: set[str] = field(default_factory=set)


def read_account(records: Iterable[tuple[str, str, str]]) -> StoredAccount:
    """The futures account that `records` hold; kinds of others are passed over.

    Raises:
        StorageError: a payload that cannot be read.
    """
    stored = StoredAccount()
    for kind, key, payload in records:
        try:
            _read(stored, kind, key, payload)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise StorageError(
                f"the venue's record {kind} {key} cannot be read: {error!r}; restore the file from "
                "a backup"
            ) from error
    stored.incomes.sort(key=lambda income: income.number)
    return stored


def _read(stored: StoredAccount, kind: str, key: str, payload: str) -> None:
    if kind == POSITION:
        stored.positions[key] = _position(json.loads(payload))
    elif kind == INCOME:
        stored.incomes.append(_income(int(key), json.loads(payload)))
    elif kind == MODE:
        stored.mode = PositionMode(json.loads(payload))
    elif kind == REDUCE_ONLY:
        stored.reduce_only.add(key)


def _position(body: dict[str, Any]) -> StoredPosition:
    return StoredPosition(
        quantity=Decimal(body["quantity"]),
        cost=Decimal(body["cost"]),
        isolated=Decimal(body["isolated"]),
        leverage=int(body["leverage"]),
        margin_type=MarginType(body["margin_type"]),
        mark=None if body["mark"] is None else Decimal(body["mark"]),
        updated_ms=int(body["updated_ms"]),
    )


def _income(number: int, body: dict[str, Any]) -> Income:
    return Income(
        number=number,
        time_ms=int(body["time_ms"]),
        symbol=str(body["symbol"]),
        kind=IncomeKind(body["kind"]),
        asset=str(body["asset"]),
        amount=Decimal(body["amount"]),
        trade_id=body["trade_id"],
        note=str(body["note"]),
    )


def _canonical(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))

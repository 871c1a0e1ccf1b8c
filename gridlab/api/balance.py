"""Routes about what the account holds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from flask import Blueprint, Response

from gridlab.api.errors import language
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.schemas import (
    AccountBalance,
    BalanceShape,
    BalanceSummary,
    FuturesBalance,
    PositionShape,
    SpotBalance,
)
from gridlab.api.wire import account_stamp, answer, read_query
from gridlab.app.facade import GridLab
from gridlab.domain.market import Balance, Market
from gridlab.domain.snapshot import Snapshot
from gridlab.money import ONE, ZERO, rounding

_UNIT = "USDT"
#: Assets without a price that are named; a test network's account holds hundreds.
_MOST_NAMES = 20


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the balance routes on `blueprint`."""

    @blueprint.get("/api/balance")
    def balance() -> Response:
        read_query(NoQuery)
        snapshot = lab.snapshot
        stamp = account_stamp(snapshot)
        return answer(
            AccountBalance(
                spot=_spot(snapshot),
                futures=_futures(snapshot),
                timestamp=stamp.as_of,
                **stamp.parts,
            )
        )

    @blueprint.get("/api/balance/summary")
    def balance_summary() -> Response:
        read_query(NoQuery)
        snapshot = lab.snapshot
        stamp = account_stamp(snapshot)
        spot, futures = _spot(snapshot), _futures(snapshot)
        held = (*snapshot.balances, *snapshot.futures_balances)
        return answer(
            BalanceSummary(
                spot_usdt=spot.total_usdt,
                futures_usdt=futures.total_usdt,
                total_usdt=float(_valued(held, snapshot)[1]),
                spot_available=bool(spot.balances),
                futures_available=futures.error is None,
                last_updated=stamp.as_of,
                **stamp.parts,
            )
        )


def _spot(snapshot: Snapshot) -> SpotBalance:
    """The spot account; an asset without a USDT price is named and left out of the total."""
    shapes, total, error = _valued(snapshot.balances, snapshot)
    if not shapes:
        error = say("no_spot_account", language())
    return SpotBalance(balances=shapes, total_usdt=float(total), error=error)


def _valued(
    balances: Sequence[Balance], snapshot: Snapshot
) -> tuple[list[BalanceShape], Decimal, str | None]:
    """(shapes, their sum in USDT, which assets have no price)."""
    total, unpriced, shapes = ZERO, [], []
    for held in balances:
        value = _value_of(held.asset, held.total, snapshot)
        if value is None:
            unpriced.append(held.asset)
        else:
            total += value
        shapes.append(
            BalanceShape(
                asset=held.asset,
                free=float(held.free),
                locked=float(held.locked),
                total=float(held.total),
                usdt_value=None if value is None else float(value),
            )
        )
    error = None
    if unpriced:
        more = f" +{len(unpriced) - _MOST_NAMES}" if len(unpriced) > _MOST_NAMES else ""
        named = ", ".join(unpriced[:_MOST_NAMES]) + more
        error = say("assets_unpriced", language(), assets=named)
    return shapes, total, error


def _value_of(asset: str, amount: Decimal, snapshot: Snapshot) -> Decimal | None:
    """An amount in USDT at the last price; None without one."""
    price: Decimal | None = ONE
    if asset != _UNIT:
        price = snapshot.prices.get((Market.SPOT, asset + _UNIT))
    if price is None:
        return ZERO if amount == 0 else None
    with rounding():
        return amount * price


def _futures(snapshot: Snapshot) -> FuturesBalance:
    """The futures wallet and its positions; a mode without one says so in words."""
    shapes, total, error = _valued(snapshot.futures_balances, snapshot)
    if not shapes:
        error = say("no_futures_account", language(), mode=snapshot.mode.value)
    free = sum(
        (_value_of(b.asset, b.free, snapshot) or ZERO for b in snapshot.futures_balances), ZERO
    )
    with rounding():
        floating = sum((position.unrealized for position in snapshot.positions), ZERO)
        margin = total + floating
    return FuturesBalance(
        balances=shapes,
        total_usdt=float(total),
        margin_balance=float(margin),
        available_balance=float(free),
        error=error,
        positions=[PositionShape.of(position) for position in snapshot.positions],
    )

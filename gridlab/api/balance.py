"""Routes about what the account holds."""

from __future__ import annotations

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
    SpotBalance,
)
from gridlab.api.wire import answer, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.clock import iso
from gridlab.domain.market import Balance, Market
from gridlab.domain.snapshot import Snapshot
from gridlab.money import ONE, ZERO, rounding

_UNIT = "USDT"


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the balance routes on `blueprint`."""

    @blueprint.get("/api/balance")
    def balance() -> Response:
        read_query(NoQuery)
        snapshot = lab.snapshot
        return answer(
            AccountBalance(
                spot=_spot(snapshot),
                futures=_futures(snapshot),
                timestamp=iso(snapshot.time_ms),
                **stamp_of(snapshot).parts,
            )
        )

    @blueprint.get("/api/balance/summary")
    def balance_summary() -> Response:
        read_query(NoQuery)
        snapshot = lab.snapshot
        spot, futures = _spot(snapshot), _futures(snapshot)
        return answer(
            BalanceSummary(
                spot_usdt=spot.total_usdt,
                futures_usdt=futures.total_usdt,
                total_usdt=spot.total_usdt + futures.total_usdt,
                spot_available=bool(spot.balances),
                futures_available=futures.error is None,
                last_updated=iso(snapshot.time_ms),
                **stamp_of(snapshot).parts,
            )
        )


def _spot(snapshot: Snapshot) -> SpotBalance:
    """The spot account; an asset without a USDT price is named and left out of the total."""
    total, unpriced, shapes = ZERO, [], []
    for held in snapshot.balances:
        value = _value(held, snapshot)
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
    if not shapes:
        error = say("no_spot_account", language())
    elif unpriced:
        error = say("assets_unpriced", language(), assets=", ".join(unpriced))
    return SpotBalance(balances=shapes, total_usdt=float(total), error=error)


def _value(held: Balance, snapshot: Snapshot) -> Decimal | None:
    """The holding in USDT at the last price; None without one."""
    price: Decimal | None = ONE
    if held.asset != _UNIT:
        price = snapshot.prices.get((Market.SPOT, held.asset + _UNIT))
    if price is None:
        return ZERO if held.total == 0 else None
    with rounding():
        return held.total * price


def _futures(snapshot: Snapshot) -> FuturesBalance:
    """No mode of this release has a futures account; the shape says so in words."""
    return FuturesBalance(
        balances=[],
        total_usdt=0.0,
        margin_balance=0.0,
        available_balance=0.0,
        error=say("no_futures_account", language(), mode=snapshot.mode.value),
    )

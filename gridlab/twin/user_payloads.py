"""What user data streams carry: what happened to the account -> the JSON of Binance, key by key.

Pure. `Execution` is one step of one order's life, in the venue's own words; both markets' order
events are written from it.

Source: Binance "User Data Streams", spot and USD-M, and payloads recorded from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gridlab.domain.market import Balance
from gridlab.money import ZERO, text
from gridlab.twin.news import Prevention
from gridlab.twin.stream_payloads import Digits, Payload, fixed, whole
from gridlab.twin.wire_futures import AssetFigures, PositionFigures


@dataclass(frozen=True, slots=True)
class Fill:
    """The trade of an execution of type TRADE."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Execution:
    """One step of an order.

    Args:
        execution_type: NEW, TRADE, CANCELED, REPLACED, REJECTED, EXPIRED, TRADE_PREVENTION;
            on USD-M also CALCULATED and AMENDMENT.
        client_id: the id that the event carries as its own; on a spot cancel the cancel's id.
        original_client_id: on a spot cancel the order's id, else empty.
        quote_executed: price x quantity of all fills so far, quote units.
        execution_id: rises with every event of the market, never repeats.
        expiry_reason: why the venue ended it; empty when it did not.
        prevention: of an order that expired in place of a trade with the account's own.
    """

    symbol: str
    order_id: int
    client_id: str
    side: str
    order_type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    execution_type: str
    status: str
    executed: Decimal
    quote_executed: Decimal
    created_ms: int
    time_ms: int
    execution_id: int
    is_on_book: bool
    original_client_id: str = ""
    reject_reason: str = "NONE"
    expiry_reason: str = ""
    stp_mode: str = "NONE"
    quote_order_quantity: Decimal = ZERO
    stop_price: Decimal = ZERO
    strategy_id: int | None = None
    strategy_type: int | None = None
    original_type: str = ""
    position_side: str = "BOTH"
    is_reduce_only: bool = False
    is_close_position: bool = False
    good_till_ms: int = 0
    bids_value: Decimal = ZERO
    asks_value: Decimal = ZERO
    fill: Fill | None = None
    prevention: Prevention | None = None


def execution_report(step: Execution, now_ms: int) -> Payload:
    """Spot's `executionReport`."""
    fill = step.fill
    last_quantity = ZERO if fill is None else fill.quantity
    last_price = ZERO if fill is None else fill.price
    payload: Payload = {
        "e": "executionReport",
        "E": now_ms,
        "s": step.symbol,
        "c": step.client_id,
        "S": step.side,
        "o": step.order_type,
        "f": step.time_in_force,
        "q": fixed(step.quantity, 8),
        "p": fixed(step.price, 8),
        "P": fixed(step.stop_price, 8),
        "F": fixed(ZERO, 8),
        "g": -1,
        "C": step.original_client_id,
        "x": step.execution_type,
        "X": step.status,
        "r": step.reject_reason,
        "i": step.order_id,
        "l": fixed(last_quantity, 8),
        "z": fixed(step.executed, 8),
        "L": fixed(last_price, 8),
        "n": "0" if fill is None else fixed(fill.fee, 8),
        "N": None if fill is None else fill.fee_asset,
        "T": step.time_ms,
        "t": -1 if fill is None else fill.trade_id,
        "I": step.execution_id,
        "w": step.is_on_book,
        "m": False if fill is None else fill.is_maker,
        "M": fill is not None,
        "O": step.created_ms,
        "Z": fixed(step.quote_executed, 8),
        "Y": fixed(last_quantity * last_price, 8),
        "Q": fixed(step.quote_order_quantity, 8),
        "W": step.created_ms,
        "V": step.stp_mode,
    }
    told = {"j": step.strategy_id, "J": step.strategy_type, "eR": step.expiry_reason or None}
    payload |= {key: value for key, value in told.items() if value is not None}
    return payload if step.prevention is None else payload | _prevented(step, step.prevention)


def _prevented(step: Execution, prevention: Prevention) -> Payload:
    """What only an order has that met the account's own."""
    return {
        "v": prevention.match_id,
        "A": fixed(prevention.quantity, 8),
        "B": fixed(prevention.quantity, 8),
        "u": 1,
        "U": prevention.counter_order_id,
        "Cs": step.symbol,
        "pl": fixed(prevention.quantity, 8),
        "pL": fixed(prevention.price, 8),
        "pY": fixed(prevention.quantity * prevention.price, 8),
    }


def account_position(balances: Iterable[Balance], update_ms: int, now_ms: int) -> Payload:
    """Spot's `outboundAccountPosition`: absolute balances of the assets that changed."""
    rows = [
        {"a": each.asset, "f": fixed(each.free, 8), "l": fixed(each.locked, 8)} for each in balances
    ]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": update_ms, "B": rows}


def balance_update(asset: str, change: Decimal, time_ms: int, now_ms: int) -> Payload:
    """Spot's `balanceUpdate`: a deposit, a withdrawal or a transfer."""
    return {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": fixed(change, 8), "T": time_ms}


def stream_terminated(now_ms: int) -> Payload:
    """Spot's `eventStreamTerminated`: this subscription ended."""
    return {"e": "eventStreamTerminated", "E": now_ms}


def server_shutdown(now_ms: int) -> Payload:
    """`serverShutdown`: this connection will be closed soon."""
    return {"e": "serverShutdown", "E": now_ms}


def order_trade_update(step: Execution, digits: Digits, now_ms: int) -> Payload:
    """USD-M's `ORDER_TRADE_UPDATE`; fee keys are there only with a fill."""
    fill = step.fill
    order: Payload = {
        "s": step.symbol,
        "c": step.client_id,
        "S": step.side,
        "o": step.order_type,
        "f": step.time_in_force,
        "q": whole(step.quantity, digits.quantity),
        "p": whole(step.price, digits.price) if step.price else "0",
        "ap": average(step, digits),
        "sp": fixed(step.stop_price, digits.price) if step.stop_price else "0",
        "x": step.execution_type,
        "X": step.status,
        "i": step.order_id,
        "l": whole(ZERO if fill is None else fill.quantity, digits.quantity),
        "z": whole(step.executed, digits.quantity),
        "L": whole(fill.price, digits.price) if fill is not None else "0",
    }
    if fill is not None:
        order |= {"n": text(fill.fee), "N": fill.fee_asset}
    order |= {
        "T": step.time_ms,
        "t": 0 if fill is None else fill.trade_id,
        "b": text(step.bids_value),
        "a": text(step.asks_value),
        "m": False if fill is None else fill.is_maker,
        "R": step.is_reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": step.original_type or step.order_type,
        "ps": step.position_side,
        "cp": step.is_close_position,
        "rp": "0" if fill is None else fixed(fill.realized, 8),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": step.stp_mode,
        "pm": "NONE",
        "gtd": step.good_till_ms,
        "er": step.expiry_reason or "0",
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": step.time_ms, "E": now_ms, "o": order}


def average(step: Execution, digits: Digits) -> str:
    """The average fill price with the price's decimals; "0" before the first fill."""
    if not step.executed:
        return "0"
    return fixed(step.quote_executed / step.executed, digits.price)


def trade_lite(step: Execution, fill: Fill, digits: Digits, now_ms: int) -> Payload:
    """USD-M's `TRADE_LITE`: the fill in few words, before the full event."""
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": step.time_ms,
        "s": step.symbol,
        "q": whole(step.quantity, digits.quantity),
        "p": whole(step.price, digits.price) if step.price else "0",
        "m": fill.is_maker,
        "c": step.client_id,
        "S": step.side,
        "L": whole(fill.price, digits.price),
        "l": whole(fill.quantity, digits.quantity),
        "t": fill.trade_id,
        "i": step.order_id,
    }


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Why a futures account changed, and what of it.

    Args:
        reason: ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, MARGIN_TRANSFER, ADJUSTMENT and others.
        positions: rows made by `position_row`.
        changes: by asset, what came or went other than by profit and commission.
        symbol: only for FUNDING_FEE, which carries no position.
    """

    reason: str
    time_ms: int
    assets: tuple[AssetFigures, ...] = ()
    positions: tuple[Payload, ...] = ()
    changes: Mapping[str, Decimal] = field(default_factory=dict)
    symbol: str = ""


def account_update(change: AccountChange, now_ms: int) -> Payload:
    """USD-M's `ACCOUNT_UPDATE`."""
    balances = [
        {
            "a": row.asset,
            "wb": fixed(row.wallet, 8),
            "cw": fixed(row.cross_wallet, 8),
            "bc": text(change.changes.get(row.asset, ZERO)),
        }
        for row in change.assets
    ]
    account: Payload = {"B": balances, "P": list(change.positions), "m": change.reason}
    if change.symbol:
        account["S"] = change.symbol
    return {"e": "ACCOUNT_UPDATE", "T": change.time_ms, "E": now_ms, "a": account}


def position_row(figures: PositionFigures, digits: Digits, realized: Decimal) -> Payload:
    """One position of an `ACCOUNT_UPDATE`; `realized` is all profit booked on it, before fees."""
    return {
        "s": figures.symbol,
        "pa": fixed(figures.quantity, digits.quantity) if figures.quantity else "0",
        "ep": text(figures.entry),
        "bep": text(figures.break_even),
        "cr": fixed(realized, 8) if realized else "0",
        "up": fixed(figures.unrealized, 8) if figures.quantity else "0",
        "mt": "isolated" if figures.is_isolated else "cross",
        "iw": fixed(figures.isolated_wallet, 8) if figures.isolated_wallet else "0",
        "ps": "BOTH",
    }


def leverage_update(symbol: str, leverage: int, time_ms: int, now_ms: int) -> Payload:
    """USD-M's `ACCOUNT_CONFIG_UPDATE` for a symbol's leverage."""
    configuration = {"s": symbol, "l": leverage}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": time_ms, "ac": configuration}


def multi_assets_update(is_multi_assets: bool, time_ms: int, now_ms: int) -> Payload:
    """USD-M's `ACCOUNT_CONFIG_UPDATE` for the account's margin mode."""
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": now_ms,
        "T": time_ms,
        "ai": {"j": is_multi_assets},
    }


def margin_call(
    figures: PositionFigures, digits: Digits, cross_wallet: Decimal, now_ms: int
) -> Payload:
    """USD-M's `MARGIN_CALL`: the position comes near its liquidation."""
    row: Payload = {
        "s": figures.symbol,
        "ps": "BOTH",
        "pa": fixed(figures.quantity, digits.quantity),
        "mt": "ISOLATED" if figures.is_isolated else "CROSSED",
        "iw": fixed(figures.isolated_wallet, 8) if figures.is_isolated else "0",
        "mp": fixed(figures.mark, 8),
        "up": fixed(figures.unrealized, 8),
        "mm": fixed(figures.maintenance, 8),
    }
    call: Payload = {"e": "MARGIN_CALL", "E": now_ms}
    if not figures.is_isolated:
        call["cw"] = fixed(cross_wallet, 8)
    return call | {"p": [row]}


def listen_key_expired(listen_key: str, now_ms: int) -> Payload:
    """USD-M's `listenKeyExpired`: nothing more comes under this key."""
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}

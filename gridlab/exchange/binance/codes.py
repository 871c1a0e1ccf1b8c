"""What an answer of Binance means that is no success: outcome, stable name, and what to do.

Pure: (market, HTTP status, code, message) in, `Reaction` out. Every code that Binance documents for
spot and for USD-M futures is in the tables below; the same number can mean two things, so each
market has its own. Where a code alone does not decide, the message does. Whatever is not documented
is UNKNOWN: it is looked up, never guessed.

Source: Binance's error code pages for spot and USD-M futures, and the general information of both
about HTTP statuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gridlab.domain.market import Market
from gridlab.exchange.base import RejectCode
from gridlab.exchange.binance.code_names import FUTURES_CODES, SPOT_CODES


class Meaning(StrEnum):
    """Law 2 for one answer."""

    ACCEPTED = "accepted"  # what was asked for is already so
    REJECTED = "rejected"  # it was provably not carried out
    UNKNOWN = "unknown"  # it may have been


class Action(StrEnum):
    """What has to happen besides telling the outcome."""

    NONE = "none"
    BACK_OFF = "back_off"  # send nothing for a while
    #: Keys or rights are wrong. No order leaves for a pause that doubles with each refusal; it does
    #: end, because the same code comes while an address is banned for a while.
    STOP_ALL = "stop_all"
    RESYNC_CLOCK = "resync_clock"
    REFRESH_RULES = "refresh_rules"  # the symbol's rules are not the ones we hold
    QUERY = "query"  # look the order up
    HALT = "halt"  # place nothing on this symbol for a pause that grows: see `agents.restraint`


@dataclass(frozen=True, slots=True)
class Reaction:
    """One answer, understood. `code` is one of `RejectCode`'s values or the venue's own number."""

    meaning: Meaning
    code: str
    action: Action = Action.NONE


#: The documented names, by market.
NAMES: Mapping[Market, Mapping[int, str]] = {
    Market.SPOT: SPOT_CODES,
    Market.FUTURES: FUTURES_CODES,
}

_REJECTED, _UNKNOWN = Meaning.REJECTED, Meaning.UNKNOWN


def _table(rows: Iterable[tuple[Reaction, tuple[int, ...]]]) -> dict[int, Reaction]:
    return {code: reaction for reaction, codes in rows for code in codes}


_OUTCOME_UNKNOWN = Reaction(_UNKNOWN, "", Action.QUERY)
_NO_CHANGE = Reaction(Meaning.ACCEPTED, "")
_KEYS = Reaction(_REJECTED, RejectCode.PERMISSION, Action.STOP_ALL)
_CLOCK = Reaction(_REJECTED, RejectCode.CLOCK, Action.RESYNC_CLOCK)
_FILTER = Reaction(_REJECTED, RejectCode.FILTER, Action.REFRESH_RULES)
_SYMBOL = Reaction(_REJECTED, RejectCode.INVALID_SYMBOL, Action.HALT)
_NOT_OPEN = Reaction(_REJECTED, RejectCode.NOT_OPEN, Action.QUERY)
_DUPLICATE = Reaction(_REJECTED, RejectCode.DUPLICATE, Action.QUERY)
_WOULD_TAKE = Reaction(_REJECTED, RejectCode.WOULD_TAKE)
_CLOSED = Reaction(_REJECTED, RejectCode.MARKET_CLOSED, Action.HALT)
_FULL = Reaction(_REJECTED, RejectCode.TOO_MANY_ORDERS)
_MARGIN = Reaction(_REJECTED, RejectCode.MARGIN)
_REDUCE_ONLY = Reaction(_REJECTED, RejectCode.REDUCE_ONLY)
_NO_RIGHT = Reaction(_REJECTED, RejectCode.PERMISSION, Action.HALT)

_BOTH = _table(
    (
        (_OUTCOME_UNKNOWN, (-1000, -1001, -1006, -1007)),
        (_KEYS, (-1002, -1022, -2014, -2015)),
        (_CLOCK, (-1021,)),
        (_FILTER, (-1013, -1111)),
        (_SYMBOL, (-1121, -1122)),
        (_NOT_OPEN, (-2013,)),
        (Reaction(_REJECTED, "-1003", Action.BACK_OFF), (-1003,)),
        (Reaction(_REJECTED, "-1008", Action.BACK_OFF), (-1008,)),
        (Reaction(_REJECTED, "-1016", Action.BACK_OFF), (-1016,)),
        (Reaction(_REJECTED, RejectCode.TOO_MANY_ORDERS, Action.BACK_OFF), (-1015,)),
    )
)
_SPOT = _BOTH | _table(
    (
        # An error of the engine whose text says nothing known: it may be about either half.
        (_OUTCOME_UNKNOWN, (-1010, -2021)),
        (_NOT_OPEN, (-2026,)),
        (Reaction(_REJECTED, "-1034", Action.BACK_OFF), (-1034,)),
    )
)
_FUTURES = _BOTH | _table(
    (
        # The batch calls answer these when some of it may have been done.
        (_OUTCOME_UNKNOWN, (-1010, -2012, -4083)),
        (_OUTCOME_UNKNOWN, (-5047,)),  # listed, and what it means is not known
        (_NO_CHANGE, (-4046, -4052, -4059, -4171, -5027)),
        (_KEYS, (-1011, -1099, -2017, -4056, -4057, -4088, -4109, -4192)),
        (_NO_RIGHT, (-4400, -4401, -4402)),
        (Reaction(_REJECTED, RejectCode.POSITION_MODE, Action.HALT), (-4061,)),
        (_CLOCK, (-5028,)),
        (_FILTER, (-4001, -4002, -4003, -4004, -4005, -4013, -4014, -4016, -4023, -4024)),
        (_FILTER, (-4131, -4164, -4183, -4184, -5029)),
        (_SYMBOL, (-1126, -4144)),
        (_CLOSED, (-4140, -4141)),
        (_DUPLICATE, (-4116,)),
        (_WOULD_TAKE, (-5022,)),
        (_FULL, (-2025, -4045)),
        (_MARGIN, (-2018, -2019, -2024, -2027, -2028, -4050, -4051)),
        (Reaction(_REJECTED, RejectCode.LIQUIDATION, Action.HALT), (-2023,)),
        (_REDUCE_ONLY, (-2022, -2026, -4062, -4087, -4118)),
    )
)
_BY_CODE: Mapping[Market, Mapping[int, Reaction]] = {
    Market.SPOT: _SPOT,
    Market.FUTURES: _FUTURES,
}

#: Codes of the matching engine, which says what happened in words.
_TOLD_IN_WORDS = (-1010, -1013, -2010, -2011, -2038)
#: Its words, in lower case and without the full stop.
_WORDS: Mapping[str, Reaction] = {
    "unknown order sent": _NOT_OPEN,
    "duplicate order sent": _DUPLICATE,
    "market is closed": _CLOSED,
    "account has insufficient balance for requested action": Reaction(
        _REJECTED, RejectCode.INSUFFICIENT_BALANCE
    ),
    "order would immediately match and take": _WOULD_TAKE,
    "this action is disabled on this account": _KEYS,
    "this account may not place or cancel orders": _KEYS,
    "rest api trading is not enabled": _KEYS,
    "websocket api trading is not enabled": _KEYS,
    "fix api trading is not enabled": _KEYS,
    "this symbol is not permitted for this account": _NO_RIGHT,
    "this symbol is restricted for this account": _NO_RIGHT,
}
_FILTER_FAILURE = "filter failure:"
#: Filters that count orders: another order fits when one has gone.
_COUNTING = ("MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS")


def reaction(market: Market, status: int, code: int | None, message: str = "") -> Reaction:
    """What an answer means that is no success.

    Args:
        status: of HTTP.
        code: the venue's own; None where the body had none.
    """
    if status in (418, 429):
        if code == -1015:
            return _BY_CODE[market][-1015]
        return _BY_CODE[market][-1003]
    if status == 408 or status >= 500:
        return _server_failure(market, status, code, message)
    if code is None:
        return _by_status(status)
    return by_code(market, code, message)


def by_code(market: Market, code: int, message: str = "") -> Reaction:
    """What a code of the venue means; UNKNOWN for one that Binance does not document."""
    if code not in NAMES[market]:
        return Reaction(_UNKNOWN, str(code), Action.QUERY)
    if code in _TOLD_IN_WORDS:
        told = _by_words(message)
        if told is not None:
            return told
    known = _BY_CODE[market].get(code)
    if known is None:
        return Reaction(_REJECTED, str(code))
    if known.meaning is _UNKNOWN and not known.code:
        return Reaction(_UNKNOWN, str(code), known.action)
    return known


def _by_words(message: str) -> Reaction | None:
    said = message.strip().rstrip(".").lower()
    if said.startswith(_FILTER_FAILURE):
        name = said.removeprefix(_FILTER_FAILURE).strip().upper().removeprefix("EXCHANGE_")
        if name in _COUNTING:
            return Reaction(_REJECTED, RejectCode.TOO_MANY_ORDERS, Action.REFRESH_RULES)
        return _FILTER
    return _WORDS.get(said)


def _server_failure(market: Market, status: int, code: int | None, message: str) -> Reaction:
    """A failure behind the door: unknown, but for the two that say that nothing was done."""
    said = message.strip().rstrip(".").lower()
    if code == -1008:
        return _BY_CODE[market][-1008]
    if market is Market.FUTURES and status == 503 and said == "service unavailable":
        return Reaction(_REJECTED, "503", Action.BACK_OFF)
    return Reaction(_UNKNOWN, str(status if code is None else code), Action.QUERY)


def _by_status(status: int) -> Reaction:
    """An answer without a code: it came from what stands before the venue."""
    if status in (401, 451):
        return _KEYS
    if status == 403:  # the firewall, which bans who goes on
        return Reaction(_REJECTED, "403", Action.BACK_OFF)
    if status in (404, 405, 410):  # a path that is not served executes nothing
        return Reaction(_REJECTED, str(status), Action.STOP_ALL)
    return Reaction(_UNKNOWN, str(status), Action.QUERY)

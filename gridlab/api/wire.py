"""Between bytes and values: reading JSON bodies and queries, writing JSON answers.

Numbers in a body are read as int or Decimal, so that 0.1 stays 0.1 and 1e400 stays a number that
can be refused in words. Knows Flask, and nothing of the routes.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from flask import Response, request
from pydantic import BaseModel

from gridlab.api.errors import MAX_BODY_BYTES, ApiError, Problem, invalid, teller
from gridlab.api.requests import RequestShape, examine, normal_symbol, shortened
from gridlab.api.schemas import Stamp
from gridlab.app.facade import GridLab
from gridlab.clock import SystemClock
from gridlab.domain.market import Instrument, Market
from gridlab.domain.snapshot import STALE_AFTER_MS, BotSnapshot, Snapshot
from gridlab.errors import NotFound

Asked = TypeVar("Asked", bound=RequestShape)
Shown = TypeVar("Shown", bound=BaseModel)

#: Bytes of a page's items; with what stands around them an answer stays below a megabyte.
MAX_ITEMS_BYTES = 900_000
ACCEPTED = 202
_clock = SystemClock()
_LONG_NUMBER = 400


class _Aged(Protocol):
    """Data with their own age, such as `exchange.base.Dated`."""

    @property
    def age_ms(self) -> int: ...
    @property
    def is_stale(self) -> bool: ...


def answer(shape: BaseModel, status: int = 200) -> Response:
    """One object as JSON."""
    return Response(shape.model_dump_json(), status, mimetype="application/json")


def answer_list(shapes: Iterable[BaseModel], stamp: Stamp) -> Response:
    """An array as JSON; an array has no room for the stamp, so headers carry it."""
    reply = Response(
        "[" + ",".join(shape.model_dump_json() for shape in shapes) + "]",
        mimetype="application/json",
    )
    reply.headers["X-GridLab-Mode"] = stamp.mode
    reply.headers["X-GridLab-As-Of"] = stamp.as_of
    reply.headers["X-GridLab-Age-Ms"] = str(stamp.age_ms)
    reply.headers["X-GridLab-Stale"] = str(stamp.stale).lower()
    return reply


def now_ms() -> int:
    """The machine's time; only for ages."""
    return _clock.now_ms()


def stamp_of(snapshot: Snapshot, data: _Aged | None = None) -> Stamp:
    """Mode, market time and age of `snapshot` as they are now, or of `data` where it is older."""
    stamp = Stamp.at(snapshot, now_ms())
    source = teller()(stamp.data_source)
    if source != stamp.data_source:
        stamp = stamp.model_copy(update={"data_source": source})
    return stamp if data is None else stamp.of_data(data.age_ms, data.is_stale)


@dataclass(frozen=True, slots=True)
class _Known:
    """The age of what venues told."""

    age_ms: int

    @property
    def is_stale(self) -> bool:
        return self.age_ms > STALE_AFTER_MS


def venue_stamp(snapshot: Snapshot, markets: Collection[Market]) -> Stamp:
    """The stamp of orders and trades of `markets`: as old as a venue that went silent."""
    return stamp_of(snapshot, _Known(max(0, now_ms() - snapshot.known_ms(markets))))


def bot_stamp(lab: GridLab, snapshot: Snapshot, bots: Collection[BotSnapshot]) -> Stamp:
    """The stamp of what is told of `bots`: as old as their venues, or a price past its bound."""
    age_ms = now_ms() - snapshot.known_ms([bot.market for bot in bots])
    return stamp_of(snapshot, _Known(max(0, age_ms, lab.stale_price_ms(bots, snapshot))))


def account_stamp(snapshot: Snapshot) -> Stamp:
    """The stamp of balances and positions: as old as the oldest of them."""
    return stamp_of(snapshot, _Known(max(0, now_ms() - snapshot.account_known_ms)))


def read_body(shape: type[Asked]) -> Asked:
    """The request's JSON body, checked; raises `ApiError` with every problem."""
    checked, problems = examine(shape, read_json())
    if checked is None:
        raise invalid(problems)
    return checked


def read_json() -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        ApiError: another content type, an empty or broken body, or no object.
    """
    if request.mimetype != "application/json":
        raise ApiError(415, "body_not_json_type")
    # A chunked body is cut at the limit without a word, so one byte more than that is asked for.
    request.max_content_length = MAX_BODY_BYTES + 1
    raw = request.get_data(cache=False)
    if len(raw) > MAX_BODY_BYTES:
        raise ApiError(413, "body_too_large", limit=MAX_BODY_BYTES)
    if not raw.strip():
        raise ApiError(400, "body_empty", code="bad_json")
    try:
        text = raw.decode("utf-8")
        _refuse_half_characters(text)
        sent = _parse(text)
    except UnicodeError:
        raise ApiError(400, "body_not_utf8", code="bad_json") from None
    except json.JSONDecodeError as error:
        raise ApiError(
            400, "body_not_json", code="bad_json", line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise ApiError(400, "body_too_deep", code="bad_json") from None
    if not isinstance(sent, dict):
        raise invalid([Problem("", "not_object", received=shortened(sent))])
    return sent


def _refuse_half_characters(text: str) -> None:
    """Raise `UnicodeEncodeError` for an escape such as \\ud800, which no answer could repeat."""
    if "\\u" in text:
        json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")


def _parse(text: str) -> object:
    return json.loads(
        text,
        parse_int=_integer,
        parse_float=_decimal,
        parse_constant=Decimal,
        object_pairs_hook=_without_repeats,
    )


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONG_NUMBER else _decimal(text)


def _decimal(text: str) -> Decimal:
    """The number; one whose exponent no Decimal can hold is as good as infinite, or zero."""
    try:
        return Decimal(text)
    except decimal.InvalidOperation:
        return Decimal(0) if "e-" in text.lower() else Decimal("Infinity")


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise invalid([Problem(name[:60], "given_twice") for name in repeated[:20]])
    return found


def read_query(shape: type[Asked]) -> Asked:
    """The request's query, checked; raises `ApiError` with every problem."""
    sent = request.args.to_dict(flat=True)
    checked, problems = examine(shape, sent)
    problems += [
        Problem(name[:60], "given_twice")
        for name, values in request.args.lists()
        if len(values) > 1
    ]
    if checked is None or problems:
        raise invalid(problems)
    return checked


def read_symbol(text: str) -> str:
    """A symbol from a path, in capitals; raises `ApiError` for anything that cannot be one."""
    try:
        return normal_symbol(text)
    except ValueError:
        raise invalid([Problem("symbol", "symbol_shape", received=shortened(text))]) from None


def find_instrument(lab: GridLab, symbol: str, market: Market) -> Instrument:
    """The rules of `symbol`; raises `ApiError` 404 with the symbols that exist."""
    try:
        return lab.instrument(symbol, market)
    except NotFound:
        problem = unknown_symbol(lab, symbol, market)
        raise ApiError(404, problem.key, code="symbol_not_found", values=problem.values) from None


def unknown_symbol(lab: GridLab, symbol: str, market: Market, field: str = "symbol") -> Problem:
    """The problem to report when the venue has no such symbol."""
    known: Sequence[str] = lab.symbols(market)
    if not known:
        return Problem(
            "config.market_type", "market_empty", {"market": market.value, "symbol": symbol}
        )
    values: dict[str, object] = {
        "symbol": symbol,
        "market": market.value,
        "known": ", ".join(known[:20]),
    }
    return Problem(field, "symbol_unknown", values, symbol)


def read_optional_body(shape: type[Asked]) -> Asked:
    """The JSON body, checked, or `shape` with its defaults when nothing at all was sent.

    A page that sends a form has a content type, so it is refused as in `read_body`.

    Raises:
        ApiError: a body that is not the JSON object meant, with every problem.
    """
    is_absent = not request.content_length and "Transfer-Encoding" not in request.headers
    if is_absent and not request.content_type:
        asked, problems = examine(shape, {})
        if asked is None:
            raise invalid(problems)
        return asked
    return read_body(shape)


def fitting(shapes: Iterable[Shown], most_bytes: int = MAX_ITEMS_BYTES) -> list[Shown]:
    """The first of `shapes` that together are at most `most_bytes` of JSON; at least one."""
    kept: list[Shown] = []
    left = most_bytes
    for shape in shapes:
        left -= len(shape.model_dump_json().encode()) + 1
        if left < 0 and kept:
            break
        kept.append(shape)
    return kept


def answer_by_alias(shape: BaseModel, status: int = 200) -> Response:
    """One object as JSON, for shapes with a documented name that no Python name can be."""
    return Response(shape.model_dump_json(by_alias=True), status, mimetype="application/json")

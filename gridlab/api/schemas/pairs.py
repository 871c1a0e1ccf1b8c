"""The table of pair selection: every symbol, every filter's answer, and what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from gridlab.api.schemas.base import Shape, Stamp


class AnyCheck(Protocol):
    """What an answer needs of one filter's answer."""

    @property
    def filter(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def value(self) -> Decimal | None: ...
    @property
    def limit(self) -> Decimal | None: ...
    @property
    def missing(self) -> Decimal | None: ...
    @property
    def note(self) -> str: ...


class AnyRow(Protocol):
    """What an answer needs of one symbol's row."""

    @property
    def symbol(self) -> str: ...
    @property
    def market(self) -> str: ...
    @property
    def checks(self) -> Sequence[AnyCheck]: ...
    @property
    def score(self) -> Decimal | None: ...
    @property
    def rank(self) -> int | None: ...
    @property
    def chosen(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class CheckShape(Shape):
    """One filter: `missing` is by how much a failed one missed; null is not known, or no number.

    `verdict` is passed, failed, unknown, skipped, or not_looked_at where a symbol was out before.
    """

    filter: str
    verdict: str
    value: float | None
    limit: float | None
    missing: float | None
    note: str | None

    @classmethod
    def of(cls, check: AnyCheck, say: Callable[[str], str] = str) -> CheckShape:
        return cls(
            filter=check.filter,
            verdict=str(check.verdict),
            value=_number(check.value),
            limit=_number(check.limit),
            missing=_number(check.missing),
            note=say(check.note) or None,
        )


class PairRowShape(Shape):
    """One symbol; `rank` is null where a filter blocks, `score` where its facts are not known."""

    symbol: str
    market_type: str
    chosen: bool
    rank: int | None
    score: float | None
    reason: str
    checks: list[CheckShape]

    @classmethod
    def of(cls, row: AnyRow, say: Callable[[str], str] = str) -> PairRowShape:
        """The shape of `row`, its reasons in the words of `say`."""
        return cls(
            symbol=row.symbol,
            market_type=str(row.market),
            chosen=row.chosen,
            rank=row.rank,
            score=_number(row.score),
            reason=say(row.reason),
            checks=[CheckShape.of(check, say) for check in row.checks],
        )


class PairSelection(Stamp):
    """`/api/pairs`: those that passed by rank, then those that failed, then the others by volume.

    The others were out before they were looked at closely. `left_out` counts the symbols behind
    the last of `pairs`: above the query's `limit`, or beyond what fits into an answer; `chosen`
    names all that were chosen. `absent` are preferred symbols that the market does not have.
    The stamp is as old as the oldest fact.

    `unknown_facts` says what becomes of a symbol of which a fact is not known: `skip` lets it pass,
    as a replay must, `fail` blocks it.
    """

    market_type: str
    max_pairs: int
    unknown_facts: str
    chosen: list[str]
    absent: list[str]
    left_out: int
    pairs: list[PairRowShape]


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)

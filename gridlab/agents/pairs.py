"""Which symbols to trade: every documented filter against what is known of each symbol.

Pure: facts and criteria in, a table out that says for each symbol which filter it failed and by how
much. Where facts come from is known to `pair_facts`, what a filter says to `pair_filters`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from gridlab.agents.pair_filters import (
    FACTS,
    Check,
    PairCriteria,
    PairFacts,
    UnknownFacts,
    Verdict,
    checks_of,
    normalised,
    shown,
)
from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.money import ZERO, rounding

if TYPE_CHECKING:
    from gridlab.data.frames import Frame

__all__ = [
    "Check",
    "PairCriteria",
    "PairFacts",
    "PairRow",
    "PairTable",
    "UnknownFacts",
    "Verdict",
    "normalised",
    "score_of",
    "select_pairs",
]

#: What a round trip costs at least when scores are made; rebates would make a score endless.
LEAST_COST_PERC = Decimal("0.01")
#: Scores are ratios without a last digit.
SCORE_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class PairRow:
    """One symbol: its facts, every filter's answer, and what became of it.

    Args:
        score: see `score_of`; None where the volatility or the trend is not known.
        rank: place among those that passed, from 1; None when a filter blocks.
        reason: why it was chosen or not, a sentence.
    """

    facts: PairFacts
    checks: tuple[Check, ...]
    score: Decimal | None
    rank: int | None
    chosen: bool
    reason: str

    @property
    def symbol(self) -> str:
        return self.facts.symbol

    @property
    def market(self) -> Market:
        return self.facts.market

    @property
    def passes(self) -> bool:
        return self.rank is not None


@dataclass(frozen=True, slots=True, repr=False)
class PairTable:
    """Every symbol: those that passed by rank, then those that did not.

    The last are those that were out before they were looked at closely, by volume.

    Args:
        absent: preferred symbols that the market does not have, or does not trade now, as the
            criteria spell them.
        age_ms: how old the oldest of the facts is; 0 in a recording, whose present is now.
        is_stale: whether a fact is older than its kind may be.
    """

    rows: tuple[PairRow, ...]
    criteria: PairCriteria
    max_pairs: int
    unknown: UnknownFacts
    absent: tuple[str, ...] = ()
    age_ms: int = 0
    is_stale: bool = False

    @property
    def chosen(self) -> tuple[PairRow, ...]:
        return tuple(row for row in self.rows if row.chosen)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PairRow]:
        return iter(self.rows)

    def __repr__(self) -> str:
        lines = [self._title(), *self._notes()]
        width = max((len(row.symbol) for row in self.rows), default=0)
        for row in self.rows:
            mark, score = ("*" if row.chosen else " "), shown(row.score)
            lines.append(
                f"{mark} {row.symbol:<{width}} {row.market:<7} score {score:>10}  {row.reason}"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{name}</th>"
            for name in ("symbol", "market", "chosen", "score", *self._filters(), "why")
        )
        body = "".join(self._html_row(row) for row in self.rows)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes())
        return (
            f"<div><b>{escape(self._title())}</b>{notes}</div>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_frame(self) -> Frame:
        """One row for each symbol and market, in the table's order, indexed by `symbol`.

        Columns: market, chosen, rank (Int64), score and every fact (float64, NaN where not known),
        each filter's answer in words under its name (empty where it does not apply), reason.
        """
        from gridlab.data.frames import labelled_frame

        records: list[dict[str, object]] = []
        for row in self.rows:
            answers = {check.filter: str(check) for check in row.checks}
            numbers = {"score": row.score} | {name: getattr(row.facts, name) for name in FACTS}
            records.append(
                {"symbol": row.symbol, "market": str(row.market), "chosen": row.chosen}
                | {"rank": row.rank}
                | {name: None if n is None else float(n) for name, n in numbers.items()}
                | {name: answers.get(name, "") for name in self._filters()}
                | {"reason": row.reason}
            )
        kinds = {"chosen": "bool", "rank": "Int64", "score": "float64"}
        return labelled_frame(records, "symbol", kinds | dict.fromkeys(FACTS, "float64"))

    def _title(self) -> str:
        passing = sum(row.passes for row in self.rows)
        return (
            f"{len(self.chosen)} of {len(self.rows)} symbols chosen, {passing} pass "
            f"(at most {self.max_pairs} wanted)"
        )

    def _notes(self) -> list[str]:
        notes = []
        if self.absent:
            notes.append(f"Preferred, and not traded on this market now: {', '.join(self.absent)}.")
        if self.is_stale:
            notes.append(f"Stale: some facts are up to {self.age_ms / 1000:.0f} s old.")
        if self.unknown is UnknownFacts.SKIP:
            notes.append("Facts that are not known are let pass; fit for replay, not for money.")
        if any(row.score is not None and row.facts.spread_perc is None for row in self.rows):
            notes.append("Where the spread is not known, scores leave its cost out.")
        return notes

    def _filters(self) -> list[str]:
        return list(dict.fromkeys(check.filter for row in self.rows for check in row.checks))

    def _html_row(self, row: PairRow) -> str:
        answers = {check.filter: str(check) for check in row.checks}
        cells = [row.symbol, str(row.market), "yes" if row.chosen else "", shown(row.score)]
        cells += [answers.get(name, "") for name in self._filters()]
        return "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in (*cells, row.reason)) + "</tr>"


def select_pairs(
    facts: Sequence[PairFacts],
    criteria: PairCriteria,
    max_pairs: int,
    *,
    unknown: UnknownFacts = UnknownFacts.FAIL,
    active: Collection[str] = (),
) -> PairTable:
    """Every symbol of `facts` with each filter's answer, and the best `max_pairs` chosen.

    Those that pass are ranked: preferred ones first, in their listed order, then by score, then by
    volume, then by name; whatever is not known goes last. A symbol is chosen on one market only.

    Args:
        unknown: what becomes of a symbol when a fact is not known; sentiment alone filters only
            where there is a score.
        active: symbols that are traded already; the sentiment threshold is for new pairs.

    Raises:
        InvalidInput: `max_pairs` below 1, or a symbol twice on one market.
    """
    if max_pairs < 1:
        raise InvalidInput(f"max_pairs is {max_pairs}; at least 1 pair must be wanted")
    seen: set[tuple[Market, str]] = set()
    for fact in facts:
        if (fact.market, normalised(fact.symbol)) in seen:
            raise InvalidInput(f"{fact.symbol} is given twice on {fact.market}; give it once")
        seen.add((fact.market, normalised(fact.symbol)))
    held = frozenset(map(normalised, active))
    judged = [(fact, checks_of(fact, criteria, unknown, held)) for fact in facts]
    passing = [pair for pair in judged if not any(check.blocks for check in pair[1])]
    failing = [pair for pair in judged if any(check.blocks for check in pair[1])]
    passing.sort(key=lambda pair: _order(pair[0], criteria))
    failing.sort(key=lambda pair: _order_of_failing(*pair))
    rows = _choose(passing, criteria, max_pairs)
    for fact, checks in failing:
        reason = _why_not(fact, checks)
        rows.append(PairRow(fact, checks, score_of(fact, criteria), None, False, reason))
    return PairTable(tuple(rows), criteria, max_pairs, unknown)


def score_of(facts: PairFacts, criteria: PairCriteria) -> Decimal | None:
    """How well a grid would feed on the symbol; None where the ATR or the ADX is not known.

    `atr_perc_24h / (2 x fee_perc + spread_perc) x (1 - adx / 100)`: how many round trips the day's
    range could pay for, less the more the price runs one way. A spread that is not known costs
    nothing here. Only for ranking: it is no forecast of profit.
    """
    if facts.atr_perc_24h is None or facts.adx is None:
        return None
    with rounding():
        cost = 200 * criteria.fee_fraction + (facts.spread_perc or ZERO)
        score = facts.atr_perc_24h / max(cost, LEAST_COST_PERC) * (1 - facts.adx / 100)
        return score.quantize(SCORE_STEP)


def _why_not(facts: PairFacts, checks: Sequence[Check]) -> str:
    """What blocks a symbol; filters that nobody looked at count where nothing else blocks."""
    found = [c for c in checks if c.blocks and c.verdict is not Verdict.NOT_LOOKED_AT]
    if not found:
        return f"not looked at: {facts.not_looked_at}"
    return "; ".join(f"{check.filter}: {check}" for check in found)


def _order(facts: PairFacts, criteria: PairCriteria) -> tuple[object, ...]:
    preferred, symbol = criteria.preferred.get(facts.market, ()), normalised(facts.symbol)
    place = preferred.index(symbol) if symbol in preferred else len(preferred)
    # Not preferred is last on both markets, however long their lists are.
    is_other, score = symbol not in preferred, score_of(facts, criteria)
    volume = facts.volume_usd_24h
    return (
        *(is_other, place if not is_other else 0, score is None, -(score or ZERO)),
        *(volume is None, -(volume or ZERO), facts.symbol, facts.market),
    )


def _order_of_failing(facts: PairFacts, checks: Sequence[Check]) -> tuple[object, ...]:
    """Who was looked at closely by the filters that block, then the others by volume."""
    if facts.not_looked_at:
        return True, -(facts.volume_usd_24h or ZERO), facts.symbol, facts.market
    return False, sum(check.blocks for check in checks), facts.symbol, facts.market


def _choose(
    passing: Sequence[tuple[PairFacts, tuple[Check, ...]]], criteria: PairCriteria, max_pairs: int
) -> list[PairRow]:
    rows: list[PairRow] = []
    taken: dict[str, Market] = {}
    for rank, (facts, checks) in enumerate(passing, 1):
        symbol = normalised(facts.symbol)
        is_preferred = symbol in criteria.preferred.get(facts.market, ())
        chosen = symbol not in taken and len(taken) < max_pairs
        if chosen:
            taken[symbol] = facts.market
            reason = f"rank {rank}" + (", a preferred symbol" if is_preferred else "")
        elif symbol in taken:
            reason = f"passes, but is chosen on {taken[symbol]} already"
        else:
            reason = f"passes at rank {rank}, and only {max_pairs} are wanted"
        rows.append(PairRow(facts, checks, score_of(facts, criteria), rank, chosen, reason))
    return rows

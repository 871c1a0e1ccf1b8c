"""What a live venue is asked for, to choose pairs: everything cheap, then little of what is dear.

Three requests show every symbol's rules, 24 h window and best quotes. Whoever fails a filter by
those is out; the candles, the book and the open interest are asked for the few that are left, those
of the largest volume first. All of it through the data agent, so that a second look is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from gridlab.agents.data import DataAgent
from gridlab.agents.pair_facts import HOURS_ASKED, Sight
from gridlab.agents.pair_filters import (
    COSTLY,
    PairCriteria,
    PairFacts,
    UnknownFacts,
    Verdict,
    checks_of,
    normalised,
)
from gridlab.clock import Clock
from gridlab.data.cache_policy import STATS_24H
from gridlab.domain.market import Instrument, Interval, Market
from gridlab.errors import ExchangeUnavailable, InvalidInput, NotFound
from gridlab.exchange.base import Dated
from gridlab.money import ZERO

T = TypeVar("T")

#: The asset that grids are funded in.
QUOTE: Final = "USDT"
#: Symbols that are looked at closely; each costs 27 of a spot minute's 6000 weight.
MOST_CLOSELY: Final = 20
#: Symbols whose requests are under way at once.
CONCURRENCY: Final = 6
#: How long a look at all symbols, and one at the few, may take.
OVERVIEW_WITHIN_S: Final = 12.0
CLOSELY_WITHIN_S: Final = 15.0


class _Oldest:
    """Takes answers' values, and keeps when the oldest of them was asked for.

    Args:
        clock: of the cache that the answers come from.
        before: what was seen already.
    """

    def __init__(self, clock: Clock, before: Sight | None = None) -> None:
        self._clock = clock
        self.asked_ms = before.asked_ms if before else None
        self.is_stale = before.is_stale if before else False

    def value_of(self, found: Dated[T]) -> T:
        """The value of an answer that was handed out just now."""
        asked_ms = self._clock.now_ms() - found.age_ms
        self.asked_ms = asked_ms if self.asked_ms is None else min(self.asked_ms, asked_ms)
        self.is_stale = self.is_stale or found.is_stale
        return found.value


async def overview(
    agent: DataAgent, preferred: Collection[str] = (), active: Collection[str] = ()
) -> tuple[Sight, ...]:
    """Every symbol in `QUOTE` that trades, by name.

    Args:
        preferred: symbols that are among them whatever their quote.
        active: symbols that are among them in any case, as grids of ours are there.

    Raises:
        ExchangeUnavailable: the venue did not answer, or not in time.
    """
    oldest = _Oldest(agent.clock)
    try:
        async with asyncio.timeout(OVERVIEW_WITHIN_S):
            rules = await agent.instruments()
            tickers = oldest.value_of(await agent.tickers(STATS_24H))
            quotes = oldest.value_of(await agent.best_quotes())
    except TimeoutError:
        raise ExchangeUnavailable(
            f"{agent.market} was not looked over within {OVERVIEW_WITHIN_S:g} s; try again later, "
            "what has come by then is kept"
        ) from None
    # Rules are kept for hours by design, so that their age is no age of the figures.
    known, is_stale = rules.value, oldest.is_stale or rules.is_stale
    return tuple(
        Sight(
            ticker,
            known[symbol].base,
            known[symbol].quote,
            quotes.get(symbol),
            asked_ms=oldest.asked_ms,
            is_stale=is_stale,
        )
        for symbol, ticker in sorted(tickers.items())
        if symbol in known and (symbol in active or _may_be_chosen(known[symbol], preferred))
    )


def _may_be_chosen(rules: Instrument, preferred: Collection[str]) -> bool:
    # The name of a futures contract with an end carries its date behind an underscore.
    is_offered = rules.quote == QUOTE and "_" not in rules.symbol
    return rules.status == "TRADING" and (is_offered or rules.symbol in preferred)


def finalists(
    facts: Sequence[PairFacts], criteria: PairCriteria, active: Collection[str]
) -> Mapping[str, str]:
    """Why a symbol is not to be looked at closely, by symbol; empty words where it is.

    Preferred and active symbols are always among those that are.
    """
    held = frozenset(map(normalised, active))
    found: dict[str, str] = {}
    left: list[PairFacts] = []
    for fact in facts:
        symbol = normalised(fact.symbol)
        if symbol in held or symbol in criteria.preferred.get(fact.market, ()):
            found[fact.symbol] = ""
        elif failed := _failed(fact, criteria, held):
            found[fact.symbol] = f"{', '.join(failed)} failed before"
        else:
            left.append(fact)
    left.sort(key=lambda fact: (-(fact.volume_usd_24h or ZERO), fact.symbol))
    room = max(0, MOST_CLOSELY - sum(not why for why in found.values()))
    for place, fact in enumerate(left):
        is_in = place < room
        found[fact.symbol] = "" if is_in else f"{MOST_CLOSELY} symbols of more volume were"
    return found


def _failed(facts: PairFacts, criteria: PairCriteria, held: frozenset[str]) -> list[str]:
    """The filters that the cheap facts fail."""
    cheap = replace(facts, not_looked_at="not yet")
    checks = checks_of(cheap, criteria, UnknownFacts.FAIL, held)
    return [c.filter for c in checks if c.verdict in (Verdict.FAILED, Verdict.UNKNOWN)]


async def look_closely(agent: DataAgent, sights: Iterable[Sight]) -> tuple[Sight, ...]:
    """`sights` with their candles and, by market, the book or the open interest.

    What one symbol's requests fail by becomes its `why_unknown`.
    """
    gate, wanted = asyncio.Semaphore(CONCURRENCY), tuple(sights)
    tasks = [asyncio.create_task(_closer(agent, sight, gate)) for sight in wanted]
    if not tasks:
        return ()
    _, late = await asyncio.wait(tasks, timeout=CLOSELY_WITHIN_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    words = f"no answer within {CLOSELY_WITHIN_S:g} s"
    return tuple(
        replace(sight, why_unknown=dict.fromkeys(COSTLY, words)) if task in late else task.result()
        for sight, task in zip(wanted, tasks, strict=True)
    )


async def _closer(agent: DataAgent, sight: Sight, gate: asyncio.Semaphore) -> Sight:
    symbol, why = sight.symbol, dict(sight.why_unknown)
    hours = book = contracts = None
    oldest = _Oldest(agent.clock, sight)
    async with gate:
        with _noting(why, "atr_perc_24h", "adx"):
            hours = oldest.value_of(await agent.klines(symbol, Interval.H1, HOURS_ASKED))
        if agent.market is Market.SPOT:
            with _noting(why, "depth_usd"):
                book = oldest.value_of(await agent.order_book(symbol))
        else:
            with _noting(why, "open_interest_usd"):
                contracts = oldest.value_of(await agent.open_interest(symbol))
    return replace(
        sight,
        hours=hours,
        book=book,
        contracts=contracts,
        why_unknown=why,
        asked_ms=oldest.asked_ms,
        is_stale=oldest.is_stale,
    )


@contextmanager
def _noting(why: dict[str, str], *facts: str) -> Iterator[None]:
    """Note as the reason of `facts` what a request fails by."""
    try:
        yield
    except (ExchangeUnavailable, NotFound, InvalidInput) as error:
        why |= dict.fromkeys(facts, str(error))

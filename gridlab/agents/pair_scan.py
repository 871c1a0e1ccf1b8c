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
from typing import Final

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
from gridlab.data.cache_policy import STATS_24H
from gridlab.domain.market import Instrument, Interval, Market
from gridlab.errors import ExchangeUnavailable, InvalidInput, NotFound
from gridlab.money import ZERO

#: The asset that grids are funded in.
QUOTE: Final = "USDT"
#: Symbols that are looked at closely; each costs 27 of a spot minute's 6000 weight.
MOST_CLOSELY: Final = 20
#: Symbols whose requests are under way at once.
CONCURRENCY: Final = 6
#: How long a look at all symbols, and one at the few, may take.
OVERVIEW_WITHIN_S: Final = 12.0
CLOSELY_WITHIN_S: Final = 15.0


async def overview(agent: DataAgent, wanted: Collection[str] = ()) -> tuple[Sight, ...]:
    """Every symbol in `QUOTE` that trades, and those of `wanted` in any case, by name.

    Raises:
        ExchangeUnavailable: the venue did not answer, or not in time.
    """
    try:
        async with asyncio.timeout(OVERVIEW_WITHIN_S):
            rules = (await agent.instruments()).value
            tickers = (await agent.tickers(STATS_24H)).value
            quotes = (await agent.best_quotes()).value
    except TimeoutError:
        raise ExchangeUnavailable(
            f"{agent.market} was not looked over within {OVERVIEW_WITHIN_S:g} s; try again later, "
            "what has come by then is kept"
        ) from None
    return tuple(
        Sight(ticker, rules[symbol].base, rules[symbol].quote, quotes.get(symbol))
        for symbol, ticker in sorted(tickers.items())
        if symbol in rules and (symbol in wanted or _is_eligible(rules[symbol]))
    )


def _is_eligible(rules: Instrument) -> bool:
    # The name of a futures contract with an end carries its date behind an underscore.
    return rules.quote == QUOTE and rules.status == "TRADING" and "_" not in rules.symbol


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
    book = contracts = None
    async with gate:
        with _noting(why, "atr_perc_24h", "adx"):
            sight = replace(
                sight, hours=(await agent.klines(symbol, Interval.H1, HOURS_ASKED)).value
            )
        if agent.market is Market.SPOT:
            with _noting(why, "depth_usd"):
                book = (await agent.order_book(symbol)).value
        else:
            with _noting(why, "open_interest_usd"):
                contracts = (await agent.open_interest(symbol)).value
    return replace(sight, book=book, contracts=contracts, why_unknown=why)


@contextmanager
def _noting(why: dict[str, str], *facts: str) -> Iterator[None]:
    """Note as the reason of `facts` what a request fails by."""
    try:
        yield
    except (ExchangeUnavailable, NotFound, InvalidInput) as error:
        why |= dict.fromkeys(facts, str(error))

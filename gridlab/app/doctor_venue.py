"""The doctor's questions to a live venue: clock, keys, settings, rules, and the configured grid.

Reads only. In Shadow no question is signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from gridlab.app.checks import Check, Verdict
from gridlab.app.config import Config
from gridlab.app.modes import REAL_ORDERS, Access
from gridlab.clock import SystemClock
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Instrument, Market
from gridlab.domain.plan import Severity
from gridlab.domain.snapshot import Mode
from gridlab.errors import GridLabError, InvalidSpec
from gridlab.exchange.binance.account import Permissions
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.budgets import Budgets
from gridlab.grid.preflight import plan_grid

GOOD_OFFSET_MS = 500
#: Beyond this no signed request is sent.
MOST_OFFSET_MS = 1_000
_DOLLARS = ("USDT", "USDC", "FDUSD")


async def ask_venues(access: Access, config: Config, budgets: Budgets) -> list[Check]:
    """Every check of every market that the configuration names."""
    markets = config.exchange.supported_markets
    asked = await asyncio.gather(*(_public(access, config, market, budgets) for market in markets))
    found = [check for checks in asked for check in checks]
    if access.mode in REAL_ORDERS:
        async with _account(access, config, budgets) as venues:
            for market in config.exchange.supported_markets:
                try:
                    found += await _private(venues[market], access, config)
                except GridLabError as error:
                    found.append(Check(market, Verdict.FAIL, f"the account: {error}"))
    return found


def _away(access: Access, market: Market, error: Exception) -> str:
    where = "" if access.endpoints is None else f" at {access.endpoints.rest(market)}"
    return f"no answer{where}: {error}; check the network and the address"


async def _public(access: Access, config: Config, market: Market, budgets: Budgets) -> list[Check]:
    """Time and rules, which anybody may read."""
    try:
        return await _open_questions(access, config, market, budgets)
    except GridLabError as error:
        return [Check(market, Verdict.FAIL, _away(access, market, error))]


async def _open_questions(
    access: Access, config: Config, market: Market, budgets: Budgets
) -> list[Check]:
    assert access.endpoints is not None
    clock, address = SystemClock(), access.endpoints.rest(market)
    weight = budgets.weight(market, address)
    async with PublicRest(address, market, clock=clock, weight_budget=weight) as rest:
        await rest.server_time_ms()  # the first answer comes with a handshake
        sent_ms = clock.now_ms()
        server_ms = await rest.server_time_ms()
        offset_ms = server_ms - (sent_ms + clock.now_ms()) // 2
        rules = {rule.symbol: rule for rule in await rest.instruments()}
        prices = {ticker.symbol: ticker.price for ticker in await rest.tickers()}
    checks = [_clock(market, offset_ms)]
    section = config.pair_selection
    wanted = section.spot_pairs if market is Market.SPOT else section.futures_pairs
    for symbol in wanted.preferred_symbols:
        checks.append(_symbol(config, market, symbol, rules.get(symbol), prices.get(symbol)))
    return checks


def _clock(market: Market, offset_ms: int) -> Check:
    name, words = f"{market} clock", f"this machine is {-offset_ms:+d} ms off the venue"
    if abs(offset_ms) > MOST_OFFSET_MS:
        remedy = "turn time synchronisation on (timedatectl set-ntp true)"
        return Check(name, Verdict.WARN, f"{words}; it is corrected for, and {remedy} is better")
    verdict = Verdict.OK if abs(offset_ms) <= GOOD_OFFSET_MS else Verdict.WARN
    return Check(name, verdict, words)


def _symbol(
    config: Config, market: Market, symbol: str, rules: Instrument | None, price: Decimal | None
) -> Check:
    """Whether the configured grid would pass the venue's rules on a preferred symbol."""
    name = f"{market} {symbol}"
    if rules is None or price is None:
        words = "is not listed there; take it off pair_selection's preferred_symbols"
        return Check(name, Verdict.WARN, words)
    try:
        plan = plan_grid(config.spec_for(symbol, market), rules, price)
    except InvalidSpec as error:
        return Check(name, Verdict.WARN, f"the configured grid cannot be laid: {error}")
    broken = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    if broken:
        return Check(name, Verdict.WARN, "the configured grid: " + "; ".join(broken))
    return Check(name, Verdict.OK, f"{rules.status}; the configured grid passes its rules")


@asynccontextmanager
async def _account(
    access: Access, config: Config, budgets: Budgets
) -> AsyncIterator[dict[Market, BinanceSpot | BinanceFutures]]:
    assert access.endpoints is not None and access.credentials is not None
    transport = SignedTransport(
        access.right_to_look(),
        access.credentials,
        access.endpoints,
        clock=SystemClock(),
        budgets=budgets,
    )
    try:
        yield {
            Market.SPOT: BinanceSpot(transport),
            Market.FUTURES: BinanceFutures(transport, config.grid.futures.settings),
        }
    finally:
        await transport.close()


async def _private(
    venue: BinanceSpot | BinanceFutures, access: Access, config: Config
) -> list[Check]:
    """What the key may do, what the account holds, and who else trades on it."""
    market = venue.market
    checks = key_checks(market, await venue.permissions(), access.mode)
    held = [balance for balance in await venue.balances() if balance.total > 0]
    needed = config.capital_on(market)
    dollars = max(
        (b.free for b in held if b.asset in ("USDT", "USDC", "FDUSD")), default=Decimal(0)
    )
    verdict = Verdict.OK if dollars >= needed else Verdict.WARN
    words = f"{len(held)} assets; {dollars} free in dollars, one configured grid takes {needed}"
    checks.append(Check(f"{market} funds", verdict, words))
    open_now = await venue.all_open_orders()
    checks.append(Check(f"{market} orders", Verdict.OK, f"{len(open_now)} open on the account"))
    if isinstance(venue, BinanceFutures):
        checks.append(await _settings(venue, config))
    return checks


def key_checks(market: Market, found: Permissions, mode: Mode) -> list[Check]:
    """Whether the key may trade, and may not withdraw; for real money that must be known."""
    name, is_real = f"{market} key", mode is Mode.PRODUCTION
    checks = []
    if found.can_trade is False:
        words = "the key may not trade; allow it at the exchange's API management"
        checks.append(Check(name, Verdict.FAIL, words))
    if found.can_withdraw:
        words = "the key may withdraw, which no bot needs; take that right away at the exchange"
        checks.append(Check(name, Verdict.FAIL if is_real else Verdict.WARN, words))
    if found.can_withdraw is None and is_real:
        words = "whether the key may withdraw is not known, and it must be; try again"
        checks.append(Check(name, Verdict.FAIL, words))
    words = "; ".join(found.words) or "the key is accepted"
    return [*checks, Check(name, Verdict.OK, words)]


async def _settings(venue: BinanceFutures, config: Config) -> Check:
    """Whether the account's mode is the one that grids assume; a grid's start sets the rest."""
    symbols = config.pair_selection.futures_pairs.preferred_symbols
    words = await venue.mismatch(symbols[0]) if symbols else ""
    if "hedge" in words:
        return Check("futures mode", Verdict.FAIL, words)
    said = f"one-way; {words}, and a grid's start sets that" if words else "as grids assume"
    return Check("futures mode", Verdict.OK, said)

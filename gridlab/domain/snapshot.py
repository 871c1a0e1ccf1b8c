"""The immutable picture of the engine that everybody outside its thread reads.

The engine publishes one `Snapshot` for each step. Nothing in it can be changed, so any number of
readers need no lock. Amounts are Decimals; whoever shows them chooses the digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from gridlab.domain.account import Position
from gridlab.domain.market import Balance, Market
from gridlab.domain.orders import Side, Trade
from gridlab.money import ZERO

#: A snapshot older than this, while the engine should be stepping, is labelled stale.
STALE_AFTER_MS = 10_000


class Mode(StrEnum):
    """Where orders go and where prices come from; shown beside every number."""

    REPLAY = "Replay"
    SHADOW = "Shadow"
    TESTNET = "Testnet"
    PRODUCTION = "Production"


class BotStatus(StrEnum):
    """A bot's state in the API's words."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"


class EngineState(StrEnum):
    RECOVERING = "recovering"
    READY = "ready"
    FINISHED = "finished"  # a replay has come to the end of its recording
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """One order that is, or may be, live at the venue.

    Args:
        order_id: the venue's id; empty until the venue has answered.
        state: the core's life-cycle state, such as `open` or `unknown`.
    """

    client_id: str
    order_id: str
    slot: int
    side: Side
    price: Decimal
    quantity: Decimal
    executed: Decimal
    state: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A slot without an order, and the rule or event that keeps it empty."""

    slot: int
    price: Decimal
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Money:
    """A grid's books in quote units at one mark price.

    `total = grid_profit + liquidation + floating + fees + funding`, exactly;
    `equity = investment + total`.

    Args:
        grid_profit: sum over completed pairs of (sell price - buy price) x quantity, before fees.
        floating: held base at the mark minus what it cost.
        fees: what the venue took, in quote units at the marks of `fees_by_asset`; at most zero
            unless the venue pays rebates.
        base_held: base units that the grid owns.
        liquidation: result of the sale that emptied a stopped grid; zero before.
    """

    investment: Decimal
    grid_profit: Decimal
    floating: Decimal
    fees: Decimal
    funding: Decimal
    total: Decimal
    base_held: Decimal
    fees_by_asset: tuple[tuple[str, Decimal], ...]
    liquidation: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last start of the process found and did for one bot.

    Args:
        events_replayed: journal entries that rebuilt the grid.
        orders_checked: possibly live orders that were compared with the venue.
        fills_found: trades that had happened while no process was running.
        orders_resent: journalled orders that had provably never left, delivered now.
    """

    recovered: bool
    time_ms: int
    events_replayed: int
    orders_checked: int
    fills_found: int
    orders_resent: int


@dataclass(frozen=True, slots=True)
class BotSnapshot:
    """One grid bot at one moment."""

    symbol: str
    market: Market
    run: str
    status: BotStatus
    reason: str
    price: Decimal
    lines: tuple[Decimal, ...]
    levels: int
    spacing: Decimal
    quantity: Decimal
    started_ms: int
    updated_ms: int
    open_orders: tuple[OpenOrder, ...]
    vacancies: tuple[Vacancy, ...]
    trade_count: int
    last_trade: Trade | None
    money: Money
    recovery: Recovery | None = None
    leverage: int = 1

    @property
    def may_trade(self) -> bool:
        """Whether an order of it may be at the venue, or may yet be made."""
        return self.status not in (BotStatus.STOPPED, BotStatus.ERROR) or bool(self.open_orders)

    @property
    def hangs_on_price(self) -> bool:
        """Whether what is told of it changes with the price; a bot that ended empty is history."""
        return self.may_trade or bool(self.money.base_held)


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """What the supervisor knows of one agent: state, age of its heartbeat, restarts."""

    name: str
    state: str
    heartbeat_ms: int
    restarts: int
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class VenueHealth:
    """How much one market's venue can be trusted at this moment.

    Args:
        state: such as `ready`, `catching_up`, `stale` or `banned`; a simulated venue is `ready`.
        last_message_ms: when its streams last said anything, by the machine's clock.
        account_ms: when balances and positions were last read, by the machine's clock, of what was
            read longest ago; 0 before the first reading.
        foreign_orders: open orders of other people or programs; they are told and left alone.
    """

    state: str
    reason: str
    last_message_ms: int
    account_ms: int
    foreign_orders: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine at one step.

    Args:
        sequence: rises by at least one with each published step.
        time_ms: market time: of the recording in Replay, of the venue otherwise.
        wall_ms: when this was published, by the machine's clock; what ages are measured against.
        speed: market seconds for each second of real time; 1 outside Replay, 0 = as fast as it can.
        progress: fraction of the recording that has been played, 0 to 1; None outside Replay.
        source: where prices come from and orders go, in words; empty says no more than the mode.
        balances, futures_balances: the spot account, and the futures wallet; there `total` is the
            wallet and `free` what may back new orders.
        positions: what is held on futures; none that is empty.
        venues: one for each market that this mode trades.
        killed: why new grids are refused, when the kill switch is pulled; else empty.
    """

    sequence: int
    mode: Mode
    state: EngineState
    time_ms: int
    wall_ms: int
    started_ms: int
    speed: float
    progress: float | None
    prices: Mapping[tuple[Market, str], Decimal] = field(
        default_factory=lambda: MappingProxyType({})
    )
    bots: Mapping[str, BotSnapshot] = field(default_factory=lambda: MappingProxyType({}))
    balances: tuple[Balance, ...] = ()
    futures_balances: tuple[Balance, ...] = ()
    positions: tuple[Position, ...] = ()
    venues: Mapping[Market, VenueHealth] = field(default_factory=lambda: MappingProxyType({}))
    agents: tuple[AgentHealth, ...] = ()
    reason: str = ""
    killed: str = ""
    source: str = ""

    def known_ms(self, markets: Iterable[Market]) -> int:
        """When what this shows of `markets` was last known to be true, by the machine's clock.

        The engine steps on while a venue is silent; prices and orders there are then as old as its
        last message, however new the picture is. Of a market that the engine does not trade,
        nobody hears: its bots are known from the journal, and since their last event.
        """
        known = [self.wall_ms]
        for market in sorted(set(markets)):
            venue = self.venues.get(market)
            if venue is not None:
                known += [venue.last_message_ms] * (venue.state != "ready")
            elif self.venues:
                known += [self._last_event_ms(bot) for bot in self._hanging(market)]
        return min(known)

    def _hanging(self, market: Market) -> list[BotSnapshot]:
        return [bot for bot in self.bots.values() if bot.market is market and bot.hangs_on_price]

    def _last_event_ms(self, bot: BotSnapshot) -> int:
        """When its grid last heard anything, by the machine's clock."""
        return self.wall_ms - max(0, self.time_ms - bot.updated_ms)

    @property
    def account_known_ms(self) -> int:
        """When the balances and positions were last read, of the market where that is longest ago.

        They come by request: under a ban, streams go on telling of fills and balances stand still.
        """
        read = (venue.account_ms for venue in self.venues.values() if venue.account_ms)
        return min((self.known_ms(self.venues), *read))

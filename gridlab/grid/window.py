"""The order window: which slots may have an order, where the venue takes fewer than the grid has.

Each slot is in one of three places. CHOSEN slots live as if there were no limit: placed, mirrored,
tried again. OUTSIDE slots have no order. LEAVING slots were chosen until others came nearer; their
order is being cancelled, and until it has provably ended it takes up room.

Near and far are counted in half grids from the mark, along the way the price must go: a buy that
lies above the mark, or a sale below it, would trade at once and is nearest of all. Within a side
this order is that of the slots, whatever the mark is. So the window is two numbers, the *quota* of
each side: it wants the nearest so many buys and the nearest so many sales.

To follow the price at every fill would cancel and place an order at every fill. So quota goes from
one side to the other only when the slot that it wins is nearer by `slack` grids than the slot that
it loses: a price that goes to and fro within so many grids moves nothing, and one that goes on
moves one order for each fill. No side loses its last slot; what rests therefore always brackets the
price, and the price cannot go anywhere without a fill that tells of it.

Every question is answered from the ends of sorted lists, so a fill costs the same in a grid of
twenty slots and of a thousand. Knows slots by number and side only: no order, no venue, no money.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from enum import Enum, auto

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side

#: Places at the venue that a window leaves free: for market orders and for whoever else trades.
RESERVE = 5
LEAST_CAP = 2
#: The slack is this fraction of the cap: a quarter of what one side has in front of the price.
SLACK_SHARE = 8


class Place(Enum):
    CHOSEN = auto()
    LEAVING = auto()
    OUTSIDE = auto()


def fits_whole(slots: int, instrument: Instrument) -> bool:
    """Whether the venue takes an order for every slot at once."""
    return slots <= instrument.max_num_orders


def cap_of(instrument: Instrument) -> int:
    """How many orders a grid rests at once when the venue does not take all of them."""
    return max(instrument.max_num_orders - RESERVE, LEAST_CAP)


def mark_position(lines: Sequence[Decimal], mark: Decimal) -> int:
    """Where `mark` lies among the lines, in half grids: 2i on line i, an odd number between two."""
    index = bisect_left(lines, mark)
    is_on_line = index < len(lines) and lines[index] == mark
    return 2 * index if is_on_line else 2 * index - 1


class Window:
    """Where each slot is; see the module's docstring.

    Args:
        sides: what each slot wants next.
        place: where all slots begin: OUTSIDE, or CHOSEN when a limit falls on a running grid.

    Attributes:
        leaving: slots on their way out, ascending.
        excess: slots beyond the cap since the venue lowered its limit; shrinks as orders end.
        is_due: a slot that should leave could not yet, because its order is still on its way.
    """

    __slots__ = (
        *("_chosen", "_outside", "_places", "_quota", "_ready", "_sides"),
        *("cap", "excess", "is_due", "leaving"),
    )

    def __init__(self, cap: int, sides: Iterable[Side], place: Place = Place.OUTSIDE) -> None:
        self.cap = cap
        self.is_due = False
        self.leaving: list[int] = []
        self._sides = list(sides)
        self._places = [place] * len(self._sides)
        self._quota = dict.fromkeys(Side, 0)
        #: Slots by what they want, ascending: all but the leaving ones, and those divided in two.
        self._ready: dict[Side, list[int]] = {side: [] for side in Side}
        self._chosen: dict[Side, list[int]] = {side: [] for side in Side}
        self._outside: dict[Side, list[int]] = {side: [] for side in Side}
        for index, side in enumerate(self._sides):
            for held in self._lists_of(place):
                held[side].append(index)
        self.excess = max(-self.room, 0)

    # --- questions --------------------------------------------------------------------------------

    @property
    def slack(self) -> int:
        """By how many grids a slot must be nearer than another one to win its quota."""
        return max(1, self.cap // SLACK_SHARE)

    @property
    def chosen_count(self) -> int:
        return len(self._chosen[Side.BUY]) + len(self._chosen[Side.SELL])

    @property
    def room(self) -> int:
        """How many slots may be chosen now; below zero after the venue lowered its limit."""
        return self.cap - self.chosen_count - len(self.leaving)

    def chosen(self) -> Iterator[int]:
        """The chosen slots, buys before sales."""
        yield from self._chosen[Side.BUY]
        yield from self._chosen[Side.SELL]

    def place_of(self, index: int) -> Place:
        return self._places[index]

    def distance(self, index: int, position: int) -> int:
        """Half grids that the price must go from `position` before the slot's next order trades."""
        if self._sides[index] is Side.BUY:
            return position - 2 * index
        return 2 * index + 2 - position

    def next_in(self, position: int) -> int | None:
        """The nearest slot outside that the quotas want; of two equally near the buy."""
        wanted = [
            index
            for side, held in self._outside.items()
            if held and self._is_wanted(index := _nearest(side, held, 1))
        ]
        return min(wanted, key=lambda index: self.distance(index, position), default=None)

    def has_next(self) -> bool:
        """Whether the quotas want a slot that is outside."""
        return self.next_in(0) is not None

    def surplus(self, position: int, can_leave: Callable[[int], bool]) -> list[int]:
        """Chosen slots that the quotas no longer want, the farthest first.

        Sets `is_due` when one of them must wait.
        """
        unwanted: list[int] = []
        for side, held in self._chosen.items():
            for count in range(len(held), 0, -1):
                index = _nearest(side, held, count)
                if self._is_wanted(index):
                    break
                unwanted.append(index)
        leaving = [index for index in unwanted if can_leave(index)]
        self.is_due = len(leaving) < len(unwanted)
        return sorted(leaving, key=lambda index: -self.distance(index, position))

    def problems(self, sides: Sequence[Side]) -> Iterator[str]:
        """What is wrong with the bookkeeping, given what the slots really want."""
        for place in (Place.CHOSEN, Place.OUTSIDE):
            for side, held in self._lists_of(place)[0].items():
                right = [i for i, at in enumerate(self._places) if at is place and sides[i] is side]
                if held != right:
                    yield f"the window's {place.name.lower()} {side}s are {held} and not {right}"
        if self.leaving != [i for i, at in enumerate(self._places) if at is Place.LEAVING]:
            yield f"the window's leaving slots {self.leaving} are not those that leave"
        if sum(self._quota.values()) > self.cap:
            yield f"the window's quotas {self._quota} are above the cap of {self.cap}"
        if -self.room > self.excess:
            yield (
                f"{self.chosen_count} slots are chosen and {len(self.leaving)} leave; the cap is "
                f"{self.cap}, and {self.excess} above it were there before it was lowered"
            )

    def _is_wanted(self, index: int) -> bool:
        """Whether the slot is among the nearest of its side that the side's quota is for."""
        side = self._sides[index]
        quota = self._quota[side]
        if not quota:
            return False
        last = self._edge(side, quota)
        return index >= last if side is Side.BUY else index <= last

    def _edge(self, side: Side, count: int) -> int:
        """The slot of `side` that is its `count`-th nearest, or its farthest when it has fewer."""
        held = self._ready[side]
        return _nearest(side, held, min(count, len(held)))

    # --- changes ----------------------------------------------------------------------------------

    def rebalance(self, position: int) -> None:
        """Divide the cap between the sides by what is near, as the module's docstring says."""
        for side in Side:
            self._quota[side] = min(self._quota[side], len(self._ready[side]))
        while sum(self._quota.values()) > self.cap:
            self._quota[self._farther_side(position)] -= 1
        while sum(self._quota.values()) < self.cap and (near := self._nearer_side(position)):
            self._quota[near] += 1
        for side in Side:
            if not self._quota[side] and self._ready[side]:
                self._give(side)
            while self._wins(side, position):
                self._give(side)

    def _give(self, side: Side) -> None:
        self._quota[side] += 1
        self._quota[side.opposite] -= 1

    def _wins(self, side: Side, position: int) -> bool:
        """Whether the next slot of `side` is nearer by the slack than the other side's last."""
        mine, others = self._quota[side], self._quota[side.opposite]
        if others < 2 or mine >= len(self._ready[side]):
            return False
        won, lost = self._edge(side, mine + 1), self._edge(side.opposite, others)
        return self.distance(lost, position) - self.distance(won, position) >= 2 * self.slack

    def _nearer_side(self, position: int) -> Side | None:
        """The side whose first slot beyond its quota is nearer; None when both have none."""
        open_sides = [side for side in Side if self._quota[side] < len(self._ready[side])]
        return min(
            open_sides,
            key=lambda side: self.distance(self._edge(side, self._quota[side] + 1), position),
            default=None,
        )

    def _farther_side(self, position: int) -> Side:
        """The side whose last slot within its quota is farther."""
        return max(
            (side for side in Side if self._quota[side]),
            key=lambda side: self.distance(self._edge(side, self._quota[side]), position),
        )

    def set_cap(self, cap: int) -> None:
        """Follow the venue's limit; to be rebalanced after it."""
        self.cap = cap
        self.excess = max(-self.room, 0)

    def take(self, index: int) -> None:
        """OUTSIDE -> CHOSEN."""
        self._move(index, Place.CHOSEN)

    def dismiss(self, index: int, *, has_order: bool) -> None:
        """CHOSEN -> LEAVING, or at once OUTSIDE when there is no order to wait for."""
        self._move(index, Place.LEAVING if has_order else Place.OUTSIDE)

    def release(self, index: int) -> None:
        """-> OUTSIDE: the slot's order has provably ended."""
        self._move(index, Place.OUTSIDE)

    def turn(self, index: int, side: Side) -> None:
        """The slot wants the other side now; a chosen one takes its quota along."""
        place = self._places[index]
        self._take_out(index)
        self._sides[index] = side
        self._put_in(index, place)
        if place is Place.CHOSEN and self._quota[side.opposite]:
            self._give(side)

    def _move(self, index: int, place: Place) -> None:
        self._take_out(index)
        self._put_in(index, place)
        self.excess = min(self.excess, max(-self.room, 0))

    def _take_out(self, index: int) -> None:
        place, side = self._places[index], self._sides[index]
        for held in self._lists_of(place):
            _remove(held[side], index)
        if place is Place.LEAVING:
            _remove(self.leaving, index)

    def _put_in(self, index: int, place: Place) -> None:
        self._places[index] = place
        for held in self._lists_of(place):
            insort(held[self._sides[index]], index)
        if place is Place.LEAVING:
            insort(self.leaving, index)

    def _lists_of(self, place: Place) -> tuple[dict[Side, list[int]], ...]:
        """The lists by side in which a slot at `place` stands, its own first."""
        if place is Place.LEAVING:
            return ()
        return (self._chosen if place is Place.CHOSEN else self._outside, self._ready)


def _nearest(side: Side, held: list[int], count: int) -> int:
    """The `count`-th nearest of ascending slots: buys come from above, sales from below."""
    return held[-count] if side is Side.BUY else held[count - 1]


def _remove(held: list[int], index: int) -> None:
    at = bisect_left(held, index)
    assert held[at] == index
    del held[at]

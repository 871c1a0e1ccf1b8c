"""A paper run whose requests travel: they wait on a wire, overtake each other, and get lost.

What the venue says waits in `inbox`, as in `PaperRun`; here what the grid asks for waits too, in
`wire`, until somebody lets it arrive. Of an order that is lost the grid hears OrderUnknown, and
OrderAbsent when the proof is due; a cancel that is lost is just gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import OrderAbsent, OrderRejected, OrderUnknown
from gridlab.grid.lifecycle import OrderState
from gridlab.testing.paper_run import PaperRun


class SlowWire(PaperRun):
    """See the module's docstring.

    Attributes:
        wire: commands that have not arrived.
        lost: ids of orders that never will; each is proved absent by `prove_absences`.
        gone: ids of orders that can no longer come to life: lost, or refused on the way.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.wire: list[Command] = []
        self.lost: list[str] = []
        self.gone: set[str] = set()
        self.cancels = 0

    def carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self.cancels += isinstance(command, CancelOrder)
            self.wire.append(command)

    def arrive(self, place: int = 0) -> None:
        """Let one command reach the venue."""
        super().carry_out((self.wire.pop(place),))

    def lose(self, place: int) -> None:
        """Let one command get lost on its way."""
        command = self.wire.pop(place)
        if isinstance(command, PlaceOrder):
            self.placed.append(command.request)
            self.lost.append(command.client_id)
            self.gone.add(command.client_id)
            self.hand(OrderUnknown(self.tick(), command.client_id, "timeout"))

    def refuse(self, place: int) -> None:
        """Let the venue refuse one order."""
        command = self.wire.pop(place)
        if isinstance(command, PlaceOrder):
            self.placed.append(command.request)
            self.gone.add(command.client_id)
            self.hand(OrderRejected(self.tick(), command.client_id, "busy", "try again"))

    def prove_absences(self) -> None:
        while self.lost:
            client_id = self.lost.pop(0)
            order = self.grid.find(client_id)
            if order is not None and order.state is OrderState.UNKNOWN:
                self.hand(OrderAbsent(self.tick(), client_id))

    def settle(self) -> None:
        """Let everything arrive and be told until nobody has anything left to say."""
        while self.wire or self.inbox or self.lost:
            while self.wire:
                self.arrive()
            self.collect()
            super().settle()
            self.prove_absences()

    def on_their_way(self) -> set[str]:
        """Ids of limit orders that have left and not arrived."""
        return {
            command.client_id
            for command in self.wire
            if isinstance(command, PlaceOrder) and command.request.price is not None
        }

    def possibly_live(self) -> set[str]:
        """Ids of limit orders that the venue holds or may yet receive, by its own truth."""
        return self.resting() | self.on_their_way()

"""What the core asks the shell to do at a venue. Stored with the event that caused it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gridlab.domain.orders import OrderRequest


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send this order, once."""

    request: OrderRequest

    @property
    def client_id(self) -> str:
        return self.request.client_id


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Ask the venue to end this order."""

    symbol: str
    client_id: str


Command: TypeAlias = PlaceOrder | CancelOrder

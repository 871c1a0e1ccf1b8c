"""A user data event that somebody has written ready to be sent, such as of a conditional order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UserNews:
    """Told to the account's listeners as it is."""

    payload: Mapping[str, Any]

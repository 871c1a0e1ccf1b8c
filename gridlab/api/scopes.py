"""What a caller may do: three scopes, each of which includes the ones below it."""

from __future__ import annotations

from enum import IntEnum


class Scope(IntEnum):
    """What a route asks for, or a token gives; a larger one includes every smaller one.

    OPEN is no scope of a token: pages and their assets, which hold no data, are served to anyone.
    """

    OPEN = 0
    READ = 1
    TRADE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The name in the token file and in documents, such as `read`."""
        return self.name.lower()


#: The scopes that have a token, weakest first.
GRANTED = (Scope.READ, Scope.TRADE, Scope.ADMIN)

"""A request's parameters: text as it came, read as numbers and words or refused with exact texts.

An empty parameter counts as absent: common clients send `orderId=` beside the id that they mean.
Names that nobody asks for are passed over, as the venue does. Knows no endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

from gridlab.twin.answers import VenueError, refuse

#: What the venue takes as a number: digits and one point, no sign, no exponent.
NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
WHOLE = r"^[0-9]{1,20}$"
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
#: Spot's own letters; names may be in other scripts since 2025.
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"
_NUMBER = re.compile(NUMBER)
_WHOLE = re.compile(WHOLE)
_CLIENT_ID = re.compile(CLIENT_ID)
_SYMBOL = re.compile(r"(?:(?![a-z])[\w\-.]){1,50}")


class Params:
    """The parameters of one request, first come first kept.

    Args:
        values: by name; empty ones are dropped.
        is_case_blind: names in any case mean the same and are told in lower case, as on USD-M.
    """

    def __init__(self, values: Mapping[str, str], *, is_case_blind: bool = False) -> None:
        self._is_case_blind = is_case_blind
        self._values = {self._key(name): value for name, value in values.items() if value != ""}

    @classmethod
    def of(cls, query: str, body: str, *, is_case_blind: bool = False) -> Params:
        """The parameters of a query string and a form body; the query wins on a clash.

        Raises:
            VenueError: -1101, a name twice in one of the two.
        """
        merged = _pairs(body)
        merged.update(_pairs(query))
        return cls(merged, is_case_blind=is_case_blind)

    def _key(self, name: str) -> str:
        return name.lower() if self._is_case_blind else name

    def __contains__(self, name: str) -> bool:
        return self._key(name) in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"Params({', '.join(self._values)})"

    def get(self, name: str) -> str | None:
        """The text of a parameter; None when it was not sent or is empty."""
        return self._values.get(self._key(name))

    def has_any(self, *names: str) -> bool:
        return any(name in self for name in names)

    def forbid(self, *names: str) -> None:
        """Raise -1106 for the first of these that was sent."""
        for name in names:
            if name in self:
                raise refuse(-1106, self._key(name))

    # -- mandatory ------------------------------------------------------------------------------

    def text(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise refuse(-1102, self._key(name))
        return value

    def decimal(self, name: str) -> Decimal:
        """A number from zero; its sign and digits are the filters' affair."""
        return self._as_decimal(name, self.text(name))

    def integer(self, name: str) -> int:
        return self._as_integer(name, self.text(name))

    def member(self, name: str, allowed: Iterable[str], code: int) -> str:
        """One of `allowed`; another word is refused with `code`."""
        value = self.text(name)
        if value not in allowed:
            raise refuse(code, self._key(name))
        return value

    def symbol(self) -> str:
        """The symbol's name; whether it is listed is asked elsewhere."""
        value = self.text("symbol")
        if _SYMBOL.fullmatch(value) is None:
            raise refuse(-1100, "symbol", SYMBOL)
        return value

    # -- optional -------------------------------------------------------------------------------

    def maybe_decimal(self, name: str) -> Decimal | None:
        value = self.get(name)
        return None if value is None else self._as_decimal(name, value)

    def maybe_integer(
        self, name: str, low: int | None = None, high: int | None = None
    ) -> int | None:
        """A whole number; outside of the bounds it is refused with -1130."""
        value = self.get(name)
        if value is None:
            return None
        number = self._as_integer(name, value)
        if (low is not None and number < low) or (high is not None and number > high):
            raise refuse(-1130, self._key(name))
        return number

    def limit(self, usual: int, most: int) -> int:
        """`limit`: the usual one when absent, and never more than the most; zero is refused."""
        value = self.maybe_integer("limit", 1)
        return usual if value is None else min(value, most)

    def maybe_boolean(self, name: str) -> bool | None:
        value = self.get(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise refuse(-1100, self._key(name), "^(true|false|TRUE|FALSE)$")
        return value.lower() == "true"

    def maybe_member(self, name: str, allowed: Iterable[str], code: int) -> str | None:
        return self.member(name, allowed, code) if name in self else None

    def maybe_client_id(self, name: str) -> str | None:
        """A client order id in spot's narrow form."""
        value = self.get(name)
        if value is not None and _CLIENT_ID.fullmatch(value) is None:
            raise refuse(-1100, self._key(name), CLIENT_ID)
        return value

    # -- reading --------------------------------------------------------------------------------

    def _as_decimal(self, name: str, value: str) -> Decimal:
        if _NUMBER.fullmatch(value) is None:
            raise refuse(-1100, self._key(name), NUMBER)
        return Decimal(value)

    def _as_integer(self, name: str, value: str) -> int:
        if _WHOLE.fullmatch(value) is None:
            raise refuse(-1100, self._key(name), WHOLE)
        return int(value)


def _pairs(text: str) -> dict[str, str]:
    if not text:
        return {}
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise VenueError(-1100, "Illegal characters found in a parameter.") from None
    for name, value in pairs:
        if name in found:
            raise refuse(-1101, name)
        found[name] = value
    return found

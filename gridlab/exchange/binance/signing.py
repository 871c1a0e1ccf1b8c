"""What it takes to send a signed request: keys, and the right to.

`LiveRight` is the house's guard against a leaked order: a signed transport cannot be built without
one, and only the composition of the Testnet and Production modes makes one. Nothing else about
modes is known here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig, InvalidInput
from gridlab.exchange.binance.endpoints import read_object

_KEY = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True)
class LiveRight:
    """The right to send signed requests in one mode.

    Raises:
        InvalidInput: a mode in which no real venue gets an order.
    """

    mode: Mode

    def __post_init__(self) -> None:
        if self.mode not in (Mode.TESTNET, Mode.PRODUCTION):
            raise InvalidInput(
                f"no signed request is sent in {self.mode.value}; start with --testnet or "
                "--production"
            )


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's API key and its secret; neither is ever shown in full.

    Raises:
        InvalidConfig: empty, or with a blank or a character outside ASCII; the value is not told.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        bad = [
            name
            for name in ("key", "secret")
            if not isinstance(getattr(self, name), str) or not _KEY.fullmatch(getattr(self, name))
        ]
        if bad:
            raise InvalidConfig(
                *(f"the API {name} is empty or has a blank or odd character" for name in bad)
            )

    @classmethod
    def from_json(cls, text_or_path: str) -> Credentials | None:
        """`key` and `secret` of a JSON object; None when it has neither."""
        found = read_object(text_or_path)
        if "key" not in found and "secret" not in found:
            return None
        return cls(found.get("key", ""), found.get("secret", ""))

    @property
    def tail(self) -> str:
        """The key's last four characters: enough for its owner to know it again."""
        return self.key[-4:]

    def __repr__(self) -> str:
        return f"Credentials(key='...{self.tail}')"

    def __str__(self) -> str:
        return repr(self)


def sign_ws(params: Mapping[str, str], secret: str) -> str:
    """The signature of a WebSocket API request, in hexadecimal.

    Signed are all parameters, sorted by name, with their values as raw UTF-8; a REST request, in
    contrast, is signed as it travels, percent-encoded.
    """
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

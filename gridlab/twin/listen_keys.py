"""Listen keys of the futures user stream: one an account, an hour of life, renewed on request.

Knows keys and times only; who listens under a key looks here whether it is still alive.

Source: Binance USD-M "User Data Streams": the same key while one is active, valid for 60 minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

HOUR_MS = 3_600_000
#: Told the text of a key.
OnClose: TypeAlias = Callable[[str], None]


@dataclass(slots=True)
class _Key:
    text: str
    expires_ms: int


class ListenKeys:
    """The keys that are alive, by account.

    Args:
        lifetime_ms: how long a key lives after it was made or renewed.
    """

    def __init__(self, lifetime_ms: int = HOUR_MS) -> None:
        self.lifetime_ms = lifetime_ms
        self._keys: dict[str, _Key] = {}
        self._made = 0
        self._watchers: list[OnClose] = []

    def on_close(self, watcher: OnClose) -> Callable[[], None]:
        """Tell `watcher` each key that its owner closes; returns what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def create(self, api_key: str, now_ms: int) -> str:
        """The account's key: the one that is alive, renewed, or a new one."""
        key = self._alive(api_key, now_ms)
        if key is None:
            self._made += 1
            seed = f"{api_key}/{self._made}/{now_ms}".encode()
            # 64 characters, as the venue's keys have; it guards nothing on a loopback.
            key = self._keys[api_key] = _Key(hashlib.sha256(seed).hexdigest(), 0)
        key.expires_ms = now_ms + self.lifetime_ms
        return key.text

    def keep_alive(self, api_key: str, now_ms: int) -> bool:
        """Renew the account's key; False when it has none."""
        key = self._alive(api_key, now_ms)
        if key is None:
            return False
        key.expires_ms = now_ms + self.lifetime_ms
        return True

    def close(self, api_key: str, now_ms: int) -> bool:
        """End the account's key; False when it has none."""
        key = self._alive(api_key, now_ms)
        self._keys.pop(api_key, None)
        if key is not None:
            for watcher in list(self._watchers):
                watcher(key.text)
        return key is not None

    def owner(self, listen_key: str, now_ms: int) -> str | None:
        """The account of a key that is alive, else None."""
        for api_key, key in self._keys.items():
            if key.text == listen_key and key.expires_ms > now_ms:
                return api_key
        return None

    def expires_ms(self, listen_key: str) -> int | None:
        """When this key ends unless it is renewed; None for a key that was closed or never was."""
        for key in self._keys.values():
            if key.text == listen_key:
                return key.expires_ms
        return None

    def _alive(self, api_key: str, now_ms: int) -> _Key | None:
        key = self._keys.get(api_key)
        return None if key is None or key.expires_ms <= now_ms else key

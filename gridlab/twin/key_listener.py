"""Listening to the futures account under a listen key, for as long as the key lives.

A key that runs out says `listenKeyExpired` and then nothing; one that its owner closes says nothing
any more at once. A name that is no living key is silent from the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from gridlab.clock import Clock
from gridlab.twin.listen_keys import ListenKeys
from gridlab.twin.stream_payloads import Payload
from gridlab.twin.user_payloads import listen_key_expired
from gridlab.twin.user_stream import UserStream

#: Takes the listen key and one event.
HearAccount: TypeAlias = Callable[[str, Payload], None]


class KeyedAccount:
    """The account's events behind its listen keys.

    Args:
        now_ms: the venue's time, by which keys live.
    """

    def __init__(
        self, stream: UserStream, keys: ListenKeys, clock: Clock, now_ms: Callable[[], int]
    ) -> None:
        self.stream = stream
        self.keys = keys
        self.clock = clock
        self.now_ms = now_ms

    def listen(self, listen_key: str, hear: HearAccount) -> KeyListener:
        """Tell `hear` every event while the key lives."""
        return KeyListener(self, listen_key, hear)


class KeyListener:
    """One socket's hold on one key."""

    def __init__(self, account: KeyedAccount, listen_key: str, hear: HearAccount) -> None:
        self._account = account
        self._key = listen_key
        self._hear = hear
        self._ends: list[Callable[[], object]] = []
        if account.keys.owner(listen_key, account.now_ms()) is None:
            return
        watch = asyncio.ensure_future(self._expire())
        self._ends = [
            account.stream.attach(lambda event: hear(listen_key, event)),
            account.keys.on_close(self._closed),
            watch.cancel,
        ]

    def stop(self) -> None:
        """Hear nothing more."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()

    def _closed(self, listen_key: str) -> None:
        if listen_key == self._key:
            self.stop()

    async def _expire(self) -> None:
        keys, clock = self._account.keys, self._account.clock
        while (left_ms := self._left_ms(keys)) > 0:
            await clock.sleep_until(clock.now_ms() + left_ms)
        self._hear(self._key, listen_key_expired(self._key, self._account.now_ms()))
        self.stop()

    def _left_ms(self, keys: ListenKeys) -> int:
        ends_ms = keys.expires_ms(self._key)
        return 0 if ends_ms is None else ends_ms - self._account.now_ms()

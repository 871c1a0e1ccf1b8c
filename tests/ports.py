"""Ports for servers that cannot be told to choose one by themselves."""

from __future__ import annotations

import random
import socket

#: Below what Linux gives to those who ask for any port, and so to every client and every test
#: server: nobody takes a port of these between its choice and its use but by its number.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    for port in random.SystemRandom().sample(range(FIRST, LAST), 1_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {FIRST} to {LAST} is free")

"""What every test runs under: repeatable Hypothesis runs, and no network beyond this machine.

`CI=1` makes Hypothesis derive its examples from the test and from the constants of the modules that
its process has loaded, which tests share processes differently from run to run: what they cover is
much the same each time, not equal. Elsewhere it explores, and prints the blob that repeats a
failure.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No deadline, and no verdict on how slowly or from how many tries examples are made: two shared
# cores make that slow for reasons that are not ours, and some draws are unlucky.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# For `make check`: the same properties on fewer examples; `make test` has them all.
settings.register_profile("fast", settings.get_profile("default"), max_examples=25)
if os.environ.get("GRIDLAB_FAST"):
    settings.load_profile("fast")
else:
    settings.load_profile("ci" if os.environ.get("CI") else "default")

#: Variables of whoever runs the tests, which must not take part: with keys of an account, say, the
#: API asks for a token. Nothing here leaves the machine, so that no proxy has a part either.
PERSONAL = (
    *("BINANCE_", "REDDIT_", "X_BEARER_TOKEN", "OLLAMA_", "GRIDLAB_API_"),
    *("GRIDLAB_CONFIG", "GRIDLAB_CONFIRM_PRODUCTION", "GRIDLAB_DATA_DIR"),
)
for variable in list(os.environ):
    if variable.startswith(PERSONAL) or variable.lower().endswith("_proxy"):
        del os.environ[variable]

LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.")


class NetworkRefused(AssertionError):
    """A test tried to leave this machine."""


#: Where Ollama is if this machine has one: the default of the configuration. No test may meet it.
OLLAMA_PORT = 11434


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine; Unix sockets always do."""
    if not isinstance(address, tuple):
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else str(address[0])
    return host == "" or host.startswith(LOOPBACK) or host in ("0.0.0.0", "::")


def is_ollama(address: Any) -> bool:
    return isinstance(address, tuple) and address[1] == OLLAMA_PORT


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every connection and look-up that is not for the loopback; nobody has an Ollama."""
    resolve, real, real_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def refuse(address: Any) -> None:
        if not is_local(address):
            raise NetworkRefused(f"connection to {address}: tests use the loopback only")

    def connect(self: socket.socket, address: Any) -> None:
        refuse(address)
        if is_ollama(address):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "no test meets a real Ollama")
        real(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return errno.ECONNREFUSED if is_ollama(address) else real_ex(self, address)

    def resolved(host: Any, *rest: Any, **named: Any) -> Any:
        if host is not None and not is_local((host,)):
            raise NetworkRefused(f"look-up of {host}: tests use the loopback only")
        return resolve(host, *rest, **named)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    yield

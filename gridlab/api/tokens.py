"""The tokens that callers prove themselves with, and the file that keeps them.

One token for each scope, made of 256 random bits at the first start, in a file that only its owner
can read. Tokens are compared in constant time and never printed. Knows no HTTP.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from gridlab.api.scopes import GRANTED, Scope
from gridlab.errors import InvalidConfig, StorageError

FILE_NAME = "api-token.json"
#: Characters of the shortest token that is accepted from a file; ours have 43.
SHORTEST = 32
_LONGEST = 512


class Tokens:
    """One token for each scope; printing it shows none of them."""

    def __init__(self, by_scope: dict[Scope, str]) -> None:
        self._by_scope = dict(by_scope)
        self._known = [(scope, text.encode()) for scope, text in by_scope.items()]

    def __repr__(self) -> str:
        return f"Tokens({', '.join(scope.word for scope in self._by_scope)})"

    def of(self, scope: Scope) -> str:
        """The token that gives `scope`."""
        return self._by_scope[scope]

    def scope_of(self, shown: str) -> Scope | None:
        """The scope that the token `shown` gives, or None; takes equally long for every wrong one.

        Every token is compared, found or not, so that time tells nothing about which one is near.
        """
        if not shown or len(shown) > _LONGEST:
            return None
        given = shown.encode("utf-8", "surrogatepass")
        found: Scope | None = None
        for scope, known in self._known:
            if hmac.compare_digest(given, known):
                found = scope
        return found

    @classmethod
    def load_or_create(cls, folder: Path) -> Tokens:
        """The tokens of `folder`, made at the first call.

        Raises:
            InvalidConfig: others may read the file, or it does not hold one token a scope.
            StorageError: it cannot be read or written.
        """
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                _create(path)
            return cls(_read(path))
        except OSError as error:
            raise StorageError(
                f"{path}: the API's tokens cannot be kept ({error.strerror}); make the folder "
                "writable by this user"
            ) from None


def _create(path: Path) -> None:
    """Write new tokens; whole or not at all, and another process that was faster wins."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({scope.word: secrets.token_urlsafe(32) for scope in GRANTED}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)  # unlike a rename, a link never replaces a file that is there
        except FileExistsError:
            return
    finally:
        aside.unlink()


def _read(path: Path) -> dict[Scope, str]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, encoding="utf-8") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise InvalidConfig(
                f"{path} has mode {mode:o}, so others may have read it; delete it for new tokens, "
                "or run chmod 600 on it"
            )
        try:
            held: Any = json.loads(file.read(10_000))
        except ValueError:
            held = None
    return _checked(held, path)


def _checked(held: Any, path: Path) -> dict[Scope, str]:
    words = {scope.word: scope for scope in GRANTED}
    is_right = (
        isinstance(held, dict)
        and held.keys() == words.keys()
        and all(isinstance(t, str) and SHORTEST <= len(t) <= _LONGEST for t in held.values())
        and len(set(held.values())) == len(words)
    )
    if not is_right:
        raise InvalidConfig(
            f"{path} must hold one JSON object with the tokens {', '.join(words)}, all different "
            f"and of at least {SHORTEST} characters; delete it for new ones"
        )
    return {words[word]: token for word, token in held.items()}

"""Which account the books belong to, and that only one process of this machine trades on it.

The data directory's lease says that nobody else writes these books; an account can be reached from
another data directory too, so it has a lock of its own in the user's home. Two API keys of one
account look like two accounts here; the orders of the other process then show as ghosts, and the
start refuses.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from gridlab.app.modes import Access
from gridlab.app.settings import Settings
from gridlab.errors import LeaseHeld, StorageError
from gridlab.store.lease import Lease


def accounts_dir() -> Path:
    """Where accounts are locked: the same for every data directory of a user."""
    return Path.home() / ".gridlab" / "accounts"


def hold_account(access: Access, folder: Path) -> Lease:
    """The lock of the account; `folder` is named to whoever is refused.

    Raises:
        LeaseHeld: another process trades on it.
        StorageError: the lock file cannot be made.
    """
    locks = accounts_dir()
    try:
        locks.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"{locks} cannot be made ({error.strerror}); accounts are locked there, so make the "
            "home directory writable"
        ) from error
    path = locks / f"{access.fingerprint}.lock"
    try:
        return Lease.acquire(path, f"gridlab in {folder}")
    except LeaseHeld as error:
        owner = str(error).partition(" is in use by ")[2].partition(";")[0]
        raise LeaseHeld(
            f"the account ({access.account}) is traded by {owner or 'another process'}; two owners "
            "would take each other's orders for their own. Stop it, or use another account"
        ) from None


def bind_books(settings: Settings) -> None:
    """Write down whose books these are, or check that they are this account's.

    Raises:
        StorageError: they are another account's, or the note cannot be read or written.
    """
    path, access = settings.account_path, settings.access
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write(path, {"account": access.fingerprint, "words": access.account})
            return
        noted = json.loads(path.read_text(encoding="utf-8"))
        owner, words = str(noted["account"]), str(noted["words"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} cannot be read or written ({error}); it says whose books lie beside it. Mend "
            "its permissions, or use another --data-dir"
        ) from error
    if owner != access.fingerprint:
        raise StorageError(
            f"the books in {path.parent} belong to {words}, and this start has {access.account}. "
            "Use another --data-dir, or put them aside with --fresh; if it is the same account "
            f"under a new key, delete {path.name}"
        )


def _write(path: Path, note: dict[str, str]) -> None:
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)

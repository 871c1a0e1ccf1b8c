"""Every exception that GridLab raises on purpose, as one tree.

::

    GridLabError
    ├── InvalidInput              a caller handed in something that cannot be used
    │   ├── InvalidNumber         not an exact decimal number
    │   ├── InvalidSpec           a grid that cannot be built as asked
    │   └── InvalidConfig         the configuration file or a request is wrong
    ├── NotFound                  the symbol, bot or data set does not exist here
    ├── Conflict                  true request, wrong state (already running, other owner)
    │   └── LeaseHeld             another process owns this account
    ├── ExchangeUnavailable       a read from the venue failed; nothing was changed
    │   └── VenueAway             the venue answers nobody now, whatever is asked
    ├── SourceUnavailable         a source of texts did not answer usably; the others go on
    ├── ModelUnavailable          no local model answered: none there, too slow, or busy
    ├── ModelAnswerRefused        a local model answered what cannot be used
    ├── StorageError              the disk refused or the books are damaged
    │   ├── JournalCorrupt        the hash chain does not verify
    │   └── JournalMismatch       replay gave other commands than the journal holds
    └── BugError                  our own invariant is broken; the grid halts
        ├── LifecycleError        an order event that the life-cycle table does not know
        └── InvariantError        an oracle failed (books, slots, inventory)

A message names the value, the limit and the remedy. This module knows nothing else of GridLab.
"""

from __future__ import annotations


class GridLabError(Exception):
    """Root of everything raised on purpose."""


class InvalidInput(GridLabError):
    """A caller handed in something that cannot be used."""


class InvalidNumber(InvalidInput):
    """Not an exact decimal number."""


class InvalidSpec(InvalidInput):
    """A grid that cannot be built as asked.

    Args:
        problems: every problem found, each a full sentence; at least one.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("; ".join(problems))


class InvalidConfig(InvalidInput):
    """The configuration file or a request is wrong.

    Args:
        problems: every problem found, each a full sentence; at least one.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("; ".join(problems))


class NotFound(GridLabError):
    """The symbol, bot or data set does not exist here."""


class Conflict(GridLabError):
    """A true request in the wrong state."""


class LeaseHeld(Conflict):
    """Another process owns this account."""


class ExchangeUnavailable(GridLabError):
    """A read from the venue failed; nothing was changed.

    What failed is this question: others, about another symbol, may be answered all the same.
    """


class VenueAway(ExchangeUnavailable):
    """The venue as a whole does not answer: no connection, too late, or it asked for silence.

    Whoever has more to ask does it no good by going on.
    """


class SourceUnavailable(GridLabError):
    """A source of texts did not answer usably, or may not be asked yet."""


class ModelUnavailable(GridLabError):
    """No local model answered: none is there, it took too long, it is busy or it failed.

    Args:
        status: the HTTP status, when something answered at all; -1 for an error told within a
            stream of parts.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class ModelAnswerRefused(GridLabError):
    """A local model answered what cannot be used: too long, misshapen, or figures of its own."""


class StorageError(GridLabError):
    """The disk refused, or the books on it are damaged."""


class JournalCorrupt(StorageError):
    """The journal's hash chain does not verify."""


class JournalMismatch(StorageError):
    """Replaying the journal gave other commands than it holds."""


class BugError(GridLabError):
    """One of our own invariants is broken; the grid halts and the journal is kept."""


class LifecycleError(BugError):
    """An order event that the life-cycle table does not know."""


class InvariantError(BugError):
    """An oracle failed: books, slots or inventory do not agree."""

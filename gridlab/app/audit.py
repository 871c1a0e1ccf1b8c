"""A stopped engine's journal, verified and replayed: what `gridlab replay-journal` prints."""

from __future__ import annotations

from pathlib import Path

from gridlab.agents.recovery import rebuild
from gridlab.app.settings import books_dir, default_data_dir
from gridlab.domain.snapshot import Mode
from gridlab.errors import NotFound
from gridlab.money import text
from gridlab.store.journal import Journal


def audit_journal(data_dir: Path | None, mode: Mode | None = None) -> dict[str, object]:
    """What the journal of a mode holds and what its replay gave; only returns when both agree.

    Args:
        mode: whose journal; None is Replay's.

    Raises:
        NotFound: there is no journal.
        JournalCorrupt, JournalMismatch: it does not verify, or the core answers otherwise.
    """
    folder = books_dir(data_dir or default_data_dir(), mode or Mode.REPLAY)
    path = folder / "journal.sqlite"
    if not path.is_file():
        raise NotFound(f"there is no journal at {path}; name the folder with --data-dir")
    with Journal.open(path, lambda: "r") as journal:
        bots = rebuild(journal)
        return {
            "entries": journal.length,
            "head": journal.head,
            "runs": {
                run: {
                    "symbol": bot.symbol,
                    "phase": str(bot.grid.phase),
                    "halted": bot.halted,
                    "trades": bot.grid.trade_count,
                    "ledger": {
                        f"{part}.{asset}": text(amount)
                        for part, asset, amount in bot.grid.ledger.lines()
                    },
                }
                for run, bot in bots.items()
            },
        }

"""What one engine is told before it starts, and where it keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from gridlab.app.config import Config, load_config
from gridlab.app.modes import Access, make_access
from gridlab.data.catalog import DEFAULT_REPLAY_END_MS, DEFAULT_REPLAY_START_MS
from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig
from gridlab.sentiment.sources.keys import SECRET


def default_data_dir() -> Path:
    """`$GRIDLAB_DATA_DIR`, else `~/.gridlab`."""
    named = os.environ.get("GRIDLAB_DATA_DIR")
    return Path(named) if named else Path.home() / ".gridlab"


@dataclass(frozen=True, slots=True)
class Settings:
    """One engine's settings.

    Args:
        speed: market seconds for each real second; 0 as fast as it can.
        start_ms, end_ms: the part of the recording to play, whole minutes, `end_ms` exclusive.
        first_bot: symbol on which a new replay starts the configured grid; empty for none.
        mode: the present one, which is among `access.modes`.
    """

    data_dir: Path
    config: Config
    speed: float
    start_ms: int
    end_ms: int
    first_bot: str = ""
    mode: Mode = Mode.REPLAY
    access: Access = field(default_factory=Access)

    def in_mode(self, mode: Mode) -> Settings:
        """These settings for another mode of the same process."""
        return replace(self, mode=mode)

    @property
    def books_dir(self) -> Path:
        """Where this mode's books lie; the replay's lie at the top, where they always lay."""
        return books_dir(self.data_dir, self.mode)

    @property
    def lease_path(self) -> Path:
        return self.data_dir / "lease.lock"

    @property
    def journal_path(self) -> Path:
        """The bot's books."""
        return self.books_dir / "journal.sqlite"

    @property
    def venue_path(self) -> Path:
        """The paper venue's books, which the bot cannot write to."""
        return self.books_dir / "venue.sqlite"

    @property
    def account_path(self) -> Path:
        """Says to which account the books beside it belong; live modes only."""
        return self.books_dir / "account.json"

    @property
    def kill_path(self) -> Path:
        """Holds the reason while the kill switch is pulled."""
        return self.data_dir / "killed.txt"

    @property
    def trade_log_path(self) -> Path:
        """A line for each fill of this mode."""
        return self.books_dir / self.config.logging.trade_log_file

    @property
    def log_path(self) -> Path:
        return self.data_dir / self.config.logging.log_file


def books_dir(data_dir: Path, mode: Mode) -> Path:
    """The folder of one mode's books."""
    return data_dir if mode is Mode.REPLAY else data_dir / mode.value.lower()


def make_settings(
    data_dir: Path | str | None = None,
    *,
    config: Config | Path | str | None = None,
    mode: Mode | None = None,
    endpoints: Path | str | None = None,
    access: Access | None = None,
    speed: float | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    first_bot: str = "",
) -> Settings:
    """Settings from the configuration, where an argument does not say otherwise.

    Args:
        access: what the process may do, when it was made already; else it is made of `mode` and
            `endpoints`, and Production cannot be among it.

    Raises:
        InvalidConfig: the configuration is wrong, or lacks what the mode needs.
    """
    if not isinstance(config, Config):
        config = load_config(Path(config) if config is not None else None)
    if access is None:
        access = make_access(config, mode, endpoints)
    if access.mode is Mode.PRODUCTION and not access.is_confirmed:
        raise InvalidConfig(
            "Production was not confirmed; it starts by gridlab up --production alone, which asks"
        )
    options = config.replay
    chosen = float(options.speed if speed is None else speed)
    if chosen < 0:
        raise InvalidConfig(f"speed is {chosen}; give 0 (as fast as it can) or more, such as 300")
    return Settings(
        data_dir=Path(data_dir) if data_dir is not None else default_data_dir(),
        config=config,
        speed=chosen,
        start_ms=_first(start_ms, options.start_ms, DEFAULT_REPLAY_START_MS),
        end_ms=_first(end_ms, options.end_ms, DEFAULT_REPLAY_END_MS),
        first_bot=first_bot,
        mode=access.mode,
        access=access,
    )


def _first(*choices: int | None) -> int:
    return next(choice for choice in choices if choice is not None)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Every secret that the process holds, for striking them out; never to be shown."""
    held = (settings.config.api.key, settings.config.api.secret)
    found = [secret.get_secret_value() for secret in held if secret is not None]
    keys = settings.access.credentials
    if keys is not None:
        found += [keys.key, keys.secret]
    found += [value for name in SECRET if (value := os.environ.get(name))]
    return tuple(found)

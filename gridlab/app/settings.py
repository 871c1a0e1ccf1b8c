"""What one engine is told before it starts, and where it keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gridlab.app.config import Config, load_config
from gridlab.data.catalog import DEFAULT_REPLAY_END_MS, DEFAULT_REPLAY_START_MS
from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig


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
        first_bot: symbol on which a new data directory starts the configured grid; empty for none.
    """

    data_dir: Path
    config: Config
    speed: float
    start_ms: int
    end_ms: int
    first_bot: str = ""

    @property
    def lease_path(self) -> Path:
        return self.data_dir / "lease.lock"

    @property
    def journal_path(self) -> Path:
        """The bot's books."""
        return self.data_dir / "journal.sqlite"

    @property
    def venue_path(self) -> Path:
        """The paper venue's books, which the bot cannot write to."""
        return self.data_dir / "venue.sqlite"

    @property
    def kill_path(self) -> Path:
        """Holds the reason while the kill switch is pulled."""
        return self.data_dir / "killed.txt"

    @property
    def log_path(self) -> Path:
        return self.data_dir / self.config.logging.log_file


def make_settings(
    data_dir: Path | str | None = None,
    *,
    config: Config | Path | str | None = None,
    mode: Mode = Mode.REPLAY,
    speed: float | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    first_bot: str = "",
) -> Settings:
    """Settings from the configuration, where an argument does not say otherwise.

    Raises:
        InvalidConfig: the configuration is wrong, or asks for a mode that is not here.
    """
    if not isinstance(config, Config):
        config = load_config(Path(config) if config is not None else None)
    if mode is not Mode.REPLAY or config.operation_mode is not Mode.REPLAY:
        asked = mode if mode is not Mode.REPLAY else config.operation_mode
        raise InvalidConfig(
            f"operation mode {asked} is not available in this version; it has Replay, which needs "
            "no keys. Set operation_mode: Replay"
        )
    replay = config.replay
    chosen = float(replay.speed if speed is None else speed)
    if chosen < 0:
        raise InvalidConfig(f"speed is {chosen}; give 0 (as fast as it can) or more, such as 300")
    return Settings(
        data_dir=Path(data_dir) if data_dir is not None else default_data_dir(),
        config=config,
        speed=chosen,
        start_ms=_first(start_ms, replay.start_ms, DEFAULT_REPLAY_START_MS),
        end_ms=_first(end_ms, replay.end_ms, DEFAULT_REPLAY_END_MS),
        first_bot=first_bot,
    )


def _first(*choices: int | None) -> int:
    return next(choice for choice in choices if choice is not None)


def secrets_of(config: Config) -> tuple[str, ...]:
    """Every secret that the configuration holds, for striking them out; never to be shown."""
    held = (config.api.key, config.api.secret)
    return tuple(secret.get_secret_value() for secret in held if secret is not None)

"""What each mode needs, and what this process was started with the right to do (law 9).

A right comes from the start alone: a flag, keys, and for Production a typed confirmation. An API
call chooses among the modes that the start gave and can add none. `LiveRight`, without which no
signed order transport can be built, is made here and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gridlab.app.config import Config
from gridlab.domain.snapshot import Mode
from gridlab.errors import InvalidConfig

if TYPE_CHECKING:  # imported when a live mode is asked for: Replay needs no exchange library
    from gridlab.exchange.binance.endpoints import Endpoints
    from gridlab.exchange.binance.signing import Credentials, LiveRight

#: The modes whose orders reach an exchange.
REAL_ORDERS = (Mode.TESTNET, Mode.PRODUCTION)
#: The start command of each mode.
COMMANDS = {
    Mode.REPLAY: "gridlab up",
    Mode.SHADOW: "gridlab up --shadow",
    Mode.TESTNET: "gridlab up --testnet",
    Mode.PRODUCTION: "gridlab up --production",
}
#: What a process that was started in a mode may enter by an API call, beside that mode itself.
_BESIDE: Mapping[Mode, tuple[Mode, ...]] = {
    Mode.REPLAY: (),
    Mode.SHADOW: (Mode.REPLAY,),
    Mode.TESTNET: (Mode.REPLAY,),
    Mode.PRODUCTION: (Mode.REPLAY, Mode.SHADOW),
}
_KEY_NAMES = {
    Mode.TESTNET: ("BINANCE_TESTNET_API_KEY", "BINANCE_TESTNET_API_SECRET"),
    Mode.PRODUCTION: ("BINANCE_API_KEY", "BINANCE_API_SECRET"),
}
#: The variable that confirms Production, together with `--confirm`, where nobody can type.
CONFIRM_VARIABLE = "GRIDLAB_CONFIRM_PRODUCTION"


@dataclass(frozen=True, slots=True)
class Access:
    """What this process may do.

    Args:
        mode: the one it was started in.
        endpoints: where the venues answer; None for Replay alone.
        credentials: the account's key; None where no order is signed.
        is_confirmed: Production only: somebody typed the account's phrase.
    """

    mode: Mode = Mode.REPLAY
    endpoints: Endpoints | None = None
    credentials: Credentials | None = None
    is_confirmed: bool = False

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Every mode that this process may be in, the present one included."""
        allowed = {self.mode, *_BESIDE[self.mode]}
        return tuple(mode for mode in Mode if mode in allowed)

    def may_enter(self, mode: Mode) -> bool:
        """Whether an API call may enter `mode`: Production is entered at the start alone."""
        return mode in self.modes and mode is not Mode.PRODUCTION

    def right(self, mode: Mode) -> LiveRight:
        """The right to sign orders in `mode`.

        Raises:
            InvalidConfig: the process was not started with it, or nobody confirmed it.
        """
        if mode is Mode.PRODUCTION and not self.is_confirmed:
            raise InvalidConfig("Production was not confirmed; run gridlab up --production")
        return self._right(mode)

    def right_to_look(self) -> LiveRight:
        """The right to sign reads before anything was confirmed; for the doctor, who only looks.

        Raises:
            InvalidConfig: the mode sends no signed requests.
        """
        return self._right(self.mode)

    def _right(self, mode: Mode) -> LiveRight:
        from gridlab.exchange.binance.signing import LiveRight

        if mode not in REAL_ORDERS or mode is not self.mode or self.credentials is None:
            raise InvalidConfig(
                f"this process was not started to send orders in {mode}; stop it and run "
                f"{COMMANDS[mode]}"
            )
        return LiveRight(mode)

    @property
    def is_play(self) -> bool:
        """Whether every address is this machine itself, such as the twin's: no real account."""
        if self.endpoints is None:
            return True
        return all(_is_loopback(address) for address in _addresses(self.endpoints))

    @property
    def account(self) -> str:
        """The account in words: where it is, and how its key ends."""
        if self.endpoints is None:
            return "paper"
        where = self.endpoints.rest_spot
        if self.credentials is None:
            return f"paper at the prices of {where}"
        return f"key ...{self.credentials.tail} at {where}"

    def source(self, mode: Mode) -> str:
        """Where the numbers of `mode` come from, where the mode alone would mislead."""
        if mode is Mode.REPLAY or self.endpoints is None or not self.is_play:
            return ""
        return f"a twin of Binance on this machine ({self.endpoints.rest_spot})"

    @property
    def fingerprint(self) -> str:
        """A name of the account for files; tells nothing of the key."""
        key = "" if self.credentials is None else self.credentials.key
        where = "" if self.endpoints is None else "\n".join(_addresses(self.endpoints)[:2])
        return hashlib.sha256(f"gridlab account\n{where}\n{key}".encode()).hexdigest()[:20]

    @property
    def phrase(self) -> str:
        """What has to be typed before real money is touched."""
        return f"PRODUCTION {'' if self.credentials is None else self.credentials.tail}"

    def confirmed(self, typed: str) -> Access:
        """This access with Production confirmed.

        Raises:
            InvalidConfig: something else was typed.
        """
        if typed.strip() != self.phrase:
            raise InvalidConfig(
                f"that is not the phrase; type {self.phrase} (the word and the last four "
                "characters of the API key) to trade real money"
            )
        return replace(self, is_confirmed=True)


def make_access(
    config: Config,
    mode: Mode | None = None,
    endpoints: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Access:
    """The access that a start asks for, Production still to be confirmed.

    Args:
        mode: what the command names; None takes the configuration's.
        endpoints: JSON or the path of a file with it, such as the twin's ready line; None takes
            the exchange's own addresses.
        environment: where keys are looked up; None is the process's own.

    Raises:
        InvalidConfig: keys are missing, or the addresses do not fit the mode.
    """
    asked = config.operation_mode if mode is None else mode
    if asked is Mode.PRODUCTION and mode is None:
        raise InvalidConfig(
            "operation_mode is Production, which a configuration alone cannot start; run "
            "gridlab up --production"
        )
    if asked is Mode.REPLAY:
        if endpoints is not None:
            raise InvalidConfig("--endpoints needs --testnet or --shadow; Replay asks no venue")
        return Access()
    variables = os.environ if environment is None else environment
    found = _endpoints(asked, endpoints)
    return Access(asked, found, _credentials(asked, config, endpoints, variables))


def _endpoints(mode: Mode, given: str | Path | None) -> Endpoints:
    from gridlab.exchange.binance.endpoints import PRODUCTION, TESTNET, Endpoints

    if given is None:
        return TESTNET if mode is Mode.TESTNET else PRODUCTION
    if mode is Mode.PRODUCTION:
        raise InvalidConfig("--production goes to the exchange's own addresses; leave --endpoints")
    found = Endpoints.from_json(str(given))
    if mode is Mode.TESTNET and found.is_production:
        raise InvalidConfig(
            f"--endpoints names {found.rest_spot}, the exchange itself; Testnet never goes there. "
            "For real money run gridlab up --production"
        )
    return found


def _credentials(
    mode: Mode, config: Config, endpoints: str | Path | None, variables: Mapping[str, str]
) -> Credentials | None:
    """The mode's own keys; those of another mode are never tried."""
    if mode not in REAL_ORDERS:
        return None
    from gridlab.exchange.binance.signing import Credentials

    if endpoints is not None and (found := Credentials.from_json(str(endpoints))) is not None:
        return found
    if mode is Mode.PRODUCTION:
        held = (config.api.key, config.api.secret)
        key, secret = ("" if one is None else one.get_secret_value() for one in held)
    else:
        key, secret = (variables.get(name, "").strip() for name in _KEY_NAMES[mode])
    if not key or not secret:
        names = " and ".join(_KEY_NAMES[mode])
        raise InvalidConfig(
            f"{mode} needs an API key; set {names} in the environment"
            + (", or give --endpoints with key and secret" if mode is Mode.TESTNET else "")
        )
    return Credentials(key, secret)


def _addresses(endpoints: Endpoints) -> tuple[str, ...]:
    return (
        *(endpoints.rest_spot, endpoints.rest_futures),
        *(endpoints.ws_spot, endpoints.ws_api_spot, endpoints.ws_futures),
    )


def _is_loopback(address: str) -> bool:
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    name = urlsplit(address).hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False

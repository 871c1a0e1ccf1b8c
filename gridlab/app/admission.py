"""The door to Production: a clean pre-flight, and a phrase that somebody types.

Where nobody can type (a service), the phrase must come from two places that do not remember each
other: the command line and the environment. A flag that stayed in a script, or a variable that
stayed in a profile, is not enough alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from gridlab.app.checks import Check, Verdict
from gridlab.app.modes import CONFIRM_VARIABLE, Access
from gridlab.errors import InvalidConfig


def admit(
    access: Access,
    checks: tuple[Check, ...],
    given: str = "",
    *,
    keyboard: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> Access:
    """`access`, confirmed.

    Args:
        checks: the doctor's findings for this access; any failure ends here.
        given: the phrase from the command line, for where nobody can type.
        keyboard: where a person types; None is standard input.

    Raises:
        InvalidConfig: a check failed, or the phrase was not given as it must be.
    """
    failures = [f"{c.name}: {c.words}" for c in checks if c.verdict is Verdict.FAIL]
    if failures:
        raise InvalidConfig("the pre-flight for real money failed", *failures)
    source = sys.stdin if keyboard is None else keyboard
    if source.isatty():
        print(f"REAL MONEY on {access.account}. To go on, type: {access.phrase}", flush=True)
        return access.confirmed(source.readline())
    variables = os.environ if environment is None else environment
    if not given or given.strip() != variables.get(CONFIRM_VARIABLE, "").strip():
        raise InvalidConfig(
            "Production asks for a phrase and nobody can type here; give it as --confirm and in "
            f"{CONFIRM_VARIABLE} as well, the same in both"
        )
    return access.confirmed(given)

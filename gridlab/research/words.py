"""Numbers and times as people read them: grouped digits, percentages, dates. For eyes only."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from gridlab.money import rounding, text

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def amount(value: Decimal | float, digits: int = 2) -> str:
    """`10,585.73`: grouped, rounded to `digits`; a tiny negative is shown as zero.

    >>> amount(Decimal("10585.7343")), amount(-0.001)
    ('10,585.73', '0.00')
    """
    shown = f"{value:,.{digits}f}"
    return shown.removeprefix("-") if not float(shown.replace(",", "")) else shown


def signed(value: Decimal | float, digits: int = 2) -> str:
    """The same with a plus sign for gains: `+585.73`."""
    shown = amount(value, digits)
    return f"+{shown}" if value > 0 and float(shown.replace(",", "")) else shown


def percent(fraction: Decimal | float, digits: int = 2) -> str:
    """`5.86 %` of a fraction; signed with `+` by `signed_percent`."""
    with rounding():
        return f"{amount(fraction * 100, digits)} %"


def signed_percent(fraction: Decimal | float, digits: int = 2) -> str:
    """`+5.86 %` of a fraction."""
    with rounding():
        return f"{signed(fraction * 100, digits)} %"


def when(time_ms: int) -> str:
    """`2026-03-01 00:00` UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def span(duration_ms: int) -> str:
    """`14.0 days`, or hours or minutes for short ones.

    >>> span(14 * DAY_MS), span(90 * MINUTE_MS)
    ('14.0 days', '1.5 hours')
    """
    if duration_ms >= 2 * DAY_MS:
        return f"{duration_ms / DAY_MS:.1f} days"
    if duration_ms >= 60 * MINUTE_MS:
        return f"{duration_ms / (60 * MINUTE_MS):.1f} hours"
    return f"{duration_ms / MINUTE_MS:.0f} minutes"


def plain(value: Decimal) -> str:
    """All digits of an exact number, grouped before the point: `67,123.45`."""
    whole, _, rest = text(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{'.' + rest if rest else ''}"

"""Numbers as people read them: three significant digits, with their unit."""

from __future__ import annotations

import math


def plural(count: int, noun: str) -> str:
    """As "1 stage" or "60 stages"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float | None) -> str:
    """Three significant digits; an empty text for None."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "not finite"
    magnitude = abs(value)
    if magnitude >= 1e5 or 0 < magnitude < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    decimals = 2 if magnitude < 1e-12 else max(0, 2 - math.floor(math.log10(magnitude)))
    return f"{value:.{decimals}f}"


def duration(seconds: float) -> str:
    """A time or an estimate of one, as "0.42 s", "4.1 s", "12 s", "23 min" or "1 h 20 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))

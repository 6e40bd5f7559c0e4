"""Numbers as people read them: three significant digits, with their unit."""

from __future__ import annotations

import math
import re

LONG_WORD = 24  # letters that a narrow card shows in one line


def plural(count: int, noun: str) -> str:
    """As "1 stage" or "60 stages"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(shape: tuple[int, ...]) -> str:
    """As "660 × 714"."""
    return " × ".join(str(length) for length in shape)


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


def exact(value: float) -> str:
    """The shortest plain text that is read back as the very same number."""
    short = f"{value:.9g}"
    return short if float(short) == value else repr(float(value))


def breakable(text: str) -> str:
    """`text` whose long words, file names and paths mostly, may be broken after / \\ _ - and . (zero-width spaces)."""
    words = (
        re.sub(r"(?<=[/\\\\_.-])(?=\w)", "\u200b", word) if len(word) > LONG_WORD else word for word in text.split(" ")
    )
    return " ".join(words)


def gibibytes(num_bytes: int) -> str:
    """As "2.9 GiB", or "430 MiB" below one."""
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.0f} MiB"


def roughly(seconds: float) -> str:
    """An estimate as "40 s", "12 min" or "7.5 h"."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def duration(seconds: float) -> str:
    """As "0.42 s", "41 s", "1 min 20 s" or "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

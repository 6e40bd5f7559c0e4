"""Numbers as the window writes them; those that the engine writes in the same way are its own."""

from __future__ import annotations

import re

from lorun_engine.io.quantities import duration, number, plural

__all__ = ["breakable", "duration", "exact", "gibibytes", "number", "plural", "roughly", "size"]

LONG_WORD = 24  # letters that a narrow card shows in one line


def size(shape: tuple[int, ...]) -> str:
    """As "660 × 714"."""
    return " × ".join(str(length) for length in shape)


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

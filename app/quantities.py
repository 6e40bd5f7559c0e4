"""Numbers as the window writes them; those that the engine writes in the same way are its own."""

from __future__ import annotations

import re

from lorun_engine.io.quantities import duration, number, plural

__all__ = ["breakable", "duration", "exact", "gibibytes", "number", "plural", "size"]

SIZE = re.compile(r"(?<=\d) x (?=\d)")
LONG_WORD = 24  # letters that a narrow card shows in one line


def size(shape: tuple[int, ...]) -> str:
    """As "660 × 714"."""
    return " × ".join(str(length) for length in shape)


def exact(value: float) -> str:
    """The shortest plain text that is read back as the very same number."""
    short = f"{value:.9g}"
    return short if float(short) == value else repr(float(value))


def breakable(text: str) -> str:
    """`text` whose long words, file names and paths mostly, may be broken after / \\ _ - and . (zero-width spaces).

    Sizes in sentences of the engine, as "660 x 714", get the sign that the window has for them.
    """
    text = SIZE.sub(" × ", text)
    words = (
        re.sub(r"(?<=[/\\\\_.-])(?=\w)", "\u200b", word) if len(word) > LONG_WORD else word for word in text.split(" ")
    )
    return " ".join(words)


def gibibytes(num_bytes: int) -> str:
    """As "2.9 GiB", or "430 MiB" below one."""
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.0f} MiB"

"""What a file may unfold to: no more than it can hold, and in sum no more than is read at once.

The limit is one for all kinds of files. `LORUN_MOST_GIB` in the environment sets another.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import FileError

VARIABLE = "LORUN_MOST_GIB"
USUAL_GIB = 8.0  # a 2048 x 2048 x 200 cube of 64-bit numbers is 6.7e9 bytes
DEFLATED = 1032  # bytes that one byte of a deflated stream can stand for
UNSTORED = 1 << 28  # bytes that a file may leave to be filled in


def most_bytes() -> int:
    """The bytes that all arrays of one file may have together."""
    stated = os.environ.get(VARIABLE)
    try:
        gib = USUAL_GIB if not stated else float(stated)
    except ValueError:
        gib = -1.0
    if not 0 < gib < 1 << 24:
        raise FileError(f"{VARIABLE} is {stated!r}; a number of GiB was expected. Correct the environment.")
    return int(gib * (1 << 30))


class Allowance:
    """What is left of the limit while one file is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._most = self._left = most_bytes()
        self._unstored = UNSTORED

    def take(
        self, what: str, claimed: int, *, stored: int | None = None, packed: int = 1, may_fill: bool = False
    ) -> None:
        """Takes `claimed` bytes, of which `stored` bytes of the file can give `packed` each, or raises FileError.

        Where the format `may_fill` in what is stored nowhere, up to UNSTORED bytes of a file are.
        """
        name = f"{self._path.name}, {what}" if what else self._path.name
        if stored is not None:
            unstored = max(0, claimed - stored * packed)
            self._unstored -= unstored
            if self._unstored < 0 or (unstored and not may_fill):
                raise FileError(
                    f"{name} claims {claimed} bytes of data; what it stores ({stored} bytes) is less. "
                    "It is cut short or its header is wrong; get the file again."
                )
        self._left -= claimed
        if self._left < 0:
            raise FileError(
                f"{name} claims {claimed / 2**30:.3g} GiB; at most {self._most / 2**30:.3g} GiB of a file are read at "
                f"once. Choose one array with --key, crop the file, or set {VARIABLE} to a higher number."
            )

"""What a header may claim: no more than its file can hold, and no more than is read at once."""

from __future__ import annotations

from pathlib import Path

from ..errors import FileError

LARGEST_ARRAY = 8 << 30  # bytes; a 2048 x 2048 x 200 cube of 64-bit numbers is 6.7e9
DEFLATED = 1032  # bytes that one byte of a deflated stream can stand for


def require_size(path: Path, what: str, claimed: int, *, stored: int | None = None, packed: int = 1) -> None:
    """Refuses `claimed` bytes above the limit, or above what `stored` bytes can be when each holds up to `packed`."""
    name = f"{path.name}, {what}" if what else path.name
    if stored is not None and claimed > stored * packed:
        raise FileError(
            f"{name} claims {claimed} bytes of data; what it stores ({stored} bytes) is less. "
            "It is cut short or its header is wrong; get the file again."
        )
    if claimed > LARGEST_ARRAY:
        raise FileError(
            f"{name} claims {claimed / 2**30:.3g} GiB; at most {LARGEST_ARRAY >> 30} GiB are read at once. "
            "Crop the file."
        )

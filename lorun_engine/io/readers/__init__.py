"""Reading arrays from files by their content: MAT, HDF5, NumPy, TIFF, pictures, ENVI and tables of numbers.

One file a library or format. Every reader checks what a header claims against the file and the limit of `io.sizes`
before anything is allocated, and applies what the file says of its numbers, or says it. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import FileError
from ..units import as_nanometres, in_nanometres, is_wavelengths
from .envi import envi_data_of, envi_header_of, is_envi_header, read_envi, read_envi_header
from .found import LONGEST_TEXT, FoundArray, PassedOver, Request, head_of
from .hdf5 import read_hdf5, read_mat_73
from .matlab import is_mat_4, read_mat_4, read_mat_5
from .numpy_files import read_npy, read_npz
from .pictures import read_picture
from .tables import looks_like_a_table, read_table, wavelengths_among
from .tiff import read_tiff

__all__ = [
    "LONGEST_TEXT",
    "FoundArray",
    "as_nanometres",
    "envi_data_of",
    "envi_header_of",
    "head_of",
    "is_envi_header",
    "is_wavelengths",
    "read",
    "read_envi_header",
    "read_wavelengths",
]

KNOWN = "MAT, HDF5, NumPy, TIFF, PNG, JPEG, BMP, ENVI or a table of numbers"
Reader = Callable[[Request], Iterator[FoundArray | PassedOver]]


def read(path: Path | str, *, key: str | None = None, besides: Collection[str] = ()) -> list[FoundArray]:
    """The numeric arrays of a file, or only the one called `key` with those of the last names `besides`.

    Raises FileError with a sentence.
    What is passed over is said in the notes of the first array, or is the error where there is no other.
    """
    path = Path(path)
    reader = _reader_for(path, head_of(path))
    request = Request(path, key, besides)
    try:
        come_across = list(reader(request))
    except MemoryError as error:
        raise FileError(f"{path.name} holds more than fits into memory. Crop it or use a larger machine.") from error
    except OSError as error:
        raise FileError(
            f"{path.name} cannot be read: {error.strerror or error}. Check the path and the disk."
        ) from error
    found = [entry for entry in come_across if isinstance(entry, FoundArray) and entry.array.size and entry.array.ndim]
    passed_over = [_sentence(path, entry) for entry in come_across if isinstance(entry, PassedOver)]
    if key is not None and not any(key == entry.key for entry in come_across):
        names = ", ".join(filter(None, request.names[:20])) or "none with a name"
        raise FileError(f"{path.name} holds no array called {key!r}; it holds {names}. Choose one of these.")
    if not found and passed_over:
        more = f" ({len(passed_over) - 1} more arrays are not read)" if len(passed_over) > 1 else ""
        raise FileError(f"{passed_over[0].removesuffix('.')}{more}.")
    if not found:
        raise FileError(f"{path.name} holds no numbers that could be an image. Choose another file.")
    found[0] = replace(found[0], notes=(*found[0].notes, *passed_over))
    return found


def read_wavelengths(path: Path | str) -> np.ndarray:
    """The band centres in nm that a file lists: a column of a text table, or any array file with one vector."""
    for entry in read(path):
        column = wavelengths_among(entry.array)
        if column is not None:
            listed, _ = in_nanometres(column, str(entry.attributes.get("units", "")), Path(path).name)
            if listed is not None:
                return listed
    raise FileError(f"{Path(path).name} holds no list of wavelengths. Give a file with one number per band.")


def _sentence(path: Path, entry: PassedOver) -> str:
    subject = f"{entry.key!r} of {path.name}" if entry.key else path.name
    return f"{subject} {entry.reason}."


def _reader_for(path: Path, head: bytes) -> Reader:
    """The reader that the first bytes ask for; the suffix decides nothing but where ENVI keeps its header."""
    if head.startswith(b"MATLAB 7.3") or (head.startswith(b"MATLAB") and head[512:520] == b"\x89HDF\r\n\x1a\n"):
        return read_mat_73
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_hdf5
    if head.startswith(b"MATLAB 5.0"):
        return read_mat_5
    if head.startswith(b"\x93NUMPY"):
        return read_npy
    if head.startswith(b"PK\x03\x04"):
        return read_npz
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return read_tiff
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM")):
        return read_picture
    if is_envi_header(head) or envi_header_of(path) is not None:
        return read_envi
    if is_mat_4(head):
        return read_mat_4
    if looks_like_a_table(head):
        return read_table
    raise FileError(f"{path.name} is of no kind that LoRun knows ({KNOWN} was expected). Choose another file.")

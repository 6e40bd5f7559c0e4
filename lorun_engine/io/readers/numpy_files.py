"""NumPy's own files: one array in .npy, several in .npz. Nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from ..sizes import DEFLATED
from .found import COMPLEX, NUMBERS, FoundArray, PassedOver, Request, calling


def read_npy(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The array of a .npy file."""
    with open(request.path, "rb") as stream:
        yield _array(request, "", stream, stored=request.path.stat().st_size)


def read_npz(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The arrays of an .npz archive by their names."""
    path = request.path
    with calling(path, "zipfile"):
        archive = zipfile.ZipFile(path)
    with archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename or not request.wants(name):
                continue
            with calling(path, "zipfile"):
                stream = archive.open(entry)
            with stream:
                yield _array(request, name, stream, stored=min(entry.file_size, entry.compress_size * DEFLATED))


def header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in a .npy file, which begins behind what was read of it."""
    version = np.lib.format.read_magic(stream)
    is_first = version == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    return shape, dtype


def _array(request: Request, name: str, stream: IO[bytes], *, stored: int) -> FoundArray | PassedOver:
    path = request.path
    with calling(path, "NumPy"):
        shape, dtype = header_of(stream)
    if dtype.hasobject:
        return PassedOver(name, "holds pickled Python objects, which are never opened. Save it as plain numbers")
    if dtype.kind == "c":
        return PassedOver(name, COMPLEX)
    if dtype.kind not in NUMBERS:
        return PassedOver(name, f"holds values of type {dtype}; plain numbers were expected. Save it as numbers")
    request.take(name, math.prod(shape) * dtype.itemsize, stored=stored)
    with calling(path, "NumPy"):
        stream.seek(0)
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return FoundArray(path, name, array)

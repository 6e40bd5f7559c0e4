"""The numeric arrays of MATLAB v5 files, by MathWorks' "MAT-File Format".

SciPy's reader crashes the process on some damaged files and forgets that small whole numbers were doubles, so the few
element types that hold plain numbers are read here, also in cells; structures, text, sparse and complex arrays are not.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np

from ..errors import FileError
from .sizes import DEFLATED, require_size

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
STORED_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
ARRAY_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
CELL = 1
COMPLEX = 0x0800


def read_mat_5(path: Path) -> list[tuple[str, np.ndarray]]:
    """(name, array) of every real, dense numeric variable, in the axes of MATLAB."""
    found = []
    with open(path, "rb") as stream:
        order = {b"IM": "<", b"MI": ">"}.get(stream.read(HEADER_BYTES)[-2:])
        if order is None:
            raise _damaged(path)
        for kind, content in _elements(path, stream, order):
            if kind == COMPRESSED:
                found += _variable(path, _inflated(path, content, order), order)
            elif kind == MATRIX:
                found += _variable(path, content, order)
    return found


def _elements(path: Path, stream: BufferedReader, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, content) of every element of the file."""
    while tag := stream.read(8):
        if len(tag) < 8:
            raise _damaged(path)
        kind, num_bytes = struct.unpack(order + "II", tag)
        left = path.stat().st_size - stream.tell()
        require_size(path, "", num_bytes, stored=left)
        content = np.empty(num_bytes, np.uint8).data  # bytes of this size take long to give back
        yield kind, content[: stream.readinto(content)]


def _inflated(path: Path, content: memoryview, order: str) -> bytes:
    """The variable in a deflated element, without its tag; empty when that holds something else."""
    inflate = zlib.decompressobj()
    kind, num_bytes = struct.unpack(order + "II", inflate.decompress(content, 8))
    if kind != MATRIX:
        return b""
    require_size(path, "", num_bytes, stored=len(content), packed=DEFLATED)
    variable = inflate.decompress(inflate.unconsumed_tail, num_bytes + 1)  # one more: then the checksum is read
    if len(variable) != num_bytes or not inflate.eof:
        raise _damaged(path)
    return variable


def _variable(path: Path, content: bytes | memoryview, order: str, called: str = "") -> list[tuple[str, np.ndarray]]:
    """The variable of a matrix element: one (name, array), or nothing when it holds other things than real numbers.

    A cell gives its numeric elements as NAME[1], NAME[2] and so on: they are `called` so, having no names of their own.
    """
    if not len(content):
        return []
    parts = _parts(content, order)
    try:
        _, stored_flags = next(parts)
        flags = struct.unpack(order + "I", stored_flags[:4])[0]
        array_class = flags & 0xFF
        is_cell = array_class == CELL and not called  # cells within cells are passed over
        if not is_cell and (array_class not in ARRAY_CLASSES or flags & COMPLEX):
            return []
        _, dimensions = next(parts)
        _, own_name = next(parts)
        name = called or bytes(own_name).decode("utf-8", "replace")
        if not name:  # MATLAB's own workspace of functions
            return []
        if is_cell:
            elements = enumerate((element for kind, element in parts if kind == MATRIX), start=1)
            return [array for n, element in elements for array in _variable(path, element, order, f"{name}[{n}]")]
        stored_type, values = next(parts)
    except (StopIteration, struct.error) as error:
        raise _damaged(path) from error
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    dtype = np.dtype(ARRAY_CLASSES[array_class])
    stored_dtype = np.dtype(order + STORED_TYPES.get(stored_type, "V0"))
    if min(shape, default=-1) < 0 or stored_dtype.itemsize == 0:
        raise _damaged(path)
    require_size(path, name, math.prod(shape) * dtype.itemsize)
    require_size(path, name, math.prod(shape) * stored_dtype.itemsize, stored=len(values))
    stored = np.frombuffer(values, stored_dtype, count=math.prod(shape))
    return [(name, stored.astype(dtype, copy=not stored.flags.writeable).reshape(shape, order="F"))]


def _parts(content: bytes | memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, content) of the parts of a matrix element; up to four bytes lie within the tag itself."""
    view, position = memoryview(content), 0
    while position + 8 <= len(view):
        kind, num_bytes = struct.unpack_from(order + "II", view, position)
        position += 8
        if kind >> 16:
            kind, num_bytes, start = kind & 0xFFFF, kind >> 16, position - 4
            yield kind, view[start : start + min(num_bytes, 4)]
        else:
            yield kind, view[position : position + num_bytes]
            position += num_bytes + -num_bytes % 8


def _damaged(path: Path) -> FileError:
    return FileError(f"{path.name} is damaged or cut short. Get the file again.")

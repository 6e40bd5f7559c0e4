"""The numeric arrays of MATLAB v4 and v5 files, by MathWorks' "MAT-File Format".

SciPy's reader crashes the process on some damaged files and forgets that small whole numbers were doubles, so the few
element types that hold plain numbers are read here, also in cells, structures and sparse matrices.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

import numpy as np

from ...errors import FileError
from ..sizes import DEFLATED
from .found import COMPLEX, FoundArray, PassedOver, Request
from .hdf5 import filled

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_STORED_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ARRAY_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CELL, _STRUCT, _OBJECT, _TEXT, _SPARSE = 1, 2, 3, 4, 5
_COMPLEX_FLAG = 0x0800
_DEEPEST = 16  # cells and structures within each other
_LONGEST_TEXT = 10_000  # characters
_V4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_V4_FULL, _V4_TEXT, _V4_SPARSE = 0, 1, 2

Variable = FoundArray | PassedOver


def read_mat_5(request: Request) -> Iterator[Variable]:
    """Every real numeric variable, in the axes of MATLAB.

    The elements of a cell are called NAME[1], NAME[2] and so on, the fields of a structure NAME/FIELD.
    """
    found: list[Variable] = []
    texts: dict[str, str] = {}
    with open(request.path, "rb") as stream:
        order = {b"IM": "<", b"MI": ">"}.get(stream.read(_HEADER_BYTES)[-2:])
        if order is None:
            raise _damaged(request.path)
        reader = _Mat5(request, order, texts)
        for kind, content in _elements(request, stream, order):
            if kind == _COMPRESSED:
                found += reader.variables(_inflated(request, content, order), "", 0)
            elif kind == _MATRIX:
                found += reader.variables(content, "", 0)
    return iter(_with_attributes(found, texts))


def _with_attributes(found: list[Variable], texts: dict[str, str]) -> list[Variable]:
    """The variables, each with what our own files say of themselves as its attributes."""
    stated = {name: text for name, text in texts.items() if name in ("adapter", "source")}
    return [replace(entry, attributes=stated) if isinstance(entry, FoundArray) else entry for entry in found]


def _elements(request: Request, stream: BufferedReader, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, content) of every element of the file."""
    size = request.path.stat().st_size
    while tag := stream.read(8):
        if len(tag) < 8:
            raise _damaged(request.path)
        kind, num_bytes = struct.unpack(order + "II", tag)
        if num_bytes > size - stream.tell():
            raise FileError(
                f"{request.path.name} claims an element of {num_bytes} bytes; {size - stream.tell()} are left. It is "
                "cut short; get the file again."
            )
        content = np.empty(num_bytes, np.uint8).data  # bytes of this size take long to give back
        yield kind, content[: stream.readinto(content)]


def _inflated(request: Request, content: memoryview, order: str) -> bytes:
    """The variable in a deflated element, without its tag; empty when that holds something else."""
    inflate = zlib.decompressobj()
    try:
        tag = inflate.decompress(content, 8)
        if len(tag) < 8:
            raise _damaged(request.path)
        kind, num_bytes = struct.unpack(order + "II", tag)
        if kind != _MATRIX:
            return b""
        request.take("", num_bytes, stored=len(content), packed=DEFLATED)
        variable = inflate.decompress(inflate.unconsumed_tail, num_bytes + 1)  # one more: then the checksum is read
    except zlib.error as error:
        raise _damaged(request.path) from error
    if len(variable) != num_bytes or not inflate.eof:
        raise _damaged(request.path)
    return variable


class _Mat5:
    """The variables of one file; the texts that it comes across go into `texts`."""

    def __init__(self, request: Request, order: str, texts: dict[str, str]) -> None:
        self._request, self._order, self._texts = request, order, texts

    def variables(self, content: bytes | memoryview, called: str, depth: int) -> Iterator[Variable]:
        """The arrays of a matrix element; one within another is `called` so, having no name of its own."""
        if not len(content) or depth > _DEEPEST:
            return
        parts = _parts(content, self._order)
        try:
            _, stored_flags = next(parts)
            flags, num_nonzero = struct.unpack(self._order + "II", stored_flags[:8])
            _, dimensions = next(parts)
            _, own_name = next(parts)
            shape = struct.unpack(f"{self._order}{len(dimensions) // 4}i", dimensions[: len(dimensions) // 4 * 4])
            array_class = flags & 0xFF
            name = called or bytes(own_name).decode("utf-8", "backslashreplace")
            if not name or min(shape, default=-1) < 0:  # MATLAB's own workspace of functions has no name
                if name:
                    raise _damaged(self._request.path)
                return
            if array_class == _TEXT:
                self._text(name, parts)
            elif array_class == _CELL:
                elements = (element for kind, element in parts if kind == _MATRIX)
                for number, element in enumerate(elements, start=1):
                    yield from self.variables(element, f"{name}[{number}]", depth + 1)
            elif array_class == _STRUCT:
                yield from self._fields(name, parts, math.prod(shape), depth)
            elif array_class in _ARRAY_CLASSES or array_class == _SPARSE:
                if self._request.wants(name):
                    yield self._numbers(name, (flags, num_nonzero), shape, parts)
            elif array_class == _OBJECT or array_class > max(_ARRAY_CLASSES):
                self._request.wants(name)
                yield PassedOver(name, "is an object of MATLAB, not an array. Save its numbers as a matrix")
        except (StopIteration, struct.error) as error:
            raise _damaged(self._request.path) from error

    def _numbers(
        self, name: str, about: tuple[int, int], shape: tuple[int, ...], parts: Iterator[tuple[int, memoryview]]
    ) -> Variable:
        flags, num_nonzero = about
        if flags & _COMPLEX_FLAG:
            return PassedOver(name, COMPLEX)
        path = self._request.path
        if flags & 0xFF == _SPARSE:
            if len(shape) != 2:
                raise _damaged(path)
            self._request.take(name, 8 * (math.prod(shape) + num_nonzero))
            ir, jc = self._plain(next(parts)), self._plain(next(parts))
            return FoundArray(path, name, filled(path, shape[0], jc[: shape[1] + 1], ir, self._plain(next(parts))))
        dtype = np.dtype(_ARRAY_CLASSES[flags & 0xFF])
        part = next(parts)
        stored_dtype = np.dtype(self._order + _STORED_TYPES.get(part[0], "V0"))
        if stored_dtype.itemsize == 0:
            raise _damaged(path)
        self._request.take(name, math.prod(shape) * dtype.itemsize)
        if math.prod(shape) * stored_dtype.itemsize > len(part[1]):
            raise FileError(
                f"{path.name}, {name} claims {math.prod(shape)} numbers of {stored_dtype.itemsize} bytes; it stores "
                f"{len(part[1])} bytes. It is cut short or its header is wrong; get the file again."
            )
        stored = np.frombuffer(part[1], stored_dtype, count=math.prod(shape))
        return FoundArray(path, name, stored.astype(dtype, copy=not stored.flags.writeable).reshape(shape, order="F"))

    def _plain(self, part: tuple[int, memoryview]) -> np.ndarray:
        """The numbers of a part."""
        kind, values = part
        dtype = np.dtype(self._order + _STORED_TYPES.get(kind, "V0"))
        if dtype.itemsize == 0:
            raise _damaged(self._request.path)
        stored = np.frombuffer(values, dtype, count=len(values) // dtype.itemsize)
        return stored.astype(dtype.newbyteorder("="))

    def _fields(self, name: str, parts: Iterator[tuple[int, memoryview]], count: int, depth: int) -> Iterator[Variable]:
        """The fields of a structure, or of every one of `count` structures, NAME[1]/FIELD and so on."""
        _, length = next(parts)
        (length_of_name,) = struct.unpack(self._order + "i", length[:4])
        _, listed = next(parts)
        if length_of_name < 1:
            raise _damaged(self._request.path)
        text = bytes(listed)
        names = [text[at : at + length_of_name] for at in range(0, len(text), length_of_name)]
        fields = [field.partition(b"\0")[0].decode("utf-8", "backslashreplace") for field in names]
        elements = (element for kind, element in parts if kind == _MATRIX)
        for number in range(1, count + 1):
            owner = name if count == 1 else f"{name}[{number}]"
            for field in fields:
                element = next(elements, None)
                if element is None:
                    return
                yield from self.variables(element, f"{owner}/{field}", depth + 1)

    def _text(self, name: str, parts: Iterator[tuple[int, memoryview]]) -> None:
        """A text becomes what the file says of its arrays."""
        kind, values = next(parts)
        codecs = {16: "utf-8", 17: "utf-16", 18: "utf-32", 1: "latin-1", 2: "latin-1"}
        codec = codecs.get(kind) or ("utf-16-le" if self._order == "<" else "utf-16-be")
        self._texts[name] = bytes(values[:_LONGEST_TEXT]).decode(codec, "replace")


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


# ---- version 4 ---------------------------------------------------------------------------------------------------


def is_mat_4(head: bytes) -> bool:
    """Whether a file begins with the header of a variable of version 4: five numbers and a name."""
    return _v4_header(head) is not None


def read_mat_4(request: Request) -> Iterator[Variable]:
    """Every real numeric variable of a file of version 4."""
    path, found, texts = request.path, list[Variable](), dict[str, str]()
    with open(path, "rb") as stream:
        while head := stream.read(20):
            header = _v4_header(head)
            if header is None:
                raise _damaged(path)
            order, dtype, kind, rows, columns, is_complex, length = header
            name = stream.read(length).partition(b"\0")[0].decode("latin-1")
            num_bytes = rows * columns * np.dtype(dtype).itemsize
            request.take(name, num_bytes, stored=path.stat().st_size - stream.tell())
            stored = np.frombuffer(stream.read(num_bytes), order + dtype).reshape(rows, columns, order="F")
            if is_complex:
                stream.seek(num_bytes, 1)
            array = stored.astype(dtype)
            if kind == _V4_TEXT:
                texts[name] = bytes(array.ravel(order="C")[:_LONGEST_TEXT].astype(np.uint8)).decode("latin-1")
            elif not request.wants(name):
                continue
            elif is_complex or (kind == _V4_SPARSE and columns != 3):
                found.append(PassedOver(name, COMPLEX))
            elif kind == _V4_SPARSE:
                found.append(_v4_sparse(request, name, array))
            else:
                found.append(FoundArray(path, name, array))
    return iter(_with_attributes(found, texts))


def _v4_header(head: bytes) -> tuple[str, str, int, int, int, bool, int] | None:
    """(byte order, type, kind, rows, columns, whether complex, bytes of the name), or None where it is none."""
    if len(head) < 20:
        return None
    for order in "<>":
        code, rows, columns, imaginary, length = struct.unpack(order + "5i", head[:20])
        machine, zero, precision, kind = (code // 10**place % 10 for place in (3, 2, 1, 0))
        is_known = 0 <= code < 5000 and machine == "<>".index(order) and zero == 0 and precision < 6 and kind < 3
        if is_known and 0 < rows and 0 < columns and imaginary in (0, 1) and 1 < length <= 64:
            name = head[20 : 20 + length]
            if len(head) == 20 or _is_name(name):
                return order, _V4_TYPES[precision], kind, rows, columns, bool(imaginary), length
    return None


def _is_name(name: bytes) -> bool:
    """Whether bytes are a name of MATLAB with the zero behind it."""
    text = name.partition(b"\0")[0]
    return name.endswith(b"\0") and text.decode("latin-1").isidentifier() and text.isascii()


def _v4_sparse(request: Request, name: str, triples: np.ndarray) -> FoundArray:
    """A sparse matrix: rows of (row, column, value), from 1, the last with its sizes."""
    whole = np.nan_to_num(triples[:, :2]).clip(-1, 1 << 40)
    num_rows, num_columns = (max(0, int(size)) for size in whole[-1])
    request.take(name, 8 * num_rows * num_columns)
    rows, columns = whole[:-1].astype(np.int64).T - 1
    is_inside = rows.size == 0 or (
        min(rows.min(), columns.min()) >= 0 and rows.max() < num_rows and columns.max() < num_columns
    )
    if not is_inside:
        raise _damaged(request.path)
    full = np.zeros((num_rows, num_columns))
    full[rows, columns] = triples[:-1, 2]
    return FoundArray(request.path, name, full)


def _damaged(path: Path) -> FileError:
    return FileError(f"{path.name} is damaged or cut short. Get the file again.")

"""HDF5, and MATLAB v7.3, which is HDF5 with the axes in reverse order.

A file leads to others by external links and virtual datasets. They are followed within its own folder; raw external
storage, which can be any file of the computer, is never read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError
from ..sizes import DEFLATED, UNSTORED
from ..units import WAVELENGTH_KEYS, in_nanometres
from .found import COMPLEX, MOST_AXES, NUMBERS, FoundArray, PassedOver, Request, calling
from .stated import calibrated, inverted, without

_PACKED = 2 * DEFLATED  # shuffled zeros shrink further
_MOST_OBJECTS = 100_000
_MOST_FILES = 100  # that one file leads to
_DEEPEST = 8  # files that lead to files, and virtual datasets of virtual datasets
_STAGES = "stages"  # of a restoration; they are not read with its cube
_ORIGINS = {"LL": (True, False), "UR": (False, True), "LR": (True, True)}  # of HDF5 images: rows, columns turned round


def read_hdf5(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The numeric datasets of a file, also in its groups."""
    yield from _Reader(request, is_matlab=False).arrays()


def read_mat_73(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The numeric variables of a file of MATLAB v7.3, also in structures and cells, in the axes of MATLAB."""
    for found in _Reader(request, is_matlab=True).arrays():
        if isinstance(found, FoundArray):
            found = replace(found, array=np.ascontiguousarray(found.array.T), axes=found.axes[::-1])
        yield found


class _Refused(Exception):
    """Why an object of a file is not read."""


class _Reader:
    """One reading of a file and of those that it leads to."""

    def __init__(self, request: Request, *, is_matlab: bool) -> None:
        self._request, self._is_matlab = request, is_matlab
        self._folder = request.path.resolve().parent
        self._files: dict[Path, Any] = {}
        self._seen: set[tuple[int, int]] = set()
        self._num_objects = 0

    def arrays(self) -> Iterator[FoundArray | PassedOver]:
        with ExitStack() as self._stack:
            file = self._opened(self._request.path.resolve())
            yield from self._below(file, "", _attributes(self._request.path, file), 0)

    def _opened(self, path: Path) -> Any:
        import h5py

        if path not in self._files:
            if len(self._files) >= _MOST_FILES:
                raise _Refused(f"leads to more than {_MOST_FILES} other files")
            with calling(path, "HDF5"):
                self._files[path] = self._stack.enter_context(h5py.File(path, "r"))
        return self._files[path]

    def _below(
        self, group: Any, prefix: str, common: Mapping[str, Any], depth: int
    ) -> Iterator[FoundArray | PassedOver]:
        """The arrays in a group; `depth` counts the files that led to it."""
        import h5py

        waiting: list[tuple[str, Any, int]] = [(prefix, group, depth)]
        while waiting:
            name, item, depth = waiting.pop()
            if self._num_objects >= _MOST_OBJECTS or self._is_known(item):
                continue
            self._num_objects += 1
            if isinstance(item, h5py.Dataset):
                yield from self._array(name, item, common)
            elif self._is_matlab and "MATLAB_sparse" in item.attrs:
                yield from self._sparse(name, item, common)
            else:
                members = []
                for member in self._members(item, name, depth):
                    if isinstance(member, PassedOver):
                        yield member
                    else:
                        members.append(member)
                waiting += members[::-1]

    def _is_known(self, item: Any) -> bool:
        """Whether an object was met before, by another name."""
        import h5py

        with calling(self._request.path, "HDF5"):
            about = h5py.h5o.get_info(item.id)
        key = (about.fileno, about.addr)
        is_known = key in self._seen
        self._seen.add(key)
        return is_known

    def _members(self, group: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any, int] | PassedOver]:
        """(name, object, depth) of what hangs below a group, external links followed."""
        import h5py

        with calling(self._request.path, "HDF5"):
            names = list(group)
        for own in names:
            name = f"{prefix}/{_text(own)}".lstrip("/")
            if self._is_matlab and name.startswith("#"):  # what cells refer to, and MATLAB's own
                continue
            try:
                with calling(self._request.path, "HDF5"):  # h5py's own words for links ask for names in UTF-8
                    raw = own if isinstance(own, bytes) else own.encode("utf-8", "surrogateescape")
                    kind = group.id.links.get_info(raw).type
                    target = group.id.links.get_val(raw) if kind == h5py.h5l.TYPE_EXTERNAL else ("", "")
                if kind == h5py.h5l.TYPE_EXTERNAL:
                    if depth >= _DEEPEST:
                        raise _Refused("leads from file to file")
                    file = self._opened(self._beside(group, _text(target[0])))
                    yield name, self._plainly(file, _text(target[1])), depth + 1
                elif kind == h5py.h5l.TYPE_HARD:
                    with calling(self._request.path, "HDF5"):
                        item = group[own]
                    if isinstance(item, h5py.Dataset | h5py.Group):
                        yield name, item, depth
            except (_Refused, FileError) as error:
                self._request.names.append(name)
                yield PassedOver(name, _reason(error))

    def _beside(self, item: Any, name: str) -> Path:
        """The file of this name in the folder of the file that was opened, or below it."""
        with calling(self._request.path, "HDF5"):
            path = (Path(_text(item.file.filename)).resolve().parent / name).resolve()
        if not path.is_relative_to(self._folder):
            raise _Refused(f"lies in {name!r}, outside of the folder of its file, and is not read")
        if not path.is_file():
            raise _Refused(f"lies in {name!r}, which is not there. Add that file")
        return path

    def _plainly(self, file: Any, path: str) -> Any:
        """The object of this path in a file, without another link on the way."""
        import h5py

        item = file
        for part in path.strip("/").split("/"):
            with calling(self._request.path, "HDF5"):
                is_here = isinstance(item, h5py.Group) and isinstance(item.get(part, getlink=True), h5py.HardLink)
                item = item[part] if is_here else None
            if item is None:
                raise _Refused(f"lies at {path!r} of {Path(_text(file.filename)).name!r}, where nothing is stored")
        return item

    # ---- arrays --------------------------------------------------------------------------------------------------

    def _array(self, name: str, item: Any, common: Mapping[str, Any]) -> Iterator[FoundArray | PassedOver]:
        """The array of a dataset; in MATLAB those of a cell."""
        path = self._request.path
        with calling(path, "HDF5"):
            dtype, shape = item.dtype, item.shape
        kind = _text(item.attrs.get("MATLAB_class", "")) if self._is_matlab else ""
        if kind == "cell" and dtype.kind == "O":
            try:
                yield from self._cell(name, item, common)
            except _Refused as error:
                yield PassedOver(name, _reason(error))
            return
        num_axes = 0 if shape is None else sum(length > 1 for length in shape)
        is_complex = dtype.kind == "c" or {"real", "imag"} == set(dtype.names or ())
        if kind == "char" or not (is_complex or dtype.kind in NUMBERS) or not shape or 0 in shape:
            return
        if num_axes > MOST_AXES or (num_axes == MOST_AXES and name.rpartition("/")[2] == _STAGES):
            return
        if not self._request.wants(name):
            return
        if is_complex:
            yield PassedOver(name, COMPLEX)
            return
        try:
            stored = self._stored(item, 0)
        except (_Refused, FileError) as error:
            yield PassedOver(name, _reason(error))
            return
        self._request.take(name, item.nbytes, stored=stored, packed=_PACKED, may_fill=True)
        with calling(path, "HDF5"):
            array = item[()]
        yield _as_stated(path, name, array, _attributes(path, item), common)

    def _stored(self, item: Any, depth: int) -> int:
        """The bytes that are stored of a dataset; raises _Refused where they are not to be read."""
        import h5py

        path = self._request.path
        with calling(path, "HDF5"):
            is_external, is_virtual, chunks = bool(item.external), item.is_virtual, item.chunks
            settings = item.id.get_create_plist()
            filters = [settings.get_filter(number) for number in range(settings.get_nfilters())]
            stored = int(item.id.get_storage_size())
        if is_external:
            raise _Refused("is stored outside of its file, as raw bytes of another one, which is never read")
        for code, _, _, title in filters:
            if not h5py.h5z.filter_avail(code):
                packing = _text(title) or f"filter {code}"
                raise _Refused(f"is packed with {packing!r}, which this program cannot unpack. Save it with gzip")
        if chunks is not None:  # a packed chunk is unpacked whole
            chunk = math.prod(chunks) * item.dtype.itemsize
            if chunk > max(item.nbytes, UNSTORED):
                raise _Refused(f"claims chunks of {chunk} bytes for {item.nbytes} bytes of data. Save it again")
        return self._stored_elsewhere(item, depth) if is_virtual else stored

    def _stored_elsewhere(self, item: Any, depth: int) -> int:
        """The bytes that the sources of a virtual dataset store."""
        import h5py

        if depth >= _DEEPEST:
            raise _Refused("is made of others that are made of others. Save it as one array")
        total = 0
        with calling(self._request.path, "HDF5"):
            sources = {(_text(source.file_name), _text(source.dset_name)) for source in item.virtual_sources()}
        for file_name, dataset_name in sorted(sources):
            if "%" in file_name + dataset_name:
                raise _Refused(f"is made of a series of files ({file_name!r}). Save it as one array")
            file = item.file if file_name == "." else self._opened(self._beside(item, file_name))
            source = self._plainly(file, dataset_name)
            if not isinstance(source, h5py.Dataset):
                raise _Refused(f"is made of {dataset_name!r} of {file_name!r}, which is no array")
            total += self._stored(source, depth + 1)
        return total

    def _cell(self, name: str, item: Any, common: Mapping[str, Any]) -> Iterator[FoundArray | PassedOver]:
        """The elements of a cell of MATLAB, called NAME[1], NAME[2] and so on."""
        import h5py

        self._stored(item, 0)
        with calling(self._request.path, "HDF5"):
            few = item.size <= _MOST_OBJECTS
            elements = [item.file[reference] for reference in item[()].ravel() if reference] if few else []
        for number, element in enumerate(elements, start=1):
            if isinstance(element, h5py.Dataset) and element.dtype.kind != "O":
                yield from self._array(f"{name}[{number}]", element, common)

    def _sparse(self, name: str, group: Any, common: Mapping[str, Any]) -> Iterator[FoundArray | PassedOver]:
        """A sparse matrix of MATLAB, full; its axes in reverse order, as those of every variable."""
        if not self._request.wants(name):
            return
        path = self._request.path
        with calling(path, "HDF5"):
            num_rows = int(group.attrs["MATLAB_sparse"])
            parts = {part: group[part] for part in ("data", "ir", "jc") if part in group}
            num_columns = parts["jc"].size - 1
        try:
            for part in parts.values():
                self._stored(part, 0)
        except _Refused as error:
            yield PassedOver(name, _reason(error))
            return
        self._request.take(
            name, 8 * max(0, num_rows) * max(0, num_columns) + sum(part.nbytes for part in parts.values())
        )
        with calling(path, "HDF5"):
            values = {part: dataset[()] for part, dataset in parts.items()}
        empty = np.zeros(0)
        full = filled(path, num_rows, values["jc"], values.get("ir", empty), values.get("data", empty))
        yield FoundArray(path, name, full.T, attributes=common)


def filled(path: Path, num_rows: int, jc: np.ndarray, ir: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The full (rows, columns) matrix of MATLAB's sparse one: column n has values[jc[n]:jc[n + 1]] in rows ir."""
    jc, ir = jc.ravel().astype(np.int64), ir.ravel().astype(np.int64)
    counts, num_values = np.diff(jc), int(jc[-1]) if jc.size else 0
    rows = ir[:num_values]
    is_sound = jc.size and jc[0] == 0 and (counts >= 0).all() and len(rows) == num_values <= values.size
    if not is_sound or (rows.size and (rows.min() < 0 or rows.max() >= num_rows)):
        raise FileError(f"{path.name} holds a sparse matrix whose indices do not fit it. Save it as a full one.")
    full = np.zeros((num_rows, len(counts)), values.dtype if values.dtype.kind in NUMBERS else np.float64)
    full[rows, np.repeat(np.arange(len(counts)), counts)] = values.ravel()[:num_values]
    return full


def _reason(error: Exception) -> str:
    """An error as the rest of a sentence that begins with the name of an array."""
    text = str(error).removesuffix(".")
    return text if isinstance(error, _Refused) else f"is not read: {text}"


# ---- attributes --------------------------------------------------------------------------------------------------


def _as_stated(
    path: Path, name: str, array: np.ndarray, own: Mapping[str, Any], common: Mapping[str, Any]
) -> FoundArray:
    """The array with what its attributes say applied: by the CF conventions, and by those of HDF5 images."""
    called = f"{path.name}, {name}"
    notes = []
    for attribute in ("_FillValue", "missing_value"):
        if (missing := _number(own.get(attribute))) is not None:
            array, note = without(array, missing, called)
            notes.append(note)
    if str(own.get("IMAGE_SUBCLASS", "")) == "IMAGE_INDEXED":
        notes.append(f"{called} is an image of a palette; its numbers are those of the colours, not the colours.")
    if _number(own.get("IMAGE_WHITE_IS_ZERO")) == 1:
        array, note = inverted(array, called)
        notes.append(note)
    gain, offset = _number(own.get("scale_factor")), _number(own.get("add_offset"))
    array, note = calibrated(array, [1.0 if gain is None else gain], [0.0 if offset is None else offset], called)
    notes.append(note)
    stated = own.get("axes", common.get("axes", ""))
    planes = {"INTERLACE_PIXEL": "YXC", "INTERLACE_LINE": "YCX", "INTERLACE_PLANE": "CYX"}
    axes = stated if isinstance(stated, str) else ""
    axes = axes or (planes.get(str(own.get("INTERLACE_MODE", "")), "") if array.ndim == 3 else "")
    if own.get("DISPLAY_ORIGIN") in _ORIGINS and array.ndim == 2:
        array = array[tuple(slice(None, None, -1 if turned else None) for turned in _ORIGINS[own["DISPLAY_ORIGIN"]])]
        notes.append(f"{called} was turned round, as its display origin ({own['DISPLAY_ORIGIN']}) says.")
    attributes = {**common, **own}
    array, note = _in_nanometres(name, array, own, attributes, called)
    notes.append(note)
    return FoundArray(path, name, array, axes, attributes, tuple(note for note in notes if note))


def _in_nanometres(
    name: str, array: np.ndarray, own: Mapping[str, Any], attributes: dict[str, Any], called: str
) -> tuple[np.ndarray, str]:
    """A list of wavelengths in nm; what a cube says of its own is converted in its `attributes`."""
    if name.rpartition("/")[2].lower() in WAVELENGTH_KEYS and array.size == max(array.shape):
        unit = own.get("units", own.get("unit", ""))
        listed, note = in_nanometres(array, unit if isinstance(unit, str) else "", called)
        attributes.pop("units", None)
        return (np.zeros(0) if listed is None else listed), note
    stated = own.get("wavelength", own.get("wavelengths"))
    if "wavelengths_nm" in own or not isinstance(stated, np.ndarray):
        return array, ""
    unit = own.get("wavelength_units", own.get("wavelength_unit", ""))
    listed, note = in_nanometres(stated, unit if isinstance(unit, str) else "", called)
    if listed is not None:
        attributes["wavelengths_nm"] = listed
    return array, note


def _attributes(path: Path, item: Any) -> dict[str, Any]:
    """Text as str, numbers as Python numbers or arrays; what is neither is left out."""
    plain: dict[str, Any] = {}
    with calling(path, "HDF5"):
        names = list(item.attrs)
    for name in names:
        try:
            with calling(path, "HDF5"):
                value = item.attrs[name]
        except FileError:  # of a type that h5py does not know
            continue
        if isinstance(value, bytes):
            value = _text(value)
        elif isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (str, int, float)) or (isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS):
            plain[_text(name)] = value
    return plain


def _number(value: Any) -> float | None:
    """A number or an array of one as float, else None."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in NUMBERS:
        value = value.item()
    return float(value) if isinstance(value, int | float) else None


def _text(name: Any) -> str:
    """A name as text; bytes that are no UTF-8 and what h5py makes of them are escaped."""
    if isinstance(name, np.ndarray) and name.size == 1:
        name = name.item()
    if isinstance(name, str):
        name = name.encode("utf-8", "surrogateescape")
    return bytes(name).decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)

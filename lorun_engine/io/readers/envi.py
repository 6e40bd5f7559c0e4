"""ENVI: a header of text beside a file of plain numbers. What the header says of the numbers is applied or said."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError
from ..units import in_nanometres, wavelengths_of_words
from .found import COMPLEX, FoundArray, PassedOver, Request, head_of
from .stated import calibrated, without

LONGEST_HEADER = 1 << 20  # bytes
_DATA = (".img", ".raw", ".dat", ".bin", ".bsq", ".bil", ".bip", ".sli")
_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_ORDERS = {"bsq": ("bands", "lines", "samples"), "bil": ("lines", "bands", "samples")}
_ORDERS["bip"] = ("lines", "samples", "bands")

Header = Mapping[str, str | list[str]]


def envi_header_of(path: Path) -> Path | None:
    """The ENVI header that belongs to a data file: scene.hdr or scene.img.hdr beside it, in either case."""
    for suffix in (".hdr", ".HDR"):
        for candidate in (path.with_suffix(suffix), path.with_name(path.name + suffix)):
            is_other = candidate != path and candidate.is_file() and candidate.stat().st_size > 0
            if is_other and is_envi_header(head_of(candidate)):
                return candidate
    return None


def is_envi_header(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an ENVI header."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"ENVI")


def read_envi_header(path: Path) -> dict[str, str | list[str]]:
    """What a header states, by names in lower case: texts, and lists where braces stand."""
    size = path.stat().st_size
    if size > LONGEST_HEADER:
        raise FileError(
            f"{path.name} is a header of {size >> 20} MiB; at most {LONGEST_HEADER >> 20} MiB are read. Shorten it."
        )
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    fields: dict[str, str | list[str]] = {}
    lines = iter(text.splitlines()[1:])
    for line in lines:
        name, is_field, value = line.partition("=")
        name, value = " ".join(name.lower().split()), value.strip()
        if not is_field or name.startswith(";"):
            continue
        if not value.startswith("{"):
            fields[name] = value
            continue
        parts = [value]
        while "}" not in parts[-1] and (following := next(lines, None)) is not None:
            parts.append(following)
        inside = " ".join(parts)[1:].partition("}")[0]
        is_text = name == "description"
        fields[name] = inside.strip() if is_text else [word.strip() for word in inside.split(",")]
    return fields


def read_envi(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The cube (lines, samples, bands) or image of an ENVI pair, by either of its files."""
    is_header = is_envi_header(head_of(request.path))
    header_path = request.path if is_header else envi_header_of(request.path) or request.path
    data_path = envi_data_of(request.path) if is_header else request.path
    header = read_envi_header(header_path)
    sizes, dtype, order = _layout(header_path, header)
    if not request.wants(""):
        return
    if dtype.kind == "c":
        yield PassedOver("", f"has data type {header['data type']} and {COMPLEX}")
        return
    array = _stored(request, header_path, data_path, header, (sizes, dtype, order))
    name, notes = data_path.name, list[str]()
    if "data ignore value" in header:
        missing = _numbers(header["data ignore value"])
        if len(missing) == 1:
            array, note = without(array, missing[0], name)
        else:
            note = f"The data ignore value of {header_path.name} is no number and was left out."
        notes.append(note)
    array, note = _with_gains(array, header, header_path)
    notes.append(note)
    is_library = "spectral library" in str(header.get("file type", "")).lower()
    attributes, more = _attributes(header, header_path.name, sizes["samples" if is_library else "bands"])
    notes = [note for note in (*notes, *more) if note]
    image = array[..., 0] if sizes["bands"] == 1 else array
    yield FoundArray(data_path, "", image, "YX" if image.ndim == 2 else "YXC", attributes, tuple(notes))


def envi_data_of(header: Path) -> Path:
    """The data file of an ENVI header."""
    stem = header.with_suffix("")
    suffixes = (*_DATA, *(suffix.upper() for suffix in _DATA))
    for candidate in (stem, *(header.with_suffix(suffix) for suffix in suffixes)):
        if candidate.is_file():
            return candidate
    raise FileError(
        f"{header.name} is an ENVI header; no data file ({stem.name} with {', '.join(_DATA)} or nothing) lies "
        "beside it. Add it."
    )


# ---- the numbers -------------------------------------------------------------------------------------------------


def _layout(path: Path, header: Header) -> tuple[dict[str, int], np.dtype, tuple[str, ...]]:
    """Sizes, type of the numbers, and the order of the axes."""
    missing = [name for name in ("lines", "samples", "bands", "data type") if name not in header]
    if missing:
        raise FileError(f"{path.name} lacks {', '.join(missing)}, which an ENVI header must state. Add it.")
    sizes = {name: _count(path, header, name) for name in ("lines", "samples", "bands")}
    if min(sizes.values()) < 1:
        raise FileError(f"{path.name} states sizes that are no counts. Correct lines, samples and bands.")
    stated = str(header["data type"])
    dtype = np.dtype(_TYPES.get(int(stated) if stated.isdecimal() else -1, "V"))
    if dtype.kind == "V":
        raise FileError(
            f"{path.name} states data type {stated[:40]}; one of {', '.join(map(str, _TYPES))} was expected."
        )
    if str(header.get("file compression", "0")).strip() not in ("0", ""):
        raise FileError(f"{path.name} says that its data are compressed, which is not read. Save them uncompressed.")
    interleave = str(header.get("interleave", "bsq")).strip().lower()
    if interleave not in _ORDERS:
        raise FileError(
            f"The ENVI interleave {interleave[:40]!r} is not known; bsq, bil or bip was expected. Correct the header."
        )
    is_big = str(header.get("byte order", "0")).strip() == "1"
    return sizes, dtype.newbyteorder(">" if is_big else "<"), _ORDERS[interleave]


def _stored(
    request: Request,
    header_path: Path,
    data_path: Path,
    header: Header,
    layout: tuple[dict[str, int], np.dtype, tuple[str, ...]],
) -> np.ndarray:
    """The numbers as (lines, samples, bands), without the bytes that the header says lie between them.

    The first two axes of the order are frames: extra bytes lie before and behind each of them.
    """
    sizes, dtype, order = layout
    outer, middle, inner = (sizes[name] for name in order)
    offset = _count(header_path, header, "header offset")
    major, minor = (_frame(header_path, header, f"{name} frame offsets") for name in ("major", "minor"))
    line = minor[0] + inner * dtype.itemsize + minor[1]
    frame = major[0] + middle * line + major[1]
    claimed, stored = offset + outer * frame, data_path.stat().st_size
    if claimed - major[1] - minor[1] > stored:
        extra = " and what lies between" if frame > middle * inner * dtype.itemsize else ""
        raise FileError(
            f"{data_path.name} has {stored} bytes; its header asks for {offset} + {sizes['lines']} lines x "
            f"{sizes['samples']} samples x {sizes['bands']} bands x {dtype.itemsize} bytes{extra} = {claimed}. "
            "Correct the header or get the data again."
        )
    request.take("", 2 * (claimed - offset) if frame > middle * inner * dtype.itemsize else claimed - offset)
    content = np.fromfile(data_path, np.uint8, count=claimed - offset, offset=offset)
    view = np.ndarray((outer, middle, inner), dtype, content, major[0] + minor[0], (frame, line, dtype.itemsize))
    place = [order.index(name) for name in ("lines", "samples", "bands")]
    return np.ascontiguousarray(view.transpose(place), dtype=dtype.newbyteorder("="))


def _count(path: Path, header: Header, name: str) -> int:
    """A field that holds a whole number from 0."""
    stated = str(header.get(name, "0")).strip()
    if not (stated.isdecimal() and len(stated) < 16):
        raise FileError(
            f"{path.name} states {stated[:40]!r} as {name}; a whole number from 0 was expected. Correct the header."
        )
    return int(stated)


def _frame(path: Path, header: Header, name: str) -> tuple[int, int]:
    """The bytes before and behind every frame."""
    stated = _numbers(header.get(name, ["0", "0"]))
    if len(stated) != 2 or not all(value >= 0 and value.is_integer() for value in stated):
        raise FileError(f"{path.name} states {name} that are no two counts of bytes. Correct the header.")
    return int(stated[0]), int(stated[1])


def _with_gains(array: np.ndarray, header: Header, path: Path) -> tuple[np.ndarray, str]:
    """The array with the gains and offsets that the header states, those of the data before those of a reflectance."""
    for kind in ("data", "data reflectance"):
        stated = [header.get(f"{kind} {name} values") for name in ("gain", "offset")]
        if stated == [None, None]:
            continue
        gains, offsets = (
            _numbers(values if values is not None else [word]) for values, word in zip(stated, "10", strict=True)
        )
        if not gains or not offsets:
            return array, f"The {kind} gains or offsets of {path.name} are no numbers and were left out."
        return calibrated(array, gains, offsets, path.name)
    return array, ""


# ---- what else is stated -----------------------------------------------------------------------------------------


def _attributes(header: Header, name: str, num_bands: int) -> tuple[dict[str, Any], list[str]]:
    """Wavelengths, scale and source, and what could not be read of them."""
    attributes: dict[str, Any] = {}
    notes = []
    if "wavelength" in header:
        words, unit = _list(header["wavelength"]), str(header.get("wavelength units", ""))
        values, in_words = wavelengths_of_words(words)
        listed, note = in_nanometres(values, unit or in_words, name)
        if len(values) != num_bands or not all(map(math.isfinite, values)):
            note = f"The wavelengths of {name} are not {num_bands} numbers, one for every band; they were left out."
        elif listed is not None:
            attributes["wavelengths_nm"] = listed
        notes.append(note)
    if "reflectance scale factor" in header:
        factors = _numbers(header["reflectance scale factor"])
        if len(factors) == 1 and factors[0] > 0:
            attributes["scale"] = factors[0]
        else:
            notes.append(f"The reflectance scale factor of {name} is no positive number and was left out.")
    bad = [band for band, word in enumerate(_list(header.get("bbl", [])), start=1) if _numbers([word]) == [0.0]]
    if bad:
        listed_bands = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        notes.append(f"{name} marks {len(bad)} bands as bad ({listed_bands}); they were read as the others.")
    if "description" in header:
        attributes["source"] = str(header["description"])
        if made_by := re.match(r"adapter: ([^;]+)", attributes["source"]):  # what we wrote ourselves
            attributes["adapter"] = made_by[1]
    return attributes, notes


def _list(value: str | list[str]) -> list[str]:
    """The entries of a list that are not empty: a comma may stand behind the last."""
    return [word for word in ([value] if isinstance(value, str) else value) if word]


def _numbers(value: str | list[str]) -> list[float]:
    """The finite numbers of a field; nothing where one of its entries is none."""
    try:
        numbers = [float(word) for word in _list(value)]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []

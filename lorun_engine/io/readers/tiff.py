"""TIFF: pages, stacks and OME sets, in the codecs of tifffile and imagecodecs.

What the tags say of the numbers is applied or said: photometric sense, palette, orientation, alpha, depth, GDAL's no
data, gain and offset.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...errors import FileError
from ..sizes import DEFLATED
from .found import COMPLEX, FoundArray, PassedOver, Request, calling
from .pictures import read_picture
from .stated import calibrated, inverted, turned, without

# none, CCITT, LZW, JPEG, deflate, PackBits, LERC, JPEG 2000, LZMA, Zstandard, WebP
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34712, 34887, 34925, 50000, 50001)
_PACKED = 4 * DEFLATED  # bytes that one byte of the strongest of them is taken to stand for
_MINISWHITE, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR, _CFA = 0, 2, 3, 4, 5, 6, 32803
_GREY = (_MINISWHITE, 1, _RGB, _PALETTE, _CFA, 34892, 51177)  # with linear raw and depth maps: numbers as they are
_ALPHA = (1, 2)
_NO_DATA, _GDAL, _ORIENTATION = 42113, 42112, 274


def read_tiff(request: Request) -> Iterator[FoundArray | PassedOver]:
    """Every series of a file: an image, a cube of its pages or samples, or several captures (axis T)."""
    import tifffile

    path = request.path
    with _complaints() as complaints:
        with calling(path, "tifffile"):
            tiff = tifffile.TiffFile(path, _multifile=False)
        with tiff:
            with calling(path, "tifffile"):
                tiff._multifile = _is_set_of_files(path, tiff.ome_metadata)
                pages = list(tiff.pages)
                series = list(tiff.series)
                shaped = (tiff.shaped_metadata or ({},))[0]
            if any(about_pages for about_pages, _ in complaints):
                raise FileError(f"{path.name} is cut short: {complaints[0][1]}. Get the file again.")
            size = path.stat().st_size
            for page in pages:
                for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
                    if offset + length > size:
                        raise FileError(
                            f"{path.name} claims data up to byte {offset + length}; it has {size}. It is cut short; "
                            "get the file again."
                        )
            attributes = {name: value for name, value in shaped.items() if name not in ("shape", "axes")}
            if "wavelengths_nm" in attributes:
                with calling(path, "the list of wavelengths"):
                    attributes["wavelengths_nm"] = np.asarray(attributes["wavelengths_nm"], dtype=np.float64)
            for number, one in enumerate(series):
                name = f"series {number}" if number else ""
                if one.keyframe.photometric != _MASK and request.wants(name):
                    yield from _series(request, name, one, attributes)


def _series(request: Request, name: str, series: Any, attributes: dict[str, Any]) -> Iterator[FoundArray | PassedOver]:
    path, page = request.path, series.keyframe
    called = f"{path.name}, {name}" if name else path.name
    if _is_for_pillow(page) and not name and len(series.pages) == 1:
        yield from read_picture(request)
        return
    reason = _not_read(page)
    if reason:
        yield PassedOver(name, reason)
        return
    with calling(path, "tifffile"):  # pages are looked at when they are asked for
        counts = [one.databytecounts for one in series.pages if one is not None]
    stored = sum(map(sum, counts))
    if series.dataoffset is not None:  # one block, which the first page alone may list
        stored = path.stat().st_size - series.dataoffset
    if page.compression == 1:  # several numbers may share a byte
        stored = stored * 8 * page.dtype.itemsize // page.bitspersample + page.dtype.itemsize
    is_sparse = any(0 in own for own in counts)
    packed = 1 if page.compression == 1 else _PACKED
    request.take(name, series.nbytes, stored=stored, packed=packed, may_fill=is_sparse)
    with calling(path, "tifffile"):
        array = series.asarray(maxworkers=1)  # in this thread, so that what is logged is about this file
        axes, tags = str(series.axes), {code: page.tags.valueof(code) for code in (_NO_DATA, _GDAL, _ORIENTATION)}
        samples, extra, bits = page.samplesperpixel, tuple(page.extrasamples), page.bitspersample
        colours = page.colormap
    notes = []
    array, axes, note = _colours(array, axes, page.photometric, colours, called)
    notes.append(note)
    if array.dtype.kind == "u" and page.photometric != _PALETTE and bits < 8 * array.dtype.itemsize:
        attributes = {"scale": float(2**bits - 1), **attributes}
    if page.photometric == _MINISWHITE:
        array, note = inverted(array, called, highest=2**bits - 1 if array.dtype.kind == "u" else None)
        notes.append(note)
    alpha = [samples - len(extra) + at for at, kind in enumerate(extra) if kind in _ALPHA]
    if alpha and "S" in axes and array.shape[axes.index("S")] == samples:
        array = np.delete(array, alpha, axis=axes.index("S"))
        is_multiplied = 1 in extra
        multiplied = "; the colours are stored multiplied by it" if is_multiplied else ""
        notes.append(f"The transparency of {called} was dropped{multiplied}.")
    array = _by_gdal(array, axes, tags, called, notes)
    if isinstance(tags[_ORIENTATION], int) and {"Y", "X"} <= set(axes):
        array, note = turned(array, tags[_ORIENTATION], called, rows=axes.index("Y"), columns=axes.index("X"))
        notes.append(note)
    if "S" in axes and array.shape[axes.index("S")] == 1:
        array, axes = array.squeeze(axes.index("S")), axes.replace("S", "")
    yield FoundArray(path, name, array, _axes(axes), attributes, tuple(note for note in notes if note))


def _is_for_pillow(page: Any) -> bool:
    """Whether a page has colours that tifffile leaves as they are stored: inks, or luminance and chrominance."""
    return bool(page.photometric == _SEPARATED or (page.photometric == _YCBCR and page.compression != 7))


def _not_read(page: Any) -> str:
    """Why a page is not read, "" where it is."""
    if page.compression not in _COMPRESSIONS:
        codec = getattr(page.compression, "name", page.compression)
        return f"is packed with the codec {codec}, which is not read. Save it with LZW, deflate or unpacked"
    if page.photometric not in (*_GREY, _YCBCR) or _is_for_pillow(page):
        space = getattr(page.photometric, "name", page.photometric)
        return f"has the colour space {space}, which is not read. Save it as grey or RGB"
    if page.dtype is None:
        return f"has numbers of {page.bitspersample} bits of an unknown kind. Save it with 8, 16 or 32 bits"
    if page.dtype.kind == "c":
        return COMPLEX
    chunks = math.prod(page.chunked)
    if len(page.dataoffsets) < chunks and not page.is_contiguous:
        return f"claims {chunks} parts and lists {len(page.dataoffsets)}. It is cut short; get the file again"
    return ""


def _colours(
    array: np.ndarray, axes: str, photometric: int, colours: np.ndarray | None, called: str
) -> tuple[np.ndarray, str, str]:
    """(array, axes, note) with the palette looked up, in 8 bits."""
    if photometric == _CFA:
        return array, axes, f"{called} is the mosaic of a colour camera; every pixel has the colour of its filter."
    if photometric != _PALETTE or colours is None or array.dtype.kind != "u":
        return array, axes, ""
    table = np.asarray(colours) >> 8 if np.max(colours) > 255 else np.asarray(colours)  # (3, number of colours)
    table = np.moveaxis(table.astype(np.uint8), 0, -1)
    looked_up = table[np.minimum(array, len(table) - 1)]
    if (table == table[:, :1]).all():
        return looked_up[..., 0], axes, ""
    return looked_up, f"{axes}S", ""


def _by_gdal(array: np.ndarray, axes: str, tags: Mapping[int, Any], called: str, notes: list[str]) -> np.ndarray:
    """The array with what GDAL's tags say of it: no data, then gain and offset of every band."""
    try:
        array, note = without(array, float(str(tags[_NO_DATA]).strip("\0 ")), called)
        notes.append(note)
    except ValueError:  # none, or none that is a number
        pass
    values: dict[str, dict[int, float]] = {"scale": {}, "offset": {}}
    try:
        items = ElementTree.fromstring(str(tags[_GDAL] or "<none/>").strip("\0 ")).iter("Item")
        for item in items:
            if item.get("role") in values:
                values[item.get("role", "")][int(item.get("sample", "0"))] = float(item.text or "")
    except (ElementTree.ParseError, ValueError):
        notes.append(f"What GDAL's metadata say of {called} could not be read.")
    if not any(values.values()):
        return array
    axis = next((axes.index(axis) for axis in axes if axis not in "YX"), None)
    count = 1 if axis is None else array.shape[axis]
    gains = [values["scale"].get(band, 1.0) for band in range(count)]
    offsets = [values["offset"].get(band, 0.0) for band in range(count)]
    array, note = calibrated(array, gains, offsets, called, axis=axis or 0)
    notes.append(note)
    return array


def _axes(axes: str) -> str:
    """tifffile's axes in ours: samples and pages are bands, times are captures; "" where that makes no image."""
    plain = "".join(name if name in "YXT" else "C" for name in axes)
    if len(plain) == 4 and plain.count("C") == 2:  # pages of colours
        plain = plain.replace("C", "T", 1)
    return plain if {"Y", "X"} <= set(plain) and len(set(plain)) == len(plain) else ""


def _is_set_of_files(path: Path, metadata: str | None) -> bool:
    """Whether an OME file has parts in others, all of which lie beside it; a FileError where they do not."""
    if not metadata or "FileName" not in metadata:
        return False
    try:
        root = ElementTree.fromstring(metadata)
    except ElementTree.ParseError:
        return False
    own, others = root.get("UUID"), set()
    for element in root.iter():
        name = element.get("FileName")
        if element.tag.endswith("UUID") and name and element.text != own and name.lower() != path.name.lower():
            others.add(name)
    for name in sorted(others):
        if (
            re.search(r"[/\\\0]", name)
            or name in (".", "..")
            or (path.parent / name).resolve().parent != (path.resolve().parent)
        ):
            raise FileError(
                f"{path.name} says that a part of it is {name[:80]!r}, outside of its folder; it is not read. Put all "
                "parts into one folder, or save the set as one file."
            )
        if not (path.parent / name).is_file():
            raise FileError(
                f"{path.name} is a part of a set; {name[:80]!r} belongs to it and does not lie beside it. Add that "
                "file, or save the set as one file."
            )
    return bool(others)


@contextmanager
def _complaints() -> Iterator[list[tuple[bool, str]]]:
    """(whether it is about the chain of pages, what) of the errors that tifffile logs in this thread.

    They are kept from the log. Those about tags are harmless where the numbers can be read.
    """
    complaints: list[tuple[bool, str]] = []
    own = get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != own:
            return True
        if record.levelno >= logging.ERROR:
            complaints.append((record.funcName == "_seek", " ".join(record.getMessage().split())[:160]))
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(keep)
    try:
        yield complaints
    finally:
        logger.removeFilter(keep)

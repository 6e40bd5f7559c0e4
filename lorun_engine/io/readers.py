"""Reading arrays from files by their content: MAT, HDF5, NumPy, TIFF, pictures, ENVI and tables of numbers.

Every reader checks what a header claims against the file and the memory limit before it allocates anything. Nothing is
ever unpickled.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError

LARGEST_ARRAY = 8 << 30  # bytes; a 2048 x 2048 x 200 cube of 64-bit numbers is 6.7e9
LARGEST_PICTURE = 300_000_000  # pixels; above this a picture is taken for a decompression bomb
MOST_ARRAYS = 500
KNOWN = "MAT, HDF5, NumPy, TIFF, PNG, JPEG, BMP, ENVI or a table of numbers"


@dataclass(frozen=True)
class FoundArray:
    """One array of a file as it is stored.

    `key` is its name in the file ("" where files hold one array), `axes` its axes where the file states them, such as
    "YX", "YXC" or "CYX", else "". `attributes` are what the file says of it: wavelengths_nm, scale, step, source, ...
    `notes` are sentences about what reading changed.
    """

    path: Path
    key: str
    array: np.ndarray
    axes: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(path: Path | str, *, key: str | None = None) -> list[FoundArray]:
    """The numeric arrays of a file, or only the one called `key`. Raises FileError with a sentence."""
    path = Path(path)
    head = _head(path)
    reader = _reader_for(path, head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn of damage that the checks below turn into sentences
            found = reader(path)
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(f"{path.name} holds more than fits into memory. Crop it or use a larger machine.") from error
    except Exception as error:  # libraries raise anything on damaged files
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileError(
            f"{path.name} is damaged or cut short and cannot be read ({reason}). Get the file again."
        ) from error
    found = [entry for entry in found if entry.array.size and entry.array.ndim]
    if key is not None:
        named = [entry for entry in found if entry.key == key]
        if not named:
            names = ", ".join(entry.key for entry in found if entry.key) or "none with a name"
            raise FileError(f"{path.name} holds no array called {key!r}; it holds {names}. Choose one of these.")
        found = named
    if not found:
        raise FileError(f"{path.name} holds no numbers that could be an image. Choose another file.")
    return found


def read_wavelengths(path: Path | str) -> np.ndarray:
    """The band centres in nm that a file lists: a text table (first column) or any array file with one vector."""
    for entry in read(path):
        column = entry.array.squeeze()
        column = column[:, 0] if column.ndim == 2 and column.shape[1] <= 3 else column
        if column.ndim == 1 and column.size:
            return as_nanometres(column)
    raise FileError(f"{Path(path).name} holds no list of wavelengths. Give a file with one number per band.")


def as_nanometres(values: Any, unit: str = "") -> np.ndarray:
    """Wavelengths as float64 nm; micrometres are told by their unit or by values below 30."""
    values = np.asarray(values, dtype=np.float64).ravel()
    is_micrometres = unit.lower().startswith(("mic", "um", "µm")) or (values.size > 0 and 0 < values.max() < 30)
    return values * 1000 if is_micrometres else values


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; a file was expected. Open the files in it.")
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist. Check the path.") from error
    except OSError as error:
        raise FileError(
            f"{path} cannot be opened: {error.strerror or error}. Check the path and its rights."
        ) from error
    if not head:
        raise FileError(f"{path.name} is empty. Choose another file.")
    return head


def _reader_for(path: Path, head: bytes) -> Callable[[Path], list[FoundArray]]:
    """The reader that the first bytes ask for; the suffix decides nothing but where ENVI keeps its header."""
    if head.startswith(b"MATLAB 7.3") or (head.startswith(b"MATLAB") and head[512:520] == b"\x89HDF\r\n\x1a\n"):
        return _read_mat_73
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5
    if head.startswith(b"MATLAB 5.0"):
        return _read_mat_5
    if head.startswith(b"\x93NUMPY"):
        return _read_npy
    if head.startswith(b"PK\x03\x04"):
        return _read_npz
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _read_tiff
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM")):
        return _read_picture
    if head.lstrip().startswith(b"ENVI") or _envi_header_of(path) is not None:
        return _read_envi
    if _looks_like_a_table(head):
        return _read_table
    raise FileError(f"{path.name} is of no kind that LoRun knows ({KNOWN} was expected). Choose another file.")


def _require_size(path: Path, what: str, num_bytes: int, available: int | None = None) -> None:
    """Refuses what claims more bytes than the file has or the limit allows."""
    name = f"{path.name}, {what}" if what else path.name
    if available is not None and num_bytes > available:
        raise FileError(
            f"{name} claims {num_bytes} bytes of data; the file has {max(available, 0)}. "
            "It is cut short or its header is wrong; get the file again."
        )
    if num_bytes > LARGEST_ARRAY:
        raise FileError(
            f"{name} claims {num_bytes / 2**30:.3g} GiB; at most {LARGEST_ARRAY >> 30} GiB are read at once. Crop the file."
        )


# ---- one reader a format -----------------------------------------------------------------------------------------


def _read_mat_5(path: Path) -> list[FoundArray]:
    import scipy.io

    wanted = []
    for name, shape, kind in scipy.io.whosmat(path):
        item_size = {
            "double": 8,
            "int64": 8,
            "uint64": 8,
            "single": 4,
            "int32": 4,
            "uint32": 4,
            "int16": 2,
            "uint16": 2,
        }
        if kind in item_size or kind in ("int8", "uint8", "logical"):
            # values may be stored in a smaller type and the whole be deflated, at best to about a thousandth
            smallest = math.prod(int(n) for n in shape)
            _require_size(path, name, smallest * item_size.get(kind, 1))
            _require_size(path, name, smallest, path.stat().st_size * 1032 + 1024)
            wanted.append(name)
    contents = scipy.io.loadmat(path, variable_names=wanted) if wanted else {}
    return [
        FoundArray(path, name, np.asarray(contents[name])) for name in wanted if _is_numeric(np.asarray(contents[name]))
    ]


def _read_mat_73(path: Path) -> list[FoundArray]:
    """MATLAB v7.3 is HDF5 with the axes in reverse order."""
    found = _read_hdf5(path)
    return [
        replace(entry, array=np.ascontiguousarray(entry.array.T), axes=entry.axes[::-1])
        for entry in found
        if not entry.key.startswith("#")
    ]


def _read_hdf5(path: Path) -> list[FoundArray]:
    import h5py

    found: list[FoundArray] = []
    with h5py.File(path, "r") as file:
        common = _attributes(file.attrs)

        def visit(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or len(found) >= MOST_ARRAYS or item.dtype.kind not in "biuf":
                return
            if item.shape is None or 0 in item.shape or not item.shape:
                return
            num_bytes = math.prod(item.shape) * item.dtype.itemsize
            stored = item.id.get_storage_size()
            # compressed chunks may be far smaller than their contents, contiguous data may not
            _require_size(path, name, num_bytes, None if item.chunks else max(stored, 0))
            if item.chunks and num_bytes > max(stored, 1) * 2000 and num_bytes > 1 << 28:
                raise FileError(
                    f"{path.name}, {name} claims {num_bytes} bytes but stores {stored}. The file is damaged; get it again."
                )
            attributes = {**common, **_attributes(item.attrs)}
            axes = attributes.get("axes", "")
            found.append(FoundArray(path, name, item[()], axes if isinstance(axes, str) else "", attributes))

        file.visititems(visit)
    return found


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Text as str, numbers as Python numbers or arrays; what is neither is left out."""
    plain: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (str, int, float)) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf"):
            plain[name] = value
    return plain


def _read_npy(path: Path) -> list[FoundArray]:
    with open(path, "rb") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        offset = stream.tell()
    if dtype.hasobject:
        raise FileError(f"{path.name} holds pickled Python objects, which are never opened. Save it as plain numbers.")
    if not _is_numeric(np.empty(0, dtype)):
        raise FileError(f"{path.name} holds values of type {dtype}; plain numbers were expected. Save it as numbers.")
    _require_size(path, "", math.prod(shape) * dtype.itemsize, path.stat().st_size - offset)
    return [FoundArray(path, "", np.load(path, allow_pickle=False))]


def _read_npz(path: Path) -> list[FoundArray]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        names = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")][:MOST_ARRAYS]
        for entry in names:
            _require_size(path, entry.filename, entry.file_size)
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                first = version == (1, 0)
                shape, _, dtype = (
                    np.lib.format.read_array_header_1_0(stream)
                    if first
                    else np.lib.format.read_array_header_2_0(stream)
                )
            if dtype.hasobject:
                raise FileError(
                    f"{path.name} holds pickled Python objects, which are never opened. Save plain numbers."
                )
            _require_size(path, entry.filename, math.prod(shape) * dtype.itemsize, entry.file_size)
    with np.load(path, allow_pickle=False) as contents:
        arrays = {name: contents[name] for name in contents.files}
    return [FoundArray(path, name, array) for name, array in arrays.items() if _is_numeric(array)]


def _read_tiff(path: Path) -> list[FoundArray]:
    import tifffile

    found = []
    with tifffile.TiffFile(path) as tiff:
        shaped = (tiff.shaped_metadata or ({},))[0]
        for number, series in enumerate(tiff.series[:MOST_ARRAYS]):
            _require_size(path, "", math.prod(series.shape) * np.dtype(series.dtype).itemsize)
            stored = sum(sum(page.databytecounts) for page in series.pages if page is not None)
            _require_size(path, "", stored, path.stat().st_size)
            attributes = {name: value for name, value in shaped.items() if name not in ("shape", "axes")}
            if "wavelengths_nm" in attributes:
                attributes["wavelengths_nm"] = np.asarray(attributes["wavelengths_nm"], dtype=np.float64)
            axes = series.axes.replace("S", "C").replace("Q", "C" if series.axes.count("Q") == 1 else "Q")
            array = series.asarray()
            keep = [i for i, size in enumerate(array.shape) if size > 1 or array.ndim <= 2]
            axes = "".join(axes[i] for i in keep) if len(axes) == array.ndim else ""
            array = array.squeeze() if array.ndim > 2 else array
            axes = axes if set(axes) <= set("CYX") and len(set(axes)) == len(axes) else ""
            found.append(FoundArray(path, f"series {number}" if number else "", array, axes, attributes))
    return found


def _read_picture(path: Path) -> list[FoundArray]:
    from PIL import Image, ImageOps

    notes = []
    with Image.open(path) as picture:
        if picture.width * picture.height > LARGEST_PICTURE:
            raise FileError(
                f"{path.name} claims {picture.width} x {picture.height} pixels; at most {LARGEST_PICTURE} are read. Crop it."
            )
        turned = ImageOps.exif_transpose(picture)
        if turned.size != picture.size or (picture.getexif().get(0x0112, 1) != 1):
            notes.append(f"{path.name} was turned as its EXIF orientation says.")
        if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
            notes.append(f"The transparency of {path.name} was dropped.")
        grey = turned.mode in ("1", "L", "LA", "I", "F") or turned.mode.startswith("I;16")
        if turned.mode == "P":
            palette = np.asarray(turned.getpalette() or []).reshape(-1, 3)
            grey = bool((palette == palette[:, :1]).all())
        if turned.mode in ("I", "F") or turned.mode.startswith("I;16"):
            array = np.asarray(turned)
            array = array.astype(np.uint16) if turned.mode == "I" and array.max(initial=0) < 65536 else array
        else:
            array = np.asarray(turned.convert("L" if grey else "RGB"))
    return [FoundArray(path, "", array, "YX" if array.ndim == 2 else "YXC", notes=tuple(notes))]


def _envi_header_of(path: Path) -> Path | None:
    """The ENVI header that belongs to a data file: scene.hdr or scene.img.hdr beside it."""
    for candidate in (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr")):
        try:
            if candidate != path and candidate.is_file() and candidate.read_bytes()[:4] == b"ENVI":
                return candidate
        except (OSError, ValueError):
            continue
    return None


def _envi_data_of(header: Path) -> Path:
    """The data file of an ENVI header."""
    stem = header.with_suffix("")
    for candidate in (
        stem,
        *(header.with_suffix(suffix) for suffix in (".img", ".raw", ".dat", ".bin", ".IMG", ".RAW", ".DAT")),
    ):
        if candidate.is_file() and candidate != header:
            return candidate
    raise FileError(
        f"{header.name} is an ENVI header; no data file ({stem.name}, .img, .raw, .dat) lies beside it. Add it."
    )


def _read_envi(path: Path) -> list[FoundArray]:
    from spectral.io import envi

    header_path = path if _head(path).lstrip().startswith(b"ENVI") else _envi_header_of(path)
    data_path = _envi_data_of(header_path) if header_path == path else path
    header = envi.read_envi_header(str(header_path))
    missing = [name for name in ("lines", "samples", "bands", "data type") if name not in header]
    if missing:
        raise FileError(f"{header_path.name} lacks {', '.join(missing)}, which an ENVI header must state. Add it.")
    header.setdefault("byte order", "0")
    header.setdefault("interleave", "bsq")
    offset = int(header.get("header offset", 0))
    sizes = {name: int(header[name]) for name in ("lines", "samples", "bands")}
    dtype = np.dtype(envi.envi_to_dtype.get(str(header["data type"]), "V"))
    if dtype.kind not in "iuf" or min(sizes.values()) < 1:
        raise FileError(f"{header_path.name} states data type {header['data type']}; real numbers were expected.")
    num_bytes = math.prod(sizes.values()) * dtype.itemsize
    has = data_path.stat().st_size
    if has < offset + num_bytes:
        raise FileError(
            f"{data_path.name} has {has} bytes; its header asks for {offset} + {sizes['lines']} lines x {sizes['samples']} "
            f"samples x {sizes['bands']} bands x {dtype.itemsize} bytes = {offset + num_bytes}. Correct the header or get the "
            "data again."
        )
    _require_size(data_path, "", num_bytes)
    dtype = dtype.newbyteorder(">" if str(header["byte order"]).strip() == "1" else "<")
    flat = np.fromfile(data_path, dtype=dtype, count=math.prod(sizes.values()), offset=offset)
    array = _from_interleave(flat, str(header["interleave"]).strip().lower(), sizes)
    array = np.ascontiguousarray(array, dtype=dtype.newbyteorder("="))  # (lines, samples, bands)
    notes, attributes = (), {}
    if "data ignore value" in header:
        ignored = array == np.asarray(float(header["data ignore value"]), dtype=array.dtype)
        if ignored.any() and array.dtype.kind == "f":
            array = np.where(ignored, np.nan, array).astype(array.dtype)
            notes = (f"{int(ignored.sum())} values of {data_path.name} are marked as missing.",)
    if "wavelength" in header:
        attributes["wavelengths_nm"] = as_nanometres(header["wavelength"], str(header.get("wavelength units", "")))
    if "reflectance scale factor" in header:
        attributes["scale"] = float(header["reflectance scale factor"])
    if "description" in header:
        attributes["source"] = str(header["description"])
    if sizes["bands"] == 1:
        return [FoundArray(data_path, "", array[..., 0], "YX", attributes, notes)]
    return [FoundArray(data_path, "", array, "YXC", attributes, notes)]


def _from_interleave(flat: np.ndarray, interleave: str, sizes: Mapping[str, int]) -> np.ndarray:
    lines, samples, bands = sizes["lines"], sizes["samples"], sizes["bands"]
    if interleave == "bip":
        return flat.reshape(lines, samples, bands)
    if interleave == "bil":
        return flat.reshape(lines, bands, samples).transpose(0, 2, 1)
    if interleave == "bsq":
        return flat.reshape(bands, lines, samples).transpose(1, 2, 0)
    raise FileError(
        f"The ENVI interleave {interleave!r} is not known; bsq, bil or bip was expected. Correct the header."
    )


def _looks_like_a_table(head: bytes) -> bool:
    """Whether the first lines are numbers between separators, below at most a line of titles."""
    try:
        lines = [line.strip() for line in head.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return False
    lines = [line for line in lines if not line.startswith("#")]
    return len(lines) > 0 and any(_numbers_in(line) for line in lines[:2])


def _numbers_in(line: str) -> list[float]:
    try:
        return [float(word) for word in line.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        return []


def _read_table(path: Path) -> list[FoundArray]:
    _require_size(path, "", path.stat().st_size * 4)
    lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    rows = [_numbers_in(line) for line in (lines if _numbers_in(lines[0]) else lines[1:])]
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise FileError(f"{path.name} is text, but not a table of numbers with equal rows. Choose another file.")
    return [FoundArray(path, "", np.asarray(rows))]


def _is_numeric(array: np.ndarray) -> bool:
    return array.dtype.kind in "biuf"

"""Reading arrays from files by their content: MAT, HDF5, NumPy, TIFF, pictures, ENVI and tables of numbers.

Every reader checks what a header claims against the file and the memory limit before it allocates anything. Nothing is
ever unpickled.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError
from .matlab import read_mat_5
from .sizes import DEFLATED, require_size

if TYPE_CHECKING:
    from PIL import Image

SMALL = 1 << 28  # bytes; up to here nobody asks how much of a chunked HDF5 array is stored
LONGEST_TEXT = 16 << 20  # bytes of a table of numbers or of an ENVI header
MOST_ARRAYS = 500
MOST_AXES = 3  # longer than 1; the stages of a restoration have four and are not read with its cube
NUMBERS = "biuf"  # kinds of NumPy types
TIFF_COMPRESSIONS = (1, 8, 32946)  # none and deflate; Pillow knows the others
ENVI_DATA = (".img", ".raw", ".dat", ".bin", ".bsq", ".bil", ".bip")
EXIF_ORIENTATION = 0x0112
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


def is_wavelengths(array: np.ndarray) -> bool:
    """Whether a list rises or falls steadily between 200 and 3000 nm, or between 0.2 and 3 micrometres."""
    if sum(length > 1 for length in array.shape) != 1:
        return False
    values = np.asarray(array, dtype=np.float64).ravel()
    steps = np.diff(values)
    if not (np.isfinite(values).all() and (np.all(steps > 0) or np.all(steps < 0))):
        return False
    return any(low <= values.min() and values.max() <= high for low, high in ((200, 3000), (0.2, 3)))


def as_nanometres(values: Any, unit: str = "") -> np.ndarray:
    """Wavelengths as float64 nm; micrometres are told by their unit or by values below 30."""
    values = np.asarray(values, dtype=np.float64).ravel()
    is_micrometres = unit.lower().startswith(("mic", "um", "µm")) or (values.size > 0 and 0 < values.max() < 30)
    in_nm: np.ndarray = values * 1000 if is_micrometres else values
    return in_nm


def envi_header_of(path: Path) -> Path | None:
    """The ENVI header that belongs to a data file: scene.hdr or scene.img.hdr beside it."""
    for candidate in (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr")):
        if candidate != path and candidate.is_file() and _head(candidate).lstrip().startswith(b"ENVI"):
            return candidate
    return None


def _head(path: Path) -> bytes:
    try:
        if not path.exists():
            raise FileError(f"{path} does not exist. Check the path.")
        if path.is_dir():
            raise FileError(f"{path} is a folder; a file was expected. Open the files in it.")
        if not path.is_file():
            raise FileError(f"{path} is no ordinary file. Choose a file on a disk.")
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{path} cannot be opened: {reason}. Check the path and its rights.") from error
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
    if head.lstrip().startswith(b"ENVI") or envi_header_of(path) is not None:
        return _read_envi
    if _looks_like_a_table(head):
        return _read_table
    raise FileError(f"{path.name} is of no kind that LoRun knows ({KNOWN} was expected). Choose another file.")


# ---- one reader a format -----------------------------------------------------------------------------------------


def _read_mat_5(path: Path) -> list[FoundArray]:
    return [FoundArray(path, name, array) for name, array in read_mat_5(path)]


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
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in NUMBERS or len(found) >= MOST_ARRAYS:
                return
            if not item.shape or 0 in item.shape or sum(length > 1 for length in item.shape) > MOST_AXES:
                return
            if item.chunks is not None:  # a packed chunk is unpacked whole
                chunk = math.prod(item.chunks) * item.dtype.itemsize
                require_size(path, f"a chunk of {name}", chunk, stored=max(item.nbytes, SMALL))
            packed = 1 if item.chunks is None else 2 * DEFLATED  # shuffled zeros shrink further
            if item.chunks is None or item.nbytes > SMALL:  # what no chunk stores is filled in
                require_size(path, name, item.nbytes, stored=item.id.get_storage_size(), packed=packed)
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
        array = _npy_array(path, "", stream, stored=path.stat().st_size)
    return [FoundArray(path, "", array)]


def _read_npz(path: Path) -> list[FoundArray]:
    import zipfile

    found, refused = [], None
    with zipfile.ZipFile(path) as archive:
        for entry in [entry for entry in archive.infolist() if entry.filename.endswith(".npy")][:MOST_ARRAYS]:
            require_size(path, entry.filename, entry.file_size, stored=entry.compress_size, packed=DEFLATED)
            with archive.open(entry) as stream:
                try:
                    array = _npy_array(path, entry.filename, stream, stored=entry.file_size)
                    found.append(FoundArray(path, entry.filename.removesuffix(".npy"), array))
                except _NoNumbers as error:
                    refused = error
    if refused is not None and not found:
        raise refused
    return found


class _NoNumbers(FileError):
    """An array of another kind than numbers; the others of its file may still be read."""


def _npy_array(path: Path, name: str, stream: IO[bytes], *, stored: int) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    is_first = version == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise _NoNumbers(f"{path.name} holds pickled Python objects, which are never opened. Save it as plain numbers.")
    if dtype.kind not in NUMBERS:
        raise _NoNumbers(f"{path.name} holds values of type {dtype}; plain numbers were expected. Save it as numbers.")
    require_size(path, name, math.prod(shape) * dtype.itemsize, stored=stored)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _read_tiff(path: Path) -> list[FoundArray]:
    import tifffile

    found = []
    with _complaints("tifffile") as complaints, tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
                require_size(path, "", offset + length, stored=path.stat().st_size)
        first = tiff.pages.first
        if first.photometric == tifffile.PHOTOMETRIC.PALETTE or first.compression not in TIFF_COMPRESSIONS:
            return _read_picture(path)
        shaped = (tiff.shaped_metadata or ({},))[0]
        attributes = {name: value for name, value in shaped.items() if name not in ("shape", "axes")}
        if "wavelengths_nm" in attributes:
            attributes["wavelengths_nm"] = np.asarray(attributes["wavelengths_nm"], dtype=np.float64)
        for number, series in enumerate(tiff.series[:MOST_ARRAYS]):
            require_size(path, "", series.nbytes, stored=path.stat().st_size, packed=DEFLATED)
            if series.dataoffset is not None:  # one block
                require_size(path, "", series.dataoffset + series.nbytes, stored=path.stat().st_size)
            array = series.asarray()
            axes = "".join(name if name in "YX" else "C" for name in series.axes)
            key = f"series {number}" if number else ""
            found.append(FoundArray(path, key, array, axes if axes in ("YX", "CYX", "YXC") else "", attributes))
    if complaints:
        raise FileError(f"{path.name} is damaged or cut short: {complaints[0]}. Get the file again.")
    return found


@contextmanager
def _complaints(library: str) -> Iterator[list[str]]:
    """The errors that a library logs instead of raising them, kept from the log."""
    complaints: list[str] = []
    logger = logging.getLogger(library)

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            complaints.append(" ".join(record.getMessage().split())[:160])
        return False

    logger.addFilter(keep)
    try:
        yield complaints
    finally:
        logger.removeFilter(keep)


def _read_picture(path: Path) -> list[FoundArray]:
    from PIL import Image, ImageOps, ImageSequence

    try:
        picture = Image.open(path, formats=("PNG", "JPEG", "BMP", "TIFF"))
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise FileError(f"{path.name} claims more pixels than the {most} a picture may have. Crop it.") from error
    with picture:
        if getattr(picture, "n_frames", 1) > 1 and picture.format == "TIFF":
            return [FoundArray(path, "", np.stack([_pixels(page) for page in ImageSequence.Iterator(picture)]), "CYX")]
        notes = []
        is_deep = ";16" in str(picture.tile)  # known until the pixels are loaded
        turned = ImageOps.exif_transpose(picture)
        if picture.getexif().get(EXIF_ORIENTATION, 1) != 1:
            notes.append(f"{path.name} was turned as its EXIF orientation says.")
        if picture.mode in ("RGB", "RGBA", "LA") and is_deep:
            notes.append(
                f"{path.name} has 16 bits, of which its 8 upper ones were read. Save it as TIFF to keep them all."
            )
        if turned.has_transparency_data:
            notes.append(f"The transparency of {path.name} was dropped.")
        array = _pixels(turned)
    if array.ndim == 3 and (array == array[..., :1]).all():
        array = array[..., 0]
        notes.append(f"{path.name} is grey throughout; its three equal colours were read as one.")
    return [FoundArray(path, "", array, "YX" if array.ndim == 2 else "YXC", notes=tuple(notes))]


def _pixels(picture: Image.Image) -> np.ndarray:
    """(H, W) of a grey picture in its own depth, else (H, W, 3) of 8 bits; palettes are looked up."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture)
    palette = np.asarray(picture.getpalette() or [], dtype=np.uint8).reshape(-1, 3)
    is_grey = picture.mode in ("1", "L", "LA") or (picture.mode == "P" and bool((palette == palette[:, :1]).all()))
    return np.asarray(picture.convert("L" if is_grey else "RGB"))


def _envi_data_of(header: Path) -> Path:
    """The data file of an ENVI header."""
    stem = header.with_suffix("")
    suffixes = (*ENVI_DATA, *(suffix.upper() for suffix in ENVI_DATA))
    for candidate in (stem, *(header.with_suffix(suffix) for suffix in suffixes)):
        if candidate.is_file():
            return candidate
    raise FileError(
        f"{header.name} is an ENVI header; no data file ({stem.name} with {', '.join(ENVI_DATA)} or nothing) lies "
        "beside it. Add it."
    )


def _read_envi(path: Path) -> list[FoundArray]:
    from spectral.io import envi

    is_header = _head(path).lstrip().startswith(b"ENVI")
    header_path = path if is_header else envi_header_of(path) or path
    data_path = _envi_data_of(path) if is_header else path
    _require_short_text(header_path)
    header = envi.read_envi_header(str(header_path))
    missing = [name for name in ("lines", "samples", "bands", "data type") if name not in header]
    if missing:
        raise FileError(f"{header_path.name} lacks {', '.join(missing)}, which an ENVI header must state. Add it.")
    sizes, offset, dtype = _envi_layout(header_path, header)
    claimed, stored = offset + math.prod(sizes.values()) * dtype.itemsize, data_path.stat().st_size
    if claimed > stored:
        raise FileError(
            f"{data_path.name} has {stored} bytes; its header asks for {offset} + {sizes['lines']} lines x "
            f"{sizes['samples']} samples x {sizes['bands']} bands x {dtype.itemsize} bytes = {claimed}. "
            "Correct the header or get the data again."
        )
    require_size(data_path, "", claimed)
    flat = np.fromfile(data_path, dtype=dtype, count=math.prod(sizes.values()), offset=offset)
    array = _from_interleave(flat, str(header.get("interleave", "bsq")).strip().lower(), sizes)
    array = np.ascontiguousarray(array, dtype=dtype.newbyteorder("="))  # (lines, samples, bands)
    notes: tuple[str, ...] = ()
    if "data ignore value" in header:
        ignored = array == float(header["data ignore value"])
        if ignored.any():
            array = np.where(ignored, np.float32(np.nan), array)
            notes = (f"{int(ignored.sum())} values of {data_path.name} are marked as missing.",)
    attributes = _envi_attributes(header)
    if sizes["bands"] == 1:
        return [FoundArray(data_path, "", array[..., 0], "YX", attributes, notes)]
    return [FoundArray(data_path, "", array, "YXC", attributes, notes)]


def _envi_layout(path: Path, header: Mapping[str, Any]) -> tuple[dict[str, int], int, np.dtype]:
    """Sizes, bytes before the data, and type of the numbers."""
    from spectral.io import envi

    try:
        sizes = {name: int(header[name]) for name in ("lines", "samples", "bands")}
        offset = int(header.get("header offset", 0))
    except (TypeError, ValueError):
        sizes, offset = {}, -1
    if offset < 0 or min(sizes.values()) < 1:
        raise FileError(
            f"{path.name} states sizes that are no counts. Correct lines, samples, bands and header offset."
        )
    dtype = np.dtype(envi.envi_to_dtype.get(str(header["data type"]), "V"))
    if dtype.kind not in NUMBERS:
        raise FileError(f"{path.name} states data type {header['data type']}; real numbers were expected.")
    return sizes, offset, dtype.newbyteorder(">" if str(header.get("byte order", "0")).strip() == "1" else "<")


def _envi_attributes(header: Mapping[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if "wavelength" in header:
        attributes["wavelengths_nm"] = as_nanometres(header["wavelength"], str(header.get("wavelength units", "")))
    if "reflectance scale factor" in header:
        attributes["scale"] = float(header["reflectance scale factor"])
    if "description" in header:
        attributes["source"] = str(header["description"])
    return attributes


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


def _require_short_text(path: Path) -> None:
    """Refuses text that would take minutes to read."""
    size = path.stat().st_size
    if size > LONGEST_TEXT:
        raise FileError(
            f"{path.name} is a text of {size >> 20} MiB; at most {LONGEST_TEXT >> 20} MiB are read. "
            "Save the numbers as .npy or .h5."
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
    _require_short_text(path)
    lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    rows = [_numbers_in(line) for line in (lines if _numbers_in(lines[0]) else lines[1:])]
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise FileError(f"{path.name} is text, but not a table of numbers with equal rows. Choose another file.")
    return [FoundArray(path, "", np.asarray(rows))]

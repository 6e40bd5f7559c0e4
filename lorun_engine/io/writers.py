"""Cubes, measurements and spectra written as other programs expect them, each file whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import FileError
from .atomic import replacing
from .envi import plain, write_envi_header
from .readers import envi_header_of
from .reading import reading_of

if TYPE_CHECKING:
    import h5py

    from ..measurement import Measurement

Attributes = Mapping[str, Any]
Protected = tuple[Path | str, ...]
HDF5_SUFFIXES = (".h5", ".hdf5")
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a cell with a formula begins with
LARGEST_MAT = (1 << 32) - (1 << 20)  # bytes; lengths in MATLAB v5 have 32 bits


def write_cube(
    path: Path | str,
    image: np.ndarray,
    *,
    wavelengths_nm: np.ndarray | None,
    attributes: Attributes,
    protected: Iterable[Path | str] = (),
) -> None:
    """Writes a (C, H, W) float32 cube as the suffix says: .h5, .mat, .tif, .hdr (ENVI), .npy, or .png for photographs.

    HDF5 holds `cube` (H, W, C) with `wavelengths_nm` and `attributes`; MATLAB v5 the key `cube`; TIFF and ENVI carry
    the wavelengths; NumPy holds (H, W, C) alone; PNG takes one or three channels in 0..1. None of the `protected` files
    is overwritten.
    """
    path = Path(path)
    require_cube_name(path, num_bands=len(image))
    write = {**CUBE_FORMATS, **PICTURE_FORMATS}[path.suffix.lower()]
    write(path, np.asarray(image, dtype=np.float32), wavelengths_nm, attributes, tuple(protected))


def require_cube_name(path: Path, *, num_bands: int | None = None, with_stages: bool = False) -> None:
    """Refuses a name that ends like no file that a cube of so many bands, or its stages, can be written to."""
    if with_stages and path.suffix.lower() not in HDF5_SUFFIXES:
        raise FileError(f"{path.name} cannot hold all images of a decode; HDF5 can. Choose a name that ends in .h5.")
    if path.suffix.lower() not in {**CUBE_FORMATS, **PICTURE_FORMATS}:
        raise FileError(
            f"{path.name} ends in {path.suffix or 'nothing'}; cubes are written as {', '.join(CUBE_FORMATS)}. "
            "Choose one of these."
        )
    if path.suffix.lower() in PICTURE_FORMATS and num_bands not in (None, 1, 3):
        raise FileError(f"{path.name}: a PNG holds grey or colours, this has {num_bands} bands. Choose another format.")


@contextmanager
def cube_file(
    path: Path | str, *, wavelengths_nm: np.ndarray | None, protected: Iterable[Path | str] = ()
) -> Iterator[CubeFile]:
    """An HDF5 cube to which stages are added while a restoration runs; it appears only if `finish` was called."""
    require_cube_name(Path(path), with_stages=True)
    with suppress(_Unfinished), replacing(path, protected=protected) as temporary:
        with _new_hdf5_on_disk(temporary) as (file, disk):
            cube = CubeFile(file, wavelengths_nm, disk)
            yield cube
        if not cube.is_finished:
            raise _Unfinished  # out of `replacing`, which then drops the file


class CubeFile:
    """What `cube_file` opens: `stages` is (K, H, W, C), `initial` (H, W, C), `cube` the last image."""

    def __init__(self, file: h5py.File, wavelengths_nm: np.ndarray | None, disk: _Disk) -> None:
        self._file, self._disk = file, disk
        self._wavelengths_nm = wavelengths_nm
        self.is_finished = False

    def add_stage(self, index: int, image: np.ndarray) -> None:
        """Adds the (C, H, W) image of stage `index`; 0 is the initial estimate. Raises OSError on a full disk."""
        stored = np.moveaxis(image, 0, -1)
        if index == 0:
            self._file.create_dataset("initial", data=stored)
        else:
            stages = self._stages(stored.shape)
            stages.resize(index, axis=0)
            stages[index - 1] = stored
        self._disk.require()

    def finish(self, image: np.ndarray, *, attributes: Attributes) -> None:
        """Adds the final (C, H, W) cube and lets the file appear when the block ends."""
        _fill_hdf5(self._file, image, self._wavelengths_nm, attributes)
        self.is_finished = True

    def _stages(self, shape: tuple[int, ...]) -> h5py.Dataset:
        """The stages up to now, each of this shape."""
        if "stages" in self._file:
            return self._file["stages"]
        return self._file.create_dataset(
            "stages", shape=(0, *shape), maxshape=(None, *shape), chunks=(1, *shape), dtype="f4"
        )


class _Unfinished(Exception):
    """The block of a cube file ended before its cube was complete."""


def write_measurement(
    path: Path | str, measurement: Measurement, *, attributes: Attributes, protected: Iterable[Path | str] = ()
) -> None:
    """Writes a measurement as HDF5 with what decoding needs, its reference and wavelengths; opens without a flag."""
    path = Path(path)
    require_measurement_name(path)
    companions, known = reading_of(measurement.task).stored(measurement)
    with replacing(path, protected=protected) as temporary, _new_hdf5(temporary) as file:

        def add(name: str, array: np.ndarray, axes: str) -> None:
            file.create_dataset(name, data=array, compression="gzip", shuffle=True).attrs["axes"] = axes

        add("measurement", *((measurement.y[0], "YX") if len(measurement.y) == 1 else (measurement.y, "CYX")))
        for name, array, axes in companions:
            add(name, array, axes)
        if measurement.reference is not None:
            add("reference", np.moveaxis(measurement.reference, 0, -1), "YXC")
        if measurement.wavelengths_nm is not None:
            file.create_dataset("wavelengths_nm", data=np.asarray(measurement.wavelengths_nm, dtype=np.float64))
        if measurement.input_scale is not None:
            file.attrs["input_scale"] = measurement.input_scale
        file.attrs.update({"task": measurement.task, **known, **attributes})


def require_measurement_name(path: Path) -> None:
    """Refuses a name that ends like no file that a measurement can be written as."""
    if path.suffix.lower() not in HDF5_SUFFIXES:
        raise FileError(f"{path.name} ends in {path.suffix or 'nothing'}; measurements are written as HDF5. Use .h5.")


def write_spectra_csv(
    path: Path | str,
    wavelengths_nm: np.ndarray | None,
    spectra: Mapping[str, Sequence[float]],
    *,
    protected: Iterable[Path | str] = (),
) -> None:
    """Writes one row a band: wavelength_nm (or band, from 1) and one column per named spectrum."""
    length = len(next(iter(spectra.values())))
    first = (
        [band + 1 for band in range(length)] if wavelengths_nm is None else [f"{value:g}" for value in wavelengths_nm]
    )
    rows = ([row[0], *map(float, row[1:])] for row in zip(first, *spectra.values(), strict=True))
    titles = ["band" if wavelengths_nm is None else "wavelength_nm", *spectra]
    write_table(path, titles, rows, protected=protected)


def write_table(
    path: Path | str,
    titles: Sequence[str],
    rows: Iterable[Sequence[str | float]],
    *,
    protected: Iterable[Path | str] = (),
) -> None:
    """Writes a CSV table of names and numbers; a name that a spreadsheet would take for a formula gets a '."""
    with (
        replacing(path, protected=protected) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        for row in (titles, *rows):
            table.writerow([_cell(value) for value in row])


def _cell(value: str | float) -> str | int:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    return repr(float(value)) if isinstance(value, float) else value


# ---- one writer a format: (path, cube (C, H, W), wavelengths, attributes, protected) ------------------------------


def _write_hdf5(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    with replacing(path, protected=protected) as temporary, _new_hdf5(temporary) as file:
        _fill_hdf5(file, image, wavelengths_nm, attributes)


@contextmanager
def _new_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to be filled; raises OSError when its disk is full, as other files do."""
    with _new_hdf5_on_disk(path) as (file, _):
        yield file


@contextmanager
def _new_hdf5_on_disk(path: Path) -> Iterator[tuple[h5py.File, _Disk]]:
    """The same with what it is written to, which is asked whether all could be written up to now."""
    import h5py

    with _on_disk(path) as disk, h5py.File(disk, "w") as file:
        yield file, disk


@contextmanager
def _on_disk(path: Path) -> Iterator[_Disk]:
    """What a library writes a file to; raises OSError at the end when its disk is full."""
    with open(path, "r+b", buffering=0) as stream:
        disk = _Disk(stream)
        yield disk
        disk.require()


class _Disk(io.RawIOBase):
    """A file whose failure is kept until it is asked for; what comes after goes nowhere.

    HDF5 cannot close a file that could not be written: it tries again whenever one of its objects vanishes, and crashes
    the process in the end. NumPy, given the system's own file, says nothing when the last part finds no room.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self._failure: BaseException | None = None

    def require(self) -> None:
        """Raises what went wrong up to now: an OSError, or what somebody pressed while it was written."""
        if self._failure is not None:
            raise self._failure

    def seekable(self) -> bool:
        """HDF5 goes to and fro."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        """As of any file."""
        return self._stream.readinto(buffer)

    def write(self, data: Any) -> int:
        """Writes all of `data`, or nothing any more."""
        rest = memoryview(data).cast("B")
        try:
            while rest and self._failure is None:
                rest = rest[self._stream.write(rest) :]
        except BaseException as error:
            self._failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Sets the length of the file."""
        try:
            if self._failure is None:
                self._stream.truncate(size)
        except BaseException as error:
            self._failure = error
        return size or 0


def _fill_hdf5(file: h5py.File, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes) -> None:
    cube = file.create_dataset("cube", data=np.moveaxis(image, 0, -1))
    cube.attrs["axes"] = "YXC"
    if wavelengths_nm is not None:
        cube.attrs["wavelengths_nm"] = np.asarray(wavelengths_nm, dtype=np.float64)
    cube.attrs.update(attributes)


def _write_mat(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    import scipy.io

    if image.nbytes > LARGEST_MAT:
        raise FileError(f"{path.name} would pass 4 GiB, the most that a MATLAB v5 file holds. Use .h5.")
    contents: dict[str, Any] = {"cube": np.moveaxis(image, 0, -1), **attributes}
    if wavelengths_nm is not None:
        contents["wavelengths_nm"] = np.asarray(wavelengths_nm, dtype=np.float64)
    with replacing(path, protected=protected) as temporary, open(temporary, "wb") as stream:
        scipy.io.savemat(stream, contents, do_compression=True)


def _write_tiff(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    import tifffile

    metadata: dict[str, Any] = {"axes": "CYX", **attributes}
    if wavelengths_nm is not None:
        metadata["wavelengths_nm"] = [float(value) for value in wavelengths_nm]
    planes = "separate" if len(image) > 1 else None
    with replacing(path, protected=protected) as temporary, _on_disk(temporary) as disk:
        tifffile.imwrite(cast(IO[bytes], disk), image, photometric="minisblack", planarconfig=planes, metadata=metadata)


def _write_npy(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    with replacing(path, protected=protected) as temporary, _on_disk(temporary) as disk:
        np.save(disk, np.ascontiguousarray(np.moveaxis(image, 0, -1)), allow_pickle=False)


def _write_envi(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    """The data file appears first, the header last, so that a header never points to missing data."""
    num_bands, height, width = image.shape
    description = "; ".join(f"{name}: {value}" for name, value in attributes.items())
    fields = {"description": plain(description), "samples": width, "lines": height, "bands": num_bands}
    headers = [header for given in protected if (header := envi_header_of(Path(given)))]
    with (
        replacing(path, protected=[*protected, *headers]) as header,
        replacing(path.with_suffix(".img"), protected=protected) as data,
    ):
        data.write_bytes(np.ascontiguousarray(image, dtype="<f4").data)
        write_envi_header(header, fields, wavelengths_nm=wavelengths_nm)


def _write_png(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    from PIL import Image

    pixels = np.round(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    with replacing(path, protected=protected) as temporary:
        Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(temporary, format="PNG")


CUBE_FORMATS: dict[str, Callable[[Path, np.ndarray, np.ndarray | None, Attributes, Protected], None]] = {
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".mat": _write_mat,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".hdr": _write_envi,
    ".npy": _write_npy,
}
PICTURE_FORMATS = {".png": _write_png}  # of photographs alone

"""Cubes, measurements and spectra written as other programs expect them, each file whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    write = {**CUBE_FORMATS, **PICTURE_FORMATS}.get(path.suffix.lower())
    if write is None:
        raise FileError(
            f"{path.name} ends in {path.suffix or 'nothing'}; cubes are written as {', '.join(CUBE_FORMATS)}. "
            "Choose one of these."
        )
    write(path, np.asarray(image, dtype=np.float32), wavelengths_nm, attributes, tuple(protected))


@contextmanager
def cube_file(
    path: Path | str, *, wavelengths_nm: np.ndarray | None, protected: Iterable[Path | str] = ()
) -> Iterator[CubeFile]:
    """An HDF5 cube to which stages are added while a restoration runs; it appears only if `finish` was called."""
    if Path(path).suffix.lower() not in HDF5_SUFFIXES:
        raise FileError(f"{Path(path).name} cannot hold stages; HDF5 can. Choose a name that ends in .h5.")
    with suppress(_Unfinished), replacing(path, protected=protected) as temporary:
        with _new_hdf5(temporary) as file:
            cube = CubeFile(file, wavelengths_nm)
            yield cube
        if not cube.is_finished:
            raise _Unfinished  # out of `replacing`, which then drops the file


class CubeFile:
    """What `cube_file` opens: `stages` is (K, H, W, C), `initial` (H, W, C), `cube` the last image."""

    def __init__(self, file: h5py.File, wavelengths_nm: np.ndarray | None) -> None:
        self._file = file
        self._wavelengths_nm = wavelengths_nm
        self.is_finished = False

    def add_stage(self, index: int, image: np.ndarray) -> None:
        """Adds the (C, H, W) image of stage `index`; 0 is the initial estimate."""
        stored = np.moveaxis(image, 0, -1)
        if index == 0:
            self._file.create_dataset("initial", data=stored)
            return
        if "stages" not in self._file:
            shape = stored.shape
            self._file.create_dataset(
                "stages", shape=(0, *shape), maxshape=(None, *shape), chunks=(1, *shape), dtype="f4"
            )
        self._file["stages"].resize(index, axis=0)
        self._file["stages"][index - 1] = stored

    def finish(self, image: np.ndarray, *, attributes: Attributes) -> None:
        """Adds the final (C, H, W) cube and lets the file appear when the block ends."""
        _fill_hdf5(self._file, image, self._wavelengths_nm, attributes)
        self.is_finished = True


class _Unfinished(Exception):
    """The block of a cube file ended before its cube was complete."""


def write_measurement(
    path: Path | str, measurement: Measurement, *, attributes: Attributes, protected: Iterable[Path | str] = ()
) -> None:
    """Writes a measurement as HDF5 with what decoding needs, its reference and wavelengths; opens without a flag."""
    path = Path(path)
    if path.suffix.lower() not in HDF5_SUFFIXES:
        raise FileError(f"{path.name} ends in {path.suffix or 'nothing'}; measurements are written as HDF5. Use .h5.")
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
    with (
        replacing(path, protected=protected) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        table.writerow(["band" if wavelengths_nm is None else "wavelength_nm", *spectra])
        for row in zip(first, *spectra.values(), strict=True):
            table.writerow([row[0], *(repr(float(value)) for value in row[1:])])


# ---- one writer a format: (path, cube (C, H, W), wavelengths, attributes, protected) ------------------------------


def _write_hdf5(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    with replacing(path, protected=protected) as temporary, _new_hdf5(temporary) as file:
        _fill_hdf5(file, image, wavelengths_nm, attributes)


@contextmanager
def _new_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to be filled; raises OSError when its disk is full, as other files do."""
    import h5py

    file = h5py.File(path, "w")
    try:
        yield file
    finally:
        try:
            file.close()
        except RuntimeError as error:  # h5py's word for what could not be flushed
            raise OSError(" ".join(str(error).split())) from error


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
    with replacing(path, protected=protected) as temporary:
        tifffile.imwrite(temporary, image, photometric="minisblack", planarconfig=planes, metadata=metadata)


def _write_npy(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    with replacing(path, protected=protected) as temporary, open(temporary, "wb") as stream:
        np.save(stream, np.ascontiguousarray(np.moveaxis(image, 0, -1)), allow_pickle=False)


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
        np.ascontiguousarray(image, dtype="<f4").tofile(data)
        write_envi_header(header, fields, wavelengths_nm=wavelengths_nm)


def _write_png(
    path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes, protected: Protected
) -> None:
    from PIL import Image

    if len(image) not in (1, 3):
        raise FileError(
            f"{path.name}: a PNG holds grey or colours, this has {len(image)} bands. Choose another format."
        )
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

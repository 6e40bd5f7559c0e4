"""Cubes, measurements and spectra written as other programs expect them, each file whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import FileError
from .atomic import replacing

if TYPE_CHECKING:
    from ..measurement import Measurement

Attributes = Mapping[str, Any]


def write_cube(
    path: Path | str,
    image: np.ndarray,
    *,
    wavelengths_nm: np.ndarray | None,
    attributes: Attributes,
    protected: Iterable[Path | str] = (),
) -> None:
    """Writes a (C, H, W) float32 cube as the suffix says: .h5, .mat, .tif, .hdr (ENVI) or .npy.

    HDF5 holds `cube` (H, W, C) with `wavelengths_nm` and `attributes`; MATLAB v5 the key `cube`; TIFF and ENVI carry the
    wavelengths; NumPy holds (H, W, C) alone. None of the `protected` files is overwritten.
    """
    path = Path(path)
    write = CUBE_FORMATS.get(path.suffix.lower())
    if write is None:
        raise FileError(
            f"{path.name} ends in {path.suffix or 'nothing'}; cubes are written as {', '.join(CUBE_FORMATS)}. "
            "Choose one of these."
        )
    with replacing(path, protected=protected) as temporary:
        write(temporary, path, np.asarray(image, dtype=np.float32), wavelengths_nm, attributes)


class CubeFile:
    """An HDF5 cube whose stages are added while a restoration runs; the file appears at `finish` or not at all.

    `stages` is (K, H, W, C), `initial` (H, W, C), `cube` the last image.
    """

    def __init__(
        self, path: Path | str, *, wavelengths_nm: np.ndarray | None, protected: Iterable[Path | str] = ()
    ) -> None:
        if Path(path).suffix.lower() not in (".h5", ".hdf5"):
            raise FileError(f"{Path(path).name} cannot hold stages; HDF5 can. Choose a name that ends in .h5.")
        self._wavelengths_nm = wavelengths_nm
        self._replacing = replacing(path, protected=protected)
        self._is_finished = False

    def __enter__(self) -> Self:
        import h5py

        self._file = h5py.File(self._replacing.__enter__(), "w")
        return self

    def add_stage(self, index: int, image: np.ndarray) -> None:
        """Adds the (C, H, W) image of stage `index`; 0 is the initial estimate."""
        stored = np.moveaxis(image, 0, -1)
        if index == 0:
            self._file.create_dataset("initial", data=stored)
            return
        if "stages" not in self._file:
            self._file.create_dataset(
                "stages",
                shape=(0, *stored.shape),
                maxshape=(None, *stored.shape),
                chunks=(1, *stored.shape),
                dtype="f4",
            )
        self._file["stages"].resize(index, axis=0)
        self._file["stages"][index - 1] = stored

    def finish(self, image: np.ndarray, *, attributes: Attributes) -> None:
        """Adds the final (C, H, W) cube and lets the file appear when the block ends."""
        _fill_hdf5(self._file, image, self._wavelengths_nm, attributes)
        self._is_finished = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._file.close()
        if kind is None and not self._is_finished:
            kind = error = KeyboardInterrupt()  # an unfinished file is dropped, whatever the reason
            try:
                self._replacing.__exit__(type(error), error, None)
            except KeyboardInterrupt:
                return None
        return self._replacing.__exit__(kind, error, trace)


def write_measurement(
    path: Path | str, measurement: Measurement, *, attributes: Attributes, protected: Iterable[Path | str] = ()
) -> None:
    """Writes a CASSI measurement as HDF5 with its mask, reference and wavelengths; it opens again without a flag."""
    import h5py

    path = Path(path)
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise FileError(f"{path.name} ends in {path.suffix or 'nothing'}; measurements are written as HDF5. Use .h5.")
    dispersion = measurement.physics.dispersion
    mask = measurement.physics.mask[0].cpu().numpy()
    with replacing(path, protected=protected) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("measurement", data=measurement.y[0], compression="gzip", shuffle=True)
        file.create_dataset("mask", data=mask[0] if len(mask) == 1 else mask, compression="gzip", shuffle=True)
        if len(mask) > 1:
            file["mask"].attrs["axes"] = "CYX"
        if measurement.reference is not None:
            stored = np.moveaxis(measurement.reference, 0, -1)
            file.create_dataset("reference", data=stored, compression="gzip", shuffle=True)
            file["reference"].attrs["axes"] = "YXC"
        if measurement.wavelengths_nm is not None:
            file.create_dataset("wavelengths_nm", data=np.asarray(measurement.wavelengths_nm, dtype=np.float64))
        file.attrs.update(
            {
                "task": measurement.task,
                "num_bands": dispersion.num_bands,
                "step": float(dispersion.step),
                "axis": dispersion.axis,
                "direction": dispersion.direction,
                "first_offset": float(dispersion.first_offset),
                "input_scale": 1.0 if measurement.input_scale is None else measurement.input_scale,
                **attributes,
            }
        )


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


# ---- one writer a format: (temporary, final path, cube (C, H, W), wavelengths, attributes) -----------------------


def _write_hdf5(
    temporary: Path, path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes
):
    import h5py

    with h5py.File(temporary, "w") as file:
        _fill_hdf5(file, image, wavelengths_nm, attributes)


def _fill_hdf5(file: Any, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes) -> None:
    cube = file.create_dataset("cube", data=np.moveaxis(image, 0, -1))
    cube.attrs["axes"] = "YXC"
    if wavelengths_nm is not None:
        cube.attrs["wavelengths_nm"] = np.asarray(wavelengths_nm, dtype=np.float64)
    for name, value in attributes.items():
        cube.attrs[name] = value


def _write_mat(
    temporary: Path, path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes
):
    import scipy.io

    contents: dict[str, Any] = {"cube": np.moveaxis(image, 0, -1), **attributes}
    if wavelengths_nm is not None:
        contents["wavelengths_nm"] = np.asarray(wavelengths_nm, dtype=np.float64)
    with open(temporary, "wb") as stream:
        scipy.io.savemat(stream, contents, do_compression=True)


def _write_tiff(
    temporary: Path, path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes
):
    import tifffile

    metadata: dict[str, Any] = {"axes": "CYX", **attributes}
    if wavelengths_nm is not None:
        metadata["wavelengths_nm"] = [float(value) for value in wavelengths_nm]
    tifffile.imwrite(temporary, image, photometric="minisblack", planarconfig="separate", metadata=metadata)


def _write_npy(
    temporary: Path, path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes
):
    with open(temporary, "wb") as stream:
        np.save(stream, np.ascontiguousarray(np.moveaxis(image, 0, -1)), allow_pickle=False)


def _write_envi(
    temporary: Path, path: Path, image: np.ndarray, wavelengths_nm: np.ndarray | None, attributes: Attributes
):
    """The data file appears first, the header (`temporary`) last, so that a header never points to missing data."""
    num_bands, height, width = image.shape
    lines = [
        "ENVI",
        f"description = {{{'; '.join(f'{name}: {value}' for name, value in attributes.items())}}}",
        f"samples = {width}",
        f"lines = {height}",
        f"bands = {num_bands}",
        "header offset = 0",
        "file type = ENVI Standard",
        "data type = 4",
        "interleave = bsq",
        "byte order = 0",
    ]
    if wavelengths_nm is not None:
        lines += ["wavelength units = Nanometers", f"wavelength = {{{', '.join(f'{v:.10g}' for v in wavelengths_nm)}}}"]
    with replacing(path.with_suffix(".img")) as data:
        np.ascontiguousarray(image, dtype="<f4").tofile(data)
    temporary.write_text("\n".join(lines) + os.linesep, encoding="utf-8")


CUBE_FORMATS: dict[str, Callable[[Path, Path, np.ndarray, np.ndarray | None, Attributes], None]] = {
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".mat": _write_mat,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".hdr": _write_envi,
    ".npy": _write_npy,
}

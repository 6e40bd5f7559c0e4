"""What leaves the window: cubes, curves as CSV, pictures as PNG, and the command that does a decode again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import FileError
from lorun_engine.io import RoleTable, replacing, write_cube, write_spectra_csv, write_table
from lorun_engine.io.commands import command_line, measured_row

from .. import render
from ..kinds import Stretch
from .recipe import Recipe
from .session import Session

PICTURE_SUFFIXES = {"PNG": ".png"}
TABLE_SUFFIXES = {"CSV": ".csv"}
MEASUREMENT_SUFFIXES = {"HDF5": ".h5", "HDF5 by its long name": ".hdf5"}
CUBE_SUFFIXES = {"HDF5": ".h5", "MATLAB": ".mat", "TIFF": ".tif", "ENVI": ".hdr", "NumPy": ".npy"}


class Exports(QObject):
    """Writes what was decoded in a worker, and says so."""

    announced = Signal(str)  # what is to be written, in words
    exported = Signal(str)  # the path

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def export_cube(self, path: Path | str, *, stage: int | None = None) -> None:
        """Writes the newest stage, or `stage`, as a cube; the format follows from the suffix."""
        session, recipe, measurement = self._session, self._session.recipe, self._session.measurement
        if recipe is None or measurement is None or not len(session.stages):
            return
        row = session.stages.row(len(session.stages) - 1 if stage is None else stage)
        attributes = {
            "adapter": recipe.title,
            "source": session.name if measurement.path is None else measurement.path.name,
            "intensity_scale": row.input_scale,
            "dark_level": measurement.dark_level,
        }
        image, wavelengths_nm, inputs = session.stages.image(row.index), measurement.wavelengths_nm, recipe.paths
        self.write(
            Path(path),
            lambda target: write_cube(
                target, image, wavelengths_nm=wavelengths_nm, attributes=attributes, protected=inputs
            ),
        )

    def export_spectra(self, path: Path | str, *, side: int = 1) -> None:
        """Writes the spectra at the pinned pixel, means over `side` x `side` pixels, as CSV: one column per stage.

        Of photographs it writes the values along the row of that pixel, means over channels and `side` rows.
        """
        session, pixel = self._session, self._session.selection.pixel
        recipe, measurement = session.recipe, session.measurement
        if pixel is None or recipe is None or measurement is None or not len(session.stages):
            return
        columns = {
            f"stage_{row.index}": partial(np.asarray, session.stages.image(row.index)) for row in session.stages.rows()
        }
        if measurement.reference is not None:
            columns["reference"] = partial(np.asarray, measurement.reference)
        work: Callable[[Path], None]
        if session.kind.is_photograph:
            work = partial(write_profiles, images=columns, row=pixel[0], side=side, protected=recipe.paths)
        else:
            work = partial(
                write_spectra,
                cubes=columns,
                pixel=pixel,
                side=side,
                wavelengths_nm=measurement.wavelengths_nm,
                protected=recipe.paths,
            )
        self.write(Path(path), work, suffixes=TABLE_SUFFIXES)

    def export_picture(self, path: Path | str) -> None:
        """Writes the chosen stage as a picture in its colours, with the stretch of the display."""
        session, selection = self._session, self._session.selection
        recipe, measurement = session.recipe, session.measurement
        if recipe is None or measurement is None or not len(session.stages):
            return
        image = session.stages.image(selection.stage)
        work = partial(
            write_picture,
            image=image,
            wavelengths_nm=measurement.wavelengths_nm,
            is_photograph=session.kind.is_photograph,
            composite=selection.composite,
            levels_from=session.stages.image(len(session.stages) - 1) if selection.shared_stretch else image,
            stretch=selection.stretch,
            protected=recipe.paths,
        )
        self.write(Path(path), work, suffixes=PICTURE_SUFFIXES)

    def command(self) -> str | None:
        """The `lorun restore` line that does the decode again; None while nothing is open."""
        session, table, choice = self._session, self._session.role_table, self._session.setup.choice
        if session.measurement is None or table is None or choice is None:
            return None
        recipe = session.recipe or session.setup.recipe(choice, session.paths, session.options)
        return restore_command(recipe, table)

    def write(self, path: Path, write: Callable[[Path], None], *, suffixes: Mapping[str, str] | None = None) -> None:
        """Lets `write` make a file in a worker, and says so.

        `suffixes` are those of the formats that it writes, by their titles; a name with another one is refused. Without
        them `write` itself sees to that.
        """
        lanes = self._session.lanes
        work = partial(_written, path, write, suffixes)
        job = lanes.run_file(work, doing=f"writing {path.name}", then=lambda job: self._written(path))
        job.failed.connect(lambda: lanes.refuse(job))
        job.failed.connect(lambda: self.announced.emit(""))
        self.announced.emit(lanes.announcement(job))

    def _written(self, path: Path) -> None:
        self._session.lanes.log(f"Wrote {path}")
        self.exported.emit(str(path))


def _written(path: Path, write: Callable[[Path], None], suffixes: Mapping[str, str] | None) -> None:
    if suffixes is not None and path.suffix.lower() not in suffixes.values():
        formats = " or ".join(f"{title} ({suffix})" for title, suffix in suffixes.items())
        raise FileError(
            f"{path.name} ends in {path.suffix or 'nothing'}; this is written as {formats}. Give it such a name."
        )
    write(path)


def write_spectra(
    path: Path,
    cubes: Mapping[str, Callable[[], np.ndarray]],
    *,
    pixel: tuple[int, int],
    side: int,
    wavelengths_nm: np.ndarray | None,
    protected: Sequence[Path],
) -> None:
    """Writes the spectrum of every cube (C, H, W) at `pixel` (y, x), the mean over `side` x `side` pixels around it.

    One line per band, one column per cube.
    """
    y, x = pixel
    place = f"x {x} y {y}" if side == 1 else f"x {x} y {y}, mean of {side} x {side}"
    spectra = {f"{name} ({place})": render.mean_spectrum(cube(), pixel, side).tolist() for name, cube in cubes.items()}
    write_spectra_csv(path, wavelengths_nm, spectra, protected=protected)


def write_profiles(
    path: Path,
    images: Mapping[str, Callable[[], np.ndarray]],
    *,
    row: int,
    side: int,
    protected: Sequence[Path],
) -> None:
    """Writes the values along a row of every image (C, H, W), the mean over channels and `side` rows around it.

    One line per column of pixels, from 0 as in the window; one column per image.
    """
    place = f"y {row}" if side == 1 else f"y {row}, mean of {side} rows"
    profiles = [render.line_profile(image(), row, side) for image in images.values()]
    titles = ["column_px", *(f"{name} ({place})" for name in images)]
    rows = ([column, *map(float, values)] for column, values in enumerate(zip(*profiles, strict=True)))
    write_table(path, titles, rows, protected=protected)


def write_picture(
    path: Path,
    image: np.ndarray,
    *,
    wavelengths_nm: np.ndarray | None,
    is_photograph: bool,
    composite: tuple[int, int, int] | None,
    levels_from: np.ndarray,
    stretch: Stretch,
    protected: Sequence[Path],
) -> None:
    """Writes (C, H, W) as the picture that the panes show, the percentiles taken of `levels_from`."""
    from PIL import Image

    if is_photograph:
        picture = render.photograph_bytes(image, render.levels_of(levels_from, stretch))
    else:
        weights = render.colour_weights(wavelengths_nm, len(image), composite=composite)
        levels = render.levels_of(render.linear_colour(levels_from, weights), stretch)
        picture = render.colour_bytes(render.linear_colour(image, weights), levels)
    with replacing(path, protected=protected) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def restore_command(recipe: Recipe, table: RoleTable, *, platform: str = sys.platform) -> str:
    """The `lorun restore` line that does the decode of `recipe` again, bit for bit on the same device."""
    output = f"{measured_row(table).found.path.stem}_{recipe.file_word}.h5"
    return command_line(recipe.asked.command(recipe.options, table, output=output), platform=platform)

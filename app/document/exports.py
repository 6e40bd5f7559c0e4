"""What leaves the window: cubes, stages, curves as CSV, pictures, and the command or script that decodes again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import FileError
from lorun_engine.instrument import RELIT_GAMMA
from lorun_engine.io import RoleTable, cube_file, write_cube, write_spectra_csv, write_table
from lorun_engine.io.commands import command_line, measured_row

from .. import render
from ..job import Job
from .drawn import PICTURE_SUFFIXES, Drawn, write_picture
from .recipe import Recipe
from .relight import asked_gamma, relight_words, relit_stage, shown_stage
from .selection import NOT_RELIT
from .session import Session
from .stage_store import StageStore

if TYPE_CHECKING:
    from lorun_engine.decoding.restore import StageResult
    from lorun_engine.measurement import Measurement

TABLE_SUFFIXES = {"CSV": ".csv"}
MEASUREMENT_SUFFIXES = {"HDF5": ".h5", "HDF5 by its long name": ".hdf5"}
STAGES_SUFFIXES = {"HDF5": ".h5"}
CUBE_SUFFIXES = {"HDF5": ".h5", "MATLAB": ".mat", "TIFF": ".tif", "ENVI": ".hdr", "NumPy": ".npy"}


class Exports(QObject):
    """Writes what was decoded in a worker, and says so."""

    announced = Signal(str)  # what is to be written, in words
    exported = Signal(str)  # the path
    images_written = Signal(object)  # the StageStore whose images, one or all, lie in a file now

    def __init__(self, session: Session, library: Sequence[Path] = ()) -> None:
        """`library` are the folders with adapter sets that a script names."""
        super().__init__(session)
        self._session, self._library = session, tuple(library)
        self._dragged: TemporaryDirectory[str] | None = None

    def export_cube(self, path: Path | str, *, stage: int | None = None) -> None:
        """Writes the newest stage, or `stage`, as a cube; the format follows from the suffix."""
        session, recipe, measurement = self._session, self._session.recipe, self._session.measurement
        if recipe is None or measurement is None or not len(session.stages):
            return
        row = session.stages.row(len(session.stages) - 1 if stage is None else stage)
        attributes = cube_attributes(recipe, measurement, row, relight=asked_gamma(session))
        image, wavelengths_nm, inputs = shown_stage(session, row.index), measurement.wavelengths_nm, recipe.paths
        self.write(
            Path(path),
            lambda target: write_cube(
                target,
                np.asarray(image),
                wavelengths_nm=wavelengths_nm,
                attributes=attributes,
                protected=inputs,
            ),
            images_of=session.stages,
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
            f"{recipe.step_name}_{row.index}": partial(np.asarray, shown_stage(session, row.index))
            for row in session.stages.rows()
        }
        if measurement.reference is not None:
            columns["reference"] = partial(np.asarray, measurement.reference)
        work: Callable[[Path], None]
        if session.kind.is_photograph:
            work = partial(
                write_profiles,
                images=columns,
                row=pixel[0],
                side=side,
                decoder=" ".join(filter(None, [recipe.title, relight_words(session)])),
                protected=recipe.paths,
            )
        else:
            work = partial(
                write_spectra,
                cubes=columns,
                pixel=pixel,
                side=side,
                wavelengths_nm=measurement.wavelengths_nm,
                decoder=recipe.title,
                protected=recipe.paths,
            )
        self.write(Path(path), work, suffixes=TABLE_SUFFIXES)

    def export_stages(self, path: Path | str) -> None:
        """Writes the initial estimate and all stages into one HDF5 file, the newest as its cube."""
        session, recipe, measurement = self._session, self._session.recipe, self._session.measurement
        if recipe is None or measurement is None or not len(session.stages):
            return
        work = partial(
            write_stages,
            image=partial(relit_stage, session.stages, gamma=session.selection.relight),
            num_images=len(session.stages),
            wavelengths_nm=measurement.wavelengths_nm,
            attributes=cube_attributes(
                recipe, measurement, session.stages.row(len(session.stages) - 1), relight=asked_gamma(session)
            ),
            protected=recipe.paths,
        )
        self.write(Path(path), work, images_of=session.stages)

    def export_picture(self, path: Path | str, drawn: Drawn, *, has_caption: bool = False) -> None:
        """Writes a picture that is shown, at full size, with its caption and bars or without."""
        session, recipe = self._session, self._session.recipe
        if recipe is None:
            return
        lit = "" if session.selection.mode in NOT_RELIT else relight_words(session)
        words = [session.name, recipe.title, lit]
        drawn = drawn.captioned("  ·  ".join(filter(None, words)))
        work = partial(write_picture, drawn=drawn, has_caption=has_caption, protected=recipe.paths)
        self.write(Path(path), work, suffixes=PICTURE_SUFFIXES)

    def command(self) -> str | None:
        """The `lorun restore` line that does the decode again; None while nothing is open."""
        session, table, choice = self._session, self._session.role_table, self._session.setup.choice
        if session.measurement is None or table is None or choice is None:
            return None
        recipe = session.recipe or session.setup.recipe(choice, session.paths, session.options)
        return restore_command(recipe, table, relight=asked_gamma(session), executed=self._executed)

    def script(self) -> str | None:
        """The Python script that does the decode again; None while nothing is open."""
        session, table, choice = self._session, self._session.role_table, self._session.setup.choice
        if session.measurement is None or table is None or choice is None:
            return None
        recipe = session.recipe or session.setup.recipe(choice, session.paths, session.options)
        output = output_name(recipe, table)
        asked = replace(recipe.asked, relight=asked_gamma(session)).as_executed(self._executed)
        return asked.script(recipe.paths, recipe.options, table, library=self._library, output=output)

    @property
    def _executed(self) -> tuple[str, str] | None:
        """In which precision and by which path the network of the stages that are there was executed."""
        rows = self._session.stages.rows()
        return rows[-1].executed if rows else None

    def temporary_picture(self, drawn: Drawn) -> Path:
        """A PNG of a picture that is dragged elsewhere; it goes with the window."""
        words = re.sub(r"[^\w.-]+", "_", drawn.title, flags=re.ASCII).strip("_")
        name = f"{Path(self._session.name).stem}_{words}.png"
        if self._dragged is None:
            self._dragged = TemporaryDirectory(prefix="lorun-dragged-")
        path = Path(self._dragged.name) / name
        write_picture(path, drawn, has_caption=False, protected=())
        return path

    def close(self) -> None:
        """Leaves nothing on the disk that was not asked for."""
        if self._dragged is not None:
            self._dragged.cleanup()
            self._dragged = None

    def write(
        self,
        path: Path,
        write: Callable[[Path], None],
        *,
        suffixes: Mapping[str, str] | None = None,
        images_of: StageStore | None = None,
    ) -> None:
        """Lets `write` make a file in a worker, and says so.

        `suffixes` are those of the formats that it writes, by their titles; a name with another one is refused. Without
        them `write` itself sees to that. `images_of` are the stages of which an image lies in the file.
        """
        lanes = self._session.lanes
        work = partial(_written, path, write, suffixes)
        then = partial(self._written, path, images_of)
        job = lanes.run_file(work, doing=f"writing {path.name}", then=then, is_asked_for=True)
        job.failed.connect(lambda: lanes.refuse(job))
        job.failed.connect(lambda: self.announced.emit(""))
        self.announced.emit(lanes.announcement(job))

    def _written(self, path: Path, images_of: StageStore | None, job: Job) -> None:
        self._session.lanes.log(f"Wrote {path}")
        if images_of is not None:
            self.images_written.emit(images_of)
        self.exported.emit(str(path))


def cube_attributes(
    recipe: Recipe, measurement: Measurement, row: StageResult, *, relight: float | None = None
) -> dict[str, Any]:
    """What a cube says of where it comes from, and by which gamma it was relit, None for the usual one."""
    lit = {"relight": RELIT_GAMMA if relight is None else relight} if measurement.physics.num_lights else {}
    return {
        "adapter": recipe.title,
        "source": recipe.paths[0].name if measurement.path is None else measurement.path.name,
        "intensity_scale": row.input_scale,
        "dark_level": measurement.dark_level,
        **lit,
    }


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
    decoder: str,
    protected: Sequence[Path],
) -> None:
    """Writes the spectrum of every cube (C, H, W) at `pixel` (y, x), the mean over `side` x `side` pixels around it.

    One line per band, one column per cube.
    """
    y, x = pixel
    place = f"x {x} y {y}" if side == 1 else f"x {x} y {y}, mean of {side} x {side}"
    spectra = {
        _title(name, place, decoder): render.mean_spectrum(cube(), pixel, side).tolist() for name, cube in cubes.items()
    }
    write_spectra_csv(path, wavelengths_nm, spectra, protected=protected)


def write_profiles(
    path: Path,
    images: Mapping[str, Callable[[], np.ndarray]],
    *,
    row: int,
    side: int,
    decoder: str,
    protected: Sequence[Path],
) -> None:
    """Writes the values along a row of every image (C, H, W), the mean over channels and `side` rows around it.

    One line per column of pixels, from 0 as in the window; one column per image.
    """
    place = f"y {row}" if side == 1 else f"y {row}, mean of {side} rows"
    profiles = [render.line_profile(image(), row, side) for image in images.values()]
    titles = ["column_px", *(_title(name, place, decoder) for name in images)]
    rows = ([column, *map(float, values)] for column, values in enumerate(zip(*profiles, strict=True)))
    write_table(path, titles, rows, protected=protected)


def _title(name: str, place: str, decoder: str) -> str:
    """As "stage_3 of gap-tv (x 4 y 3)"; the reference was decoded by nobody."""
    return f"{name} ({place})" if name == "reference" else f"{name} of {decoder} ({place})"


def write_stages(
    path: Path,
    image: Callable[[int], np.ndarray],
    *,
    num_images: int,
    wavelengths_nm: np.ndarray | None,
    attributes: Mapping[str, Any],
    protected: Sequence[Path],
) -> None:
    """Writes the initial estimate and the stages behind it, each (C, H, W), into one file."""
    with cube_file(path, wavelengths_nm=wavelengths_nm, protected=protected) as file:
        for index in range(num_images):
            file.add_stage(index, np.asarray(image(index)))
        file.finish(np.asarray(image(num_images - 1)), attributes=attributes)


def restore_command(
    recipe: Recipe,
    table: RoleTable,
    *,
    relight: float | None = None,
    executed: tuple[str, str] | None = None,
    platform: str = sys.platform,
) -> str:
    """The `lorun restore` line that does the decode of `recipe` again, bit for bit on the same device.

    It writes what is relit by a gamma, None for the usual one. `executed` is how its network was, where that is known.
    """
    asked = replace(recipe.asked, relight=relight).as_executed(executed)
    words = asked.command(recipe.options, table, output=output_name(recipe, table))
    return command_line(words, platform=platform)


def output_name(recipe: Recipe, table: RoleTable) -> str:
    """As "scene3_gap-tv.h5"."""
    return f"{measured_row(table).found.path.stem}_{recipe.file_word}.h5"

"""What leaves the window besides cubes: spectra as CSV, colour pictures as PNG, and the command that does it again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lorun_engine.errors import LorunError
from lorun_engine.io import RoleTable, replacing, write_spectra_csv
from lorun_engine.io.options import COMPANIONS, FLAGS, as_flag
from lorun_engine.io.reading import READING

from . import render

if TYPE_CHECKING:
    from .session import Recipe

CUBE_SUFFIXES = {"HDF5": ".h5", "MATLAB": ".mat", "TIFF": ".tif", "ENVI": ".hdr", "NumPy": ".npy"}


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
    spectra = {f"{name} ({place})": render.mean_spectrum(cube(), pixel, side) for name, cube in cubes.items()}
    write_spectra_csv(path, wavelengths_nm, spectra, protected=protected)


def write_picture(
    path: Path,
    image: np.ndarray,
    *,
    wavelengths_nm: np.ndarray | None,
    levels_from: np.ndarray,
    stretch: tuple[float, float],
    protected: Sequence[Path],
) -> None:
    """Writes (C, H, W) as the colour picture that the panes show, the percentiles taken of the cube `levels_from`."""
    from PIL import Image

    weights = render.colour_weights(wavelengths_nm, len(image))
    levels = render.levels_of(render.linear_colour(levels_from, weights), *stretch)
    picture = render.colour_bytes(render.linear_colour(image, weights), levels)
    with replacing(path, protected=protected) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def restore_command(recipe: Recipe, table: RoleTable) -> str:
    """The `lorun restore` line that does the decode of `recipe` again, bit for bit on the same device.

    Bands, step and the rest are given as they were resolved, so that nothing is guessed a second time. Raises
    LorunError where the command line has no words for the roles.
    """
    options, reading = recipe.options, READING[table.task]
    source = table.row("measurement").found
    by_key = dict(options.roles)
    if by_key.keys() & {row.selector for row in table.rows if row.role in (None, "wavelengths") and row.found.key}:
        raise LorunError(
            "Arrays of a file were set to unused or to wavelengths by hand; the command line cannot say that. "
            "Save the arrays as files of their own to decode them with a command."
        )
    words = ["lorun", "restore", str(source.path), "-o", f"{source.path.stem}_{recipe.decoder}.h5"]
    for role in COMPANIONS:
        row = table.row(role)
        if row is not None and row.selector in by_key:
            words += [f"--{role}", row.selector]
        elif row is not None and row.found.path != source.path:
            words += [f"--{role}", str(row.found.path)]
    key = source.key if table.row("measurement").selector in by_key else options.key
    said = {name: getattr(table.geometry, name, None) for name in reading.OPTIONS}  # as it was resolved
    said |= {name: getattr(options, name) for name in reading.OPTIONS if said[name] is None}
    said = {FLAGS[name]: as_flag(name, value) for name, value in said.items() if value is not None}
    flags = {
        "--task": table.task,
        **said,
        "--key": key,
        "--adapter": recipe.decoder,
        "--stages": recipe.num_stages,
        "--device": recipe.device,
        "--threads": recipe.threads,
        "--precision": recipe.precision,
    }
    for flag, value in flags.items():
        if value is not None:  # a value such as "-" is taken for a flag unless it is joined to its own
            words += [f"{flag}={value}"] if str(value).startswith("-") else [flag, str(value)]
    return shlex.join(words)

"""The captures of a folder as values, and what is done with them in the worker threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, RoleTable, inspect, made_folder, write_cube
from lorun_engine.io.folders import (
    MUTE_SUFFIXES,
    Arrivals,
    Look,
    Survey,
    files_of,
    is_done,
    look,
    require_room,
    result_stems,
    survey_of,
)
from lorun_engine.io.resolved import RoleRow
from lorun_engine.io.roles import role_rows
from lorun_engine.io.scales import FullScales
from lorun_engine.schema import Seconds

from .decoders import Choice, Decoders
from .decoding import as_asked, decoded
from .exports import cube_attributes
from .opening import companions_of, understood, without_arrays
from .pace import Step
from .recipe import Recipe

if TYPE_CHECKING:
    from lorun_engine.decoding.restore import StageResult

# of files whose errors are said; others that cannot be read are notes, settings and the like
CAPTURE_SUFFIXES = (
    *(".mat", ".h5", ".hdf5", ".npy", ".npz", ".tif", ".tiff"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".hdr"),
)

TOLD_EVERY_S = 0.1

State = Literal["waiting", "decoding", "done", "earlier", "failed", "skipped"]


@dataclass(frozen=True)
class Capture:
    """One capture of the folder and what became of it; `earlier` is a result of another run."""

    path: Path
    state: State = "waiting"
    is_asked: bool = False  # it is being decoded, or waits for that
    seconds: Seconds | None = None
    sentence: str = ""  # why it failed
    result: Path | None = None  # where it lies, or will


@dataclass(frozen=True)
class Order:
    """With what captures are decoded, as it was chosen when they were asked for."""

    recipe: Recipe  # its paths are none
    choice: Choice
    keep: RoleTable | None  # whose mask goes with every capture
    folder: Path | None  # where results go; None for beside their captures
    suffix: str

    def result_of(self, path: Path, stem: str) -> Path:
        """Where the result of a capture lies."""
        return (self.folder or path.parent) / f"{stem}_{self.recipe.file_word}{self.suffix}"


@dataclass(frozen=True)
class Listing:
    """What became of a look at all files of a folder: captures, and (file, reason) of what is left out.

    All of it is made in the worker, also the place of every capture: of thousands that takes long.
    """

    survey: Survey
    captures: tuple[Capture, ...]
    places: dict[Path, int]
    left_out: tuple[tuple[Path, str], ...]


def listing(looks: Mapping[Path, Look], decoders: Sequence[str]) -> Listing:
    """The captures among files that were looked at; `decoders` are the names that results of before may have."""
    survey, stems = survey_of(looks), {path.stem for path in looks}
    out = dict(survey.left_out)
    for path in survey.paths:
        error = looks[path].error
        if error and path.suffix.lower() not in CAPTURE_SUFFIXES:
            out[path] = error
        elif path.suffix.lower() in MUTE_SUFFIXES:
            parts = (path.stem.rpartition(f"_{name}") for name in decoders)
            if any(found and stem in stems for stem, found, _ in parts):
                out[path] = f"{path.name} is called as results are; it is not taken for input."
    captures = tuple(Capture(path) for path in survey.paths if path not in out)
    places = {capture.path: place for place, capture in enumerate(captures)}
    return Listing(survey, captures, places, tuple(out.items()))


def survey_folder(
    arrivals: Arrivals,
    options: OpenOptions,
    keep: RoleTable | None,
    looks: dict[Path, Look],
    decoders: Sequence[str],
) -> Generator[tuple[int, int], None, tuple[RoleTable | None, Listing]]:
    """Looks at every file; returns the table of a lone mask and the list.

    Yields how many of how many files are looked at.
    """
    paths = files_of(arrivals.folder)
    mask = None if keep is not None else _lone_mask(paths, options)
    yield 0, len(paths)
    told = time.monotonic()
    for number, path in enumerate(paths, 1):
        looks[path] = look(path, partial(_rows, options, keep or mask))
        if not looks[path].error:  # such a file comes once it is whole
            arrivals.take(path)
        if time.monotonic() - told >= TOLD_EVERY_S:
            told = time.monotonic()
            yield number, len(paths)
    return mask, listing(looks, decoders)


def arrived(
    arrivals: Arrivals,
    options: OpenOptions,
    keep: RoleTable | None,
    looks: Mapping[Path, Look],
    decoders: Sequence[str],
) -> tuple[dict[Path, Look], dict[Path, Look], Listing] | None:
    """What came since the last time, that with all `looks` of before in the order of names, and the list of all.

    None where nothing came.
    """
    new = dict(arrivals.poll(partial(_rows, options, keep)))
    if not new:
        return None
    everything = dict(sorted({**looks, **new}.items()))
    return new, everything, listing(everything, decoders)


def _rows(options: OpenOptions, keep: RoleTable | None, path: Path) -> list[RoleRow]:
    """What the arrays of a file are taken for beside those that go with every capture."""
    return role_rows([path, *companions_of(keep)], replace(options, roles=()))


def _lone_mask(paths: Sequence[Path], options: OpenOptions) -> RoleTable | None:
    """A file called mask.*, where there is one alone."""
    masks = [path for path in paths if path.stem.lower() == "mask"]
    if len(masks) != 1:
        return None
    try:
        return without_arrays(inspect(masks, replace(options, roles=((str(masks[0]), "mask"),))))
    except LorunError:
        return None


def results_there(order: Order, paths: Sequence[Path]) -> Generator[None, None, list[tuple[Path, Path, bool]]]:
    """(capture, where its result lies or will, whether it is there) for every capture."""
    found = []
    for path, stem in result_stems(paths).items():
        result = order.result_of(path, stem)
        found.append((path, result, is_done(path, result)))
        if len(found) % 50 == 0:
            yield
    return found


def decode_into(
    path: Path,
    order: Order,
    result: Path,
    full_scales: FullScales,
    protected: Sequence[Path],
    decoders: Decoders,
    again: bool,
) -> Generator[Step, None, bool]:
    """Decodes a capture into a file and yields every step; returns False where it was done before."""
    if not again and is_done(path, result):
        return False
    recipe = replace(order.recipe, paths=(path,))
    paths, _, table = understood((path,), recipe.options, order.keep, full_scales)
    measurement = table.measurement()
    del table
    if result not in protected:  # those are refused for what they are
        require_room(result)
    decoder = as_asked(decoders.open(order.choice), recipe)
    newest: deque[StageResult] = deque(maxlen=1)
    yield from decoded(decoder, measurement, recipe, newest.append)
    (stage,) = newest
    made_folder(result.parent)
    write_cube(
        result,
        stage.image,
        wavelengths_nm=measurement.wavelengths_nm,
        attributes=cube_attributes(recipe, measurement, stage),
        protected=[*protected, *paths],
    )
    return True

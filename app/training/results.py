"""What came of a training, for the worker thread: preview pictures, and the set brought into the library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lorun_engine.errors import FileError
from lorun_engine.io import beside
from lorun_engine.training.run_folder import BEST

from .. import render
from ..kinds import PERCENTILES
from .runs import Run


@dataclass(frozen=True, eq=False)
class Preview:
    """The user's own measurement with the starting set and with the new set after `step`, as pictures to show."""

    step: int
    before: np.ndarray  # (H, W) or (H, W, 3) uint8
    after: np.ndarray


def bring_in(run: Run, name: str, library: Sequence[Path]) -> str:
    """Copies the best set of a training into the user's folder as `name`, in one step and never over another file.

    Both its own hash and its backbone's are checked first.
    """
    from lorun_engine.library.cards import cards_in, read_card
    from lorun_engine.library.sets import SUFFIX, check_name, verified

    if not library:
        raise FileError("There is no library folder to keep the set in. Start LoRun with its library.")
    name, folder = check_name(name), library[-1]
    taken = {path.stem.casefold() for place in library for path in place.glob(f"*{SUFFIX}")}
    if name.casefold() in taken:
        raise FileError(f"The library already has a set named {name}. Choose another name.")
    source = run.folder / BEST
    if not source.is_file():
        raise FileError(f"{run.title} has no set yet that could be kept. Resume it until its first validation.")
    _, backbone = verified(read_card(source), library)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if all(card.hash != backbone.hash for card in cards_in(library)):
            _copy_new(backbone.path, folder / f"{name}-backbone{SUFFIX}")
        _copy_new(source, folder / f"{name}{SUFFIX}")
    except OSError as error:
        raise FileError(
            f"{name} could not be written to {folder}: {error.strerror or error}. Free space; the training is kept."
        ) from error
    return name


def read_preview(path: Path, *, is_photograph: bool) -> Preview | None:
    """The pictures of a preview file, with the same levels for both; None where there is none to read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            before, after, step = stored["before"], stored["after"], int(stored["step"])
            wavelengths_nm = stored["wavelengths_nm"] if "wavelengths_nm" in stored else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    if before.ndim != 3 or before.shape != after.shape:
        return None
    if is_photograph:
        levels = render.levels_of(before, None)
        return Preview(step, *(render.photograph_bytes(image, levels) for image in (before, after)))
    weights = render.colour_weights(wavelengths_nm, len(before))
    colours = [render.linear_colour(np.ascontiguousarray(image), weights) for image in (before, after)]
    levels = render.levels_of(colours[1], PERCENTILES)
    return Preview(step, *(render.colour_bytes(colour, levels) for colour in colours))


def _copy_new(source: Path, target: Path) -> None:
    """A whole copy or none; a link, unlike a rename, never replaces what somebody else put there meanwhile."""
    temporary = beside(target)
    try:
        with open(temporary, "xb") as stream:
            stream.write(source.read_bytes())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise FileError(f"{target} already exists. Choose another name.") from None
        except OSError:  # a file system without links
            if target.exists():
                raise FileError(f"{target} already exists. Choose another name.") from None
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)

"""What the files of every task mean: one module a task, and how the task of opened files is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..errors import FileError
from ..measurement import Measurement
from . import cassi, cs, sr
from .options import OpenOptions
from .readers import FoundArray
from .resolved import Resolved, RoleRow


class Reading(Protocol):
    """What a task's module offers.

    `ROLES` maps every role to the keys in circulation, `NUM_AXES` to how many axes longer than 1 such an array has,
    `FILE_WORDS` to words in file names, `AXES` to the axes of arrays whose file does not label them. `OPTIONS` are the
    corrections of OpenOptions that mean something for the task.
    """

    ROLES: Mapping[str, tuple[str, ...]]
    NUM_AXES: Mapping[str, tuple[int, ...]]
    FILE_WORDS: Mapping[str, tuple[str, ...]]
    AXES: Mapping[str, str]
    OPTIONS: tuple[str, ...]

    def by_shape(
        self, found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
    ) -> list[tuple[int, str, str]]:
        """(number, role, reason) for arrays of `free` (the largest first) that their shape tells."""

    def prepared(self, arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
        """The arrays by role as corrections of single arrays leave them, whether a measurement comes about or not."""

    def resolve(
        self, rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Any
    ) -> Resolved:
        """The complete geometry and arrays that fit it; a GeometryError says what is amiss."""

    def measurement(
        self, arrays: Mapping[str, np.ndarray], geometry: Any, *, path: Any, input_scale: float | None, notes: tuple
    ) -> Measurement:
        """The Measurement of resolved arrays; loads torch."""

    def described(self, geometry: Any) -> str:
        """The geometry in one line."""

    def stored(self, measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
        """(name, array, axes) of what a measurement file holds beside y and the reference, and its attributes."""


READING: dict[str, Reading] = {"cassi": cassi, "cs": cs, "sr": sr}


def task_of(found: Sequence[FoundArray], options: OpenOptions) -> str:
    """The task of opened files: the user's word, the files', else what they hold; CASSI where nothing tells."""
    stated = options.task or next((e.attributes["task"] for e in found if "task" in e.attributes), None)
    if stated is not None:
        if stated not in READING:
            raise FileError(f"The task {stated!r} is not known; {', '.join(READING)} was expected. Correct --task.")
        return stated
    said = {role for _, role in options.roles}
    if "sampling" in said or options.image_size is not None or any(map(_is_sampling_matrix, found)):
        return "cs"
    if "kernel" in said or options.scale is not None or options.kernel is not None or _are_photographs(found):
        return "sr"
    return "cassi"


def _is_sampling_matrix(entry: FoundArray) -> bool:
    """Whether an array is called a sampling matrix and has fewer rows than the square number of its columns."""
    rows, columns = sorted(entry.array.shape) if entry.array.ndim == 2 else (0, 0)
    name = entry.key.lower() or entry.path.stem.lower()
    named = name.startswith(("phi", "sampling", "r_")) or (entry.key and name in ("a", "matrix"))
    return bool(named) and 0 < rows < columns and math.isqrt(columns) ** 2 == columns


def _are_photographs(found: Sequence[FoundArray]) -> bool:
    """Whether what was opened is one picture of 8 bits, or one and its enlargement; detectors give more bits."""
    pictures = [entry for entry in found if entry.path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp")]
    if not pictures or len(pictures) < len(found) or len(pictures) > 2:
        return False
    if any(entry.array.dtype != np.uint8 or "mask" in entry.path.stem.lower() for entry in pictures):
        return False
    (height, width), *others = sorted(entry.array.shape[:2] for entry in pictures)
    return all(y > height and y % height == 0 and x % width == 0 for y, x in others)

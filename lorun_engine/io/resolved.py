"""What the reading of every task returns, and the checks that are the same for all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GeometryError
from .options import NO_CORRECTIONS, OpenOptions
from .readers import FoundArray

if TYPE_CHECKING:
    from ..tasks.noise import Noise

ROWS_AT_ONCE = 4
LARGEST = 1e15  # of what is computed with: its square and the sum of many squares are single-precision numbers
SMALLEST = 1 / LARGEST  # a mask that is darker has squares that are none
# what public code and data sets call a cube or a picture, in lower case
SCENE_KEYS = (
    *("reference", "cube", "img", "img_expand", "img_expend", "data_slice", "hsi", "orig", "truth", "gt", "label"),
    *("rad", "scene", "hyperspectral"),
)


@dataclass(frozen=True)
class RoleRow:
    """One array and what it was taken for.

    `axes` are the axes assumed ("YX", "YXC", ...), `shape` the stored one, `scale` what integers are divided by (1 for
    real numbers). `role` is None where the array is not used.
    """

    found: FoundArray
    role: str | None
    reason: str
    axes: str
    scale: float
    scale_reason: str
    minimum: float
    maximum: float
    num_nan: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The stored shape."""
        return self.found.array.shape

    @property
    def dtype(self) -> str:
        """The stored type of number."""
        return str(self.found.array.dtype)

    @property
    def selector(self) -> str:
        """How `OpenOptions.roles` names this array."""
        return f"{self.found.path}::{self.found.key}" if self.found.key else str(self.found.path)

    def values(self) -> np.ndarray:
        """The array as float32 with bands first, (C, H, W) or (H, W), divided by `scale`.

        Raises a GeometryError for numbers that are too large to compute with.
        """
        array, highest = self.found.array, max(abs(self.minimum), abs(self.maximum)) / self.scale
        if highest > LARGEST:
            raise GeometryError(
                f"{self.found.path.name} reaches {highest:.3g}; numbers up to {LARGEST:g} can be computed with. Divide "
                "it by a power of ten, or mark what is missing as NaN."
            )
        if array.ndim == 3:
            array = np.moveaxis(array, [self.axes.index(name) for name in "CYX"], [0, 1, 2])
        array = _contiguous(array)
        return array if self.scale == 1 else array / np.float32(self.scale)


@dataclass(frozen=True)
class Resolved:
    """The arrays by role as the operator takes them, the complete geometry of the task, and what was assumed."""

    arrays: Mapping[str, np.ndarray]
    geometry: Any
    input_scale: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What was said of an instrument that no measurement shows: to measure scenes with, or to adapt a set to.

    `arrays` are those of the files that were named, by role. Where a set is there, `task_config`, `channels` and the
    `sampling` matrix (M, N) that it has learned are its own; it `adapts` where it is to learn the instrument. `words`
    are those for scenes alone, by the fields of their options, such as the `ratio` (percent) of a new matrix; what is
    drawn comes from `seed`.
    """

    options: OpenOptions = NO_CORRECTIONS
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    noise: Noise | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    task_config: Mapping[str, Any] = field(default_factory=dict)
    channels: int | None = None
    sampling: np.ndarray | None = None
    adapts: bool = False

    @property
    def ratio(self) -> float | None:
        """Of a new matrix, in percent."""
        return self.words.get("ratio")


def require_numbers(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses values that are no numbers."""
    for role, array in arrays.items():
        num_bad = array.size - np.count_nonzero(np.isfinite(array))
        if num_bad:
            raise GeometryError(
                f"{num_bad} of the {array.size} values of the {role} {given[role].found.path.name} are not finite "
                "numbers (NaN or infinity). Repair the file or crop it."
            )


def stated_input_scale(row: RoleRow, options: OpenOptions, *, name: str = "input_scale") -> float | None:
    """The factor to the engine's 0..1 scale that the user or the attribute of a file of ours states, or None."""
    if options.input_scale is not None:
        if not (options.input_scale > 0 and math.isfinite(options.input_scale)):
            raise GeometryError(f"The input scale is {options.input_scale}; a positive number was expected.")
        return float(options.input_scale)
    attributes = row.found.attributes
    if "task" in attributes and row.scale == 1:  # a file of ours
        stated = attributes.get("input_scale", attributes.get(name))
        if isinstance(stated, int | float) and stated > 0 and math.isfinite(stated):
            return float(stated)
    return None


def kernel_image(array: np.ndarray) -> np.ndarray:
    """A blur kernel as an image; a list of numbers lies along a row, which blurs from left to right."""
    while array.ndim > 2 and 1 in array.shape:
        array = array.squeeze(array.shape.index(1))
    return array[None] if array.ndim == 1 else array


def _contiguous(array: np.ndarray) -> np.ndarray:
    """`array` in one piece as float32, itself where it is that; a few rows at a time, which fit into the cache.

    Bringing the bands of a large cube to the front is several times as fast so.
    """
    if array.ndim != 3:
        return np.ascontiguousarray(array, dtype=np.float32)
    if array.flags.c_contiguous and array.dtype == np.float32:
        return array
    copy = np.empty(array.shape, np.float32)
    for row in range(0, array.shape[1], ROWS_AT_ONCE):
        copy[:, row : row + ROWS_AT_ONCE] = array[:, row : row + ROWS_AT_ONCE]
    return copy

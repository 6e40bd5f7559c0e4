"""What stored numbers are divided by: the full scale of integers, and of real numbers that were stored like them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import FileError, GeometryError
from ..measurement import Scene
from ..task import TASKS
from .captures import HIGHEST_OF_ALL
from .options import OpenOptions
from .readers import FoundArray
from .resolved import RoleRow

HIGHEST, LOWEST = 1.5, -0.1  # scenes lie in 0..1; a little more is a highlight
OF_FOLDER = "the full scale of the files of this folder (assumed)"
IMAGES = ("measurement", "reference", "scene")  # the roles whose numbers have a scale
_MOST_BANDS = 256  # the sum over the bands of a scene in 0..1 is no higher
_DEPTHS = (8, 10, 12, 14, 16)
_A_GUESS = "; this full scale is assumed"

FullScales = Mapping[str, float]  # type of number -> full scale that the files of a folder share


def full_scale(highest: float) -> tuple[float, str]:
    """The smallest full scale that holds a number, and its depth in words."""
    bits = next((bits for bits in _DEPTHS if highest < 2**bits), None)
    return (2.0**bits - 1, f" ({bits} bits)") if bits else (float(highest), "")


def scale_of(
    entry: FoundArray, role: str | None, options: OpenOptions, task: str, shared: FullScales
) -> tuple[float, str]:
    """What the stored numbers of an array are divided by, and why; a mask has a scale of its own."""
    is_whole, kind = entry.array.dtype.kind in "iu", TASKS[task]
    if role in ("wavelengths", "sampling", "kernel", "response"):
        return 1.0, f"a {'list' if role == 'wavelengths' else role + ' matrix'} is taken as it is"
    is_image = role in IMAGES
    is_picture = kind.measures == "picture" or (role == "scene" and kind.is_photograph)
    highest = max(_highest(entry.array), entry.attributes.get(HIGHEST_OF_ALL, 0.0)) if is_whole or is_image else 0.0
    most = HIGHEST if is_picture or role != "measurement" else _MOST_BANDS
    if options.integer_scale is not None and is_image and (is_whole or highest > most):
        if not (options.integer_scale > 0 and math.isfinite(options.integer_scale)):
            raise GeometryError(f"The full scale is {options.integer_scale}; a positive number was expected.")
        return float(options.integer_scale), f"divided by {options.integer_scale:g}, as you said"
    stated = entry.attributes.get("scale")
    is_stated = isinstance(stated, int | float) and stated > 0 and math.isfinite(stated)
    if is_whole and is_stated:
        return float(stated or 1), f"divided by {stated:g}, the scale its file states"
    if is_whole and highest <= 1:
        return 1.0, "zeros and ones are taken as they are"
    if is_whole and is_image and shared.get(entry.array.dtype.name, 0) >= highest:
        full = shared[entry.array.dtype.name]
        return (
            full,
            f"integers up to {highest:.0f} were divided by {full:g}, {OF_FOLDER}",
        )
    if is_whole:
        full, depth = full_scale(highest)
        is_sure = entry.array.dtype == np.uint8
        return full, f"integers up to {highest:.0f} were divided by {full:g}{depth}{'' if is_sure else _A_GUESS}"
    if is_image and is_picture and highest > HIGHEST and "task" not in entry.attributes:
        full, depth = full_scale(highest)
        return full, f"real numbers up to {highest:.4g} were divided by {full:g}{depth}{_A_GUESS}"
    return 1.0, "real numbers are taken as they are"


def shared_scales(rows: Iterable[RoleRow]) -> FullScales:
    """The full scales of the integers of several files together, by type of number."""
    highest: dict[str, float] = {}
    for row in rows:
        is_open = row.found.array.dtype.kind in "iu" and row.role in IMAGES
        if is_open and "scale" not in row.found.attributes and row.maximum > 1:
            highest[row.dtype] = max(row.maximum, highest.get(row.dtype, 0.0))
    return {kind: full_scale(value)[0] for kind, value in highest.items()}


def require_scene_scale(scene: Scene, name: str) -> None:
    """Refuses a scene whose values do not lie in 0..1, with a little room for noise and highlights."""
    low, high = float(scene.image.min()), float(scene.image.max())
    if low < LOWEST or high > HIGHEST:
        full, _ = full_scale(high)
        raise FileError(
            f"The values of {name} reach from {low:.4g} to {high:.4g}; 0 to 1 was expected. Say what they are to be "
            f"divided by, e.g. with --integer-scale {full:g}."
        )


def _highest(array: np.ndarray) -> float:
    """The highest finite number of an array, 0 without one."""
    if array.dtype.kind != "f":
        return float(array.max()) if array.size else 0.0
    finite = array[np.isfinite(array)]
    return float(finite.max()) if finite.size else 0.0

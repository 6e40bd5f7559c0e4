"""What the reading of every task returns, and the checks that are the same for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GeometryError
from .options import OpenOptions

if TYPE_CHECKING:
    from .roles import RoleRow


@dataclass(frozen=True)
class Resolved:
    """The arrays by role as the operator takes them, the complete geometry of the task, and what was assumed."""

    arrays: Mapping[str, np.ndarray]
    geometry: Any
    input_scale: float | None
    notes: tuple[str, ...]


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


def by(shape: Sequence[int]) -> str:
    """As "256 x 310"."""
    return " x ".join(str(size) for size in shape)

"""Masks of CASSI cameras as files hold them: turned, mirrored, moved, or stored as every band sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import GeometryError, by
from .cassi_geometry import Geometry
from .resolved import RoleRow


def turned(mask: np.ndarray, *, flip: str | None, rotate: int) -> np.ndarray:
    """The (H, W) or (C, H, W) mask turned by quarter turns counter-clockwise, then mirrored left-right or up-down."""
    if flip not in (None, "lr", "ud"):
        raise GeometryError(f"The mask should be mirrored {flip!r}; lr or ud was expected. Correct --flip.")
    if mask.ndim not in (2, 3):
        return mask
    mask = np.rot90(mask, rotate, axes=(-2, -1))
    if flip is not None:
        mask = np.flip(mask, axis=-1 if flip == "lr" else -2)
    return np.ascontiguousarray(mask)


def moved(mask: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """The (H, W) or (C, H, W) mask moved down and right by `shift` (y, x) pixels; between pixels it is interpolated.

    Where no mask is known any more it is 0.
    """
    if not np.isfinite(shift).all():
        raise GeometryError(f"The mask should be moved by {shift} pixels; two numbers were expected. Correct them.")
    if not any(shift) or mask.ndim not in (2, 3):
        return mask
    from scipy import ndimage

    along_all = (0.0,) * (mask.ndim - 2) + tuple(shift)
    shifted = ndimage.shift(mask.astype(np.float64), along_all, order=1, mode="constant")
    return np.asarray(shifted, dtype=np.float32)


def is_shifted(row: RoleRow, mask: np.ndarray, detector: tuple[int, ...]) -> bool:
    """Whether a mask (C, H, W) holds every band where it falls on the detector, as Phi does."""
    return mask.ndim == 3 and (row.found.key.lower() == "mask_3d_shift" or mask.shape[-2:] == detector)


def unshifted(
    mask: np.ndarray, known: Geometry, detector: tuple[int, ...], notes: list[str]
) -> tuple[np.ndarray, Geometry]:
    """Every band of a pre-shifted mask (C, H', W') moved back to (C, H, W), its values as they are stored."""
    if mask.shape[-2:] != detector:
        raise GeometryError(
            f"The shifted mask is {by(mask.shape[-2:])} pixels; the snapshot is {by(detector)}. "
            "Choose the mask of this camera."
        )
    axis, step = known.axis or "x", known.step
    known = replace(known, axis=axis)
    if step is None:
        step, reason = _step_of_shifted(mask, axis), "where the bands of the shifted mask begin"
        if step is None:
            step, reason = 2.0, "assumed: the usual step of masks that are stored shifted"
        known = replace(known, step=step, reasons={**known.reasons, "step": reason})
    first = int(known.first_offset or 0)
    if not (step.is_integer() and first == (known.first_offset or 0) and first >= 0):
        raise GeometryError(
            f"A mask that is stored shifted has whole steps; a step of {step:g} from {known.first_offset or 0:g} "
            "was given. Give the mask as the first band sees it."
        )
    along = 2 if axis == "x" else 1
    length = mask.shape[along] - first - (len(mask) - 1) * int(step)
    if length < 1:
        raise GeometryError(
            f"The shifted mask is {mask.shape[along]} pixels long; {len(mask)} bands at step {step:g} need more. "
            "Correct bands or step."
        )
    starts = [first + int(step) * band for band in range(len(mask))]
    starts = starts if (known.direction or "+") == "+" else starts[::-1]
    bands = [band.take(range(at, at + length), axis=along - 1) for band, at in zip(mask, starts, strict=True)]
    notes.append(
        f"The mask is stored shifted for every band; each band was moved back by its offset (step {step:g}: "
        f"{known.reasons['step']}) and keeps the values that are stored."
    )
    moved_back = np.stack(bands)
    if np.count_nonzero(moved_back) != np.count_nonzero(mask):
        notes.append("Values of the shifted mask beside the bands' own places were left out.")
    return moved_back, known


def _step_of_shifted(mask: np.ndarray, axis: str) -> float | None:
    """The whole step that the first open pixels of the first and the last band tell; None where they tell none."""
    across = 0 if axis == "x" else 1
    first, last = (int(np.argmax(band.any(axis=across))) for band in (mask[0], mask[-1]))
    step, rest = divmod(abs(last - first), max(len(mask) - 1, 1))
    return float(step) if step and not rest else None

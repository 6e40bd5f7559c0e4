"""Masks of CASSI cameras as files hold them: turned, mirrored, moved, or stored as every band sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import GeometryError, by
from .captures import last_name
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
    return mask.ndim == 3 and (last_name(row.found) == "mask_3d_shift" or mask.shape[-2:] == detector)


def unshifted(
    mask: np.ndarray, known: Geometry, detector: tuple[int, ...], notes: list[str]
) -> tuple[np.ndarray, Geometry]:
    """Every band of a pre-shifted mask (C, H', W') moved back to (C, H, W), its values as they are stored."""
    if mask.shape[-2:] != detector:
        raise GeometryError(
            f"The shifted mask is {by(mask.shape[-2:])} pixels; the snapshot is {by(detector)}. "
            "Choose the mask of this camera."
        )
    known = _as_shifted(mask, known)
    axis, step = known.axis or "x", known.step
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


def _as_shifted(mask: np.ndarray, known: Geometry) -> Geometry:
    """What is known, with what the closed borders of the bands (C, H', W') tell of axis, step and direction besides."""
    axis, move = max(((axis, _move(mask, axis)) for axis in "xy"), key=lambda pair: pair[1][1])
    if known.axis is not None:
        axis, move = known.axis, _move(mask, known.axis)
    step, share = move
    found: dict[str, Any] = {"axis": axis if share else known.axis or "x"}
    if share:
        found |= {"step": abs(step), "direction": "+" if step > 0 else "-"}
    new = {name: value for name, value in found.items() if getattr(known, name) is None}
    reasons = dict.fromkeys(new, "where the bands of the shifted mask begin and end")
    return replace(known, **new, reasons={**known.reasons, **reasons})


def _move(mask: np.ndarray, axis: str) -> tuple[float, float]:
    """By how many pixels the bands are moved from one to the next along an axis, and how many of them; 0 for none.

    A band's place is seen by where its first and last open pixels lie.
    """
    opened: np.ndarray = np.any(mask, axis=1 if axis == "x" else 2)  # (C, length)
    if len(mask) < 2 or not opened.any(axis=1).all():
        return 0.0, 0.0
    first, last = np.argmax(opened, axis=1), -np.argmax(opened[:, ::-1], axis=1)
    step = float(first[-1] - first[0]) / (len(mask) - 1)
    if step == 0 or last[-1] - last[0] != first[-1] - first[0]:
        return 0.0, 0.0
    share = float(np.mean([np.abs(np.diff(side) - step) < 1 for side in (first, last)]))
    return (step, share) if share > 0.5 else (0.0, 0.0)

"""Light that falls on a CASSI detector from beside the field of view.

The model of a capture ends where its mask ends, but most scenes go on: at the ends of the detector, where only some
bands of the field arrive, the missing ones come from beside it. A decoder that takes this light for the field's makes
its first columns several times too bright. What is read there through closed pixels of the mask tells how much it is;
along the dispersion it fades as the field's own bands arrive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .dark_level import dark_level_by, light_of_white

LIGHT_BESIDE = ("subtract", "keep")  # what may be done with it
_CLOSED = 0.03  # of the most light a pixel can get: what pixels below it read is hardly the field's
_MISSING = 0.6  # of the bands, at least, where the light is measured
_SMOOTH = 5.0  # lines
_FEWEST_PIXELS = 16  # a line and its neighbours need
_NUM_LINES = 2 * math.sqrt(math.pi) * _SMOOTH  # that such a Gaussian averages
_SURE = 4  # standard errors
_LEAST = 0.3  # of what the middle of the line reads; a mask that lies a few pixels beside its place looks like less


def light_beside(y: np.ndarray, mask: np.ndarray, offsets: Sequence[float], axis: str) -> np.ndarray:
    """(H', W') float32: an estimate of the light from beside the field in a capture y (H', W').

    `mask` is (H, W) or (C, H, W), `offsets` are those of the bands along `axis`. For every line along the dispersion,
    smoothed with its neighbours, and for both ends, y at pixels where the mask is closed is fitted by the field's faint
    light there plus a constant for every missing band; the latter is the estimate, 0 where it is not there for sure.
    A dark level that y still has is not taken for it.
    """
    light = light_of_white(mask, offsets, axis, y.shape)
    y = y - np.float32(dark_level_by(y, light, axis))
    missing = _missing(offsets, mask.shape[-1 if axis == "x" else -2], y.shape[-1 if axis == "x" else -2])
    if axis == "y":
        return _beside(y.T, light.T, missing).T
    return _beside(y, light, missing)


def _missing(offsets: Sequence[float], field: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The shares (length,) of the bands whose part of the field lies behind a place, and before it, along a line."""
    places, starts = np.arange(length), np.asarray(offsets)[:, None]
    return (starts > places).mean(axis=0), (starts + field <= places).mean(axis=0)


def _beside(y: np.ndarray, light: np.ndarray, missing: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """As `light_beside`, for lines along the last axis."""
    found = np.zeros(y.shape, np.float32)
    closed = (light < _CLOSED * light.max()) & np.isfinite(y)
    whole = (missing[0] + missing[1]) == 0
    middle = np.where(np.isfinite(y), y, 0)[:, whole if whole.any() else slice(None)].mean(axis=1)
    least = _LEAST * _smoothed(middle)
    for share in missing:
        columns = np.flatnonzero(share >= _MISSING)
        counted = closed[:, columns].astype(np.float64)
        read, lit = (np.where(closed[:, columns], part[:, columns], 0.0) for part in (y, light))
        steady = share[columns] * counted

        def total(values: np.ndarray) -> np.ndarray:
            return _smoothed(values.sum(axis=1))

        # least squares of read = slope lit + level share, line by line
        a, b, c = total(lit * lit), total(lit * steady), total(steady * steady)
        p, q = total(lit * read), total(steady * read)
        determinant = a * c - b * b
        is_solvable = determinant > 1e-9 * np.maximum(a * c, 1e-30)
        slope = np.where(is_solvable, (c * p - b * q) / np.where(is_solvable, determinant, 1), 0).clip(min=0)
        level = np.where(c > 0, (q - b * slope) / np.where(c > 0, c, 1), 0)
        rest = (read - slope[:, None] * lit - level[:, None] * steady) ** 2 * counted
        variance = total(rest) / np.maximum(total(counted), 1e-12)
        error = np.sqrt(variance / np.maximum(c * _NUM_LINES, 1e-12))
        is_sure = (level > np.maximum(_SURE * error, least)) & (total(counted) * _NUM_LINES > _FEWEST_PIXELS)
        level = np.where(is_sure, level, 0)
        found += (level[:, None] * share).astype(np.float32)
    return found


def _smoothed(lines: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d  # the window starts before it is there

    smoothed: np.ndarray = gaussian_filter1d(lines, _SMOOTH)
    return smoothed

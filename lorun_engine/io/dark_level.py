"""The dark level of a CASSI capture: what its detector reads where no light falls.

Most cameras add a constant to every pixel, the mask does not code it, and a decoder that takes it for light invents a
scene for it: bright columns where few bands reach and dark seams beside bright objects. At the ends of the detector
hardly any band arrives, so what is read there is the dark level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_END = 0.03  # of the most light a pixel can get: pixels below it count as ends
_FEWEST_PIXELS = 64
_SURE = 5  # standard errors
_LEAST = 1e-3  # of the brightest pixel; less makes no difference


def estimated_dark_level(y: np.ndarray, mask: np.ndarray, offsets: Sequence[float], axis: str) -> float:
    """The constant in a capture y (H', W') seen through `mask` (H, W) or (C, H, W); 0.0 where there is none for sure.

    `offsets` are those of the bands along `axis`. y is regressed on the light that a white scene would give at the end
    pixels; the intercept, but no more than the median there, is the dark level.
    """
    light = _light(mask, offsets, axis, y.shape)
    ends = (light < _END * light.max()) & np.isfinite(y)
    if np.count_nonzero(ends) < _FEWEST_PIXELS:
        return 0.0
    read, lit = y[ends].astype(np.float64), light[ends]
    spread = np.square(lit - lit.mean()).sum()
    slope = ((lit - lit.mean()) * read).sum() / spread if spread > 0 else 0.0
    intercept = read.mean() - slope * lit.mean()
    variance = np.square(read - intercept - slope * lit).mean()
    error = math.sqrt(variance * (1 / read.size + (lit.mean() ** 2 / spread if spread > 0 else 0.0)))
    level = min(intercept, float(np.median(read)))
    return float(level) if level > max(_SURE * error, _LEAST * float(np.nanmax(y))) else 0.0


def _light(mask: np.ndarray, offsets: Sequence[float], axis: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a scene of ones gives on a detector of `shape`; fractional offsets split a pixel between two."""
    height, width = mask.shape[-2:]
    light = np.zeros(shape, np.float64)
    for band, offset in enumerate(offsets):
        whole = math.floor(offset)
        for start, share in ((whole, 1 - (offset - whole)), (whole + 1, offset - whole)):
            y, x = (0, start) if axis == "x" else (start, 0)
            target = light[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
            open_ = (mask if mask.ndim == 2 else mask[band])[max(-y, 0) :, max(-x, 0) :]
            target += share * open_[: target.shape[0], : target.shape[1]]
    return light

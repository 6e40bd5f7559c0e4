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
_PART = 16  # pixels: the mean over so many in both directions is hardly noise
_MOST = 1.4  # of what the darkest part of the detector reads; real dark levels are 0.97 to 1.3 times as high
_LARGEST = 0.25  # of what bright pixels read; more is no dark level but a bright scene that goes on beside the field
_LEAST = 1e-3  # of the brightest pixel; less makes no difference


def estimated_dark_level(y: np.ndarray, mask: np.ndarray, offsets: Sequence[float], axis: str) -> float:
    """The constant in a capture y (H', W') seen through `mask` (H, W) or (C, H, W); 0.0 where there is none for sure.

    `offsets` are those of the bands along `axis`. At each end y is regressed on the light that a white scene would give
    at the end pixels; the intercept, but no more than the median there, is what the end reads. A constant is the same
    at both ends, small beside what bright pixels read, and no part of the detector reads less: what exceeds that is
    light from beside the field.
    """
    return dark_level_by(y, light_of_white(mask, offsets, axis, y.shape), axis)


def dark_level_by(y: np.ndarray, light: np.ndarray, axis: str) -> float:
    """As `estimated_dark_level`, by the light (H', W') that a white scene would give."""
    if axis == "y":
        y, light = y.T, light.T
    ends = (light < _END * light.max()) & np.isfinite(y)
    half = y.shape[1] // 2
    parts = [(y[:, part], light[:, part], ends[:, part]) for part in (slice(0, half), slice(half, None))]
    levels = [_level(*part) for part in parts if np.count_nonzero(part[2]) >= _FEWEST_PIXELS]
    level = min(levels, default=0.0)
    if not level:
        return 0.0
    from scipy.ndimage import uniform_filter  # the window starts before it is there

    brightest = float(y[np.isfinite(y)].max())
    darkest = float(uniform_filter(np.where(np.isfinite(y), y, brightest), _PART, mode="nearest").min())
    most = min(_MOST * darkest, _LARGEST * float(np.nanpercentile(y, 99)))
    return level if _LEAST * brightest < level < most else 0.0


def _level(y: np.ndarray, light: np.ndarray, ends: np.ndarray) -> float:
    """What the pixels `ends` of lines along the last axis read without light; 0.0 where that is not sure."""
    read, lit = y[ends].astype(np.float64), light[ends].astype(np.float64)
    spread = np.square(lit - lit.mean()).sum()
    slope = ((lit - lit.mean()) * read).sum() / spread if spread > 0 else 0.0
    intercept = read.mean() - slope * lit.mean()
    variance = np.square(read - intercept - slope * lit).mean()
    error = math.sqrt(variance * (1 / read.size + (lit.mean() ** 2 / spread if spread > 0 else 0.0)))
    return float(min(intercept, np.median(read))) if intercept > _SURE * error else 0.0


def light_of_white(mask: np.ndarray, offsets: Sequence[float], axis: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a scene of ones gives on a detector of `shape`; fractional offsets split a pixel between two."""
    height, width = mask.shape[-2:]
    light = np.zeros(shape, np.float32)
    for band, offset in enumerate(offsets):
        whole = math.floor(offset)
        for start, share in ((whole, 1 - (offset - whole)), (whole + 1, offset - whole)):
            if share:
                y, x = (0, start) if axis == "x" else (start, 0)
                target = light[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
                open_ = (mask if mask.ndim == 2 else mask[band])[max(-y, 0) :, max(-x, 0) :]
                open_ = open_[: target.shape[0], : target.shape[1]]
                target += open_ if share == 1 else np.float32(share) * open_
    return light

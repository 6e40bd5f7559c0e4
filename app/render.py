"""From arrays to pictures: levels, grey and colour bytes, thumbnails. Pure NumPy; a display never touches the numbers.

Levels come from percentiles of a subsample, without NaN, and are shared by all panes unless the user wants otherwise.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache

import numpy as np

from lorun_engine.colour import ColourTable, read_observer, rgb_weights, srgb_encode, wavelength_colour

from .resources import resource_path

ILLUMINANT = "D65"
MOST_SAMPLES = 100_000  # pixels that percentiles are taken of
_CODES = 4096  # steps of the gamma table


@lru_cache(maxsize=1)
def colour_table() -> ColourTable:
    """The CIE 1931 observer that comes with the program."""
    return read_observer(resource_path("colour", "cie1931.csv"))


@lru_cache(maxsize=1)
def _gamma() -> np.ndarray:
    """sRGB bytes of 0..1 in _CODES steps."""
    return np.rint(255 * srgb_encode(np.linspace(0, 1, _CODES))).astype(np.uint8)


def levels_of(image: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The values at two percentiles of an array of any shape, NaN and infinity left out; never two equal ones."""
    flat = image.reshape(-1)
    flat = flat[:: max(1, flat.size // MOST_SAMPLES)]
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return 0.0, 1.0
    black, white = (float(value) for value in np.percentile(flat, (low, high)))
    return (black, white) if white > black else (black, black + max(abs(black), 1e-6))


def grey_bytes(plane: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """(H, W) numbers to (H, W) uint8, linearly between the two levels; NaN is black."""
    black, white = levels
    scaled = (plane - np.float32(black)) * np.float32(255 / (white - black))
    return np.nan_to_num(np.clip(scaled, 0, 255), copy=False).astype(np.uint8)


def colour_weights(wavelengths_nm: np.ndarray | None, num_bands: int) -> np.ndarray:
    """(C, 3) weights to linear sRGB; without wavelengths three broad groups of bands stand for blue, green and red."""
    if num_bands == 3 and wavelengths_nm is None:
        return np.eye(3, dtype=np.float32)
    if wavelengths_nm is not None:
        return rgb_weights(wavelengths_nm, colour_table(), illuminant=ILLUMINANT)
    centres = np.linspace(num_bands - 1, 0, 3)  # red is the longest wavelength
    distance = np.abs(np.arange(num_bands)[:, None] - centres) / max(num_bands / 3, 1)
    weights = np.clip(1 - distance, 0, None)
    return (weights / weights.sum(axis=0)).astype(np.float32)


def linear_colour(cube: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C, H, W) to linear (H, W, 3) float32."""
    num_bands, height, width = cube.shape
    return (cube.reshape(num_bands, -1).T @ weights).reshape(height, width, 3)


def colour_bytes(linear: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Linear (H, W, 3) to gamma-coded uint8, the levels becoming black and white."""
    black, white = levels
    scaled = (linear - np.float32(black)) * np.float32((_CODES - 1) / (white - black))
    return _gamma()[np.nan_to_num(np.clip(scaled, 0, _CODES - 1), copy=False).astype(np.uint16)]


def tinted(grey: np.ndarray, wavelength_nm: float) -> np.ndarray:
    """A grey (H, W) uint8 band in the colour of its wavelength, (H, W, 3) uint8."""
    colour = np.asarray(wavelength_colour(wavelength_nm, colour_table()))
    ramp = np.rint(np.arange(256)[:, None] * colour).astype(np.uint8)
    return ramp[grey]


def thumbnail(cube: np.ndarray, side: int) -> np.ndarray:
    """Every n-th pixel of a (C, H, W) cube, so that its longer side has about `side` pixels."""
    stride = max(1, math.ceil(max(cube.shape[1:]) / side))
    return np.ascontiguousarray(cube[:, ::stride, ::stride])


def montage_grid(num_bands: int, aspect: float) -> tuple[int, int]:
    """(rows, columns) of tiles for a pane of width / height `aspect` showing tiles of the scene's own shape."""
    columns = max(1, min(num_bands, round(math.sqrt(num_bands * aspect))))
    return math.ceil(num_bands / columns), columns


class Cache:
    """The last `size` results of slow functions, by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, object] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], object]):
        """The kept result, or a new one."""
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = make()
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return self._kept[key]

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()

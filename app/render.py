"""From arrays to pictures: levels, grey and colour bytes, small copies. Pure NumPy; the numbers are never touched.

Levels come from percentiles of a subsample, without NaN. The colour of spectra is the CIE 1931 observer's (see
lorun_engine.colour); photographs are coded for sRGB already and keep their colours.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TypeVar, cast

import numpy as np

from lorun_engine.colour import (
    ColourTable,
    false_colour_bands,
    read_observer,
    rgb_weights,
    srgb_encode,
    wavelength_colour,
)

from .kinds import RGB, Stretch
from .resources import resource_path

ILLUMINANT = "D65"
MOST_SAMPLES = 60_000  # numbers that percentiles are taken of
_CODES = 4096  # steps of the gamma table

T = TypeVar("T")


@lru_cache(maxsize=1)
def colour_table() -> ColourTable:
    """The CIE 1931 observer that comes with the program."""
    return read_observer(resource_path("colour", "cie1931.csv"))


def levels_of(image: np.ndarray, stretch: Stretch) -> tuple[float, float]:
    """The values at two percentiles of (..., H, W), NaN and infinity left out; never two equal ones; 0, 1 for None.

    Without the first percentile black is 0.
    """
    if stretch is None:
        return 0.0, 1.0
    stride = max(1, math.ceil(math.sqrt(image.size / MOST_SAMPLES)))
    sample = image[..., ::stride, ::stride]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = stretch
    white = float(np.percentile(sample, high))
    black = 0.0 if low is None else float(np.percentile(sample, low))
    return (black, white) if white > black else (black, black + max(abs(black), 1e-6))


def exposed(levels: tuple[float, float], stops: float) -> tuple[float, float]:
    """The levels of a picture that is shown brighter by `stops`, each of which doubles the light."""
    black, white = levels
    return black, black + (white - black) / 2.0**stops


def grey_bytes(plane: np.ndarray, levels: tuple[float, float], gamma: float = 1.0) -> np.ndarray:
    """Numbers of any shape to uint8 between the two levels, to the power of 1 / gamma; NaN is black."""
    if gamma == 1:
        return _codes(plane, levels, 255).astype(np.uint8)
    return np.take(_power(gamma), _codes(plane, levels, _CODES - 1).astype(np.uint16))


def colour_bytes(linear: np.ndarray, levels: tuple[float, float], gamma: float = 1.0) -> np.ndarray:
    """Linear sRGB (3, H, W) to coded (H, W, 3) uint8, the levels becoming black and white; NaN is black.

    A `gamma` above 1 lifts the shadows beside the coding that sRGB has.
    """
    codes = _codes(linear, levels, _CODES - 1).astype(np.uint16)
    return np.take(_srgb(gamma), np.ascontiguousarray(np.moveaxis(codes, 0, -1)))


def photograph_bytes(image: np.ndarray, levels: tuple[float, float], gamma: float = 1.0) -> np.ndarray:
    """A photograph (1 or 3, H, W), as it is coded, to (H, W) or (H, W, 3) uint8; NaN is black."""
    bytes_ = grey_bytes(image, levels, gamma)
    return bytes_[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(bytes_, 0, -1))


def mapped_bytes(grey: np.ndarray, colour_map: np.ndarray) -> np.ndarray:
    """(H, W) uint8 through a (256, 3) uint8 colour map, (H, W, 3) uint8."""
    return np.take(colour_map, grey, axis=0)


def wavelength_map(wavelength_nm: float) -> np.ndarray:
    """(256, 3) uint8 from black to the colour of light of one wavelength."""
    colour = np.asarray(wavelength_colour(wavelength_nm, colour_table()))
    shades: np.ndarray = np.rint(np.arange(256)[:, None] * colour).astype(np.uint8)
    return shades


def channel_map(channel: int) -> np.ndarray:
    """(256, 3) uint8 from black to full red, green or blue."""
    colours = np.zeros((256, len(RGB)), np.uint8)
    colours[:, channel] = np.arange(256)
    return colours


def colour_weights(
    wavelengths_nm: np.ndarray | None, num_bands: int, *, composite: tuple[int, int, int] | None = None
) -> np.ndarray:
    """(C, 3) weights to linear sRGB; a `composite` of three bands is red, green and blue as it is.

    Without wavelengths three single bands (see `false_colour_bands`) stand in.
    """
    if wavelengths_nm is not None and composite is None:
        return rgb_weights(wavelengths_nm, colour_table(), illuminant=ILLUMINANT)
    weights = np.zeros((num_bands, 3), dtype=np.float32)
    weights[composite or false_colour_bands(num_bands), np.arange(3)] = 1
    return weights


def linear_colour(cube: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C, H, W) to linear sRGB (3, H, W) float32, by one product with the (C, 3) weights.

    In this thread alone: a BLAS with threads of its own waits for cores while a decode keeps them busy.
    """
    num_bands, height, width = cube.shape
    cube = np.asarray(cube)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
        colour: np.ndarray = np.einsum("cn,ck->kn", cube.reshape(num_bands, -1), weights)
    return colour.reshape(3, height, width)


def shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    """(..., H, W) at 1 / factor of its size: the mean of four pixels of every whole block of factor x factor."""
    if factor <= 1:
        return np.asarray(image)
    height, width = (length // factor * factor for length in image.shape[-2:])
    half = factor // 2
    y0, x0 = slice(0, height, factor), slice(0, width, factor)
    y1, x1 = slice(half, height, factor), slice(half, width, factor)
    with np.errstate(invalid="ignore", over="ignore"):
        total: np.ndarray = image[..., y0, x0] + image[..., y1, x0]
        total += image[..., y0, x1]
        total += image[..., y1, x1]
        mean: np.ndarray = total * np.float32(0.25)
    return mean


def mean_of_bands(cube: np.ndarray, bands: tuple[int, int]) -> np.ndarray:
    """(H, W): a band of a (C, H, W) cube itself, or the mean over those from the first to the last."""
    first, last = bands
    plane: np.ndarray = cube[first]
    if first != last:
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
            plane = cube[first : last + 1].mean(axis=0)
    return plane


def fitting_factor(size: tuple[int, int], shown: tuple[float, float]) -> int:
    """By how much (height, width) may be shrunk and still fill the (height, width) of the place where it is shown."""
    factor = min(length / max(place, 1) for length, place in zip(size, shown, strict=True))
    return max(1, min(int(factor + 0.05), *size))


def thumbnail(cube: np.ndarray, side: int) -> np.ndarray:
    """Every n-th pixel of a (C, H, W) cube, so that its longer side has `side` pixels or a few less."""
    stride = max(1, math.ceil(max(cube.shape[1:]) / side))
    return np.ascontiguousarray(cube[:, ::stride, ::stride])


def mean_spectrum(cube: np.ndarray, pixel: tuple[int, int], side: int) -> np.ndarray:
    """(C,) mean over the `side` x `side` pixels around (y, x), cut at the border, without NaN; NaN where all are."""
    y, x = pixel
    reach = side // 2
    box = cube[:, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].reshape(len(cube), -1)
    return _finite_mean(box.T)


def statistics(window: np.ndarray, is_inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean (C,) and standard deviation (C,) of (C, h, w) over the pixels (h, w) inside, without NaN; their number."""
    values = window[:, is_inside].T
    mean = _finite_mean(values)
    with np.errstate(invalid="ignore", over="ignore"):
        return mean, np.sqrt(_finite_mean(np.square(values - mean))), len(values)


def line_profile(image: np.ndarray, row: int, side: int) -> np.ndarray:
    """(W,) mean over the channels and the `side` rows of (C, H, W) around a row, cut at the border, without NaN."""
    reach = side // 2
    return _finite_mean(image[:, max(0, row - reach) : row + reach + 1].reshape(-1, image.shape[2]))


def tiling(num_tiles: int, tile: tuple[float, float], place: tuple[float, float], margin: tuple[float, float]) -> int:
    """The number of columns that shows tiles (height, width) largest in a place; every tile needs a margin besides."""
    best, best_scale = 1, -math.inf
    for columns in range(1, num_tiles + 1):
        rows = math.ceil(num_tiles / columns)
        scale = min(
            (place[0] / rows - margin[0]) / tile[0],
            (place[1] / columns - margin[1]) / tile[1],
        )
        if scale > best_scale * 1.02:  # a change has to be worth it
            best, best_scale = columns, scale
    return best


class Cache:
    """The latest results of slow functions by key, as long as they have no more than `limit_bytes` together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._num_bytes = 0
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], num_bytes: Callable[[T], int]) -> T:
        """The kept result, or a new one of `num_bytes(result)`."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return cast(T, self._kept[key][0])
        result = make()
        self._kept[key] = result, num_bytes(result)
        self._num_bytes += self._kept[key][1]
        while self._num_bytes > self._limit_bytes and len(self._kept) > 1:
            _, (_, dropped_bytes) = self._kept.popitem(last=False)
            self._num_bytes -= dropped_bytes
        return result

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self._num_bytes = 0


def _finite_mean(values: np.ndarray) -> np.ndarray:
    """The mean of every column of (N, M) over its finite numbers; NaN where there are none."""
    is_finite = np.isfinite(values)
    num_finite = is_finite.sum(axis=0)
    total = np.where(is_finite, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(num_finite > 0, total / np.maximum(num_finite, 1), np.nan)


def _codes(values: np.ndarray, levels: tuple[float, float], top: int) -> np.ndarray:
    """Numbers as float32 codes 0..top between the two levels, rounded down after half a step; NaN is 0."""
    black, white = levels
    with np.errstate(invalid="ignore", over="ignore"):
        codes = (values - np.float32(black)) * np.float32(top / (white - black))
    codes += np.float32(0.5)
    np.fmin(np.fmax(codes, 0, out=codes), top, out=codes)  # fmax takes the number where the other is NaN
    return codes


@lru_cache(maxsize=8)
def _srgb(gamma: float) -> np.ndarray:
    """sRGB bytes of 0..1 in _CODES steps, to the power of 1 / gamma first."""
    codes: np.ndarray = np.rint(255 * srgb_encode(np.linspace(0, 1, _CODES) ** (1 / gamma))).astype(np.uint8)
    return codes


@lru_cache(maxsize=8)
def _power(gamma: float) -> np.ndarray:
    """Bytes of 0..1 in _CODES steps, to the power of 1 / gamma."""
    codes: np.ndarray = np.rint(255 * np.linspace(0, 1, _CODES) ** (1 / gamma)).astype(np.uint8)
    return codes

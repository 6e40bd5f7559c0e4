"""Pictures and spectra from nothing but random numbers, for a machine that has no scenes of its own.

Dead leaves, opaque shapes that fall one over the other with sizes r of density r^-3, have the scales, edges and
occlusions of photographs (Lee, Mumford and Huang, IJCV 2001) and train image networks nearly as well (Baradad et al.,
NeurIPS 2021). Reflectances are smooth random curves, lights are Planck's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .composed_scenes import Spectra
from .photographs import Photographs

_LEAVES = 700
_SMALLEST = 2.0  # radius in pixels
_REFLECTANCES, _LIGHTS = 400, 40
_SECOND_RADIATION = 1.4388e7  # nm K


def dead_leaves(count: int, *, height: int = 192, width: int = 288, seed: int = 0) -> Photographs:
    """`count` colour pictures of shaded, textured leaves, reproducible from `seed`."""
    pictures = [_picture(np.random.default_rng((seed, number)), height, width) for number in range(count)]
    pixels = torch.from_numpy(np.stack(pictures))
    return Photographs(pixels, torch.tensor([[height, width]]).expand(count, -1).contiguous())


def smooth_spectra(wavelengths_nm: np.ndarray, *, seed: int = 0) -> Spectra:
    """Reflectances that rise, fall and peak over tens of nanometres, and the lights of hot bodies."""
    rng = np.random.default_rng(seed)
    reflectances = torch.from_numpy(_reflectances(rng, wavelengths_nm))
    temperatures = np.geomspace(2500, 10_000, _LIGHTS)[:, None]
    planck = wavelengths_nm**-5.0 / np.expm1(_SECOND_RADIATION / (wavelengths_nm * temperatures))
    lights = torch.from_numpy((planck / planck.mean(axis=1, keepdims=True)).astype(np.float32))
    return Spectra(reflectances, torch.ones(len(reflectances)), lights, torch.ones(len(lights)), ("smooth",))


def _picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(3, H, W) uint8."""
    image = np.zeros((height, width, 3), dtype=np.float32)
    largest = 0.4 * min(height, width)
    radii = (_SMALLEST**-2 - rng.random(_LEAVES) * (_SMALLEST**-2 - largest**-2)) ** -0.5  # density r^-3
    radii[: _LEAVES // 6] = rng.uniform(0.15, 1, _LEAVES // 6) * largest  # a ground without holes comes first
    texture = _texture(rng, height, width)
    for radius in radii:
        _drop_leaf(image, rng, radius, texture)
    return np.round(255 * image.clip(0, 1).transpose(2, 0, 1)).astype(np.uint8)


def _drop_leaf(image: np.ndarray, rng: np.random.Generator, radius: float, texture: np.ndarray) -> None:
    """Paints one ellipse or rectangle into `image`, shaded along one direction."""
    height, width = image.shape[:2]
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0)
    is_ellipse = rng.random() < 0.6
    cos, sin = np.cos(angle), np.sin(angle)
    sides = np.abs([[sin, stretch * cos], [cos, stretch * sin]])  # of half the leaf along y and along x, in radii
    exact = (radius + 0.5) * (np.hypot(*sides.T) if is_ellipse else sides.sum(axis=1)) + 1
    reach_y, reach_x = np.ceil(exact.clip(max=1.5 * radius)).astype(int)
    rows = slice(max(0, int(centre_y) - reach_y), min(height, int(centre_y) + reach_y + 1))
    columns = slice(max(0, int(centre_x) - reach_x), min(width, int(centre_x) + reach_x + 1))
    y, x = np.ogrid[rows, columns]
    along = ((x - centre_x) * cos + (y - centre_y) * sin) / radius
    across = ((y - centre_y) * cos - (x - centre_x) * sin) / (radius * stretch)
    distance = np.hypot(along, across) if is_ellipse else np.maximum(abs(along), abs(across))
    cover = ((1 - distance) * radius + 0.5).clip(0, 1)[..., None].astype(np.float32)
    colour = rng.beta(0.7, 0.9, 3)
    colour = colour.mean() + rng.uniform(0.1, 0.8) * (colour - colour.mean())
    shade = 1 + rng.uniform(-0.4, 0.4) * along + rng.uniform(0, 0.6) * texture[rows, columns]
    image[rows, columns] += cover * (colour * shade[..., None] - image[rows, columns]).astype(np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(H, W) noise whose amplitude falls as 1 / frequency, of standard deviation 0.5."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(frequency, 1 / max(height, width))
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(0.5 * noise / noise.std())


def _reflectances(rng: np.random.Generator, wavelengths_nm: np.ndarray) -> np.ndarray:
    """(N, C) float32 in 0..1: a level, up to two sigmoids and up to two bumps each."""
    count, nm = _REFLECTANCES, wavelengths_nm[None, None]
    low, high = float(wavelengths_nm.min()), float(wavelengths_nm.max())
    edges = rng.uniform(low - 30, high + 30, (2, count, 2, 1))
    widths = rng.uniform((8,), (40,), (2, count, 2, 1))
    heights = rng.uniform(-0.8, 0.8, (2, count, 2, 1)) * (rng.random((2, count, 2, 1)) < 0.6)
    rises = heights[0] / (1 + np.exp((edges[0] - nm) / widths[0]))
    bumps = heights[1] * np.exp(-0.5 * ((nm - edges[1]) / widths[1]) ** 2)
    curves = rng.uniform(0.03, 0.5, (count, 1)) + (rises + bumps).sum(axis=1)
    return np.asarray(curves.clip(0.01, 0.98), dtype=np.float32)


def colour_pictures(photographs: Photographs) -> list[Tensor]:
    """The pictures one by one, (3, H, W) float32 in 0..1."""
    return [
        pixels[:, :height, :width].float() / 255
        for pixels, (height, width) in zip(photographs.pixels, photographs.sizes.tolist(), strict=True)
    ]

"""Which end of a capture's spectra is the red one, told from the spectra themselves.

The direction of a dispersion leaves no trace in the pattern of the mask: a scene decoded with the other direction has
all its spectra reversed and explains the capture as well. What tells it is that reversed spectra are not those of
things: paints, dyes, skin and leaves rise steeply towards the red and fall gently, and they vary together there.

A coarse decode, spectra of a few cosines that are constant over blocks of pixels, is a well-posed least-squares problem
(conjugate gradients, Hestenes and Stiefel 1952) that favours neither direction. What it cannot explain, the texture
within the blocks, is strongest in slow changes of brightness; those count for little, as in generalised least squares
(Aitken 1935), and the pattern of the mask for much. A small network looks at all its
spectra together (deep sets, Zaheer et al. 2017) and gives the logarithm of the odds, with opposite sign for reversed
spectra by construction. It was fitted to measured reflectances under measured lights.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..io import WAVELENGTHS
from ..tasks.cassi import CassiPhysics

BLOCK = 16  # pixels; on other captures of the same cubes 8 and 4 told fewer directions
NUM_COSINES = 10  # of a coarse spectrum
NUM_FEATURES = 7  # cosines of a spectrum that the network sees, the mean left out
POINTS_NM = np.asarray(WAVELENGTHS["cassi-28"])  # where the network looks; a prism spreads the blue further
NUM_POINTS = len(POINTS_NM)
WIDTHS = (NUM_FEATURES, 24, 12, 12, 1)  # of the layers; the third sees mean and deviation over all spectra
UNIT = 1 / 64  # of the stored weights
_ITERATIONS = 30
_RIDGE = 5e-4
_SMOOTHNESS = 0.01
_SLOW, _SLOW_SHARE = 2.0, 0.9  # pixels, the deviation of the Gaussian that takes slow changes, and the part taken away
_DARK = 0.15  # of the brightest spectra: darker ones are noise


@torch.no_grad()
def coarse_spectra(y: Tensor, physics: CassiPhysics) -> Tensor:
    """(C, h, w): the scene of y (1, 1, H', W') with spectra of a few cosines that are constant over blocks of pixels.

    Band 0 first, as `physics` has it; what it assumes of spectra is the same for both directions.
    """
    num_bands, height, width = physics.scene_shape
    cosines = _cosines(min(NUM_COSINES, num_bands), num_bands)
    missing = (0, -width % BLOCK, 0, -height % BLOCK)
    weight = physics.gram().sqrt()
    weight = 1 / weight.clamp(min=0.2 * float(weight.max()))
    y = _less_slow_changes(weight * y)

    def seen(z: Tensor) -> Tensor:
        x = torch.einsum("kc,bkhw->bchw", cosines, z)
        x = x.repeat_interleave(BLOCK, dim=2).repeat_interleave(BLOCK, dim=3)[..., :height, :width]
        return _less_slow_changes(weight * physics.forward(x))

    def back(rest: Tensor) -> Tensor:
        x = F.pad(physics.adjoint(weight * _less_slow_changes(rest)), missing)
        return torch.einsum("kc,bchw->bkhw", cosines, F.avg_pool2d(x, BLOCK)) * BLOCK**2

    bend = 1 + torch.arange(len(cosines), dtype=torch.float32)[:, None, None] ** 2

    def normal(z: Tensor) -> Tensor:
        return back(seen(z)) + BLOCK**2 * (_RIDGE * bend * z + _SMOOTHNESS * _laplacian(z))

    z = _conjugate_gradients(normal, back(y))
    return torch.einsum("kc,bkhw->bchw", cosines, z)[0]


@torch.no_grad()
def direction_log_odds(spectra: np.ndarray, wavelengths_nm: np.ndarray | None) -> float:
    """The logarithm of the odds that `spectra` (N, C) run from blue to red rather than the other way.

    Without wavelengths the bands are taken to be spread over the visible range as a prism does.
    """
    own = wavelengths_nm
    if own is None:
        own = np.interp(np.linspace(0, 1, spectra.shape[1]), np.linspace(0, 1, NUM_POINTS), POINTS_NM)
    spectra = np.asarray(spectra, dtype=np.float64)
    mean = spectra.mean(axis=1)
    spectra = spectra[mean > _DARK * np.quantile(mean, 0.98)]
    if not len(spectra):
        return 0.0
    ways = [np.stack([np.interp(POINTS_NM, own, row) for row in rows]) for rows in (spectra, spectra[:, ::-1])]
    forward, reversed_ = (log_odds(features(torch.from_numpy(way.astype(np.float32)))[None]) for way in ways)
    return float(forward - reversed_) / 2  # bands of uneven width are not quite each other's mirror image


def features(spectra: Tensor) -> Tensor:
    """(..., NUM_POINTS) to (..., NUM_FEATURES): cosines of spectra of mean 1."""
    cosines = torch.cos(
        torch.pi * torch.arange(1, NUM_FEATURES + 1)[:, None] * (torch.arange(NUM_POINTS) + 0.5) / NUM_POINTS
    )
    return spectra / spectra.mean(dim=-1, keepdim=True).clamp(min=1e-3) @ cosines.T * (5 / NUM_POINTS)


def log_odds(of_spectra: Tensor, layers: tuple[tuple[Tensor, Tensor], ...] | None = None) -> Tensor:
    """The log-odds, (B,), of features (B, N, NUM_FEATURES); reversed spectra have the opposite."""
    layers = layers or stored_layers()
    signs = (-1.0) ** torch.arange(1, of_spectra.shape[-1] + 1)
    return half(of_spectra, layers) - half(of_spectra * signs, layers)


def half(of_spectra: Tensor, layers: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
    """One half of the log-odds, (B,), of features (B, N, NUM_FEATURES); that of reversed spectra is taken from it."""
    (first, second, third, last) = layers
    hidden = F.gelu(F.linear(F.gelu(F.linear(of_spectra, *first)), *second))  # (B, N, n)
    whole = torch.cat([hidden.mean(dim=1), (hidden.var(dim=1, correction=0) + 1e-4).sqrt()], dim=1)  # (B, 2 n)
    return F.linear(F.gelu(F.linear(whole, *third)), *last)[:, 0]


def layer_shapes() -> list[tuple[int, int]]:
    """(outputs, inputs) of the four layers."""
    inputs = (WIDTHS[0], WIDTHS[1], 2 * WIDTHS[2], WIDTHS[3])
    return list(zip(WIDTHS[1:], inputs, strict=True))


@lru_cache(maxsize=1)
def stored_layers() -> tuple[tuple[Tensor, Tensor], ...]:
    """(weight, bias) of the four layers."""
    numbers = iter(WEIGHTS.split())
    layers = []
    for rows, columns in layer_shapes():
        values = torch.tensor([int(next(numbers)) * UNIT for _ in range(rows * (columns + 1))])
        layers.append((values[: rows * columns].reshape(rows, columns), values[rows * columns :]))
    return tuple(layers)


def _cosines(count: int, num_bands: int) -> Tensor:
    """(count, num_bands) orthonormal."""
    cosines = torch.cos(torch.pi * torch.arange(count)[:, None] * (torch.arange(num_bands) + 0.5) / num_bands)
    return cosines / torch.linalg.vector_norm(cosines, dim=1, keepdim=True)


def _less_slow_changes(image: Tensor) -> Tensor:
    """(1, 1, H', W') less most of its local mean; its own adjoint."""
    reach = round(3 * _SLOW)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _SLOW).square())
    bell = bell / bell.sum()
    mean = F.conv2d(image, bell[None, None, :, None], padding=(reach, 0))
    return image - _SLOW_SHARE * F.conv2d(mean, bell[None, None, None, :], padding=(0, reach))


def _laplacian(z: Tensor) -> Tensor:
    around = F.pad(z, (1, 1, 1, 1), mode="replicate")
    beside = around[..., 1:-1, 2:] + around[..., 1:-1, :-2]
    return 4 * z - beside - around[..., 2:, 1:-1] - around[..., :-2, 1:-1]


def _conjugate_gradients(normal, right: Tensor) -> Tensor:
    """The solution of normal(z) = right after some iterations from zero."""
    z, rest = torch.zeros_like(right), right
    towards, energy = rest, rest.square().sum()
    for _ in range(_ITERATIONS):
        if energy <= 0:
            break
        image = normal(towards)
        length = energy / (towards * image).sum()
        z, rest = z + length * towards, rest - length * image
        before, energy = energy, rest.square().sum()
        towards = rest + energy / before * towards
    return z


# Fitted by tests/benchmarks/fit_direction.py; in units of UNIT, layer by layer, weights by rows, then biases.
WEIGHTS = """
10 18 -50 36 -24 -32 14 12 4 0 -7 -24 -69 -53 -12 15 43 -8 -36 -96 26 18 -7 14 35 -12 -13 -66 -12 -17 -28 62 -2 -76 8
-30 19 47 -25 49 15 -40 5 -18 -47 -13 47 -9 -34 -3 64 45 -32 12 31 -26 34 -18 -63 8 19 54 -69 7 31 11 44 1 -17 16 -27
-35 13 45 59 26 -7 -48 -29 -6 0 48 9 -68 16 12 -9 0 83 -126 14 7 37 2 -18 -57 47 -35 -23 6 42 -36 -1 29 -42 4 -21 -14
-64 -3 -70 14 -8 46 22 0 5 -75 40 0 0 5 -34 8 -85 -44 -15 -5 -3 -16 -11 17 -73 -2 44 -26 38 -11 -35 58 20 33 38 17 -48
-27 -3 1 18 -38 -6 48 -55 84 22 -35 15 -44 -53 -1 -12 -5 -2 -37 -23 29 -71 14 -8 10 39 -10 44 0 -4 10 38 -12 17 -36 16
26 15 27 43 38 33 5 -27 44 38 33 -39 2 16 -20 -25 24 10 22 27 -11 -9 -23 -26 2 8 14 23 5 11 -25 -13 10 37 3 -33 -20 43
-24 18 0 -10 12 -31 -10 -17 -24 10 -7 3 29 17 17 23 -11 -10 18 20 21 9 2 -12 -11 19 -23 26 5 3 12 -18 -11 57 -13 -6 -5
-28 0 -14 -13 0 40 -10 31 20 -18 12 -17 11 -6 -33 -41 -57 14 -20 -22 67 -45 -15 33 17 0 -61 26 -4 50 -35 29 41 12 -5
12 27 -44 -16 -10 -15 20 -13 -24 24 11 -42 29 5 -4 -25 39 16 16 -47 19 -1 -8 8 8 5 -16 34 10 2 12 -21 4 23 12 -5 11 18
-3 -5 6 21 31 -13 30 18 20 40 11 -5 10 7 17 -31 20 -1 2 -14 3 2 21 29 31 -16 56 -5 27 -6 9 -5 -2 -32 14 13 5 2 -12 0
-2 -3 38 -29 1 -20 21 5 30 39 15 6 4 13 29 7 18 48 7 -19 3 1 15 -26 6 -53 -13 4 9 -15 33 51 42 -16 49 10 0 27 4 -14 6
-2 -6 8 -12 -37 -1 -36 28 6 0 69 -25 -13 50 17 45 -8 14 -24 14 9 25 35 -14 -12 -18 11 -40 -26 -47 -40 5 -6 20 -7 13
-19 21 1 -16 2 27 16 25 -39 29 12 8 -15 -9 -13 -12 1 -12 5 17 -8 -26 -7 7 4 19 5 4 15 -6 -6 23 -11 18 10 40 6 -1 3 33
24 29 5 33 6 26 22 4 7 5 -26 -5 28 22 -7 11 14 9 54 42 -17 25 32 -13 -12 54 -43 11 21 17 12 17 3 4 -17 -8 18 2 -10 -4
19 -3 38 35 -18 26 17 -49 -31 39 -68 4 9 10 -9 21 -1 -30 0 16 -6 1 -2 14 -28 -6 -45 -28 37 -100 -63 22 27 -28 21 -67
-74 11 -19 26 11 -7 17 16 18 16 2 -7 -6 26 -49 -49 36 -44 -66 2 11 -17 38 -57 -36 10 0 20 7 -29 -12 19 5 9 -10 8 4 23
-62 -34 25 -64 -57 14 29 -27 28 -55 -50 -4 -3 7 21 10 11 11 15 10 -4 16 0 4 -61 -55 40 -52 -75 9 28 -22 39 -43 -29 2 8
-2 -2 -4 5 9 -1 10 -18 12 -15 26 -50 -39 33 -79 -50 8 4 -53 46 -51 -47 -1 -12 10 29 -6 3 21 3 16 1 19 -14 12 -42 -26
45 -20 -38 21 31 -36 52 -19 -31 7 16 21 -10 -6 -15 6 24 -2 15 10 8 -14 57 43 -26 25 36 -13 -22 53 -46 15 22 21 -12 24
-4 -16 -13 -7 26 -2 6 -3 12 11 -42 -35 37 -93 -61 23 40 -32 41 -65 -48 16 8 17 -19 16 -15 -12 19 4 -8 9 19 -4 22 30
-45 -6 11 -40 -36 20 -40 18 5 -9 -8 27 0 -25 4 15 -4 21 6 -11 -2 21 -50 -31 35 -96 -32 24 28 -25 42 -68 -32 -8 8 32 44
32 22 32 59 -4 10 42 15 37 42 29 -63 -37 -50 -51 -52 -25 42 -50 34 -51 0
"""

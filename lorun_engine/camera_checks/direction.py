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

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from ..io import WAVELENGTHS
from ..measurement import require_rising
from ..tasks.cassi import CassiPhysics

BLOCK = 16  # pixels; on other captures of the same cubes 8 and 4 told fewer directions
NUM_COSINES = 10  # of a coarse spectrum
NUM_FEATURES = 7  # cosines of a spectrum that the network sees, the mean left out
POINTS_NM = np.asarray(WAVELENGTHS["cassi-28"])  # where the network looks; a prism spreads the blue further
NUM_POINTS = len(POINTS_NM)
WIDTHS = (NUM_FEATURES, 24, 12, 12, 1)  # of the layers; the third sees mean and deviation over all spectra
WEIGHTS, UNIT = "direction.safetensors", 1 / 64  # the stored weights, and what they are multiples of
Layers = tuple[tuple[Tensor, Tensor], ...]  # (weight, bias) of each
_ITERATIONS = 30
_SOLVED = 1e-9  # relative residual that is as good as none: a small capture is solved exactly
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

    The wavelengths rise; without any the bands are taken to be spread over the visible range as a prism does.
    """
    if wavelengths_nm is not None:
        require_rising(wavelengths_nm, "spectra")
        own = wavelengths_nm
    else:
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


def log_odds(of_spectra: Tensor, layers: Layers | None = None) -> Tensor:
    """The log-odds, (B,), of features (B, N, NUM_FEATURES); reversed spectra have the opposite."""
    layers = layers or stored_layers()
    signs = (-1.0) ** torch.arange(1, of_spectra.shape[-1] + 1)
    return half(of_spectra, layers) - half(of_spectra * signs, layers)


def half(of_spectra: Tensor, layers: Layers) -> Tensor:
    """One half of the log-odds, (B,), of features (B, N, NUM_FEATURES); that of reversed spectra is taken from it."""
    (first, second, third, last) = layers
    hidden = F.gelu(F.linear(F.gelu(F.linear(of_spectra, *first)), *second))  # (B, N, n)
    whole = torch.cat([hidden.mean(dim=1), (hidden.var(dim=1, correction=0) + 1e-4).sqrt()], dim=1)  # (B, 2 n)
    return F.linear(F.gelu(F.linear(whole, *third)), *last)[:, 0]


def layer_shapes() -> list[tuple[int, int]]:
    """(outputs, inputs) of the four layers."""
    inputs = (WIDTHS[0], WIDTHS[1], 2 * WIDTHS[2], WIDTHS[3])
    return list(zip(WIDTHS[1:], inputs, strict=True))


@cache
def stored_layers() -> Layers:
    """(weight, bias) of the four layers, as tests/benchmarks/fit_direction.py fitted them; their file holds int8."""
    stored = load((files(__package__) / WEIGHTS).read_bytes())
    names = [(f"{layer}.weight", f"{layer}.bias") for layer in range(len(layer_shapes()))]
    return tuple((stored[weight] * UNIT, stored[bias] * UNIT) for weight, bias in names)


def _cosines(count: int, num_bands: int) -> Tensor:
    """(count, num_bands) orthonormal."""
    cosines = torch.cos(torch.pi * torch.arange(count)[:, None] * (torch.arange(num_bands) + 0.5) / num_bands)
    norms: Tensor = torch.linalg.vector_norm(cosines, dim=1, keepdim=True)
    return cosines / norms


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


def _conjugate_gradients(normal: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """The solution of normal(z) = right after some iterations from zero."""

    def flat(z: np.ndarray) -> np.ndarray:
        return normal(torch.from_numpy(z).reshape(right.shape)).numpy().ravel()

    operator = LinearOperator((right.numel(), right.numel()), matvec=flat, dtype=np.float32)
    z, _ = cg(operator, right.numpy().ravel(), rtol=_SOLVED, maxiter=_ITERATIONS)
    return torch.from_numpy(z).reshape(right.shape)

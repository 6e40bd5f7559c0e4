"""The mean spectrum of a CASSI capture: what it would show if all of the scene were of one colour.

A mask that is known at every pixel makes that a small, well posed problem, so it finds what `subspace` cannot mix from
its components: the colour of a lamp, or that of a cloth which fills the picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .cassi import CassiPhysics

_LINES = 32  # of the detector, along the dispersion, spread over the capture
_ROUNDS = 3  # in which the misfit settles
_MOST_UNEXPLAINED = 0.25
_OWN_SHARE = 0.1  # of the level: how far a spectrum may lie from every mixture of components


def mean_spectrum(y: Tensor, physics: CassiPhysics, components: Tensor, gram: Tensor) -> tuple[Tensor, ...]:
    """The spectrum (B, C) of the one colour that explains y (B, 1, H', W') best, the scene's level, and a trust.

    The level (B, 1, 1, 1) is a root mean square; the trust, likewise, is 1 for a scene of one colour and 0 where more
    than a quarter of the energy is left unexplained: there a constant would tint what is dark.
    Least squares of the pixels divided by the root of `gram` (B or 1, 1, H', W'), drawn towards `components` (R, C)
    as their energies and the misfit tell (Wiener 1949).
    """
    found = [_of_one(shown, alone, components) for shown, alone in _lines(y, physics, gram)]
    spectra, *others = (torch.stack(values).to(y) for values in zip(*found, strict=True))
    return spectra, *(values.view(-1, 1, 1, 1) for values in others)


def _lines(y: Tensor, physics: CassiPhysics, gram: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For every sample what _LINES lines show (N,) and what they would show of each band alone (C, N)."""
    num_bands = physics.scene_shape[0]
    axis = -2 if physics.dispersion.axis == "x" else -1
    length = min(physics.scene_shape[axis], physics.measurement_shape[axis])
    lines = torch.linspace(0, length - 1, min(length, _LINES), device=y.device).round().long()
    detector = list(y.shape[-2:])
    detector[axis] = len(lines)
    bands = torch.eye(num_bands).to(y)[:, None, :, None, None]
    for index in range(len(y)):
        one = physics.part(torch.tensor([index], device=y.device))
        seen = None if one.seen is None else one.seen.index_select(axis, lines)
        mask = one.mask.index_select(axis, lines)
        part = CassiPhysics(mask, physics.dispersion, detector_shape=(detector[0], detector[1]), seen=seen)
        weights = gram[index % len(gram)].index_select(axis, lines).rsqrt()
        shown = part.counted(y[index].index_select(axis, lines)) * weights
        alone = [part.forward(band.expand(-1, -1, *part.scene_shape[1:])) * weights for band in bands]
        yield shown.flatten().double().cpu(), torch.stack(alone).flatten(1).double().cpu()


def _of_one(shown: Tensor, alone: Tensor, components: Tensor) -> tuple[Tensor, ...]:
    """The spectrum (C,), the level and the trust of a sample."""
    components = components.double().cpu()
    num_bands = len(alone)
    smallest = torch.finfo(torch.float32).tiny
    energy = shown.square().sum() / alone.sum(dim=0).square().sum().clamp(min=smallest)
    moments = components.T @ components
    prior = energy * (moments * (num_bands / moments.trace()) + _OWN_SHARE**2 * torch.eye(num_bands).to(moments))
    normal, right = prior @ (alone @ alone.T), prior @ (alone @ shown)
    misfit, least = shown.var(correction=0), 1e-9 * normal.trace() + smallest
    for _ in range(_ROUNDS):
        spectrum = torch.linalg.solve(normal + (misfit + least) * torch.eye(num_bands).to(normal), right)
        misfit = (shown - spectrum @ alone).square().mean()
    unexplained = misfit / shown.square().mean().clamp(min=smallest)
    return spectrum, energy.sqrt(), (1 - unexplained / _MOST_UNEXPLAINED).clamp(min=0)

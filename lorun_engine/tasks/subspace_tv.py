"""Subspace TV: a CASSI decoder that needs no trained weights, and the estimate that networks start from.

The scene is x = s + B c: a constant spectrum s, which is what no mixture of components explains of the scene's mean
spectrum (see `mean_spectrum`), and a mixture of a few spectral components (see `subspace`). Beside a guide s is what
that tells of every pixel, and the components are those of what it leaves (see `guide`). Their pictures c are what
minimises

    R(c) + mu / 2 * sum_n (Phi (s + B c) - y)_n^2 / v_n,

v_n the noise of detector pixel n, so that a clean capture is fitted and a noisy one is smoothed. R is total variation
at several scales: the l1 norm of undecimated Haar details (for one scale equal to total variation; Steidl et al., SIAM
J. Numer. Anal. 2004), in the smooth form whose proximal map is shrinkage of the details: as the frame W is tight,
W^T shrink(W .) is firmly non-expansive and a gradient, so a proximal map (Moreau 1965). It needs no inner iterations,
and what is far apart meets within one of them.

The method is the primal-dual algorithm of Chambolle and Pock (J. Math. Imaging Vis. 2011) with the dual variable
extrapolated, steps of at most 1 for c, shorter for components that drown in noise, and 1 / diag(Phi Phi^T) for the
dual (Pock and Chambolle, ICCV 2011), over-relaxed by 1.9: a proximal point method, so it converges from any start, and
the length of its steps (in its own metric) never grows.

What R is, the first rounds tell: a quarter and half of the way the components are turned into the principal ones of
the scene found so far, whose amplitudes weigh them, the second time without the weakest, and half and two thirds of the
way its edges weigh the details (see `haar`). In between R stays as it is, so the method is what was said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import Stage
from ..errors import LorunError
from ..measurement import Measurement
from ..physics import LinearPhysics
from ..task import STAGE
from .cassi import CassiPhysics
from .gap_tv import GapTv
from .haar import Bounds, Room, edges_of, shrunk
from .mean_spectrum import mean_spectrum
from .noise import local_mean
from .subspace import from_coefficients, shipped_components, subspace_basis, to_coefficients

RANK = 8
_MORE_AT_FIRST = 1.5  # times as many components, until the scene tells which ones it has
ITERATIONS = 5  # a stage
_STRENGTH = 3.0  # mu, in units of 1 / the scene's 0..1 scale
_POWER = 0.8  # of the components' amplitudes, by which weak ones are smoothed more
# The shares of the rounds after which the scene found so far says which components it has, and where its edges are.
_COMPONENTS_AT, _EDGES_AT = (0.25, 0.5), (0.5, 0.7)
# How much its own first component is smoothed behind an open mask, and mu beside it; the same for what a guide leaves.
_OWN, _LEFT_BY_GUIDE = (0.07, 10.0), (0.95, 16.0)
_FLATNESS = 1.2  # the power of a scene's energy over its variance, by which flat ones are smoothed more
_LARGEST_WEIGHT = 8.0  # of the first component: a scene that came out flat is not smoothed ever more
_LEAST_ENERGY, _TINY = 1e-12, 1e-30  # of the first component's, and of any
_RELAXATION = 1.9
_NOISE_IN_STEPS = 0.1  # of the noise's energy, beside which that of a component tells how long its own steps are
# Added to diag(Phi Phi^T), as a share of its mean: few bands reach the ends of the detector, and on real captures light
# from beside the scene does too.
_LEAST_LIGHT = 0.05
# The least step is larger for brighter scenes, and for masks with few openings, where R alone fills most pixels.
_LEAST_STEP, _STEP_OF_NOISE = 0.16, 6.0
_LEAST_OPEN = 0.02
_FEWEST_ELECTRONS = 50.0  # at the peak: the noise that its estimate starts from
_WITHHELD = 0.05
_FINAL_SHARE = 0.35  # of the rounds, with all pixels
_BLOCK = 32  # columns in one matrix product


@dataclass(frozen=True)
class SubspaceTv:
    """Total variation of several scales on the coefficients of spectral components; any mask, bands and dispersion.

    A stage is ITERATIONS iterations. `components` (R, C) are set by `fitted`.
    """

    num_stages: int = 16
    components: Tensor | None = field(default=None, compare=False)
    name: str = "subspace-tv"
    task: str = "cassi"
    step_name: ClassVar[str] = STAGE  # of several iterations
    citation: ClassVar[str] = (
        "A. Chambolle and T. Pock, “A first-order primal-dual algorithm for convex problems with applications to "
        "imaging,” J. Math. Imaging Vis. 40, 2011 (the iteration)."
    )

    def fitted(self, measurement: Measurement) -> SubspaceTv:
        """This decoder with the components of measured spectra at the measurement's bands."""
        num_bands = measurement.physics.scene_shape[0]
        return replace(self, components=shipped_components(measurement.wavelengths_nm, num_bands))

    def input_scale(self, measurement: Measurement) -> float:
        """As GAP-TV's."""
        return GapTv().input_scale(measurement)

    def stages(self, y: Tensor, physics: LinearPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The start B B^T Phi^T (y / phi), then one Stage per ITERATIONS iterations; y is on the 0..1 scale."""
        components = self.components
        if components is None:
            components = shipped_components(None, physics.scene_shape[0])
        found = solutions(y, physics, components.to(y), num_rounds=num_stages)
        for index, solution in enumerate(islice(found, 0, None, ITERATIONS)):
            level = noise_level_of(solution.variance, physics)
            yield Stage(index, solution.image(), parameters={"noise_level": float(level.mean())})


class Solution(NamedTuple):
    """Where the solver stands: c (B, R, H, W), its dual variable (B, 1, H', W'), and the variance of the noise.

    `basis` is (B or 1, C, R), `known` (B, C, 1 or H, 1 or W) the part s that is no mixture of it.
    """

    coefficients: Tensor
    dual: Tensor
    basis: Tensor
    variance: Tensor
    known: Tensor

    def image(self) -> Tensor:
        """The scene x = s + B c, (B, C, H, W)."""
        return from_coefficients(self.coefficients, self.basis).add_(self.known)


@torch.no_grad()
def solutions(
    y: Tensor,
    physics: LinearPhysics,
    components: Tensor,
    *,
    variance: Tensor | None = None,
    num_rounds: int = 16,
    rank: int = RANK,
) -> Iterator[Solution]:
    """The start, then where it stands after every iteration; a round has ITERATIONS of them.

    `variance` is that of the noise of every detector pixel, (B or 1, 1, H' or 1, W' or 1). None has it estimated: a
    twentieth of the pixels is withheld for the first two thirds of the rounds, and how well they are predicted bounds
    the noise, from strong to weak. Raises a LorunError for an operator of another task.
    """
    physics = _of_cassi(physics)
    gram = physics.gram()
    gram = gram + _LEAST_LIGHT * gram.mean(dim=(-2, -1), keepdim=True)
    apart, basis, amplitudes, mean, level = _begun(y, physics, components, gram, round(_MORE_AT_FIRST * rank))
    prior = _Prior.before(amplitudes, level * physics.scene_shape[0] ** 0.5)
    mixing = _Mixing(physics, basis)
    known, estimated, brightness = torch.ones_like(y), variance is None, local_mean(y)
    if variance is None:
        known = _kept(y)
        variance = brightness * (y.amax((1, 2, 3), keepdim=True).clamp(min=0) / _FEWEST_ELECTRONS)
    y = y - physics.forward(apart.expand(-1, -1, *physics.scene_shape[1:]))
    is_open = _openness(physics.mask)
    least_step = _LEAST_STEP * level.clamp(min=1e-6).sqrt() / is_open
    weight, strength = _OWN if physics.guide is None else _LEFT_BY_GUIDE
    c = mean.expand(-1, -1, *physics.scene_shape[1:])
    c = c + mixing.adjoint(known * (y - mixing.forward(c)) / gram)
    p, edges, room = torch.zeros_like(y), list[Bounds](), Room()
    yield Solution(c, p, basis, variance, apart)
    last_estimate = num_rounds - max(1, round(_FINAL_SHARE * num_rounds))
    components_at, edges_at = _told_after(_COMPONENTS_AT, num_rounds), _told_after(_EDGES_AT, num_rounds)
    for index in range(num_rounds):
        if index in components_at:
            directions = _principal(c, rank if index == max(components_at) else None)
            c, basis = to_coefficients(c, directions), basis @ directions
            prior = _Prior.of(c, weight / is_open.flatten(1).sqrt(), strength)
            mixing = _Mixing(physics, basis)
        if estimated and 0 < index <= last_estimate:
            rest = (y - mixing.forward(c)).square()
            variance = torch.minimum(variance, _fitted_variance(rest, brightness, 1 - known))
            if index == last_estimate:
                known = torch.ones_like(y)
        share = (variance / gram).mean(dim=(1, 2, 3), keepdim=True)
        step = least_step + _STEP_OF_NOISE * share.sqrt()  # (B, 1, 1, 1)
        damping = 1 / (1 + variance * (prior.strength / step) / gram)
        lengths = prior.energies / (prior.energies + _NOISE_IN_STEPS * share.flatten(1))  # (B, R)
        thresholds = step.flatten(1) * prior.weights
        if index in edges_at:
            edges = edges_of(c, thresholds)
        for _ in range(ITERATIONS):
            ahead = known * (p + (y - mixing.forward(c)) / gram) * damping
            moved = torch.addcmul(c, lengths[:, :, None, None], mixing.adjoint(2 * ahead - p))
            moved = shrunk(moved, thresholds * lengths, edges or None, room=room)
            c = torch.add(c, moved.sub_(c), alpha=_RELAXATION)
            p = torch.add(p, ahead.sub_(p), alpha=_RELAXATION)
            yield Solution(c, p, basis, variance, apart)


def _of_cassi(physics: LinearPhysics) -> CassiPhysics:
    if not isinstance(physics, CassiPhysics):
        raise LorunError(f"Subspace TV decodes CASSI snapshots; the operator of {physics.task} was given.")
    return physics


def _told_after(shares: tuple[float, ...], num_rounds: int) -> set[int]:
    """The rounds, of so many, after which the scene tells something; none does before the first."""
    return {max(1, round(share * num_rounds)) for share in shares}


def _principal(c: Tensor, num_kept: int | None) -> Tensor:
    """The principal components of c (B, R, H, W), the strongest first: columns of (B, R, R')."""
    moments = torch.einsum("brhw,bshw->brs", c, c).double()
    vectors: Tensor = torch.linalg.eigh(moments)[1]  # weakest first
    return vectors.flip(-1).to(c)[..., :num_kept]


class _Prior(NamedTuple):
    """How much each component is smoothed (B, R), the components' energies (B, R), and what mu is made of."""

    weights: Tensor
    energies: Tensor
    strength: float

    @classmethod
    def before(cls, amplitudes: Tensor, first: Tensor) -> _Prior:
        """That of components of which only the amplitudes (R) are known; the first has about `first` (B, 1, 1, 1)."""
        shares = (amplitudes / amplitudes[0])[None]
        return cls(shares**-_POWER, (shares * first.flatten(1)).square().clamp(min=_TINY), _STRENGTH)

    @classmethod
    def of(cls, c: Tensor, weight: Tensor, strength: float) -> _Prior:
        """That of the pictures c (B, R, H, W) of a scene's principal components, the strongest first.

        The first has this weight (B, 1), and more where the scene is flat, or dark but for a few places.
        """
        energies = c.square().mean(dim=(-2, -1)).double().clamp_(min=_TINY)
        energies = energies.clamp(min=_LEAST_ENERGY * energies[:, :1])
        energy = energies.sum(dim=1, keepdim=True)
        varied = c.var(dim=(-2, -1), correction=0).sum(dim=1, keepdim=True).double()
        flatness = (energy / varied.clamp(min=_LEAST_ENERGY * energy)) ** _FLATNESS
        filled = torch.linalg.vector_norm(c, dim=1).mean(dim=(-2, -1))[:, None].double().square() / energy
        first = (weight * flatness / filled.clamp(min=_LEAST_OPEN)).clamp(max=_LARGEST_WEIGHT)
        weights = first * (energies[:, :1] / energies).sqrt()
        return cls(weights.to(c), energies.to(c).clamp_(min=_TINY), strength)


class _Begun(NamedTuple):
    """What is known of a scene before its coefficients are sought: a part of it, (B, C, 1 or H, 1 or W), the basis
    (1, C, R) and the amplitudes (R) of the components of the rest, its mean coefficients (B, R, 1, 1), and its level
    (B, 1, 1, 1).
    """

    known: Tensor
    basis: Tensor
    amplitudes: Tensor
    mean: Tensor
    level: Tensor


def _begun(y: Tensor, physics: CassiPhysics, components: Tensor, gram: Tensor, rank: int) -> _Begun:
    """What a guide tells of the scene, else its mean spectrum."""
    if physics.guide is not None:
        components, known = physics.guide.left(components), physics.guide.estimate(components)
        basis, amplitudes = subspace_basis(components, min(rank, len(components)))
        level = known.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return _Begun(known, basis[None], amplitudes, known.new_zeros(1, basis.shape[1], 1, 1), level)
    basis, amplitudes = subspace_basis(components, min(rank, len(components)))
    spectrum, level, trust = mean_spectrum(y, physics, components, gram)
    mean = spectrum @ basis  # (B, R)
    known = trust * (spectrum - mean @ basis.T)[:, :, None, None]
    return _Begun(known, basis[None], amplitudes, trust * mean[:, :, None, None], level)


def _openness(mask: Tensor) -> Tensor:
    """(B, 1, 1, 1): 1 for a mask that codes nothing, the share of its openings for a binary one."""
    every = (1, 2, 3)
    energy = mask.square().mean(dim=every, keepdim=True).clamp(min=1e-12)
    return (mask.mean(dim=every, keepdim=True).square() / energy).clamp(min=_LEAST_OPEN)


def noise_level_of(variance: Tensor, physics: LinearPhysics) -> Tensor:
    """(B, 1, 1, 1): the standard deviation of the detector's noise, in units of the scene."""
    every = (1, 2, 3)
    return (variance.mean(dim=every, keepdim=True) / physics.gram().mean(dim=every, keepdim=True)).sqrt()


def _kept(y: Tensor) -> Tensor:
    generator = torch.Generator(y.device).manual_seed(1)
    return (torch.rand(y.shape, device=y.device, generator=generator) >= _WITHHELD).to(y)


def _fitted_variance(rest: Tensor, brightness: Tensor, counted: Tensor) -> Tensor:
    """a + b * brightness with a, b >= 0: the line through the mean squared errors of the darker and brighter pixels."""
    fitted = []
    for errors, light, counts in zip(rest, brightness, counted, strict=True):
        light_there, errors = light[counts > 0], errors[counts > 0]
        if not len(errors):  # a detector of few pixels
            fitted.append(torch.zeros_like(light))
            continue
        darker = light_there <= light_there.median()
        if darker.all():
            fitted.append(errors.mean().expand_as(light))
            continue
        dark, bright = (float(light_there[part].mean()) for part in (darker, ~darker))
        low, high = (float(errors[part].mean()) for part in (darker, ~darker))
        slope = max(0.0, (high - low) / max(bright - dark, 1e-12))
        offset = low - slope * dark
        if offset < 0:  # less than none: a line through the origin
            offset, slope = 0.0, (low + high) / (dark + bright)
        fitted.append(offset + slope * light)
    return torch.stack(fitted)


class _Mixing:
    """c -> Phi B c and its adjoint, as matrix products of blocks of columns where one mask serves all bands.

    The basis is (B or 1, C, R).
    """

    def __init__(self, physics: CassiPhysics, basis: Tensor) -> None:
        self.physics, self.basis = physics, basis
        self.matrix = None
        if physics.mask.shape[1] != 1:
            return
        dispersion = physics.dispersion
        self.along_rows = dispersion.axis == "x"
        shape, detector = physics.scene_shape[1:], physics.measurement_shape[1:]
        length, detector_length = (shape[1], detector[1]) if self.along_rows else (shape[0], detector[0])
        offsets = torch.tensor(dispersion.offsets, dtype=torch.float64)
        low, high = int(offsets.min().floor()), int(offsets.max().ceil())
        if low < 0 or high + length > detector_length:
            return  # parts of the scene fall beside the detector
        self.first, self.span = low, high - low
        samples, _, rank = basis.shape
        block = basis.new_zeros(samples, rank, _BLOCK, _BLOCK + self.span)
        columns = torch.arange(_BLOCK)
        for band, offset in enumerate(dispersion.offsets):
            whole = int(offset // 1)
            for start, share in ((whole, 1 - (offset - whole)), (whole + 1, offset - whole)):
                if share:
                    block[:, :, columns, columns + start - low] += share * basis[:, band, :, None]
        self.matrix = block.reshape(samples, rank * _BLOCK, _BLOCK + self.span)
        self.length, self.num_blocks = length, -(-length // _BLOCK)
        self.detector_length = detector_length

    def adjoint(self, y: Tensor) -> Tensor:
        """(B, 1, H', W') to (B, R, H, W)."""
        if self.matrix is None:
            return to_coefficients(self.physics.adjoint(y), self.basis)
        y = self.physics.counted(y)
        y = y if self.along_rows else y.transpose(-2, -1)
        num, width = self.num_blocks, _BLOCK + self.span
        y = F.pad(y[..., self.first :], (0, max(0, num * _BLOCK + self.span - (self.detector_length - self.first))))
        y = y.contiguous()
        batch, _, lines, _ = y.shape
        windows = y.as_strided((batch, lines, num, width), (y.stride(0), y.stride(2), _BLOCK, 1))
        c = windows.reshape(batch, -1, width) @ self.matrix.mT  # (B, lines blocks, R BLOCK)
        c = c.view(batch, lines, num, -1, _BLOCK).permute(0, 3, 1, 2, 4)
        c = c.reshape(batch, -1, lines, num * _BLOCK)[..., : self.length]
        return self.physics.mask * (c if self.along_rows else c.transpose(-2, -1))

    def forward(self, c: Tensor) -> Tensor:
        """(B, R, H, W) to (B, 1, H', W')."""
        if self.matrix is None:
            return self.physics.forward(from_coefficients(c, self.basis))
        c = self.physics.mask * c
        c = c if self.along_rows else c.transpose(-2, -1)
        batch, rank, lines, _ = c.shape
        num, width = self.num_blocks, _BLOCK + self.span
        c = F.pad(c, (0, num * _BLOCK - self.length))
        c = c.reshape(batch, rank, lines, num, _BLOCK).permute(0, 2, 3, 1, 4).reshape(batch, -1, rank * _BLOCK)
        parts = (c @ self.matrix).view(batch, lines, num, width)
        pieces = -(-width // _BLOCK)
        y = c.new_zeros(batch, lines, num + pieces, _BLOCK)
        for piece in range(pieces):
            part = parts[..., piece * _BLOCK : (piece + 1) * _BLOCK]
            y[:, :, piece : piece + num, : part.shape[-1]] += part
        y = y.view(batch, 1, lines, -1)
        y = F.pad(y, (self.first, max(0, self.detector_length - self.first - y.shape[-1])))
        y = y[..., : self.detector_length]
        return self.physics.counted(y if self.along_rows else y.transpose(-2, -1))

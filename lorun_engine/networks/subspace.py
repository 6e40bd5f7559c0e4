"""Spectra as mixtures of few components: the basis of measured spectra, and total variation in it.

Spectra of reflecting scenes lie close to a space of few dimensions (Maloney, J. Opt. Soc. Am. A 1986). Solving for the
coefficients of that space instead of for all bands makes the CASSI problem far better posed: accelerated GAP (see
`tasks.gap_tv`) with momentum, total variation on every coefficient with the weight its variance asks for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..physics import LinearPhysics
from ..tasks.gap_tv import denoise_tv_chambolle

_WEIGHT = 0.15  # of total variation on the first coefficient; chosen on the validation windows
_MOMENTUM = 0.5
_INNER_ITERATIONS = 5
# Added to phi, as a share of its mean. Few bands reach the ends of the detector, and on real captures light from beside
# the scene does too; without this two bright columns stand there (34 times as bright as the scene on a TSA-Net capture,
# 6 times with it; 0.03 dB lower on the validation windows, which have no such light).
_LEAST_LIGHT = 0.05


def spectral_components(spectra: Tensor) -> Tensor:
    """(C, C): the eigenvectors of the second moment of spectra (N, C), rows times the root of their mean energy.

    Largest first. For any rank r the first r rows span the best r-dimensional space for these spectra.
    """
    moments = spectra.double().T @ spectra.double() / len(spectra)
    energies, vectors = torch.linalg.eigh(moments)
    scales = energies.clamp(min=1e-12 * float(energies.max())).sqrt()  # no row vanishes
    return (vectors * scales).T.flip(0).to(spectra.dtype)


def orthogonalised(components: Tensor) -> Tensor:
    """Components (R, C) that resampling has bent, as orthogonal rows with the same second moment."""
    _, scales, vectors = torch.linalg.svd(components, full_matrices=False)
    return scales[:, None] * vectors


def subspace_basis(components: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(C, rank) orthonormal spectra along the first of orthogonal components (R, C), and their root mean energies."""
    scales = torch.linalg.vector_norm(components[:rank], dim=1)
    return (components[:rank] / scales[:, None]).T.contiguous(), scales


def to_coefficients(x: Tensor, basis: Tensor) -> Tensor:
    """(B, C, H, W) to (B, rank, H, W): the scalar products with the columns of `basis` (C, rank)."""
    return torch.einsum("cr,bchw->brhw", basis, x)


def from_coefficients(coefficients: Tensor, basis: Tensor) -> Tensor:
    """(B, rank, H, W) to (B, C, H, W): the mixture of the columns of `basis` (C, rank)."""
    return torch.einsum("cr,brhw->bchw", basis, coefficients)


@torch.no_grad()
def subspace_tv(y: Tensor, physics: LinearPhysics, components: Tensor, *, rank: int, num_iterations: int) -> Tensor:
    """An estimate (B, C, H, W) of the scene of y: total variation on the coefficients of `rank` spectral components."""
    basis, scales = subspace_basis(components, rank)
    weights = _WEIGHT * scales[0] / scales  # noise is equal in all coefficients: weak ones need more smoothing
    gram = physics.gram()
    gram = gram + _LEAST_LIGHT * gram.mean()

    # coefficients are kept in units of their weights, so that one weight of 1 serves all
    def shown(c: Tensor) -> Tensor:
        return from_coefficients(c, basis * weights)

    def seen(rest: Tensor) -> Tensor:
        return to_coefficients(physics.adjoint(rest / gram), basis / weights)

    coefficients = before = seen(y)
    accumulated = y  # y plus everything that was not yet explained
    for _ in range(num_iterations):
        ahead = coefficients + _MOMENTUM * (coefficients - before)
        before = coefficients
        phi_x = physics.forward(shown(ahead))
        accumulated = accumulated + (y - phi_x)
        coefficients = denoise_tv_chambolle(ahead + seen(accumulated - phi_x), 1.0, _INNER_ITERATIONS)
    return shown(coefficients)

"""Spectra as mixtures of few components: the basis of measured spectra, and the one that comes with the engine.

Spectra of reflecting scenes lie close to a space of few dimensions (Maloney, J. Opt. Soc. Am. A 1986). Solving for the
coefficients of that space instead of for all bands makes the CASSI problem far better posed (see `subspace_tv`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

# Made by resources/colour/make_components.py: a row of wavelengths in nm, then the components, largest first.
_SHIPPED = "components.csv"


def spectral_components(spectra: Tensor) -> Tensor:
    """(C, C): the eigenvectors of the second moment of spectra (N, C), rows times the root of their mean energy.

    Largest first. For any rank r the first r rows span the best r-dimensional space for these spectra.
    """
    moments = spectra.double().T @ spectra.double() / len(spectra)
    energies, vectors = torch.linalg.eigh(moments)
    scales = energies.clamp(min=1e-12 * float(energies.max())).sqrt()  # no row vanishes
    components: Tensor = (vectors * scales).T.flip(0).to(spectra.dtype)
    return components


def shipped_components(wavelengths_nm: np.ndarray | None, num_bands: int) -> Tensor:
    """(R, C) components of measured spectra under measured lights at the given wavelengths, or evenly over their range.

    Beyond 400 to 700 nm the nearest value is repeated. There are no more of them than bands.
    """
    own, components = _shipped()
    wanted = np.linspace(own[0], own[-1], num_bands) if wavelengths_nm is None else np.asarray(wavelengths_nm)
    resampled = np.stack([np.interp(wanted, own, row) for row in components])
    return orthogonalised(torch.from_numpy(resampled).float())


@cache
def _shipped() -> tuple[np.ndarray, np.ndarray]:
    with files(__package__).joinpath(_SHIPPED).open(encoding="utf-8") as stream:
        table = np.loadtxt(stream, delimiter=",")
    return table[0], table[1:]


def orthogonalised(components: Tensor) -> Tensor:
    """Components (R, C) that resampling has bent, as orthogonal rows with the same second moment."""
    _, scales, vectors = torch.linalg.svd(components, full_matrices=False)
    return torch.mul(scales[:, None], vectors)


def subspace_basis(components: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(C, rank) orthonormal spectra along the first of orthogonal components (R, C), and their root mean energies."""
    scales = torch.linalg.vector_norm(components[:rank], dim=1)
    return (components[:rank] / scales[:, None]).T.contiguous(), scales


def to_coefficients(x: Tensor, basis: Tensor) -> Tensor:
    """(B, C, H, W) to (B, rank, H, W): the scalar products with the columns of `basis`.

    Here and below that is (C, rank) for all samples, or (B or 1, C, rank).
    """
    return torch.einsum("cr,bchw->brhw" if basis.ndim == 2 else "bcr,bchw->brhw", basis, x)


def from_coefficients(coefficients: Tensor, basis: Tensor) -> Tensor:
    """(B, rank, H, W) to (B, C, H, W): the mixture of the columns of `basis`."""
    return torch.einsum("cr,brhw->bchw" if basis.ndim == 2 else "bcr,brhw->bchw", basis, coefficients)

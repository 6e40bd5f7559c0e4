"""The spectral subspace: the best basis for given spectra, and the estimate that solves in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.instrument import Dispersion
from lorun_engine.networks.subspace import subspace_tv
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.subspace import (
    from_coefficients,
    orthogonalised,
    spectral_components,
    subspace_basis,
    to_coefficients,
)

BANDS = 12


@pytest.fixture
def spectra() -> torch.Tensor:
    """Smooth spectra of three Gaussian dyes in random amounts."""
    generator = torch.Generator().manual_seed(1)
    dyes = torch.exp(-((torch.arange(BANDS) - torch.tensor([[2.0], [6.0], [9.0]])) ** 2) / 8)
    return torch.rand(500, 3, generator=generator) @ dyes


def test_the_components_reproduce_the_second_moment_of_the_spectra(spectra):
    components = spectral_components(spectra)
    torch.testing.assert_close(components.T @ components, spectra.T @ spectra / len(spectra))
    energies = components.square().sum(dim=1)
    assert (energies.diff() <= 1e-6).all()


def test_the_basis_is_orthonormal_and_spans_spectra_of_its_rank(spectra):
    basis, scales = subspace_basis(spectral_components(spectra), 3)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(spectra @ basis @ basis.T, spectra, atol=1e-4, rtol=0)
    torch.testing.assert_close(scales.square().sum(), spectra.square().sum(dim=1).mean())


def test_resampled_components_are_made_orthogonal_without_changing_their_second_moment(spectra):
    bent = spectral_components(spectra)[:5] @ torch.rand(BANDS, 9)
    straight = orthogonalised(bent)
    torch.testing.assert_close(straight.T @ straight, bent.T @ bent, rtol=1e-4, atol=1e-5)
    products = straight @ straight.T
    torch.testing.assert_close(products, torch.diag(products.diag()), rtol=0, atol=1e-5)


def test_no_three_directions_explain_the_spectra_better(spectra):
    noisy = spectra + 0.1 * torch.randn(spectra.shape, generator=torch.Generator().manual_seed(2))
    basis, _ = subspace_basis(spectral_components(noisy), 3)
    values = np.linalg.svd(noisy.numpy(), compute_uv=False)
    explained = float((noisy @ basis).square().sum())
    assert explained == pytest.approx(float((values[:3] ** 2).sum()), rel=1e-4)


def test_coefficients_of_a_full_basis_lose_nothing(spectra):
    basis, _ = subspace_basis(spectral_components(spectra + 0.1 * torch.rand(spectra.shape)), BANDS)
    x = torch.rand(2, BANDS, 5, 7)
    torch.testing.assert_close(from_coefficients(to_coefficients(x, basis), basis), x, atol=1e-5, rtol=0)


def test_the_estimate_explains_the_measurement_and_beats_gap_tv_on_scenes_of_low_rank(spectra):
    regions = torch.arange(24)[:, None] // 8 * 3 + torch.arange(48)[None, :] // 16  # 9 flat regions
    scene = spectra[regions].permute(2, 0, 1)[None]
    mask = (torch.rand(24, 48, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    physics = CassiPhysics(mask, Dispersion(BANDS))
    y = physics.forward(scene)
    *_, last = subspace_tv(y, physics, spectral_components(spectra), rank=3, num_iterations=60)
    estimate = last()
    *_, gap_tv = GapTv().stages(y, physics, num_stages=60)
    assert (estimate - scene).square().mean() < (gap_tv.image - scene).square().mean()
    assert torch.linalg.norm(physics.forward(estimate) - y) < 0.05 * torch.linalg.norm(y)

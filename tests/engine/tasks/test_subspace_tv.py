"""Subspace TV: its operator, its shrinkage, that it converges, and what it reaches without being told the noise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.instrument import Dispersion
from lorun_engine.measurement import Scene
from lorun_engine.tasks import subspace_tv
from lorun_engine.tasks.cassi import CassiPhysics, random_mask, simulate
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.haar import Room, edges_of, shrunk
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.subspace import from_coefficients, shipped_components, subspace_basis, to_coefficients
from lorun_engine.tasks.subspace_tv import (
    _COMPONENTS_AT,
    _EDGES_AT,
    _LARGEST_WEIGHT,
    _LEAST_LIGHT,
    _NOISE_IN_STEPS,
    ITERATIONS,
    SubspaceTv,
    _Mixing,
    _principal,
    _Prior,
    solutions,
)

BANDS = 10


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Four discs of smooth spectra before a slope, (BANDS, 72, 80)."""
    y, x = np.mgrid[:72, :80]
    wavelengths = np.linspace(450, 650, BANDS)
    image = 0.2 * (x / 80)[None] * np.ones((BANDS, 1, 1))
    for row, column, centre in ((18, 20, 470), (20, 58, 540), (52, 24, 600), (50, 60, 640)):
        spectrum = 0.1 + 0.8 * np.exp(-(((wavelengths - centre) / 50) ** 2))
        inside = (y - row) ** 2 + (x - column) ** 2 < 14**2
        image = np.where(inside[None], spectrum[:, None, None], image)
    return Scene(image.astype(np.float32), wavelengths)


def psnr(image: np.ndarray, scene: Scene) -> float:
    return float(-10 * np.log10(np.square(image - scene.image).mean()))


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("direction", ["+", "-"])
@pytest.mark.parametrize(("step", "first"), [(1.0, 0.0), (2.0, 3.0), (1.3, 0.4)])
def test_the_blocks_of_columns_are_the_operator_on_mixtures(axis, direction, step, first):
    generator = torch.Generator().manual_seed(0)
    dispersion = Dispersion(BANDS, step, axis, direction, first)
    physics = CassiPhysics(torch.rand(2, 1, 40, 50, generator=generator), dispersion)
    physics = physics.seeing((torch.rand(1, *physics.measurement_shape, generator=generator) > 0.1).float())
    basis, _ = subspace_basis(shipped_components(None, BANDS), 4)
    basis = torch.stack([basis, basis.flip(-1)])  # one for each sample
    mixing = _Mixing(physics, basis)
    assert mixing.matrix is not None
    c = torch.randn(2, 4, 40, 50, generator=generator)
    y = torch.randn(2, *physics.measurement_shape, generator=generator)
    torch.testing.assert_close(mixing.forward(c), physics.forward(from_coefficients(c, basis)), atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(mixing.adjoint(y), to_coefficients(physics.adjoint(y), basis), atol=2e-5, rtol=1e-5)


def test_a_mask_per_band_and_bands_beside_the_detector_go_through_the_operator_itself():
    basis, _ = subspace_basis(shipped_components(None, BANDS), 4)
    per_band = CassiPhysics(torch.rand(BANDS, 40, 50), Dispersion(BANDS))
    cut = CassiPhysics(torch.rand(40, 50), Dispersion(BANDS), detector_shape=(40, 60))
    for physics in (per_band, cut):
        mixing = _Mixing(physics, basis)
        assert mixing.matrix is None
        c, y = torch.randn(1, 4, 40, 50), torch.randn(1, *physics.measurement_shape)
        left, right = (mixing.forward(c) * y).sum(), (c * mixing.adjoint(y)).sum()
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-3)


def test_shrinkage_is_firmly_non_expansive_and_leaves_flat_pictures_alone():
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, 1, 3, 90, 100, generator=generator, dtype=torch.float64)
    thresholds = torch.tensor([[0.05, 0.5, 5.0]], dtype=torch.float64)
    apart = first - second
    moved = shrunk(first, thresholds) - shrunk(second, thresholds)
    inner = (..., slice(15, -15), slice(15, -15))  # the border has no mirror image in the frame's own adjoint
    assert (moved.square().sum(dim=(-2, -1)) <= (moved * apart).sum(dim=(-2, -1)) * (1 + 1e-9)).all()
    flat = torch.full_like(first, 0.7)
    torch.testing.assert_close(shrunk(flat, thresholds), flat)
    torch.testing.assert_close(shrunk(first, 0 * thresholds), first)
    assert shrunk(first, thresholds)[0, 2][inner[1:]].std() < 0.1 * first[0, 2][inner[1:]].std()


def test_the_length_of_its_steps_never_grows(scene):
    """In the metric of the proximal point method, which is what converges.

    With T the components' own steps that is <dc, dc / T - 2 A^T dp> + <dp, gram dp>.
    """
    measurement = simulate(scene, random_mask(72, 80), Dispersion(BANDS))
    y, physics = torch.from_numpy(measurement.y)[None], measurement.physics
    components = shipped_components(scene.wavelengths_nm, BANDS)
    gram = physics.gram()
    gram = gram + _LEAST_LIGHT * gram.mean()
    variance = torch.full((1, 1, 1, 1), 1e-3)
    noise = _NOISE_IN_STEPS * (variance / gram).mean()
    turned, weighed = ({share * 40 * ITERATIONS for share in shares} for shares in (_COMPONENTS_AT, _EDGES_AT))
    lengths, before = {}, None
    for index, solution in enumerate(solutions(y, physics, components, variance=variance, num_rounds=40)):
        if index - 1 in turned:
            directions = _principal(before.coefficients, solution.coefficients.shape[1])
            energies = to_coefficients(before.coefficients, directions).square().mean(dim=(-2, -1), keepdim=True)
            own = energies / (energies + noise)
            assert own.min() < 0.8
            mixing = _Mixing(physics, solution.basis)
        elif index > min(turned):
            dc, dp = solution.coefficients - before.coefficients, solution.dual - before.dual
            coupled = (dc * mixing.adjoint(dp)).sum()
            lengths[index] = float((dc.square() / own).sum() - 2 * coupled + (gram * dp.square()).sum()) ** 0.5
        before = solution
    assert solution.coefficients.shape[1] == 8 < components.shape[0]  # the weakest went
    for index, length in lengths.items():
        # where what is minimised changes it may
        assert length <= lengths.get(index - 1, math.inf) * 1.001 or index - 1 in weighed, index
    assert lengths[max(lengths)] < 0.02 * lengths[min(lengths)]


def test_a_scene_of_few_colours_is_told_by_its_own_components(scene, monkeypatch):
    measurement, scores = simulate(scene, random_mask(72, 80), Dispersion(BANDS), noise=Noise("shot", 500), seed=5), []
    for shares in (_COMPONENTS_AT, ()):
        monkeypatch.setattr(subspace_tv, "_COMPONENTS_AT", shares)
        monkeypatch.setattr(subspace_tv, "_EDGES_AT", ())
        *_, last = restore(SubspaceTv(), measurement)
        scores.append(psnr(last.image, scene))
    assert scores[0] > scores[1] + 0.5


def test_its_edges_are_kept_once_they_are_known(scene, monkeypatch):
    measurement, scores = simulate(scene, random_mask(72, 80), Dispersion(BANDS)), []
    for shares in (_EDGES_AT, ()):
        monkeypatch.setattr(subspace_tv, "_EDGES_AT", shares)
        *_, last = restore(SubspaceTv(), measurement)
        scores.append(psnr(last.image, scene))
    assert scores[0] > scores[1] + 0.5


def test_every_scene_of_a_batch_is_told_by_itself(scene):
    flat = replace(scene, image=np.full_like(scene.image, 0.3))
    both = [simulate(one, random_mask(72, 80, seed=2), Dispersion(BANDS)) for one in (scene, flat)]
    components, physics = shipped_components(scene.wavelengths_nm, BANDS), both[0].physics
    together = torch.stack([torch.from_numpy(one.y) for one in both])
    *_, last = solutions(together, physics, components)
    for index, y in enumerate(together):
        *_, alone = solutions(y[None], physics, components)
        torch.testing.assert_close(last.image()[index], alone.image()[0], atol=1e-3, rtol=1e-3)


def test_what_came_out_flat_is_not_smoothed_ever_more():
    prior = _Prior.of(torch.full((1, 2, 6, 7), 0.4), torch.full((1, 1), 0.2), 8.0)
    assert float(prior.weights[0, 0]) == _LARGEST_WEIGHT and torch.isfinite(prior.weights).all()


def test_details_at_an_edge_are_shrunk_less_and_elsewhere_more():
    generator = torch.Generator().manual_seed(1)
    step = torch.zeros(1, 2, 40, 48)
    step[..., 24:] = 1
    noisy = step + 0.02 * torch.randn(step.shape, generator=generator)
    thresholds = torch.full((1, 2), 0.01)
    plain, kept = shrunk(noisy, thresholds), shrunk(noisy, thresholds, edges_of(step, thresholds))
    lost, still_lost = (float((noisy - x)[..., 24].mean() - (noisy - x)[..., 23].mean()) for x in (plain, kept))
    assert lost > 0.005 and abs(still_lost) < 0.3 * lost  # of the height of the edge
    assert kept[..., :20].std() < 0.8 * plain[..., :20].std()
    dark = torch.zeros(1, 2, 5, 6)
    assert not shrunk(dark, 0 * thresholds, edges_of(dark, 0 * thresholds)).any()


@pytest.mark.parametrize("noise", [None, Noise("shot", 2000), Noise("shot", 100), Noise("gaussian", 0.3)])
def test_it_is_better_than_gap_tv_at_every_level_of_noise_without_being_told(scene, noise):
    measurement = simulate(scene, random_mask(72, 80), Dispersion(BANDS), noise=noise, seed=5)
    scores = {}
    for decoder in (GapTv(), SubspaceTv()):
        *_, last = restore(decoder, measurement)
        scores[decoder.name] = psnr(last.image, scene)
    assert scores["subspace-tv"] > scores["gap-tv"] + 0.7


def test_it_finds_the_variance_of_the_noise(scene):
    clean = simulate(scene, random_mask(72, 80), Dispersion(BANDS))
    y = Noise("gaussian", 0.2).add_to(torch.from_numpy(clean.y)[None], torch.Generator().manual_seed(2))
    *_, last = solutions(y, clean.physics, shipped_components(scene.wavelengths_nm, BANDS))
    assert 0.5 * 0.2**2 < float(last.variance.mean()) < 2 * 0.2**2


def test_more_components_than_bands_are_not_asked_for():
    scene = Scene(np.random.default_rng(0).random((3, 40, 40), dtype=np.float32), np.array([450.0, 550, 650]))
    *_, last = restore(SubspaceTv(), simulate(scene, random_mask(40, 40), Dispersion(3)), num_stages=2)
    assert last.image.shape == (3, 40, 40) and np.isfinite(last.image).all()


@pytest.mark.parametrize("size", [(1, 1), (4, 5), (40, 40)])
@pytest.mark.parametrize("light", [-1.0, 0.0, 2.0])
def test_captures_without_any_pattern_give_finite_images(size, light):
    physics = CassiPhysics(torch.ones(size), Dispersion(4))
    y = torch.full((1, *physics.measurement_shape), light)
    *_, last = solutions(y, physics, shipped_components(None, 4), num_rounds=4)
    assert torch.isfinite(last.coefficients).all() and torch.isfinite(last.variance).all()
    assert (last.variance >= 0).all()


@pytest.mark.parametrize("has_edges", [False, True])
@pytest.mark.parametrize("size", [(70, 40), (33, 50)])
def test_large_pictures_are_shrunk_in_strips_and_small_ones_together(monkeypatch, has_edges, size):
    generator = torch.Generator().manual_seed(3)
    c = torch.rand(2, 3, *size, generator=generator)
    thresholds = 0.02 + 0.1 * torch.rand(2, 3, generator=generator)
    edges = edges_of(c, thresholds) if has_edges else None
    monkeypatch.setattr("lorun_engine.tasks.haar._AT_ONCE", 1)
    expected = shrunk(c, thresholds, edges)
    monkeypatch.setattr("lorun_engine.tasks.haar._AT_ONCE", 1 << 20)
    room = Room()
    for _ in range(2):  # into memory that holds what came before
        assert torch.equal(shrunk(c, thresholds, edges, room=room), expected)
    monkeypatch.setattr("lorun_engine.tasks.haar._STRIP", 20 * size[1])
    assert torch.equal(shrunk(c, thresholds, edges), expected)
    assert (expected - c).abs().max() > 0.01

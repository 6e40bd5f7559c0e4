"""A decoded image measured again: its figures follow from mathematics, its verdict from the capture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.camera_checks.remeasure import judge_camera, remeasure
from lorun_engine.errors import GeometryError
from lorun_engine.instrument import Dispersion
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, simulate
from lorun_engine.tasks.noise import Noise

BANDS, SIZE = 12, 96
RIGHT = Dispersion(BANDS)


@pytest.fixture(scope="module")
def scene() -> Scene:
    patches = ndimage.gaussian_filter(np.random.default_rng(1).random((3, SIZE, SIZE)), (0, 6, 6))
    patches = (patches - patches.min()) / (patches.max() - patches.min())
    nodes = np.linspace(0, 1, BANDS)
    spectra = 0.2 + 0.5 * np.exp(-(((nodes - np.array([[0.2], [0.5], [0.8]])) / 0.4) ** 2))
    return Scene((np.einsum("khw,kc->chw", patches, spectra) / 2).astype(np.float32))


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    return (np.random.default_rng(2).random((SIZE, SIZE)) < 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def y(scene, mask) -> np.ndarray:
    return simulate(scene, mask, RIGHT, noise=Noise("shot", 1000), seed=3).y


def opened(y: np.ndarray, mask: np.ndarray, dispersion: Dispersion = RIGHT) -> Measurement:
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask)), dispersion, detector_shape=y.shape[1:])
    return Measurement(task="cassi", y=y, physics=physics, input_scale=1.0)


def test_the_camera_that_took_the_capture_is_fine_and_the_residual_of_the_truth_is_its_noise(y, mask, scene):
    result = remeasure(opened(y, mask), scene.image)
    assert result.is_fine and result.verdict.startswith("fine")
    np.testing.assert_allclose(result.phi_x + result.residual, y, atol=1e-6)
    assert result.relative_norm == pytest.approx(np.linalg.norm(result.residual) / np.linalg.norm(y))
    assert result.scale == pytest.approx(1, abs=0.01)
    assert max(map(abs, result.autocorrelation_x + result.autocorrelation_y)) < 3 * result.white_limit
    assert result.counts.sum() == y.size and len(result.edges) == len(result.counts) + 1
    np.testing.assert_allclose(result.row_means, result.residual.mean(axis=(0, 2)), atol=1e-6)
    np.testing.assert_allclose(result.column_means, result.residual.mean(axis=(0, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda mask: (np.roll(mask, 1, axis=0), RIGHT),
        lambda mask: (np.roll(mask, -1, axis=1), RIGHT),
        lambda mask: (mask, Dispersion(BANDS, 2.1)),
        lambda mask: (mask[:, ::-1], RIGHT),
        lambda mask: (mask[::-1], RIGHT),
        lambda mask: (np.random.default_rng(9).random(mask.shape).astype(np.float32), RIGHT),
    ],
    ids=["a row off", "a column off", "step off", "flipped left-right", "flipped up-down", "another mask"],
)
def test_another_camera_is_found_out(y, mask, wrong):
    verdict = judge_camera(opened(y, *wrong(mask)))
    assert not verdict.is_fine and verdict.word.startswith("structured") and "%" in verdict.sentence


def test_an_image_in_another_unit_is_found_out(y, mask, scene):
    measurement = opened(y, mask)
    camera = judge_camera(measurement)
    result = remeasure(measurement, 2 * scene.image, camera=camera)
    assert camera.is_fine and not result.is_fine and result.scale == pytest.approx(0.5, abs=0.01)
    assert "multiplied by 0.5" in result.verdict


def test_the_autocorrelation_of_stripes_alternates_along_them_only(y, mask):
    stripes = np.zeros_like(y)
    stripes[..., ::2] = 1
    result = remeasure(opened(stripes, mask), np.zeros((BANDS, SIZE, SIZE), np.float32))
    assert result.autocorrelation_x == pytest.approx((-1, 1, -1, 1), abs=1e-6)
    assert result.autocorrelation_y == pytest.approx((1, 1, 1, 1), abs=1e-6)


def test_an_image_of_another_size_is_refused(y, mask):
    with pytest.raises(GeometryError, match="12 x 96 x 96"):
        remeasure(opened(y, mask), np.zeros((BANDS, 8, 8), np.float32))

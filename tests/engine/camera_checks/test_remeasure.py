"""A decoded image measured again: its figures follow from mathematics, its verdict from the capture."""

from __future__ import annotations

from dataclasses import replace

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
    assert result.is_fine and result.camera.look == ("Fine: mask, shift and step are those of the capture.", "good")
    assert result.result == ("The result explains the measurement: what is left looks like white noise.", "good")
    assert result.look() == result.camera.look
    np.testing.assert_allclose(result.phi_x + result.residual, y, atol=1e-6)
    assert result.relative_norm == pytest.approx(np.linalg.norm(result.residual) / np.linalg.norm(y))
    assert result.scale == pytest.approx(1, abs=0.01)
    assert max(map(abs, result.autocorrelation_x + result.autocorrelation_y)) < 3 * result.white_limit
    assert result.counts.sum() == y.size and len(result.edges) == len(result.counts) + 1
    np.testing.assert_allclose(result.row_means, result.residual.mean(axis=(0, 2)), atol=1e-6)
    np.testing.assert_allclose(result.column_means, result.residual.mean(axis=(0, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        (lambda mask: (np.roll(mask, 1, axis=0), RIGHT), "lies elsewhere"),
        (lambda mask: (np.roll(mask, -1, axis=1), RIGHT), "lies elsewhere"),
        (lambda mask: (mask, Dispersion(BANDS, 2.1)), "the step is 2.00 pixels a band"),
        (lambda mask: (mask[:, ::-1], RIGHT), "flipped left to right"),
        (lambda mask: (mask[::-1], RIGHT), "flipped upside down"),
        (lambda mask: (np.random.default_rng(9).random(mask.shape).astype(np.float32), RIGHT), "another one"),
    ],
    ids=["a row off", "a column off", "step off", "flipped left-right", "flipped up-down", "another mask"],
)
def test_another_camera_is_found_out_and_nothing_beside_it_is_fine(y, mask, scene, wrong, finding):
    measurement = opened(y, *wrong(mask))
    verdict = judge_camera(measurement)
    assert not verdict.is_fine and verdict.word.startswith("off: ") and "%" in verdict.sentence
    assert finding in verdict.word
    result = remeasure(measurement, scene.image, camera=verdict)
    assert result.look() == verdict.look == (f"O{verdict.word[1:]}.", "warn") and not result.is_fine
    assert result.result[1] != "good"


def test_spectra_that_surely_run_the_other_way_are_a_finding_and_doubtful_ones_are_not(y, mask):
    measurement = opened(y, mask)
    alignment = judge_camera(measurement).alignment
    for margin, is_fine in ((0.95, False), (0.6, True)):
        back = replace(alignment, direction="-", direction_margin=margin)
        verdict = judge_camera(measurement, alignment=back)
        assert verdict.is_fine == is_fine and ("run the other way" in verdict.word) != is_fine


def test_a_mask_that_lies_a_fraction_of_a_pixel_beside_is_fine_and_says_so(y, mask):
    measurement = opened(y, mask)
    alignment = judge_camera(measurement).alignment
    beside = replace(alignment, best=replace(alignment.best, shift_y=0.5))
    verdict = judge_camera(measurement, alignment=beside)
    assert verdict.is_fine and verdict.word.endswith("to a fraction of a pixel")


def test_a_result_that_leaves_much_is_not_called_fine_beside_a_camera_that_is(y, mask, scene):
    measurement = opened(y, mask)
    camera = judge_camera(measurement)
    noisy = scene.image + np.random.default_rng(4).normal(0, 0.6, scene.image.shape).astype(np.float32)
    scale = remeasure(measurement, noisy, camera=camera).scale
    result = remeasure(measurement, (scale * noisy).astype(np.float32), camera=camera)
    words, look = result.result
    assert camera.is_fine and look == "warn" and words.endswith("of the measurement unexplained.")
    assert result.look() == (words, look) and not result.is_fine


def test_an_image_in_another_unit_is_found_out(y, mask, scene):
    measurement = opened(y, mask)
    camera = judge_camera(measurement)
    result = remeasure(measurement, 2 * scene.image, camera=camera)
    assert camera.is_fine and not result.is_fine and result.scale == pytest.approx(0.5, abs=0.01)
    assert result.result == ("The scale is off: 0.50 times the result explains the measurement.", "warn")
    assert result.look() == result.result


def test_the_autocorrelation_of_stripes_alternates_along_them_only(y, mask):
    stripes = np.zeros_like(y)
    stripes[..., ::2] = 1
    result = remeasure(opened(stripes, mask), np.zeros((BANDS, SIZE, SIZE), np.float32))
    assert result.autocorrelation_x == pytest.approx((-1, 1, -1, 1), abs=1e-6)
    assert result.autocorrelation_y == pytest.approx((1, 1, 1, 1), abs=1e-6)


def test_an_image_of_another_size_is_refused(y, mask):
    with pytest.raises(GeometryError, match="12 x 96 x 96"):
        remeasure(opened(y, mask), np.zeros((BANDS, 8, 8), np.float32))

"""Figures against scikit-image and against values known from mathematics."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from lorun_engine.decoding.metrics import ergas, psnr_per_band, score, spectral_angle, ssim, ssim_uniform
from lorun_engine.errors import GeometryError


def test_psnr_is_the_mean_over_bands_with_peak_one():
    reference = np.zeros((2, 4, 5), np.float32)
    estimate = np.stack([np.full((4, 5), 0.1), np.full((4, 5), 0.01)]).astype(np.float32)
    assert psnr_per_band(estimate, reference) == pytest.approx((20 + 40) / 2, abs=1e-4)


def test_ssim_equals_scikit_image_on_the_valid_region():
    rng = np.random.default_rng(1)
    estimate, reference = rng.random((3, 24, 31)), rng.random((3, 24, 31))
    expected = np.mean(
        [
            structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
            for a, b in zip(estimate, reference, strict=True)
        ]
    )
    assert ssim(estimate, reference) == pytest.approx(expected, abs=1e-12)
    assert ssim(reference, reference) == pytest.approx(1, abs=1e-12)


def test_ssim_of_an_image_smaller_than_its_window_is_finite():
    small = np.random.default_rng(0).random((2, 7, 30))
    assert ssim(small, small) == pytest.approx(1)
    assert -1 <= ssim(small, 1 - small) < 0.9


def test_spectral_angle_ignores_brightness_and_black_pixels():
    spectra = np.random.default_rng(0).random((5, 3, 3)) + 0.1
    assert spectral_angle(3 * spectra, spectra) == pytest.approx(0, abs=1e-5)
    across = np.zeros((2, 1, 2))
    across[0, 0, 0], other = 1, np.zeros((2, 1, 2))
    other[1, 0, 0] = 1
    assert spectral_angle(across, other) == pytest.approx(90)


def test_scores_clip_to_the_unit_range_first():
    reference = np.ones((2, 16, 16), np.float32)
    assert score(reference * 7, reference, "cassi")["psnr"] == pytest.approx(120)


def test_uniform_ssim_equals_scikit_images_defaults_on_eight_bit_values():
    rng = np.random.default_rng(2)
    estimate, reference = rng.random((1, 24, 31)) * 255, rng.integers(0, 256, (1, 24, 31))
    expected = structural_similarity(estimate[0], reference[0].astype(float), data_range=255)
    assert ssim_uniform(estimate / 255, reference / 255) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("side", range(1, 9))
@pytest.mark.parametrize("task, channels", [("cs", 1), ("sr", 3), ("cassi", 5)])
def test_every_side_has_its_similarity(task, channels, side):
    rng = np.random.default_rng(side)
    for shape in ((channels, side, side), (channels, side, 9), (channels, 9, side)):
        image, other = rng.random(shape), rng.random(shape)
        assert score(image, np.round(image * 255) / 255 if task == "sr" else image, task)["ssim"] == pytest.approx(1)
        assert -1 <= score(image, other, task)["ssim"] < 0.99


def test_the_similarity_of_two_by_two_pixels_is_wangs_index_of_all_of_them():
    x, y = np.array([[0.1, 0.4], [0.3, 0.9]]), np.array([[0.2, 0.3], [0.5, 0.8]])
    covariance = np.cov(x.ravel(), y.ravel())
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * x.mean() * y.mean() + c1) * (2 * covariance[0, 1] + c2)
    expected = top / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (np.trace(covariance) + c2))
    assert ssim_uniform(x[None], y[None]) == pytest.approx(expected)


def test_an_image_without_pixels_has_no_score():
    with pytest.raises(GeometryError, match="Nothing is left to score: 0 x 4 pixels"):
        score(np.zeros((3, 0, 4)), np.zeros((3, 0, 4)), "cassi")


def test_ergas_is_the_relative_error_in_percent_of_every_bands_mean():
    reference = np.stack([np.full((3, 3), 0.5), np.full((3, 3), 0.25)])
    assert ergas(reference * 1.1, reference) == pytest.approx(10)
    assert ergas(reference + np.array([0.05, 0])[:, None, None], reference) == pytest.approx(10 / np.sqrt(2))


def test_samples_are_scored_unrounded_and_low_resolution_images_rounded_without_their_border():
    reference = np.full((3, 20, 20), 100 / 255)
    estimate = reference + 0.4 / 255
    assert score(estimate[:1], reference[:1], "cs")["psnr"] == pytest.approx(20 * np.log10(255 / 0.4))
    assert score(estimate, reference, "sr")["psnr"] == pytest.approx(120)
    estimate[:, 0] = 1
    assert score(estimate, reference, "sr")["psnr"] < 30
    assert score(estimate, reference, "sr", border=4)["psnr"] == pytest.approx(120)

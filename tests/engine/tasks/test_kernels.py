"""Blur kernels: moments, angles, the gallery, and the width estimated from a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.instrument import GALLERY
from lorun_engine.measurement import Scene
from lorun_engine.tasks.kernels import (
    anisotropic_kernel,
    estimated_width,
    gallery,
    gaussian_kernel,
    motion_kernel,
    resized,
)
from lorun_engine.tasks.sr import simulate


def moments(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The centroid (y, x) from the middle pixel, and the covariance."""
    side = np.arange(len(kernel)) - len(kernel) // 2
    grid = np.stack(np.meshgrid(side, side, indexing="ij")).reshape(2, -1)
    weights = kernel.astype(np.float64).ravel()
    mean = grid @ weights
    return mean, (grid * weights) @ grid.T - np.outer(mean, mean)


def test_gaussians_have_the_widths_and_the_direction_asked_for():
    mean, covariance = moments(gaussian_kernel(2.0))
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(covariance, 4 * np.eye(2), atol=0.02)
    _, tilted = moments(anisotropic_kernel(3.0, 1.5, 45, size=41))
    assert tilted[0, 1] == pytest.approx(-(9 - 2.25) / 2, rel=0.02)  # up and right: rows fall where columns grow


def test_the_gallery_holds_distributions_of_many_shapes():
    kernels = gallery()
    assert tuple(kernels) == GALLERY and len(kernels) > 8
    for kernel in [*kernels.values(), motion_kernel(torch.Generator().manual_seed(5))]:
        assert kernel.shape == (25, 25) and kernel.dtype == np.float32
        assert kernel.min() >= 0 and kernel.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [4, 5])
def test_a_kernel_is_laid_into_the_frame_with_its_centre_at_the_origin(size):
    kernel = torch.zeros(1, size, size)
    kernel[0, size // 2, size // 2] = 1
    framed = resized(kernel, (8, 9))
    assert framed[0, 0, 0] == 1 and framed.sum() == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 40)])
def test_no_blur_is_told_from_a_picture_that_is_too_small_or_without_light(size):
    assert estimated_width(np.zeros((3, *size), np.float32), 2) == 0


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("sd", [1.0, 1.6, 2.4])
def test_the_width_of_a_blur_is_found_in_pictures_of_edges(scale, sd):
    rng, picture = np.random.default_rng(0), np.full((240, 240), 0.5)
    y, x = np.mgrid[:240, :240]
    for _ in range(400):  # discs over discs: dead leaves, whose spectrum falls as that of photographs
        radius = 3 / np.sqrt(rng.uniform(0.002, 1))
        centre = rng.uniform(0, 240, 2)
        picture[np.hypot(y - centre[0], x - centre[1]) < radius] = rng.uniform()
    low = simulate(Scene(picture[None].astype(np.float32)), gaussian_kernel(sd), scale).y
    assert estimated_width(low, scale) == pytest.approx(sd, abs=0.6)

"""GAP-TV: its denoiser against scikit-image, its projection against the measurement, its intensity rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle as skimage_tv

from lorun_engine.instrument import Dispersion
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import random_mask, simulate
from lorun_engine.tasks.gap_tv import GapTv, denoise_tv_chambolle


@pytest.mark.parametrize("num_iterations", [1, 2, 5, 30])
def test_the_tv_denoiser_equals_scikit_images(num_iterations):
    images = np.random.default_rng(0).random((3, 23, 31))
    expected = skimage_tv(images, 0.3, eps=0, max_num_iter=num_iterations, channel_axis=0)
    result = denoise_tv_chambolle(torch.from_numpy(images), 0.3, num_iterations)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-14)


def test_the_tv_denoiser_keeps_constant_images_and_its_argument():
    image = torch.full((2, 5, 6), 0.4)
    assert torch.equal(denoise_tv_chambolle(image, 0.3, 5), torch.full((2, 5, 6), 0.4))
    assert torch.equal(image, torch.full((2, 5, 6), 0.4))


def smooth_scene() -> Scene:
    rows, columns = np.mgrid[0:32, 0:48] / 32
    bands = [0.5 + 0.4 * np.sin(3 * rows + 2 * columns + 0.2 * c) for c in range(8)]
    return Scene(np.stack(bands).astype(np.float32))


def test_the_start_is_phi_t_of_y_over_phi_and_a_stage_projects_onto_the_accelerated_measurement():
    grey = np.random.default_rng(2).uniform(0.1, 1, (32, 48)).astype(np.float32)
    measurement = simulate(smooth_scene(), grey, Dispersion(8))
    y, physics = torch.from_numpy(measurement.y)[None], measurement.physics
    start, first = GapTv().stages(y, physics, num_stages=1)
    torch.testing.assert_close(start.image, physics.adjoint(y / physics.gram()))
    accelerated = 2 * y - physics.forward(start.image)  # y plus what the start failed to explain
    torch.testing.assert_close(physics.forward(first.denoiser_input), accelerated, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("step", [2.0, 1.5])
def test_gap_tv_lowers_residual_and_error_on_a_smooth_scene(step):
    measurement = simulate(smooth_scene(), random_mask(32, 48), Dispersion(8, step))
    y, physics = torch.from_numpy(measurement.y)[None], measurement.physics
    stages = list(GapTv(weight=0.1).stages(y, physics, num_stages=40))
    reference = torch.from_numpy(measurement.reference)
    errors = [float((stage.image[0] - reference).square().mean().sqrt()) for stage in stages]
    assert [stage.index for stage in stages] == list(range(41))
    assert errors[-1] < 0.25 * errors[0]
    assert float((physics.forward(stages[-1].image) - y).norm() / y.norm()) < 0.02


@pytest.mark.parametrize("exposure", [0.01, 1.0, 300.0])
def test_the_intensity_rule_undoes_the_exposure(exposure):
    measurement = simulate(smooth_scene(), random_mask(32, 48), Dispersion(8))
    exposed = simulate(Scene(smooth_scene().image * np.float32(exposure)), random_mask(32, 48), Dispersion(8))
    decoder = GapTv()
    assert decoder.input_scale(exposed) * exposure == pytest.approx(decoder.input_scale(measurement), rel=1e-4)
    assert 0.3 < decoder.input_scale(measurement) < 3

"""Compressive sampling: the operator against its matrix, the exact data step, and the pseudo-inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.errors import GeometryError
from lorun_engine.measurement import Scene
from lorun_engine.physics import adjoint_mismatch
from lorun_engine.tasks.cs import (
    CsPhysics,
    PseudoInverse,
    cosine_sampling,
    luma,
    num_samples,
    random_sampling,
    simulate,
)
from lorun_engine.tasks.noise import Noise


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Full rank, far from orthonormal."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, columns))).double()


def dense(physics: CsPhysics) -> torch.Tensor:
    """Phi of the whole image, one column a pixel."""
    size = int(np.prod(physics.scene_shape))
    units = torch.eye(size, dtype=torch.float64).reshape(size, *physics.scene_shape)
    return physics.forward(units).flatten(1).T


@pytest.mark.parametrize("ratio, rows", [(1, 10), (4, 40), (10, 102), (25, 256), (30, 307), (40, 409), (50, 512)])
def test_ratios_are_rounded_down_to_whole_samples(ratio, rows):
    assert num_samples(ratio) == rows


def test_an_impossible_ratio_is_a_sentence():
    with pytest.raises(GeometryError, match="1 to 1024 were expected"):
        num_samples(0.01)


@pytest.mark.parametrize("block_size", [32, 33])
def test_random_matrices_have_orthonormal_rows_and_follow_their_seed(block_size):
    sampling = random_sampling(10, block_size=block_size, seed=3)
    assert sampling.shape == (num_samples(10, block_size), block_size**2) and sampling.dtype == np.float32
    np.testing.assert_allclose(sampling @ sampling.T, np.eye(len(sampling)), atol=1e-5)
    assert np.array_equal(sampling, random_sampling(10, block_size=block_size, seed=3))
    assert not np.array_equal(sampling, random_sampling(10, block_size=block_size, seed=4))


@pytest.mark.parametrize("block_size", [16, 32])
def test_cosines_are_orthonormal_rows_of_rising_frequency_that_pass_what_is_smooth(block_size):
    sampling = cosine_sampling(10, block_size=block_size)
    assert sampling.shape == (num_samples(10, block_size), block_size**2) and sampling.dtype == np.float32
    np.testing.assert_allclose(sampling @ sampling.T, np.eye(len(sampling)), atol=1e-5)
    slope = np.tile(np.linspace(0, 1, block_size, dtype=np.float32), block_size)
    assert np.linalg.norm(slope - sampling.T @ (sampling @ slope)) < 0.02 * np.linalg.norm(slope)
    roughness = [np.abs(np.diff(row.reshape(block_size, block_size))).sum() for row in sampling[[0, 1, -1]]]
    assert roughness[0] < 1e-4 < roughness[1] < roughness[2]


def test_every_block_is_sampled_by_the_rows_of_the_matrix():
    sampling = matrix(5, 16)
    physics = CsPhysics(sampling, (8, 12))
    image = torch.rand(1, 1, 8, 12, dtype=torch.float64)
    y = physics.forward(image)
    assert y.shape == (1, 5, 2, 3)
    block = image[0, 0, 4:8, 8:12].reshape(-1)  # rows of pixels one after the other
    torch.testing.assert_close(y[0, :, 1, 2], sampling @ block)


@pytest.mark.parametrize("size", [(8, 12), (7, 10), (3, 3)])
def test_the_adjoint_is_the_transpose_for_any_size(size, generator):
    assert adjoint_mismatch(CsPhysics(matrix(5, 16), size), generator) < 1e-12


@pytest.mark.parametrize("size", [(8, 8), (7, 6)])
@pytest.mark.parametrize("orthonormal", [True, False])
def test_the_data_step_solves_its_normal_equations(size, orthonormal, generator):
    sampling = matrix(6, 16)
    if orthonormal:
        sampling = torch.linalg.qr(sampling.T)[0].T
    physics = CsPhysics(sampling, size)
    z = torch.rand(2, *physics.scene_shape, dtype=torch.float64, generator=generator)
    y = torch.rand(2, *physics.measurement_shape, dtype=torch.float64, generator=generator)
    mu = torch.tensor([0.03, 0.7], dtype=torch.float64).reshape(2, 1, 1, 1)
    found, phi = physics.prox(z, y, mu), dense(physics)
    for sample in range(2):
        left = phi.T @ phi + mu[sample].item() * torch.eye(phi.shape[1], dtype=torch.float64)
        right = phi.T @ y[sample].flatten() + mu[sample].item() * z[sample].flatten()
        torch.testing.assert_close(found[sample].flatten(), torch.linalg.solve(left, right))
    torch.testing.assert_close(physics.prox(z, y, 0.7)[1], found[1])


def test_the_older_blocks_of_33_pixels_have_their_adjoint_and_their_data_step(generator):
    sampling = torch.from_numpy(random_sampling(4, block_size=33)).double() * torch.linspace(0.5, 2, 43)[:, None]
    physics = CsPhysics(sampling, (40, 66))
    assert physics.measurement_shape == (43, 2, 2)
    assert adjoint_mismatch(physics, generator) < 1e-12
    z = torch.rand(2, 1, 40, 66, dtype=torch.float64, generator=generator)
    y = torch.rand(2, 43, 2, 2, dtype=torch.float64, generator=generator)
    mu = torch.tensor([0.03, 0.7], dtype=torch.float64).reshape(2, 1, 1, 1)
    x = physics.prox(z, y, mu)
    torch.testing.assert_close(physics.gradient(x, y) + mu * (x - z), torch.zeros_like(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(physics.prox(z, y, 0.7)[1], x[1])


def test_the_diagonal_bounds_the_operator():
    physics = CsPhysics(matrix(6, 16), (8, 8))
    phi = dense(physics)
    bound = physics.gram().expand(1, *physics.measurement_shape).flatten()
    assert torch.linalg.eigvalsh(torch.diag(bound) - phi @ phi.T).min() > -1e-9
    assert torch.equal(CsPhysics(torch.eye(16)[:5], (8, 8)).gram(), torch.ones(1, 5, 1, 1))


def test_a_matrix_that_is_being_learned_gets_the_gradient_of_the_data_step(generator):
    start = torch.linalg.qr(matrix(6, 16).T)[0].T.contiguous()

    def loss(sampling: torch.Tensor) -> torch.Tensor:
        physics = CsPhysics(sampling, (7, 8))
        x = torch.linspace(0, 1, 56, dtype=torch.float64).reshape(1, 1, 7, 8)
        return physics.prox(0.5 * x, physics.forward(x), torch.tensor(0.1, dtype=torch.float64)).square().sum()

    assert torch.autograd.gradcheck(loss, start.requires_grad_())


@pytest.mark.parametrize("shape", [(5, 15), (17, 16), (5, 4, 4)])
def test_what_is_no_sampling_matrix_is_refused(shape):
    with pytest.raises(GeometryError, match="sampling matrix"):
        CsPhysics(torch.zeros(shape), (8, 8))


def test_the_pseudo_inverse_explains_the_samples_with_the_smallest_image():
    picture = Scene(np.random.default_rng(0).random((1, 40, 48), dtype=np.float32))
    sampling = (random_sampling(25) * np.linspace(0.5, 2, 256)[:, None]).astype(np.float32)
    measurement = simulate(picture, sampling)
    *_, last = restore(PseudoInverse(), measurement)
    assert last.residual < 1e-3
    expected = np.linalg.pinv(sampling) @ measurement.y[:, 0, 0]  # of a whole block
    np.testing.assert_allclose(last.image[0, :32, :32].ravel(), expected, atol=2e-3)
    assert set(last.metrics) == {"psnr", "ssim"}


def test_colours_are_sampled_by_their_luma_in_eight_bits():
    rgb = np.array([255, 128, 64], np.float32)[:, None, None] / 255 * np.ones((3, 32, 32), np.float32)
    assert luma(rgb)[0, 0, 0] == pytest.approx(round(0.299 * 255 + 0.587 * 128 + 0.114 * 64) / 255)
    measurement = simulate(Scene(rgb), random_sampling(10), noise=Noise("gaussian", 0.1), seed=1)
    assert measurement.reference.shape == (1, 32, 32) and measurement.y.shape == (102, 1, 1)
    assert not np.array_equal(measurement.y, simulate(Scene(rgb), random_sampling(10)).y)
    with pytest.raises(GeometryError, match="grey or red, green and blue"):
        luma(np.zeros((4, 8, 8), np.float32))


@pytest.mark.parametrize("rgb, y", [((141, 230, 38), 181), ((193, 200, 21), 177), ((133, 239, 153), 197)])
def test_the_luma_is_that_of_fixed_point_weights_where_rounding_decides(rgb, y):
    # 0.299, 0.587 and 0.114 in units of 2^-14 lie just below the half that the decimal weights lie just above.
    assert sum(weight * value for weight, value in zip((0.299, 0.587, 0.114), rgb, strict=True)) > y + 0.5
    assert luma(np.array(rgb, np.float32)[:, None, None] / 255)[0, 0, 0] * 255 == pytest.approx(y)

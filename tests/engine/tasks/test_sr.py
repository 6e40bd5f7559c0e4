"""Super-resolution: the operator against SciPy, the exact data step, and the decoders without weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.decoding.restore import restore
from lorun_engine.errors import GeometryError
from lorun_engine.measurement import Scene
from lorun_engine.networks.data_steps import proximal_gradient
from lorun_engine.physics import adjoint_mismatch
from lorun_engine.tasks.kernels import anisotropic_kernel, gaussian_kernel, random_kernels
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.sr import Bicubic, SrCamera, SrPhysics, Tikhonov, bicubic, simulate


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def kernels(size: int, count: int = 1) -> torch.Tensor:
    values = torch.from_numpy(np.random.default_rng(size).random((count, size, size)))
    return values / values.sum(dim=(1, 2), keepdim=True)


def dense(physics: SrPhysics) -> torch.Tensor:
    """Phi of one channel, one column a pixel."""
    _, height, width = physics.scene_shape
    units = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    return physics.forward(units).flatten(1).T


@pytest.mark.parametrize("border, mode", [("circular", "wrap"), ("mirrored", "reflect")])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [5, 6, 25])
def test_the_operator_is_scipys_convolution_at_every_scale_th_pixel(scale, size, border, mode):
    image = np.random.default_rng(0).random((3, 36, 48))
    kernel = kernels(size)[0].numpy()
    blurred = np.stack([ndimage.convolve(channel, kernel, mode=mode) for channel in image])
    physics = SrPhysics(torch.from_numpy(kernel), scale, (36, 48), border=border)
    found = physics.forward(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(found, blurred[:, ::scale, ::scale], atol=1e-12)


@pytest.mark.parametrize("border", ["circular", "mirrored"])
@pytest.mark.parametrize("scale, size", [(2, 5), (3, 4), (4, 7)])
def test_the_adjoint_is_the_transpose(scale, size, border, generator):
    assert adjoint_mismatch(SrPhysics(kernels(size)[0], scale, (24, 36), border=border), generator) < 1e-12


@pytest.mark.parametrize("scale, size", [(2, 5), (2, 6), (3, 5), (3, 4), (4, 7), (4, 6)])
def test_the_data_step_solves_its_normal_equations_for_every_kernel_and_mu(scale, size, generator):
    physics = SrPhysics(kernels(size, count=2), scale, (12, 24), channels=1)
    z = torch.rand(2, 1, 12, 24, dtype=torch.float64, generator=generator)
    y = torch.rand(2, *physics.measurement_shape, dtype=torch.float64, generator=generator)
    mu = torch.tensor([0.003, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1)
    found = physics.prox(z, y, mu)
    for sample in range(2):
        phi = dense(physics.part(torch.tensor([sample])))
        left = phi.T @ phi + mu[sample].item() * torch.eye(phi.shape[1], dtype=torch.float64)
        right = phi.T @ y[sample].flatten() + mu[sample].item() * z[sample].flatten()
        torch.testing.assert_close(found[sample].flatten(), torch.linalg.solve(left, right))


@pytest.mark.parametrize("name", ["gaussian", "shake"])
@pytest.mark.parametrize("scale, mu", [(1, 0.01), (2, 1e-4), (3, 0.1), (4, 0.001)])
def test_the_data_step_of_a_mirrored_scene_is_the_minimum(scale, mu, name, generator):
    kernel = torch.from_numpy(gaussian_kernel(1.6, size=11)).double() if name == "gaussian" else kernels(11)[0]
    physics = SrPhysics(kernel, scale, (24, 36), channels=2, border="mirrored")
    z = torch.rand(1, 2, 24, 36, dtype=torch.float64, generator=generator)
    y = torch.rand(1, *physics.measurement_shape, dtype=torch.float64, generator=generator)
    found, phi = physics.prox(z, y, mu), dense(physics)
    left = phi.T @ phi + mu * torch.eye(phi.shape[1], dtype=torch.float64)
    right = y.flatten(2) @ phi + mu * z.flatten(2)
    least = torch.linalg.solve(left, right[0].T).T.reshape(z.shape)

    def objective(x):
        return 0.5 * (physics.forward(x) - y).square().sum() + 0.5 * mu * (x - z).square().sum()

    assert objective(least) <= objective(found) < 1.0001 * objective(least)
    assert (found - least).norm() < 1e-2 * (least - z).norm()


def test_the_data_step_of_a_mirrored_scene_has_the_gradient_of_its_numbers(generator):
    physics = SrPhysics(kernels(5, count=2), 2, (8, 12), channels=1, border="mirrored")
    x = torch.rand(2, 1, 8, 12, dtype=torch.float64, generator=generator).requires_grad_()
    y = torch.rand(2, 1, 4, 6, dtype=torch.float64, generator=generator).requires_grad_()
    for shape in ((), (2, 1, 1, 1)):
        mu = torch.full(shape, 0.3, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(physics.prox, (x, y, mu), atol=1e-3, rtol=1e-2, fast_mode=True)


@pytest.mark.parametrize("sign", [1, -1], ids=["a blur", "a kernel with negative parts"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_gram_of_a_mirrored_scene_is_a_bound(scale, sign, generator):
    kernel = kernels(7)[0] * torch.linspace(1, sign * 0.5, 49, dtype=torch.float64).reshape(7, 7)
    physics = SrPhysics(kernel, scale, (12, 18), channels=1, border="mirrored")
    phi, gram = dense(physics), physics.gram()
    assert gram.shape == (1, *physics.measurement_shape) and gram.min() > 0
    product = phi @ phi.T
    assert torch.linalg.eigvalsh(torch.diag(gram.flatten()) - product).min() > -1e-9
    assert gram.max() < (1.5 if sign > 0 else 3) * torch.linalg.eigvalsh(product).max()


def test_a_proximal_gradient_of_a_mirrored_scene_never_diverges(generator):
    physics = SrPhysics(kernels(9)[0], 2, (24, 24), channels=1, border="mirrored")
    y = physics.forward(torch.rand(1, 1, 24, 24, dtype=torch.float64, generator=generator))
    x, residuals = torch.zeros(1, 1, 24, 24, dtype=torch.float64), []
    for _ in range(100):
        x = proximal_gradient(x, y, physics, torch.tensor(1.9, dtype=torch.float64))
        residuals.append(float((physics.forward(x) - y).norm()))
    assert residuals == sorted(residuals, reverse=True)


def test_a_photograph_does_not_ring_at_its_border(generator):
    y, x = np.mgrid[:104, :104]
    ramp = (0.2 + 0.006 * x + 0.1 * np.sin(y / 5)).astype(np.float32)  # left and right differ
    blurred = ndimage.gaussian_filter(ramp, 1.6)[4:100, 4:100]  # of a scene that goes on, as a camera sees it
    small, scene = torch.from_numpy(blurred[None, None, ::2, ::2].copy()), ramp[4:100, 4:100]
    kernel = torch.from_numpy(gaussian_kernel(1.6))
    errors = {}
    for border in ("circular", "mirrored"):
        physics = SrPhysics(kernel, 2, (96, 96), channels=1, border=border)
        *_, last = Tikhonov().stages(small, physics, num_stages=1)
        errors[border] = np.abs(last.image[0, 0].numpy() - scene).max()
    assert errors["mirrored"] < 0.2 * errors["circular"]


def test_the_gram_is_the_largest_eigenvalue():
    physics = SrPhysics(kernels(5)[0], 2, (12, 16), channels=1)
    phi = dense(physics)
    assert float(physics.gram()) == pytest.approx(float(torch.linalg.eigvalsh(phi @ phi.T).max()))


def test_sizes_and_kernels_that_do_not_fit_are_sentences():
    with pytest.raises(GeometryError, match="one of circular, mirrored was expected"):
        SrPhysics(kernels(5)[0], 3, (12, 15), border="black")
    with pytest.raises(GeometryError, match="multiples of the factor 3"):
        SrPhysics(kernels(5)[0], 3, (12, 16))
    with pytest.raises(GeometryError, match="Choose a smaller kernel"):
        SrPhysics(kernels(25)[0], 2, (12, 16))
    with pytest.raises(GeometryError, match="Choose a larger one"):
        simulate(Scene(np.zeros((3, 7, 40), np.float32)), gaussian_kernel(1), 2)


def test_the_simulated_image_is_cut_down_to_eight_bits_as_the_protocol_does():
    picture = np.random.default_rng(1).integers(0, 256, (3, 50, 61), dtype=np.uint8)
    kernel = anisotropic_kernel(2.5, 1.2, 30)
    measurement = simulate(Scene((picture / 255).astype(np.float32)), kernel, 3)
    assert measurement.reference.shape == (3, 48, 48) and measurement.physics.score_border == 9
    expected = np.stack(
        [ndimage.convolve(channel[:48, :48], kernel.astype(np.float64), mode="wrap") for channel in picture]
    )
    difference = measurement.y * 255 - expected[:, ::3, ::3]
    assert np.abs(difference).max() < 1e-3  # SciPy cuts to 8 bits too where it is given 8 bits
    noisy = simulate(Scene((picture / 255).astype(np.float32)), kernel, 3, noise=Noise("gaussian", 0.02))
    assert np.std(noisy.y - measurement.y) == pytest.approx(0.02, rel=0.1)
    assert noisy.physics.degradation().tolist() == [[pytest.approx(0.02), 3.0]]


def test_eight_bits_are_cut_down_and_not_rounded():
    columns = np.tile(np.array([0, 255, 10, 13], dtype=np.float32) / 255, (3, 8, 2))
    pair = np.array([[0.0, 0.5, 0.5]])  # the mean of a pixel and its left neighbour
    cut, exact = (simulate(Scene(columns), pair, 2, eight_bit=bits).y[0, 0] * 255 for bits in (True, False))
    np.testing.assert_allclose(exact, [6.5, 132.5, 6.5, 132.5], atol=1e-4)
    np.testing.assert_allclose(cut, [6, 132, 6, 132], atol=1e-4)


def test_the_operator_keeps_its_kernels_in_double_precision(generator):
    physics = SrPhysics(kernels(5, count=2).float(), 2, (12, 16))
    exact = physics.to("cpu", torch.float64)
    assert exact.kernel.dtype == torch.float64 and physics.kernel.dtype == torch.float32
    x = torch.rand(2, 3, 12, 16, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(exact.part(torch.tensor([1])).forward(x[1:]), exact.forward(x)[1:])
    assert physics.to("cpu") is physics


def test_the_first_estimate_repeats_every_pixel():
    physics = SrPhysics(kernels(3)[0], 2, (8, 8), channels=1)
    y = torch.arange(16.0, dtype=torch.float64).reshape(1, 1, 4, 4)
    assert torch.equal(physics.initial(y)[0, 0, :2, :4], torch.tensor([[0.0, 0, 1, 1]] * 2, dtype=torch.float64))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_cubic_interpolation_reads_output_pixel_u_at_u_over_s(scale):
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    inner = bicubic(ramp, scale)[0, 0, 4 * scale : -4 * scale, 2 * scale : -3 * scale]
    torch.testing.assert_close(inner[0], torch.arange(2 * scale, 9 * scale) / scale)
    torch.testing.assert_close(bicubic(ramp, scale)[..., ::scale, ::scale], ramp)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_data_step_improves_the_interpolated_image(scale):
    y, x = np.mgrid[:96, :96]
    image = (0.5 + 0.4 * np.sin(x / 5) * np.cos(y / 7)).astype(np.float32)
    measurement = simulate(Scene(np.stack([image, image**2, 1 - image])), gaussian_kernel(1.2), scale)
    *_, smooth = restore(Bicubic(), measurement)
    *_, sharp = restore(Tikhonov(), measurement)
    assert sharp.metrics["psnr"] > smooth.metrics["psnr"] + 1 and sharp.residual < smooth.residual
    assert sharp.parameters["mu"] > 0


def test_random_kernels_of_a_batch_differ_and_are_distributions(generator):
    drawn = random_kernels(8, generator)
    assert drawn.shape == (8, 25, 25) and drawn.min() >= 0
    torch.testing.assert_close(drawn.sum(dim=(1, 2)), torch.ones(8))
    assert (drawn[1:] - drawn[:-1]).abs().amax(dim=(1, 2)).min() > 1e-4
    assert torch.equal(drawn, random_kernels(8, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("size", [(31, 5), (5, 31)], ids=["tall", "wide"])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_crop_is_as_large_as_its_kernel(size, scale, generator):
    kernel = np.full(size, 1 / 155, np.float32)
    camera = SrCamera(kernel=kernel, scale=scale)
    height, width = camera.crop((24, 24))
    assert (height, width) == tuple(max(24, -(-side // scale) * scale) for side in size)
    physics = camera.physics(torch.rand(2, 3, height, width), generator)
    assert physics.forward(torch.rand(2, 3, height, width)).shape == (2, 3, height // scale, width // scale)
    whole = SrPhysics(torch.from_numpy(kernel), scale, (48, 48))
    scene = torch.rand(1, 3, 48, 48)
    part = whole.random_part(whole.forward(scene), scene, (24, 24), generator)
    assert part.scene.shape[1:] == part.physics.scene_shape
    assert all(side >= least for side, least in zip(part.scene.shape[2:], size, strict=True))


def test_a_camera_of_random_kernels_has_crops_that_they_fit(generator):
    assert SrCamera(scale=2).crop((24, 24)) == (26, 26) and SrCamera(scale=4).crop((64, 66)) == (64, 64)

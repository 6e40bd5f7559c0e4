"""The CASSI operator: identities in float64, and agreement with a dense Phi built from the definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lorun_engine.errors import GeometryError
from lorun_engine.instrument import Dispersion
from lorun_engine.measurement import Scene
from lorun_engine.physics import adjoint_mismatch
from lorun_engine.tasks.cassi import CassiPhysics, random_mask, simulate
from lorun_engine.tasks.noise import Noise

GEOMETRIES = [
    Dispersion(4, step, axis, direction, first_offset)
    for step, axis, direction, first_offset in itertools.product((0, 1, 2, 3, 0.3, 1.5), "xy", "+-", (0, 3, -1.5, 0.25))
]
MASKS = {
    "binary": lambda g: (torch.rand(6, 7, generator=g, dtype=torch.float64) > 0.5).double(),
    "grey": lambda g: torch.rand(6, 7, generator=g, dtype=torch.float64),
    "per band": lambda g: torch.rand(4, 6, 7, generator=g, dtype=torch.float64),
}


def dense_phi(mask: torch.Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> torch.Tensor:
    """Phi as a matrix, straight from the definition: one loop per band, row and column."""
    num_bands, (height, width) = dispersion.num_bands, mask.shape[-2:]
    mask = mask.expand(num_bands, height, width)
    phi = torch.zeros(detector_shape[0] * detector_shape[1], num_bands * height * width, dtype=torch.float64)
    for c, h, w in itertools.product(range(num_bands), range(height), range(width)):
        rank = c if dispersion.direction == "+" else num_bands - 1 - c
        offset = dispersion.first_offset + rank * dispersion.step
        whole = int(np.floor(offset))
        for start, weight in ((whole, 1 - (offset - whole)), (whole + 1, offset - whole)):
            y, x = (h, w + start) if dispersion.axis == "x" else (h + start, w)
            if 0 <= y < detector_shape[0] and 0 <= x < detector_shape[1]:
                phi[y * detector_shape[1] + x, (c * height + h) * width + w] += weight * mask[c, h, w]
    return phi


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("mask_kind", MASKS)
@pytest.mark.parametrize("dispersion", GEOMETRIES, ids=str)
def test_forward_adjoint_and_prox_agree_with_a_dense_phi(dispersion, mask_kind, generator):
    mask = MASKS[mask_kind](generator)
    physics = CassiPhysics(mask, dispersion)
    phi = dense_phi(mask, dispersion, physics.measurement_shape[1:])
    x = torch.randn(1, *physics.scene_shape, dtype=torch.float64, generator=generator)
    y = torch.randn(1, *physics.measurement_shape, dtype=torch.float64, generator=generator)

    torch.testing.assert_close(physics.forward(x).flatten(), phi @ x.flatten())
    torch.testing.assert_close(physics.adjoint(y).flatten(), phi.T @ y.flatten())
    torch.testing.assert_close(physics.gradient(x, y).flatten(), phi.T @ (phi @ x.flatten() - y.flatten()))
    mu = 0.3
    normal = phi.T @ phi + mu * torch.eye(phi.shape[1], dtype=torch.float64)
    expected = torch.linalg.solve(normal, phi.T @ y.flatten() + mu * x.flatten())
    torch.testing.assert_close(physics.prox(x, y, mu).flatten(), expected)


@pytest.mark.parametrize("dispersion", GEOMETRIES, ids=str)
def test_gram_majorises_phi_phi_t_and_is_its_diagonal_for_whole_offsets(dispersion, generator):
    mask = MASKS["binary"](generator)
    physics = CassiPhysics(mask, dispersion)
    phi = dense_phi(mask, dispersion, physics.measurement_shape[1:])
    gram, phi_phi_t = physics.gram().flatten(), phi @ phi.T
    assert torch.linalg.eigvalsh(torch.diag(gram) - phi_phi_t).min() > -1e-12
    if dispersion.is_whole:
        lit = phi_phi_t.diagonal() > 0
        torch.testing.assert_close(gram[lit], phi_phi_t.diagonal()[lit])
        assert torch.all(gram[~lit] == 1)


@pytest.mark.parametrize("dispersion", GEOMETRIES[::5], ids=str)
def test_adjoint_holds_for_a_batch_of_masks_and_every_gradient_is_the_adjoint(dispersion, generator):
    masks = torch.rand(3, 1, 6, 7, dtype=torch.float64, generator=generator)
    physics = CassiPhysics(masks, dispersion)
    x = torch.randn(3, *physics.scene_shape, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.randn(3, *physics.measurement_shape, dtype=torch.float64, generator=generator, requires_grad=True)
    torch.testing.assert_close((physics.forward(x) * y).sum(), (x * physics.adjoint(y)).sum())
    (gradient_x,) = torch.autograd.grad((physics.forward(x) * y.detach()).sum(), x)
    torch.testing.assert_close(gradient_x, physics.adjoint(y.detach()))
    (gradient_y,) = torch.autograd.grad((physics.adjoint(y) * x.detach()).sum(), y)
    torch.testing.assert_close(gradient_y, physics.forward(x.detach()))
    mu = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: physics.prox(x.detach(), y.detach(), m).sum(), (mu,))


@pytest.mark.parametrize("dispersion", GEOMETRIES, ids=str)
def test_pixels_that_do_not_count_are_rows_of_zeros_in_phi(dispersion, generator):
    mask = torch.rand(6, 7, dtype=torch.float64, generator=generator)
    whole = CassiPhysics(mask, dispersion)
    seen = (torch.rand(1, *whole.measurement_shape, generator=generator) < 0.8).double()
    physics = whole.seeing(seen)
    phi = seen.flatten()[:, None] * dense_phi(mask, dispersion, physics.measurement_shape[1:])
    x = torch.randn(1, *physics.scene_shape, dtype=torch.float64, generator=generator)
    y = torch.randn(1, *physics.measurement_shape, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(physics.forward(x).flatten(), phi @ x.flatten())
    torch.testing.assert_close(physics.adjoint(y).flatten(), phi.T @ y.flatten())
    normal = phi.T @ phi + 0.3 * torch.eye(phi.shape[1], dtype=torch.float64)
    expected = torch.linalg.solve(normal, phi.T @ y.flatten() + 0.3 * x.flatten())
    torch.testing.assert_close(physics.prox(x, y, 0.3).flatten(), expected)
    assert physics.to("cpu", torch.float32).seen.dtype == torch.float32


def test_a_detector_smaller_than_the_shear_loses_light_and_keeps_the_adjoint(generator):
    mask = torch.rand(6, 7, generator=generator)
    whole = CassiPhysics(mask, Dispersion(4, 2.0))
    cut = CassiPhysics(mask, Dispersion(4, 2.0), detector_shape=(6, 9))
    x = torch.rand(1, 4, 6, 7, generator=generator)
    torch.testing.assert_close(cut.forward(x), whole.forward(x)[..., :9])
    assert adjoint_mismatch(cut, generator) < 1e-14


def test_forward_is_linear(generator):
    physics = CassiPhysics(torch.rand(6, 7, generator=generator, dtype=torch.float64), Dispersion(4, 1.5))
    a, b = torch.randn(2, 1, 4, 6, 7, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(physics.forward(2 * a - 3 * b), 2 * physics.forward(a) - 3 * physics.forward(b))


def test_the_usual_simulation_gives_310_columns_and_band_c_lies_2c_to_the_right():
    physics = CassiPhysics(torch.ones(256, 256), Dispersion(28))
    assert physics.measurement_shape == (1, 256, 310)
    point = torch.zeros(1, 28, 256, 256)
    point[0, 5, 17, 40] = 1
    assert physics.forward(point)[0, 0].nonzero().tolist() == [[17, 50]]


def test_the_operator_does_not_write_into_its_arguments(generator):
    mask = torch.rand(6, 7, generator=generator)
    physics = CassiPhysics(mask, Dispersion(4))
    x, y = torch.rand(1, 4, 6, 7, generator=generator), torch.rand(1, 1, 6, 13, generator=generator)
    copies = [tensor.clone() for tensor in (mask, x, y)]
    physics.prox(physics.adjoint(y) + x, physics.forward(x), 0.5)
    for tensor, copy in zip((mask, x, y), copies, strict=True):
        assert torch.equal(tensor, copy)


def test_a_mask_with_a_wrong_number_of_bands_is_refused():
    with pytest.raises(GeometryError, match="5 bands; 1 or 4 were expected"):
        CassiPhysics(torch.ones(5, 6, 7), Dispersion(4))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"step": -1}, {"step": float("nan")}, {"step": 1e300}, {"step": 1e6}, {"first_offset": -1e18}),
        *({"axis": "z"}, {"direction": "up"}, {"num_bands": 10**9}),
    ],
    ids=str,
)
def test_an_impossible_dispersion_is_refused(wrong):
    with pytest.raises(GeometryError):
        Dispersion(**{"num_bands": 4, **wrong})


def test_simulation_is_phi_x_and_carries_its_reference():
    scene = Scene(np.random.default_rng(0).random((4, 6, 7), dtype=np.float32), np.array([450.0, 500, 550, 600]))
    mask = random_mask(6, 7, seed=1)
    measurement = simulate(scene, mask, Dispersion(4))
    expected = (
        dense_phi(torch.from_numpy(mask).double(), Dispersion(4), (6, 13))
        @ torch.from_numpy(scene.image).double().flatten()
    )
    np.testing.assert_allclose(measurement.y.ravel(), expected.numpy(), rtol=1e-5)
    assert measurement.reference is scene.image
    assert measurement.input_scale == 1.0


def test_shot_noise_has_the_variance_of_the_counted_electrons():
    y = torch.full((1, 1, 200, 200), 4.0)
    noisy = Noise.parse("shot:500").add_to(y, torch.Generator().manual_seed(0))
    assert float(noisy.mean()) == pytest.approx(4.0, rel=2e-3)
    assert float((noisy * 125).var()) == pytest.approx(500, rel=0.03)  # counts: mean = variance


def test_gaussian_noise_has_the_sigma_that_was_asked_for():
    noisy = Noise.parse("gaussian:0.05").add_to(torch.zeros(1, 1, 200, 200), torch.Generator().manual_seed(0))
    assert float(noisy.std()) == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("text", ["", "shot", "shot:-1", "shot:nan", "gaussian:x", "salt:3"])
def test_unknown_noise_is_refused_with_a_sentence(text):
    with pytest.raises(Exception, match="Write gaussian:SIGMA or shot:PEAK"):
        Noise.parse(text)

"""Learning without a truth: what is withheld never reaches the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.instrument import Dispersion
from lorun_engine.physics import adjoint_mismatch
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.cs import CsPhysics, random_sampling
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.tasks.sr import SrPhysics
from lorun_engine.tasks.withheld import withheld_error
from lorun_engine.training.selfsupervised import self_supervised_loss


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cassi(step: float = 2.0, axis: str = "x", direction: str = "+") -> CassiPhysics:
    return CassiPhysics(torch.rand(5, 6, generator=generator(3)), Dispersion(3, step, axis=axis, direction=direction))


def dense_matrix(physics: CassiPhysics) -> torch.Tensor:
    """The operator as a matrix (M, N)."""
    num_values = int(np.prod(physics.scene_shape))
    units = torch.eye(num_values, dtype=torch.float64).reshape(num_values, *physics.scene_shape)
    return torch.stack([physics.forward(unit[None]).flatten() for unit in units], dim=1)


PHYSICS = {
    "cassi": cassi(),
    "cs": CsPhysics(torch.from_numpy(random_sampling(50, block_size=4)), (8, 12)),
    "sr": SrPhysics(torch.from_numpy(gaussian_kernel(1.0, size=5)), 2, (12, 16), channels=1),
}


@pytest.mark.parametrize(("step", "axis", "direction"), [(2.0, "x", "+"), (1.5, "y", "-"), (1 / 3, "x", "-")])
def test_a_camera_with_pixels_that_do_not_count_is_an_operator_of_its_own(step, axis, direction):
    whole = cassi(step, axis, direction)
    kept = (torch.rand(1, 1, *whole.measurement_shape[1:], generator=generator()) > 0.3).float()
    partial = whole.seeing(kept)
    assert adjoint_mismatch(partial, generator()) < 1e-12
    exact = partial.to("cpu", torch.float64)
    phi = dense_matrix(exact)
    z, y = torch.rand(1, 3, 5, 6, dtype=torch.float64), torch.rand(kept.shape, dtype=torch.float64) * kept
    mu = 0.3
    expected = torch.linalg.solve(
        phi.T @ phi + mu * torch.eye(phi.shape[1]).double(), phi.T @ y.flatten() + mu * z.flatten()
    )
    torch.testing.assert_close(exact.prox(z, y, mu).flatten(), expected)
    assert bool((exact.gram().flatten() + 1e-12 >= (phi @ phi.T).abs().sum(dim=1)).all())


@pytest.mark.parametrize("task", sorted(PHYSICS))
def test_withheld_values_do_not_reach_the_network(task):
    physics = PHYSICS[task]
    y = torch.rand(2, *physics.measurement_shape, generator=generator(1))
    given, partial, hidden = physics.withheld(y, 0.3, generator(2))
    others = torch.where(hidden > 0, torch.rand(y.shape, generator=generator(5)), y)
    given_others, _, hidden_again = physics.withheld(others, 0.3, generator(2))
    assert 0.05 < float(hidden.mean()) < 0.6 and torch.equal(hidden, hidden_again)
    torch.testing.assert_close(given, given_others)
    assert given.shape[1:] == torch.Size(partial.measurement_shape)


@pytest.mark.parametrize("task", sorted(PHYSICS))
def test_the_truth_explains_withheld_values_without_error_and_the_loss_has_a_gradient(task):
    physics = PHYSICS[task]
    x = torch.rand(2, *physics.scene_shape, generator=generator(1))
    y = physics.forward(x)
    _, _, hidden = physics.withheld(y, 0.3, generator(2))
    assert float(withheld_error(x, y, physics, hidden)) < 1e-10
    level = torch.tensor(0.5, requires_grad=True)
    loss = self_supervised_loss(
        lambda given, partial: level * partial.initial(given),
        y,
        physics,
        generator(4),
        share=0.2,
        equivariance=1.0,
        noise=None,
    )
    loss.backward()
    assert float(loss.detach()) > 0 and float(level.grad.abs()) > 0

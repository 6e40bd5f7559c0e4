"""The data steps against their equations, and every denoiser with every data step on every task."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lorun_engine.errors import ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.networks.data_steps import (
    DATA_STEPS,
    Dual,
    alternating,
    hyper_numbers,
    learned_numbers,
    multiplicative,
    new_hyper_net,
    noise_level,
    primal_dual,
    weighted_half_quadratic,
)
from lorun_engine.networks.denoisers import DENOISERS, denoiser_config
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.physics import LinearPhysics
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.lowlight import LowLightPhysics
from tests.engine.networks.operators import CircularBlur, OrthonormalBlocks, orthonormal_rows

HEIGHT, WIDTH = 16, 24


def operators() -> dict[str, LinearPhysics]:
    """One small operator a task."""
    generator = torch.Generator().manual_seed(2)
    kernel = torch.rand(5, 5, generator=generator)
    mask = (torch.rand(HEIGHT, WIDTH, generator=generator) > 0.5).float()
    return {
        "cassi": CassiPhysics(mask, Dispersion(4)),
        "cs": OrthonormalBlocks(orthonormal_rows(20, 64, generator), HEIGHT, WIDTH),
        "sr": CircularBlur(kernel / kernel.sum(), 2, HEIGHT, WIDTH),
    }


OPERATORS = operators()
TASKS = pytest.mark.parametrize("task", OPERATORS)


def scene(physics: LinearPhysics, seed: int = 3) -> Tensor:
    return torch.rand(2, *physics.scene_shape, generator=torch.Generator().manual_seed(seed))


def number(value: float) -> Tensor:
    return torch.full((1, 1, 1, 1), value)


@TASKS
@pytest.mark.parametrize("alpha", [-2.0, 0.0, 1.0, 30.0])
@pytest.mark.parametrize("rho", [-5.0, 0.5, 1e6])
def test_the_multiplicative_step_is_never_negative_and_bounded(task, rho, alpha):
    physics = OPERATORS[task]
    x = 4 * scene(physics) - 1
    most = 2 * torch.sigmoid(torch.tensor(abs(alpha))) + 1
    for y in (physics.forward(scene(physics, 4)), 100 * physics.forward(x), -physics.forward(x)):
        z = multiplicative(x, y, physics, number(rho), number(alpha))
        assert z.min() >= 0 and (z <= most * x.clamp(min=0) + 1e-6).all()
        assert (z[x <= 0] == 0).all()  # what a factor cannot move


@TASKS
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_small_multiplicative_step_descends_and_a_solution_stays(task, alpha):
    physics = OPERATORS[task]
    x, truth = scene(physics), scene(physics, 4)
    y = physics.forward(truth)
    unit = physics.gram().amax()
    z = multiplicative(x, y, physics, number(1e-3), number(alpha))
    open_share = torch.sigmoid(torch.tensor(alpha))
    slope = 2 * open_share * (1 - open_share)
    torch.testing.assert_close(z, x - 1e-3 * slope * x * physics.gradient(x, y) / unit, rtol=1e-5, atol=1e-6)
    z = multiplicative(x, y, physics, number(1.0), number(alpha))
    assert (physics.forward(z) - y).norm() < (physics.forward(x) - y).norm()
    torch.testing.assert_close(multiplicative(truth, y, physics, number(0.5), number(alpha)), truth)


@TASKS
def test_the_dual_variable_follows_chambolle_and_pock(task):
    physics = OPERATORS[task]
    x, before, y = scene(physics), scene(physics, 4), physics.forward(scene(physics, 5))
    unit = physics.gram().amax().sqrt()
    first = primal_dual(before, y, physics, number(0.3), None)
    torch.testing.assert_close(first.variable, (physics.forward(before) - y) / unit)
    second = primal_dual(x, y, physics, number(0.3), first)
    ascent = first.variable + 0.3 * (physics.forward(2 * x - before) - y) / unit
    torch.testing.assert_close(second.variable, ascent / 1.3)
    torch.testing.assert_close(second.back_projection, physics.adjoint(second.variable) / unit)


@TASKS
def test_primal_and_dual_steps_alone_lead_to_the_measurement(task):
    physics = OPERATORS[task]
    x, y = scene(physics), physics.forward(scene(physics, 4))
    before, dual = (physics.forward(x) - y).norm(), None
    for _ in range(300):
        dual = primal_dual(x, y, physics, number(0.9), dual)
        x = x - dual.back_projection
    assert (physics.forward(x) - y).norm() < 0.03 * before


def test_the_hyper_parameter_net_gives_every_stage_its_pair():
    weights = new_hyper_net(3, torch.Generator().manual_seed(1))
    layers = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 6), nn.Softplus())
    for layer, name in zip((layers[0], layers[2], layers[4]), ("hidden1", "hidden2", "out"), strict=True):
        layer.load_state_dict({kind: weights[f"{name}.{kind}"] for kind in ("weight", "bias")})
    degradation = torch.tensor([[0.0, 2.0], [0.1, 3.0]])
    expected = layers(degradation) + 1e-6
    for stage in (1, 2, 3):
        found = hyper_numbers(degradation, weights, stage)
        torch.testing.assert_close(found["mu"].flatten(), expected[:, stage - 1])
        torch.testing.assert_close(found["noise_level"].flatten(), expected[:, 3 + stage - 1])


def test_the_implied_noise_level_is_that_of_the_papers_denoising_problems():
    rho, mu, lam = number(0.2), number(0.5), number(0.8)
    assert float(noise_level({"rho": rho, "lambda": lam})) == pytest.approx((0.2 * 0.8) ** 0.5)  # Eq. 6
    assert float(noise_level({"mu": mu, "lambda": lam})) == pytest.approx((0.8 / 0.5) ** 0.5)  # Eq. 10
    assert float(noise_level({"lambda": lam})) == pytest.approx(0.8**0.5)
    assert noise_level({"rho": rho}) is None
    assert noise_level({"noise_level": mu, "lambda": lam}) is mu


def test_numbers_out_of_their_bounds_are_brought_back():
    stored = {"mu": torch.tensor([-2.0]), "lambda": torch.tensor([-0.3]), "fuse.weight": torch.ones(2, 2)}
    numbers = learned_numbers(stored, DATA_STEPS["half-quadratic"], None)
    assert set(numbers) == {"mu", "lambda"} and numbers["mu"].shape == (1, 1, 1, 1)
    assert float(numbers["mu"]) == pytest.approx(2, abs=1e-3) and float(numbers["lambda"]) == pytest.approx(0.3)


# tiny versions of every denoiser; some in two ways
SETTINGS = {
    "spectral": {},
    "unet": {"widths": (4, 8)},
    "resunet": {"widths": (4, 6, 8), "depth": 1},
    "transformer": {"width": 4, "num_heads": 2},
    "mamba": {"width": 4, "depth": 1, "num_states": 2},
    "mamba, guided": {"width": 4, "depth": 1, "num_states": 2, "guided": True},
    "retinex": {"widths": (4, 8), "light_width": 4, "cell": 4},
    "retinex, mamba": {"network": "mamba", "width": 4, "depth": 1, "num_states": 2, "light_width": 4, "cell": 4},
    "dual-path": {"width": 8},
    "dual-path, dual branch": {"width": 8, "dual_branch": True},
}


def test_every_denoiser_is_tried():
    assert {name.partition(",")[0] for name in SETTINGS} == set(DENOISERS)


def served(settings: str, data_step: str, task: str) -> bool:
    """Whether the denoiser and the step fit together, and the step serves the task."""
    tasks = {"normalised-projection": {"cassi", "cs"}, "usrnet": {"sr"}, "alternating": {"lowlight"}}
    known = tasks.get(data_step, {"cassi", "cs", "sr"})
    is_of_light = (data_step == "alternating") == settings.startswith("retinex")
    return (data_step == "primal-dual") == ("dual branch" in settings) and is_of_light and task in known


def network(settings: str, data_step: str, channels: int) -> UnfoldingNet:
    torch.manual_seed(5)
    denoiser = settings.partition(",")[0]
    config = NetworkConfig(channels, 2, denoiser=denoiser, denoiser_settings=SETTINGS[settings], data_step=data_step)
    steps = new_step_parameters(config, torch.Generator().manual_seed(6))
    return UnfoldingNet(config, Backbone(config), AdapterSet(2, steps))


@pytest.mark.parametrize("task", [*OPERATORS, "lowlight"])
@pytest.mark.parametrize("data_step", DATA_STEPS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_denoiser_runs_with_every_data_step_on_every_task_or_is_refused(settings, data_step, task):
    physics = {**OPERATORS, "lowlight": LowLightPhysics(3, (HEIGHT, WIDTH))}[task]
    planes = (physics.scene_shape[0] + physics.num_lights, HEIGHT, WIDTH)
    y = physics.forward(torch.rand(2, *planes, generator=torch.Generator().manual_seed(3)))
    if not served(settings, data_step, task):
        with pytest.raises(ModelError, match=f"data step {data_step}"):
            list(network(settings, data_step, physics.scene_shape[0]).stages(y, physics))
        return
    net = network(settings, data_step, physics.scene_shape[0])
    for tensor in net.adapters.tensors.values():
        tensor.requires_grad_()
    stages = list(net.stages(y, physics))
    assert [stage.index for stage in stages] == [0, 1, 2]
    for stage in stages[1:]:
        assert stage.image.shape == (2, *planes) and torch.isfinite(stage.image).all()
        assert stage.denoiser_input.shape == stage.image.shape
        reported = set(stage.parameters)
        assert DATA_STEPS[data_step].numbers.keys() <= reported
        assert ("noise_level" in reported) == (data_step == "usrnet" or "lambda" in reported)
        assert all(value.dim() == 1 for value in stage.parameters.values())
    stages[-1].image.square().mean().backward()
    learned = [*net.backbone.parameters(), *net.adapters.tensors.values()]
    assert all(torch.isfinite(tensor.grad).all() for tensor in learned if tensor.grad is not None)


def test_a_network_with_rho_and_lambda_reports_the_noise_level_they_imply():
    physics = OPERATORS["sr"]
    *_, last = network("resunet", "proximal-gradient", 3).stages(physics.forward(scene(physics)), physics)
    assert {name: round(float(value), 4) for name, value in last.parameters.items()} == {
        "rho": 0.5,
        "lambda": 0.5,
        "noise_level": 0.5,
    }


def test_the_dual_path_network_reports_the_step_and_threshold_of_its_features():
    physics = OPERATORS["cs"]
    *_, last = network("dual-path, dual branch", "primal-dual", 1).stages(physics.forward(scene(physics)), physics)
    rho, threshold = last.parameters["rho"], last.parameters["lambda"]
    assert float(rho) == pytest.approx(1e-3) and float(threshold) == 1
    assert float(last.parameters["noise_level"]) == pytest.approx(1e-3**0.5)


@pytest.mark.parametrize("data_step", ["primal-dual", "usrnet", "none"])
def test_a_step_size_that_does_not_exist_is_not_estimated(data_step):
    settings = (
        {"denoiser": "dual-path", "denoiser_settings": {"dual_branch": True}} if data_step == "primal-dual" else {}
    )
    with pytest.raises(ModelError, match="no step size"):
        NetworkConfig(1, 2, data_step=data_step, estimated_step=True, **settings)


def test_without_data_steps_only_the_initial_estimate_knows_the_measurement():
    physics = OPERATORS["sr"]
    y = physics.forward(scene(physics))
    net = network("unet", "none", 3)
    stages = list(net.stages(y, physics))
    torch.testing.assert_close(stages[0].image, physics.initial(y))
    for before, stage in zip(stages, stages[1:], strict=False):
        torch.testing.assert_close(stage.denoiser_input, before.image)
        assert stage.parameters == {}


def test_the_dual_starts_anew_with_every_measurement():
    physics = OPERATORS["cs"]
    net = network("dual-path, dual branch", "primal-dual", 1)
    first, second = (physics.forward(scene(physics, seed)) for seed in (7, 8))
    list(net.stages(first, physics))
    *_, after = net.stages(second, physics)
    *_, fresh = network("dual-path, dual branch", "primal-dual", 1).stages(second, physics)
    assert torch.equal(after.image, fresh.image)
    assert isinstance(primal_dual(scene(physics), first, physics, number(0.1), None), Dual)


def test_what_a_denoiser_sees_is_told_by_its_settings():
    seen = {name: denoiser_config(name.partition(",")[0], 1, settings).sees for name, settings in SETTINGS.items()}
    assert seen == {
        "spectral": "mask",
        "unet": "mask",
        "resunet": "noise",
        "transformer": "mask",
        "mamba": "mask",
        "mamba, guided": "mask",
        "retinex": "light",
        "retinex, mamba": "light",
        "dual-path": "mask",
        "dual-path, dual branch": "dual",
    }


def test_the_weighted_step_is_the_minimum_with_the_noise_of_every_pixel():
    """argmin_z 1/2 (Phi z - y)^T (mu + |nu| v)^-1 (Phi z - y) + 1/2 ||z - x||^2, by its normal equations."""
    generator = torch.Generator().manual_seed(4)
    physics = CassiPhysics(torch.rand(6, 7, generator=generator, dtype=torch.float64), Dispersion(3))
    x = torch.rand(1, 3, 6, 7, generator=generator, dtype=torch.float64)
    y = physics.forward(torch.rand(1, 3, 6, 7, generator=generator, dtype=torch.float64))
    variance = torch.rand(1, *physics.measurement_shape, generator=generator, dtype=torch.float64)
    mu, nu = torch.full((1, 1, 1, 1), 0.3, dtype=torch.float64), torch.full((1, 1, 1, 1), -2.0, dtype=torch.float64)
    z = weighted_half_quadratic(x, y, physics, mu, nu, variance)
    slope = physics.adjoint((physics.forward(z) - y) / (mu + 2 * variance)) + z - x
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    assert torch.equal(weighted_half_quadratic(x, y, physics, mu, nu, None), physics.prox(x, y, mu))


@pytest.mark.parametrize("relaxation", [1.0, 0.3, 0.0])
def test_the_alternating_step_is_admm_with_multipliers_for_the_reflectance_and_its_light(relaxation):
    generator = torch.Generator().manual_seed(9)

    def draw(*shape: int) -> Tensor:
        return torch.rand(2, *shape, 5, 6, generator=generator, dtype=torch.float64) + 0.1

    physics, y = LowLightPhysics(3, (5, 6)), draw(3)
    mu, nu = torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64), torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64)
    start, multipliers = draw(4), torch.zeros(2, 4, 5, 6, dtype=torch.float64)
    x, before, known = start, None, start
    for _ in range(3):
        unit = known[:, -1:].square().mean(dim=(1, 2, 3), keepdim=True)
        strength = known[:, :-1].square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
        weights = torch.cat([(mu * unit).expand(-1, 3, -1, -1), (nu + 1e-4) * strength], dim=1)
        light = known[:, -1:]
        r = (2 * light * y + weights[:, :3] * x[:, :3] - multipliers[:, :3]) / (2 * light**2 + weights[:, :3])
        above = 2 * (r * y).sum(1, keepdim=True) + weights[:, 3:] * x[:, 3:] - multipliers[:, 3:]
        known = torch.cat([r, above / (2 * (r**2).sum(1, keepdim=True) + weights[:, 3:])], dim=1)
        z, before = alternating(x, y, physics, mu, nu, torch.full_like(mu, relaxation), before)
        torch.testing.assert_close(before.solution, known)
        torch.testing.assert_close(z, known + multipliers / weights)
        x = draw(4)  # what denoisers make of z
        multipliers = relaxation * (multipliers + weights * (known - x))


def test_the_alternating_step_alone_explains_the_picture():
    physics = LowLightPhysics(3, (HEIGHT, WIDTH))
    truth = torch.rand(1, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) + 0.05
    y, before = physics.forward(truth), None
    x = physics.initial(y) * 0.8 + 0.1
    first = (physics.forward(x) - y).norm()
    for _ in range(30):
        z, before = alternating(x, y, physics, number(0.1), number(0.1), number(1.0), before)
        x = before.solution
    assert (physics.forward(x) - y).norm() < 0.01 * first

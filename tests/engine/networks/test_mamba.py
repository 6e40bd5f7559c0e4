"""The selective scan against its recurrence step by step, and what guides the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lorun_engine.errors import ModelError
from lorun_engine.networks.denoisers import build_denoiser, mamba
from lorun_engine.networks.denoisers.mamba import Mamba, selective_scan
from lorun_engine.networks.denoisers.unet import UNet
from lorun_engine.networks.lora import new_adapters
from lorun_engine.networks.unfilled import unfilled

WIDTH, STATES, LANES = 3, 4, 2


def step_by_step(u: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The definition: h_t = exp(Delta_t A) h_(t-1) + Delta_t B_t u_t, y_t = C_t h_t."""
    h, y = torch.zeros(WIDTH, STATES, LANES, dtype=u.dtype), []
    for t in range(len(u)):
        decay = torch.exp(delta[t][:, None] * rates[..., None])
        h = decay * h + (delta[t] * u[t])[:, None] * b[t][None]
        y.append((c[t][None] * h).sum(dim=1))
    return torch.stack(y)


def drawn(length: int, largest: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """u, Delta up to `largest`, A, B and C at random."""
    generator = torch.Generator().manual_seed(length)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    delta = largest * torch.rand(length, WIDTH, LANES, generator=generator, dtype=torch.float64) ** 4
    selected = draw(2, length, STATES, LANES)
    rates = -torch.arange(1.0, STATES + 1, dtype=torch.float64) * draw(WIDTH, 1).exp()
    return [tensor.to(dtype) for tensor in (draw(length, WIDTH, LANES), delta, rates, *selected)]


@pytest.fixture(params=["one after the other", "two levels"])
def ways(request, monkeypatch) -> None:
    lanes = {"one after the other": 1, "two levels": 1 << 20}[request.param]
    monkeypatch.setattr(mamba, "_LANES", lanes)


@pytest.mark.parametrize("largest", [0.1, 1.0, 1e4])
@pytest.mark.parametrize("length", [1, 2, 3, 16, 31, 64, 127, 500])
def test_the_scan_is_its_recurrence_in_float32_too(ways, length, largest):
    known = drawn(length, largest)
    expected = step_by_step(*known)
    torch.testing.assert_close(selective_scan(*known), expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))
    single = selective_scan(*(tensor.float() for tensor in known))
    assert single.dtype == torch.float32
    assert (single - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("largest", [0.1, 1.0, 1e4])
@pytest.mark.parametrize("length", [1, 2, 3, 16, 31, 64, 127])
def test_the_slopes_of_the_scan_are_those_of_its_recurrence(ways, length, largest):
    known = drawn(length, largest)
    slope = torch.randn(length, WIDTH, LANES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = slopes(selective_scan, known, slope)
    single = slopes(selective_scan, [tensor.float() for tensor in known], slope.float())
    for exact, own, rough in zip(slopes(step_by_step, known, slope), found, single, strict=True):
        torch.testing.assert_close(own, exact, rtol=1e-9, atol=1e-9 * float(exact.abs().max()))
        assert (rough - exact).norm() <= 2e-5 * exact.norm()


def slopes(function, known: list[Tensor], slope: Tensor) -> tuple[Tensor, ...]:
    learned = [tensor.clone().requires_grad_() for tensor in known]
    return torch.autograd.grad(function(*learned), learned, slope)


def test_a_scan_too_long_for_sums_of_logarithms_stays_finite(ways):
    u, delta, rates, b, c = drawn(400, 1.0, torch.float32)
    delta = delta + 50  # the sum of |A| Delta passes 20,000
    for tensor in (*slopes(selective_scan, [u, delta, rates, b, c], u), selective_scan(u, delta, rates, b, c)):
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("num_states", [1, 6])
def test_a_scan_keeps_nothing_a_state_for_its_slopes(num_states):
    u, delta = torch.rand(2, 20, 5, 7)
    rates, (b, c) = -torch.rand(5, num_states), torch.rand(2, 20, num_states, 7)
    learned = [tensor.requires_grad_() for tensor in (u, delta, rates, b, c)]
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        selective_scan(*learned)
    assert sum(kept.values()) <= 3 * u.numel() + rates.numel() + b.numel() + c.numel()


def test_the_scan_is_an_operator_that_compilers_take_as_it_is():
    known = [tensor.requires_grad_() for tensor in drawn(9, 1.0)]
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(torch.ops.lorun.selective_scan, known, test_utils=checks)
    slopes_of = [known[0].detach(), *(tensor.detach() for tensor in known)]
    torch.library.opcheck(torch.ops.lorun.selective_scan_slopes, slopes_of, test_utils=checks[:2])


def changing(channels: int, **settings: object) -> Mamba:
    """A small network that does change z, as a trained one."""
    torch.manual_seed(4)
    network = build_denoiser("mamba", channels, {"width": 8, "depth": 1, "num_states": 4, **settings})
    assert isinstance(network, Mamba)
    nn.init.normal_(network.out.weight, std=0.3)
    return network


def test_the_network_starts_as_the_identity_with_the_steps_of_mamba():
    network, z = build_denoiser("mamba", 3, {}), torch.rand(2, 3, 17, 22)
    assert torch.equal(network(z)[0], z)
    for scan in (scan for name, scan in network.named_modules() if name.endswith(("down", "up"))):
        steps = nn.functional.softplus(scan.step.bias)
        assert 1e-3 * 0.99 <= steps.min() < steps.max() <= 0.1 * 1.01
        torch.testing.assert_close(scan.log_rates[0].exp(), torch.arange(1.0, 9.0))


def test_every_pixel_sees_every_other_one():
    z = torch.rand(1, 2, 19, 26, requires_grad=True)
    changing(2)(z)[0][0, :, 9, 11].sum().backward()
    assert z.grad.abs().sum(dim=1).amin() > 0


def test_a_guide_changes_what_a_guided_network_makes_of_a_picture():
    z, guide = torch.rand(2, 3, 15, 18), torch.rand(1, 3, 15, 18)
    guided, alone = changing(3, guided=True), changing(3)
    torch.testing.assert_close(guided(z)[0], guided(z, torch.ones_like(guide))[0])
    torch.testing.assert_close(guided(z, guide)[0], guided(z, guide.mean(dim=1, keepdim=True).expand(2, -1, -1, -1))[0])
    assert (guided(z, guide)[0] - guided(z)[0]).abs().max() > 1e-4
    assert torch.equal(alone(z, guide)[0], alone(z)[0])


def test_the_light_guides_the_reflectance_where_retinex_has_such_a_network():
    torch.manual_seed(2)
    small = {"network": "mamba", "width": 8, "depth": 1, "num_states": 4, "light_width": 4, "cell": 4}
    priors, z = build_denoiser("retinex", 3, small), torch.rand(1, 4, 12, 16) * 0.8 + 0.1
    assert isinstance(priors.reflectance, Mamba) and priors.reflectance.config.guided
    assert isinstance(build_denoiser("retinex", 3, {}).reflectance, UNet)
    nn.init.normal_(priors.reflectance.out.weight, std=0.3)
    x, state = priors(z)
    darker, _ = priors(torch.cat([z[:, :-1], 0.1 * z[:, -1:]], dim=1))
    assert x.shape == z.shape and state is None
    assert (darker[:, :-1] - x[:, :-1]).abs().max() > 1e-4
    with pytest.raises(ModelError, match="network is 'lstm'; unet or mamba was expected"):
        build_denoiser("retinex", 3, {"network": "lstm"})


def test_adapters_have_factors_for_every_map_and_change_nothing_at_first():
    network, z = changing(3, guided=True), torch.rand(1, 3, 12, 14)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    adapters = new_adapters(network, num_stages=1, gamma=25, generator=torch.Generator().manual_seed(1))
    factors = {name.removeprefix("1/blocks.0.rows.").removesuffix("/A") for name in adapters.tensors if "/A" in name}
    assert {"inlet.weight", "out.weight", "down.step.weight", "down.select.weight", "up.guide.weight"} <= factors
    assert not any("local.weight" in name or "norm" in name for name in adapters.tensors)
    assert "1/blocks.0.rows.up.log_rates/difference" in adapters.tensors
    assert torch.equal(functional_call(network, adapters.weights(weights, 1), (z,))[0], network(z)[0])
    for name in ("down.step.weight", "down.select.weight", "down.log_rates"):
        part = "difference" if name.endswith("rates") else "A"
        key = f"1/blocks.0.rows.{name}/{part}"
        moved = adapters.mapped({**adapters.tensors, key: torch.ones_like(adapters.tensors[key])})
        assert not torch.equal(functional_call(network, moved.weights(weights, 1), (z,))[0], network(z)[0])


def test_half_precision_stays_near_and_keeps_its_scans_exact():
    network, z = changing(3, guided=True), torch.rand(1, 3, 32, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(z)[0]
    torch.testing.assert_close(half.float(), network(z)[0], atol=0.03, rtol=0.03)


def test_the_network_is_made_without_numbers_too():
    with unfilled():
        network = build_denoiser("mamba", 3, {})
    assert all(parameter.is_meta for parameter in network.parameters())

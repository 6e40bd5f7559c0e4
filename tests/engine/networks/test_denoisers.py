"""The denoisers: published parameter counts, free sizes and channels, what they see and hand on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lorun_engine.errors import ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.library.model import count_parameters
from lorun_engine.networks.denoisers import DENOISERS, build_denoiser, build_ends
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.subspace_tv import noise_level_of


def ssr_config(num_blocks: int) -> NetworkConfig:
    return NetworkConfig(
        28, 9, data_step="normalised-projection", estimated_step=True, initial="learned", num_blocks=num_blocks
    )


@pytest.mark.parametrize(("gamma", "mebi"), [(5, 1.283), (10, 1.6215), (20, 2.314), (50, 4.252)])
def test_the_rank_factor_sets_the_size_of_the_spectral_adapters(gamma, mebi):
    assert count_parameters(ssr_config(1), gamma=gamma) / 2**20 == pytest.approx(mebi, abs=5e-4)


@pytest.mark.parametrize("size", [(8, 8), (13, 40), (32, 64)])
@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser_keeps_the_shape_of_any_image_and_of_its_state(name, channels, size):
    num_lights = int(name == "retinex")  # it seeks the light too
    z = torch.rand(2, channels + num_lights, *size)
    head, tail = build_ends(name, channels, {}, num_stages=1)
    state, denoiser = head and head(z), build_denoiser(name, channels, {})
    x, after = denoiser(z, None, state)
    assert x.shape == z.shape and torch.isfinite(x).all()
    if tail is None:
        assert state is None and denoiser(x, None, after)[0].shape == z.shape  # with what it recalls
    else:
        assert [part.shape for part in after] == [part.shape for part in state]
        assert tail((z, state[0], x, after[0])).shape == z.shape


@pytest.mark.parametrize("rectified", [False, True])
def test_a_residual_u_net_starts_as_the_identity(rectified):
    z = torch.rand(1, 4, 16, 16)
    unet = build_denoiser("unet", 4, {"residual": True, "widths": [8, 16]})
    torch.testing.assert_close(unet(z)[0], z, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(7, 9), (16, 24)])
def test_a_u_net_on_cells_keeps_the_shape_and_sees_every_pixel_of_a_cell(size):
    torch.manual_seed(0)
    unet = build_denoiser("unet", 2, {"widths": [8, 8], "patch": 2, "sees_mask": True})
    z = torch.rand(1, 2, *size, requires_grad=True)
    x, state = unet(z, torch.rand(1, 2, *size))
    x.sum().backward()
    assert x.shape == z.shape and state is None
    assert z.grad.abs().amin() > 0


def test_a_stage_that_recalls_the_features_of_the_one_before_changes_with_them():
    torch.manual_seed(0)
    unet = build_denoiser("unet", 1, {"widths": [8, 8], "remembers": True})
    z = torch.rand(2, 1, 16, 16)
    alone, features = unet(z)
    recalling, _ = unet(z, None, features)
    assert features.shape == (2, 8, 16, 16)
    assert not torch.equal(alone, recalling)
    forgetting = (unet.recall.weight.detach() * 0, unet.recall.bias.detach() * 0)
    without = torch.func.functional_call(
        unet, dict(zip(("recall.weight", "recall.bias"), forgetting, strict=True)), (z, None, features)
    )[0]
    torch.testing.assert_close(without, alone)


def test_a_spectral_denoiser_can_start_as_the_identity():
    z = torch.rand(1, 4, 20, 40)
    torch.testing.assert_close(build_denoiser("spectral", 4, {"identity_start": True})(z)[0], z, rtol=0, atol=0)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_the_residual_u_net_sees_the_noise_level_as_a_constant_channel(level):
    z, levels = torch.rand(2, 3, 16, 16), torch.full((1, 1, 1, 1), level)
    with_map, grey = build_denoiser("resunet", 3, {}), build_denoiser("resunet", 4, {"noise_map": False})
    body = {name: value for name, value in with_map.state_dict().items() if name != "out.weight"}
    outlet = torch.cat([with_map.out.weight, torch.zeros_like(with_map.out.weight[:1])])
    grey.load_state_dict({**body, "out.weight": outlet})
    told = grey(torch.cat([z, torch.full_like(z[:, :1], level)], dim=1))[0][:, :3]
    torch.testing.assert_close(with_map(z, levels)[0], told)
    if not level:
        torch.testing.assert_close(with_map(z)[0], told)


def test_a_pixel_of_the_transformer_depends_on_its_window_and_its_neighbours_only():
    z = torch.rand(1, 2, 32, 32, requires_grad=True)
    build_denoiser("transformer", 2, {})(z)[0][0, :, 12, 12].sum().backward()
    reached = z.grad.abs().sum(dim=(0, 1)) > 0
    assert reached[7:17, 7:17].all()  # the window of rows and columns 8 to 15, widened by a 3x3 convolution
    assert reached.sum() == 10 * 10


def test_the_coarse_features_of_the_dual_path_modulate_pixels_far_away():
    z, state = torch.rand(1, 1, 64, 64), None
    head, _ = build_ends("dual-path", 1, {"width": 8}, num_stages=1)
    block = build_denoiser("dual-path", 1, {"width": 8})
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    state = head(z)
    changed = state._replace(eighth=state.eighth + torch.nn.functional.pad(torch.ones(1, 64, 1, 1), (0, 7, 0, 7)))
    difference = (block(z, None, state)[0] - block(z, None, changed)[0]).abs()
    assert difference[..., -1, -1] > 0


def test_widening_pixels_in_parts_changes_nothing(monkeypatch):
    z = torch.rand(1, 1, 16, 24)
    head, _ = build_ends("dual-path", 1, {"width": 8}, num_stages=1)
    block = build_denoiser("dual-path", 1, {"width": 8})
    whole, state = block(z, None, head(z))
    monkeypatch.setattr("lorun_engine.networks.denoisers.dualpath._WIDENED", 1000)
    with torch.no_grad():
        parts, _ = block(z, None, head(z))
    torch.testing.assert_close(parts, whole.detach())


def test_a_denoiser_without_a_mask_sees_ones():
    z = torch.rand(1, 4, 32, 32)
    spectral = build_denoiser("spectral", 4, {})
    torch.testing.assert_close(spectral(z)[0], spectral(z, torch.ones_like(z))[0])


def test_an_unknown_denoiser_or_setting_is_a_sentence():
    with pytest.raises(ModelError, match="not known"):
        build_denoiser("resnet", 4, {})
    with pytest.raises(ModelError, match="unknown setting depth"):
        build_denoiser("unet", 4, {"depth": 3})


def test_a_denoiser_that_sees_the_noise_level_is_told_that_of_the_capture():
    config = NetworkConfig(
        4,
        1,
        denoiser="unet",
        denoiser_settings={"widths": (4, 8), "sees_level": True},
        data_step="weighted-half-quadratic",
        initial="multiscale-tv",
        initial_iterations=5,
        initial_rank=3,
        rank=3,
    )
    torch.manual_seed(0)
    net = UnfoldingNet(config, Backbone(config), AdapterSet(1, new_step_parameters(config)))
    physics = CassiPhysics(torch.rand(12, 20), Dispersion(4))
    y = physics.forward(torch.rand(1, 4, 12, 20))
    start = net.initial(y, physics)._replace(variance=torch.full((1, 1, 1, 1), 0.5))
    level = noise_level_of(start.variance, physics)
    torch.testing.assert_close(level, (0.5 / physics.gram().mean()).sqrt().reshape(1, 1, 1, 1))
    seen = []

    def remembered(block, weights, z, conditioning, state):
        seen.append(conditioning)
        return z, None

    with torch.no_grad():
        told = replace(net, denoise=remembered)
        *_, kept = told.stages(y, physics, start=start)
        *_, quiet = net.stages(y, physics, start=start)
        *_, noisy = net.stages(y, physics, start=start._replace(variance=torch.full((1, 1, 1, 1), 5.0)))
    torch.testing.assert_close(seen[0], level)
    assert kept.image.shape == y.new_zeros(1, 4, 12, 20).shape
    assert not torch.equal(quiet.image, noisy.image)

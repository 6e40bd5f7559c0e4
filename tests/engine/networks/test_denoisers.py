"""The denoisers: published parameter counts, free sizes and channels, and equality with the public SSR network.

The comparison with SSR runs beside a checkout of it, named by the setting LORUN_SSR (its folder with Model.py).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from dataclasses import replace
from pathlib import Path

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


_SSR_BLOCK = {
    "position": "pos",
    "norm_attention": "SARB.WSSA.norm",
    "attention": "SARB.WSSA.fn",
    "norm_feed": "SARB.FFN.norm",
    "feed.widen": "SARB.FFN.fn.net.0",
    "feed.depthwise": "SARB.FFN.fn.net.2",
    "feed.narrow": "SARB.FFN.fn.net.4",
    "rectify": "SRB",
}
_SSR_RECTIFY = {
    "norm_modulation": "CMB.norm",
    "modulation.to_context": "CMB.fn.to_a.0",
    "modulation.context": "CMB.fn.to_a.1",
    "modulation.to_value": "CMB.fn.to_v",
    "modulation.to_out": "CMB.fn.to_out",
    "norm_gate": "SAB.norm",
    "gate.to_feature": "SAB.fn.conv",
    "gate.estimate": "SAB.fn.Estimator.0",
    "gate.weigh": "SAB.fn.SW.0",
    "gate.to_out": "SAB.fn.out",
}
_SSR_UNIT = {
    "embed": "mask_embedding.cnn",
    "embed_mask": "mask_embedding.mask",
    "encode1": "down1",
    "down1": "downsample1",
    "encode2": "down2",
    "down2": "downsample2",
    "bottleneck": "bottleneck",
    "up2": "upsample2",
    "fuse2": "fusion2",
    "decode2": "up2",
    "up1": "upsample1",
    "fuse1": "fusion1",
    "decode1": "up1",
    "out": "out",
}
_SSR_ESTIMATOR = {"fuse": "fusion", "hidden1": "mlp.0", "hidden2": "mlp.2", "out": "mlp.4"}


def ssr_name(ours: str, stage: int) -> str:
    """SSR's name of our parameter of the denoiser of `stage` (from 1)."""

    def replaced(name: str, names: dict[str, str]) -> str:
        head = max((key for key in names if name == key or name.startswith(key + ".")), key=len, default=None)
        return name if head is None else names[head] + name[len(head) :]

    if ours.startswith("rectify."):
        return f"net_stage.{2 * stage - 1}.{replaced(ours.removeprefix('rectify.'), _SSR_RECTIFY)}"
    head, _, rest = ours.partition(".")
    if head in ("encode1", "encode2", "bottleneck", "decode1", "decode2"):
        inner = replaced(rest, _SSR_BLOCK)
        if inner.startswith("SRB."):
            inner = f"SRB.{replaced(inner.removeprefix('SRB.'), _SSR_RECTIFY)}"
        return f"net_stage.{2 * stage - 2}.{_SSR_UNIT[head]}.{inner}"
    return f"net_stage.{2 * stage - 2}.{_SSR_UNIT[head]}.{rest}"


@pytest.fixture
def ssr(monkeypatch) -> types.ModuleType:
    folder = os.environ.get("LORUN_SSR")
    if not folder or not (Path(folder) / "Model.py").is_file():
        pytest.skip("LORUN_SSR names no folder with SSR's Model.py")
    if importlib.util.find_spec("einops") is None:
        pytest.skip("SSR's Model.py needs einops")
    spec = importlib.util.spec_from_file_location("ssr_model", Path(folder) / "Model.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ssr_model", module)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)  # SSR moves one tensor to the GPU by name
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def test_nine_stages_with_copied_weights_agree_with_the_public_ssr_network(ssr):
    torch.manual_seed(5)
    size, num_stages = 64, 9
    theirs = ssr.Net(types.SimpleNamespace(stage=num_stages, bands=28, size=size)).eval()
    for parameter in theirs.parameters():  # the public initialisation hides most layers behind weights of 0.02
        parameter.add_(0.02 * torch.randn_like(parameter))
    values = theirs.state_dict()

    config = NetworkConfig(
        28,
        num_stages,
        data_step="normalised-projection",
        estimated_step=True,
        initial="learned",
        num_blocks=num_stages,
    )
    backbone = Backbone(config)
    backbone.initialiser.weight.copy_(values["initial.weight"])
    backbone.initialiser.bias.copy_(values["initial.bias"])
    steps = new_step_parameters(config)
    for stage in range(1, num_stages + 1):
        for name, parameter in backbone.blocks[stage - 1].named_parameters():
            parameter.copy_(values[ssr_name(name, stage)])
        for ours, name in _SSR_ESTIMATOR.items():
            for kind in ("weight", "bias"):
                if f"{stage}/step/{ours}.{kind}" in steps:
                    value = values[f"rhos.{stage - 1}.{name}.{kind}"]
                    steps[f"{stage}/step/{ours}.{kind}"] = value.flatten(1) if kind == "weight" else value
        steps[f"{stage}/step/rho"] = values[f"rhos.{stage - 1}.bias"]
    ours = UnfoldingNet(config, backbone, AdapterSet(num_stages, steps))

    mask = torch.rand(1, 28, size, size)[:, :1].expand(-1, 28, -1, -1).contiguous()
    physics = CassiPhysics(mask, Dispersion(28))
    y = physics.forward(torch.rand(1, 28, size, size))
    expected = theirs(y, (mask, physics.gram()))
    for stage in ours.stages(y, physics):
        if stage.index:
            scale = expected[stage.index - 1].abs().max()
            assert (stage.image - expected[stage.index - 1]).abs().max() <= 1e-5 * scale


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

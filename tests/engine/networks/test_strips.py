"""Denoisers applied to strips of rows: the same images as at once, and none is cut whose result would change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lorun_engine.instrument import Dispersion
from lorun_engine.networks.denoisers import DENOISERS, build_denoiser, denoiser_config
from lorun_engine.networks.lora import AdapterSet
from lorun_engine.networks.strips import AUTO_PIXELS, in_strips, rows_of, strips
from lorun_engine.networks.unfolding import Backbone, DenoiserView, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks.cassi import CassiPhysics

CUT = [
    ("unet", {"widths": [8, 12, 16]}),
    ("unet", {"widths": [8, 12], "patch": 2, "residual": True, "remembers": True, "sees_mask": True}),
    ("unet", {"widths": [8], "remembers": True, "sees_level": True}),
    ("resunet", {"widths": [4, 6, 8], "depth": 1}),
    ("transformer", {"width": 8, "depth": 2}),
]


def started(name: str, settings: dict, channels: int = 3) -> torch.nn.Module:
    """A denoiser that changes what it sees: its last layer is not zero."""
    torch.manual_seed(3)
    denoiser = build_denoiser(name, channels, settings)
    for tensor in denoiser.out.parameters():
        torch.nn.init.normal_(tensor, std=0.3)
    return denoiser


@pytest.mark.parametrize("height", [96, 101])
@pytest.mark.parametrize(("name", "settings"), CUT)
@torch.no_grad()
def test_strips_give_the_image_and_the_state_that_the_whole_gives(name, settings, height):
    denoiser, reach = started(name, settings), denoiser_config(name, 3, settings).reach
    z, mask = torch.rand(2, 3, height, 30), torch.rand(1, 3, height, 30)
    told = torch.full((1, 1, 1, 1), 0.2) if denoiser.config.sees in ("level", "noise") else mask
    expected, state = denoiser(z, told, None)
    image, handed_on = in_strips(denoiser, z, told, None, rows=11, reach=reach)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    if state is None:
        assert handed_on is None
        return
    torch.testing.assert_close(handed_on, state, rtol=1e-5, atol=1e-5)
    expected, state = denoiser(expected, told, state)
    image, handed_on = in_strips(denoiser, image, told, handed_on, rows=24, reach=reach)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(handed_on, state, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "settings"), CUT)
def test_no_denoiser_sees_further_than_it_says(name, settings):
    denoiser, reach = started(name, settings).double(), denoiser_config(name, 3, settings).reach
    z = torch.rand(1, 3, 4 * reach.margin + 3 * reach.cell, 2 * reach.cell, dtype=torch.float64, requires_grad=True)
    first = (z.shape[-2] // 2) // reach.cell * reach.cell
    denoiser(z)[0][..., first : first + reach.cell, :].square().sum().backward()
    rows = z.grad.abs().amax(dim=(0, 1, 3)).nonzero().flatten()
    assert first - reach.margin <= rows.min() and rows.max() < first + reach.cell + reach.margin
    assert rows.min() <= first - reach.margin / 2, "the margin is more than twice what is needed"


def test_only_large_images_are_cut_and_only_by_denoisers_without_a_look_at_the_whole():
    reach = denoiser_config("unet", 3, {}).reach
    assert rows_of("auto", (1024, AUTO_PIXELS // 1024), reach) is None
    rows = rows_of("auto", (2048, 2048), reach)
    assert (rows + 2 * reach.margin) * 2048 <= AUTO_PIXELS
    assert rows_of("off", (2048, 2048), reach) is None
    assert rows_of(64, (96, 96), reach) == 64 and rows_of(96, (96, 96), reach) is None
    whole = [name for name in DENOISERS if denoiser_config(name, 3, {}).reach is None]
    assert whole == ["spectral", "retinex", "mamba", "dual-path"]
    assert denoiser_config("unet", 3, {"rectified": True}).reach is None
    assert rows_of(8, (96, 96), None) is None


def test_strips_meet_and_begin_at_whole_cells():
    reach = denoiser_config("unet", 3, {}).reach
    cut = list(strips(100, 10, reach))
    assert [strip.first for strip in cut[1:]] == [strip.end for strip in cut[:-1]]
    assert cut[0].first == 0 and cut[-1].end == 100
    for strip in cut:
        assert strip.first % reach.cell == 0 and strip.seen_first % reach.cell == 0
        assert strip.seen_end == 100 or strip.seen_end % reach.cell == 0


@pytest.mark.parametrize("view", [None, DenoiserView(transposed=True), DenoiserView(mirrored=True)])
def test_a_network_that_is_cut_restores_what_it_restores_at_once(view):
    torch.manual_seed(4)
    settings = {"widths": (8, 12), "residual": True, "patch": 2, "remembers": True, "sees_level": True}
    config = NetworkConfig(6, 3, "unet", settings, "weighted-half-quadratic", rank=4, initial="multiscale-tv")
    config = replace(config, initial_iterations=5)
    backbone = Backbone(config)
    for tensor in backbone.blocks[0].out.parameters():
        torch.nn.init.normal_(tensor, std=0.1)
    net = UnfoldingNet(config, backbone.requires_grad_(False), AdapterSet(3, new_step_parameters(config)), tile="off")
    physics = CassiPhysics(torch.rand(90, 82).round(), Dispersion(6))
    y = physics.forward(torch.rand(1, 6, 90, 82))
    with torch.no_grad():
        at_once = [stage.image for stage in net.stages(y, physics, view=view)]
        cut = [stage.image for stage in replace(net, tile=16).stages(y, physics, view=view)]
    assert (at_once[3] - at_once[0]).abs().max() > 0.01
    for one, other in zip(at_once, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_a_training_is_never_cut(monkeypatch):
    monkeypatch.setattr("lorun_engine.networks.unfolding.in_strips", lambda *_, **__: pytest.fail("it was cut"))
    config = NetworkConfig(3, 1, "unet", {"widths": (8,)})
    net = UnfoldingNet(config, Backbone(config), AdapterSet(1, new_step_parameters(config)), tile=8)
    image, _ = net.denoised(torch.rand(1, 3, 32, 16), None, None, 1)
    image.sum().backward()

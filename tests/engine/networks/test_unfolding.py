"""The one loop: data steps against their equations, shared and independent denoisers, early exit, saved memory."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from lorun_engine.errors import ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.networks.data_steps import DATA_STEPS, half_quadratic, normalised_projection, proximal_gradient
from lorun_engine.networks.lora import AdapterSet, new_adapters
from lorun_engine.networks.unfolding import (
    Backbone,
    DenoiserView,
    NetworkConfig,
    Start,
    UnfoldingNet,
    new_step_parameters,
    run_denoiser,
)
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.gap_tv import GapTv

CHANNELS, HEIGHT, WIDTH = 4, 8, 16


def build(**settings) -> UnfoldingNet:
    torch.manual_seed(4)
    config = NetworkConfig(
        CHANNELS, **{"num_stages": 3, "denoiser": "unet", "denoiser_settings": {"widths": (8, 12)}, **settings}
    )
    backbone = Backbone(config)
    steps = new_step_parameters(config, torch.Generator().manual_seed(5))
    return UnfoldingNet(config, backbone, AdapterSet(config.num_stages, steps))


@pytest.fixture
def capture() -> tuple[torch.Tensor, CassiPhysics]:
    generator = torch.Generator().manual_seed(6)
    mask = (torch.rand(2, 1, HEIGHT, WIDTH, generator=generator) > 0.4).float()
    physics = CassiPhysics(mask, Dispersion(CHANNELS))
    return physics.forward(torch.rand(2, CHANNELS, HEIGHT, WIDTH, generator=generator)), physics


def test_the_half_quadratic_step_solves_its_normal_equations(capture):
    y, physics = capture
    x, mu = torch.rand(2, CHANNELS, HEIGHT, WIDTH), torch.tensor([0.3, 1.7]).reshape(2, 1, 1, 1)
    z = half_quadratic(x, y, physics, mu)
    # (Phi^T Phi + mu) z = Phi^T y + mu x, Eq. 9
    torch.testing.assert_close(physics.adjoint(physics.forward(z)) + mu * z, physics.adjoint(y) + mu * x)


def test_the_proximal_gradient_step_descends_along_the_gradient(capture):
    y, physics = capture
    x, rho = torch.rand(2, CHANNELS, HEIGHT, WIDTH), torch.full((1, 1, 1, 1), 0.5)
    z = proximal_gradient(x, y, physics, rho)
    largest = physics.gram().amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(z, x - 0.5 / largest * physics.gradient(x, y))


def test_a_full_normalised_projection_explains_the_measurement(capture):
    y, physics = capture
    x = torch.rand(2, CHANNELS, HEIGHT, WIDTH)
    z = normalised_projection(x, y, physics, torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(physics.forward(z), y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimated", [False, True])
@pytest.mark.parametrize("data_step", ["half-quadratic", "proximal-gradient", "normalised-projection"])
def test_every_stage_is_a_data_step_and_the_denoiser(capture, data_step, estimated):
    y, physics = capture
    net = build(data_step=data_step, estimated_step=estimated)
    step = DATA_STEPS[data_step]
    stages = list(net.stages(y, physics))
    assert [stage.index for stage in stages] == [0, 1, 2, 3]
    torch.testing.assert_close(stages[0].image, physics.adjoint(y / physics.gram()))
    for before, stage in itertools.pairwise(stages):
        size = net.numbers(before.image, physics.degradation(), stage.index)[step.size]
        torch.testing.assert_close(stage.parameters[step.size], size.flatten())
        z = step.function(before.image, y, physics, size)
        torch.testing.assert_close(stage.denoiser_input, z)
        torch.testing.assert_close(stage.image, net.backbone.blocks[0](z, physics.conditioning())[0])


def test_learned_step_sizes_start_at_one_half(capture):
    y, physics = capture
    for stage in [*build().stages(y, physics)][1:]:
        assert float(stage.parameters["mu"]) == pytest.approx(0.5, abs=1e-3)


def test_the_gap_tv_estimate_is_gap_tv_itself(capture):
    y, physics = capture
    net = build(initial="gap-tv", initial_iterations=4)
    *_, last = GapTv().stages(y, physics, num_stages=4)
    assert torch.equal(next(net.stages(y, physics)).image, last.image)


def test_gap_tv_decodes_a_batch_as_it_decodes_each_capture(capture):
    y, physics = capture
    *_, both = GapTv().stages(y, physics, num_stages=3)
    for index in range(2):
        alone = CassiPhysics(physics.mask[index], physics.dispersion)
        *_, one = GapTv().stages(y[index : index + 1], alone, num_stages=3)
        torch.testing.assert_close(both.image[index : index + 1], one.image)


def test_independent_denoisers_take_turns(capture):
    y, physics = capture
    net = build(num_blocks=3)
    stages = list(net.stages(y, physics))
    for k in (1, 2, 3):
        expected = net.backbone.blocks[k - 1](stages[k].denoiser_input, physics.conditioning())[0]
        torch.testing.assert_close(stages[k].image, expected)


def test_zero_adapters_change_no_stage_bit_for_bit(capture):
    y, physics = capture
    net = build()
    fresh = new_adapters(net.backbone.blocks[0], num_stages=3, gamma=10)
    lorun = UnfoldingNet(net.config, net.backbone, fresh.mapped({**fresh.tensors, **net.adapters.tensors}))
    for shared, adapted in zip(net.stages(y, physics), lorun.stages(y, physics), strict=True):
        assert torch.equal(shared.image, adapted.image)


def test_a_network_on_another_device_leaves_the_backbone_where_it_is(capture):
    net = build()
    moved = net.to(torch.device("meta"))
    assert {tensor.device.type for tensor in moved.backbone.parameters()} == {"meta"}
    assert {tensor.device.type for tensor in net.backbone.parameters()} == {"cpu"}
    assert net.to(torch.device("cpu")).backbone is net.backbone  # nothing is copied for nothing


def test_fewer_stages_end_early_and_more_are_refused(capture):
    y, physics = capture
    net = build()
    everything = [stage.image for stage in net.stages(y, physics)]
    early = [stage.image for stage in net.stages(y, physics, num_stages=2)]
    assert len(early) == 3 and all(torch.equal(a, b) for a, b in zip(early, everything, strict=False))
    with pytest.raises(ModelError, match="has 3"):
        list(net.stages(y, physics, num_stages=4))


@pytest.mark.parametrize("denoiser", ["unet", "spectral"])
def test_a_denoiser_of_coefficients_gives_mixtures_of_the_first_components(capture, denoiser):
    y, physics = capture
    net = build(denoiser=denoiser, denoiser_settings={}, rank=2)
    net.backbone.components.copy_(
        torch.linalg.qr(torch.randn(CHANNELS, CHANNELS)).Q * torch.arange(4.0, 0, -1)[:, None]
    )
    *_, last = net.stages(y, physics)
    others = net.backbone.components[2:]
    assert torch.einsum("rc,bchw->brhw", others, last.image).abs().max() < 1e-5
    assert last.image.abs().max() > 1e-3


@pytest.mark.parametrize("evened", [0.0, 0.5, 1.0])
def test_a_denoiser_sees_coefficients_in_units_of_their_strength(evened):
    seen = []

    def denoise(block, weights, z, conditioning, state):
        seen.append(z)
        return z, state

    net = replace(build(denoiser="unet", denoiser_settings={}, rank=2, evened=evened), denoise=denoise)
    rows = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS)).Q
    net.backbone.components.copy_(rows * torch.tensor([8.0, 2.0, 1.0, 0.5])[:, None])
    x = torch.einsum("rc,rhw->chw", rows[:2], torch.tensor([0.4, 0.1]).expand(8, 8, 2).movedim(-1, 0))[None]
    image, _ = net.denoised(x, None, None, 1)
    torch.testing.assert_close(image, x)
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), torch.tensor([0.4, 0.1 * 4**evened]))


def test_what_the_components_cannot_mix_of_a_start_stays_in_every_stage():
    settings = {"denoiser_settings": {"widths": (4, 8), "residual": True}, "rank": 2, "initial": "multiscale-tv"}
    net = build(**settings, initial_iterations=5)
    start = torch.rand(1, CHANNELS, HEIGHT, WIDTH)  # its third and fourth coefficients are not the denoiser's
    physics = CassiPhysics((torch.rand(1, 1, HEIGHT, WIDTH) > 0.4).float(), Dispersion(CHANNELS))
    for view in (None, DenoiserView(transposed=True, mirrored=True)):
        *_, last = net.stages(physics.forward(start), physics, start=Start(start), view=view)
        torch.testing.assert_close(last.image, start)


def test_saving_memory_changes_neither_images_nor_gradients(capture):
    y, physics = capture
    results = []
    for save_memory in (False, True):
        net = build()
        net = UnfoldingNet(net.config, net.backbone, net.adapters, save_memory=save_memory)
        for tensor in net.adapters.tensors.values():
            tensor.requires_grad_()
        *_, last = net.stages(y, physics)
        last.image.square().mean().backward()
        gradients = [p.grad for p in net.backbone.parameters()] + [t.grad for t in net.adapters.tensors.values()]
        results.append([last.image.detach(), *gradients])
    for plain, saved in zip(*results, strict=True):
        torch.testing.assert_close(plain, saved)


def test_the_compiled_function_is_the_plain_one(capture):
    y, physics = capture
    net = build()
    calls = []

    def counted(*arguments):
        calls.append(1)
        return run_denoiser(*arguments)

    stand_in = UnfoldingNet(net.config, net.backbone, net.adapters, denoise=counted)
    for a, b in zip(net.stages(y, physics), stand_in.stages(y, physics), strict=True):
        assert torch.equal(a.image, b.image)
    assert len(calls) == 3


def test_the_same_bands_through_a_view_give_the_same_images(capture):
    y, physics = capture
    net, same = build(), DenoiserView(torch.eye(CHANNELS), torch.eye(CHANNELS))
    for plain, changed in zip(net.stages(y, physics), net.stages(y, physics, view=same), strict=True):
        torch.testing.assert_close(plain.image, changed.image, rtol=1e-5, atol=1e-5)


def test_a_denoiser_that_changes_nothing_leaves_other_bands_untouched(capture):
    y, physics = capture
    net = build(denoiser_settings={"widths": (8, 12), "residual": True})
    fewer = torch.rand(CHANNELS, CHANNELS)  # any maps: there is no change to bring back
    for stage in net.stages(y, physics, view=DenoiserView(fewer, fewer.T)):
        if stage.index:
            torch.testing.assert_close(stage.image, stage.denoiser_input)


@pytest.mark.parametrize("initial", ["adjoint", "learned"])
@pytest.mark.parametrize(("axis", "direction"), [("x", "-"), ("y", "+"), ("y", "-")])
def test_a_camera_that_disperses_another_way_is_decoded_like_its_turned_image(capture, axis, direction, initial):
    y, physics = capture
    net = build(initial=initial)
    view = DenoiserView(transposed=axis == "y", mirrored=direction == "-")
    turned = CassiPhysics(view.returned(physics.mask), Dispersion(CHANNELS, axis=axis, direction=direction))
    for plain, changed in zip(net.stages(y, physics), net.stages(view.returned(y), turned, view=view), strict=True):
        torch.testing.assert_close(view.seen(changed.image), plain.image, rtol=1e-4, atol=1e-5)


def test_another_memory_layout_gives_the_same_images(capture):
    y, physics = capture
    net = build()
    turned = UnfoldingNet(net.config, net.backbone, net.adapters, channels_last=True)
    for a, b in zip(net.stages(y, physics), turned.stages(y, physics), strict=True):
        torch.testing.assert_close(a.image, b.image, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data_step": "newton"}, "data step 'newton'"),
        ({"initial": "zero"}, "initial is 'zero'"),
        ({"num_blocks": 2}, "2 denoisers"),
        ({"num_stages": 0, "num_blocks": 1}, "num_stages is 0"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_sentence(settings, sentence):
    with pytest.raises(ModelError, match=sentence):
        NetworkConfig(CHANNELS, **{"num_stages": 3, **settings})


def test_learned_numbers_start_where_the_network_says():
    config = NetworkConfig(3, 2, denoiser="resunet", starts={"mu": 0.01, "lambda": 1e-4})
    tensors = new_step_parameters(config)
    assert float(tensors["1/step/mu"]) == pytest.approx(0.01) and float(tensors["2/step/lambda"]) == pytest.approx(1e-4)
    assert float(new_step_parameters(NetworkConfig(3, 1, denoiser="unet"))["1/step/mu"]) == 0.5
    with pytest.raises(ModelError, match="has no number rho; it has mu"):
        NetworkConfig(3, 2, denoiser="unet", starts={"rho": 0.1})

"""The dual-path network as a whole: its head, the state from stage to stage, its tail, its adapters and its files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.errors import ModelError
from lorun_engine.instrument import Dispersion
from lorun_engine.library.model import backbone_hash, load_model
from lorun_engine.networks.lora import AdapterSet, new_adapters
from lorun_engine.networks.unfolding import Backbone, DenoiserView, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.tasks.cassi import CassiPhysics
from tests.engine.library.test_model import BANDS, capture, new_model, save
from tests.engine.networks.operators import OrthonormalBlocks, orthonormal_rows

STAGES = 3
PHYSICS = OrthonormalBlocks(orthonormal_rows(20, 64, torch.Generator().manual_seed(1)), 24, 16)


def build(*, save_memory: bool = False, **settings) -> UnfoldingNet:
    """A small network whose weights are large enough for every path to matter."""
    torch.manual_seed(2)
    config = NetworkConfig(
        1,
        STAGES,
        denoiser="dual-path",
        denoiser_settings={"width": 8, "dual_branch": True},
        data_step="primal-dual",
        **settings,
    )
    backbone = Backbone(config)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return UnfoldingNet(config, backbone, AdapterSet(STAGES, new_step_parameters(config)), save_memory=save_memory)


def measurement(seed: int = 3) -> torch.Tensor:
    return PHYSICS.forward(torch.rand(2, 1, 24, 16, generator=torch.Generator().manual_seed(seed)))


def test_the_last_image_is_the_tails_of_the_images_and_features_of_all_stages():
    net, y = build(), measurement()
    stages = list(net.stages(y, PHYSICS))
    features = net.backbone.head(stages[0].image)
    seen, dual = [stages[0].image, features.full], None
    for stage in range(1, STAGES + 1):
        numbers = net.numbers(seen[-2], PHYSICS.degradation(), stage)
        z, dual = net.config.step.moved(seen[-2], y, PHYSICS, numbers, dual)
        x, features = net.backbone.blocks[0](z, dual.back_projection, features)
        seen += [x, features.full]
        if stage < STAGES:
            torch.testing.assert_close(stages[stage].image, x)
    torch.testing.assert_close(stages[-1].image, net.backbone.tail(seen))
    assert (stages[-1].image - x).abs().max() > 1e-3  # which is not the image of the last block


def test_a_network_with_a_tail_does_not_stop_before_its_last_stage():
    with pytest.raises(ModelError, match="joins the images of all 3 stages"):
        next(build().stages(measurement(), PHYSICS, num_stages=2))


def test_the_features_of_one_stage_reach_the_next():
    net = build()
    z = torch.rand(1, 1, 24, 16)
    _, passage = net.denoised(z, z, None, 1)
    expected, _ = net.denoised(z, z, passage, 2)
    deaf, _ = net.denoised(z, z, passage._replace(state=passage.state._replace(eighth=0 * passage.state.eighth)), 2)
    assert (expected - deaf).abs().max() > 1e-5


def test_zero_adapters_change_no_stage_bit_for_bit_and_random_ones_change_every_stage():
    net, y = build(), measurement()
    fresh = new_adapters(net.backbone.blocks[0], num_stages=STAGES, gamma=10)
    adapters = fresh.mapped({**fresh.tensors, **net.adapters.tensors})
    shared = [stage.image for stage in net.stages(y, PHYSICS)]
    adapted = [stage.image for stage in replace(net, adapters=adapters).stages(y, PHYSICS)]
    assert all(torch.equal(a, b) for a, b in zip(shared, adapted, strict=True))
    moved = adapters.mapped({name: tensor + 0.05 for name, tensor in adapters.tensors.items()})
    changed = [stage.image for stage in replace(net, adapters=moved).stages(y, PHYSICS)]
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(shared[1:], changed[1:], strict=True))


def test_every_stage_has_thresholds_of_its_own_in_full():
    adapters = new_adapters(build().backbone.blocks[0], num_stages=1, gamma=10)
    assert adapters.tensors["1/rho/difference"].shape == adapters.tensors["1/threshold/difference"].shape == (8, 1, 1)
    assert not any(".norm" in name or "spatial.weight" in name for name in adapters.tensors)


def test_saving_memory_changes_neither_images_nor_gradients():
    results = []
    for save_memory in (False, True):
        net = build(save_memory=save_memory)
        *_, last = net.stages(measurement(), PHYSICS)
        last.image.square().mean().backward()
        results.append([last.image.detach(), *(p.grad for p in net.backbone.parameters())])
    for plain, saved in zip(*results, strict=True):
        torch.testing.assert_close(plain, saved)


def test_every_weight_is_learned_from_the_last_image():
    net = build(num_blocks=STAGES)
    *_, last = net.stages(measurement(), PHYSICS)
    last.image.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.backbone.parameters())


def test_a_warm_start_runs_the_denoiser_alone_without_a_dual_variable():
    z = torch.rand(2, 1, 24, 16)
    x, _ = build().denoised(z, None, None, 1)
    assert x.shape == z.shape


def test_a_camera_that_disperses_another_way_is_decoded_like_its_turned_image():
    generator = torch.Generator().manual_seed(4)
    mask = (torch.rand(1, 1, 16, 24, generator=generator) > 0.4).float()
    torch.manual_seed(5)
    config = NetworkConfig(
        4,
        2,
        denoiser="dual-path",
        denoiser_settings={"width": 8, "dual_branch": True},
        data_step="primal-dual",
    )
    net = UnfoldingNet(config, Backbone(config), AdapterSet(2, new_step_parameters(config)))
    plain = CassiPhysics(mask, Dispersion(4))
    y = plain.forward(torch.rand(1, 4, 16, 24, generator=generator))
    view = DenoiserView(transposed=True)
    turned = CassiPhysics(view.returned(mask), Dispersion(4, axis="y"))
    for a, b in zip(net.stages(y, plain), net.stages(view.returned(y), turned, view=view), strict=True):
        torch.testing.assert_close(view.seen(b.image), a.image, rtol=1e-4, atol=1e-5)


def test_a_saved_dual_path_model_decodes_as_before_and_its_backbone_knows_its_stages(tmp_path):
    config = NetworkConfig(
        len(BANDS), 2, denoiser="dual-path", denoiser_settings={"width": 8}, data_step="proximal-gradient"
    )
    model = new_model(config=config)
    loaded = load_model(save(model, tmp_path))
    for before, after in zip(restore(model, capture()), restore(loaded, capture()), strict=True):
        assert np.array_equal(before.image, after.image)
    longer = replace(config, num_stages=3)
    assert backbone_hash(Backbone(config), config) != backbone_hash(Backbone(config), longer)

"""The combinations of task, denoiser and data step that are trained: each learns two patches by Algorithm 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lorun_engine.instrument import Dispersion
from lorun_engine.networks.lora import SAMPLING, AdapterSet, new_adapters
from lorun_engine.networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters
from lorun_engine.physics import LinearPhysics
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.cs import CsPhysics, random_sampling
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.tasks.sr import SrPhysics

SIDE = 16
STAGES = 2


def cassi() -> tuple[Tensor, LinearPhysics]:
    mask = (torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) < 0.5).float()
    return patches(8), CassiPhysics(mask, Dispersion(8, 1.0))


def cs() -> tuple[Tensor, LinearPhysics]:
    return patches(1), CsPhysics(torch.from_numpy(random_sampling(25, block_size=16)), (SIDE, SIDE))


def sr() -> tuple[Tensor, LinearPhysics]:
    return patches(3), SrPhysics(torch.from_numpy(gaussian_kernel(1.2, size=9)), 2, (SIDE, SIDE))


def patches(channels: int) -> Tensor:
    """(2, channels, SIDE, SIDE): edges and slopes of varied colours."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    bands = np.arange(channels)[:, None, None] / channels
    first = 0.5 + 0.4 * np.sin(9 * x + 3 * bands) * np.cos(7 * y)
    second = 0.2 + 0.6 * (np.hypot(x - 0.5, y - 0.4) < 0.3) * (0.5 + 0.5 * np.cos(4 * bands))
    return torch.from_numpy(np.stack([first, second]).astype(np.float32))


@dataclass(frozen=True)
class Network:
    """What is trained, the denoiser settings that make it small enough for a test, and the steps of either phase."""

    measured: Callable[[], tuple[Tensor, LinearPhysics]]
    denoiser: str
    data_step: str
    settings: dict[str, Any] = field(default_factory=dict)
    steps: tuple[int, int] = (60, 20)

    def config(self, channels: int) -> NetworkConfig:
        """The network for so many bands or channels."""
        return NetworkConfig(
            channels, STAGES, denoiser=self.denoiser, denoiser_settings=self.settings, data_step=self.data_step
        )

    def __str__(self) -> str:
        return f"{self.measured.__name__} {self.denoiser} {self.data_step}"


SMALL_UNET = {"widths": [16, 32]}
SMALL_RESUNET = {"widths": [12, 16, 16, 16], "depth": 1}
SMALL_MAMBA = {"width": 16, "depth": 1, "num_states": 4}
FEW = (45, 15)  # of the networks whose steps take longest
REQUIRED = [
    Network(cassi, "spectral", "half-quadratic", steps=FEW),
    Network(cassi, "unet", "half-quadratic", SMALL_UNET),
    Network(cassi, "mamba", "half-quadratic", SMALL_MAMBA),
    Network(cs, "dual-path", "proximal-gradient", {"width": 8}, FEW),
    Network(cs, "dual-path", "primal-dual", {"width": 8, "dual_branch": True}, FEW),
    Network(cs, "unet", "proximal-gradient", SMALL_UNET),
    Network(cs, "transformer", "proximal-gradient", {"width": 16}),
    Network(sr, "resunet", "proximal-gradient", SMALL_RESUNET),
    Network(sr, "resunet", "half-quadratic", SMALL_RESUNET),
]


def losses(
    net: UnfoldingNet, learned: list[Tensor], truth: Tensor, physics: LinearPhysics, *, steps: int
) -> list[float]:
    """The squared errors of the last stage while `learned` is trained; a learned Phi takes its own samples."""
    for tensor in learned:
        tensor.requires_grad_()
    optimizer, found = torch.optim.Adam(learned, lr=4e-3), []
    for _ in range(steps):
        operator = physics if net.adapters.sampling is None else physics.with_sampling(net.adapters.sampling)
        *_, last = net.stages(operator.forward(truth), operator)
        loss = (last.image - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        found.append(float(loss.detach()))
    return found


def begun(config: NetworkConfig, physics: LinearPhysics) -> tuple[Backbone, dict[str, Tensor]]:
    torch.manual_seed(0)
    tensors = new_step_parameters(config)
    if isinstance(physics, CsPhysics):
        tensors[SAMPLING] = physics.sampling.clone()
    return Backbone(config), tensors


def with_adapters(config: NetworkConfig, backbone: Backbone, tensors: dict[str, Tensor]) -> AdapterSet:
    """Phase 2: everything of the backbone frozen, adapters that change nothing yet, data steps as they were learned."""
    backbone.requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    fresh = new_adapters(backbone.blocks[0], num_stages=config.num_stages, gamma=10, generator=generator)
    kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return fresh.mapped({**fresh.tensors, **kept})


@pytest.mark.parametrize("network", REQUIRED, ids=str)
def test_both_phases_together_bring_the_loss_on_two_patches_below_a_tenth(network):
    truth, physics = network.measured()
    config = network.config(truth.shape[1])
    backbone, tensors = begun(config, physics)
    net = UnfoldingNet(config, backbone, AdapterSet(STAGES, tensors))
    first = losses(net, [*backbone.parameters(), *tensors.values()], truth, physics, steps=network.steps[0])
    frozen = {name: value.clone() for name, value in backbone.state_dict().items()}
    adapters = with_adapters(config, backbone, tensors)
    net = UnfoldingNet(config, backbone, adapters)
    second = losses(net, list(adapters.tensors.values()), truth, physics, steps=network.steps[1])
    assert np.mean(second[-5:]) < first[0] / 10
    assert min(second) < np.mean(first[-5:])  # the adapters alone go on where the backbone stopped
    assert all(torch.equal(value, frozen[name]) for name, value in backbone.state_dict().items())


def test_adapters_for_grey_super_resolution_learn_on_a_backbone_of_compressive_sampling():
    config = NetworkConfig(1, STAGES, denoiser="unet", denoiser_settings=SMALL_UNET, data_step="proximal-gradient")
    truth, sampled = cs()
    backbone, tensors = begun(config, sampled)
    net = UnfoldingNet(config, backbone, AdapterSet(STAGES, tensors))
    losses(net, [*backbone.parameters(), *tensors.values()], truth, sampled, steps=60)
    tensors.pop(SAMPLING)
    adapters = with_adapters(config, backbone, tensors)
    blurred = SrPhysics(torch.from_numpy(gaussian_kernel(1.2, size=9)), 2, (SIDE, SIDE), channels=1)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    found = losses(UnfoldingNet(config, backbone, adapters), list(adapters.tensors.values()), truth, blurred, steps=60)
    assert np.mean(found[-5:]) < 0.2 * found[0]
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())

"""Measured values that are withheld from a decoder, to see how well its result predicts them.

Which values a task can spare, its operator knows (`Physics.withheld`). Batson and Royer, "Noise2Self", ICML 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..physics import LinearPhysics, Withheld

_SCORED_SEED = 7


def withheld_for_scores(y: Tensor, physics: LinearPhysics, share: float) -> Withheld:
    """The values that a result is scored at: the same whenever they are drawn."""
    return physics.withheld(y, share, torch.Generator(y.device).manual_seed(_SCORED_SEED))


def withheld_error(estimate: Tensor, y: Tensor, physics: LinearPhysics, hidden: Tensor) -> Tensor:
    """The mean squared error of the withheld values as the estimate predicts them."""
    return (hidden * (physics.forward(estimate) - y)).square().sum() / hidden.sum().clamp(min=1)


def random_share(shape: tuple[int, ...], share: float, device: torch.device, generator: torch.Generator) -> Tensor:
    """Ones for a random share of the values, else zeros."""
    return (torch.rand(shape, device=device, generator=generator) < share).float()


def mean_of_neighbours(y: Tensor, known: Tensor) -> Tensor:
    """The mean of the known ones among the eight neighbours of every pixel, (B, C, H, W); `known` (B, 1, H, W)."""
    kernel = y.new_ones(1, 1, 3, 3)
    kernel[..., 1, 1] = 0
    batch, channels = y.shape[:2]
    flat = (y * known).reshape(batch * channels, 1, *y.shape[2:])
    total = F.conv2d(flat, kernel, padding=1).reshape(y.shape)
    count = F.conv2d(known.expand_as(y[:, :1]), kernel, padding=1)
    return total / count.clamp(min=1)


def random_start(slack: int, generator: torch.Generator) -> int:
    """Where a random part begins that leaves `slack` places free, 0 to `slack`."""
    return int(torch.randint(slack + 1, (), device=generator.device, generator=generator))

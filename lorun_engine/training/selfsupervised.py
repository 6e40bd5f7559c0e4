"""Learning from measurements alone: withheld sensor pixels, and what a moved scene must give.

Two losses without a truth. A random few percent of the measured values are kept from the network and predicted by its
result (Batson and Royer, "Noise2Self", ICML 2019); and the network must find a scene that is known, its own result x
moved by T: net(Phi T x + n) = T x (Chen, Tachella and Davies, "Equivariant imaging", ICCV 2021, "Robust equivariant
imaging", CVPR 2022), the gradient through the target stopped.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..physics import LinearPhysics
from ..tasks.noise import Noise
from ..tasks.withheld import withheld_error

Decode = Callable[[Tensor, LinearPhysics], Tensor]  # the last image of a network, (B, C, H, W)


def self_supervised_loss(
    decode: Decode,
    y: Tensor,
    physics: LinearPhysics,
    generator: torch.Generator,
    *,
    share: float,
    equivariance: float,
    noise: Noise | None,
) -> Tensor:
    """The error at withheld values, plus `equivariance` times that of a moved scene which is known.

    The first is in units of the mean squared value that a scene contributes, so that the two are of one kind.
    """
    given, partial, withheld = physics.withheld(y, share, generator)
    x = decode(given, partial)
    loss = withheld_error(x, y, physics, withheld) / physics.gram().mean()
    if not equivariance:
        return loss
    with torch.no_grad():
        moved = _moved(x.detach().clamp(min=0), generator)
        again = physics.forward(moved)
        if noise is not None:
            again = torch.stack([noise.add_to(one, generator) for one in again])
    return loss + equivariance * F.mse_loss(decode(again, physics), moved)


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """The scenes rolled by a random number of pixels and mirrored at random."""
    height, width = x.shape[-2:]
    down, right = (int(torch.randint(size, (), device=x.device, generator=generator)) for size in (height, width))
    draws = torch.rand(2, device=x.device, generator=generator)
    flipped = [axis for axis, draw in zip((-2, -1), draws.tolist(), strict=True) if draw < 0.5]
    return x.roll((down, right), dims=(-2, -1)).flip(flipped)

"""Measured values that are kept from a decoder, to see how well its result predicts them.

Batson and Royer, "Noise2Self", ICML 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import LorunError
from ..physics import LinearPhysics
from .cassi import CassiPhysics
from .cs import CsPhysics
from .sr import SrPhysics

_SCORED_SEED = 7


def withheld(y: Tensor, physics: LinearPhysics, share: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """(what the network is given, by which operator, which values were withheld): y, physics, 0..1 like the whole y.

    CASSI and CS take the values out of the operator; a low-resolution image has its neighbours' mean there instead.
    """
    if isinstance(physics, CassiPhysics):
        seen = torch.ones_like(y) if physics.seen is None else physics.seen.expand_as(y)
        hidden = seen * _drawn(y.shape, share, y.device, generator)
        return y * (1 - hidden), physics.seeing(seen * (1 - hidden)), hidden
    if isinstance(physics, CsPhysics):
        num_rows = len(physics.sampling)
        order = torch.randperm(num_rows, device=y.device, generator=generator)
        num_hidden = min(max(1, round(share * num_rows)), num_rows - 1)
        kept = order[num_hidden:].sort().values
        hidden = torch.zeros(1, num_rows, 1, 1, device=y.device)
        hidden[:, order[:num_hidden]] = 1
        return y[:, kept], physics.with_sampling(physics.sampling[kept]), hidden.expand_as(y)
    if isinstance(physics, SrPhysics):
        hidden = _drawn((len(y), 1, *y.shape[2:]), share, y.device, generator)
        return torch.where(hidden > 0, _neighbours(y, 1 - hidden), y), physics, hidden.expand_as(y)
    raise LorunError(f"Sets for {physics.task} cannot learn from measurements alone. Give scenes.")


def kept_back(y: Tensor, physics: LinearPhysics, share: float) -> tuple[Tensor, ...]:
    """The same, with values that are the same whenever they are drawn: those that a result is scored at."""
    return withheld(y, physics, share, torch.Generator(y.device).manual_seed(_SCORED_SEED))


def withheld_error(estimate: Tensor, y: Tensor, physics: LinearPhysics, hidden: Tensor) -> Tensor:
    """The mean squared error of the withheld values as the estimate predicts them."""
    return (hidden * (physics.forward(estimate) - y)).square().sum() / hidden.sum().clamp(min=1)


def _drawn(shape: tuple[int, ...], share: float, device: torch.device, generator: torch.Generator) -> Tensor:
    """Ones for a random share of the values, else zeros."""
    return (torch.rand(shape, device=device, generator=generator) < share).float()


def _neighbours(y: Tensor, known: Tensor) -> Tensor:
    """The mean of the known ones among the eight neighbours of every pixel."""
    kernel = y.new_ones(1, 1, 3, 3)
    kernel[..., 1, 1] = 0
    batch, channels = y.shape[:2]
    flat = (y * known).reshape(batch * channels, 1, *y.shape[2:])
    total = F.conv2d(flat, kernel, padding=1).reshape(y.shape)
    count = F.conv2d(known.expand_as(y[:, :1]), kernel, padding=1)
    return total / count.clamp(min=1)

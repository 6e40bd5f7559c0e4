"""What several denoisers share: padding to whole cells, and normalisation over the channels of a pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Reach(NamedTuple):
    """How far a denoiser sees: `margin` pixels to each side; sizes are padded to whole `cell` x `cell` pixels."""

    margin: int
    cell: int


def pad_to_multiple(x: Tensor, multiple: int, *, mode: str = "reflect") -> Tensor:
    """x padded right and bottom to whole multiples: reflected, or repeated where that is asked for or needed.

    An image that is too small to be reflected is repeated at its edge.
    """
    height, width = x.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    if not (right or bottom):
        return x
    if right >= width or bottom >= height:
        mode = "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Normalisation over the channels of every pixel of (B, C, H, W)."""
    x = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return x

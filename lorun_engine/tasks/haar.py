"""Shrinkage of undecimated Haar details at several scales: total variation's denoiser without inner iterations.

Steidl et al., SIAM J. Numer. Anal. 2004; see `subspace_tv` for why it is a proximal map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALES = 4
_NEXT = 0.25  # times the threshold, from one scale to the next, where noise halves


def shrunk(c: Tensor, thresholds: Tensor) -> Tensor:
    """W^T shrink(W c) for every picture of c (B, R, H, W), with its own threshold (B, R) for the finest details."""
    margin = 2**_SCALES - 1
    pictures = F.pad(c.flatten(0, 1), (margin,) * 4, mode="replicate")
    shrunk = torch.empty_like(c, memory_format=torch.contiguous_format)
    inner = slice(margin, -margin)
    limits = (2 * thresholds).flatten().tolist()
    # one picture at a time: its details stay in the cache
    for picture, target, limit in zip(pictures, shrunk.flatten(0, 1), limits, strict=True):
        torch.sub(picture[inner, inner], _beyond(picture, limit, 0)[inner, inner], alpha=1 / 16, out=target)
    return shrunk


def _beyond(picture: Tensor, limit: float, scale: int) -> Tensor:
    """W^T (w - shrink(w)) of the Haar details w of an (H, W) picture from `scale` on: what shrinkage takes away.

    Sums and differences stay undivided, so it is 16 times that, and `limit` is four times the finest threshold.
    """
    apart = 2**scale
    left, right = picture[:, :-apart], picture[:, apart:]
    mean, slope = left + right, left - right  # the filters along rows
    above, below = mean[:-apart], mean[apart:]
    vertical = (above - below).clamp_(-limit, limit)
    horizontal = (slope[:-apart] + slope[apart:]).clamp_(-limit, limit)
    diagonal = (slope[:-apart] - slope[apart:]).clamp_(-limit, limit)
    taken_mean, taken_slope = mean, slope  # their values are not needed again
    if scale + 1 < _SCALES:
        # the next scale sees four times its mean, so its limit is four times as large and its answer 64 / 4 as large
        coarser = _beyond(above + below, 4 * _NEXT * limit, scale + 1).mul_(1 / 16)
        torch.add(coarser, vertical, out=taken_mean[:-apart])
        taken_mean[-apart:] = 0
        taken_mean[apart:] += coarser.sub_(vertical)
    else:
        taken_mean[:-apart] = vertical
        taken_mean[-apart:] = 0
        taken_mean[apart:] -= vertical
    torch.add(horizontal, diagonal, out=taken_slope[:-apart])
    taken_slope[-apart:] = 0
    taken_slope[apart:] += horizontal.sub_(diagonal)
    taken = torch.empty_like(picture)
    torch.add(taken_mean, taken_slope, out=taken[:, :-apart])
    taken[:, -apart:] = 0
    taken[:, apart:] += taken_mean.sub_(taken_slope)
    return taken

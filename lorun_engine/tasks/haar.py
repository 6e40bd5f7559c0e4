"""Shrinkage of undecimated Haar details at several scales: total variation's denoiser without inner iterations.

Steidl et al., SIAM J. Numer. Anal. 2004; see `subspace_tv` for why it is a proximal map. Where the edges of a scene are
known, details there are shrunk less: reweighted l1 (Candès, Wakin and Boyd, J. Fourier Anal. Appl. 2008).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALES = 4  # each with a quarter of the threshold of the one before, where noise halves
_MARGIN = 2**_SCALES - 1
_INNER = slice(_MARGIN, -_MARGIN)
_FLAT = 2.0  # times the threshold where there is no edge
_EDGE = 1.5  # thresholds: a detail of this size has half of it
_AROUND = 3  # places to a side, of which the mean says how large a detail is

# For every scale the least and the largest of what shrinkage takes away from each of the three details: numbers, or a
# tensor (3, H, W) of one for every place.
Bounds = Sequence[tuple[Any, Any]]
_EVERYWHERE: Bounds = [((-1.0,) * 3, (1.0,) * 3)] * _SCALES  # the same, in units of the limits
_LEAST_LIMIT = 1e-20
# Pixels of small pictures that are shrunk together, and of the strips of those of which one has more than that.
_AT_ONCE, _STRIP = 5 << 16, 1 << 19


class Room:
    """Memory for what is computed in between, kept from one call to the next; asking the system for it takes longer.

    It serves one thread at a time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def like(self, part: Tensor, name: str) -> Tensor:
        """A contiguous tensor of this name with the shape and kind of `part`; what it held before may be lost."""
        kept, size = self._kept.get(name), part.numel()
        if kept is None or kept.numel() < size or (kept.dtype, kept.device) != (part.dtype, part.device):
            kept = self._kept[name] = part.new_empty(size)
        return kept[:size].view(part.shape)


def shrunk(c: Tensor, thresholds: Tensor, edges: Sequence[Bounds] | None = None, *, room: Room | None = None) -> Tensor:
    """W^T shrink(W c) for every picture of c (B, R, H, W), with its own threshold (B, R) for the finest details.

    `edges` are those of every sample, as `edges_of` finds them.
    """
    room = room or Room()
    shrunk = torch.empty_like(c, memory_format=torch.contiguous_format)
    limits = _limits(thresholds)[:, :, None, None]
    # some pixels at a time, so that details stay in the cache: of small pictures together, or a strip of a large one
    num_pictures = max(1, _AT_ONCE // ((c.shape[-2] + 2 * _MARGIN) * (c.shape[-1] + 2 * _MARGIN)))
    for index, (pictures, target, limit) in enumerate(zip(c, shrunk, limits, strict=True)):
        bounds = _EVERYWHERE if edges is None else edges[index]
        parts = (tensor.split(num_pictures) for tensor in (pictures, target, limit))
        for part, of_target, of_limit in zip(*parts, strict=True):
            padded = _padded(part).div_(of_limit)
            for first, end in _strips(c.shape[-2], c.shape[-1]):
                seen = padded[:, first : end + 2 * _MARGIN]
                taken = room.like(seen, "taken")
                _beyond(seen, _of_rows(bounds, first, seen.shape[1]), taken, room)
                torch.sub(
                    seen[..., _INNER, _INNER], taken[..., _INNER, _INNER], alpha=1 / 16, out=of_target[:, first:end]
                )
            of_target *= of_limit
    return shrunk


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """The rows that are shrunk at once, from the first to the one behind the last."""
    rows = height if height * width <= _STRIP else max(_MARGIN, _STRIP // width)
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def _of_rows(bounds: Bounds, first: int, num_rows: int) -> Bounds:
    """Those of some rows of a padded picture; every scale has as many fewer as it reaches over."""
    if bounds is _EVERYWHERE:
        return bounds
    rows = [slice(first, first + num_rows - (2 ** (scale + 1) - 1)) for scale in range(_SCALES)]
    return [(least[:, part], largest[:, part]) for (least, largest), part in zip(bounds, rows, strict=True)]


def edges_of(c: Tensor, thresholds: Tensor) -> list[Bounds]:
    """Where the samples of c (B, R, H, W) have details that stand out from their thresholds (B, R), for `shrunk`.

    An edge of one picture is one in all of a sample.
    """
    return [_edges(own, limits) for own, limits in zip(c, _limits(thresholds), strict=True)]


def _edges(pictures: Tensor, limits: Tensor) -> Bounds:
    """The bounds for (R, H, W) pictures with their limits (R)."""
    energies: list[Any] = [0.0] * _SCALES
    for picture, limit in zip(pictures, limits, strict=True):
        picture = _padded(picture[None])[0] / limit
        for scale in range(_SCALES):
            apart = 2**scale
            mean, slope = _along_rows(picture, apart)
            above, below = slope[:-apart], slope[apart:]
            details = torch.stack([mean[:-apart] - mean[apart:], above + below, above - below])
            energies[scale] += details.square_()
            picture = mean[:-apart] + mean[apart:]
    bounds = []
    for energy in energies:
        around = F.avg_pool2d(energy, _AROUND, 1, _AROUND // 2, count_include_pad=False)
        largest = _FLAT / around.sqrt_().div_(_EDGE).add_(1)
        bounds.append((-largest, largest))
    return bounds


def _padded(pictures: Tensor) -> Tensor:
    return F.pad(pictures, (_MARGIN,) * 4, mode="replicate")


def _limits(thresholds: Tensor) -> Tensor:
    """Of details whose sums and differences stay undivided; pictures are divided by them, so none is 0."""
    return (2 * thresholds).clamp(min=_LEAST_LIMIT)


def _along_rows(pictures: Tensor, apart: int) -> tuple[Tensor, Tensor]:
    """Sums and differences of pixels of a row that are so far apart."""
    left, right = pictures[..., :-apart], pictures[..., apart:]
    return left + right, left - right


def _beyond(pictures: Tensor, bounds: Bounds, taken: Tensor, room: Room, scale: int = 0) -> None:
    """W^T (w - shrink(w)) of the Haar details w of pictures (N, H, W) from `scale` on: what shrinkage takes away.

    Sums and differences stay undivided, so `taken` becomes 16 times that.
    """
    apart, (least, largest), name = 2**scale, bounds[scale], str(scale)
    left, right = pictures[..., :-apart], pictures[..., apart:]
    mean, slope = room.like(left, "mean"), room.like(left, "slope")
    torch.add(left, right, out=mean)
    torch.sub(left, right, out=slope)
    above, below = mean[:, :-apart], mean[:, apart:]
    vertical, horizontal, diagonal = (room.like(above, each + name) for each in ("vertical", "horizontal", "diagonal"))
    torch.sub(above, below, out=vertical).clamp_(least[0], largest[0])
    torch.add(slope[:, :-apart], slope[:, apart:], out=horizontal).clamp_(least[1], largest[1])
    torch.sub(slope[:, :-apart], slope[:, apart:], out=diagonal).clamp_(least[2], largest[2])
    if scale + 1 < _SCALES:
        # the next scale sees four times its mean, with a quarter of the threshold: the bounds are the same
        coarse, coarser = room.like(above, "coarse" + name), room.like(above, "coarser" + name)
        torch.add(above, below, out=coarse)
        _beyond(coarse, bounds, coarser, room, scale + 1)
        mean, slope = room.like(left, "mean"), room.like(left, "slope")  # no longer what they were
        torch.add(vertical, coarser, alpha=1 / 16, out=mean[:, :-apart])
        mean[:, -apart:] = 0
        mean[:, apart:] -= vertical.sub_(coarser, alpha=1 / 16)
    else:
        mean[:, :-apart] = vertical
        mean[:, -apart:] = 0
        mean[:, apart:] -= vertical
    torch.add(horizontal, diagonal, out=slope[:, :-apart])
    slope[:, -apart:] = 0
    slope[:, apart:] += horizontal.sub_(diagonal)
    torch.add(mean, slope, out=taken[..., :-apart])
    taken[..., -apart:] = 0
    taken[..., apart:] += mean.sub_(slope)

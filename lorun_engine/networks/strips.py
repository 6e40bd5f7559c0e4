"""A denoiser applied to strips of rows, one after the other: the same image in a fraction of the memory.

Every strip is computed with as many rows beside it as its own depend on (see `denoisers`), so nothing shows where it
ends. A denoiser that sees the whole image, as one that normalises over it does, is never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor

from ..decoding.execution import Tile
from .denoisers.layers import Reach

# "auto" cuts what is larger into strips that are as large with their margins: a denoiser keeps a few hundred MB of one.
AUTO_PIXELS = 1 << 20

Denoise = Callable[[Tensor, Tensor | None, Any], tuple[Tensor, Any]]  # (z, conditioning, state) -> (x, state)


class Strip(NamedTuple):
    """The rows from `first` to `end` of an image, and those from `seen_first` to `seen_end` that they depend on."""

    first: int
    end: int
    seen_first: int
    seen_end: int


def rows_of(tile: Tile, size: tuple[int, int], reach: Reach | None) -> int | None:
    """The rows of a strip of an image of `size` pixels, margins left out; None where it is not cut."""
    height, width = size
    if reach is None or tile == "off" or (tile == "auto" and height * width <= AUTO_PIXELS):
        return None
    rows = max(AUTO_PIXELS // width - 2 * reach.margin, 2 * reach.margin) if tile == "auto" else int(tile)
    return rows if rows < height else None


def strips(height: int, rows: int, reach: Reach) -> Iterator[Strip]:
    """The strips of an image, of about so many rows each; all begin at whole cells of the denoiser."""
    rows, margin = _up_to(rows, reach.cell), _up_to(reach.margin, reach.cell)
    for first in range(0, height, rows):
        end = min(first + rows, height)
        yield Strip(first, end, max(0, first - margin), min(height, end + margin))


def in_strips(
    denoise: Denoise, z: Tensor, conditioning: Tensor | None, state: Tensor | None, *, rows: int, reach: Reach
) -> tuple[Tensor, Tensor | None]:
    """What `denoise` makes of z (B, C, H, W) and of the state that it is handed; without gradients.

    A state is a tensor (B, F, h, w) of features on a grid of whole cells, or None.
    """
    height = z.shape[-2]
    padded = _up_to(height, reach.cell)
    image: Tensor | None = None
    handed_on: Tensor | None = None
    for strip in strips(height, rows, reach):
        seen, first = (strip.seen_first, strip.seen_end), strip.seen_first
        told = conditioning
        if conditioning is not None and conditioning.shape[-2] == height:
            told = conditioning[..., slice(*seen), :]
        cells = (first, _up_to(strip.seen_end, reach.cell))  # which a state covers
        own_state = None if state is None else _rows(state, *cells, of=padded)
        x, kept = denoise(z[..., slice(*seen), :], told, own_state)
        if image is None:
            image = x.new_empty(*x.shape[:-2], height, x.shape[-1])
        image[..., strip.first : strip.end, :] = x[..., strip.first - first : strip.end - first, :]
        if kept is None:
            continue
        size = cells[1] - cells[0]
        if handed_on is None:
            handed_on = kept.new_empty(*kept.shape[:-2], padded * kept.shape[-2] // size, kept.shape[-1])
        own = (strip.first, _up_to(strip.end, reach.cell))
        _rows(handed_on, *own, of=padded).copy_(_rows(kept, own[0] - first, own[1] - first, of=size))
    assert image is not None, "an image has rows"
    return image, handed_on


def _rows(features: Tensor, first: int, end: int, *, of: int) -> Tensor:
    """Those of features (B, F, h, w) that lie at rows `first` to `end` of an image with `of` rows."""
    num_rows = features.shape[-2]
    return features[..., first * num_rows // of : end * num_rows // of, :]


def _up_to(number: int, multiple: int) -> int:
    """The next whole multiple."""
    return -(-number // multiple) * multiple

"""Where the bands of a scene land on a CASSI detector: every one moved by its offset along one axis, and summed.

A fractional offset splits a pixel between its two neighbours linearly (see `cassi`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..instrument import Dispersion


class _Disperse(torch.autograd.Function):
    """Sum of the bands, each at its offset: (B, C, H, W) to (B, 1, H', W'). Its gradient is `_Gather`."""

    @staticmethod
    def forward(ctx: Any, coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
        ctx.dispersion, ctx.scene_shape = dispersion, tuple(coded.shape[-2:])
        return disperse(coded, dispersion, detector_shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gathered(gradient, ctx.dispersion, ctx.scene_shape), None, None


class _Gather(torch.autograd.Function):
    """Every band's view of the detector: (B, 1, H', W') to (B, C, H, W). Its gradient is `_Disperse`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
        ctx.dispersion, ctx.detector_shape = dispersion, tuple(y.shape[-2:])
        return gather(y, dispersion, scene_shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return dispersed(gradient, ctx.dispersion, ctx.detector_shape), None, None


def dispersed(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    """`disperse` with a gradient that is quick too; torch gives `apply` no types."""
    found: Tensor = _Disperse.apply(coded, dispersion, detector_shape)  # type: ignore[no-untyped-call]
    return found


def gathered(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    """`gather` with a gradient that is quick too."""
    found: Tensor = _Gather.apply(y, dispersion, scene_shape)  # type: ignore[no-untyped-call]
    return found


def disperse(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    """sum_c S_c(coded_c): (B, C, H, W) to (B, 1, H', W').

    Whole offsets are written through one strided view of a zero buffer in which every band is moved by its offset.
    """
    height, width = coded.shape[-2:]
    if not _fits_view(dispersion, (height, width), detector_shape):
        return _place_split(coded, dispersion, detector_shape)
    batch, num_bands = coded.shape[:2]
    buffer = coded.new_zeros(batch, num_bands, *detector_shape)
    unit = 1 if dispersion.axis == "x" else detector_shape[1]  # elements per pixel along the dispersion axis
    offsets = [int(offset) for offset in dispersion.offsets]
    band_stride = detector_shape[0] * detector_shape[1] + unit * (offsets[1] - offsets[0] if num_bands > 1 else 0)
    moved = buffer.as_strided(
        (batch, num_bands, height, width),
        (buffer.stride(0), band_stride, detector_shape[1], 1),
        unit * offsets[0],
    )
    moved.copy_(coded)
    return buffer.sum(dim=1, keepdim=True)


def gather(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    """S_c^T y for every band: (B, 1, H', W') to (B, C, H, W); for whole offsets a view without a copy."""
    height, width = scene_shape
    detector_shape = (y.shape[-2], y.shape[-1])
    if not _fits_view(dispersion, scene_shape, detector_shape):
        return _gather_split(y, dispersion, scene_shape)
    y = y.contiguous()
    unit = 1 if dispersion.axis == "x" else detector_shape[1]
    bands = y.as_strided(
        (y.shape[0], dispersion.num_bands, height, width),
        (y.stride(0), unit * int(dispersion.step), detector_shape[1], 1),
        y.storage_offset() + unit * int(min(dispersion.offsets)),
    )
    return bands if dispersion.direction == "+" else bands.flip(1)


def _fits_view(dispersion: Dispersion, scene_shape: tuple[int, int], detector_shape: tuple[int, int]) -> bool:
    """Whether all offsets are whole and every band lies inside the detector."""
    axis = 1 if dispersion.axis == "x" else 0
    return (
        dispersion.is_whole
        and min(dispersion.offsets) >= 0
        and max(dispersion.offsets) + scene_shape[axis] <= detector_shape[axis]
        and scene_shape[1 - axis] == detector_shape[1 - axis]
    )


def split_offset(offset: float) -> tuple[int, float]:
    """A pixel moved by `offset` puts 1 - f of itself at the whole part and f one pixel further."""
    whole = math.floor(offset)
    return whole, offset - whole


def _overlap(start: int, length: int, detector_length: int) -> tuple[slice, slice] | None:
    """The parts of a band and of the detector that meet when the band begins at `start`; None if they do not."""
    low, high = max(0, start), min(detector_length, start + length)
    return (slice(low - start, high - start), slice(low, high)) if low < high else None


def _along(axis: str, part: slice) -> tuple[Any, ...]:
    return (..., part) if axis == "x" else (..., part, slice(None))


def placed(coded: Tensor, starts: list[tuple[int, float]], axis: str, detector_shape: tuple[int, int]) -> Tensor:
    """sum_c weight_c * (band c placed at start_c), cut to the detector: (B, C, H, W) to (B, 1, H', W')."""
    detector = coded.new_zeros(coded.shape[0], 1, *detector_shape)
    dimension = -1 if axis == "x" else -2
    for band, (start, weight) in enumerate(starts):
        parts = _overlap(start, coded.shape[dimension], detector.shape[dimension])
        if weight and parts:
            detector[_along(axis, parts[1])] += weight * coded[:, band : band + 1][_along(axis, parts[0])]
    return detector


def _place_split(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    splits = [split_offset(offset) for offset in dispersion.offsets]
    whole = placed(coded, [(s, 1 - f) for s, f in splits], dispersion.axis, detector_shape)
    return whole + placed(coded, [(s + 1, f) for s, f in splits], dispersion.axis, detector_shape)


def _gather_split(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    bands = y.new_zeros(y.shape[0], dispersion.num_bands, *scene_shape)
    dimension = -1 if dispersion.axis == "x" else -2
    for band, offset in enumerate(dispersion.offsets):
        start, fraction = split_offset(offset)
        for begin, weight in ((start, 1 - fraction), (start + 1, fraction)):
            parts = _overlap(begin, bands.shape[dimension], y.shape[dimension])
            if weight and parts:
                bands[:, band : band + 1][_along(dispersion.axis, parts[0])] += (
                    weight * y[_along(dispersion.axis, parts[1])]
                )
    return bands


def neighbour(off_diagonal: Tensor, axis: str) -> Tensor:
    """Entry n - 1 at n: the coupling of every pixel to the one before it."""
    if axis == "x":
        return F.pad(off_diagonal, (1, 0))[..., :-1]
    return F.pad(off_diagonal, (0, 0, 1, 0))[..., :-1, :]


def solve_tridiagonal(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    """Solves symmetric tridiagonal systems along dimension 0 by the Thomas algorithm; differentiable."""
    length = right.shape[0]
    ratios, values = list[Tensor](), list[Tensor]()
    for n in range(length):
        pivot, value = diagonal[n], right[n]
        if n:
            pivot = pivot - off_diagonal[n - 1] * ratios[-1]
            value = value - off_diagonal[n - 1] * values[-1]
        ratios.append(off_diagonal[n] / pivot)
        values.append(value / pivot)
    solution = [values[-1]]
    for n in range(length - 2, -1, -1):
        solution.append(values[n] - ratios[n] * solution[-1])
    return torch.stack(solution[::-1])

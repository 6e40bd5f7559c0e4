"""A guide brought to its snapshot: how it lies and how bright it is, by what a short decode without it shows.

Two cameras have two apertures and two exposures, so the picture may lie some pixels off, and its numbers are in another
unit than the snapshot's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..decoder import scale_for
from ..errors import GeometryError
from ..measurement import Measurement
from .cassi import CassiPhysics
from .guide import FARTHEST, Guide, displacement, noise_of, resemblance
from .subspace import shipped_components
from .subspace_tv import SubspaceTv

_LINES = 256  # across the dispersion, in the middle of the capture
_ROUNDS = 6
_LEAST_RESEMBLANCE = 0.1  # of what a snapshot shows and its guide; two scenes of shared data have 0.6 and more


def guided(
    measurement: Measurement,
    picture: np.ndarray,
    response: np.ndarray,
    *,
    shift: tuple[float, float] | None = None,
    is_scaled: bool = False,
) -> Measurement:
    """The measurement with a guide (G, H, W) of the response (G, C): moved, and in the unit of the scene.

    `shift` moves it down and right by pixels; None has its place found, which a note then says. It `is_scaled` where
    its numbers are in the unit of the scene; else every channel is brought to it. A GeometryError where it does not
    show the scene.
    """
    physics = measurement.physics
    assert isinstance(physics, CassiPhysics)
    components = shipped_components(measurement.wavelengths_nm, physics.scene_shape[0])
    guide = Guide(torch.from_numpy(picture)[None], torch.from_numpy(response), components)
    guide.require(physics.scene_shape)
    expected, lines = _expected(measurement, guide)
    notes = list(measurement.notes)
    if shift is None:
        down, right = displacement(guide.picture.narrow(*lines), expected)
        shift = (-float(down), -float(right))
        if any(shift):
            notes.append(
                f"The guide lies {_way(down, 'lower', 'higher')} and {_way(right, 'further right', 'further left')} "
                "than the scene of the snapshot; it was moved back. Give a shift of the guide to correct that."
            )
    moved = _moved(guide.picture, shift)
    likeness = resemblance(moved.narrow(*lines), expected)
    if likeness < _LEAST_RESEMBLANCE:
        raise GeometryError(
            f"The guide hardly resembles what the snapshot shows (a correlation of {likeness:.2f}; 1 is the same). It "
            f"may lie more than {FARTHEST} pixels off, be turned, or show another scene. Crop it to what the mask "
            "sees, give its shift, or leave it out."
        )
    if not is_scaled:
        moved = moved * _gains(moved.narrow(*lines), expected)
    guide = replace(guide, picture=moved, noise=noise_of(moved), moved=shift)
    return replace(measurement, physics=physics.guided_by(guide), notes=tuple(notes))


@torch.no_grad()
def _expected(measurement: Measurement, guide: Guide) -> tuple[Tensor, tuple[int, int, int]]:
    """What the guide should show of the middle lines, (1, G, h, w), and those: their axis, the first, how many."""
    physics = measurement.physics
    assert isinstance(physics, CassiPhysics)
    scale = scale_for(SubspaceTv(), measurement)
    axis = -2 if physics.dispersion.axis == "x" else -1
    length = physics.scene_shape[axis]
    size = min(_LINES, length)
    lines = (axis, (length - size) // 2, size)
    part = physics.lines(*lines)
    y = torch.from_numpy(measurement.y)[None].narrow(*lines) * scale
    *_, last = SubspaceTv(components=guide.components).stages(y, part, num_stages=_ROUNDS)
    return guide.seen(last.image) / scale, lines


def _gains(picture: Tensor, expected: Tensor) -> Tensor:
    """(1, G, 1, 1): the factors that bring every channel to what is expected of it, in the mean."""
    dims = (-2, -1)
    return expected.mean(dim=dims, keepdim=True) / picture.mean(dim=dims, keepdim=True).clamp(min=1e-12)


def _moved(picture: Tensor, shift: tuple[float, float]) -> Tensor:
    """The picture moved down and right; what comes in at its borders repeats them."""
    if not any(shift):
        return picture
    from scipy import ndimage

    moved = ndimage.shift(picture.numpy(), (0.0, 0.0, *shift), order=1, mode="nearest")
    return torch.from_numpy(np.asarray(moved, dtype=np.float32))


def _way(pixels: int, more: str, less: str) -> str:
    """As "3 px lower", or "0 px lower"."""
    return f"{abs(pixels)} px {less if pixels < 0 else more}"

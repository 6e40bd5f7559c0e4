"""Training samples from measurements that exist: with their references, or alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from ..decoder import Decoder
from ..measurement import Measurement
from ..tasks import cs, sr
from ..tasks.cassi import CassiPhysics
from ..tasks.withheld import kept_back as values_kept_back
from .dataset import Sample
from .settings import LocalData


@dataclass(frozen=True)
class CaptureSampler:
    """Parts of measurements `ys` (C', H', W') with their operators, and the scenes where they are known."""

    data: LocalData
    captures: tuple[tuple[Tensor, Any, Tensor | None], ...]  # y, physics, scene

    @classmethod
    def of(cls, captures: Sequence[Measurement], data: LocalData, decoder: Decoder, *, kept_back: bool = False) -> Self:
        """The sampler of some measurements, brought to the set's 0..1 scale.

        With `kept_back` the values that the captures are scored at are taken out of them for the whole training.
        """
        found = []
        for capture in captures:
            scale = decoder.input_scale(capture) if capture.input_scale is None else capture.input_scale
            y = torch.from_numpy(capture.y)[None] * scale
            physics = capture.physics
            if kept_back:
                y, physics, _ = values_kept_back(y, physics, data.withheld)
            scene = None if capture.reference is None else torch.from_numpy(capture.reference)[None] * scale
            found.append((y, physics, scene))
        return cls(data, tuple(found))

    def sample(self, generator: torch.Generator) -> Sample:
        """Parts of one measurement, as many as a batch has; the generator lives on the sampler's device."""
        device = generator.device
        pick = int(torch.randint(len(self.captures), (), device=device, generator=generator))
        parts = [part_of(*self.captures[pick], self.data.crop, generator) for _ in range(self.data.batch)]
        first = parts[0]
        physics = first.physics
        if isinstance(physics, CassiPhysics):
            masks = torch.cat([part.physics.mask for part in parts])
            seen = None if physics.seen is None else torch.cat([part.physics.seen for part in parts])
            physics = CassiPhysics(masks, physics.dispersion, detector_shape=physics.measurement_shape[1:], seen=seen)
        y, scene = (torch.cat([getattr(part, name) for part in parts]) for name in ("y", "scene"))
        return replace(first, scene=scene, physics=physics, y=y)

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        moved = tuple(
            (y.to(device), physics.to(device), None if scene is None else scene.to(device))
            for y, physics, scene in self.captures
        )
        return type(self)(self.data, moved)

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        return {"captures": len(self.captures)}


def part_of(y: Tensor, physics: Any, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Sample:
    """A random part of a measurement (1, C', H', W'): lines across the dispersion, whole blocks, or a picture's part.

    Along the dispersion everything is kept, as a detector pixel holds bands of many places. A picture's part sees a
    blur that went on beyond it: its border does not count.
    """
    margin = 0
    if isinstance(physics, CassiPhysics):
        rows = -2 if physics.dispersion.axis == "x" else -1
        total = physics.scene_shape[rows]
        size = min(crop[0], total)
        first = _start(total - size, generator)
        mask = physics.mask.narrow(rows, first, size)
        detector = list(physics.measurement_shape[1:])
        detector[rows] = size
        seen = None if physics.seen is None else physics.seen.narrow(rows, first, size)
        physics = CassiPhysics(mask, physics.dispersion, detector_shape=tuple(detector), seen=seen)
        y = y.narrow(rows, first, size)
        scene = None if scene is None else scene.narrow(rows, first, size)
    elif isinstance(physics, cs.CsPhysics):
        y, scene, physics = _blocks(y, physics, scene, crop, generator)
    elif isinstance(physics, sr.SrPhysics):
        y, scene, physics, margin = _picture_part(y, physics, scene, crop, generator)
    known = y.new_zeros(len(y), 0, 0, 0) if scene is None else scene
    return Sample(known, physics, y, margin=margin)


def _blocks(y: Tensor, physics: cs.CsPhysics, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator):
    """Whole blocks of samples; those at the right and lower border only where there are no others."""
    b = physics.block_size
    whole = [max(1, size // b) for size in physics.scene_shape[1:]]
    counts = [min(max(1, size // b), count) for size, count in zip(crop, whole, strict=True)]
    firsts = [_start(count - used, generator) for count, used in zip(whole, counts, strict=True)]
    for axis, first, count in zip((-2, -1), firsts, counts, strict=True):
        y = y.narrow(axis, first, count)
        if scene is not None:
            scene = scene.narrow(axis, first * b, min(count * b, scene.shape[axis]))
    size = tuple(min(count * b, own) for count, own in zip(counts, physics.scene_shape[1:], strict=True))
    return y, scene, cs.CsPhysics(physics.sampling, size)


def _picture_part(
    y: Tensor, physics: sr.SrPhysics, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator
):
    s, size = physics.scale, []
    for axis, wanted in zip((-2, -1), crop, strict=True):
        total = y.shape[axis]
        used = min(max(wanted // s, physics.kernel.shape[-1] // s + 1), total)
        first = _start(total - used, generator)
        y = y.narrow(axis, first, used)
        if scene is not None:
            scene = scene.narrow(axis, first * s, used * s)
        size.append(used * s)
    is_whole = tuple(size) == tuple(physics.scene_shape[1:])
    part = sr.SrPhysics(
        physics.kernel,
        s,
        tuple(size),
        channels=physics.scene_shape[0],
        noise_level=physics.noise_level,
        border=physics.border if is_whole else "mirrored",
    )
    margin = 0 if is_whole else min(physics.kernel.shape[-1] // 2, min(size) // 4) // s * s
    return y, scene, part, margin


def _start(slack: int, generator: torch.Generator) -> int:
    return int(torch.randint(slack + 1, (), device=generator.device, generator=generator))

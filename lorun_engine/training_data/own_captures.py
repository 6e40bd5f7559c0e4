"""Training samples from measurements that exist: with their references, or alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ..decoder import Decoder, scale_for
from ..measurement import Measurement
from ..physics import Physics, linear
from ..tasks.withheld import withheld_for_scores
from .dataset import Sample
from .settings import LocalData


@dataclass(frozen=True)
class CaptureSampler:
    """Parts of measurements `ys` (C', H', W') with their operators, and the scenes where they are known."""

    data: LocalData
    captures: tuple[tuple[Tensor, Physics, Tensor | None], ...]  # y, physics, scene

    @classmethod
    def of(
        cls, captures: Sequence[Measurement], data: LocalData, decoder: Decoder, *, scored_alone: bool = False
    ) -> Self:
        """The sampler of some measurements, brought to the set's 0..1 scale.

        With `scored_alone` the values that the captures are scored at are taken out of them for the whole training.
        """
        found = []
        for capture in captures:
            scale = scale_for(decoder, capture)
            y = torch.from_numpy(capture.y)[None] * scale
            physics = capture.physics.scaled(scale)
            if scored_alone:
                y, physics, _ = withheld_for_scores(y, linear(physics), data.withheld)
            scene = None if capture.reference is None else torch.from_numpy(capture.reference)[None] * scale
            found.append((y, physics, scene))
        return cls(data, tuple(found))

    def sample(self, generator: torch.Generator) -> Sample:
        """Parts of one measurement, as many as a batch has; the generator lives on the sampler's device."""
        device = generator.device
        pick = int(torch.randint(len(self.captures), (), device=device, generator=generator))
        y, physics, scene = self.captures[pick]
        parts = [physics.random_part(y, scene, self.data.crop, generator) for _ in range(self.data.batch)]
        first = parts[0]
        known = [part.y.new_zeros(1, 0, 0, 0) if part.scene is None else part.scene for part in parts]
        joined = first.physics.joined([part.physics for part in parts])
        return Sample(torch.cat(known), joined, torch.cat([part.y for part in parts]), margin=first.margin)

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

"""Sensor noise for simulated measurements."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import LorunError


@dataclass(frozen=True)
class Noise:
    """`kind` "gaussian": sigma on the 0..1 scale of the scene; "shot": `level` electrons at the measurement's peak."""

    kind: str
    level: float

    @classmethod
    def parse(cls, text: str) -> Noise:
        """The noise that `gaussian:SIGMA` or `shot:PEAK` names."""
        kind, _, level = text.partition(":")
        try:
            noise = cls(kind, float(level))
        except ValueError:
            noise = cls(kind, -1.0)
        if kind not in ("gaussian", "shot") or not 0 < noise.level < float("inf"):
            raise LorunError(f"The noise {text!r} is not known. Write gaussian:SIGMA or shot:PEAK, e.g. shot:500.")
        return noise

    def __str__(self) -> str:
        return f"{self.kind}:{self.level:g}"

    def add_to(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """A noisy copy of a noise-free measurement of any shape; negative light counts as none for shot noise."""
        if self.kind == "gaussian":
            return y + self.level * torch.randn(y.shape, generator=generator, dtype=y.dtype, device=y.device)
        peak = y.max()
        if peak <= 0:
            return y.clone()
        electrons = torch.poisson(y.clamp(min=0) * (self.level / peak), generator=generator)
        return electrons * (peak / self.level)


def local_mean(y: Tensor) -> Tensor:
    """The mean of a measurement (B, C', H', W') over 5 x 5 pixels, plus a twentieth of its whole mean: never 0."""
    smooth = F.avg_pool2d(y, 5, stride=1, padding=2, count_include_pad=False).clamp(min=0)
    return smooth + 0.05 * smooth.mean(dim=(1, 2, 3), keepdim=True)

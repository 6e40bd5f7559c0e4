"""What decodes a measurement, and one step of it as every decoder reports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from torch import Tensor

from .measurement import Measurement

CITATION = (  # of the method that all trained sets follow; README has the same line
    "X. Wang, H. Zeng, B. Sun, J. Cao, K. Zhang, Q. Shen, and Y. Chen, “Deep LoRA-Unfolding Networks for Image "
    "Restoration,” arXiv preprint, 2026."
)


@dataclass(frozen=True)
class Stage:
    """The state after stage `index`; 0 is the initial estimate.

    `image` is (B, C, H, W) on the decoder's device; `denoiser_input` the image the denoiser saw (z of Eq. 5), or None.
    `parameters` are the data step's (rho, lambda or mu) and the implied `noise_level` where the decoder has them.
    """

    index: int
    image: Tensor
    denoiser_input: Tensor | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)


class WithoutWeights:
    """What decoders have in common that take any operator of their task and measurements in the unit of the image."""

    def fitted(self, measurement: Measurement) -> Self:
        """Itself."""
        return self

    def input_scale(self, measurement: Measurement) -> float:
        """1: measurements are in the unit of the image."""
        return 1.0


class Decoder(Protocol):
    """Anything that turns a measurement into images stage by stage: a trained model or a classical algorithm."""

    @property
    def name(self) -> str:
        """As `--adapter` takes it."""

    @property
    def task(self) -> str:
        """The task whose measurements it decodes."""

    @property
    def num_stages(self) -> int:
        """K, unless the user asks for another number."""

    def fitted(self, measurement: Measurement) -> Decoder:
        """This decoder made ready for the measurement's bands; a LorunError that says why it cannot be."""

    def input_scale(self, measurement: Measurement) -> float:
        """The factor a of the engine's input a*y, by this decoder's rule."""

    def stages(self, y: Tensor, physics: Any, *, num_stages: int) -> Iterator[Stage]:
        """With the operator of its task: stage 0 (the initial estimate), then one Stage per stage."""


def scale_for(decoder: Decoder, measurement: Measurement) -> float:
    """The factor a of the engine's input a*y: the one that is fixed for the measurement, else by the decoder's rule."""
    fixed = measurement.input_scale
    return decoder.input_scale(measurement) if fixed is None else fixed

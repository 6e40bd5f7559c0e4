"""One step of an unfolded algorithm, as every decoder reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


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

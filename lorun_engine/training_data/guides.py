"""Guides for training samples: what second cameras of many kinds see of scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..instrument import RESPONSES
from ..tasks.guide import Guide
from ..tasks.subspace import shipped_components

_MOVED, _WIDENED = 15.0, 0.3  # of a usual response: its centres in nm, the logarithm of its widths
_GREY = 0.15  # of the batches
_LARGEST_NOISE = 0.02  # on the 0..1 scale


@dataclass(frozen=True)
class GuideCameras:
    """Draws a camera for every batch: `wavelengths_nm` (C,) and `components` (R, C) are those of the scenes."""

    wavelengths_nm: Tensor
    components: Tensor

    @classmethod
    def at(cls, wavelengths_nm: np.ndarray) -> Self:
        """For scenes of these bands."""
        components = shipped_components(wavelengths_nm, len(wavelengths_nm))
        return cls(torch.from_numpy(np.asarray(wavelengths_nm, dtype=np.float32)), components)

    def guide(self, scene: Tensor, generator: torch.Generator) -> Guide:
        """A guide of scenes (B, C, H, W), with noise: by a response like a usual one, mostly in colours."""
        device = scene.device
        grey, level = torch.rand(2, device=device, generator=generator).tolist()
        curves = torch.tensor(RESPONSES["grey" if grey < _GREY else "rgb"], device=device)
        draws = 2 * torch.rand(curves.shape, device=device, generator=generator) - 1
        centres, widths = curves[:, :1] + _MOVED * draws[:, :1], curves[:, 1:] * torch.exp(_WIDENED * draws[:, 1:])
        response = torch.exp(-(((self.wavelengths_nm - centres) / widths).square()) / 2)
        response = response / response.sum(dim=1, keepdim=True)
        sigma = _LARGEST_NOISE * level**2
        return Guide.taken(scene, response, self.components, noise=sigma, generator=generator)

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return type(self)(self.wavelengths_nm.to(device), self.components.to(device))

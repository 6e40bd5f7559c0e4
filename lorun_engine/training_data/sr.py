"""Training samples for super-resolution: crops of photographs, measured on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import torch

from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..tasks import cs, sr
from ..tasks.kernels import gallery, random_kernels
from .dataset import Material, Sample, TrainingSet
from .photographs import Photographs, luma, photographs_for, whole_windows
from .settings import SrData

_VALIDATION_KERNELS = ("gaussian 1.2", "gaussian 2")


@dataclass(frozen=True)
class SrSampler:
    """Colour crops and their low-resolution images by random kernels."""

    config: SrData
    photographs: Photographs

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch of one factor; the generator lives on the sampler's device."""
        config = self.config
        device = self.photographs.pixels.device
        pick = torch.randint(len(config.scales), (), device=device, generator=generator)
        scale = config.scales[int(pick)]
        height, width = sr.crop_for(config.crop, scale, (config.kernel_size, config.kernel_size))
        scene = self.photographs.crops(config.batch, height, width, generator, zoom=config.zoom)
        if config.grey:
            scene = luma(scene)
        kernels = random_kernels(config.batch, generator, size=config.kernel_size)
        physics = sr.SrPhysics(kernels, scale, (height, width), channels=scene.shape[1])
        y = physics.forward(scene)
        if config.noise_share:
            share, level = torch.rand(2, config.batch, 1, 1, 1, device=device, generator=generator)
            noise = torch.randn(y.shape, device=device, generator=generator)
            y = y + torch.where(share < config.noise_share, config.largest_sigma * level, 0.0) * noise
        if config.eight_bit:
            offset = 0.5 * torch.randint(2, (config.batch, 1, 1, 1), device=device, generator=generator)
            y = torch.floor(255 * y + offset) / 255
        return Sample(scene, physics, y)

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        return replace(self, photographs=self.photographs.to(device))

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        return {"photographs": len(self.photographs)}


DATA = SrData


def new_sampling(data: SrData) -> None:
    """Kernels are given, not learned."""


def training_set(material: Material, data: SrData, *, bands: str = "", step: float = 0.0) -> TrainingSet:
    """Colour crops under random kernels; validation takes every factor with two kernels."""
    sampler = SrSampler(data, photographs_for(material.pictures, data.crop))
    windows = whole_windows(material.validation[: data.validation])
    validation = [
        (windows, partial(_degraded, kernel=gallery()[kernel], scale=scale, grey=data.grey))
        for scale in data.scales
        for kernel in _VALIDATION_KERNELS
    ]
    return TrainingSet(sampler, validation, {"scales": list(data.scales)})


def _degraded(scene: Scene, adapters: AdapterSet, *, kernel: np.ndarray, scale: int, grey: bool) -> Measurement:
    return sr.simulate(replace(scene, image=cs.luma(scene.image)) if grey else scene, kernel, scale)

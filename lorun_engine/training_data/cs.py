"""Training samples for compressive sampling: grey crops of photographs, measured on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..tasks import cs
from .dataset import Material, Sample, TrainingSet
from .photographs import Photographs, luma, photographs_for, whole_windows
from .settings import CsData


@dataclass(frozen=True)
class CsSampler:
    """Grey crops and their samples by one matrix Phi."""

    config: CsData
    photographs: Photographs
    sampling: Tensor  # (M, N)

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch; the generator lives on the sampler's device."""
        config = self.config
        crops = self.photographs.crops(config.batch, *config.crop, generator, zoom=config.zoom)
        scene = luma(crops)
        physics = cs.CsPhysics(self.sampling, config.crop)
        return Sample(scene, physics, physics.forward(scene))

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        return replace(self, photographs=self.photographs.to(device), sampling=self.sampling.to(device))

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        return {"photographs": len(self.photographs)}


DATA = CsData


def new_sampling(data: CsData) -> Tensor | None:
    """The matrix Phi (M, N) that is learned from here on."""
    return data.initial_sampling() if data.learn_sampling else None


def training_set(material: Material, data: CsData, *, bands: str = "", step: float = 0.0) -> TrainingSet:
    """Grey crops under one Phi; validation measures with the Phi of the set, learned or not."""
    sampling = data.initial_sampling()
    sampler = CsSampler(data, photographs_for(material.pictures, data.crop), sampling)

    def measured(scene: Scene, adapters: AdapterSet) -> Measurement:
        own = adapters.sampling
        return cs.simulate(scene, (sampling if own is None else own).detach().cpu().numpy())

    windows = whole_windows(material.validation[: data.validation])
    task_config = {"ratio": data.ratio, "block_size": data.block_size}
    return TrainingSet(sampler, [(windows, measured)], task_config)

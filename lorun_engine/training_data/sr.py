"""Training samples for compressive sampling and super-resolution: crops of photographs, measured on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..decoding.evaluate import Window
from ..errors import LorunError
from ..io import OpenOptions, open_scene
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..tasks import cs, sr
from ..tasks.kernels import gallery, random_kernels
from .dataset import Material, Sample, TrainingSet
from .photographs import Photographs, read_photographs

_VALIDATION_KERNELS = ("gaussian 1.2", "gaussian 2")


@dataclass(frozen=True)
class CsData:
    """What a CS sample is drawn from: grey crops (height x width), `batch` a step, zoomed by up to `zoom`.

    Phi has floor(`ratio` % of block_size^2) orthonormal rows, drawn from `sampling_seed` or, with `sampling_start`
    "cosine", the lowest cosines of a block; `learn_sampling` trains it. Of the validation pictures the first
    `validation` are used.
    """

    crop: tuple[int, int] = (96, 96)
    batch: int = 8
    zoom: tuple[float, float] = (0.6, 1.6)
    ratio: float = 25.0
    block_size: int = 32
    learn_sampling: bool = True
    sampling_start: str = "random"
    sampling_seed: int = 0
    validation: int = 8

    def __post_init__(self) -> None:
        if self.sampling_start not in ("random", "cosine"):
            raise LorunError(f"sampling_start is {self.sampling_start!r}; random or cosine was expected.")

    def initial_sampling(self) -> Tensor:
        """The matrix (M, N) before it is learned."""
        if self.sampling_start == "cosine":
            return torch.from_numpy(cs.cosine_sampling(self.ratio, block_size=self.block_size))
        return torch.from_numpy(cs.random_sampling(self.ratio, block_size=self.block_size, seed=self.sampling_seed))


@dataclass(frozen=True)
class SrData:
    """What an SR sample is drawn from: crops, `batch` a step, one factor of `scales` a batch, random kernels.

    Crops are in colour, or with `grey` their luma.

    A share `noise_share` of the samples has Gaussian noise up to `largest_sigma`. With `eight_bit` half of the images
    are rounded to 8 bits and half cut down to them, as the published protocol does. Of the validation pictures the
    first `validation` are used, at every factor.
    """

    crop: tuple[int, int] = (96, 96)
    batch: int = 16
    zoom: tuple[float, float] = (0.6, 1.6)
    scales: tuple[int, ...] = (2, 3, 4)
    kernel_size: int = 25
    grey: bool = False
    noise_share: float = 0.0
    largest_sigma: float = 25 / 255
    eight_bit: bool = False
    validation: int = 4


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
        scene = _luma(crops)
        physics = cs.CsPhysics(self.sampling, config.crop)
        return Sample(scene, physics, physics.forward(scene))

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        return replace(self, photographs=self.photographs.to(device), sampling=self.sampling.to(device))

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        return {"photographs": len(self.photographs)}


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
        height, width = (size // scale * scale for size in config.crop)
        scene = self.photographs.crops(config.batch, height, width, generator, zoom=config.zoom)
        if config.grey:
            scene = _luma(scene)
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


def cs_training_set(material: Material, config: CsData) -> TrainingSet:
    """Grey crops under one Phi; validation measures with the Phi of the set, learned or not."""
    sampling = config.initial_sampling()
    sampler = CsSampler(config, _photographs(material.pictures, config.crop), sampling)

    def measured(scene: Scene, adapters: AdapterSet) -> Measurement:
        own = adapters.sampling
        return cs.simulate(scene, (sampling if own is None else own).detach().cpu().numpy())

    windows = _windows(material.validation[: config.validation])
    task_config = {"ratio": config.ratio, "block_size": config.block_size}
    return TrainingSet(sampler, [(windows, measured)], task_config)


def sr_training_set(material: Material, config: SrData) -> TrainingSet:
    """Colour crops under random kernels; validation takes every factor with two kernels."""
    sampler = SrSampler(config, _photographs(material.pictures, config.crop))
    windows = _windows(material.validation[: config.validation])
    validation = [
        (windows, partial(_degraded, kernel=gallery()[kernel], scale=scale, grey=config.grey))
        for scale in config.scales
        for kernel in _VALIDATION_KERNELS
    ]
    return TrainingSet(sampler, validation, {"scales": list(config.scales)})


def _degraded(scene: Scene, adapters: AdapterSet, *, kernel: np.ndarray, scale: int, grey: bool) -> Measurement:
    return sr.simulate(replace(scene, image=cs.luma(scene.image)) if grey else scene, kernel, scale)


def _luma(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W)."""
    return torch.einsum("c,bchw->bhw", pictures.new_tensor(cs.LUMA), pictures)[:, None]


def _photographs(paths: Sequence[Path], crop: tuple[int, int]) -> Photographs:
    return read_photographs(paths, least=min(max(crop), 321))


def _windows(paths: Sequence[Path]) -> list[Window]:
    return [Window(path.stem, open_scene(path, OpenOptions())) for path in paths]

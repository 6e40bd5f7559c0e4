"""Training samples for low light: pairs of a dark and a bright picture, and photographs that are darkened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..decoding.evaluate import Window
from ..errors import FileError
from ..io import OpenOptions, open_scene
from ..io.pairs import measured_beside, pairs_among
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..tasks.lowlight import LowLightCamera, LowLightPhysics
from .dataset import Material, Sample, TrainingSet
from .photographs import Photographs, photographs_for, picture_files, stacked, whole_windows
from .settings import LowLightData

_HEIGHT, _WIDTH = 600, 900  # pixels of a pair that are kept in memory


@dataclass(frozen=True)
class LowLightSampler:
    """Bright crops and their dark pictures: of `pairs`, dark behind bright, or of `photographs`; either may be None."""

    config: LowLightData
    pairs: Photographs | None
    photographs: Photographs | None

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch; the generator lives on the sampler's device."""
        config, parts = self.config, []
        num_paired = int((torch.rand(config.batch, device=generator.device, generator=generator) < config.paired).sum())
        if self.pairs is None or self.photographs is None:
            num_paired = 0 if self.pairs is None else config.batch
        if self.pairs is not None and num_paired:
            parts.append(self._crops(self.pairs, num_paired, generator).split(3, dim=1))
        if self.photographs is not None and num_paired < config.batch:
            bright = self._crops(self.photographs, config.batch - num_paired, generator)
            parts.append((bright, self._darkened(bright, generator)))
        scene, y = (torch.cat(pictures) for pictures in zip(*parts, strict=True))
        return Sample(scene, LowLightPhysics(3, (scene.shape[2], scene.shape[3])), y)

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        pairs = None if self.pairs is None else self.pairs.to(device)
        return type(self)(self.config, pairs, None if self.photographs is None else self.photographs.to(device))

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        counts = {"pairs": self.pairs, "photographs": self.photographs}
        return {name: 0 if drawn is None else len(drawn) for name, drawn in counts.items()}

    def _crops(self, pictures: Photographs, batch: int, generator: torch.Generator) -> Tensor:
        height, width = self.config.crop
        return pictures.crops(batch, height, width, generator, zoom=self.config.zoom)

    def _darkened(self, bright: Tensor, generator: torch.Generator) -> Tensor:
        """Every sample by an exposure, a gamma and a noise of its own, in 8 bits."""
        config, device = self.config, bright.device
        draws = torch.rand(4, len(bright), 1, 1, 1, device=device, generator=generator)
        least, most = (math.log(exposure) for exposure in config.exposures)
        exposure = torch.exp(least + (most - least) * draws[0])
        gamma = config.gammas[0] + (config.gammas[1] - config.gammas[0]) * draws[1]
        electrons = config.fewest_electrons / draws[2].clamp(min=0.02)
        clean = exposure * bright**gamma
        y = torch.poisson(clean * electrons, generator=generator) / electrons
        noise = torch.randn(y.shape, device=device, generator=generator)
        y = y + config.largest_read_noise * draws[3].square() * noise
        return torch.round(255 * y.clamp(0, 1)) / 255


DATA = LowLightData


def new_sampling(data: LowLightData) -> None:
    """Light is sought with the scene, not learned."""


def training_set(material: Material, data: LowLightData, *, bands: str = "", step: float = 0.0) -> TrainingSet:
    """Crops of pairs and of darkened photographs; validation decodes the real pictures of pairs that are held out.

    Without pairs the pictures themselves are darkened, and those kept back validate.
    """
    pairs = sorted(
        pairs_among((*material.pictures, *material.validation), "lowlight"), key=lambda pair: _order(pair[0])
    )
    config = {"paired": bool(pairs)}
    folders = picture_files(material.photographs)
    if not pairs:
        sampler = LowLightSampler(data, None, photographs_for((*material.pictures, *folders), data.crop))
        windows = whole_windows(material.validation[: data.validation_photographs])
        return TrainingSet(sampler, [(windows, _simulated)], config)
    held_out = [pair for pair in pairs if pair[1].stem in data.validation] or pairs[len(pairs) - len(pairs) // 10 - 1 :]
    learned = [pair for pair in pairs if pair not in held_out]
    if not learned:
        raise FileError(f"All of the {len(pairs)} pairs are held out. Give more pairs, or hold fewer of them out.")
    photographs = photographs_for(folders, data.crop) if folders else None
    windows = [Window(bright.stem, open_scene(bright, OpenOptions(task="lowlight"))) for _, bright in held_out]
    sampler = LowLightSampler(data, stacked([_stacked(*pair) for pair in learned]), photographs)
    return TrainingSet(sampler, [(windows, partial(_taken, dark={bright: low for low, bright in held_out}))], config)


def _order(path: Path) -> tuple[int, str]:
    """By the numbers that files are called after, else by their names."""
    return (int(path.stem) if path.stem.isdigit() else -1, path.name)


def _stacked(dark: Path, bright: Path) -> Tensor:
    """(6, H, W) uint8: the bright picture, and behind it the dark one."""
    from PIL import Image

    pictures: list[np.ndarray] = []
    for path in (bright, dark):
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB"))[:_HEIGHT, :_WIDTH])
    if pictures[0].shape != pictures[1].shape:
        raise FileError(
            f"{dark} and {bright} have different sizes; a pair shows the same scene pixel by pixel. Leave it out."
        )
    return torch.from_numpy(np.concatenate(pictures, axis=2).transpose(2, 0, 1).copy())


def _taken(scene: Scene, adapters: AdapterSet, *, dark: Mapping[Path, Path]) -> Measurement:
    """The real dark picture of a scene."""
    assert scene.path is not None
    return measured_beside(dark[scene.path], scene.path, OpenOptions(task="lowlight"))


def _simulated(scene: Scene, adapters: AdapterSet) -> Measurement:
    return LowLightCamera().measured(scene)

"""Training samples from a user's own scenes, measured by the camera that a set is adapted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..decoding.evaluate import Window
from ..errors import LorunError
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..task import TASKS
from ..tasks import cs
from ..tasks.camera import Camera
from .composed_scenes import Composer
from .dataset import Sample, TrainingSet
from .dead_leaves import colour_pictures, dead_leaves, smooth_spectra
from .own_files import LocalFile, OwnFiles
from .photographs import cut, random_frames
from .settings import LocalData

_BUILT_IN = 24  # pictures
_BUILT_IN_CHECK = 3


def own_scene_set(
    files: Sequence[LocalFile],
    data: LocalData,
    reading: OwnFiles,
    config: Mapping[str, Any],
    channels: int,
    *,
    seed: int,
) -> TrainingSet:
    """Crops of the scenes measured by the camera; validation measures windows of those that are withheld."""
    camera = reading.camera
    channels, is_photograph = camera.channels(channels), TASKS[camera.task].is_photograph
    by_use: dict[str, list[Scene]] = {"learn": [], "check": []}
    for file in files:
        by_use[file.use].append(_in_channels(reading.scene(file), channels))
    checked = [(scene.path.stem if scene.path else "scene", scene) for scene in by_use["check"]]
    composer = None
    if not is_photograph and (data.built_in or not checked):
        composer = Composer(dead_leaves(_BUILT_IN, seed=seed), smooth_spectra(_bands_of(camera, channels), seed=seed))
    if not checked:
        checked = _built_in_checks(camera, composer, channels)
    sampler = _scene_sampler(by_use["learn"], data, camera, composer if data.built_in else None, channels, seed=seed)

    def measured(scene: Scene, adapters: AdapterSet) -> Measurement:
        own = adapters.sampling
        return camera.measured(scene, seed=1, sampling=None if own is None else own.detach().cpu().numpy())

    return TrainingSet(sampler, [(_check_windows(checked, data, camera), measured)], config)


@dataclass(frozen=True)
class SceneSampler:
    """Crops of scenes (C, H, W) in 0..1, measured by one camera; `composer` computes scenes for CASSI."""

    data: LocalData
    camera: Camera
    scenes: tuple[Tensor, ...]
    shares: Tensor  # (number of scenes,): how often each is drawn
    composer: Composer | None

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch; the generator lives on the sampler's device."""
        height, width = self.camera.crop(self.data.crop)
        scene = self._scenes(height, width, generator)
        physics = self.camera.physics(scene, generator, other_masks=self.data.random_masks)
        y, noise = self.camera.taken(scene, physics, generator)
        return Sample(scene, physics, y, noise=noise)

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        composer = self.composer
        if composer is not None:
            composer = Composer(composer.photographs.to(device), composer.spectra.to(device))
        scenes = tuple(scene.to(device) for scene in self.scenes)
        return type(self)(self.data, self.camera, scenes, self.shares.to(device), composer)

    def summary(self) -> Mapping[str, object]:
        """What it draws from."""
        computed = 0 if self.composer is None else len(self.composer.photographs)
        return {"scenes": len(self.scenes), "computed pictures": computed}

    def _scenes(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """(B, C, height, width): crops of the scenes, a share of them computed."""
        batch, device = self.data.batch, generator.device
        computed = torch.rand(batch, device=device, generator=generator) < self.data.built_in
        if self.composer is None:
            return self._crops(height, width, generator)
        crops = self._crops(height, width, generator) if self.scenes else None
        composed = self.composer.scenes(batch, height, width, generator)
        return composed if crops is None else torch.where(computed[:, None, None, None], composed, crops)

    def _crops(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Turned, mirrored and zoomed crops; cubes are relit in half of the cases, and exposed differently."""
        device, batch = generator.device, self.data.batch
        picks = torch.multinomial(self.shares, batch, replacement=True, generator=generator).tolist()
        crops = []
        for pick in picks:
            scene = self.scenes[pick]
            size = torch.tensor([scene.shape[1:]], device=device)
            frames = random_frames(size, height, width, generator, zoom=self.data.zoom)
            crops.append(cut(scene[None], frames))
        scene = torch.cat(crops).clamp(0, 1)
        if TASKS[self.camera.task].is_photograph:
            return scene
        draws = torch.rand(3, batch, 1, 1, 1, device=device, generator=generator)
        ramp = torch.linspace(-1, 1, scene.shape[1], device=device)[None, :, None, None]
        scene = scene * torch.exp((draws[0] - 0.5) * 1.2 * (draws[1] < 0.5) * ramp)
        peak = scene.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
        return scene * torch.minimum(torch.exp((draws[2] - 0.6) * 1.6), 1 / peak)


def _scene_sampler(
    scenes: Sequence[Scene], data: LocalData, camera: Camera, composer: Composer | None, channels: int, *, seed: int
) -> SceneSampler:
    """Own scenes are drawn by their areas; computed pictures make a share `built_in`."""
    images = [torch.from_numpy(scene.image) for scene in scenes]
    areas = torch.tensor([float(image[0].numel()) for image in images])
    shares = areas / areas.sum().clamp(min=1)
    if TASKS[camera.task].is_photograph and data.built_in:
        pictures = colour_pictures(dead_leaves(_BUILT_IN, seed=seed))
        images += [torch.from_numpy(_in_channels(Scene(picture.numpy()), channels).image) for picture in pictures]
        shares = torch.cat([(1 - data.built_in) * shares, torch.full((_BUILT_IN,), data.built_in / _BUILT_IN)])
    if not images and composer is None:
        raise LorunError("There are no scenes to learn from. Give some with --data, or a share of built-in ones.")
    return SceneSampler(data, camera, tuple(images), shares, composer)


def _bands_of(camera: Camera, num_bands: int) -> np.ndarray:
    """The camera's wavelengths, or some that could be."""
    return np.linspace(450, 650, num_bands) if camera.wavelengths_nm is None else camera.wavelengths_nm


def _in_channels(scene: Scene, channels: int) -> Scene:
    """A picture as grey or in colour, as the network takes it; cubes as they are."""
    if len(scene.image) == channels:
        return scene
    image = cs.luma(scene.image) if channels == 1 else np.repeat(scene.image, channels, axis=0)
    return replace(scene, image=image)


def _built_in_checks(camera: Camera, composer: Composer | None, channels: int) -> list[tuple[str, Scene]]:
    """Computed scenes that are never drawn from, for a training without files."""
    pictures = dead_leaves(_BUILT_IN_CHECK, height=128, width=288, seed=987)
    if composer is None:
        images = [_in_channels(Scene(picture.numpy()), channels).image for picture in colour_pictures(pictures)]
    else:
        composed = Composer(pictures, composer.spectra)
        images = [
            composed.scenes(1, 128, 256, torch.Generator().manual_seed(n))[0].numpy() for n in range(_BUILT_IN_CHECK)
        ]
    return [(f"computed {number}", Scene(image, camera.wavelengths_nm)) for number, image in enumerate(images, 1)]


def _check_windows(checked: Sequence[tuple[str, Scene]], data: LocalData, camera: Camera) -> list[Window]:
    """At most `check_windows` windows, from the middle of every scene in turn."""
    high, wide = camera.crop(data.check_size)
    windows = []
    for name, scene in checked[: data.check_windows]:
        height, width = scene.image.shape[1:]
        y, x = max(0, height - high) // 2, max(0, width - wide) // 2
        part = np.ascontiguousarray(scene.image[:, y : y + high, x : x + wide])
        windows.append(Window(name, replace(scene, image=part)))
    return windows

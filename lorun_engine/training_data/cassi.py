"""Training samples for CASSI, drawn on the fly on the device: scenes, masks, noise and the measurement they give.

Real cubes and composed scenes (see `composed_scenes`) are mixed; masks are crops of measured ones and random patterns;
rows are independent in the physics, so crops are strips, short across the dispersion and long along it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoding.evaluate import Window, at_wavelengths_near, cave_border, cut_windows
from ..errors import LorunError
from ..instrument import Dispersion
from ..io import WAVELENGTHS, OpenOptions, open_companion, open_scene
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..tasks.cassi import CassiCamera, CassiPhysics
from ..tasks.noise import Noise
from .composed_scenes import Composer, read_spectra
from .dataset import Material, Sample, TrainingSet
from .guides import GuideCameras
from .photographs import cut, picture_files, random_frames, read_photographs
from .settings import CassiData

_OTHER_STEPS = (1.0, 3.0, 4.0)
_LARGEST_STRETCH, _LARGEST_MOVE = 0.2, 0.1  # of the spectra of measured scenes: logarithm, share of the bands
_HALF_STEP = 128 / 65535


@dataclass(frozen=True)
class CassiSampler:
    """Draws samples. All real cubes lie one below the other in a `canvas` (C, H, W); `origins` are their first rows."""

    config: CassiData
    step: float
    canvas: Tensor
    origins: Tensor  # (N,)
    sizes: Tensor  # (N, 2): height, width
    shares: Tensor  # (N,)
    masks: tuple[Tensor, ...]  # (H, W) each
    composer: Composer | None
    guides: GuideCameras | None = None

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch; the generator lives on the sampler's device."""
        (height, width), batch = self.config.crop, self.config.batch
        scene = self._real(generator)
        if self.composer is not None and self.config.real_share < 1:
            composed = self.composer.scenes(batch, height, width, generator)
            real = torch.rand(batch, 1, 1, 1, device=scene.device, generator=generator) < self.config.real_share
            scene = torch.where(real, scene, composed)
        mask, dispersion = self._masks(generator), Dispersion(scene.shape[1], self._step(generator))
        y = CassiPhysics(self._actual(mask, generator), dispersion).forward(scene)
        y = self._noisy(y, generator)
        if self.config.mask_error:
            draw = torch.rand(batch, 1, 1, 1, device=y.device, generator=generator)
            error = self.config.mask_error * (2 * draw - 1).clamp(min=0)
            mask = mask * (1 + error * torch.randn(mask.shape, device=y.device, generator=generator))
        guide = None if self.guides is None else self.guides.guide(scene, generator)
        return Sample(scene, CassiPhysics(mask, dispersion, guide=guide), y)

    def to(self, device: torch.device | str) -> Self:
        """The same sampler on another device."""
        composer = self.composer
        if composer is not None:
            composer = Composer(composer.photographs.to(device), composer.spectra.to(device))
        return replace(
            self,
            canvas=self.canvas.to(device),
            origins=self.origins.to(device),
            sizes=self.sizes.to(device),
            shares=self.shares.to(device),
            masks=tuple(mask.to(device) for mask in self.masks),
            composer=composer,
            guides=None if self.guides is None else self.guides.to(device),
        )

    def summary(self) -> Mapping[str, object]:
        """Counts of what the samples are drawn from, and the names of the sets of spectra."""
        composer = self.composer
        return {
            "cubes": len(self.sizes),
            "masks": len(self.masks),
            "photographs": 0 if composer is None else len(composer.photographs),
            "reflectances": 0 if composer is None else len(composer.spectra.reflectances),
            "lights": 0 if composer is None else len(composer.spectra.lights),
            "spectra_sets": [] if composer is None else list(composer.spectra.names),
        }

    def _real(self, generator: torch.Generator) -> Tensor:
        """Crops of measured cubes, turned, mirrored, zoomed; half of them relit; a quarter the mean of two scenes."""
        (height, width), batch = self.config.crop, self.config.batch
        device = self.canvas.device
        which = torch.multinomial(self.shares, batch, replacement=True, generator=generator)
        frames = random_frames(self.sizes[which], height, width, generator, zoom=self.config.zoom)
        frames = frames + F.pad(self.origins[which][:, None, None, None], (1, 0))  # rows move down, columns stay
        scene = cut(self.canvas.expand(batch, -1, -1, -1), frames)
        ramp = torch.linspace(-1, 1, scene.shape[1], device=device)[None, :, None, None]
        draws = torch.rand(4, batch, 1, 1, 1, device=device, generator=generator)
        tilt, exposure = (draws[0] - 0.5) * 1.2 * (draws[1] < 0.5), torch.exp((draws[2] - 0.6) * 1.6)
        scene = scene * torch.exp(tilt * ramp)
        if self.config.varied:
            scene = self._varied(scene, generator)
        peak = scene.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
        scene = scene * torch.minimum(exposure, 1 / peak)
        return torch.where(draws[3] < 0.25, 0.5 * (scene + scene.roll(1, dims=0)), scene)

    def _varied(self, scene: Tensor, generator: torch.Generator) -> Tensor:
        """A share of the scenes with their spectra moved and stretched along the bands and under another light."""
        batch, num_bands = scene.shape[:2]
        draws = torch.rand(3, batch, 1, device=scene.device, generator=generator)
        middle, bands = (num_bands - 1) / 2, torch.arange(num_bands, device=scene.device)
        stretch = torch.exp((draws[0] - 0.5) * 2 * _LARGEST_STRETCH)
        sources = middle + (bands - middle) * stretch + (draws[1] - 0.5) * 2 * _LARGEST_MOVE * num_bands
        sources = sources.clamp(0, num_bands - 1)
        weights = (1 - (sources[:, :, None] - bands).abs()).clamp(min=0)  # (B, C, C): linear interpolation
        if self.composer is not None:
            weights = weights * self.composer.relights(batch, generator)[:, :, None]
        varied = torch.einsum("bnc,bchw->bnhw", weights, scene)
        return torch.where(draws[2, :, :, None, None] < self.config.varied, varied, scene)

    def _masks(self, generator: torch.Generator) -> Tensor:
        """(B, 1, h, w): crops of measured masks, upright or turned, or random binary and grey patterns."""
        (height, width), batch = self.config.crop, self.config.batch
        device = self.canvas.device
        masks = _random_masks(batch, height, width, self.config.densities, device, generator)
        if not self.masks:
            return masks
        which = torch.randint(len(self.masks), (batch, 1, 1, 1), device=device, generator=generator)
        upright = torch.rand(batch, 1, 1, 1, device=device, generator=generator) < self.config.upright_masks
        measured = torch.zeros_like(masks)
        for index, mask in enumerate(self.masks):
            size = torch.tensor(mask.shape, device=device).expand(batch, -1)
            turned = random_frames(size, height, width, generator)
            start = torch.rand(batch, 2, device=device, generator=generator)
            start = (start * (size.flip(1) - torch.tensor([width, height], device=device) + 1).clamp(min=1)).floor()
            y, x = torch.meshgrid(
                torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
            )
            straight = torch.stack([x, y], dim=-1) + start[:, None, None, :]
            crop = cut(mask.expand(batch, 1, -1, -1), torch.where(upright, straight, turned))
            measured = torch.where(which == index, crop, measured)
        chosen = torch.rand(batch, 1, 1, 1, device=device, generator=generator) < self.config.measured_masks
        return torch.where(chosen, measured, masks)

    def _actual(self, mask: Tensor, generator: torch.Generator) -> Tensor:
        """The mask that the light goes through where calibration is off for a share of the samples."""
        config, batch = self.config, len(mask)
        if not config.displaced_share:
            return mask
        draws = torch.rand(4, batch, 1, 1, 1, device=mask.device, generator=generator)
        moved = _displaced(mask, (2 * draws[:2] - 1) * config.largest_shift, 0.1 + draws[2] * config.largest_blur)
        return torch.where(draws[3] < config.displaced_share, moved, mask)

    def _step(self, generator: torch.Generator) -> float:
        """The set's own dispersion step, or for a share of the batches another one."""
        if not self.config.other_steps:
            return self.step
        draw, pick = torch.rand(2, device=generator.device, generator=generator).tolist()
        return _OTHER_STEPS[int(pick * len(_OTHER_STEPS))] if draw < self.config.other_steps else self.step

    def _noisy(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """y with Gaussian or shot noise of a random level, or none."""
        config, batch = self.config, len(y)
        if not (config.gaussian_share or config.shot_share):
            return y
        kind, level = torch.rand(2, batch, 1, 1, 1, device=y.device, generator=generator)
        normal = torch.randn(y.shape, device=y.device, generator=generator)
        gaussian = y + config.largest_sigma * level * normal
        peak = y.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        electrons = config.fewest_electrons * torch.exp(level * 5)  # up to 150 times as many
        shot = torch.poisson(y.clamp(min=0) * (electrons / peak), generator=generator) * (peak / electrons)
        y = torch.where(kind < config.gaussian_share, gaussian, y)
        return torch.where(kind > 1 - config.shot_share, shot, y)


DATA = CassiData


def new_sampling(data: CassiData) -> None:
    """A mask is given, not learned."""


def training_set(material: Material, data: CassiData, *, bands: str, step: float) -> TrainingSet:
    """The samples, and validation windows measured with the first mask; `bands` names a shipped wavelength list."""
    wavelengths_nm = np.asarray(WAVELENGTHS[bands])
    sampler, windows = cassi_sampler(material, data, wavelengths_nm=wavelengths_nm, step=step)
    mask = sampler.masks[0].numpy() if sampler.masks else None
    noises = [None, Noise("shot", data.validation_electrons)] if data.validation_electrons else [None]

    camera = CassiCamera(
        mask=mask, dispersion=Dispersion(len(wavelengths_nm), step), guide="rgb" if data.guided else ""
    )

    def measured(scene: Scene, adapters: AdapterSet, *, noise: Noise | None) -> Measurement:
        return replace(camera, noise=noise).measured(scene)

    validation = [(windows, partial(measured, noise=noise)) for noise in noises]
    config = camera.task_config({"wavelengths_nm": list(WAVELENGTHS[bands]), "step": step})
    return TrainingSet(sampler, validation, config)


def cassi_sampler(
    material: Material, config: CassiData, *, wavelengths_nm: np.ndarray, step: float
) -> tuple[CassiSampler, list[Window]]:
    """The sampler over the training parts of the material, on the CPU, and the validation windows that are left out."""
    held_out = dict(name.partition(":")[::2] for name in config.validation)
    if held_out and not any(path.stem in held_out for path, _ in material.cubes):
        held_out = {material.cubes[-1][0].stem: "lower"}  # other data than the recipe knows
    training, windows = [], []
    for path, share in material.cubes:
        scene = _read_cube(path, wavelengths_nm)
        part = held_out.get(path.stem)
        width = scene.image.shape[2]
        border = cave_border(width) if "CAVE" in scene.source and width == 512 else 0
        if part is None:
            training.append((scene.image[:, :, border:], share))
            continue
        half = scene.image.shape[1] // 2 if part == "lower" else 0
        if half:
            training.append((scene.image[:, :half, border:], share))
        kept = Scene(np.ascontiguousarray(scene.image[:, half:]), scene.wavelengths_nm, scene.source, scene.path)
        windows += cut_windows(kept, name=path.stem, score_crop=(border, 0, 0, 0))
    if 0 < config.validation_windows < len(windows):
        windows = [windows[i] for i in np.linspace(0, len(windows) - 1, config.validation_windows).round().astype(int)]
    composer = None
    if material.spectra is not None and material.photographs and config.real_share < 1:
        photographs = read_photographs(picture_files(material.photographs)[: config.photographs])
        composer = Composer(photographs, read_spectra(material.spectra, wavelengths_nm))
    if not training:
        raise LorunError("Every cube is held out for validation. Add cubes, or name fewer in the recipe's validation.")
    canvas, origins, sizes = _canvas([image for image, _ in training], config.crop)
    pixels = torch.tensor([image.shape[1] * image.shape[2] * share for image, share in training])
    masks = tuple(_pattern(path) for path in material.masks)
    guides = GuideCameras.at(wavelengths_nm) if config.guided else None
    return CassiSampler(config, step, canvas, origins, sizes, pixels, masks, composer, guides), windows


def _read_cube(path: Path, wavelengths_nm: np.ndarray) -> Scene:
    """The cube at the task's bands; its ends are repeated a little beyond."""
    scene = open_scene(path, OpenOptions())
    if path.stem.endswith("_8bit") or "_8bit_" in path.stem:  # the high byte of 16 bits: without steps
        steps = np.random.default_rng(0).uniform(-_HALF_STEP, _HALF_STEP, scene.image.shape)
        scene = replace(scene, image=(scene.image + steps).clip(0, 1).astype(np.float32))
    return at_wavelengths_near(scene, wavelengths_nm)


def _pattern(path: Path) -> Tensor:
    """The (H, W) pattern of a mask file; of one per band, the first band's."""
    mask = torch.from_numpy(open_companion(path, "mask", OpenOptions(task="cassi")))
    return mask if mask.ndim == 2 else mask[0]


def _canvas(images: Sequence[np.ndarray], crop: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """All cubes one below the other, small ones mirrored up to the crop; (C, H, W), first rows, (height, width)."""
    side = max(crop)
    grown = [_mirrored(_mirrored(image, 1, side), 2, side) for image in images]
    width = max(image.shape[2] for image in grown)
    canvas = np.zeros((grown[0].shape[0], sum(image.shape[1] for image in grown), width), dtype=np.float32)
    origins, row = [], 0
    for image in grown:
        canvas[:, row : row + image.shape[1], : image.shape[2]] = image
        origins.append(row)
        row += image.shape[1]
    sizes = torch.tensor([image.shape[1:] for image in grown])
    return torch.from_numpy(canvas), torch.tensor(origins), sizes


def _mirrored(image: np.ndarray, axis: int, length: int) -> np.ndarray:
    """The image continued by its mirror images along `axis` until it has at least `length` pixels."""
    missing = length - image.shape[axis]
    if missing <= 0:
        return image
    padding = [(0, 0)] * image.ndim
    padding[axis] = (0, missing)
    return np.pad(image, padding, mode="symmetric")


def _random_masks(
    batch: int,
    height: int,
    width: int,
    densities: tuple[float, float],
    device: torch.device,
    generator: torch.Generator,
) -> Tensor:
    """(B, 1, h, w) patterns: binary of any density with features of 1 or 2 pixels, a third of them grey."""
    draws = torch.rand(4, batch, 1, 1, 1, device=device, generator=generator)
    fine = torch.rand(batch, 1, height, width, device=device, generator=generator)
    coarse = torch.rand(batch, 1, height // 2 + 1, width // 2 + 1, device=device, generator=generator)
    coarse = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[..., :height, :width]
    pattern = torch.where(draws[0] < 0.3, coarse, fine)
    binary = (pattern < densities[0] + (densities[1] - densities[0]) * draws[1]).float()
    grey = pattern ** (0.5 + draws[3])
    return torch.where(draws[2] < 0.33, grey, binary)


def _displaced(mask: Tensor, shift: Tensor, blur: Tensor) -> Tensor:
    """A (B, 1, h, w) mask moved by `shift` (2, B, 1, 1, 1) and blurred by `blur` (B, 1, 1, 1), both within 2 pixels."""
    batch = len(mask)
    taps = torch.arange(-2, 3, device=mask.device, dtype=mask.dtype)
    kernels = torch.exp(-((taps + shift.reshape(2, batch, 1)) / blur.reshape(batch, 1)).square() / 2)  # (2, B, 5)
    rows, columns = kernels / kernels.sum(dim=2, keepdim=True)
    padded = F.pad(mask.transpose(0, 1), (2, 2, 2, 2), mode="reflect")
    kernels = rows[:, None, :, None] * columns[:, None, None, :]
    return F.conv2d(padded, kernels, groups=batch).transpose(0, 1)

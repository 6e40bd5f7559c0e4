"""Training scenes composed on the fly: photographs whose regions carry measured reflectances under measured lights.

A composed scene is synthetic. A photograph gives the layout, the texture and the shading; every region, found by colour
and brightness, gets a material from measured reflectance sets (each set weighted on its own, as their sizes differ a
hundredfold), or all regions get theirs from the pixels of one measured scene, as those belong together; the whole scene
has one light. Everything is drawn anew for every crop and computed for a batch at once on the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import FileError
from ..io import read
from ..measurement import require_rising
from .folders import found_in
from .photographs import Photographs

# share of the draws a set gets; sets that are not named get 1. artist_paints (CC BY-NC-SA) is left out.
SET_WEIGHTS: Mapping[str, float] = {
    "munsell_matte_1269": 2.0,
    "sfu_surfaces_1995": 3.0,
    "vrhel_objects_170": 3.0,
    "textile_paper_pantone": 3.0,
    "cie224_ces_99": 2.0,
    "organ_tissue_6529": 0.5,
    "artist_paints": 0.0,
    "skin_71": 0.5,
    "pigments_chsos": 0.5,
}
_MATERIALS = 10  # regions of a scene, at most
_LOG_SHARPNESS = (1.5, 4.4)  # of their edges
_SMOOTH = 5  # pixels over which regions are found
_LARGEST_POWER = 3.0  # of a reflectance
_GAMMA = 2.2  # of the photographs
_ZOOM = (0.4, 1.3)  # pixels of a photograph per pixel of a scene
_SCENE_SHARE = 0.5  # of the composed scenes whose materials come from one measured scene
_SCENE_PIXELS = 100  # a name that so many spectra share is that of a scene, not of a material
_TINTED_SHARE = 0.6  # of the composed scenes within whose regions spectra vary as the photograph's colours do
_LARGEST_TINT = 0.8  # power of those colours
_LARGEST_RATIO = 8.0  # of one measured light to another, where a measured scene is relit


@dataclass(frozen=True)
class Spectra:
    """Measured reflectances (N, C) and lights (M, C) at the bands of the task, with each row's share of the draws.

    `scenes` (S, 2) are the first row and the number of the rows of reflectances that are pixels of one scene each.
    """

    reflectances: Tensor
    reflectance_shares: Tensor
    lights: Tensor
    light_shares: Tensor
    names: tuple[str, ...]
    scenes: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.long))

    def to(self, device: torch.device | str) -> Self:
        """The same spectra on another device."""
        return type(self)(
            self.reflectances.to(device),
            self.reflectance_shares.to(device),
            self.lights.to(device),
            self.light_shares.to(device),
            self.names,
            self.scenes.to(device),
        )


def read_spectra(folder: Path, wavelengths_nm: np.ndarray) -> Spectra:
    """The spectra files of `folder`, interpolated linearly to the bands; files named illuminant_* are lights."""
    reflectances, lights = [], []
    names, scenes, num_rows = [], [], 0
    for path in found_in(folder, (".h5", ".hdf5"), is_deep=False).files:
        if SET_WEIGHTS.get(path.stem, 1.0) == 0:
            continue
        arrays = {found.key: found.array for found in read(path)}
        rows = np.asarray(arrays["spectra"], dtype=np.float64)
        own = np.asarray(arrays["wavelengths_nm"], dtype=np.float64)
        require_rising(own, f"spectra in {path.name}")
        bands = np.stack([np.interp(wavelengths_nm, own, row) for row in rows]).astype(np.float32)
        names.append(path.stem)
        share = np.full(len(bands), SET_WEIGHTS.get(path.stem, 1.0) / len(bands), dtype=np.float32)
        if path.stem.startswith("illuminant"):
            lights.append((bands, share))
            continue
        reflectances.append((bands, share))
        scenes += [(num_rows + first, count) for first, count in _scenes_of(path)]
        num_rows += len(bands)
    if not reflectances or not lights:
        raise FileError(f"{folder} holds no measured reflectances and lights. Give the folder with the spectra files.")
    surfaces, surface_shares = _joined(reflectances)
    sources, source_shares = _joined(lights)
    lit = sources.mean(dim=1) > 1e-6
    return Spectra(
        surfaces.clamp(0, 1),
        surface_shares,
        sources[lit].clamp(min=0),
        source_shares[lit],
        tuple(names),
        torch.tensor(scenes, dtype=torch.long).reshape(-1, 2),
    )


def _scenes_of(path: Path) -> list[tuple[int, int]]:
    """The first row and the number of rows of every scene whose name many neighbouring spectra of a file share."""
    import h5py

    with h5py.File(path, "r") as file:
        names = [str(name) for name in file["names"][:]] if "names" in file else []
    found, first = [], 0
    for _, rows in groupby(names):
        count = len(list(rows))
        if count >= _SCENE_PIXELS:
            found.append((first, count))
        first += count
    return found


def _joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    bands, shares = zip(*parts, strict=True)
    return torch.from_numpy(np.concatenate(bands)), torch.from_numpy(np.concatenate(shares))


@dataclass(frozen=True)
class Composer:
    """Draws scenes from photographs and spectra, both on the device of the draws."""

    photographs: Photographs
    spectra: Spectra

    def scenes(self, batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """(batch, C, height, width) float32 in [0, 1]."""
        crops = self.photographs.crops(batch, height, width, generator, zoom=_ZOOM, whole=0.3)
        linear = crops**_GAMMA
        luminance = linear.mean(dim=1, keepdim=True)  # (B, 1, h, w)
        regions = self._regions(linear, luminance, generator)  # (B, N, h, w), sums to 1
        materials = self._materials(batch, generator)  # (B, N, C)
        spectra = torch.einsum("bnhw,bnc->bchw", regions, materials)
        scene = spectra * self._shading(luminance, generator) * self._tint(linear, luminance, generator)
        scene = scene + self._highlights(luminance, generator)
        scene = scene * self._lights(batch, generator)[:, :, None, None]
        return _exposed(scene, generator)

    def relights(self, batch: int, generator: torch.Generator) -> Tensor:
        """(batch, C): what turns one measured light into another, of mean 1."""
        before, after = self._lights(2 * batch, generator).chunk(2)
        ratio = (after / before.clamp(min=1e-3)).clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO)
        return ratio / ratio.mean(dim=1, keepdim=True)

    def _regions(self, linear: Tensor, luminance: Tensor, generator: torch.Generator) -> Tensor:
        """Soft membership of every pixel in 3 to _MATERIALS regions around the colours of random pixels."""
        batch, _, height, width = linear.shape
        chroma = linear / (linear.sum(dim=1, keepdim=True) + 0.02)
        features = torch.cat([chroma * 6, torch.log(luminance + 0.02) * 0.5], dim=1)
        # materials change less often than the light on them; where they do, half of the scenes keep sharp edges
        smooth = F.avg_pool2d(F.pad(features, (_SMOOTH // 2,) * 4, mode="replicate"), _SMOOTH, stride=1)
        sharp = _uniform((batch, 1, 1, 1), 0.0, 1.0, linear.device, generator) < 0.5
        features = torch.where(sharp, features, smooth).flatten(2)  # (B, 4, h w)
        picks = torch.randint(height * width, (batch, 1, _MATERIALS), device=linear.device, generator=generator)
        centres = features.gather(2, picks.expand(-1, 4, -1))  # (B, 4, N)
        distances = torch.cdist(centres.transpose(1, 2), features.transpose(1, 2))  # (B, N, h w)
        sharpness = torch.exp(_uniform((batch, 1, 1), *_LOG_SHARPNESS, linear.device, generator))
        number = _uniform((batch, 1, 1), 3.0, _MATERIALS + 1.0, linear.device, generator).floor()
        absent = torch.arange(_MATERIALS, device=linear.device)[:, None] >= number  # (B, N, 1)
        logits = (-sharpness * distances.square()).masked_fill(absent, -math.inf)
        return F.softmax(logits, dim=1).reshape(batch, _MATERIALS, height, width)

    def _materials(self, batch: int, generator: torch.Generator) -> Tensor:
        """(B, N, C) reflectances, half of them mixtures of two; brought to a peak between dark and white.

        Measured sets hold more pale samples than scenes do; a power of a reflectance, as a dye of several times the
        concentration has it (Lambert and Beer), makes them as colourful.
        """
        first, second = self.spectra.reflectances[self._picks(batch, generator)]
        share = (_uniform((batch, _MATERIALS, 1), 0.0, 2.0, first.device, generator) - 1).clamp(min=0) * 0.5
        mixed = (1 - share) * first + share * second
        mixed = mixed ** _uniform((batch, _MATERIALS, 1), 1.0, _LARGEST_POWER, first.device, generator)
        # A saturated material keeps its shape: only a part of its own brightness counts, the photograph gives the rest.
        own = _uniform((batch, 1, 1), 0.3, 0.9, first.device, generator)
        return torch.div(mixed, torch.pow(mixed.amax(dim=2, keepdim=True).clamp(min=0.05), own))

    def _picks(self, batch: int, generator: torch.Generator) -> Tensor:
        """(2, B, N) rows of the reflectances: of all sets, or for a share of the scenes of one measured scene."""
        shares, scenes = self.spectra.reflectance_shares, self.spectra.scenes
        picks = torch.multinomial(shares, 2 * batch * _MATERIALS, replacement=True, generator=generator)
        picks = picks.reshape(2, batch, _MATERIALS)
        if not len(scenes):
            return picks
        which = torch.randint(len(scenes), (batch,), device=shares.device, generator=generator)
        first, count = scenes[which].T[:, None, :, None]
        draws = torch.rand(picks.shape, device=shares.device, generator=generator, dtype=torch.float64)
        together = torch.rand(batch, 1, device=shares.device, generator=generator) < _SCENE_SHARE
        return torch.where(together, first + (draws * count).long(), picks)

    def _tint(self, linear: Tensor, luminance: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, h, w): how the photograph's colours vary the spectra within regions, as dyes and reflections do."""
        batch, num_bands = len(linear), self.spectra.reflectances.shape[1]
        tinted = _uniform((batch, 1, 1, 1), 0.0, 1.0, linear.device, generator) < _TINTED_SHARE
        power = _uniform((batch, 1, 1, 1), 0.0, _LARGEST_TINT, linear.device, generator) * tinted
        ratio = ((linear + 0.02) / (luminance + 0.02)) ** power  # (B, 3, h, w): red, green, blue
        centres = torch.tensor([0.85, 0.5, 0.15], device=linear.device)
        bands = torch.linspace(0, 1, num_bands, device=linear.device)
        lobes = F.softmax(-((bands[:, None] - centres).square()) / 0.02, dim=1)  # (C, 3)
        return torch.einsum("nc,bchw->bnhw", lobes, ratio)

    def _shading(self, luminance: Tensor, generator: torch.Generator) -> Tensor:
        """The photograph's light and shade, of varied contrast; some scenes fall off into a black background."""
        batch = len(luminance)
        contrast = _uniform((batch, 1, 1, 1), 0.05, 0.9, luminance.device, generator)
        level = luminance.flatten(1).quantile(0.5, dim=1).reshape(-1, 1, 1, 1)
        dark = _uniform((batch, 1, 1, 1), 0.0, 1.0, luminance.device, generator) < 0.4
        background = torch.sigmoid((luminance / (level + 1e-3) - 0.7) * 8)
        return (luminance + 1e-3) ** contrast * torch.where(dark, background, torch.ones_like(background))

    def _highlights(self, luminance: Tensor, generator: torch.Generator) -> Tensor:
        """A colourless reflection of the light at the brightest parts, in a quarter of the scenes."""
        batch = len(luminance)
        strength = (_uniform((batch, 1, 1, 1), -3.0, 1.0, luminance.device, generator)).clamp(min=0) * 0.3
        peak = luminance.amax(dim=(2, 3), keepdim=True) + 1e-3
        return strength * (luminance / peak) ** 8

    def _lights(self, batch: int, generator: torch.Generator) -> Tensor:
        """(B, C) lights of mean 1: mostly smooth (measured daylight and lamps pulled towards a line), seldom spiky."""
        device = self.spectra.lights.device
        picks = torch.multinomial(self.spectra.light_shares, batch, replacement=True, generator=generator)
        measured = self.spectra.lights[picks]
        measured = measured / measured.mean(dim=1, keepdim=True)
        ramp = torch.linspace(-1, 1, measured.shape[1], device=device)
        slope, bend = _uniform((2, batch, 1), -0.7, 0.7, device, generator)
        smooth = torch.exp(slope * ramp + bend * (ramp.square() - 0.33))
        spiky = (_uniform((batch, 1), 0.0, 1.0, device, generator) - 0.5).clamp(min=0) * 1.2
        light = smooth * measured**spiky
        return light / light.mean(dim=1, keepdim=True)


def _exposed(scene: Tensor, generator: torch.Generator) -> Tensor:
    """The scene at a random exposure, clipped to [0, 1]: its brightest pixels (99.5 %) between 0.2 and 1."""
    brightest = scene.amax(dim=1).flatten(1)[:, ::7].quantile(0.995, dim=1).clamp(min=1e-4)
    target = torch.exp(_uniform((len(scene),), -1.6, 0.0, scene.device, generator))
    return (scene * (target / brightest)[:, None, None, None]).clamp(0, 1)


def _uniform(
    shape: tuple[int, ...], low: float, high: float, device: torch.device, generator: torch.Generator
) -> Tensor:
    return low + (high - low) * torch.rand(shape, device=device, generator=generator)

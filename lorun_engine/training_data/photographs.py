"""Photographs for training, and random crops of images: turned, mirrored, zoomed, cut out for a batch at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoding.evaluate import Window
from ..errors import FileError
from ..io import OpenOptions, open_scene
from ..tasks import cs
from .folders import PICTURES, found_in


@dataclass(frozen=True)
class Photographs:
    """Pictures of any sizes up to the largest: `pixels` (N, C, H, W) uint8, `sizes` (N, 2) height and width.

    C is 3, or 6 where every one has another behind it, pixel by pixel.
    """

    pixels: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def crops(
        self,
        batch: int,
        height: int,
        width: int,
        generator: torch.Generator,
        *,
        zoom: tuple[float, float] = (1.0, 1.0),
        whole: float = 0.5,
    ) -> Tensor:
        """(batch, C, height, width) float32 in [0, 1]: see `random_frames`."""
        index = torch.randint(len(self), (batch,), device=self.pixels.device, generator=generator)
        pictures = self.pixels[index].float() / 255  # (B, C, H, W)
        frames = random_frames(self.sizes[index], height, width, generator, zoom=zoom, whole=whole)
        return cut(pictures, frames).clamp(0, 1)

    def to(self, device: torch.device | str) -> Self:
        """The same photographs on another device."""
        return type(self)(self.pixels.to(device), self.sizes.to(device))


def picture_files(folders: Iterable[Path]) -> list[Path]:
    """The pictures below some folders, by the names of their files."""
    return sorted(path for folder in folders for path in found_in(Path(folder), PICTURES).files)


def read_photographs(
    paths: Sequence[Path], *, height: int = 321, width: int = 481, least: int | None = None
) -> Photographs:
    """The pictures of some files, upright ones turned, cut to at most height x width pixels.

    Those with a side below `least` pixels are left out; without it those that are smaller than height x width.
    """
    from PIL import Image

    fewest = (height, width) if least is None else (least, least)
    photographs = []
    for path in paths:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        if pixels.shape[0] > pixels.shape[1]:
            pixels = pixels.swapaxes(0, 1)
        if pixels.shape[0] >= fewest[0] and pixels.shape[1] >= fewest[1]:
            photographs.append(torch.from_numpy(pixels[:height, :width].transpose(2, 0, 1).copy()))
    if not photographs:
        raise FileError(f"None of {len(paths)} pictures has at least {fewest[1]} x {fewest[0]} pixels. Give others.")
    return stacked(photographs)


def stacked(pictures: Sequence[Tensor]) -> Photographs:
    """Pictures (C, H, W) uint8 of different sizes as one."""
    sizes = torch.tensor([picture.shape[1:] for picture in pictures])
    rows, columns = sizes.amax(dim=0).tolist()
    padded = [F.pad(p, (0, columns - p.shape[2], 0, rows - p.shape[1])) for p in pictures]
    return Photographs(torch.stack(padded), sizes)


def cut(images: Tensor, frames: Tensor) -> Tensor:
    """(B, C, h, w): bilinear samples of images (B, C, H, W) at `frames` (B, h, w, 2), pixel coordinates (x, y)."""
    size = torch.tensor([images.shape[3] - 1, images.shape[2] - 1], device=images.device, dtype=frames.dtype)
    return F.grid_sample(images, frames * (2 / size) - 1, padding_mode="reflection", align_corners=True)


def random_frames(
    sizes: Tensor,
    height: int,
    width: int,
    generator: torch.Generator,
    *,
    zoom: tuple[float, float] = (1.0, 1.0),
    whole: float = 0.5,
) -> Tensor:
    """(B, height, width, 2) pixel coordinates (x, y) of one crop an image: turned by quarters, mirrored, zoomed.

    `sizes` (B, 2) are the images' heights and widths. `zoom` bounds the image pixels per crop pixel; a share `whole` of
    the crops uses whole pixels (a zoom of 1). Where that does not fit into an image the crop is zoomed in.
    """
    batch, device = len(sizes), sizes.device
    draws = torch.rand(6, batch, device=device, generator=generator)
    scale = torch.exp(torch.lerp(draws.new_tensor(zoom[0]).log(), draws.new_tensor(zoom[1]).log(), draws[0]))
    scale = torch.where(draws[1] < whole, torch.ones_like(scale), scale)
    turned = draws[2] < 0.5
    extents = torch.tensor([[height, width], [width, height]], device=device)[turned.long()]  # along y and x
    scale = torch.minimum(scale, ((sizes - 1) / (extents - 1).clamp(min=1)).amin(dim=1))[:, None, None]
    rows = (torch.arange(height, device=device)[None, :, None] * scale).expand(-1, -1, width)
    columns = (torch.arange(width, device=device)[None, None, :] * scale).expand(-1, height, -1)
    turned = turned[:, None, None]
    y, x = torch.where(turned, columns, rows), torch.where(turned, rows, columns)
    coordinates = []
    for along, size, draw, mirror in ((x, sizes[:, 1], draws[3], draws[4]), (y, sizes[:, 0], draws[5], None)):
        slack = (size - 1 - along.amax(dim=(1, 2))).clamp(min=0)
        start = draw * slack
        start = torch.where(scale[:, 0, 0] == 1, start.floor(), start)[:, None, None]
        along = along + start
        if mirror is not None:
            along = torch.where((mirror < 0.5)[:, None, None], size[:, None, None] - 1 - along, along)
        coordinates.append(along)
    return torch.stack(coordinates, dim=-1)


def luma(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W)."""
    return torch.einsum("c,bchw->bhw", pictures.new_tensor(cs.LUMA), pictures)[:, None]


def photographs_for(paths: Sequence[Path], crop: tuple[int, int]) -> Photographs:
    """The pictures that are large enough for the crop."""
    return read_photographs(paths, least=min(max(crop), 321))


def whole_windows(paths: Sequence[Path]) -> list[Window]:
    """Every picture as one window of a validation."""
    return [Window(path.stem, open_scene(path, OpenOptions())) for path in paths]

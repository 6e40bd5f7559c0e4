"""Photographs for training, and crops: whole pixels where asked, never beside the picture, of any size of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lorun_engine.errors import FileError
from lorun_engine.training_data.photographs import cut, picture_files, random_frames, read_photographs


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def folder(tmp_path) -> Path:
    Image.fromarray(np.full((30, 20, 3), 9, dtype=np.uint8)).save(tmp_path / "a_upright.png")
    Image.fromarray(np.full((24, 34, 3), 7, dtype=np.uint8)).save(tmp_path / "b_wide.png")
    Image.fromarray(np.full((10, 30, 3), 5, dtype=np.uint8)).save(tmp_path / "c_small.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_whole_crops_are_pixels_of_the_image(generator):
    image = torch.arange(12 * 20.0).reshape(1, 1, 12, 20)
    sizes = torch.tensor([[12, 20]]).expand(32, -1)
    crops = cut(image.expand(32, -1, -1, -1), random_frames(sizes, 4, 7, generator, whole=1.0))
    torch.testing.assert_close(crops, crops.round(), atol=1e-3, rtol=0)
    steps = crops.diff(dim=-1).round().abs().unique()
    assert set(steps.tolist()) == {1.0, 20.0}  # upright crops step along rows, turned ones along columns


@pytest.mark.parametrize("zoom", [(0.5, 0.9), (1.0, 3.0)])
def test_crops_never_leave_the_image(generator, zoom):
    sizes = torch.tensor([[12, 20], [40, 9], [30, 30]]).repeat(20, 1)
    frames = random_frames(sizes, 8, 9, generator, zoom=zoom, whole=0.3)
    x, y = frames.flatten(1, 2).unbind(-1)
    assert (x >= 0).all() and (y >= 0).all()
    assert (x <= sizes[:, 1:] - 1 + 1e-4).all() and (y <= sizes[:, :1] - 1 + 1e-4).all()


def test_photographs_are_turned_and_cut_to_one_shape_and_small_ones_left_out(folder):
    photographs = read_photographs(picture_files([folder]), height=20, width=30)
    assert photographs.pixels.shape == (2, 3, 20, 30) and photographs.sizes.tolist() == [[20, 30]] * 2
    assert photographs.pixels.amax(dim=(1, 2, 3)).tolist() == [9, 7]
    with pytest.raises(FileError, match="None of 3 pictures"):
        read_photographs(picture_files([folder]), height=200, width=300)


def test_pictures_of_several_sizes_give_crops_of_their_own_pixels_only(folder, generator):
    photographs = read_photographs(picture_files([folder]), height=200, width=300, least=20)
    assert photographs.sizes.tolist() == [[20, 30], [24, 34]]
    crops = photographs.crops(64, 16, 18, generator, zoom=(0.7, 1.2))
    assert crops.shape == (64, 3, 16, 18)
    values = (crops * 255).amax(dim=(1, 2, 3)).round().unique().tolist()
    assert values == [7, 9] and torch.allclose(crops.amin(dim=(1, 2, 3)), crops.amax(dim=(1, 2, 3)))

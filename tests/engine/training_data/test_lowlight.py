"""Low-light samples: pairs stay pairs, photographs are darkened, and whole scenes are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lorun_engine.errors import FileError
from lorun_engine.training_data.dataset import find_material
from lorun_engine.training_data.lowlight import training_set
from lorun_engine.training_data.settings import LowLightData

DATA = LowLightData(crop=(16, 16), batch=8, zoom=(1.0, 1.0), validation=("3",))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twelve pairs, the dark picture a quarter of the bright one, and two photographs beside them."""
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        bright = 4 * rng.integers(0, 60, (40, 48, 3), dtype=np.uint8)
        for name, pixels in (("low", bright // 4), ("high", bright)):
            place = tmp_path / "light" / "train" / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    photographs = tmp_path / "images" / "train"
    photographs.mkdir(parents=True)
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(photographs / f"p{number}.png")
    return tmp_path / "light"


def test_pairs_are_cut_alike_and_the_named_one_validates(folder):
    drawn = training_set(find_material(folder, task="lowlight"), DATA)
    assert drawn.sampler.summary() == {"pairs": 11, "photographs": 2}
    ((windows, measure),) = drawn.validation
    assert [window.name for window in windows] == ["3"]
    dark = measure(windows[0].scene, None)
    np.testing.assert_allclose(dark.y * 4, dark.reference, atol=1e-6)

    only_pairs = training_set(find_material(folder, task="lowlight"), LowLightData(**{**vars(DATA), "paired": 1.0}))
    sample = only_pairs.sampler.sample(torch.Generator().manual_seed(1))
    assert sample.scene.shape == sample.y.shape == (8, 3, 16, 16)
    torch.testing.assert_close(4 * sample.y, sample.scene, atol=1e-5, rtol=0)


def test_the_last_tenth_of_the_pairs_in_the_order_of_their_numbers_validates_where_none_is_named(folder):
    drawn = training_set(find_material(folder, task="lowlight"), LowLightData(**{**vars(DATA), "validation": ()}))
    ((windows, _),) = drawn.validation
    assert [window.name for window in windows] == ["11", "12"]


def test_photographs_are_darkened_in_8_bits_and_validate_where_there_are_no_pairs(folder):
    data = LowLightData(**{**vars(DATA), "exposures": (0.2, 0.2), "gammas": (1.0, 1.0), "largest_read_noise": 0.0})
    material = find_material(folder.parent / "images" / "train", task="lowlight")
    assert material.photographs == ()
    drawn = training_set(material, LowLightData(**{**vars(data), "fewest_electrons": 1e9}))
    sample = drawn.sampler.sample(torch.Generator().manual_seed(1))
    torch.testing.assert_close(sample.y, torch.round(255 * 0.2 * sample.scene) / 255, atol=1 / 255, rtol=0)
    torch.testing.assert_close(255 * sample.y, (255 * sample.y).round())
    ((windows, measure),) = drawn.validation
    assert len(windows) == 1 and measure(windows[0].scene, None).y.mean() < windows[0].scene.image.mean()


def test_pairs_of_different_sizes_are_refused(folder):
    Image.new("RGB", (30, 40)).save(folder / "train" / "low" / "5.png")
    with pytest.raises(FileError, match="different sizes"):
        training_set(find_material(folder, task="lowlight"), DATA)

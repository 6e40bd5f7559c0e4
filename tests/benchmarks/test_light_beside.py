"""Scenes that go on beside the field of view: the first and last columns with and without the light from there.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_light_beside.py -s -m benchmark

A window of 128 x 256 pixels is cut out of a larger simulated capture (mask half open, sigma 0.01), so that the bands of
what lies beside it fall on its ends; PSNR over the 54 columns at each end and over the middle, and of a closed field.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from app.resources import resource_path
from lorun_engine.decoding.metrics import psnr
from lorun_engine.decoding.restore import restore
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, open_scene
from lorun_engine.io.light_beside import light_beside
from lorun_engine.library.model import open_decoder
from lorun_engine.measurement import Measurement
from lorun_engine.tasks.cassi import CassiPhysics, random_mask
from lorun_engine.tasks.shear import disperse

pytestmark = pytest.mark.benchmark

NM = np.asarray(WAVELENGTHS["cassi-28"])
HEIGHT, WIDTH, SPAN = 128, 256, 54
SCENES = ("cave_pompoms", "cave_stuffed_toys")


def in_28_bands(path: Path) -> np.ndarray:
    """(28, H, W) in 0..1 of the upper half of a cube."""
    scene = open_scene(path)
    after = np.searchsorted(scene.wavelengths_nm, NM).clip(1, len(scene.wavelengths_nm) - 1)
    low, high = scene.wavelengths_nm[after - 1], scene.wavelengths_nm[after]
    share = ((NM - low) / (high - low)).astype(np.float32)[:, None, None]
    cube = ((1 - share) * scene.image[after - 1] + share * scene.image[after])[:, : scene.image.shape[1] // 2]
    return np.clip(cube / np.percentile(cube, 99.9), 0, 1)


@pytest.mark.parametrize("name", ["gap-tv", "cassi-any-mask"])
def test_columns_beside_which_the_scene_goes_on(name):
    folder = Path(os.environ.get("LORUN_DATA", "")) / "cassi" / "train"
    if not folder.is_dir():
        pytest.skip("LORUN_DATA names no folder with cubes")
    dispersion, rows = Dispersion(len(NM)), []
    for scene in SCENES:
        cube = in_28_bands(folder / f"{scene}.h5")
        height, width = cube.shape[1:]
        top, left = (height - HEIGHT) // 2, (width - WIDTH) // 2
        whole_mask, part = random_mask(height, width, seed=3), np.s_[..., top : top + HEIGHT, left : left + WIDTH]
        truth, mask = cube[part], whole_mask[part]
        whole = disperse(torch.from_numpy(whole_mask * cube)[None], dispersion, (height, width + SPAN))[0].numpy()
        lit = whole[..., top : top + HEIGHT, left : left + WIDTH + SPAN]
        closed = disperse(torch.from_numpy(mask * truth)[None], dispersion, (HEIGHT, WIDTH + SPAN))[0].numpy()
        noise = np.random.default_rng(3).normal(0, 0.01, lit.shape).astype(np.float32)
        lit, closed = lit + noise, closed + noise
        freed = lit - light_beside(lit[0], mask, dispersion.offsets, "x")
        rows.append([scores(name, y, mask, dispersion, truth) for y in (lit, freed, closed)])
    print(f"\n{name}: PSNR (dB) of the first columns, the middle, the last columns")
    for title, row in zip(("kept", "subtracted", "closed field"), np.mean(rows, axis=0), strict=True):
        print(f"{title:14s}" + "".join(f"{value:8.2f}" for value in row), flush=True)


def scores(name: str, y: np.ndarray, mask: np.ndarray, dispersion: Dispersion, truth: np.ndarray) -> list[float]:
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask)), dispersion)
    measurement = Measurement(
        "cassi", y=np.ascontiguousarray(y, np.float32), physics=physics, wavelengths_nm=NM, input_scale=1.0
    )
    decoder = open_decoder(name, library=[resource_path("weights")], task="cassi").fitted(measurement)
    *_, last = restore(decoder, measurement)
    parts = (slice(0, SPAN), slice(SPAN, -SPAN), slice(-SPAN, None))
    return [float(psnr(last.image[..., part], truth[..., part])) for part in parts]

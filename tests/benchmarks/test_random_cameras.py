"""Subspace TV beside GAP-TV on random cameras: masks, densities, bands, steps, directions and noise drawn with a seed.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_random_cameras.py -s -m benchmark

CAMERAS names another number of cameras than 200.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from lorun_engine.decoding.evaluate import at_wavelengths
from lorun_engine.decoding.metrics import psnr_per_band
from lorun_engine.decoding.restore import restore
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, open_scene
from lorun_engine.tasks.cassi import simulate
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.subspace_tv import SubspaceTv

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
SCENES = ("cave_pompoms", "cave_stuffed_toys", "cave_paints_8bit", "cave_sponges_8bit", "cave_fake_and_real_sushi_8bit")
SIZE = (64, 80)


def camera(scenes, draws: np.random.Generator):
    """A measurement of a part of a scene by a camera of `draws`, and what it is in words."""
    scene = scenes[draws.integers(len(scenes))]
    num_bands = int(draws.integers(8, 41))
    low, high = sorted(draws.uniform(400, 700, 2))
    if high - low < 120:
        low, high = 430.0, 680.0
    top, left = (int(draws.integers(4, room - size)) for room, size in zip(scene.image.shape[1:], SIZE, strict=True))
    part = scene.image[:, top : top + SIZE[0], left : left + SIZE[1]]
    part = at_wavelengths(replace(scene, image=np.ascontiguousarray(part)), np.linspace(low, high, num_bands))
    density = draws.uniform(0.05, 0.95)
    mask = (draws.random(SIZE) < density).astype(np.float32)
    if draws.random() < 0.3:
        mask *= draws.uniform(0.2, 1, SIZE).astype(np.float32)
    step = float(draws.choice([1, 2, 2, 3, 4, round(draws.uniform(1, 4), 2)]))
    dispersion = Dispersion(num_bands, step, str(draws.choice(["x", "y"])), str(draws.choice(["+", "-"])))
    electrons = 50 * 10 ** draws.uniform(0, 3)
    noise = None if draws.random() < 0.3 else Noise("shot", electrons)
    words = (
        f"{num_bands} bands, step {step:g}{dispersion.direction}{dispersion.axis}, density {density:.2f}, {noise or ''}"
    )
    return simulate(part, mask, dispersion, noise=noise, seed=int(draws.integers(2**31))), words


def test_no_random_camera_is_decoded_worse_than_by_gap_tv(lorun_data):
    torch.set_num_threads(int(os.environ.get("THREADS", torch.get_num_threads())))
    scenes = [open_scene(lorun_data / "cassi" / "train" / f"{name}.h5", OpenOptions()) for name in SCENES]
    draws, gains = np.random.default_rng(20261129), []
    for number in range(int(os.environ.get("CAMERAS", "200"))):
        measurement, words = camera(scenes, draws)
        figures = []
        for decoder in (GapTv(), SubspaceTv()):
            *_, last = restore(decoder.fitted(measurement), measurement)
            assert np.isfinite(last.image).all(), words
            figures.append(psnr_per_band(last.image.clip(0, 1), measurement.reference))
        gains.append(figures[1] - figures[0])
        if gains[-1] < 1:
            print(f"camera {number}: gap-tv {figures[0]:.2f} dB, subspace-tv {figures[1]:.2f} dB: {words}", flush=True)
    quantiles = np.quantile(gains, [0, 0.05, 0.5, 0.95, 1])
    print(f"\ngain over gap-tv on {len(gains)} cameras, least, 5 %, median, 95 %, most: {np.round(quantiles, 2)} dB")
    assert min(gains) > -0.2

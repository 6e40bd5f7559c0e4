"""How sets trained at a dispersion step of 2 pixels decode at others, beside subspace TV with as many iterations.

LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_other_steps.py -s -m benchmark
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.decoding.evaluate import at_wavelengths_near
from lorun_engine.decoding.metrics import psnr_per_band
from lorun_engine.decoding.restore import restore
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, OpenOptions, open_companion, open_scene
from lorun_engine.library.model import Model, open_decoder
from lorun_engine.tasks.cassi import simulate
from lorun_engine.tasks.noise import Noise

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
WEIGHTS = Path(__file__).resolve().parents[2] / "resources" / "weights"
BANDS = np.asarray(WAVELENGTHS["cassi-28"])
SETS = ("cassi-any-mask", "cassi-tsa-real", "cassi-smem-real")
STEPS = (2, 0.25, 0.5, 1, 1.5, 3, 4, 6, 8)
ROWS = {"cave_feathers_crop150": 40, "cave_paints_8bit": 100, "cave_sponges_8bit": 220, "cave_stuffed_toys": 330}
HEIGHT, WIDTH = 64, 128


def windows(folder: Path):
    """The middle columns of HEIGHT rows of every scene that is held out."""
    for name, top in ROWS.items():
        scene = open_scene(folder / f"{name}.h5")
        left = (scene.image.shape[2] - WIDTH) // 2
        part = np.ascontiguousarray(scene.image[:, top : top + HEIGHT, left : left + WIDTH])
        yield at_wavelengths_near(replace(scene, image=part), BANDS)


def decoders():
    """Subspace TV, and the sets as if they knew no step, so that none is refused."""
    yield open_decoder("subspace-tv", library=[])
    for name in SETS:
        model = open_decoder(name, library=[WEIGHTS], task="cassi")
        assert isinstance(model, Model)
        yield replace(model, card={**model.card, "task_config": {"wavelengths_nm": list(BANDS)}})


def test_sets_serve_other_steps(lorun_data):
    scenes = list(windows(lorun_data / "cassi" / "train"))
    mask = open_companion(lorun_data / "cassi" / "mask_sim_256.mat", "mask", OpenOptions(task="cassi"))[64:128, 64:192]
    known, cameras = list(decoders()), [(f"{step:g}", Dispersion(28, step), False) for step in STEPS]
    cameras += [("2, direction -", Dispersion(28, direction="-"), False), ("2, bands reversed", Dispersion(28), True)]
    for label, dispersion, is_reversed in cameras:
        for noise in (None, Noise("shot", 500)):
            figures = []
            for decoder in known:
                found = []
                for scene in scenes:
                    if is_reversed:  # and no wavelengths that would tell it
                        scene = replace(scene, image=scene.image[::-1].copy(), wavelengths_nm=None)
                    measured = simulate(scene, mask, dispersion, noise=noise, seed=1)
                    num_stages = None if isinstance(decoder, Model) else 16
                    *_, last = restore(decoder, replace(measured, reference=None), num_stages=num_stages)
                    found.append(psnr_per_band(np.clip(last.image, 0, 1), scene.image))
                figures.append(f"{decoder.name} {np.mean(found):.2f}")
            print(f"step {label}, noise {noise or 'none'}: {', '.join(figures)} dB")

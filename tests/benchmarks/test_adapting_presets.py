"""What the preset "quick" gains on drawn cameras, five a task, with the data that comes with the program.

    python -m pytest tests/benchmarks/test_adapting_presets.py -s -m benchmark

CAMERAS names another number of cameras than five, MINUTES what a training may take (three numbers: CASSI, CS, SR).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from app.resources import resource_path
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, open_scene, write_measurement
from lorun_engine.measurement import Scene
from lorun_engine.tasks import sr
from lorun_engine.tasks.cassi import CassiCamera, random_mask
from lorun_engine.tasks.kernels import gallery
from lorun_engine.tasks.noise import Noise
from lorun_engine.training_data.composed_scenes import Composer
from lorun_engine.training_data.dead_leaves import dead_leaves, smooth_spectra

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
ROOT = Path(__file__).parents[2]
MINUTES = dict(zip(("cassi", "cs", "sr"), os.environ.get("MINUTES", "2.03,1.2,1.5").split(","), strict=True))
FLAGS = list[str | Path]


def snapshot_camera(folder: Path, draws: np.random.Generator) -> tuple[str, FLAGS]:
    """A capture of computed scenes by a drawn camera, in words, and the flags that adapt a set to it."""
    bands, seed = WAVELENGTHS["cassi-28"], int(draws.integers(2**31))
    composer = Composer(dead_leaves(2, height=256, width=256, seed=seed), smooth_spectra(bands, seed=seed))
    scene = composer.scenes(1, 256, 256, torch.Generator().manual_seed(seed))[0].numpy()
    density, electrons = draws.uniform(0.1, 0.8), 50 * 10 ** draws.uniform(0, 2)
    dispersion = Dispersion(len(bands), float(draws.choice([1, 2, 3])), direction=str(draws.choice(["+", "-"])))
    mask = random_mask(256, 256, density=density, seed=seed)
    noise = Noise("shot", round(electrons))
    capture = CassiCamera(noise, mask=mask, dispersion=dispersion).measured(Scene(scene, bands), seed=seed)
    write_measurement(folder / "capture.h5", capture, attributes={})
    words = f"density {density:.2f}, step {dispersion.direction}{dispersion.step:g}, {noise}"
    return words, ["--adapt", "cassi-any-mask", "--like", folder / "capture.h5", "--noise", str(noise)]


def sampling_camera(folder: Path, draws: np.random.Generator) -> tuple[str, FLAGS]:
    """A ratio; its matrix is a new one."""
    ratio = round(draws.uniform(5, 50))
    return f"{ratio} %", ["--adapt", "cs-25", "--ratio", str(ratio)]


def small_picture_camera(folder: Path, draws: np.random.Generator) -> tuple[str, FLAGS]:
    """A picture of the sample's scene by a drawn blur and noise."""
    name, noise = str(draws.choice(sorted(gallery()))), Noise("gaussian", round(0.005 + 0.025 * draws.random(), 3))
    scene = open_scene(resource_path("samples", "sr.h5"))
    picture = sr.simulate(scene, gallery()[name], 2, noise=noise, seed=int(draws.integers(2**31)))
    write_measurement(folder / "picture.h5", picture, attributes={})
    return f"{name}, {noise}", ["--adapt", "sr-x2", "--like", folder / "picture.h5", "--noise", str(noise)]


CAMERAS = {"cassi": snapshot_camera, "cs": sampling_camera, "sr": small_picture_camera}


def scores(run: Path) -> list[tuple[float, float]]:
    """(minutes, PSNR) of every validation of a training, the first before its first step."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(event["elapsed_s"] / 60, event["psnr"]) for event in events if event["event"] == "validated"]


@pytest.mark.parametrize("task", CAMERAS)
def test_quick_on_drawn_cameras(task, tmp_path):
    draws, gains, limit = np.random.default_rng(41), [], float(MINUTES[task])
    for number in range(int(os.environ.get("CAMERAS", "5"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        words, flags = CAMERAS[task](folder, draws)
        command = [sys.executable, "-m", "app", "train", *map(str, flags), "--preset", "quick", "--out", folder / "run"]
        try:
            subprocess.run(command, cwd=ROOT, timeout=60 * limit + 60, stdout=subprocess.DEVNULL, check=True)
        except subprocess.TimeoutExpired:
            pass  # its validations until then are in its folder
        (_, before), *later = scores(folder / "run")
        psnr, minutes = max((psnr, minutes) for minutes, psnr in later if minutes <= limit)
        gains.append(psnr - before)
        print(f"{task}, {words}: {before:.2f} -> {psnr:.2f} dB in {minutes:.1f} min", flush=True)
    print(f"{task}: gain in {limit:.1f} min: median {np.median(gains):.2f}, least {min(gains):.2f} dB")

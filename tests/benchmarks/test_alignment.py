"""Forty simulated captures and the real ones: how often their camera's errors are found and the verdict is right.

Run with `make bench`; LORUN_DATA names the cubes. Nothing here asserts a time.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.camera_checks.alignment import Alignment, align
from lorun_engine.camera_checks.remeasure import judge_camera
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, open_measurement, open_scene
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, simulate
from lorun_engine.tasks.noise import Noise
from lorun_engine.training_data.composed_scenes import Composer, read_spectra
from lorun_engine.training_data.photographs import picture_files, read_photographs

pytestmark = pytest.mark.benchmark

NUM_CAPTURES, SIZE, MARGIN = 40, 256, 8
BANDS = np.asarray(WAVELENGTHS["cassi-28"], dtype=np.float64)


def cube_windows(data: Path, generator: np.random.Generator):
    """Windows of the upper halves of two cubes at 28 bands, mirrored by chance."""
    cubes = []
    for name in ("cave_pompoms", "cave_stuffed_toys"):
        scene = open_scene(data / "cassi" / "train" / f"{name}.h5")
        own = np.linspace(400, 700, 31) if scene.wavelengths_nm is None else scene.wavelengths_nm
        upper = scene.image[:, :SIZE].reshape(len(scene.image), -1)
        bands = [[np.interp(nm, own, np.eye(len(own))[n]) for n in range(len(own))] for nm in BANDS]
        cubes.append((np.asarray(bands, np.float32) @ upper).reshape(28, SIZE, -1))
    while True:
        cube = cubes[generator.integers(2)]
        left = generator.integers(cube.shape[2] - SIZE + 1)
        yield cube[:, :, left : left + SIZE][..., :: generator.choice([-1, 1])]


def composed_scenes(data: Path):
    photographs = read_photographs(picture_files([data / "images" / "train" / "bsds500"])[:40])
    composer = Composer(photographs, read_spectra(data / "cassi" / "spectra", BANDS))
    draws = torch.Generator().manual_seed(5)
    while True:
        yield composer.scenes(1, SIZE, SIZE, draws)[0].numpy()


def captures(data: Path):
    """(scene, large mask, noise, seed) of forty captures: cubes and composed scenes, binary and grey masks, in turn."""
    generator = np.random.default_rng(11)
    sources = cube_windows(data, generator), composed_scenes(data)
    for seed in range(NUM_CAPTURES):
        image = np.ascontiguousarray(next(sources[seed % 2]), dtype=np.float32)
        mask = generator.random((SIZE + 2 * MARGIN,) * 2).astype(np.float32)
        if seed // 2 % 2 == 0:
            mask = (mask < 0.5).astype(np.float32)
        noise = Noise("shot", float(generator.choice([200, 500, 1000, 4000])))
        yield Scene(np.clip(image, 0, None), BANDS), mask, noise, seed


def window_of(mask: np.ndarray, shift_y: float = 0.0, shift_x: float = 0.0) -> np.ndarray:
    """The part of the large mask before the scene when the mask lies `shift` further down and right."""
    moved = ndimage.shift(mask, (shift_y, shift_x), order=1) if shift_y or shift_x else mask
    return np.ascontiguousarray(moved[MARGIN:-MARGIN, MARGIN:-MARGIN])


def taken(scene: Scene, seen: np.ndarray, true: Dispersion, noise: Noise, seed: int) -> np.ndarray:
    return simulate(scene, seen, true, noise=noise, seed=seed).y


def opened(y: np.ndarray, mask: np.ndarray, dispersion: Dispersion) -> Measurement:
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask)), dispersion, detector_shape=y.shape[1:])
    return Measurement(task="cassi", y=y, physics=physics, input_scale=1.0)


def found(measurement: Measurement) -> Alignment:
    return list(align(measurement))[-1]


def test_forty_captures_with_known_shifts(lorun_data):
    rng = np.random.default_rng(3)
    rows = []
    for scene, mask, noise, seed in captures(lorun_data):
        shift_y, shift_x, step = rng.uniform(-4, 4), rng.uniform(-4, 4), 2 + rng.uniform(-0.4, 0.4)
        direction, axis = "+-"[int(rng.integers(2))], "xy"[int(rng.integers(2))]
        y = taken(scene, window_of(mask, shift_y, shift_x), Dispersion(28, step, axis, direction), noise, seed)
        started = time.perf_counter()
        result = found(opened(y, window_of(mask), Dispersion(28, axis=axis)))
        best = result.best
        errors = abs(best.shift_y - shift_y), abs(best.shift_x - shift_x), abs(best.step - step)
        rows.append((max(errors[:2]), errors[2], not best.flip, result.direction == direction))
        print(
            f"{seed:2d} {noise!s:9s} errors {errors[0]:.3f} {errors[1]:.3f} px, step {errors[2]:.4f}, "
            f"direction {result.direction == direction} (margin {result.direction_margin:.2f}), explained "
            f"{result.explained:.3f} / {result.explained_by_chance:.4f}, {time.perf_counter() - started:.1f} s"
        )
    shift, step, frame, direction = (np.array(column) for column in zip(*rows, strict=True))
    print(f"\nshift within 0.25: {(shift < 0.25).sum()}, step within 0.02: {(step < 0.02).sum()} of {len(rows)}")
    print(f"no flip: {frame.sum()}, direction: {direction.sum()} of {len(rows)}")


def test_forty_verdicts_for_right_and_wrong_cameras(lorun_data):
    counts: dict[str, int] = {}
    right = Dispersion(28)
    for scene, mask, noise, seed in captures(lorun_data):
        y, own = taken(scene, window_of(mask), right, noise, seed), window_of(mask)
        sign = (-1) ** seed
        cases = {
            "right": (own, right),
            "one row off": (window_of(mask, shift_y=sign), right),
            "one column off": (window_of(mask, shift_x=sign), right),
            "step 0.1 off": (own, Dispersion(28, 2 + 0.1 * sign)),
            "flipped left-right": (own[:, ::-1], right),
            "flipped up-down": (own[::-1], right),
            "another mask": (np.random.default_rng(seed).random(own.shape).astype(np.float32), right),
        }
        for name, (used, dispersion) in cases.items():
            counts[name] = counts.get(name, 0) + (
                judge_camera(opened(y, used, dispersion)).is_fine == (name == "right")
            )
    for name, count in counts.items():
        print(f"{name}: verdict right in {count} of {NUM_CAPTURES}")


def test_real_captures(lorun_data):
    for path in sorted((lorun_data / "cassi" / "real" / "tsa_net").glob("scene*.mat")):
        measurement = open_measurement([path, path.with_name("mask.mat")])
        started = time.perf_counter()
        result = found(measurement)
        seconds = time.perf_counter() - started
        print(f"{path.stem}: {result.best}, {result.direction} ({result.direction_margin:.2f}),", end=" ")
        print(f"explained {result.explained:.3f}, opened {result.explained_as_opened:.3f}, {seconds:.1f} s")
        print(judge_camera(measurement).sentence)

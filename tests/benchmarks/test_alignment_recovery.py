"""Forty fresh noisy captures: how often the camera's errors are found, the verdict is right, and the direction told.

The scenes are windows of every measured cube, under measured lights; the masks are the two calibrated ones and random
ones. None of them was looked at when the search was tuned. Run with `make bench`; LORUN_DATA names the data. The counts
are printed; nothing here asserts a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from lorun_engine.camera_checks.alignment import Alignment, align
from lorun_engine.camera_checks.remeasure import judge_camera
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, open_companion, open_measurement, open_scene, read
from lorun_engine.io.options import OpenOptions
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, simulate
from lorun_engine.tasks.noise import Noise

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(0)]  # forty searches, however busy the machine

NUM_CAPTURES, SIZE, MARGIN = 40, 256, 8
BANDS = np.asarray(WAVELENGTHS["cassi-28"], dtype=np.float64)


@dataclass(frozen=True)
class Capture:
    """What one simulated exposure is made of; `mask` is larger than the scene by MARGIN on every side."""

    name: str
    scene: Scene
    mask: np.ndarray
    noise: Noise
    seed: int


def cubes(data: Path) -> dict[str, np.ndarray]:
    """Every cube for training at 28 bands, enlarged to at least SIZE; CAVE's border columns are left out."""
    found = {}
    for path in sorted([*(data / "cassi" / "train").glob("*.h5"), *(data / "cassi" / "train_other").glob("*.h5")]):
        scene = open_scene(path)
        own, image = scene.wavelengths_nm, scene.image[:, :, 4:] if "cave" in path.stem else scene.image
        bands = np.array([[np.interp(nm, own, line) for line in np.eye(len(own))] for nm in BANDS], np.float32)
        image = np.einsum("bc,chw->bhw", bands, image)
        larger = max(1.0, SIZE / min(image.shape[1:]))
        found[path.stem] = np.clip(ndimage.zoom(image, (1, larger, larger), order=1), 0, None)
    return found


def lights(data: Path) -> np.ndarray:
    """Measured lights (N, 28) of mean 1."""
    found = []
    for path in sorted((data / "cassi" / "spectra").glob("illuminant_daylight*.h5")):
        arrays = {entry.key: entry.array for entry in read(path)}
        own = np.asarray(arrays["wavelengths_nm"], dtype=np.float64)
        found += [np.interp(BANDS, own, row) for row in np.asarray(arrays["spectra"], dtype=np.float64)]
    found = np.array(found)
    return found / found.mean(axis=1, keepdims=True)


def masks(data: Path, generator: np.random.Generator, number: int) -> np.ndarray:
    """In turn the mask of the simulations, a window of the TSA-Net camera's, a random binary and a random grey one."""
    side = SIZE + 2 * MARGIN
    if number % 4 == 0:
        mask = open_companion(data / "cassi" / "mask_sim_256.mat", "mask", OpenOptions())
        return np.pad(mask, MARGIN, mode="reflect")
    if number % 4 == 1:
        mask = open_companion(data / "cassi" / "real" / "tsa_net" / "mask.mat", "mask", OpenOptions())
        top, left = generator.integers(0, np.array(mask.shape) - side)
        return mask[top : top + side, left : left + side]
    mask = generator.random((side, side)).astype(np.float32)
    return (mask < generator.uniform(0.35, 0.65)).astype(np.float32) if number % 4 == 2 else mask


def captures(data: Path, *, seed: int = 3201) -> Iterator[Capture]:
    generator = np.random.default_rng(seed)
    known, sources = lights(data), cubes(data)
    names = list(sources)
    for number in range(NUM_CAPTURES):
        name = names[number % len(names)]
        cube = sources[name]
        top, left = (int(generator.integers(length - SIZE + 1)) for length in cube.shape[1:])
        window = cube[:, top : top + SIZE, left : left + SIZE]
        window = np.rot90(window[..., :: generator.choice([-1, 1])], generator.integers(4), axes=(1, 2))
        window = window * known[generator.integers(len(known))][:, None, None]
        window = np.clip(window * (generator.uniform(0.5, 1) / np.percentile(window, 99.5)), 0, 1)
        noise = Noise("shot", float(np.exp(generator.uniform(np.log(150), np.log(6000)))))
        image = np.ascontiguousarray(window, dtype=np.float32)
        yield Capture(name, Scene(image, BANDS), masks(data, generator, number), noise, 7000 + number)


def window_of(mask: np.ndarray, shift_y: float = 0.0, shift_x: float = 0.0) -> np.ndarray:
    """The part of the large mask before the scene when the mask lies `shift` further down and right."""
    moved = ndimage.shift(mask, (shift_y, shift_x), order=1) if shift_y or shift_x else mask
    return np.ascontiguousarray(moved[MARGIN:-MARGIN, MARGIN:-MARGIN])


def opened(y: np.ndarray, mask: np.ndarray, dispersion: Dispersion) -> Measurement:
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask)), dispersion, detector_shape=y.shape[1:])
    return Measurement(task="cassi", y=y, physics=physics, wavelengths_nm=BANDS, input_scale=1.0)


def found(measurement: Measurement) -> Alignment:
    return list(align(measurement))[-1]


def test_forty_fresh_captures_with_known_shifts(lorun_data):
    draws, rows = np.random.default_rng(3202), []
    for capture in captures(lorun_data):
        shift_y, shift_x, step = draws.uniform(-4, 4), draws.uniform(-4, 4), 2 + draws.uniform(-0.4, 0.4)
        direction, axis = "+-"[int(draws.integers(2))], "xy"[int(draws.integers(2))]
        seen = window_of(capture.mask, shift_y, shift_x)
        y = simulate(
            capture.scene, seen, Dispersion(28, step, axis, direction), noise=capture.noise, seed=capture.seed
        ).y
        started = time.perf_counter()
        result = found(opened(y, window_of(capture.mask), Dispersion(28, axis=axis)))
        seconds, best = time.perf_counter() - started, result.best
        errors = max(abs(best.shift_y - shift_y), abs(best.shift_x - shift_x)), abs(best.step - step)
        rows.append((errors[0] < 0.25, errors[1] < 0.02, not best.flip, result.direction == direction, seconds < 60))
        rows[-1] += (all(rows[-1]),)
        print(
            f"{capture.name:24s} {capture.noise!s:10.10s} shift {errors[0]:.3f} px, step {errors[1]:.4f}, direction "
            f"{'right' if rows[-1][3] else 'wrong'} ({result.direction_margin:.2f}), {seconds:.1f} s"
        )
    names = ("shift within 0.25", "step within 0.02", "no flip", "direction", "under 60 s", "all of it")
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        print(f"{name}: {sum(column)} of {len(rows)}")


def test_forty_fresh_verdicts_for_right_and_wrong_cameras(lorun_data):
    right, counts = Dispersion(28), {}
    for number, capture in enumerate(captures(lorun_data, seed=3203)):
        own, sign = window_of(capture.mask), (-1) ** number
        y = simulate(capture.scene, own, right, noise=capture.noise, seed=capture.seed).y
        off = {"shift_y": sign} if number // 2 % 2 else {"shift_x": sign}
        cases = {
            "right": (own, right),
            "one pixel off": (window_of(capture.mask, **off), right),
            "step 0.1 off": (own, Dispersion(28, 2 + 0.1 * sign)),
            "flipped": (own[:, ::-1] if number // 2 % 2 else own[::-1], right),
        }
        for name, (used, dispersion) in cases.items():
            is_right = judge_camera(opened(y, used, dispersion)).is_fine == (name == "right")
            counts[name] = counts.get(name, 0) + is_right
            if not is_right:
                print(f"wrong: {name}, {capture.name}, {capture.noise}")
    for name, count in counts.items():
        print(f"{name}: verdict right in {count} of {NUM_CAPTURES}")


def test_the_real_captures_lie_where_they_were_calibrated(lorun_data):
    for path in sorted((lorun_data / "cassi" / "real" / "tsa_net").glob("scene*.mat")):
        started = time.perf_counter()
        result = found(open_measurement([path, path.with_name("mask.mat")]))
        best, seconds = result.best, time.perf_counter() - started
        print(
            f"{path.stem}: {best.shift_y:+.2f} rows, {best.shift_x:+.2f} columns, step {best.step:.3f}, direction "
            f"{result.direction} ({result.direction_margin:.2f}), {seconds:.1f} s"
        )

"""Real captures: the error at withheld pixels of the detector, of a set and of GAP-TV, and how the residual looks.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_withheld_pixels.py -s -m benchmark

LORUN_SETS names other sets than cassi-any-mask, separated by commas.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.resources import resource_path
from lorun_engine.camera_checks.remeasure import LAGS, autocorrelation
from lorun_engine.decoder import Decoder, scale_for
from lorun_engine.decoding.restore import restore
from lorun_engine.io import OpenOptions, open_measurement
from lorun_engine.library.model import open_decoder
from lorun_engine.measurement import Measurement

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]

SHARE = 0.05  # of the pixels
CAMERAS = {
    "tsa_net": OpenOptions(),
    "smem": OpenOptions(num_bands=24, wavelengths="smem-24"),
}  # what the files do not say


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_error_at_withheld_pixels_of_real_captures(camera):
    folder = Path(os.environ.get("LORUN_DATA", "")) / "cassi" / "real" / camera
    if not folder.is_dir():
        pytest.skip("LORUN_DATA names no folder with the captures of this camera")
    names = ["gap-tv", *os.environ.get("LORUN_SETS", "cassi-any-mask").split(",")]
    print(f"\n{camera}: error at withheld pixels / at the others; autocorrelation at lags {LAGS} down and across")
    for path in sorted(path for path in folder.iterdir() if path.suffix == ".mat" and path.stem != "mask"):
        measurement = open_measurement([path, folder / "mask.mat"], CAMERAS[camera])
        is_withheld = np.random.default_rng(0).random(measurement.y.shape) < SHARE
        for name in names:
            decoder = open_decoder(name, library=[resource_path("weights")], task="cassi").fitted(measurement)
            residual = predicted(decoder, measurement, is_withheld)
            errors = [relative(residual, measurement.y, where) for where in (is_withheld, ~is_withheld)]
            lags = [autocorrelation(residual, axis=axis) for axis in (1, 2)]
            figures = "  ".join(" ".join(f"{value:+.2f}" for value in values) for values in lags)
            print(f"{path.stem:10s} {name:16s} {errors[0]:.4f} / {errors[1]:.4f}   {figures}", flush=True)


def predicted(decoder: Decoder, measurement: Measurement, is_withheld: np.ndarray) -> np.ndarray:
    """y - Phi x, (1, H', W') in the unit of the measurement, of an image that was decoded without some pixels."""
    seen, scale = torch.from_numpy(~is_withheld)[None].float(), scale_for(decoder, measurement)
    y, physics = measurement.y * seen[0].numpy(), measurement.physics.seeing(seen)
    *_, last = restore(decoder, replace(measurement, y=y, physics=physics, input_scale=scale, reference=None))
    return measurement.y - measurement.physics.forward(torch.from_numpy(last.image)[None])[0].numpy()


def relative(residual: np.ndarray, y: np.ndarray, where: np.ndarray) -> float:
    return float(np.linalg.norm(residual[where].astype(np.float64)) / np.linalg.norm(y[where].astype(np.float64)))

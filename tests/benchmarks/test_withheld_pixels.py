"""Real captures: the error at withheld pixels of the detector, of a set and of GAP-TV, and how the residual looks.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_withheld_pixels.py -s -m benchmark

LORUN_SETS names other sets than cassi-any-mask, separated by commas.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.resources import resource_path
from lorun_engine.camera_checks.remeasure import LAGS, autocorrelation
from lorun_engine.decoding.withholding import predict, random_share
from lorun_engine.io import OpenOptions, open_measurement
from lorun_engine.library.model import open_decoder

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]

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
        withheld = random_share(measurement)
        for name in names:
            decoder = open_decoder(name, library=[resource_path("weights")], task="cassi").fitted(measurement)
            prediction = predict(decoder, measurement, withheld)
            lags = [autocorrelation(prediction.residual, axis=axis) for axis in (1, 2)]
            figures = "  ".join(" ".join(f"{value:+.2f}" for value in values) for values in lags)
            print(
                f"{path.stem:10s} {name:16s} {prediction.withheld:.4f} / {prediction.seen:.4f}   {figures}", flush=True
            )

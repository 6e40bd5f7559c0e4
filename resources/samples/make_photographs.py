"""Writes cs.h5, sr.h5 and lowlight.h5, the samples of the other tasks: python -m resources.samples.make_photographs

All are made of the still life of cassi.h5 in its colours under daylight: compressive samples of its luma at 25 % by
the matrix that the shipped set cs-25 has learned, a blurred picture of half its size, and a picture in too little light
as the usual darkening makes it. Nothing is measured, nothing is taken from elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lorun_engine.colour import read_observer, to_srgb
from lorun_engine.io import open_scene, write_measurement
from lorun_engine.library.model import load_model
from lorun_engine.measurement import Scene
from lorun_engine.tasks import cs, sr
from lorun_engine.tasks.kernels import gaussian_kernel
from lorun_engine.tasks.lowlight import LowLightCamera

SCALE, WIDTH = 2, 1.6


def main() -> None:
    folder = Path(__file__).parent
    still_life = open_scene(folder / "cassi.h5")
    observer = read_observer(folder.parent / "colour" / "cie1931.csv")
    white = float(np.percentile(still_life.image, 99.5))
    pixels = to_srgb(still_life.image, still_life.wavelengths_nm, observer, white=white)
    picture = Scene(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / 255)
    origin = {"noise": "none", "source": "LoRun sample: a computed still life, made-up pigments"}
    learned = load_model(folder.parent / "weights" / "cs-25.safetensors").adapters.sampling
    write_measurement(folder / "cs.h5", cs.simulate(picture, learned.numpy()), attributes=origin)
    write_measurement(folder / "sr.h5", sr.simulate(picture, gaussian_kernel(WIDTH), SCALE), attributes=origin)
    darkened = {"noise": "as stated", "source": origin["source"]}
    write_measurement(folder / "lowlight.h5", LowLightCamera().measured(picture, seed=1), attributes=darkened)


if __name__ == "__main__":
    main()

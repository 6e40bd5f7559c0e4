"""Writes NAME.png beside every sample NAME.h5, the picture on its card: python -m resources.samples.make_pictures

The picture shows the sample's reference (a cube under D65 for the CIE 1931 observer), coarse pixels for the
low-resolution one, and the dark half of the one in low light beside its bright half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lorun_engine.colour import read_observer, to_srgb
from lorun_engine.io import open_measurement, open_scene


def main() -> None:
    folder = Path(__file__).parent
    observer = read_observer(folder.parent / "colour" / "cie1931.csv")
    for path in sorted(folder.glob("*.h5")):
        scene, measurement = open_scene(path), open_measurement([path])
        if measurement.task == "sr":  # every fourth pixel, to be seen as pixels
            coarse = np.round(measurement.y[:, ::4, ::4].transpose(1, 2, 0) * 255).astype(np.uint8)
            picture = coarse.repeat(8, axis=0).repeat(8, axis=1)
        elif measurement.task == "lowlight":
            halves = np.concatenate([measurement.y[..., :128], scene.image[..., 128:]], axis=-1)
            picture = np.round(halves.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
        elif scene.wavelengths_nm is None:  # a photograph
            picture = np.round(scene.image.transpose(1, 2, 0) * 255).astype(np.uint8).squeeze()
        else:
            white = float(np.percentile(scene.image, 99.5))
            picture = to_srgb(scene.image, scene.wavelengths_nm, observer, white=white)
        Image.fromarray(picture).save(path.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()

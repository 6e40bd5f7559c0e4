"""A user's own files, read as the camera needs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lorun_engine.errors import FileError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions
from lorun_engine.tasks.cassi import CassiCamera
from lorun_engine.training_data.own_files import scene_for, with_shared_scale

CUBE = np.random.default_rng(0).random((18, 20, 24)).astype(np.float32)
MASK = (np.random.default_rng(1).random((20, 24)) > 0.5).astype(np.float32)
CAMERA = CassiCamera(mask=MASK, dispersion=Dispersion(18))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_the_camera_tells_the_axes_of_a_scene(tmp_path, order):
    np.save(tmp_path / "scene.npy", CUBE.transpose(order))
    scene, _ = scene_for(tmp_path / "scene.npy", CAMERA, OpenOptions())
    assert np.array_equal(scene.image, CUBE)


def test_a_scene_beyond_0_to_1_serves_with_its_full_scale(tmp_path):
    np.save(tmp_path / "scene.npy", CUBE * 4095)
    with pytest.raises(FileError, match="--integer-scale 4095"):
        scene_for(tmp_path / "scene.npy", CAMERA, OpenOptions())
    scene, _ = scene_for(tmp_path / "scene.npy", CAMERA, OpenOptions(integer_scale=4095.0))
    assert scene.image.max() <= 1


def test_captures_are_divided_by_one_full_scale(tmp_path):
    y = np.random.default_rng(2).random((20, 24 + 34))
    for name, highest in (("bright", 4000), ("dim", 900)):
        np.save(tmp_path / f"{name}.npy", (y * highest).astype(np.uint16))
    np.save(tmp_path / "mask.npy", MASK)
    paths = [tmp_path / "bright.npy", tmp_path / "dim.npy"]
    options = OpenOptions(num_bands=18)
    assert with_shared_scale(options, paths, [tmp_path / "mask.npy"]) == replace(options, integer_scale=4095.0)
    said = replace(options, integer_scale=1000.0)
    assert with_shared_scale(said, paths, [tmp_path / "mask.npy"]) == said

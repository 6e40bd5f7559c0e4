"""What LoRun writes it opens again as it was: measurements of every detector, cubes of every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.errors import GeometryError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import open_measurement, open_scene, write_cube, write_measurement
from lorun_engine.io.writers import CUBE_FORMATS
from lorun_engine.measurement import Measurement
from lorun_engine.tasks.cassi import CassiPhysics

BANDS, HEIGHT, WIDTH = 4, 8, 10
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("length", ["smallest", "longer", "shorter", "that of the scene"])
@pytest.mark.parametrize("per_band", [False, True], ids=["one mask", "a mask a band"])
@pytest.mark.parametrize("optics", [{}, {"axis": "y", "direction": "-"}, {"step": 1.5, "first_offset": -2.0}])
def test_a_measurement_of_any_detector_is_opened_as_it_was_written(tmp_path, length, per_band, optics):
    mask = torch.from_numpy(RNG.random((BANDS if per_band else 1, HEIGHT, WIDTH)).astype(np.float32))
    dispersion = Dispersion(BANDS, **{"step": 2.0, **optics})
    detector, along = list(dispersion.detector_shape(HEIGHT, WIDTH)), 1 if dispersion.axis == "x" else 0
    detector[along] += {"smallest": 0, "longer": 5, "shorter": -2, "that of the scene": -dispersion.span}[length]
    physics = CassiPhysics(mask, dispersion, detector_shape=tuple(detector))
    y = physics.forward(torch.from_numpy(RNG.random((1, BANDS, HEIGHT, WIDTH)).astype(np.float32)))[0].numpy()
    write_measurement(tmp_path / "y.h5", Measurement("cassi", y, physics, input_scale=1.0), attributes={})
    opened = open_measurement([tmp_path / "y.h5"])
    np.testing.assert_array_equal(opened.y, y)
    torch.testing.assert_close(opened.physics.mask, physics.mask)
    assert opened.physics.dispersion == physics.dispersion
    assert opened.physics.measurement_shape == physics.measurement_shape


@pytest.mark.parametrize("suffix", CUBE_FORMATS)
@pytest.mark.parametrize("size", [(40, 40, 100), (60, 50, 100), (300, 200, 128), (100, 40, 40), (3, 5, 70), (5, 7, 1)])
def test_a_cube_of_any_size_is_opened_as_it_was_written(tmp_path, suffix, size):
    assert_kept(tmp_path / f"cube{suffix}", *size)


@pytest.mark.parametrize("suffix", [suffix for suffix in CUBE_FORMATS if suffix not in (".npy", ".mat")])
@pytest.mark.parametrize("size", [(1, 7, 5), (7, 1, 5), (1, 7, 1), (7, 1, 1), (40, 70, 100), (1, 80, 100)])
def test_a_cube_of_one_row_is_one_in_files_that_state_their_axes(tmp_path, suffix, size):
    assert_kept(tmp_path / f"cube{suffix}", *size)


def test_a_measurement_of_one_row_is_opened_as_it_was_written(tmp_path):
    physics = CassiPhysics(torch.ones(1, 12), Dispersion(BANDS))
    y = RNG.random((1, *physics.measurement_shape[1:])).astype(np.float32)
    scene = RNG.random(physics.scene_shape).astype(np.float32)
    write_measurement(tmp_path / "y.h5", Measurement("cassi", y, physics, reference=scene), attributes={})
    opened = open_measurement([tmp_path / "y.h5"])
    np.testing.assert_array_equal(opened.y, y)
    np.testing.assert_array_equal(opened.reference, scene)


def test_a_detector_across_the_dispersion_is_as_long_as_the_mask():
    with pytest.raises(GeometryError, match=r"11 x 16 pixels and the mask 8 x 10; across the dispersion \(rows\)"):
        CassiPhysics(torch.ones(8, 10), Dispersion(BANDS), detector_shape=(11, 16))


def assert_kept(path, height, width, num_bands):
    cube = RNG.random((num_bands, height, width)).astype(np.float32)
    write_cube(path, cube, wavelengths_nm=None, attributes={"adapter": "gap-tv"})
    np.testing.assert_array_equal(open_scene(path).image, cube)

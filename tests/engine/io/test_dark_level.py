"""The dark level of a capture: found at the ends of the detector, subtracted, and never invented."""

from __future__ import annotations

import numpy as np
import pytest

from lorun_engine.errors import LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, inspect, open_measurement
from lorun_engine.io.dark_level import estimated_dark_level
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import random_mask, simulate

LEVEL = 0.05
DISPERSIONS = (Dispersion(8, 2.0), Dispersion(8, 1.5, axis="y", direction="-"))


def captured(dispersion: Dispersion, grey: bool) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:64, :96]
    bands = [0.4 + 0.3 * np.sin(x / 17 + band / 3) * np.cos(y / 11) for band in range(8)]
    scene = Scene(np.stack(bands).astype(np.float32))
    mask = random_mask(64, 96, density=0.5, seed=1)
    if grey:
        mask = mask * 0.8 + 0.005
    return simulate(scene, mask, dispersion).y[0], mask


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("dispersion", DISPERSIONS)
def test_a_constant_is_found_and_a_capture_without_one_has_none(dispersion, grey):
    y, mask = captured(dispersion, grey)
    assert estimated_dark_level(y, mask, dispersion.offsets, dispersion.axis) == 0
    found = estimated_dark_level(y + LEVEL, mask, dispersion.offsets, dispersion.axis)
    assert found == pytest.approx(LEVEL, abs=0.004)


def test_without_pixels_that_hardly_any_band_reaches_nothing_is_claimed():
    y, mask = np.full((16, 20), 0.5, np.float32), np.ones((16, 20), np.float32)
    assert estimated_dark_level(y, mask, [0.0], "x") == 0


def test_opening_a_capture_subtracts_its_dark_level_and_says_so(tmp_path):
    y, mask = captured(DISPERSIONS[0], grey=False)
    np.save(tmp_path / "meas.npy", y + np.float32(LEVEL))
    np.save(tmp_path / "mask.npy", mask)
    paths = [tmp_path / "meas.npy", tmp_path / "mask.npy"]
    table = inspect(paths, OpenOptions(num_bands=8))
    assert table.geometry.dark_level == pytest.approx(LEVEL, abs=0.004)
    assert any("without light" in note for note in table.notes)
    assert np.allclose(table.measurement().y[0], y, atol=0.004)
    kept = open_measurement(paths, OpenOptions(num_bands=8, dark_level=0.0))
    assert np.array_equal(kept.y[0], y + np.float32(LEVEL)) and not any("without light" in n for n in kept.notes)
    with pytest.raises(LorunError, match="--dark-level"):
        open_measurement(paths, OpenOptions(num_bands=8, dark_level=float("nan")))


def test_the_real_captures_have_a_dark_level_and_simulated_scenes_do_not(lorun_data):
    real = lorun_data / "cassi" / "real"
    for folder, options in (("tsa_net", OpenOptions()), ("smem", OpenOptions(num_bands=24))):
        for path in sorted((real / folder).glob("*.mat")):
            if path.stem != "mask":
                geometry = inspect([path, real / folder / "mask.mat"], options).geometry
                assert 0.005 < geometry.dark_level < 0.025

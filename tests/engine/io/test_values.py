"""Values that no decode can be right with: saturated pixels, numbers too large or too small to compute with."""

from __future__ import annotations

import numpy as np
import pytest

from lorun_engine.cli.commands import main
from lorun_engine.errors import GeometryError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, inspect, open_measurement, open_scene, read
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import random_mask, simulate

BANDS = 4
RNG = np.random.default_rng(5)
SCENE = Scene(RNG.random((BANDS, 30, 40)).astype(np.float32))
MASK = random_mask(30, 40, seed=1)
Y = simulate(SCENE, MASK, Dispersion(BANDS)).y[0]
OPTIONS = OpenOptions(num_bands=BANDS, step=2.0, dark_level=0.0)


def opened(folder, meas, mask=MASK):
    np.save(folder / "meas.npy", meas)
    np.save(folder / "mask.npy", mask)
    return open_measurement([folder / "meas.npy", folder / "mask.npy"], OPTIONS)


def remarks(measurement):
    return [note for note in measurement.notes if "saturated" in note]


def clipped(share, full, dtype):
    """The snapshot in counts, of which a share lies at full scale."""
    counts = np.minimum(Y / np.quantile(Y, 1 - share), 1) * full
    return counts.astype(dtype)


@pytest.mark.parametrize(
    "full, dtype", [(255, np.uint8), (1023, np.uint16), (4095, np.uint16), (65535, np.uint16), (1.0, np.float64)]
)
def test_saturated_pixels_are_remarked(tmp_path, full, dtype):
    (remark,) = remarks(opened(tmp_path, clipped(0.05, full, dtype)))
    assert remark.startswith("5") and f"highest value, {full:g}" in remark
    (remark,) = remarks(opened(tmp_path, np.full(Y.shape, full, dtype)))
    assert remark.startswith("100 % of the pixels")
    assert not remarks(opened(tmp_path, clipped(0.002, full, dtype)))


def test_a_dim_snapshot_of_few_levels_is_not_called_saturated(tmp_path):
    assert not remarks(opened(tmp_path, np.round(Y / Y.max() * 9).astype(np.uint8)))


@pytest.mark.parametrize("factor, dtype", [(1e30, np.float32), (1e300, np.float64), (-1e20, np.float64)])
@pytest.mark.parametrize("role", ["meas", "mask"])
def test_numbers_beyond_single_precision_are_named_as_such(tmp_path, role, factor, dtype):
    arrays = {"meas": Y, "mask": MASK}
    arrays[role] = arrays[role].astype(dtype) * dtype(factor)
    with pytest.raises(GeometryError, match=f"{role}.npy reaches .*can be computed with"):
        opened(tmp_path, **arrays)
    np.save(tmp_path / "scene.npy", SCENE.image.astype(dtype) * dtype(factor))
    with pytest.raises(GeometryError, match="can be computed with"):
        open_scene(tmp_path / "scene.npy")


def test_a_mask_without_transmission_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="mask mask.npy reaches 1e-30; shares of the light"):
        opened(tmp_path, Y, MASK * np.float32(1e-30))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_a_mask_in_another_unit_is_decoded_alike_but_for_its_scale(tmp_path, factor):
    assert opened(tmp_path, Y, MASK * np.float32(factor)).physics.mask.max() == pytest.approx(factor)


def test_values_that_are_no_numbers_are_still_counted(tmp_path):
    with_gaps = Y.copy()
    with_gaps[3, 4:6] = np.inf
    np.save(tmp_path / "meas.npy", with_gaps)
    np.save(tmp_path / "mask.npy", MASK)
    table = inspect([tmp_path / "meas.npy", tmp_path / "mask.npy"], OPTIONS)
    assert "2 of the" in str(table.problem) and "not finite" in str(table.problem)


def test_a_cube_names_its_source_without_the_folders_above_it(tmp_path, capsys):
    opened(tmp_path, Y)
    said = ["--mask", str(tmp_path / "mask.npy"), "--bands", "4", "--adapter", "gap-tv", "--stages", "1", "--json"]
    said += ["--device", "auto"]
    assert main(["restore", str(tmp_path / "meas.npy"), "-o", str(tmp_path / "out.h5"), *said]) == 0
    (cube,) = read(tmp_path / "out.h5")
    assert cube.attributes["source"] == "meas.npy"
    assert '"device": "c' in capsys.readouterr().out  # cpu or cuda:0, and not auto
    with open(tmp_path / "out.h5", "rb") as stream:
        assert str(tmp_path).encode() not in stream.read()


@pytest.mark.parametrize("crop", ["20,0,20,0", "0,0,0,30", "50,0,0,0"])
def test_a_score_crop_that_leaves_nothing_is_a_sentence(tmp_path, crop, capsys):
    np.save(tmp_path / "scene.npy", np.moveaxis(SCENE.image, 0, -1))
    said = ["evaluate", "--data", str(tmp_path / "scene.npy"), "--adapter", "gap-tv", "--stages", "1", "--bands", "4"]
    assert main([*said, "--score-crop", crop]) == 1
    captured = capsys.readouterr()
    assert "Nothing is left to score" in captured.err and "nan" not in captured.err
    assert main([*said, "--score-crop", "1,1,1,1"]) == 0

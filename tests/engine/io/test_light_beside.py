"""Light from beside the field of view: found at the ends of the detector, subtracted, and never invented."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from lorun_engine.decoding.restore import restore
from lorun_engine.errors import GeometryError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, open_measurement
from lorun_engine.io.dark_level import estimated_dark_level
from lorun_engine.io.light_beside import light_beside
from lorun_engine.tasks.cassi import random_mask
from lorun_engine.tasks.gap_tv import GapTv
from lorun_engine.tasks.shear import disperse

BANDS, ROWS, FIELD, SPAN, BEFORE = 8, 96, 120, 14, 30
CAMERAS = [Dispersion(BANDS, 2.0, axis=axis, direction=direction) for axis in "xy" for direction in "+-"]


def captured(dispersion: Dispersion, *, goes_on: bool, sigma: float = 0.005) -> tuple[np.ndarray, np.ndarray]:
    """A capture (H', W') and its mask (H, W); the upper half of the scene goes on beside the field, or nothing does."""
    width = 2 * BEFORE + FIELD
    y, x = np.mgrid[:ROWS, :width]
    scene = np.stack([0.5 + 0.2 * np.sin(x / 17 + band / 3) * np.cos(y / 11) for band in range(BANDS)])
    scene[:, ROWS // 2 :, :BEFORE] = scene[:, ROWS // 2 :, -BEFORE:] = 0
    field = slice(BEFORE, BEFORE + FIELD)
    if not goes_on:
        scene[..., :BEFORE] = scene[..., -BEFORE:] = 0
    mask = random_mask(ROWS, width, seed=1)
    coded = torch.from_numpy((mask * scene).astype(np.float32))[None]
    if dispersion.axis == "y":
        coded = coded.movedim(-1, -2)
    detector = disperse(coded, dispersion, dispersion.detector_shape(*coded.shape[-2:]))[0, 0].numpy()
    detector += np.random.default_rng(2).normal(0, sigma, detector.shape).astype(np.float32)
    seen = slice(BEFORE, BEFORE + FIELD + SPAN)
    if dispersion.axis == "y":
        return detector[seen].copy(), mask[:, field].T.copy()
    return detector[:, seen].copy(), mask[:, field].copy()


@pytest.mark.parametrize("dispersion", CAMERAS)
def test_what_comes_from_beside_is_found_on_its_lines_and_nowhere_else(dispersion):
    closed, mask = captured(dispersion, goes_on=False)
    open_, _ = captured(dispersion, goes_on=True)
    assert not light_beside(closed, mask, dispersion.offsets, dispersion.axis).any()
    found, true = light_beside(open_, mask, dispersion.offsets, dispersion.axis), open_ - closed
    if dispersion.axis == "y":
        found, true = found.T, true.T
    assert not found[:, SPAN:-SPAN].any() and not found[ROWS // 2 + 20 :].any()
    assert np.linalg.norm(found - true) < 0.5 * np.linalg.norm(true)  # the mask beside the field is not known
    for end in (slice(0, 4), slice(-4, None)):
        assert found[: ROWS // 2 - 10, end].mean() == pytest.approx(true[: ROWS // 2 - 10, end].mean(), rel=0.15)


def test_it_is_not_taken_for_a_dark_level_nor_the_other_way_round():
    dispersion = CAMERAS[0]
    open_, mask = captured(dispersion, goes_on=True)
    open_[ROWS // 2 :] = open_[: ROWS // 2]  # all lines are lit at both ends
    assert estimated_dark_level(open_, mask, dispersion.offsets, "x") == 0
    constant = captured(dispersion, goes_on=False)[0] + np.float32(0.05)
    level = estimated_dark_level(constant, mask, dispersion.offsets, "x")
    assert level == pytest.approx(0.05, abs=0.004)
    assert not light_beside(constant - np.float32(level), mask, dispersion.offsets, "x").any()


def test_opening_subtracts_it_and_says_so_and_the_first_columns_are_restored_better(tmp_path):
    (closed, mask), (open_, _) = (captured(CAMERAS[0], goes_on=goes_on) for goes_on in (False, True))
    np.save(tmp_path / "mask.npy", mask)
    images = {}
    for name, y, choice in (("closed", closed, None), ("open", open_, None), ("kept", open_, "keep")):
        np.save(tmp_path / "meas.npy", y)
        options = OpenOptions(num_bands=BANDS, light_beside=choice)
        measurement = open_measurement([tmp_path / "meas.npy", tmp_path / "mask.npy"], options)
        said = [note for note in measurement.notes if "beside" in note]
        assert len(said) == (name == "open") and all("first and last columns" in note for note in said)
        *_, last = restore(GapTv(num_stages=30), measurement)
        images[name] = last.image
    ends = np.r_[:SPAN, FIELD - SPAN : FIELD]

    def error(name: str) -> float:
        return float(np.abs(images[name] - images["closed"])[..., ends].mean())

    assert error("open") < 0.5 * error("kept")


def test_a_window_of_a_simulated_scene_gets_light_from_the_rest_of_it(tmp_path):
    y, mask = captured(CAMERAS[0], goes_on=False, sigma=0)
    with h5py.File(tmp_path / "scene.h5", "w") as file:
        file["measurement"], file["mask"] = y, mask
        file.attrs["task"] = "cassi"
    whole = open_measurement([tmp_path / "scene.h5"], OpenOptions(num_bands=BANDS))
    assert np.array_equal(whole.y[0], y)
    window = open_measurement([tmp_path / "scene.h5"], OpenOptions(num_bands=BANDS, crop=(0, 30, ROWS, 50)))
    assert (window.y[0, : ROWS // 2, :4] < y[: ROWS // 2, 30:34]).mean() > 0.9
    assert np.array_equal(window.y[0, :, SPAN:-SPAN], y[:, 30 + SPAN : 80])
    rows = open_measurement([tmp_path / "scene.h5"], OpenOptions(num_bands=BANDS, crop=(10, 0, 50, FIELD)))
    assert np.array_equal(rows.y[0], y[10:60])


def test_another_word_for_it_is_refused(tmp_path):
    y, mask = captured(CAMERAS[0], goes_on=True)
    np.save(tmp_path / "meas.npy", y)
    np.save(tmp_path / "mask.npy", mask)
    with pytest.raises(GeometryError, match="--light-beside"):
        open_measurement(
            [tmp_path / "meas.npy", tmp_path / "mask.npy"], OpenOptions(num_bands=BANDS, light_beside="remove")
        )


def test_of_the_real_captures_scene_5_has_most(lorun_data):
    folder = lorun_data / "cassi" / "real" / "tsa_net"
    shares = {}
    for path in sorted(folder.glob("scene*.mat")):
        files = [path, folder / "mask.mat"]
        y, kept = (open_measurement(files, OpenOptions(light_beside=word)).y for word in (None, "keep"))
        shares[path.stem] = float((kept - y).sum() / kept.sum())
    assert max(shares, key=shares.get) == "scene5" and shares["scene5"] > 2 * sorted(shares.values())[-2]

"""Protocols: which windows are measured, which pixels count, and how bands are resampled."""

from __future__ import annotations

import numpy as np
import pytest

from lorun_engine.decoding.evaluate import at_wavelengths, cave_28_windows, cut_windows, evaluate
from lorun_engine.errors import LorunError
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import CassiCamera
from lorun_engine.tasks.gap_tv import GapTv

CAVE_31 = np.arange(400.0, 701.0, 10.0)
BANDS = np.array([453.5, 500.0, 648.0])


def cave_scene(size: int) -> Scene:
    ramp = (CAVE_31 - 400) / 300
    return Scene(np.broadcast_to(ramp[:, None, None], (31, size, size)).astype(np.float32), CAVE_31, "CAVE")


def test_bands_are_interpolated_linearly_in_wavelength():
    resampled = at_wavelengths(cave_scene(256), BANDS)
    np.testing.assert_allclose(resampled.image[:, 0, 0], (BANDS - 400) / 300, rtol=1e-6)
    np.testing.assert_array_equal(resampled.wavelengths_nm, BANDS)
    with pytest.raises(LorunError, match="covers 400 to 700 nm"):
        at_wavelengths(cave_scene(256), np.array([390.0, 500.0]))


def test_a_512_cube_gives_four_quadrants_and_only_the_left_ones_lose_the_border():
    windows = cave_28_windows(cave_scene(512), BANDS, name="toy")
    assert [window.name for window in windows] == ["toy[0,0]", "toy[0,1]", "toy[1,0]", "toy[1,1]"]
    assert [window.score_crop[0] for window in windows] == [4, 0, 4, 0]
    assert all(window.scene.image.shape == (3, 256, 256) for window in windows)


def test_a_256_cube_is_one_window_that_loses_two_columns():
    (window,) = cave_28_windows(cave_scene(256), BANDS, name="half")
    assert window.score_crop == (2, 0, 0, 0)


def test_other_sizes_are_refused_by_cave_28_and_cut_from_the_top_left_otherwise():
    scene = Scene(np.zeros((2, 300, 600), np.float32))
    with pytest.raises(LorunError, match="512 x 512 or 256 x 256"):
        cave_28_windows(scene, BANDS, name="odd")
    windows = cut_windows(scene, name="odd", score_crop=(1, 2, 3, 4))
    assert [window.score_crop for window in windows] == [(1, 2, 0, 4), (0, 2, 3, 4)]


def test_pixels_outside_the_score_crop_do_not_count():
    image = np.random.default_rng(0).random((4, 24, 32), dtype=np.float32)
    good = cut_windows(Scene(image), name="a")[0]
    (plain,) = evaluate(GapTv(), [good], CassiCamera().measured, num_stages=2)
    (cropped,) = evaluate(
        GapTv(), cut_windows(Scene(image), name="a", score_crop=(8, 0, 0, 0)), CassiCamera().measured, num_stages=2
    )
    assert plain.residual == cropped.residual
    assert plain.metrics["psnr"] != cropped.metrics["psnr"]


def test_gap_tv_scores_at_least_the_published_yardstick_on_the_test_scenes(lorun_data):
    """The floor that every trained model is compared with; runs only where the data is."""
    import scipy.io

    from lorun_engine.io import WAVELENGTHS, open_scene

    mask = scipy.io.loadmat(lorun_data / "cassi/mask_sim_256.mat")["mask"].astype(np.float32)
    windows = []
    for path in sorted((lorun_data / "cassi/test").glob("*.h5")):
        windows += cave_28_windows(open_scene(path), np.asarray(WAVELENGTHS["cassi-28"]), name=path.stem)
    scores = list(evaluate(GapTv(), windows, CassiCamera(mask=mask).measured))
    assert len(scores) == 5
    assert np.mean([score.metrics["psnr"] for score in scores]) >= 25.8

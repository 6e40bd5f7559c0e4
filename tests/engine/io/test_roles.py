"""The role table: what arrays are taken for and why, the geometry that their sizes tell, and every correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from lorun_engine.errors import AmbiguousGeometry, FileError, GeometryError, LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import WAVELENGTHS, Geometry, OpenOptions, inspect, open_measurement, open_scene, write_cube
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import random_mask, simulate

BANDS, HEIGHT, WIDTH = 5, 12, 16
SCENE = np.random.default_rng(0).random((BANDS, HEIGHT, WIDTH)).astype(np.float32)
MASK = random_mask(HEIGHT, WIDTH, seed=1) * 0.9 + np.float32(0.05)  # grey levels
SNAPSHOT = simulate(Scene(SCENE), MASK, Dispersion(BANDS, step=2)).y[0]  # 12 x 24
WAVELENGTHS_NM = np.linspace(450, 650, BANDS)
TWO = OpenOptions(step=2.0)
NOTHING = OpenOptions()


def save(folder: Path, **arrays: np.ndarray) -> list[Path]:
    """One .npy file an array; none of the names says anything unless the test wants it to."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [folder / f"{name}.npy" for name in arrays]


def save_mat(path: Path, **arrays: np.ndarray) -> Path:
    scipy.io.savemat(path, arrays)
    return path


def save_hdf5(path: Path, attributes: Mapping | None = None, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes or {})
        for name, array in arrays.items():
            file[name] = array
    return path


def roles(paths, options: OpenOptions = TWO) -> dict[str, str | None]:
    """Role by key, or by stem where files have no keys."""
    return {row.found.key or row.found.path.stem: row.role for row in inspect(paths, options).rows}


def problem(paths, options: OpenOptions = NOTHING) -> str:
    """The sentence that stands in the way."""
    table = inspect(paths, options)
    assert table.problem is not None
    with pytest.raises(type(table.problem)):
        table.measurement()
    sentence = str(table.problem)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


# ---- roles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meas", ["meas", "MEAS_REAL", "y", "measurement", "entry/meas"])
@pytest.mark.parametrize("mask", ["mask", "Mask"])
@pytest.mark.parametrize("cube", ["img", "img_expand", "truth", "orig", "HSI", "data_slice", "rad"])
def test_the_keys_in_circulation_name_their_roles(tmp_path, meas, mask, cube):
    path = save_hdf5(tmp_path / "all.h5", **{cube: np.moveaxis(SCENE, 0, -1), mask: MASK, meas: SNAPSHOT})
    assert roles([path]) == {cube: "reference", mask: "mask", meas: "measurement"}


def test_every_row_says_what_was_found_and_why(tmp_path):
    holes = SNAPSHOT.astype(np.float64)
    holes[0, :3] = np.nan
    table = inspect([save_mat(tmp_path / "all.mat", meas=holes, mask=MASK)], TWO)
    row = table.row("measurement")
    assert (row.shape, row.dtype, row.num_nan, row.axes) == ((12, 24), "float64", 3, "YX")
    assert row.minimum == np.nanmin(holes) and row.maximum == np.nanmax(holes)
    assert all(row.reason and row.scale_reason for row in table.rows)
    assert "3 of the 288 values" in str(table.problem)


def test_without_names_the_larger_image_is_the_snapshot_and_a_cube_the_truth(tmp_path):
    paths = save(tmp_path, a=MASK, b=np.moveaxis(SCENE, 0, -1), c=SNAPSHOT, d=WAVELENGTHS_NM)
    assert roles(paths) == {"a": "mask", "b": "reference", "c": "measurement", "d": "wavelengths"}
    assert open_measurement(paths, TWO).wavelengths_nm == pytest.approx(WAVELENGTHS_NM)


def test_a_larger_picture_beside_them_is_not_taken_for_the_snapshot_of_a_named_mask(tmp_path):
    paths = save(tmp_path, mask=MASK, flat_field=np.ones((40, 40)), frame=SNAPSHOT)
    assert roles(paths) == {"mask": "mask", "frame": "measurement", "flat_field": None}


def test_two_arrays_for_one_role_leave_the_second_unused_and_say_so(tmp_path):
    table = inspect([save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask=MASK, masks=MASK)], TWO)
    (row,) = [row for row in table.rows if row.found.key == "masks"]
    assert row.role is None and row.reason == "not used: mask is the mask"


def test_what_a_decoder_wrote_is_never_taken_for_the_truth(tmp_path):
    write_cube(tmp_path / "cube.h5", SCENE, wavelengths_nm=None, attributes={"adapter": "gap-tv"})
    paths = [save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask=MASK, recon=np.moveaxis(SCENE, 0, -1))]
    assert roles([*paths, tmp_path / "cube.h5"]) == {
        "meas": "measurement",
        "mask": "mask",
        "recon": None,
        "cube": None,
    }


def test_band_numbers_are_not_taken_for_wavelengths(tmp_path):
    path = save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask=MASK, bands=np.arange(1, BANDS + 1))
    assert roles([path])["bands"] is None


def test_the_users_word_outweighs_every_name(tmp_path):
    path = save_mat(tmp_path / "all.mat", meas=MASK, mask=SNAPSHOT)
    swapped = ((f"{path}::meas", "mask"), (f"{path}::mask", "measurement"))
    table = inspect([path], replace(TWO, roles=swapped))
    assert {row.found.key: (row.role, row.reason) for row in table.rows} == {
        "meas": ("mask", "as you said"),
        "mask": ("measurement", "as you said"),
    }
    assert table.problem is None


def test_a_file_given_for_its_mask_gives_nothing_else(tmp_path):
    first = save_hdf5(tmp_path / "first.h5", measurement=SNAPSHOT, mask=np.ones_like(MASK))
    second = save_hdf5(tmp_path / "second.h5", measurement=SNAPSHOT * 0, mask=MASK)
    table = inspect([first, second], replace(TWO, roles=((str(second), "mask"),)))
    assert table.row("mask").found.path == second and table.row("measurement").found.path == first
    same = inspect([first, first], replace(TWO, roles=((str(first), "mask"),)))
    assert same.problem is None and len(same.rows) == 2


def test_an_array_can_be_left_out(tmp_path):
    path = save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask=MASK, img=np.moveaxis(SCENE, 0, -1))
    assert open_measurement([path], replace(TWO, roles=((f"{path}::img", "unused"),))).reference is None


def test_a_key_chooses_among_the_arrays_of_the_first_file(tmp_path):
    first = save_mat(tmp_path / "frames.mat", dark=SNAPSHOT * 0, frame=SNAPSHOT)
    measurement = open_measurement([first, *save(tmp_path, mask=MASK)], replace(TWO, key="frame"))
    assert np.array_equal(measurement.y[0], SNAPSHOT)


@pytest.mark.parametrize("options", [OpenOptions(roles=(("a", "masc"),)), OpenOptions(task="ct")])
def test_corrections_that_mean_nothing_are_named(tmp_path, options):
    with pytest.raises(LorunError, match="'masc'|'ct'"):
        inspect(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), options)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7,), (1, 1, 9)])
@pytest.mark.parametrize("role", ["measurement", "mask", "reference", "wavelengths"])
def test_an_array_of_any_shape_in_any_role_is_a_sentence(tmp_path, role, shape):
    paths = save(tmp_path, snapshot=SNAPSHOT, mask=MASK, odd=np.ones(shape, np.float32))
    table = inspect(paths, replace(TWO, roles=((f"{paths[2]}", role),)))
    assert table.problem is None or str(table.problem).endswith(".")


# ---- geometry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["+", "-"])
@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("step, first_offset", [(1, 0), (2, 0), (1.5, 0), (0.4, 0), (2, 3), (1, 0.5), (0, 0)])
def test_a_foreign_pair_opens_to_the_operator_that_made_it(tmp_path, axis, direction, step, first_offset):
    dispersion = Dispersion(BANDS, step=step, axis=axis, direction=direction, first_offset=first_offset)
    y = simulate(Scene(SCENE), MASK, dispersion).y[0]
    options = OpenOptions(num_bands=BANDS, step=step, axis=axis, direction=direction, first_offset=first_offset)
    measurement = open_measurement(save(tmp_path, snapshot=y, mask=MASK), options)
    assert measurement.physics.dispersion == dispersion
    torch.testing.assert_close(
        measurement.physics.forward(torch.from_numpy(SCENE)[None])[0], torch.from_numpy(y)[None], rtol=0, atol=0
    )


def test_several_solutions_are_listed_and_either_number_is_an_answer(tmp_path):
    paths = save(tmp_path, snapshot=SNAPSHOT, mask=MASK)  # 8 columns more: 9 bands at 1, 5 at 2, 3 at 4
    table = inspect(paths)
    assert isinstance(table.problem, AmbiguousGeometry) and table.solutions == ((9, 1), (5, 2), (3, 4))
    assert "9 bands at step 1, 5 bands at step 2, 3 bands at step 4" in problem(paths)
    for answer in (OpenOptions(num_bands=5), OpenOptions(step=2.0)):
        geometry = inspect(paths, answer).geometry
        assert (geometry.num_bands, geometry.step, geometry.axis) == (5, 2.0, "x")
        assert geometry.reasons["step" if answer.step is None else "num_bands"].startswith("the only")


def test_a_single_solution_needs_no_answer_in_either_direction(tmp_path):
    mask = np.ones((12, 20), np.float32)
    for name, y in (("wide", np.ones((12, 22))), ("high", np.ones((14, 20)))):
        geometry = inspect(save(tmp_path, snapshot=y, mask=mask)).geometry
        assert (geometry.num_bands, geometry.step, geometry.axis) == (3, 1.0, "x" if name == "wide" else "y")


def test_several_band_counts_of_a_step_below_one_are_listed(tmp_path):
    y = np.ones((HEIGHT, WIDTH + 2))
    sentence = problem(save(tmp_path, snapshot=y, mask=MASK), OpenOptions(step=0.5))
    assert "4 bands at step 0.5, 5 bands at step 0.5" in sentence


def test_captures_of_the_tsa_net_camera_are_known_by_their_key(tmp_path):
    path = save_mat(tmp_path / "scene.mat", meas_real=np.ones((12, 16 + 54)), mask=MASK)
    geometry = inspect([path]).geometry
    assert (geometry.num_bands, geometry.step) == (28, 2.0) and "TSA-Net" in geometry.reasons["step"]
    assert inspect([path], OpenOptions(num_bands=19)).geometry.step == 3.0


@pytest.mark.parametrize("extra", [{"img": np.moveaxis(SCENE, 0, -1)}, {"wavelengths": WAVELENGTHS_NM}])
def test_what_lies_beside_the_snapshot_tells_the_bands(tmp_path, extra):
    geometry = inspect([save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask=MASK, **extra)]).geometry
    assert (geometry.num_bands, geometry.step) == (BANDS, 2.0)


def test_the_file_comes_before_hints_and_the_user_before_the_file(tmp_path):
    path = save_hdf5(tmp_path / "all.h5", {"step": 4.0, "direction": "-"}, measurement=SNAPSHOT, mask=MASK)
    hints = Geometry(step=1.0, direction="+", first_offset=0.0)
    assert inspect([path], hints=hints).geometry == replace(
        hints, num_bands=3, step=4.0, axis="x", direction="-", dark_level=0.0
    )
    assert inspect([path], OpenOptions(step=2.0), hints=hints).geometry.num_bands == 5


def test_hints_of_another_camera_are_left_out(tmp_path):
    paths = save(tmp_path, snapshot=SNAPSHOT, mask=MASK)
    fitting = inspect(paths, hints=Geometry(num_bands=5, step=2.0, wavelengths_nm=tuple(WAVELENGTHS_NM)))
    assert fitting.geometry.reasons["num_bands"] == "known of this instrument"
    assert fitting.geometry.wavelengths_nm == tuple(WAVELENGTHS_NM)
    assert inspect(paths, hints=Geometry(num_bands=28, step=2.0)).solutions == ((9, 1), (5, 2), (3, 4))


@pytest.mark.parametrize(
    "shape, options, expected",
    [
        ((12, 20), OpenOptions(num_bands=5, step=2.0), "this mask with 5 bands and step 2 needs a width of 24"),
        ((24, 16), OpenOptions(num_bands=5, step=2.0, axis="y"), "needs a height of 20"),
        ((30, 24), OpenOptions(num_bands=5, step=2.0), "its mask has 30 x 16 pixels, this one has 12 x 16"),
        ((12, 23), OpenOptions(num_bands=5), "no whole step of 5 bands explains the difference of 7 pixels"),
        ((12, 23), OpenOptions(step=2.0), "no number of bands at step 2"),
        ((12, 17), OpenOptions(), "no band count and whole step"),
        ((9, 9), OpenOptions(), "as many rows"),
        ((12, 16), OpenOptions(), "smaller along the dispersion"),
    ],
)
def test_a_mask_of_another_size_is_a_sentence_with_the_size_that_fits(tmp_path, shape, options, expected):
    assert expected in problem(save(tmp_path, snapshot=np.ones(shape), mask=MASK), options)


@pytest.mark.parametrize(
    "options, flag",
    [
        (OpenOptions(num_bands=0), "--bands"),
        (OpenOptions(step=-1.0), "--step"),
        (OpenOptions(step=float("nan")), "--step"),
        (OpenOptions(axis="z"), "--axis"),
        (OpenOptions(direction="left"), "--direction"),
        (OpenOptions(first_offset=float("inf")), "--first-offset"),
        (replace(TWO, flip="xy"), "--flip"),
        (replace(TWO, input_scale=0.0), "input scale"),
    ],
)
def test_a_correction_out_of_range_names_its_flag(tmp_path, options, flag):
    assert flag in problem(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), options)


@pytest.mark.parametrize("attributes", [{"step": "two"}, {"axis": 3}, {"num_bands": [1, 2]}, {"step": -2.0}])
def test_a_file_that_states_nonsense_is_a_sentence(tmp_path, attributes):
    sentence = problem([save_hdf5(tmp_path / "all.h5", attributes, measurement=SNAPSHOT, mask=MASK)])
    assert "stated in the file" in sentence


# ---- masks -------------------------------------------------------------------------------------------------------


PER_BAND = np.stack([random_mask(HEIGHT, WIDTH, seed=band) for band in range(BANDS)])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_a_mask_may_have_a_pattern_for_every_band(tmp_path, order):
    y = simulate(Scene(SCENE), PER_BAND, Dispersion(BANDS)).y[0]
    paths = save(tmp_path, snapshot=y, mask=PER_BAND.transpose(order))
    measurement = open_measurement(paths, OpenOptions(cube_axes="CHW" if order == (0, 1, 2) else "HWC"))
    assert torch.equal(measurement.physics.mask[0], torch.from_numpy(PER_BAND))


def _shifted(direction: str, step: int) -> np.ndarray:
    """(H, W', C), as mask_3d_shift.mat holds it."""
    shifted = np.zeros((HEIGHT, WIDTH + step * (BANDS - 1), BANDS), np.float32)
    for band in range(BANDS):
        start = step * (band if direction == "+" else BANDS - 1 - band)
        shifted[:, start : start + WIDTH, band] = PER_BAND[band] * 0.5 + 0.5
    return shifted


@pytest.mark.parametrize("direction", ["+", "-"])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("key", ["mask_3d_shift", "phi"])
def test_a_mask_that_is_stored_shifted_is_moved_back_and_keeps_its_values(tmp_path, key, step, direction):
    shifted = _shifted(direction, step)
    y = simulate(Scene(SCENE), PER_BAND, Dispersion(BANDS, step=step)).y[0]
    path = save_mat(tmp_path / "all.mat", meas=y, **{key: shifted})
    table = inspect([path], OpenOptions(direction=direction))
    assert any("stored shifted" in note for note in table.notes)
    physics = table.measurement().physics
    assert physics.dispersion == Dispersion(BANDS, step=step, direction=direction)
    assert torch.equal(physics.mask[0], torch.from_numpy(PER_BAND * 0.5 + 0.5))


def test_light_beside_the_bands_of_a_shifted_mask_is_left_out_and_said(tmp_path):
    shifted = _shifted("+", 2)
    shifted[3, -1, 0] = 1
    table = inspect([save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask_3d_shift=shifted)], TWO)
    assert table.problem is None and any("left out" in note for note in table.notes)


@pytest.mark.parametrize(
    "options", [OpenOptions(step=1.5), OpenOptions(step=9.0), OpenOptions(flip="lr"), OpenOptions(num_bands=4)]
)
def test_a_shifted_mask_that_does_not_fit_is_a_sentence(tmp_path, options):
    path = save_mat(tmp_path / "all.mat", meas=SNAPSHOT, mask_3d_shift=_shifted("+", 2))
    assert "mask" in problem([path], options).lower()
    small = save_mat(tmp_path / "small.mat", meas=SNAPSHOT[:, :-2], mask_3d_shift=_shifted("+", 2))
    assert "12 x 24" in problem([small])


def test_flip_and_rotate_turn_the_mask(tmp_path):
    square = random_mask(HEIGHT, HEIGHT, seed=3)
    paths = save(tmp_path, snapshot=np.ones((HEIGHT, HEIGHT + 4)), mask=square)
    for options, expected in (
        (OpenOptions(flip="lr"), square[:, ::-1]),
        (OpenOptions(flip="ud"), square[::-1]),
        (OpenOptions(rotate=1), np.rot90(square)),
        (OpenOptions(rotate=3, flip="ud"), np.rot90(square, 3)[::-1]),
    ):
        mask = open_measurement(paths, replace(options, step=2.0)).physics.mask[0, 0]
        assert np.array_equal(mask.numpy(), expected)
    assert np.array_equal(inspect(paths[1:], OpenOptions(flip="lr")).array("mask"), square[:, ::-1])


# ---- crops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_crop_across_the_dispersion_is_exact(tmp_path, axis):
    dispersion = Dispersion(BANDS, step=1.5, axis=axis)
    y = simulate(Scene(SCENE), MASK, dispersion).y[0]
    window = (3, 0, 6, WIDTH) if axis == "x" else (0, 3, HEIGHT, 6)
    rows, columns = slice(window[0], window[0] + window[2]), slice(window[1], window[1] + window[3])
    paths = save(tmp_path, snapshot=y, mask=MASK, truth=SCENE)
    options = OpenOptions(num_bands=BANDS, step=1.5, axis=axis, crop=window)
    measurement = open_measurement(paths, options)
    assert np.array_equal(measurement.reference, SCENE[:, rows, columns])
    torch.testing.assert_close(
        measurement.physics.forward(torch.from_numpy(measurement.reference)[None])[0].numpy(), measurement.y
    )
    assert not any("window" in note for note in measurement.notes)


def test_a_crop_along_the_dispersion_keeps_the_shear_and_says_what_it_leaves_out(tmp_path):
    options = replace(TWO, crop=(0, 4, HEIGHT, 8), light_beside="keep")
    measurement = open_measurement(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), options)
    assert np.array_equal(measurement.y[0], SNAPSHOT[:, 4 : 4 + 8 + 8])
    assert measurement.physics.scene_shape == (BANDS, HEIGHT, 8)
    assert any("leaves out" in note and "8 pixels" in note for note in measurement.notes)


@pytest.mark.parametrize("crop", [(0, 0, 13, 4), (-1, 0, 4, 4), (0, 0, 0, 4), (11, 15, 2, 2)])
def test_a_window_beside_the_scene_is_a_sentence(tmp_path, crop):
    assert "12 x 16" in problem(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), replace(TWO, crop=crop))


def test_a_crop_can_leave_out_what_is_not_finite(tmp_path):
    y = SNAPSHOT.copy()
    y[0] = np.nan
    paths = save(tmp_path, snapshot=y, mask=MASK)
    assert "24 of the 288 values" in problem(paths, TWO)
    assert open_measurement(paths, replace(TWO, crop=(1, 0, HEIGHT - 1, WIDTH))).y.shape == (1, HEIGHT - 1, 24)


# ---- wavelengths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_bands, name", [(28, "cassi-28"), (24, "smem-24"), (31, "cave-31"), (7, None)])
def test_without_wavelengths_the_usual_list_of_that_length_is_assumed_and_said(tmp_path, num_bands, name):
    y = np.ones((HEIGHT, WIDTH + num_bands - 1))
    table = inspect(save(tmp_path, snapshot=y, mask=MASK), OpenOptions(num_bands=num_bands))
    expected = WAVELENGTHS.get(name)
    assert table.geometry.wavelengths_nm == expected
    assert any("assumed" in note if name else "not known" in note for note in table.notes)


def test_a_list_of_the_user_gives_bands_and_wavelengths(tmp_path):
    y = np.ones((HEIGHT, WIDTH + 54))
    paths = save(tmp_path, snapshot=y, mask=MASK)
    table = inspect(paths, OpenOptions(wavelengths="cassi-28-exact"))
    assert table.geometry.num_bands == 28 and table.geometry.wavelengths_nm == WAVELENGTHS["cassi-28-exact"]
    (tmp_path / "list.csv").write_text("\n".join(f"{0.4 + 0.01 * band}" for band in range(19)))
    table = inspect(paths, OpenOptions(wavelengths=str(tmp_path / "list.csv")))
    assert table.geometry.step == 3 and table.geometry.wavelengths_nm[-1] == pytest.approx(580)


@pytest.mark.parametrize(
    "wavelengths, expected", [("cassi-29", "cassi-28"), ("smem-24", "no whole step"), ("list.txt", "list.txt")]
)
def test_a_list_that_does_not_serve_is_a_sentence(tmp_path, monkeypatch, wavelengths, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("red green blue\n")
    assert expected in problem(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), OpenOptions(wavelengths=wavelengths))
    two_lists = OpenOptions(num_bands=5, wavelengths="smem-24")
    assert "24 wavelengths" in problem(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), two_lists)


# ---- intensity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "highest, full", [(200, 255), (255, 255), (256, 1023), (4095, 4095), (4096, 16383), (65535, 65535), (70000, 70000)]
)
def test_integers_are_divided_by_the_smallest_full_scale_that_holds_them(tmp_path, highest, full):
    y = (SNAPSHOT / SNAPSHOT.max() * highest).astype(np.uint32)
    y.flat[0] = highest
    measurement = open_measurement(save(tmp_path, snapshot=y, mask=MASK), TWO)
    np.testing.assert_allclose(measurement.y[0], y / full, rtol=1e-6)
    assert measurement.input_scale is None and any(f"divided by {full}" in note for note in measurement.notes)


def test_the_file_or_the_user_may_state_the_full_scale_and_a_mask_keeps_its_own(tmp_path):
    y, mask = (SNAPSHOT * 1000).astype(np.uint16), (MASK > 0.5).astype(np.uint8) * 255
    path = save_hdf5(tmp_path / "all.h5", meas=y, mask=mask)
    with h5py.File(path, "a") as file:
        file["meas"].attrs["scale"] = 1000
    for options, full in ((TWO, 1000), (replace(TWO, integer_scale=2000.0), 2000)):
        table = inspect([path], options)
        np.testing.assert_allclose(table.array("measurement"), y / full, rtol=1e-6)
        assert table.array("mask").max() == 1
    with pytest.raises(GeometryError, match="positive number"):
        inspect([path], replace(TWO, integer_scale=0.0))


def test_a_mask_of_zeros_and_ones_stays_one(tmp_path):
    mask = (MASK > 0.5).astype(np.uint8)
    assert inspect(save(tmp_path, snapshot=SNAPSHOT, mask=mask), TWO).row("mask").scale == 1


def test_real_captures_stay_as_stored_and_their_scale_is_left_to_the_decoder(tmp_path):
    y = SNAPSHOT / SNAPSHOT.max()
    measurement = open_measurement(save(tmp_path, snapshot=y, mask=MASK), TWO)
    assert np.array_equal(measurement.y[0], y) and measurement.input_scale is None
    assert open_measurement(save(tmp_path, snapshot=y, mask=MASK), replace(TWO, input_scale=0.4)).input_scale == 0.4


def test_a_real_snapshot_above_one_is_taken_as_a_sum_over_bands_and_says_so(tmp_path):
    measurement = open_measurement(save(tmp_path, snapshot=SNAPSHOT, mask=MASK), TWO)
    assert SNAPSHOT.max() > 1 and measurement.input_scale == 1.0
    assert any("sum over the bands" in note for note in measurement.notes)


@pytest.mark.parametrize("stated", [{"input_scale": 0.5}, {"scale": 0.5}])
def test_our_own_files_state_their_scale(tmp_path, stated):
    attributes = {"task": "cassi", "step": 2.0, **stated}
    path = save_hdf5(tmp_path / "own.h5", attributes, measurement=SNAPSHOT, mask=MASK)
    measurement = open_measurement([path])
    assert measurement.input_scale == 0.5 and not any("sum over" in note for note in measurement.notes)
    assert np.array_equal(measurement.y[0], SNAPSHOT)


# ---- what cannot be decoded --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrays, expected",
    [
        ({"snapshot": SNAPSHOT}, "mask"),
        ({"mask": MASK}, "No snapshot"),
        ({"cube": SCENE}, "No snapshot"),
        ({"snapshot": SNAPSHOT * 0, "mask": MASK}, "measurement snapshot.npy is zero"),
        ({"snapshot": SNAPSHOT, "mask": MASK * 0}, "mask mask.npy is zero"),
        ({"snapshot": SNAPSHOT, "mask": MASK * np.nan}, "192 of the 192 values of the mask"),
        ({"snapshot": SNAPSHOT, "mask": MASK, "truth": SCENE * np.inf}, "values of the reference"),
        ({"snapshot": SNAPSHOT, "mask": MASK, "truth": SCENE[:, :-1, :-1]}, "5 x 11 x 15"),
    ],
)
def test_what_is_missing_or_empty_is_named(tmp_path, arrays, expected):
    assert expected in problem(save(tmp_path, **arrays), OpenOptions(num_bands=BANDS, step=2.0))


def test_no_files_and_folders_are_sentences(tmp_path):
    for paths in ([], [tmp_path], [tmp_path / "missing.mat"]):
        with pytest.raises(FileError):
            inspect(paths)


# ---- scenes ------------------------------------------------------------------------------------------------------


def test_a_scene_in_integers_is_divided_by_the_scale_of_its_file(tmp_path):
    stored = (np.moveaxis(SCENE, 0, -1) * 65535).astype(np.uint16)
    attributes = {"scale": 65535, "wavelengths_nm": WAVELENGTHS_NM, "source": "CAVE multispectral database"}
    scene = open_scene(save_hdf5(tmp_path / "scene.h5", attributes, cube=stored))
    np.testing.assert_allclose(scene.image, SCENE, atol=1 / 65535)
    assert scene.source == "CAVE multispectral database" and scene.wavelengths_nm == pytest.approx(WAVELENGTHS_NM)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_the_spectral_axis_is_as_long_as_the_list_of_wavelengths(tmp_path, order):
    path = save_hdf5(tmp_path / "scene.h5", rad=SCENE.transpose(order), bands=WAVELENGTHS_NM)
    assert np.array_equal(open_scene(path).image, SCENE)


@pytest.mark.parametrize("shape, num_bands", [((70, 80, 64), 64), ((20, 80, 70), 20), ((80, 20, 70), 20)])
def test_without_wavelengths_a_short_last_axis_or_the_shortest_is_the_spectral_one(tmp_path, shape, num_bands):
    (path,) = save(tmp_path, cube=np.ones(shape, np.float32))
    assert open_scene(path).image.shape[0] == num_bands


def test_the_user_can_name_the_axes_of_a_cube(tmp_path):
    (path,) = save(tmp_path, cube=SCENE)
    assert np.array_equal(open_scene(path, OpenOptions(cube_axes="chw")).image, SCENE)
    with pytest.raises(GeometryError, match="HWC"):
        open_scene(path, OpenOptions(cube_axes="HHC"))


def test_the_cube_is_found_among_other_arrays_and_in_a_batch_of_one(tmp_path):
    cube = np.moveaxis(SCENE, 0, -1)
    path = save_mat(tmp_path / "results.mat", pred=cube[None] * 0.5, truth=cube[None], psnr=[[31.2]])
    assert np.array_equal(open_scene(path).image, SCENE)
    assert np.array_equal(open_scene(path, OpenOptions(key="pred")).image, SCENE * np.float32(0.5))


def test_the_stages_beside_a_cube_are_not_read(tmp_path):
    path = save_hdf5(tmp_path / "cube.h5", cube=np.moveaxis(SCENE, 0, -1), initial=np.zeros((HEIGHT, WIDTH, BANDS)))
    with h5py.File(path, "a") as file:
        file.create_dataset(
            "stages", shape=(9, 1 << 14, 1 << 14, BANDS), dtype="f4"
        )  # claims far more than the file has
    assert np.array_equal(open_scene(path).image, SCENE)


def test_a_scene_without_numbers_or_with_another_list_is_a_sentence(tmp_path):
    with pytest.raises(FileError, match="no cube"):
        open_scene(save_mat(tmp_path / "list.mat", bands=WAVELENGTHS_NM))
    with pytest.raises(GeometryError, match="5 bands and 4 wavelengths"):
        open_scene(save_hdf5(tmp_path / "scene.h5", cube=np.moveaxis(SCENE, 0, -1), wavelengths_nm=WAVELENGTHS_NM[1:]))
    holes = np.moveaxis(SCENE, 0, -1).copy()
    holes[0] = np.nan
    with pytest.raises(GeometryError, match="not finite"):
        open_scene(save(tmp_path, holes=holes)[0])


# ---- real captures -----------------------------------------------------------------------------------------------


def test_every_real_tsa_net_capture_opens_at_once_with_its_mask(lorun_data):
    folder = lorun_data / "cassi" / "real" / "tsa_net"
    for number in range(1, 6):
        measurement = open_measurement([folder / f"scene{number}.mat", folder / "mask.mat"])
        assert measurement.y.shape == (1, 660, 714) and measurement.physics.scene_shape == (28, 660, 660)
        assert tuple(measurement.wavelengths_nm) == WAVELENGTHS["cassi-28"] and measurement.input_scale is None


def test_every_real_smem_capture_opens_after_one_answer(lorun_data):
    folder = lorun_data / "cassi" / "real" / "smem"
    captures = [path for path in sorted(folder.glob("*.mat")) if path.name != "mask.mat"]
    assert len(captures) == 5
    for capture in captures:
        paths = [capture, folder / "mask.mat"]
        assert (24, 2) in inspect(paths).solutions
        for answer in (OpenOptions(num_bands=24), OpenOptions(step=2.0)):
            measurement = open_measurement(paths, answer)
            assert measurement.y.shape == (1, 660, 706) and measurement.physics.scene_shape == (24, 660, 660)
            assert tuple(measurement.wavelengths_nm) == WAVELENGTHS["smem-24"]


def test_real_cubes_are_scenes_in_0_to_1_with_their_wavelengths(lorun_data):
    for path in sorted((lorun_data / "cassi").glob("t*/*.h5")):
        scene = open_scene(path)
        assert scene.image.shape[0] == scene.wavelengths_nm.size and scene.source
        assert scene.image.min() >= 0 and 0.02 < scene.image.max() <= 1

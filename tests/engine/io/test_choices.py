"""Axes, captures, scales and folders: what the user or the mask says comes before any rule of thumb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from lorun_engine.errors import FileError, GeometryError, SeveralCaptures
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, inspect, open_measurement, open_scene, write_cube, write_spectra_csv
from lorun_engine.io.folders import each_once, is_same, surveyed
from lorun_engine.io.roles import role_rows, scene_row
from lorun_engine.io.scales import require_scene_scale
from lorun_engine.io.sr import read_kernels

HEIGHT, WIDTH, BANDS = 12, 16, 5
SCENE = np.random.default_rng(0).random((BANDS, HEIGHT, WIDTH)).astype(np.float32)
MASK = (np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.5).astype(np.float32)
Y = np.random.default_rng(2).random((3, HEIGHT, WIDTH + 2 * (BANDS - 1))).astype(np.float32)
FIVE = OpenOptions(num_bands=BANDS, light_beside="keep", dark_level=0.0)  # the numbers as they are stored


def save(folder: Path, **arrays: np.ndarray) -> list[Path]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [folder / f"{name}.npy" for name in arrays]


# ---- axes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_the_number_of_bands_or_the_mask_tells_the_axes_of_a_cube(tmp_path, order):
    cube = np.random.default_rng(3).random((16, 20, 24)).astype(np.float32)  # any axis could be the bands
    (path,) = save(tmp_path, cube=cube.transpose(order))
    assert np.array_equal(open_scene(path, OpenOptions(num_bands=16)).image, cube)
    assert np.array_equal(open_scene(path, num_bands=16).image, cube)
    assert np.array_equal(open_scene(path, field=(20, 24)).image, cube)


@pytest.mark.parametrize(
    "shape, num_bands", [((8, 64, 64), 8), ((64, 64, 8), 8), ((40, 40, 100), 100), ((100, 40, 40), 40)]
)
def test_without_a_word_the_odd_axis_beside_a_square_image_is_the_spectral_one(tmp_path, shape, num_bands):
    assert len(open_scene(save(tmp_path, cube=np.ones(shape, np.float32))[0]).image) == num_bands


def test_a_picture_with_its_colours_first_is_a_picture(tmp_path):
    (path,) = save(tmp_path, photo=np.ones((3, 40, 50), np.float32))
    assert open_scene(path, OpenOptions(task="sr")).image.shape == (3, 40, 50)


def test_a_cube_of_one_row_opens_again(tmp_path):
    cube = SCENE[:, :1]
    write_cube(tmp_path / "row.h5", cube, wavelengths_nm=None, attributes={})
    assert np.array_equal(open_scene(tmp_path / "row.h5").image, cube)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("direction", ["+", "-"])
@pytest.mark.parametrize("step", [1, 2])
def test_axis_step_and_direction_are_read_from_the_zeros_of_a_shifted_mask(tmp_path, axis, direction, step):
    dispersion = Dispersion(BANDS, step=step, axis=axis, direction=direction)
    shifted = np.zeros((BANDS, *dispersion.detector_shape(HEIGHT, WIDTH)), np.float32)
    for band, offset in enumerate(map(int, dispersion.offsets)):
        y, x = (0, offset) if axis == "x" else (offset, 0)
        shifted[band, y : y + HEIGHT, x : x + WIDTH] = MASK
    path = tmp_path / "all.mat"
    scipy.io.savemat(path, {"meas": np.ones(shifted.shape[1:]), "mask_3d_shift": np.moveaxis(shifted, 0, -1)})
    physics = open_measurement([path]).physics
    assert physics.dispersion == dispersion and np.array_equal(physics.mask[0].numpy(), np.stack(BANDS * [MASK]))
    told = inspect([path], OpenOptions(direction="-" if direction == "+" else "+"))  # the user's word comes first
    assert told.geometry.direction != direction


def test_bands_that_lie_a_fraction_apart_are_refused_and_not_assumed(tmp_path):
    shifted = np.zeros((BANDS, HEIGHT, WIDTH + 6), np.float32)
    for band in range(BANDS):
        shifted[band, :, int(1.5 * band) : int(1.5 * band) + WIDTH] = 1
    scipy.io.savemat(
        tmp_path / "all.mat", {"meas": np.ones((HEIGHT, WIDTH + 6)), "mask_3d_shift": np.moveaxis(shifted, 0, -1)}
    )
    assert "whole steps; a step of 1.5" in str(inspect([tmp_path / "all.mat"]).problem)


# ---- captures ----------------------------------------------------------------------------------------------------


def _stack(path: Path, suffix: str) -> tuple[Path, str]:
    """Three captures in one array, and the name it has in `--key`."""
    path = path / f"frames{suffix}"
    if suffix == ".npy":
        np.save(path, Y)
    elif suffix == ".npz":
        np.savez(path, frames=Y)
        return path, "frames"
    elif suffix == ".mat":
        scipy.io.savemat(path, {"meas": np.moveaxis(Y, 0, -1)})
        return path, "meas"
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["entry/meas"] = Y
        return path, "entry/meas"
    elif suffix == ".tif":
        tifffile.imwrite(path, Y, photometric="minisblack")
    else:
        tifffile.imwrite(path, Y, photometric="minisblack", metadata={"axes": "TYX"})
    return path, ""


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5", ".tif", ".tiff"])
def test_several_captures_in_one_array_are_a_choice(tmp_path, suffix):
    path, name = _stack(tmp_path, suffix)
    paths = [path, *save(tmp_path, mask=MASK)]
    table = inspect(paths, FIVE)
    assert isinstance(table.problem, SeveralCaptures) and "3 captures" in str(table.problem)
    assert table.captures == tuple(f"{name}:{number}" for number in (1, 2, 3)) and table.row("measurement") is not None
    for number, key in enumerate(table.captures):
        chosen = inspect(paths, replace(FIVE, key=key))
        assert chosen.problem is None and np.array_equal(chosen.measurement().y[0], Y[number])
        assert any(f"capture {number + 1} of 3" in note for note in chosen.notes)
    assert "number 4 was asked for" in str(inspect(paths, replace(FIVE, key=f"{name}:4")).problem)


@pytest.mark.parametrize("key", ["meas:2", "meas:1"])
def test_the_mask_beside_captures_in_their_file_is_found_with_the_key(tmp_path, key):
    path = tmp_path / "all.mat"
    scipy.io.savemat(path, {"meas": Y, "mask": MASK, "noise": Y[0]})
    measurement = open_measurement([path], replace(FIVE, key=key))
    assert np.array_equal(measurement.y[0], Y[int(key[-1]) - 1])
    assert np.array_equal(measurement.physics.mask[0, 0].numpy(), MASK)
    said = replace(FIVE, roles=((f"{path}::{key}", "measurement"), (f"{path}::mask", "mask")))
    assert np.array_equal(open_measurement([path], said).y[0], Y[int(key[-1]) - 1])


def test_several_captures_in_one_file_are_a_choice(tmp_path):
    cells = np.empty((1, 3), object)
    cells[0] = [*Y]
    scipy.io.savemat(tmp_path / "cells.mat", {"meas": cells, "mask": MASK})
    np.savez(tmp_path / "many.npz", first=Y[0], second=Y[1], third=Y[2])
    for name, keys in (("cells.mat", ("meas[1]", "meas[2]", "meas[3]")), ("many.npz", ("first", "second", "third"))):
        paths = [tmp_path / name, *save(tmp_path, mask=MASK)]
        table = inspect(paths, FIVE)
        assert table.captures == keys
        assert np.array_equal(open_measurement(paths, replace(FIVE, key=keys[1])).y[0], Y[1])


def test_a_named_capture_among_others_is_no_choice(tmp_path):
    scipy.io.savemat(tmp_path / "all.mat", {"meas": Y[0], "mask": MASK, "other": Y[1]})
    assert np.array_equal(open_measurement([tmp_path / "all.mat"], FIVE).y[0], Y[0])


def test_a_number_where_there_is_one_capture_is_refused(tmp_path):
    paths = save(tmp_path, y=Y[0], mask=MASK)
    with pytest.raises(GeometryError, match="number 2 was asked for"):
        inspect(paths, replace(FIVE, key=":2"))


def test_several_scenes_in_one_array_are_a_choice(tmp_path):
    scenes = np.stack([np.moveaxis(SCENE, 0, -1), np.moveaxis(SCENE, 0, -1) / 2])
    (path,) = save(tmp_path, scenes=scenes)
    with pytest.raises(SeveralCaptures, match="2 scenes"):
        open_scene(path)
    assert np.array_equal(open_scene(path, OpenOptions(key=":2")).image, SCENE / 2)
    with pytest.raises(GeometryError, match="holds one scene"):
        open_scene(save(tmp_path, one=scenes[0])[0], OpenOptions(key=":2"))


def test_several_pictures_in_one_array_are_a_choice(tmp_path):
    pictures = np.random.default_rng(4).random((2, 20, 30, 3)).astype(np.float32)
    paths = save(tmp_path, low=pictures)
    assert inspect(paths, OpenOptions(task="sr")).captures == (":1", ":2")
    chosen = inspect(paths, OpenOptions(task="sr", key=":2"))
    assert np.array_equal(chosen.array("measurement"), np.moveaxis(pictures[1], -1, 0))


# ---- kernels of one row ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, expected", [((1, 15), (1, 15)), ((15, 1), (15, 1)), ((15,), (1, 15)), ((1, 1, 15), (1, 15))]
)
def test_a_kernel_of_one_row_or_column_is_a_blur_in_one_direction(tmp_path, shape, expected):
    (path,) = save(tmp_path, psf=np.full(shape, 1 / 15))
    (kernel,) = read_kernels(str(path))
    assert kernel.shape == expected
    picture = np.random.default_rng(5).random((20, 30)).astype(np.float32)
    table = inspect([*save(tmp_path, low=picture), path], OpenOptions(task="sr"))
    assert table.problem is None and table.array("kernel").shape == expected


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_the_kernels_of_a_stack_are_chosen_by_number(tmp_path, order):
    stack = np.random.default_rng(6).random((4, 7, 7))
    (path,) = save(tmp_path, kernels=stack.transpose(order))
    assert len(read_kernels(str(path))) == 4
    np.testing.assert_allclose(read_kernels(f"{path}:3")[0], stack[2] / stack[2].sum(), rtol=1e-6)


# ---- scales and folders ------------------------------------------------------------------------------------------


def test_the_integers_of_a_folder_have_one_full_scale_for_each_type(tmp_path):
    bright, dim = (Y[0] / Y[0].max() * 4000).astype(np.uint16), (Y[0] / Y[0].max() * 900).astype(np.uint16)
    photo = (Y[0] * 99).astype(np.uint8)
    paths = save(tmp_path, bright=bright, dim=dim, photo=photo)
    mask = save(tmp_path, mask=MASK)
    survey = surveyed(paths, lambda path: role_rows([path, *mask], FIVE))
    assert survey.paths == tuple(paths) and survey.full_scales == {"uint16": 4095.0, "uint8": 255.0}
    table = inspect([paths[1], *mask], FIVE, full_scales=survey.full_scales)
    np.testing.assert_allclose(table.array("measurement"), dim / 4095, rtol=1e-6)
    assert any("folder" in note for note in table.notes)
    said = inspect([paths[1], *mask], replace(FIVE, integer_scale=1000.0), full_scales=survey.full_scales)
    np.testing.assert_allclose(said.array("measurement"), dim / 1000, rtol=1e-6)


def test_the_integers_of_several_captures_in_one_array_have_one_full_scale(tmp_path):
    frames = (np.stack([Y[0], Y[0] / 4]) / Y[0].max() * 4000).astype(np.uint16)
    paths = save(tmp_path, y=frames, mask=MASK)
    arrays = [inspect(paths, replace(FIVE, key=f":{number}")).array("measurement") for number in (1, 2)]
    np.testing.assert_allclose(arrays[1], frames[1] / 4095, rtol=1e-6)
    assert arrays[0].mean() / arrays[1].mean() == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("highest, full", [(255.0, 255), (1000.0, 1023), (65000.0, 65535)])
def test_real_numbers_of_a_photograph_are_scaled_as_integers_are(tmp_path, highest, full):
    stored = SCENE[0] / SCENE[0].max() * np.float32(highest)
    (path,) = save(tmp_path, photo=stored)
    scene = open_scene(path, OpenOptions(task="sr"))
    np.testing.assert_allclose(scene.image[0], stored / full, rtol=1e-6)
    assert any(f"divided by {full}" in note for note in scene.notes)
    np.testing.assert_allclose(
        inspect([path], OpenOptions(task="sr")).array("measurement")[0], stored / full, rtol=1e-6
    )


def test_a_spectral_scene_beyond_0_to_1_asks_for_its_scale(tmp_path):
    (path,) = save(tmp_path, scene=np.moveaxis(SCENE, 0, -1) * 4095)
    with pytest.raises(FileError, match="--integer-scale 4095"):
        require_scene_scale(open_scene(path), path.name)
    scene = open_scene(path, OpenOptions(integer_scale=4095.0))
    np.testing.assert_allclose(scene.image, SCENE, rtol=1e-6)
    require_scene_scale(scene, path.name)


@pytest.mark.parametrize("suffix", [".h5", ".mat", ".tif", ".hdr"])
def test_a_result_is_no_input_of_the_next_run(tmp_path, suffix):
    write_cube(tmp_path / f"out{suffix}", SCENE, wavelengths_nm=None, attributes={"adapter": "gap-tv", "source": "y"})
    (scene,) = save(tmp_path, scene=np.moveaxis(SCENE, 0, -1))
    paths = each_once(sorted(tmp_path.iterdir()))
    survey = surveyed(paths, lambda path: [scene_row(path)[0]])
    assert survey.paths == (scene,) and "result of LoRun" in survey.left_out[0][1]


def test_a_file_is_counted_once(tmp_path):
    write_cube(tmp_path / "a.hdr", SCENE, wavelengths_nm=None, attributes={})
    write_cube(tmp_path / "b.HDR", SCENE, wavelengths_nm=None, attributes={})
    (tmp_path / "b.img").rename(tmp_path / "b.IMG")
    save(tmp_path, a=SCENE)
    (tmp_path / "link.npy").symlink_to(tmp_path / "a.npy")
    (tmp_path / "lonely.hdr").write_text("ENVI\n")
    names = [path.name for path in each_once(sorted(tmp_path.iterdir()))]
    assert names == ["a.hdr", "a.npy", "b.HDR", "lonely.hdr"]
    assert is_same(tmp_path / "a.hdr", tmp_path / "a.img") and not is_same(tmp_path / "a.npy", tmp_path / "a.img")


def test_names_in_tables_are_never_formulas(tmp_path):
    write_spectra_csv(tmp_path / "a.csv", None, {"=1+1": [0.5], "+a": [-1.0], "-b": [2.0], "@c": [3.0], "leaf": [4.0]})
    titles, values = (tmp_path / "a.csv").read_text().splitlines()
    assert titles == "band,'=1+1,'+a,'-b,'@c,leaf" and values == "1,0.5,-1.0,2.0,3.0,4.0"

"""The files that were once read wrongly or refused, each as its row in the README of their folder says."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from lorun_engine.errors import SeveralCaptures
from lorun_engine.io import OpenOptions, inspect, open_measurement, open_scene, read
from lorun_engine.io.readers import read_wavelengths
from lorun_engine.io.sr import read_kernels

EIGHT = OpenOptions(num_bands=8)
NM = np.linspace(450, 520, 8)


@pytest.fixture
def folder(lorun_data: Path) -> Path:
    path = lorun_data / "files"
    if not path.is_dir():
        pytest.skip("LORUN_DATA has no folder files")
    return path


@pytest.fixture
def scene(folder: Path) -> np.ndarray:
    """(C, H, W)"""
    return np.moveaxis(np.load(folder / "x.npy"), -1, 0)


@pytest.fixture
def snapshot(folder: Path) -> np.ndarray:
    return np.load(folder / "y.npy")


@pytest.mark.parametrize("name", ["band.csv", "comma.csv"])
def test_wavelength_tables(folder, name):
    np.testing.assert_allclose(read_wavelengths(folder / name), NM + 0.5)


def test_a_shifted_mask_tells_axis_step_and_direction(folder, scene):
    measurement = open_measurement([folder / "left.mat"])
    dispersion = measurement.physics.dispersion
    assert (dispersion.num_bands, dispersion.step, dispersion.axis, dispersion.direction) == (8, 2.0, "x", "-")
    assert np.array_equal(measurement.physics.mask[0].any(0).numpy(), np.load(folder / "m.npy") > 0)


def test_a_mask_with_white_as_zero(folder):
    table = inspect([folder / "y.npy", folder / "white.tif"], EIGHT)
    assert np.array_equal(table.array("mask"), np.load(folder / "m.npy"))
    assert any("inverted" in note for note in table.notes)


@pytest.mark.parametrize(
    "name, wavelengths_nm, note",
    [
        ("index.hdr", None, "states no wavelengths"),
        ("angst.hdr", NM, ""),
        ("frame.hdr", None, ""),
        ("latin.hdr", None, ""),
        ("unit.hdr", NM, ""),
        ("trail.hdr", NM, ""),
        ("up.HDR", None, ""),
        ("up.IMG", None, ""),
        ("chw.npy", None, ""),
        ("ext.h5", None, ""),
        ("vds.h5", None, ""),
        ("lzw8.tif", None, ""),
        ("pred3.tif", None, ""),
    ],
)
def test_the_same_cube_in_other_clothes(folder, scene, name, wavelengths_nm, note):
    opened = open_scene(folder / name)
    np.testing.assert_allclose(opened.image, scene, atol=1e-6)
    assert (opened.wavelengths_nm is None) == (wavelengths_nm is None) and note in " ".join(opened.notes)
    if wavelengths_nm is not None:
        np.testing.assert_allclose(opened.wavelengths_nm, wavelengths_nm)


def test_gains_and_factors(folder, scene):
    gain = open_scene(folder / "gain.hdr")
    np.testing.assert_allclose(gain.image, scene * np.arange(1, 9)[:, None, None], atol=1e-3)
    assert any("gain" in note for note in gain.notes)
    np.testing.assert_allclose(open_scene(folder / "sclb.hdr").image, scene, atol=1.01e-4)


def test_the_axes_of_a_cube_are_told_by_bands_or_mask(folder, scene):
    for options, field in ((EIGHT, None), (OpenOptions(), (64, 64))):
        assert np.array_equal(open_scene(folder / "chw.npy", options, field=field).image, scene)
    table = inspect([folder / name for name in ("y.npy", "m.npy", "chw.npy")])
    assert np.array_equal(table.array("reference"), scene)


def test_codecs_and_depths_of_tiff(folder, snapshot):
    packed = open_measurement([folder / "p12.tif", folder / "m.npy"], EIGHT).y[0]
    np.testing.assert_allclose(packed / packed.max(), snapshot / snapshot.max(), atol=2e-3)
    assert open_scene(folder / "lzwrgb16.tif", OpenOptions(task="sr")).image.shape == (3, 64, 64)
    photo, png = (open_scene(folder / name, OpenOptions(task="sr")) for name in ("rgba.tif", "rgb.png"))
    assert inspect([folder / "rgba.tif"]).task == inspect([folder / "rgb.png"]).task == "sr"
    assert np.array_equal(photo.image, png.image) and any("transparency" in note for note in photo.notes)


def test_a_real_picture_of_0_to_255(folder):
    stored = read(folder / "f255.tif")[0].array
    opened = open_scene(folder / "f255.tif", OpenOptions(task="sr"))
    np.testing.assert_allclose(opened.image[0], stored / 255)
    assert any("divided by 255" in note for note in opened.notes)
    table = inspect([folder / "f255.tif"], OpenOptions(task="sr"))
    np.testing.assert_allclose(table.array("measurement")[0], stored / 255)


@pytest.mark.parametrize("name", ["struct.mat", "sparse.mat", "v4.mat"])
def test_what_matlab_wraps_up(folder, snapshot, name):
    measurement = open_measurement([folder / name], EIGHT)
    np.testing.assert_allclose(measurement.y[0], snapshot, atol=1e-6)
    assert np.array_equal(measurement.physics.mask[0, 0].numpy(), np.load(folder / "m.npy"))


@pytest.mark.parametrize("name, key", [("batch.mat", "meas:2"), ("t3.tif", ":2")])
def test_several_captures_are_a_choice(folder, snapshot, name, key):
    paths = [folder / name, folder / "m.npy"]
    table = inspect(paths, EIGHT)
    assert (
        isinstance(table.problem, SeveralCaptures) and table.captures[1] == key and "3 captures" in str(table.problem)
    )
    chosen = open_measurement(paths, OpenOptions(num_bands=8, key=key)).y[0]
    np.testing.assert_allclose(chosen, snapshot, atol=1e-6)


def test_a_kernel_of_one_row(folder):
    (kernel,) = read_kernels(str(folder / "k1d.npy"))
    assert kernel.shape == (1, 15) and kernel.sum() == pytest.approx(1)
    table = inspect([folder / "rgb.png", folder / "k1d.npy"], OpenOptions(task="sr"))
    assert table.array("kernel").shape == (1, 15)


# ---- folders, by the commands ------------------------------------------------------------------------------------


def run(arguments: list[str]) -> int:
    from lorun_engine.cli.commands import main

    return main(arguments)


def test_two_exposures_of_a_folder_keep_their_ratio(folder, tmp_path):
    assert not run(
        ["restore", str(folder / "expo"), "-o", str(tmp_path), "--bands", "8", *"--adapter gap-tv --stages 2".split()]
    )
    means = []
    for name in ("t0.h5", "t1.h5"):
        with h5py.File(tmp_path / name) as file:
            means.append(file["cube"][()].mean())
    assert means[0] / means[1] == pytest.approx(4, rel=0.01)


def test_a_folder_of_envi_pairs_finds_its_mask_and_decodes_once(folder, tmp_path, capsys):
    assert not run(
        ["restore", str(folder / "envi2"), "-o", str(tmp_path), "--bands", "8", *"--adapter gap-tv --stages 2".split()]
    )
    assert "mask.hdr" in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["c1.h5"]


def test_scenes_are_counted_once_and_asked_for_their_scale(folder, capsys):
    arguments = ["evaluate", "--data", str(folder / "scenes"), "--mask", str(folder / "m.npy")]
    assert run([*arguments, *"--adapter gap-tv --stages 2".split()]) == 1
    said = capsys.readouterr().err
    assert "mean of 2" in said and "c.npy reach from" in said and "--integer-scale 4095" in said
    assert not run([*arguments, *"--adapter gap-tv --stages 2 --integer-scale 4095".split()])
    assert "mean of 3" in capsys.readouterr().err

"""Bands that files and users list from long to short wavelengths are put in rising order once, on opening."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from lorun_engine.cli.commands import main
from lorun_engine.decoding.evaluate import at_wavelengths
from lorun_engine.errors import GeometryError, LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import OpenOptions, open_measurement, open_scene
from lorun_engine.io.reading import reading_of
from lorun_engine.io.resolved import Said
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiPhysics, simulate
from lorun_engine.tasks.gap_tv import GapTv

BANDS, HEIGHT, WIDTH = 5, 12, 16
RISING = np.array([450.0, 480.0, 520.0, 570.0, 650.0])
SCENE = Scene(np.random.default_rng(0).random((BANDS, HEIGHT, WIDTH)).astype(np.float32), RISING)
MASK = np.random.default_rng(1).random((BANDS, HEIGHT, WIDTH)).astype(np.float32)  # one pattern per band
SHUFFLED = np.array([2, 0, 4, 1, 3])


def cube(path, order=slice(None, None, -1), wavelengths_nm=RISING, **attributes):
    """SCENE in another order of its bands, with the wavelengths as an attribute of the cube."""
    with h5py.File(path, "w") as file:
        file["cube"] = np.moveaxis(SCENE.image[order], 0, -1)
        file["cube"].attrs.update({"axes": "YXC", "wavelengths_nm": wavelengths_nm[order], **attributes})
    return path


def listed(path, wavelengths_nm):
    np.savetxt(path, wavelengths_nm)
    return str(path)


def snapshot(path, *, order, direction, where):
    """A file of a camera with its bands in some order; the wavelengths as an attribute or as an array of their own."""
    measured = simulate(SCENE, MASK, Dispersion(BANDS, 2.0, direction="-"))
    with h5py.File(path, "w") as file:
        file["meas"], file["mask"] = measured.y[0], np.moveaxis(MASK[order], 0, -1)
        file["truth"] = np.moveaxis(SCENE.image[order], 0, -1)
        file.attrs.update({"step": 2.0, "direction": direction})
        if where == "attribute of the file":
            file.attrs["wavelengths_nm"] = RISING[order]
        elif where == "attribute of the snapshot":
            file["meas"].attrs["wavelengths_nm"] = RISING[order]
        else:
            file["wavelengths"] = RISING[order]
    return path


@pytest.mark.parametrize("order", [slice(None, None, -1), SHUFFLED], ids=["falling", "shuffled"])
def test_a_cube_is_opened_with_its_bands_in_rising_order(tmp_path, order):
    scene = open_scene(cube(tmp_path / "cube.h5", order))
    np.testing.assert_array_equal(scene.wavelengths_nm, RISING)
    np.testing.assert_array_equal(scene.image, SCENE.image)


def test_a_list_beside_the_cube_or_of_the_user_orders_its_bands_too(tmp_path):
    with h5py.File(tmp_path / "beside.h5", "w") as file:
        file["cube"], file["wavelengths"] = np.moveaxis(SCENE.image[::-1], 0, -1), RISING[::-1]
    np.save(tmp_path / "plain.npy", np.moveaxis(SCENE.image[::-1], 0, -1))
    said = OpenOptions(wavelengths=listed(tmp_path / "list.txt", RISING[::-1]))
    for scene in (open_scene(tmp_path / "beside.h5"), open_scene(tmp_path / "plain.npy", said)):
        np.testing.assert_array_equal(scene.wavelengths_nm, RISING)
        np.testing.assert_array_equal(scene.image, SCENE.image)


def test_a_falling_cube_is_resampled_like_the_rising_one(tmp_path):
    wanted = np.array([455.0, 500.0, 640.0])
    falling = at_wavelengths(open_scene(cube(tmp_path / "cube.h5")), wanted)
    np.testing.assert_allclose(falling.image, at_wavelengths(SCENE, wanted).image, rtol=1e-6)
    assert falling.image.max() <= SCENE.image.max()


@pytest.mark.parametrize("where", ["attribute of the file", "attribute of the snapshot", "an array"])
def test_one_camera_listed_from_either_end_gives_one_measurement(tmp_path, where):
    one = open_measurement([snapshot(tmp_path / "a.h5", order=slice(None), direction="-", where=where)])
    other = open_measurement([snapshot(tmp_path / "b.h5", order=slice(None, None, -1), direction="+", where=where)])
    assert one.physics.dispersion == other.physics.dispersion == Dispersion(BANDS, 2.0, direction="-")
    torch.testing.assert_close(one.physics.mask, other.physics.mask)
    for name in ("y", "wavelengths_nm", "reference"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert any("from long to short" in note for note in other.notes)


def test_a_list_of_the_user_counts_the_bands_of_the_camera(tmp_path):
    measured = simulate(SCENE, MASK, Dispersion(BANDS, 2.0))
    np.save(tmp_path / "meas.npy", measured.y[0])
    np.save(tmp_path / "mask.npy", np.moveaxis(MASK, 0, -1))
    paths, falling = [tmp_path / "meas.npy", tmp_path / "mask.npy"], listed(tmp_path / "list.txt", RISING[::-1])
    opened = open_measurement(paths, OpenOptions(step=2.0, wavelengths=falling))
    assert opened.physics.dispersion.direction == "-"
    np.testing.assert_array_equal(opened.physics.mask[0], MASK[::-1])
    (camera,) = reading_of("cassi").cameras(Said(OpenOptions(wavelengths=falling), {"mask": MASK})).values()
    assert camera.dispersion.direction == "-"
    np.testing.assert_array_equal(camera.wavelengths_nm, RISING)
    np.testing.assert_array_equal(camera.mask, MASK[::-1])


def test_a_true_scene_from_elsewhere_keeps_the_camera_as_it_is(tmp_path):
    measured = simulate(SCENE, MASK, Dispersion(BANDS, 2.0))
    np.save(tmp_path / "meas.npy", measured.y[0])
    np.save(tmp_path / "mask.npy", np.moveaxis(MASK, 0, -1))
    paths = [tmp_path / "meas.npy", tmp_path / "mask.npy", cube(tmp_path / "truth.h5")]
    opened = open_measurement(paths, OpenOptions(step=2.0, roles=((str(paths[2]), "reference"),)))
    assert opened.physics.dispersion.direction == "+"
    np.testing.assert_array_equal(opened.wavelengths_nm, RISING)
    np.testing.assert_array_equal(opened.reference, SCENE.image)


def test_a_camera_whose_list_neither_rises_nor_falls_is_refused(tmp_path):
    path = snapshot(tmp_path / "a.h5", order=SHUFFLED, direction="+", where="attribute of the snapshot")
    with pytest.raises(GeometryError, match="do not rise: band 1 lies at 520 nm and band 2 at 450 nm"):
        open_measurement([path])


@pytest.mark.parametrize(
    "wrong", [RISING[::-1], RISING[SHUFFLED], np.full(BANDS, 500.0), np.array([450, 480, np.nan, 570, 650]), -RISING]
)
def test_what_does_not_rise_is_no_scene_no_measurement_and_no_target(wrong):
    measured = simulate(SCENE, MASK, Dispersion(BANDS, 2.0))
    with pytest.raises(GeometryError, match=r"wavelengths of the scene (do not rise|are not all positive)"):
        Scene(SCENE.image, wrong)
    with pytest.raises(GeometryError, match="wavelengths of the measurement"):
        Measurement("cassi", measured.y, measured.physics, wavelengths_nm=wrong)
    with pytest.raises(LorunError):
        at_wavelengths(SCENE, wrong)


def test_two_bands_of_one_wavelength_are_refused_where_a_cube_is_opened(tmp_path):
    with pytest.raises(GeometryError, match="band 2 lies at 480 nm and band 3 at 480 nm"):
        open_scene(cube(tmp_path / "cube.h5", slice(None), np.array([450.0, 480.0, 480.0, 570.0, 650.0])))


def test_a_scene_of_one_band_is_resampled_to_itself():
    one = Scene(SCENE.image[:1], RISING[:1])
    np.testing.assert_array_equal(at_wavelengths(one, RISING[:1]).image, one.image)


def test_bands_that_were_asked_for_are_never_names_for_others(tmp_path, capsys):
    """A cube of 28 bands in the infrared is not one of 28 visible bands."""
    infrared = np.linspace(950, 1150, 28)
    with h5py.File(tmp_path / "infrared.h5", "w") as file:
        file["cube"] = np.random.default_rng(0).random((16, 16, 28)).astype(np.float32)
        file["cube"].attrs["wavelengths_nm"] = infrared
    said = ["simulate", str(tmp_path / "infrared.h5"), "-o", str(tmp_path / "y.h5"), "--wavelengths"]
    assert main([*said, "cassi-28"]) == 1
    assert "covers 950 to 1150 nm" in capsys.readouterr().err
    assert main([*said, listed(tmp_path / "list.txt", [1000, 1050, 1100])]) == 0
    opened = open_measurement([tmp_path / "y.h5"])
    np.testing.assert_array_equal(opened.wavelengths_nm, [1000, 1050, 1100])
    assert opened.reference.shape[0] == 3


def test_a_falling_cube_scores_as_the_rising_one(tmp_path, capsys):
    torch.manual_seed(0)
    figures = []
    for name, order in (("rising.h5", slice(None)), ("falling.h5", slice(None, None, -1))):
        path = cube(tmp_path / name, order)
        assert main(["evaluate", "--data", str(path), "--adapter", "gap-tv", "--stages", "2", "--bands", "5"]) == 0
        figures.append(capsys.readouterr().err.split("dB")[0].split()[-1])
    assert figures[0] == figures[1]


def test_a_physics_lists_its_bands_by_number():
    """Direction "-" is direction "+" with the bands and their patterns turned round."""
    mask, scene = torch.from_numpy(MASK), torch.from_numpy(SCENE.image)[None]
    one = CassiPhysics(mask, Dispersion(BANDS, 2.0, direction="-")).forward(scene)
    torch.testing.assert_close(one, CassiPhysics(mask.flip(0), Dispersion(BANDS, 2.0)).forward(scene.flip(1)))


def test_the_shared_falling_cube_is_the_scene_of_the_rising_one(lorun_data):
    files = lorun_data / "files"
    image = np.moveaxis(np.load(files / "x.npy"), -1, 0)
    scene = open_scene(files / "desc.h5")
    np.testing.assert_allclose(scene.image, image, atol=1e-6)
    np.testing.assert_allclose(scene.wavelengths_nm, np.arange(450, 521, 10))
    assert at_wavelengths(scene, np.array([455.0, 515.0])).image.max() <= image.max()
    paths = [files / "y.npy", files / "m.npy", files / "desc.h5"]
    options = OpenOptions(num_bands=8, roles=((str(paths[1]), "mask"), (str(paths[2]), "reference")))
    opened = open_measurement(paths, options)
    assert opened.physics.dispersion == Dispersion(8, 2.0)
    np.testing.assert_allclose(opened.reference, image, atol=1e-6)


def test_an_evaluation_says_once_what_a_set_was_not_made_for(tmp_path, capsys, monkeypatch):
    from lorun_engine.cli import scenes

    class Cautious(GapTv):
        notes = ("Made for another step.",)

    monkeypatch.setattr(scenes, "_decoder", lambda args, context: Cautious())
    for name in ("a.h5", "b.h5"):
        cube(tmp_path / name)
    assert main(["evaluate", "--data", str(tmp_path), "--stages", "1", "--bands", "5"]) == 0
    assert capsys.readouterr().err.count("Made for another step.") == 1

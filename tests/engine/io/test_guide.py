"""Guides in files: which array they are, what their numbers mean, what their channels see, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from lorun_engine.cli import main
from lorun_engine.colour import srgb_encode
from lorun_engine.errors import GeometryError, LorunError
from lorun_engine.instrument import response_of
from lorun_engine.io import OpenOptions, inspect, open_measurement
from lorun_engine.io.commands import camera_words, resolved_options
from lorun_engine.io.roles import with_measurement
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.tasks.cassi import CassiCamera

BANDS, HEIGHT, WIDTH = 8, 48, 56
WAVELENGTHS = np.linspace(460, 640, BANDS)
RESOURCES = Path(__file__).parents[3] / "resources"
RESPONSE = response_of("rgb", WAVELENGTHS)


@pytest.fixture(scope="module")
def scene() -> Scene:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = 0.2 * np.ones((BANDS, HEIGHT, WIDTH))
    for row, column, centre in ((14, 16, 470), (16, 42, 540), (34, 18, 600), (34, 42, 640)):
        spectrum = 0.1 + 0.8 * np.exp(-(((WAVELENGTHS - centre) / 50) ** 2))
        inside = (y - row) ** 2 + (x - column) ** 2 < 10**2
        image = np.where(inside[None], spectrum[:, None, None] * (0.7 + 0.3 * (y % 4 < 2))[None], image)
    return Scene(image.astype(np.float32), WAVELENGTHS)


@pytest.fixture
def capture(tmp_path, scene) -> Path:
    """A snapshot with its mask and wavelengths."""
    measured = CassiCamera().measured(scene, seed=1)
    path = tmp_path / "snapshot.h5"
    with h5py.File(path, "w") as file:
        file["snapshot"], file["mask"] = measured.y[0], measured.physics.mask[0, 0].numpy()
        file["wavelengths_nm"] = WAVELENGTHS
    return path


def picture(scene: Scene, response: np.ndarray = RESPONSE) -> np.ndarray:
    """What a camera of this response sees of the scene, (H, W, G)."""
    return np.einsum("gc,chw->hwg", response, scene.image)


def guide_of(measurement: Measurement) -> np.ndarray:
    return measurement.physics.guide.picture[0].numpy()


def run(*argv: object) -> int:
    return main([str(word) for word in argv], resources=RESOURCES)


def as_tiff(folder: Path, image: np.ndarray, name: str = "side.tif") -> Path:
    path = folder / name
    tifffile.imwrite(path, np.rint(65535 * image).astype(np.uint16))
    return path


def test_a_colour_picture_beside_snapshot_and_mask_is_the_guide(capture, scene, tmp_path):
    side = as_tiff(tmp_path, picture(scene))
    table = inspect([capture, side])
    assert table.row("guide").found.path == side and table.row("reference") is None
    assert table.geometry.guide_response == "rgb"
    assert table.geometry.reasons["guide_response"].startswith("assumed")
    measured = table.measurement()
    np.testing.assert_allclose(guide_of(measured), np.moveaxis(picture(scene), -1, 0), rtol=0.1, atol=0.01)
    np.testing.assert_allclose(measured.physics.guide.response.numpy(), RESPONSE, atol=1e-6)


def test_a_grey_picture_is_named_or_called_a_guide(capture, scene, tmp_path):
    grey = picture(scene, response_of("grey", WAVELENGTHS))[..., 0]
    for path, roles in (
        (as_tiff(tmp_path, grey, "guide.tif"), ()),
        (as_tiff(tmp_path, grey, "side.tif"), (("side.tif", "guide"),)),
    ):
        measured = open_measurement([capture, path], OpenOptions(roles=roles))
        assert guide_of(measured).shape == (1, HEIGHT, WIDTH)
        assert inspect([capture, path], OpenOptions(roles=roles)).geometry.guide_response == "grey"


def test_pictures_of_8_bits_are_taken_for_srgb_and_that_is_said(capture, scene, tmp_path):
    side = tmp_path / "side.png"
    Image.fromarray(np.rint(255 * srgb_encode(picture(scene))).astype(np.uint8)).save(side)
    measured = open_measurement([capture, side])
    assert any("side.png: taken for sRGB-coded" in note for note in measured.notes)
    linear = np.moveaxis(picture(scene), -1, 0)
    assert np.corrcoef(guide_of(measured).ravel(), linear.ravel())[0, 1] > 0.999
    as_said = open_measurement([capture, side], OpenOptions(guide_encoding="linear"))
    assert not any("sRGB" in note for note in as_said.notes)
    assert np.corrcoef(guide_of(as_said).ravel(), linear.ravel())[0, 1] < 0.995


def test_a_response_is_named_read_from_a_table_or_stored(capture, scene, tmp_path):
    own = np.stack([WAVELENGTHS < 520, WAVELENGTHS >= 520]) + 0.1
    own = own / own.sum(axis=1, keepdims=True)
    side = as_tiff(tmp_path, np.moveaxis(picture(scene, own), -1, 0))  # a page for each channel
    table = tmp_path / "response.csv"
    rows = ["nm,blue,red", *(f"{nm:.9g},{5 * a:.9g},{5 * b:.9g}" for nm, a, b in zip(WAVELENGTHS, *own, strict=True))]
    table.write_text("\n".join(rows) + "\n")
    roles = (("side.tif", "guide"),)
    with pytest.raises(GeometryError, match=r"2 channels, and no file states what they see"):
        open_measurement([capture, side], OpenOptions(roles=roles))
    said = OpenOptions(roles=roles, guide_response=str(table))
    assert str(table) in said.files
    assert said.moved({str(table): "elsewhere.csv"}).guide_response == "elsewhere.csv"
    measured = open_measurement([capture, side], said)
    np.testing.assert_allclose(measured.physics.guide.response.numpy(), own, atol=1e-6)
    with h5py.File(capture, "a") as file:
        file["response"] = own
    stored = open_measurement([capture, side], OpenOptions(roles=roles))
    np.testing.assert_allclose(stored.physics.guide.response.numpy(), own, atol=1e-6)


def test_a_stored_response_of_falling_wavelengths_is_turned_round(capture, scene, tmp_path):
    side = as_tiff(tmp_path, picture(scene))
    with h5py.File(capture, "a") as file:
        del file["wavelengths_nm"]
        file["wavelengths_nm"], file["response"] = WAVELENGTHS[::-1], RESPONSE[:, ::-1]
        file.attrs["direction"] = "-"
    measured = open_measurement([capture, side], OpenOptions(direction="-"))
    assert measured.physics.dispersion.direction == "+"
    np.testing.assert_allclose(measured.physics.guide.response.numpy(), RESPONSE, atol=1e-6)


def test_a_window_of_the_scene_has_that_of_the_guide(capture, scene, tmp_path):
    side = as_tiff(tmp_path, picture(scene))
    whole = open_measurement([capture, side])
    window = open_measurement([capture, side], OpenOptions(crop=(8, 0, 32, WIDTH)))
    np.testing.assert_allclose(guide_of(window), guide_of(whole)[:, 8:40], rtol=0.05, atol=0.01)


def test_a_shifted_guide_is_said_and_a_stated_shift_is_taken(capture, scene, tmp_path):
    side = as_tiff(tmp_path, np.roll(picture(scene), (3, -2), axis=(0, 1)))
    found = open_measurement([capture, side])
    assert any("3 px lower and 2 px further left" in note for note in found.notes)
    stated = open_measurement([capture, side], OpenOptions(guide_shift=(-3.0, 2.0)))
    assert not any("lies" in note for note in stated.notes)
    np.testing.assert_array_equal(guide_of(stated), guide_of(found))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image[:-1], "47 x 56 pixels; the scene has 48 x 56"),
        (lambda image: np.random.default_rng(0).random(image.shape), "hardly resembles"),
    ],
)
def test_a_guide_that_does_not_fit_is_refused_in_words(capture, scene, tmp_path, change, words):
    side = as_tiff(tmp_path, change(picture(scene)))
    with pytest.raises(GeometryError, match=words):
        open_measurement([capture, side], OpenOptions(roles=((str(side), "guide"),)))


def test_words_about_a_guide_that_is_not_there_are_said_to_have_no_effect(capture):
    for options in (OpenOptions(guide_response="rgb"), OpenOptions(guide_shift=(1.0, 0.0))):
        assert any("no picture has this role" in note for note in open_measurement([capture], options).notes)
    assert not any("guide" in note for note in open_measurement([capture]).notes)


def test_an_unknown_response_is_refused(capture, scene, tmp_path):
    side = as_tiff(tmp_path, picture(scene))
    with pytest.raises(LorunError, match="neither one that LoRun knows nor a file"):
        open_measurement([capture, side], OpenOptions(guide_response="nikon"))


def test_what_is_simulated_opens_again_with_the_same_guide(scene, tmp_path, capsys):
    path, cube = tmp_path / "measured.h5", tmp_path / "cube.h5"
    with h5py.File(cube, "w") as file:
        file["cube"], file["wavelengths_nm"] = scene.image, WAVELENGTHS
        file["cube"].attrs["axes"] = "CYX"
    words = ("simulate", cube, "--guide-camera", "rgb", "--guide-noise", 0.004, "-o", path)
    assert run(*words) == 0
    opened = open_measurement([path])
    made = CassiCamera(guide="rgb", guide_noise=0.004).measured(scene)
    np.testing.assert_array_equal(guide_of(opened), guide_of(made))
    np.testing.assert_array_equal(opened.physics.guide.response.numpy(), made.physics.guide.response.numpy())
    assert run("restore", path, "--adapter", "subspace-tv", "--stages", 2, "-o", tmp_path / "o.h5") == 0
    assert run("evaluate", "--data", cube, "--guide-camera", "grey", "--adapter", "subspace-tv", "--stages", 2) == 0
    capsys.readouterr()
    for wrong, said in (
        (("--guide-noise", 0.1), "no guide"),
        (("--guide-camera", "rgb", "--guide-response", "grey"), "Give one of them"),
        (("--guide-camera", "uv"), "invalid choice"),
    ):
        assert run_refused("simulate", cube, *wrong, "-o", tmp_path / "wrong.h5")
        assert said in capsys.readouterr().err
    assert not (tmp_path / "wrong.h5").exists()


def run_refused(*argv: object) -> bool:
    try:
        return run(*argv) != 0
    except SystemExit as ended:
        return ended.code != 0


def test_commands_and_code_open_the_same_guide_and_trainings_leave_out_what_is_of_one_capture(capture, scene, tmp_path):
    side = as_tiff(tmp_path, np.roll(picture(scene), (2, 0), axis=(0, 1)))
    options = OpenOptions(guide_shift=(-2.0, 0.0), crop=(0, 0, 32, WIDTH))
    table = inspect([capture, side], options)
    words = camera_words(options, table)
    assert words[words.index("--guide") + 1] == str(side)
    assert words[words.index("--guide-response") + 1] == "rgb"
    assert "--guide-shift=-2.0,0.0" in words and "--crop" in words
    again = open_measurement([capture, side], resolved_options(options, table))
    np.testing.assert_array_equal(guide_of(again), guide_of(table.measurement()))
    instrument = camera_words(options, table, companions=("mask", "guide"))
    assert "--guide" in instrument and "--step" in instrument
    assert not any(word.startswith(("--crop", "--guide-shift")) for word in instrument)
    assert run("restore", capture, *words, "--adapter", "subspace-tv", "--stages", 2, "-o", tmp_path / "o.h5") == 0


def test_the_place_that_was_found_is_known_of_the_opened_files(capture, scene, tmp_path):
    side = as_tiff(tmp_path, np.roll(picture(scene), (3, -2), axis=(0, 1)))
    table, measured = with_measurement(inspect([capture, side]))
    assert table.geometry.guide_shift == (-3.0, 2.0)
    assert table.geometry.reasons["guide_shift"].startswith("estimated")
    assert "--guide-shift=-3.0,2.0" in camera_words(table.options, table)
    again = open_measurement([capture, side], resolved_options(table.options, table))
    np.testing.assert_array_equal(guide_of(again), guide_of(measured))
    level, _ = with_measurement(inspect([capture, as_tiff(tmp_path, picture(scene), "level.tif")]))
    assert level.geometry.guide_shift is None

"""Compressive samples and low-resolution pictures in the window: photographs, not cubes, and their own words."""

from __future__ import annotations

import csv
import shlex
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from PIL import Image
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel

from app import render, resources
from app.assembly import Parts
from app.document.selection import MEASUREMENT, REFERENCE
from app.main_window import MainWindow
from app.viewers.centre import CentreView
from app.viewers.empty import EmptyState
from app.viewers.grid import Cursor
from app.viewers.pictures import Pictures
from app.viewers.spectrum import ROWS, SpectrumView
from app.widgets import theme
from lorun_engine import cli
from lorun_engine.io import OpenOptions


@pytest.fixture
def grey(decode_photograph, samples) -> Parts:
    return decode_photograph(samples, "cs")


@pytest.fixture
def colour(decode_photograph, low_resolution) -> Parts:
    return decode_photograph(low_resolution, "sr")


@pytest.fixture
def show(qtbot):
    def make(widget):
        qtbot.addWidget(widget)
        theme.dress(widget)
        widget.show()
        return widget

    return make


def pixels(image: QImage) -> np.ndarray:
    """(H, W, 3) uint8 of a picture."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def words_of(widget) -> str:
    return " ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


# ---- pictures ----------------------------------------------------------------------------------------------------


def test_a_photograph_is_shown_in_its_own_codes_without_a_gamma():
    image = np.array([[[0.0, 0.5]], [[1.0, 0.25]], [[-1.0, np.nan]]], np.float32)
    assert render.photograph_bytes(image, (0, 1)).tolist() == [[[0, 255, 0], [128, 64, 0]]]
    assert render.photograph_bytes(image[:1], (0, 1)).tolist() == [[0, 128]]


def test_colours_are_those_of_the_picture_from_0_to_1(colour):
    pictures = Pictures(colour)
    expected = np.rint(255 * np.moveaxis(colour.session.measurement.reference, 0, -1))
    assert np.abs(pixels(pictures.picture(REFERENCE)).astype(int) - expected).max() <= 1
    assert (pixels(pictures.picture(1)) == 128).all()
    assert (pixels(pictures.thumbnail(1, 8)) == 128).all()


def test_a_grey_picture_is_grey(grey):
    picture = pixels(Pictures(grey).picture(REFERENCE)).astype(int)
    assert np.abs(picture - np.rint(255 * grey.session.measurement.reference[0])[..., None]).max() <= 1


def test_a_low_resolution_picture_has_its_colours_and_its_own_size(colour):
    pictures = Pictures(colour)
    expected = np.rint(255 * np.moveaxis(colour.session.measurement.y, 0, -1))
    assert pictures.size(MEASUREMENT) == (8, 12) and pictures.title(MEASUREMENT) == "Low resolution"
    assert np.abs(pixels(pictures.picture(MEASUREMENT)).astype(int) - expected).max() <= 1


def test_samples_are_a_matrix_with_a_row_per_sample_and_a_column_per_block(grey):
    pictures = Pictures(grey)
    assert pictures.size(MEASUREMENT) == (16, 6) and pictures.title(MEASUREMENT) == "Samples"
    assert np.array_equal(pictures.array(MEASUREMENT)[0, :, 3], grey.session.measurement.y[:, 1, 0])
    values = pixels(pictures.picture(MEASUREMENT))
    assert values.min() == 0 and values.max() == 255  # by percentiles: samples have a unit of their own


def test_percentiles_can_still_be_chosen(colour):
    colour.looking.set_stretch((0, 100), False)
    reference = colour.session.measurement.reference
    assert Pictures(colour).levels(REFERENCE, None) == pytest.approx((reference.min(), reference.max()))


def test_every_kind_starts_with_its_own_stretch_and_keeps_what_was_chosen(qtbot, colour, low_resolution, snapshot):
    assert colour.session.selection.stretch is None
    colour.looking.set_stretch((0, 100), False)
    for path, expected in ((low_resolution, (0, 100)), (snapshot, (None, 99.9)), (low_resolution, None)):
        with qtbot.waitSignal(colour.lanes.idle):
            colour.session.open([path])
        assert colour.session.selection.stretch == expected


# ---- modes and channels ------------------------------------------------------------------------------------------


def test_a_grey_picture_has_no_channels_to_choose(grey, show):
    centre = show(CentreView(grey))
    grey.looking.set_mode("montage")
    assert grey.session.selection.mode == "colour"
    modes = [button.text() for button in centre.mode_buttons.buttons() if button.isVisible()]
    assert modes == ["Picture", "Residual", "Compare"]
    assert not centre.stepping.band_slider.isVisible() and not centre.light.isVisible()
    assert "band" not in words_of(centre).lower()


def test_the_channels_of_a_colour_picture_are_red_green_and_blue(colour, show):
    centre = show(CentreView(colour))
    modes = [button.text() for button in centre.mode_buttons.buttons() if button.isVisible()]
    assert modes == ["Colour", "Channel", "Montage", "Residual", "Compare"]
    colour.looking.set_mode("band")
    colour.looking.select_band(0)
    assert centre.stepping.band_label.text() == "1 of 3  ·  red"
    assert [centre.look.itemData(index) for index in range(centre.look.count())] == ["grey", "own", "viridis"]
    colour.looking.set_look("own")
    red = pixels(centre.pictures.picture(1))
    assert (red[..., 0] == 128).all() and not red[..., 1:].any()
    assert not {"false colour", "band", "wavelength"} & set(words_of(centre).lower().split())


def test_every_pane_of_a_photograph_can_be_drawn_in_every_mode(colour, show):
    centre = show(CentreView(colour))
    colour.looking.set_panes([MEASUREMENT, 0, 3, REFERENCE])
    for mode in ("colour", "band", "montage"):
        colour.looking.set_mode(mode)
        centre.grab()


def test_before_and_after_stand_side_by_side(colour):
    assert colour.session.selection.panes == (MEASUREMENT, 1, 2, 3)


# ---- line profile ------------------------------------------------------------------------------------------------


def test_the_profile_is_the_mean_of_the_channels_along_the_row(colour, show):
    view = show(SpectrumView(colour))
    colour.looking.select_pixel((5, 20))
    x, y = view.reference.getData()
    assert x.tolist() == list(range(24)) and view.here.value() == 20
    np.testing.assert_allclose(y, colour.session.measurement.reference[:, 5].mean(axis=0), rtol=1e-6)
    assert view.places[0].chosen.getData()[1].tolist() == 24 * [0.125]
    assert view.heading.text() == "Line profile, mean of the channels"
    assert view.plot.getPlotItem().getAxis("bottom").labelText == "column (px)"
    assert view.csv.accessibleName() == "Export the line profile as CSV"


@pytest.mark.parametrize("words", list(ROWS))
def test_a_profile_averages_the_rows_around_and_is_cut_at_the_border(grey, show, words):
    view = show(SpectrumView(grey))
    grey.looking.select_pixel((0, 3))
    view.box.setCurrentText(words)
    rows = grey.session.measurement.reference[0, : ROWS[words] // 2 + 1]
    np.testing.assert_allclose(view.reference.getData()[1], rows.mean(axis=0), rtol=1e-6)
    assert grey.regions.side == ROWS[words]


def test_the_card_is_called_spectra_again_for_a_cube(qtbot, colour, show, snapshot):
    view = show(SpectrumView(colour))
    with qtbot.waitSignal(colour.lanes.idle):
        colour.session.open([snapshot])
    assert view.heading.text() == "Spectra" and view.box.itemText(1) == "Mean of 3 × 3"


def test_the_exported_profile_says_what_it_is(qtbot, colour, tmp_path):
    colour.looking.select_pixel((5, 20))
    with qtbot.waitSignal(colour.exports.exported):
        colour.exports.export_spectra(tmp_path / "profile.csv", side=3)
    with open(tmp_path / "profile.csv", newline="", encoding="utf-8") as stream:
        heading, *lines = csv.reader(stream)
    assert heading[0] == "column_px" and heading[-1] == "reference (y 5, mean of 3 rows)"
    assert [line[0] for line in lines] == [str(column) for column in range(24)]
    expected = colour.session.measurement.reference[:, 4:7].mean(axis=(0, 1))
    np.testing.assert_allclose([float(line[-1]) for line in lines], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_the_exported_picture_is_the_photograph(qtbot, request, tmp_path, show, name):
    parts = request.getfixturevalue(name)
    parts.looking.select_stage(1)
    drawn = show(CentreView(parts)).drawn()
    with qtbot.waitSignal(parts.exports.exported):
        parts.exports.export_picture(tmp_path / "picture.png", drawn)
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (24, 16) and (np.asarray(picture) == 128).all()


# ---- words -------------------------------------------------------------------------------------------------------


def test_the_window_speaks_of_channels_and_profiles(colour, show):
    window = show(MainWindow(colour))
    assert window.actions_["band"].text() == "Channel" and window.actions_["next_band"].text() == "Next channel"
    assert window.actions_["export_spectra"].text() == "Export line profile…"
    assert not {"band", "bands", "wavelength", "spectra"} & set(words_of(window).lower().split())


def test_a_grey_picture_offers_no_modes_in_the_menu(grey, show):
    window = show(MainWindow(grey))
    assert not any(window.actions_[name].isEnabled() for name in ("colour", "band", "montage", "next_band"))


def test_the_status_bar_shows_three_values_of_a_colour_and_one_of_a_channel(colour, show):
    window = show(MainWindow(colour))
    colour.looking.set_panes([MEASUREMENT, 1])
    colour.looking.select_pixel((5, 20))
    low = " ".join(f"{value:.3f}" for value in colour.session.measurement.y[:, 2, 10])
    assert window.statusBar().cursor.text().startswith("x 20, y 5   low resolution: ")
    assert window.statusBar().cursor.text().endswith("stage 1: 0.500 0.500 0.500")
    assert all(value[:4] in window.statusBar().cursor.text() for value in low.split())
    colour.looking.set_mode("band")
    colour.looking.select_band(2)
    assert window.statusBar().cursor.text().split("   ")[1] == "blue"
    assert window.statusBar().cursor.text().endswith("stage 1: 0.500")


def test_the_status_bar_counts_samples_and_blocks(grey, show):
    window = show(MainWindow(grey))
    grey.looking.set_panes([MEASUREMENT, 1])
    window.centre.cursor_moved.emit(Cursor(MEASUREMENT, 2, 3))
    assert window.statusBar().cursor.text().startswith("sample 3, block 4   samples: ")
    window.centre.cursor_moved.emit(Cursor(1, 2, 3))
    assert window.statusBar().cursor.text() == "x 3, y 2   stage 1: 0.500"


@pytest.mark.parametrize("name", ["samples", "low_resolution"])
def test_decoders_without_weights_say_what_they_take(qtbot, request, make_parts, name):
    parts = make_parts()
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open([request.getfixturevalue(name)])
    assert parts.setup.fit.sentence == parts.session.kind.untrained and "mask" not in parts.setup.fit.sentence


def test_only_samples_that_are_there_are_offered(qtbot, make_parts, fake, show, tmp_path, monkeypatch, snapshot):
    (tmp_path / "samples").mkdir()
    for name in ("cassi", "sr"):
        shutil.copy(snapshot, tmp_path / "samples" / f"{name}.h5")
    monkeypatch.setattr(resources, "resource_path", lambda *parts: tmp_path.joinpath(*parts))
    assert list(EmptyState().samples) == ["cassi", "sr"]
    window = show(MainWindow(make_parts(fake)))
    offered = [name for name in ("cassi", "cs", "sr") if window.actions_[f"open_{name}_sample"].isVisible()]
    assert offered == ["cassi", "sr"]


@pytest.mark.parametrize("kernel", ["own", "file", "named", "estimated"])
def test_the_copied_command_enlarges_the_same_way(qtbot, make_parts, low_resolution, tmp_path, monkeypatch, kernel):
    with h5py.File(low_resolution) as file:
        picture = np.moveaxis(np.round(255 * file["measurement"][()]).astype(np.uint8), 0, -1)
    Image.fromarray(np.tile(picture, (4, 3, 1))).save(tmp_path / "small.png")  # larger than the kernels of the gallery
    np.save(tmp_path / "kernel.npy", np.eye(5, dtype=np.float32) / 5)
    options = OpenOptions(task="sr", kernel="gaussian 0.7" if kernel == "named" else None)
    paths = [low_resolution if kernel == "own" else tmp_path / "small.png"]
    paths += [tmp_path / "kernel.npy"] if kernel == "file" else []
    parts = make_parts()
    parts.memory.settings = parts.memory.settings.with_folder(tmp_path, options)
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.open(paths)
    assert parts.session.problem is None
    with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
        parts.session.restore()
    words = shlex.split(parts.exports.command())
    assert ("--kernel" in words) == (kernel in ("file", "named"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(words[1:]) == 0
    with h5py.File(words[words.index("-o") + 1]) as file:
        assert np.array_equal(np.moveaxis(file["cube"][()], -1, 0), parts.session.stages.image(1))


# ---- opening -----------------------------------------------------------------------------------------------------


def test_new_samples_take_over_the_matrix_that_is_open(qtbot, make_parts, fake, tmp_path):
    from lorun_engine.tasks import cs

    matrix = cs.random_sampling(25, block_size=8)
    np.save(tmp_path / "phi.npy", matrix)
    for number in (1, 2):
        np.save(tmp_path / f"y{number}.npy", matrix @ np.random.default_rng(number).random((64, 4)))
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([tmp_path / "y1.npy", tmp_path / "phi.npy"])
    assert parts.session.role_table.task == "cs" and parts.session.measurement is not None
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([tmp_path / "y2.npy"])
    assert parts.session.role_table.task == "cs" and parts.session.measurement.path == tmp_path / "y2.npy"
    assert parts.session.paths == (tmp_path / "y2.npy", tmp_path / "phi.npy")


def test_a_matrix_that_follows_its_samples_joins_them(qtbot, make_parts, fake, tmp_path):
    from lorun_engine.tasks import cs

    matrix = cs.random_sampling(25, block_size=8)
    np.save(tmp_path / "phi.npy", matrix)
    np.save(tmp_path / "y.npy", matrix @ np.random.default_rng(1).random((64, 4)))
    parts = make_parts(fake)
    for name in ("y.npy", "phi.npy"):
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.open([tmp_path / name])
    assert parts.session.role_table.task == "cs" and parts.session.measurement is not None


def test_a_photograph_keeps_nothing_of_a_snapshot(qtbot, opened, low_resolution):
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.open([low_resolution])
    assert opened.session.paths == (low_resolution,) and opened.session.role_table.task == "sr"


def test_the_task_can_be_corrected_and_roles_it_does_not_know_are_found_again(qtbot, make_parts, fake, show, foreign):
    parts = make_parts(fake)
    window = show(MainWindow(parts))
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.correct(replace(parts.session.options, num_bands=4, roles=((str(foreign[1]), "mask"),)))
    assert parts.session.role_table.task == "cassi" and parts.session.measurement is not None
    window.show_roles()
    box = window.roles_page.form.editors["task"].box
    assert box.currentText() == "CASSI snapshot (found)"
    with qtbot.waitSignal(parts.lanes.idle):
        box.activated.emit(box.findData("sr"))
    assert parts.session.role_table.task == "sr" and parts.session.options.roles == ()
    with qtbot.waitSignal(parts.lanes.idle):
        window.corrections.undo()
    assert parts.session.role_table.task == "cassi" and parts.session.measurement is not None

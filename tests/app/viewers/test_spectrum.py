"""Spectra of points and regions, the spectral library beside them, three chosen bands, and all of it by keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.actions import ENTRIES
from app.assembly import Parts
from app.document.region import Region
from app.document.selection import REFERENCE
from app.document.spectral_library import first_stages
from app.main_window import MainWindow
from app.viewers.centre import CentreView
from app.viewers.grid import Cursor
from app.viewers.library import LibraryPanel
from app.viewers.region_panel import RegionPanel
from app.viewers.regions import region_colour
from app.viewers.spectrum import SpectrumView
from app.widgets import theme
from lorun_engine.io.spectra import spectral_angles

NM = np.array([450.0, 500.0, 560.0, 640.0])


@pytest.fixture
def show(qtbot):
    def make(view, width: int = 360, height: int = 420):
        qtbot.addWidget(view)
        view.resize(width, height)
        theme.dress(view)
        view.show()
        return view

    return make


@pytest.fixture
def window(qtbot, decoded) -> MainWindow:
    window = MainWindow(decoded)
    qtbot.addWidget(window)
    window.show()
    window.activateWindow()
    return window


@pytest.fixture
def library(tmp_path) -> Path:
    """Flat, rising and falling over the bands of the capture; the fake decoder's spectra are flat."""
    path = tmp_path / "paints.csv"
    lines = [f"{nm:g},1,{nm / 100:g},{(1000 - nm) / 100:g}" for nm in (400, 500, 600, 700)]
    path.write_text("\n".join(["nm,flat,rising,falling", *lines]))
    return path


def open_library(qtbot, parts: Parts, path: Path) -> None:
    with qtbot.waitSignal(parts.spectral_library.changed):
        parts.spectral_library.open(path)


def y_of(curve) -> list[float]:
    y = curve.getData()[1]
    return [] if y is None else y.tolist()


# ---- curves ------------------------------------------------------------------------------------------------------


def test_every_region_has_the_mean_of_the_chosen_stage_in_the_colour_of_its_marker(decoded, show, wear):
    view = show(SpectrumView(decoded))
    decoded.regions.add("point", [(3, 4)])
    decoded.regions.add("rectangle", [(1, 1), (6, 6)])
    decoded.looking.select_stage(2)
    for tokens in (theme.light(), theme.dark()):
        wear(tokens)
        for number, curve in view.region_curves.items():
            assert y_of(curve.mean) == 4 * [0.25]
            assert curve.mean.opts["pen"].color().name() == region_colour(number)
    assert list(view.region_curves) == [1, 2]
    decoded.regions.remove(1)
    assert list(view.region_curves) == [2]


def test_the_tint_reaches_one_deviation_to_either_side_and_leaves_out_what_is_not_finite(decoded, show):
    scene = np.full((4, 16, 14), 0.5, np.float32)
    scene[0, :, 0], scene[0, :, 1] = 0.25, 0.75
    scene[2] = np.nan
    decoded.session.stages._images[5] = scene
    view = show(SpectrumView(decoded))
    decoded.regions.add("rectangle", [(0, 0), (4, 2)])
    box = view.region_curves[1].band.path().boundingRect()
    assert (box.top(), box.bottom()) == (0.25, 0.75)
    assert (box.left(), box.right()) == (450, 500)  # the last band alone encloses nothing
    assert np.isnan(y_of(view.region_curves[1].mean)).tolist() == [False, False, True, False]


def test_the_stages_of_the_chosen_region_are_a_fan_until_the_mouse_is_on_a_picture(decoded, show):
    view = show(SpectrumView(decoded))
    decoded.looking.select_pixel((8, 8))
    decoded.regions.add("ellipse", [(2, 2), (9, 9)])
    assert len(y_of(view.fan.fan)) == 6 * 5 and len(y_of(view.places[0].fan)) == 5
    region = decoded.regions.chosen
    true = decoded.regions.curve(region, REFERENCE).mean
    np.testing.assert_allclose(y_of(view.reference), true)
    angle = spectral_angles(true, np.full((1, 4), 0.5**5))[0]
    assert "1 ellipse" in view.where.text() and f"{angle:.2f}° away" in view.what.text()
    view.show_cursor(Cursor(5, 3, 3))
    assert y_of(view.fan.fan) == [] and len(y_of(view.places[1].fan)) == 6 * 5
    np.testing.assert_allclose(y_of(view.reference), decoded.session.measurement.reference[:, 3, 3], rtol=1e-6)


def test_a_pixel_without_a_single_number_has_no_angle_and_breaks_nothing(decoded, show):
    decoded.session.stages._images[5] = np.full((4, 16, 14), np.nan, np.float32)
    view = show(SpectrumView(decoded))
    view.show_cursor(Cursor(5, 3, 3))
    assert "°" not in view.what.text()
    decoded.regions.add("point", [(3, 4)])
    view.grab()


def test_points_are_means_over_the_box_that_is_chosen_above(decoded, show):
    view = show(SpectrumView(decoded))
    decoded.regions.add("point", [(3, 4)])
    view.box.setCurrentText("Mean of 3 × 3")
    assert decoded.regions.curve(decoded.regions.chosen, 5).num_pixels == 9


def test_a_row_of_a_photograph_keeps_its_profile_and_a_box_has_none(decode_photograph, samples, show):
    parts = decode_photograph(samples, "cs")
    view = show(SpectrumView(parts))
    parts.regions.add("point", [(3, 4)])
    parts.regions.add("rectangle", [(1, 1), (6, 6)])
    assert list(view.region_curves) == [1] and len(y_of(view.region_curves[1].mean)) == 24
    parts.regions.choose(1)
    np.testing.assert_allclose(y_of(view.reference), parts.session.measurement.reference[0, 3], rtol=1e-6)
    assert "1 row" in view.where.text()


# ---- the list ----------------------------------------------------------------------------------------------------


def test_the_list_has_pixels_mean_deviation_and_angle_of_every_place(decoded, show):
    panel = show(RegionPanel(decoded))
    decoded.looking.select_band(1)
    region = decoded.regions.add("rectangle", [(0, 0), (4, 2)])
    true = decoded.regions.curve(region, REFERENCE).mean
    angle = spectral_angles(true, np.full((1, 4), 0.5**5))[0]
    texts = [panel.table.item(0, column).text() for column in range(panel.table.columnCount())]
    assert texts == ["1 rectangle", "8", "0.031", "0.000", f"{angle:.2f}°"]
    assert "Stage 5 at 500.0 nm" in panel.hint.text()


def test_a_row_of_the_list_chooses_and_its_numbers_move_the_place(qtbot, decoded, show):
    panel = show(RegionPanel(decoded))
    regions = decoded.regions
    regions.add("rectangle", [(1, 2), (5, 8)])
    regions.add("point", [(3, 4)])
    panel.table.selectRow(0)
    assert regions.chosen_number == 1
    assert [number.value() for number in panel.place.numbers] == [2, 1, 6, 4]
    panel.place.numbers[2].setValue(3)
    assert regions.chosen.corners == ((1, 2), (5, 5))
    panel.table.selectRow(1)
    assert [number.isVisible() for number in panel.place.numbers] == [True, True, False, False]
    panel.place.numbers[0].setValue(99)  # is not in the picture
    assert regions.chosen.corners == ((3, 4),) and panel.place.numbers[0].value() == 4


def test_the_corners_of_a_polygon_are_typed_and_nonsense_goes_back(qtbot, decoded, show):
    panel = show(RegionPanel(decoded))
    decoded.regions.add("polygon", [(1, 1), (1, 9), (9, 9)])
    assert panel.place.corners.text() == "1, 1; 9, 1; 9, 9"
    for typed, corners in (("2, 1; 9, 1; 9, 9", ((1, 2), (1, 9), (9, 9))), ("2; 3", ((1, 2), (1, 9), (9, 9)))):
        panel.place.corners.setText(typed)
        qtbot.keyClick(panel.place.corners, Qt.Key.Key_Return)
        assert decoded.regions.chosen.corners == corners
    assert panel.place.corners.text() == "2, 1; 9, 1; 9, 9"


def test_the_figures_of_zoom_boxes_are_listed_for_the_chosen_stage(decode_photograph, low_resolution, show):
    parts = decode_photograph(low_resolution, "sr")
    panel = show(RegionPanel(parts))
    assert not panel.tools["ellipse"].isVisible() and panel.tools["rectangle"].text() == "Zoom box"
    region = parts.regions.add("rectangle", [(0, 0), (8, 8)])
    parts.looking.select_stage(2)
    figures = parts.regions.figures(region, 2, parts.session.stages.image(2))
    texts = [panel.table.item(0, column).text() for column in range(3)]
    assert texts == ["1 zoom box", f"{figures['psnr']:.2f}", f"{figures['ssim']:.3f}"]


# ---- the library -------------------------------------------------------------------------------------------------


def test_the_library_is_ranked_by_angle_to_the_curve_with_the_first_stage_that_came_close(
    qtbot, decoded, library, show
):
    spectrum = show(SpectrumView(decoded))
    panel = show(LibraryPanel(decoded, lambda: spectrum.subject))
    spectrum.subject_changed.connect(panel.refresh)
    open_library(qtbot, decoded, library)
    assert "3 spectra, resampled linearly to all 4 bands" in panel.words.text()
    rising = np.sqrt((NM @ np.ones(4)) ** 2 / (4 * NM @ NM))
    spectrum.show_cursor(Cursor(5, 3, 3))
    assert panel.table.item(0, 0).text() == "flat" and panel.table.item(0, 1).text() == "0.00°"
    assert panel.table.item(0, 2).text() == "start"
    names = [panel.table.item(row, 0).text() for row in range(3)]
    row = names.index("rising")
    assert panel.table.item(row, 1).text() == f"{np.degrees(np.arccos(rising)):.2f}°"
    assert panel.table.item(row, 2).text() == "not yet"


def test_a_click_draws_a_spectrum_of_the_library_scaled_to_the_mean_of_the_curve(qtbot, decoded, library, show):
    spectrum = show(SpectrumView(decoded))
    panel = show(LibraryPanel(decoded, lambda: spectrum.subject))
    spectrum.subject_changed.connect(panel.refresh)
    open_library(qtbot, decoded, library)
    decoded.looking.select_pixel((3, 3))
    row = [match.name for match in panel.matches].index("rising")
    place = panel.table.visualItemRect(panel.table.item(row, 0)).center()
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    np.testing.assert_allclose(y_of(spectrum.library), NM * 0.5**5 / NM.mean())
    assert "rising, scaled to the mean of the curve" in spectrum.beside.text()
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert y_of(spectrum.library) == [] and not spectrum.beside.isVisible()


def test_a_library_that_reaches_two_bands_is_refused_in_words_and_one_that_reaches_three_says_so(
    qtbot, decoded, tmp_path, show
):
    panel = show(LibraryPanel(decoded, lambda: None))
    path = tmp_path / "part.csv"
    path.write_text("nm,a\n480,1\n560,2\n")
    open_library(qtbot, decoded, path)
    assert "2 of the 4 bands" in panel.problem.text() and decoded.spectral_library.spectra is None
    path.write_text("nm,a\n440,1\n560,2\n")
    open_library(qtbot, decoded, path)
    assert "3 of the 4 bands" in panel.words.text() and not panel.problem.isVisible()
    path.write_text("nm,a\n440,green\n")
    open_library(qtbot, decoded, path)
    assert "'green'" in panel.problem.text() and decoded.spectral_library.spectra is not None


def test_the_first_stage_within_five_degrees_is_found_and_nan_is_never_close():
    angle = np.radians(4.0)
    curves = [np.array([0.0, 1, 1]), np.full(3, np.nan), np.array([1.0, 1 + angle, 1]), np.ones(3)]
    spectra = np.array([np.ones(3), [1.0, 0, 0]])
    assert first_stages(curves, spectra) == [2, None]


# ---- three chosen bands ------------------------------------------------------------------------------------------


def test_three_bands_become_red_green_and_blue_and_the_bar_says_which(qtbot, decoded, show):
    centre = show(CentreView(decoded), 1000, 700)
    cube = np.zeros((4, 16, 14), np.float32)
    cube[3], cube[0, :, 7:] = 1, 1
    decoded.session.stages._images[5] = cube
    decoded.looking.set_panes([5])
    decoded.looking.set_stretch(None, True)
    decoded.looking.set_composite((3, 1, 0))
    assert centre.light.text() == "R 640 · G 500 · B 450 nm"
    picture = centre.pictures.picture(5)
    assert [picture.pixelColor(x, 3).getRgb()[:3] for x in (2, 12)] == [(255, 0, 0), (255, 0, 255)]
    centre.light.bands[1].setCurrentIndex(0)
    centre.light.bands[1].activated.emit(0)
    assert decoded.session.selection.composite == (3, 0, 0)
    centre.light.true_colour.click()
    assert centre.light.text() == "D65 · CIE 1931" and decoded.session.selection.composite is None
    decoded.looking.set_composite((4, 0, 0))  # there is no fifth band
    assert decoded.session.selection.composite is None


# ---- the window --------------------------------------------------------------------------------------------------


def pane_of(window: MainWindow):
    return window.centre.grid.cards[0].pane


def test_regions_are_drawn_moved_removed_and_taken_back_with_keys_alone(qtbot, window, decoded):
    regions = decoded.regions
    for key, shape in ((Qt.Key.Key_R, "rectangle"), (Qt.Key.Key_E, "ellipse"), (Qt.Key.Key_G, "polygon")):
        qtbot.keyClick(window, key)
        assert regions.tool == shape and window.side_tabs.title == "Regions"
        qtbot.keyClick(pane_of(window), Qt.Key.Key_Return)
        assert regions.chosen.shape == shape
    before = regions.chosen
    qtbot.keyClick(pane_of(window), Qt.Key.Key_Down)
    assert regions.chosen == before.moved(1, 0)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert regions.chosen == before
    qtbot.keyClick(window, Qt.Key.Key_N)
    assert regions.chosen_number == 1
    qtbot.keyClick(window, Qt.Key.Key_Delete)
    assert [region.number for region in regions.all] == [2, 3]
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert [region.number for region in regions.all] == [1, 2, 3]
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window, Qt.Key.Key_Z, modifiers)
    assert [region.number for region in regions.all] == [2, 3]


def test_the_tool_buttons_draw_and_the_list_exports(qtbot, window, decoded, monkeypatch, tmp_path):
    tabs = window.side_tabs
    qtbot.mouseClick(tabs.buttons["Regions"], Qt.MouseButton.LeftButton)
    panel = tabs.regions
    assert not panel.export.isEnabled() and "Keep points" in panel.hint.text()
    qtbot.mouseClick(panel.tools["point"], Qt.MouseButton.LeftButton)
    assert panel.tools["point"].isChecked() and "every click keeps one" in panel.hint.text()
    pane = pane_of(window)
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.point_of((8, 7)).toPoint())
    assert decoded.regions.chosen == Region(1, "point", ((8, 7),))
    qtbot.mouseClick(panel.tools["point"], Qt.MouseButton.LeftButton)
    assert decoded.regions.tool is None
    monkeypatch.setattr("app.panels.exporting.ask_save_file", lambda *args: tmp_path / "places.csv")
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.mouseClick(panel.export, Qt.MouseButton.LeftButton)
    assert (tmp_path / "places.csv").read_text().startswith("wavelength_nm,1 point (x 7 y 8) in stage 5 of fake mean,")
    qtbot.mouseClick(panel.remove, Qt.MouseButton.LeftButton)
    assert decoded.regions.all == ()


def test_a_library_is_opened_by_the_button_and_shown(qtbot, window, decoded, library, monkeypatch):
    monkeypatch.setattr("app.main_window.ask_open_library", lambda *args: library)
    qtbot.mouseClick(window.side_tabs.buttons["Library"], Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(decoded.spectral_library.changed):
        qtbot.mouseClick(window.side_tabs.library.open, Qt.MouseButton.LeftButton)
    assert window.side_tabs.library.name.text() == "paints.csv" and not window.side_tabs.library.problem.isVisible()
    qtbot.mouseClick(window.side_tabs.library.close_library, Qt.MouseButton.LeftButton)
    assert decoded.spectral_library.library is None


def test_a_photograph_offers_no_library_and_no_ellipse(qtbot, window, decoded, samples):
    window.side_tabs.show_card("Library")
    with qtbot.waitSignal(decoded.lanes.idle, timeout=60_000):
        decoded.session.open([samples])
    assert window.side_tabs.title == "Convergence" and not window.side_tabs.buttons["Library"].isVisibleTo(window)
    assert not window.actions_["draw_ellipse"].isEnabled() and window.actions_["draw_rectangle"].isEnabled()
    assert window.actions_["draw_rectangle"].text() == "Draw a zoom box"


def test_the_keys_of_regions_stand_for_nothing_else():
    keys = [key for entry in ENTRIES for key in entry.key.split()]
    own = [
        key
        for entry in ENTRIES
        if "region" in entry.name or entry.name.startswith("draw_")
        for key in entry.key.split()
    ]
    assert sorted(own) == ["Ctrl+R", "Del", "E", "G", "N", "P", "R"]
    assert all(keys.count(key) == 1 for key in own)


# ---- what is not a number ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["colour", "band", "montage"])
@pytest.mark.parametrize("hole", ["a pixel", "a band", "everything"])
def test_every_view_of_a_cube_with_holes_is_drawn(decoded, show, mode, hole):
    cube = np.full((4, 16, 14), 0.5, np.float32)
    cube[{"a pixel": (slice(None), 2, 3), "a band": 1, "everything": ...}[hole]] = np.nan
    decoded.session.stages._images[5] = cube
    centre = show(CentreView(decoded), 900, 700)
    decoded.looking.set_mode(mode)
    decoded.looking.set_composite((3, 1, 0))
    decoded.regions.add("ellipse", [(0, 0), (8, 8)])
    for stretch, shared in ((None, True), ((1.0, 99.0), True), ((1.0, 99.0), False)):
        decoded.looking.set_stretch(stretch, shared)
        assert not centre.grab().isNull()
    is_known = np.isfinite(decoded.regions.curve(decoded.regions.chosen, 5).mean)
    assert (
        is_known.tolist()
        == {"a pixel": 4 * [True], "a band": [True, False, True, True], "everything": 4 * [False]}[hole]
    )

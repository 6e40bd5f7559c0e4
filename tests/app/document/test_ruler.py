"""The ruler on the spectra: by mouse and keys, in every view of single bands, and taken back."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from app.document.selection import MEASUREMENT, REFERENCE
from app.main_window import MainWindow
from app.viewers.maps import Change, Difference

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(decoded, show) -> MainWindow:
    """The last stage beside the reference; the bands lie at 450, 500, 560 and 640 nm."""
    window = show(decoded)
    decoded.looking.set_panes([5, REFERENCE])
    window.centre.setFocus()
    return window


def drag(qtbot, window: MainWindow, start_nm: float, end_nm: float) -> None:
    viewport = window.spectrum.plot.viewport()
    start, end = (place_of(window, nm) for nm in (start_nm, end_nm))
    qtbot.mousePress(viewport, LEFT, pos=start)
    qtbot.mouseMove(viewport, (start + end) / 2)
    qtbot.mouseMove(viewport, end)
    qtbot.mouseRelease(viewport, LEFT, pos=end)


def place_of(window: MainWindow, nm: float) -> QPoint:
    return QPoint(round(window.spectrum.ruler.position_of(nm)), window.spectrum.plot.height() // 3)


def press(qtbot, window: MainWindow, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.keyClick(QApplication.focusWidget() or window, key, modifier)


def titles(window: MainWindow) -> list[str]:
    return [card.title.text() for card in window.centre.grid.cards if card.isVisible()]


def test_dragging_over_wavelengths_shows_the_mean_of_their_bands_in_every_pane(qtbot, window):
    parts, pictures = window.parts, window.centre.pictures
    assert parts.session.selection.mode == "colour"
    drag(qtbot, window, 480, 580)
    assert parts.ruler.range == (1, 2) and parts.session.selection.mode == "band"
    assert titles(window) == ["Stage 5 · 500 – 560 nm", "Reference · 500 – 560 nm"]
    mean = parts.session.measurement.reference[1:3].mean(axis=0)
    np.testing.assert_allclose(pictures.plane(REFERENCE, (1, 2)), mean, rtol=1e-6)
    parts.looking.set_stretch(None, True)
    shown = pictures.picture(REFERENCE)
    assert shown.pixelColor(3, 7).red() == pytest.approx(255 * mean[7, 3], abs=1)
    assert pictures.value(REFERENCE, (7, 3)) == f"{mean[7, 3]:.3g}"
    assert window.centre.stepping.band_label.text() == "2 – 3 of 4  ·  500.0 – 560.0 nm"
    parts.looking.select_pixel((7, 3))
    assert f"500.0 – 560.0 nm   stage 5: 0.0312   reference: {mean[7, 3]:.3g}" in window.statusBar().cursor.text()
    assert window.spectrum.mean.isChecked() and window.spectrum.mean.text() == "500.0 – 560.0 nm"
    assert window.spectrum.ruler.item.isVisible()
    assert window.spectrum.ruler.item.getRegion() == pytest.approx((475, 600))


def test_a_drag_is_taken_back_as_one_and_leads_back_to_the_colours(qtbot, window):
    parts = window.parts
    drag(qtbot, window, 444, 648)
    assert parts.ruler.range == (0, 3)
    window.actions_["undo"].trigger()
    assert parts.ruler.range is None and parts.session.selection.mode == "colour"
    window.actions_["redo"].trigger()
    assert parts.ruler.range == (0, 3) and parts.session.selection.mode == "band"


def test_the_ends_and_the_middle_of_the_ruler_can_be_dragged_and_a_click_beside_it_takes_it_away(qtbot, window):
    parts = window.parts
    drag(qtbot, window, 480, 580)
    drag(qtbot, window, 600, 650)
    assert parts.ruler.range == (1, 3)
    drag(qtbot, window, 475, 530)
    assert parts.ruler.range == (2, 3)
    drag(qtbot, window, 560, 448)
    assert parts.ruler.range == (0, 1)
    qtbot.mouseClick(window.spectrum.plot.viewport(), LEFT, pos=place_of(window, 620))
    assert parts.ruler.range is None and not window.spectrum.ruler.item.isVisible()


def test_a_drag_between_two_bands_takes_the_nearest(qtbot, window):
    drag(qtbot, window, 575, 595)
    assert window.parts.ruler.range == (2, 2)
    assert titles(window)[0] == "Stage 5 · 560 nm"


def test_everything_goes_by_keys(qtbot, window):
    parts = window.parts
    parts.looking.select_band(1)
    press(qtbot, window, Qt.Key.Key_M)
    assert parts.ruler.range == (0, 3)
    press(qtbot, window, Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    assert parts.ruler.range == (1, 2)
    press(qtbot, window, Qt.Key.Key_BracketRight)
    press(qtbot, window, Qt.Key.Key_BracketRight)
    assert parts.ruler.range == (2, 3)  # it ends at the last band
    press(qtbot, window, Qt.Key.Key_Down)
    assert parts.ruler.range == (1, 2)
    press(qtbot, window, Qt.Key.Key_W)
    assert parts.ruler.range == (0, 3)
    parts.looking.select_pixel((3, 4))
    press(qtbot, window, Qt.Key.Key_Escape)
    assert parts.ruler.range is None and parts.session.selection.pixel == (3, 4)
    press(qtbot, window, Qt.Key.Key_Escape)
    assert parts.session.selection.pixel is None
    press(qtbot, window, Qt.Key.Key_M)
    window.model_card.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert parts.ruler.range is None


def test_one_band_is_the_least_that_is_left(window):
    parts = window.parts
    parts.ruler.take(1, 1)
    parts.ruler.grow(-1)
    assert parts.ruler.range == (1, 1)
    parts.ruler.take(-7, 9)
    assert parts.ruler.range == (0, 3)


def test_a_single_band_that_is_chosen_ends_the_range(qtbot, window):
    parts = window.parts
    parts.ruler.take(0, 2)
    window.centre.stepping.band_slider.setValue(3)
    assert parts.ruler.range is None and parts.session.selection.band == 3
    parts.ruler.take(0, 2)
    parts.looking.set_mode("montage")
    assert parts.ruler.range == (0, 2)
    montage = window.centre.montage
    qtbot.mouseClick(montage.tiles.viewport(), LEFT, pos=montage.tiles.tile_rect(3).center())
    assert parts.ruler.range is None and parts.session.selection.band == 3


def test_what_was_compared_or_changed_is_of_the_mean(decoded, window):
    maps = window.centre.grid.maps
    reference = decoded.session.measurement.reference
    decoded.ruler.take(1, 3)
    mean = reference[1:].mean(axis=0)
    np.testing.assert_allclose(maps.plane(Difference(5, REFERENCE)), 0.5**5 - mean, rtol=1e-5, atol=1e-6)
    assert (maps.plane(Change(2)) == 0.25).all() and maps.range(Change(2)).high == 0.5
    decoded.looking.set_mode("compare")
    window.centre.refresh()
    assert decoded.ruler.range == (1, 3) and window.centre.compare.bands.itemText(1) == "500.0 – 640.0 nm"
    decoded.ruler.clear()
    decoded.looking.set_in_colour(True)
    decoded.ruler.take(0, 1)
    assert decoded.session.selection.mode == "compare" and not decoded.session.selection.in_colour


def test_values_that_are_no_numbers_darken_their_own_pixel_alone(decoded, window):
    scene = np.full((4, 16, 14), 0.5, np.float32)
    scene[1, 2, 3] = np.nan
    decoded.session.stages._images[5] = scene
    decoded.looking.set_stretch(None, True)
    decoded.ruler.take(0, 3)
    shown = window.centre.pictures.picture(5)
    assert shown.pixelColor(3, 2).red() == 0 and shown.pixelColor(4, 2).red() == pytest.approx(128, abs=1)


def test_what_is_opened_next_has_no_range_and_no_step_back(qtbot, window, foreign, snapshot):
    parts = window.parts
    parts.ruler.take(0, 2)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open(foreign)
    assert parts.ruler.range is None
    assert not window.actions_["mean_of_bands"].isEnabled() and not window.actions_["undo"].isEnabled()


@pytest.mark.parametrize(("measured", "task"), [("samples", "cs"), ("low_resolution", "sr")])
def test_photographs_have_no_ruler(qtbot, request, decode_photograph, show, measured, task):
    parts = decode_photograph(request.getfixturevalue(measured), task)
    window = show(parts)
    parts.looking.select_pixel((3, 4))
    assert not window.spectrum.mean.isVisible() and not window.actions_["mean_of_bands"].isEnabled()
    drag(qtbot, window, 2, 9)
    parts.ruler.toggle()
    assert parts.ruler.range is None and parts.session.selection.panes[0] in (MEASUREMENT, 1)

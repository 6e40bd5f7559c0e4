"""Compare: two sides in one picture by mouse and keys, and several decoders on one measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from app.assembly import Parts
from app.document.comparing import CHOSEN, band_deviation, deviation, fits_scene, largest_angle
from app.document.selection import MEASUREMENT, REFERENCE
from app.document.stage_store import StageStore
from app.main_window import MainWindow
from app.viewers.maps import Difference, Spread
from app.viewers.regions import region_colour
from app.widgets.colours import NAN_COLOUR, blue_red
from lorun_engine.decoding.restore import StageResult
from lorun_engine.errors import LorunError


@pytest.fixture
def three(fake_decoder_type):
    """Three decoders: one fits, one refuses, one fails in its second stage."""
    good, refusing, failing = (fake_decoder_type(name, num_stages=2) for name in ("good", "refusing", "failing"))
    refusing.refusal = "This set was trained for another camera."
    failing.fail = {2: LorunError("The numbers are no longer finite.")}
    return good, refusing, failing


@pytest.fixture
def open_with(qtbot, make_parts, snapshot):
    """Opens the snapshot in a session with these decoders."""

    def make(*decoders) -> Parts:
        parts = make_parts(*decoders)
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.open([snapshot])
        return parts

    return make


def press(qtbot, window: MainWindow, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    window.centre.compare.pane.setFocus()
    qtbot.keyClick(QApplication.focusWidget() or window, key, modifier)


def choose(box, data) -> None:
    """Chooses an item as the mouse would."""
    index = next(index for index in range(box.count()) if box.itemData(index) == data)
    box.setCurrentIndex(index)
    box.activated.emit(index)


def constant(value: float, shape=(4, 16, 14)) -> StageResult:
    return StageResult(2, np.full(shape, value, np.float32), 0.5, 0.1)


# ---- sides -------------------------------------------------------------------------------------------------------


def test_any_two_of_stages_results_and_reference_can_be_compared(qtbot, decoded, show):
    window = show(decoded)
    press(qtbot, window, Qt.Key.Key_5)
    view, comparing = window.centre.compare, decoded.comparing
    assert view.isVisible() and (comparing.left, comparing.right) == (CHOSEN, REFERENCE)
    (result,) = comparing.results
    assert comparing.sides() == (CHOSEN, 0, 1, 2, 3, 4, 5, result, REFERENCE)
    assert result.title == "fake · 5 stages"
    for left in comparing.sides():
        for right in comparing.sides():
            choose(view.left, left)
            choose(view.right, right)
            assert (comparing.left, comparing.right) == (left, right)
            for way in ("side by side", "split", "blink", "difference"):
                comparing.show(way)
                window.grab()


def test_the_side_of_the_chosen_stage_follows_the_scrubber(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    window.centre.stepping.stage_slider.setValue(2)
    assert decoded.comparing.pane_of(decoded.comparing.left) == 2
    assert window.centre.compare.left.currentText() == "Chosen stage (stage 2)"


def test_the_sides_are_swapped_by_button_and_key(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    decoded.comparing.choose(left=1, right=4)
    qtbot.mouseClick(window.centre.compare.swap, Qt.MouseButton.LeftButton)
    assert (decoded.comparing.left, decoded.comparing.right) == (4, 1)
    press(qtbot, window, Qt.Key.Key_X)
    assert (decoded.comparing.left, decoded.comparing.right) == (1, 4)


def test_a_measurement_is_a_side_only_where_its_pixels_cover_those_of_the_scene():
    assert fits_scene((3, 8, 12), (3, 16, 24)) and fits_scene((1, 16, 24), (1, 16, 24))
    assert not fits_scene((1, 16, 20), (4, 16, 14))  # a CASSI capture
    assert not fits_scene((3, 8, 8), (3, 16, 24)) and not fits_scene((16, 6), (1, 16, 24))


def test_of_a_low_resolution_picture_the_measurement_is_compared_with_the_result(
    qtbot, decode_photograph, low_resolution, show
):
    parts = decode_photograph(low_resolution, "sr")
    window = show(parts)
    parts.looking.set_mode("compare")
    assert MEASUREMENT in parts.comparing.sides()
    parts.comparing.choose(left=3, right=MEASUREMENT)
    small = parts.session.measurement.y.mean(axis=0)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(window.centre.grid.maps.plane(Difference(3, MEASUREMENT)), 0.125 - large, atol=1e-6)
    for way in ("side by side", "split", "blink", "difference"):
        parts.comparing.show(way)
        window.grab()


def test_samples_of_blocks_are_compared_without_their_measurement(decode_photograph, samples, show):
    parts = decode_photograph(samples, "cs")
    window = show(parts)
    parts.looking.set_mode("compare")
    assert MEASUREMENT not in parts.comparing.sides() and window.centre.compare.isVisible()
    np.testing.assert_allclose(window.centre.grid.maps.plane(Difference(1, 3)), 0.5 - 0.125)
    window.grab()


# ---- split and blink ---------------------------------------------------------------------------------------------


def test_the_line_is_dragged_with_the_mouse_and_moved_by_keys_while_the_picture_stays(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    pane, comparing, hub = window.centre.compare.pane, decoded.comparing, window.centre.grid.hub
    hub.look_at(hub.centre, 2.0)
    y, view = pane.height() // 2, (hub.centre, hub.zoom)
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(round(pane.line_x), y))
    qtbot.mouseMove(pane, QPoint(pane.width() // 4, y))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(pane.width() // 4, y))
    assert comparing.look.divider == pytest.approx(0.25, abs=0.01) and (hub.centre, hub.zoom) == view
    before = comparing.look.divider
    press(qtbot, window, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert comparing.look.divider == pytest.approx(before + 0.02)
    press(qtbot, window, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert comparing.look.divider == pytest.approx(before)
    comparing.move_divider(7)
    assert comparing.look.divider == 1


def test_left_of_the_line_is_the_left_side_and_right_of_it_the_right_one(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_stretch(None, True)
    decoded.looking.set_mode("compare")
    decoded.looking.set_in_colour(False)
    decoded.comparing.choose(left=1, right=5)
    QApplication.processEvents()
    pane = window.centre.compare.pane
    image = pane.grab().toImage()
    y, target = pane.height() // 3, pane.target
    assert image.pixelColor(round(target.x() + target.width() / 4), y).red() == 128  # 0.5
    assert image.pixelColor(round(target.x() + target.width() * 3 / 4), y).red() == 8  # 0.5^5


def test_b_blinks_between_the_sides_and_shift_b_does_so_by_itself(qtbot, decoded, show):
    window = show(decoded)
    pane = window.centre.grid.cards[0].pane
    pane.setFocus()
    qtbot.keyClick(pane, Qt.Key.Key_B)
    comparing = decoded.comparing
    assert decoded.session.selection.mode == "compare"
    assert comparing.look.way == "blink" and not comparing.look.shows_right
    press(qtbot, window, Qt.Key.Key_B)
    assert comparing.look.shows_right
    press(qtbot, window, Qt.Key.Key_B)
    assert not comparing.look.shows_right
    window.centre.compare._blinker.setInterval(1)
    press(qtbot, window, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    seen = set()
    comparing.changed.connect(lambda: seen.add(comparing.look.shows_right))
    qtbot.waitUntil(lambda: seen == {True, False})
    press(qtbot, window, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    assert not window.centre.compare._blinker.isActive()


def test_blinking_ends_when_another_mode_is_shown(qtbot, decoded, show):
    window = show(decoded)
    window.actions_["blink_on"].trigger()
    assert window.centre.compare._blinker.isActive()
    press(qtbot, window, Qt.Key.Key_1)
    assert not window.centre.compare._blinker.isActive()


def test_a_key_goes_through_the_ways_there_are(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    ways = []
    for _ in range(3):
        press(qtbot, window, Qt.Key.Key_V)
        ways.append(decoded.comparing.look.way)
    assert ways == ["blink", "difference", "side by side"]  # one result has nobody to disagree with


def test_zoom_and_cursor_are_those_of_the_panes(qtbot, decoded, show):
    window = show(decoded)
    hub, pane = window.centre.grid.hub, window.centre.compare.pane
    hub.look_at(hub.centre, 3.0)
    decoded.looking.set_mode("compare")
    QApplication.processEvents()
    fitting = min(pane.width() / 14, pane.height() / 16)
    assert pane.target.width() == pytest.approx(3 * 14 * fitting)
    qtbot.mouseMove(pane, pane.point_of((8, 7)).toPoint())
    assert hub.cursor == (8, 7)
    decoded.comparing.choose(left=1, right=2)
    assert "left 0.500" in window.centre.compare.figures.toolTip()
    assert "right 0.250" in window.centre.compare.figures.toolTip()


# ---- difference --------------------------------------------------------------------------------------------------


def test_the_difference_is_left_minus_right_with_equal_ends_and_zero_in_the_middle(decoded, show):
    images = np.zeros((2, 4, 16, 14), np.float32)
    images[0, :, 8:] = 0.5
    images[1, :, :2] = 0.25
    images[1, 1, 5, 5] = np.nan
    decoded.session.stages = StageStore()
    for index, image in enumerate(images):
        decoded.session.stages.append(StageResult(index, image, 0.5, 0.1))
    decoded.session.restoration = replace(decoded.session.restoration, done_stages=1)
    decoded.session.num_announced = 2
    window = show(decoded)
    maps, kind = window.centre.grid.maps, Difference(0, 1)
    ends = maps.range(kind)
    assert (ends.low, ends.high) == (-0.5, 0.5) and ends.sentence == "−0.500 to +0.500" and ends.has_nan
    picture = maps.picture(kind)
    colours = [picture.pixelColor(3, y).getRgb()[:3] for y in (0, 4, 12)]
    assert colours == [tuple(blue_red()[code]) for code in (64, 128, 255)]
    assert picture.pixelColor(5, 5) == QColor(*NAN_COLOUR)
    decoded.looking.set_mode("band")
    decoded.looking.select_band(2)
    assert not maps.range(kind).has_nan  # the hole is in another band


def test_moving_through_the_bands_compares_single_bands(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    window.centre.stepping.band_slider.setValue(3)
    assert decoded.session.selection.mode == "compare" and not decoded.session.selection.in_colour
    choose_colour = window.centre.compare.bands
    choose_colour.setCurrentIndex(0)
    choose_colour.activated.emit(0)
    assert decoded.session.selection.in_colour


# ---- several decoders --------------------------------------------------------------------------------------------


def test_ticked_decoders_are_run_one_after_another_and_become_sides(qtbot, open_with, fake_decoder_type, show):
    first, second, third = (
        fake_decoder_type(name, num_stages=count) for name, count in zip("abc", (1, 2, 3), strict=True)
    )
    parts = open_with(first, second, third)
    window = show(parts)
    window.actions_["several"].trigger()
    sets = window.centre.compare.sets
    assert sets.isVisible() and list(sets.ticks) == ["a", "b", "c"]
    qtbot.mouseClick(sets.ticks["b"], Qt.MouseButton.LeftButton, pos=QPoint(8, sets.ticks["b"].height() // 2))
    assert parts.comparing.ticked == ("a", "c")
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.mouseClick(sets.decode, Qt.MouseButton.LeftButton)
    results = list(parts.comparing.results)
    assert [result.title for result in results] == ["a · 1 stage", "c · 3 stages"]
    assert (first.computed, second.computed, third.computed) == ([0, 1], [], [0, 1, 2, 3])
    assert [float(parts.shelf.image(result)[0, 0, 0]) for result in results] == [0.5, 0.125]
    assert [parts.comparing.left, parts.comparing.right] == results
    assert len(parts.session.stages) == 0  # nothing of the restoration was touched


def test_a_decoder_that_does_not_fit_says_why_and_the_others_go_on(qtbot, open_with, three, show):
    good, refusing, failing = three
    parts = open_with(good, refusing, failing)
    window = show(parts)
    window.actions_["several"].trigger()
    with qtbot.waitSignal(parts.lanes.idle):
        parts.comparing.decode()
    outcomes = {outcome.name: outcome for outcome in parts.comparing.progress.outcomes}
    assert outcomes["refusing"].sentence == refusing.refusal and outcomes["good"].result is not None
    assert "no longer finite" in outcomes["failing"].sentence
    assert [result.title for result in parts.comparing.results] == ["good · 2 stages"]
    window.grab()


def test_cancel_stops_within_one_stage_and_keeps_what_is_complete(qtbot, open_with, fake_decoder_type, gate_type, show):
    first, second = fake_decoder_type("a", num_stages=1), fake_decoder_type("b", num_stages=9)
    second.gate = gate_type(at=3)
    parts = open_with(first, second)
    window = show(parts)
    window.actions_["several"].trigger()
    parts.comparing.decode()
    qtbot.waitUntil(second.gate.is_reached.is_set)
    assert not parts.session.can_restore and window.actions_["cancel"].isEnabled()
    assert window.decode_card.sentence.text() == "Several decoders are being run for Compare."
    qtbot.mouseClick(window.centre.compare.sets.cancel, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(parts.lanes.idle):
        second.gate.is_open.set()
    assert second.computed == [0, 1, 2, 3]
    assert [result.title for result in parts.comparing.results] == ["a · 1 stage"]
    assert parts.session.can_restore and not parts.comparing.is_running


def test_the_disagreement_of_results_is_shown_with_its_label(qtbot, open_with, fake_decoder_type, show):
    parts = open_with(fake_decoder_type("a", num_stages=1), fake_decoder_type("b", num_stages=3))
    window = show(parts)
    window.actions_["several"].trigger()
    with qtbot.waitSignal(parts.lanes.idle):
        parts.comparing.decode()
    view = window.centre.compare
    qtbot.waitUntil(lambda: parts.comparing.disagreement is not None)
    qtbot.mouseClick(view.ways.buttons()[4], Qt.MouseButton.LeftButton)
    assert view.words.text() == "Disagreement of 2 decoders, not an error bar"
    of = tuple(parts.comparing.results)
    np.testing.assert_allclose(window.centre.grid.maps.plane(Spread(of, False)), (0.5 - 0.125) / 2, rtol=1e-6)
    np.testing.assert_allclose(window.centre.grid.maps.plane(Spread(of, True)), 0, atol=1e-5)
    view.spread.setCurrentIndex(1)
    view.spread.activated.emit(1)
    assert window.centre.compare.pane.map_ == Spread(of, True)
    window.grab()
    parts.shelf.drop(of[0])
    assert parts.comparing.look.way == "split" and parts.comparing.disagreement is None


def test_another_measurement_has_other_results(qtbot, decoded, show, foreign):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    assert len(decoded.comparing.results) == 1
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.open(foreign)
    assert len(decoded.comparing.results) == 0 and decoded.session.selection.mode == "colour"
    window.grab()


def test_the_result_of_a_decode_stays_when_another_decoder_follows(qtbot, open_with, fake_decoder_type):
    parts = open_with(fake_decoder_type("a", num_stages=1), fake_decoder_type("b", num_stages=2))
    for name in ("a", "b", "a"):
        parts.setup.switch_decoder(name)
        qtbot.waitUntil(lambda: not parts.lanes.is_busy)
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.restore()
    assert [result.title for result in parts.comparing.results] == ["b · 2 stages", "a · 1 stage"]


def test_before_anything_is_decoded_the_comparison_says_what_to_do(qtbot, opened, show):
    window = show(opened)
    window.actions_["compare"].trigger()
    assert "decode with several" in window.centre.compare.why_not.text()
    assert not window.centre.stepping.isVisible()
    shown = [button.text() for button in window.centre.mode_buttons.buttons() if button.isVisible()]
    assert shown == ["Measurement", "Compare"]
    window.grab()


# ---- numbers -----------------------------------------------------------------------------------------------------


def test_the_deviation_of_two_is_half_their_difference_and_of_bands_the_mean():
    one, other = np.zeros((2, 3, 3), np.float32), np.zeros((2, 3, 3), np.float32)
    other[0] = 1
    np.testing.assert_allclose(band_deviation([one[0], other[0]]), 0.5)
    np.testing.assert_allclose(deviation([one, other]), 0.25)
    other[1, 0, 0] = np.nan
    assert np.isnan(deviation([one, other])[0, 0]) and np.isfinite(deviation([one, other])[1:]).all()


def test_the_angle_is_the_largest_between_any_two_spectra():
    spectra = [(1, 0), (1, 1), (0, 2)]
    cubes = [np.array(spectrum, np.float32)[:, None, None] for spectrum in spectra]
    assert largest_angle(cubes).item() == pytest.approx(90)
    assert largest_angle(cubes[:2]).item() == pytest.approx(45)
    assert np.isnan(largest_angle([cubes[0], np.zeros((2, 1, 1), np.float32)])).all()


# ---- regions and points ------------------------------------------------------------------------------------------


def colours_of(window: MainWindow) -> set[str]:
    """The colours of all pixels of the compared picture."""
    image = window.centre.compare.pane.grab().toImage()
    return {image.pixelColor(x, y).name() for y in range(0, image.height(), 2) for x in range(0, image.width(), 2)}


@pytest.mark.parametrize("way", ["split", "blink", "difference"])
def test_points_and_regions_are_seen_on_both_sides_of_the_comparison(qtbot, decoded, show, way):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    decoded.comparing.show(way)
    assert region_colour(1) not in colours_of(window)
    decoded.regions.add("rectangle", [(2, 1), (6, 4)])
    decoded.regions.add("point", [(9, 11)])
    assert {region_colour(number) for number in (1, 2)} <= colours_of(window)
    decoded.regions.remove(1)
    assert region_colour(1) not in colours_of(window)


def test_regions_are_drawn_and_moved_on_the_compared_picture_and_the_line_stays_in_reach(qtbot, decoded, show):
    window = show(decoded)
    decoded.looking.set_mode("compare")
    pane, tools = window.centre.compare.pane, window.centre.grid.tools
    press(qtbot, window, Qt.Key.Key_R)
    assert QApplication.focusWidget() is pane
    start, end = (tools.position_of(pane, corner).toPoint() for corner in ((2, 1), (12, 7)))
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(pane, end)
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=end)
    assert decoded.regions.chosen.corners == ((2, 1), (12, 7)) and decoded.regions.tool is None
    press(qtbot, window, Qt.Key.Key_Right)
    assert decoded.regions.chosen.corners == ((2, 2), (12, 8))
    inside = QPoint(round(pane.line_x), tools.position_of(pane, (7, 5)).toPoint().y())
    assert tools.region_at(pane, inside.toPointF()) is not None
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=inside)
    qtbot.mouseMove(pane, inside + QPoint(60, 0))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=inside + QPoint(60, 0))
    assert decoded.comparing.look.divider > 0.5 and decoded.regions.chosen.corners == ((2, 2), (12, 8))
    press(qtbot, window, Qt.Key.Key_Escape)
    press(qtbot, window, Qt.Key.Key_Escape)
    assert decoded.regions.chosen is None


@pytest.mark.parametrize(("measured", "task"), [("samples", "cs"), ("low_resolution", "sr")])
def test_zoom_boxes_are_enlarged_where_one_side_is_seen_alone(qtbot, request, decode_photograph, show, measured, task):
    parts = decode_photograph(request.getfixturevalue(measured), task)
    window = show(parts)
    parts.looking.set_mode("compare")
    parts.regions.add("rectangle", [(2, 1), (10, 9)])
    pane = window.centre.compare.pane
    assert pane.shows() == pane.sides
    for way, shown in (("blink", pane.sides[0]), ("difference", Difference(*pane.sides)), ("split", pane.sides)):
        parts.comparing.show(way)
        assert pane.shows() == shown
        window.grab()

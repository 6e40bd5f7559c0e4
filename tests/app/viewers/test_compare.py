"""Compare: side by side, the lens, the curves and values of both sides, and what cannot be compared."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from app.document.selection import REFERENCE
from app.viewers.compare_pane import LENS_RADIUS
from lorun_engine.io import OpenOptions


def press(qtbot, pane, key: Qt.Key) -> None:
    pane.setFocus()
    qtbot.keyClick(QApplication.focusWidget(), key)


def level(pane, position) -> int:
    """The red of a pixel of what a pane shows."""
    return pane.grab().toImage().pixelColor(position).red()


def compared(parts, show, way: str):
    """A window that compares stage 1 (0.5 everywhere) with stage 5 (0.5^5), in grey from 0 to 1."""
    window = show(parts)
    parts.looking.set_stretch(None, True)
    parts.looking.set_mode("compare")
    parts.looking.set_in_colour(False)
    parts.comparing.choose(left=1, right=5)
    parts.comparing.show(way)
    QApplication.processEvents()
    return window, window.centre.compare


def test_two_panes_stand_side_by_side_with_one_zoom_and_one_cursor_and_are_exported_so(qtbot, decoded, show):
    window, view = compared(decoded, show, "split")
    qtbot.mouseClick(view.ways.buttons()[0], Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    left, right = view.pane, view.second
    assert decoded.comparing.look.way == "side by side" and right.isVisible() and left.size() == right.size()
    middle = QPoint(left.width() // 2, left.height() // 3)
    assert (level(left, middle), level(right, middle)) == (128, 8)
    press(qtbot, right, Qt.Key.Key_Plus)
    assert left.target == right.target and left.target.width() > 0 and window.centre.grid.hub.zoom == 1.25
    qtbot.mouseMove(right, right.point_of((8, 7)).toPoint())
    assert window.centre.grid.hub.cursor == (8, 7)
    assert {"left 0.500", "right 0.0312"} <= set(view.figures.toolTip().split("  ·  "))
    drawn = window.centre.drawn()
    assert drawn.title == "Stage 1 | Stage 5" and (drawn.image.width(), drawn.image.height()) == (2 * 14 + 8, 16)
    assert [drawn.image.pixelColor(x, 8).red() for x in (0, 13, 17, 22, 35)] == [128, 128, 255, 8, 8]
    press(qtbot, right, Qt.Key.Key_V)
    assert decoded.comparing.look.way == "split" and not right.isVisible()


def test_the_lens_shows_the_other_side_at_the_mouse_and_both_halves_over_a_difference(qtbot, decoded, show):
    window, view = compared(decoded, show, "split")
    comparing, pane = decoded.comparing, view.pane
    at_left, at_right = (QPoint(round(pane.width() * share), pane.height() // 3) for share in (0.35, 0.65))
    qtbot.mouseMove(pane, at_left)
    press(qtbot, pane, Qt.Key.Key_L)
    assert window.actions_["lens"].isChecked() and view.lens.isChecked() and pane.lens_at.toPoint() == at_left
    assert pane.lens_sides == (5,) and level(pane, at_left) == 8
    qtbot.mouseMove(pane, at_right)
    assert pane.lens_sides == (1,) and level(pane, at_right) == 128
    beside = QPoint(LENS_RADIUS // 2, 0)
    comparing.show("difference")
    assert pane.lens_sides == (1, 5)
    assert (level(pane, at_right - beside), level(pane, at_right + beside)) == (128, 8)
    comparing.show("blink")
    assert pane.lens_sides == (5,) and level(pane, at_right) == 8
    comparing.show("side by side")
    QApplication.processEvents()
    place = QPoint(view.second.width() // 2, view.second.height() // 3)
    qtbot.mouseMove(view.second, place)
    assert view.second.lens_sides == (1,) and level(view.second, place) == 128
    qtbot.mouseClick(view.lens, Qt.MouseButton.LeftButton)
    assert not comparing.look.has_lens and level(view.second, place) == 8


def test_the_lens_magnifies_four_times_around_its_middle(qtbot, decoded, show):
    image = np.zeros((4, 16, 14), np.float32)
    image[:, :8] = 1.0
    decoded.session.stages.image(5).flags.writeable = True
    decoded.session.stages.image(5)[:] = image
    window, view = compared(decoded, show, "split")
    pane = view.pane
    point = pane.point_of((6, 3)).toPoint()
    scale = pane.target.height() / 16
    qtbot.mouseMove(pane, point)
    press(qtbot, pane, Qt.Key.Key_L)
    shown = pane.grab().toImage()
    edge = point.y() + round(4 * 1.5 * scale)  # of row 8, one and a half rows below the middle of row 6
    assert edge - point.y() > LENS_RADIUS  # beyond the lens: all of it is bright
    assert shown.pixelColor(point + QPoint(0, LENS_RADIUS - 30)).red() == 255
    near = pane.point_of((7, 3)).toPoint() + QPoint(0, round(0.4 * scale))
    qtbot.mouseMove(pane, near)
    shown = pane.grab().toImage()
    dark, bright = near + QPoint(0, round(0.6 * scale)), near + QPoint(0, round(0.2 * scale))
    assert (shown.pixelColor(bright).red(), shown.pixelColor(dark).red()) == (255, 0)  # the edge is at 0.4 rows


def test_the_lens_is_laid_and_moved_by_keys_alone(qtbot, decoded, show):
    window, view = compared(decoded, show, "split")
    pane, stage = view.pane, decoded.session.selection.stage
    press(qtbot, pane, Qt.Key.Key_L)
    first = window.centre.grid.hub.cursor
    assert first == (8, 7) and pane.lens_at == pane.point_of(first)
    qtbot.keyClick(pane, Qt.Key.Key_Left)
    qtbot.keyClick(pane, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert window.centre.grid.hub.cursor == (15, 6) and pane.lens_at == pane.point_of((15, 6))
    assert decoded.session.selection.stage == stage and decoded.session.selection.pixel is None
    qtbot.keyClick(pane, Qt.Key.Key_L)
    assert pane.lens_at is None and not decoded.comparing.look.has_lens
    qtbot.keyClick(pane, Qt.Key.Key_Left)
    assert decoded.session.selection.stage == stage - 1  # the keys are those of the stages again


def test_both_spectra_with_the_names_of_the_sides_are_under_the_cursor(qtbot, decoded, show):
    window, view = compared(decoded, show, "split")
    spectrum, pane = window.spectrum, view.pane
    qtbot.mouseMove(pane, pane.point_of((8, 7)).toPoint())
    subject = spectrum.subject
    assert subject.sides == ("Stage 1", "Stage 5")
    assert [curve.tolist() for curve in subject.curves] == [[0.5] * 4, [0.03125] * 4]
    np.testing.assert_array_equal(subject.true, decoded.session.measurement.reference[:, 8, 7])
    for fan, value in zip(spectrum.places, (0.5, 0.03125), strict=True):
        np.testing.assert_allclose(fan.chosen.getData()[1], value)
    assert "Stage 1" in spectrum.where.text() and "away" in spectrum.where.text()
    assert "Stage 5" in spectrum.what.text() and "reference" in spectrum.what.text()
    assert spectrum._dragged().text().startswith("wavelength (nm),Stage 1 of the pixel under the mouse,Stage 5")
    decoded.comparing.choose(right=REFERENCE)
    assert spectrum.subject.sides == ("Stage 1", "Reference")
    press(qtbot, pane, Qt.Key.Key_1)
    qtbot.mouseMove(window.centre.grid.cards[0].pane, QPoint(200, 200))
    assert spectrum.subject.sides == ()


def test_one_result_is_compared_with_the_start_and_one_of_another_geometry_or_capture_is_not(
    qtbot, make_parts, fake, foreign, snapshot, show
):
    parts = make_parts(fake)
    session = parts.session
    with qtbot.waitSignal(parts.lanes.idle):
        session.open(foreign)
    with qtbot.waitSignal(parts.lanes.idle):
        session.correct(OpenOptions(step=2))
    with qtbot.waitSignal(parts.lanes.idle):
        session.restore()
    window = show(parts)
    window.actions_["compare"].trigger()
    view, (first,) = window.centre.compare, parts.shelf.all
    assert parts.comparing.pair == (5, 0) and view.pane.is_split and not view.why_not.isVisible()
    with qtbot.waitSignal(parts.lanes.idle):
        session.correct(replace(session.options, step=3))
    window.actions_["compare"].trigger()
    assert first not in parts.comparing.sides() and view.words.text() == "Nothing to compare yet"
    assert "it has 14 × 16 pixels in 4 bands" in view.why_not.text() and "in 3 bands" in view.why_not.text()
    with qtbot.waitSignal(parts.lanes.problem_raised) as raised:
        window.centre.shelf.compare(first)  # Ctrl-click, or Shift+Return
    assert raised.args[0].sentence == parts.shelf.why_not(first)
    with qtbot.waitSignal(parts.lanes.idle):
        session.correct(OpenOptions(step=2))
    with qtbot.waitSignal(parts.lanes.idle):
        session.open([snapshot])
    assert "capture.npy, another capture" in parts.shelf.why_not(first)


def test_the_card_of_the_decoders_stands_open_while_they_run_with_cancel_and_how_far_it_is(
    qtbot, make_parts, fake_decoder_type, gate_type, snapshot, show
):
    slow, late = fake_decoder_type("slow", num_stages=9), [0.0]
    slow.gate = gate_type(at=3)
    parts = make_parts(slow)
    parts.session.paces.clock = lambda: time.monotonic() + late[0]
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    window = show(parts)
    window.actions_["compare"].trigger()
    sets = window.centre.compare.sets
    assert not sets.isVisible()
    parts.comparing.decode()
    qtbot.waitUntil(slow.gate.is_reached.is_set)
    qtbot.waitUntil(lambda: parts.comparing.progress.pace is not None and parts.comparing.progress.pace.step.stage == 2)
    assert sets.isVisible() and sets.cancel.isVisible()
    assert sets.state.text().startswith("slow, 1 of 1  ·  Stage 2 of 9")
    late[0] = 1e8  # the third stage takes long, and the others will: the time that is left goes on
    qtbot.waitUntil(lambda: " h " in sets.state.text() or " min left" in sets.state.text())
    qtbot.mouseClick(sets.cancel, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(parts.lanes.idle):
        slow.gate.is_open.set()
    assert not sets.isVisible() and slow.computed[-1] < 9

"""The one large picture of the result, the panes side by side, and the shelf beside them."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent

from app.document.comparing import CHOSEN
from app.document.selection import MEASUREMENT, REFERENCE
from tests.app.conftest import write_snapshot


@pytest.fixture
def window(decoded, show):
    return show(decoded)


def seen(window) -> list[tuple[int, str]]:
    return [(card.pane_id, card.title.text()) for card in window.centre.grid.cards if card.isVisible()]


def click(qtbot, window, row: int, *modifiers) -> None:
    view = window.centre.shelf.list
    place = view.visualRect(view.model().index(row, 0)).center()
    held = modifiers[0] if modifiers else Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, held, place)


def decode_again(qtbot, parts) -> None:
    """A second result, of two stages."""
    parts.setup.set_num_stages(2)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()


def test_a_decode_ends_in_one_large_picture_that_follows_the_stage_everywhere(qtbot, window):
    session = window.session
    assert seen(window) == [(5, "Result · stage 5")]
    card, shown = window.centre.grid.cards[0], window.centre._shown
    assert card.width() > 0.9 * shown.width() and card.pane.height() > 0.8 * shown.height()
    window.centre.stepping.stage_slider.setValue(2)
    assert seen(window) == [(2, "Result · stage 2")]
    qtbot.keyClick(window.centre, Qt.Key.Key_Period)
    assert seen(window) == [(3, "Result · stage 3")] and session.selection.layout == "single"
    window.parts.looking.select_stage(0)
    assert seen(window) == [(0, "Start")]


def test_the_stages_stand_side_by_side_with_a_key_or_a_click_and_one_fills_the_centre_again(qtbot, window):
    qtbot.keyClick(window, Qt.Key.Key_S)
    assert [pane for pane, _ in seen(window)] == [1, 2, 4, 5]
    assert window.centre.stepping.side_by_side.isChecked()
    qtbot.mouseClick(window.centre.grid.cards[1].expand, Qt.MouseButton.LeftButton)
    assert seen(window) == [(2, "Result · stage 2")]
    window.parts.looking.select_stage(4)  # what fills the centre follows
    assert seen(window) == [(4, "Result · stage 4")]
    qtbot.mouseClick(window.centre.grid.cards[0].expand, Qt.MouseButton.LeftButton)
    assert [pane for pane, _ in seen(window)] == [1, 2, 4, 5]
    qtbot.mouseClick(window.centre.stepping.side_by_side, Qt.MouseButton.LeftButton)
    assert seen(window) == [(4, "Result · stage 4")]


def test_panes_that_are_added_stand_beside_the_large_picture(qtbot, window):
    strip = window.centre.stepping.strip
    qtbot.mouseClick(
        strip.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, strip.place(1).center()
    )
    assert [pane for pane, _ in seen(window)] == [1, 5]
    qtbot.mouseClick(window.centre.grid.cards[0].close_button, Qt.MouseButton.LeftButton)
    assert seen(window) == [(5, "Result · stage 5")]


def test_a_reference_that_fills_the_centre_gives_way_to_a_stage(qtbot, window):
    window.parts.looking.set_panes([5, REFERENCE])
    qtbot.mouseClick(window.centre.grid.cards[1].expand, Qt.MouseButton.LeftButton)
    assert seen(window) == [(REFERENCE, "Reference")]
    window.parts.looking.select_stage(3)
    assert seen(window) == [(3, "Result · stage 3")]


def test_the_measurement_on_the_shelf_is_shown_large_and_gives_way_again(qtbot, window):
    click(qtbot, window, 0)
    assert seen(window) == [(MEASUREMENT, "Measurement")] and window.centre.shelf.seen == {None}
    click(qtbot, window, 0)
    assert seen(window) == [(5, "Result · stage 5")]


def test_the_shelf_shows_results_the_newest_first_and_a_click_shows_one(qtbot, window):
    parts, shelf = window.parts, window.centre.shelf
    decode_again(qtbot, parts)
    first, second = parts.shelf.all
    assert shelf.items.items == [None, second, first] and shelf.seen == {second}
    words = [shelf.items.index(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(3)]
    assert words[0] == "Measurement, snapshot.h5" and all(
        word.startswith("fake, ") and "dB" in word for word in words[1:]
    )
    assert "fake · 5 stages" in shelf.items.index(2).data(Qt.ItemDataRole.ToolTipRole)
    click(qtbot, window, 2)
    assert parts.shelf.shown == first and seen(window) == [(5, "Result · stage 5")]
    assert window.centre.notice.isVisible() and "fake, 5 stages" in window.centre.notice.text()
    shelf.list.setFocus()
    shelf.list.setCurrentIndex(shelf.items.index(1))
    qtbot.keyClick(shelf.list, Qt.Key.Key_Return)
    assert parts.shelf.shown == second and not window.centre.notice.isVisible()
    window.grab()


def test_two_results_are_compared_by_mouse_and_by_keyboard(qtbot, window):
    parts, shelf = window.parts, window.centre.shelf
    decode_again(qtbot, parts)
    first, second = parts.shelf.all
    click(qtbot, window, 2, Qt.KeyboardModifier.ControlModifier)
    assert parts.session.selection.mode == "compare" and shelf.seen == {first, second}
    assert (parts.comparing.left, parts.comparing.right) == (first, CHOSEN)
    click(qtbot, window, 1)
    assert parts.session.selection.mode == "colour" and parts.shelf.shown == second
    shelf.list.setFocus()
    shelf.list.setCurrentIndex(shelf.items.index(2))
    qtbot.keyClick(shelf.list, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert parts.session.selection.mode == "compare"
    qtbot.keyClick(shelf.list, Qt.Key.Key_Delete)
    assert parts.shelf.all == (second,)


def test_the_menu_of_a_result_takes_its_settings_or_takes_it_away(qtbot, window):
    parts, view = window.parts, window.centre.shelf.list
    decode_again(qtbot, parts)
    view.setCurrentIndex(view.model().index(2, 0))
    menu = window.centre.shelf.menu_of(parts.shelf.all[0])
    names = {action.text(): action for action in menu.actions() if action.text()}
    assert list(names) == ["Show", "Compare with what is shown", "Use its settings", "Take away"]
    names["Use its settings"].trigger()
    assert parts.setup.num_stages == 5
    names["Take away"].trigger()
    assert len(parts.shelf.all) == 1
    view.contextMenuEvent(QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint()))


def test_a_result_of_another_capture_says_which_and_keeps_its_picture(qtbot, window, tmp_path):
    parts, shelf = window.parts, window.centre.shelf
    (result,) = parts.shelf.all
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([write_snapshot(tmp_path / "other.h5", seed=4)])
    assert shelf.items.words(result) == ("fake", "snapshot.h5") and shelf.isVisible()
    assert shelf.items.index(1).data(Qt.ItemDataRole.DecorationRole) is not None
    with qtbot.waitSignal(parts.lanes.idle):
        click(qtbot, window, 1)
    assert parts.session.paths[0].name == "snapshot.h5" and parts.shelf.shown == result


def test_a_photograph_stands_before_and_after_the_decode_in_one_picture(qtbot, decode_photograph, low_resolution, show):
    window = show(decode_photograph(low_resolution, "sr"))
    pane = window.centre.grid.cards[0].pane
    assert pane.is_split and seen(window) == [(3, "Result · stage 3")]
    picture = pane.grab().toImage()
    middle, y = pane.line_x, pane.height() // 3
    left, right = (np.array(picture.pixelColor(int(middle + dx), y).getRgb()[:3]) for dx in (-30, 30))
    assert len(set(right)) == 1 and len(set(left)) > 1  # the fake result is one grey, what was measured is in colour
    start = QPoint(int(middle), y)
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(pane, QPoint(int(0.25 * pane.width()), y))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(int(0.25 * pane.width()), y))
    assert pane.line_x == pytest.approx(0.25 * pane.width(), abs=1)
    window.actions_["divider_right"].trigger()
    assert pane.line_x == pytest.approx(0.27 * pane.width(), abs=1)
    window.parts.looking.set_layout("grid")
    assert not any(card.pane.is_split for card in window.centre.grid.cards if card.isVisible())

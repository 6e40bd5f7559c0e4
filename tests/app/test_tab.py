"""The window by keyboard: Tab comes round through every control, changes nothing, and finds each with a name."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QWidget

from app.main_window import MainWindow
from app.problems import Problem

MOST = 120  # controls of a state


def takes_tab(widget: QWidget, window: MainWindow) -> bool:
    """Whether Tab is to stop at a widget of the window now."""
    is_stop = widget.focusPolicy().value & Qt.FocusPolicy.TabFocus.value and widget.focusProxy() is None
    return bool(is_stop) and widget.isVisible() and widget.isEnabled() and widget.window() is window


def walked(window: MainWindow, first: QWidget, *, back: bool = False) -> list[QWidget]:
    """Where Tab leads from `first` until it comes round."""
    first.setFocus()
    seen: list[QWidget] = []
    while (focused := QApplication.focusWidget()) not in seen:
        assert focused is not None and len(seen) < MOST
        seen.append(focused)
        QTest.keyClick(focused, Qt.Key.Key_Backtab if back else Qt.Key.Key_Tab)
    assert focused is first
    return seen


def require_round(window: MainWindow, state: str) -> None:
    before = window.session.selection, window.session.options, window.parts.setup.num_stages
    first = window.model_card.decoder
    seen = walked(window, first)
    controls = [
        widget for widget in window.findChildren(QWidget) if takes_tab(widget, window) and not _is_chosen_for(widget)
    ]
    missed = {f"{state}: {_name(widget)}" for widget in controls} - {f"{state}: {_name(widget)}" for widget in seen}
    assert not missed
    assert {widget for widget in walked(window, first, back=True)} == set(seen)
    assert not [f"{state}: {type(widget).__name__}" for widget in seen if not _name(widget)]
    for widget in seen:
        if isinstance(widget, QAbstractButton) and widget.text():
            assert widget.text().lower().rstrip("…") in _name(widget).lower()
    assert before == (window.session.selection, window.session.options, window.parts.setup.num_stages)


def _name(widget: QWidget) -> str:
    """What a screen reader calls a widget."""
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)


def _is_chosen_for(widget: QWidget) -> bool:
    """Whether another button of an exclusive group takes the focus for all of them; arrows lead to the others."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    parent = widget.parent()
    is_auto = isinstance(widget, QAbstractButton) and widget.autoExclusive() and parent is not None
    return not widget.isChecked() if (group is not None and group.exclusive()) or is_auto else False


def test_tab_comes_round_in_every_state_of_the_window(qtbot, make_parts, fake, snapshot, show):
    window = show(make_parts(fake))
    parts = window.parts
    require_round(window, "empty")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    require_round(window, "opened")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    parts.looking.select_stage(3)
    for mode in ("colour", "montage", "residual", "compare"):
        parts.looking.set_mode(mode)
        qtbot.waitUntil(lambda: not parts.lanes.is_busy)
        require_round(window, mode)
    parts.looking.set_mode("colour")
    window.log_dock.show()
    window.folder_dock.show()
    parts.looking.select_pixel((3, 4))
    parts.regions.add("rectangle", [(2, 2), (8, 9)])
    window.side_tabs.show_card("Regions")
    parts.lanes.problem_raised.emit(Problem("Something is wrong.", details="line\nline"))
    window.problem_bar.details_button.click()
    qtbot.waitUntil(lambda: not parts.lanes.is_busy)
    require_round(window, "docks")


@pytest.mark.parametrize("page", ["adapters", "alignment", "training", "what_if"])
def test_tab_comes_round_through_the_pages(qtbot, decoded, show, page):
    window = show(decoded)
    getattr(window, f"show_{page}")()
    qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    require_round(window, page)


def test_escape_closes_what_drops_down_and_cancels_a_decode_from_elsewhere_only(qtbot, decoded, fake, gate_type, show):
    window, session = show(decoded), decoded.session
    fake.gate = gate = gate_type(at=2)
    session.restore()
    qtbot.waitUntil(gate.is_reached.is_set)
    (box,) = (box for box in window.findChildren(QComboBox) if box.accessibleName() == "Pixels averaged")
    box.setFocus()
    box.showPopup()
    qtbot.waitUntil(box.view().isVisible)
    qtbot.keyClick(box.view(), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not box.view().isVisible())
    assert session.restoration.state == "running"
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert session.restoration.state == "running"
    window.decode_card.button.setFocus()
    qtbot.keyClick(window.decode_card.button, Qt.Key.Key_Escape)
    assert session.restoration.state == "cancelling"
    with qtbot.waitSignal(decoded.lanes.idle):
        gate.is_open.set()
    assert session.restoration.state == "cancelled"

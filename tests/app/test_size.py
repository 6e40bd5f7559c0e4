"""The window fits a small screen, and comes back with its docks."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize, Qt

from app.main_window import MainWindow

SMALL = QSize(1280, 720)


@pytest.mark.parametrize("page", ["", "adapters", "alignment", "training", "what_if"])
def test_every_page_fits_a_screen_of_1280_by_720(qtbot, decoded, show, page):
    window = show(decoded)
    if page:
        getattr(window, f"show_{page}")()
        qtbot.waitUntil(lambda: not decoded.lanes.is_busy)
    hint = window.minimumSizeHint()
    assert hint.width() <= SMALL.width() and hint.height() <= SMALL.height()
    window.resize(SMALL)
    assert window.size() == SMALL
    shown = window.pages.currentWidget()
    hint = shown.minimumSizeHint()
    assert shown.width() >= hint.width() and shown.height() >= hint.height()


def test_the_docks_come_back_as_they_were(qtbot, make_parts, fake):
    parts = make_parts(fake)
    window = MainWindow(parts)
    qtbot.addWidget(window)
    window.show()
    assert not window.log_dock.isVisible()
    window.actions_["log"].trigger()
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, window.log_dock)
    window.close()
    again = MainWindow(make_parts(fake))
    qtbot.addWidget(again)
    again.show()
    assert again.log_dock.isVisible() and again.actions_["log"].isChecked() and not again.folder_dock.isVisible()
    assert again.dockWidgetArea(again.log_dock) == Qt.DockWidgetArea.RightDockWidgetArea
    again.parts.memory.remember_window("", "", "not hex at all")
    third = MainWindow(make_parts(fake))
    qtbot.addWidget(third)
    third.show()
    assert not third.log_dock.isVisible()

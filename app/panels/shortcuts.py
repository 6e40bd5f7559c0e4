"""The list of shortcuts, made from the table of actions."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ..actions import ENTRIES
from ..widgets import theme

FIRST_COLUMNS = (("File", "Edit"), ("View",))  # the menus of the first two columns; all others are in the last


class ShortcutsOverlay(QDialog):
    """A sheet that leaves the window usable; any of its shortcuts, and Escape, work while it is there."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self.setModal(False)
        frame, column = theme.card("Shortcuts")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.addWidget(frame)
        columns = QHBoxLayout()
        columns.setSpacing(32)
        column.addLayout(columns)
        known = {menu for menus in FIRST_COLUMNS for menu in menus}
        others = tuple(dict.fromkeys(entry.menu for entry in ENTRIES if entry.menu not in known))
        for menus in (*FIRST_COLUMNS, others):
            columns.addLayout(_list_of(menus))


def _list_of(menus: tuple[str, ...]) -> QGridLayout:
    """The shortcuts of some menus, one below the other."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(6)
    for menu in menus:
        heading = QLabel(menu)
        heading.setObjectName("heading")
        heading.setContentsMargins(0, 8 if grid.count() else 0, 0, 0)
        grid.addWidget(heading, grid.rowCount(), 0)
        for entry in (entry for entry in ENTRIES if entry.menu == menu and entry.key):
            row = grid.rowCount()
            grid.addWidget(QLabel(entry.text.removesuffix("…")), row, 0)
            keys = QLabel("  or  ".join(map(_native, entry.key.split())))
            keys.setObjectName("dim")
            grid.addWidget(keys, row, 1)
    grid.setRowStretch(grid.rowCount(), 1)
    return grid


def _native(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)

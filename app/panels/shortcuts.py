"""The list of shortcuts, made from the table of actions, and what mouse and keys do beside them, for the help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..actions import ENTRIES, Entry
from ..document.wording import Wording
from ..widgets import theme

FIRST_COLUMNS = (("File", "Edit"), ("View",))  # the menus of the first two columns; all others are in the last
EDGE = 80  # px of the screen around the sheet at least

# What is no entry of a menu: where the mouse or the focus is -> (gesture, what it does).
IN_PLACES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "In a picture": (
        ("Move the pointer", "values and spectra of the pixel under it"),
        ("Click", "pin the pixel"),
        ("Wheel", "zoom; all pictures go along"),
        ("Drag", "move the picture, when it is larger than its place"),
        ("Double click", "the whole picture again"),
        ("Drag the line between two pictures", "move it"),
        ("Drag the name above a picture", "out of the window, as an image and a file"),
        ("Return", "lay a cursor down and pin its pixel"),
        ("Arrow keys", "another stage (left, right) or band (up, down); with a cursor, move that"),
        ("Shift with an arrow key", "move the cursor ten pixels"),
        ("Space", "with a cursor: pin its pixel"),
        ("Escape", "take the cursor up, or let a tool or a region go"),
        ("`+`  `-`  `0`", "zoom in, zoom out, the whole picture"),
    ),
    "Points and regions": (
        ("Click or drag with a tool", "draw"),
        ("Double click", "close a polygon"),
        ("Return with a tool", "put one into the middle, or close a polygon"),
        ("Click on an outline", "choose the region"),
        ("Drag", "move the chosen one"),
        ("Arrow keys, with Shift ten pixels", "move the chosen one"),
        ("Del or Backspace", "remove the chosen one"),
    ),
    "Strip of stages": (
        ("Click", "choose a stage"),
        ("Ctrl with a click, Space or Return", "show it in a pane of its own, or no longer"),
        ("Left, Right, Home, End", "another stage, the first, the last"),
    ),
    "Shelf of results": (
        ("Click, Return or Space", "show a result"),
        ("Ctrl with a click, Shift with Return", "compare it with what is shown"),
        ("Right button", "all that can be done with it"),
        ("Up, Down, Home, End", "another result"),
        ("Del", "take it away"),
    ),
    "Montage": (
        ("Click or arrow keys", "choose a band"),
        ("Double click or Return", "show it large"),
    ),
    "Spectra": (
        ("Drag over the curves", "mean over a range of bands"),
        ("Drag an end or the middle of the range", "change or move it"),
        ("Drag the heading", "out of the window, as a table"),
        ("Escape", "single bands again"),
    ),
    "Convergence": (("Click on a point", "choose that stage"),),
    "Full pages": (("Escape", "back to the restoration"),),
    "Help": (
        ("Ctrl with F", "to the search field"),
        ("Down, Up", "the next place found, the one before"),
        ("Return", "show the chosen place, then read on with the arrow keys"),
        ("Alt with Left, Alt with Right", "back, forward"),
        ("Escape", "clear the search, then close"),
    ),
}


class ShortcutsOverlay(QDialog):
    """A sheet that leaves the window usable; any of its shortcuts, and Escape, work while it is there.

    It scrolls where the screen is too small for it.
    """

    def __init__(self, parent: QWidget, wording: Wording) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self.setModal(False)
        frame, column = theme.card("Shortcuts")
        columns = QHBoxLayout()
        columns.setSpacing(32)
        column.addLayout(columns)
        known = {menu for menus in FIRST_COLUMNS for menu in menus}
        others = tuple(menu for menu in _menus() if menu not in known)
        for menus in (*FIRST_COLUMNS, others):
            columns.addLayout(_list_of(menus, wording))
        self.area = QScrollArea()
        self.area.setWidget(frame)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.addWidget(self.area)

    def showEvent(self, event) -> None:
        """Takes the room that the list wants and the screen has."""
        super().showEvent(event)
        wanted, edges = self.area.widget().sizeHint(), 2 * 16
        room = self.screen().availableSize() if self.screen() else QApplication.primaryScreen().availableSize()
        bar = self.area.verticalScrollBar().sizeHint().width() + 4
        self.area.setMinimumWidth(wanted.width() + bar)
        self.resize(wanted.width() + bar + edges, min(wanted.height() + edges, room.height() - EDGE))


def shortcuts_page() -> str:
    """The same list, and what mouse and keys do in places, as a page of the help in Markdown."""
    lines = [
        "# Shortcuts and mouse gestures",
        "",
        "The keys of the menus; `?` shows them on a sheet. Below them stands",
    ]
    lines += ["what mouse and keys do where the pointer or the focus is. Back to the [first steps](index.md).", ""]
    for menu in _menus():
        rows = [(entry.text.removesuffix("…"), _keys(entry.key, "`{}`")) for entry in _with_key(menu)]
        lines += [f"## {menu}", "", *_table(("Entry", "Key"), rows), ""]
    lines += ["## Mouse and keys in places", ""]
    for place, gestures in IN_PLACES.items():
        lines += [f"### {place}", "", *_table(("Gesture", "What it does"), gestures), ""]
    return "\n".join(lines)


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for row in (head, ("---", "---"), *rows):
        yield f"| {row[0]} | {row[1]} |"


def _menus() -> tuple[str, ...]:
    """Those that have an entry with a key, in their order."""
    return tuple(dict.fromkeys(entry.menu for entry in ENTRIES if entry.key))


def _with_key(menu: str) -> list[Entry]:
    return [entry for entry in ENTRIES if entry.menu == menu and entry.key]


def _list_of(menus: tuple[str, ...], wording: Wording) -> QGridLayout:
    """The shortcuts of some menus, one below the other."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(6)
    for menu in menus:
        heading = QLabel(menu)
        heading.setObjectName("heading")
        heading.setContentsMargins(0, 8 if grid.count() else 0, 0, 0)
        grid.addWidget(heading, grid.rowCount(), 0)
        for entry in _with_key(menu):
            row = grid.rowCount()
            does = QLabel()
            wording.say(does, does.setText, entry.text.removesuffix("…"))
            grid.addWidget(does, row, 0)
            keys = QLabel(_keys(entry.key, "{}"))
            keys.setObjectName("dim")
            grid.addWidget(keys, row, 1)
    grid.setRowStretch(grid.rowCount(), 1)
    return grid


def _keys(key: str, look: str) -> str:
    """The shortcuts of an entry as the computer at hand writes them, each in a `look` such as "{}"."""
    names = (QKeySequence(one).toString(QKeySequence.SequenceFormat.NativeText) for one in key.split())
    return "  or  ".join(map(look.format, names))

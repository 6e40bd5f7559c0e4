"""One word for one thing: nothing that the window says has another word, sign between sizes, or form of time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QComboBox, QDockWidget, QLabel, QLineEdit, QTabWidget, QWidget

from app.main_window import MainWindow

# what is never said, with what is said instead
BANNED = {
    r"\brestor\w*": "decode",
    r"\breconstruct\w*": "decode",
    r"\bground[ -]truth\b|\btruth\b": "reference",
    r"\binitial (estimate|image)\b": "start",
    r"\bcheckpoints? set\b|\badaptor\w*\b": "set",
    r"\d x \d": "×",
    r"\d min \d+ s\b|\d\.\d+ (h|min)\b|\bminutes\b|\bhours\b": "23 min, 1 h 20 min, 12 s",
}


def strings_of(window: MainWindow) -> Iterator[str]:
    """Everything that the window and its pages say, to be seen or heard."""
    yield window.windowTitle()
    for action in window.findChildren(QAction):
        yield from (action.text(), action.statusTip(), action.toolTip())
    for widget in window.findChildren(QWidget):
        yield from said_by(widget)
    for bar in window.menuBar().actions():
        yield bar.text()


def said_by(widget: QWidget) -> Iterator[str]:
    """What one widget says, without what is in it."""
    yield from (widget.toolTip(), widget.statusTip(), widget.accessibleName(), widget.accessibleDescription())
    if isinstance(widget, QLabel | QAbstractButton | QLineEdit):
        yield widget.text()
    if isinstance(widget, QLineEdit):
        yield widget.placeholderText()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(index) for index in range(widget.count()))
    if isinstance(widget, QTabWidget):
        yield from (widget.tabText(index) for index in range(widget.count()))
    if isinstance(widget, QDockWidget):
        yield widget.windowTitle()


def require_words(window: MainWindow, state: str) -> None:
    wrong = {
        f"{state}: {text!r} ({instead})"
        for text in strings_of(window)
        for banned, instead in BANNED.items()
        if re.search(banned, text, re.IGNORECASE)
    }
    assert not wrong


def test_the_words_of_the_window_are_one_for_one_thing(qtbot, make_parts, fake, snapshot, foreign, show):
    window = show(make_parts(fake))
    parts = window.parts
    require_words(window, "empty")
    for show_page in (window.show_adapters, window.show_alignment, window.show_training, window.show_what_if):
        show_page()
    window.show_page(None)
    for paths, state in (([snapshot], "opened"), (foreign, "in question")):
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.open(paths)
        require_words(window, state)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    for mode in ("colour", "band", "montage", "residual", "compare"):
        parts.looking.set_mode(mode)
        require_words(window, mode)
    assert "snapshot.h5" in window.windowTitle() and window.windowTitle().endswith("LoRun")


@pytest.mark.parametrize(("kind", "task"), [("samples", "cs"), ("low_resolution", "sr")])
def test_so_are_those_of_photographs(request, decode_photograph, show, kind, task):
    require_words(show(decode_photograph(request.getfixturevalue(kind), task)), task)


def test_the_window_has_the_icon_of_the_program(qtbot, make_parts, fake):
    window = MainWindow(make_parts(fake))
    qtbot.addWidget(window)
    sizes = {size.width() for size in window.windowIcon().availableSizes()}
    assert sizes == {16, 32, 48, 64, 128, 256}
    assert not window.windowIcon().pixmap(32, 32).toImage().allGray()

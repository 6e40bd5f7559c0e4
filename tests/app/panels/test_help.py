"""The help in its window: found by keyboard, walked through, opened for where the user is, in both looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from app.document.help import FIRST, NAMES, search
from app.panels.help import HelpWindow
from app.widgets import theme


@pytest.fixture
def help_window(qtbot, wear) -> Iterator[HelpWindow]:
    """A window with the first page, shown and active."""
    wear(theme.light())
    parent = QWidget()
    theme.dress(parent)
    made = HelpWindow(parent)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.open_for(FIRST)
    yield made
    made.close()


def _marked(window: HelpWindow) -> set[str]:
    """What is marked in the page."""
    return {mark.cursor.selectedText().strip("\u2029") for mark in window.reader.extraSelections()}


def test_a_search_by_keyboard_finds_shows_and_marks(qtbot, help_window):
    field, hits, reader = help_window.field, help_window.hits, help_window.reader
    assert QApplication.focusWidget() is field and help_window.left.currentWidget() is help_window.contents
    qtbot.keyClicks(field, "isTA-net")
    found = search(list(help_window.pages.values()), "ista-net")
    assert hits.count() == len(found) > 1 and help_window.left.currentWidget() is hits
    qtbot.keyClick(field, Qt.Key.Key_Down)
    qtbot.keyClick(field, Qt.Key.Key_Down)
    assert hits.currentRow() == 1 and reader.page.name == "results-photographs"
    assert reader.textCursor().block().text() in found[1].block.words
    assert 0 <= reader.cursorRect().center().y() < reader.viewport().height()
    assert "ISTA-Net" in _marked(help_window)
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert hits.currentRow() == 0
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert QApplication.focusWidget() is reader
    qtbot.keyClick(reader, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is field and field.selectedText() == "isTA-net"
    qtbot.keyClicks(field, "qqqq")
    assert help_window.left.currentWidget() is help_window.none and not _marked(help_window)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.keyClick(reader, Qt.Key.Key_Escape)
    assert field.text() == "" and help_window.isVisible() and QApplication.focusWidget() is field
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert not help_window.isVisible()


def test_pages_are_chosen_by_mouse_and_keys_and_walked_back_and_forward(qtbot, help_window):
    contents, reader = help_window.contents, help_window.reader
    assert [contents.item(row).data(Qt.ItemDataRole.UserRole) for row in range(contents.count())] == list(NAMES)
    assert not help_window.back.isEnabled()
    row = NAMES.index("results-photographs")
    place = contents.visualItemRect(contents.item(row)).center()
    qtbot.mouseClick(contents.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert reader.page.name == "results-photographs" and help_window.back.isEnabled()
    qtbot.keyClick(help_window.field, Qt.Key.Key_Down)
    assert reader.page.name == NAMES[row + 1]
    alt = Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(reader, Qt.Key.Key_Left, alt)
    assert reader.page.name == "results-photographs" and contents.currentRow() == row
    qtbot.mouseClick(help_window.back, Qt.MouseButton.LeftButton)
    assert reader.page.name == FIRST and contents.currentRow() == 0
    qtbot.keyClick(reader, Qt.Key.Key_Right, alt)
    assert reader.page.name == "results-photographs"
    reader.verticalScrollBar().setValue(reader.verticalScrollBar().maximum())
    qtbot.keyClick(help_window.field, Qt.Key.Key_PageUp)
    assert 0 < reader.verticalScrollBar().value() < reader.verticalScrollBar().maximum()


def test_a_link_leads_to_a_page_and_nowhere_else(help_window):
    reader = help_window.reader
    reader.setSource(QUrl("results-photographs.md"))
    assert reader.page.name == "results-photographs" and len(reader.document().toPlainText()) > 1000
    for elsewhere in ("https://example.org/x.md", "file:///etc/hostname", "missing.md"):
        reader.setSource(QUrl(elsewhere))
        assert reader.page.name == "results-photographs"
    assert reader.loadResource(2, QUrl("https://example.org/picture.png")).isNull()


def test_a_page_follows_the_look_of_the_window_and_keeps_its_place(qtbot, help_window, wear):
    reader = help_window.reader
    reader.open("results-photographs")
    bar = reader.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    place = bar.value()
    for look in (theme.dark(), theme.light()):
        wear(look)
        qtbot.waitUntil(lambda look=look: _code_background(reader) == look.background)
        assert reader.grab().toImage().pixelColor(2, 2).name() == look.card
        assert bar.value() == place


def _code_background(reader) -> str:
    block = reader.document().begin()
    while "lorun evaluate" not in block.text():
        block = block.next()
    return block.blockFormat().background().color().name()


def test_pictures_and_lines_are_no_wider_than_the_page(help_window):
    reader = help_window.reader
    reader.open("results-training")
    cursor = reader.document().find("\ufffc")
    widest = reader.lineWrapColumnOrWidth()
    assert 0 < cursor.charFormat().toImageFormat().width() <= widest <= reader.viewport().width()


def test_f1_tells_of_where_the_user_is_and_the_sheet_of_keys_scrolls_on_a_small_screen(qtbot, decoded, show):
    window = show(decoded)
    window.resize(1280, 720)
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window.help.isVisible() and not window.help.isModal()
    assert window.help.reader.page.name == "cassi"
    window.help.close()
    window.show_roles()
    qtbot.keyClick(window.roles_page, Qt.Key.Key_F1)
    assert window.help.isVisible() and window.help.reader.page.name == "cassi"
    window.roles_page.close()
    window.help.field.setText("word")
    for verb, name in (
        ("adapt", "adapting"),
        ("adapters", "adapters"),
        ("alignment", "alignment"),
        ("what_if", "what-if"),
    ):
        window.actions_[verb].trigger()
        window.activateWindow()
        qtbot.keyClick(window.pages.currentWidget(), Qt.Key.Key_F1)
        assert window.help.reader.page.name == name and window.help.field.text() == ""
    window.show_page(None)
    window.folder_dock.show()
    window.activateWindow()
    window.folder_dock.find.setFocus()
    qtbot.keyClick(window.folder_dock.find, Qt.Key.Key_F1)
    assert window.help.reader.page.name == "folder"
    window.actions_["shortcuts"].trigger()
    assert window.shortcuts.height() <= window.screen().availableSize().height()
    window.shortcuts.resize(window.shortcuts.width(), 600)
    area = window.shortcuts.findChild(QScrollArea)
    assert area.verticalScrollBar().maximum() > 0 == area.horizontalScrollBar().maximum()
    help_window = window.help
    window.parts.shelf.clear()  # nothing that was not exported
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert not help_window.isVisible() and not window.shortcuts.isVisible()

"""The card that saves a result, by mouse and by keyboard; what the clipboard gets; where a written file is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog

from app.document import file_manager
from app.document.drawn import PICTURE_SUFFIXES
from app.document.file_manager import show_in_folder
from app.panels import exporting
from app.panels.files import ask_picture_file


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The names that the dialogs suggest; everything is written where they say, in a folder of the test."""
    names = []

    def save(parent, heading, suggested, formats):
        names.append(suggested.name)
        return tmp_path / "saved" / suggested.name

    (tmp_path / "saved").mkdir()
    monkeypatch.setattr(exporting, "ask_save_file", save)
    monkeypatch.setattr(exporting, "ask_picture_file", lambda *args: (save(*args), True))
    return names


def test_every_button_writes_one_file_with_a_name_that_says_what_it_is(qtbot, decoded, show, asked, tmp_path):
    card = show(decoded).saving_card
    decoded.looking.select_pixel((3, 4))
    buttons = (card.cube, card.stages, card.spectra, card.picture, card.report)
    for button in buttons:
        with qtbot.waitSignal(decoded.exports.exported):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    expected = ["snapshot_fake.h5", "snapshot_fake_stages.h5", "snapshot_fake_spectra.csv"]
    assert asked == [*expected, "snapshot_fake_stage5.png", "snapshot_fake_report.html"]
    assert {path.name for path in (tmp_path / "saved").iterdir()} == set(asked)


def test_the_keyboard_saves_too(qtbot, decoded, show, asked):
    card = show(decoded).saving_card
    card.report.setFocus()
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.keyClick(card.report, Qt.Key.Key_Space)
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.keyClick(
            card.window(), Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        )
    assert asked == 2 * ["snapshot_fake_report.html"]


def test_the_card_is_there_after_a_decode_and_spectra_wait_for_a_place(qtbot, opened, show, asked):
    card = show(opened).saving_card
    assert card.isHidden()
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.restore()
    assert card.isVisible() and card.report.isEnabled() and not card.spectra.isEnabled()
    assert card.spectra.toolTip() == "Click a pixel of a picture first"
    opened.regions.add("rectangle", [(2, 2), (10, 9)])
    with qtbot.waitSignal(opened.exports.exported):
        qtbot.mouseClick(card.spectra, Qt.MouseButton.LeftButton)
    assert asked == ["snapshot_fake_regions.csv"]


def test_a_written_file_is_shown_in_its_folder_until_the_next_decode(
    qtbot, decoded, show, asked, monkeypatch, tmp_path
):
    shown = []
    monkeypatch.setattr("app.panels.saving.show_in_folder", lambda path: shown.append(path) or True)
    card = show(decoded).saving_card
    assert card.show_file.isHidden()
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.mouseClick(card.cube, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(card.show_file, Qt.MouseButton.LeftButton)
    assert shown == [tmp_path / "saved" / "snapshot_fake.h5"]
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    assert card.show_file.isHidden()


def test_a_folder_that_cannot_be_opened_is_named(qtbot, decoded, show, asked, monkeypatch):
    monkeypatch.setattr("app.panels.saving.show_in_folder", lambda path: False)
    window = show(decoded)
    with qtbot.waitSignal(decoded.exports.exported):
        qtbot.mouseClick(window.saving_card.cube, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(decoded.lanes.problem_raised) as told:
        qtbot.mouseClick(window.saving_card.show_file, Qt.MouseButton.LeftButton)
    assert "snapshot_fake.h5" in told.args[0].sentence


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_folder_alone_opens_where_the_system_cannot_choose_a_file_in_it(monkeypatch, tmp_path, platform):
    opened, file = [], tmp_path / "cube.h5"
    file.touch()
    monkeypatch.setattr(file_manager, "_told", lambda path: False)
    monkeypatch.setattr(file_manager.QProcess, "startDetached", lambda *args: (False, 0))
    monkeypatch.setattr(file_manager.QDesktopServices, "openUrl", lambda url: opened.append(url) or True)
    assert show_in_folder(file, platform=platform) and Path(opened[0].toLocalFile()) == tmp_path


def test_the_left_column_needs_no_scrolling_in_the_smallest_usual_window(qtbot, decoded, show, asked):
    window = show(decoded)
    card = window.saving_card
    bottom = card.mapTo(window, QPoint(0, card.height())).y()
    assert card.width() <= 304 and bottom <= window.statusBar().y()


def test_command_script_and_picture_go_to_the_clipboard(qtbot, decoded, show, asked):
    window, clipboard = show(decoded), QGuiApplication.clipboard()
    window.actions_["copy_command"].trigger()
    assert clipboard.text().startswith("lorun restore ")
    window.actions_["copy_script"].trigger()
    assert "open_measurement(" in clipboard.text() and "fake" in clipboard.text()
    qtbot.keyClick(window.centre.grid.cards[0].pane, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    image = clipboard.image()
    assert (image.width(), image.height()) == (14, 16)
    assert np.isclose(image.pixelColor(3, 3).lightnessF(), image.pixelColor(9, 9).lightnessF())


def test_the_name_says_the_format_and_the_list_whether_there_is_a_caption(qtbot, monkeypatch, tmp_path):
    def accept(dialog):
        dialog.selectNameFilter("PNG with caption and bars (*.png)")
        dialog.selectFile(str(tmp_path / "typed.svg"))
        return 1

    monkeypatch.setattr(QFileDialog, "exec", accept)
    chosen = ask_picture_file(None, "Export picture", tmp_path / "suggested.png", PICTURE_SUFFIXES)
    assert chosen == (tmp_path / "typed.svg", True)
    monkeypatch.setattr(QFileDialog, "exec", lambda dialog: 1)
    assert ask_picture_file(None, "Export picture", tmp_path / "suggested.png", PICTURE_SUFFIXES)[1] is False
    monkeypatch.setattr(QFileDialog, "exec", lambda dialog: 0)
    assert ask_picture_file(None, "Export picture", tmp_path / "suggested.png", PICTURE_SUFFIXES) is None

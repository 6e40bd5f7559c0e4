"""Closing the window is asked once: every answer, by mouse and by keys, and what ends by itself meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from app.document.what_if import Scenario
from app.main_window import MainWindow


@pytest.fixture
def window(qtbot, show, opened) -> MainWindow:
    """A window with the snapshot open and a fake decoder."""
    return show(opened)


def decode(qtbot, window: MainWindow) -> None:
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.decode_card.button.click()


def held(qtbot, window: MainWindow, fake, gate_type):
    """A decode that stands still before its second stage."""
    fake.gate = gate_type(at=2)
    window.decode_card.button.click()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    return fake.gate


def asked(window: MainWindow) -> QMessageBox:
    """The one question that stands after the window was closed."""
    window.close()
    (box,) = [box for box in window.findChildren(QMessageBox, "leave") if box.isVisible()]
    assert window.isVisible()
    return box


def press(qtbot, box: QMessageBox, text: str) -> None:
    (button,) = [button for button in box.buttons() if button.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def words(box: QMessageBox) -> list[str]:
    return [button.text() for button in box.buttons()]


def test_keep_working_is_what_return_and_escape_do_and_nothing_was_cancelled(qtbot, window, fake, gate_type):
    gate = held(qtbot, window, fake, gate_type)
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        box = asked(window)
        assert box.text() == "LoRun is still decoding snapshot.h5."
        assert set(words(box)) == {"Keep working", "Wait and close", "Stop and close"}
        window.close()  # asked once
        assert asked(window) is box
        qtbot.keyClick(box, key)
        qtbot.waitUntil(lambda: window.findChild(QMessageBox, "leave") is None)
        assert window.isVisible() and window.session.restoration.state == "running"
    with qtbot.waitSignal(window.parts.lanes.idle):
        gate.is_open.set()
    assert window.isVisible() and window.session.restoration.state == "done"


def test_wait_and_close_closes_by_itself_and_is_taken_back(qtbot, window, fake, gate_type):
    gate, notice = held(qtbot, window, fake, gate_type), window.closing.notice
    press(qtbot, asked(window), "Wait and close")
    qtbot.waitUntil(notice.isVisible)
    qtbot.waitUntil(lambda: notice.words == "Closes after decoding snapshot.h5")
    assert window.session.restoration.state == "running"
    qtbot.mouseClick(notice.stay, Qt.MouseButton.LeftButton)
    assert not notice.isVisible()
    press(qtbot, asked(window), "Wait and close")
    box = asked(window)  # closing it again does nothing without a word
    gate.is_open.set()
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy)
    assert window.isVisible() and window.session.restoration.state == "done" and not notice.isVisible()
    press(qtbot, box, "Wait and close")
    qtbot.waitUntil(lambda: not window.isVisible())


def test_wait_and_close_goes_with_the_end_of_the_decode(qtbot, window, fake, gate_type):
    gate = held(qtbot, window, fake, gate_type)
    press(qtbot, asked(window), "Wait and close")
    gate.is_open.set()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert fake.computed == list(range(fake.num_stages + 1))


def test_stop_and_close_stops_after_the_stage(qtbot, window, fake, gate_type):
    gate = held(qtbot, window, fake, gate_type)
    press(qtbot, asked(window), "Stop and close")
    assert window.isVisible() and window.session.restoration.state == "cancelling"
    gate.is_open.set()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert not window.parts.lanes.is_busy and len(fake.computed) <= 3


def test_stop_and_close_does_not_wait_for_a_stage_that_hangs_nor_leaves_anything(
    qtbot, window, fake, gate_type, tmp_path, monkeypatch
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    decode(qtbot, window)
    window.parts.what_if.start(Scenario())
    qtbot.waitUntil(lambda: not window.parts.what_if.is_busy and not window.parts.lanes.is_busy)
    assert list((tmp_path / "temporary").iterdir())
    window.closing.patience_ms = 50
    gate = held(qtbot, window, fake, gate_type)
    press(qtbot, asked(window), "Stop and close")
    qtbot.waitUntil(lambda: not window.isVisible())
    assert not list((tmp_path / "temporary").iterdir())
    gate.is_open.set()


def test_results_that_were_never_exported_are_asked_about_once(qtbot, window, tmp_path):
    decode(qtbot, window)
    box = asked(window)
    assert box.text() == "1 result was not exported."
    assert "Wait and close" not in words(box)
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert window.isVisible()
    with qtbot.waitSignal(window.parts.exports.exported):
        window.parts.exports.export_cube(tmp_path / "cube.h5")
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy)
    window.close()
    assert not window.isVisible()


def test_close_without_exporting_closes(qtbot, window):
    decode(qtbot, window)
    press(qtbot, asked(window), "Close without exporting")
    qtbot.waitUntil(lambda: not window.isVisible())


def test_a_result_of_a_sample_or_one_that_was_taken_away_is_not_asked_about(qtbot, window, monkeypatch, snapshot):
    decode(qtbot, window)
    shelf = window.parts.shelf
    assert len(shelf.unsaved) == 1
    monkeypatch.setattr("app.document.opening.resource_path", lambda *parts: snapshot.parent)
    assert shelf.unsaved == ()
    monkeypatch.undo()
    shelf.drop(shelf.all[0])
    window.close()
    assert not window.findChildren(QMessageBox, "leave")
    qtbot.waitUntil(lambda: not window.isVisible())  # once the check that follows a decode has ended


def test_captures_that_are_left_are_counted_and_a_pause_ends_for_who_waits(qtbot, window, snapshot, fake, gate_type):
    folder: Path = snapshot.parent / "captures"
    folder.mkdir()
    for name in ("a.h5", "b.h5"):
        shutil.copy(snapshot, folder / name)
    fake.gate = gate_type(at=2)
    with qtbot.waitSignal(window.parts.lanes.idle):
        window.folder_dock.open(folder)
    window.parts.decode_all.start()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    box = asked(window)
    assert box.text() == "LoRun is still decoding 2 captures of captures."
    assert "The results of the folder so far stay" in box.informativeText()
    window.parts.decode_all.pause()
    press(qtbot, box, "Wait and close")
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert len(list(folder.glob("*_fake.h5"))) == 2

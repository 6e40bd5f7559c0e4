"""The dock with a folder, by mouse and keyboard."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QAccessible, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from app.document import captures
from app.main_window import MainWindow
from app.panels import folder as folder_panel
from app.panels.folder import CaptureList, CaptureModel
from lorun_engine.io import OpenOptions


@pytest.fixture
def folder(tmp_path, snapshot) -> Path:
    """Twenty captures that bring their masks; the eighth is cut short."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for number in range(20):
        shutil.copy(snapshot, folder / f"capture_{number:02}.h5")
    broken = folder / "capture_07.h5"
    broken.write_bytes(broken.read_bytes()[:700])
    return folder


@pytest.fixture
def window(qtbot, make_parts, fake, show, folder) -> MainWindow:
    """A window onto which the folder was dropped."""
    window = show(make_parts(fake))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    window.dropEvent(QDropEvent(QPointF(9, 9), action, mime, button, Qt.KeyboardModifier.NoModifier))
    qtbot.waitUntil(lambda: window.parts.folder.index == 0)
    quiet(qtbot, window)
    return window


def quiet(qtbot, window: MainWindow) -> None:
    parts = window.parts
    qtbot.waitUntil(lambda: not (parts.lanes.is_busy or parts.decode_all.is_under_way or parts.folder.is_surveying))


def click(qtbot, button: QAbstractButton) -> None:
    assert button.isVisible() and button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def words(window: MainWindow) -> list[str]:
    """The status words of the list."""
    model = window.folder_dock.model
    return [model.data(model.index(row), CaptureModel.STATUS).split("  ")[0] for row in range(model.rowCount())]


def held(qtbot, window: MainWindow, fake, gate_type):
    """A gate before which the first capture waits once Decode all was pressed."""
    fake.gate = gate = gate_type(at=2)
    click(qtbot, window.folder_dock.start)
    qtbot.waitUntil(gate.is_reached.is_set)
    return gate


def test_a_dropped_folder_is_listed_and_its_first_capture_open(window, folder):
    dock = window.folder_dock
    assert dock.isVisible() and words(window) == ["no result"] * 20
    assert window.session.paths == (folder / "capture_00.h5",) and dock.list.currentIndex().row() == 0
    assert dock.count.text() == "20 captures" and dock.start.text() == "Decode all"


def test_a_and_d_step_through_the_folder_and_a_click_opens_a_capture(qtbot, window, folder):
    dock = window.folder_dock
    for key, row in ((Qt.Key.Key_D, 1), (Qt.Key.Key_D, 2), (Qt.Key.Key_A, 1)):
        qtbot.keyClick(QApplication.focusWidget() or window, key)
        qtbot.waitUntil(lambda row=row: window.parts.folder.index == row and not window.session.is_opening)
        assert dock.list.currentIndex().row() == row
    place = dock.list.visualRect(dock.model.index(4)).center()
    qtbot.mouseClick(dock.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: window.session.paths == (folder / "capture_04.h5",))
    dock.list.setFocus()
    qtbot.keyClick(dock.list, Qt.Key.Key_Down)
    qtbot.keyClick(dock.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.paths == (folder / "capture_05.h5",))


def test_nineteen_of_twenty_are_decoded_and_the_window_answers_all_the_while(qtbot, window, heartbeat):
    dock, beat = window.folder_dock, heartbeat()
    click(qtbot, dock.start)
    quiet(qtbot, window)
    beat.stop()
    assert beat.longest_own_s < 0.25
    assert words(window).count("done") == 19 and words(window)[7] == "failed"
    assert dock.sentence.text() == "20 of 20 captures ended, 1 failed."
    assert window.statusBar().currentMessage() == "captures: 20 of 20 captures ended, 1 failed"
    index = dock.model.index(7)
    dock.list.setCurrentIndex(index)
    assert "cannot be read" in dock.chosen.text()
    assert "cannot be read" in dock.model.data(index, Qt.ItemDataRole.AccessibleTextRole)
    assert dock.retry.isVisible() and dock.start.text() == "Decode all"


def test_pause_continue_skip_and_cancel_are_buttons(qtbot, window, fake, gate_type):
    dock = window.folder_dock
    gate = held(qtbot, window, fake, gate_type)
    qtbot.waitUntil(lambda: words(window)[:3] == ["decoding", "waiting", "waiting"])
    qtbot.waitUntil(lambda: "0 of 20  ·  Stage 1 of 5" in dock.sentence.text())
    assert dock.start.text() == "Pause"
    click(qtbot, dock.start)
    assert dock.start.text() == "Continue" and "pauses after this capture" in dock.sentence.text()
    gate.is_open.set()
    qtbot.waitUntil(lambda: not window.parts.lanes.is_busy)
    assert words(window)[:2] == ["done", "waiting"] and "1 of 20  ·  paused" in dock.sentence.text()
    fake.gate = gate = gate_type(at=1)
    click(qtbot, dock.start)
    qtbot.waitUntil(gate.is_reached.is_set)
    click(qtbot, dock.skip)
    fake.gate = second = gate_type(at=1)
    gate.is_open.set()
    qtbot.waitUntil(second.is_reached.is_set)
    qtbot.waitUntil(lambda: words(window)[:3] == ["done", "skipped", "decoding"])
    click(qtbot, dock.cancel)
    second.is_open.set()
    quiet(qtbot, window)
    assert words(window) == ["done", "skipped", *["no result"] * 18] and dock.start.text() == "Decode all"


def test_retry_decodes_what_failed(qtbot, window, folder):
    dock = window.folder_dock
    dock.list.setCurrentIndex(dock.model.index(7))
    click(qtbot, dock.again)
    quiet(qtbot, window)
    assert words(window)[7] == "failed"
    shutil.copy(folder / "capture_06.h5", folder / "capture_07.h5")
    click(qtbot, dock.retry)
    quiet(qtbot, window)
    assert words(window)[7] == "done" and not dock.retry.isVisible()


def test_decoding_goes_on_while_the_dock_is_closed_and_another_capture_opened(qtbot, window, fake, gate_type):
    gate = held(qtbot, window, fake, gate_type)
    window.folder_dock.close()
    qtbot.keyClick(window, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: window.parts.folder.index == 1)
    gate.is_open.set()
    quiet(qtbot, window)
    assert words(window).count("done") == 19
    window.actions_["folder"].trigger()
    assert window.folder_dock.isVisible()


def test_the_watch_switch_decodes_what_comes(qtbot, window, folder, tmp_path):
    dock = window.folder_dock
    click(qtbot, dock.start)
    quiet(qtbot, window)
    click(qtbot, dock.watch)
    assert dock.watch.isChecked() and "Decodes what comes with fake." in dock.sentence.text()
    shutil.copy(folder / "capture_06.h5", folder / "late.h5")
    qtbot.waitUntil(lambda: words(window)[-1] == "done" and len(words(window)) == 21)
    click(qtbot, dock.watch)
    assert not window.parts.folder.is_watching


def test_results_go_where_and_are_written_as_the_lists_say(qtbot, window, tmp_path, monkeypatch):
    dock = window.folder_dock
    monkeypatch.setattr(folder_panel, "ask_target_folder", lambda parent, heading: tmp_path / "results")
    dock.place.setFocus()
    qtbot.keyClick(dock.place, Qt.Key.Key_Down)
    assert dock.place.currentText() == "results"
    dock.format.setFocus()
    qtbot.keyClick(dock.format, Qt.Key.Key_Down)
    dock.list.setCurrentIndex(dock.model.index(2))
    click(qtbot, dock.again)
    quiet(qtbot, window)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["capture_02_fake.mat"]
    monkeypatch.setattr(folder_panel, "ask_target_folder", lambda parent, heading: None)
    dock.place.setFocus()
    qtbot.keyClick(dock.place, Qt.Key.Key_Down)
    assert dock.place.currentText() == "results"  # the choice was left by Cancel
    qtbot.keyClick(dock.place, Qt.Key.Key_Up)
    assert dock.place.currentText() == "Beside the captures"


def test_every_control_of_the_dock_has_a_name_and_can_be_reached_by_tab(qtbot, window):
    dock = window.folder_dock
    for widget in (dock.list, dock.start, dock.again, dock.watch, dock.place, dock.format):
        name = QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
        assert name, widget
    dock.list.setFocus()
    reached = set()
    for _ in range(12):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        reached.add(QApplication.focusWidget())
    assert {dock.start, dock.again, dock.watch, dock.place, dock.format} <= reached


def test_a_folder_of_two_thousand_files_is_listed_while_the_window_answers(
    qtbot, make_parts, fake, show, tmp_path, foreign, snapshot, heartbeat
):
    folder = tmp_path / "many"
    folder.mkdir()
    capture, mask = foreign
    for number in range(2000):
        shutil.copy(capture, folder / f"capture_{number:04}.npy")
    shutil.copy(mask, folder / "mask.npy")
    window = show(make_parts(fake))
    window.parts.memory.remember_folder(folder, OpenOptions(num_bands=4, step=2.0))
    window.session.open([snapshot])
    quiet(qtbot, window)
    beat = heartbeat()
    window.folder_dock.open(folder)
    qtbot.waitUntil(lambda: window.parts.folder.index == 0, timeout=240_000)
    quiet(qtbot, window)
    window.folder_dock.watch.click()
    for _ in range(3):
        qtbot.keyClick(window, Qt.Key.Key_D)
        qtbot.wait(50)
    qtbot.waitUntil(lambda: window.parts.folder.index == 3)
    qtbot.wait(2500)
    window.folder_dock.watch.click()
    quiet(qtbot, window)
    beat.stop()
    assert beat.longest_own_s < 0.25
    assert window.folder_dock.model.rowCount() == 2000 and window.folder_dock.count.text().startswith("2000 captures")


def test_the_list_is_made_in_the_worker_laid_out_in_batches_and_seen_before_its_first_capture_is_opened(
    qtbot, make_parts, fake, show, folder, monkeypatch
):
    parts = make_parts(fake)
    window = show(parts)
    threads, opened = [], []
    made = captures.listing

    def seen(*words):
        threads.append(threading.current_thread())
        return made(*words)

    monkeypatch.setattr(captures, "listing", seen)
    parts.folder.listed.connect(lambda: opened.append((window.folder_dock.model.rowCount(), parts.session.is_opening)))
    resets = []
    window.folder_dock.model.modelReset.connect(lambda: resets.append(window.folder_dock.model.rowCount()))
    window.folder_dock.open(folder)
    qtbot.waitUntil(lambda: parts.folder.index == 0)
    quiet(qtbot, window)
    assert opened == [(20, False)] and resets == [20]  # all rows at once, and the capture in a later event
    assert threads and threading.main_thread() not in threads
    view = window.folder_dock.list
    assert view.layoutMode() == CaptureList.LayoutMode.Batched and view.batchSize() == folder_panel.BATCH < 2000
    window.folder_dock.watch.click()
    shutil.copy(folder / "capture_00.h5", folder / "capture_99.h5")
    qtbot.waitUntil(lambda: window.folder_dock.model.rowCount() == 21, timeout=20_000)
    window.folder_dock.watch.click()
    quiet(qtbot, window)
    assert len(threads) == 2 and threading.main_thread() not in threads


def test_what_was_found_in_the_files_is_drawn_where_it_is_seen(qtbot, window):
    page = window.roles_page
    assert not page.isVisible() and page.table.rowCount() == 0
    window.actions_["roles"].trigger()
    assert page.table.rowCount() > 0 and page.table.item(0, 1).text().startswith("capture_00.h5")
    qtbot.keyClick(window, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: window.parts.folder.index == 1)
    quiet(qtbot, window)
    assert page.table.item(0, 1).text().startswith("capture_01.h5")
    page.close()

"""What is chosen once is remembered, acts on the window that is open, and is there at the next start."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from app.panels import exporting
from app.settings import RecentJob, Settings, load
from app.widgets import theme


@pytest.fixture
def page(qtbot, decoded, show):
    """The page, opened by its key over a decoded snapshot; a letter is never the second one of what was picked."""
    interval = QApplication.keyboardInputInterval()
    QApplication.setKeyboardInputInterval(0)
    window = show(decoded)
    QTest.keyClick(window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    assert window.pages.currentWidget() is window.preferences_page
    yield window.preferences_page
    QApplication.setKeyboardInputInterval(interval)


def _pick(box, letter: str) -> None:
    """Chooses by the keyboard: its first letter."""
    box.setFocus()
    QTest.keyClicks(box, letter)


def test_looks_devices_and_precision_act_at_once_and_are_there_at_the_next_start(
    qtbot, page, decoded, make_parts, fake
):
    _pick(page.theme, "D")
    assert QApplication.instance().palette().window().color().name() == theme.dark().background
    _pick(page.precision, "b")
    page.threads.setFocus()
    page.threads.selectAll()
    QTest.keyClicks(page.threads, "3")
    QTest.keyClick(page.threads, Qt.Key.Key_Return)
    assert (decoded.setup.precision, decoded.setup.threads) == ("bfloat16", 3)
    assert page.device.currentText() == "CPU · 3 threads"
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    assert decoded.session.recipe.threads == 3
    _pick(page.theme, "L")
    again = make_parts(fake)
    assert (again.setup.precision, again.setup.threads, again.memory.settings.theme) == ("bfloat16", 3, "light")
    again.preferences.set_threads(None)
    assert again.setup.threads not in (None, 0) and again.memory.settings.threads is None
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert page.window().pages.currentIndex() == 0


def test_a_device_that_is_gone_gives_way_to_the_cpu(make_parts, fake, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"device": "cuda:7"}))
    parts = make_parts(fake)
    assert parts.setup.device == "cpu" and parts.memory.settings.device == "cuda:7"
    assert any("cuda:7" in line for line in parts.lanes.logged)


def test_results_are_offered_in_the_chosen_folder_while_it_is_there(page, decoded, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(exporting, "ask_save_file", lambda _, __, suggested, ___: asked.append(suggested))
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    _pick(page.results, "I")
    assert page.results.currentText() == "results" and decoded.decode_all.target == folder
    window = page.window()
    window.actions_["export"].trigger()
    folder.rmdir()
    window.actions_["export"].trigger()
    QTest.keyClick(page.results, Qt.Key.Key_Home)
    assert [path.parent for path in asked] == [folder, tmp_path]
    assert decoded.decode_all.target is None and decoded.memory.settings.results == ""


def test_older_results_go_to_the_disk_beyond_the_chosen_memory(qtbot, page, decoded):
    big = np.zeros((4, 16, 14), np.float32).nbytes
    shelf = decoded.shelf
    decoded.setup.set_num_stages(4)
    with qtbot.waitSignal(decoded.lanes.idle):
        decoded.session.restore()
    assert shelf.num_on_disk == 0 and shelf.limit_bytes == 768 << 20
    page.shelf.setFocus()
    page.shelf.selectAll()
    QTest.keyClicks(page.shelf, "512")
    QTest.keyClick(page.shelf, Qt.Key.Key_Return)
    assert shelf.limit_bytes == 512 << 20 and decoded.memory.settings.shelf_mib == 512
    with qtbot.waitSignal(decoded.lanes.idle):
        shelf.set_limit(big)
    assert shelf.num_on_disk == 1


def test_a_start_opens_what_is_preferred_unless_files_are_named(qtbot, make_parts, fake, snapshot, foreign, tmp_path):
    def opened(*files) -> list[str]:
        parts = make_parts(fake)
        parts.preferences.open_first(files, sample=None)
        if parts.session.is_opening:
            with qtbot.waitSignal(parts.lanes.idle):
                pass
        return [path.name for path in parts.session.paths]

    parts = make_parts(fake)
    parts.memory.remember_job(RecentJob((str(snapshot),)))
    assert opened() == []
    parts.preferences.set_opens("sample")
    assert opened() == ["cassi.h5"] and opened(*foreign) == ["capture.npy", "mask.npy"]
    parts.memory.remember_job(RecentJob((str(snapshot),)))
    parts.preferences.set_opens("last")
    assert opened() == ["snapshot.h5"]
    snapshot.unlink()
    assert opened() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("theme", "pink"), ("threads", 0), ("threads", "two"), ("precision", "float8"), ("shelf_mib", 1), ("opens", 3)],
)
def test_what_a_preference_does_not_take_is_refused_and_passed_over_in_the_file(
    make_parts, fake, tmp_path, name, value
):
    parts = make_parts(fake)
    with pytest.raises(ValueError, match=name):
        parts.memory.prefer(name, value)
    (tmp_path / "settings.json").write_text(json.dumps({name: value, "results": "/nowhere/at/all"}))
    settings = load(tmp_path / "settings.json")
    assert getattr(settings, name) == getattr(Settings(), name) and settings.results_folder is None

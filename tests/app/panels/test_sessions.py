"""Sessions in the window: saved by a key, opened by a drop, offered again after a crash or a wait."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QMessageBox

from app.panels import sessions


@pytest.fixture
def name_files(monkeypatch, tmp_path):
    """Answers the dialog that asks for a name; every suggestion is kept."""
    suggested = []

    def ask(parent, heading, suggestion, formats):
        suggested.append(suggestion)
        return tmp_path / "work.lorun"

    monkeypatch.setattr(sessions, "ask_save_file", ask)
    return suggested


@pytest.fixture
def keeping(qtbot, make_parts, fake, snapshot, tmp_path):
    """Parts with a result that they keep for after a crash."""
    parts = make_parts(fake, state_folder=tmp_path / "state")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    parts.autosave.save()
    quiet(qtbot, parts)
    return parts


def quiet(qtbot, parts) -> None:
    qtbot.waitUntil(lambda: not parts.lanes.is_busy and not parts.session.is_opening)


def crash(parts) -> None:
    """What the system does when a process is killed: the lock goes, and nothing else."""
    own, parts.autosave._own = parts.autosave._own, None
    own.lock.release()


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state" / "autosave").glob("*/session.json"))


def same_pixels(parts, others) -> bool:
    stages, again = parts.session.stages, others.session.stages
    assert len(stages) == len(again) > 1
    return all(np.array_equal(stages.image(index), again.image(index)) for index in range(len(stages)))


def test_a_session_is_saved_by_a_key_and_opened_by_a_drop(
    qtbot, show, decoded, make_parts, fake_decoder_type, name_files, tmp_path
):
    window = show(decoded)
    with qtbot.waitSignal(decoded.session_files.saved):
        qtbot.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert [path.name for path in name_files] == ["snapshot.lorun"]
    assert window.statusBar().currentMessage() == f"Saved {tmp_path / 'work.lorun'}"
    quiet(qtbot, decoded)
    with qtbot.waitSignal(decoded.session_files.saved):  # now without a dialog
        qtbot.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert len(name_files) == 1
    quiet(qtbot, decoded)

    fresh = show(make_parts(fake_decoder_type()))
    assert not fresh.actions_["save_session"].isEnabled()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "work.lorun"))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    fresh.dropEvent(QDropEvent(QPointF(200, 200), Qt.DropAction.CopyAction, mime, buttons, keys))
    qtbot.waitUntil(lambda: len(fresh.session.stages) == 6)
    quiet(qtbot, fresh.parts)
    assert same_pixels(decoded, fresh.parts)
    titles = [action.text() for action in fresh._recent_menu.actions()]
    assert titles[0] == "work.lorun" and fresh.actions_["save_session"].isEnabled()
    fresh.close()  # nothing is left to ask about
    assert not fresh.isVisible()


def test_save_session_is_an_answer_of_the_question_and_closes_after_it(
    qtbot, show, decoded, leave, name_files, tmp_path, monkeypatch
):
    window = show(decoded)
    monkeypatch.setattr(sessions, "ask_save_file", lambda *asked: None)
    leave(window, "Save session…")  # and no name is given
    qtbot.waitUntil(lambda: window.findChild(QMessageBox, "leave") is None)
    assert window.isVisible() and not window.closing.notice.isVisible()
    monkeypatch.setattr(sessions, "ask_save_file", lambda *asked: tmp_path / "gone" / "work.lorun")
    leave(window, "Save session…")  # to a folder that is not there
    quiet(qtbot, decoded)
    qtbot.waitUntil(lambda: not window.closing.notice.isVisible())
    assert window.isVisible() and "written" in window.problem_bar.sentence.text()
    monkeypatch.setattr(sessions, "ask_save_file", lambda *asked: tmp_path / "work.lorun")
    leave(window, "Save session…")
    qtbot.waitUntil(lambda: not window.isVisible())
    assert (tmp_path / "work.lorun").is_file()


def test_files_that_are_missing_are_asked_for_in_the_window(
    qtbot, show, decoded, make_parts, fake_decoder_type, tmp_path, monkeypatch
):
    with qtbot.waitSignal(decoded.session_files.saved):
        decoded.session_files.save(tmp_path / "work.lorun")
    (tmp_path / "moved").mkdir()
    (tmp_path / "snapshot.h5").rename(tmp_path / "moved" / "snapshot.h5")
    parts = make_parts(fake_decoder_type())
    window = show(parts)
    answers = [None, tmp_path / "moved"]
    monkeypatch.setattr(sessions, "ask_for_folder", lambda parent, job: answers.pop(0))
    window.open_dropped([tmp_path / "work.lorun"])
    qtbot.waitUntil(lambda: len(answers) == 1)
    quiet(qtbot, parts)
    assert parts.session.paths == () and parts.shelf.all == ()
    window.open_dropped([tmp_path / "work.lorun"])
    qtbot.waitUntil(lambda: len(parts.session.stages) == 6)
    assert parts.session.paths == (tmp_path / "moved" / "snapshot.h5",) and same_pixels(decoded, parts)


def test_after_a_crash_the_next_start_offers_what_was_open(
    qtbot, show, keeping, make_parts, fake_decoder_type, tmp_path
):
    beside = make_parts(fake_decoder_type(), state_folder=tmp_path / "state")
    beside.autosave.find()  # while the window lives, nobody takes it
    quiet(qtbot, beside)
    assert beside.autosave.left == () and len(kept(tmp_path)) == 1
    crash(keeping)
    fresh = fake_decoder_type()
    parts = make_parts(fresh, state_folder=tmp_path / "state")
    window = show(parts)
    assert not window.restore_card.isVisible()
    parts.autosave.find()
    qtbot.waitUntil(window.restore_card.isVisible)
    assert "snapshot.h5 with 1 result was not saved" in window.restore_card.sentence.text().replace("\u200b", "")
    qtbot.mouseClick(window.restore_card.restore, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.restore_card.isVisible())
    quiet(qtbot, parts)
    assert same_pixels(keeping, parts) and fresh.computed == []
    assert len(parts.shelf.unsaved) == 1 and parts.session_files.path is None
    (own,) = kept(tmp_path)  # the one before is gone once this window keeps it
    assert own.parent == parts.autosave._own.folder
    parts.close(timeout_s=20)
    assert kept(tmp_path) == []  # a clean close leaves nothing


def test_what_was_left_is_discarded_by_the_keyboard(qtbot, show, keeping, make_parts, fake_decoder_type, tmp_path):
    crash(keeping)
    parts = make_parts(fake_decoder_type(), state_folder=tmp_path / "state")
    window = show(parts)
    parts.autosave.find()
    qtbot.waitUntil(window.restore_card.isVisible)
    window.restore_card.discard.setFocus()
    qtbot.keyClick(window.restore_card.discard, Qt.Key.Key_Space)
    quiet(qtbot, parts)
    assert not window.restore_card.isVisible() and kept(tmp_path) == []


def test_stages_are_written_once_and_nothing_where_nothing_changed(qtbot, keeping, tmp_path):
    (document,) = kept(tmp_path)
    arrays = {path: path.stat().st_ino for path in document.parent.rglob("*.npy")}
    before = document.stat().st_ino
    assert len([path for path in arrays if "stage_" in path.name]) == 6
    keeping.autosave.save()
    assert not keeping.lanes.is_busy and document.stat().st_ino == before
    keeping.looking.select_stage(2)
    keeping.autosave.save()
    quiet(qtbot, keeping)
    assert json.loads(document.read_text())["selection"]["stage"] == 2
    assert {path: path.stat().st_ino for path in document.parent.rglob("*.npy")} == arrays
    keeping.autosave.limit_bytes = 10
    keeping.looking.select_stage(3)
    keeping.autosave.save()
    quiet(qtbot, keeping)
    assert "1 result of the shelf would be lost in a crash" in "\n".join(keeping.lanes.logged)
    assert json.loads(document.read_text())["results"] == [] and not list(document.parent.rglob("*.npy"))


def test_a_decode_that_was_waited_for_is_offered_at_the_next_start(
    qtbot, show, keeping, fake, gate_type, leave, make_parts, fake_decoder_type, tmp_path
):
    window = show(keeping)
    keeping.setup.set_num_stages(3)
    fake.gate = gate_type(at=2)
    window.decode_card.button.click()
    qtbot.waitUntil(fake.gate.is_reached.is_set)
    leave(window, "Wait and close")
    fake.gate.is_open.set()
    qtbot.waitUntil(lambda: not window.isVisible())
    (document,) = kept(tmp_path)
    assert len(json.loads(document.read_text())["results"]) == 2
    parts = make_parts(fake_decoder_type(), state_folder=tmp_path / "state")
    parts.autosave.find()
    quiet(qtbot, parts)
    parts.autosave.restore()
    qtbot.waitUntil(lambda: len(parts.session.stages) == 4)
    quiet(qtbot, parts)


def test_a_state_folder_that_takes_nothing_is_logged_and_no_more(qtbot, make_parts, fake, snapshot, tmp_path):
    (tmp_path / "state").write_text("a file, not a folder")
    parts = make_parts(fake, state_folder=tmp_path / "state")
    raised = []
    parts.lanes.problem_raised.connect(raised.append)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    parts.autosave.save()
    quiet(qtbot, parts)
    assert raised == [] and "cannot be made" in "\n".join(parts.lanes.logged)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    parts.autosave.hand_over()
    quiet(qtbot, parts)
    assert parts.autosave.hand_over()

"""Adapting tiny sets from the page alone, with the real engine in its own process: CASSI, CS and SR."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from app.assembly import Parts
from app.main_window import MainWindow
from app.pages.training import TrainingPage
from app.resources import library_folders
from lorun_engine.library.cards import cards_in, read_card
from lorun_engine.library.model import load_model
from tests.engine.training.test_adapting import captures, new_set, scenes

pytestmark = [
    pytest.mark.timeout(400),  # a process that imports torch, on a computer that does other things
    pytest.mark.skipif(sys.platform != "linux", reason="the process finds its library by XDG_DATA_HOME"),
]
PATIENCE_MS = 120_000
SETTINGS = {
    "adapter_learning_rate": "0.01",
    "ema_decay": "0.8",
    "warm_up_steps": "2",
    "batch": "2",
    "crop": "16,24",
    "validation_steps": "10",
    "built_in": "0",
}
COMPUTED = {"cassi": "0.3", "cs": "0", "sr": "0.3"}  # pictures of a photograph are drawn for one task of the two


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """The user's own folder of adapter sets, for this process and those it starts."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "LoRun" / "adapters"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def open_window(qtbot, library):
    """Opens windows with a capture and the page shown; whatever they started has ended when the test has."""
    windows = []

    def open_(capture: Path) -> MainWindow:
        window = MainWindow(Parts(library=library_folders()))
        windows.append(window)
        parts = window.parts
        qtbot.addWidget(window)
        window.show()
        parts.setup.load_engine()
        qtbot.waitUntil(lambda: parts.setup.is_engine_loaded and not parts.lanes.is_busy, timeout=PATIENCE_MS)
        parts.session.open([capture])
        qtbot.waitUntil(lambda: parts.setup.fit is not None and not parts.lanes.is_busy, timeout=PATIENCE_MS)
        window.actions_["adapt"].trigger()
        return window

    yield open_
    for window in windows:
        assert window.parts.close(timeout_s=20)


def begin(qtbot, window: MainWindow, task: str, files: list[Path], *, num_steps: int, **settings: str) -> TrainingPage:
    """Answers the three questions and presses the button."""
    page = window.training_page
    plan = page.plan
    plan.starting_set.setCurrentIndex(plan.starting_set.findData(task))
    plan.starting_set.activated.emit(plan.starting_set.currentIndex())
    plan.data.material.add(files)
    plan.advanced.click()
    for name, text in {"adapter_steps": str(num_steps), **SETTINGS, **settings}.items():
        line = plan.form.editors[name].line
        line.setText(text)
        line.editingFinished.emit()
    qtbot.waitUntil(lambda: not plan.data.material.is_checking, timeout=PATIENCE_MS)
    assert plan.why_not.text() == ""
    plan.start.click()
    return page


def wait_for_end(qtbot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.parts.training.has_child, timeout=PATIENCE_MS)


@pytest.mark.parametrize("task", ["cassi", "cs", "sr"])
def test_a_set_is_adapted_kept_and_decoded_with_from_the_page_alone(qtbot, library, open_window, tmp_path, task):
    start = new_set(task, library)
    (backbone,) = [card for card in cards_in([library]) if card.kind == "backbone"]
    (capture,) = captures(task, tmp_path / "captures", count=1, known=True)
    window = open_window(capture)
    parts, training = window.parts, window.parts.training
    page = begin(qtbot, window, task, scenes(task, tmp_path / "scenes"), num_steps=30, built_in=COMPUTED[task])
    wait_for_end(qtbot, window)
    progress = training.progress
    assert progress.outcome == "finished", progress.sentence
    assert progress.step == progress.num_steps == 30 and progress.gain > 0
    assert [step for step, _ in training.record.scores] == [0, 10, 20, 30]
    qtbot.waitUntil(lambda: training.preview is not None, timeout=PATIENCE_MS)
    page.result.name.setText(f"my {task}")
    with qtbot.waitSignal(training.kept, timeout=PATIENCE_MS):
        qtbot.keyClick(page.result.name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.result.use.isEnabled(), timeout=PATIENCE_MS)
    card = read_card(library / f"my {task}.safetensors")
    assert card.fields["backbone_hash"] == backbone.hash == read_card(backbone.path).hash
    assert card.hash != read_card(start).hash
    load_model(card.path)  # checks both hashes
    page.result.use.click()
    qtbot.waitUntil(lambda: parts.setup.decoder_name == card.name and parts.session.can_restore, timeout=PATIENCE_MS)
    window.decode_card.button.click()
    qtbot.waitUntil(lambda: parts.session.restoration.state == "done", timeout=PATIENCE_MS)
    assert parts.session.recipe.decoder == card.name


def test_a_killed_process_and_a_closed_window_lose_nothing(qtbot, library, open_window, tmp_path, leave):
    new_set("cassi", library)
    (capture,) = captures("cassi", tmp_path / "captures", count=1, known=True)
    window = open_window(capture)
    training = window.parts.training
    page = begin(qtbot, window, "cassi", scenes("cassi", tmp_path / "scenes"), num_steps=400)
    qtbot.waitUntil(lambda: training.progress.step >= 5, timeout=PATIENCE_MS)
    os.kill(training.run.pid, signal.SIGKILL)
    wait_for_end(qtbot, window)
    assert training.progress.outcome == "broken" and page.result.resume.isVisible()
    page.result.resume.click()
    reached = training.progress.step
    qtbot.waitUntil(lambda: training.progress.step > reached + 5, timeout=PATIENCE_MS)
    page.run.pause.click()
    qtbot.waitUntil(lambda: training.progress.state == "paused", timeout=PATIENCE_MS)
    page.run.pause.click()
    qtbot.waitUntil(lambda: training.progress.state == "running", timeout=PATIENCE_MS)
    leave(window, "Stop and close")
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=PATIENCE_MS)
    window = open_window(capture)
    page, training = window.training_page, window.parts.training
    training.find_runs()
    qtbot.waitUntil(lambda: bool(page.unfinished.rows), timeout=PATIENCE_MS)
    (row,) = page.unfinished.rows.values()
    row.resume.click()
    qtbot.waitUntil(lambda: training.progress.state == "running", timeout=PATIENCE_MS)
    page.run.keep.click()
    wait_for_end(qtbot, window)
    assert training.progress.outcome == "stopped" and training.run.is_keepable
    steps = [step for step, _ in training.record.losses]
    assert steps == list(range(1, steps[-1] + 1))  # none is missing, none is there twice
    assert training.run.report is not None

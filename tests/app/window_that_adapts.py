"""The real window, driven by itself: python window_that_adapts.py CAPTURE SCENE...

Goes on with an unfinished training where one is offered, else answers the three questions and starts one; when it has
finished the window closes. Whoever started this may kill it at any moment.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QAbstractButton, QApplication

from app.main_window import MainWindow, run

LOOK_MS = 30
SETTINGS = {
    "adapter_steps": "40",
    "adapter_learning_rate": "0.01",
    "ema_decay": "0.8",
    "warm_up_steps": "2",
    "batch": "2",
    "crop": "16,24",
    "validation_steps": "10",
    "checkpoint_steps": "4",
    "built_in": "0",
}


class Driver:
    """Does what comes next whenever the timer asks, through the page's own buttons and fields."""

    def __init__(self, scenes: list[Path]) -> None:
        self.scenes = scenes
        self.is_filled = False
        self.timer = QTimer(interval=LOOK_MS)
        self.timer.timeout.connect(self.look)
        self.timer.start()

    def look(self) -> None:
        window = next((w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)), None)
        if window is None or window.parts.setup.fit is None or window.parts.lanes.is_busy or not window.isVisible():
            return
        training, page = window.parts.training, window.training_page
        if page is None or not page.isVisible():
            window.actions_["adapt"].trigger()
        elif training.has_child:
            return
        elif training.progress.state == "ended":
            self.settle(window)
        elif page.unfinished.rows:
            (row,) = page.unfinished.rows.values()
            press(row.watch, row.resume, row.again, row.keep)
        elif not self.is_filled:
            self.fill(page.plan)
        elif not page.plan.data.material.is_checking and page.plan.start.isEnabled():
            press(page.plan.start)

    def fill(self, plan) -> None:
        """Answers the questions."""
        self.is_filled = True
        plan.data.material.add(self.scenes)
        plan.advanced.click()
        for name, text in SETTINGS.items():
            line = plan.form.editors[name].line
            line.setText(text)
            line.editingFinished.emit()

    def settle(self, window: MainWindow) -> None:
        """Resumes what did not finish, and closes the window when it has."""
        if window.parts.training.progress.outcome == "finished":
            self.timer.stop()
            window.close()
        else:
            press(window.training_page.result.resume, window.training_page.another)


def press(*buttons: QAbstractButton) -> None:
    """Clicks the first of these that is offered."""
    button = next((button for button in buttons if button.isVisible() and button.isEnabled()), None)
    if button is not None:
        button.click()


if __name__ == "__main__":
    app = QApplication(sys.argv[:1])
    capture, *files = map(Path, sys.argv[1:])
    driver = Driver(files)
    sys.exit(run([capture]))

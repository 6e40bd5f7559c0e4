"""Closing the window: one question while anything runs or was not saved, and nothing ends before it is answered."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QMessageBox, QPushButton, QWidget

from ..assembly import Parts
from ..quantities import plural
from ..widgets import theme
from .sessions import SessionDialogs


class Closing(QObject):
    """Says whether the window may close, and closes it when what the user decided on has come about."""

    patience_ms = 4000  # for the stage that is being computed, once everything was told to stop

    def __init__(self, parts: Parts, window: QMainWindow, sessions: SessionDialogs) -> None:
        super().__init__(window)
        self._parts, self._window, self._sessions = parts, window, sessions
        self._question: QMessageBox | None = None
        self._is_decided = self._is_stopping = False
        self._waits = False  # for the end of what runs
        self._is_saving = False  # and stays open where that fails
        self.notice = _Notice()
        self.notice.hide()
        window.statusBar().insertPermanentWidget(1, self.notice)
        self.notice.stay.clicked.connect(self.stay)
        self._patience = QTimer(self, singleShot=True)
        self._patience.timeout.connect(window.close)
        self._look = QTimer(self, singleShot=True, interval=0)
        self._look.timeout.connect(self._go_on)
        for changed in (
            parts.lanes.idle,
            parts.training.child_ended,
            parts.session.restoration_changed,
            parts.comparing.changed,
            parts.decode_all.changed,
            parts.exports.exported,
        ):
            changed.connect(self._look_soon)

    def may_close(self) -> bool:
        """Whether the window may go now; else the user is asked, or what runs is being stopped."""
        if self._is_stopping and self._is_over:
            return True
        if self._is_decided or not (self._parts.tasks() or self._parts.shelf.unsaved):
            self._stop()
            return self._is_over
        self._ask()
        return False

    def stay(self) -> None:
        """The window stays open, whatever ends."""
        self._waits = self._is_saving = False
        self.notice.hide()

    # ---- the question --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        if self._question is not None:
            self._question.raise_()
            self._question.activateWindow()
            return
        tasks, num_unsaved = self._parts.tasks(), len(self._parts.shelf.unsaved)
        self._question = box = QMessageBox(self._window)
        box.setObjectName("leave")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Close LoRun?")
        results = f"{plural(num_unsaved, 'result')} {'was' if num_unsaved == 1 else 'were'} not exported."
        if tasks:
            box.setText(f"LoRun is still {_listed(tasks)}.")
            box.setInformativeText(" ".join([self._what_stopping_means(), *([results] if num_unsaved else [])]))
        else:
            box.setText(results)
            box.setInformativeText(f"{'It goes' if num_unsaved == 1 else 'They go'} with the window unless saved.")
        keep = box.addButton("Keep working", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        if tasks:
            box.addButton("Wait and close", QMessageBox.ButtonRole.AcceptRole).clicked.connect(self._wait)
        elif self._parts.session_files.can_save:
            words = "Save session…" if self._parts.session_files.path is None else "Save session"
            box.addButton(words, QMessageBox.ButtonRole.AcceptRole).clicked.connect(self._save)
        words = "Stop and close" if tasks else "Close without exporting"
        box.addButton(words, QMessageBox.ButtonRole.DestructiveRole).clicked.connect(self._leave)
        box.finished.connect(self._forget_question)
        self.stay()  # nothing closes by itself while it is asked
        box.open()

    def _what_stopping_means(self) -> str:
        training, sentences = self._parts.training, []
        if self._parts.folder.num_left:
            sentences.append("The results of the folder so far stay; open it again to decode what is left.")
        if training.has_child and not training.is_followed:
            sentences.append("A training that is stopped is offered again at the next start.")
        if self._parts.autosave.is_on and self._parts.decodes_to_shelf:
            sentences.append("The result of a decode that is waited for is offered at the next start.")
        return " ".join(sentences)

    def _forget_question(self) -> None:
        if self._question is not None:
            self._question.deleteLater()
            self._question = None

    # ---- the answers ---------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Closes as soon as everything has ended that was asked for; until then that can be taken back."""
        self._waits = True
        self._parts.go_on()
        self.notice.show()
        self._look_soon()

    def _save(self) -> None:
        """Closes once the session is saved."""
        if self._sessions.save():
            self._wait()
            self._is_saving = True

    def _leave(self) -> None:
        self._is_decided = True
        self._window.close()

    def _look_soon(self) -> None:
        if self._waits or self._is_stopping:
            self._look.start()

    def _go_on(self) -> None:
        """Something has ended."""
        if self._is_stopping:
            if self._is_over:
                self._window.close()
        elif self._waits:
            tasks = self._parts.tasks()
            self.notice.say(f"Closes after {_listed(tasks)}" if tasks else "Closes")
            if not tasks and self._is_saving and self._parts.shelf.unsaved:
                self.stay()
            elif not tasks and self._parts.autosave.hand_over():
                self._leave()

    def _stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._parts.cancel_all()
            self._patience.start(self.patience_ms)
            if self._parts.is_busy:
                self._window.statusBar().showMessage("Closing after the step that is being computed…")

    @property
    def _is_over(self) -> bool:
        """Whether nothing is left to wait for: a stage that hangs is given up, a training writes what it learned."""
        is_given_up = not self._patience.isActive() and not self._parts.training.has_child
        return is_given_up or not self._parts.is_busy


class _Notice(QWidget):
    """In the status bar: what the window waits for, and a way back."""

    def __init__(self) -> None:
        super().__init__()
        self._words = QLabel()
        self.stay = QPushButton("Stay open")
        self.stay.setObjectName("link")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, theme.GRID, 0)
        row.setSpacing(theme.GRID)
        row.addWidget(self._words)
        row.addWidget(self.stay)

    @property
    def words(self) -> str:
        """What it says."""
        return self._words.text()

    def say(self, words: str) -> None:
        """Says what is waited for."""
        self._words.setText(words)
        self._words.setAccessibleName(words)


def _listed(tasks: list[str]) -> str:
    *first, last = tasks
    return f"{', '.join(first)} and {last}" if first else last

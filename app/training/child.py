"""The process of a training seen from the window: events up, nothing that blocks.

`Child` is a process of our own, `Follower` one that an earlier window left behind. Both tell what came and that it
ended; commands go through the run's folder, see `runs`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from lorun_engine.training.events import event_of
from lorun_engine.training.run_folder import EventFile

from .runs import Run, end_process

FOLLOW_MS = 300
GRACE_MS = 10_000  # for writing a last checkpoint
LAST_WORDS = 4000  # bytes of the process's complaints that are kept


def own_command() -> tuple[str, ...]:
    """What starts this program's command line: the frozen program itself, or this Python with this package."""
    return (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "app")


class Child(QObject):
    """A process that writes one event a line; it is asked to end, then told to, then killed.

    `read` makes an event of a line, or None of one that tells none. What it keeps for a while it keeps in `temporary`,
    whose maker removes it: a process that is killed does not.
    """

    came = Signal(object)  # one event, as `read` made it
    ended = Signal()
    grace_ms = GRACE_MS

    def __init__(
        self,
        arguments: Sequence[str],
        parent: QObject,
        *,
        command: Sequence[str] | None = None,
        read: Callable[[bytes], object | None] = event_of,
        temporary: Path | None = None,
    ) -> None:
        super().__init__(parent)
        self._event_of = read
        self.complaint = ""  # why it ended, in the words of the process; nothing when it ended well
        self._last_words = b""
        self._is_over = self._was_told = False
        program, *first = command or own_command()
        self._process = QProcess(self)
        self._process.setProgram(program)
        self._process.setArguments([*first, *arguments])
        self._process.setProcessEnvironment(_environment(temporary))
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._listen)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._insist)

    def start(self) -> int | None:
        """Starts the process; its number, or None where it could not be started."""
        self._process.start()
        return self._process.processId() or None

    @property
    def pid(self) -> int:
        """The number of the process; 0 when it does not run."""
        return self._process.processId()

    def expect_the_end(self) -> None:
        """It was asked to end: after the grace it is told to, and a third of it later it is killed."""
        if not self._is_over:
            self._patience.start(self.grace_ms)

    def end(self) -> None:
        """Tells it to end now; it is killed when it does not."""
        if not self._is_over:
            self._was_told = True
            self._process.terminate()
            self._patience.start(self.grace_ms // 3)

    def kill(self, *, wait: bool = False) -> None:
        """Ends it at once."""
        self._process.kill()
        if wait:
            self._process.waitForFinished(2000)

    def _insist(self) -> None:
        if self._was_told:
            self.kill()
        else:
            self.end()

    def _read(self) -> None:
        while self._process.canReadLine():
            event = self._event_of(self._process.readLine().data())
            if event is not None:
                self.came.emit(event)

    def _listen(self) -> None:
        self._last_words = (self._last_words + self._process.readAllStandardError().data())[-LAST_WORDS:]

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._listen()
        self._read()
        if status == QProcess.ExitStatus.CrashExit:
            self._end("The process of the training was ended from outside or crashed.")
        else:
            self._end(_sentence(self._last_words, code) if code else "")

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(f"The training could not be started: {self._process.errorString()}. Reinstall LoRun.")

    def _end(self, complaint: str) -> None:
        if not self._is_over:
            self._is_over, self.complaint = True, complaint
            self._patience.stop()
            self.ended.emit()


class Follower(QObject):
    """Follows the `events` file of a process that another window started."""

    came = Signal(object)  # one TrainEvent
    ended = Signal()

    def __init__(self, run: Run, parent: QObject, *, events: EventFile) -> None:
        super().__init__(parent)
        self.complaint = ""
        self.pid = run.pid or 0
        self._run, self._events = run, events
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._insist)
        self._was_told = False

    def start(self) -> int | None:
        """Begins to look."""
        self._timer.start(FOLLOW_MS)
        return self.pid

    def expect_the_end(self) -> None:
        """It was asked to end: after the grace it is told to, and a third of it later it is killed."""
        self._patience.start(Child.grace_ms)

    def end(self) -> None:
        """Tells it to end now; it is killed when it does not."""
        self._insist()

    def kill(self, *, wait: bool = False) -> None:
        """Leaves it to itself: it goes on without a window, and can be watched again."""
        self._timer.stop()

    def _insist(self) -> None:
        end_process(self._run, forcibly=self._was_told)
        self._was_told = True
        self._patience.start(Child.grace_ms // 3)

    def _look(self) -> None:
        is_alive = self._run.still_runs  # before reading: what it wrote last is read too
        for event in self._events.new():
            self.came.emit(event)
        if not is_alive:
            self._timer.stop()
            self._patience.stop()
            self.ended.emit()


def _environment(temporary: Path | None) -> QProcessEnvironment:
    """This process's environment, with the place where this package lies for `python -m app`."""
    environment = QProcessEnvironment.systemEnvironment()
    for name in ("TMPDIR", "TEMP", "TMP") if temporary is not None else ():
        environment.insert(name, str(temporary))
    if not getattr(sys, "frozen", False):
        places = [str(Path(__file__).resolve().parents[2]), environment.value("PYTHONPATH")]
        environment.insert("PYTHONPATH", os.pathsep.join(filter(None, places)))
    environment.insert("PYTHONUNBUFFERED", "1")
    return environment


def _sentence(last_words: bytes, code: int) -> str:
    """The sentence with which the command line ended; else what its last line says."""
    lines = [line.strip() for line in last_words.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("lorun: ")]
    if told:
        return told[-1].removeprefix("lorun: ")
    return f"The training ended with code {code}" + (f": {lines[-1]}" if lines else ".")

"""One way off the GUI thread: a worker thread that lives as long as the window and does one thing after another.

A job is a function, or a generator whose every `yield` is both a progress report and the point where a cancel is
honoured. Progress goes through a mailbox that keeps the latest value only, so that a slow painter never queues up
work; a job ends with exactly one of succeeded, failed and cancelled.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from .garbage import collect_here

# Threads that did not stop in time, with what runs in them: a QThread destroyed while it runs aborts the process.
_left_running: list[tuple[QThread, QObject]] = []


class Job(QObject):
    """One piece of work. Its signals come in the thread that made it and carry nothing: read the attributes then."""

    began = Signal()
    progressed = Signal()
    succeeded = Signal()
    failed = Signal()
    cancelled = Signal()
    _started = Signal()
    _pinged = Signal()
    _over = Signal()

    def __init__(self, work: Callable[[], Any], *, title: str) -> None:
        super().__init__()
        self.title = title  # as a sentence may name it: "Decoding scene3.mat"
        self.is_asked_for = False  # by the user, who would miss its end
        self.progress: Any = None  # the latest value that the generator yielded
        self.result: Any = None  # what the function or the generator returned
        self.error: Exception | None = None
        self._work = work
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._mail: Any = None
        self._is_pinged = False
        self._end = ""  # the name of the signal that it ends with
        self._started.connect(self._begin)
        self._pinged.connect(self._read_mail)  # queued: this object lives in the thread that made it
        self._over.connect(self._finish)

    @property
    def failure(self) -> Exception:
        """Why it failed; to be asked of a job that did."""
        if self.error is None:
            raise ValueError(f"{self.title} has not failed")
        return self.error

    def cancel(self) -> None:
        """Asks the job to stop at its next yield; a function that has begun runs to its end."""
        self._cancel.set()

    def run(self) -> None:
        """Does the work in the calling thread."""
        try:
            self._end = self._run(self._work)
        except Exception as error:  # of any kind: it is shown to the user, the thread lives on
            self.error, self._end = error, "failed"
        self._over.emit()

    def _run(self, work: Callable[[], Any]) -> str:
        if self._cancel.is_set():
            return "cancelled"
        self._started.emit()
        steps = work()
        if not inspect.isgenerator(steps):
            self.result = steps
            return "succeeded"
        try:
            while True:
                self._post(next(steps))
                if self._cancel.is_set():
                    return "cancelled"
        except StopIteration as stop:
            self.result = stop.value
            return "succeeded"
        finally:
            steps.close()

    def _post(self, value: Any) -> None:
        """Puts `value` into the mailbox and pings the reader unless a ping is already on its way."""
        with self._lock:
            self._mail = value
            is_new, self._is_pinged = not self._is_pinged, True
        if is_new:
            self._pinged.emit()

    @Slot()
    def _begin(self) -> None:
        self.began.emit()

    @Slot()
    def _read_mail(self) -> None:
        with self._lock:
            self.progress, self._is_pinged = self._mail, False
        self.progressed.emit()

    @Slot()
    def _finish(self) -> None:
        self._work = lambda: None  # what the work held on to (models, measurements, Qt objects) may go, in this thread
        {"succeeded": self.succeeded, "failed": self.failed, "cancelled": self.cancelled}[self._end].emit()


class _Bench(QObject):
    """Lives in the worker thread; a queued signal brings it the number of the next job."""

    left = Signal(int)  # the number of a job that this thread is done with

    def __init__(self, jobs: dict[int, Job]) -> None:
        super().__init__()
        self._jobs = jobs

    @Slot(int)
    def work(self, number: int) -> None:
        self._jobs[number].run()
        self.left.emit(number)


class Worker(QObject):
    """The worker thread and its queue: jobs run one at a time, in the order in which they were given."""

    idle = Signal()  # the last job of the queue has ended
    _given = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        collect_here()
        self._jobs: dict[int, Job] = {}
        self._ended: dict[int, Job] = {}  # whose last signal the thread may still be about to have sent
        self._numbers = itertools.count()
        self._thread = QThread()
        self._thread.setObjectName("lorun-worker")
        self._bench = _Bench(self._jobs)
        self._bench.moveToThread(self._thread)
        self._given.connect(self._bench.work)
        self._bench.left.connect(self._let_go)
        self._thread.start()

    def give(self, job: Job) -> Job:
        """Puts `job` at the end of the queue; connect its signals first."""
        number = next(self._numbers)
        self._jobs[number] = job
        for ended in (job.succeeded, job.failed, job.cancelled):
            ended.connect(lambda: self._drop(number))
        self._given.emit(number)
        return job

    @property
    def jobs(self) -> list[Job]:
        """The job that runs, if any, then those that wait."""
        return list(self._jobs.values())

    def cancel_all(self) -> None:
        """Asks every job to stop; those that have not begun never will."""
        for job in self.jobs:
            job.cancel()

    def stop(self, *, timeout_s: float) -> bool:
        """Cancels everything and ends the thread; False if it was still busy after `timeout_s`.

        A thread that is still busy is kept, unowned, until it ends or the process does.
        """
        self.cancel_all()
        self._thread.quit()
        if self._thread.wait(int(timeout_s * 1000)):
            return True
        _left_running.append((self._thread, self._bench))
        return False

    def _drop(self, number: int) -> None:
        self._ended[number] = self._jobs.pop(number)
        if not self._jobs:
            self.idle.emit()

    @Slot(int)
    def _let_go(self, number: int) -> None:
        self._ended.pop(number).deleteLater()  # with it go its connections, and what their slots hold on to


def is_thread_left() -> bool:
    """Whether a worker thread that did not stop in time still runs."""
    return any(thread.isRunning() for thread, _ in _left_running)

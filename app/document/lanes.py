"""Slow work in lanes of their own beside the window, and what is told of it: lines of the log, and problems.

One lane is for decodes and whatever belongs to one, one thing after another. Files to be opened are read in a second
one, after the engine was loaded in it: a decode goes on until they are understood. Short jobs with files have a third:
an export or an import waits neither for a decode nor for files that are looked at, which have a fourth. What the window
needs to draw runs in the last, aside.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from ..job import Job, Worker
from ..problems import LOG, Problem, explain

MOST_LINES = 5000  # of the log

Work = Callable[[], object]  # a function, or a generator: see `Job`


class Lanes(QObject):
    """The worker threads; what goes wrong in them is logged, and shown when it is a bug."""

    idle = Signal()  # nothing is left to do in any lane
    log_added = Signal(str)
    problem_raised = Signal(object)  # Problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.logged: deque[str] = deque(maxlen=MOST_LINES)  # the oldest first
        self._decodes, self._opens, self._files = Worker(self), Worker(self), Worker(self)
        self._looks, self._aside = Worker(self), Worker(self)
        self._workers = (self._decodes, self._opens, self._files, self._looks, self._aside)
        for worker in self._workers:
            worker.idle.connect(self._tell_if_idle)

    def run(self, work: Work, *, doing: str, then: Callable[[Job], None], is_asked_for: bool = False) -> Job:
        """Does slow `work` in the lane of the decodes; `then` gets the job in this thread once it has succeeded.

        What the user asked for, and would miss, `is_asked_for`: the window does not close on it without a question.
        """
        return self._give(self._decodes, work, doing, then, is_asked_for)

    def run_open(self, work: Work, *, doing: str, then: Callable[[Job], None]) -> Job:
        """As `run`, to load the engine or to read what is to be opened."""
        return self._give(self._opens, work, doing, then)

    def run_file(self, work: Work, *, doing: str, then: Callable[[Job], None], is_asked_for: bool = False) -> Job:
        """As `run`, for short work with files that decodes nothing."""
        return self._give(self._files, work, doing, then, is_asked_for)

    def run_look(self, work: Work, *, doing: str, then: Callable[[Job], None]) -> Job:
        """As `run`, for files that are looked for or at, however many."""
        return self._give(self._looks, work, doing, then)

    def run_aside(self, work: Work, *, doing: str, then: Callable[[Job], None]) -> Job:
        """As `run`, for work of less than a second that decodes nothing and that a decode may not keep waiting."""
        return self._give(self._aside, work, doing, then)

    def decode(self, job: Job) -> None:
        """Does a decode; whoever gave it tells of its end, see `fail`."""
        job.is_asked_for = True
        self._decodes.give(job)

    def before(self, job: Job) -> str:
        """What has to end before a job begins, in words; nothing where it may begin, or has."""
        lane = next((worker.jobs for worker in self._workers if job in worker.jobs), [job])
        return "" if lane[0] is job else lane[0].title

    def announcement(self, job: Job) -> str:
        """As "Renaming guest…", with what has to end before."""
        before = self.before(job)
        return f"{job.title[:1].upper()}{job.title[1:]}{f', after {before}' if before else ''}…"

    @property
    def is_busy(self) -> bool:
        """Whether a lane has anything to do."""
        return any(worker.jobs for worker in self._workers)

    def titles(self) -> list[str]:
        """What the user asked for that is being done or waits, in words."""
        return [job.title for worker in self._workers for job in worker.jobs if job.is_asked_for]

    def cancel_all(self) -> None:
        """Asks everything that runs or waits to stop."""
        for worker in self._workers:
            worker.cancel_all()

    def stop(self, *, timeout_s: float) -> bool:
        """Stops everything and ends the threads; False if one was still busy after `timeout_s`."""
        return all([worker.stop(timeout_s=timeout_s) for worker in reversed(self._workers)])

    def log(self, sentence: str, *, level: int = logging.INFO) -> None:
        """Adds a line to the log."""
        LOG.log(level, sentence)
        self.logged.append(f"{time.strftime('%H:%M:%S')}  {sentence}")
        self.log_added.emit(self.logged[-1])

    def fail(self, job: Job) -> Problem:
        """Tells why a job failed."""
        problem = explain(job.failure, doing=job.title)
        self.log(problem.sentence, level=logging.WARNING)
        if problem.is_bug:
            LOG.error("unexpected error while %s", job.title, exc_info=job.error)
            self.problem_raised.emit(problem)
        return problem

    def refuse(self, job: Job) -> None:
        """Shows why a job failed; bugs are shown anyway."""
        problem = explain(job.failure, doing=job.title)
        if not problem.is_bug:
            self.problem_raised.emit(problem)

    def _give(
        self, worker: Worker, work: Work, doing: str, then: Callable[[Job], None], is_asked_for: bool = False
    ) -> Job:
        job = Job(work, title=doing)
        job.is_asked_for = is_asked_for
        job.succeeded.connect(lambda: then(job))
        job.failed.connect(lambda: self.fail(job))
        return worker.give(job)

    def _tell_if_idle(self) -> None:
        if not self.is_busy:
            self.idle.emit()

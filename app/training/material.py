"""The list of files that a training is to learn from, as they are looked for and at in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lorun_engine.io.pairs import scene_beside, without_scenes

from ..document.lanes import Lanes
from ..job import Job
from ..quantities import plural
from .scenes import DataFile, Use, Wanted, checked, files_among, summary


class Material(QObject):
    """Files are added and removed here; what becomes of each is known as soon as it was looked at."""

    changed = Signal()  # the list, or whether it is complete
    progressed = Signal()  # one more was looked at

    def __init__(self, lanes: Lanes, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.paths: tuple[Path, ...] = ()
        self.files: tuple[DataFile, ...] = ()  # those that were looked at
        self.nothing_in: tuple[Path, ...] = ()  # what was added last, where no file was found in it
        self._lanes = lanes
        self._wanted: Wanted | None = None
        self._job: Job | None = None
        self._num_searches = 0  # of folders, under way

    @property
    def is_looking(self) -> bool:
        """Whether the files of the list are being looked at."""
        return self._job is not None

    @property
    def is_checking(self) -> bool:
        """Whether files are still being looked for or at."""
        return self.is_looking or self._num_searches > 0

    def used(self, use: Use) -> tuple[Path, ...]:
        """The files of one use, "learn" or "check"."""
        return tuple(file.path for file in self.files if file.use == use)

    @property
    def num_wanted(self) -> int:
        """How many files there are to be looked at; the scenes of pairs go with their measurements."""
        wanted = self._wanted
        is_plain = wanted is None or wanted.route == "scenes"
        return len(self.paths if is_plain else without_scenes(self.paths, wanted.task))

    @property
    def summary(self) -> str:
        """What the list comes to, in words."""
        return "" if self._wanted is None else summary(self.files, self._wanted.task)

    def set_wanted(self, wanted: Wanted | None) -> None:
        """Says what the training asks of its files; those of the list are looked at again where that is new."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._check()

    def add(self, paths: Sequence[Path]) -> None:
        """Adds files, and those in folders, which may be large: the worker looks for them."""
        if not paths:
            return
        self._num_searches += 1
        then = partial(self._found, tuple(paths))
        job = self._lanes.run_look(partial(files_among, paths), doing="looking for files", then=then)
        for ended in (job.failed, job.cancelled):
            ended.connect(self._search_ended)
        self.changed.emit()

    def remove(self, paths: Sequence[Path]) -> None:
        """Takes files off the list, with the scenes of pairs; nothing is deleted."""
        task = "" if self._wanted is None else self._wanted.task
        gone = {*paths, *(scene_beside(path, task) for path in paths if task)}
        left = tuple(path for path in self.paths if path not in gone)
        if left != self.paths:
            self.paths = left
            self._check()

    def _found(self, asked: tuple[Path, ...], job: Job) -> None:
        self.nothing_in = () if job.result else asked
        more = [path for path in job.result if path not in self.paths]
        if more:
            self.paths = (*self.paths, *more)
            self._check()
        self._search_ended()

    def _search_ended(self) -> None:
        self._num_searches -= 1
        self.changed.emit()

    def _check(self) -> None:
        """Looks at all files in the worker; an earlier look that is not over no longer counts."""
        if self._job is not None:
            self._job.cancel()
        self._job = None
        if self._wanted is None or not self.paths:
            self.files = ()
        else:
            work, doing = partial(checked, self.paths, self._wanted), f"looking at {plural(len(self.paths), 'file')}"
            job = self._lanes.run_look(work, doing=doing, then=self._checked)
            job.progressed.connect(lambda: self._go_on(job))
            for ended in (job.failed, job.cancelled):
                ended.connect(lambda: self._look_ended(job))
            self._job = job
        self.changed.emit()

    def _go_on(self, job: Job) -> None:
        if job is self._job:
            self.files = job.progress
            self.progressed.emit()

    def _look_ended(self, job: Job) -> None:
        """Something went wrong, or somebody stopped it: what was looked at so far stays."""
        if job is self._job:
            self._job = None
            self.changed.emit()

    def _checked(self, job: Job) -> None:
        if job is self._job:
            self._job, self.files = None, job.result
            self.changed.emit()

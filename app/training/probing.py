"""A short trial on this computer that measures what a training would cost, in a process of its own."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from .child import Child
from .plan import Plan, Probe, probe_of
from .training import Training


class Probing(QObject):
    """At most one trial at a time; it gives way to a training, which it would only slow down."""

    changed = Signal()

    def __init__(self, training: Training) -> None:
        super().__init__(training)
        self._training = training
        self.result: Probe | None = None
        self.trouble = ""  # why there is none, in a sentence
        self._prober: Child | None = None
        self._folders: dict[Child, tempfile.TemporaryDirectory[str]] = {}  # of the trials that have not ended
        self._key: tuple[str, ...] = ()  # of the trial under way
        training.changed.connect(self._give_way)

    @property
    def is_running(self) -> bool:
        """Whether a trial is under way."""
        return self._prober is not None

    def start(self, plan: Plan) -> None:
        """Measures what a training would cost; an earlier trial that is not over ends."""
        known = None if self.result is None else self.result.key
        if self._training.has_child or plan.probe_key == (self._key if self.is_running else known):
            return
        self._end()
        read = partial(probe_of, key=plan.probe_key)
        folder = tempfile.TemporaryDirectory(prefix="lorun-", ignore_cleanup_errors=True)
        place = Path(folder.name)
        prober = Child(plan.probe_arguments(), self, command=self._training.command, read=read, temporary=place)
        self._folders[prober] = folder
        prober.came.connect(partial(self._come, prober))
        prober.ended.connect(partial(self._ended, prober))
        self._prober, self._key, self.trouble = prober, plan.probe_key, ""
        prober.start()
        self.changed.emit()

    def close(self) -> None:
        """Ends a trial at once; nothing of it is left on the disk."""
        self._prober = None
        for prober, folder in tuple(self._folders.items()):
            prober.kill(wait=True)
            folder.cleanup()
        self._folders = {}

    def _come(self, prober: Child, probe: Probe) -> None:
        if prober is self._prober:
            self.result = probe
            self.changed.emit()

    def _ended(self, prober: Child) -> None:
        if prober in self._folders:
            self._folders.pop(prober).cleanup()
        prober.deleteLater()
        if prober is self._prober:
            self._prober, self.trouble = None, prober.complaint
            self._forget_unfinished()
            self.changed.emit()

    def _give_way(self) -> None:
        if self._training.has_child:
            self._end()

    def _end(self) -> None:
        prober, self._prober = self._prober, None
        if prober is not None:
            prober.kill()
        self._forget_unfinished()

    def _forget_unfinished(self) -> None:
        """What a trial said that did not come to its end would keep another one from being begun."""
        if self.result is not None and self.result.parts is not None:
            self.result = None

"""A short trial on this computer that measures what a training would cost, in a process of its own."""

from __future__ import annotations

from functools import partial

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
        prober = Child(plan.probe_arguments(), self, command=self._training.command, read=read)
        prober.came.connect(partial(self._come, prober))
        prober.ended.connect(partial(self._ended, prober))
        self._prober, self._key, self.trouble = prober, plan.probe_key, ""
        prober.start()
        self.changed.emit()

    def close(self) -> None:
        """Ends a trial at once."""
        if self._prober is not None:
            self._prober.kill(wait=True)
        self._prober = None

    def _come(self, prober: Child, probe: Probe) -> None:
        if prober is self._prober:
            self.result = probe

    def _ended(self, prober: Child) -> None:
        prober.deleteLater()
        if prober is self._prober:
            self._prober, self.trouble = None, prober.complaint
            self.changed.emit()

    def _give_way(self) -> None:
        if self._training.has_child:
            self._end()

    def _end(self) -> None:
        prober, self._prober = self._prober, None
        if prober is not None:
            prober.kill()

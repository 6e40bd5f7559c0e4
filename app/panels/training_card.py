"""The training in the left column: that one is under way or was left behind, also while something else is looked at.

Where the device has no room for a decode beside the training, it offers to pause the training or to wait for its end;
the decode's own card offers the CPU.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from lorun_engine.errors import DeviceError

from ..assembly import Parts
from ..quantities import duration, plural
from ..widgets import theme
from ..widgets.labels import set_look


class TrainingCard(QWidget):
    """Hidden while there is nothing to say."""

    show_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session, self._training = parts, parts.session, parts.training
        self._decode_when: Literal["", "paused", "ended"] = ""
        self._wanted_for: object = None  # the measurement that is to be decoded then
        frame, column = theme.card("Training")
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("State of the training")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the training")
        self.bar.setTextVisible(False)
        self.look = QPushButton("Show")
        self.look.clicked.connect(self.show_requested)
        self.pause = QPushButton("Pause")
        self.pause.clicked.connect(self._pause_or_go_on)
        self.conflict = QLabel()
        self.conflict.setWordWrap(True)
        self.pause_and_decode = QPushButton("Pause it and decode")
        self.pause_and_decode.clicked.connect(lambda: self._decode_later("paused"))
        self.wait = QPushButton("Decode when it has ended")
        self.wait.clicked.connect(lambda: self._decode_later("ended"))
        line = QHBoxLayout()
        line.addWidget(self.look)
        line.addWidget(self.pause)
        line.addStretch(1)
        column.addWidget(self.sentence)
        column.addWidget(self.bar)
        column.addLayout(line)
        for widget in (self.conflict, self.pause_and_decode, self.wait):
            column.addWidget(widget)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        for changed in (
            parts.session.restoration_changed,
            parts.setup.changed,
            self._training.changed,
            self._training.runs_changed,
        ):
            changed.connect(self._show)
        self._training.changed.connect(self._decode_if_due)
        parts.session.opened_changed.connect(self._forget_other_measurement)
        self._show()

    def _pause_or_go_on(self) -> None:
        training = self._training
        training.go_on() if training.progress.state == "paused" else training.pause()

    def _decode_later(self, when: Literal["paused", "ended"]) -> None:
        self._decode_when, self._wanted_for = when, self._session.measurement
        if when == "paused":
            self._training.pause()
        self._show()
        self._decode_if_due()

    def _forget_other_measurement(self) -> None:
        """What else is open now was not asked for to be decoded."""
        if self._decode_when and self._session.measurement is not self._wanted_for:
            self._decode_when, self._wanted_for = "", None
            self._show()

    def _decode_if_due(self) -> None:
        state = self._training.progress.state
        if self._decode_when and (state == self._decode_when or not self._training.has_child):
            self._decode_when = ""
            self._session.restore()

    @property
    def has_conflict(self) -> bool:
        """Whether a decode failed for want of memory on the device that the training uses."""
        session, training = self._session, self._training
        is_full = isinstance(session.restoration.error, DeviceError)
        return is_full and training.has_child and training.run.device == self._parts.setup.device

    def _show(self) -> None:
        progress = self._training.progress
        is_under_way = progress.is_under_way
        self.setVisible(bool(self._sentence()))
        self.bar.setVisible(is_under_way)
        self.bar.setRange(0, progress.num_steps if progress.step else 0)
        self.bar.setValue(progress.step)
        self.pause.setVisible(is_under_way)
        self.pause.setEnabled(progress.state in ("running", "paused"))
        self.pause.setText("Continue" if progress.state == "paused" else "Pause")
        has_conflict = self.has_conflict and not self._decode_when
        words = "The training holds memory of this device." if self.has_conflict else ""
        if self._decode_when:
            words = (
                "Decodes as soon as the training is paused."
                if self._decode_when == "paused"
                else ("Decodes as soon as the training has ended.")
            )
        set_look(self.conflict, words, "warn" if has_conflict else "dim")
        self.pause_and_decode.setVisible(has_conflict)
        self.pause_and_decode.setEnabled(progress.state in ("running", "paused"))
        self.wait.setVisible(has_conflict)
        set_look(self.sentence, self._sentence(), "plain")

    def _sentence(self) -> str:
        training, progress = self._training, self._training.progress
        if progress.state == "ended" and progress.outcome != "discarded" and not training.run.is_settled:
            if training.run.is_fruitless(progress.gain):
                return f"{training.run.title} has ended and kept nothing better than the start."
            return f"{training.run.title} has ended. See what came of it."
        if not progress.is_under_way:
            unfinished = training.unfinished
            if not unfinished:
                return ""
            if len(unfinished) > 1:
                return f"{plural(len(unfinished), 'training')} did not end or were not kept."
            if unfinished[0].is_over and not unfinished[0].is_keepable:
                return f"{unfinished[0].title} ended and kept nothing better than the start."
            if unfinished[0].is_over:
                return f"{unfinished[0].title} ended and was not kept. Keep what it has, or give it up."
            return f"{unfinished[0].title} did not end. Resume it, keep what it has, or give it up."
        words = {"starting": "is starting", "paused": "is paused", "pausing": "pauses", "stopping": "stops"}
        state = words.get(progress.state)
        if state is not None:
            return f"{training.run.title} {state}."
        left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
        return f"{training.run.title}: step {progress.step} of {progress.num_steps}{left}."

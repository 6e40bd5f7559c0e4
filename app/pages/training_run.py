"""An adaptation under way: how far it is, its curves, the user's own capture beside the starting set's, its buttons."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPoint, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..quantities import duration
from ..training.record import TrainingProgress
from ..widgets import theme
from ..widgets.colours import to_image
from ..widgets.labels import set_look
from .training_curves import TrainingCurves

CURVES_MS = 100
STATES = {
    "starting": "Starting: the data are read and the starting set is scored.",
    "pausing": "Pauses after this step, with a checkpoint.",
    "paused": "Paused. It holds no memory of the device until you continue.",
    "stopping": "Stops after this step.",
}


class RunPanel(QWidget):
    """Redraws on the training's signals; its buttons are the training's verbs."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self._training = parts.training
        self.title = QLabel()
        self.title.setObjectName("heading")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the training")
        self.bar.setTextVisible(False)
        self.where = QLabel()
        self.where.setFont(theme.tabular(self.where.font()))
        self.score = QLabel()
        self.score.setWordWrap(True)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("State of the training")
        self.curves = TrainingCurves()
        self.before, self.after = PreviewPicture("With the starting set"), PreviewPicture("With the new set")
        self.no_preview = QLabel("Open a measurement to see it decoded here while the training goes on.")
        self.no_preview.setObjectName("dim")
        self.no_preview.setWordWrap(True)
        self._make_buttons()
        self._lay_out()
        training = self._training
        training.changed.connect(self._show)
        self._curves_soon = QTimer(self, singleShot=True, interval=CURVES_MS)
        self._curves_soon.timeout.connect(self._show_curves)
        training.curves_changed.connect(self._show_curves_soon)
        training.preview_changed.connect(self._show_preview)
        self._show()
        self._show_curves()
        self._show_preview()

    def _make_buttons(self) -> None:
        training = self._training
        self.pause = _button("Pause", "Writes a checkpoint and gives the memory back", self._pause_or_go_on)
        self.validate = _button("Validate now", "Scores the weights as they are now", training.validate)
        self.checkpoint = _button("Checkpoint now", "Writes down where it is", training.checkpoint)
        self.keep = _button("Stop and keep", "Ends; the best set so far can be kept", training.stop_and_keep)
        self.discard = _button("Stop and discard…", "Ends; what was learned is given up", self._ask_to_discard)

    def _lay_out(self) -> None:
        frame, column = theme.card("")
        top = QHBoxLayout()
        top.addWidget(self.title)
        top.addStretch(1)
        top.addWidget(self.where)
        column.addLayout(top)
        column.addWidget(self.bar)
        column.addWidget(self.score)
        column.addWidget(self.sentence)
        buttons = QHBoxLayout()
        for button in (self.pause, self.validate, self.checkpoint):
            buttons.addWidget(button)
        buttons.addStretch(1)
        for button in (self.keep, self.discard):
            buttons.addWidget(button)
        column.addLayout(buttons)
        self._buttons = (self.pause, self.validate, self.checkpoint, self.keep, self.discard)
        curves, inside = theme.card("Loss and score")
        inside.addWidget(self.curves, 1)
        preview, inside_preview = theme.card("Your measurement")
        inside_preview.addWidget(self.no_preview, 0, Qt.AlignmentFlag.AlignTop)
        inside_preview.addStretch(0)
        inside_preview.addWidget(self.before, 1)
        inside_preview.addWidget(self.after, 1)
        below = QHBoxLayout()
        below.setSpacing(theme.GRID)
        below.addWidget(curves, 3)
        below.addWidget(preview, 2)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(theme.GRID)
        whole.addWidget(frame)
        whole.addLayout(below, 1)

    # ---- showing -------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        training, progress = self._training, self._training.progress
        self.title.setText("" if training.run is None else training.run.title)
        is_waiting = progress.state == "starting" or not progress.num_steps
        self.bar.setRange(0, 0 if is_waiting and progress.is_under_way else max(1, progress.num_steps))
        self.bar.setValue(progress.step)
        self.where.setText(_where(progress, self._device()))
        is_better = progress.is_under_way and (progress.gain or 0) > 0
        words = score_sentence(progress, has_truth=training.record.has_truth)
        set_look(self.score, words, "good" if is_better else "dim")
        words = STATES.get(progress.state) or progress.sentence
        set_look(self.sentence, words, "warn" if progress.outcome == "broken" else "dim")
        is_running, is_paused = progress.state == "running", progress.state == "paused"
        self.pause.setText("Continue" if is_paused else "Pause")
        self.pause.setEnabled(is_running or is_paused)
        self.validate.setEnabled(is_running)
        self.checkpoint.setEnabled(is_running)
        for button in (self.keep, self.discard):
            button.setEnabled(progress.is_under_way and progress.state != "stopping")
        for button in self._buttons:
            button.setVisible(progress.is_under_way)
        self.bar.setVisible(progress.is_under_way)

    def _device(self) -> str:
        """What the training runs on, in words; nothing while nothing runs."""
        if not self._training.progress.is_under_way:
            return ""
        titles = {device.name: device.title for device in self._parts.setup.devices}
        return titles.get(self._training.run.device, self._training.run.device)

    def _show_curves_soon(self) -> None:
        """Steps may come by the hundred a second; curves need not."""
        if not self._curves_soon.isActive():
            self._curves_soon.start()

    def _show_curves(self) -> None:
        training = self._training
        progress = training.progress
        self.curves.show_training(
            training.record.losses,
            training.record.scores,
            start=progress.start_psnr,
            num_steps=progress.num_steps,
            has_truth=training.record.has_truth,
        )

    def _show_preview(self) -> None:
        preview = self._training.preview
        self.no_preview.setVisible(preview is None)
        for pane in (self.before, self.after):
            pane.setVisible(preview is not None)
        if preview is not None:
            self.before.show_picture(preview.before, "With the starting set")
            self.after.show_picture(preview.after, f"With the new set, step {preview.step}")

    # ---- asking --------------------------------------------------------------------------------------------------

    def _pause_or_go_on(self) -> None:
        training = self._training
        training.go_on() if training.progress.state == "paused" else training.pause()

    def _ask_to_discard(self) -> None:
        """Giving up what was learned is a loss: it is asked first."""
        progress = self._training.progress
        box = QMessageBox(self)
        box.setObjectName("discard")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Discard this training?")
        box.setText(f"{duration(progress.elapsed_s)} of learning would be given up.")
        box.setInformativeText("“Stop and keep” ends it too, and leaves you the best set so far.")
        discard = box.addButton("Stop and discard", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton("Go on training", QMessageBox.ButtonRole.RejectRole)
        discard.clicked.connect(self._training.stop_and_discard)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


class PreviewPicture(QWidget):
    """A picture as large as fits, with its title above."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = QLabel(title)
        self.title.setObjectName("dim")
        self._frame = _Fitted()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID // 2)
        column.addWidget(self.title)
        column.addWidget(self._frame, 1)
        self._frame.setAccessibleName(title)

    def show_picture(self, pixels: np.ndarray, title: str) -> None:
        """Shows (H, W) or (H, W, 3) uint8."""
        self.title.setText(title)
        self._frame.image = to_image(pixels)
        self._frame.update()


class _Fitted(QWidget):
    image: QImage | None = None

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(96, 96))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.image is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        fitting = self.image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter.drawImage(QRect(QPoint(), fitting), self.image)
        painter.end()


def score_sentence(progress: TrainingProgress, *, has_truth: bool) -> str:
    """The best score beside the starting set's, in words."""
    if progress.start_psnr is None:
        return ""
    where = "on the withheld scenes" if has_truth else "at withheld pixels of the sensor"
    start = f"The starting set reaches {progress.start_psnr:.2f} dB {where}"
    if progress.best_psnr is None:
        return f"{start}."
    gain = f"{progress.gain:+.2f} dB".replace("-", "−")
    return f"{start}, the new one {progress.best_psnr:.2f} dB at step {progress.best_step}: {gain}."


def _where(progress: TrainingProgress, device: str) -> str:
    """Step, time left and device, in one line."""
    parts = [f"Step {progress.step} of {progress.num_steps}"] if progress.num_steps and progress.step else []
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    elif progress.elapsed_s and not progress.is_under_way:
        parts.append(duration(progress.elapsed_s))
    if device:
        parts.append(device)
    return "  ·  ".join(parts)


def _button(text: str, hint: str, pressed) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    button.clicked.connect(lambda: pressed())
    return button

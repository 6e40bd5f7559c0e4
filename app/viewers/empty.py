"""The centre while nothing is open: where to drop files, and the samples that come with the program."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from lorun_engine.task import TASKS

from ..resources import resource_path, samples
from ..widgets.theme import GRID, tokens

PICTURE = 160  # px


class EmptyState(QWidget):
    """A large drop area with one sentence, a button, and the samples."""

    open_requested = Signal()
    sample_requested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Drop area")
        self.heading = QLabel()
        self.heading.setObjectName("title")
        hints = [
            QLabel("A snapshot and its mask, samples and their matrix, or a small or dark picture."),
            QLabel("MATLAB, HDF5, NumPy, TIFF, PNG or ENVI. Everything stays on this machine."),
        ]
        for hint in hints:
            hint.setObjectName("dim")
        self.open_button = QPushButton("Open files…")
        self.open_button.clicked.connect(self.open_requested)
        self.samples = {name: SampleCard(name) for name in samples()}
        row = QHBoxLayout()
        row.setSpacing(2 * GRID)
        row.addStretch()
        for card in self.samples.values():
            card.chosen.connect(self.sample_requested)
            row.addWidget(card)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.addStretch(1)
        for widget in (self.heading, *hints):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(GRID)
        column.addWidget(self.open_button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(3 * GRID)
        column.addLayout(row)
        column.addStretch(1)
        self.show_reading(False)

    def show_reading(self, is_reading: bool) -> None:
        """Says that files are being read, or what one can do."""
        self.heading.setText("Reading the files…" if is_reading else "Drop a measurement, or open a sample")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(tokens().dim), 1.5)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.setBrush(QColor(tokens().card))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), GRID, GRID)


class SampleCard(QFrame):
    """A sample with its picture; a click or Return opens it."""

    chosen = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        title = TASKS[name].title
        self.setObjectName("card")
        self.setAccessibleName(f"Open the sample {title}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        picture = QLabel()
        picture.setPixmap(_scaled(QPixmap(str(resource_path("samples", f"{name}.png"))), self.devicePixelRatioF()))
        heading = QLabel(title)
        heading.setObjectName("heading")
        what = QLabel(TASKS[name].seen)
        what.setObjectName("dim")
        what.setWordWrap(True)
        what.setAlignment(Qt.AlignmentFlag.AlignTop)
        what.setMinimumHeight(2 * what.fontMetrics().lineSpacing())
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(4)
        column.addWidget(picture, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(4)
        column.addWidget(heading)
        column.addWidget(what)
        column.addStretch()
        self.setFixedWidth(PICTURE + 24 + 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.hasFocus() or self.underMouse():
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(tokens().accent), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 7.5, 7.5)

    def enterEvent(self, event) -> None:
        self.update()

    def leaveEvent(self, event) -> None:
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self._name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self._name)
        else:
            super().keyPressEvent(event)


def _scaled(picture: QPixmap, ratio: float) -> QPixmap:
    """`picture` as large as its card shows it, sharp on a screen with `ratio` device pixels per pixel."""
    if picture.isNull():
        return picture
    side = QSize(round(PICTURE * ratio), round(PICTURE * ratio))
    scaled = picture.scaled(side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
    scaled.setDevicePixelRatio(ratio)
    return scaled

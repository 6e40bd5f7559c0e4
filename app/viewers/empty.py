"""The centre while nothing is open: where to drop files, and the samples that come with the program."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ..resources import resource_path
from ..theme import GRID, Theme

SAMPLE_TITLES = {"cassi": "CASSI snapshot"}  # by the name of the sample's file
PICTURE = 144  # px


class EmptyState(QWidget):
    """A large drop area with one sentence, a button, and the samples."""

    open_requested = Signal()
    sample_requested = Signal(str)

    def __init__(self, tokens: Theme) -> None:
        super().__init__()
        self._theme = tokens
        self.setAccessibleName("Drop area")
        heading = QLabel("Drop a snapshot and its mask, or open a sample")
        heading.setObjectName("title")
        hint = QLabel("MAT, HDF5, NumPy, TIFF, PNG or ENVI. Everything stays on this machine.")
        hint.setObjectName("dim")
        button = QPushButton("Open files…")
        button.clicked.connect(self.open_requested)
        samples = QHBoxLayout()
        samples.setSpacing(2 * GRID)
        samples.addStretch()
        self.samples: dict[str, QToolButton] = {}
        for name, path in built_in_samples().items():
            samples.addWidget(self._sample_button(name, path))
        samples.addStretch()
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.addStretch(2)
        for widget in (heading, hint):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(GRID)
        column.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(3 * GRID)
        column.addLayout(samples)
        column.addStretch(3)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        self.update()

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(self._theme.dim), 1.5, Qt.PenStyle.DashLine)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.setBrush(QColor(self._theme.card))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)

    def _sample_button(self, name: str, path: Path) -> QToolButton:
        title = f"Sample: {SAMPLE_TITLES.get(name, name)}"
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setText(title)
        button.setAccessibleName(f"Open the sample {SAMPLE_TITLES.get(name, name)}")
        button.setAutoRaise(True)
        picture = QPixmap(str(path.with_suffix(".png")))
        if not picture.isNull():
            button.setIcon(QIcon(picture))
            button.setIconSize(QSize(PICTURE, PICTURE))
        button.clicked.connect(lambda: self.sample_requested.emit(name))
        self.samples[name] = button
        return button


def built_in_samples() -> dict[str, Path]:
    """The measurement files that come with the program, by name."""
    return {path.stem: path for path in sorted(resource_path("samples").glob("*.h5"))}

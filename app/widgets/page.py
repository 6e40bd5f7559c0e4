"""A full page that takes the place of the restoration: its heading, and the ways back."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from . import theme

HELP = "helpPage"  # the property of a widget that says which page of the help tells of it


class Page(QWidget):
    """What a page shows goes into its `column`, below the heading; `help_page` names the page of the help on it."""

    closed = Signal()

    def __init__(self, heading: str, *, name: str, help_page: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setProperty(HELP, help_page)
        title = QLabel(heading)
        title.setObjectName("title")
        self.back = QPushButton("Back to the result")
        self.back.clicked.connect(self.closed)
        self._top = QHBoxLayout()
        self._top.addWidget(title)
        self._top.addStretch(1)
        self._top.addWidget(self.back)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(theme.GRID)
        self.column.addLayout(self._top)

    def add_button(self, button: QPushButton) -> None:
        """Puts a button beside the heading, before the way back."""
        self._top.insertWidget(self._top.count() - 1, button)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape leads back."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

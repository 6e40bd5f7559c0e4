"""The dock with the log: what was done and assumed, to be filtered, and copied as a report."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QLineEdit, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..document.lanes import MOST_LINES


class LogDock(QDockWidget):
    """Closed until somebody wants it; it listens from the start."""

    report_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__("Log")
        self.setObjectName("log")
        self.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self._lanes = parts.lanes
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Show lines with…")
        self.filter.setAccessibleName("Filter of the log")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._show)
        copy = QPushButton("Copy report")
        copy.setToolTip("Versions, device, shapes and the last lines of this log")
        copy.clicked.connect(self.report_requested)
        self.text = QPlainTextEdit()
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Log")
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(MOST_LINES)
        line = QHBoxLayout()
        line.addWidget(self.filter, 1)
        line.addWidget(copy)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(8, 8, 8, 8)
        column.addLayout(line)
        column.addWidget(self.text)
        self.setWidget(body)
        parts.lanes.log_added.connect(self.add)

    def add(self, line: str) -> None:
        """Shows another line if it passes the filter."""
        if self._passes(line):
            self.text.appendPlainText(line)

    def _show(self) -> None:
        self.text.setPlainText("\n".join(filter(self._passes, self._lanes.logged)))

    def _passes(self, line: str) -> bool:
        return self.filter.text().lower() in line.lower()

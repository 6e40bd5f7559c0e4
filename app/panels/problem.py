"""The bar above the pictures for what belongs to no card: a failed export, or a fault of the program itself."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

from ..problems import Problem
from ..quantities import breakable


class ProblemBar(QFrame):
    """Hidden while there is nothing to say; never in the way of anything else."""

    report_requested = Signal(object)  # Problem

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._problem: Problem | None = None
        self.sentence = QLabel()
        self.sentence.setObjectName("warn")
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("Problem")
        self.details_button = QPushButton("Details")
        self.details_button.setCheckable(True)
        self.report_button = QPushButton("Copy report")
        close = QPushButton("Close")
        close.setAccessibleName("Close the message")
        self.details = QPlainTextEdit()
        self.details.setTabChangesFocus(True)
        self.details.setAccessibleName("Details of the problem")
        self.details.setReadOnly(True)
        self.details.setMaximumHeight(180)
        line = QHBoxLayout()
        line.addWidget(self.sentence, 1)
        for button in (self.details_button, self.report_button, close):
            line.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.addLayout(line)
        column.addWidget(self.details)
        self.details_button.toggled.connect(self.details.setVisible)
        self.report_button.clicked.connect(lambda: self.report_requested.emit(self._problem))
        close.clicked.connect(self.hide)
        self.hide()

    def show_problem(self, problem: Problem) -> None:
        """Shows `problem`; it takes the place of the one before, which the log still has."""
        self._problem = problem
        self.sentence.setText(breakable(problem.sentence))
        self.details.setPlainText(problem.details)
        self.details_button.setChecked(False)
        self.details.hide()
        self.details_button.setVisible(problem.is_bug)
        self.report_button.setVisible(problem.is_bug)
        self.show()

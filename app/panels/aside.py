"""The card that stands in the left column while a simulation is open in place of the work."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..quantities import breakable, plural
from ..widgets import theme


class AsideCard(QWidget):
    """Says in the left column that a simulation is open, and goes back with one click."""

    page_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        frame, column = theme.card("Simulated measurement")
        self.sentence = QLabel()
        self.sentence.setObjectName("dim")
        self.sentence.setWordWrap(True)
        self.back, self.scores = QPushButton("Back"), QPushButton("Scores…")
        self.back.clicked.connect(parts.what_if.go_back)
        self.scores.clicked.connect(self.page_requested)
        column.addWidget(self.sentence)
        line = QHBoxLayout()
        line.addWidget(self.back)
        line.addWidget(self.scores)
        line.addStretch(1)
        column.addLayout(line)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        parts.what_if.changed.connect(self._show)
        parts.session.opened_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        what_if = self._parts.what_if
        self.setVisible(what_if.aside is not None)
        if what_if.aside is None:
            return
        num_stages = len(what_if.aside.stages)
        with_stages = f" with its {plural(num_stages, 'image')}" if num_stages else ""
        self.sentence.setText(breakable(f"{what_if.base_name}{with_stages} is kept."))
        self.back.setText(f"Back to {_short(what_if.base_name)}")
        self.back.setAccessibleName(f"Back to {what_if.base_name}")
        self.back.setToolTip(f"Back to {what_if.base_name}")


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"

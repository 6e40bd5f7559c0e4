"""The card with recent jobs: what was opened and decoded before, one click away even after its files were moved."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..assembly import Parts
from ..quantities import breakable
from ..settings import RecentJob
from ..widgets import theme

SHOWN = 5
PADDING = 16  # px of a row, both sides together


class RecentCard(QWidget):
    """Newest first; a job whose files are gone says so and offers to look for them."""

    locate_requested = Signal(object)  # RecentJob

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.rows: list[QPushButton] = []
        self._frame, self._column = theme.card("Recent")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._frame)
        self._list: QWidget | None = None
        parts.memory.changed.connect(self._show)
        parts.session.opened_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        session = self._session
        self.setVisible(not session.paths and not session.is_opening)
        if self._list is not None:
            self._column.removeWidget(self._list)
            self._list.deleteLater()
        self._list = QWidget()
        column = QVBoxLayout(self._list)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.rows = []
        for job in self._parts.memory.settings.recent[:SHOWN]:
            self._add(column, job)
        if not self._parts.memory.settings.recent:
            nothing = QLabel("What you open and decode will be listed here.")
            nothing.setObjectName("dim")
            nothing.setWordWrap(True)
            column.addWidget(nothing)
        self._column.addWidget(self._list)

    def _add(self, column: QVBoxLayout, job: RecentJob) -> None:
        button = _ElidedButton(title(job))
        button.setObjectName("row")
        button.setAccessibleName(f"Open {title(job)}")
        button.setToolTip("\n".join(job.paths))
        button.clicked.connect(lambda: self._session.open_recent(job))
        self.rows.append(button)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(button, 1)
        column.addLayout(line)
        if not job.missing:
            return
        button.setEnabled(False)
        names = ", ".join(Path(path).name for path in job.missing)
        locate = QPushButton("Locate…")
        locate.setAccessibleName(f"Locate the files of {title(job)}")
        locate.clicked.connect(lambda: self.locate_requested.emit(job))
        line.addWidget(locate)
        reason = QLabel(breakable(f"{names} {'is' if len(job.missing) == 1 else 'are'} no longer there."))
        reason.setObjectName("dim")
        reason.setWordWrap(True)
        reason.setContentsMargins(6, 0, 0, 4)
        column.addWidget(reason)


class _ElidedButton(QPushButton):
    """A button that shortens its text in the middle to the room it has."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._whole = text
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() - PADDING
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, room))


def title(job: RecentJob) -> str:
    """As "scene3.mat + mask.mat · gap-tv"."""
    names = " + ".join(Path(path).name for path in job.paths)
    return f"{names}  ·  {job.decoder}" if job.decoder else names

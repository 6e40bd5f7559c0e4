"""The card that says whether the camera is that of the capture and whether the result explains it: one verdict each.

Two buttons lead to a closer look. Whether the chosen set fits says the card of the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..widgets import meanings, theme
from ..widgets.labels import set_look

if TYPE_CHECKING:
    from lorun_engine.camera_checks.remeasure import Remeasurement


class CheckCard(QWidget):
    """Shown once there is something to check."""

    alignment_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        frame, column = theme.card("Is it right?")
        self.camera, self.verdict, self.figure = QLabel(), QLabel(), QLabel()
        self.camera.setAccessibleDescription("Verdict on the camera")
        self.verdict.setAccessibleDescription("Verdict on the result")
        self.figure.setAccessibleDescription("Figures behind the verdict")
        self.figure.setObjectName("dim")
        self.camera.setToolTip(meanings.VERDICT_CAMERA)
        self.verdict.setToolTip(meanings.VERDICT_RESULT)
        self.figure.setToolTip(meanings.FIGURES_RESULT)
        for label in (self.camera, self.verdict, self.figure):
            label.setWordWrap(True)
            column.addWidget(label)
        self.residual, self.alignment = QPushButton("Residual"), QPushButton("Alignment…")
        self.residual.setToolTip("Look at what the result leaves unexplained")
        self.alignment.setToolTip("Search where the mask really lies")
        self.residual.clicked.connect(lambda: parts.looking.set_mode("residual"))
        self.alignment.clicked.connect(self.alignment_requested)
        line = QHBoxLayout()
        line.addWidget(self.residual)
        line.addWidget(self.alignment)
        line.addStretch(1)
        column.addLayout(line)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        for changed in (parts.checking.changed, parts.session.opened_changed, parts.session.restoration_changed):
            changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        session, checking = self._session, self._parts.checking
        result = checking.newest
        has_stages = len(session.stages) > 0
        is_looked_at = checking.camera is not None or bool(checking.unjudged) or checking.is_judging
        self.setVisible(session.measurement is not None and (has_stages or is_looked_at))
        self.residual.setVisible(has_stages)
        self.residual.setEnabled(checking.is_possible)
        self.alignment.setVisible(session.kind.measures == "plane")
        set_look(self.camera, *self._camera())
        words, look = self._result(has_stages=has_stages)
        set_look(self.verdict, words, look)
        self.figure.setText(self._figure(result))
        self.figure.setVisible(bool(self.figure.text()))

    def _camera(self) -> tuple[str, str]:
        """Whether the camera is that of the capture."""
        checking = self._parts.checking
        if self._session.kind.measures != "plane":
            return "", "dim"
        if checking.camera is not None:
            return checking.camera.look
        if checking.unjudged:
            return checking.unjudged, "dim"
        return ("Looking at the camera…" if checking.is_judging else ""), "dim"

    def _result(self, *, has_stages: bool) -> tuple[str, str]:
        """Whether the result explains the measurement; nothing where there is none."""
        checking, restoration = self._parts.checking, self._session.restoration
        if checking.newest is not None:
            return checking.newest.result
        if restoration.is_busy:
            return "After the decode it is measured again.", "dim"
        if not has_stages:
            return "", "dim"
        if checking.state == "failed":
            return f"The result could not be measured again. {checking.problem}", "warn"
        if checking.state == "running":
            return "Measuring again…", "dim"
        return "The result was not measured again. Look at the residual for that.", "dim"

    def _figure(self, result: Remeasurement | None) -> str:
        camera = self._parts.checking.camera
        if result is not None:
            return result.figure
        if camera is None:
            return ""
        return f"The mask explains {camera.alignment.explained_as_opened:.0%} of the fine pattern"

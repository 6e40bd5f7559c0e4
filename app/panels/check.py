"""The card that says whether the result explains the capture: the verdict in words, and two ways to look closer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from .. import theme
from ..quantities import number
from ..session import Session
from .model import set_look

if TYPE_CHECKING:
    from lorun_engine.camera_checks.remeasure import Remeasurement


ROUNDING = 1e-5  # of the measurement; float32 leaves so much


class CheckCard(QWidget):
    """Shown once there is something to check."""

    alignment_requested = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        frame, column = theme.card("Is it right?")
        self.verdict, self.figure = QLabel(), QLabel()
        self.verdict.setAccessibleName("Verdict on the result")
        self.figure.setAccessibleName("Figures behind the verdict")
        self.figure.setObjectName("dim")
        for label in (self.verdict, self.figure):
            label.setWordWrap(True)
            column.addWidget(label)
        self.residual, self.alignment = QPushButton("Residual"), QPushButton("Alignment…")
        self.residual.setToolTip("Look at what the result leaves unexplained")
        self.alignment.setToolTip("Search where the mask really lies")
        self.residual.clicked.connect(lambda: session.set_mode("residual"))
        self.alignment.clicked.connect(self.alignment_requested)
        line = QHBoxLayout()
        line.addWidget(self.residual)
        line.addWidget(self.alignment)
        line.addStretch(1)
        column.addLayout(line)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        for changed in (session.checking.changed, session.opened_changed, session.restoration_changed):
            changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        session, checking = self._session, self._session.checking
        result = checking.newest
        self.setVisible(session.measurement is not None and len(session.stages) > 0)
        self.residual.setEnabled(checking.is_possible)
        self.alignment.setVisible(session.kind.measures == "plane")
        if result is not None:
            is_judging = checking.state == "running" and result.camera is None and session.kind.measures == "plane"
            words, look = ("Looking at the camera…", "dim") if is_judging else words_of(session, result)
            set_look(self.verdict, words, look)
            self.figure.setText(figure_of(session, result))
        elif checking.state == "failed":
            set_look(self.verdict, f"The result could not be measured again. {checking.problem}", "warn")
            self.figure.setText("")
        else:
            waiting = "After the decode it is measured again." if session.restoration.is_busy else "Measuring again…"
            set_look(self.verdict, waiting, "dim")
            self.figure.setText("")
        self.figure.setVisible(bool(self.figure.text()))


def words_of(session: Session, result: Remeasurement) -> tuple[str, str]:
    """The verdict as one sentence, and its look; only where the camera can be judged is it green or amber."""
    if result.is_fine is not None:
        camera, is_right = result.camera, result.camera.is_fine
        if not result.is_fine and is_right:
            times = f"{result.scale:.2f}"
            return f"Structured: the scale is off, {times} times the image explains the measurement.", "warn"
        word = camera.word
        return f"{word[0].upper()}{word[1:]}.", "good" if result.is_fine else "warn"
    if session.checking.unjudged:
        return session.checking.unjudged, "dim"
    if result.relative_norm < ROUNDING:
        return "Fine: only rounding is left. That alone does not make a good picture.", "dim"
    if result.is_white:
        return "Fine: what is left looks like white noise.", "dim"
    return "Structured: what is left is more than white noise, detail that the decoder left out.", "dim"


def share_of(result: Remeasurement) -> str:
    """The residual in percent of the measurement."""
    share = result.relative_norm
    return f"{share:.2%}" if share >= 1e-4 or share == 0 else f"{number(100 * share)} %"


def figure_of(session: Session, result: Remeasurement) -> str:
    """The number behind the verdict."""
    figure = f"Residual {share_of(result)} of the measurement"
    if result.camera is not None:
        return f"{figure}  ·  the mask explains {result.camera.alignment.explained_as_opened:.0%} of the fine pattern"
    return figure

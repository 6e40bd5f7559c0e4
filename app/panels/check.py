"""The card that says whether the result explains the capture: the verdict in words, and two ways to look closer."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..widgets import theme
from ..widgets.labels import set_look


class CheckCard(QWidget):
    """Shown once there is something to check."""

    alignment_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        frame, column = theme.card("Is it right?")
        self.verdict, self.figure = QLabel(), QLabel()
        self.verdict.setAccessibleDescription("Verdict on the result")
        self.figure.setAccessibleDescription("Figures behind the verdict")
        self.figure.setObjectName("dim")
        for label in (self.verdict, self.figure):
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
        if not has_stages and not session.restoration.is_busy:
            self._show_camera()
        elif result is not None:
            is_judging = checking.state == "running" and result.camera is None and session.kind.measures == "plane"
            words, look = ("Looking at the camera…", "dim") if is_judging else result.look(checking.unjudged)
            set_look(self.verdict, words, look)
            self.figure.setText(result.figure)
        elif checking.state == "failed":
            set_look(self.verdict, f"The result could not be measured again. {checking.problem}", "warn")
            self.figure.setText("")
        else:
            waiting = "After the decode it is measured again." if session.restoration.is_busy else "Measuring again…"
            set_look(self.verdict, waiting, "dim")
            self.figure.setText("")
        self.figure.setVisible(bool(self.figure.text()))

    def _show_camera(self) -> None:
        """What the capture alone says of the camera, while there is no result."""
        checking = self._parts.checking
        camera = checking.camera
        if camera is None:
            words = checking.unjudged or "Looking at the camera…"
            set_look(self.verdict, words, "dim")
            self.figure.setText("")
        else:
            words = f"{camera.word[0].upper()}{camera.word[1:]}."
            set_look(self.verdict, words, "good" if camera.is_fine else "warn")
            self.figure.setText(f"The mask explains {camera.alignment.explained_as_opened:.0%} of the fine pattern")

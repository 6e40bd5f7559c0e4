"""The one blue button with what it is doing: Decode, then Cancel with progress and time left, then the outcome."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from lorun_engine.errors import DeviceError

from ..assembly import Parts
from ..quantities import duration, number, plural
from ..widgets import meanings, theme
from ..widgets.labels import set_look


class DecodeCard(QWidget):
    """Decode and Cancel are the same button, so that nobody has to look for either."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.button = QPushButton("Decode")
        self.button.setObjectName("primary")
        self.button.setToolTip("Decodes what is open with the model above (Ctrl+Enter); another click stops it")
        self.button.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button.clicked.connect(self._pressed)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the decode")
        self.progress.setTextVisible(False)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        parts.wording.say(self, self.sentence.setToolTip, f"{meanings.TOOK}. {meanings.RESIDUAL}")
        self.sentence.setAccessibleDescription("State of the decode")
        self.on_cpu = QPushButton("Decode on the CPU")
        self.on_cpu.clicked.connect(self._decode_on_cpu)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        for widget in (self.button, self.progress, self.sentence, self.on_cpu):
            column.addWidget(widget)
        session = parts.session
        for changed in (
            session.opened_changed,
            session.restoration_changed,
            session.stage_added,
            session.progressed,
            session.held_changed,
            parts.setup.changed,
        ):
            changed.connect(self._show)
        self._show()

    def _pressed(self) -> None:
        if self._session.restoration.is_busy:
            self._session.cancel()
        else:
            self._session.restore()

    def _decode_on_cpu(self) -> None:
        self._parts.setup.set_device("cpu")
        self._session.restore()

    def _show(self) -> None:
        session, restoration = self._session, self._session.restoration
        text = {"running": "Cancel", "cancelling": "Cancelling…"}.get(restoration.state, "Decode")
        self.button.setText(text)
        self.button.setAccessibleName(text)
        self.button.setEnabled(restoration.state == "running" or session.can_restore)
        self.progress.setVisible(restoration.is_busy)
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * session.timed.pace.share) if restoration.is_busy else 0)
        self.on_cpu.setVisible(isinstance(restoration.error, DeviceError) and self._parts.setup.device != "cpu")
        set_look(self.sentence, *self._state())

    def _state(self) -> tuple[str, str]:
        """The sentence under the button and its look."""
        session, restoration = self._session, self._session.restoration
        if restoration.state == "running" and restoration.waits_for:
            return f"Begins after {restoration.waits_for}.", "dim"
        if restoration.state == "running":
            return session.timed.pace.state, "dim"
        if restoration.state == "cancelling":
            return f"Stops after the {session.timed.pace.part} that is being computed.", "dim"
        if restoration.state == "done":
            last = session.stages.row(len(session.stages) - 1)
            took = duration(restoration.seconds)
            how = session.recipe.adapting.words
            reused = "  ·  start taken from the last decode" if session.stages.row(0).is_reused else ""
            stages = plural(restoration.num_stages, session.recipe.step_name)
            return f"{stages}{how} in {took}{reused}  ·  residual {number(last.residual)}", "dim"
        if restoration.state in ("cancelled", "failed"):
            kept = f" {plural(len(session.stages), 'image')} kept, marked partial." if restoration.partial else ""
            return restoration.message + kept, "warn"
        return self._why_not(), "dim"

    def _why_not(self) -> str:
        """Why the button is grey, in words; nothing when it is not."""
        session = self._session
        if session.can_restore:
            return ""
        if session.is_opening:
            return "Reading the files…"
        if session.measurement is None:
            return "Correct the measurement first." if session.paths else "Open a measurement first."
        if self._parts.comparing.is_running:
            return "Several decoders are being run for Compare."
        if self._parts.setup.choice is None:
            return "No decoder serves this task."
        return "This decoder does not fit the measurement."

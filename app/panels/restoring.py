"""The card that offers what was open when LoRun ended without being closed."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..quantities import breakable
from ..widgets import theme


class RestoreCard(QWidget):
    """Shown while something is left; it opens nothing by itself."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._autosave = parts.autosave
        frame, column = theme.card("What was open")
        self.sentence = QLabel()
        self.sentence.setObjectName("dim")
        self.sentence.setWordWrap(True)
        self.restore, self.discard = QPushButton("Open again"), QPushButton("Discard")
        self.restore.setToolTip("Everything as it was, without decoding again")
        self.discard.setToolTip("Removes what was kept; your own files stay")
        self.restore.clicked.connect(parts.autosave.restore)
        self.discard.clicked.connect(parts.autosave.discard)
        column.addWidget(self.sentence)
        row = QHBoxLayout()
        row.addWidget(self.restore)
        row.addWidget(self.discard)
        row.addStretch(1)
        column.addLayout(row)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        parts.autosave.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        left = self._autosave.left
        self.setVisible(bool(left))
        if left:
            when = datetime.fromtimestamp(left[0].saved_at).strftime("%d %B, %H:%M")
            self.sentence.setText(breakable(f"{left[0].title} was not saved when LoRun ended. Kept on {when}."))

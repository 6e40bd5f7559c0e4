"""The slider of the light: how much of it what was decoded in too little light is shown with."""

from __future__ import annotations

from secrets import token_hex

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from lorun_engine.instrument import RELIT_GAMMA

from ..assembly import Parts
from ..document.relight import KEYS
from ..document.selection import NOT_RELIT
from ..widgets import theme
from ..widgets.theme import GRID

STEPS = 100  # of the slider, from dark as taken to the reflectance alone


class RelightRow(QWidget):
    """Obeys the selection: dark as taken at the left, the reflectance alone at the right. One drag is one step back."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._relight, self._session, self._drag = parts.relight, parts.session, ""
        title = QLabel("Relight")
        title.setObjectName("heading")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setSingleStep(5)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(64)
        self.slider.setAccessibleName("Relight")
        self.slider.sliderPressed.connect(self._begin)
        self.slider.valueChanged.connect(self._take)
        title.setBuddy(self.slider)
        self.label = QLabel("γ 0.00")
        self.label.setObjectName("dim")
        self.label.setFont(theme.tabular(self.label.font()))
        self.label.setMinimumWidth(self.label.sizeHint().width())
        self.usual = QPushButton("Usual")
        self.usual.setAccessibleDescription(f"Shows the gamma that figures are of, {RELIT_GAMMA:g}")
        self.usual.clicked.connect(self._relight.reset)
        words = (
            "How the light L is given back to the reflectance R, without decoding again: what is shown is R L^γ.\n"
            "Left, γ 1: as dark as taken. Right, γ 0: the reflectance alone. Ctrl+Up is brighter, Ctrl+Down darker."
        )
        for widget in (title, self.slider, self.label):
            widget.setToolTip(words)
        self.usual.setToolTip(f"γ {RELIT_GAMMA:g}, that all figures are of (Shift+L)")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID)
        row.addWidget(title)
        row.addWidget(self.slider, 1)
        row.addWidget(self.label)
        row.addWidget(self.usual)

    def refresh(self) -> None:
        """Shows the gamma where there is a light."""
        self.setVisible(self._relight.is_possible)
        self.setEnabled(self._session.selection.mode not in NOT_RELIT)
        gamma = self._relight.gamma
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(STEPS * (1 - gamma)))
        self.label.setText(f"γ {gamma:.2f}")
        self.slider.setAccessibleDescription(
            f"Gamma {gamma:.2f} of the light: 1 is as dark as taken, 0 the reflectance alone"
        )
        self.usual.setEnabled(gamma != RELIT_GAMMA)

    def _begin(self) -> None:
        self._drag = token_hex(8)

    def _take(self, value: int) -> None:
        self._relight.take(1 - value / STEPS, drag=self._drag if self.slider.isSliderDown() else KEYS)

"""Spectra under the cursor: all stages as a thin fan, the chosen stage and the last thick, the reference dashed."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .. import theme
from ..session import Session
from ..theme import Theme
from .pictures import title_of
from .plots import new_plot, paint, pen

MOST_IN_FAN = 12
BOXES = {"1 pixel": 1, "3 × 3 mean": 3, "5 × 5 mean": 5}


class SpectrumView(QWidget):
    """The card of spectra; it reads the stages at the session's pixel and asks for a file with `export_requested`."""

    export_requested = Signal()

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session, self._theme = session, tokens
        frame, column = theme.card("Spectra")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        self.plot = new_plot("wavelength (nm)")
        self.plot.setAccessibleName("Spectra at the cursor")
        self.plot.setMinimumHeight(180)
        self.plot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        column.addWidget(self.plot, 1)
        self.where = QLabel()
        self.where.setObjectName("dim")
        self.where.setWordWrap(True)
        column.addWidget(self.where)
        self.box = QComboBox()
        self.box.addItems(list(BOXES))
        self.box.setAccessibleName("Pixels averaged")
        self.box.currentIndexChanged.connect(self.refresh)
        self.csv = QPushButton("csv")
        self.csv.setToolTip("Write the spectra at the cursor as a table")
        self.csv.setAccessibleName("Export spectra as CSV")
        self.csv.clicked.connect(self.export_requested)
        row = QHBoxLayout()
        row.addWidget(self.box)
        row.addStretch()
        row.addWidget(self.csv)
        column.addLayout(row)
        for changed in (session.selection_changed, session.stage_added, session.opened_changed):
            changed.connect(self.refresh)
        self.set_theme(tokens)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        paint(self.plot, tokens)
        self.refresh()

    def refresh(self) -> None:
        """Draws the spectra at the selected pixel."""
        session = self._session
        self.plot.clear()
        num_stages, pixel = len(session.stages), session.selection.pixel
        self.csv.setEnabled(bool(num_stages) and pixel is not None)
        if session.measurement is None or not num_stages:
            self.where.setText("Spectra appear here once a snapshot is decoded.")
            return
        if pixel is None:
            self.where.setText("Move over a picture to see the spectrum there; a click holds it.")
            return
        wavelengths_nm = session.measurement.wavelengths_nm
        num_bands = session.measurement.physics.scene_shape[0]
        known = wavelengths_nm is not None
        x = np.asarray(wavelengths_nm) if known else np.arange(1, num_bands + 1)
        self.plot.getPlotItem().setLabel("bottom", "wavelength (nm)" if known else "band")
        chosen, last, colour = min(session.selection.stage, num_stages - 1), num_stages - 1, self._theme.curves[0]
        fan = {round(index) for index in np.linspace(0, last, min(num_stages, MOST_IN_FAN))} - {chosen, last}
        for index in sorted(fan):
            self.plot.plot(x, self._spectrum(session.stages.image(index)), pen=pen(colour, 1, alpha=70))
        if last != chosen:
            self.plot.plot(x, self._spectrum(session.stages.image(last)), pen=pen(colour, 2, alpha=150))
        self.plot.plot(x, self._spectrum(session.stages.image(chosen)), pen=pen(colour, 3))
        if session.measurement.reference is not None:
            reference = self._spectrum(session.measurement.reference)
            self.plot.plot(x, reference, pen=pen(self._theme.text, 1.5, is_dashed=True))
        position = float(x[session.selection.band])
        self.plot.addLine(x=position, pen=pen(self._theme.dim, 1, alpha=120))
        y, column = pixel
        parts = [f"<span style='color:{colour}'>●</span> x {column}, y {y}", f"thick: {title_of(chosen).lower()}"]
        parts += ["dashed: reference"] if session.measurement.reference is not None else []
        self.where.setText("&nbsp; ".join(parts))

    def _spectrum(self, cube: np.ndarray) -> np.ndarray:
        """(C,) mean over the box around the pixel, cut at the picture's edge."""
        reach = BOXES[self.box.currentText()] // 2
        y, x = self._session.selection.pixel
        part = cube[:, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        return np.asarray(part, dtype=np.float64).mean(axis=(1, 2))

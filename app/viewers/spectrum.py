"""Spectra under the cursor: all stages as a fan of thin curves, the chosen and the last thick, the reference dashed."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .. import render, theme
from ..session import Session
from ..theme import GRID, Theme
from .grid import Cursor
from .pictures import title_of
from .plots import new_plot, paint_plot, pen

BOXES = {"1 pixel": 1, "Mean of 3 × 3": 3, "Mean of 5 × 5": 5}

Pixel = tuple[int, int]  # (y, x)


class SpectrumView(QWidget):
    """The card of spectra: at the pinned pixel in the first curve colour, under the mouse in the second."""

    export_requested = Signal()

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session, self._theme = session, tokens
        self._cursor: Pixel | None = None
        self.plot = new_plot("wavelength (nm)", name="Spectra")
        self.plot.setMinimumHeight(150)
        self.plot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.band_line = pg.InfiniteLine()
        self.plot.addItem(self.band_line, ignoreBounds=True)
        self.places = [_Place(self.plot), _Place(self.plot)]  # pinned, under the mouse
        self.reference = self.plot.plot()
        self.where, self.what = _caption(), _caption()
        self.box = QComboBox()
        self.box.addItems(list(BOXES))
        self.box.setAccessibleName("Pixels averaged")
        self.box.setToolTip("The mean over this many pixels around the place")
        self.box.currentIndexChanged.connect(self.refresh)
        self.csv = QPushButton("csv")
        self.csv.setAccessibleName("Export the spectra as CSV")
        self.csv.clicked.connect(self.export_requested)
        self._lay_out()
        for changed in (
            session.selection_changed,
            session.stage_added,
            session.restoration_changed,
            session.opened_changed,
        ):
            changed.connect(self.refresh)
        self.set_theme(tokens)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        paint_plot(self.plot, tokens)
        for place, colour in zip(self.places, tokens.curves, strict=False):
            place.paint(colour)
        self.reference.setPen(pen(self.plot, tokens.text, 1.5, is_dashed=True))
        self.band_line.setPen(pen(self.plot, tokens.dim, 1, alpha=0.5))
        self.refresh()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self.set_theme(self._theme)
        return super().event(event)

    def show_cursor(self, cursor: Cursor | None) -> None:
        """Shows the spectra under the mouse; those of the pinned pixel stay as one curve."""
        pixel = (cursor.y, cursor.x) if cursor is not None and cursor.is_in_scene else None
        if pixel != self._cursor:
            self._cursor = pixel
            self.refresh()

    @property
    def side(self) -> int:
        """The mean is taken over side x side pixels."""
        return BOXES[self.box.currentText()]

    def refresh(self) -> None:
        """Draws the spectra at the pinned pixel and under the mouse."""
        session, pinned = self._session, self._session.selection.pixel
        num_stages = min(session.restoration.done_stages + 1, len(session.stages))
        self._refresh_export(has_stages=num_stages > 0, has_pixel=pinned is not None)
        self.band_line.setVisible(num_stages > 0)
        if session.measurement is None or not num_stages:
            self._clear("Spectra appear here once a snapshot is decoded.")
            return
        x = self._axis()
        self.band_line.setValue(x[session.selection.band])
        pixels = (pinned, self._cursor)
        if pixels == (None, None):
            self._clear("Move over a picture to see spectra; a click keeps one.")
            return
        stage = min(session.selection.stage, num_stages - 1)
        fan = [range(num_stages), range(num_stages)] if self._cursor is None else [(stage,), range(num_stages)]
        for place, pixel, stages in zip(self.places, pixels, fan, strict=True):
            if pixel is None:
                place.clear()
            else:
                place.show(x, [self._spectrum(session.stages.image(index), pixel) for index in stages], chosen=stage)
        self._refresh_reference(x, self._cursor or pinned)
        self._refresh_words(stage, num_stages - 1)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("Spectra")
        column.setSpacing(4)
        column.addWidget(self.plot, 1)
        column.addWidget(self.where)
        column.addWidget(self.what)
        row = QHBoxLayout()
        row.setContentsMargins(0, 4, 0, 0)
        row.setSpacing(GRID)
        row.addWidget(self.box)
        row.addStretch()
        row.addWidget(self.csv)
        column.addLayout(row)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def _axis(self) -> np.ndarray:
        """Where the bands lie on the horizontal axis."""
        measurement = self._session.measurement
        is_known = measurement.wavelengths_nm is not None
        num_bands = measurement.physics.scene_shape[0]
        x = np.asarray(measurement.wavelengths_nm) if is_known else np.arange(1.0, num_bands + 1)
        label = "wavelength (nm)" if is_known else "band index"
        item = self.plot.getPlotItem()
        if item.getAxis("bottom").labelText != label:
            item.setLabel("bottom", label)
        item.setXRange(float(x.min()), float(x.max()), padding=0.05)
        return x

    def _spectrum(self, cube: np.ndarray, pixel: Pixel) -> np.ndarray:
        return render.mean_spectrum(cube, pixel, self.side)

    def _refresh_reference(self, x: np.ndarray, pixel: Pixel) -> None:
        cube = self._session.measurement.reference
        if cube is None:
            self.reference.setData([], [])
        else:
            self.reference.setData(x, self._spectrum(cube, pixel), connect="finite")

    def _refresh_words(self, stage: int, last: int) -> None:
        colours = self._theme.curves
        places = zip((self._session.selection.pixel, self._cursor), ("pinned", "mouse"), colours, strict=False)
        self.where.setText(
            "&nbsp;&nbsp; ".join(
                f"<span style='color:{colour}'>●</span> x {pixel[1]}, y {pixel[0]} {words}"
                for pixel, words, colour in places
                if pixel is not None
            )
        )
        parts = [f"<b>━</b> {title_of(stage).lower()}"]
        parts += [f"━ last, stage {last}"] if last != stage else []
        parts += ["┅ reference"] if self._session.measurement.reference is not None else []
        self.what.setText("&nbsp;&nbsp; ".join(parts))

    def _refresh_export(self, *, has_stages: bool, has_pixel: bool) -> None:
        self.csv.setEnabled(has_stages and has_pixel)
        self.csv.setToolTip(
            "Write the spectra at the pinned pixel as a table" if has_pixel else "Click a pixel of a picture first"
        )

    def _clear(self, words: str) -> None:
        for place in self.places:
            place.clear()
        self.reference.setData([], [])
        self.where.setText(words)
        self.what.setText("")


class _Place:
    """The curves of one pixel; the fan of all stages is one item, so that 60 stages are drawn as fast as nine."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._plot = plot
        self.fan, self.last, self.chosen = plot.plot(), plot.plot(), plot.plot()

    def paint(self, colour: str) -> None:
        self.fan.setPen(pen(self._plot, colour, 1, alpha=0.35))
        self.last.setPen(pen(self._plot, colour, 1.8, alpha=0.7))
        self.chosen.setPen(pen(self._plot, colour, 3))

    def show(self, x: np.ndarray, spectra: list[np.ndarray], *, chosen: int) -> None:
        """Draws the spectra of all stages, or of the chosen one alone."""
        gap = [np.append(spectrum, np.nan) for spectrum in spectra]
        self.fan.setData(np.tile(np.append(x, np.nan), len(spectra)), np.concatenate(gap), connect="finite")
        self.last.setData(x, spectra[-1], connect="finite")
        self.chosen.setData(x, spectra[chosen] if len(spectra) > 1 else spectra[0], connect="finite")

    def clear(self) -> None:
        for curve in (self.fan, self.last, self.chosen):
            curve.setData([], [])


def _caption() -> QLabel:
    label = QLabel()
    label.setObjectName("dim")
    label.setFont(theme.tabular(label.font()))
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    label.setMinimumHeight(label.fontMetrics().height() + 2)
    return label

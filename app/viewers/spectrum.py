"""Curves under the cursor: all stages as a fan of thin curves, the chosen and the last thick, the reference dashed.

Of a cube they are spectra; of a photograph, the values along the row of pixels.
"""

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
ROWS = {"1 row": 1, "Mean of 3 rows": 3, "Mean of 5 rows": 5}  # the same of a photograph

Pixel = tuple[int, int]  # (y, x)


class SpectrumView(QWidget):
    """The card of curves: at the pinned pixel in the first curve colour, under the mouse in the second."""

    export_requested = Signal()

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session, self._theme = session, tokens
        self._cursor: Pixel | None = None
        self.plot = new_plot("wavelength (nm)", name="Spectra")
        self.plot.setMinimumHeight(150)
        self.plot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.here = pg.InfiniteLine()  # the band or the column looked at
        self.plot.addItem(self.here, ignoreBounds=True)
        self.places = [_Place(self.plot), _Place(self.plot)]  # pinned, under the mouse
        self.reference = self.plot.plot()
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        self.where, self.what = _caption(), _caption()
        self.box = QComboBox()
        self.box.addItems(list(BOXES))
        self.box.setAccessibleName("Pixels averaged")
        self.box.currentIndexChanged.connect(self.refresh)
        self.csv = QPushButton("csv")
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
        self._paint_curves()
        self.here.setPen(pen(self.plot, tokens.dim, 1, alpha=0.5))
        self.refresh()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self.set_theme(self._theme)
        return super().event(event)

    def show_cursor(self, cursor: Cursor | None) -> None:
        """Shows the curves under the mouse; those of the pinned pixel stay as one."""
        pixel = (cursor.y, cursor.x) if cursor is not None and cursor.is_in_scene else None
        if pixel != self._cursor:
            self._cursor = pixel
            self.refresh()

    @property
    def side(self) -> int:
        """The mean is taken over side x side pixels, or over as many rows."""
        return list(BOXES.values())[self.box.currentIndex()]

    def refresh(self) -> None:
        """Draws the curves at the pinned pixel and under the mouse."""
        session, pinned = self._session, self._session.selection.pixel
        num_stages = min(session.restoration.done_stages + 1, len(session.stages))
        self._refresh_names()
        self._refresh_export(has_stages=num_stages > 0, has_pixel=pinned is not None)
        has_curves = session.measurement is not None and num_stages > 0
        x = self._axis() if has_curves else None
        self._refresh_here(x)
        pixels = (pinned, self._cursor)
        if not has_curves or pixels == (None, None):
            self._clear(self._invitation(has_curves))
            return
        stage = min(session.selection.stage, num_stages - 1)
        fan = [range(num_stages), range(num_stages)] if self._cursor is None else [(stage,), range(num_stages)]
        for place, pixel, stages in zip(self.places, pixels, fan, strict=True):
            if pixel is None:
                place.clear()
            else:
                place.show(x, [self._curve(session.stages.image(index), pixel) for index in stages], chosen=stage)
        self._refresh_reference(x, self._cursor or pinned)
        self._refresh_words(stage, num_stages - 1)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("")
        frame.setAccessibleName("Curves")
        column.setSpacing(4)
        column.addWidget(self.heading)
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

    @property
    def _is_profile(self) -> bool:
        """Whether the curves run along a row of pixels, and not through the bands of one."""
        return self._session.kind.is_photograph

    def _refresh_names(self) -> None:
        """Names everything after what the curves are of what is open."""
        measurement = self._session.measurement
        is_mean = self._is_profile and measurement is not None and measurement.physics.scene_shape[0] > 1
        name = "Line profile" if self._is_profile else "Spectra"
        self.heading.setText(f"{name}, mean of the channels" if is_mean else name)
        if self.plot.accessibleName() == name:
            return
        self._paint_curves()
        self.plot.setAccessibleName(name)
        self.csv.setAccessibleName(f"Export the {name.lower()} as CSV")
        for index, words in enumerate(ROWS if self._is_profile else BOXES):
            self.box.setItemText(index, words)
        self.box.setAccessibleName("Rows averaged" if self._is_profile else "Pixels averaged")
        self.box.setToolTip(f"The mean over this many {'rows' if self._is_profile else 'pixels'} around the place")

    def _paint_curves(self) -> None:
        """Gives the curves their pens: a row has many values, thick lines would run together."""
        width = 0.6 if self._is_profile else 1.0
        for place, colour in zip(self.places, self._theme.curves, strict=False):
            place.paint(colour, width)
        self.reference.setPen(pen(self.plot, self._theme.text, 1.5, is_dashed=True))

    def _invitation(self, has_curves: bool) -> str:
        """What to do to see curves."""
        if self._is_profile:
            shown = "Move over a picture to see its row; a click keeps it."
            return shown if has_curves else "The values along a row appear here after decoding."
        shown = "Move over a picture to see spectra; a click keeps one."
        return shown if has_curves else "Spectra appear here once a snapshot is decoded."

    def _axis(self) -> np.ndarray:
        """Where bands or columns lie on the horizontal axis."""
        measurement = self._session.measurement
        num_bands, _, width = measurement.physics.scene_shape
        if self._is_profile:
            x, label = np.arange(float(width)), "column (px)"
        elif measurement.wavelengths_nm is not None:
            x, label = np.asarray(measurement.wavelengths_nm), "wavelength (nm)"
        else:
            x, label = np.arange(1.0, num_bands + 1), "band index"
        item = self.plot.getPlotItem()
        if item.getAxis("bottom").labelText != label:
            item.setLabel("bottom", label)
        item.setXRange(float(x.min()), float(x.max()), padding=0.05)
        return x

    def _refresh_here(self, x: np.ndarray | None) -> None:
        """Marks the band or the column looked at."""
        pixel = self._cursor or self._session.selection.pixel
        is_somewhere = x is not None and (not self._is_profile or pixel is not None)
        self.here.setVisible(is_somewhere)
        if is_somewhere:
            self.here.setValue(x[pixel[1] if self._is_profile else self._session.selection.band])

    def _curve(self, image: np.ndarray, pixel: Pixel) -> np.ndarray:
        if self._is_profile:
            return render.line_profile(image, pixel[0], self.side)
        return render.mean_spectrum(image, pixel, self.side)

    def _refresh_reference(self, x: np.ndarray, pixel: Pixel) -> None:
        cube = self._session.measurement.reference
        if cube is None:
            self.reference.setData([], [])
        else:
            self.reference.setData(x, self._curve(cube, pixel), connect="finite")

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
            f"Write the {self.plot.accessibleName().lower()} at the pinned pixel as a table"
            if has_pixel
            else "Click a pixel of a picture first"
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

    def paint(self, colour: str, width: float) -> None:
        self.fan.setPen(pen(self._plot, colour, width, alpha=0.35))
        self.last.setPen(pen(self._plot, colour, 1.8 * width, alpha=0.7))
        self.chosen.setPen(pen(self._plot, colour, 3 * width))

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

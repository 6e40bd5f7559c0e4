"""Curves under the cursor: all stages as a fan of thin curves, the chosen and the last thick, the reference dashed.

Of a cube they are spectra; of a photograph, the values along the row of pixels.
"""

from __future__ import annotations

import html
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from lorun_engine.io.spectra import spectral_angles

from ..assembly import Parts
from ..document.relight import shown_stage
from ..document.ruler import range_title
from ..widgets import theme
from ..widgets.plots import new_plot, paint_plot, pen
from ..widgets.theme import GRID, Recolours, tokens
from .curves import Fan, RegionCurve
from .dragging import make_draggable, table_mime
from .grid import Cursor
from .pictures import title_of
from .regions import region_colour
from .ruler import RulerOnPlot
from .subjects import Pixel, Subject, chosen_stage, pixel_curve, region_curve, subject_of

BOXES = {"1 pixel": 1, "Mean of 3 × 3": 3, "Mean of 5 × 5": 5}
ROWS = {"1 row": 1, "Mean of 3 rows": 3, "Mean of 5 rows": 5}  # the same of a photograph


class SpectrumView(Recolours, QWidget):
    """The card of curves: at the pinned pixel in the first curve colour, under the mouse in the second.

    Every point and region has the mean of the chosen stage in the colour of its marker, in the tint of its deviation.
    """

    export_requested = Signal()
    subject_changed = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._cursor: Pixel | None = None
        self._pair: tuple = ()  # the sides that are compared, where any are
        self.plot = new_plot("wavelength (nm)", name="Spectra")
        self.plot.setLabel("left", "value")
        self.plot.setMinimumHeight(190)
        self.plot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.here = pg.InfiniteLine()  # the band or the column looked at
        self.plot.addItem(self.here, ignoreBounds=True)
        self.ruler = RulerOnPlot(self.plot, parts)
        self.region_curves: dict[int, RegionCurve] = {}  # by the number of the region
        self.fan = Fan(self.plot)  # of the chosen region
        self.places = [Fan(self.plot), Fan(self.plot)]  # pinned, under the mouse
        self.reference = self.plot.plot()
        self.reference.setZValue(1)  # seen also where a thick curve is as it should be
        self.library = self.plot.plot()
        self.subject: Subject | None = None
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        make_draggable(self.heading, self._dragged, "Drag the curves out of the window as a table")
        self.where, self.what, self.beside = _caption(), _caption(), _caption()
        self.box = QComboBox()
        for words, side in BOXES.items():
            self.box.addItem(words, side)
        self.box.setAccessibleName("Pixels averaged")
        self.box.setToolTip("The mean over this many pixels around the place")
        self.box.currentIndexChanged.connect(lambda _: parts.regions.set_side(self.box.currentData()))
        self.mean = QPushButton()
        self.mean.setCheckable(True)
        self.mean.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the pictures
        self.mean.setAccessibleDescription("The mean over a range of bands in the pictures")
        self.mean.clicked.connect(parts.ruler.toggle)
        self.csv = QPushButton("CSV")
        self.csv.clicked.connect(self.export_requested)
        self._lay_out()
        self._selection = parts.session.selection
        parts.session.selection_changed.connect(self._follow)
        for changed in (
            parts.session.stage_added,
            parts.session.restoration_changed,
            parts.session.opened_changed,
            parts.regions.changed,
            parts.spectral_library.changed,
        ):
            changed.connect(self.refresh)
        parts.comparing.changed.connect(self._follow_sides)
        self.recolour()

    def recolour(self) -> None:
        """Gives axes and curves their colours."""
        paint_plot(self.plot, tokens())
        self._paint_curves()
        self.here.setPen(pen(self.plot, tokens().dim, 1, alpha=0.5))
        self.ruler.recolour()
        self.refresh()

    def show_cursor(self, cursor: Cursor | None) -> None:
        """Shows the curves under the mouse; those of the pinned pixel stay as one."""
        pixel = (cursor.y, cursor.x) if cursor is not None and cursor.is_in_scene else None
        if pixel != self._cursor:
            self._cursor = pixel
            self._refresh_curves()

    def refresh(self) -> None:
        """Draws the curves of all places."""
        self._selection = self._session.selection
        has_stages = self._session.num_announced > 0
        self._refresh_names()
        self._refresh_export(has_stages=has_stages, has_pixel=self._session.selection.pixel is not None)
        self._refresh_regions(self._axis() if has_stages else None)
        self._refresh_curves()

    def _follow(self) -> None:
        """Draws what is looked at; of another band no more than where it is."""
        before, self._selection = self._selection, self._session.selection
        is_relit = before != self._selection == replace(before, relight=self._selection.relight)
        if is_relit and self.subject is None:
            return  # there are no curves
        if replace(before, band=self._selection.band, band_range=self._selection.band_range) != self._selection:
            self.refresh()
        elif self._session.num_announced:
            self._refresh_here(self._axis())

    def _follow_sides(self) -> None:
        """Draws the curves of other sides; a line that moves between them changes none."""
        if self._session.selection.mode == "compare" and self._parts.comparing.pair != self._pair:
            self._refresh_curves()

    def _refresh_curves(self) -> None:
        """Draws what depends on the mouse: the fan, the reference and the spectrum of the library."""
        session = self._session
        is_compared = session.selection.mode == "compare" and session.measurement is not None
        self._pair = self._parts.comparing.pair if is_compared else ()
        x = self._axis() if session.num_announced or is_compared else None
        self._refresh_here(x)
        self.subject = subject = subject_of(self._parts, self._cursor)
        if subject is None:
            self._clear(self._invitation(x is not None))
            self.subject_changed.emit()
            return
        pinned, region = session.selection.pixel, self._parts.regions.chosen
        fans = {fan: () for fan in (self.fan, *self.places)}
        if subject.sides:
            fans |= {place: (curve,) for place, curve in zip(self.places, subject.curves, strict=False)}
        elif self._cursor is not None:
            fans[self.places[1]] = subject.curves
        elif region is not None:
            self._paint_fan()
            fans[self.fan] = subject.curves
        is_elsewhere = self._cursor is not None or region is not None
        if not subject.sides and pinned is not None and is_elsewhere:  # its chosen stage alone
            image = shown_stage(session, subject.stage)
            fans[self.places[0]] = (pixel_curve(self._parts, image, pinned),)
        elif not subject.sides and pinned is not None:
            fans[self.places[0]] = subject.curves
        for fan, curves in fans.items():
            fan.show(x, curves, chosen=subject.stage)
        self._refresh_beside(x, subject)
        self._refresh_words(subject)
        self.subject_changed.emit()

    def _dragged(self) -> QMimeData | None:
        """The curves of the place that is looked at, as a table: one column for every stage and the reference."""
        if self.subject is None:
            return None
        first = self.plot.getPlotItem().getAxis("bottom").labelText
        stages = (f"{self._parts.wording.step_name} {index}" for index in range(len(self.subject.curves)))
        curves = dict(zip(self.subject.sides or stages, self.subject.curves, strict=True))
        if self.subject.true is not None:
            curves["reference"] = self.subject.true
        lines = [",".join([first, *(f"{name} of {self.subject.title}" for name in curves)])]
        lines += [",".join(f"{value:.9g}" for value in row) for row in zip(self._axis(), *curves.values(), strict=True)]
        return table_mime("\n".join(lines) + "\n")

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("")
        frame.setAccessibleName("Curves")
        column.setSpacing(4)
        column.addWidget(self.heading)
        column.addWidget(self.plot, 1)
        column.addWidget(self.where)
        column.addWidget(self.what)
        column.addWidget(self.beside)
        row = QHBoxLayout()
        row.setContentsMargins(0, 4, 0, 0)
        row.setSpacing(GRID)
        row.addWidget(self.box)
        row.addWidget(self.mean)
        row.addStretch()
        row.addWidget(self.csv)
        column.addLayout(row)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def _refresh_regions(self, x: np.ndarray | None) -> None:
        """One curve a region, that of the chosen stage."""
        session = self._session
        shown = {} if x is None else {region.number: region for region in self._parts.regions.all}
        if self._is_profile:  # boxes have figures, not curves
            shown = {number: region for number, region in shown.items() if region.shape == "point"}
        for number in self.region_curves.keys() - shown.keys():
            self.region_curves.pop(number).remove()
        stage = chosen_stage(session)
        for number, region in shown.items():
            measured = region_curve(self._parts, region, stage)
            if number not in self.region_curves:
                self.region_curves[number] = RegionCurve(self.plot)
            curve, is_chosen = self.region_curves[number], number == self._parts.regions.chosen_number
            width = 3.0 if is_chosen and not self._is_profile else 1.75
            curve.paint(region_colour(number), width, tint_alpha=0.22 if is_chosen else 0.1)
            if measured is not None:
                curve.show(x, *measured)

    @property
    def _is_profile(self) -> bool:
        """Whether the curves run along a row of pixels, and not through the bands of one."""
        return self._session.kind.is_photograph

    def _refresh_names(self) -> None:
        """Names everything after what the curves are of what is open."""
        measurement = self._session.measurement
        is_mean = self._is_profile and measurement is not None and measurement.physics.scene_shape[0] > 1
        self.box.setCurrentIndex(self.box.findData(self._parts.regions.side))
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
        for place, colour in zip(self.places, tokens().curves, strict=False):
            place.paint(colour, width)
        self.library.setPen(pen(self.plot, tokens().dim, 2, is_dashed=True))
        self.reference.setPen(pen(self.plot, tokens().text, 1.5, is_dashed=True))

    def _paint_fan(self) -> None:
        """Gives the fan of the chosen region the colour of its marker."""
        width = 0.6 if self._is_profile else 1.0
        self.fan.paint(region_colour(self._parts.regions.chosen_number), width)

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
        self._refresh_ruler(x)
        self.here.setVisible(is_somewhere and self._parts.ruler.range is None)
        if is_somewhere:
            self.here.setValue(x[pixel[1] if self._is_profile else self._session.selection.band])

    def _refresh_ruler(self, x: np.ndarray | None) -> None:
        """Draws the ruler, and says in its button which bands it covers."""
        ruler, wavelengths_nm = self._parts.ruler, None if x is None else self._session.measurement.wavelengths_nm
        self.ruler.refresh(x)
        self.mean.setVisible(ruler.is_possible)
        self.mean.setChecked(ruler.range is not None)
        if ruler.range is None:
            self.mean.setText("Mean over bands")
            self.mean.setToolTip("Drag over the spectra: the pictures show the mean over these bands (M)")
        else:
            self.mean.setText(range_title(ruler.range, wavelengths_nm))
            self.mean.setToolTip("The pictures show the mean over these bands. Show single bands again (M or Escape)")

    def _refresh_beside(self, x: np.ndarray, subject: Subject) -> None:
        """Draws the reference of the subject, and the spectrum of the library that was chosen."""
        none = np.array([])
        true, library = subject.true, self._parts.spectral_library
        self.reference.setData(none if true is None else x, none if true is None else true, connect="finite")
        has_spectrum = library.shown is not None and not self._is_profile
        self.beside.setVisible(has_spectrum)
        if has_spectrum:
            self.library.setData(x, library.scaled(library.shown, subject.curve), connect="finite")
            name = html.escape(library.library.names[library.shown])
            self.beside.setText(f"╌ {name}, scaled to the mean of the curve")
        else:
            self.library.setData([], [])

    def _refresh_words(self, subject: Subject) -> None:
        """Names the places in their colours, and what the lines are; how far the chosen stage is from the reference."""
        if subject.sides:
            self._name_sides(subject)
            return
        session, colours = self._session, tokens().curves
        places = zip((session.selection.pixel, self._cursor), ("pinned", "mouse"), colours, strict=False)
        words = [
            f"<span style='color:{colour}'>●</span> x {pixel[1]}, y {pixel[0]} {words}"
            for pixel, words, colour in places
            if pixel is not None
        ]
        region = self._parts.regions.chosen
        if region is not None:
            colour = region_colour(region.number)
            words.append(f"<span style='color:{colour}'>●</span> {self._parts.regions.title(region)}")
        self.where.setText("&nbsp;&nbsp; ".join(words))
        last = len(subject.curves) - 1
        parts = [f"<b>━</b> {title_of(self._session, subject.stage).lower()}"]
        parts += [f"━ last, {self._parts.wording.step_name} {last}"] if last != subject.stage else []
        if subject.true is not None:
            parts.append("┅ reference" + self._away(subject.true, subject.curve))
        self.what.setText("&nbsp;&nbsp; ".join(parts))

    def _name_sides(self, subject: Subject) -> None:
        """Names both sides in the colours of their curves, with the angles to the reference."""
        words = []
        for name, colour, curve in zip(subject.sides, tokens().curves, subject.curves, strict=False):
            away = "" if subject.true is None else self._away(subject.true, curve)
            words.append(f"<span style='color:{colour}'>━</span> {html.escape(name)}{away}")
        reference = "" if subject.true is None else "&nbsp;&nbsp; ┅ reference"
        self.where.setText(words[0])
        self.what.setText("".join(words[1:]) + reference)

    def _away(self, true: np.ndarray, curve: np.ndarray) -> str:
        """As ", 2.31° away"; nothing of a row of a photograph, or where there is no angle."""
        degrees = np.nan if self._is_profile else float(spectral_angles(true, curve[None])[0])
        return f", {degrees:.2f}° away" if np.isfinite(degrees) else ""

    def _refresh_export(self, *, has_stages: bool, has_pixel: bool) -> None:
        self.csv.setEnabled(has_stages and has_pixel)
        self.csv.setToolTip(
            f"Write the {self.plot.accessibleName().lower()} at the pinned pixel as a table"
            if has_pixel
            else "Click a pixel of a picture first"
        )

    def _clear(self, words: str) -> None:
        for fan in (self.fan, *self.places):
            fan.clear()
        for curve in (self.reference, self.library):
            curve.setData([], [])
        self.beside.setVisible(False)
        self.where.setText(words)
        self.what.setText("")


def _caption() -> QLabel:
    label = QLabel()
    label.setObjectName("dim")
    label.setFont(theme.tabular(label.font()))
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setToolTip("Places in pixels, and the angle to the reference in degrees: a small one is good")
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    label.setMinimumHeight(label.fontMetrics().height() + 2)
    return label

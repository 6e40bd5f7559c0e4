"""How bright the pictures are: black and white, exposure and gamma, over the numbers that they show."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from ..assembly import Parts
from ..kinds import GAMMAS, MOST_STOPS, Light
from ..quantities import number
from ..widgets import theme
from ..widgets.theme import GRID, tokens
from .pictures import Pictures

STRETCHES = {  # words -> (percentiles, whether all panes share them)
    "0 – 99.9 %, shared": ((None, 99.9), True),
    "0 – 99.9 %, each its own": ((None, 99.9), False),
    "1 – 99 %, shared": ((1.0, 99.0), True),
    "1 – 99 %, each its own": ((1.0, 99.0), False),
    "As it is, 0 to 1": (None, True),
    "Full range, shared": ((0.0, 100.0), True),
    "Full range, each its own": ((0.0, 100.0), False),
}
NUM_BINS = 128
STEP = 0.1  # of a stop
GAMMA_STEP = 0.05


class ExposureButton(QPushButton):
    """As "0 – 99.9 %, shared" or "0 – 99.9 %, shared · +1.0 EV"; its menu has the sliders."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.is_short = False  # where there is little room
        self.histogram = Histogram()
        self.stretch = QComboBox()
        self.stretch.addItems(list(STRETCHES))
        self.stretch.setAccessibleName("Black and white of the pictures")
        parts.wording.say(
            self,
            self.stretch.setToolTip,
            "Percentiles of a picture that become black and white, of the newest stage where they are shared.\n"
            "0 – 99.9 % keeps 0 black. 0 to 1 is meant for scenes: what a detector saw has percentiles then.",
        )
        self.stretch.activated.connect(self._take_stretch)
        reach = round(MOST_STOPS / STEP)
        self.stops, self.stops_label = _slider("Exposure", -reach, reach), _figure("+4.0 EV")
        self.stops.valueChanged.connect(lambda value: parts.looking.set_light(stops=value * STEP))
        low, high = (round(gamma / GAMMA_STEP) for gamma in GAMMAS)
        self.gamma, self.gamma_label = _slider("Gamma", low, high), _figure("2.50")
        self.gamma.valueChanged.connect(lambda value: parts.looking.set_light(gamma=round(value * GAMMA_STEP, 2)))
        self.reset = QPushButton("Reset")
        self.reset.setAccessibleDescription("No exposure, gamma 1")
        self.reset.clicked.connect(lambda: parts.looking.set_light(stops=0.0, gamma=1.0))
        menu = QMenu(self)
        menu.setAccessibleName("Brightness of the pictures")
        holder = QWidgetAction(menu)
        holder.setDefaultWidget(self._choice())
        menu.addAction(holder)
        menu.aboutToShow.connect(self._refresh_histogram)
        self.setMenu(menu)
        self.setToolTip("How bright the pictures are; the numbers are never changed")

    def refresh(self) -> None:
        """Shows what the selection says."""
        selection = self._session.selection
        wanted, light = (selection.stretch, selection.shared_stretch), selection.light
        known = list(STRETCHES.values())
        index = known.index(wanted) if wanted in known else -1
        self.stretch.setCurrentIndex(index)
        words = list(STRETCHES)[index] if index >= 0 else "Percentiles"
        whole = " · ".join(filter(None, [words, light.words]))
        self.setText(words.partition(",")[0].rpartition("– ")[2] if self.is_short else whole)  # as "99.9 %"
        self.setAccessibleName(f"Brightness: {whole}")
        for slider, value in ((self.stops, light.stops / STEP), (self.gamma, light.gamma / GAMMA_STEP)):
            with QSignalBlocker(slider):
                slider.setValue(round(value))
        self.stops_label.setText(f"{light.stops:+.1f} EV" if light.stops else "0 EV")
        self.gamma_label.setText(f"{light.gamma:.2f}")
        self.reset.setEnabled(light != Light())
        if self.menu().isVisible():
            self._refresh_histogram()

    def _choice(self) -> QWidget:
        choice = QWidget()
        column = QVBoxLayout(choice)
        column.setContentsMargins(GRID, GRID, GRID, GRID)
        column.setSpacing(GRID)
        column.addWidget(self.histogram)
        column.addWidget(self.stretch)
        grid = QGridLayout()
        grid.setHorizontalSpacing(GRID)
        rows = (("Exposure", self.stops, self.stops_label), ("Gamma", self.gamma, self.gamma_label))
        for row, (name, slider, label) in enumerate(rows):
            grid.addWidget(QLabel(name), row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(label, row, 2)
        column.addLayout(grid)
        column.addWidget(self.reset)
        return choice

    def _take_stretch(self) -> None:
        self._parts.looking.set_stretch(*STRETCHES[self.stretch.currentText()])

    def _refresh_histogram(self) -> None:
        pictures, pane = self._pictures, self._session.selection.shown[-1]
        sample = pictures.sample(pane)
        if sample is None:
            self.histogram.show_nothing()
        else:
            self.histogram.show_numbers(sample, pictures.levels(pane, pictures.bands_in(pane)))


class Histogram(QWidget):
    """How often which numbers are in a picture, on a logarithmic scale, with black and white as lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(264, 96))
        self.counts = np.zeros(NUM_BINS, int)
        self.ends = (0.0, 1.0)
        self.levels = (0.0, 1.0)

    def show_nothing(self) -> None:
        """There is no picture."""
        self.counts = np.zeros(NUM_BINS, int)
        self.update()

    def show_numbers(self, numbers: np.ndarray, levels: tuple[float, float]) -> None:
        """Shows what of `numbers` is finite, and the numbers that are black and white."""
        finite = numbers[np.isfinite(numbers)]
        self.levels = levels
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        self.ends = low, high if high > low else low + 1.0
        self.counts, _ = np.histogram(finite, bins=NUM_BINS, range=self.ends)
        words = f"Numbers from {number(low)} to {number(high)}; {number(levels[0])} is black, {number(levels[1])} white"
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), tokens()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        place = QRectF(self.rect()).adjusted(0, 0, 0, -line - 2)
        painter.fillRect(place, QColor(colours.image))
        heights = np.log1p(self.counts)
        top = heights.max()
        if top > 0:
            xs = place.x() + (np.arange(NUM_BINS) + 0.5) / NUM_BINS * place.width()
            ys = place.bottom() - heights / top * (place.height() - 4)
            points = [QPointF(x, y) for x, y in zip(xs, ys, strict=True)]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.dim))
            painter.drawPolygon(QPolygonF([place.bottomLeft(), *points, place.bottomRight()]))
        low, high = self.ends
        for level in self.levels:
            share = min(max((level - low) / (high - low), 0.0), 1.0)
            x = place.x() + 1 + share * (place.width() - 2)
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.drawLine(QPointF(x, place.top()), QPointF(x, place.bottom()))
        painter.setPen(QColor(colours.dim))
        below = QRectF(self.rect()).adjusted(0, place.height() + 2, 0, 0)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, number(low))
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, number(high))


def _slider(name: str, low: int, high: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setAccessibleName(name)
    slider.setMinimumWidth(140)
    return slider


def _figure(widest: str) -> QLabel:
    label = QLabel(widest)
    label.setFont(theme.tabular(label.font()))
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    label.setMinimumWidth(label.sizeHint().width())
    return label

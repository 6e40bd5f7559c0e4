"""The ruler on the spectra: dragging over wavelengths takes their bands; its ends and its middle can be dragged."""

from __future__ import annotations

from secrets import token_hex

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QMouseEvent

from ..assembly import Parts
from ..document.ruler import Range
from ..widgets.plots import pen
from ..widgets.theme import tokens
from .panes import DRAG_STARTS

GRIP = 6  # px; how near to an end the mouse takes it


class RulerOnPlot(QObject):
    """Draws the ruler of the session into a plot whose bands lie at given places, and lets the mouse move it."""

    def __init__(self, plot: pg.PlotWidget, parts: Parts) -> None:
        super().__init__(plot)
        self._plot, self._parts = plot, parts
        self._axis: np.ndarray | None = None
        self._pressed: QPointF | None = None
        self._is_dragging = False
        self._held: float | None = None  # where the end lies that stays while the other one is dragged
        self._moved_from: tuple[Range, int] | None = None  # the ruler, and the band at which it was taken
        self._drag = ""
        self.item = pg.LinearRegionItem(movable=False)
        self.item.setZValue(-2)
        self.item.hide()
        plot.addItem(self.item, ignoreBounds=True)
        plot.viewport().installEventFilter(self)
        plot.viewport().setMouseTracking(True)
        self.recolour()

    def recolour(self) -> None:
        """Gives the ruler its colours."""
        tint = pg.mkColor(tokens().accent)
        tint.setAlphaF(0.16)
        self.item.setBrush(tint)
        for line in self.item.lines:
            line.setPen(pen(self._plot, tokens().accent, 1.5))

    def refresh(self, axis: np.ndarray | None) -> None:
        """Draws the range that the session has; `axis` are the places of the bands, None where there are none."""
        self._axis = axis if self._parts.ruler.is_possible else None
        bands = self._parts.ruler.range
        is_shown = self._axis is not None and bands is not None
        if is_shown:
            self.item.setRegion(self._ends(bands))
        self.item.setVisible(is_shown)

    def band_at(self, position: QPointF) -> int:
        """The band that lies nearest to a point of the plot's viewport."""
        return int(np.argmin(np.abs(self._axis - self._x(position))))

    def position_of(self, x: float) -> float:
        """Where a place of the axis lies in the plot's viewport, in px from its left edge."""
        view = self._plot.getPlotItem().vb
        return self._plot.mapFromScene(view.mapViewToScene(QPointF(x, 0))).x()

    # ---- the mouse -----------------------------------------------------------------------------------------------

    def eventFilter(self, viewport: QObject, event: QEvent) -> bool:
        answers = {
            QEvent.Type.MouseButtonPress: self._press,
            QEvent.Type.MouseMove: self._move,
            QEvent.Type.MouseButtonRelease: self._release,
        }
        answer = answers.get(event.type())
        return answer is not None and self._axis is not None and answer(event)

    def _press(self, event: QMouseEvent) -> bool:
        position = event.position()
        if event.button() != Qt.MouseButton.LeftButton or not self._is_inside(position):
            return False
        bands = self._parts.ruler.range
        self._pressed, self._drag, self._moved_from = position, token_hex(8), None
        self._held = self._x(position)
        if bands is not None:
            low, high = self._ends(bands)
            if self._is_near(low, position):
                self._held = high
            elif self._is_near(high, position):
                self._held = low
            elif low < self._x(position) < high:
                self._moved_from = bands, self.band_at(position)
        return True

    def _move(self, event: QMouseEvent) -> bool:
        position = event.position()
        if self._pressed is None:
            self._plot.viewport().setCursor(self._shape_at(position))
            return False
        self._is_dragging |= abs(position.x() - self._pressed.x()) >= DRAG_STARTS
        if self._is_dragging:
            self._take(position)
        return True

    def _release(self, event: QMouseEvent) -> bool:
        """A click beside the ruler takes it away."""
        if self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return False
        if not self._is_dragging and self._moved_from is None:
            self._parts.ruler.clear()
        self._pressed, self._is_dragging = None, False
        return True

    def _take(self, position: QPointF) -> None:
        """Takes the bands between the end that is held and the mouse, or moves all of them."""
        ruler = self._parts.ruler
        if self._moved_from is not None:
            (first, last), start = self._moved_from
            way = min(max(self.band_at(position) - start, -first), len(self._axis) - 1 - last)
            ruler.take(first + way, last + way, drag=self._drag)
            return
        low, high = sorted((self._held, self._x(position)))
        inside = np.flatnonzero((low <= self._axis) & (self._axis <= high))
        nearest = int(np.argmin(np.abs(self._axis - (low + high) / 2)))
        first, last = (int(inside.min()), int(inside.max())) if len(inside) else (nearest, nearest)
        ruler.take(first, last, drag=self._drag)

    def _shape_at(self, position: QPointF) -> Qt.CursorShape:
        if not self._is_inside(position):
            return Qt.CursorShape.ArrowCursor
        bands = self._parts.ruler.range
        if bands is not None:
            low, high = self._ends(bands)
            if self._is_near(low, position) or self._is_near(high, position):
                return Qt.CursorShape.SplitHCursor
            if low < self._x(position) < high:
                return Qt.CursorShape.OpenHandCursor
        return Qt.CursorShape.CrossCursor

    # ---- places --------------------------------------------------------------------------------------------------

    def _x(self, position: QPointF) -> float:
        view = self._plot.getPlotItem().vb
        return view.mapSceneToView(self._plot.mapToScene(position.toPoint())).x()

    def _is_inside(self, position: QPointF) -> bool:
        view = self._plot.getPlotItem().vb
        return view.sceneBoundingRect().contains(QPointF(self._plot.mapToScene(position.toPoint())))

    def _is_near(self, x: float, position: QPointF) -> bool:
        return abs(self.position_of(x) - position.x()) <= GRIP

    def _ends(self, bands: Range) -> tuple[float, float]:
        """Half-way to the bands beside the range."""
        middles = (self._axis[1:] + self._axis[:-1]) / 2
        borders = [1.5 * self._axis[0] - 0.5 * self._axis[1], *middles, 1.5 * self._axis[-1] - 0.5 * self._axis[-2]]
        low, high = sorted((float(borders[bands[0]]), float(borders[bands[1] + 1])))
        return low, high

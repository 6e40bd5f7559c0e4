"""Plots in the colours of the window: axes and lines, no menus, nothing that zooms by mistake."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QPen

from . import theme
from .theme import Theme

AXIS_WIDTH, AXIS_HEIGHT = 60, 40  # px; fixed, so that a plot does not jump with its numbers
LEAST_HEIGHT = 126  # px; less cuts "PSNR (dB)" beside a plot


def new_plot(bottom: str, *, name: str) -> pg.PlotWidget:
    """An empty plot with labelled axes, called `name` by screen readers."""
    pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)
    plot = pg.PlotWidget(enableMenu=False)
    plot.setAccessibleName(name)
    plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    item = plot.getPlotItem()
    item.hideButtons()
    item.setMouseEnabled(x=False, y=False)
    item.setLabel("bottom", bottom)
    item.getAxis("left").setWidth(AXIS_WIDTH)
    item.getAxis("bottom").setHeight(AXIS_HEIGHT)
    for side in ("left", "bottom"):
        item.getAxis(side).enableAutoSIPrefix(False)
        keep_drawn(item.getAxis(side))
    item.layout.setContentsMargins(0, 4, 12, 4)  # the label of the axis reaches below it, its last number beyond it
    return plot


def keep_drawn(axis: pg.AxisItem) -> None:
    """Keeps the pixels of an axis while only curves change: its grid reaches over them and would be drawn again."""
    axis.setCacheMode(pg.QtWidgets.QGraphicsItem.CacheMode.DeviceCoordinateCache)


def paint_plot(plot: pg.PlotWidget, tokens: Theme) -> None:
    """Gives a plot the colours of a theme."""
    plot.setBackground(tokens.card)
    item = plot.getPlotItem()
    for side in ("left", "bottom", "right"):
        axis = item.getAxis(side)
        axis.setPen(tokens.line)
        axis.setTickPen(tokens.line)
        axis.setTextPen(tokens.dim)
        axis.setStyle(tickFont=theme.tabular(plot.font()), tickLength=-4, hideOverlappingLabels=False)
    item.showGrid(x=False, y=True, alpha=0.12)


def pen(plot: pg.PlotWidget, colour: str, width: float, *, is_dashed: bool = False, alpha: float = 1.0) -> QPen:
    """A pen for a curve of `plot`; `width` in px of the window, `alpha` 0..1."""
    own = pg.mkColor(colour)
    own.setAlphaF(alpha)
    width *= plot.devicePixelRatioF()  # pyqtgraph's pens count the pixels of the screen
    return pg.mkPen(own, width=width, style=Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine)

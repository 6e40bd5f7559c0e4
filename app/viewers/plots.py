"""Plots in the colours of the window."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont

from ..theme import Theme


def new_plot(bottom: str, left: str = "") -> pg.PlotWidget:
    """An empty plot with labelled axes; it neither zooms by mistake nor opens a menu."""
    pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)
    plot = pg.PlotWidget()
    item = plot.getPlotItem()
    item.setMenuEnabled(False)
    item.hideButtons()
    item.setMouseEnabled(x=False, y=False)
    item.setLabel("bottom", bottom)
    if left:
        item.setLabel("left", left)
    for name in ("left", "bottom"):
        item.getAxis(name).enableAutoSIPrefix(False)
    item.getAxis("left").setWidth(48)
    plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
    return plot


def paint(plot: pg.PlotWidget, theme: Theme) -> None:
    """Gives a plot the colours of a theme."""
    plot.setBackground(theme.card)
    font = QFont(plot.font())
    font.setPointSizeF(max(7.0, font.pointSizeF() * 0.9))
    for name in ("left", "bottom"):
        axis = plot.getPlotItem().getAxis(name)
        axis.setPen(theme.line)
        axis.setTextPen(theme.dim)
        axis.setStyle(tickFont=font)
        axis.label.setFont(font)
    plot.getPlotItem().showGrid(x=False, y=True, alpha=0.15)


def pen(colour: str, width: float, *, is_dashed: bool = False, alpha: int = 255):
    """A pen for a curve; `alpha` 0..255."""
    own = pg.mkColor(colour)
    own.setAlpha(alpha)
    return pg.mkPen(own, width=width, style=Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine)

"""The curves of one place in a plot: the stages of a pixel as a fan, a region's mean in its band of deviation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg

from ..widgets.plots import pen


class Fan:
    """The curves of one pixel; the fan of all stages is one item, so that 60 stages are drawn as fast as nine."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._plot = plot
        self.fan, self.last, self.chosen = plot.plot(), plot.plot(), plot.plot()

    def paint(self, colour: str, width: float) -> None:
        self.fan.setPen(pen(self._plot, colour, width, alpha=0.35))
        self.last.setPen(pen(self._plot, colour, 1.8 * width, alpha=0.7))
        self.chosen.setPen(pen(self._plot, colour, 3 * width))

    def show(self, x: np.ndarray, spectra: Sequence[np.ndarray], *, chosen: int) -> None:
        """Draws the spectra of all stages, of the chosen one alone, or none."""
        if not len(spectra):
            self.clear()
            return
        gap = [np.append(spectrum, np.nan) for spectrum in spectra]
        self.fan.setData(np.tile(np.append(x, np.nan), len(spectra)), np.concatenate(gap), connect="finite")
        self.last.setData(x, spectra[-1], connect="finite")
        self.chosen.setData(x, spectra[chosen] if len(spectra) > 1 else spectra[0], connect="finite")

    def clear(self) -> None:
        for curve in (self.fan, self.last, self.chosen):
            curve.setData([], [])


class RegionCurve:
    """The mean of a region, and as a tint around it one standard deviation to either side."""

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._plot = plot
        self._shown: tuple = ()
        self._look: tuple = ()
        self.mean = plot.plot()
        self._edges = [pg.PlotDataItem(connect="finite") for _ in range(2)]  # not drawn: the tint lies between them
        self.band = pg.FillBetweenItem(*self._edges)
        plot.addItem(self.band)

    def paint(self, colour: str, width: float, *, tint_alpha: float) -> None:
        """Gives it its colour; the same again costs nothing."""
        look = (colour, width, tint_alpha, self._plot.devicePixelRatioF())
        if look == self._look:
            return
        self._look = look
        self.mean.setPen(pen(self._plot, colour, width))
        tint = pg.mkColor(colour)
        tint.setAlphaF(tint_alpha)
        self.band.setBrush(tint)

    def show(self, x: np.ndarray, mean: np.ndarray, std: np.ndarray | None) -> None:
        """Draws a mean with its deviation, if there is one; the same arrays again cost nothing."""
        ends = (float(x[0]), float(x[-1]))
        if self._shown and mean is self._shown[0] and std is self._shown[1] and ends == self._shown[2]:
            return
        self._shown = mean, std, ends
        self.mean.setData(x, mean, connect="finite")
        for edge, sign in zip(self._edges, (-1, 1), strict=True):
            edge.setData(x, mean + sign * (np.nan if std is None else std))

    def remove(self) -> None:
        """Takes it out of the plot."""
        self._plot.removeItem(self.mean)
        self._plot.removeItem(self.band)

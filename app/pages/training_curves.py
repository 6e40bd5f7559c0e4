"""How a training goes: the loss of every step with its running mean, and its validation score beside the old set's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..widgets import theme
from ..widgets.plots import LEAST_HEIGHT, new_plot, paint_plot, pen
from ..widgets.theme import Recolours

MOST_POINTS = 2000  # of a curve that are drawn; more cannot be told apart
WINDOW = 25  # steps that the running mean looks back
LEAST_RANGE_DB = 0.5  # less is not to be seen as a difference


class TrainingCurves(Recolours, QWidget):
    """Two plots with one axis of steps; the dashed line is the score that the starting set has on the same scenes."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_plot = new_plot("", name="Loss of every step")
        self.score_plot = new_plot("step", name="Validation PSNR of the new set and of the starting set")
        self._every_loss = self.loss_plot.plot()
        self._mean_loss = self.loss_plot.plot()
        self._scores = self.score_plot.plot(symbol="o", symbolSize=6)
        self._start = pg.InfiniteLine(angle=0, movable=False)
        self._start.setVisible(False)
        self.score_plot.addItem(self._start, ignoreBounds=True)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.score_plot.getPlotItem().setXLink(self.loss_plot.getPlotItem())
        for plot in (self.loss_plot, self.score_plot):
            plot.setMinimumHeight(LEAST_HEIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID // 2)
        column.addWidget(self.loss_plot, 1)
        column.addWidget(self.score_plot, 1)
        column.addWidget(self.legend)
        self._has_start, self._has_truth = False, True
        self.recolour()

    def recolour(self) -> None:
        """Draws in the colours of the palette."""
        tokens = theme.tokens()
        loss, score = tokens.curves[0], tokens.curves[1]
        for plot in (self.loss_plot, self.score_plot):
            paint_plot(plot, tokens)
        self.loss_plot.getPlotItem().getAxis("left").setLabel(f"<span style='color:{loss}'>●</span> loss")
        self.score_plot.getPlotItem().getAxis("left").setLabel(f"<span style='color:{score}'>●</span> PSNR (dB)")
        self._every_loss.setPen(pen(self.loss_plot, loss, 1, alpha=0.35))
        self._mean_loss.setPen(pen(self.loss_plot, loss, 2))
        self._scores.setPen(pen(self.score_plot, score, 2))
        self._scores.setSymbolPen(None)
        self._scores.setSymbolBrush(score)
        self._start.setPen(pen(self.score_plot, tokens.dim, 1.5, is_dashed=True))
        self._show_legend()

    def show_training(
        self,
        losses: Sequence[tuple[int, float]],
        scores: Sequence[tuple[int, float]],
        *,
        start: float | None,
        num_steps: int,
        has_truth: bool = True,
    ) -> None:
        """Draws (step, loss) and (step, PSNR) pairs; `start` is the starting set's score, None where unknown."""
        steps, values, mean = thinned(losses, MOST_POINTS, WINDOW)
        self._every_loss.setData(steps, values)
        self._mean_loss.setData(steps, mean)
        self.loss_plot.getPlotItem().setXRange(0, max(num_steps, steps.max(initial=1)), padding=0.02)
        at, found = _columns(scores)
        self._scores.setData(at, found)
        self._has_start, self._has_truth = start is not None, has_truth
        self._start.setVisible(self._has_start)
        if start is not None:
            self._start.setValue(start)
        known = np.append(found, [] if start is None else [start])
        if known.size:
            middle, half = (known.max() + known.min()) / 2, max(np.ptp(known), LEAST_RANGE_DB) / 2
            self.score_plot.getPlotItem().setYRange(middle - half, middle + half, padding=0.15)
        self._show_legend()

    @property
    def drawn_scores(self) -> list[tuple[float, float]]:
        """The points of the validation curve, as they are drawn."""
        steps, values = self._scores.getData()
        return [] if steps is None else list(zip(steps.tolist(), values.tolist(), strict=True))

    @property
    def drawn_start(self) -> float | None:
        """Where the line of the starting set lies; None while it is not drawn."""
        return float(self._start.value()) if self._has_start else None

    def _show_legend(self) -> None:
        tokens = theme.tokens()
        start = "  ┄┄ the starting set" if self._has_start else ""
        where = "scenes it does not learn from" if self._has_truth else "withheld pixels of the sensor"
        self.legend.setText(
            f"<span style='color:{tokens.curves[1]}'>●</span> "
            f"<span style='color:{tokens.dim}'>the new set on {where}{start}</span>"
        )


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of every value and up to `window` - 1 values before it."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.arange(1, values.size + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / np.maximum(ends - starts, 1)


def thinned(pairs: Sequence[tuple[int, float]], most: int, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `most` of (step, value) pairs, the last among them: their steps, values and running means.

    Only what these need is looked at, so that it takes no longer for a longer training.
    """
    every = max(1, -(-len(pairs) // most))
    if every < window:
        steps, values = _columns(pairs)
        return tuple(column[::-every][::-1] for column in (steps, values, running_mean(values, window)))
    drawn = range(len(pairs) - 1, -1, -every)[::-1]
    steps, values = _columns([pairs[index] for index in drawn])
    before = (pairs[max(0, index - window + 1) : index + 1] for index in drawn)
    return steps, values, np.array([sum(value for _, value in few) / len(few) for few in before])


def _columns(pairs: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """(step, value) pairs as two arrays, empty ones for none."""
    table = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

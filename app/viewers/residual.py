"""The result seen by the camera again: Phi x beside y, what is left between them, and whether that looks like noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPen
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .. import render
from ..assembly import Parts
from ..document.drawn import Drawn
from ..document.relight import is_relit
from ..document.session import Session
from ..kinds import RGB
from ..quantities import number
from ..widgets import meanings, theme
from ..widgets.colours import NAN_COLOUR, blue_red, mapped, to_image
from ..widgets.labels import set_look
from ..widgets.plots import new_plot, paint_plot, pen
from ..widgets.theme import Recolours, tokens
from .pictures import title_of

if TYPE_CHECKING:
    from lorun_engine.camera_checks.remeasure import Remeasurement

PERCENTILE = 99.5  # of the residual's magnitude: the ends of its colours
NUMBERS_WIDTH = 44  # px beside a plot
MOST_PLOTTED = 2048  # points of a curve of means
GOOD_PLOTS = (
    "How often each value is left over, on the scale of the measurement; a narrow bell around 0 is good",
    "What is left over on average in each row and column; close to 0 everywhere is good",
    "How alike what is left over is to itself some pixels away; 0 at every lag but 0 is good, that is white noise",
)


class ResidualView(Recolours, QWidget):
    """Obeys the session: the stage that is looked at, measured again."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session, self._drawn = parts, parts.session, None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Residual of the result")
        self.images = [_Image(name) for name in ("Measurement y", "", "")]
        for image in self.images[1:]:
            image.box.setXLink(self.images[0].box)
            image.box.setYLink(self.images[0].box)
        self._titles: dict[pg.PlotWidget, QLabel] = {}
        self.histogram = self._plot("residual", "Histogram of the residual")
        self.means = self._plot("row or column", "Row and column means of the residual")
        self.correlation = self._plot("lag (pixels)", "Autocorrelation of the residual")
        for plot, words in zip((self.histogram, self.means, self.correlation), GOOD_PLOTS, strict=True):
            self._titles[plot].setToolTip(words)
        self.verdict, self.figures = QLabel(), QLabel()
        self.verdict.setAccessibleDescription("Verdict on the residual")
        self.figures.setAccessibleDescription("Figures of the residual")
        self.verdict.setToolTip(meanings.VERDICT_RESULT)
        self.figures.setToolTip(meanings.FIGURES_RESULT)
        for label in (self.verdict, self.figures):
            label.setWordWrap(True)
        self.whole = QPushButton("Whole image")
        self.whole.setToolTip("Zoom with the wheel and drag; the three images move together")
        self.whole.clicked.connect(self.show_whole)
        self._lay_out()
        for changed in (parts.checking.changed, parts.session.selection_changed, parts.session.opened_changed):
            changed.connect(self.refresh)
        self.recolour()

    def recolour(self) -> None:
        """Gives plots and pictures their colours."""
        self._drawn = None
        for plot in (self.histogram, self.means, self.correlation):
            paint_plot(plot, tokens())
        for image in self.images:
            image.view.setBackground(tokens().card)
        self.refresh()

    def refresh(self) -> None:
        """Shows the stage that is looked at; nothing is drawn while nobody sees it."""
        if not self.isVisible():
            return
        model = _model(self._session)
        self.images[1].set_name(f"{model} of the result")
        self.images[2].set_name(f"Residual y − {model}")
        checking = self._parts.checking
        result = checking.shown
        if result is None:
            self._clear("Measuring this stage again…" if checking.state == "running" else "")
            if checking.state == "failed":
                set_look(self.verdict, checking.problem, "warn")
            return
        if result is self._drawn:
            return
        self._drawn = result
        set_look(self.verdict, *result.result)
        self.figures.setText(self._figures(result))
        self._draw_images(result)
        self._draw_histogram(result)
        self._draw_means(result)
        self._draw_correlation(result)

    def show_whole(self) -> None:
        """Lets all three images fill their places again."""
        self.images[0].box.autoRange(padding=0)

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self.refresh()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("")
        column.addWidget(self.verdict)
        self.figures.setObjectName("dim")
        line = QHBoxLayout()
        line.addWidget(self.figures, 1)
        line.addWidget(self.whole, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(line)
        grid = QGridLayout()
        grid.setSpacing(theme.GRID)
        for place, image in enumerate(self.images):
            grid.addWidget(image, 0, place)
        for place, (plot, title) in enumerate(self._titles.items()):
            grid.addWidget(title, 1, place)
            grid.addWidget(plot, 2, place)
        grid.setRowStretch(0, 1)
        grid.setRowStretch(2, 1)
        for part in range(3):
            grid.setColumnStretch(part, 1)
        column.addLayout(grid, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def _clear(self, words: str) -> None:
        self._drawn = None
        set_look(self.verdict, words, "dim")
        self.figures.setText("")
        for image in self.images:
            image.clear()
        for plot, title in self._titles.items():
            plot.clear()
            title.clear()

    def _plot(self, bottom: str, name: str) -> pg.PlotWidget:
        """A plot with a title of its own above it, which says what its curves are."""
        plot = new_plot(bottom, name=name)
        plot.setMinimumSize(80, 120)
        plot.getPlotItem().getAxis("bottom").setTickDensity(0.5)  # narrow, with three digits to a tick
        plot.getPlotItem().getAxis("left").setWidth(NUMBERS_WIDTH)  # it has no label
        plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._titles[plot] = QLabel()
        self._titles[plot].setWordWrap(True)
        self._titles[plot].setAlignment(Qt.AlignmentFlag.AlignTop)
        return plot

    def _figures(self, result: Remeasurement) -> str:
        stage = title_of(self._session, self._session.selection.stage)
        spread, deviation = number(limit_of(planes(result.residual, self._is_blocks))), number(result.deviation)
        looks = "it is not white: detail that the decoder left out"
        if result.is_white or result.is_rounding:
            looks = "it looks like white noise" if result.is_white else "it is rounding"
        bad = int(result.residual.size - np.count_nonzero(np.isfinite(result.residual)))
        parts = [
            f"{stage}: the residual is {result.share} of the measurement",
            f"its deviation {deviation}",
            looks,
            f"−{spread} is blue, +{spread} red",
        ]
        if bad:
            parts.append(f"{bad} values are no numbers (violet)")
        return "  ·  ".join(parts)

    @property
    def _is_blocks(self) -> bool:
        return self._session.kind.measures == "blocks"

    def _draw_images(self, result: Remeasurement) -> None:
        measured = result.phi_x + result.residual
        y, seen, rest = (planes(image, self._is_blocks) for image in (measured, result.phi_x, result.residual))
        levels = render.levels_of(y, (1.0, 99.0))
        before = self.images[0].size
        self.images[0].show_bytes(grey_or_colour(y, levels))
        self.images[1].show_bytes(grey_or_colour(seen, levels))
        limit = limit_of(rest)
        self.images[2].show_bytes(mapped(rest.mean(axis=0), (-limit, limit), blue_red()))
        if self.images[0].size != before:
            self.show_whole()

    def _draw_histogram(self, result: Remeasurement) -> None:
        """The counts, and the Gaussian of the same mean, deviation and number."""
        plot, edges = self.histogram, result.edges
        plot.clear()
        values = result.residual[np.isfinite(result.residual)].astype(np.float64)
        centre, deviation = float(values.mean()), max(float(values.std()), 1e-30)
        shown = abs(edges) <= max(6 * deviation, 2 * (edges[1] - edges[0]))
        if np.count_nonzero(shown) >= 12:
            counts, edges = result.counts, result.edges
        else:  # a few far values have stretched the bins
            counts, edges = np.histogram(values, bins=61, range=(-6 * deviation, 6 * deviation))
        plot.plot(
            edges, counts, stepMode="center", fillLevel=0, brush=_faint(tokens().curves[0]),
            pen=pen(plot, tokens().curves[0], 1),
        )  # fmt: skip
        reach = np.linspace(max(-6 * deviation, edges[0]), min(6 * deviation, edges[-1]), 200)
        height = values.size * (edges[1] - edges[0]) / (deviation * np.sqrt(2 * np.pi))
        gaussian = height * np.exp(-(((reach - centre) / deviation) ** 2) / 2)
        plot.plot(reach, gaussian, pen=pen(plot, tokens().text, 1.5, is_dashed=True))
        self._title(plot, "Histogram", ("counts", 0), ("Gaussian of the same deviation", None))
        plot.getPlotItem().setXRange(reach[0], reach[-1], padding=0.02)

    def _draw_means(self, result: Remeasurement) -> None:
        self.means.clear()
        rest = planes(result.residual, self._is_blocks)
        names = ("samples", "blocks") if self._is_blocks else ("rows", "columns")
        for curve, axes in enumerate(((0, 2), (0, 1))):
            values = rest.mean(axis=axes)
            stride = max(1, len(values) // MOST_PLOTTED)
            self.means.plot(
                np.arange(len(values))[::stride], values[::stride], pen=self._pen(self.means, curve), connect="finite"
            )
        self.means.addItem(pg.InfiniteLine(0, angle=0, pen=pen(self.means, tokens().dim, 1)), ignoreBounds=True)
        self._title(self.means, "Means of", (names[0], 0), (names[1], 1))
        self.means.getPlotItem().setLabel("bottom", f"{names[0][:-1]} or {names[1][:-1]}")

    def _draw_correlation(self, result: Remeasurement) -> None:
        self.correlation.clear()
        lags = np.arange(1, len(result.autocorrelation_y) + 1)
        for curve, values in enumerate((result.autocorrelation_y, result.autocorrelation_x)):
            self.correlation.plot(
                lags, np.array(values), pen=self._pen(self.correlation, curve), symbol="o", symbolSize=6,
                symbolBrush=tokens().curves[curve], symbolPen=None,
            )  # fmt: skip
        for limit in (-result.white_limit, result.white_limit):
            line = pen(self.correlation, tokens().text, 1, is_dashed=True)
            self.correlation.addItem(pg.InfiniteLine(limit, angle=0, pen=line))
        item = self.correlation.getPlotItem()
        self._title(self.correlation, "Autocorrelation", ("down", 0), ("across", 1), ("limit of white noise", None))
        item.getAxis("bottom").setTickSpacing(1, 1)
        item.setLabel("bottom", "lag (blocks)" if self._is_blocks else "lag (pixels)")
        item.setXRange(lags[0], lags[-1], padding=0.05)

    def _pen(self, plot: pg.PlotWidget, curve: int) -> QPen:
        return pen(plot, tokens().curves[curve], 1.5)

    def _title(self, plot: pg.PlotWidget, heading: str, *curves: tuple[str, int | None]) -> None:
        """A heading with its curves in their colours; one without a colour is dashed."""
        colours = [tokens().text if curve is None else tokens().curves[curve] for _, curve in curves]
        signs = ["┄" if curve is None else "●" for _, curve in curves]
        keys = " &nbsp;".join(
            f"<span style='color:{colour}'>{sign}</span> {words}"
            for (words, _), colour, sign in zip(curves, colours, signs, strict=True)
        )
        self._titles[plot].setText(f"<b>{heading}</b>  <span style='color:{tokens().dim}'>{keys}</span>")


class _Image(QWidget):
    """A picture with its title, zoomed and moved together with its neighbours."""

    def __init__(self, title: str) -> None:
        super().__init__()
        pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)
        self.title = QLabel()
        self.title.setObjectName("heading")
        self.view = pg.GraphicsView()
        self.set_name(title)
        self.view.setFrameShape(pg.GraphicsView.Shape.NoFrame)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, border=None)
        self.view.setCentralItem(self.box)
        self.item = pg.ImageItem()
        self.box.addItem(self.item)
        self.size: tuple[int, int] | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID // 2)
        column.addWidget(self.title)
        column.addWidget(self.view, 1)

    def set_name(self, name: str) -> None:
        """What it is a picture of."""
        self.title.setText(name)
        self.view.setAccessibleName(name)

    def show_bytes(self, picture: np.ndarray) -> None:
        """(H, W) or (H, W, 3) uint8; samples of blocks, much wider than high or the reverse, fill their place."""
        self.size = picture.shape[:2]
        self.box.setAspectLocked(max(self.size) < 4 * min(self.size))
        self.item.setImage(picture, autoLevels=False, levels=(0, 255))
        self.box.setLimits(minXRange=4, minYRange=4)
        self.item.setRect(QRectF(0, 0, self.size[1], self.size[0]))

    def clear(self) -> None:
        self.item.clear()
        self.size = None


def drawn_residual(parts: Parts) -> Drawn | None:
    """The residual of the stage that is looked at, as it is shown, with its bar."""
    result = parts.checking.shown
    if result is None:
        return None
    rest = planes(result.residual, parts.session.kind.measures == "blocks")
    limit = limit_of(rest)
    image = to_image(mapped(rest.mean(axis=0), (-limit, limit), blue_red()))
    ends = (f"−{number(limit)}", f"+{number(limit)}")
    title = f"Residual y − {_model(parts.session)} of {title_of(parts.session, parts.session.selection.stage).lower()}"
    return Drawn(image, title, colours=blue_red(), ends=ends, is_scene=False)


def _model(session: Session) -> str:
    """How the camera sees a result, in the signs of the equations."""
    return "R × L" if is_relit(session) else "Φx"


def planes(image: np.ndarray, is_blocks: bool) -> np.ndarray:
    """What a detector saw as (C', H', W'); samples of blocks as one matrix, a row a sample and a column a block."""
    return image.reshape(1, len(image), -1) if is_blocks else image


def limit_of(residual: np.ndarray) -> float:
    """The magnitude that the ends of the colours stand for: the same below and above zero, never zero."""
    low, high = render.levels_of(np.abs(residual), (0.0, PERCENTILE))
    return max(high, low, float(np.finfo(np.float32).tiny))


def grey_or_colour(image: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """(C', H', W') to (H, W) or, for red, green and blue, (H, W, 3) uint8; what is no number in a colour of its own."""
    if len(image) == len(RGB):
        picture = render.photograph_bytes(image, levels)
    else:
        grey = render.grey_bytes(image[0], levels)
        picture = np.repeat(grey[..., None], 3, axis=2)
    picture[~np.isfinite(image).all(axis=0)] = NAN_COLOUR
    return picture


def _faint(colour: str) -> Sequence[int]:
    red, green, blue, _ = pg.mkColor(colour).getRgb()
    return (red, green, blue, 60)

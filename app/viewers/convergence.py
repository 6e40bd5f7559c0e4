"""How the restoration came about: residual and PSNR of every stage as curves, and every figure in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QSizePolicy, QTableView, QVBoxLayout, QWidget

from lorun_engine.task import STAGE

from ..assembly import Parts
from ..document.wording import Wording
from ..quantities import number, plural
from ..widgets import meanings, theme
from ..widgets.labels import set_look
from ..widgets.plots import AXIS_WIDTH, LEAST_HEIGHT, keep_drawn, new_plot, paint_plot, pen
from ..widgets.theme import Recolours, tokens

if TYPE_CHECKING:
    from lorun_engine.decoding.restore import StageResult

# How the engine's names stand in the table, with the digits that make sense for figures of a fixed range.
HEADINGS = {
    "stage": "#",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "sam": "SAM",
    "matched_psnr": "PSNR*",
    "matched_ssim": "SSIM*",
    "mu": "μ",
    "nu": "ν",
    "rho": "ρ",
    "lambda": "λ",
    "noise_level": "noise",
    "seconds": "s",
}
FORMATS = {"psnr": "{:.2f}", "ssim": "{:.3f}", "matched_psnr": "{:.2f}", "matched_ssim": "{:.3f}"}
RISE = 1e-3  # of the residual; less is nothing to speak of
ROUNDING = 1e-5  # residuals below it are those of float32
MOST_NAMED = 4  # stages in one sentence
FEW_STAGES = 10  # each has a tick of its own
LEAST_RANGE_DB = 0.1  # less is not to be seen as a difference
LEFT_OUT = ("ergas",)  # what the table has no room for; the command line gives it
HINTS = {
    "stage": "Stage",
    "residual": meanings.RESIDUAL,
    "psnr": meanings.PSNR,
    "matched_psnr": meanings.MATCHED.format(meanings.PSNR),
    "matched_ssim": meanings.MATCHED.format(meanings.SSIM),
    "ssim": meanings.SSIM,
    "sam": meanings.SAM,
    "mu": "Penalty of the data step",
    "nu": "How much the variance of the noise adds to that penalty",
    "rho": "Step size of the data step",
    "noise_level": "Noise level that the denoiser assumes",
    "seconds": meanings.SECONDS,
}

AnyIndex = QModelIndex | QPersistentModelIndex


class ConvergenceView(Recolours, QWidget):
    """The card of figures; a row or a point of the curve chooses its stage."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.plot = new_plot("stage", name="")
        self.plot.setMinimumHeight(LEAST_HEIGHT)
        self.plot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.here = pg.InfiniteLine()
        self.plot.addItem(self.here, ignoreBounds=True)
        self.residual = self.plot.plot(symbol="o", symbolSize=5)
        self._add_second_axis()
        self.plot.scene().sigMouseClicked.connect(self._choose_point)
        self.figures = Figures(parts.wording)
        self.table = _Table(self.figures)
        self.rises = QLabel()
        self.rises.setWordWrap(True)
        self.table.selectionModel().currentRowChanged.connect(lambda index, _: self._choose(index.row()))
        frame, column = theme.card("Convergence")
        column.setSpacing(4)
        column.addWidget(self.plot, 2)
        column.addWidget(self.rises)
        column.addWidget(self.table, 3)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        for changed in (parts.session.stage_added, parts.session.restoration_changed, parts.session.opened_changed):
            changed.connect(self.refresh)
        parts.session.selection_changed.connect(self._follow)
        self._say()
        self.recolour()

    def _say(self) -> None:
        """Says everything about stages in the word of the decoder that is shown."""
        bottom = self.plot.getPlotItem().getAxis("bottom")
        falls = "A residual that falls from stage to stage is good; where it rises, look at that stage"
        tip = "A row for each stage; a click chooses it, and its heading says what a figure means"
        for take, sentence in (
            (self.plot.setAccessibleName, "Relative residual and PSNR per stage"),
            (bottom.setLabel, "stage"),
            (self.rises.setAccessibleDescription, "Stages whose residual rises"),
            (self.rises.setToolTip, falls),
            (self.table.setAccessibleName, "Figures per stage"),
            (self.table.setStatusTip, tip),
        ):
            self._parts.wording.say(self, take, sentence)

    def recolour(self) -> None:
        """Gives axes and curves their colours."""
        paint_plot(self.plot, tokens())
        item = self.plot.getPlotItem()
        curves = (("left", self.residual, "residual"), ("right", self.psnr, "PSNR (dB)"))
        for (side, curve, words), colour in zip(curves, tokens().curves, strict=False):
            curve.setPen(pen(self.plot, colour, 2))
            curve.setSymbolPen(None)
            curve.setSymbolBrush(colour)
            item.getAxis(side).setLabel(f"<span style='color:{colour}'>●</span> {words}")
        self.here.setPen(pen(self.plot, tokens().dim, 1, alpha=0.6))
        self.refresh()

    def refresh(self) -> None:
        """Shows the figures of the stages that are there."""
        session = self._session
        rows = session.stages.rows()[: session.num_announced]
        self.figures.show(rows)
        set_look(self.rises, rises_in_words(rows, self._parts.wording.step_name), "warn")
        stages = np.arange(len(rows))
        self.residual.setData(stages, np.array([row.residual for row in rows]))
        psnr = np.array([row.metrics.get("psnr", np.nan) for row in rows])
        has_psnr = bool(np.isfinite(psnr).any())
        self.psnr.setData(stages[: psnr.size if has_psnr else 0], psnr if has_psnr else [])
        self.plot.getPlotItem().getAxis("right").setVisible(has_psnr)
        self.plot.getPlotItem().setXRange(0, max(session.restoration.num_stages, len(rows) - 1, 1), padding=0.03)
        axis = self.plot.getPlotItem().getAxis("bottom")
        axis.setTickSpacing(*((1, 1) if session.restoration.num_stages <= FEW_STAGES else ()))  # no half stages
        self.here.setVisible(bool(rows))
        self.table.fit_columns()
        self._follow()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _add_second_axis(self) -> None:
        """PSNR has an axis of its own at the right; both views share x, and neither locks its aspect."""
        item = self.plot.getPlotItem()
        item.showAxis("right")
        right = item.getAxis("right")
        right.setWidth(AXIS_WIDTH)
        right.enableAutoSIPrefix(False)
        keep_drawn(right)
        self._second = pg.ViewBox(enableMouse=False, enableMenu=False)
        self._second.setZValue(1)
        self._second.setLimits(minYRange=LEAST_RANGE_DB)
        item.scene().addItem(self._second)
        right.linkToView(self._second)
        self._second.setXLink(item.getViewBox())
        self.psnr = pg.PlotDataItem(symbol="o", symbolSize=5)
        self._second.addItem(self.psnr)
        item.getViewBox().sigResized.connect(lambda: self._second.setGeometry(item.getViewBox().sceneBoundingRect()))

    def _follow(self) -> None:
        stage = self._session.selection.stage
        self.here.setValue(stage)
        if stage < self.figures.rowCount() and self.table.currentIndex().row() != stage:
            index = self.figures.index(stage, 0)
            with QSignalBlocker(self.table.selectionModel()):
                self.table.setCurrentIndex(index)
            self.table.viewport().update()
        if stage < self.figures.rowCount():
            self.table.doItemsLayout()  # rows that came just now have no place yet
            self.table.scrollTo(self.figures.index(stage, 0))

    def _choose(self, row: int) -> None:
        if row >= 0 and row != self._session.selection.stage:
            self._parts.looking.select_stage(row)

    def _choose_point(self, event) -> None:
        box = self.plot.getPlotItem().getViewBox()
        if box.sceneBoundingRect().contains(event.scenePos()):
            self._parts.looking.select_stage(round(box.mapSceneToView(event.scenePos()).x()))


class Figures(QAbstractTableModel):
    """The rows of the stages: residual, quality, parameters of the data step, seconds; only what there is."""

    def __init__(self, wording: Wording) -> None:
        super().__init__()
        self._wording = wording
        self._rows: Sequence[StageResult] = ()
        self._rising: set[int] = set()
        self.names: list[str] = []

    def show(self, rows: Sequence[StageResult]) -> None:
        """Takes the rows of all stages so far; those that are known already stay where they are."""
        names, self._rising = _names(rows), set(rising(rows))
        known = len(self._rows)
        if names == self.names and known <= len(rows) and all(a is b for a, b in zip(self._rows, rows, strict=False)):
            if len(rows) > known:
                self.beginInsertRows(QModelIndex(), known, len(rows) - 1)
                self._rows = tuple(rows)
                self.endInsertRows()
            return
        self.beginResetModel()
        self._rows, self.names = tuple(rows), names
        self.endResetModel()

    def text(self, row: int, name: str) -> str:
        """A figure as the table shows it; nothing where a stage has none."""
        if name == "stage":
            return str(self._rows[row].index) if row else "start"
        if name == "residual" and row in self._rising:
            return f"↑ {number(self._rows[row].residual)}"
        value = _figures(self._rows[row]).get(name)
        if name == "seconds" and value is not None:
            return f"{value:.2g}" if value < 10 else f"{value:.0f}"
        return FORMATS[name].format(value) if name in FORMATS and value is not None else number(value)

    def _hint(self, name: str) -> str | None:
        """What a column holds."""
        return self._wording.of(HINTS[name]) if name in HINTS else None

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.names)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole):
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(index.row(), self.names[index.column()])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole and self.names[index.column()] == "residual":
            is_rising = index.row() in self._rising
            return self._wording.of("Higher than in the stage before") if is_rising else HINTS["residual"]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._hint(self.names[index.column()])
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole):
        if orientation == Qt.Orientation.Horizontal:
            name = self.names[section]
            if role == Qt.ItemDataRole.DisplayRole:
                return HEADINGS.get(name, name.replace("_", " "))
            if role == Qt.ItemDataRole.ToolTipRole:
                return self._hint(name)
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


def rising(rows: Sequence[StageResult]) -> list[int]:
    """The stages whose residual is higher than before, by more than RISE of it and not by rounding alone.

    The first stage may: it leaves a start that explains the measurement as closely as it can.
    """
    highest = [max((1 + RISE) * row.residual, ROUNDING) for row in rows]
    return [index for index, row in enumerate(rows[2:], 2) if row.residual > highest[index - 1]]


def rises_in_words(rows: Sequence[StageResult], step_name: str = STAGE) -> str:
    """As "The residual rises in stages 2 and 4.", or nothing; `step_name` is what the decoder calls a stage."""
    stages = rising(rows)
    if not stages:
        return ""
    if len(stages) > MOST_NAMED:
        return f"The residual rises in {len(stages)} of {plural(len(rows) - 1, step_name)} (↑)."
    *most, last = map(str, stages)
    if not most:
        ends = f"{number(rows[stages[0] - 1].residual)} to {number(rows[stages[0]].residual)}"
        return f"The residual rises in {step_name} {last}, from {ends}."
    return f"The residual rises in {step_name}s {', '.join(most)} and {last}."


def _names(rows: Sequence[StageResult]) -> list[str]:
    """The columns that some stage fills: what everybody asks for first, and last what may have to be scrolled to."""
    metrics = {name: None for row in rows for name in row.metrics if name not in LEFT_OUT}
    parameters = {name: None for row in rows for name in row.parameters}
    return ["stage", "residual", *metrics, "seconds", *parameters] if rows else []


def _figures(row: StageResult) -> Mapping[str, float]:
    return {"residual": row.residual, **row.metrics, **row.parameters, "seconds": row.seconds}


class _Table(QTableView):
    """Every column shows its figures whole; what room is left is shared by all."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self.setModel(figures)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self.setWordWrap(False)
        self.setMinimumHeight(96)
        self.setFont(theme.tabular(self.font()))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def fit_columns(self) -> None:
        """Gives every column its width."""
        header, columns = self.horizontalHeader(), range(self.model().columnCount())
        widths = [max(self.sizeHintForColumn(column), header.sectionSizeHint(column)) for column in columns]
        share, rest = divmod(max(self.viewport().width() - sum(widths), 0), max(len(widths), 1))
        for column, width in zip(columns, widths, strict=True):
            header.resizeSection(column, width + share + int(column < rest))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_columns()
        QTimer.singleShot(0, self, lambda: self.scrollTo(self.currentIndex()))  # it stays in sight

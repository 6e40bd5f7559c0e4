"""How the restoration came about: the relative residual of every stage as a curve, and every figure in a table."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from .. import theme
from ..quantities import number
from ..session import Session
from ..theme import Theme
from .plots import new_plot, paint, pen

SYMBOLS = {"mu": "μ", "rho": "ρ", "lambda": "λ", "noise_level": "noise", "psnr": "PSNR", "ssim": "SSIM", "sam": "SAM °"}


class ConvergenceView(QWidget):
    """The card of figures; choosing a row chooses the stage."""

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session, self._theme, self._store = session, tokens, None
        frame, column = theme.card("Convergence")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        self.plot = new_plot("stage", "residual")
        self.plot.setAccessibleName("Relative residual per stage")
        self.plot.setFixedHeight(140)
        self.curve = self.plot.plot([], [], symbolSize=5)
        self.here = self.plot.addLine(x=0)
        column.addWidget(self.plot)
        self.table = QTableWidget(0, 0)
        self.table.setAccessibleName("Figures per stage")
        self.table.setMinimumHeight(160)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setMinimumSectionSize(24)
        self.table.verticalHeader().setDefaultSectionSize(24)
        self.table.setShowGrid(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setFont(theme.tabular(self.table.font()))
        self.table.currentCellChanged.connect(lambda row, *_: self._choose(row))
        column.addWidget(self.table, 1)
        session.stage_added.connect(self._add)
        session.restoration_changed.connect(self.refresh)
        session.opened_changed.connect(self.refresh)
        session.selection_changed.connect(self._follow)
        self.set_theme(tokens)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        paint(self.plot, tokens)
        self.curve.setPen(pen(tokens.accent, 2))
        self.curve.setSymbolPen(None)
        self.curve.setSymbolBrush(tokens.accent)
        self.here.setPen(pen(tokens.dim, 1, alpha=120))
        self.refresh()

    def refresh(self) -> None:
        """Starts anew when other stages are there, and shows those that came meanwhile."""
        if self._session.stages is not self._store:
            self._store = self._session.stages
            self.table.setRowCount(0)
            self.table.setColumnCount(0)
        for index in range(self.table.rowCount(), len(self._session.stages)):
            self._append(index)
        self._draw()
        self._follow()

    def _add(self, index: int) -> None:
        self.refresh()

    def _append(self, index: int) -> None:
        row = self._session.stages.row(index)
        figures = {"stage": index, "residual": row.residual, **row.metrics, **row.parameters, "s": row.seconds}
        if index <= 1:  # the initial estimate has no parameters yet
            names = list(figures)
            self.table.setColumnCount(len(names))
            self.table.setHorizontalHeaderLabels([SYMBOLS.get(name, name) for name in names])
            self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            self._names = names
            if index == 1 and self.table.rowCount():
                self.table.setRowCount(0)
                self._append_values(0, {"stage": 0, **self._figures(0)})
        self._append_values(index, figures)

    def _figures(self, index: int) -> dict[str, float]:
        row = self._session.stages.row(index)
        return {"residual": row.residual, **row.metrics, **row.parameters, "s": row.seconds}

    def _append_values(self, index: int, figures: dict[str, float]) -> None:
        self.table.insertRow(index)
        for column, name in enumerate(self._names):
            value = figures.get(name)
            item = QTableWidgetItem(str(value) if name == "stage" else number(value))
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            self.table.setItem(index, column, item)

    def _draw(self) -> None:
        residuals = [row.residual for row in self._session.stages.rows()]
        self.curve.setData(np.arange(len(residuals)), np.asarray(residuals))
        self.here.setVisible(bool(residuals))

    def _follow(self) -> None:
        stage = self._session.selection.stage
        self.here.setValue(stage)
        if self.table.currentRow() != stage and stage < self.table.rowCount():
            self.table.blockSignals(True)
            self.table.setCurrentCell(stage, 0)
            self.table.scrollToItem(self.table.item(stage, 0))
            self.table.blockSignals(False)

    def _choose(self, row: int) -> None:
        if row >= 0 and row != self._session.selection.stage:
            self._session.select_stage(row)

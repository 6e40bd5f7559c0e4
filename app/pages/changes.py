"""What an adapter set changes, drawn: a heat map of ||dW|| / ||W|| by stage and layer, and dW of one layer by stage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from ..quantities import number
from ..widgets import theme
from ..widgets.colours import blue_red, mapped, to_image, viridis
from ..widgets.theme import tokens

if TYPE_CHECKING:
    from lorun_engine.library.inspection import ChangeTable

ENERGY = "‖ΔW‖ / ‖W‖"
ROW_HEIGHT, NAMES_WIDTH, LEAST_NAMES_WIDTH = 22, 216, 96  # px
LEAST_CELL, LEAST_CELL_WITH_WORDS = 26, 52  # px
_BAR_HEIGHT, _GAP, _CAPTION, _LEAST_HEIGHT = 10, 12, 20, 24  # px
_STEPS = 256
_DOMINATES = 10  # times the median ratio: from there on the colours are logarithmic
_LOG_SPAN = 1000  # from the darkest to the brightest colour at most, where they are
_CLIP = 98  # percentile of the ratios that has the brightest colour
_MOST_STRETCH = 2.5  # that a number of a matrix is drawn wider than high, or higher than wide
_INDENT = "    "


class Row(NamedTuple):
    """A row of the heat map: a layer, or with None the heading of those that follow."""

    words: str
    layer: str | None


def layer_words(layer: str) -> str:
    """A parameter's name as people read it: "encode1.attention.to_qkv.weight" is "encode 1 · attention · qkv"."""
    *path, last = layer.split(".")
    words: list[str] = []
    for part in path or [last]:
        if part.isdigit() and words:  # the number in a list belongs to what the list is called
            words[-1] += f" {part}"
            continue
        words.append(re.sub(r"(?<=[a-z])(?=\d)", " ", part.removeprefix("to_").replace("_", " ")))
    if path and last != "weight":
        words[-1] += f", {last.replace('_', ' ')}"
    return " · ".join(words)


def grouped(layers: Sequence[str]) -> list[Row]:
    """The layers with a heading above those of one block; a block of one layer needs none."""
    words = [layer_words(layer).split(" · ") for layer in layers]
    rows, heading = [], None
    for place, (first, *others) in enumerate(words):
        near = [words[beside][0] for beside in (place - 1, place + 1) if 0 <= beside < len(words)]
        if not others or first not in near:
            rows.append(Row(" · ".join((first, *others)), layers[place]))
            continue
        if first != heading:
            rows.append(Row(first, None))
        heading = first
        rows.append(Row(_INDENT + " · ".join(others), layers[place]))
    return rows


class HeatMap(QWidget):
    """Rows are layers, columns stages; the number in a cell is the effective rank of dW beside the rank it has."""

    layer_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.model = _Cells(self)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setObjectName("changes")
        self.view.setAccessibleName(f"{ENERGY} by layer and stage")
        self.view.setItemDelegate(_Painter(self))
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setShowGrid(False)
        self.view.setMouseTracking(True)
        self.view.setCornerButtonEnabled(False)
        self.view.setFrameShape(QTableView.Shape.NoFrame)
        self.view.setTabKeyNavigation(False)
        names, stages = self.view.verticalHeader(), self.view.horizontalHeader()
        names.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        names.setMinimumSectionSize(ROW_HEIGHT)
        names.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        names.setDefaultSectionSize(ROW_HEIGHT)
        names.setTextElideMode(Qt.TextElideMode.ElideRight)
        stages.setMinimumSectionSize(LEAST_CELL)
        stages.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.bar = ColourBar()
        self.bar_title = QLabel(ENERGY)
        self.bar_title.setToolTip("A ratio, without a unit: the size of the change over that of the weights")
        self.legend = QLabel("In the cells: effective rank of ΔW / rank given")
        for label in (self.bar_title, self.legend):
            label.setObjectName("dim")
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.value = QLabel()
        self.value.setAccessibleDescription("Value at the cursor")
        self.value.setFont(theme.tabular(self.font()))
        self.value.setWordWrap(True)
        self.value.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.value.setFixedHeight(2 * self.value.fontMetrics().lineSpacing())  # the map must not jump with the words
        above = QHBoxLayout()
        above.setSpacing(2 * theme.GRID)
        above.addWidget(self.bar_title)
        above.addWidget(self.bar, 1)
        above.addStretch(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addLayout(above)
        column.addWidget(self.legend)
        column.addWidget(self.view, 1)
        column.addWidget(self.value)
        self.view.entered.connect(self._show_value)
        self.view.clicked.connect(self._choose)
        self.view.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Names give way to cells where there is little room; they are whole in their tooltips."""
        super().resizeEvent(event)
        width = max(LEAST_NAMES_WIDTH, min(NAMES_WIDTH, self.width() // 2))
        self.view.verticalHeader().setFixedWidth(width)

    def show_table(self, table: ChangeTable | None) -> None:
        """Draws a table of changes; None empties the map."""
        self.model.take(table)
        self.view.clearSpans()
        self.value.setText("")
        self.view.horizontalHeader().setVisible(table is not None)
        self.bar.show_range(self.model.lowest, self.model.highest, viridis(), is_clipped=self.model.is_clipped)
        self.bar_title.setText(f"{ENERGY}, logarithmic" if self.model.lowest else ENERGY)
        for widget in (self.bar, self.bar_title):
            widget.setVisible(table is not None)
        self.legend.setVisible(table is not None and bool(table.ranks.any()))

    def show_layer(self, layer: str | None) -> None:
        """Marks the row of a layer and brings it into sight."""
        row = next((at for at, row in enumerate(self.model.rows) if layer is not None and row.layer == layer), None)
        if row is not None and self.view.currentIndex().row() != row:
            index = self.model.index(row, max(self.view.currentIndex().column(), 0))
            self.view.setCurrentIndex(index)
            self.view.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    def _choose(self, index: QModelIndex) -> None:
        layer = self.model.rows[index.row()].layer if index.isValid() else None
        if layer is not None:
            self.layer_chosen.emit(layer)
            self._show_value(index)

    def _show_value(self, index: QModelIndex) -> None:
        self.value.setText(self.model.words(index))
        self.value.setToolTip(self.model.rows[index.row()].layer or "")


class ColourBar(QWidget):
    """The colours of a map with the numbers at their ends."""

    def __init__(self) -> None:
        super().__init__()
        self._low = self._high = 0.0
        self._is_clipped = False
        self._colours = viridis()
        self.setFont(theme.tabular(self.font()))
        self.setFixedHeight(20)
        self.setMinimumWidth(120)
        self.setMaximumWidth(232)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_range(self, low: float, high: float, colours: np.ndarray, *, is_clipped: bool = False) -> None:
        """Shows (256, 3) uint8 `colours` of the numbers from `low` to `high`; `is_clipped`: there are higher ones."""
        self._low, self._high, self._colours, self._is_clipped = low, high, colours, is_clipped
        self.setAccessibleName(f"Colours from {number(low)} to {number(high)}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        low, high = (number(end) if end else "0" for end in (self._low, self._high))
        high = f"≥ {high}" if self._is_clipped else high
        painter = QPainter(self)
        painter.setPen(QColor(tokens().dim))
        metrics, middle = self.fontMetrics(), Qt.AlignmentFlag.AlignVCenter
        start = metrics.horizontalAdvance(low) + 6
        end = self.width() - metrics.horizontalAdvance(high) - 6
        painter.drawText(self.rect(), middle | Qt.AlignmentFlag.AlignLeft, low)
        painter.drawText(self.rect(), middle | Qt.AlignmentFlag.AlignRight, high)
        bar = QRect(start, (self.height() - _BAR_HEIGHT) // 2, end - start, _BAR_HEIGHT)
        painter.drawImage(bar, to_image(self._colours[None]))
        painter.end()


class MatrixWall(QWidget):
    """dW of one layer for every stage as pictures side by side, all on one scale around zero."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = ColourBar()
        self.pictures = _Matrices()
        self.value = QLabel()
        self.value.setAccessibleDescription("Change at the cursor")
        self.value.setFont(theme.tabular(self.font()))
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar_title = QLabel("ΔW, in the unit of the weights")
        self.bar_title.setObjectName("dim")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addWidget(self.bar_title)
        column.addWidget(self.bar)
        column.addWidget(self.pictures, 1)
        column.addWidget(self.value)
        self.pictures.pointed.connect(self.value.setText)

    def show_changes(self, changes: Sequence[np.ndarray | None]) -> None:
        """Draws a matrix for every stage; None is a stage that leaves the layer alone."""
        self.pictures.take(changes)
        for widget in (self.bar, self.bar_title):
            widget.setVisible(bool(changes))
        self.bar.show_range(-self.pictures.largest, self.pictures.largest, blue_red())
        self.value.setText("")


class _Cells(QAbstractTableModel):
    """The numbers of the heat map."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        self.table: ChangeTable | None = None
        self.highest, self.is_clipped = 0.0, False
        self.lowest = 0.0  # of the colours; above 0 where they are logarithmic
        self._at: dict[str, int] = {}
        self._colours = viridis()

    def take(self, table: ChangeTable | None) -> None:
        self.beginResetModel()
        self.table = table
        self.rows = [] if table is None else grouped(table.layers)
        self._at = {} if table is None else {layer: at for at, layer in enumerate(table.layers)}
        finite = np.zeros(0) if table is None else table.ratios[np.isfinite(table.ratios)]
        most = float(finite.max(initial=0.0))
        self.highest = float(np.percentile(finite, _CLIP)) if finite.size else 0.0  # one outlier must not hide the rest
        self.highest = self.highest or most
        self.is_clipped = self.highest < most
        some = finite[finite > 0]
        is_dominated = some.size > 0 and most > _DOMINATES * float(np.median(some))
        if is_dominated:  # a logarithm has room for all
            self.highest, self.is_clipped = most, False
        self.lowest = max(float(some.min()), most / _LOG_SPAN) if is_dominated else 0.0
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt's signature)
        return len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt's signature)
        return 0 if self.table is None else self.table.num_stages

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal:
            is_wide = self.parent().view.columnWidth(section) >= LEAST_CELL_WITH_WORDS
            return (f"Stage {section + 1}" if is_wide else str(section + 1)) if role == 0 else None
        row = self.rows[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.words
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.layer
        if role == Qt.ItemDataRole.FontRole and row.layer is None:
            font = QFont(self.parent().font())
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.words(index)
        return self.ranks(index) if role == Qt.ItemDataRole.DisplayRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        is_layer = self.rows[index.row()].layer is not None
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable if is_layer else Qt.ItemFlag.NoItemFlags

    def ratio(self, index: QModelIndex) -> float | None:
        """The ratio of a cell; None for one of a heading."""
        layer = self.rows[index.row()].layer
        return None if layer is None else float(self.table.ratios[index.column(), self._at[layer]])

    def colour(self, ratio: float) -> QColor:
        return QColor(*map(int, self._colours[round(self.share(ratio) * (_STEPS - 1))]))

    def share(self, ratio: float) -> float:
        """Where a ratio lies between the darkest colour, 0, and the brightest, 1."""
        if not np.isfinite(ratio):
            return 1.0
        if self.lowest:
            return float(np.log(max(ratio, self.lowest) / self.lowest) / np.log(self.highest / self.lowest))
        return min(ratio / self.highest, 1.0) if self.highest else 0.0

    def ranks(self, index: QModelIndex) -> str:
        """As "1.9 / 2"; nothing for full differences."""
        layer = self.rows[index.row()].layer
        if layer is None:
            return ""
        at = self._at[layer]
        effective = self.table.effective_ranks[index.column(), at]
        return "" if np.isnan(effective) else f"{effective:.1f} / {self.table.ranks[at]}"

    def words(self, index: QModelIndex) -> str:
        """What a cell says, in full."""
        ratio = self.ratio(index)
        if ratio is None:
            return ""
        place = f"Stage {index.column() + 1}, {layer_words(self.rows[index.row()].layer)}:"
        if np.isnan(ratio):
            return f"{place} not changed"
        if np.isinf(ratio):
            return f"{place} changed where the backbone has zeros"
        ranks = self.ranks(index).replace(" / ", "\u00a0of\u00a0")  # not broken between lines
        return f"{place} {ENERGY} {number(ratio)}" + (f", effective rank {ranks}" if ranks else "")


class _Painter(QStyledItemDelegate):
    """A cell in its colour; numbers where there is room for them, a frame around the row that is looked at."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        heat_map: HeatMap = self.parent()
        cells = heat_map.model
        ratio = cells.ratio(index)
        if ratio is None:
            return
        area = option.rect.adjusted(1, 1, -1, -1)
        painter.save()
        if np.isnan(ratio):
            painter.setPen(QColor(tokens().dim))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "–")
        else:
            colour = cells.colour(ratio)
            painter.fillRect(area, colour)
            words = "new" if np.isinf(ratio) else cells.ranks(index)
            if words and area.width() >= LEAST_CELL_WITH_WORDS - 2:
                is_bright = colour.lightnessF() > 0.42 or colour.greenF() > 0.55
                painter.setPen(QColor("#10151c" if is_bright else "#ffffff"))
                font = QFont(heat_map.font())
                font.setPointSizeF(font.pointSizeF() * 0.85)
                painter.setFont(theme.tabular(font))
                painter.drawText(area, Qt.AlignmentFlag.AlignCenter, words)
        if heat_map.view.currentIndex().row() == index.row():
            accent, whole = QColor(tokens().accent), option.rect
            painter.fillRect(QRect(whole.left(), whole.top(), whole.width(), 2), accent)
            painter.fillRect(QRect(whole.left(), whole.bottom() - 1, whole.width(), 2), accent)
        painter.restore()


class _Matrices(QWidget):
    """The pictures of `MatrixWall`, as large as they all fit."""

    pointed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0.0
        self._changes: list[np.ndarray | None] = []
        self._images: list[QImage | None] = []
        self.setMouseTracking(True)
        self.setMinimumSize(160, 120)
        self.setAccessibleName("Change of the layer by stage")

    def take(self, changes: Sequence[np.ndarray | None]) -> None:
        self._changes = list(changes)
        known = [change for change in changes if change is not None]
        self.largest = max((float(np.abs(change).max(initial=0)) for change in known), default=0.0)
        levels = (-self.largest, self.largest) if self.largest else (-1.0, 1.0)
        self._images = [None if change is None else to_image(mapped(change, levels, blue_red())) for change in changes]
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 320)

    def places(self) -> list[QRectF]:
        """Where the picture of every stage lies: in as many columns as make them largest."""
        count = len(self._changes)
        rows, columns = next((change.shape for change in self._changes if change is not None), (1, 1))
        best = (0.0, 0.0, 1)  # width, height, columns of pictures
        for across in range(1, count + 1):
            down = -(-count // across)
            width = (self.width() - 1 - (across - 1) * _GAP) / across
            height = (self.height() - 1 - (down - 1) * _GAP) / down - _CAPTION
            scale = min(width / columns, height / rows)
            width = min(width, columns * scale * _MOST_STRETCH)
            height = max(min(height, rows * scale * _MOST_STRETCH), min(height, _LEAST_HEIGHT))
            if scale > 0:
                best = max(best, (width, height, across), key=lambda found: found[0] * found[1])
        width, height, across = best
        lefts = [(at % across) * (width + _GAP) for at in range(count)]
        tops = [(at // across) * (height + _CAPTION + _GAP) + _CAPTION for at in range(count)]
        return [QRectF(left, top, width, height) for left, top in zip(lefts, tops, strict=True)]

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        for at, (place, image) in enumerate(zip(self.places(), self._images, strict=True)):
            painter.setPen(QColor(tokens().dim))
            caption = QRectF(place.left(), place.top() - _CAPTION, max(place.width(), 60), _CAPTION)
            painter.drawText(caption, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, f"Stage {at + 1}")
            if image is None:
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "not changed")
            else:
                painter.drawImage(place, image)
            painter.setPen(QColor(tokens().line))
            painter.drawRect(place)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.pointed.emit(self._words(event.position().toPoint()))

    def leaveEvent(self, event: object) -> None:
        self.pointed.emit("")

    def _words(self, point: QPoint) -> str:
        for at, place in enumerate(self.places()):
            change = self._changes[at]
            if change is None or not place.contains(point):
                continue
            row = min(int((point.y() - place.top()) / place.height() * change.shape[0]), change.shape[0] - 1)
            column = min(int((point.x() - place.left()) / place.width() * change.shape[1]), change.shape[1] - 1)
            return f"Stage {at + 1}, row {row + 1}, column {column + 1}: ΔW {number(float(change[row, column]))}"
        return ""

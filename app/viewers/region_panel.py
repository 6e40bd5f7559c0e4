"""The list of points and regions: tools to draw them, what was measured in each, and their coordinates as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.io.spectra import spectral_angles

from ..assembly import Parts
from ..document.regions import SHAPES, Region, Shape, shape_words
from ..document.relight import shown_stage
from ..document.selection import REFERENCE
from ..quantities import exact
from ..widgets import theme
from ..widgets.theme import GRID, Recolours
from .pictures import title_of
from .regions import region_colour
from .subjects import chosen_stage

KEYS = {"point": "P", "rectangle": "R", "ellipse": "E", "polygon": "G"}
NO_NUMBER = "–"
DOT = 10  # px
ROW_HEIGHT = 24

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RegionPanel(Recolours, QWidget):
    """Obeys `session.regions`; every control calls one of its verbs."""

    export_requested = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self.tools: dict[Shape, QPushButton] = {}
        self.table = _new_table()
        self.table.itemSelectionChanged.connect(self._choose)
        self.hint = QLabel()
        self.hint.setObjectName("dim")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.place = _PlaceEditor(parts)
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(lambda: parts.regions.remove(parts.regions.chosen_number))
        self.export = QPushButton("Export all…")
        self.export.clicked.connect(self.export_requested)
        self._lay_out()
        for changed in (
            parts.regions.changed,
            parts.regions.tool_changed,
            parts.session.selection_changed,
            parts.session.stage_added,
            parts.session.restoration_changed,
            parts.session.opened_changed,
        ):
            changed.connect(self.refresh)
        self.refresh()

    def recolour(self) -> None:
        """Gives the places the colours of their curves."""
        self.refresh()

    def refresh(self) -> None:
        """Shows the places as they are."""
        session, regions = self._session, self._parts.regions
        is_photograph = session.kind.is_photograph
        for shape, button in self.tools.items():
            words = shape_words(shape, is_photograph=is_photograph)
            button.setText(words.capitalize())
            button.setAccessibleName(f"Draw a {words}")
            button.setVisible(shape in regions.shapes)
            button.setChecked(shape == regions.tool)
        self.heading.setText("Rows and zoom boxes" if is_photograph else "Points and regions")
        self.table.setVisible(bool(regions.all))
        self.hint.setText(self._words())
        self.place.show_region(regions.chosen)
        self.remove.setEnabled(regions.chosen is not None)
        can_export = bool(regions.all) and session.num_announced > 0 and not session.restoration.is_busy
        self.export.setEnabled(can_export)
        if self.isVisible():
            self._fill()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self._fill()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("")
        frame.setAccessibleName("Points and regions")
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        column.addWidget(self.heading)
        row = QHBoxLayout()
        row.setSpacing(4)
        for shape in SHAPES:
            button = QPushButton()
            button.setCheckable(True)
            button.setToolTip(f"Draw on any pane ({KEYS[shape]}); Enter draws in the middle of the pane")
            button.clicked.connect(lambda _=False, shape=shape: self._parts.regions.set_tool(shape))
            self.tools[shape] = button
            row.addWidget(button)
        row.addStretch()
        column.addLayout(row)
        column.addWidget(self.hint)
        column.addWidget(self.table, 1)
        column.addWidget(self.place)
        ends = QHBoxLayout()
        ends.setSpacing(GRID)
        ends.addWidget(self.remove)
        ends.addStretch()
        ends.addWidget(self.export)
        column.addLayout(ends)
        column.addStretch()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def _words(self) -> str:
        """What to do with the tool in hand, or what the figures are of."""
        regions, is_photograph = self._parts.regions, self._session.kind.is_photograph
        if regions.tool is not None:
            return {
                "point": "Click on a picture; every click keeps one. Esc ends it.",
                "rectangle": "Drag over a picture. Enter puts one in its middle.",
                "ellipse": "Drag over a picture. Enter puts one in its middle.",
                "polygon": "Click the corners on a picture; Enter or a double click closes it.",
            }[regions.tool]
        if not regions.all and is_photograph:
            return (
                "Keep rows of pixels as curves, or draw a zoom box: every pane shows it enlarged, with its PSNR and "
                "SSIM where there is a reference."
            )
        if not regions.all:
            return (
                "Keep points or draw regions on any pane. Each has a colour of its own, and in it the mean of its "
                "spectra with one standard deviation."
            )
        if self._session.num_announced:
            of = title_of(self._session, chosen_stage(self._session))
            if not is_photograph:
                wavelengths_nm, band = self._session.measurement.wavelengths_nm, self._session.selection.band
                of += f", band {band + 1}" if wavelengths_nm is None else f" at {wavelengths_nm[band]:.1f} nm"
            return f"{of}. Arrow keys move the chosen one, Delete removes it."
        return "Measured once this is decoded."

    def _fill(self) -> None:
        """Writes the table: one row a place."""
        regions, table = self._parts.regions, self.table
        table.blockSignals(True)
        self._write_headings(self._headings())
        table.setRowCount(len(regions.all))
        for row, region in enumerate(regions.all):
            for column, words in enumerate((regions.title(region), *self._figures(region))):
                if table.item(row, column) is None:
                    table.setItem(row, column, QTableWidgetItem())
                    table.item(row, column).setTextAlignment(_LEFT if column == 0 else _RIGHT)
                if table.item(row, column).text() != words:
                    table.item(row, column).setText(words)
            first = table.item(row, 0)
            first.setIcon(_dot(region_colour(region.number)))
            first.setData(Qt.ItemDataRole.UserRole, region.number)
            if region.number == regions.chosen_number and table.currentRow() != row:
                table.selectRow(row)
        if regions.chosen is None:
            table.setCurrentItem(None)
        table.setMaximumHeight(table.horizontalHeader().sizeHint().height() + (len(regions.all) + 1) * ROW_HEIGHT)
        table.blockSignals(False)

    def _write_headings(self, headings: list[str]) -> None:
        table = self.table
        if [table.horizontalHeaderItem(column).text() for column in range(table.columnCount())] == headings:
            return
        table.setRowCount(0)
        table.setColumnCount(len(headings))
        table.setHorizontalHeaderLabels(headings)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, len(headings)):
            table.horizontalHeaderItem(column).setTextAlignment(_RIGHT)

    def _headings(self) -> list[str]:
        has_reference = self._parts.regions.has_reference
        if self._session.kind.is_photograph:
            return ["place", *(["PSNR dB", "SSIM"] if has_reference else ["px"])]
        return ["place", "px", "mean", "std", *(["to reference"] if has_reference else [])]

    def _figures(self, region: Region) -> list[str]:
        """What was measured of a place in the chosen stage; a dash while it is not known."""
        session, regions = self._session, self._parts.regions
        num_columns = len(self._headings()) - 1
        if not session.num_announced:
            return num_columns * [NO_NUMBER]
        stage = chosen_stage(session)
        if session.kind.is_photograph:
            if not regions.has_reference:
                return [str(region.pixels(regions.size)[1].size) if region.shape == "rectangle" else NO_NUMBER]
            image = shown_stage(session, stage)
            figures = regions.figures(region, stage, image) if region.shape == "rectangle" else None
            names = ("psnr", ".2f"), ("ssim", ".3f")
            return [NO_NUMBER if figures is None else _number(figures[name], places) for name, places in names]
        curve, true = regions.curve(region, stage), regions.curve(region, REFERENCE)
        if curve is None:
            return num_columns * [NO_NUMBER]
        band = min(session.selection.band, len(curve.mean) - 1)
        std = _number(curve.std[band], ".3f") if curve.num_pixels > 1 else NO_NUMBER
        words = [str(curve.num_pixels), _number(curve.mean[band], ".3f"), std]
        if regions.has_reference:
            degrees = np.nan if true is None else float(spectral_angles(true.mean, curve.mean[None])[0])
            words.append(NO_NUMBER if np.isnan(degrees) else f"{degrees:.2f}°")
        return words

    def _choose(self) -> None:
        row = self.table.currentRow()
        if row >= 0 and self.table.selectedItems():
            self._parts.regions.choose(self.table.item(row, 0).data(Qt.ItemDataRole.UserRole))


class _PlaceEditor(QWidget):
    """The coordinates of the chosen place: x, y, width and height, or the corners of a polygon."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self._region: Region | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self._labels, self.numbers = [], []
        for words, name in (("x", "x"), ("y", "y"), ("w", "Width"), ("h", "Height")):
            label, number = QLabel(words), QSpinBox()
            label.setObjectName("dim")
            number.setAccessibleName(f"{name} of the chosen place, in pixels")
            number.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            number.setKeyboardTracking(False)
            number.setMaximum(1 << 20)
            number.valueChanged.connect(self._take_numbers)
            row.addWidget(label)
            row.addWidget(number, 1)
            self._labels.append(label)
            self.numbers.append(number)
        self.corners = QLineEdit()
        self.corners.setAccessibleName("Corners of the chosen polygon as x, y; x, y; …")
        self.corners.setToolTip("The corners as x, y; x, y; … in pixels. Enter takes them.")
        self.corners.returnPressed.connect(self._take_corners)
        row.addWidget(self.corners)

    def show_region(self, region: Region | None) -> None:
        """Shows the coordinates of a place; nothing for None."""
        self.setVisible(region is not None)
        if region is None or region == self._region:
            self._region = region
            return
        self._region = region
        y0, x0, y1, x1 = region.bounds
        is_polygon = region.shape == "polygon"
        for index, (label, number, value) in enumerate(
            zip(self._labels, self.numbers, (x0, y0, x1 - x0, y1 - y0), strict=True)
        ):
            is_shown = not is_polygon and (index < 2 or region.shape != "point")
            label.setVisible(is_shown)
            number.setVisible(is_shown)
            number.blockSignals(True)
            number.setValue(round(value))
            number.blockSignals(False)
        self.corners.setVisible(is_polygon)
        self.corners.setText("; ".join(f"{exact(x)}, {exact(y)}" for y, x in region.corners))

    def _take_numbers(self) -> None:
        region = self._region
        if region is None or region.shape == "polygon":
            return
        (y0, x0, y1, x1), shown = region.bounds, [number.value() for number in self.numbers]
        exactly = (x0, y0, x1 - x0, y1 - y0)  # what nobody touched stays as it is, whole or not
        x, y, width, height = (value if new == round(value) else new for new, value in zip(shown, exactly, strict=True))
        corners = [(y, x)] if region.shape == "point" else [(y, x), (y + height, x + width)]
        self._edit(region, corners)

    def _take_corners(self) -> None:
        try:
            corners = [tuple(map(float, pair.split(",")))[::-1] for pair in self.corners.text().split(";")]
        except ValueError:
            corners = []
        is_good = len(corners) >= 3 and all(len(corner) == 2 for corner in corners)
        self._edit(self._region, corners if is_good else self._region.corners)

    def _edit(self, region: Region, corners: Sequence[tuple[float, float]]) -> None:
        """Takes numbers that make a place; others go back to what they were."""
        self._parts.regions.edit(region.number, corners)
        self._region = None
        self.show_region(self._parts.regions.chosen)


def _new_table() -> QTableWidget:
    table = QTableWidget()
    table.setTabKeyNavigation(False)  # Tab leaves it
    table.setAccessibleName("Points and regions")
    table.setFont(theme.tabular(table.font()))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setShowGrid(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(_LEFT)
    header.setMinimumSectionSize(40)
    table.setMinimumHeight(60)
    return table


def _number(value: float, places: str) -> str:
    return f"{value:{places}}" if np.isfinite(value) else NO_NUMBER


@lru_cache(maxsize=32)
def _dot(colour: str) -> QIcon:
    picture = QPixmap(2 * DOT, 2 * DOT)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(1, 1, 2 * DOT - 2, 2 * DOT - 2)
    painter.end()
    picture.setDevicePixelRatio(2)
    return QIcon(picture)

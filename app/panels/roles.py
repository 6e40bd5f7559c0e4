"""The page with roles and geometry: every array with what it was taken for and why, and everything that was guessed.

A change is applied at once, can be undone, and is remembered for the folder. The window stays usable beside it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.io import OpenOptions, RoleRow, RoleTable
from lorun_engine.io.reading import reading_of
from lorun_engine.io.roles import UNUSED
from lorun_engine.task import DEFAULT

from ..assembly import Parts
from ..quantities import exact, number, size
from ..widgets import theme
from ..widgets.colours import to_image
from ..widgets.forms import Form
from .measurement import Misfit
from .remarks import FIELDS, found_values

THUMBNAIL = 48
MOST_ROWS = 5  # more of them scroll
COLUMNS = ("", "Array", "Role", "Why", "Shape", "Axes", "Type", "Min", "Max", "NaN", "Scale")


class RolesPage(QDialog):
    """Not modal: what it changes shows in the window while it is open."""

    add_requested = Signal()

    def __init__(self, parts: Parts, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._corrections = parts.session, parts.corrections
        self.setWindowTitle("Roles and geometry")
        self.setModal(False)
        self.resize(1080, 760)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.setSpacing(theme.GRID)
        self.misfit = Misfit(parts, most_solutions=12)
        outer.addWidget(self.misfit)

        frame, column = theme.card("What was found in the files")
        self.roles: list[QComboBox] = []
        self.table = _make_table()
        column.addWidget(self.table)
        outer.addWidget(frame, 2)

        frame, column = theme.card("Geometry and scale")
        hint = QLabel("What you leave open is taken as found. Corrections are remembered for this folder.")
        hint.setObjectName("dim")
        column.addWidget(hint)
        self.form = Form(OpenOptions(), FIELDS)
        self.form.edited.connect(self._correct)
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
        area.setWidgetResizable(True)
        self.form.setObjectName("column")
        area.setWidget(self.form)
        column.addWidget(area)
        self._area = area
        outer.addWidget(frame, 3)
        outer.addLayout(self._buttons())
        parts.session.opened_changed.connect(self._show_if_seen)
        self._show()

    def ask(self, name: str) -> None:
        """Shows itself with the focus in the field of this name."""
        self.show()
        self.raise_()
        self.activateWindow()
        editor = self.form.editors[name]
        self._area.ensureWidgetVisible(editor)
        editor.setFocus()

    def _buttons(self) -> QHBoxLayout:
        add, forget, close = QPushButton("Add files…"), QPushButton("Take everything as found"), QPushButton("Close")
        undo = QPushButton("Undo")
        undo.setEnabled(False)
        add.clicked.connect(self.add_requested)
        forget.clicked.connect(lambda: self._corrections.correct(OpenOptions(), text="taking everything as found"))
        undo.clicked.connect(self._corrections.undo)
        close.clicked.connect(self.close)
        self._corrections.canUndoChanged.connect(undo.setEnabled)
        line = QHBoxLayout()
        for button in (add, forget, undo):
            line.addWidget(button)
        line.addStretch(1)
        line.addWidget(close)
        for button in (add, forget, undo, close):
            button.setAutoDefault(False)  # Enter in a field commits it and does not press a button
        return line

    def _correct(self, options: OpenOptions, label: str) -> None:
        """Applies an edit; roles that another task does not know are left to be found again."""
        if options.task != self._session.options.task:
            known = {UNUSED} if options.task is None else {*reading_of(options.task).ROLES, UNUSED}
            options = replace(options, roles=tuple(pair for pair in options.roles if pair[1] in known))
        self._corrections.correct(options, text=label.lower())

    def showEvent(self, event: QShowEvent) -> None:
        self._show()
        super().showEvent(event)

    def _show_if_seen(self) -> None:
        """Of what is opened while nobody looks, nothing is drawn."""
        if self.isVisible():
            self._show()

    def _show(self) -> None:
        table = self._session.role_table
        rows = () if table is None else sorted_rows(table)
        self.roles = []
        self.table.setRowCount(len(rows))
        for line, row in enumerate(rows):
            self._show_row(line, row)
        self.table.resizeColumnsToContents()
        self.table.setColumnWidth(0, THUMBNAIL + 8)
        self.table.setColumnWidth(2, 150)
        self.table.setMinimumHeight(min(len(rows), MOST_ROWS) * (THUMBNAIL + 8) + 32)
        self.form.setEnabled(table is not None)
        options = reading_of(DEFAULT if table is None else table.task).OPTIONS
        self.form.show_fields(("task", *(option.field for option in options)))
        self.form.show_values(self._session.options, {} if table is None else found_values(table))

    def _show_row(self, line: int, row: RoleRow) -> None:
        picture = QTableWidgetItem(QIcon(thumbnail(row.found.array)), "")
        self.table.setItem(line, 0, picture)
        name = row.found.path.name if row.found.key is None else f"{row.found.path.name}\n{row.found.key}"
        texts = (
            name,
            "",
            row.reason,
            size(row.shape),
            row.axes,
            str(row.dtype),
            number(row.minimum),
            number(row.maximum),
            str(row.num_nan) if row.num_nan else "none",
            "as it is" if row.scale == 1 else f"÷ {exact(row.scale)}",
        )
        for column, text in enumerate(texts, start=1):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            self.table.setItem(line, column, item)
        box = QComboBox()
        box.setAccessibleName(f"Role of {name}")
        for role in (*reading_of(self._session.role_table.task).ROLES, UNUSED):
            box.addItem(role, role)
        box.setCurrentIndex(box.findData(row.role or UNUSED))
        box.activated.connect(lambda index, row=row, box=box: self._assign(row, box.itemData(index)))
        cell = QWidget()
        centred = QVBoxLayout(cell)
        centred.setContentsMargins(0, 0, 8, 0)
        centred.addWidget(box, 0, Qt.AlignmentFlag.AlignVCenter)
        self.table.setCellWidget(line, 2, cell)
        self.roles.append(box)

    def _assign(self, row: RoleRow, role: str) -> None:
        """Gives an array another role; the array that had it takes this one's role in exchange."""
        if role == (row.role or UNUSED):
            return
        table, options = self._session.role_table, self._session.options
        given = dict(options.roles)
        given[selector(row, table)] = role
        for other in table.rows:
            if role != UNUSED and other.role == role:
                given[selector(other, table)] = row.role or UNUSED
        options = replace(options, roles=tuple(given.items()))
        self._corrections.correct(options, text=f"{row.found.path.name} as {role}")


def sorted_rows(table: RoleTable) -> list[RoleRow]:
    """The rows in the order of the task's roles, those that are not used last."""
    roles = list(reading_of(table.task).ROLES)
    return sorted(table.rows, key=lambda row: roles.index(row.role) if row.role in roles else len(roles))


def selector(row: RoleRow, table: RoleTable) -> str:
    """How OpenOptions names the array of a row: its file alone where that holds no other."""
    is_alone = sum(other.found.path == row.found.path for other in table.rows) == 1
    return str(row.found.path) if is_alone else row.selector


def thumbnail(array: np.ndarray) -> QPixmap:
    """A small grey picture of an array: its middle along the shortest axis, from the 1st to the 99th percentile."""
    image = np.asarray(array)
    while image.ndim > 2:  # by views: a large array in the order of MATLAB would be copied whole
        shortest = int(np.argmin(image.shape))
        image = np.moveaxis(image, shortest, 0)[image.shape[shortest] // 2]
    image = np.atleast_2d(image)
    if image.size == 0 or image.dtype.kind not in "biuf":
        return QPixmap()
    image = image[:: max(1, image.shape[0] // THUMBNAIL), :: max(1, image.shape[1] // THUMBNAIL)].astype(np.float32)
    finite = image[np.isfinite(image)]
    if not finite.size:
        return QPixmap()
    low, high = np.percentile(finite, (1, 99))
    grey = np.nan_to_num((image - low) / max(high - low, 1e-12)).clip(0, 1)
    picture = to_image((grey * 255).astype(np.uint8))
    return QPixmap.fromImage(picture).scaled(
        THUMBNAIL, THUMBNAIL, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )


def _make_table() -> QTableWidget:
    table = QTableWidget(0, len(COLUMNS))
    table.setAccessibleName("Arrays in the files")
    table.setHorizontalHeaderLabels(COLUMNS)
    table.horizontalHeader().setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(THUMBNAIL + 8)
    table.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its lists take the focus
    table.setShowGrid(False)
    table.setWordWrap(True)
    return table

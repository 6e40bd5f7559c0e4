"""Which spectra of a library the curve is nearest to, live: their angles, and the first stage that came close."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.spectral_library import CLOSE_DEGREES, Match
from ..quantities import breakable
from ..widgets import theme
from ..widgets.theme import GRID
from .pictures import title_of
from .subjects import Subject

MOST = 5  # spectra that are listed

_EMPTY = (
    "Open an ENVI library (.sli with its .hdr) or a CSV table, wavelengths in its first column and one spectrum in "
    "each other column. The spectra nearest to the curve under the mouse, or of the chosen region, are listed here."
)


class LibraryPanel(QWidget):
    """Ranks what `subject` gives, whenever it is asked to refresh."""

    open_requested = Signal()

    def __init__(self, parts: Parts, subject: Callable[[], Subject | None]) -> None:
        super().__init__()
        self._parts, self._subject = parts, subject
        self.matches: list[Match] = []
        self.name, self.words, self.of = QLabel(), QLabel(), QLabel()
        for label in (self.words, self.of):
            label.setObjectName("dim")
            label.setWordWrap(True)
        self.problem = QLabel()
        self.problem.setObjectName("warn")
        self.problem.setWordWrap(True)
        self.table = _new_table()
        self.table.cellClicked.connect(lambda row, _: self._toggle(row))
        self.table.activated.connect(lambda index: self._toggle(index.row()))
        self.open = QPushButton("Open library…")
        self.open.clicked.connect(self.open_requested)
        self.close_library = QPushButton("Close it")
        self.close_library.clicked.connect(parts.spectral_library.close)
        self._lay_out()
        parts.spectral_library.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Ranks the spectra again; nothing is done while the panel is out of sight."""
        beside = self._parts.spectral_library
        has_library = beside.library is not None
        self.name.setText(breakable(beside.library.path.name) if has_library else "")
        self.name.setVisible(has_library)
        self.words.setText(f"{beside.coverage}." if beside.coverage else "" if has_library else _EMPTY)
        self.words.setVisible(bool(self.words.text()))
        self.problem.setText(beside.problem)
        self.problem.setVisible(bool(beside.problem))
        self.close_library.setVisible(has_library)
        if self.isVisible():
            self._rank()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self._rank()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        frame, column = theme.card("Spectral library")
        for widget in (self.name, self.words, self.problem, self.of):
            column.addWidget(widget)
        column.addWidget(self.table)
        row = QHBoxLayout()
        row.setSpacing(GRID)
        row.addWidget(self.open)
        row.addWidget(self.close_library)
        row.addStretch()
        column.addLayout(row)
        column.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)

    def _rank(self) -> None:
        subject, beside = self._subject(), self._parts.spectral_library
        can_rank = subject is not None and beside.spectra is not None
        self.matches = beside.ranking(subject.curves, chosen=subject.stage, most=MOST) if can_rank else []
        self.of.setText(self._caption(subject))
        self.of.setVisible(beside.spectra is not None)
        self.table.setVisible(bool(self.matches))
        self.table.setRowCount(len(self.matches))
        for row, match in enumerate(self.matches):
            first = "not yet" if match.first_stage is None else title_of(self._parts.session, match.first_stage).lower()
            for column, words in enumerate((match.name, f"{match.degrees:.2f}°", first)):
                item = QTableWidgetItem(words)
                if column == 0:
                    item.setToolTip(match.name)
                else:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if match.index == beside.shown:
                    font = self.table.font()
                    font.setBold(True)
                    item.setFont(font)
                self.table.setItem(row, column, item)
        self.table.setFixedHeight(self.table.horizontalHeader().sizeHint().height() + 24 * MOST + 4)

    def _caption(self, subject: Subject | None) -> str:
        if subject is None:
            return "Move over a picture or choose a region to compare its spectrum."
        if not self.matches:
            return f"No spectrum has an angle to that of {subject.title}: too few bands, or black."
        of = subject.sides[0] if subject.sides else title_of(self._parts.session, subject.stage).lower()
        return f"Nearest to {subject.title}, {of}. A click draws one beside it."

    def _toggle(self, row: int) -> None:
        """Draws a spectrum beside the curve, or takes it away again."""
        beside = self._parts.spectral_library
        if row < len(self.matches):
            index = self.matches[row].index
            beside.show(None if index == beside.shown else index)


def _new_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setTabKeyNavigation(False)  # Tab leaves it
    table.setAccessibleName("Spectra of the library nearest to the curve")
    table.setHorizontalHeaderLabels(["spectrum", "angle", f"within {CLOSE_DEGREES:g}° at"])
    table.setFont(theme.tabular(table.font()))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setShowGrid(False)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(24)
    header = table.horizontalHeader()
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return table

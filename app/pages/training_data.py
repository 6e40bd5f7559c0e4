"""The second question of an adaptation: the list of files to learn from, each with its picture and its verdict."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..panels.files import ask_open_files
from ..training.scenes import SUFFIXES, THUMBNAIL, DataFile
from ..widgets import theme
from ..widgets.colours import to_image
from ..widgets.keys import claim
from ..widgets.labels import set_look

ROW = 40  # px
USES = {"learn": "to learn from", "check": "withheld", "out": "left out"}
COLUMNS = ("", "File", "Use", "What it holds")


class DataList(QWidget):
    """Files are chosen or dropped here, and shown as they are looked at."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._session, self.material = parts.session, parts.planning.material
        self.setAcceptDrops(True)
        self.add_files = QPushButton("Add files…")
        self.add_files.clicked.connect(self._ask_files)
        self.add_folder = QPushButton("Add a folder…")
        self.add_folder.clicked.connect(self._ask_folder)
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Takes the chosen files off the list; nothing is deleted (Del)")
        self.remove.clicked.connect(self._remove_chosen)
        self.table = _make_table()
        self.table.itemSelectionChanged.connect(self._show_buttons)
        claim(self.table, {Qt.Key.Key_Delete: self._remove_chosen})
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setObjectName("dim")
        self.hint.setMinimumHeight(80)  # something to drop files on
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleDescription("Summary of the data")
        buttons = QHBoxLayout()
        for button in (self.add_files, self.add_folder, self.remove):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addLayout(buttons)
        column.addWidget(self.hint)
        column.addWidget(self.table)
        column.addWidget(self.sentence)
        for changed in (self.material.changed, self.material.progressed):
            changed.connect(self._show)
        self._show()

    def show_hint(self, hint: str) -> None:
        """Says in the empty list what it is for."""
        self.hint.setText(hint)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.material.add([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def _ask_files(self) -> None:
        self.material.add(ask_open_files(self, "Files to learn from", self._folder()))

    def _ask_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder to learn from", str(self._folder() or "")):
            self.material.add([Path(folder)])

    def _folder(self) -> Path | None:
        if self.material.paths:
            return self.material.paths[-1].parent
        return self._session.paths[0].parent if self._session.paths and not self._session.is_sample else None

    def _remove_chosen(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        self.material.remove([file.path for row, file in enumerate(self.material.files) if row in rows])

    def _show(self) -> None:
        material = self.material
        self.hint.setVisible(not material.paths)
        self.table.setVisible(bool(material.paths))
        self.table.setRowCount(len(material.files))
        for row, file in enumerate(material.files):
            _show_row(self.table, row, file)
        if material.is_looking:
            set_look(self.sentence, f"Looking at file {len(material.files)} of {material.num_wanted}…", "dim")
        elif material.is_checking:
            set_look(self.sentence, "Looking for files…", "dim")
        elif material.nothing_in:
            names = ", ".join(path.name or str(path) for path in material.nothing_in)
            known = ", ".join(SUFFIXES)
            set_look(self.sentence, f"There is no file to learn from in {names}. Known are {known}.", "warn")
        elif material.paths:
            serves = any(file.serves for file in material.files)
            set_look(self.sentence, material.summary, "dim" if serves else "warn")
        else:
            set_look(self.sentence, "", "dim")
        self._show_buttons()

    def _show_buttons(self) -> None:
        self.remove.setEnabled(bool(self.table.selectedIndexes()))


def _show_row(table: QTableWidget, row: int, file: DataFile) -> None:
    texts = ("", file.path.name, USES[file.use], file.sentence)
    for column, text in enumerate(texts):
        item = table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            table.setItem(row, column, item)
        item.setText(text)
        item.setToolTip(str(file.path) if column == 1 else text)
        item.setForeground(table.palette().brush(_group(file), QPalette.ColorRole.Text))
    if file.look is not None:
        table.item(row, 0).setIcon(QIcon(picture(file)))


def _group(file: DataFile) -> QPalette.ColorGroup:
    """Files that are left out are grey."""
    return QPalette.ColorGroup.Active if file.serves else QPalette.ColorGroup.Disabled


def picture(file: DataFile) -> QPixmap:
    """The small grey picture of a file."""
    return QPixmap.fromImage(to_image(file.look))


def _make_table() -> QTableWidget:
    table = QTableWidget(0, len(COLUMNS))
    table.setAccessibleName("Files to learn from")
    table.setHorizontalHeaderLabels(COLUMNS)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.horizontalHeader().setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
    table.setColumnWidth(0, THUMBNAIL + 8)
    table.setColumnWidth(1, 220)
    table.setColumnWidth(2, 104)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW)
    table.setIconSize(QSize(ROW - 4, ROW - 4))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setShowGrid(False)
    table.setWordWrap(True)
    table.setTabKeyNavigation(False)
    table.setMinimumHeight(3 * ROW)
    table.setMaximumHeight(8 * ROW)
    table.setSizeAdjustPolicy(QTableWidget.SizeAdjustPolicy.AdjustToContents)
    table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return table

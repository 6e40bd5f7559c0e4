"""The second question of an adaptation: the list of files to learn from, each with its picture and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QIcon, QImage, QKeySequence, QPalette, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
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
from ..job import Job
from ..panels.files import ask_open_files
from ..quantities import plural
from ..training.scenes import SUFFIXES, THUMBNAIL, DataFile, Wanted, checked, files_among, summary
from ..widgets import theme
from ..widgets.labels import set_look

ROW = 40  # px
USES = {"learn": "to learn from", "check": "withheld", "out": "left out"}
COLUMNS = ("", "File", "Use", "What it holds")


class DataList(QWidget):
    """Files are chosen or dropped here; they are looked at in the worker and shown as they come."""

    changed = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._wanted: Wanted | None = None
        self._paths: tuple[Path, ...] = ()
        self._job: Job | None = None
        self._num_searches = 0  # of folders, under way
        self._nothing_in: tuple[Path, ...] = ()  # what was added last, where no file was found in it
        self.files: tuple[DataFile, ...] = ()
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
        QShortcut(QKeySequence.StandardKey.Delete, self.table, self._remove_chosen).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setObjectName("dim")
        self.hint.setMinimumHeight(80)  # something to drop files on
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setAccessibleName("Summary of the data")
        buttons = QHBoxLayout()
        for button in (self.add_files, self.add_folder, self.remove):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        column.addLayout(buttons)
        column.addWidget(self.hint, 1)
        column.addWidget(self.table, 1)
        column.addWidget(self.sentence)
        self._show()

    @property
    def is_checking(self) -> bool:
        """Whether files are still being looked for or at."""
        return self._job is not None or self._num_searches > 0

    def used(self, use: str) -> tuple[Path, ...]:
        """The files of one use, "learn" or "check"."""
        return tuple(file.path for file in self.files if file.use == use)

    def set_wanted(self, wanted: Wanted, hint: str) -> None:
        """Says what the training asks of its files; those of the list are looked at again where that is new."""
        self.hint.setText(hint)
        if wanted != self._wanted:
            self._wanted = wanted
            self._check()

    def add(self, paths: Sequence[Path]) -> None:
        """Adds files, and those in folders, which may be large: the worker looks for them."""
        if not paths:
            return
        self._num_searches += 1
        job = self._parts.lanes.run_file(
            partial(files_among, paths), doing="looking for files", then=partial(self._found, tuple(paths))
        )
        for ended in (job.failed, job.cancelled):
            ended.connect(self._search_ended)
        self._show()
        self.changed.emit()

    def _found(self, asked: tuple[Path, ...], job: Job) -> None:
        self._nothing_in = () if job.result else asked
        more = [path for path in job.result if path not in self._paths]
        if more:
            self._paths = (*self._paths, *more)
            self._check()
        self._search_ended()

    def _search_ended(self) -> None:
        self._num_searches -= 1
        self._show()
        self.changed.emit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.add([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def _ask_files(self) -> None:
        self.add(ask_open_files(self, "Files to learn from", self._folder()))

    def _ask_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder to learn from", str(self._folder() or "")):
            self.add([Path(folder)])

    def _folder(self) -> Path | None:
        if self._paths:
            return self._paths[-1].parent
        return self._session.paths[0].parent if self._session.paths and not self._session.is_sample else None

    def _remove_chosen(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        gone = {file.path for row, file in enumerate(self.files) if row in rows}
        if gone:
            self._paths = tuple(path for path in self._paths if path not in gone)
            self._check()

    def _check(self) -> None:
        """Looks at all files in the worker; an earlier look that is not over no longer counts."""
        if self._job is not None:
            self._job.cancel()
        self._job = None
        if self._wanted is None or not self._paths:
            self.files = ()
        else:
            doing = f"looking at {plural(len(self._paths), 'file')}"
            job = self._parts.lanes.run_file(
                partial(checked, self._paths, self._wanted), doing=doing, then=self._checked
            )
            job.progressed.connect(lambda: self._progressed(job))
            self._job = job
        self._show()
        self.changed.emit()

    def _progressed(self, job: Job) -> None:
        if job is self._job:
            self.files = job.progress
            self._show()

    def _checked(self, job: Job) -> None:
        if job is self._job:
            self._job, self.files = None, job.result
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        self.hint.setVisible(not self._paths)
        self.table.setVisible(bool(self._paths))
        self.table.setRowCount(len(self.files))
        for row, file in enumerate(self.files):
            _show_row(self.table, row, file)
        if self._job is not None:
            set_look(self.sentence, f"Looking at file {len(self.files)} of {len(self._paths)}…", "dim")
        elif self._num_searches:
            set_look(self.sentence, "Looking for files…", "dim")
        elif self._nothing_in:
            names = ", ".join(path.name or str(path) for path in self._nothing_in)
            known = ", ".join(SUFFIXES)
            set_look(self.sentence, f"There is no file to learn from in {names}. Known are {known}.", "warn")
        elif self._paths:
            serves = any(file.serves for file in self.files)
            set_look(self.sentence, summary(self.files), "dim" if serves else "warn")
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
    height, width = file.look.shape
    image = QImage(file.look.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(image.copy())


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
    return table

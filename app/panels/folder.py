"""The dock with a folder: its captures and what became of each, and all of them decoded one after the other."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QProgressBar,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.captures import Capture
from ..document.exports import CUBE_SUFFIXES
from ..quantities import breakable, duration, plural
from ..widgets import theme
from ..widgets.labels import set_look
from ..widgets.page import HELP
from ..widgets.theme import GRID
from .files import ask_target_folder

WORDS = {"decoding": "decoding", "done": "done", "earlier": "done earlier", "failed": "failed", "skipped": "skipped"}
SIDE_WIDTH = theme.RIGHT_WIDTH - 2 * GRID
ROW_WIDTH, ROW_HEIGHT = 280, 24  # px
BATCH = 200  # rows that are laid out at a time
PADDING = 8  # px, at both ends of a row
BESIDE = "Beside the captures"
_Index = QModelIndex | QPersistentModelIndex


class CaptureModel(QAbstractListModel):
    """The captures as a list for views: the name, the status in a word, and both in a sentence for screen readers."""

    STATUS, STATE, IS_OPEN = (Qt.ItemDataRole.UserRole + n for n in range(3))

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._folder, self._captures = parts.folder, parts.folder.captures
        self._paths: list[Path] = []
        parts.folder.capture_changed.connect(self._update)
        parts.folder.changed.connect(self._take)

    def rowCount(self, parent: _Index | None = None) -> int:
        return len(self._paths)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self._captures):
            return None
        capture = self._captures[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return capture.path.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return breakable(_sentence(capture))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_sentence(capture)}{' It is open.' if index.row() == self._folder.index else ''}"
        return {
            self.STATUS: status(capture),
            self.STATE: capture.state,
            self.IS_OPEN: index.row() == self._folder.index,
        }.get(role)

    def _take(self) -> None:
        """Takes the list as it is now; where its captures are the same, only what is said of them."""
        paths = [capture.path for capture in self._folder.captures]
        if paths != self._paths:
            self.beginResetModel()
            self._captures, self._paths = self._folder.captures, paths
            self.endResetModel()
        elif paths:
            self._captures = self._folder.captures
            self.dataChanged.emit(self.index(0), self.index(len(paths) - 1))

    def _update(self, place: int) -> None:
        if place < len(self._paths):
            self.dataChanged.emit(self.index(place), self.index(place))


def status(capture: Capture) -> str:
    """What became of a capture, in a word or two."""
    if capture.state == "waiting":
        return "waiting" if capture.is_asked else "no result"
    seconds = "" if capture.seconds is None else f"  {duration(capture.seconds)}"
    return WORDS[capture.state] + seconds


def _sentence(capture: Capture) -> str:
    where = f": {capture.result}" if capture.result is not None and capture.state in ("done", "earlier") else ""
    return f"{capture.path.name}, {capture.sentence or status(capture) + where}"


class _Rows(QStyledItemDelegate):
    """The name at the left, shortened in its middle, and the status in its colour at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(ROW_WIDTH, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        own = QStyleOptionViewItem(option)
        self.initStyleOption(own, index)
        own.text = ""
        style = own.widget.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, own, painter, own.widget)
        is_chosen = bool(own.state & QStyle.StateFlag.State_Selected)
        colours = theme.tokens()
        state = index.data(CaptureModel.STATE)
        colour = {"done": colours.good, "failed": colours.warn, "decoding": colours.accent}.get(state, colours.dim)
        painter.save()
        room = own.rect.adjusted(PADDING, 0, -PADDING, 0)
        font = theme.tabular(own.font)
        font.setBold(bool(index.data(CaptureModel.IS_OPEN)))
        words = index.data(CaptureModel.STATUS)
        painter.setFont(theme.tabular(own.font))
        width = painter.fontMetrics().horizontalAdvance(words)
        painter.setPen(own.palette.color(QPalette.ColorRole.HighlightedText) if is_chosen else QColor(colour))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | middle, words)
        painter.setFont(font)
        role = QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.Text
        painter.setPen(own.palette.color(role))
        left = QRect(room.left(), room.top(), room.width() - width - 2 * PADDING, room.height())
        name = painter.fontMetrics().elidedText(index.data(), Qt.TextElideMode.ElideMiddle, left.width())
        painter.drawText(left, Qt.AlignmentFlag.AlignLeft | middle, name)
        painter.restore()


class CaptureList(QListView):
    """Rows of one width in columns, as many as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bare")
        self.setAccessibleName("Captures of the folder")
        self.setItemDelegate(_Rows(self))
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)  # of thousands, some at a time: the window answers between
        self.setBatchSize(BATCH)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setWrapping(True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        width = self.viewport().width()
        self.setGridSize(QSize(max(1, width // max(1, width // ROW_WIDTH)), ROW_HEIGHT))
        super().resizeEvent(event)


class FolderDock(QDockWidget):
    """Closed until a folder is opened; what is decoded goes on while it is closed."""

    def __init__(self, parts: Parts) -> None:
        super().__init__("Folder")
        self.setObjectName("folder")
        self.setProperty(HELP, "folder")
        self.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea)
        self._folder, self._decodes, self._session = parts.folder, parts.decode_all, parts.session
        self.list, self.model = CaptureList(), CaptureModel(parts)
        self.list.setModel(self.model)
        self.list.clicked.connect(lambda index: self._folder.show(index.row()))
        self.list.activated.connect(lambda index: self._folder.show(index.row()))
        self.list.selectionModel().currentChanged.connect(self._show_chosen)
        self.count, self.sentence, self.chosen = QLabel(), QLabel(), QLabel()
        for label, described in ((self.count, "Captures of the folder"), (self.sentence, "State of the folder")):
            label.setObjectName("dim")
            label.setWordWrap(label is self.sentence)
            label.setAccessibleDescription(described)
        self.chosen.setWordWrap(True)
        self.chosen.setAccessibleDescription("The chosen capture")
        self.chosen.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the folder")
        self.bar.setTextVisible(False)
        self._make_buttons()
        self._lay_out()
        for changed in (self._folder.changed, self._decodes.changed, self._session.opened_changed, parts.setup.changed):
            changed.connect(self._show)
        self._folder.capture_changed.connect(self._show_one)
        self._decodes.timed.passed.connect(self._show_progress)
        self.hide()
        self._show()

    def open(self, folder: Path) -> None:
        """Shows a folder."""
        self._folder.open(folder)
        self.show()
        self.raise_()
        self.list.setFocus()

    def ask_open(self) -> None:
        """Lets the user choose a folder."""
        if folder := ask_target_folder(self, "Open a folder of captures"):
            self.open(folder)

    def ask_target(self) -> None:
        """Lets the user choose where results go."""
        if folder := ask_target_folder(self, "Write the results into"):
            self._decodes.write_to(folder)

    # ---- making --------------------------------------------------------------------------------------------------

    def _make_buttons(self) -> None:
        decodes = self._decodes
        self.start = QPushButton("Decode all")
        self.start.clicked.connect(self._start_or_pause)
        self.skip = QPushButton("Skip this one")
        self.skip.clicked.connect(decodes.skip)
        self.retry = QPushButton("Retry failed")
        self.retry.clicked.connect(decodes.retry_failed)
        self.again = QPushButton("Decode this one")
        self.again.setToolTip("Decodes the chosen capture, also where it has a result")
        self.again.clicked.connect(lambda: decodes.decode(self.list.currentIndex().row()))
        self.cancel = QPushButton("Cancel")
        self.cancel.setAccessibleName("Cancel the decodes of the folder")
        self.cancel.clicked.connect(decodes.cancel)
        self.watch = QCheckBox("Watch")
        self.watch.setToolTip("Decodes captures that come into the folder, once they are whole")
        self.watch.clicked.connect(lambda is_on: decodes.watch(is_on))
        self.place = QComboBox()
        self.place.setAccessibleName("Where results are written")
        self.place.activated.connect(self._place_chosen)
        self.format = QComboBox()
        self.format.setAccessibleName("Format of the results")
        for title, suffix in CUBE_SUFFIXES.items():
            self.format.addItem(title, suffix)
        self.format.activated.connect(lambda _: decodes.write_as(self.format.currentData()))

    def _lay_out(self) -> None:
        self.side = QWidget()
        self.side.setFixedWidth(SIDE_WIDTH)
        column = QVBoxLayout(self.side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        top = QHBoxLayout()
        top.addWidget(self.count)
        top.addStretch(1)
        top.addWidget(self.watch)
        buttons = QGridLayout()
        buttons.setSpacing(GRID)
        for number, button in enumerate((self.start, self.skip, self.retry, self.again, self.cancel)):
            buttons.addWidget(button, 0, number)
        results = QHBoxLayout()
        label = QLabel("Results")
        label.setBuddy(self.place)
        results.addWidget(label)
        results.addWidget(self.place, 1)
        results.addWidget(self.format)
        column.addLayout(top)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addWidget(self.sentence)
        column.addStretch(1)
        column.addLayout(results)
        self._make_empty()
        frame = QFrame()
        frame.setObjectName("card")
        frame.setAccessibleName("Folder")
        box = QHBoxLayout(frame)
        box.setContentsMargins(GRID, GRID, GRID, GRID)
        box.setSpacing(2 * GRID)
        left = QVBoxLayout()
        left.addWidget(self.list, 1)
        left.addWidget(self.chosen)
        box.addLayout(left, 1)
        box.addWidget(self.empty, 1)
        box.addWidget(self.side)
        body = QWidget()
        whole = QVBoxLayout(body)
        whole.setContentsMargins(GRID, 0, GRID, GRID)
        whole.addWidget(frame)
        self.setWidget(body)

    def _make_empty(self) -> None:
        self.empty = QWidget()
        hint = QLabel("Open a folder of captures, or drop it on the window. A file called mask.* in it is their mask.")
        hint.setObjectName("dim")
        hint.setWordWrap(True)
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.find = QPushButton("Open folder…")
        self.find.clicked.connect(self.ask_open)
        column = QVBoxLayout(self.empty)
        column.addStretch(1)
        column.addWidget(hint)
        column.addWidget(self.find, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)

    # ---- verbs ---------------------------------------------------------------------------------------------------

    def _start_or_pause(self) -> None:
        decodes = self._decodes
        if decodes.is_paused:
            decodes.go_on()
        elif decodes.is_under_way:
            decodes.pause()
        else:
            decodes.start()

    def _place_chosen(self, number: int) -> None:
        if number == self.place.count() - 1:
            self.ask_target()
        elif number == 0:
            self._decodes.write_to(None)
        self._show()

    # ---- showing -------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        folder, decodes = self._folder, self._decodes
        is_busy = decodes.is_under_way
        self.list.setVisible(folder.path is not None)
        self.empty.setVisible(folder.path is None)
        self.side.setVisible(folder.path is not None)
        self.setWindowTitle(f"Folder  ·  {folder.path}" if folder.path is not None else "Folder")
        set_look(self.count, self._counted(), "dim")
        self._show_buttons()
        self.watch.setEnabled(decodes.can_watch or folder.is_watching)
        self.watch.setChecked(folder.is_watching)
        self.bar.setVisible(is_busy or folder.is_surveying)
        if folder.is_surveying:
            self.bar.setRange(0, folder.num_files)
            self.bar.setValue(folder.num_seen)
        self._show_progress()
        self._show_results()
        self._follow_open()
        self._show_chosen()

    def _show_progress(self) -> None:
        """How far it is, and the sentence below the bar; a part of a capture counts too."""
        if not self._folder.is_surveying:
            progress = self._decodes.progress
            self.bar.setRange(0, 1000 * progress.num_asked)
            self.bar.setValue(round(1000 * (progress.num_ended + progress.share)))
        set_look(self.sentence, *self._state())

    def _show_buttons(self) -> None:
        decodes, is_busy = self._decodes, self._decodes.is_under_way
        self.start.setText(
            "Continue" if decodes.is_paused else "Pause" if is_busy else "Decode all" + self._again_word()
        )
        self.start.setEnabled(is_busy or decodes.can_decode)
        self.start.setToolTip(
            "" if is_busy else self._why_not() or "Decodes what has no result yet, as chosen at the left"
        )
        self.skip.setVisible(is_busy)
        self.skip.setEnabled(decodes.current is not None)
        self.cancel.setVisible(is_busy)
        self.retry.setVisible(bool(decodes.failed) and not is_busy)
        self.again.setVisible(not is_busy)

    def _show_results(self) -> None:
        """Where results go, and as what."""
        decodes = self._decodes
        with QSignalBlocker(self.place):
            self.place.clear()
            self.place.addItem(BESIDE)
            if decodes.target is not None:
                self.place.addItem(decodes.target.name or str(decodes.target))
                self.place.setItemData(1, str(decodes.target), Qt.ItemDataRole.ToolTipRole)
            self.place.addItem("Into a folder…")
            self.place.setCurrentIndex(int(decodes.target is not None))
            self.format.setCurrentIndex(self.format.findData(decodes.suffix))

    def _follow_open(self) -> None:
        """Chooses the capture that is open in the list."""
        place = self._folder.index
        index = self.model.index(-1 if place is None else place)
        if place is not None and self._shown != place:
            self.list.setCurrentIndex(index)
            self.list.scrollTo(index)
        self._shown = place

    _shown: int | None = None  # the place of the capture that was open

    def _show_one(self, place: int) -> None:
        if place == self.list.currentIndex().row():
            self._show_chosen()

    def _show_chosen(self) -> None:
        """Says why the chosen capture failed."""
        place = self.list.currentIndex().row()
        has_one = 0 <= place < len(self._folder.captures)
        self.again.setEnabled(has_one and self._decodes.can_decode)
        capture = self._folder.captures[place] if has_one else None
        set_look(self.chosen, capture.sentence if capture else "", "warn")

    def _counted(self) -> str:
        folder = self._folder
        if folder.path is None or folder.is_surveying:
            return ""
        left_out = f"  ·  {plural(len(folder.left_out), 'file')} left out" if folder.left_out else ""
        self.count.setToolTip("\n".join(reason for _, reason in folder.left_out))
        return plural(len(folder.captures), "capture") + left_out

    def _again_word(self) -> str:
        return " again" if self._folder.captures and not self._decodes.lacking else ""

    def _why_not(self) -> str:
        """Why nothing can be decoded, in words."""
        if self._folder.is_surveying or self._decodes.can_decode:
            return ""
        if self._folder.captures and not self._decodes.has_decoder:
            return "The chosen decoder is not for these captures. Open one of them, or choose another decoder."
        return ""

    def _state(self) -> tuple[str, str]:
        """The sentence below the bar, and its look."""
        folder, decodes, progress = self._folder, self._decodes, self._decodes.progress
        if folder.is_surveying:
            return f"Looking at the files: {folder.num_seen} of {folder.num_files}", "dim"
        if decodes.is_under_way:
            return self._under_way(), "dim"
        if folder.notice or self._why_not():
            return folder.notice or self._why_not(), "warn" if folder.notice else "dim"
        watched = f"Decodes what comes with {decodes.watched_with}." if decodes.watched_with else ""
        failed = len(decodes.failed)
        if progress.num_asked:
            ended = f"{progress.num_ended} of {plural(progress.num_asked, 'capture')} ended"
            return ended + (f", {failed} failed" if failed else "") + (f". {watched}" if watched else "."), "dim"
        return watched, "dim"

    def _under_way(self) -> str:
        decodes, progress = self._decodes, self._decodes.progress
        words = [f"{progress.num_ended} of {progress.num_asked}"]
        if decodes.is_paused:
            words.append("paused" if decodes.current is None else "pauses after this capture")
        elif decodes.waits_for:
            words.append(f"goes on after {decodes.waits_for}")
        if decodes.current is not None and not decodes.waits_for:
            words.append(progress.words)
        if progress.seconds_left is not None and not decodes.is_paused:
            words.append(f"about {duration(progress.seconds_left)} left")
        return "  ·  ".join(words)

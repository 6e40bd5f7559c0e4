"""The shelf beside the pictures: what was measured, and a small picture of every result, the newest first."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QImage, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.comparing import CHOSEN
from ..document.selection import MEASUREMENT
from ..document.shelf import Result
from ..problems import Problem
from ..quantities import duration, number
from ..widgets import theme
from ..widgets.theme import GRID, tokens
from .pictures import Pictures
from .strip import paint_small

WIDTH = 112  # px of the column
SIDE = 76  # px of a small picture
LINE = 15  # px of a line of words
TILE = QSize(WIDTH - 10, SIDE + 2 * LINE + 2 * GRID)
ITEM = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex
Item = Result | None  # None stands for the measurement


class Items(QAbstractListModel):
    """The measurement and the results, with the small pictures that were made while their captures were open."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._shelf, self._pictures = parts, parts.session, parts.shelf, pictures
        self._images: dict[Item, QImage] = {}
        self._gamma = self._session.selection.relight  # that they were relit by
        self._of = self._session.role_table
        self.items: list[Item] = []

    def refresh(self, side: int) -> None:
        """Takes up the results that are there; small pictures are `side` px long."""
        items = [None, *reversed(self._shelf.all)]
        if self._of is not self._session.role_table:
            self._of = self._session.role_table
            self._images.pop(None, None)
        if items != self.items:
            self.beginResetModel()
            self.items = items
            self._images = {item: image for item, image in self._images.items() if item in items}
            self.endResetModel()
        here = {None, *self._shelf.comparable}
        is_relit, self._gamma = self._gamma != self._session.selection.relight, self._session.selection.relight
        for item in self.items:
            if item in here and (item not in self._images or (is_relit and item is not None)):
                image = self._measured(side) if item is None else self._pictures.thumbnail(item, side)
                if image is not None:
                    self._images[item] = image

    def _measured(self, side: int) -> QImage | None:
        """What was measured, as the panes show it; there may be no bands yet."""
        size = self._pictures.size(MEASUREMENT)
        return None if size is None else self._pictures.picture(MEASUREMENT, max(1, max(size) // side))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.items)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole):
        item = self.items[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.words(item)[0]
            case Qt.ItemDataRole.DecorationRole:
                return self._images.get(item)
            case Qt.ItemDataRole.AccessibleTextRole:
                return ", ".join(self.words(item))
            case Qt.ItemDataRole.ToolTipRole:
                return self._hint(item)
            case Qt.ItemDataRole.UserRole:
                return item
        return None

    def words(self, item: Item) -> tuple[str, str]:
        """The two lines below a picture: the decoder, and how good the result is or of which capture."""
        if item is None:
            return self._session.kind.measured, self._session.name
        kept, row = self._shelf.of(item), self._shelf.row(item)
        if kept is None:
            return item.title, ""
        figure = f"{row.metrics['psnr']:.2f} dB" if "psnr" in row.metrics else f"res. {number(row.residual)}"
        is_here = kept.recipe.paths[:1] == self._session.paths[:1]
        return kept.recipe.title, figure if is_here else kept.recipe.paths[0].name

    def _hint(self, item: Item) -> str:
        if item is None:
            return "What was measured\nClick shows it large, or the result again"
        kept, row = self._shelf.of(item), self._shelf.row(item)
        if kept is None:
            return item.title
        figures = [f"residual {number(row.residual)}", duration(kept.restoration.seconds)]
        figures += [f"PSNR {row.metrics['psnr']:.2f} dB"] if "psnr" in row.metrics else []
        partial = f" (cancelled before the last {kept.recipe.step_name})" if kept.restoration.partial else ""
        lines = [f"{item.title}{partial}", "  ·  ".join(figures), f"of {kept.recipe.paths[0].name}"]
        lines += ["on the disk"] if kept.stages.is_spilled else []
        return "\n".join([*lines, "Click shows it, Ctrl-click compares it with what is shown"])


class _Tile(QStyledItemDelegate):
    """A small picture with two lines below; the one that is shown has a frame."""

    def __init__(self, view: ShelfView) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return TILE

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, item = tokens(), index.data(ITEM)
        is_shown = item in self._view.seen
        place = QRectF(option.rect.x() + (option.rect.width() - SIDE) / 2, option.rect.y() + 4, SIDE, SIDE)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        paint_small(painter, place, index.data(Qt.ItemDataRole.DecorationRole), is_framed=is_shown)
        font = option.font
        font.setPointSizeF(font.pointSizeF() * 0.88)
        font.setUnderline(bool(option.state & QStyle.StateFlag.State_HasFocus))
        for row, words in enumerate(self._view.items.words(item)):
            font.setBold(is_shown and row == 0)
            painter.setFont(font)
            painter.setPen(QColor(colours.text if row == 0 else colours.dim))
            line = QRectF(option.rect.x(), place.bottom() + 3 + row * LINE, option.rect.width(), LINE)
            fitting = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, int(line.width()))
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, fitting)
        painter.restore()


class ShelfList(QListView):
    """The tiles one below the other. Return shows, Shift+Return compares, Del takes away, the menu key has the rest."""

    def __init__(self, view: ShelfView) -> None:
        super().__init__()
        self._view = view
        self.setModel(view.items)
        self.setItemDelegate(_Tile(view))
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setObjectName("bare")
        self.setAccessibleName("Shelf of results")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the pictures
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.viewport().setAutoFillBackground(False)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            is_second = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            self._view.compare(index.data(ITEM)) if is_second else self._view.show_item(index.data(ITEM))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Nothing is dragged: a press has done all."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        current = self.currentIndex()
        is_second = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and current.isValid():
            self._view.compare(current.data(ITEM)) if is_second else self._view.show_item(current.data(ITEM))
        elif event.key() == Qt.Key.Key_Delete and current.isValid() and current.data(ITEM) is not None:
            self._view.drop(current.data(ITEM))
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End):
            super().keyPressEvent(event)
        else:
            event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if is_mouse else self.currentIndex()
        if index.isValid() and index.data(ITEM) is not None:
            place = event.pos() if is_mouse else self.visualRect(index).center()
            self._view.menu_of(index.data(ITEM)).popup(self.viewport().mapToGlobal(QPoint(place)))


class ShelfView(QWidget):
    """Obeys the shelf and the selection."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._shelf = parts, parts.session, parts.shelf
        self.items = Items(parts, pictures)
        self.seen: set[Item] = set()
        self.list = ShelfList(self)
        self.list.setStatusTip(
            "The results so far, with their PSNR in dB where there is a reference; a click shows one"
        )
        self.room = QLabel()
        self.room.setObjectName("dim")
        self.room.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.room.setToolTip("Older results lie on the disk until the window closes, so that memory stays free")
        frame, column = theme.card("")
        frame.setAccessibleName("Results")
        column.setContentsMargins(4, 6, 4, 6)
        column.setSpacing(2)
        column.addWidget(self.list, 1)
        column.addWidget(self.room)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        self.setFixedWidth(WIDTH)
        parts.shelf.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Shows the results that are there, and which is seen."""
        selection = self._session.selection
        self.items.refresh(round(SIDE * self.devicePixelRatioF()))
        is_compared = selection.mode == "compare"
        is_measured = MEASUREMENT in selection.shown and not is_compared
        self.seen = {None} if is_measured else set()
        if is_compared:
            sides = (self._parts.comparing.left, self._parts.comparing.right)
            self.seen |= {self._shelf.shown if side == CHOSEN else side for side in sides if side is not None}
            self.seen -= {None}
        elif self._session.num_announced and (not is_measured or selection.layout == "grid"):
            self.seen |= {self._shelf.shown} - {None}
        shown = self._shelf.shown
        if not self.list.currentIndex().isValid() and shown in self.items.items:
            index = self.items.index(self.items.items.index(shown))
            self.list.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        count = self._shelf.num_on_disk
        self.room.setText(f"{count} on the disk")
        self.room.setVisible(count > 0)
        self.list.viewport().update()

    def show_item(self, item: Item) -> None:
        """Shows a result, or the measurement alone; once more brings the result back."""
        looking, selection = self._parts.looking, self._session.selection
        if selection.mode in ("compare", "residual"):
            looking.set_mode("colour" if selection.in_colour else "band")
        if item is not None:
            self._shelf.show(item)
        if item is not None or selection.alone == MEASUREMENT:
            looking.set_layout("single" if selection.alone == MEASUREMENT else selection.layout)
        elif self._session.num_announced:
            looking.show_alone(MEASUREMENT)

    def compare(self, item: Item) -> None:
        """Puts a result, or what was measured, beside what is shown."""
        comparing = self._parts.comparing
        side = MEASUREMENT if item is None else item
        if item is not None and (reason := self._shelf.why_not(item)):
            self._parts.lanes.problem_raised.emit(Problem(reason))
        elif side not in comparing.sides():
            self.show_item(item)
        elif item is not None and item == self._shelf.shown:
            self._parts.looking.set_mode("compare")
        else:
            comparing.choose(left=side, right=CHOSEN)
            self._parts.looking.set_mode("compare")

    def drop(self, result: Result) -> None:
        """Takes a result away."""
        self._shelf.drop(result)

    def menu_of(self, result: Result) -> QMenu:
        """What can be done with a result."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        show = menu.addAction("Show", lambda: self.show_item(result))
        show.setEnabled(result != self._shelf.shown and not self._session.restoration.is_busy)
        compare = menu.addAction("Compare with what is shown", lambda: self.compare(result))
        compare.setEnabled(result in self._shelf.comparable and result != self._shelf.shown)
        compare.setToolTip(self._shelf.why_not(result))
        menu.addAction("Use its settings", lambda: self._shelf.use_settings(result))
        menu.addSeparator()
        menu.addAction("Take away", lambda: self.drop(result))
        return menu

"""The strip of stages: a small picture of the initial estimate, every stage and the reference."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QFrame, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from ..assembly import Parts
from ..document.arranging import in_order
from ..document.selection import REFERENCE
from ..document.wording import shown_step
from ..quantities import number
from ..widgets.theme import GRID, tokens
from .pictures import Pictures

HEIGHT = 56  # px of a small picture; its width follows from its shape
WIDTHS = (40, 112)
LABEL = 18
EDGE = 3
SETTLES_MS = 100  # between two pictures that are relit while a slider moves
BAR = 8  # height of the scroll bar
PANE = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex


class Stages(QAbstractListModel):
    """The panes that the strip shows, left to right, with the small pictures that were made of them."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._session, self._pictures = parts.session, pictures
        self._of = parts.session.stages
        self._images: dict[int, QImage] = {}
        self._gammas: dict[int, float] = {}  # of the light that they were relit by
        self.panes: list[int] = []

    @property
    def missing(self) -> list[int]:
        """The pictures still to be made."""
        return [pane for pane in self.panes if self._gammas.get(pane) != self._gamma]

    @property
    def is_complete(self) -> bool:
        """Whether every pane has a picture, which may be relit anew."""
        return all(pane in self._images for pane in self.panes)

    @property
    def _gamma(self) -> float:
        return self._session.selection.relight

    def refresh(self) -> None:
        """Takes up the stages that are there."""
        stages = list(range(self._pictures.num_stages))
        panes = stages + [REFERENCE] * (bool(stages) and self._pictures.size(REFERENCE) is not None)
        if self._session.stages is not self._of or panes != self.panes:
            self.beginResetModel()
            if self._session.stages is not self._of:
                self._of = self._session.stages
                self._images.clear()
                self._gammas.clear()
            self.panes = panes
            self.endResetModel()

    def make(self, pane: int, side: int) -> None:
        """Makes the picture of a pane, `side` px along its longer side."""
        if (image := self._pictures.thumbnail(pane, side)) is not None:
            self._images[pane], self._gammas[pane] = image, self._gamma
            place = self.index(self.panes.index(pane))
            self.dataChanged.emit(place, place, [Qt.ItemDataRole.DecorationRole])

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.panes)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole):
        pane = self.panes[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return {0: "Start", REFERENCE: "Reference"}.get(pane, str(pane))
            case Qt.ItemDataRole.DecorationRole:
                return self._images.get(pane)
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._pictures.title(pane)
            case Qt.ItemDataRole.ToolTipRole:
                return self._hint(pane)
            case Qt.ItemDataRole.UserRole:
                return pane
        return None

    def _hint(self, pane: int) -> str:
        if pane == REFERENCE:
            return "The true scene\nClick shows or hides its pane"
        row = self._session.stages.row(pane)
        keys = "Click shows it, Ctrl-click adds or takes away a pane"
        first = f"What the first {shown_step(self._session)} begins with"
        told = "" if pane else f"{first}{f': {row.method}' if row.method else ''}\n"
        reused = "\nTaken from the last decode" if row.is_reused else ""
        return f"{told}{self._pictures.title(pane)}, residual {number(row.residual)}{reused}\n{keys}"


def paint_small(painter: QPainter, place: QRectF, image: QImage | None, *, is_framed: bool) -> None:
    """A small picture in the middle of its place, or an empty one, in a frame where it is shown."""
    if image is None:
        painter.fillRect(place, QColor(tokens().image))
    else:
        size = QSize(image.size()).scaled(place.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRectF(QPointF(), size)
        target.moveCenter(place.center())
        painter.drawImage(target, image)
    if is_framed:
        painter.setPen(QPen(QColor(tokens().accent), 2))
        painter.drawRoundedRect(place.adjusted(-1.5, -1.5, 1.5, 1.5), 3, 3)


class _Small(QStyledItemDelegate):
    """A picture with its name under it: framed where a pane shows it, bold where it is the chosen stage."""

    def __init__(self, strip: StageStrip) -> None:
        super().__init__(strip)
        self._strip = strip

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return self._strip.gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colours, is_chosen = tokens(), index.data(PANE) == self._strip.chosen
        place = QRectF(option.rect.x() + EDGE, option.rect.y() + EDGE, option.rect.width() - GRID, HEIGHT)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        is_shown = bool(option.state & QStyle.StateFlag.State_Selected)
        paint_small(painter, place, index.data(Qt.ItemDataRole.DecorationRole), is_framed=is_shown)
        font = option.font
        font.setBold(is_chosen)
        font.setUnderline(bool(option.state & QStyle.StateFlag.State_HasFocus))
        painter.setFont(font)
        painter.setPen(QColor(colours.text if is_chosen else colours.dim))
        under = QRectF(place.x() - GRID, place.bottom() + 2, place.width() + 2 * GRID, LABEL - 2)
        painter.drawText(under, Qt.AlignmentFlag.AlignCenter, index.data())
        painter.restore()


class StageStrip(QListView):
    """Small pictures in a row, made one per turn of the event loop, those in sight first.

    The keys: left and right choose a stage, Home and End the first and the last, Space and Return add or take away
    a pane. Selected are the panes that are shown.
    """

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.stages = Stages(parts, pictures)
        self._stage = -1  # the one that was brought in sight
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._make_one)
        self.setModel(self.stages)
        self.setItemDelegate(_Small(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QListView.SelectionMode.MultiSelection)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setObjectName("bare")
        parts.wording.say(self, self.setAccessibleName, "Thumbnails of the stages")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the pictures
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setHorizontalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setFixedHeight(EDGE + HEIGHT + LABEL + BAR)
        self.viewport().setAutoFillBackground(False)

    @property
    def chosen(self) -> int:
        """The stage that is looked at."""
        return self._session.selection.stage

    def refresh(self) -> None:
        """Shows the stages that are there, the chosen one in sight whenever it changes."""
        self.setGridSize(QSize(self._pitch, EDGE + HEIGHT + LABEL))
        self.stages.refresh()
        shown = QItemSelection()
        for row, pane in enumerate(self.stages.panes):
            if pane in self._session.selection.shown:
                shown.select(self.stages.index(row), self.stages.index(row))
        self.selectionModel().select(shown, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        is_new = self.chosen != self._stage or not self.currentIndex().isValid()
        if self.chosen in self.stages.panes and is_new:
            self._stage = self.chosen
            self._make_current(self.stages.index(self.chosen))
        if self.stages.missing and not self._timer.isActive():
            self._timer.start(SETTLES_MS if self.stages.is_complete else 0)
        self.viewport().update()

    def place(self, pane: int) -> QRect:
        """Where the picture of a pane and its name lie in the viewport."""
        return self.visualRect(self.stages.index(self.stages.panes.index(pane)))

    @property
    def _pitch(self) -> int:
        """From one picture to the next, in px."""
        height, width = self._pictures.size(0) or (1, 1)
        return GRID + min(max(round(HEIGHT * width / height), WIDTHS[0]), WIDTHS[1])

    def _make_current(self, index: QModelIndex) -> None:
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.scrollTo(index)

    def _keep_in_sight(self) -> None:
        if self._stage in self.stages.panes:
            self.scrollTo(self.stages.index(self.stages.panes.index(self._stage)))

    def _make_one(self) -> None:
        if not (missing := self.stages.missing):
            return
        seen = self.viewport().rect()
        in_sight = [pane for pane in missing if seen.intersects(self.place(pane))]
        side = round(max(HEIGHT, self._pitch - GRID) * self.devicePixelRatioF())
        self.stages.make((in_sight or missing)[0], side)
        self._timer.start(0)

    def _toggle(self, pane: int) -> None:
        """Adds a pane to those shown, or takes it away."""
        panes = self._session.selection.shown
        others = [shown for shown in panes if shown != pane]
        self._parts.looking.set_panes(others if pane in panes else in_order([*panes, pane]))

    def sizeHint(self) -> QSize:
        return QSize(480, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._keep_in_sight)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if not index.isValid():
            return
        pane = index.data(PANE)
        if pane == REFERENCE or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._toggle(pane)
        else:
            self._parts.looking.select_stage(pane)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Nothing is dragged: a press has done all."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        current = self.currentIndex()
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter) and current.isValid():
            self._toggle(current.data(PANE))
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
            last = len(self.stages.panes) - 1
            step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -last, Qt.Key.Key_End: last}
            index = self.stages.index(min(max(current.row() + step[event.key()], 0), last))
            self._make_current(index)
            if index.data(PANE) != REFERENCE:
                self._parts.looking.select_stage(index.data(PANE))
        else:
            event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A plain wheel scrolls sideways: there is nothing above or below."""
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (event.angleDelta().y() or event.angleDelta().x()))
        event.accept()

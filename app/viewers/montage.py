"""All bands of the chosen stage as small labelled tiles; a click chooses the band, a double click shows it large."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
)

from .. import render
from ..assembly import Parts
from ..quantities import plural
from ..widgets.theme import GRID, tokens
from .pictures import Pictures

PADDING = 12  # px
LABEL = 18  # under a tile
Index = QModelIndex | QPersistentModelIndex


class Bands(QAbstractListModel):
    """The bands of what is open; their pictures are painted at the size they are seen, from the cache of pictures."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._session, self._pictures = parts.session, pictures
        self._num_bands = 0

    def refresh(self) -> None:
        """Takes up the bands that there are."""
        if self._pictures.num_bands != self._num_bands:
            self.beginResetModel()
            self._num_bands = self._pictures.num_bands
            self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else self._num_bands

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole):
        if role == Qt.ItemDataRole.DisplayRole:
            return self._label(index.row())
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._hint(index.row())
        return None

    def _label(self, band: int) -> str:
        if self._session.kind.is_photograph:
            return self._pictures.band_title(band)
        if self._pictures.wavelengths_nm is None:
            return str(band + 1)
        return f"{self._pictures.wavelengths_nm[band]:.1f}" + (" nm" if band == 0 else "")

    def _hint(self, band: int) -> str:
        words = f"{self._session.kind.band.capitalize()} {band + 1} of {self._pictures.num_bands}"
        is_named = self._session.kind.is_photograph or self._pictures.wavelengths_nm is not None
        return f"{words}, {self._pictures.band_title(band)}" if is_named else words


class _Tile(QStyledItemDelegate):
    """A band with its label under it, framed where it is chosen."""

    def __init__(self, tiles: Tiles) -> None:
        super().__init__(tiles)
        self._tiles = tiles

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return self._tiles.gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        target = self._tiles.picture_in(option.rect)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if (image := self._tiles.image(index.row(), target.size().toSize())) is not None:
            painter.drawImage(target, image)
        painter.setFont(option.font)
        painter.setPen(QColor(tokens().text if is_chosen else tokens().dim))
        under = QRectF(target.x() - GRID / 2, target.bottom() + 2, target.width() + GRID, LABEL - 2)
        painter.drawText(under, Qt.AlignmentFlag.AlignCenter, index.data())
        if is_chosen:
            painter.setPen(QPen(QColor(tokens().accent), 2))
            painter.drawRect(target.adjusted(-1, -1, 1, 1))
        painter.restore()


class Tiles(QListView):
    """As many columns as show all tiles largest. The arrow keys choose a band, Return shows it large."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.bands = Bands(parts, pictures)
        self._is_refreshing = False
        self.setModel(self.bands)
        self.setItemDelegate(_Tile(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setObjectName("bare")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.selectionModel().currentChanged.connect(self._choose)
        self.doubleClicked.connect(self._show_large)
        pictures.making.made.connect(self.viewport().update)

    def refresh(self) -> None:
        """Shows the selection."""
        self.setAccessibleName(f"Montage of all {self._session.kind.band}s")
        self._is_refreshing = True
        self.bands.refresh()
        self._lay_out()
        selection, model = self._session.selection, self.selectionModel()
        first, last = (self.bands.index(band) for band in selection.bands)
        model.select(QItemSelection(first, last), QItemSelectionModel.SelectionFlag.ClearAndSelect)
        model.setCurrentIndex(self.bands.index(selection.band), QItemSelectionModel.SelectionFlag.NoUpdate)
        self._is_refreshing = False
        self.viewport().update()

    def tile_rect(self, band: int) -> QRect:
        """Where the picture of a band lies in the viewport, without its label."""
        return self.picture_in(self.visualRect(self.bands.index(band))).toRect()

    def picture_in(self, place: QRect) -> QRectF:
        """Where the picture lies in the place of a tile."""
        size = self._pictures.size(self._session.selection.stage)
        if size is None:
            return QRectF()
        height, width = size
        scale = min((place.height() - LABEL - GRID) / height, (place.width() - GRID) / width)
        x = place.x() + (place.width() - width * scale) / 2
        return QRectF(x, place.y() + 2, max(width * scale, 1), max(height * scale, 1))

    def image(self, band: int, size: QSize):
        """The picture of a band of the chosen stage, as fine as a tile of a size in px can show."""
        stage, ratio = self._session.selection.stage, self.devicePixelRatioF()
        if (full := self._pictures.size(stage)) is None:
            return None
        factor = render.fitting_factor(full, (size.height() * ratio, size.width() * ratio))
        return self._pictures.tile(stage, band, factor)

    def _lay_out(self) -> None:
        size, num_bands = self._pictures.size(self._session.selection.stage), self._pictures.num_bands
        if size is None or not num_bands:
            return
        place = self.viewport().size()
        margin = (LABEL + GRID, GRID)
        columns = render.tiling(num_bands, size, (place.height(), place.width()), margin)
        rows = -(-num_bands // columns)
        width = (place.width() - 1) // columns  # Qt wraps a row that fills its view to the last pixel
        self.setGridSize(QSize(max(width, 1), max(place.height() // rows, 1)))

    def _choose(self, current: QModelIndex) -> None:
        if current.isValid() and not self._is_refreshing:
            self._parts.looking.select_band(current.row())

    def _show_large(self, index: QModelIndex) -> None:
        self._parts.looking.select_band(index.row())
        self._parts.looking.set_mode("band")

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()
        super().resizeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._show_large(self.currentIndex())
        elif event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Space) or event.text().isalnum():
            event.ignore()  # no searching by typing
        else:
            super().keyPressEvent(event)


class Montage(QFrame):
    """The tiles under a heading."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self.setObjectName("card")
        self._session, self._pictures = parts.session, pictures
        self.tiles = Tiles(parts, pictures)
        self.setFocusProxy(self.tiles)
        self._title, self._words = QLabel(), QLabel()
        self._title.setObjectName("heading")
        parts.wording.say(self, self._title.setToolTip, "The stage whose bands these are")
        self._words.setObjectName("dim")
        every = "Every band of the chosen stage on one scale, from the shortest wavelength"
        parts.wording.say(self, self._words.setToolTip, every)
        self.tiles.setStatusTip("A click chooses a band, a double click shows it large")
        heading = QHBoxLayout()
        heading.setSpacing(2 * GRID)
        heading.addWidget(self._title)
        heading.addWidget(self._words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(PADDING, GRID, PADDING, PADDING - GRID)
        column.addLayout(heading)
        column.addWidget(self.tiles, 1)

    def refresh(self) -> None:
        """Shows the selection."""
        self._title.setText(self._pictures.title(self._session.selection.stage))
        bands = plural(self._pictures.num_bands, self._session.kind.band)
        self._words.setText(f"all {bands}  ·  a click chooses, Return enlarges")
        self.tiles.refresh()

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

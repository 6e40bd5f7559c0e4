"""The grid of panes in the centre: pictures with a title and figures in grey, or the montage of all bands."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from .. import render, theme
from ..quantities import duration, number
from ..session import MEASUREMENT, REFERENCE, Session
from ..theme import GRID, Theme
from .panes import ImagePane, ViewHub
from .pictures import Pictures, title_of

LABEL_HEIGHT = 16  # px under a tile of the montage


class PaneCard(QFrame):
    """A pane with its title, its figures and a button that makes it fill the centre."""

    expand_toggled = Signal()

    def __init__(self, hub: ViewHub, tokens: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self.title = QLabel()
        self.title.setObjectName("heading")
        self.figures = QLabel()
        self.figures.setObjectName("dim")
        self.figures.setFont(theme.tabular(self.figures.font()))
        self.figures.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.expand = QToolButton()
        self.expand.setText("⤢")
        self.expand.setAutoRaise(True)
        self.expand.clicked.connect(self.expand_toggled)
        self.pane = ImagePane(hub, tokens)
        top = QHBoxLayout()
        top.setSpacing(GRID)
        top.addWidget(self.title)
        top.addWidget(self.figures, 1)
        top.addWidget(self.expand)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 6, 12, 12)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.pane, 1)

    def describe(self, title: str, figures: str, *, is_expanded: bool, can_expand: bool) -> None:
        """Sets the words of the card."""
        self.title.setText(title)
        self.figures.setText(figures)
        self.figures.setToolTip(figures)
        self.pane.setAccessibleName(f"Picture: {title}")
        self.expand.setVisible(can_expand)
        self.expand.setToolTip("Show all panes" if is_expanded else f"Let {title} fill the centre")
        self.expand.setAccessibleName(self.expand.toolTip())


class PaneGrid(QWidget):
    """Keeps one card for every pane of the selection; cards are reused, so that nothing flickers while stages come."""

    def __init__(self, session: Session, pictures: Pictures, tokens: Theme) -> None:
        super().__init__()
        self._session, self._pictures, self._theme = session, pictures, tokens
        self.hub = ViewHub()
        self.cards: list[PaneCard] = []
        self._expanded: int | None = None
        self._is_pinned = False
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(GRID)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        for card in self.cards:
            card.pane.set_theme(tokens)

    def refresh(self) -> None:
        """Shows the selection."""
        selection = self._session.selection
        panes = [pane for pane in selection.panes if self._pictures.array(pane) is not None]
        if self._expanded not in panes:
            self._expanded = None
        shown = panes if self._expanded is None else [self._expanded]
        self._arrange(len(shown))
        for card, pane in zip(self.cards, shown, strict=True):
            card.describe(
                title_of(pane),
                self._figures(pane),
                is_expanded=self._expanded is not None,
                can_expand=len(panes) > 1,
            )
            card.pane.setProperty("pane", pane)
            card.pane.show_image(self._pictures.picture(pane))
            card.pane.show_marker(selection.pixel if pane != MEASUREMENT else None)

    def unpin(self) -> None:
        """Lets the cursor follow the mouse again."""
        self._is_pinned = False

    def reset(self) -> None:
        """Another measurement: everything is seen whole, nothing is pinned."""
        self._expanded, self._is_pinned = None, False
        self.hub.reset()

    def _figures(self, pane: int) -> str:
        if pane == MEASUREMENT:
            return "before decoding"
        if pane == REFERENCE:
            return "the true scene"
        row = self._session.stages.row(pane)
        parts = [f"residual {number(row.residual)}"]
        if "psnr" in row.metrics:
            parts.append(f"{row.metrics['psnr']:.2f} dB")
        return "  ·  ".join([*parts, duration(row.seconds)])

    def _arrange(self, count: int) -> None:
        """`count` cards in rows as equal as possible, wider than high."""
        if count == len(self.cards):
            return
        while len(self.cards) < count:
            self.cards.append(self._new_card())
        for card in self.cards[count:]:
            card.setParent(None)
            card.deleteLater()
        del self.cards[count:]
        columns = math.ceil(math.sqrt(count)) if count else 1
        for index, card in enumerate(self.cards):
            self._layout.addWidget(card, index // columns, index % columns)
        for index in range(max(self._layout.columnCount(), columns)):
            self._layout.setColumnStretch(index, 1 if index < columns else 0)
        rows = math.ceil(count / columns)
        for index in range(max(self._layout.rowCount(), rows)):
            self._layout.setRowStretch(index, 1 if index < rows else 0)

    def _new_card(self) -> PaneCard:
        card = PaneCard(self.hub, self._theme)
        card.expand_toggled.connect(lambda: self._toggle_expanded(card))
        card.pane.hovered.connect(lambda pixel: self._hover(card, pixel))
        card.pane.clicked.connect(lambda pixel: self._click(card, pixel))
        return card

    def _toggle_expanded(self, card: PaneCard) -> None:
        self._expanded = None if self._expanded is not None else card.pane.property("pane")
        self.refresh()

    def _hover(self, card: PaneCard, pixel: tuple[int, int] | None) -> None:
        if not self._is_pinned and card.pane.property("pane") != MEASUREMENT:
            self._session.select_pixel(pixel)

    def _click(self, card: PaneCard, pixel: tuple[int, int]) -> None:
        """Pins the cursor to a pixel; a click near it lets it go again."""
        pane = card.pane.property("pane")
        if pane == MEASUREMENT:
            return
        held = self._session.selection.pixel
        is_near = held is not None and max(abs(held[0] - pixel[0]), abs(held[1] - pixel[1])) <= 2
        self._is_pinned = not (self._is_pinned and is_near)
        self._session.select_pixel(pixel)
        if pane >= 0:
            self._session.select_stage(pane)


class Montage(QFrame):
    """All bands of the chosen stage as labelled tiles; a click chooses the band."""

    def __init__(self, session: Session, pictures: Pictures, tokens: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self._session, self._pictures, self._theme = session, pictures, tokens
        self._tiles: list[QImage] = []
        self._shown: tuple | None = None
        self.setAccessibleName("Montage of all bands")
        self.setMinimumHeight(160)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = tokens
        self.update()

    def refresh(self) -> None:
        """Renders the tiles when the stage, the stretch or the size asks for others."""
        selection = self._session.selection
        pane = selection.stage if len(self._session.stages) else None
        cube = None if pane is None else self._pictures.array(pane)
        if cube is None:
            self._tiles, self._shown = [], None
        else:
            side = max(32, int(max(self._cell(len(cube)).width(), 1) * self.devicePixelRatioF()))
            key = (id(self._session.stages), pane, selection.stretch, side)
            if key != self._shown:
                self._tiles = [self._pictures.tile(pane, band, side) for band in range(len(cube))]
                self._shown = key
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self.refresh()

    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        if not self._tiles:
            painter.setPen(QColor(self._theme.dim))
            words = "The bands appear here once the first stage is decoded."
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            return
        wavelengths_nm = self._session.measurement.wavelengths_nm
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for band, tile in enumerate(self._tiles):
            place = self._place(band)
            painter.drawImage(self._fitted(place, tile), tile)
            is_chosen = band == self._session.selection.band
            painter.setPen(QColor(self._theme.text if is_chosen else self._theme.dim))
            label = f"band {band + 1}" if wavelengths_nm is None else f"{wavelengths_nm[band]:.1f} nm"
            under = QRectF(place.x(), place.bottom() + 1, place.width(), LABEL_HEIGHT)
            painter.drawText(under, Qt.AlignmentFlag.AlignCenter, label)
            if is_chosen:
                painter.setPen(QPen(QColor(self._theme.accent), 2))
                painter.drawRect(self._fitted(place, tile).adjusted(-1, -1, 1, 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        band = self.band_at(event.position().toPoint())
        if band is not None:
            self._session.select_band(band)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.band_at(event.position().toPoint()) is not None:
            self._session.set_mode("band")

    def band_at(self, point: QPoint) -> int | None:
        """The band whose tile lies under a point of the widget."""
        return next((band for band in range(len(self._tiles)) if self._place(band).contains(point)), None)

    def _cell(self, num_bands: int) -> QSize:
        rows, columns = self._grid(num_bands)
        return QSize((self.width() - 16) // columns - GRID, (self.height() - 16) // rows - GRID - LABEL_HEIGHT)

    def _grid(self, num_bands: int) -> tuple[int, int]:
        return render.montage_grid(num_bands, max(self.width(), 1) / max(self.height(), 1))

    def _place(self, band: int) -> QRectF:
        """Where a tile may be, its label below."""
        num_bands = len(self._tiles)
        cell, (_, columns) = self._cell(num_bands), self._grid(num_bands)
        x = 12 + (band % columns) * (cell.width() + GRID)
        y = 12 + (band // columns) * (cell.height() + GRID + LABEL_HEIGHT)
        return QRectF(x, y, cell.width(), cell.height())

    @staticmethod
    def _fitted(place: QRectF, tile: QImage) -> QRectF:
        scale = min(place.width() / tile.width(), place.height() / tile.height())
        width, height = tile.width() * scale, tile.height() * scale
        return QRectF(place.center().x() - width / 2, place.center().y() - height / 2, width, height)

"""All bands of the chosen stage as small labelled tiles; a click chooses the band, a double click shows it large."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QSizePolicy, QToolTip

from .. import render
from ..assembly import Parts
from ..quantities import plural
from ..widgets.theme import GRID, tokens
from .pictures import Pictures, title_of

PADDING = 12  # px
HEADING = 24
LABEL = 18  # under a tile


class Montage(QFrame):
    """Paints the tiles at the size they are seen; the picture cache keeps them."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self.setObjectName("card")
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        pictures.making.made.connect(self.update)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def refresh(self) -> None:
        """Shows the selection."""
        self.setAccessibleName(f"Montage of all {self._session.kind.band}s")
        self.update()

    def tile_rect(self, band: int) -> QRectF:
        """Where the tile of a band lies, without its label."""
        size = self._pictures.size(self._session.selection.stage)
        if size is None:
            return QRectF()
        (height, width), num_bands = size, self._pictures.num_bands
        place = QRectF(self.rect()).adjusted(PADDING, PADDING + HEADING, -PADDING, -PADDING + GRID)
        margin = (LABEL + GRID, GRID)
        columns = render.tiling(num_bands, size, (place.height(), place.width()), margin)
        rows = -(-num_bands // columns)
        cell_width, cell_height = (place.width() + GRID) / columns, place.height() / rows
        scale = min((cell_height - margin[0]) / height, (cell_width - margin[1]) / width)
        x = place.x() + band % columns * cell_width + (cell_width - GRID - width * scale) / 2
        return QRectF(x, place.y() + band // columns * cell_height, max(width * scale, 1), max(height * scale, 1))

    def band_at(self, point: QPointF) -> int | None:
        """The band whose tile or label lies under a point of the widget."""
        bands = range(self._pictures.num_bands)
        return next((band for band in bands if self.tile_rect(band).adjusted(0, 0, 0, LABEL).contains(point)), None)

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        stage, selection = self._session.selection.stage, self._session.selection
        size = self._pictures.size(stage)
        if size is None:
            return
        painter = QPainter(self)
        self._paint_heading(painter, stage)
        ratio = self.devicePixelRatioF()
        for band in range(self._pictures.num_bands):
            target = self.tile_rect(band)
            factor = render.fitting_factor(size, (target.height() * ratio, target.width() * ratio))
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(target, self._pictures.tile(stage, band, factor))
            is_chosen = selection.bands[0] <= band <= selection.bands[1]
            painter.setPen(QColor(tokens().text if is_chosen else tokens().dim))
            under = QRectF(target.x() - GRID / 2, target.bottom() + 2, target.width() + GRID, LABEL - 2)
            painter.drawText(under, Qt.AlignmentFlag.AlignCenter, self._label(band))
            if is_chosen:
                painter.setPen(QPen(QColor(tokens().accent), 2))
                painter.drawRect(target.adjusted(-1, -1, 1, 1))

    def _paint_heading(self, painter: QPainter, stage: int) -> None:
        place = QRectF(PADDING, PADDING - 4, self.width() - 2 * PADDING, HEADING)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(tokens().text))
        title = title_of(stage)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, title)
        offset = painter.fontMetrics().horizontalAdvance(title) + 2 * GRID
        painter.setFont(self.font())
        painter.setPen(QColor(tokens().dim))
        bands = plural(self._pictures.num_bands, self._session.kind.band)
        words = f"all {bands}  ·  click chooses one, double click shows it large"
        painter.drawText(place.adjusted(offset, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, words)

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

    def event(self, event) -> bool:
        if isinstance(event, QHelpEvent):
            band = self.band_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), "" if band is None else self._hint(band), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (band := self.band_at(event.position())) is not None:
            self._parts.looking.select_band(band)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if (band := self.band_at(event.position())) is not None:
            self._parts.looking.select_band(band)
            self._parts.looking.set_mode("band")

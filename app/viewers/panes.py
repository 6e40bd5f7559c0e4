"""Pictures side by side with one zoom, one place and one cursor.

All panes read one hub that holds a centre (as a share of the picture) and a zoom (1 fits the pane). A resize changes
neither, so nothing can drift.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ..theme import Theme

LARGEST_ZOOM = 64.0
DRAG_STARTS = 4  # px; a shorter way between press and release is a click


class ViewHub(QObject):
    """The one centre and zoom of all panes."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.centre = QPointF(0.5, 0.5)
        self.zoom = 1.0

    def look_at(self, centre: QPointF, zoom: float) -> None:
        """Moves all panes; the centre stays inside the picture and the zoom between fitting and LARGEST_ZOOM."""
        zoom = min(max(zoom, 1.0), LARGEST_ZOOM)
        centre = QPointF(min(max(centre.x(), 0.0), 1.0), min(max(centre.y(), 0.0), 1.0))
        if zoom == 1.0:
            centre = QPointF(0.5, 0.5)
        if centre != self.centre or zoom != self.zoom:
            self.centre, self.zoom = centre, zoom
            self.changed.emit()

    def reset(self) -> None:
        """Fits the pictures into their panes."""
        self.look_at(QPointF(0.5, 0.5), 1.0)


class ImagePane(QWidget):
    """One picture. Wheel zooms at the cursor, dragging moves, double-click fits; hovering and clicking report pixels."""

    hovered = Signal(object)  # (y, x) in pixels of the picture, or None when the mouse leaves
    clicked = Signal(object)  # (y, x)

    def __init__(self, hub: ViewHub, theme: Theme) -> None:
        super().__init__()
        self._hub, self._theme = hub, theme
        self._image: QImage | None = None
        self._marker: tuple[int, int] | None = None
        self._pressed: QPointF | None = None
        self._dragged_from: QPointF | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 72)
        hub.changed.connect(self.update)

    def set_theme(self, theme: Theme) -> None:
        """Draws in other colours from now on."""
        self._theme = theme
        self.update()

    def show_image(self, image: QImage | None) -> None:
        """Shows a picture of the same place; the view stays."""
        self._image = image
        self.update()

    def show_marker(self, pixel: tuple[int, int] | None) -> None:
        """Marks a pixel, or none."""
        if pixel != self._marker:
            self._marker = pixel
            self.update()

    @property
    def target(self) -> QRectF:
        """Where the whole picture lies, in coordinates of the widget; larger than the widget when zoomed in."""
        if self._image is None:
            return QRectF()
        scale = self._hub.zoom * min(self.width() / self._image.width(), self.height() / self._image.height())
        width, height = self._image.width() * scale, self._image.height() * scale
        centre = self._hub.centre
        return QRectF(self.width() / 2 - centre.x() * width, self.height() / 2 - centre.y() * height, width, height)

    def pixel_at(self, position: QPointF) -> tuple[int, int] | None:
        """(y, x) of the picture under a point of the widget."""
        target = self.target
        if self._image is None or not target.contains(position):
            return None
        x = int((position.x() - target.x()) / target.width() * self._image.width())
        y = int((position.y() - target.y()) / target.height() * self._image.height())
        return min(y, self._image.height() - 1), min(x, self._image.width() - 1)

    def point_of(self, pixel: tuple[int, int]) -> QPointF:
        """The middle of a pixel in coordinates of the widget."""
        target, (y, x) = self.target, pixel
        return QPointF(
            target.x() + (x + 0.5) * target.width() / self._image.width(),
            target.y() + (y + 0.5) * target.height() / self._image.height(),
        )

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.image))
        if self._image is None:
            return
        target = self.target
        # pixels are to be seen as such once they are larger than four on the screen
        is_fine = target.width() < 4 * self._image.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_fine)
        painter.drawImage(target, self._image)
        if self._marker is not None:
            self._draw_marker(painter, self.point_of(self._marker))

    def _draw_marker(self, painter: QPainter, point: QPointF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(self._theme.curves[0]))
        painter.setPen(QPen(QColor("#ffffff"), 1.5))
        painter.drawEllipse(point, 4.5, 4.5)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._image is None:
            return
        self._zoom_at(event.position(), 1.2 ** (event.angleDelta().y() / 120))
        event.accept()

    def _zoom_at(self, position: QPointF, factor: float) -> None:
        """Zooms so that what lies under `position` stays there."""
        target = self.target
        share = QPointF((position.x() - target.x()) / target.width(), (position.y() - target.y()) / target.height())
        zoom = min(max(self._hub.zoom * factor, 1.0), LARGEST_ZOOM)
        grown = zoom / self._hub.zoom
        offset = QPointF(
            (self.width() / 2 - position.x()) / (target.width() * grown),
            (self.height() / 2 - position.y()) / (target.height() * grown),
        )
        self._hub.look_at(share + offset, zoom)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._pressed = self._dragged_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        if self._dragged_from is not None:
            target, moved = self.target, position - self._dragged_from
            if self._image is not None and (position - self._pressed).manhattanLength() >= DRAG_STARTS:
                shift = QPointF(moved.x() / target.width(), moved.y() / target.height())
                self._hub.look_at(self._hub.centre - shift, self._hub.zoom)
                self._dragged_from = position
            return
        self.hovered.emit(self.pixel_at(position))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None and (event.position() - self._pressed).manhattanLength() < DRAG_STARTS:
            pixel = self.pixel_at(event.position())
            if pixel is not None and event.button() == Qt.MouseButton.LeftButton:
                self.clicked.emit(pixel)
        self._pressed = self._dragged_from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._hub.reset()

    def leaveEvent(self, event) -> None:
        self.hovered.emit(None)

"""Pictures side by side with one zoom, one place and one cursor.

All panes read one hub that holds a centre (as a share of the picture) and a zoom (1 fits the pane). Panes compute
their own view from these and a resize changes neither, so nothing can drift and nothing can echo.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ..render import fitting_factor
from ..widgets.theme import tokens

LARGEST_ZOOM = 64.0
DRAG_STARTS = 4  # px; a shorter way between press and release is a click
STEP = 1.25  # of the zoom keys
FAR = 10  # pixels that an arrow key moves with Shift
ARROWS = {Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0), Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1)}
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)

Pixel = tuple[int, int]  # (y, x)


class ViewHub(QObject):
    """The one centre, zoom and cursor of all panes."""

    view_changed = Signal()
    cursor_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.centre = QPointF(0.5, 0.5)
        self.zoom = 1.0
        self.cursor: Pixel | None = None

    def look_at(self, centre: QPointF, zoom: float) -> None:
        """Moves all panes; the centre stays inside the picture and the zoom between fitting and LARGEST_ZOOM."""
        zoom = min(max(zoom, 1.0), LARGEST_ZOOM)
        centre = QPointF(min(max(centre.x(), 0.0), 1.0), min(max(centre.y(), 0.0), 1.0))
        if zoom == 1.0:
            centre = QPointF(0.5, 0.5)
        if centre != self.centre or zoom != self.zoom:
            self.centre, self.zoom = centre, zoom
            self.view_changed.emit()

    def point_at(self, pixel: Pixel | None) -> None:
        """Shows where the mouse is in every pane, or nowhere."""
        if pixel != self.cursor:
            self.cursor = pixel
            self.cursor_changed.emit()

    def reset(self) -> None:
        """Fits the pictures into their panes."""
        self.look_at(QPointF(0.5, 0.5), 1.0)


class ImagePane(QWidget):
    """One picture. The wheel zooms at the mouse, dragging moves, a double click fits; pixels are reported.

    Return lays a cursor for the keys on the pixel that is pinned, or into the middle, and clicks there. While it lies,
    arrows move it, Return and Space click, and Escape takes it up; Space lays it where Tab has led into the pane.

    The picture is asked for when it is painted, no larger than it is seen: `draw(factor)` gives it at 1 / factor.
    """

    hovered = Signal(object)  # (y, x) of the picture, or None when the mouse leaves it
    clicked = Signal(object)  # (y, x)

    def __init__(self, hub: ViewHub) -> None:
        super().__init__()
        self._hub = hub
        self._size: tuple[int, int] | None = None
        self._draw: Callable[[int], QImage | None] = lambda factor: None
        self._marker: Pixel | None = None
        self._legend: Callable[[QPainter, QRectF], None] | None = None
        self._is_linked = True
        self._pressed: QPointF | None = None
        self._dragged_from: QPointF | None = None
        self._keyed: Pixel | None = None  # where the cursor for the keys lies
        self._is_tabbed = False  # whether the keys have led here
        self.setAccessibleDescription("Return pins a pixel; then arrow keys move the cursor, Escape takes it away")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(64, 64)
        hub.view_changed.connect(self.update)
        hub.cursor_changed.connect(self.update)

    def show_picture(
        self, size: tuple[int, int] | None, draw: Callable[[int], QImage | None], *, is_linked: bool = True
    ) -> None:
        """Shows a picture of (height, width) at the same place; its cursor and markers are the scene's if linked."""
        if size != self._size:
            self._keyed = None
        self._size, self._draw, self._is_linked = size, draw, is_linked
        self.update()

    def show_legend(self, legend: Callable[[QPainter, QRectF], None] | None) -> None:
        """Lets `legend` paint over the picture, into the place of the widget; None for nothing."""
        self._legend = legend
        self.update()

    def show_marker(self, pixel: Pixel | None) -> None:
        """Marks a pixel, or none."""
        if pixel != self._marker:
            self._marker = pixel
            self.update()

    @property
    def picture(self) -> QImage | None:
        """What is shown, at its full size."""
        return None if self._size is None else self._draw(1)

    @property
    def target(self) -> QRectF:
        """Where the whole picture lies, in coordinates of the widget; larger than the widget when zoomed in."""
        if self._size is None:
            return QRectF()
        height, width = self._size
        scale = self._hub.zoom * min(self.width() / width, self.height() / height)
        centre = self._hub.centre
        left, top = self.width() / 2 - centre.x() * width * scale, self.height() / 2 - centre.y() * height * scale
        return QRectF(left, top, width * scale, height * scale)

    def claims(self, position: QPointF) -> bool:
        """Whether a press at a point of the widget is for the pane itself, and not for a region that lies there."""
        return False

    def pixel_at(self, position: QPointF) -> Pixel | None:
        """(y, x) of the picture under a point of the widget."""
        target = self.target
        if self._size is None or not target.contains(position):
            return None
        height, width = self._size
        x = int((position.x() - target.x()) / target.width() * width)
        y = int((position.y() - target.y()) / target.height() * height)
        return min(y, height - 1), min(x, width - 1)

    def point_of(self, pixel: Pixel) -> QPointF:
        """The middle of a pixel in coordinates of the widget."""
        target, (y, x), (height, width) = self.target, pixel, self._size
        return QPointF(
            target.x() + (x + 0.5) * target.width() / width, target.y() + (y + 0.5) * target.height() / height
        )

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(tokens().image))
        if self._size is None:
            return
        if not self.paint_picture(painter, self._size, self._draw):
            return
        if self._legend is not None:
            self._legend(painter, QRectF(self.rect()))
        if self._is_linked:
            self._paint_places(painter)
        if self._keyed is not None:
            self._paint_cursor(painter, self._keyed)

    def paint_picture(
        self,
        painter: QPainter,
        size: tuple[int, int],
        draw: Callable[[int], QImage | None],
        target: QRectF | None = None,
    ) -> bool:
        """Paints a picture of (height, width), also one that has fewer pixels, at the place and zoom of the hub.

        Another `target` is another place for the whole of it. False where there is no picture.
        """
        target = self.target if target is None else target
        factor = self._factor(size, target)
        image = draw(factor)
        if image is None:
            return False
        # Whole blocks only: what is left of the picture at its border is less than one pixel of the screen.
        share = QPointF(size[1] // factor * factor / size[1], size[0] // factor * factor / size[0])
        covered = QRectF(target.x(), target.y(), target.width() * share.x(), target.height() * share.y())
        is_fine = covered.width() / image.width() * self.devicePixelRatioF() < 4  # larger pixels are seen as such
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_fine)
        painter.drawImage(covered, image)
        return True

    def _factor(self, size: tuple[int, int], target: QRectF) -> int:
        """By how much a picture of (height, width) may be shrunk and still fill its place."""
        ratio = self.devicePixelRatioF()
        return fitting_factor(size, (target.height() * ratio, target.width() * ratio))

    def _paint_places(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._marker is not None:
            painter.setBrush(QColor(tokens().curves[0]))
            painter.setPen(QPen(QColor("#ffffff"), 1.5))
            painter.drawEllipse(self.point_of(self._marker), 5, 5)
        if self._hub.cursor is not None and self._keyed is None and not self.underMouse():
            self._paint_cursor(painter, self._hub.cursor)

    def _paint_cursor(self, painter: QPainter, pixel: Pixel) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in (("#ffffff", 3.5), (tokens().curves[1], 2)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawEllipse(self.point_of(pixel), 5, 5)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._size is not None:
            self._zoom_at(event.position(), 1.2 ** (event.angleDelta().y() / 120))
        event.accept()

    def _zoom_at(self, position: QPointF, factor: float) -> None:
        """Zooms so that what lies under `position` stays there."""
        target = self.target
        share = QPointF((position.x() - target.x()) / target.width(), (position.y() - target.y()) / target.height())
        grown = min(max(self._hub.zoom * factor, 1.0), LARGEST_ZOOM) / self._hub.zoom
        offset = QPointF(
            (self.width() / 2 - position.x()) / (target.width() * grown),
            (self.height() / 2 - position.y()) / (target.height() * grown),
        )
        self._hub.look_at(share + offset, self._hub.zoom * grown)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._keyed = None
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._pressed = self._dragged_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        if self._dragged_from is None:
            self.hovered.emit(self.pixel_at(position))
        elif self._size is not None and (position - self._pressed).manhattanLength() >= DRAG_STARTS:
            target, moved = self.target, position - self._dragged_from
            shift = QPointF(moved.x() / target.width(), moved.y() / target.height())
            self._hub.look_at(self._hub.centre - shift, self._hub.zoom)
            self._dragged_from = position

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None and (event.position() - self._pressed).manhattanLength() < DRAG_STARTS:
            pixel = self.pixel_at(event.position())
            if pixel is not None and event.button() == Qt.MouseButton.LeftButton:
                self.clicked.emit(pixel)
        self._pressed = self._dragged_from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._hub.reset()

    def event(self, event: QEvent) -> bool:
        """Keeps the keys of the cursor from being shortcuts of the window."""
        if event.type() == QEvent.Type.ShortcutOverride and self._answer_to(event) is not None:
            event.accept()
            return True
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._is_tabbed = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._is_tabbed = False
        self.take_up_cursor()
        super().focusOutEvent(event)

    def _answer_to(self, event: QKeyEvent) -> Callable[[], None] | None:
        """What a key does with the cursor; None where it means nothing to it now."""
        is_plain = not event.modifiers() & ~(Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.ShiftModifier)
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if self._size is None or not is_plain:
            return None
        is_laid = self._keyed is not None
        if is_laid and event.key() in ARROWS:
            dy, dx = ARROWS[event.key()]
            step = FAR if is_shifted else 1
            return lambda: self._step(step * dy, step * dx)
        if is_shifted:
            return None
        if event.key() in ENTER or (event.key() == Qt.Key.Key_Space and (is_laid or self._is_tabbed)):
            return self._pin
        return self.take_up_cursor if is_laid and event.key() == Qt.Key.Key_Escape else None

    def lay_cursor(self) -> None:
        """Lays a cursor for the keys on the pixel that is pinned, or into the middle, unless one lies already."""
        if self._keyed is None and self._size is not None:
            height, width = self._size
            pinned = self._marker or self.pixel_at(QPointF(self.width() / 2, self.height() / 2))
            y, x = pinned or (height // 2, width // 2)
            self._lay((min(y, height - 1), min(x, width - 1)))

    def _pin(self) -> None:
        """Clicks at the cursor; where none lies it is laid down first."""
        self.lay_cursor()
        self.clicked.emit(self._keyed)

    def _step(self, dy: int, dx: int) -> None:
        (height, width), (y, x) = self._size, self._keyed
        self._lay((min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)))

    def _lay(self, pixel: Pixel) -> None:
        """Lays the cursor on a pixel, and brings that into sight."""
        self._keyed = pixel
        if not QRectF(self.rect()).contains(self.point_of(pixel)):
            (height, width), (y, x) = self._size, pixel
            self._hub.look_at(QPointF((x + 0.5) / width, (y + 0.5) / height), self._hub.zoom)
        self.hovered.emit(pixel)
        self.update()

    def take_up_cursor(self) -> None:
        """Gives the keys back."""
        if self._keyed is not None:
            self._keyed = None
            self.hovered.emit(None)
            self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Plus and minus zoom, 0 fits; a key that is not the cursor's either is the business of the view around."""
        middle = QPointF(self.width() / 2, self.height() / 2)
        answer = self._answer_to(event)
        if answer is not None:
            answer()
        elif self._size is not None and event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._zoom_at(middle, STEP)
        elif self._size is not None and event.key() == Qt.Key.Key_Minus:
            self._zoom_at(middle, 1 / STEP)
        elif event.key() == Qt.Key.Key_0:
            self._hub.reset()
        else:
            event.ignore()

    def leaveEvent(self, event) -> None:
        self.hovered.emit(None)

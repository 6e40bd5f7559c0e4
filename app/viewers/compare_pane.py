"""The pictures of a comparison: both sides in one, or one of them in each of two, under a lens that shows the other."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen

from ..assembly import Parts
from ..widgets.theme import tokens
from .maps import Difference, MapKind, Maps, Spread, paint_legend
from .panes import ViewHub
from .pictures import Pane, Pictures
from .split import SplitPane

LENS_RADIUS, LENS_TIMES = 88, 4  # px; by how much it magnifies what is seen around it


class ComparePane(SplitPane):
    """The picture of both sides, or with `is_second` that of the right one; their line is dragged, or moved by keys.

    The lens lies where the mouse or the cursor for the keys is.
    """

    def __init__(self, parts: Parts, pictures: Pictures, maps: Maps, hub: ViewHub, *, is_second: bool = False) -> None:
        super().__init__(hub)
        self._session, self._comparing = parts.session, parts.comparing
        self._pictures, self._maps, self._is_second = pictures, maps, is_second
        self._mouse: QPointF | None = None
        self.line_moved.connect(self._comparing.move_divider)
        self.sides: tuple[Pane | None, Pane | None] = (None, None)
        self.map_: MapKind | None = None
        self.setAccessibleName("The right side" if is_second else "Comparison of the two sides")

    def refresh(self) -> None:
        """Takes the sides and the way from the comparison."""
        comparing, measurement = self._comparing, self._session.measurement
        self.sides = comparing.pair
        self.map_ = self._chosen_map()
        draw = self._pictures.drawing(self.seen) if self.map_ is None else partial(self._maps.picture, self.map_)
        size = None if measurement is None else tuple(measurement.physics.scene_shape[1:])
        self.show_picture(size, draw)
        left, right = ("" if side is None else self._pictures.title(side) for side in self.sides)
        draw_right = self._pictures.drawing(self.sides[1]) if self._is_split else None
        self.show_right(draw_right, (left, right), comparing.look.divider)
        self.show_marker(self._session.selection.pixel)
        words = " and ".join(self._pictures.title(side) for side in self.sides if side is not None)
        self.setAccessibleDescription(f"{comparing.look.way.capitalize()}: {words}")

    @property
    def seen(self) -> Pane | None:
        """The side that is seen where no line parts two; where one alone is there, that one."""
        if None in self.sides:
            return next((side for side in self.sides if side is not None), None)
        look = self._comparing.look
        return self.sides[int(self._is_second or (look.way == "blink" and look.shows_right))]

    def shows(self) -> Pane | MapKind | tuple[Pane | None, Pane | None]:
        """The map, the side that is seen, or the two sides with the line between them."""
        if self.map_ is not None:
            return self.map_
        return self.sides if self._is_split else self.seen

    @property
    def has_mouse(self) -> bool:
        """Whether the mouse is on the picture."""
        return self._mouse is not None

    @property
    def lens_at(self) -> QPointF | None:
        """The middle of the lens in the widget; None where there is none."""
        if not self._comparing.look.has_lens or None in self.sides or self._size is None:
            return None
        return self._mouse if self._keyed is None else self.point_of(self._keyed)

    @property
    def lens_sides(self) -> tuple[Pane, ...]:
        """What the lens shows: the side that is not seen where it lies, or where neither is, both halves."""
        left, right = self.sides
        if self.map_ is not None:
            return left, right
        if self._is_split:
            return (right if self.lens_at.x() < self.line_x else left,)
        return (left if self.seen == right else right,)

    def _chosen_map(self) -> MapKind | None:
        look, known = self._comparing.look, self._comparing.disagreement
        if look.way == "disagreement" and known is not None:
            return Spread(known.of, look.shows_angle and known.angle is not None)
        if look.way == "difference" and None not in self.sides:
            return Difference(*self.sides)
        return None

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._size is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ends = None if self.map_ is None else self._maps.range(self.map_)
        if ends is not None:
            paint_legend(painter, QRectF(self.rect()), ends)
        elif self.map_ is None and None not in self.sides and not self._is_split:
            self.paint_chip(painter, self._pictures.title(self.seen))
        if self.lens_at is not None:
            self._paint_lens(painter, self.lens_at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if self._comparing.look.has_lens:
            self.take_up_cursor()  # the lens follows the mouse again
        super().mouseMoveEvent(event)
        if self._comparing.look.has_lens:
            self.update()

    def leaveEvent(self, event) -> None:
        self._mouse = None
        super().leaveEvent(event)
        self.update()

    def _paint_lens(self, painter: QPainter, middle: QPointF) -> None:
        """The place under the lens, magnified, in one picture or half in each."""
        around = QRectF(0, 0, 2 * LENS_RADIUS, 2 * LENS_RADIUS)
        around.moveCenter(middle)
        circle, shown, target = QPainterPath(), self.lens_sides, self.target
        circle.addEllipse(around)
        corner = middle + LENS_TIMES * (target.topLeft() - middle)
        magnified = QRectF(corner, LENS_TIMES * target.size())
        painter.save()
        painter.setClipPath(circle)
        painter.fillRect(around, QColor(tokens().image))
        for number, pane in enumerate(shown):
            if number:
                right = QRectF(middle.x(), around.y(), LENS_RADIUS, around.height())
                painter.setClipRect(right, Qt.ClipOperation.IntersectClip)
            self.paint_picture(painter, self._size, self._pictures.drawing(pane), magnified)
        painter.restore()
        painter.setBrush(QColor(0, 0, 0, 0))
        for colour, width in ((tokens().card, 4), (tokens().accent, 2)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawEllipse(around)
            if len(shown) > 1:
                painter.drawLine(QPointF(middle.x(), around.top()), QPointF(middle.x(), around.bottom()))
        words = "  |  ".join(self._pictures.title(pane) for pane in shown)
        self.paint_words(painter, f"{words}  ×{LENS_TIMES}", QPointF(middle.x(), around.bottom()))

    @property
    def _is_split(self) -> bool:
        return self._comparing.look.way == "split" and None not in self.sides

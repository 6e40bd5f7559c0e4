"""A picture whose right part is another one, behind a line that is dragged with the mouse."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen

from ..widgets.theme import tokens
from .panes import ImagePane, ViewHub

GRIP = 8  # px; how near to the line the mouse takes it
KNOB = 9  # px, the radius of its handle
CHIP = 6  # px around the words on a picture


class SplitPane(ImagePane):
    """A pane that may show two pictures of one scene; where their line lies is for who listens to `line_moved`."""

    line_moved = Signal(float)  # a share of the width

    def __init__(self, hub: ViewHub) -> None:
        super().__init__(hub)
        self._right: Callable[[int], QImage | None] | None = None
        self._words = ("", "")
        self._divider = 0.5
        self._is_line_taken = False

    def show_right(
        self, draw: Callable[[int], QImage | None] | None, words: tuple[str, str] = ("", ""), divider: float = 0.5
    ) -> None:
        """Shows a second picture of the same scene right of the line, with the names of both; None for none."""
        self._right, self._words, self._divider = draw, words, divider
        self.update()

    @property
    def is_split(self) -> bool:
        """Whether two pictures are shown."""
        return self._right is not None and self._size is not None

    @property
    def line_x(self) -> float:
        """Where the line between the pictures is, in px of the widget."""
        return self._divider * self.width()

    def claims(self, position: QPointF) -> bool:
        return self._is_on_line(position)

    # ---- Qt ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.is_split:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_right_side(painter)
            self.paint_chip(painter, self._words[0])
            self.paint_chip(painter, self._words[1], at_right=True)
            self._paint_line(painter)

    def _paint_right_side(self, painter: QPainter) -> None:
        painter.save()
        painter.setClipRect(QRectF(self.line_x, 0, self.width() - self.line_x, self.height()))
        painter.fillRect(self.rect(), QColor(tokens().image))
        self.paint_picture(painter, self._size, self._right)
        self._paint_places(painter)
        painter.restore()

    def _paint_line(self, painter: QPainter) -> None:
        x, middle = self.line_x, self.height() / 2
        for colour, width in ((tokens().card, 3), (tokens().accent, 1.5)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setBrush(QColor(tokens().accent))
        painter.setPen(QPen(QColor(tokens().card), 2))
        painter.drawEllipse(QPointF(x, middle), KNOB, KNOB)
        painter.setPen(QPen(QColor(tokens().on_accent), 1.5))
        for side in (-1, 1):
            tip = x + side * 5.5
            for slope in (-3, 3):
                painter.drawLine(QPointF(tip, middle), QPointF(tip - side * 3, middle + slope))

    def paint_chip(self, painter: QPainter, words: str, *, at_right: bool = False) -> None:
        """The name of a side in its upper corner."""
        metrics = painter.fontMetrics()
        room = (self.width() - self.line_x if at_right else self.line_x) if self.is_split else self.width()
        words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, max(int(room - 4 * CHIP), 0))
        if not words or room < 6 * CHIP:
            return
        half = (metrics.horizontalAdvance(words) + 2 * CHIP) / 2
        middle = self.width() - CHIP - half if at_right else CHIP + half
        self.paint_words(painter, words, QPointF(middle, CHIP + (metrics.height() + CHIP) / 2))

    def paint_words(self, painter: QPainter, words: str, middle: QPointF) -> None:
        """Words on a picture, around a point as far as they stay in the pane."""
        metrics = painter.fontMetrics()
        words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, self.width() - 4 * CHIP)
        chip = QRectF(0, 0, metrics.horizontalAdvance(words) + 2 * CHIP, metrics.height() + CHIP)
        chip.moveCenter(middle)
        chip.moveLeft(min(max(chip.left(), CHIP), self.width() - CHIP - chip.width()))
        chip.moveTop(min(max(chip.top(), CHIP), self.height() - CHIP - chip.height()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens().card))
        painter.drawRoundedRect(chip, 4, 4)
        painter.setPen(QColor(tokens().text))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, words)

    def _is_on_line(self, position: QPointF) -> bool:
        return self.is_split and abs(position.x() - self.line_x) <= GRIP

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._is_on_line(event.position()):
            self._is_line_taken = True
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_line_taken:
            self.line_moved.emit(event.position().x() / max(self.width(), 1))
            return
        on_line = self._is_on_line(event.position()) and not event.buttons()
        self.setCursor(Qt.CursorShape.SplitHCursor if on_line else Qt.CursorShape.CrossCursor)
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._is_line_taken:
            self._is_line_taken = False
        else:
            super().mouseReleaseEvent(event)

"""The strip of stages: a small picture of the initial estimate, every stage and the reference."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QToolTip, QWidget

from ..assembly import Parts
from ..document.arranging import in_order
from ..document.selection import REFERENCE
from ..quantities import number
from ..widgets.theme import GRID, tokens
from .pictures import Pictures, title_of

HEIGHT = 56  # px of a small picture; its width follows from its shape
WIDTHS = (40, 112)
LABEL = 18
EDGE = 3
BAR = 8  # height of the scroll bar


class Strip(QWidget):
    """Paints what is visible; pictures are rendered one per turn of the event loop, those in sight first."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self._images: dict[int, QImage] = {}
        self._of = parts.session.stages
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._render_one)
        self.setAccessibleName("Thumbnails of the stages")
        self.setFixedHeight(EDGE + HEIGHT + LABEL)

    @property
    def panes(self) -> list[int]:
        """What the strip shows, left to right."""
        stages = list(range(self._pictures.num_stages))
        return stages + [REFERENCE] * (bool(stages) and self._pictures.size(REFERENCE) is not None)

    @property
    def missing(self) -> list[int]:
        """The pictures still to be rendered."""
        return [pane for pane in self.panes if pane not in self._images]

    def refresh(self) -> None:
        """Grows to the stages that are there and asks for their pictures."""
        if self._session.stages is not self._of:
            self._of = self._session.stages
            self._images.clear()
        self.setFixedWidth(max(1, 2 * EDGE + len(self.panes) * self._pitch - GRID))
        if self.missing and not self._timer.isActive():
            self._timer.start(0)
        self.update()

    def place(self, position: int) -> QRectF:
        """Where the picture at a position of the strip lies."""
        return QRectF(EDGE + position * self._pitch, EDGE, self._pitch - GRID, HEIGHT)

    def pane_at(self, point: QPointF) -> int | None:
        """The pane whose picture or label lies under a point of the widget."""
        position = int(point.x() - EDGE + GRID / 2) // self._pitch
        panes = self.panes
        return panes[position] if 0 <= position < len(panes) else None

    @property
    def _pitch(self) -> int:
        """From one picture to the next, in px."""
        height, width = self._pictures.size(0) or (1, 1)
        return GRID + min(max(round(HEIGHT * width / height), WIDTHS[0]), WIDTHS[1])

    def _render_one(self) -> None:
        if not (missing := self.missing):
            return
        seen = self.visibleRegion().boundingRect()
        in_sight = [pane for pane in missing if seen.intersects(self.place(self.panes.index(pane)).toRect())]
        pane = (in_sight or missing)[0]
        side = round(max(HEIGHT, self._pitch - GRID) * self.devicePixelRatioF())
        image = self._pictures.thumbnail(pane, side)
        if image is not None:
            self._images[pane] = image
            self.update(self.place(self.panes.index(pane)).toAlignedRect())
            self._timer.start(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        seen = event.rect().adjusted(-self._pitch, 0, self._pitch, 0)
        for position, pane in enumerate(self.panes):
            if seen.intersects(self.place(position).toRect()):
                self._paint_one(painter, pane, self.place(position))

    def _paint_one(self, painter: QPainter, pane: int, place: QRectF) -> None:
        colours, selection = tokens(), self._session.selection
        if (image := self._images.get(pane)) is not None:
            scale = min(place.width() / image.width(), place.height() / image.height())
            target = QRectF(0, 0, image.width() * scale, image.height() * scale)
            target.moveCenter(place.center())
            painter.drawImage(target, image)
        else:
            painter.fillRect(place, QColor(colours.image))
        is_chosen = pane == selection.stage
        if pane in selection.panes:
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(place.adjusted(-1.5, -1.5, 1.5, 1.5), 3, 3)
        font = self.font()
        font.setBold(is_chosen)
        painter.setFont(font)
        painter.setPen(QColor(colours.text if is_chosen else colours.dim))
        label = {0: "start", REFERENCE: "reference"}.get(pane, str(pane))
        under = QRectF(place.x() - GRID, place.bottom() + 2, place.width() + 2 * GRID, LABEL - 2)
        painter.drawText(under, Qt.AlignmentFlag.AlignCenter, label)

    def event(self, event) -> bool:
        if isinstance(event, QHelpEvent):
            pane = self.pane_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), "" if pane is None else self._hint(pane), self)
            return True
        return super().event(event)

    def _hint(self, pane: int) -> str:
        if pane == REFERENCE:
            return "The true scene\nClick shows or hides its pane"
        residual = number(self._session.stages.row(pane).residual)
        return f"{title_of(pane)}, residual {residual}\nClick shows it, Ctrl-click adds or takes away a pane"

    def mousePressEvent(self, event: QMouseEvent) -> None:
        pane = self.pane_at(event.position())
        if pane is None:
            return
        panes = self._session.selection.panes
        if pane == REFERENCE or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            others = [shown for shown in panes if shown != pane]
            self._parts.looking.set_panes(others if pane in panes else in_order([*panes, pane]))
        else:
            self._parts.looking.select_stage(pane)


class StageStrip(QScrollArea):
    """The strip in a frame that scrolls sideways and keeps the chosen stage in sight."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._session = parts.session
        self._stage = -1
        self.strip = Strip(parts, pictures)
        self.setWidget(self.strip)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setFixedHeight(self.strip.height() + BAR)
        self.viewport().setAutoFillBackground(False)
        self.strip.setAutoFillBackground(False)

    def refresh(self) -> None:
        """Shows the stages that are there, the chosen one in sight whenever it changes."""
        self.strip.refresh()
        stage, panes = self._session.selection.stage, self.strip.panes
        if stage != self._stage and stage in panes:
            self._stage = stage
            place = self.strip.place(panes.index(stage)).toRect()
            self.ensureVisible(place.center().x(), place.center().y(), place.width(), 0)

    def sizeHint(self) -> QSize:
        return QSize(480, self.height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A plain wheel scrolls sideways: there is nothing above or below."""
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (event.angleDelta().y() or event.angleDelta().x()))
        event.accept()

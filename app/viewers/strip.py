"""The strip of stages: a small picture of the initial estimate, every stage and the reference."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QFrame, QScrollArea, QToolTip, QWidget

from ..quantities import number
from ..session import REFERENCE, Session
from ..theme import GRID, Theme
from .pictures import Pictures, title_of

SIDE = 64  # px of a small picture
LABEL = 16


class _Strip(QWidget):
    """Paints what is visible; pictures are rendered one per turn of the event loop."""

    def __init__(self, session: Session, pictures: Pictures, tokens: Theme) -> None:
        super().__init__()
        self._session, self._pictures, self.theme = session, pictures, tokens
        self._images: dict[int, QImage] = {}
        self._waiting: list[int] = []
        self.setAccessibleName("Stages")
        self.setToolTip("Click shows a stage, Ctrl-click adds a pane")
        self.setFixedHeight(SIDE + LABEL + 8)

    @property
    def panes(self) -> list[int]:
        """What the strip shows, left to right."""
        measurement = self._session.measurement
        has_reference = measurement is not None and measurement.reference is not None
        stages = list(range(len(self._session.stages)))
        return stages + [REFERENCE] * (has_reference and bool(stages))

    def clear(self) -> None:
        """Forgets all pictures."""
        self._images.clear()
        self._waiting.clear()
        self.refresh()

    def refresh(self) -> None:
        """Grows to the stages that are there and asks for their pictures."""
        panes = self.panes
        new = [pane for pane in panes if pane not in self._images and pane not in self._waiting]
        if new and not self._waiting:
            QTimer.singleShot(0, self, self._render_next)
        self._waiting += new
        self.setFixedWidth(max(1, len(panes) * (SIDE + GRID)))
        self.update()

    def place(self, position: int) -> QRect:
        """Where the picture at a position of the strip lies."""
        return QRect(2 + position * (SIDE + GRID), 2, SIDE, SIDE)

    def pane_at(self, x: int) -> int | None:
        """The pane under a column of the widget."""
        panes = self.panes
        position = (x - 2) // (SIDE + GRID)
        return panes[position] if 0 <= position < len(panes) else None

    def _render_next(self) -> None:
        if not self._waiting:
            return
        pane = self._waiting.pop(0)
        image = self._pictures.thumbnail(pane, int(SIDE * self.devicePixelRatioF()))
        if image is not None:
            self._images[pane] = image
        self.update()
        if self._waiting:
            QTimer.singleShot(0, self, self._render_next)

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selection, tokens = self._session.selection, self.theme
        for position, pane in enumerate(self.panes):
            place = self.place(position)
            if not event.rect().intersects(place.adjusted(-GRID, 0, GRID, LABEL + 8)):
                continue
            painter.fillRect(place, QColor(tokens.image))
            if (image := self._images.get(pane)) is not None:
                scale = min(SIDE / image.width(), SIDE / image.height())
                target = QRect(0, 0, round(image.width() * scale), round(image.height() * scale))
                target.moveCenter(place.center())
                painter.drawImage(target, image)
            is_shown, is_chosen = pane in selection.panes, pane == selection.stage
            if is_shown or is_chosen:
                painter.setPen(QPen(QColor(tokens.accent), 3 if is_chosen else 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(place.adjusted(-1, -1, 0, 0), 3, 3)
            painter.setPen(QColor(tokens.text if is_chosen else tokens.dim))
            label = {0: "start", REFERENCE: "reference"}.get(pane, str(pane))
            painter.drawText(
                place.translated(0, SIDE + 4).adjusted(-4, 0, 4, LABEL - SIDE), Qt.AlignmentFlag.AlignCenter, label
            )

    def event(self, event) -> bool:
        if isinstance(event, QHelpEvent):
            pane = self.pane_at(event.x())
            if pane is not None and pane >= 0:
                words = f"{title_of(pane)}, residual {number(self._session.stages.row(pane).residual)}"
                QToolTip.showText(event.globalPos(), f"{words}\nClick shows it, Ctrl-click adds a pane", self)
                return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        pane = self.pane_at(int(event.position().x()))
        if pane is None:
            return
        panes = self._session.selection.panes
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            rest = tuple(shown for shown in panes if shown != pane)
            self._session.set_panes(rest if pane in panes and rest else (*panes, pane))
        elif pane == REFERENCE:
            self._session.set_panes((*(shown for shown in panes if shown != REFERENCE), REFERENCE))
        else:
            self._session.select_stage(pane)


class StageStrip(QScrollArea):
    """The strip in a frame that scrolls sideways and keeps the chosen stage in sight."""

    def __init__(self, session: Session, pictures: Pictures, tokens: Theme) -> None:
        super().__init__()
        self._session = session
        self.strip = _Strip(session, pictures, tokens)
        self.setWidget(self.strip)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setFixedHeight(self.strip.height() + self.horizontalScrollBar().sizeHint().height() // 2 + 4)
        self.viewport().setAutoFillBackground(False)
        self.strip.setAutoFillBackground(False)

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        self.strip.theme = tokens
        self.strip.update()

    def clear(self) -> None:
        """Forgets all pictures."""
        self.strip.clear()

    def refresh(self) -> None:
        """Shows the stages that are there, the chosen one in sight."""
        self.strip.refresh()
        stage = self._session.selection.stage
        if stage in self.strip.panes:
            place = self.strip.place(self.strip.panes.index(stage))
            self.ensureVisible(place.center().x(), place.center().y(), SIDE, 0)

    def sizeHint(self) -> QSize:
        return QSize(480, self.height())

    def wheelEvent(self, event) -> None:
        """A plain wheel scrolls sideways: there is nothing above or below."""
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (event.angleDelta().y() or event.angleDelta().x()))
        event.accept()

"""The tour of the window: three quiet cards, each beside what it speaks of, which has a ring around it meanwhile.

It is shown by itself at the first start alone. The window stays usable: what is done in it moves the card along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..document.memory import Memory
from ..widgets import theme
from ..widgets.keys import TEXT_FIELDS

GAP = 12  # px between it and the ring
AROUND = 3  # px between a widget and its ring
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
Side = Literal["right", "left", "below", "above"]
MOVING = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.LayoutRequest)


@dataclass(frozen=True)
class Step:
    """What is said beside the first of some widgets that can be seen."""

    title: str
    sentence: str
    beside: tuple[QWidget, ...]
    side: Side = "right"  # where there is room for it


def steps(*, open_files: QWidget, decode: QWidget, save: QWidget, pictures: QWidget) -> tuple[Step, ...]:
    """The three steps beside these widgets; `pictures` stands in for `save` while there is nothing to save."""
    return (
        Step(
            "Open",
            "Choose the files of one measurement here, or drop them anywhere in the window. A sample will do for a "
            "first look.",
            (open_files,),
        ),
        Step(
            "Decode",
            "The blue button decodes what is open, with the model that the card above names. Another click stops it.",
            (decode,),
            side="below",
        ),
        Step(
            "Look and save",
            "The stages show in the middle as they are decoded, their spectra at the right. Then a card in the left "
            "column saves the result: as a cube, as spectra, as a picture or as a report.",
            (save, pictures),
            side="above",
        ),
    )


class Tour(QObject):
    """Starts, goes on and ends; nothing of it is there in between."""

    def __init__(self, window: QMainWindow, memory: Memory, steps: Sequence[Step]) -> None:
        super().__init__(window)
        self._window, self._memory, self._steps = window, memory, tuple(steps)
        self._number = 0
        self._watched = {window, *(widget for step in steps for widget in step.beside)}
        self._before: QWidget | None = None  # which had the focus
        self._is_resized = False  # something watched: what is spoken of may no longer be in view
        self.ring = _Ring(window)
        self.card = _Card(window)
        self.card.next.clicked.connect(self.go_on)
        self.card.skip.clicked.connect(self.end)
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._place)

    @property
    def is_shown(self) -> bool:
        """Whether a card is there."""
        return not self.card.isHidden()

    def start_once(self) -> None:
        """Starts at the first start of the program; never again, and not where nothing is remembered."""
        if self._memory.is_lasting and not self._memory.settings.has_seen_tour:
            self.start()

    def start(self) -> None:
        """Shows the first step."""
        self._memory.prefer("has_seen_tour", True)
        if not self.is_shown:
            self._before = self._window.focusWidget()
            QApplication.instance().installEventFilter(self)
        self._show(0)
        self.card.next.setFocus()

    def go_on(self) -> None:
        """Shows the next step; after the last one it ends."""
        if self._number + 1 < len(self._steps):
            self._show(self._number + 1)
            self.card.next.setFocus()
        else:
            self.end()

    def reach(self, number: int) -> None:
        """What the steps before `number` speak of was done: that one is shown, where the tour is not so far yet."""
        if self.is_shown and self._number < number:
            # a turn later what it stands beside is laid out
            QTimer.singleShot(0, self, lambda: self._show(number) if self.is_shown else None)

    def end(self) -> None:
        """Takes the card away, and gives the keys back to what had them."""
        if not self.is_shown:
            return
        had_focus = self.card.isAncestorOf(QApplication.focusWidget() or self._window)
        self.card.hide()
        self.ring.hide()
        QApplication.instance().removeEventFilter(self)
        if had_focus:
            (self._before or self._window).setFocus()
        self._before = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follows what moves. Escape is the tour's, but not in a field; Return where nothing else wants it."""
        if event.type() in MOVING and watched in self._watched:
            self._is_resized |= event.type() != QEvent.Type.Move  # a move may be the user's scrolling
            self._timer.start()
        elif event.type() == QEvent.Type.KeyPress and isinstance(watched, QWidget) and watched.window() is self._window:
            is_skipped = event.key() == Qt.Key.Key_Escape and not isinstance(watched, TEXT_FIELDS)
            is_next = event.key() in ENTER and watched is self._window
            if is_skipped or is_next:
                (self.end if is_skipped else self.go_on)()
                return True
        return False

    def _show(self, number: int) -> None:
        self._number = number
        step = self._steps[number]
        self.card.show_step(step, number, len(self._steps))
        self._is_resized = True
        self._place()

    def _place(self) -> None:
        """Puts ring and card where the widget of the step is now; beside it there is always room for a card."""
        step, body = self._steps[self._number], self._window.centralWidget()
        beside = next((widget for widget in step.beside if widget.isVisible()), body)
        if self._is_resized:
            self._is_resized = False
            for area in self._window.findChildren(QScrollArea):
                if area.isAncestorOf(beside):
                    area.ensureWidgetVisible(beside)
        place = beside.visibleRegion().boundingRect().translated(beside.mapTo(self._window, QPoint()))
        ring = place.adjusted(-AROUND, -AROUND, AROUND, AROUND)
        self.ring.setGeometry(ring)
        self.card.setGeometry(beside_of(ring, self.card.fitting(), body.geometry(), first=step.side))
        for widget in (self.ring, self.card):
            widget.show()
            widget.raise_()


def beside_of(place: QRect, size: QSize, room: QRect, *, first: Side) -> QRect:
    """Where something of this size stands in `room` without covering `place`: right, left, below or above of it.

    The `first` of these sides is tried before the others. Where there is no room at all it covers a corner.
    """
    right, below = place.x() + place.width() + GAP, place.y() + place.height() + GAP
    corners: dict[Side, QPoint] = {
        "right": QPoint(right, place.y()),
        "left": QPoint(place.x() - GAP - size.width(), place.y() + place.height() - size.height()),
        "below": QPoint(place.x(), below),
        "above": QPoint(place.x(), place.y() - GAP - size.height()),
    }
    for corner in (corners[first], *corners.values()):
        found = QRect(_kept(corner, place, size, room), size)
        if room.contains(found) and not found.intersects(place):
            return found
    return QRect(room.bottomRight() - QPoint(size.width() + GAP, size.height() + GAP), size)


def _kept(corner: QPoint, place: QRect, size: QSize, room: QRect) -> QPoint:
    """`corner`, moved along the side of `place` so that what stands there does not leave `room`."""
    x, y = corner.x(), corner.y()
    if x > place.x() + place.width() or x < place.x():  # at one side of it
        y = max(room.y(), min(y, room.y() + room.height() - size.height()))
    else:
        x = max(room.x(), min(x, room.x() + room.width() - size.width()))
    return QPoint(x, y)


class _Ring(QWidget):
    """A line around a widget that lets everything through."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.tokens().accent), 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.GRID, theme.GRID)


class _Card(QFrame):
    """A step in words, and two buttons."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("tour")
        self.heading, self.sentence, self.count = QLabel(), QLabel(), QLabel()
        self.heading.setObjectName("heading")
        self.count.setObjectName("dim")
        self.sentence.setWordWrap(True)
        self.skip, self.next = QPushButton("Skip"), QPushButton("Next")
        self.skip.setObjectName("link")
        self.skip.setToolTip("Ends the tour (Esc); Help > Tour shows it again")
        self.next.setToolTip("Goes on (Enter)")
        for button in (self.skip, self.next):
            button.setAutoDefault(True)  # Return presses it
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(theme.GRID)
        column.addWidget(self.heading)
        column.addWidget(self.sentence)
        line = QHBoxLayout()
        line.setSpacing(2 * theme.GRID)
        line.addWidget(self.count, 1)
        line.addWidget(self.skip)
        line.addWidget(self.next)
        column.addLayout(line)
        self.hide()

    def show_step(self, step: Step, number: int, num_steps: int) -> None:
        """Says a step, by its number from 0."""
        is_last = number + 1 == num_steps
        self.setAccessibleName(f"Tour, {step.title}")
        self.heading.setText(f"{number + 1}  {step.title}")
        self.sentence.setText(step.sentence)
        self.count.setText(f"{number + 1} of {num_steps}")
        self.next.setText("Done" if is_last else "Next")
        self.skip.setVisible(not is_last)

    def fitting(self) -> QSize:
        """As large as its words are."""
        self.layout().activate()
        return QSize(theme.LEFT_WIDTH, self.layout().totalHeightForWidth(theme.LEFT_WIDTH))

    def event(self, event: QEvent) -> bool:
        """While it has the focus Escape is its own, whatever else it means in the window."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

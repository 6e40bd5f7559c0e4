"""The panes side by side: every stage, reference or measurement that the selection names, with its figures in grey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PySide6.QtCore import QMimeData, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from lorun_engine.instrument import RELIT_GAMMA

from .. import render
from ..assembly import Parts
from ..document.comparing import fits_scene
from ..document.relight import asked_gamma, is_relit
from ..document.selection import MEASUREMENT, OF_LIGHT, REFERENCE
from ..document.wording import Wording
from ..quantities import duration, number, plural, size
from ..widgets import meanings, theme
from ..widgets.icons import SIDE, icon
from ..widgets.theme import GRID, Recolours, tokens
from .dragging import make_draggable, picture_mime
from .maps import Change, LightMap, MapKind, Maps, paint_bar, paint_legend, title_of_light
from .panes import ViewHub
from .pictures import Pane, Pictures, Reflectance, Seen
from .regions import RegionTools
from .showing import drawn_pane
from .split import SplitPane

Content = Pane | MapKind
FRAME = (54, 20)  # (height, width) in px of a card around its picture


@dataclass(frozen=True)
class Cursor:
    """Where the mouse is: (y, x) of the scene, or of the measurement in its own pane."""

    pane: int
    y: int
    x: int

    @property
    def is_in_scene(self) -> bool:
        """Whether there is a spectrum at this place."""
        return self.pane != MEASUREMENT


class PaneGrid(QWidget):
    """Keeps one card for every pane of the selection; cards are reused, so that nothing flickers while stages come."""

    cursor_moved = Signal(object)  # Cursor, or None when the mouse leaves the pictures

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.hub = ViewHub()
        self.hub.cursor_changed.connect(self._show_values)
        pictures.making.made.connect(self._show_made)
        parts.comparing.changed.connect(self._show_lines)
        self.maps = Maps(parts, pictures)
        self.tools = RegionTools(parts, pictures)
        self.cards: list[PaneCard] = []
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(GRID)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def refresh(self) -> None:
        """Shows the selection."""
        selection = self._session.selection
        shown = [(pane, content) for pane in selection.shown for content in self._contents(pane)]
        has_stages = any(pane >= 0 for pane in selection.panes)
        is_single = has_stages and selection.layout == "single" and len(shown) == 1
        while len(self.cards) < len(shown):
            self.cards.append(self._new_card())
        for position, card in enumerate(self.cards):
            card.setVisible(position < len(shown))
        for card, (pane, content) in zip(self.cards, shown, strict=False):
            card.describe(
                pane,
                content,
                self._title(content, is_result=is_single),
                self._figures(content),
                is_chosen=pane == selection.stage and len(shown) > 1,
                is_expanded=is_single,
                is_alone=len(shown) == 1,
            )
            is_scene, is_map = pane != MEASUREMENT, isinstance(content, MapKind)
            draw = partial((self.maps if is_map else self._pictures).picture, content)
            if self._is_split(content, is_single=is_single):
                scene, draw = self._session.measurement.physics.scene_shape[1:], self._pictures.drawing(MEASUREMENT)
                card.pane.show_picture(tuple(scene), draw)
                titles = self._pictures.title(MEASUREMENT), self._pictures.title(content)
                card.pane.show_right(self._pictures.drawing(content), titles, self._parts.comparing.look.divider)
            else:
                card.pane.show_picture(self._pictures.size(pane), draw, is_linked=is_scene)
                card.pane.show_right(None)
            card.pane.show_legend(self._legend(content))
            card.pane.show_marker(selection.pixel if is_scene else None)
        self._arrange()
        self._show_values()

    def reset(self) -> None:
        """Another measurement: everything is seen whole, and where the mouse was is no longer a place in it."""
        self.hub.reset()
        self.hub.point_at(None)
        self.cursor_moved.emit(None)

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    @property
    def chosen_content(self) -> Content | None:
        """What the pane of the chosen stage shows, or the first one there is."""
        cards = [card for card in self.cards if not card.isHidden()]
        chosen = [card for card in cards if card.pane_id == self._session.selection.stage]
        return next((card.content for card in [*chosen[-1:], *cards]), None)

    def _dragged(self, card: PaneCard) -> QMimeData | None:
        """The picture of a pane, as it leaves the window."""
        drawn = drawn_pane(self._pictures, self.maps, card.content)
        return None if drawn is None else picture_mime(drawn, self._parts.exports)

    def _contents(self, pane: int) -> list[Content]:
        """What stands for a pane in the mode and view that is chosen; the start changed nothing and saw nothing."""
        if self._pictures.size(pane) is None:
            return []
        selection = self._session.selection
        view = selection.view
        if selection.mode in OF_LIGHT and pane >= 0 and is_relit(self._session):
            return [Reflectance(pane) if selection.mode == "reflectance" else LightMap(pane)]
        if pane < 1 or view == "image":
            return [pane]
        if view == "change":
            return [Change(pane)]
        seen = Seen(pane)
        return [pane] if self._pictures.size(seen) is None else [seen, pane]

    def _is_split(self, content: Content, *, is_single: bool) -> bool:
        """Whether the large picture of a stage stands beside what was measured, which is a picture of its scene."""
        measurement = self._session.measurement
        is_stage = isinstance(content, Reflectance) or (isinstance(content, int) and content >= 0)
        if not is_single or not is_stage:
            return False
        is_picture = self._session.kind.measures == "picture"
        return is_picture and fits_scene(measurement.y.shape, measurement.physics.scene_shape)

    def _show_lines(self) -> None:
        """The line between two sides is one for all views."""
        if any(card.pane.is_split for card in self.cards if not card.isHidden()):
            self.refresh()

    def _title(self, content: Content, *, is_result: bool = False) -> str:
        if isinstance(content, LightMap):
            return title_of_light(self._pictures, content.stage)
        if isinstance(content, Change):
            title, pane = self._pictures.title_of_change(content.stage), content.stage
        else:
            title, pane = self._pictures.title(content), content
            if is_result and isinstance(content, int) and content > 0:
                title = f"Result · {title.lower()}"
        mean = self._pictures.words_of_mean(pane)
        return f"{title} · {mean}" if mean else title

    def _show_made(self) -> None:
        """Shows pictures that were made aside; the figures of maps come with them."""
        if any(isinstance(card.content, MapKind) for card in self.cards if card.isVisible()):
            self.refresh()
        for card in self.cards:
            card.pane.update()

    def _legend(self, content: Content) -> Callable[[QPainter, QRectF], None] | None:
        """What paints the colours of a map, or of single bands, with their numbers; colours have none."""
        if isinstance(content, MapKind):
            return partial(self._paint_legend, content)
        is_plain = content == MEASUREMENT and self._session.kind.measures != "picture"
        bands = None if is_plain else self._pictures.bands_in(content)
        return None if bands is None else partial(self._paint_band_bar, content, bands)

    def _paint_band_bar(self, content: Pane, bands: tuple[int, int], painter: QPainter, place: QRectF) -> None:
        low, high = self._pictures.levels(content, bands)
        paint_bar(painter, place, (number(low), number(high)), self._pictures.colours_of(content))

    def _paint_legend(self, content: MapKind, painter: QPainter, place: QRectF) -> None:
        ends = self.maps.range(content)
        if ends is not None:
            paint_legend(painter, place, ends)

    def _show_values(self) -> None:
        """The number under the mouse, or else at the pinned pixel, in the title of every pane."""
        pixel = self.hub.cursor or self._session.selection.pixel
        for card in self.cards:
            if not card.isHidden():
                card.set_value("" if pixel is None else self._value(card.content, pixel))

    def _value(self, content: Content, pixel: tuple[int, int]) -> str:
        if isinstance(content, MapKind):
            return number(self.maps.value(content, pixel))
        return self._pictures.value(content, pixel)

    def _figures(self, pane: Content) -> list[str]:
        if isinstance(pane, MapKind):
            ends, plane = self.maps.range(pane), self.maps.plane(pane)
            if ends is None:
                return []
            is_known = np.isfinite(plane)
            mean = number(float(plane.mean(where=is_known))) if is_known.any() else "not finite"
            what = "L" if isinstance(pane, LightMap) else "|x − before|"
            return [f"mean {mean}", f"{what} from {ends.sentence}"]
        if isinstance(pane, Reflectance):
            return ["R = what is left without the light"]
        if isinstance(pane, Seen):
            return ["what its denoiser saw"]
        if pane == MEASUREMENT:
            return self._figures_of_measurement()
        if pane == REFERENCE:
            return ["the true scene"]
        row = self._session.stages.row(pane)
        usual = "" if asked_gamma(self._session) is None else f" at γ {RELIT_GAMMA:g}"
        quality = [f"{row.metrics['psnr']:.1f} dB{usual}"] if "psnr" in row.metrics else []
        return [f"residual {number(row.residual)}", *quality, duration(row.seconds)]

    def _figures_of_measurement(self) -> list[str]:
        height, width = self._pictures.size(MEASUREMENT)
        return {
            "plane": ["as captured, not decoded"],
            "blocks": [f"{plural(height, 'row')}, one per sample", f"{plural(width, 'column')}, one per block"],
            "picture": [f"{size((height, width))} px", "not decoded"],
        }[self._session.kind.measures]

    def _arrange(self) -> None:
        """Puts the visible cards into as many columns as show their pictures largest."""
        visible = [card for card in self.cards if not card.isHidden()]
        scenes = [card for card in visible if card.pane_id != MEASUREMENT]
        shown = self._pictures.size((scenes or visible)[0].pane_id) if visible else None
        if shown is None:
            return
        place = self if self.parentWidget() is None else self.parentWidget()  # many panes scroll in it
        columns = render.tiling(len(visible), shown, (place.height(), place.width()), FRAME)
        least = max(card.minimumSizeHint().width() for card in visible) + GRID
        columns = min(columns, max((place.width() + GRID) // least, 1))
        places = {card: (index // columns, index % columns) for index, card in enumerate(visible)}
        if self._places() == places:
            return
        for card in self.cards:
            self._layout.removeWidget(card)
        for card, (row, column) in places.items():
            self._layout.addWidget(card, row, column)
        rows = -(-len(visible) // columns)
        for column in range(max(self._layout.columnCount(), columns)):
            self._layout.setColumnStretch(column, int(column < columns))
        for row in range(max(self._layout.rowCount(), rows)):
            self._layout.setRowStretch(row, int(row < rows))

    def _places(self) -> dict[PaneCard, tuple[int, int]]:
        return {
            self._layout.itemAt(index).widget(): self._layout.getItemPosition(index)[:2]
            for index in range(self._layout.count())
        }

    def _new_card(self) -> PaneCard:
        card = PaneCard(self.hub, self._parts.wording)
        card.setParent(self)
        card.expand_toggled.connect(lambda: self._toggle_layout(card.pane_id))
        card.close_requested.connect(lambda: self._close(card.pane_id))
        card.pane.hovered.connect(lambda pixel: self._hover(card.pane_id, pixel))
        card.pane.clicked.connect(lambda pixel: self._click(card.pane_id, pixel))
        card.pane.line_moved.connect(self._parts.comparing.move_divider)
        self.tools.attach(card.pane, lambda: card.content)
        make_draggable(card.title, lambda: self._dragged(card), "Drag the picture out of the window by its name")
        return card

    def _toggle_layout(self, pane: int) -> None:
        """One large picture of a pane, or the panes side by side again."""
        if self._session.selection.layout == "single":
            self._parts.looking.set_layout("grid")
        else:
            self._parts.looking.show_alone(pane)

    def _close(self, pane: int) -> None:
        self._parts.looking.set_panes([shown for shown in self._session.selection.panes if shown != pane])

    def _hover(self, pane: int, pixel: tuple[int, int] | None) -> None:
        self.hub.point_at(pixel if pane != MEASUREMENT else None)
        self.cursor_moved.emit(None if pixel is None else Cursor(pane, *pixel))

    def _click(self, pane: int, pixel: tuple[int, int]) -> None:
        """Pins a pixel of the scene and turns to its stage; a pixel of the measurement has no spectrum."""
        if pane == MEASUREMENT:
            return
        self._parts.looking.select_pixel(pixel)
        if pane >= 0:
            self._parts.looking.select_stage(pane)


class PaneCard(Recolours, QFrame):
    """A picture with its title, its figures and the buttons that make it fill the centre or go."""

    expand_toggled = Signal()
    close_requested = Signal()

    def __init__(self, hub: ViewHub, wording: Wording) -> None:
        super().__init__()
        self.setObjectName("card")
        self._wording = wording
        self.pane_id = MEASUREMENT
        self.content: Content = MEASUREMENT
        self._is_chosen = self._is_expanded = False
        self.title = QLabel()
        self.title.setObjectName("heading")
        self.figures = FittingLabel()
        wording.say(self, self.figures.setStatusTip, meanings.PANE)
        self.value = ValueLabel()
        self.expand, self.close_button = _sign_button(), _sign_button()
        self.expand.clicked.connect(self.expand_toggled)
        self.close_button.clicked.connect(self.close_requested)
        self.pane = SplitPane(hub)
        top = QHBoxLayout()
        top.setContentsMargins(2, 0, 0, 0)
        top.setSpacing(0)
        top.addWidget(self.title)
        top.addSpacing(GRID)
        top.addWidget(self.figures, 1)
        top.addWidget(self.value)
        top.addWidget(self.expand)
        top.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 10)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.pane, 1)
        self.recolour()

    def recolour(self) -> None:
        """Draws the signs of the buttons."""
        self.expand.setIcon(icon("shrink" if self._is_expanded else "expand", tokens().dim))
        self.close_button.setIcon(icon("close", tokens().dim))

    def set_value(self, text: str) -> None:
        """Shows the number of a pixel; "" for none."""
        if text != self.value.text():
            self.value.setText(text)
            self.value.setVisible(bool(text))

    def describe(
        self,
        pane: int,
        content: Content,
        title: str,
        figures: list[str],
        *,
        is_chosen: bool,
        is_expanded: bool,
        is_alone: bool,
    ) -> None:
        """Sets the words and signs of the card; `content` is what it shows of the pane."""
        self.pane_id, self.content = pane, content
        self.title.setText(title)
        self.figures.set_parts(figures)
        self.pane.setAccessibleName(f"Picture of {title}: {', '.join(figures)}")
        self.expand.setVisible(is_expanded or not is_alone)
        self.close_button.setVisible(not is_alone and not is_expanded)
        side_by_side = self._wording.of("Show the stages side by side")
        _name_button(self.expand, side_by_side if is_expanded else f"Let {title} fill the centre")
        _name_button(self.close_button, f"Take {title} away")
        if is_expanded != self._is_expanded:
            self._is_expanded = is_expanded
            self.recolour()
        if is_chosen != self._is_chosen:
            self._is_chosen = is_chosen
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._is_chosen:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(tokens().accent), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 7.5, 7.5)


class FittingLabel(QWidget):
    """Grey figures in one line: as many of them as fit, the most important first, none cut in two."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self.setFont(theme.tabular(self.font()))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_parts(self, parts: list[str]) -> None:
        """What to show; all of it is in the tooltip."""
        if parts != self._parts:
            self._parts = parts
            self.setToolTip("  ·  ".join(parts))
            self.setAccessibleName("  ·  ".join(parts))  # it is painted: nothing else says it
            self.update()

    @property
    def text(self) -> str:
        """What is seen."""
        for count in range(len(self._parts), 0, -1):
            text = "  ·  ".join(self._parts[:count])
            if self.fontMetrics().horizontalAdvance(text) <= self.width():
                return text
        return ""

    def sizeHint(self) -> QSize:
        return QSize(120, self.fontMetrics().height() + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(QColor(tokens().dim))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text)


class ValueLabel(QLabel):
    """The number of a pixel, whole or not at all, in a place that keeps its width while the mouse moves."""

    def __init__(self) -> None:
        super().__init__()
        self._widest = 0
        self.setToolTip("The value at the cursor or the pinned pixel, on the scale of the measurement")
        self.setFont(theme.tabular(self.font()))
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def sizeHint(self) -> QSize:
        wanted = self.fontMetrics().horizontalAdvance(self.text()) + GRID
        self._widest = max(self._widest, wanted) if self.text() else 0
        return QSize(self._widest, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.fontMetrics().horizontalAdvance(self.text()) <= self.width():
            super().paintEvent(event)


def _sign_button() -> QToolButton:
    button = QToolButton()
    button.setAutoRaise(True)
    button.setIconSize(QSize(SIDE, SIDE))
    return button


def _name_button(button: QToolButton, words: str) -> None:
    button.setToolTip(words)
    button.setAccessibleName(words)

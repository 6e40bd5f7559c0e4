"""Two sides in one picture: split by a line that moves, blinking, or as signed difference; or where many disagree."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QRectF, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.comparing import BLINK_S, CHOSEN, WAYS, Side
from ..quantities import number, plural
from ..widgets import theme
from ..widgets.theme import GRID
from .grid import Cursor, FittingLabel
from .maps import Difference, MapKind, Maps, Spread, paint_legend
from .panes import ViewHub
from .pictures import Pane, Pictures
from .sets import SetsCard
from .split import SplitPane

SPREADS = {"Standard deviation": False, "Largest spectral angle": True}


class CompareView(QWidget):
    """Obeys `session.comparing` and the selection; zoom and cursor are those of the grid's hub."""

    cursor_moved = Signal(object)  # grid.Cursor, or None when the mouse leaves the picture

    def __init__(self, parts: Parts, pictures: Pictures, maps: Maps, hub: ViewHub) -> None:
        super().__init__()
        self._parts, self._session, self._comparing = parts, parts.session, parts.comparing
        self._pictures, self._maps, self._hub = pictures, maps, hub
        self.left, self.right = _side_box("Left side"), _side_box("Right side")
        self.left.activated.connect(lambda _: self._comparing.choose(left=self.left.currentData()))
        self.right.activated.connect(lambda _: self._comparing.choose(right=self.right.currentData()))
        self.swap = QPushButton("Swap")
        self.swap.setToolTip("Exchange left and right")
        self.swap.clicked.connect(self._comparing.swap)
        self.bands = QComboBox()
        self.bands.setAccessibleName("Colour or a single band")
        self.bands.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.bands.activated.connect(lambda index: parts.looking.set_in_colour(index == 0))
        self.blinks = QCheckBox("By itself")
        self.blinks.setToolTip("Shows one side after the other without a key")
        self.blinks.clicked.connect(self._comparing.set_blinks)
        self.spread = QComboBox()
        self.spread.setAccessibleName("Measure of the disagreement")
        for words, is_angle in SPREADS.items():
            self.spread.addItem(words, is_angle)
        self.spread.activated.connect(lambda _: self._comparing.show_angle(self.spread.currentData()))
        self.several = QPushButton("Several decoders…")
        self.several.setCheckable(True)
        self.several.setToolTip("Decode this measurement with several decoders, one after another")
        self.several.toggled.connect(lambda is_open: self.sets.setVisible(is_open))
        self.words = QLabel()
        self.words.setObjectName("heading")
        self.figures = FittingLabel()
        self.figures.setAccessibleDescription("Values of both sides at the cursor")
        self.pane = ComparePane(parts, pictures, maps, hub)
        self.pane.hovered.connect(self._hover)
        self.pane.clicked.connect(self._click)
        self.sets = SetsCard(parts)
        self.sets.hide()
        self._blinker = QTimer(self)
        self._blinker.setInterval(round(1000 * BLINK_S))
        self._blinker.timeout.connect(self._comparing.blink)
        self._lay_out()
        self._comparing.changed.connect(self._refresh_if_seen)
        hub.cursor_changed.connect(self._show_figures)
        pictures.making.made.connect(self._refresh_if_seen)

    def refresh(self) -> None:
        """Shows the two sides as the comparison says."""
        comparing, look, selection = self._comparing, self._comparing.look, self._session.selection
        sides = comparing.sides()
        for box, side in ((self.left, comparing.left), (self.right, comparing.right)):
            self._fill(box, sides, side)
        for button in self.ways.buttons():
            way = button.property("way")
            button.setChecked(way == look.way)
            button.setEnabled(way != "disagreement" or comparing.disagreement is not None)
        kind = self._session.kind
        self.blinks.setVisible(look.way == "blink")
        self.blinks.setChecked(look.blinks)
        self.spread.setVisible(look.way == "disagreement" and not kind.is_photograph)
        self.spread.setCurrentIndex(int(look.shows_angle))
        for widget in (self.left, self.right, self.swap):
            widget.setVisible(look.way != "disagreement")
        self.bands.setVisible(self._pictures.num_bands > 1)
        is_map = look.way not in ("split", "blink")
        single = kind.band.capitalize() if selection.band_range is None else self._pictures.bands_title(selection.bands)
        texts = [f"Mean over {kind.band}s" if is_map else "Colour", single]
        if [self.bands.itemText(index) for index in range(self.bands.count())] != texts:
            self.bands.clear()
            self.bands.addItems(texts)
        self.bands.setCurrentIndex(0 if selection.in_colour else 1)
        self._run_blinker(look.blinks and look.way == "blink" and self.isVisible())
        self.words.setText(self._heading())
        self.sets.refresh()
        self.pane.refresh()
        self._show_figures()

    def show_sets(self) -> None:
        """Opens the card with the decoders to run."""
        self.several.setChecked(True)

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event) -> None:
        super().hideEvent(event)
        self._blinker.stop()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.ways = QButtonGroup(self)
        ways = QHBoxLayout()
        ways.setSpacing(GRID)
        for way in WAYS:
            button = QPushButton(way.capitalize())
            button.setCheckable(True)
            button.setProperty("way", way)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the picture
            button.clicked.connect(lambda _=False, way=way: self._comparing.show(way))
            self.ways.addButton(button)
            ways.addWidget(button)
        self.ways.buttons()[-1].setToolTip("Where results of at least two decoders differ from each other")
        for widget in (self.blinks, self.spread):
            ways.addWidget(widget)
        ways.addStretch()
        ways.addWidget(self.several)
        sides = QHBoxLayout()
        sides.setSpacing(GRID)
        sides.addWidget(self.left, 1)
        sides.addWidget(self.swap)
        sides.addWidget(self.right, 1)
        frame, column = theme.card("")
        frame.setAccessibleName("Comparison")
        column.setContentsMargins(10, 10, 10, 10)
        column.setSpacing(GRID)
        column.addLayout(ways)
        column.addLayout(sides)
        line = QHBoxLayout()
        line.setSpacing(GRID)
        line.addWidget(self.words)
        line.addWidget(self.figures, 1)
        line.addWidget(self.bands)
        column.addLayout(line)
        column.addWidget(self.pane, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(GRID)
        whole.addWidget(frame, 1)
        whole.addWidget(self.sets)

    def _fill(self, box: QComboBox, sides: tuple[Side, ...], chosen: Side | None) -> None:
        """Names the sides there are; a stage that is added keeps what is chosen."""
        titles = [self._side_title(side) for side in sides]
        with QSignalBlocker(box):
            if [box.itemData(index) for index in range(box.count())] != list(sides) or titles != [
                box.itemText(index) for index in range(box.count())
            ]:
                box.clear()
                for side, title in zip(sides, titles, strict=True):
                    box.addItem(title, side)
            box.setCurrentIndex(sides.index(chosen) if chosen in sides else -1)
        box.setEnabled(len(sides) > 1)

    def _side_title(self, side: Side) -> str:
        if side == CHOSEN:
            return f"Chosen stage ({self._pictures.title(self._session.selection.stage).lower()})"
        return self._pictures.title(side)

    def _heading(self) -> str:
        """What is seen, in a few words."""
        comparing = self._comparing
        if comparing.look.way == "disagreement" and comparing.disagreement is not None:
            return f"Disagreement of {plural(len(comparing.disagreement.of), 'decoder')}, not an error bar"
        if None in (comparing.left, comparing.right):
            return "Nothing to compare yet: decode, or decode with several decoders"
        if comparing.look.way == "difference":
            return "Left − right"
        if comparing.look.way == "blink":
            return "Right side" if comparing.look.shows_right else "Left side"
        return "Left and right"

    def _show_figures(self) -> None:
        """The numbers of both sides under the mouse, or at the pinned pixel."""
        if not self.isVisible():
            return
        pixel = self._hub.cursor or self._session.selection.pixel
        map_ = self.pane.map_
        ends = None if map_ is None else self._maps.range(map_)
        parts = [] if ends is None else [f"colours {ends.sentence}"]
        if pixel is not None:
            parts = [f"x {pixel[1]}, y {pixel[0]}", *self._values(pixel), *parts]
        self.figures.set_parts(parts)

    def _values(self, pixel: tuple[int, int]) -> list[str]:
        map_ = self.pane.map_
        if isinstance(map_, Spread):
            return [number(self._maps.value(map_, pixel)) + ("°" if map_.is_angle else "")]
        panes = self.pane.sides
        values = [self._pictures.value(pane, pixel) for pane in panes if pane is not None]
        named = [f"{name} {value}" for name, value in zip(("left", "right"), values, strict=False)]
        if isinstance(map_, Difference):
            value = self._maps.value(map_, pixel)
            named.append("" if value is None else f"left − right {number(value)}")
        return [words for words in named if words]

    def _hover(self, pixel: tuple[int, int] | None) -> None:
        self._hub.point_at(pixel)
        self.cursor_moved.emit(None if pixel is None else Cursor(self._session.selection.stage, *pixel))

    def _click(self, pixel: tuple[int, int]) -> None:
        self._parts.looking.select_pixel(pixel)

    def _run_blinker(self, is_running: bool) -> None:
        if is_running != self._blinker.isActive():
            self._blinker.start() if is_running else self._blinker.stop()

    def _refresh_if_seen(self) -> None:
        if self.isVisible():
            self.refresh()


class ComparePane(SplitPane):
    """The picture of both sides; their line is dragged with the mouse; actions move it by keys."""

    def __init__(self, parts: Parts, pictures: Pictures, maps: Maps, hub: ViewHub) -> None:
        super().__init__(hub)
        self._session, self._comparing = parts.session, parts.comparing
        self._pictures, self._maps = pictures, maps
        self.line_moved.connect(self._comparing.move_divider)
        self.sides: tuple[Pane | None, Pane | None] = (None, None)
        self.map_: MapKind | None = None
        self.setAccessibleName("Comparison of the two sides")

    def refresh(self) -> None:
        """Takes the sides and the way from the comparison."""
        comparing, measurement = self._comparing, self._session.measurement
        self.sides = comparing.pane_of(comparing.left), comparing.pane_of(comparing.right)
        self.map_ = self._chosen_map()
        if self.map_ is not None:
            draw = partial(self._maps.picture, self.map_)
        elif None not in self.sides:
            is_right = comparing.look.way == "blink" and comparing.look.shows_right
            draw = self._pictures.drawing(self.sides[int(is_right)])
        else:
            draw = self._pictures.drawing(next((side for side in self.sides if side is not None), None))
        size = None if measurement is None else tuple(measurement.physics.scene_shape[1:])
        self.show_picture(size, draw)
        left, right = ("" if side is None else self._pictures.title(side) for side in self.sides)
        draw_right = self._pictures.drawing(self.sides[1]) if self._is_split else None
        self.show_right(draw_right, (left, right), comparing.look.divider)
        self.show_marker(self._session.selection.pixel)
        words = " and ".join(self._pictures.title(side) for side in self.sides if side is not None)
        self.setAccessibleDescription(f"{comparing.look.way.capitalize()}: {words}")

    def shows(self) -> Pane | MapKind | tuple[Pane | None, Pane | None]:
        """The map, the side that is seen, or the two sides with the line between them."""
        look = self._comparing.look
        if self.map_ is not None:
            return self.map_
        seen = self.sides[int(look.way == "blink" and look.shows_right)]
        return self.sides if self._is_split else seen

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
            self.paint_chip(painter, self._pictures.title(self.sides[int(self._comparing.look.shows_right)]))

    @property
    def _is_split(self) -> bool:
        return self._comparing.look.way == "split" and None not in self.sides


def _side_box(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(16)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box

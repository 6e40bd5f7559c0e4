"""Two sides: beside each other, split by a line, blinking, or as signed difference; or where many disagree."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
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
from ..widgets import meanings, theme
from ..widgets.labels import set_look
from ..widgets.theme import GRID
from .compare_pane import ComparePane
from .grid import Cursor, FittingLabel
from .maps import Difference, Maps, Spread
from .panes import ViewHub
from .pictures import Pictures
from .sets import SetsCard

SHORT_BELOW = 540  # px of width: the words of buttons are short
SHORT = {"side by side": "Sides", "disagreement": "Spread"}
SPREADS = {"Standard deviation": False, "Largest spectral angle": True}


class CompareView(QWidget):
    """Obeys `session.comparing` and the selection; zoom and cursor are those of the grid's hub."""

    cursor_moved = Signal(object)  # grid.Cursor, or None when the mouse leaves the picture

    def __init__(self, parts: Parts, pictures: Pictures, maps: Maps, hub: ViewHub) -> None:
        super().__init__()
        self._parts, self._session, self._comparing = parts, parts.session, parts.comparing
        self._pictures, self._maps, self._hub = pictures, maps, hub
        self.left, self.right = _side_box("Left side"), _side_box("Right side")
        for box in (self.left, self.right):
            words = f"{box.accessibleName()} of the comparison: a stage, a result, a decoder or the reference"
            parts.wording.say(self, box.setToolTip, words)
        self.left.activated.connect(lambda _: self._comparing.choose(left=self.left.currentData()))
        self.right.activated.connect(lambda _: self._comparing.choose(right=self.right.currentData()))
        self.swap = QPushButton("Swap")
        self.swap.setToolTip("Exchange left and right")
        self.swap.clicked.connect(self._comparing.swap)
        self.bands = QComboBox()
        self.bands.setAccessibleName("Colour or a single band")
        self.bands.setToolTip("What is compared: colours, or the band that is chosen")
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
        self.several.toggled.connect(self._show_sets)
        self.lens = QPushButton("Lens")
        self.lens.setCheckable(True)
        self.lens.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.lens.setToolTip("Magnifies at the cursor what the other side shows there (L)")
        self.lens.clicked.connect(self.lay_lens)
        self.words = QLabel()
        self.words.setObjectName("heading")
        self.figures = FittingLabel()
        self.figures.setAccessibleDescription("Values of both sides at the cursor")
        self.why_not = QLabel()
        self.why_not.setObjectName("dim")
        self.why_not.setWordWrap(True)
        self.why_not.setAccessibleDescription("What cannot be compared, and why")
        self.pane = ComparePane(parts, pictures, maps, hub)
        self.second = ComparePane(parts, pictures, maps, hub, is_second=True)
        for pane in (self.pane, self.second):
            pane.hovered.connect(self._hover)
            pane.clicked.connect(self._click)
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
        is_map = look.way in ("difference", "disagreement")
        single = kind.band.capitalize() if selection.band_range is None else self._pictures.bands_title(selection.bands)
        texts = [f"Mean over {kind.band}s" if is_map else "Colour", single]
        if [self.bands.itemText(index) for index in range(self.bands.count())] != texts:
            self.bands.clear()
            self.bands.addItems(texts)
        self.bands.setCurrentIndex(0 if selection.in_colour else 1)
        self._run_blinker(look.blinks and look.way == "blink" and self.isVisible())
        self.lens.setChecked(look.has_lens)
        self.words.setText(self._heading())
        self.words.setVisible(bool(self.words.text()))
        set_look(self.why_not, comparing.why_not(), "dim")
        self._show_sets()
        self.sets.refresh()
        self.pane.refresh()
        has_two = look.way == "side by side" and None not in self.pane.sides
        if has_two:
            self.second.refresh()
        self.second.setVisible(has_two)
        self._show_figures()

    def show_sets(self) -> None:
        """Opens the card with the decoders to run."""
        self.several.setChecked(True)

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_short = self.width() < SHORT_BELOW
        for button in self.ways.buttons():
            way = button.property("way")
            button.setText(SHORT.get(way, way.capitalize()) if is_short else way.capitalize())
        self.several.setText("Several…" if is_short else "Several decoders…")

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
            button.setToolTip(meanings.WAYS[way])
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the picture
            button.clicked.connect(lambda _=False, way=way: self._comparing.show(way))
            self.ways.addButton(button)
            ways.addWidget(button)
        ways.addStretch()
        ways.addWidget(self.lens)
        sides = QHBoxLayout()
        sides.setSpacing(GRID)
        sides.addWidget(self.left, 1)
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
        for widget in (self.blinks, self.swap, self.spread, self.bands, self.several):
            line.addWidget(widget)
        column.addLayout(line)
        column.addWidget(self.why_not)
        pictures = QHBoxLayout()
        pictures.setSpacing(GRID)
        pictures.addWidget(self.pane, 1)
        pictures.addWidget(self.second, 1)
        column.addLayout(pictures, 1)
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
            title = self._pictures.title(self._session.selection.stage)
            return f"Chosen {self._parts.wording.step_name} ({title.lower()})"
        return self._pictures.title(side)

    def _heading(self) -> str:
        """What is seen, in a few words."""
        comparing = self._comparing
        if comparing.look.way == "disagreement" and comparing.disagreement is not None:
            return f"Disagreement of {plural(len(comparing.disagreement.of), 'decoder')}, not an error bar"
        if None in (comparing.left, comparing.right):
            return "Nothing to compare yet"
        return ""  # the pictures have their names

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

    def lay_lens(self) -> None:
        """Shows the lens or takes it away; where no mouse is on the picture, the arrow keys move it."""
        self._comparing.toggle_lens()
        panes = [pane for pane in (self.pane, self.second) if pane.isVisible()]
        if not self._comparing.look.has_lens:
            for pane in panes:
                pane.take_up_cursor()
        elif not any(pane.has_mouse for pane in panes):
            self.pane.setFocus()
            self.pane.lay_cursor()

    def _show_sets(self) -> None:
        """The card of the decoders, where it is wanted, and while any of them is run: it says how far they are."""
        self.sets.setVisible(self.several.isChecked() or self._comparing.is_running)

    def _run_blinker(self, is_running: bool) -> None:
        if is_running != self._blinker.isActive():
            self._blinker.start() if is_running else self._blinker.stop()

    def _refresh_if_seen(self) -> None:
        if self.isVisible():
            self.refresh()


def _side_box(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(16)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box

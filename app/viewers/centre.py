"""The centre of the window: what is shown, the panes, and below them the stages and bands to step through."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..assembly import Parts
from ..document.drawn import Drawn
from ..document.relight import is_relit
from ..document.selection import MODES, OF_LIGHT
from ..widgets import meanings
from ..widgets.theme import GRID
from .compare import CompareView
from .composite import CompositeButton
from .empty import EmptyState
from .exposure import ExposureButton
from .grid import PaneGrid
from .montage import Montage
from .pictures import LOOKS, Pictures
from .residual import ResidualView, drawn_residual
from .shelf import ShelfView
from .showing import drawn_montage, drawn_pane, drawn_side_by_side, drawn_split
from .stepping import SteppingCard

OF_MANY = 90  # px more that the modes of what was relit take
SHORT_BELOW = 690  # px of width: the words of buttons are short
ALWAYS = ("colour", "residual", "compare")  # modes of pictures with a single band too


class CentreView(QWidget):
    """Obeys the session's selection; every control calls one of its verbs."""

    open_requested = Signal()
    sample_requested = Signal(str)
    cursor_moved = Signal(object)  # grid.Cursor, or None when the mouse leaves the pictures

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._session = parts, parts.session
        self._opened = None
        self.pictures = Pictures(parts)
        self.empty = EmptyState()
        self.empty.open_requested.connect(self.open_requested)
        self.empty.sample_requested.connect(self.sample_requested)
        self.grid = PaneGrid(parts, self.pictures)
        self.grid.cursor_moved.connect(self.cursor_moved)
        self.montage = Montage(parts, self.pictures)
        self.stepping = SteppingCard(parts, self.pictures)
        self._shown = QStackedWidget()
        self._shown.addWidget(_Scrolled(self.grid))
        self._shown.addWidget(self.montage)
        self.residual = ResidualView(parts)
        self._shown.addWidget(self.residual)
        self.compare = CompareView(parts, self.pictures, self.grid.maps, self.grid.hub)
        self.compare.cursor_moved.connect(self.cursor_moved)
        for pane in (self.compare.pane, self.compare.second):
            self.grid.tools.attach(pane, pane.shows)
        self._shown.addWidget(self.compare)
        work = QWidget()
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(self._top_bar())
        column.addLayout(self._notice_row())
        beside = QHBoxLayout()
        beside.setSpacing(GRID)
        beside.addWidget(self._shown, 1)
        self.shelf = ShelfView(parts, self.pictures)
        beside.addWidget(self.shelf)
        column.addLayout(beside, 1)
        column.addWidget(self.stepping)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(work)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._pages)
        for changed in (
            parts.session.opened_changed,
            parts.session.stage_added,
            parts.session.restoration_changed,
            parts.session.selection_changed,
        ):
            changed.connect(self.refresh)
        for changed in (parts.setup.changed, parts.setup.adapting_changed):
            changed.connect(self._refresh_notice)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_bar()

    def refresh(self) -> None:
        """Shows what the session holds and selects."""
        session, selection = self._session, self._session.selection
        if session.snapshot is None:
            self.empty.show_reading(session.is_opening)
            self._pages.setCurrentWidget(self.empty)
            return
        if session.role_table is not self._opened:
            self._opened = session.role_table
            self.grid.reset()
        self._pages.setCurrentIndex(1)
        is_decoded = self.pictures.num_stages > 0
        shows_bands = is_decoded and not selection.in_colour and selection.mode != "residual"
        for button in self.mode_buttons.buttons():
            mode = button.property("mode")
            button.setText(session.kind.band.capitalize() if mode == "band" else mode.capitalize())
            if mode == "colour" and self.pictures.num_bands == 1:
                button.setText("Picture")
            button.setChecked(mode == selection.mode)
            is_there = is_relit(session) if mode in OF_LIGHT else self.pictures.num_bands > 1 or mode in ALWAYS
            button.setVisible(is_decoded and is_there)
            if not is_decoded and selection.mode == "compare":  # results of several decoders, and the way back
                button.setVisible(session.measurement is not None and mode in ("colour", "compare"))
                button.setText(session.kind.measured if mode == "colour" else mode.capitalize())
        self._fit_bar()
        self._refresh_words(is_decoded=is_decoded, shows_bands=shows_bands)
        if is_decoded and selection.mode in ("residual", "light"):  # they have levels of their own
            self.light.hide()
            self.exposure.hide()
        views = {"montage": self.montage, "residual": self.residual, "compare": self.compare}
        is_ready = is_decoded or (selection.mode == "compare" and session.measurement is not None)
        view = views.get(selection.mode, self.grid) if is_ready else self.grid
        self._shown.setCurrentIndex([self.grid, self.montage, self.residual, self.compare].index(view))
        view.refresh()
        self.shelf.setVisible(is_decoded or bool(self._parts.shelf.all))
        self.shelf.refresh()
        self._refresh_notice()
        self.stepping.setVisible(is_decoded)
        self.stepping.refresh()

    def _fit_bar(self) -> None:
        """Where there is little room words are short, and the buttons of many modes are narrow."""
        has_many = is_relit(self._session)
        is_short = self.width() < SHORT_BELOW + has_many * OF_MANY
        for button in (self.light, self.exposure):
            if button.is_short != is_short:
                button.is_short = is_short
                button.refresh()
        for button in self.mode_buttons.buttons():
            if button.property("mode") == "reflectance":
                button.setText("Refl." if self.width() < SHORT_BELOW else "Reflectance")
            if bool(button.property("is_tight")) != (has_many and is_short):
                button.setProperty("is_tight", has_many and is_short)
                button.style().polish(button)
                button.updateGeometry()  # its padding is another
        self._bar.setSpacing(GRID // 2 if has_many and is_short else GRID)

    def drawn(self) -> Drawn | None:
        """What is shown, at full size: the chosen stage, all its bands, its residual, or the comparison."""
        selection, pane = self._session.selection, self.compare.pane
        if self._shown.currentWidget() is self.montage:
            return drawn_montage(self.pictures, selection.stage)
        if self._shown.currentWidget() is self.residual:
            return drawn_residual(self._parts)
        if self._shown.currentWidget() is self.compare:
            if self.compare.second.isVisible():
                return drawn_side_by_side(self.pictures, pane.sides)
            shown, target = pane.shows(), pane.target
            if isinstance(shown, tuple):
                share = (pane.line_x - target.x()) / max(target.width(), 1)
                return drawn_split(self.pictures, shown, min(max(share, 0.0), 1.0))
        else:
            shown = self.grid.chosen_content
        return None if shown is None else drawn_pane(self.pictures, self.grid.maps, shown)

    def blink(self) -> None:
        """Shows the other side, comparing if nothing is compared yet."""
        if self._session.selection.mode != "compare":
            self._parts.looking.set_mode("compare")
            self._parts.comparing.show("blink")
        else:
            self._parts.comparing.blink()

    def blink_by_itself(self) -> None:
        """Shows one side after the other, or stops."""
        comparing = self._parts.comparing
        is_on = self._session.selection.mode == "compare" and comparing.look.blinks
        self._parts.looking.set_mode("compare")
        comparing.set_blinks(not is_on)

    def show_sets(self) -> None:
        """Shows the decoders that can be run one after another, beside the comparison."""
        self._parts.looking.set_mode("compare")
        self.compare.show_sets()

    def play(self) -> None:
        """Plays the stages, or pauses."""
        self.stepping.play.toggle()

    # ---- the bar above the panes ---------------------------------------------------------------------------------

    def _top_bar(self) -> QHBoxLayout:
        self._bar = bar = QHBoxLayout()
        bar.setSpacing(GRID)
        self.mode_buttons = QButtonGroup(self)
        for mode in MODES:
            button = QPushButton(mode.capitalize())
            button.setCheckable(True)
            button.setProperty("mode", mode)
            self._parts.wording.say(self, button.setToolTip, meanings.MODES[mode])
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the pictures
            button.clicked.connect(lambda _=False, mode=mode: self._parts.looking.set_mode(mode))
            self.mode_buttons.addButton(button)
            bar.addWidget(button)
        bar.addStretch()
        bar.addStrut(self.mode_buttons.buttons()[0].sizeHint().height())  # as high while there are no modes
        self.light = CompositeButton(self._parts, self.pictures)
        bar.addWidget(self.light)
        self.look = QComboBox()
        self.look.setToolTip("Colours of a picture with one value a pixel: grey, that of its wavelength, or viridis")
        self.look.activated.connect(lambda _: self._parts.looking.set_look(self.look.currentData()))
        bar.addWidget(self.look)
        self.exposure = ExposureButton(self._parts, self.pictures)
        bar.addWidget(self.exposure)
        return bar

    def _notice_row(self) -> QHBoxLayout:
        """Why the denoiser's input is not there, and the button that changes that."""
        row = QHBoxLayout()
        row.setSpacing(GRID)
        self.notice = QLabel()
        self.notice.setWordWrap(True)
        self.keep_input = QPushButton("Decode again and keep it")
        self.keep_input.clicked.connect(self._session.restore)
        row.addWidget(self.notice, 1)
        row.addWidget(self.keep_input)
        return row

    def _refresh_notice(self) -> None:
        session, stages = self._session, self._session.stages
        wants_input = session.selection.view == "input" and session.selection.mode in ("colour", "band")
        is_there = any(stages.denoiser_input(index) is not None for index in range(self.pictures.num_stages))
        is_missing = wants_input and self.pictures.num_stages > 1 and not is_there
        was_kept = session.restoration.keeps_denoiser_input
        sentence = "This decoder has no denoiser, or does not tell what it saw." if was_kept else ""
        sentence = sentence or "What the denoiser saw was not kept: it doubles what is stored."
        other = self._parts.shelf.other_settings
        if other and not is_missing:
            sentence = f"This result was made with {other}. Decode makes one with the settings on the left."
        self.notice.setText(sentence)
        self.notice.setVisible(is_missing or bool(other))
        self.keep_input.setVisible(is_missing and not was_kept and not session.restoration.is_busy)

    def _refresh_words(self, *, is_decoded: bool, shows_bands: bool) -> None:
        kind = self._session.kind
        self.light.setVisible(is_decoded and not shows_bands and not kind.is_photograph)
        if not kind.is_photograph:
            self.light.refresh()
        self.exposure.setVisible(is_decoded or kind.measures != "blocks")  # samples have a contrast of their own
        self.exposure.refresh()
        self.look.setVisible(shows_bands)
        self.look.setAccessibleName(f"Colours of single {kind.band}s")
        looks = self.pictures.looks
        if [self.look.itemData(index) for index in range(self.look.count())] != list(looks):
            self.look.clear()
            for look in looks:
                self.look.addItem(LOOKS[look], look)
        self.look.setCurrentIndex(self.look.findData(self.pictures.look))

    # ---- keys ----------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right step through the stages, up and down through the bands, Escape lets go of what was taken."""
        selection = self._session.selection
        steps = {
            Qt.Key.Key_Left: lambda: self._parts.looking.select_stage(selection.stage - 1),
            Qt.Key.Key_Right: lambda: self._parts.looking.select_stage(selection.stage + 1),
            Qt.Key.Key_Up: lambda: self._parts.ruler.move(1),
            Qt.Key.Key_Down: lambda: self._parts.ruler.move(-1),
            Qt.Key.Key_Escape: self._let_go,
        }
        step = steps.get(event.key())
        if step is None or self.pictures.num_stages == 0:
            super().keyPressEvent(event)
        else:
            step()

    def _let_go(self) -> None:
        """Of the range of bands first, then of the pinned pixel."""
        if self._parts.ruler.range is not None:
            self._parts.ruler.clear()
        else:
            self._parts.looking.select_pixel(None)


class _Scrolled(QScrollArea):
    """The grid in its place; more panes than fit are scrolled to. The keys stay those of stages and bands."""

    def __init__(self, grid: PaneGrid) -> None:
        super().__init__()
        self.setWidget(grid)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setAutoFillBackground(False)
        grid.setAutoFillBackground(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()

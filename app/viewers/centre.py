"""The centre of the window: what is shown, the panes, and below them the stages and bands to step through."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..render import ILLUMINANT, false_colour_bands
from ..session import Session
from ..theme import GRID, Theme
from .empty import EmptyState
from .grid import PaneGrid
from .montage import Montage
from .pictures import LOOKS, Pictures
from .stepping import SteppingCard

MODES = ("colour", "band", "montage")
STRETCHES = {  # words -> (percentiles, whether all panes share them)
    "As it is, 0 to 1": (None, True),
    "Percentile 1 – 99, shared": ((1.0, 99.0), True),
    "Percentile 1 – 99, each its own": ((1.0, 99.0), False),
    "Full range, shared": ((0.0, 100.0), True),
    "Full range, each its own": ((0.0, 100.0), False),
}


class CentreView(QWidget):
    """Obeys the session's selection; every control calls one of its verbs."""

    open_requested = Signal()
    sample_requested = Signal(str)
    cursor_moved = Signal(object)  # grid.Cursor, or None when the mouse leaves the pictures

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session = session
        self._opened = None
        self.pictures = Pictures(session)
        self.empty = EmptyState(tokens)
        self.empty.open_requested.connect(self.open_requested)
        self.empty.sample_requested.connect(self.sample_requested)
        self.grid = PaneGrid(session, self.pictures, tokens)
        self.grid.cursor_moved.connect(self.cursor_moved)
        self.montage = Montage(session, self.pictures, tokens)
        self.stepping = SteppingCard(session, self.pictures, tokens)
        self._shown = QStackedWidget()
        self._shown.addWidget(self.grid)
        self._shown.addWidget(self.montage)
        work = QWidget()
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(self._top_bar())
        column.addWidget(self._shown, 1)
        column.addWidget(self.stepping)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(work)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._pages)
        for changed in (
            session.opened_changed,
            session.stage_added,
            session.restoration_changed,
            session.selection_changed,
        ):
            changed.connect(self.refresh)
        self.refresh()

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        for part in (self.empty, self.grid, self.montage, self.stepping):
            part.set_theme(tokens)

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
        shows_bands = is_decoded and selection.mode != "colour"
        for button in self.mode_buttons.buttons():
            mode = button.property("mode")
            button.setText(session.kind.band.capitalize() if mode == "band" else mode.capitalize())
            button.setChecked(mode == selection.mode)
            button.setVisible(is_decoded and self.pictures.num_bands > 1)
        self._refresh_words(is_decoded=is_decoded, shows_bands=shows_bands)
        is_montage = is_decoded and selection.mode == "montage"
        self._shown.setCurrentWidget(self.montage if is_montage else self.grid)
        (self.montage if is_montage else self.grid).refresh()
        self.stepping.setVisible(is_decoded)
        self.stepping.refresh()

    # ---- the bar above the panes ---------------------------------------------------------------------------------

    def _top_bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.setSpacing(GRID)
        self.mode_buttons = QButtonGroup(self)
        for mode in MODES:
            button = QPushButton(mode.capitalize())
            button.setCheckable(True)
            button.setProperty("mode", mode)
            button.clicked.connect(lambda _=False, mode=mode: self._session.set_mode(mode))
            self.mode_buttons.addButton(button)
            bar.addWidget(button)
        bar.addStretch()
        bar.addStrut(self.mode_buttons.buttons()[0].sizeHint().height())  # as high while there are no modes
        self.light = QLabel()
        self.light.setObjectName("dim")
        bar.addWidget(self.light)
        self.look = QComboBox()
        self.look.activated.connect(lambda _: self._set_look(self.look.currentData()))
        bar.addWidget(self.look)
        self.stretch = QComboBox()
        self.stretch.addItems(list(STRETCHES))
        self.stretch.setAccessibleName("Contrast of the pictures")
        self.stretch.setToolTip(
            "Black and white of the display; the numbers are never changed.\n"
            "0 to 1 is meant for scenes: what a detector saw is shown by its percentiles then."
        )
        self.stretch.activated.connect(lambda _: self._session.set_stretch(*STRETCHES[self.stretch.currentText()]))
        bar.addWidget(self.stretch)
        return bar

    def _refresh_words(self, *, is_decoded: bool, shows_bands: bool) -> None:
        selection = self._session.selection
        wanted = (selection.stretch, selection.shared_stretch)
        self.stretch.setCurrentIndex(list(STRETCHES.values()).index(wanted) if wanted in STRETCHES.values() else -1)
        kind = self._session.kind
        self.light.setVisible(is_decoded and not shows_bands and not kind.is_photograph)
        if not kind.is_photograph:
            self._refresh_light()
        self.stretch.setVisible(is_decoded or kind.measures != "blocks")  # samples have a contrast of their own
        self.look.setVisible(shows_bands)
        self.look.setAccessibleName(f"Colours of single {kind.band}s")
        looks = self.pictures.looks
        if [self.look.itemData(index) for index in range(self.look.count())] != list(looks):
            self.look.clear()
            for look in looks:
                self.look.addItem(LOOKS[look], look)
        self.look.setCurrentIndex(max(self.look.findData(self.pictures.look), 0))

    def _refresh_light(self) -> None:
        """Says where the colours of a cube come from."""
        if self.pictures.wavelengths_nm is not None:
            self.light.setText(f"{ILLUMINANT} · CIE 1931")
            self.light.setToolTip("Colours under daylight as the CIE 1931 standard observer sees them")
        else:
            bands = ", ".join(str(band + 1) for band in false_colour_bands(self.pictures.num_bands))
            self.light.setText(f"False colour · bands {bands}")
            self.light.setToolTip("The wavelengths are not known; give them in Roles and geometry to see true colours")

    def _set_look(self, look: str) -> None:
        self.pictures.look = look
        self.refresh()

    # ---- keys ----------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right step through the stages, up and down through the bands, Escape lets the pinned pixel go."""
        session, selection = self._session, self._session.selection
        steps = {
            Qt.Key.Key_Left: lambda: session.select_stage(selection.stage - 1),
            Qt.Key.Key_Right: lambda: session.select_stage(selection.stage + 1),
            Qt.Key.Key_Up: lambda: session.select_band(selection.band + 1),
            Qt.Key.Key_Down: lambda: session.select_band(selection.band - 1),
            Qt.Key.Key_Escape: lambda: session.select_pixel(None),
        }
        step = steps.get(event.key())
        if step is None or self.pictures.num_stages == 0:
            super().keyPressEvent(event)
        else:
            step()

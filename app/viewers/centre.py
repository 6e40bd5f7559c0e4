"""The centre of the window: what is shown, the panes, and below them the stages and bands to step through."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from .. import theme
from ..render import ILLUMINANT
from ..session import Session
from ..theme import GRID, Theme
from .empty import EmptyState
from .grid import Montage, PaneGrid
from .pictures import Pictures
from .strip import StageStrip

MODES = {"colour": "Colour", "band": "Band", "montage": "Montage"}
STRETCHES = {  # words -> (low, high, shared)
    "Percentile 1 – 99, shared": (1.0, 99.0, True),
    "Percentile 0.1 – 99.9, shared": (0.1, 99.9, True),
    "Full range, shared": (0.0, 100.0, True),
    "Percentile 1 – 99, each pane": (1.0, 99.0, False),
}
PLAY_MS = 350  # between two stages


class CentreView(QWidget):
    """Obeys the session's selection; every control calls one of its verbs."""

    open_requested = Signal()
    sample_requested = Signal(str)

    def __init__(self, session: Session, tokens: Theme) -> None:
        super().__init__()
        self._session = session
        self._store = session.stages
        self._pictures = Pictures(session)
        self.empty = EmptyState(tokens)
        self.empty.open_requested.connect(self.open_requested)
        self.empty.sample_requested.connect(self.sample_requested)
        self.grid = PaneGrid(session, self._pictures, tokens)
        self.montage = Montage(session, self._pictures, tokens)
        self.strip = StageStrip(session, self._pictures, tokens)
        self._shown = QStackedWidget()
        self._shown.addWidget(self.grid)
        self._shown.addWidget(self.montage)
        self._player = QTimer(self)
        self._player.setInterval(PLAY_MS)
        self._player.timeout.connect(self._play_on)
        work = QWidget()
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(self._top_bar())
        column.addWidget(self._shown, 1)
        column.addWidget(self._stepping_card())
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(work)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._pages)
        session.opened_changed.connect(self._opened)
        session.stage_added.connect(self._refresh)
        session.restoration_changed.connect(self._refresh)
        session.selection_changed.connect(self._refresh)
        self._opened()

    def set_theme(self, tokens: Theme) -> None:
        """Draws in other colours from now on."""
        for part in (self.empty, self.grid, self.montage, self.strip):
            part.set_theme(tokens)
        self._refresh()

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _top_bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.setSpacing(GRID)
        self._mode_buttons = QButtonGroup(self)
        for mode, title in MODES.items():
            button = QPushButton(title)
            button.setCheckable(True)
            button.setProperty("mode", mode)
            button.clicked.connect(lambda _, mode=mode: self._session.set_mode(mode))
            self._mode_buttons.addButton(button)
            bar.addWidget(button)
        bar.addStretch()
        self.light = QLabel()
        self.light.setObjectName("dim")
        bar.addWidget(self.light)
        self.stretch = QComboBox()
        self.stretch.addItems(list(STRETCHES))
        self.stretch.setAccessibleName("Contrast of the pictures")
        self.stretch.setToolTip("Black and white of the display; the numbers are never changed")
        self.stretch.activated.connect(lambda _: self._session.set_stretch(*STRETCHES[self.stretch.currentText()]))
        bar.addWidget(self.stretch)
        return bar

    def _stepping_card(self) -> QWidget:
        card, column = theme.card("")
        self.play = QPushButton("▶")
        self.play.setFixedWidth(40)
        self.play.setCheckable(True)
        self.play.setAccessibleName("Play the stages")
        self.play.setToolTip("Play the stages")
        self.play.toggled.connect(self._toggle_play)
        self.stage_slider, self.stage_label = _slider("Stage"), _slider_label("60 of 60")
        self.stage_slider.valueChanged.connect(self._session.select_stage)
        self.band_slider, self.band_label = _slider("Band"), _slider_label("28 of 28  ·  000.0 nm")
        self.band_slider.valueChanged.connect(self._session.select_band)
        self._stage_widgets = (self.play, self.stage_slider, self.strip)
        column.addLayout(_row("Stages", self.play, self.stage_slider, self.stage_label))
        column.addWidget(self.strip)
        column.addLayout(_row("Band", self.band_slider, self.band_label))
        card.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        return card

    # ---- following the session -----------------------------------------------------------------------------------

    def _opened(self) -> None:
        self._pictures.forget()
        self.grid.reset()
        self.strip.clear()
        self._pages.setCurrentIndex(0 if self._session.measurement is None else 1)
        self._refresh()

    def _refresh(self) -> None:
        session, selection = self._session, self._session.selection
        if session.measurement is None:
            return
        if session.stages is not self._store:  # another restoration began
            self._store = session.stages
            self._pictures.forget()
            self.strip.clear()
        for button in self._mode_buttons.buttons():
            button.setChecked(button.property("mode") == selection.mode)
        wanted = (*selection.stretch, selection.shared_stretch)
        words = next((text for text, values in STRETCHES.items() if values == wanted), None)
        self.stretch.setCurrentIndex(-1 if words is None else self.stretch.findText(words))
        has_wavelengths = session.measurement.wavelengths_nm is not None
        self.light.setText(
            {
                "colour": f"{ILLUMINANT}  ·  CIE 1931" if has_wavelengths else "False colour: wavelengths unknown",
                "band": "In the colour of the band" if has_wavelengths else "",
            }.get(selection.mode, "")
        )
        is_montage = selection.mode == "montage"
        self._shown.setCurrentWidget(self.montage if is_montage else self.grid)
        (self.montage if is_montage else self.grid).refresh()
        self._refresh_steps()

    def _refresh_steps(self) -> None:
        session, selection = self._session, self._session.selection
        newest = len(session.stages) - 1
        asked = max(newest, session.restoration.num_stages)
        for widget in self._stage_widgets:
            widget.setEnabled(newest >= 0)
        _set_slider(self.stage_slider, max(newest, 0), selection.stage)
        self.stage_label.setText("not decoded yet" if newest < 0 else f"{selection.stage} of {asked}")
        num_bands = session.measurement.physics.scene_shape[0]
        _set_slider(self.band_slider, num_bands - 1, selection.band)
        wavelengths_nm = session.measurement.wavelengths_nm
        position = f"{selection.band + 1} of {num_bands}"
        if wavelengths_nm is not None:
            position += f"  ·  {wavelengths_nm[selection.band]:.1f} nm"
        self.band_label.setText(position)
        self.strip.refresh()

    def _toggle_play(self, is_playing: bool) -> None:
        self.play.setText("❚❚" if is_playing else "▶")
        if not is_playing:
            self._player.stop()
            return
        if self._session.selection.stage >= len(self._session.stages) - 1:
            self._session.select_stage(0)
        self._player.start()

    def _play_on(self) -> None:
        stage = self._session.selection.stage
        if stage >= len(self._session.stages) - 1:
            self.play.setChecked(False)
        else:
            self._session.select_stage(stage + 1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right step through the stages, up and down through the bands, Escape lets the cursor go."""
        session, selection = self._session, self._session.selection
        steps = {
            Qt.Key.Key_Left: lambda: session.select_stage(selection.stage - 1),
            Qt.Key.Key_Right: lambda: session.select_stage(selection.stage + 1),
            Qt.Key.Key_Up: lambda: session.select_band(selection.band + 1),
            Qt.Key.Key_Down: lambda: session.select_band(selection.band - 1),
            Qt.Key.Key_Escape: self._let_go,
        }
        step = steps.get(event.key())
        if step is None or session.measurement is None:
            super().keyPressEvent(event)
        else:
            step()

    def _let_go(self) -> None:
        self.grid.unpin()
        self._session.select_pixel(None)


def _slider(name: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setAccessibleName(name)
    slider.setPageStep(1)
    return slider


def _slider_label(longest: str) -> QLabel:
    """A grey label as wide as its longest text, so that nothing moves while the numbers change."""
    label = QLabel(longest)
    label.setObjectName("dim")
    label.setFont(theme.tabular(label.font()))
    label.setMinimumWidth(label.fontMetrics().horizontalAdvance(longest) + GRID)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


def _row(title: str, *widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GRID)
    heading = QLabel(title)
    heading.setObjectName("heading")
    heading.setMinimumWidth(56)
    row.addWidget(heading)
    for widget in widgets:
        row.addWidget(widget, 1 if isinstance(widget, QSlider) else 0)
    return row


def _set_slider(slider: QSlider, maximum: int, value: int) -> None:
    slider.blockSignals(True)
    slider.setMaximum(maximum)
    slider.setValue(value)
    slider.blockSignals(False)

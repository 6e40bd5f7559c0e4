"""The card to step with: through the stages by playing, sliding or clicking thumbnails, and through the bands."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from ..assembly import Parts
from ..document.selection import OF_LIGHT
from ..widgets import theme
from ..widgets.icons import SIDE, icon
from ..widgets.theme import GRID, Recolours, tokens
from .pictures import Pictures
from .relight import RelightRow
from .strip import StageStrip

VIEWS = {"image": "Images", "change": "Where it changed", "input": "Denoiser's input"}
PLAY_S = 6.0  # about how long all stages take
PLAY_MS = (80, 500)  # per stage


class SteppingCard(Recolours, QWidget):
    """Obeys the selection; every control calls one of the session's verbs."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self.play = QPushButton()
        self.play.setFixedSize(36, 28)
        self.play.setIconSize(QSize(SIDE, SIDE))
        self.play.setCheckable(True)
        self.play.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the pictures
        self.play.toggled.connect(self._toggle_play)
        self.stage_title, self.stage_slider, self.stage_label = _heading(""), _slider("Stage"), _figures("60 of 60")
        self.view = QComboBox()
        self.view.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for view, words in VIEWS.items():
            self.view.addItem(words, view)
        self.view.activated.connect(lambda _: parts.looking.set_view(self.view.currentData()))
        self.side_by_side = QPushButton("Side by side")
        self.side_by_side.setCheckable(True)
        self.side_by_side.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.side_by_side.clicked.connect(parts.looking.toggle_layout)
        self.band_title, self.band_slider = _heading("Band"), _slider("Band")
        self.band_label = _figures("28 of 28  ·  000.0 nm")
        for slider in (self.band_slider, self.band_label):
            slider.setToolTip("The band that is shown alone, by its number and its wavelength in nm")
        self.relight = RelightRow(parts)
        self.stage_slider.valueChanged.connect(parts.looking.select_stage)
        self.band_slider.valueChanged.connect(self._slide_band)
        self.strip = StageStrip(parts, pictures)
        self._say()
        self._player = QTimer(self)
        self._player.timeout.connect(self._play_on)
        frame, column = theme.card("")
        frame.setAccessibleName("Stepping")
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(4)
        column.addLayout(
            _row(self.stage_title, self.play, self.stage_slider, self.stage_label, self.side_by_side, self.view)
        )
        column.addWidget(self.strip)
        last = _row(self.band_title, self.band_slider, self.band_label)
        last.addWidget(self.relight, 2)
        column.addLayout(last)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(frame)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.recolour()

    def _say(self) -> None:
        """Says everything about stages in the word of the decoder that is shown."""
        shown = "The stage that is shown, 0 is the start; the last is usually the best"
        for take, sentence in (
            (self.stage_title.setText, "Stages"),
            (self.stage_slider.setAccessibleName, "Stage"),
            (self.stage_slider.setToolTip, shown),
            (self.stage_label.setToolTip, shown),
            (self.view.setAccessibleName, "What the panes show of the stages"),
            (self.view.setToolTip, "The pictures, what each stage changed (C), or what its denoiser saw (I)"),
            (self.side_by_side.setToolTip, "Several stages in panes of their own, or one large picture (S)"),
            (self.strip.setStatusTip, "A click shows a stage, Ctrl-click adds or takes away its pane"),
        ):
            self._parts.wording.say(self, take, sentence)
        self._parts.wording.changed.connect(self.recolour)

    def refresh(self) -> None:
        """Shows the selection."""
        selection, num_stages, num_bands = self._session.selection, self._pictures.num_stages, self._pictures.num_bands
        if not num_stages:
            self.play.setChecked(False)
        last = num_stages - 1
        _set_slider(self.stage_slider, max(last, selection.stage, 0), selection.stage)
        self.stage_label.setText(f"{selection.stage} of {max(last, self._session.restoration.num_stages)}")
        self.view.setCurrentIndex(self.view.findData(selection.view))
        self.view.setVisible(selection.mode in ("colour", "band"))
        self.side_by_side.setVisible(num_stages > 1 and selection.mode in ("colour", "band", *OF_LIGHT))
        self.side_by_side.setChecked(selection.layout == "grid")
        band = self._session.kind.band.capitalize()
        self.band_title.setText(band)
        self.band_slider.setAccessibleName(band)
        _set_slider(self.band_slider, max(num_bands - 1, 0), selection.band)
        first, last = selection.bands
        which = f"{first + 1}" if first == last else f"{first + 1} – {last + 1}"
        self.band_label.setText(f"{which} of {num_bands}  ·  {self._pictures.bands_title(selection.bands)}")
        for widget in (self.band_title, self.band_slider, self.band_label):
            widget.setVisible(num_bands > 1)
        self.relight.refresh()
        self.strip.refresh()

    def _slide_band(self, band: int) -> None:
        """A slider that is moved shows what it moves through: colour has no bands."""
        self._parts.looking.select_band(band)
        if self._session.selection.in_colour:
            self._parts.looking.set_in_colour(False)

    def _toggle_play(self, is_playing: bool) -> None:
        self.recolour()
        if not is_playing:
            self._player.stop()
            return
        if self._session.selection.stage >= self._pictures.num_stages - 1:
            self._parts.looking.select_stage(0)
        shortest, longest = PLAY_MS
        self._player.start(int(min(max(1000 * PLAY_S / max(self._pictures.num_stages, 1), shortest), longest)))

    def _play_on(self) -> None:
        stage = self._session.selection.stage
        if stage >= self._pictures.num_stages - 1:
            self.play.setChecked(False)
        else:
            self._parts.looking.select_stage(stage + 1)

    def recolour(self) -> None:
        """Draws the sign of the button that plays, and names it."""
        is_playing = self.play.isChecked()
        words = "Pause" if is_playing else self._parts.wording.of("Play the stages")
        self.play.setToolTip(words)
        self.play.setAccessibleName(words)
        self.play.setIcon(icon("pause", tokens().on_accent) if is_playing else icon("play", tokens().text))


def _slider(name: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setAccessibleName(name)
    slider.setPageStep(1)
    slider.setMinimumWidth(64)
    return slider


def _figures(longest: str) -> QLabel:
    """A grey label as wide as its longest text, so that nothing moves while the numbers change."""
    label = QLabel(longest)
    label.setObjectName("dim")
    label.setFont(theme.tabular(label.font()))
    label.setMinimumWidth(label.fontMetrics().horizontalAdvance(longest) + GRID)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label


def _heading(words: str) -> QLabel:
    label = QLabel(words)
    label.setObjectName("heading")
    label.setMinimumSize(52, 28)
    return label


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GRID)
    for widget in widgets:
        row.addWidget(widget, 1 if isinstance(widget, QSlider) else 0)
    return row


def _set_slider(slider: QSlider, maximum: int, value: int) -> None:
    with QSignalBlocker(slider):
        slider.setMaximum(maximum)
        slider.setValue(value)

"""The page of what is chosen once: looks, what decodes run on, where results go, and what opens at the start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from lorun_engine.decoding.execution import PRECISIONS
from lorun_engine.task import DEFAULT, TASKS

from ..assembly import Parts
from ..panels.files import ask_target_folder
from ..settings import SHELF_MIB
from ..widgets import theme
from ..widgets.lists import fill
from ..widgets.page import Page

LABEL_WIDTH, FIELD_WIDTH, HINT_WIDTH = 136, 240, 420  # px
MOST_THREADS = 1024
STEP_MIB = 256
THEMES = {"system": "As the system", "light": "Light", "dark": "Dark"}
OPENS = {"nothing": "Nothing", "last": "What was open last", "sample": f"The sample of {TASKS[DEFAULT].short}"}
BESIDE = "Beside the capture"


class PreferencesPage(Page):
    """Every field acts at once, or says that it does from the next start; nothing has to be confirmed."""

    def __init__(self, parts: Parts) -> None:
        super().__init__("Preferences", name="Preferences", help_page="index")
        self._parts, self._preferences = parts, parts.preferences
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._make_fields()
        cards = QWidget()
        cards.setObjectName("column")
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GRID)
        for title, rows in self._cards().items():
            column.addWidget(_card(title, rows), 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(cards)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.column.addWidget(area, 1)
        for changed in (parts.memory.changed, parts.setup.changed):
            changed.connect(self._show)
        self._show()

    def _cards(self) -> dict[str, tuple[tuple[str, QWidget, str | QLabel], ...]]:
        """By the headings of the cards: name, field, and what it does."""
        return {
            "Look": (("Colours", self.theme, "Acts at once."),),
            "Decoding": (
                ("Device", self.device, "Acts on the next decode. The CPU stands in for a device that is gone."),
                ("Threads", self.threads, "Of the CPU. Acts on the next decode, and on those of a folder."),
                (
                    "Precision",
                    self.precision,
                    "Of networks; the physics stays in float32. auto: the quickest here, tried once.",
                ),
            ),
            "Results": (
                ("Folder", self.results, "Offered when results are saved, and where those of a folder are written."),
                (
                    "In memory",
                    self.shelf,
                    "Older results of the shelf beyond it lie on the disk until the window closes. Acts at once.",
                ),
            ),
            "At the start": (
                ("Open", self.opens, "From the next start, unless files are named."),
                ("Session files", self.sessions, self.sessions_words),
            ),
        }

    def _make_fields(self) -> None:
        self.theme, self.device, self.precision, self.results, self.opens = (QComboBox() for _ in range(5))
        self.threads, self.shelf = QSpinBox(), QSpinBox()
        self.threads.setRange(0, MOST_THREADS)
        self.threads.setSpecialValueText("Automatic")
        self.shelf.setRange(SHELF_MIB[0], SHELF_MIB[2])
        self.shelf.setSingleStep(STEP_MIB)
        self.shelf.setSuffix(" MiB")
        for box in (self.threads, self.shelf):
            box.setKeyboardTracking(False)
            box.setGroupSeparatorShown(False)
        chosen = self._preferences
        self.theme.activated.connect(lambda _: chosen.set_theme(self.theme.currentData()))
        self.device.activated.connect(lambda _: chosen.set_device(self.device.currentData()))
        self.precision.activated.connect(lambda _: chosen.set_precision(self.precision.currentData()))
        self.threads.valueChanged.connect(lambda number: chosen.set_threads(number or None))
        self.results.activated.connect(self._choose_results)
        self.shelf.valueChanged.connect(chosen.set_shelf_mib)
        self.opens.activated.connect(lambda _: chosen.set_opens(self.opens.currentData()))
        self.sessions, self.sessions_words = QPushButton(), QLabel()
        self.sessions.clicked.connect(self._tell_desktop)
        chosen.desktop_told.connect(self._show_desktop)
        self._show_desktop()

    def _choose_results(self, place: int) -> None:
        if place == self.results.count() - 1:
            if folder := ask_target_folder(self, "Write results into"):
                self._preferences.set_results_folder(folder)
        elif place == 0:
            self._preferences.set_results_folder(None)
        self._show()

    def _tell_desktop(self) -> None:
        self.sessions.setEnabled(False)  # until the desktop knows
        self._preferences.open_sessions(not self._preferences.desktop.opens_sessions)

    def _show_desktop(self) -> None:
        """Whether a double click on a session file opens this program."""
        desktop = self._preferences.desktop
        is_on = desktop.opens_sessions
        self.sessions.setText("Forget" if is_on else "Open .lorun files with LoRun")
        self.sessions.setEnabled(not desktop.why_not)
        words = "A double click on a .lorun file opens it here." if is_on else "A double click does not open them yet."
        self.sessions_words.setText(desktop.why_not or words)
        self.sessions.setAccessibleDescription(self.sessions_words.text())

    def _show(self) -> None:
        settings, devices = self._parts.memory.settings, self._parts.setup.devices
        fill(self.theme, [(text, name) for name, text in THEMES.items()], settings.theme)
        known = [(device.title, device.name) for device in devices]
        if settings.device not in [name for _, name in known]:
            known.append((f"{settings.device}, not here" if devices else settings.device.upper(), settings.device))
        fill(self.device, known, settings.device)
        fill(self.precision, [(name, name) for name in PRECISIONS], settings.precision)
        folder = settings.results
        named = [(Path(folder).name or folder, folder)] if folder else []
        fill(self.results, [(BESIDE, ""), *named, ("Into a folder…", None)], folder)
        is_gone = bool(folder) and settings.results_folder is None
        self.results.setToolTip(f"{folder} is no longer there: {BESIDE.lower()} for now" if is_gone else folder)
        fill(self.opens, [(text, name) for name, text in OPENS.items()], settings.opens)
        for box, value in ((self.threads, settings.threads or 0), (self.shelf, settings.shelf_mib)):
            with QSignalBlocker(box):
                box.setValue(value)


def _card(title: str, rows: Sequence[tuple[str, QWidget, str | QLabel]]) -> QFrame:
    """A card with a row for each of (name, field, what it does); a label says of itself what changes."""
    frame, column = theme.card(title)
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(theme.GRID)
    for row, (name, field, words) in enumerate(rows):
        label, hint = QLabel(name), QLabel(words) if isinstance(words, str) else words
        label.setBuddy(field)
        label.setFixedWidth(LABEL_WIDTH)
        field.setFixedWidth(FIELD_WIDTH)
        field.setAccessibleName(f"{title}: {name}")
        field.setAccessibleDescription(hint.text())
        hint.setObjectName("dim")
        hint.setWordWrap(True)
        hint.setFixedWidth(HINT_WIDTH)
        for place, widget in enumerate((label, field, hint)):
            grid.addWidget(widget, row, place)
    column.addLayout(grid)
    return frame

"""The card with what one can do with a result: write it in several ways, and find the file that was written."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..assembly import Parts
from ..document.file_manager import show_in_folder
from ..problems import Problem
from ..widgets import theme
from .exporting import ExportDialogs

COLUMNS = 3


class SavingCard(QWidget):
    """Shown once there are stages; every button leads to a dialog with a name that says what will be in the file."""

    def __init__(self, parts: Parts, dialogs: ExportDialogs) -> None:
        super().__init__()
        self._parts, self._session, self._dialogs = parts, parts.session, dialogs
        self.written: Path | None = None
        self._of = parts.session.stages  # that it was written of
        frame, column = theme.card("")
        frame.setAccessibleName("Save the result")
        heading = QLabel("Save the result")
        heading.setObjectName("heading")
        self.show_file = QPushButton("Show in folder")
        self.show_file.setObjectName("link")
        self.show_file.setCursor(Qt.CursorShape.PointingHandCursor)
        kept = self.show_file.sizePolicy()
        kept.setRetainSizeWhenHidden(True)  # nothing moves when a file was written
        self.show_file.setSizePolicy(kept)
        self.show_file.clicked.connect(self._show_in_folder)
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(self.show_file)
        column.addLayout(top)
        self.cube, self.stages, self.spectra = QPushButton("Cube…"), QPushButton(), QPushButton("Spectra…")
        self.picture, self.report = QPushButton("Picture…"), QPushButton("Report…")
        parts.wording.say(self, self.stages.setText, "Stages…")
        verbs = {
            self.cube: (dialogs.ask_cube, "The last stage with its wavelengths"),
            self.stages: (dialogs.ask_stages, "The start and all stages in one HDF5 file"),
            self.spectra: (self._ask_spectra, ""),
            self.picture: (dialogs.ask_picture, "What is shown, at full size, as PNG, TIFF or SVG"),
            self.report: (
                dialogs.ask_report,
                "One page: pictures, figures, settings, hashes, methods",
            ),
        }
        grid = QGridLayout()
        grid.setSpacing(theme.GRID)
        for number, (button, (verb, hint)) in enumerate(verbs.items()):
            button.clicked.connect(verb)
            if hint:
                parts.wording.say(self, button.setToolTip, hint)
            grid.addWidget(button, number // COLUMNS, number % COLUMNS)
        for place in range(COLUMNS):
            grid.setColumnStretch(place, 1)
        column.addLayout(grid)
        self.buttons = tuple(verbs)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        session = parts.session
        for changed in (session.opened_changed, session.restoration_changed, session.selection_changed):
            changed.connect(self._show)
        session.stage_added.connect(self._show)
        parts.regions.changed.connect(self._show)
        parts.exports.exported.connect(self._take_file)
        self._show()

    def _show(self) -> None:
        session = self._session
        num_stages, is_busy = len(session.stages), session.restoration.is_busy
        self.setVisible(num_stages > 0)
        if session.stages is not self._of:
            self._of, self.written = session.stages, None
        for button in self.buttons:
            button.setEnabled(num_stages > 0 and not is_busy)
        words = "Profile" if session.kind.is_photograph else "Spectra"
        has_places = bool(self._parts.regions.all) or session.selection.pixel is not None
        self.spectra.setText(f"{words}…")
        self.spectra.setEnabled(self.spectra.isEnabled() and has_places)
        what = "all points and regions" if self._parts.regions.all else "the pinned pixel"
        self.spectra.setToolTip(f"A table of {what}" if has_places else "Click a pixel of a picture first")
        self._show_file()

    def _show_file(self) -> None:
        self.show_file.setVisible(self.written is not None)
        if self.written is not None:
            self.show_file.setToolTip(str(self.written))
            self.show_file.setAccessibleName(f"Show {self.written.name} in its folder")

    def _take_file(self, path: str) -> None:
        self.written = Path(path)
        self._show_file()

    def _ask_spectra(self) -> None:
        """All places where there are any, else the pinned pixel."""
        (self._dialogs.ask_regions if self._parts.regions.all else self._dialogs.ask_spectra)()

    def _show_in_folder(self) -> None:
        if self.written is not None and not show_in_folder(self.written):
            sentence = f"No file manager could be opened here. The file is {self.written}."
            self._parts.lanes.problem_raised.emit(Problem(sentence))

"""The dialogs that ask where something is to be written, with a name that says what it is."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from ..assembly import Parts
from ..document.exports import CUBE_SUFFIXES, PICTURE_SUFFIXES, TABLE_SUFFIXES
from ..document.regions import REGION_SUFFIXES
from .files import ask_save_file


def folder_of(parts: Parts) -> Path | None:
    """The folder in which somebody looks for files: that of what is open, or of the latest job."""
    session, recent = parts.session, parts.memory.settings.recent
    if session.paths and not session.is_sample:
        return session.paths[0].parent
    return Path(recent[0].paths[0]).parent if recent else None


class ExportDialogs(QObject):
    """Each asks for a file and has it written."""

    def __init__(self, parts: Parts, window: QWidget) -> None:
        super().__init__(window)
        self._parts, self._window = parts, window

    def ask_cube(self) -> None:
        """The newest stage as a cube."""
        if path := self._ask("Export the result as a cube", ".h5", CUBE_SUFFIXES):
            self._parts.exports.export_cube(path)

    def ask_stage(self) -> None:
        """The chosen stage as a cube."""
        stage = self._parts.session.selection.stage
        if path := self._ask(f"Export stage {stage} as a cube", f"_stage{stage}.h5", CUBE_SUFFIXES):
            self._parts.exports.export_cube(path, stage=stage)

    def ask_spectra(self) -> None:
        """The curves at the pinned pixel."""
        is_profile = self._parts.session.kind.is_photograph
        heading, ending = ("Export line profile", "_profile.csv") if is_profile else ("Export spectra", "_spectra.csv")
        if path := self._ask(heading, ending, TABLE_SUFFIXES):
            self._parts.exports.export_spectra(path, side=self._parts.regions.side)

    def ask_regions(self) -> None:
        """What was measured in all points and regions."""
        suffixes = TABLE_SUFFIXES if self._parts.session.kind.is_photograph else REGION_SUFFIXES
        if path := self._ask("Export regions", "_regions.csv", suffixes):
            self._parts.regions.export(path)

    def ask_picture(self) -> None:
        """The chosen stage as a picture in its colours."""
        if path := self._ask("Export picture", f"_stage{self._parts.session.selection.stage}.png", PICTURE_SUFFIXES):
            self._parts.exports.export_picture(path)

    def _ask(self, heading: str, ending: str, suffixes: dict[str, str]) -> Path | None:
        session = self._parts.session
        name = f"{session.paths[0].stem}_{session.recipe.file_word}{ending}"
        return ask_save_file(self._window, heading, (folder_of(self._parts) or Path.home()) / name, suffixes)

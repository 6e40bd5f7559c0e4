"""What leaves the window by a dialog that asks for a file, with a name that says what it is, or by the clipboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from lorun_engine.errors import LorunError

from ..assembly import Parts
from ..document.decode_report import REPORT_SUFFIXES
from ..document.drawn import PICTURE_SUFFIXES, Drawn
from ..document.exports import CUBE_SUFFIXES, STAGES_SUFFIXES, TABLE_SUFFIXES
from ..document.regions import REGION_SUFFIXES
from ..problems import Problem
from .files import ask_picture_file, ask_save_file


def folder_of(parts: Parts) -> Path | None:
    """The folder in which somebody looks for files: that of what is open, or of the latest job."""
    session, recent = parts.session, parts.memory.settings.recent
    if session.paths and not session.is_sample:
        return session.paths[0].parent
    return Path(recent[0].paths[0]).parent if recent else None


class ExportDialogs(QObject):
    """Each verb asks for a file and has it written, or puts something on the clipboard; `drawn` gives what is shown."""

    copied = Signal(str)  # what is on the clipboard now, in a sentence

    def __init__(self, parts: Parts, window: QWidget, drawn: Callable[[], Drawn | None]) -> None:
        super().__init__(window)
        self._parts, self._window, self._drawn = parts, window, drawn

    def verbs(self) -> dict[str, Callable[[], None]]:
        """By the names of the actions."""
        return {
            "export": self.ask_cube,
            "export_stage": self.ask_stage,
            "export_stages": self.ask_stages,
            "export_spectra": self.ask_spectra,
            "export_regions": self.ask_regions,
            "export_picture": self.ask_picture,
            "export_report": self.ask_report,
            "copy_command": self.copy_command,
            "copy_script": self.copy_script,
            "copy_picture": self.copy_picture,
        }

    def ask_cube(self) -> None:
        """The newest stage as a cube."""
        if path := self._ask("Export the result as a cube", ".h5", CUBE_SUFFIXES):
            self._parts.exports.export_cube(path)

    def ask_stage(self) -> None:
        """The chosen stage as a cube."""
        stage, name = self._parts.session.selection.stage, self._parts.wording.step_name
        if path := self._ask(f"Export {name} {stage} as a cube", f"_{name}{stage}.h5", CUBE_SUFFIXES):
            self._parts.exports.export_cube(path, stage=stage)

    def ask_stages(self) -> None:
        """All stages in one file."""
        name = self._parts.wording.step_name
        if path := self._ask(f"Export all {name}s", f"_{name}s.h5", STAGES_SUFFIXES):
            self._parts.exports.export_stages(path)

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
        """What is shown, at full size."""
        session, drawn = self._parts.session, self._drawn()
        if drawn is None:
            return
        shown = {"colour": "", "band": f"_band{session.selection.band + 1}"}
        shown = shown.get(session.selection.mode, f"_{session.selection.mode}")
        suggested = self._suggested(f"_{self._parts.wording.step_name}{session.selection.stage}{shown}.png")
        if chosen := ask_picture_file(self._window, "Export picture", suggested, PICTURE_SUFFIXES):
            path, has_caption = chosen
            self._parts.exports.export_picture(path, drawn, has_caption=has_caption)

    def ask_report(self) -> None:
        """Everything about the decode on one page."""
        if path := self._ask("Export report", "_report.html", REPORT_SUFFIXES):
            self._parts.report.export(path)

    def copy_command(self) -> None:
        """The command that does this decode."""
        self._copy(self._parts.exports.command, "The command is on the clipboard")

    def copy_script(self) -> None:
        """The Python script that does this decode."""
        self._copy(self._parts.exports.script, "The script is on the clipboard")

    def copy_picture(self) -> None:
        """What is shown, at full size."""
        if (drawn := self._drawn()) is not None:
            QGuiApplication.clipboard().setImage(drawn.image)
            self.copied.emit(f"The picture is on the clipboard: {drawn.title}")

    def _copy(self, words: Callable[[], str | None], sentence: str) -> None:
        try:
            text = words()
        except LorunError as error:
            self._parts.lanes.problem_raised.emit(Problem(str(error)))
            return
        QGuiApplication.clipboard().setText(text or "")
        self.copied.emit(sentence)

    def _ask(self, heading: str, ending: str, suffixes: dict[str, str]) -> Path | None:
        return ask_save_file(self._window, heading, self._suggested(ending), suffixes)

    def _suggested(self, ending: str) -> Path:
        """A name that says of what and by which decoder."""
        session = self._parts.session
        name = f"{session.paths[0].stem}_{session.recipe.file_word}{ending}"
        return (self._parts.memory.settings.results_folder or folder_of(self._parts) or Path.home()) / name

"""Saving what is open to a session file, and asking where the files of one are that was opened."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from lorun_engine.io.session_files import SUFFIX

from ..assembly import Parts
from ..document.session_document import Loaded
from .exporting import folder_of
from .files import ask_for_folder, ask_save_file


class SessionDialogs(QObject):
    """Asks for the names of session files, and for files that a session misses."""

    def __init__(self, parts: Parts, window: QWidget) -> None:
        super().__init__(window)
        self._parts, self._window = parts, window
        parts.session_files.missing.connect(self._locate)

    def save(self) -> bool:
        """Saves to the file of the session, at first to one that is asked for; False where none was named."""
        path = self._parts.session_files.path
        if path is None:
            return self.save_as()
        self._parts.session_files.save(path)
        return True

    def save_as(self) -> bool:
        """Saves to a file that is asked for; False where none was named."""
        files, session = self._parts.session_files, self._parts.session
        suggested = files.path or (folder_of(self._parts) or Path.home()) / f"{session.paths[0].stem}{SUFFIX}"
        path = ask_save_file(self._window, "Save the session", suggested, {"LoRun session": SUFFIX})
        if path is not None:
            files.save(path)
        return path is not None

    def _locate(self, loaded: Loaded) -> None:
        if folder := ask_for_folder(self._window, loaded.job):
            self._parts.session_files.locate(loaded, folder)
        else:
            self._parts.session_files.give_up(loaded)

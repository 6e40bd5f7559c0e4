"""Saving what is open to a session file, and asking where the files of one are that was opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QWidget

from lorun_engine.io.session_files import SUFFIX

from ..assembly import Parts
from ..document.session_beside import SavedWindow
from ..document.session_document import Loaded
from ..viewers.side_tabs import SideTabs
from .exporting import folder_of
from .files import ask_for_folder, ask_save_file


class SessionDialogs(QObject):
    """Asks for the names of session files, and for files that a session misses; the window is as it was in one."""

    def __init__(
        self, parts: Parts, window: QWidget, *, cards: SideTabs, docks: Sequence[QDockWidget], undock: QAction
    ) -> None:
        super().__init__(window)
        self._parts, self._window = parts, window
        self._cards, self._docks, self._undock = cards, docks, undock
        parts.session_files.missing.connect(self._locate)
        parts.session_files.opened.connect(self._arrange)
        parts.beside.window = self._arrangement

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

    def _arrangement(self) -> SavedWindow:
        shown = tuple(dock.objectName() for dock in self._docks if not dock.isHidden())
        return SavedWindow(self._cards.title, shown, self._undock.isChecked())

    def _arrange(self, loaded: Loaded) -> None:
        """Shows the card and the docks that were shown; a session of before has nothing to say of them."""
        if (saved := loaded.document.window) is not None:
            self._cards.show_card(saved.card)
            for dock in self._docks:
                dock.setVisible(dock.objectName() in saved.docks)
            self._undock.setChecked(saved.is_undocked)

"""What is remembered between runs, as it is now; every change is written at once where there is a place for it.

Other windows write to the same place: a change is made of what lies there, and says nothing of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lorun_engine.io import OpenOptions

from .. import settings
from ..settings import RecentJob, Settings


class Memory(QObject):
    """The settings, with a verb for everything that changes them."""

    changed = Signal()

    def __init__(self, path: Path | None, parent: QObject | None = None) -> None:
        """With `path` None nothing is remembered on the disk."""
        super().__init__(parent)
        self._path = path
        self.settings = Settings() if path is None else settings.load(path)

    def options_of(self, folder: Path) -> OpenOptions:
        """The corrections that were made for the files of a folder."""
        return self.settings.folders.get(str(folder), OpenOptions())

    @property
    def is_lasting(self) -> bool:
        """Whether another run will know what this one remembers."""
        return self._path is not None

    def prefer(self, name: str, value: object) -> None:
        """Remembers a preference by the name of its field. A ValueError says what the field does not take."""
        self._take(lambda settings: settings.preferring(name, value))

    def remember_window(self, geometry: str, columns: str = "", docks: str = "") -> None:
        """Remembers where the window was and how large, and how columns and docks were, as Qt says it in hex."""
        self._take(lambda settings: replace(settings, window=geometry, columns=columns, docks=docks))

    def remember_job(self, job: RecentJob) -> None:
        """Puts a job in front of the recent ones."""
        self._take(lambda settings: settings.with_recent(job))

    def remember_folder(self, folder: Path, options: OpenOptions) -> None:
        """Remembers the corrections for the files of a folder."""
        self._take(lambda settings: settings.with_folder(folder, options))

    def relocate(self, job: RecentJob, folder: Path) -> RecentJob:
        """A recent job with its missing files looked for in `folder`, from now on in its place."""
        moved = job.relocated(folder)
        self._take(lambda settings: settings.without_recent(job).with_recent(moved))
        return moved

    def _take(self, change: Callable[[Settings], Settings]) -> None:
        if self._path is None:
            self.settings = change(self.settings)
        else:
            self.settings = settings.changed(self._path, change, self.settings)
        self.changed.emit()

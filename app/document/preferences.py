"""What somebody chooses once: every verb remembers its choice, and acts on the window that is open where it can."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lorun_engine.task import DEFAULT

from ..job import Job
from .decode_all import DecodeAll
from .desktop import Desktop, desktop_here
from .session import Session
from .shelf import Shelf


class Preferences(QObject):
    """The choices that a start begins with."""

    theme_chosen = Signal()
    desktop_told = Signal()

    def __init__(self, session: Session, shelf: Shelf, decode_all: DecodeAll) -> None:
        super().__init__(session)
        self.desktop: Desktop = desktop_here()
        self._session, self._memory, self._setup = session, session.memory, session.setup
        self._shelf, self._decode_all = shelf, decode_all
        settings = self._memory.settings
        self._setup.begin_with(device=settings.device, precision=settings.precision, threads=settings.threads)
        shelf.set_limit(settings.shelf_mib << 20)
        if settings.results_folder is not None:
            decode_all.write_to(settings.results_folder)

    def set_theme(self, choice: str) -> None:
        """Looks "light", "dark", or as the "system" does."""
        self._memory.prefer("theme", choice)
        self.theme_chosen.emit()

    def set_device(self, name: str) -> None:
        """Decodes on this device, now and from the next start."""
        self._memory.prefer("device", name)
        self._setup.set_device(name)

    def set_threads(self, num_threads: int | None) -> None:
        """Decodes with so many threads of the CPU; None takes as many as torch does."""
        self._memory.prefer("threads", num_threads)
        self._setup.set_threads(num_threads)

    def set_precision(self, name: str) -> None:
        """Runs networks in this precision, now and from the next start."""
        self._memory.prefer("precision", name)
        self._setup.set_precision(name)

    def set_results_folder(self, folder: Path | None) -> None:
        """Offers this folder for exports and for the results of a folder; None for that of the capture."""
        self._memory.prefer("results", "" if folder is None else str(folder))
        self._decode_all.write_to(self._memory.settings.results_folder)

    def set_shelf_mib(self, num_mib: int) -> None:
        """Keeps so many MiB of older results in memory; what is beyond goes to the disk."""
        self._memory.prefer("shelf_mib", num_mib)
        self._shelf.set_limit(num_mib << 20)

    def set_opens(self, what: str) -> None:
        """Opens "nothing", the "last" job or the "sample" at a start that names no files."""
        self._memory.prefer("opens", what)

    def open_sessions(self, is_on: bool) -> None:
        """Has a double click on a session file open this program, or takes that back; it is never done unasked."""
        lanes, desktop = self._session.lanes, self.desktop
        doing = "telling the desktop about session files"
        work = desktop.register if is_on else desktop.forget
        job = lanes.run_file(work, doing=doing, then=partial(self._told, is_on))
        job.failed.connect(lambda: lanes.refuse(job))
        job.failed.connect(self.desktop_told)

    def _told(self, is_on: bool, _: Job) -> None:
        opens = "opens" if is_on else "no longer opens"
        self._session.lanes.log(f"A double click on a .lorun file {opens} LoRun")
        self.desktop_told.emit()

    def open_first(self, files: Sequence[Path], *, sample: str | None) -> None:
        """Opens what a start was given: a built-in `sample`, which is decoded, or `files`; else what is preferred."""
        settings, session = self._memory.settings, self._session
        if sample is not None:
            session.open_sample(sample, decode=True)
        elif files:
            session.open(list(files))
        elif settings.opens == "sample":
            session.open_sample(DEFAULT)
        elif settings.opens == "last" and settings.recent and not settings.recent[0].missing:
            session.open_recent(settings.recent[0])

"""The session and everything that works on it, made in order and closed in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject

from .document.autosave import Autosave
from .document.checking import Checking
from .document.comparing import Comparing
from .document.corrections import Corrections
from .document.decode_all import DecodeAll
from .document.decode_report import DecodeReport
from .document.decoders import Decoders, LibraryDecoders
from .document.exports import Exports
from .document.folder import Folder
from .document.lanes import Lanes
from .document.looking import Looking
from .document.memory import Memory
from .document.preferences import Preferences
from .document.regions import Regions
from .document.relight import Relight
from .document.rivals import Rivals
from .document.ruler import BandRuler
from .document.session import Session
from .document.session_beside import Beside
from .document.session_files import SessionFiles
from .document.setup import Setup
from .document.shelf import Shelf
from .document.spectral_library import LibraryBeside
from .document.what_if import WhatIf
from .document.wording import Wording
from .document.workshop import Workshop
from .quantities import plural
from .training.planning import Planning
from .training.probing import Probing
from .training.training import Training


class Parts(QObject):
    """What the widgets are given. Each part knows those above it and listens to their signals."""

    def __init__(
        self,
        *,
        library: Sequence[Path] = (),
        settings_path: Path | None = None,
        state_folder: Path | None = None,
        decoders: Decoders | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`library` are the folders with adapter sets, or `decoders` stands in for them and for the engine's own.

        With `settings_path` None nothing is remembered on the disk, with `state_folder` None nothing is kept there for
        after a crash.
        """
        super().__init__(parent)
        self.lanes = Lanes(self)
        self.memory = Memory(settings_path, self)
        self.setup = Setup(decoders or LibraryDecoders(library), self.lanes, self)
        self.session = Session(self.lanes, self.memory, self.setup, self)
        self.wording = Wording(self.session)
        self.looking = Looking(self.session)
        self.corrections = Corrections(self.session)
        self.exports = Exports(self.session, library)
        self.regions = Regions(self.session, self.exports, self.corrections)
        self.ruler = BandRuler(self.looking, self.corrections)
        self.relight = Relight(self.session, self.corrections)
        self.checking = Checking(self.session)
        self.report = DecodeReport(self.session, self.exports, self.regions, self.checking)
        self.what_if = WhatIf(self.session, self.exports)
        self.shelf = Shelf(self.session)
        self.exports.images_written.connect(self.shelf.call_stages_safe)
        self.comparing = Comparing(self.session, self.shelf)
        self.spectral_library = LibraryBeside(self.session)
        self.folder = Folder(self.session)
        self.decode_all = DecodeAll(self.session, self.folder)
        self.beside = Beside(
            self.corrections,
            self.regions,
            self.ruler,
            self.relight,
            self.folder,
            self.decode_all,
            self.spectral_library,
        )
        self.session_files = SessionFiles(self.looking, self.regions, self.shelf, self.comparing, self.beside)
        kept = None if state_folder is None else state_folder / "autosave"
        self.autosave = Autosave(self.session_files, self.shelf, kept)
        self.workshop = Workshop(self.session, library)
        self.rivals = Rivals(self.looking, self.comparing, self.workshop)
        self.training = Training(self.session, library)
        self.training.kept.connect(self.workshop.refresh)
        self.probing = Probing(self.training)
        self.planning = Planning(self.session, self.probing)
        self.preferences = Preferences(self.session, self.shelf, self.decode_all)

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to do before the window can close."""
        return self.lanes.is_busy or self.training.has_child

    @property
    def decodes_to_shelf(self) -> bool:
        """Whether results are on their way that lie in no file."""
        return self.session.restoration.is_busy or self.comparing.is_running

    def tasks(self) -> list[str]:
        """What the user asked for that is being done or waits, in words; a training of another window goes on alone."""
        left, training = self.folder.num_left, self.training
        captures = [f"decoding {plural(left, 'capture')} of {self.folder.title}"] if left else []
        is_ours = training.has_child and not training.is_followed
        return [*self.lanes.titles(), *captures, *([f"training {training.run.title}"] if is_ours else [])]

    def go_on(self) -> None:
        """Ends every pause: what was asked for shall come to its end."""
        self.decode_all.go_on()
        self.training.go_on()

    def cancel_all(self) -> None:
        """Asks everything that runs or waits to stop."""
        self.session.cancel()
        self.decode_all.stop()
        self.lanes.cancel_all()
        self.probing.close()
        self.training.leave()

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """Stops everything and ends the workers; False if one was still busy after `timeout_s`."""
        self.probing.close()
        self.training.close()
        self.workshop.close()
        self.folder.close()
        has_ended = self.lanes.stop(timeout_s=timeout_s)
        self.autosave.close()
        self.session.forget_stages()
        self.shelf.clear()
        self.exports.close()
        self.what_if.close()  # nothing is left on the disk, whoever may still be writing
        return has_ended

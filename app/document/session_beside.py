"""What stands beside a measurement in a session: steps to take back, a folder, a spectral library, and the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from PySide6.QtCore import QObject

from lorun_engine.schema import Among, Entries, Number

from .captures import Capture
from .corrections import Corrections
from .decode_all import DecodeAll
from .exports import CUBE_SUFFIXES
from .folder import Folder
from .regions import Regions
from .relight import Relight
from .ruler import BandRuler
from .spectral_library import LibraryBeside
from .steps import SavedStep, Step

MOST_CAPTURES = 200_000
CARDS = ("Convergence", "Regions", "Library")  # below the curves


@dataclass(frozen=True)
class SavedFolder:
    """A folder that was listed, what became of its captures, and where their results go."""

    path: Path
    captures: Annotated[tuple[Capture, ...], Entries(0, MOST_CAPTURES)] = ()
    target: Path | None = None  # None for beside the captures
    suffix: Annotated[str, Among(tuple(CUBE_SUFFIXES.values()))] = next(iter(CUBE_SUFFIXES.values()))

    def moved(self, moved: Mapping[str, str]) -> SavedFolder:
        """The same where it lies elsewhere now."""
        places = {at: Path(moved.get(str(at), at)) for at in (self.path, self.target) if at is not None}
        captures = (
            replace(
                capture,
                path=places[self.path] / capture.path.name,
                result=None if (at := capture.result) is None else places.get(at.parent, at.parent) / at.name,
            )
            for capture in self.captures
        )
        target = None if self.target is None else places[self.target]
        return SavedFolder(places[self.path], tuple(captures), target, self.suffix)

    def without_gone(self, moved: Mapping[str, str]) -> SavedFolder:
        """Without results that are no longer there. For a worker thread: it looks for every one."""
        pairs = zip(self.captures, self.moved(moved).captures, strict=True)
        return replace(self, captures=tuple(Capture(was.path) if _is_gone(now) else was for was, now in pairs))


@dataclass(frozen=True)
class SavedLibrary:
    """A spectral library, and the number of the spectrum that is drawn beside the curves."""

    path: Path
    shown: Number | None = None


@dataclass(frozen=True)
class SavedWindow:
    """What the window shows around the pictures: the card below the curves, and docks by their names."""

    card: Annotated[str, Among(CARDS)] = CARDS[0]
    docks: tuple[str, ...] = ()
    is_undocked: bool = False  # the spectra have a window of their own


class Beside(QObject):
    """Says as values what stands beside the measurement, and brings it back; `window` is asked for the window's."""

    def __init__(
        self,
        corrections: Corrections,
        regions: Regions,
        ruler: BandRuler,
        relight: Relight,
        folder: Folder,
        decode_all: DecodeAll,
        library: LibraryBeside,
    ) -> None:
        super().__init__(corrections)
        self._corrections, self._regions, self._ruler, self._relight = corrections, regions, ruler, relight
        self._folder, self._decode_all, self._library = folder, decode_all, library
        self.window: Callable[[], SavedWindow | None] = lambda: None

    def saved(self) -> dict[str, Any]:
        """The fields of a document."""
        folder, library = self._folder, self._library
        saved_folder = saved_library = None
        if folder.path is not None:
            captures = tuple(_at_rest(capture) for capture in folder.captures)
            saved_folder = SavedFolder(folder.path, captures, self._decode_all.target, self._decode_all.suffix)
        if library.library is not None:
            saved_library = SavedLibrary(library.library.path, library.shown)
        return {
            "steps": self._corrections.saved,
            "num_done": self._corrections.num_done,
            "folder": saved_folder,
            "library": saved_library,
            "window": self.window(),
        }

    def restore_steps(self, saved: tuple[SavedStep, ...], num_done: int) -> None:
        """Brings the history back; what says nothing is left out."""
        steps = [self._step(value) for value in saved]
        known = [step for step in steps if step is not None]
        left_out = sum(step is None for step in steps[:num_done])
        self._corrections.take(known, num_done=num_done - left_out)

    def restore_folder(self, saved: SavedFolder | None) -> None:
        """Lists the folder again, of which nothing is decoded; one with captures to decode still stays instead."""
        folder, decode_all = self._folder, self._decode_all
        if saved is not None:
            folder.open(saved.path, known=[_at_rest(capture) for capture in saved.captures])
        elif not folder.num_left and not folder.is_watching:
            folder.close()
        if saved is not None and folder.path == saved.path:
            decode_all.write_to(saved.target)
            decode_all.write_as(saved.suffix)

    def restore_library(self, saved: SavedLibrary | None) -> None:
        """Reads the library again."""
        if saved is None:
            self._library.close()
        else:
            self._library.open(saved.path, shown=saved.shown)

    def _step(self, value: SavedStep) -> Step | None:
        if value.corrected is not None:
            return self._corrections.step(value.corrected)
        if value.placed is not None:
            return self._regions.step(value.placed)
        if value.relit is not None:
            return self._relight.step(value.relit)
        return None if value.ranged is None else self._ruler.step(value.ranged)


def _at_rest(capture: Capture) -> Capture:
    """Nothing is decoded in a session that is opened."""
    if not capture.is_asked and capture.state != "decoding":
        return capture
    return replace(capture, is_asked=False, state="waiting" if capture.state == "decoding" else capture.state)


def _is_gone(capture: Capture) -> bool:
    return capture.state in ("done", "earlier") and (capture.result is None or not capture.result.is_file())

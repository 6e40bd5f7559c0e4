"""Everything that is on the screen, saved to a file and opened again: the same pixels without a decode."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.io.session_files import SUFFIX, write_session

from ..job import Job
from ..problems import Problem
from ..settings import RecentJob
from .comparing import CHOSEN, Chosen, Comparing, Look, Side
from .looking import Looking
from .regions import Regions
from .selection import fitting
from .session_document import Loaded, SavedDocument, SavedLook, SavedSide, files_of, load, saved_result
from .shelf import Result, Shelf


@dataclass(frozen=True)
class Content:
    """What is to be written: the document with its arrays, and the results of the shelf that are in it."""

    document: SavedDocument
    arrays: Mapping[str, np.ndarray]
    results: tuple[Result, ...]
    num_left_out: int = 0  # results beyond the limit


class SessionFiles(QObject):
    """Saves what is open with all its results, and opens what was saved; `path` is the file of what is open."""

    announced = Signal(str)  # what is to be written or read, in words
    saved = Signal(str)  # the path
    missing = Signal(object)  # Loaded: files that it needs are not found; call `locate` or `give_up`
    opened = Signal(object)  # Loaded, once it is on the screen

    def __init__(self, looking: Looking, regions: Regions, shelf: Shelf, comparing: Comparing) -> None:
        super().__init__(looking)
        self._looking, self.session = looking, looking.session
        self._regions, self._shelf, self._comparing = regions, shelf, comparing
        self.path: Path | None = None
        self._coming: Loaded | None = None  # until its measurement is open
        self._taken: tuple[Loaded, tuple[Result, ...]] | None = None
        self.session.opens_otherwise = self._takes
        self.session.opened_changed.connect(self._go_on)

    # ---- saving --------------------------------------------------------------------------------------------------

    @property
    def can_save(self) -> bool:
        """Whether there is anything that another day could open: a simulation goes with the window."""
        session = self.session
        return bool(session.paths) and not session.simulated.intersection(session.paths[:1])

    def save(self, path: Path | str) -> None:
        """Writes a session file in a worker; its results are safe from then on."""
        if not self.can_save:
            return
        path, lanes = Path(path).absolute(), self.session.lanes
        content = self.content(path)
        work = partial(_write, path, content)
        then = partial(self._written, path, content.results)
        job = lanes.run_file(work, doing=f"saving {path.name}", then=then, is_asked_for=True)
        job.failed.connect(lambda: lanes.refuse(job))
        job.failed.connect(lambda: self.announced.emit(""))
        self.announced.emit(lanes.announcement(job))

    def content(self, target: Path | None, *, limit_bytes: int | None = None) -> Content:
        """What there is to save, for a session file at `target`; None for one that stays on this computer.

        Of results beyond the limit the newest are taken.
        """
        session, shelf, setup = self.session, self._shelf, self.session.setup
        every = {result: kept for result in shelf.all if (kept := shelf.of(result)) is not None}
        lasting = [r for r, kept in every.items() if not session.simulated.intersection(kept.recipe.paths[:1])]
        results = tuple(lasting if limit_bytes is None else self._within(lasting, limit_bytes))
        arrays: dict[str, np.ndarray] = {}
        names: dict[int, str] = {}
        following = None
        if setup.choice is not None and setup.num_stages:
            following = setup.recipe(setup.choice, session.paths, session.options)
        paths = dict.fromkeys([*session.paths, *(path for result in results for path in every[result].recipe.paths)])
        document = SavedDocument(
            session.paths,
            session.options,
            files_of(paths, target),
            tuple(
                saved_result(
                    every[result],
                    result.number,
                    is_safe=target is not None or shelf.is_safe(result),
                    names=names,
                    arrays=arrays,
                )
                for result in results
            ),
            results.index(shelf.shown) if shelf.shown in results else None,
            following,
            session.selection,
            self._regions.all,
            self._regions.chosen_number,
            self._regions.side,
            self._saved_look(results),
            session.keeps_denoiser_input,
            time.time(),
        )
        return Content(document, arrays, results, len(lasting) - len(results))

    def _within(self, results: Sequence[Result], limit_bytes: int) -> list[Result]:
        """The newest results that take no more than so many bytes together."""
        kept: list[Result] = []
        for result in reversed(results):
            stored = self._shelf.of(result)
            limit_bytes -= 0 if stored is None else stored.stages.num_bytes + stored.stages.num_disk_bytes
            if limit_bytes < 0:
                break
            kept.insert(0, result)
        return kept

    def _saved_look(self, results: Sequence[Result]) -> SavedLook:
        look = self._comparing.look

        def side(of: Side | None) -> SavedSide | None:
            if isinstance(of, Chosen):
                return SavedSide()
            if isinstance(of, Result):
                return SavedSide(result=results.index(of)) if of in results else None
            return None if of is None else SavedSide(pane=of)

        return SavedLook(side(look.left), side(look.right), look.way, look.divider, look.shows_angle)

    def _written(self, path: Path, results: Sequence[Result], _: Job) -> None:
        self.path = path
        self._shelf.call_safe(results)
        self.session.memory.remember_job(RecentJob((str(path),)))
        self.session.lanes.log(f"Saved {path}")
        self.saved.emit(str(path))

    # ---- opening -------------------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Reads a session; what is on the screen stays until all of it was understood."""
        lanes = self.session.lanes
        job = lanes.run_open(partial(load, path), doing=f"opening {path.name}", then=self._loaded)
        job.failed.connect(lambda: lanes.refuse(job))
        for ended in (job.failed, job.cancelled):
            ended.connect(lambda: self.announced.emit(""))
        self.announced.emit(lanes.announcement(job))

    def locate(self, loaded: Loaded, folder: Path) -> None:
        """Looks in a folder for the files that were not found, and opens the session if they are all there."""
        loaded = loaded.relocated(folder)
        if missing := loaded.job.missing:
            names = ", ".join(Path(path).name for path in missing)
            self._tell(f"{folder} does not hold {names}. Choose the folder it was moved to.")
            self.give_up(loaded)
        else:
            self._open(loaded)

    def give_up(self, loaded: Loaded) -> None:
        """Opens nothing."""
        loaded.close()

    def _takes(self, paths: Sequence[Path]) -> bool:
        """Whether files are for this part, which opens them then."""
        sessions = [path for path in paths if path.suffix.lower() == SUFFIX]
        if sessions and len(paths) > 1:
            self._tell(f"{sessions[0].name} is a session, which is opened alone. Open the other files afterwards.")
        elif sessions:
            self.open(sessions[0])
        return bool(sessions)

    def _tell(self, sentence: str) -> None:
        self.session.lanes.problem_raised.emit(Problem(sentence))

    def _loaded(self, job: Job) -> None:
        self.announced.emit("")
        loaded: Loaded = job.result
        if loaded.job.missing:
            self.missing.emit(loaded)
        else:
            self._open(loaded)

    def _open(self, loaded: Loaded) -> None:
        if self._coming is not None:
            self._coming.close()
        self._coming = loaded
        self.session.open_recent(loaded.job, before=lambda: self._take(loaded))

    def _take(self, loaded: Loaded) -> None:
        """Its measurement was understood: its results go on the shelf before that is on the screen."""
        if loaded is not self._coming:
            return
        self._coming = None
        every = [replace(kept, recipe=loaded.recipe(kept.recipe)) for kept in loaded.results]
        results = self._shelf.take(every, shown=loaded.document.shown)
        safe = (result.is_safe for result in loaded.document.results)
        self._shelf.call_safe(result for result, is_safe in zip(results, safe, strict=True) if is_safe)
        self._taken = loaded, results

    def _go_on(self) -> None:
        """The measurement is on the screen; then so is what was looked at."""
        if self.session.is_opening:
            return
        if self._coming is not None:  # it could not be opened
            self._coming.close()
            self._coming = None
        if self._taken is None:
            return
        (loaded, results), self._taken = self._taken, None
        self.path = loaded.path if loaded.path.suffix.lower() == SUFFIX else None
        if self.path is not None:
            self.session.memory.remember_job(RecentJob((str(self.path),)))
        self._look_again(loaded, results)
        if loaded.document.shown is not None and self._shelf.shown is None:
            names = self.session.name
            self._tell(f"{names} has changed since the session was saved: what was decoded of it is not shown with it.")
        self.opened.emit(loaded)

    def _look_again(self, loaded: Loaded, results: Sequence[Result]) -> None:
        session, document = self.session, loaded.document
        if document.following is not None:
            session.setup.take(document.following)
        session.keeps_denoiser_input = document.keeps_denoiser_input
        if session.measurement is None:
            return
        self._regions.set_side(document.side)
        self._regions.show(document.regions, chosen=document.chosen_region)
        self._compare_again(document.look, results)
        _, height, width = session.measurement.physics.scene_shape
        session.select(
            fitting(
                document.selection,
                session.selection,
                num_bands=session.num_bands,
                size=(height, width),
                has_pane=session.has_pane,
            )
        )

    def _compare_again(self, look: SavedLook, results: Sequence[Result]) -> None:
        def side(saved: SavedSide | None) -> Side | None:
            if saved is None:
                return None
            if saved.result is not None:
                return results[saved.result] if saved.result < len(results) else None
            return CHOSEN if saved.pane is None else saved.pane

        again = Look(side(look.left), side(look.right), "split", look.divider, shows_angle=look.shows_angle)
        self._comparing.look_again(again, look.way)


def _write(path: Path, content: Content) -> None:
    """In the worker."""
    write_session(path, asdict(content.document), content.arrays)

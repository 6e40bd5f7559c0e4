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
from .opening import shared_scales_of
from .regions import Regions
from .relight import is_relit
from .selection import fitting
from .session_beside import Beside
from .session_document import Loaded, SavedDocument, SavedLook, SavedSide, load, saved_result
from .shelf import Kept, Result, Shelf
from .stage_store import StageStore


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

    def __init__(self, looking: Looking, regions: Regions, shelf: Shelf, comparing: Comparing, beside: Beside) -> None:
        super().__init__(looking)
        self._looking, self.session = looking, looking.session
        self._regions, self._shelf, self._comparing, self._beside = regions, shelf, comparing, beside
        self.path: Path | None = None
        self._coming: Loaded | None = None  # until its measurement is open
        self._taken: tuple[Loaded, tuple[Result | None, ...]] | None = None
        self._loose_stages: StageStore | None = None  # that were saved without being on the shelf
        self._loose_number = 0
        self.session.opens_otherwise = self._takes
        self.session.opened_changed.connect(self._go_on)

    # ---- saving --------------------------------------------------------------------------------------------------

    @property
    def can_save(self) -> bool:
        """Whether there is anything that another day could open: a simulation goes with the window."""
        return bool(self.session.paths) and not self._is_simulated

    @property
    def _is_simulated(self) -> bool:
        return bool(self.session.simulated.intersection(self.session.paths[:1]))

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
        shown_last: list[tuple[str, Result | None, Kept]]
        shown_last = [(f"results/{result.number}", result, every[result]) for result in results]
        shown = results.index(shelf.shown) if shelf.shown in results else None
        if (loose := self._loose()) is not None:
            shown = len(shown_last)
            shown_last.append((f"loose/{self._loose_number}", None, loose))
        following = None
        if setup.choice is not None and setup.num_stages:
            following = setup.recipe(setup.choice, session.paths, session.options)
        document = SavedDocument(
            session.paths,
            session.options,
            {},
            tuple(
                saved_result(
                    kept,
                    place,
                    is_safe=target is not None or (result is not None and shelf.is_safe(result)),
                    is_loose=result is None,
                    names=names,
                    arrays=arrays,
                )
                for place, result, kept in shown_last
            ),
            shown,
            following,
            session.selection,
            self._regions.all,
            self._regions.chosen_number,
            self._regions.side,
            self._saved_look(results),
            session.keeps_denoiser_input,
            time.time(),
            session.kept,
            shared_scales_of(session.role_table),
            **self._beside.saved(),
            is_bare=not len(session.stages) and not session.restoration.is_busy,
        ).with_files(target)
        return Content(document, arrays, results, len(lasting) - len(results))

    def _loose(self) -> Kept | None:
        """What is shown and does not lie on the shelf, such as a result that was taken from it; it has a number too."""
        session = self.session
        table, measurement, recipe = session.role_table, session.measurement, session.recipe
        if not len(session.stages) or session.stages.is_kept or session.restoration.is_busy or self._is_simulated:
            return None
        if table is None or measurement is None or recipe is None:
            return None
        if session.stages is not self._loose_stages:
            self._loose_stages, self._loose_number = session.stages, self._loose_number + 1
        size = tuple(measurement.physics.scene_shape)
        return Kept(session.stages, recipe, session.restoration, table.arrays, size)

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

        left, right, ticked = side(look.left), side(look.right), self._comparing.ticked
        flags = look.shows_angle, look.shows_right, look.blinks, look.has_lens
        return SavedLook(left, right, self._comparing.wanted_way, look.divider, *flags, ticked)

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
        self.session.open_recent(
            loaded.job,
            before=lambda: self._take(loaded),
            kept=loaded.kept,
            scales=loaded.document.full_scales,
        )

    def _take(self, loaded: Loaded) -> None:
        """Its measurement was understood: its results go on the shelf before that is on the screen."""
        if loaded is not self._coming:
            return
        self._coming = None
        saved, shown = loaded.document.results, loaded.document.shown
        numbers = [number for number, result in enumerate(saved) if not result.is_loose]
        every = [replace(loaded.results[n], recipe=loaded.recipe(loaded.results[n].recipe)) for n in numbers]
        is_bare = loaded.document.is_bare or (shown is not None and saved[shown].is_loose)
        shown = numbers.index(shown) if shown in numbers else None
        taken = self._shelf.take(every, shown=shown, is_bare=is_bare)
        self._shelf.call_safe(result for n, result in zip(numbers, taken, strict=True) if saved[n].is_safe)
        by_number = dict(zip(numbers, taken, strict=True))
        self._taken = loaded, tuple(by_number.get(number) for number in range(len(saved)))

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
        self._show_loose(loaded)
        self._look_again(loaded, results)
        if loaded.document.shown is not None and not len(self.session.stages):
            names = self.session.name
            self._tell(f"{names} has changed since the session was saved: what was decoded of it is not shown with it.")
        self.opened.emit(loaded)

    def _show_loose(self, loaded: Loaded) -> None:
        """Shows again what was shown without lying on the shelf."""
        shown = loaded.document.shown
        if shown is not None and loaded.document.results[shown].is_loose:
            kept = loaded.results[shown]
            self._shelf.show_loose(replace(kept, recipe=loaded.recipe(kept.recipe)))
        for saved, kept in zip(loaded.document.results, loaded.results, strict=True):
            if saved.is_loose and kept.stages is not self.session.stages:
                kept.stages.close()

    def _look_again(self, loaded: Loaded, results: Sequence[Result | None]) -> None:
        session, document = self.session, loaded.document
        if document.following is not None:
            session.setup.take(document.following)
        session.keeps_denoiser_input = document.keeps_denoiser_input
        self._beside.restore_steps(loaded.steps, document.num_done)
        self._beside.restore_folder(loaded.folder)
        self._beside.restore_library(loaded.library)
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
                has_light=is_relit(session),
            )
        )

    def _compare_again(self, look: SavedLook, results: Sequence[Result | None]) -> None:
        def side(saved: SavedSide | None) -> Side | None:
            if saved is None:
                return None
            if saved.result is not None:
                return results[saved.result] if saved.result < len(results) else None
            return CHOSEN if saved.pane is None else saved.pane

        flags = look.shows_right, look.blinks, look.shows_angle, look.has_lens
        again = Look(side(look.left), side(look.right), "split", look.divider, *flags)
        self._comparing.look_again(again, look.way, ticked=look.ticked)


def _write(path: Path, content: Content) -> None:
    """In the worker."""
    write_session(path, asdict(content.document), content.arrays)

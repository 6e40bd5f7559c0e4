"""The shelf of results: every decode stays, to be shown again, compared or done again, until it is taken away.

A result keeps all its stages. The newest stay in memory; older ones go to the disk, and the oldest are given up where
that has no room for more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from ..quantities import plural
from ..settings import SHELF_MIB, RecentJob
from .opening import is_built_in
from .recipe import Recipe, Restoration
from .relight import relit_stage
from .session import Session
from .stage_store import StageStore

if TYPE_CHECKING:
    from lorun_engine.decoding.restore import StageResult

LIMIT_BYTES = SHELF_MIB[1] << 20  # of results in memory, but for the one that is shown
LIMIT_DISK_BYTES = 16 << 30


@dataclass(frozen=True)
class Result:
    """A decode that has ended, by its number; numbers are not used twice."""

    title: str  # as "gap-tv · 60 iterations"
    number: int


@dataclass(frozen=True)
class Kept:
    """What is known of a result; `seen` are the arrays that it was decoded from, by role."""

    stages: StageStore
    recipe: Recipe
    restoration: Restoration
    seen: Mapping[str, np.ndarray]
    scene_shape: tuple[int, ...]

    @property
    def newest(self) -> int:
        """The index of its last stage."""
        return len(self.stages) - 1


class Shelf(QObject):
    """The results, the oldest first; those of what is open can be shown and compared."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.limit_bytes, self.limit_disk_bytes = LIMIT_BYTES, LIMIT_DISK_BYTES
        self._kept: dict[Result, Kept] = {}
        self._rows: dict[Result, StageResult] = {}  # small: those of dropped results may still be on the screen
        self._safe: set[Result] = set()  # that lie in a file of the user
        self._count = 0
        self._loose: StageStore | None = None  # shown, and not to lie on the shelf (again)
        self._is_bare = False  # a session that is being opened showed no stages
        self._wanted: Result | None = None  # to be shown once its capture is open again
        session.restoration_changed.connect(self._keep_decoded)
        session.opened_changed.connect(self._follow_document)
        session.taken_back.connect(self.changed)

    # ---- what there is -------------------------------------------------------------------------------------------

    @property
    def all(self) -> tuple[Result, ...]:
        """Every result, also of captures that are not open, the oldest first."""
        return tuple(self._kept)

    @property
    def comparable(self) -> tuple[Result, ...]:
        """The results of the capture that is open, however it was understood, that show a scene of the same size."""
        if self._session.measurement is None:
            return ()
        return tuple(result for result in self._kept if not self.why_not(result))

    def why_not(self, result: Result) -> str:
        """Why a result cannot be compared with those of what is open, in a sentence; nothing where it can."""
        session, kept = self._session, self._kept[result]
        if session.measurement is None:
            return "Nothing is open that it could be compared with."
        if kept.recipe.paths[:1] != session.paths[:1]:
            return (
                f"{result.title} cannot be compared with what is open: it is of {kept.recipe.paths[0].name}, another "
                "capture. A click on it in the shelf opens that."
            )
        now = tuple(session.measurement.physics.scene_shape)
        if kept.scene_shape == now:
            return ""
        was, is_ = _size_words(kept.scene_shape), _size_words(now)
        return (
            f"{result.title} cannot be compared with what is open: it has {was}, and the crop or geometry of now gives "
            f"{is_}. Decode again."
        )

    @property
    def shown(self) -> Result | None:
        """The result whose stages are shown; None where they are of none that has ended."""
        stages = self._session.stages
        return next((result for result, kept in self._kept.items() if kept.stages is stages), None)

    def of(self, result: Result) -> Kept | None:
        """What is known of a result; None once it was dropped."""
        return self._kept.get(result)

    def image(self, result: Result) -> np.ndarray | None:
        """(C, H, W) of its last stage as it is shown, read-only; None once it was dropped."""
        kept = self._kept.get(result)
        return None if kept is None else relit_stage(kept.stages, kept.newest, self._session.selection.relight)

    def row(self, result: Result) -> StageResult:
        """The figures of its last stage; its seconds are those of the whole decode."""
        return self._rows[result]

    def made_with(self, recipe: Recipe) -> Result | None:
        """The result of the same decode of what is open, if it was done already."""
        found = (result for result, kept in self._kept.items() if kept.recipe == recipe and self._is_of_open(kept))
        return next((result for result in found if self._kept[result].restoration.state == "done"), None)

    @property
    def other_settings(self) -> str:
        """What the stages that are shown were made with, in words, where the next decode would take other settings."""
        session, shown = self._session, self._session.recipe
        choice = session.setup.choice
        if shown is None or choice is None or session.restoration.is_busy:
            return ""
        wanted = session.setup.recipe(choice, shown.paths, shown.options)
        if replace(wanted, device=shown.device, threads=shown.threads) == shown:
            return ""
        precision = "" if shown.precision in (None, wanted.precision) else f" in {shown.precision}"
        return f"{shown.title}, {shown.length}{precision}"

    @property
    def num_on_disk(self) -> int:
        """How many results lie on the disk."""
        return sum(kept.stages.is_spilled for kept in self._kept.values())

    def is_safe(self, result: Result) -> bool:
        """Whether a result lies in a file of the user."""
        return result in self._safe

    @property
    def unsaved(self) -> tuple[Result, ...]:
        """The results that would be lost with the window; those of samples and simulations are made again at will."""
        simulated = self._session.simulated
        return tuple(
            result
            for result, kept in self._kept.items()
            if result not in self._safe
            and not is_built_in(kept.recipe.paths)
            and not simulated.intersection(kept.recipe.paths[:1])
        )

    def call_safe(self, results: Iterable[Result]) -> None:
        """Says that these results lie in a file of the user."""
        self._safe.update(result for result in results if result in self._kept)

    def call_stages_safe(self, stages: StageStore) -> None:
        """Says that the result with these stages lies in a file of the user."""
        self.call_safe(result for result, kept in self._kept.items() if kept.stages is stages)

    # ---- verbs ---------------------------------------------------------------------------------------------------

    def add(self, stages: StageStore, recipe: Recipe, restoration: Restoration) -> Result:
        """Keeps the stages of a decode that has ended, in place of those of the same decode."""
        session, measurement = self._session, self._session.measurement
        if session.role_table is None or measurement is None:
            raise ValueError("nothing is open that could have been decoded")
        kept = Kept(stages, recipe, restoration, session.role_table.arrays, tuple(measurement.physics.scene_shape))
        self._give_way([kept])
        result = self._keep(kept)
        self._make_room()
        self.changed.emit()
        return result

    def take(self, every: Sequence[Kept], *, shown: int | None, is_bare: bool) -> tuple[Result, ...]:
        """Keeps results of another window, each in place of the same one; that of index `shown` is to be shown.

        Where `is_bare` no stages are to be shown, although there may be some.
        """
        self._give_way(every)
        results = [self._keep(kept) for kept in every]
        self._wanted, self._is_bare = (None if shown is None else results[shown]), is_bare
        self._make_room()
        self.changed.emit()
        return tuple(results)

    def show(self, result: Result) -> None:
        """Shows the stages of a result again; of another capture its files are opened first."""
        kept, session = self._kept.get(result), self._session
        if kept is None or session.restoration.is_busy or kept.stages is session.stages:
            return
        if self._is_of_open(kept):
            session.show(kept.stages, kept.recipe, kept.restoration)
            self.changed.emit()
        else:
            self._wanted = result
            recipe = kept.recipe
            session.open_recent(
                RecentJob(tuple(map(str, recipe.paths)), recipe.options, recipe.decoder, recipe.num_stages)
            )

    def show_loose(self, kept: Kept) -> None:
        """Shows stages that do not lie on the shelf, where they are of what is open."""
        if self._is_of_open(kept):
            self._loose = kept.stages
            self._session.show(kept.stages, kept.recipe, kept.restoration)
            self.changed.emit()

    def use_settings(self, result: Result) -> None:
        """Takes the decoder, stages, strength and the rest of a result for the next decode."""
        kept = self._kept.get(result)
        if kept is not None:
            self._session.setup.take(kept.recipe)

    def drop(self, result: Result) -> None:
        """Takes a result away; its stages stay as long as they are shown."""
        if result in self._kept:
            self._loose = self._kept[result].stages
            self._give_back(result)
            self.changed.emit()

    def set_limit(self, num_bytes: int) -> None:
        """Keeps so many bytes of older results in memory from now on; what is beyond goes to the disk."""
        self.limit_bytes = num_bytes
        self._make_room()

    def clear(self) -> None:
        """Gives everything back."""
        for result in self.all:
            self._give_back(result)

    # ---- what the session does -----------------------------------------------------------------------------------

    def _keep_decoded(self) -> None:
        """A decode that has ended stays, also one that was cancelled after its first stage."""
        session, recipe = self._session, self._session.recipe
        if session.stages is self._loose:
            return
        has_ended = session.restoration.state in ("done", "cancelled", "failed")
        if has_ended and recipe is not None and not session.stages.is_kept and len(session.stages) > 1:
            self.add(session.stages, recipe, session.restoration)

    def _follow_document(self) -> None:
        """What was decoded of just this before is shown again."""
        session = self._session
        if session.measurement is None or session.is_opening:
            if session.measurement is None or session.problem is not None:
                self._wanted, self._is_bare = None, False
            return
        self._drop_left_simulations()
        if len(session.stages) or session.restoration.is_busy:
            self.changed.emit()
            return
        wanted, is_bare, self._wanted, self._is_bare = self._wanted, self._is_bare, None, False
        known = [result for result, kept in self._kept.items() if self._is_of_open(kept)]
        result = wanted if wanted in known else next(reversed(known), None)
        if result is not None and not is_bare:
            kept = self._kept[result]
            session.show(kept.stages, kept.recipe, kept.restoration)
        self.changed.emit()

    def _is_of_open(self, kept: Kept) -> bool:
        """Whether a result is of what is open as it is understood now; files may have changed on the disk."""
        session = self._session
        if kept.recipe.paths != session.paths or kept.recipe.options != session.options or session.role_table is None:
            return False
        return _are_same(session.role_table.arrays, kept.seen)

    def _keep(self, kept: Kept) -> Result:
        kept.stages.is_kept = True
        self._count += 1
        result = Result(self._title(kept.recipe, kept.newest), self._count)
        self._kept[result] = kept
        self._rows[result] = replace(kept.stages.row(kept.newest), seconds=kept.restoration.seconds)
        return result

    def _drop_left_simulations(self) -> None:
        """A simulation goes with its file; nothing else can show its results again."""
        session = self._session
        for result, kept in tuple(self._kept.items()):
            if session.simulated.intersection(kept.recipe.paths[:1]) and kept.recipe.paths[:1] != session.paths[:1]:
                self._give_back(result)

    # ---- room ----------------------------------------------------------------------------------------------------

    def _title(self, recipe: Recipe, num_stages: int) -> str:
        """As "gap-tv · 60 iterations", with a number behind it where that is taken already."""
        title = f"{recipe.title} · {plural(num_stages, recipe.step_name)}"
        taken = {result.title for result in self._kept}
        return next(name for name in (title, *(f"{title} ({n})" for n in range(2, 10_000))) if name not in taken)

    def _give_way(self, every: Sequence[Kept]) -> None:
        """Takes away what was made in the same way of the same arrays as one of those that come."""
        for kept in every:
            for other, old in tuple(self._kept.items()):
                if old.recipe == kept.recipe and _are_same(old.seen, kept.seen):
                    self._give_back(other)

    def _give_back(self, result: Result) -> None:
        kept = self._kept.pop(result)
        self._safe.discard(result)
        kept.stages.is_kept = False
        if kept.stages is not self._session.stages:
            kept.stages.close()

    def _make_room(self) -> None:
        """Moves older results to the disk, and gives up the oldest where they would take too much of that."""
        others = [kept.stages for kept in self._kept.values() if kept.stages is not self._session.stages]
        disk = sum(store.num_disk_bytes for store in others)
        for result in self.all:
            if disk <= self.limit_disk_bytes:
                break
            if self._kept[result].stages in others:
                disk -= self._kept[result].stages.num_disk_bytes
                self._session.lanes.log(f"{result.title} was taken from the shelf: the disk shall not fill up")
                self._give_back(result)
        in_memory, old = 0, []
        for store in reversed(others):
            in_memory += store.num_bytes
            if in_memory > self.limit_bytes and store.num_bytes:
                old.append(store)
        if old:
            self._session.lanes.run_file(
                partial(_move_to_disk, old),
                doing="moving older results to the disk",
                then=lambda _: self.changed.emit(),
            )


def _size_words(shape: tuple[int, ...]) -> str:
    """Of (C, H, W): as "256 × 256 pixels in 28 bands", the width first."""
    num_bands, height, width = shape
    return f"{width} × {height} pixels in {plural(num_bands, 'band')}"


def _are_same(arrays: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]) -> bool:
    """Whether both hold the same arrays in the same roles."""
    return arrays.keys() == others.keys() and all(
        array is others[role] or np.array_equal(array, others[role], equal_nan=True) for role, array in arrays.items()
    )


def _move_to_disk(stores: Sequence[StageStore]) -> None:
    """In the worker. A disk without room leaves the rest in memory, and says so."""
    for store in stores:
        store.move_to_disk()

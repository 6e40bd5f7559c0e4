"""What a session file says, as values: everything that is open, what was decoded of it and what is looked at.

The document is checked by the annotations below before anything of it is used. Arrays lie beside it, see
`lorun_engine.io.session_files`; measurements stay in their own files, which are looked for where they were seen from
the session file, and then where they were.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Annotated, Any

import numpy as np

from lorun_engine.errors import FileError
from lorun_engine.io import OpenOptions
from lorun_engine.io.session_files import SavedSession
from lorun_engine.schema import Among, Between, Entries, Number, Positive, Seconds, Share, Size, read

from ..resources import resource_path
from ..settings import RecentJob
from .comparing import Way
from .opening import Kept as KeptBeside
from .opening import is_built_in
from .recipe import Recipe, Restoration
from .region import Region
from .selection import Selection
from .session_beside import SavedFolder, SavedLibrary, SavedWindow
from .shelf import Kept
from .stage_store import StageStore
from .steps import MOST_STEPS, SavedStep

SIDES = (1, 3, 5, 7, 9)  # of the squares whose mean stands for a point


@dataclass(frozen=True)
class SavedFile:
    """A file that was opened: where it lies, seen from the session file, or the name of a built-in sample."""

    relative: str = ""
    sample: str = ""


@dataclass(frozen=True)
class SavedStage:
    """A stage with the names of its arrays."""

    image: str
    residual: float
    seconds: float
    input_scale: float
    parameters: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    denoiser_input: str | None = None
    method: str = ""
    light: str | None = None
    executed: tuple[str, str] | None = None


@dataclass(frozen=True)
class SavedResult:
    """A result of the shelf; `seen` names the arrays that it was decoded from, by role."""

    recipe: Recipe
    restoration: Restoration
    scene_shape: tuple[Size, Size, Size]
    seen: Mapping[str, str]
    stages: Annotated[tuple[SavedStage, ...], Entries(1, 100_001)]
    hashes: Mapping[str, str] = field(default_factory=dict)  # what is known of its decoder
    citation: str = ""
    notes: tuple[str, ...] = ()
    is_safe: bool = False  # in a file of the user
    is_loose: bool = False  # shown, but not on the shelf


@dataclass(frozen=True)
class SavedSide:
    """A side of the comparison: a pane, a result by its place on the shelf, or the chosen stage."""

    pane: Annotated[int, Between(-2, 100_000)] | None = None
    result: Number | None = None


@dataclass(frozen=True)
class SavedLook:
    """How two sides were compared, and which decoders were ticked; None for all of them."""

    left: SavedSide | None = None
    right: SavedSide | None = None
    way: Way = "split"
    divider: Share = 0.5
    shows_angle: bool = False
    shows_right: bool = False
    blinks: bool = False
    has_lens: bool = False
    ticked: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SavedDocument:
    """All of a session; `files` are those that it speaks of, by where they were when it was saved.

    `kept` goes with the measurement without having been said with it, and `full_scales` are those that it shared with
    the other files of a folder, by the type of number. Of the `steps` the first `num_done` can be taken back.
    """

    paths: Annotated[tuple[Path, ...], Entries(1, 1000)]
    options: OpenOptions
    files: Mapping[str, SavedFile]
    results: tuple[SavedResult, ...] = ()
    shown: Number | None = None  # the place of a result
    following: Recipe | None = None  # the next decode
    selection: Selection = Selection()
    regions: tuple[Region, ...] = ()
    chosen_region: Number | None = None
    side: Annotated[int, Among(SIDES)] = 1
    look: SavedLook = SavedLook()
    keeps_denoiser_input: bool = False
    saved_at: Seconds = 0.0  # since 1970
    kept: KeptBeside = KeptBeside()
    full_scales: Mapping[str, Positive] = field(default_factory=dict)
    steps: Annotated[tuple[SavedStep, ...], Entries(0, MOST_STEPS)] = ()
    num_done: Number = 0
    folder: SavedFolder | None = None
    library: SavedLibrary | None = None
    window: SavedWindow | None = None
    is_bare: bool = False  # no stages were shown

    @property
    def places(self) -> tuple[str, ...]:
        """The files and folders that it speaks of, as they are written there."""
        every = [self.options, *(result.recipe.options for result in self.results)]
        every += [self.following.options] if self.following is not None else []
        for step in self.steps:
            every += [step.corrected.before, step.corrected.after] if step.corrected is not None else []
        named: list[Path | str | None] = [*self.paths, *(p for result in self.results for p in result.recipe.paths)]
        named += [path for options in every for path in options.files]
        named += [self.folder.path, self.folder.target] if self.folder is not None else []
        named += [self.library.path] if self.library is not None else []
        return tuple(dict.fromkeys(str(path) for path in named if path is not None))

    def with_files(self, target: Path | None) -> SavedDocument:
        """The same with where its files lie, seen from a session file that will be `target`.

        Without one they are known by their paths.
        """
        return replace(self, files={place: _saved_file(Path(place), target) for place in self.places})


def _saved_file(path: Path, target: Path | None) -> SavedFile:
    if is_built_in([path]):
        return SavedFile(sample=path.name)
    try:
        return SavedFile("" if target is None else Path(os.path.relpath(path, target.absolute().parent)).as_posix())
    except ValueError:  # on another drive
        return SavedFile()


def saved_result(
    kept: Kept, place: str, *, is_safe: bool, is_loose: bool, names: dict[int, str], arrays: dict[str, np.ndarray]
) -> SavedResult:
    """A result as the document has it, its arrays at a `place` of theirs.

    `arrays` gets those of its own, `names` knows those that others have too.
    """
    stages = kept.stages
    seen = {}
    for role, array in kept.seen.items():
        seen[role] = names.setdefault(id(array), f"{place}/{role}.npy")
        arrays[seen[role]] = array
    rows = []
    for row in stages.rows():
        image, before = f"{place}/stage_{row.index}.npy", stages.denoiser_input(row.index)
        arrays[image] = stages.image(row.index)
        name = None if before is None else f"{place}/input_{row.index}.npy"
        if name is not None and before is not None:
            arrays[name] = before
        light, lit = stages.light(row.index), None
        if light is not None:
            lit = f"{place}/light_{row.index}.npy"
            arrays[lit] = light
        figures = {key: {k: float(v) for k, v in getattr(row, key).items()} for key in ("parameters", "metrics")}
        rows.append(
            SavedStage(
                image,
                row.residual,
                row.seconds,
                row.input_scale,
                **figures,
                denoiser_input=name,
                method=row.method,
                light=lit,
                executed=row.executed,
            )
        )
    made_by: dict[str, Any] = {} if stages.made_by is None else asdict(stages.made_by)
    restoration = replace(kept.restoration, started=0.0, waits_for="", error=None)
    bands, height, width = kept.scene_shape
    saved = SavedResult(kept.recipe, restoration, (bands, height, width), seen, tuple(rows), **made_by)
    return replace(saved, is_safe=is_safe, is_loose=is_loose)


@dataclass(frozen=True)
class Loaded:
    """A session that was read: its document, its results, and where the files are now (None: not found)."""

    path: Path
    document: SavedDocument
    results: tuple[Kept, ...]
    places: Mapping[str, Path | None]

    @property
    def job(self) -> RecentJob:
        """What is to be opened, at the places where the files are now."""
        document, following = self.document, self.document.following
        decoder, num_stages = (None, None) if following is None else (following.decoder, following.num_stages)
        job = RecentJob(tuple(map(str, document.paths)), document.options, decoder, num_stages)
        return job.moved(self.moved)

    @property
    def moved(self) -> dict[str, str]:
        """The files that lie elsewhere now."""
        return {before: str(now) for before, now in self.places.items() if now is not None and str(now) != before}

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe with its files where they are now."""
        moved = self.moved
        return replace(recipe, paths=self._moved_paths(recipe.paths), options=recipe.options.moved(moved))

    @property
    def kept(self) -> KeptBeside:
        """What went with the measurement without having been said with it."""
        kept = self.document.kept
        return KeptBeside(self._moved_paths(kept.files), kept.options.moved(self.moved))

    @property
    def steps(self) -> tuple[SavedStep, ...]:
        """The history, with files where they are now."""
        moved, steps = self.moved, []
        for step in self.document.steps:
            if (made := step.corrected) is not None:
                made = replace(made, before=made.before.moved(moved), after=made.after.moved(moved))
            steps.append(replace(step, corrected=made))
        return tuple(steps)

    @property
    def folder(self) -> SavedFolder | None:
        """The folder where it is now; results go beside their captures where the folder for them is not found."""
        folder = self.document.folder
        if folder is None:
            return None
        has_target = folder.target is not None and self.places.get(str(folder.target)) is not None
        return (folder if has_target else replace(folder, target=None)).moved(self.moved)

    @property
    def library(self) -> SavedLibrary | None:
        """The spectral library where it is now."""
        library = self.document.library
        return None if library is None else replace(library, path=self._moved_paths((library.path,))[0])

    def _moved_paths(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        moved = self.moved
        return tuple(Path(moved.get(str(path), path)) for path in paths)

    def relocated(self, folder: Path) -> Loaded:
        """The same with what was not found looked for by name in a folder."""
        places = dict(self.places)
        for before, now in self.places.items():
            target = folder / self._name(before)
            if now is None and target.exists():
                places[before] = target
        listed = self.document.folder
        if listed is not None and places.get(str(listed.path), listed.path) is None:  # its captures may have been found
            inside = (now for before, now in places.items() if Path(before).parent == listed.path and now is not None)
            places[str(listed.path)] = next((now.parent for now in inside), None)
        return replace(self, places=places)

    def _name(self, before: str) -> str:
        """Of a file, also where it was saved by another system."""
        return PurePath(self.document.files[before].relative or before).name

    def close(self) -> None:
        """Drops the results that nobody took over."""
        for kept in self.results:
            if not kept.stages.is_kept:
                kept.stages.close()


def load(path: Path) -> Generator[int, None, Loaded]:
    """Reads a session and yields how many stages were read after each; it returns a `Loaded`. For a worker thread.

    Raises FileError for what is no session, is damaged or contradicts itself.
    """
    results: list[Kept] = []
    is_whole = False
    try:
        with SavedSession(path) as saved:
            document = read(SavedDocument, saved.document, source=path.name, remedy=_REMEDY, drops_unknown=True)
            _require_whole(document, path)
            arrays: dict[str, np.ndarray] = {}
            for result in document.results:
                for name in result.seen.values():
                    arrays[name] = saved.array(name) if name not in arrays else arrays[name]
                stages = StageStore()
                seen = {role: arrays[name] for role, name in result.seen.items()}
                results.append(Kept(stages, result.recipe, result.restoration, seen, result.scene_shape))
                for _ in _fill(stages, result, saved):
                    yield len(stages)
        places = {before: _found(before, file, path) for before, file in document.files.items()}
        is_whole = True
        loaded = Loaded(path, document, tuple(results), places)
        if document.folder is not None:
            loaded = replace(loaded, document=replace(document, folder=document.folder.without_gone(loaded.moved)))
        return loaded
    finally:
        for kept in () if is_whole else results:
            kept.stages.close()


_REMEDY = "Get the file again, or open the measurement and decode it."


def _fill(stages: StageStore, result: SavedResult, saved: SavedSession) -> Iterator[int]:
    from lorun_engine.decoding.report import MadeBy
    from lorun_engine.decoding.restore import StageResult

    for index, stage in enumerate(result.stages):
        names = [stage.image] if stage.denoiser_input is None else [stage.image, stage.denoiser_input]
        images = [saved.array(name) for name in names]
        light = None if stage.light is None else saved.array(stage.light)
        shapes = [result.scene_shape] * len(images) + [(1, *result.scene_shape[1:])]
        for name, image, shape in zip([*names, stage.light], [*images, light], shapes, strict=True):
            if image is not None and (image.shape != shape or image.dtype != np.float32):
                raise FileError(f"{saved.path.name}: {name} is no image of its scene. {_REMEDY}")
        yield stages.append(
            StageResult(
                index,
                images[0],
                stage.residual,
                stage.seconds,
                stage.input_scale,
                images[1] if len(images) > 1 else None,
                dict(stage.parameters),
                dict(stage.metrics),
                stage.method,
                light=light,
                executed=stage.executed,
            )
        )
    stages.made_by = MadeBy(dict(result.hashes), result.citation, result.notes)


def _require_whole(document: SavedDocument, path: Path) -> None:
    """Refuses what speaks of files, results and regions that are not there."""
    paths = {*document.paths, *(path for result in document.results for path in result.recipe.paths)}
    numbers = [region.number for region in document.regions]
    places = [step.placed for step in document.steps if step.placed is not None]
    regions = [*document.regions, *(region for step in places for region in (*step.before, *step.after))]
    wrong = ""
    if missing := sorted(str(path) for path in paths if str(path) not in document.files):
        wrong = f"it does not say where {missing[0]} lies"
    elif document.shown is not None and document.shown >= len(document.results):
        wrong = f"it shows result {document.shown} of {len(document.results)}"
    elif any(result.restoration.state not in ("done", "cancelled", "failed") for result in document.results):
        wrong = "a result has not ended"
    elif any(not result.recipe.paths for result in document.results):
        wrong = "a result is of no file"
    elif len(set(numbers)) != len(numbers) or not all(region.corners for region in regions):
        wrong = "a region has no corners or the number of another"
    if wrong:
        raise FileError(f"{path.name} contradicts itself: {wrong}. {_REMEDY}")


def _found(before: str, file: SavedFile, session: Path) -> Path | None:
    """Where a file is now: seen from the session file, else where it was."""
    if file.sample:
        candidates = [resource_path("samples", PurePath(file.sample).name)]
    else:
        near = [Path(os.path.normpath(session.absolute().parent / file.relative))] if file.relative else []
        candidates = [*near, Path(before)]
    return next((path for path in candidates if path.exists()), None)

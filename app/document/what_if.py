"""What if: any scene seen by a camera like the one that is open, decoded, and scored against the scene it came from.

The simulated measurement is written to a temporary file and opened like any other, so that everything in the window
works on it. What was open is set aside with all its stages, and with what the other parts keep of it, and is taken
back with one click.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import GeometryError, LorunError
from lorun_engine.io import open_scene, write_measurement
from lorun_engine.measurement import Measurement, Scene
from lorun_engine.task import TASKS

from ..job import Job
from ..quantities import exact
from .decoders import Choice, Decoders
from .decoding import as_asked, decoded
from .exports import MEASUREMENT_SUFFIXES, Exports
from .pace import Step, Timed
from .recipe import Recipe, Restoration, SetAside
from .session import Session

if TYPE_CHECKING:
    from lorun_engine.decoding.restore import StageResult

Source = Literal["result", "reference", "file"]
WhatIfState = Literal["idle", "simulating", "decoding", "comparing", "done", "failed"]
FILE_NAME = "what-if.h5"


@dataclass(frozen=True)
class Scenario:
    """A scene and a camera; None keeps what the open measurement has.

    `electrons` is the shot noise at the measurement's peak, None for none. `changes` are values of the options that
    the task's files offer for it (`CHANGES` of `io.reading`), by their fields.
    """

    source: Source = "result"
    path: Path | None = None
    electrons: float | None = None
    seed: int = 0
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """How well one decoder did: `metrics` against the scene, and the relative residual."""

    decoder: str
    length: str  # as "60 iterations"
    residual: float
    metrics: Mapping[str, float]


class WhatIf(QObject):
    """The simulation that is open, the job it was made from, and the scores of the decoders on it."""

    changed = Signal()

    def __init__(self, session: Session, exports: Exports) -> None:
        super().__init__(session)
        self._session, self._exports = session, exports
        self.state: WhatIfState = "idle"
        self.problem = ""
        self.scores: tuple[Score, ...] = ()
        self.waiting: tuple[str, ...] = ()  # decoders whose score is still to come
        self.timed = Timed(session.paces, self)  # that of them which is decoded with
        self._paced: Recipe | None = None
        self.aside: SetAside | None = None
        self.simulated: Measurement | None = None
        self.plan = Scenario()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._number = 0
        self._target: Path | None = None  # the newest simulation
        self._job: Job | None = None
        session.opened_changed.connect(self._follow_document)
        session.restoration_changed.connect(self._follow_decode)
        session.cancelled.connect(self._cancel_job)

    @property
    def is_open(self) -> bool:
        """Whether what is open was simulated here."""
        paths = self._session.paths
        return self._folder is not None and bool(paths) and paths[0].parent.parent == Path(self._folder.name)

    @property
    def is_busy(self) -> bool:
        """Whether a simulation is under way."""
        return self.state in ("simulating", "decoding", "comparing")

    @property
    def base_name(self) -> str:
        """What is taken back: the name of the file that was open."""
        paths = self.aside.paths if self.aside is not None else self._session.paths
        return paths[0].name if paths else ""

    @property
    def base(self) -> Measurement | None:
        """The measurement whose camera is taken."""
        return self.aside.measurement if self.aside is not None else self._session.measurement

    @property
    def current_camera(self) -> Mapping[str, Any]:
        """The values that the camera has now of what may be changed, by the fields of their options."""
        from lorun_engine.tasks.camera import camera_of

        return {} if self.base is None else camera_of(self.base).shown

    @property
    def sources(self) -> tuple[Source, ...]:
        """The scenes there are."""
        base = self.base
        found: list[Source] = ["result"] if self._num_stages else []
        found += ["reference"] if base is not None and base.reference is not None else []
        return (*found, "file")

    def start(self, plan: Scenario) -> None:
        """Simulates, opens the simulation, decodes it with the chosen decoder and with those that need no weights."""
        session, base = self._session, self.base
        if base is None or self.is_busy or session.restoration.is_busy or session.is_opening:
            return
        stages = self.aside.stages if self.aside is not None else session.stages
        newest = len(stages) - 1
        image = stages.image(newest) if newest >= 0 else None
        input_scale = stages.row(newest).input_scale if newest >= 0 else None
        self.plan, self.state, self.problem, self.scores = plan, "simulating", "", ()
        self._number += 1
        self._target = target = self._new_path()
        work = partial(_simulate, plan, base, image, input_scale, target)
        then = partial(self._simulated, base, target)
        job = session.lanes.run(work, doing="simulating a measurement", then=then, is_asked_for=True)
        job.failed.connect(lambda: self._fail(job))
        job.cancelled.connect(lambda: self._fail(job))
        self._job = job
        self.changed.emit()

    def cancel(self) -> None:
        """Stops what is under way; a simulation that is open stays open."""
        self._cancel_job()
        if self.state == "decoding":
            self._session.cancel()

    def go_back(self) -> None:
        """Takes back what was open, with its stages; the simulation is left."""
        if self.aside is None:
            return
        self.cancel()
        aside, self.aside = self.aside, None
        self._job, self.simulated, self.waiting = None, None, ()
        self.state, self.scores = "idle", ()
        self._session.take_back(aside)
        self.changed.emit()

    def save(self, path: Path) -> None:
        """Writes the simulated measurement as a file that opens without a flag."""
        if self.simulated is None:
            return
        plan, measurement = self.plan, self.simulated
        inputs = [*self._session.paths, *(self.aside.paths if self.aside is not None else ())]
        inputs += [plan.path] if plan.path is not None else []
        self._exports.write(
            path, lambda target: _write(target, measurement, plan, protected=inputs), suffixes=MEASUREMENT_SUFFIXES
        )

    def close(self) -> None:
        """Drops what was set aside and the temporary files."""
        self._cancel_job()
        if self.aside is not None:
            self.aside.close()
            self.aside = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    # ---- one after another ---------------------------------------------------------------------------------------

    def _simulated(self, base: Measurement, target: Path, job: Job) -> None:
        if job is not self._job:
            return
        self._job = None
        session = self._session
        if session.restoration.is_busy or session.is_opening or base is not self.base:  # the user went on
            self.state = "idle"
            self.changed.emit()
            return
        self.simulated, self.state = job.result, "decoding"
        session.open_simulated(target, before=self._set_aside)
        self.changed.emit()

    def _set_aside(self) -> None:
        """The simulation is about to be opened: the job that it was made from waits, an earlier simulation goes."""
        if self.aside is None:
            self.aside = self._session.set_aside()

    def _follow_document(self) -> None:
        """Whatever else was opened takes the place of the simulation, and of what it was made from."""
        session = self._session
        if session.is_opening:
            return
        if self.state == "decoding" and session.paths[:1] != (self._target,):  # the simulation could not be opened
            self.state, self.problem = "failed", str(session.problem or "Something else was opened.")
            self.changed.emit()
        if self.aside is not None and not self.is_open:
            self.close()
            self._job, self.state, self.scores, self.waiting, self.simulated = None, "idle", (), (), None
            self.changed.emit()

    def _follow_decode(self) -> None:
        restoration = self._session.restoration
        if self.state != "decoding" or not self.is_open or restoration.is_busy:
            return
        if restoration.state in ("cancelled", "failed"):
            self.state, self.problem = "failed", restoration.message
            self.changed.emit()
        elif restoration.state == "done":
            self._compare(restoration)

    def _compare(self, restoration: Restoration) -> None:
        """The chosen decoder has done; the others follow in the worker."""
        session = self._session
        recipe, measurement = session.recipe, session.measurement
        if recipe is None or measurement is None:
            return
        last = session.stages.row(len(session.stages) - 1)
        self.scores = (Score(recipe.title, recipe.length, last.residual, dict(last.metrics)),)
        others = [choice for choice in session.setup.plain_choices if choice.name != recipe.decoder]
        plans = {c: session.setup.recipe_as_it_is(c, session.paths, session.options) for c in others}
        self.waiting, self._paced = tuple(choice.name for choice in others), None
        work = partial(_scores, session.setup.decoders, plans, measurement)
        job = session.lanes.run(work, doing="decoding without weights", then=self._compared, is_asked_for=True)
        job.progressed.connect(lambda: self._go_on(job, measurement))
        job.failed.connect(lambda: self._fail(job))
        job.cancelled.connect(lambda: self._fail(job))
        self._job, self.state = job, "comparing"
        self.changed.emit()

    def _go_on(self, job: Job, measurement: Measurement) -> None:
        if job is not self._job:
            return
        found, recipe, step = job.progress
        if recipe != self._paced:
            self._paced = recipe
            self.timed.expect(self._session.paces.of(recipe, measurement))
            self.timed.begin()
            self.scores = (self.scores[0], *found)
            self.waiting = self.waiting[self.waiting.index(recipe.decoder) :]
            self.changed.emit()
        self.timed.take(step)

    def _compared(self, job: Job) -> None:
        if job is not self._job:
            return
        self._job, self.state = None, "done"
        self.timed.end()
        self.scores, self.waiting = (self.scores[0], *job.result), ()
        self.changed.emit()

    def _cancel_job(self) -> None:
        self.timed.end()
        if self._job is not None:
            self._job.cancel()

    def _fail(self, job: Job) -> None:
        if job is not self._job:
            return
        self._job, self.waiting = None, ()
        self.timed.end()
        self.state, self.problem = "failed", "Cancelled." if job.error is None else str(job.error)
        self.changed.emit()

    @property
    def _num_stages(self) -> int:
        return len(self.aside.stages) if self.aside is not None else len(self._session.stages)

    def _new_path(self) -> Path:
        """A file in a folder of its own: it is called the same every time."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="lorun-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name) / str(self._number)
        folder.mkdir()
        return folder / FILE_NAME


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _simulate(
    plan: Scenario,
    base: Measurement,
    result: np.ndarray | None,
    input_scale: float | None,
    target: Path,
) -> Generator[None, None, Measurement]:
    """The measurement of the plan's scene by the plan's camera, written to `target`; yields where it may stop."""
    image, scale = base.reference, base.input_scale
    if plan.source == "result":
        image, scale = result, input_scale
    if plan.source == "file" and plan.path is not None:
        scene, scale = open_scene(plan.path), None
    elif image is None:
        raise GeometryError("There is no scene to simulate. Decode the measurement first, or choose a file.")
    else:
        scene = Scene(np.clip(image, 0, None), base.wavelengths_nm, path=base.path)  # there is no negative light
    if not np.isfinite(scene.image).all() or scene.image.max() <= 0:
        raise GeometryError("The scene is black or holds values that are no numbers. Choose another scene.")
    measurement = _measured(plan, base, scene)
    if scale is None and scene.image.max() <= 1:
        scale = 1.0
    measurement = replace(measurement, input_scale=scale)
    yield
    _write(target, measurement, plan, protected=())
    yield
    return measurement


def _measured(plan: Scenario, base: Measurement, scene: Scene) -> Measurement:
    """What the camera of `base`, changed as planned, sees of a scene."""
    from lorun_engine.decoding.evaluate import at_wavelengths
    from lorun_engine.tasks.camera import camera_of
    from lorun_engine.tasks.noise import Noise

    camera = camera_of(base, noise=None if plan.electrons is None else Noise("shot", plan.electrons))
    if not TASKS[base.task].is_photograph:
        bands, own = camera.wavelengths_nm, scene.wavelengths_nm
        if own is not None and bands is not None and not np.array_equal(own, bands):
            scene = at_wavelengths(scene, bands)
        num_bands = camera.channels(len(scene.image))
        if len(scene.image) != num_bands:
            raise GeometryError(
                f"The scene has {len(scene.image)} bands and states no wavelengths; the open camera has {num_bands} "
                "bands. Choose a cube with as many bands, or one that states its wavelengths."
            )
    camera, scene = camera.changed(plan.changes, seed=plan.seed).framed(scene)
    return camera.measured(scene, seed=plan.seed)


def _write(target: Path, measurement: Measurement, plan: Scenario, *, protected: Sequence[Path]) -> None:
    noise = "none" if plan.electrons is None else f"shot:{exact(plan.electrons)}"
    write_measurement(target, measurement, attributes={"noise": noise, "seed": plan.seed}, protected=protected)


def _scores(
    decoders: Decoders, plans: Mapping[Choice, Recipe], measurement: Measurement
) -> Generator[tuple[tuple[Score, ...], Recipe, Step], None, tuple[Score, ...]]:
    """Yields the scores so far with every step and what it is of, and returns all scores.

    A decoder that does not fit is left out.
    """
    found: tuple[Score, ...] = ()
    for choice, recipe in plans.items():
        newest: deque[StageResult] = deque(maxlen=1)
        yield found, recipe, Step(time.monotonic())
        try:
            decoder = as_asked(decoders.open(choice), recipe)
            for step in decoded(decoder, measurement, recipe, newest.append):
                yield found, recipe, step
        except LorunError:
            continue  # it is of no use here; the others are
        (last,) = newest
        found += (Score(choice.name, recipe.length, last.residual, dict(last.metrics)),)
    return found

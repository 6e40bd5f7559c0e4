"""Whether a result explains its capture: the decoded image measured again, and where the camera's mask really lies.

Everything is computed in the worker after a decode and gives way at once to the next decode. The verdict on a camera
depends on the capture alone and is kept until something else is opened.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions

from ..job import Job
from .recipe import SetAside
from .session import Session
from .stage_store import StageStore

if TYPE_CHECKING:
    from lorun_engine.camera_checks.alignment import Alignment, AlignmentProgress
    from lorun_engine.camera_checks.remeasure import CameraVerdict, Remeasurement
    from lorun_engine.measurement import Measurement

MOST_KEPT = 8  # stages whose residual is kept

# What was found, by the attributes of `Checking`
_OF_A_JOB = ("camera", "unjudged", "state", "problem", "found", "alignment_state", "alignment_problem", "_kept", "_of")

_T = TypeVar("_T")
CheckState = Literal["nothing", "running", "done", "failed", "stopped"]  # the last by somebody else


@dataclass(frozen=True)
class Reach:
    """How far an alignment is searched: shifts in pixels, the step in pixels a band, and whether flips are tried."""

    shift: float = 4.0
    step: float = 0.5
    flips: bool = True


@dataclass(frozen=True)
class Found:
    """What a search found, and the corrections that apply it, with the direction of the spectra or without."""

    alignment: Alignment
    options: OpenOptions
    options_same_direction: OpenOptions


class Checking(QObject):
    """The re-measurements of the stages, the verdict on the camera and the search for it, with a signal for each."""

    changed = Signal()  # a re-measurement, the verdict, or what is under way
    alignment_changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.camera: CameraVerdict | None = None
        self.unjudged = ""  # why there is no verdict on the camera
        self.state: CheckState = "nothing"  # of the newest re-measurement
        self.problem = ""  # why it failed
        self.found: Found | None = None
        self.alignment_state: CheckState = "nothing"
        self.alignment_problem = ""
        self.progress: AlignmentProgress | None = None
        self._kept: OrderedDict[int, Remeasurement] = OrderedDict()
        # the measurement and the restored stages that everything belongs to
        self._of: tuple[Measurement | None, StageStore | None] = (None, None)
        self._measuring: Job | None = None
        self._judging: Job | None = None  # the camera alone, before there is a result
        self._searching: Job | None = None
        session.opened_changed.connect(self._follow_document)
        session.restoration_changed.connect(self._follow_decode)
        session.selection_changed.connect(self._follow_selection)
        session.put_aside.connect(self._put_aside)
        session.taken_back.connect(self._take_back)

    @property
    def newest(self) -> Remeasurement | None:
        """The result measured again; None until that is done."""
        return self._kept.get(len(self._session.stages) - 1)

    @property
    def shown(self) -> Remeasurement | None:
        """The stage that is looked at, measured again."""
        return self._kept.get(self._session.selection.stage)

    @property
    def is_possible(self) -> bool:
        """Whether there is a stage to be measured again and nothing is being decoded."""
        session = self._session
        return len(session.stages) > 0 and not session.restoration.is_busy and session.measurement is not None

    def measure(self, stage: int) -> None:
        """Measures a stage again, in the worker."""
        session, measurement = self._session, self._session.measurement
        if measurement is None or not self.is_possible or not 0 <= stage < len(session.stages) or stage in self._kept:
            return
        self._stop_measuring()
        self._stop_judging()
        is_judged = session.kind.measures == "plane" and self.camera is None and not self.unjudged
        seen = session.stages.image(stage), session.stages.light(stage)
        work = partial(_measured, measurement, seen, self.camera, is_judged)
        then = partial(self._measured, measurement, session.stages, stage)
        job = session.lanes.run(work, doing="measuring the result again", then=then)
        job.progressed.connect(lambda: self._keep_early(job, stage))
        job.failed.connect(lambda: self._measure_failed(job))
        job.cancelled.connect(lambda: self._measure_ended(job))
        self._measuring, self.state, self.problem = job, "running", ""
        self.changed.emit()

    def search(self, reach: Reach = Reach()) -> None:  # noqa: B008 - frozen
        """Searches where the mask of the open capture really lies."""
        session, measurement = self._session, self._session.measurement
        if measurement is None or self._searching is not None or session.kind.measures != "plane":
            return
        work = partial(_searched, measurement, reach)
        job = session.lanes.run(work, doing="searching the mask", then=partial(self._search_ended, measurement))
        job.progressed.connect(lambda: self._search_goes_on(job))
        job.failed.connect(lambda: self._search_stopped(job, "failed"))
        job.cancelled.connect(lambda: self._search_stopped(job, "nothing" if self.found is None else "done"))
        self._searching, self.alignment_state, self.alignment_problem, self.progress = job, "running", "", None
        self.alignment_changed.emit()

    def cancel_search(self) -> None:
        """Stops the search at its next step; what was found before stays."""
        if self._searching is not None:
            self._searching.cancel()

    # ---- what the session does -----------------------------------------------------------------------------------

    def _follow_document(self) -> None:
        """Another measurement: nothing that was found holds any more."""
        if self._session.measurement is self._of[0]:
            return
        self._of = (self._session.measurement, None)
        self._stop_measuring()
        self.cancel_search()
        self._searching = None
        self.camera, self.unjudged, self.state, self.problem = None, "", "nothing", ""
        self.found, self.alignment_state, self.alignment_problem, self.progress = None, "nothing", "", None
        self._kept.clear()
        self._judge()
        self.changed.emit()
        self.alignment_changed.emit()

    def _judge(self) -> None:
        """Looks at the camera as soon as a capture is open: another camera's mask is known before a long decode."""
        self._stop_judging()
        session, measurement = self._session, self._session.measurement
        if measurement is None or session.kind.measures != "plane" or session.restoration.is_busy:
            return
        work, then = partial(_judged, measurement, None), partial(self._take_judgement, measurement)
        job = session.lanes.run_look(work, doing="looking at the camera", then=then)
        job.failed.connect(lambda: self._miss_judgement(job))
        job.cancelled.connect(lambda: self._miss_judgement(job))
        self._judging = job

    def _miss_judgement(self, job: Job) -> None:
        """It failed, or somebody else stopped it."""
        if job is self._judging:
            self._judging = None
            why = "that was stopped" if job.error is None else str(job.error)
            self.unjudged = f"The camera was not looked at: {why.rstrip('.')}."
            self.changed.emit()

    def _take_judgement(self, measurement: Measurement, job: Job) -> None:
        if job is self._judging and measurement is self._session.measurement:
            self._judging = None
            self.camera, self.unjudged, found = job.result
            self._take_found(found, measurement)
            self.changed.emit()

    def _take_found(self, found: Alignment | None, measurement: Measurement) -> None:
        """The search behind a verdict is that of the page too."""
        if found is not None and self.found is None:
            self.found, self.alignment_state = _as_found(found, self._session.options, measurement), "done"
            self.alignment_changed.emit()

    def _stop_judging(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    @property
    def is_judging(self) -> bool:
        """Whether the camera is being looked at while there is no result."""
        return self._judging is not None

    def _put_aside(self, aside: SetAside) -> None:
        """What was found belongs to a job that waits from now on."""
        self._stop_measuring()
        self.cancel_search()
        self._searching, self.progress = None, None
        if self.alignment_state == "running":
            self.alignment_state = "nothing" if self.found is None else "done"
        aside.keep(self, _OF_A_JOB)
        self._kept = OrderedDict()

    def _take_back(self, aside: SetAside) -> None:
        self._stop_measuring()
        self.cancel_search()
        self._searching, self.progress = None, None
        aside.give_back(self)
        self.changed.emit()
        self.alignment_changed.emit()

    def _follow_decode(self) -> None:
        """A decode comes first; once it has ended its result is measured again."""
        session = self._session
        if session.stages is not self._of[1]:
            self._of = (self._of[0], session.stages)
            self._kept.clear()
            self._stop_measuring()
            self.state, self.problem = "nothing", ""
        if session.restoration.is_busy:
            self._stop_judging()
            self._stop_measuring()
            self.cancel_search()
        elif self.is_possible and self._measuring is None and self.state == "nothing":
            self.measure(len(session.stages) - 1)
        elif self._judging is None and self.camera is None and not self.unjudged and not len(session.stages):
            if session.measurement is self._of[0]:  # a decode that was cancelled before its first stage
                self._judge()
                self.changed.emit()

    def _follow_selection(self) -> None:
        selection = self._session.selection
        if selection.mode == "residual" and self.shown is None:
            self.measure(selection.stage)

    # ---- measuring -----------------------------------------------------------------------------------------------

    def _stop_measuring(self) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
            self._measuring = None
            if self._session.kind.measures == "plane" and self.camera is None and not self.unjudged:
                self._kept.clear()  # figures that came before the verdict
            self.state = "nothing" if self.newest is None else "done"

    def _keep_early(self, job: Job, stage: int) -> None:
        """The figures are there before the verdict on the camera is."""
        if job is self._measuring and stage not in self._kept:
            self._keep(stage, job.progress)
            self.changed.emit()

    def _measured(self, measurement: Measurement, stages: StageStore, stage: int, job: Job) -> None:
        if job is not self._measuring or measurement is not self._of[0] or stages is not self._of[1]:
            return
        self._measuring, self.state = None, "done"
        result, self.camera, why_not, found = job.result
        self.unjudged = why_not or self.unjudged
        self._keep(stage, result)
        for other in set(self._kept) - {stage}:  # those from before the verdict
            if self._kept[other].camera is not self.camera:
                del self._kept[other]
        self._take_found(found, measurement)
        self.changed.emit()
        self._follow_selection()
        if self._measuring is None and self.newest is None:  # it gave way to the stage that is looked at
            self.measure(len(stages) - 1)

    def _measure_ended(self, job: Job) -> None:
        """Somebody else stopped it."""
        if job is self._measuring:
            self._stop_measuring()
            self.state = "stopped" if self.newest is None else "done"
            self.changed.emit()

    def _measure_failed(self, job: Job) -> None:
        if job is self._measuring:
            self._measuring, self.state = None, "failed"
            self.problem = str(job.error)
            self.changed.emit()

    def _keep(self, stage: int, result: Remeasurement) -> None:
        self._kept[stage] = result
        self._kept.move_to_end(stage)
        while len(self._kept) > MOST_KEPT:
            newest = len(self._session.stages) - 1
            del self._kept[next(kept for kept in self._kept if kept != newest)]

    # ---- searching -----------------------------------------------------------------------------------------------

    def _search_goes_on(self, job: Job) -> None:
        if job is self._searching:
            self.progress = job.progress
            self.alignment_changed.emit()

    def _search_ended(self, measurement: Measurement, job: Job) -> None:
        if job is not self._searching or measurement is not self._session.measurement:
            return
        self.found = _as_found(job.result, self._session.options, measurement)
        self._search_stopped(job, "done")
        best = self.found.alignment.best
        self._session.lanes.log(
            f"The mask lies {best.shift_y:+.2f} rows and {best.shift_x:+.2f} columns from where it was opened; "
            f"the step is {best.step:.3f} pixels"
        )

    def _search_stopped(self, job: Job, state: CheckState) -> None:
        if job is self._searching:
            self._searching, self.alignment_state, self.progress = None, state, None
            self.alignment_problem = str(job.error) if state == "failed" else ""
            self.alignment_changed.emit()


def _as_found(alignment: Alignment, options: OpenOptions, measurement: Measurement) -> Found:
    from lorun_engine.camera_checks.alignment import corrected  # loaded already: the worker has just searched with it

    num_bands = measurement.physics.scene_shape[0]
    return Found(
        alignment,
        corrected(options, alignment, num_bands=num_bands),
        corrected(options, alignment, num_bands=num_bands, direction=False),
    )


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _measured(
    measurement: Measurement,
    seen: tuple[np.ndarray, np.ndarray | None],
    camera: CameraVerdict | None,
    is_judged: bool,
) -> Generator[Remeasurement, None, tuple[Remeasurement, CameraVerdict | None, str, Alignment | None]]:
    """Yields the figures at once and returns them with the verdict on the camera, why there is none, and the search."""
    from lorun_engine.camera_checks.remeasure import remeasure

    (image, light), alignment, why_not = seen, None, ""
    early = remeasure(measurement, image, light=light, camera=camera, is_judged=False)
    yield early
    if is_judged:
        camera, why_not, alignment = yield from _judged(measurement, early)
    if camera is early.camera:
        return early, camera, why_not, alignment
    result = remeasure(measurement, image, light=light, camera=camera, is_judged=False)
    return result, camera, why_not, alignment


def _judged(
    measurement: Measurement, early: _T
) -> Generator[_T, None, tuple[CameraVerdict | None, str, Alignment | None]]:
    """Yields what is there already while the camera is looked at; the verdict, why there is none, and the search."""
    from lorun_engine.camera_checks.alignment import Alignment, align
    from lorun_engine.camera_checks.remeasure import judge_camera

    alignment = None
    try:
        for event in align(measurement):
            if isinstance(event, Alignment):
                alignment = event
            yield early
        return judge_camera(measurement, alignment=alignment), "", alignment
    except LorunError as error:
        return None, str(error), alignment


def _searched(measurement: Measurement, reach: Reach) -> Generator[AlignmentProgress, None, Alignment | None]:
    from lorun_engine.camera_checks.alignment import Alignment, align

    for event in align(measurement, reach=reach.shift, step_reach=reach.step, flips=reach.flips):
        if isinstance(event, Alignment):
            return event
        yield event
    return None

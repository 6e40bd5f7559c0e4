"""Two sides compared, and several decoders on one measurement: what stands beside the stages of the one restoration.

Results lie on the shelf (see `shelf`). Decoders that the user ticked are decoded one after another in the worker, those
that were already are taken from there, and every decode adds its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from lorun_engine.errors import LorunError
from lorun_engine.instrument import RELIT_GAMMA

from ..job import Job
from .decoders import Choice, Decoders
from .decoding import as_asked, decoded
from .pace import Pace, Step, Timed
from .recipe import Recipe, Restoration, SetAside
from .relight import shown_stage
from .selection import MEASUREMENT, REFERENCE
from .session import Session
from .shelf import Result, Shelf
from .stage_store import StageStore

if TYPE_CHECKING:
    from lorun_engine.decoding.kept import KeptStages
    from lorun_engine.measurement import Measurement

LIMIT_BYTES = 256 << 20  # of results in memory; the others lie on the disk
DIVIDER_STEP = 0.02  # of the width, per key
BLINK_S = 0.6
SETTLES_MS = 300  # after a gamma was changed

Way = Literal["side by side", "split", "blink", "difference", "disagreement"]
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True)
class Chosen:
    """The side that follows the scrubber: whichever stage is chosen."""


CHOSEN = Chosen()
Side = int | Result | Chosen  # a stage, REFERENCE, MEASUREMENT, a result, or the chosen stage


@dataclass(frozen=True)
class Look:
    """How two sides are compared; `divider` is where they meet, as a share of the picture's width."""

    left: Side | None = None
    right: Side | None = None
    way: Way = "split"
    divider: float = 0.5
    shows_right: bool = False  # while they blink
    blinks: bool = False  # by itself
    shows_angle: bool = False  # of the disagreement: the spectral angle instead of the standard deviation
    has_lens: bool = False  # that shows the other side at the cursor


@dataclass(frozen=True)
class Outcome:
    """What became of a decoder that was ticked: a result, or the sentence why there is none."""

    name: str
    result: Result | None = None
    sentence: str = ""


@dataclass(frozen=True)
class ComparingProgress:
    """How far the ticked decoders are; `outcomes` are those that have ended."""

    names: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    pace: Pace | None = None  # of the decoder that runs
    is_cancelling: bool = False


@dataclass(frozen=True)
class Disagreement:
    """Maps (H, W) over results: the standard deviation, mean over bands, and for cubes the largest angle in degrees."""

    of: tuple[Result, ...]
    deviation: np.ndarray = field(repr=False)
    angle: np.ndarray | None = field(repr=False, default=None)


class Comparing(QObject):
    """The look of the comparison, the results there are, and the decode of several sets."""

    changed = Signal()  # the look, the sides there are, results or progress

    def __init__(self, session: Session, shelf: Shelf) -> None:
        super().__init__(session)
        self._session, self._shelf = session, shelf
        self.look = Look()
        self.progress = ComparingProgress()
        self.ticked: tuple[str, ...] = ()
        self.disagreement: Disagreement | None = None
        self._measurement: Measurement | None = None
        self._job: Job | None = None
        self._known: tuple[tuple[Result, ...], float] = ((), RELIT_GAMMA)  # and the gamma that they were relit by
        self._settling = QTimer(self, singleShot=True, interval=SETTLES_MS)
        self._settling.timeout.connect(self._results_changed)
        session.selection_changed.connect(self._follow_light)
        self._coming_way: Way | None = None  # of a session, until its maps are made
        self._paced: Recipe | None = None
        self.timed = Timed(session.paces, self)  # the decoder that runs
        session.opened_changed.connect(self._forget_other_measurement)
        shelf.changed.connect(self._results_changed)
        session.cancelled.connect(self.cancel)
        session.put_aside.connect(self._put_aside)
        session.taken_back.connect(self._take_back)

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of the shelf that can be compared, the oldest first."""
        return self._shelf.comparable

    # ---- the two sides -------------------------------------------------------------------------------------------

    def sides(self) -> tuple[Side, ...]:
        """What can be compared now, in the order of the menus."""
        session = self._session
        if session.measurement is None:
            return ()
        stages = [CHOSEN, *range(session.num_announced)] if session.num_announced else []
        others = [REFERENCE] * (session.measurement.reference is not None)
        others += [MEASUREMENT] * fits_scene(session.measurement.y.shape, session.measurement.physics.scene_shape)
        return (*stages, *self.results, *others)

    def pane_of(self, side: Side | None) -> int | Result | None:
        """The stage, result, REFERENCE or MEASUREMENT that a side stands for now; None where it is gone."""
        if side not in self.sides():
            return None
        return self._session.selection.stage if isinstance(side, Chosen) else side

    @property
    def left(self) -> Side | None:
        """The chosen left side, or what stands in for one that is not there."""
        return self._sides_in_use()[0]

    @property
    def right(self) -> Side | None:
        """The chosen right side, or what stands in for one that is not there."""
        return self._sides_in_use()[1]

    @property
    def pair(self) -> tuple[int | Result | None, int | Result | None]:
        """The stage, result, REFERENCE or MEASUREMENT at the left and at the right."""
        left, right = self._sides_in_use()
        return self.pane_of(left), self.pane_of(right)

    def image(self, pane: int | Result | None) -> np.ndarray | None:
        """(C, h, w) of one of a pair, read-only; a measurement may have fewer pixels than the scene.

        None where it is gone.
        """
        session = self._session
        if pane is None or session.measurement is None:
            return None
        if isinstance(pane, Result):
            return self._shelf.image(pane)
        if pane in (REFERENCE, MEASUREMENT):
            return session.measurement.reference if pane == REFERENCE else session.measurement.y
        return shown_stage(session, pane) if pane < len(session.stages) else None

    def why_not(self) -> str:
        """What stands in the way of a comparison, or of one with the newest result that is left out; or nothing."""
        left_out = [result for result in self._shelf.all if result not in self.results]
        reason = self._shelf.why_not(left_out[-1]) if left_out and len(self.results) < 2 else ""
        if None not in (self.left, self.right):
            return reason
        if self.results:
            reason = reason or f"{self.results[-1].title} is the only result."
        return f"{reason} Decode, or decode with several decoders, to compare.".strip()

    def choose(self, *, left: Side | None = None, right: Side | None = None) -> None:
        """Takes other sides; None leaves one as it is."""
        now_left, now_right = self._sides_in_use()
        left, right = now_left if left is None else left, now_right if right is None else right
        self._take(replace(self.look, left=left, right=right))

    def swap(self) -> None:
        """Exchanges left and right."""
        left, right = self._sides_in_use()
        self._take(replace(self.look, left=right, right=left))

    def show(self, way: Way) -> None:
        """Compares in another way."""
        if way != "disagreement" or self.disagreement is not None:
            self._coming_way = None
            self._take(replace(self.look, way=way, blinks=self.look.blinks and way == "blink"))

    def show_next(self) -> None:
        """Compares in the next way there is."""
        ways = [way for way in WAYS if way != "disagreement" or self.disagreement is not None]
        self.show(ways[(ways.index(self.look.way) + 1) % len(ways)])

    def step_divider(self, steps: int) -> None:
        """Moves the line between the sides by keys."""
        if self.look.way == "split":
            self.move_divider(self.look.divider + steps * DIVIDER_STEP)

    def move_divider(self, divider: float) -> None:
        """Puts the line between the sides at a share of the picture's width."""
        self._take(replace(self.look, divider=min(max(divider, 0.0), 1.0)))

    def blink(self) -> None:
        """Shows the other side; from another way of comparing it turns to this one."""
        if self.look.way != "blink":
            self._take(replace(self.look, way="blink", shows_right=False))
        else:
            self._take(replace(self.look, shows_right=not self.look.shows_right))

    def set_blinks(self, blinks: bool) -> None:
        """Blinks by itself, or stops."""
        self._take(replace(self.look, way="blink" if blinks else self.look.way, blinks=blinks))

    def toggle_lens(self) -> None:
        """Lays a magnifier at the cursor that shows the other side, or takes it away."""
        self._take(replace(self.look, has_lens=not self.look.has_lens))

    def show_angle(self, shows_angle: bool) -> None:
        """Shows the disagreement as spectral angle or as standard deviation."""
        self._take(replace(self.look, shows_angle=shows_angle))

    def look_again(self, look: Look, way: Way, *, ticked: Sequence[str] | None) -> None:
        """Takes a look of before, in its way once there is that; None ticks what is ticked."""
        if ticked is not None:
            self.ticked = tuple(name for name in self._session.setup.decoder_names if name in ticked)
        is_early = way == "disagreement" and self.disagreement is None
        self._coming_way = way if is_early else None
        self.look = look if is_early else replace(look, way=way)
        self.changed.emit()

    @property
    def wanted_way(self) -> Way:
        """The way that is shown, or will be once it can."""
        return self._coming_way or self.look.way

    def _sides_in_use(self) -> tuple[Side | None, Side | None]:
        """The sides that were chosen, at first the last two results; one that is gone is the first but the other."""
        sides, (left, right) = self.sides(), (self.look.left, self.look.right)
        *_, before, last = (None, None, *self.results)
        if before is not None and left not in sides and right not in sides:
            return before, last
        if left not in sides:
            left = next((side for side in sides if side not in (right, REFERENCE)), None)
        if right not in sides:
            others = (result for result in self.results if left != CHOSEN or result != self._shelf.shown)
            liked = [REFERENCE, *others, MEASUREMENT, 0, *sides]
            right = next((side for side in liked if side in sides and side != left), None)
        return left, right

    def _take(self, look: Look) -> None:
        if look != self.look:
            self.look = look
            self.changed.emit()

    # ---- several decoders on one measurement ---------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the ticked decoders are being run."""
        return self._job is not None

    @property
    def can_decode(self) -> bool:
        """Whether decoding the ticked ones would start."""
        session = self._session
        is_free = not session.restoration.is_busy and not session.is_opening and not self.is_running
        return session.measurement is not None and is_free and bool(self.ticked)

    def tick(self, name: str, ticked: bool) -> None:
        """Adds a decoder to those that are run together, or takes it away."""
        names = [*(other for other in self.ticked if other != name), *([name] if ticked else [])]
        wanted = tuple(other for other in self._session.setup.decoder_names if other in names)
        if wanted != self.ticked:
            self.ticked = wanted
            self.changed.emit()

    def decode(self) -> None:
        """Decodes with the ticked decoders, one after another; each keeps its own number of stages."""
        session, measurement = self._session, self._session.measurement
        if not self.can_decode or measurement is None:
            return
        of_task = [choice for choice in session.setup.choices if choice.task == measurement.task]
        paths, options, setup = session.paths, session.options, session.setup
        plans = {c: setup.recipe_as_it_is(c, paths, options) for c in of_task if c.name in self.ticked}
        known = {choice.name: self._shelf.made_with(recipe) for choice, recipe in plans.items()}
        there = [Outcome(name, result) for name, result in known.items() if result is not None]
        missing = {choice: recipe for choice, recipe in plans.items() if known[choice.name] is None}
        self.progress = ComparingProgress(
            (*(outcome.name for outcome in there), *(c.name for c in missing)), tuple(there)
        )
        if not missing:
            self.changed.emit()
            return
        decodes: list[_Decode] = []
        work = partial(_decode_all, session.setup.decoders, missing, measurement, decodes, session.kept_stages)
        names = ", ".join(choice.name for choice in missing)
        session.lanes.log(f"Decoding with {names}, one after another, on {session.setup.device}")
        then = partial(self._ended, decodes=decodes)
        job = session.lanes.run(work, doing=f"decoding with {names}", then=then, is_asked_for=True)
        job.progressed.connect(lambda: self._go_on(job, decodes, measurement))
        job.cancelled.connect(lambda: self._ended(job, decodes))
        job.failed.connect(lambda: self._ended(job, decodes))
        self._job, self._paced = job, None
        self._tell_all()

    def cancel(self) -> None:
        """Stops at the end of the stage that is being computed; results that are complete stay."""
        if self._job is not None and not self.progress.is_cancelling:
            self._job.cancel()
            self.progress = replace(self.progress, is_cancelling=True)
            self._tell_all()

    def _go_on(self, job: Job, decodes: Sequence[_Decode], measurement: Measurement) -> None:
        if job is self._job:
            self._take_decodes(decodes)
            recipe, step = job.progress
            if recipe != self._paced:
                self._paced = recipe
                self.timed.expect(self._session.paces.of(recipe, measurement))
                self.timed.begin()
                self.progress = replace(self.progress, pace=self.timed.pace)
                self.changed.emit()
            self.timed.take(step)

    def _take_decodes(self, decodes: Sequence[_Decode]) -> None:
        """Puts what was decoded on the shelf."""
        taken = {outcome.name for outcome in self.progress.outcomes}
        for decode in decodes:
            if decode.recipe.decoder in taken:
                continue
            result = None
            if not decode.sentence:
                done = len(decode.stages) - 1
                ended = Restoration("done", done_stages=done, num_stages=done, seconds=decode.seconds)
                result = self._shelf.add(decode.stages, decode.recipe, ended)
            outcome = Outcome(decode.recipe.decoder, result, decode.sentence)
            self.progress = replace(self.progress, outcomes=(*self.progress.outcomes, outcome))

    def _ended(self, job: Job, decodes: Sequence[_Decode]) -> None:
        if job is not self._job:
            return
        self._take_decodes(decodes)
        self._job = None
        self.timed.end()
        was_cancelled = self.progress.is_cancelling
        outcomes = self.progress.outcomes
        self.progress = ComparingProgress(self.progress.names, outcomes)
        for outcome in outcomes:
            if outcome.result is None:
                self._session.lanes.log(f"{outcome.name}: {outcome.sentence}")
        num_kept = sum(outcome.result is not None for outcome in outcomes)
        ending = "Cancelled" if was_cancelled else "Ended"
        self._session.lanes.log(f"{ending} with {num_kept} of {len(self.progress.names)} results to compare")
        self._tell_all()

    def _results_changed(self) -> None:
        """The maps of the disagreement are made in the worker; those of other results no longer count."""
        of, gamma = self.results, self._session.selection.relight
        if self.disagreement is not None and self.disagreement.of != of:
            self.disagreement = None
            if self.look.way == "disagreement":
                self.look = replace(self.look, way="split")
        is_known = self.disagreement is not None and gamma == self._known[1]
        if len(of) > 1 and not is_known and (of, gamma) != self._known:
            images = {result: image for result in of if (image := self._shelf.image(result)) is not None}
            work = partial(_disagreement, images, is_cube=not self._session.kind.is_photograph)
            self._session.lanes.run_look(work, doing="comparing the results", then=self._take_disagreement)
        self._known = of, gamma
        self.changed.emit()

    def _take_disagreement(self, job: Job) -> None:
        if job.result.of == self.results:
            self.disagreement = job.result
            if self._coming_way is not None:
                self.look, self._coming_way = replace(self.look, way=self._coming_way), None
            self.changed.emit()

    def _follow_light(self) -> None:
        """By another gamma results differ elsewhere; a slider that moves comes to rest first."""
        if self._session.selection.relight != self._known[1]:
            self._settling.start()

    def _forget_other_measurement(self) -> None:
        session = self._session
        if session.measurement is not self._measurement:
            self._measurement = session.measurement
            self._end_decodes()
            self._begin_afresh()
            task = None if session.measurement is None else session.measurement.task
            self.ticked = tuple(choice.name for choice in session.setup.choices if choice.task == task)
        self._results_changed()

    def _put_aside(self, aside: SetAside) -> None:
        """What is here belongs to a measurement that waits from now on."""
        self._end_decodes()
        aside.keep(self, ("disagreement", "progress", "look", "ticked", "_measurement", "_known"))
        self._begin_afresh()

    def _take_back(self, aside: SetAside) -> None:
        self._end_decodes()
        aside.give_back(self)
        self._results_changed()

    def _end_decodes(self) -> None:
        """Stops what is being decoded for a measurement that is no longer open; its end is not waited for."""
        if self._job is not None:
            self.cancel()
            self._job, self.progress = None, ComparingProgress()
            self.timed.end()
            self._session.hold(False)

    def _begin_afresh(self) -> None:
        """Nothing is compared; a decode that was cancelled brings nothing any more."""
        self.disagreement, self.progress, self.look = None, ComparingProgress(), Look()
        self._known = (), self._session.selection.relight
        self._coming_way = None

    def _tell_all(self) -> None:
        """Whether Decode is possible depends on this too."""
        self.changed.emit()
        self._session.hold(self.is_running)


def fits_scene(shape: Sequence[int], scene: Sequence[int]) -> bool:
    """Whether a picture (C, h, w) covers a scene (C, H, W) with whole pixels of one size and as many channels."""
    if len(shape) != 3 or shape[0] != scene[0]:
        return False
    (height, width), (tall, wide) = shape[1:], scene[1:]
    return tall % height == 0 and wide % width == 0 and tall // height == wide // width


# ---- in the worker thread ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Decode:
    """What became of a decode: its stages, or the sentence why there are none."""

    recipe: Recipe
    stages: StageStore
    seconds: float = 0.0
    sentence: str = ""


def _decode_all(
    decoders: Decoders,
    plans: Mapping[Choice, Recipe],
    measurement: Measurement,
    decodes: list[_Decode],
    kept: KeptStages,
) -> Iterator[tuple[Recipe, Step]]:
    """Adds what became of every decode and yields every step with what it is of."""
    from lorun_engine.decoding.report import made_by

    for choice, recipe in plans.items():
        started, stages = time.perf_counter(), StageStore()
        try:
            decoder = as_asked(decoders.open(choice), recipe)
            stages.made_by = made_by(decoder.fitted(measurement))
            yield recipe, Step(time.monotonic())
            for step in decoded(decoder, measurement, recipe, stages.append, kept=kept):
                yield recipe, step
        except LorunError as error:  # the others may still fit
            stages.close()
            decodes.append(_Decode(recipe, stages, sentence=str(error)))
            continue
        except GeneratorExit:
            stages.close()
            raise
        decodes.append(_Decode(recipe, stages, time.perf_counter() - started))


def _disagreement(images: dict[Result, np.ndarray], *, is_cube: bool) -> Disagreement:
    cubes = list(images.values())
    angle = largest_angle(cubes) if is_cube else None
    return Disagreement(tuple(images), deviation(cubes), angle)


def deviation(cubes: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W): the standard deviation over images (C, H, W) at every pixel, the mean over bands; NaN where one is."""
    total = np.zeros(cubes[0].shape[1:], np.float64)
    for bands in zip(*cubes, strict=True):
        total += band_deviation(bands)
    return (total / len(cubes[0])).astype(np.float32)


def band_deviation(bands: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W): the standard deviation over planes; of two it is half their difference."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
        spread: np.ndarray = np.std(np.stack(bands), axis=0)
    return spread


def largest_angle(cubes: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W): the largest spectral angle in degrees between any two images; NaN where a spectrum is zero or unknown."""
    largest = np.zeros(cubes[0].shape[1:])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = [np.sqrt(_product(cube, cube)) for cube in cubes]
        for (one, length), (other, other_length) in combinations(zip(cubes, lengths, strict=True), 2):
            cosine = _product(one, other) / (length * other_length)
            largest = np.maximum(largest, np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return largest.astype(np.float32)


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The scalar product of the spectra of two cubes at every pixel, in float64: angles near zero need it."""
    total = np.zeros(one.shape[1:], np.float64)
    for band, other_band in zip(one, other, strict=True):
        total += band.astype(np.float64) * other_band
    return total

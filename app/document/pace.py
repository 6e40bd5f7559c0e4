"""How far a decode is, in words, and how long it still takes.

A decode is iterations of its start, then stages. What is left follows from how long the last few of either took; what
has not begun yet costs what it cost in an earlier decode of the same decoder and size, by as much more as this decode
is slower, and where there was none, so many iterations as it usually does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from lorun_engine.task import STAGE

from ..quantities import duration, plural

if TYPE_CHECKING:
    from lorun_engine.decoder import StartStep
    from lorun_engine.decoding.restore import StageResult
    from lorun_engine.measurement import Measurement

    from .recipe import Recipe

# Of the sets that come with the program, on two cores.
STAGE_IN_ITERATIONS = 3.5  # where the start does not say
FIRST_IN_STAGES = 1.34  # about 1 where each takes seconds, up to
MOST_FIRST_IN_STAGES = 1.7  # where it is a fraction of one
SCORE_S = 0.09e-6  # of a number of an image against its reference; one core does that, whatever decodes
TICK_MS = 500  # between two looks at the time that is left, while nothing is told
RECENT = 6  # iterations, or stages
GUESSED_AFTER_S = 0.5  # of a first stage, where nothing else is known
GUESS = 1.15  # times what has passed of it


@dataclass(frozen=True)
class Step:
    """What the worker tells: an iteration of the start, or else that a stage is there."""

    at: float  # time.monotonic()
    stage: int = -1
    start: StartStep | None = None
    is_reused: bool = False  # kept of an earlier decode


@dataclass(frozen=True)
class Costs:
    """Seconds of an iteration, of stage 0 behind the last one, of the first stage and of a later one; None: unknown."""

    iteration_s: float | None = None
    zero_s: float | None = None
    first_s: float | None = None
    stage_s: float | None = None

    def updated(self, newer: Costs) -> Costs:
        """These, but for what `newer` ones know."""
        known = {field.name: getattr(newer, field.name) for field in fields(newer)}
        return replace(self, **{name: value for name, value in known.items() if value is not None})


class Pace:
    """The pace of one decode. It is begun when the decode begins, and takes every step, or the newest of several.

    `scoring_s` is about how long it takes to score an image, where there is a reference.
    """

    def __init__(
        self,
        num_stages: int,
        *,
        step_name: str = STAGE,
        scoring_s: float = 0.0,
        before: Costs | None = None,
        of: tuple[object, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.num_stages, self.step_name, self.of, self.step = num_stages, step_name, of, Step(clock())
        self._scoring_s, self._before, self._clock = scoring_s, before or Costs(), clock
        self._began = clock()
        self._share = 0.0
        self._stage_in_iterations = STAGE_IN_ITERATIONS
        self._iterations: list[tuple[int, float]] = []
        self._stages: list[tuple[int, float]] = []  # the last one that was there before, then those that were computed
        self._zero_s: float | None = None

    def begin(self) -> None:
        """The decode begins now; it may have waited until then."""
        self._began = self._clock()
        self.step = Step(self._began)

    def take(self, step: Step) -> None:
        """Takes a step that is newer than the one before."""
        if step.start is not None:
            if self._iterations and self._iterations[-1][0] == step.start.iteration:
                self._iterations.pop()
            self._iterations.append((step.start.iteration, step.at))
            self._stage_in_iterations = step.start.stage_in_iterations or STAGE_IN_ITERATIONS
        elif step.stage > self.step.stage:
            if step.stage == 0 and self._iterations and not step.is_reused:
                self._zero_s = step.at - self._iterations[-1][1]
            if step.is_reused:
                self._stages = []
            self._stages.append((step.stage, step.at))
        else:
            return
        self.step = step

    @property
    def words(self) -> str:
        """As "Start: subspace TV, iteration 34 of 80", "Start taken from the last decode", "Stage 2 of 4"."""
        step = self.step
        if step.stage < 0:
            return "Start" if step.start is None else step.start.words
        if step.is_reused:
            return "Start taken from the last decode" if not step.stage else f"{self._stage} taken from the last decode"
        return self._stage

    @property
    def state(self) -> str:
        """The words, with the time that is left where that is known."""
        left = self.seconds_left
        return self.words if left is None else f"{self.words}  ·  {duration(left)} left"

    @property
    def part(self) -> str:
        """What is being computed, so that a cancel waits for it: an iteration of the start, or a step."""
        return "iteration" if self.step.start is not None and self.step.start.num_iterations else self.step_name

    @property
    def seconds_left(self) -> float | None:
        """What the decode still takes; None while nothing is known."""
        step, since, costs = self.step, self._clock() - self.step.at, self._expected()
        if step.stage >= self.num_stages:
            return 0.0
        if costs.first_s is None or costs.stage_s is None:
            return self._guess(since)
        later = (self.num_stages - 1) * costs.stage_s
        if step.stage >= 0:
            goes_on = len(self._stages) > 1 or self._stages[0][0] > 0  # a first stage is warmed up for
            this = costs.stage_s if goes_on else costs.first_s
            others = (self.num_stages - step.stage - 1) * costs.stage_s
            overdue = max(1.0, since / this) if this else 1.0
            return max(0.0, this - since) + others * math.sqrt(overdue)  # it is slower now, or was for a moment
        behind = (costs.zero_s or 0.0) + costs.first_s + later
        left = 0 if step.start is None else step.start.num_iterations - step.start.iteration
        if not left or costs.iteration_s is None:
            return max(costs.first_s + later, behind - since)
        return left * max(costs.iteration_s, since) - since + behind

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    @property
    def share(self) -> float:
        """How much of its time has passed, 0 to 1; it never goes back."""
        left, elapsed = self.seconds_left, self.elapsed_s
        if left is not None and elapsed + left > 0:
            self._share = max(self._share, elapsed / (elapsed + left))
        return self._share

    @property
    def seen(self) -> Costs:
        """What this decode has shown so far."""
        marks, first = self._stages, None
        if len(marks) > 1 and (marks[0][0], marks[1][0]) == (0, 1):
            first, marks = marks[1][1] - marks[0][1], marks[1:]
        return Costs(_recent(self._iterations), self._zero_s, first, _recent(marks))

    @property
    def _stage(self) -> str:
        return f"{self.step_name.capitalize()} {self.step.stage} of {self.num_stages}"

    def _guess(self, since: float) -> float | None:
        """What is left where no more is known than for how long the first stage has been computed."""
        if self.step.stage < 0 or since < GUESSED_AFTER_S:
            return None
        others = self.num_stages - self.step.stage - 1
        return GUESS * since * (1 + others / FIRST_IN_STAGES) - since

    def _expected(self) -> Costs:
        """What everything costs: as it was seen, else as before at the speed of now, else as usual."""
        seen, before = self.seen, self._before
        steady = [(getattr(seen, name), getattr(before, name)) for name in ("stage_s", "first_s", "iteration_s")]
        slower = next((now / then for now, then in steady if now and then), 1.0)
        then = [getattr(before, part.name) for part in fields(Costs)]
        costs = Costs(*(None if each is None else each * slower for each in then)).updated(seen)
        iteration = costs.iteration_s
        if costs.zero_s is None and iteration is not None:
            costs = replace(costs, zero_s=iteration + self._scoring_s)
        zero, usual = costs.zero_s or 0.0, None if iteration is None else self._stage_in_iterations * iteration
        if costs.stage_s is None and costs.first_s is not None:
            first = max(0.0, costs.first_s - zero)
            usual = first / FIRST_IN_STAGES if usual is None else min(max(usual, first / MOST_FIRST_IN_STAGES), first)
        if costs.stage_s is None and usual is not None:
            costs = replace(costs, stage_s=zero + usual)
        if costs.first_s is None and costs.stage_s is not None:
            costs = replace(costs, first_s=zero + FIRST_IN_STAGES * (costs.stage_s - zero))
        return costs


class Paces:
    """What the decodes since the program began have cost, by decoder, size of the scene and device."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._costs: dict[tuple[object, ...], Costs] = {}

    def of(self, recipe: Recipe, measurement: Measurement) -> Pace:
        """The pace of a decode that is about to begin; give it to `learn` when that has ended."""
        shape, is_scored = tuple(measurement.physics.scene_shape), measurement.reference is not None
        of = recipe.decoder, shape, is_scored, recipe.device, recipe.precision
        return Pace(
            recipe.num_stages,
            step_name=recipe.step_name,
            scoring_s=SCORE_S * math.prod(shape) if is_scored else 0.0,
            before=self._costs.get(of),
            of=of,
            clock=self.clock,
        )

    def learn(self, pace: Pace) -> None:
        """Keeps what a decode has cost."""
        self._costs[pace.of] = self._costs.get(pace.of, Costs()).updated(pace.seen)


class Timed(QObject):
    """The pace of the decodes of one part of the window, one after another, which goes on between two steps too."""

    passed = Signal()  # a step, or time: there is something new to be said of `pace`

    def __init__(self, paces: Paces, parent: QObject) -> None:
        super().__init__(parent)
        self._paces = paces
        self.pace = Pace(0)  # of the decode that is to begin, runs or ran
        self._ticks = QTimer(self, interval=TICK_MS)
        self._ticks.timeout.connect(self.passed)

    def expect(self, pace: Pace) -> None:
        """Takes the pace of the next decode, which may have to wait."""
        self.end()
        self.pace = pace

    def begin(self) -> None:
        """That decode begins now."""
        self.pace.begin()
        self._ticks.start()
        self.passed.emit()

    def take(self, step: Step) -> None:
        """Takes a step of it."""
        self.pace.take(step)
        self.passed.emit()

    def end(self) -> None:
        """It has ended, or nobody asks for it any more; what it has cost is kept."""
        self._ticks.stop()
        self._paces.learn(self.pace)


def start_words(rows: Sequence[StageResult]) -> str:
    """How the start of a decode came about, as "start by subspace TV in 2.6 s"; nothing where nobody says."""
    reused = sum(row.is_reused for row in rows)
    if reused:
        stages = f" and {plural(reused - 1, 'stage')}" if reused > 1 else ""
        return f"start{stages} taken from the last decode"
    return f"start by {rows[0].method} in {duration(rows[0].seconds)}" if rows and rows[0].method else ""


def _recent(marks: Sequence[tuple[int, float]]) -> float | None:
    """Seconds of one step, of the last few between two marks (number, time)."""
    if len(marks) < 2:
        return None
    number, at = marks[-1]
    first, since = next(mark for mark in marks if mark[0] >= number - RECENT)
    if first == number:
        first, since = marks[-2]
    return (at - since) / (number - first)

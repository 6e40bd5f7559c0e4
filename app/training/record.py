"""What the events of a training say: how far it is, and its curves."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from lorun_engine.training.events import (
    Continued,
    Finished,
    Noted,
    Paused,
    PhaseBegun,
    Remark,
    Skipped,
    Started,
    Step,
    Stopped,
    TrainEvent,
    Validated,
)

RunState = Literal["idle", "starting", "running", "pausing", "paused", "stopping", "ended"]
Outcome = Literal["", "finished", "stopped", "discarded", "broken"]

RECENT = 20  # steps from which the time left is estimated


@dataclass(frozen=True)
class TrainingProgress:
    """How far the training is. `start_psnr` is the starting set's score on the withheld scenes, `best_psnr` the best.

    `sentence` is the last thing the process said that people should read.
    """

    state: RunState = "idle"
    outcome: Outcome = ""
    step: int = 0
    num_steps: int = 0
    loss: float | None = None
    start_psnr: float | None = None
    best_psnr: float | None = None
    best_step: int | None = None
    elapsed_s: float = 0.0
    seconds_left: float | None = None
    sentence: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether a process works or waits."""
        return self.state not in ("idle", "ended")

    @property
    def gain(self) -> float | None:
        """By how much the best score exceeds that of the starting set, in dB."""
        return None if None in (self.start_psnr, self.best_psnr) else self.best_psnr - self.start_psnr


class Record:
    """The curves of one training as its events tell them, one after another."""

    def __init__(self) -> None:
        self.losses: list[tuple[int, float]] = []
        self.scores: list[tuple[int, float]] = []
        self.has_truth = True  # scores compare with true scenes, not with withheld pixels of the sensor
        self._times: deque[tuple[int, float]] = deque(maxlen=RECENT)  # step and elapsed_s of the latest steps

    def restart_clock(self) -> None:
        """Estimates the time left from the steps to come alone."""
        self._times.clear()

    def take(self, event: TrainEvent, progress: TrainingProgress) -> TrainingProgress:
        """How far the training is after an event."""
        if isinstance(event, Step):
            return self._stepped(event, progress)
        progress = replace(progress, elapsed_s=event.elapsed_s)
        if isinstance(event, Skipped | Noted | Remark):
            progress = replace(progress, sentence=event.message)
        match event:
            case Started() | PhaseBegun():
                return replace(progress, num_steps=event.num_steps)
            case Validated():
                return self._validated(event, progress)
            case Paused() | Continued():
                self.restart_clock()
                return replace(progress, state="paused" if isinstance(event, Paused) else "running", seconds_left=None)
            case Stopped() | Finished():
                return replace(progress, outcome=_outcome(event), seconds_left=None)
        return progress

    def _stepped(self, event: Step, progress: TrainingProgress) -> TrainingProgress:
        step = event.step
        while self.losses and self.losses[-1][0] >= step:  # a resumed training goes back to its checkpoint
            self.losses.pop()
        while self.scores and self.scores[-1][0] > step:
            self.scores.pop()
        self.losses.append((step, event.loss))
        while self._times and self._times[-1][0] >= step:
            self._times.pop()
        self._times.append((step, event.elapsed_s))
        return replace(
            progress,
            elapsed_s=event.elapsed_s,
            state="running" if progress.state in ("starting", "paused") else progress.state,
            outcome="",
            step=step,
            loss=event.loss,
            seconds_left=self._seconds_left(step, progress.num_steps),
        )

    def _seconds_left(self, step: int, num_steps: int) -> float | None:
        """From the latest steps, so that validations and other programs count as much as they do now."""
        if len(self._times) < 2 or not num_steps:
            return None
        (first, began), (last, now) = self._times[0], self._times[-1]
        return max(0, num_steps - step) * (now - began) / (last - first)

    def _validated(self, event: Validated, progress: TrainingProgress) -> TrainingProgress:
        name = "psnr" if "psnr" in event.metrics else "withheld_psnr"
        psnr, step = event.metrics.get(name), 0 if event.is_start else event.step
        if psnr is None or not math.isfinite(psnr):
            return progress
        self.has_truth = name == "psnr"
        self.scores = [score for score in self.scores if score[0] < step] + [(step, psnr)]
        if step == 0:
            return replace(progress, start_psnr=psnr)
        best_step, best_psnr = max(self.scores[1:] or self.scores, key=lambda score: score[1])
        return replace(progress, best_psnr=best_psnr, best_step=best_step)


def _outcome(event: Stopped | Finished) -> Outcome:
    """A training that ended early because nothing improved is as good as one that took all its steps."""
    if isinstance(event, Finished) or event.reason == "early":
        return "finished"
    return "broken" if event.reason in ("disk-full", "not-finite") else "stopped"

"""What the events of a training say: how far it is, and its curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

State = Literal["idle", "starting", "running", "pausing", "paused", "stopping", "ended"]
Outcome = Literal["", "finished", "stopped", "discarded", "broken"]

RECENT = 20  # steps from which the time left is estimated


@dataclass(frozen=True)
class Progress:
    """How far the training is. `start_psnr` is the starting set's score on the withheld scenes, `best_psnr` the best.

    `sentence` is the last thing the process said that people should read.
    """

    state: State = "idle"
    outcome: Outcome = ""
    step: int = 0
    num_steps: int = 0
    loss: float | None = None
    start_psnr: float | None = None
    best_psnr: float | None = None
    best_step: int | None = None
    elapsed_s: float = 0.0
    seconds_left: float | None = None
    memory_bytes: int | None = None
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
        self._times: list[tuple[int, float]] = []  # step and elapsed_s of the latest steps

    def restart_clock(self) -> None:
        """Estimates the time left from the steps to come alone."""
        self._times = []

    def take(self, event: Mapping[str, Any], progress: Progress) -> Progress:
        """How far the training is after an event; of a version that says more it is understood as far as that goes."""
        kind, step, message = event["event"], _whole(event.get("step")), event.get("message")
        noted = {"sentence": message} if isinstance(message, str) else {}
        elapsed_s = _finite(event.get("elapsed_s"))
        if elapsed_s is not None:
            noted["elapsed_s"] = elapsed_s
        noted |= {name: event[name] for name in ("num_steps", "memory_bytes") if _whole(event.get(name))}
        if kind == "step" and step is not None:
            noted |= self._stepped(step, event, progress)
        elif kind == "validated" and step is not None:
            noted |= self._validated(0 if event.get("is_start") is True else step, event.get("metrics"))
        elif kind in ("paused", "continued"):
            noted |= {"state": "paused" if kind == "paused" else "running", "seconds_left": None}
            self.restart_clock()
        elif kind in ("stopped", "finished"):
            noted |= {"outcome": _outcome(kind, event.get("reason")), "seconds_left": None}
        return replace(progress, **noted)

    def _stepped(self, step: int, event: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        while self.losses and self.losses[-1][0] >= step:  # a resumed training goes back to its checkpoint
            self.losses.pop()
        self.scores = [score for score in self.scores if score[0] <= step]
        loss, elapsed_s = _finite(event.get("loss")), _finite(event.get("elapsed_s"))
        if loss is not None:
            self.losses.append((step, loss))
        if elapsed_s is not None:
            self._times = [time for time in self._times if time[0] < step][1 - RECENT :] + [(step, elapsed_s)]
        return {
            "state": "running" if progress.state in ("starting", "paused") else progress.state,
            "outcome": "",
            "step": step,
            "loss": loss,
            "seconds_left": self._seconds_left(step, progress.num_steps),
        }

    def _seconds_left(self, step: int, num_steps: int) -> float | None:
        """From the latest steps, so that validations and other programs count as much as they do now."""
        if len(self._times) < 2 or not num_steps:
            return None
        (first, began), (last, now) = self._times[0], self._times[-1]
        return max(0, num_steps - step) * (now - began) / (last - first)

    def _validated(self, step: int, metrics: object) -> dict[str, Any]:
        metrics = metrics if isinstance(metrics, Mapping) else {}
        name = "psnr" if "psnr" in metrics else "withheld_psnr"
        psnr = _finite(metrics.get(name))
        if psnr is None:
            return {}
        self.has_truth = name == "psnr"
        self.scores = [score for score in self.scores if score[0] < step] + [(step, psnr)]
        if step == 0:
            return {"start_psnr": psnr}
        best_step, best_psnr = max(self.scores[1:] or self.scores, key=lambda score: score[1])
        return {"best_psnr": best_psnr, "best_step": best_step}


def _outcome(kind: str, reason: object) -> Outcome:
    """A training that ended early because nothing improved is as good as one that took all its steps."""
    if kind == "finished" or reason == "early":
        return "finished"
    return "broken" if reason in ("disk-full", "not-finite") else "stopped"


def _finite(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

"""What a training tells while it goes on: one frozen event a kind, and the line of JSON that each is written as.

A line has the event's kind under "event" and the fields that are set; the fields of an `Origin` and of a `Result` stand
among the event's own. Reading passes over fields and kinds that this version does not know. It needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Literal, TypeVar, get_args

from ..schema import Seconds, json_of, made

Reason = Literal["asked", "told", "early", "disk-full", "not-finite"]
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Origin:
    """What an adaptation starts from: its title, the starting set with its hash, and the hash of the backbone."""

    name: str
    starting_set: str
    starting_hash: str
    backbone_hash: str


@dataclass(frozen=True)
class Result:
    """What an adaptation made: the scores of its best set and of the starting set, and its files in the folder."""

    metrics: Mapping[str, float]
    start_metrics: Mapping[str, float]
    path: str
    backbone_hash: str
    report: str


@dataclass(frozen=True)
class Skipped:
    """The file at `path` is not learned from; `message` says why."""

    event: ClassVar[str] = "skipped"
    elapsed_s: Seconds
    path: str
    message: str


@dataclass(frozen=True)
class Noted:
    """Something about the files that people should know."""

    event: ClassVar[str] = "noted"
    elapsed_s: Seconds
    message: str


@dataclass(frozen=True)
class Moment:
    """When something happened: after `elapsed_s` seconds of training, and after `step` (from 1) of `phase`."""

    event: ClassVar[str]
    elapsed_s: Seconds
    phase: str
    step: int


@dataclass(frozen=True)
class Remark(Moment):
    """Something that happened, in a sentence."""

    message: str


@dataclass(frozen=True)
class Started(Remark):
    """A training began or goes on: the steps of its phase, what it learns, and where; an adaptation has an `origin`."""

    event = "started"
    num_steps: int
    num_parameters: int
    device: str
    origin: Origin | None = None


@dataclass(frozen=True)
class WayChosen(Remark):
    """How the steps are computed, where the recipe left that open."""

    event = "path"


@dataclass(frozen=True)
class PhaseBegun(Moment):
    """The next phase begins, of `num_steps`."""

    event = "phase"
    num_steps: int


@dataclass(frozen=True)
class Step(Moment):
    """One update; the loss before it and the learning rate of it."""

    event = "step"
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Validated(Moment):
    """The mean figures on what is withheld; `is_start` for those of the starting set, before the first step."""

    event = "validated"
    metrics: Mapping[str, float] = field(default_factory=dict)
    is_start: bool = False
    is_best: bool = False


@dataclass(frozen=True)
class Saved(Remark):
    """A checkpoint was asked for and written, or a score was due in a phase that has none."""

    event = "saved"


@dataclass(frozen=True)
class MemoryFull(Remark):
    """The memory of the device was full; the message says what became of it."""

    event = "memory"


@dataclass(frozen=True)
class Previewed(Moment):
    """The user's capture was decoded into the file `path` of the folder; `is_start` by the starting set."""

    event = "preview"
    path: str
    is_start: bool = False


@dataclass(frozen=True)
class Paused(Remark):
    """A checkpoint was written, and the memory given back."""

    event = "paused"


@dataclass(frozen=True)
class Continued(Remark):
    """It goes on after a pause."""

    event = "continued"


@dataclass(frozen=True)
class Stopped(Remark):
    """It ended before its last step.

    `reason` is "asked", "told" (the process was), "early" (nothing improved any more), "disk-full" or "not-finite".
    """

    event = "stopped"
    reason: Reason
    result: Result | None = None


@dataclass(frozen=True)
class Discarded(Remark):
    """It was ended, and nothing of it is kept."""

    event = "discarded"


@dataclass(frozen=True)
class Finished(Remark):
    """All its steps are done."""

    event = "finished"
    result: Result | None = None


TrainEvent = (
    Skipped | Noted | Started | WayChosen | PhaseBegun | Step | Validated | Saved | MemoryFull | Previewed | Paused
    | Continued | Stopped | Discarded | Finished
)  # fmt: skip
Events = Generator[TrainEvent, str | None, None]  # of a training; it may be sent words, see `steering`
_KINDS: Mapping[str, type[TrainEvent]] = {kind.event: kind for kind in get_args(TrainEvent)}


def line_of(event: TrainEvent) -> str:
    """The event as one line of JSON, without the end of the line."""
    table: dict[str, object] = {"event": event.event}
    for entry in fields(event):
        value = getattr(event, entry.name)
        if isinstance(value, Origin | Result):
            table |= asdict(value)
        elif value is not None and value is not False:
            table[entry.name] = value
    return json.dumps(table)


def event_of(line: str | bytes) -> TrainEvent | None:
    """The event that a line tells; None for half a line, a library's warning, or an event that is not known."""
    try:
        table = json_of(line)
    except ValueError:
        return None
    name = table.get("event") if isinstance(table, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    parts = {part: _read(of, table) for part, of in (("origin", Origin), ("result", Result))}
    return _read(kind, {**table, **parts})


def _read(kind: type[_Read], table: Mapping[str, object]) -> _Read | None:
    """The dataclass that fields of a table make; None where one is missing or holds something else."""
    try:
        return made(kind, table, drops_unknown=True)
    except ValueError:
        return None

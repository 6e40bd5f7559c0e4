"""Trainings that run one after the other, as a TOML file lists them, and how each stands.

    threads = 2
    priority = 10                 # how far behind everything else, as `nice` counts (0: as everything else)

    [[training]]
    out = "runs/a"
    recipe = "cassi-small"
    data = "cubes"

    [[training]]
    resume = "runs/b"

The keys of a training are the words of `lorun train`; paths are relative to the file. How a training stands is read
from its folder. What no folder tells lies in a small file beside the queue's: which training runs, and what the failed
ones said. The process that runs the queue holds a lock beside it, so that one that was killed counts no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout

from ..errors import FileError
from ..schema import Between, Threads, json_of, read, salvaged
from .events import Discarded, Finished, Moment, Paused, PhaseBegun, Started, Stopped, TrainEvent, Validated
from .run_folder import CHECKPOINT, EARLIER, EVENTS, read_events, write_json
from .toml import read_toml

WAITING, RUNNING, PAUSED, FINISHED, FAILED = "waiting", "running", "paused", "finished", "failed"
_USUAL_PRIORITY = 10
_PATIENCE_S = 1.0  # somebody who looks at the queue holds its lock for a moment


@dataclass(frozen=True)
class _Said:
    """The tables of a queue's file."""

    training: tuple[Mapping[str, Any], ...] = ()
    threads: Threads | None = None
    priority: Annotated[int, Between(0, 19)] = _USUAL_PRIORITY


@dataclass(frozen=True)
class _Remembered:
    """The small file beside a queue."""

    running: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    """What a queue's file says. `trainings` are the words of each by their names."""

    path: Path
    trainings: tuple[Mapping[str, Any], ...]
    threads: int | None = None
    priority: int = _USUAL_PRIORITY

    @property
    def folder(self) -> Path:
        """What its paths are relative to."""
        return self.path.absolute().parent

    @property
    def memory(self) -> Path:
        """The small file beside it."""
        return self.path.with_suffix(".state.json")


@dataclass(frozen=True)
class Standing:
    """How a training stands: `state` is one of the five above, `best` its best score in dB, `step` that of `phase`."""

    name: str
    state: str
    phase: str | None = None
    step: int | None = None
    num_steps: int | None = None
    best: float | None = None
    elapsed_s: float | None = None
    message: str | None = None


def read_queue(path: Path) -> Queue:
    """The queue of a TOML file; a sentence for what it does not know."""
    table = read_toml(path, "queue")
    said = read(_Said, table, source=f"The queue {path}")
    if not said.training:
        raise FileError(f"The queue {path} lists no training. Begin each with a line [[training]].")
    return Queue(path, said.training, said.threads, said.priority)


def holds_checkpoint(run: Path) -> bool:
    """Whether a training in this folder can be resumed."""
    return any((run / name).is_file() for name in (CHECKPOINT, *EARLIER))


def standing(run: Path, *, name: str, runs: bool = False, failure: str | None = None) -> Standing:
    """How the training in the folder `run` stands; `runs` where a process is at it, `failure` what it said last."""
    events = read_events(run / EVENTS)
    state, message = _state(run, events[-1] if events else None)
    if runs:
        is_paused = bool(events) and isinstance(events[-1], Paused)
        state, message = PAUSED if is_paused else RUNNING, None
    elif failure is not None and state != FINISHED:
        state, message = FAILED, failure
    last = next((event for event in reversed(events) if isinstance(event, Moment)), None)
    if state == WAITING or last is None:
        return Standing(name, state, message=message)
    in_phase = [event for event in events if isinstance(event, Moment) and event.phase == last.phase]
    num_steps = [event.num_steps for event in in_phase if isinstance(event, Started | PhaseBegun)]
    scores = [event.metrics for event in in_phase if isinstance(event, Validated)]
    figures = [score.get("withheld_psnr", score.get("psnr")) for score in scores]
    return Standing(
        name,
        state,
        last.phase,
        last.step,
        num_steps[-1] if num_steps else None,
        max((figure for figure in figures if figure is not None), default=None),
        last.elapsed_s,
        message,
    )


def _state(run: Path, last: TrainEvent | None) -> tuple[str, str | None]:
    """The state that a folder tells of a training that nobody is at, and a sentence where it needs one."""
    if isinstance(last, Discarded):
        return FINISHED, last.message
    if not holds_checkpoint(run):
        return WAITING, None
    match last:
        case Finished():
            return FINISHED, None
        case Stopped(reason="early" | "asked"):
            return FINISHED, last.message
        case Stopped(reason="disk-full" | "not-finite"):
            return FAILED, last.message
    return PAUSED, None


class Memory:
    """What the small file beside a queue tells: the training that runs, and the sentences of the failed ones."""

    def __init__(self, path: Path, known: _Remembered) -> None:
        self._path = path
        self.running = known.running
        self.failures = dict(known.failed)

    def write(self, *, running: str | None) -> None:
        """Keeps what is known, and that `running` is the training that runs."""
        self.running = running
        write_json(self._path, {"running": running, "failed": self.failures})


@contextmanager
def held(queue: Queue) -> Iterator[Memory]:
    """The memory of a queue, which nobody else can hold until the block ends or the process does."""
    lock = _lock(queue)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout as error:
        raise FileError(f"The queue {queue.path} runs already. Look at it with --status, or end it first.") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{lock.lock_file} cannot be written: {reason}. Move the queue.") from error
    memory = Memory(queue.memory, _remembered(queue))
    try:
        yield memory
    finally:
        try:
            memory.write(running=None)
        finally:
            lock.release()


def remembered(queue: Queue) -> tuple[str | None, dict[str, str]]:
    """The name of the training that runs now, if any does, and what the failed ones said."""
    known, runs = _remembered(queue), False
    try:
        with _lock(queue).acquire(timeout=0):
            pass
    except Timeout:
        runs = True
    except (OSError, NotImplementedError):  # a folder that only others may write to
        pass
    return (known.running if runs else None), dict(known.failed)


def _lock(queue: Queue) -> FileLock:
    return FileLock(queue.path.with_suffix(".lock"))


def _remembered(queue: Queue) -> _Remembered:
    """What the small file says; nothing where there is none, or half of one."""
    try:
        return salvaged(_Remembered, json_of(queue.memory.read_bytes()))
    except (OSError, ValueError):
        return _Remembered()

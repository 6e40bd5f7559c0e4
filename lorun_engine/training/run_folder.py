"""The folder of a training: files that are whole at any moment, and a disk that is looked at before it is full."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ..errors import FileError
from ..io import beside, discard_leftovers, replacing
from .events import TrainEvent, event_of, line_of

CHECKPOINT, BEST_CHECKPOINT = "checkpoint.safetensors", "checkpoint-best.safetensors"
EARLIER = ("checkpoint-1.safetensors", "checkpoint-2.safetensors")  # the latest first
BEST = "adapters.safetensors"
START, CAMERA = "start.safetensors", "camera.safetensors"
EVENTS, DATA, RECIPE, PREVIEW, REPORT = "events.jsonl", "data.json", "recipe.toml", "preview.npz", "report.html"
COMMANDS = "commands"  # words that are added to this file are obeyed after a step
LOCK = "lock"
BACKBONE, SHARE = "backbone.safetensors", "share.safetensors"
_WRITTEN = (CHECKPOINT, BEST_CHECKPOINT, *EARLIER, BEST, BACKBONE, SHARE, START, CAMERA, DATA, RECIPE, PREVIEW, REPORT)
_LONGEST_LINE = 1 << 14  # bytes
_SPARE_BYTES = 4 << 20  # for the small files beside a checkpoint


def run_lock(run: Path) -> FileLock:
    """What one process alone holds of a training's folder, see `held`; whatever ends the process lets it go."""
    return FileLock(run / LOCK, timeout=0, thread_local=False)


@contextmanager
def held(lock: FileLock) -> Iterator[None]:
    """Holds the lock of a folder, which must be there, and removes what a process that was killed left half-written.

    Whoever holds it may do so again. Raises a FileError where another process does.
    """
    run = Path(lock.lock_file).parent
    try:
        lock.acquire()
    except Timeout as error:
        raise FileError(
            f"The training in {run} is running in another process. Wait until it ends, or choose another folder."
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"Nothing can be written to {run}: {reason}. Choose another folder.") from error
    try:
        discard_leftovers(*(run / name for name in _WRITTEN))
        yield
    finally:
        lock.release()


def require_new(run: Path) -> None:
    """Raises a FileError where a folder holds a training."""
    if (run / CHECKPOINT).exists():
        raise FileError(f"{run} already holds a training. Resume it, or choose another folder.")


def require_space(folder: Path, num_bytes: int) -> None:
    """Raises a FileError when `num_bytes` more would not fit; nothing has been touched then."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _SPARE_BYTES:
        raise FileError(
            f"The disk of {folder} is full: {free / 1e6:.1f} MB are free, {(num_bytes + _SPARE_BYTES) / 1e6:.1f} MB "
            "are needed. Free space on it."
        )


def set_aside(checkpoint: Path) -> None:
    """Keeps the checkpoint under the names of the earlier ones; it stays in its place the whole time."""
    if not checkpoint.exists():
        return
    first, second = (checkpoint.with_name(name) for name in EARLIER)
    if first.exists():
        os.replace(first, second)
    linked(checkpoint, first)


def linked(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source` (a copy where a file system has no links), in one step."""
    temporary = beside(target)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"{target} could not be written: {error.strerror or error}. Free space.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON document, in one step."""
    write_text(path, json.dumps(document, indent=1))


def write_text(path: Path, text: str) -> None:
    """Writes a text, in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_preview(
    path: Path, before: np.ndarray, after: np.ndarray, *, step: int, wavelengths_nm: np.ndarray | None
) -> None:
    """Writes the user's capture as two sets decode it, (C, H, W) each, in one step."""
    bands = {} if wavelengths_nm is None else {"wavelengths_nm": wavelengths_nm}
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, before=before, after=after, step=np.int64(step), allow_pickle=False, **bands)


def open_log(path: Path) -> FileIO:
    """The file of events, to be added to; a line that was cut off by a crash is closed first."""
    try:
        stream = open(path, "a+b", buffering=0)  # noqa: SIM115 (the caller closes it)
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}. Choose another folder.") from error
    return stream


def log_event(stream: FileIO, event: TrainEvent) -> None:
    """Adds an event to the file of events."""
    rest = memoryview(line_of(event).encode() + b"\n")
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError as error:
        raise FileError(
            f"{stream.name} could not be written: {error.strerror or error}. Free space, then go on with the training."
        ) from error


@dataclass
class EventFile:
    """The lines of an `events.jsonl` that is being written; a half-written line waits for its end."""

    path: Path
    _read: int = field(default=0, init=False)

    def new(self) -> list[TrainEvent]:
        """The events that were added since the last call; nothing is read twice."""
        return [event for line in self._lines() if (event := event_of(line)) is not None]

    def skip(self) -> None:
        """Passes over what was added since the last call."""
        self._lines()

    def _lines(self) -> list[bytes]:
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self._read)
                content = stream.read()
        except OSError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.splitlines()


def read_events(path: Path) -> list[TrainEvent]:
    """The events of a training in order; lines that were cut off are left out."""
    return EventFile(path).new()


def last_event(path: Path) -> TrainEvent | None:
    """The last event of a file, which may be long; None where there is none."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, path.stat().st_size - _LONGEST_LINE))
            lines = stream.read().splitlines()
    except OSError:
        return None
    return next((event for line in reversed(lines) if (event := event_of(line)) is not None), None)


def give_command(run: Path, command: str) -> None:
    """Tells the training in the folder `run` a command, see `steering`."""
    with open(run / COMMANDS, "a", encoding="utf-8") as file:
        file.write(f"{command}\n")

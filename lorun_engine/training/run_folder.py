"""The folder of a training: files that are whole at any moment, and a disk that is looked at before it is full."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import FileError
from ..io import replacing
from .events import TrainEvent, event_of

CHECKPOINT, BEST_CHECKPOINT = "checkpoint.safetensors", "checkpoint-best.safetensors"
EARLIER = ("checkpoint-1.safetensors", "checkpoint-2.safetensors")  # the latest first
BEST = "adapters.safetensors"
START, CAMERA = "start.safetensors", "camera.safetensors"
EVENTS, DATA, RECIPE, PREVIEW, REPORT = "events.jsonl", "data.json", "recipe.toml", "preview.npz", "report.html"
COMMANDS = "commands"  # words that are added to this file are obeyed after a step
_SPARE_BYTES = 4 << 20  # for the small files beside a checkpoint


def require_space(folder: Path, num_bytes: int) -> None:
    """Raises a FileError when `num_bytes` more would not fit; nothing has been touched then."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _SPARE_BYTES:
        raise FileError(
            f"The disk of {folder} is full: {free / 1e6:.1f} MB are free, {(num_bytes + _SPARE_BYTES) / 1e6:.1f} MB "
            "are needed. Free space, then resume the training."
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
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
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
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")


def write_preview(
    path: Path, before: np.ndarray, after: np.ndarray, *, step: int, wavelengths_nm: np.ndarray | None
) -> None:
    """Writes the user's capture as two sets decode it, (C, H, W) each, in one step."""
    bands = {} if wavelengths_nm is None else {"wavelengths_nm": wavelengths_nm}
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, before=before, after=after, step=np.int64(step), allow_pickle=False, **bands)


def open_log(path: Path) -> IO[bytes]:
    """The file of events, to be added to; a line that was cut off by a crash is closed first."""
    try:
        stream = open(path, "a+b")  # noqa: SIM115 (the caller closes it)
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}. Choose another folder.") from error
    return stream


def read_events(path: Path) -> list[TrainEvent]:
    """The events of a training in order; lines that were cut off are left out."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [event for line in lines if (event := event_of(line)) is not None]


def give_command(run: Path, command: str) -> None:
    """Tells the training in the folder `run` a command, see `steering`."""
    with open(run / COMMANDS, "a", encoding="utf-8") as file:
        file.write(f"{command}\n")

"""Scenes that were measured for real: files of the same name in two folders beside each other (see `Task.pairs`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..measurement import Measurement
from ..task import TASKS
from .folders import files_of
from .options import OpenOptions
from .roles import open_measurement


def pairs_among(paths: Iterable[Path], task: str) -> list[tuple[Path, Path]]:
    """(measurement, scene) of all that are there in both folders of the task, in order; none where it has none."""
    if not (named := TASKS[task].pairs):
        return []
    known = set(paths)
    measured, scenes = named
    twins = ((path, path.parent.parent / scenes / path.name) for path in sorted(known) if path.parent.name == measured)
    return [(path, twin) for path, twin in twins if twin in known]


def pairs_in(folder: Path, task: str) -> list[tuple[Path, Path]]:
    """The pairs of a folder that holds the two folders of its task; none where it does not."""
    folders = [folder / name for name in TASKS[task].pairs]
    if not folders or not all(inner.is_dir() for inner in folders):
        return []
    return pairs_among((path for inner in folders for path in files_of(inner)), task)


def measured_beside(path: Path, scene: Path, options: OpenOptions) -> Measurement:
    """The real measurement of a scene, which is its reference."""
    roles = ((str(path), "measurement"), (str(scene), "reference"))
    return open_measurement([path, scene], replace(options, roles=roles))

"""Scenes that were measured for real: files of the same name in two folders beside each other (see `Task.pairs`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ..measurement import Measurement
from ..task import TASKS
from .folders import files_of
from .options import OpenOptions
from .roles import open_measurement
from .scales import FullScales


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


def scene_beside(path: Path, task: str) -> Path | None:
    """The scene of a measurement in the task's folder of measurements; None where there is none of its name."""
    if not (named := TASKS[task].pairs) or path.parent.name != named[0]:
        return None
    scene = path.parent.parent / named[1] / path.name
    return scene if scene.is_file() else None


def without_scenes(paths: Sequence[Path], task: str) -> tuple[Path, ...]:
    """The files but for the scenes of measurements among them, which go with those."""
    scenes = {scene for path in paths if (scene := scene_beside(path, task)) is not None}
    return tuple(path for path in paths if path not in scenes)


def counted(num_pairs: int, task: str) -> str:
    """As "12 pairs: a measurement in low with the scene of its name in high."; nothing where there are none."""
    if not num_pairs or not (named := TASKS[task].pairs):
        return ""
    measured, scenes = named
    pairs = "1 pair" if num_pairs == 1 else f"{num_pairs} pairs"
    return f"{pairs}: a measurement in {measured} with the scene of its name in {scenes}."


def measured_beside(
    path: Path, scene: Path, options: OpenOptions, *, full_scales: FullScales = MappingProxyType({})
) -> Measurement:
    """The real measurement of a scene, which is its reference."""
    roles = ((str(path), "measurement"), (str(scene), "reference"))
    return open_measurement([path, scene], replace(options, roles=roles), full_scales=full_scales)

"""What the files of every task mean: what a task's module in this folder offers, and how the task of files is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from ..errors import FileError
from ..measurement import Measurement
from ..task import DEFAULT, TASKS
from .options import COMMON, OpenOptions, Option
from .readers import FoundArray
from .resolved import Resolved, RoleRow, Said

if TYPE_CHECKING:
    from ..tasks.camera import Camera


class Reading(Protocol):
    """What a task's module offers.

    `ROLES` maps every role to the keys in circulation, `NUM_AXES` to how many axes longer than 1 such an array has,
    `FILE_WORDS` to words in file names, `AXES` to the axes of arrays whose file does not label them. `COMPANIONS` maps
    roles whose files have a flag of their own to its help. `OPTIONS` are the corrections that mean something for the
    task, its own before the common ones; `CHANGES` those that a "what if" offers, `OF_CAMERA` the names of those that
    `cameras` heeds. `GEOMETRY` is the class of what files are resolved to.
    """

    ROLES: Mapping[str, tuple[str, ...]]
    NUM_AXES: Mapping[str, tuple[int, ...]]
    FILE_WORDS: Mapping[str, tuple[str, ...]]
    AXES: Mapping[str, str]
    COMPANIONS: Mapping[str, str]
    OPTIONS: tuple[Option, ...]
    CHANGES: tuple[Option, ...]
    OF_CAMERA: tuple[str, ...]
    GEOMETRY: type

    def claims(self, found: Sequence[FoundArray], options: OpenOptions) -> bool:
        """Whether opened files that state no task are of this one."""

    def by_shape(
        self, found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
    ) -> list[tuple[int, str, str]]:
        """(number, role, reason) for arrays of `free` (the largest first) that their shape tells."""

    def prepared(self, arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
        """The arrays by role as corrections of single arrays leave them, whether a measurement comes about or not."""

    def resolve(
        self, rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Any
    ) -> Resolved:
        """The complete geometry and arrays that fit it; a GeometryError says what is amiss.

        `hints` is a geometry that was resolved before, or None.
        """

    def measurement(
        self,
        arrays: Mapping[str, np.ndarray],
        geometry: Any,
        *,
        path: Any,
        input_scale: float | None,
        notes: tuple[str, ...],
    ) -> Measurement:
        """The Measurement of resolved arrays; loads torch."""

    def told(self, geometry: Any, measurement: Measurement) -> Any:
        """The geometry with what became known of it when the measurement was made."""

    def cameras(self, said: Said) -> Mapping[str, Camera]:
        """The instruments that were described, by a label where there are several, else ""; loads torch."""

    def described(self, geometry: Any) -> str:
        """The geometry in one line."""

    def stored(self, measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
        """(name, array, axes) of what a measurement file holds beside y and the reference, and its attributes."""


def reading_of(task: str) -> Reading:
    """How the files of a task are read."""
    return cast(Reading, TASKS[task].part(TASKS[task].files_at))


def all_options() -> list[Option]:
    """The rows of all tasks, each once: those of every task in turn, then those that are shared."""
    own = [option for task in TASKS for option in reading_of(task).OPTIONS]
    return list(dict.fromkeys([*(option for option in own if option not in COMMON), *COMMON]))


def flag_of(field: str) -> str:
    """The flag of a field of OpenOptions or of a word for commands that measure scenes; of others the usual one."""
    every = [option for task in TASKS for option in (*reading_of(task).OPTIONS, *reading_of(task).CHANGES)]
    return next((option.flag for option in every if option.field == field), f"--{field.replace('_', '-')}")


def all_fields() -> set[str]:
    """The fields of all rows of all tasks."""
    return {option.field for task in TASKS for option in (*reading_of(task).OPTIONS, *reading_of(task).CHANGES)}


def all_companions() -> tuple[str, ...]:
    """The roles of all tasks whose files have a flag of their own, and the reference."""
    return tuple(dict.fromkeys([*(role for task in TASKS for role in reading_of(task).COMPANIONS), "reference"]))


def task_of(found: Sequence[FoundArray], options: OpenOptions) -> str:
    """The task of opened files: the user's word, the files', else the one that claims what they hold."""
    stated = options.task or next((e.attributes["task"] for e in found if "task" in e.attributes), None)
    if stated is not None:
        if stated not in TASKS:
            raise FileError(f"The task {stated!r} is not known; {', '.join(TASKS)} was expected. Correct --task.")
        return str(stated)
    return next((task for task in TASKS if reading_of(task).claims(found, options)), DEFAULT)

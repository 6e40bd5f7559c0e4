"""Files opened and understood, together with the decoder that suits them; for the worker thread, it loads torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from lorun_engine.errors import AmbiguousGeometry, LorunError, SeveralCaptures
from lorun_engine.io import OpenOptions, RoleTable, inspect
from lorun_engine.io.reading import reading_of
from lorun_engine.io.roles import with_measurement
from lorun_engine.io.scales import OF_FOLDER, FullScales
from lorun_engine.measurement import Measurement
from lorun_engine.task import TASKS, Task

from ..resources import resource_path
from .decoders import Choice, Decoders, Fit, first_fit

# Roles that belong to one measurement; all others, such as the mask, stay with the instrument.
OF_ONE_MEASUREMENT = {"measurement", "reference", "wavelengths", "guide", "response"}
ALONE: FullScales = MappingProxyType({})  # of files that share no full scale with others


@dataclass(frozen=True)
class Kept:
    """What goes with a measurement without having been opened or said with it.

    `files` are those of the capture before, such as its mask; `options` are corrections made for other files of the
    folder.
    """

    files: tuple[Path, ...] = ()
    options: OpenOptions = OpenOptions()

    def still(self, paths: tuple[Path, ...], options: OpenOptions) -> Kept:
        """What of it holds for these files and corrections."""
        names = [field.name for field in fields(OpenOptions)]
        same = {name: getattr(options, name) for name in names if getattr(options, name) == getattr(self.options, name)}
        return Kept(tuple(path for path in self.files if path in paths), OpenOptions(**same))


@dataclass(frozen=True)
class Offer:
    """Another task that a picture may be of, and the sentence that says why."""

    task: Task
    sentence: str


def offer_of(table: RoleTable) -> Offer | None:
    """What a picture that was opened may be besides; None where a file or the user has said what it is."""
    y, row = table.array("measurement"), table.row("measurement")
    if y is None or row is None or table.options.task or TASKS[table.task].measures != "picture":
        return None
    if "task" in row.found.attributes:
        return None
    for task in TASKS.values():
        if task.offered_at is not None and task.name != table.task and (sentence := task.part(task.offered_at)(y)):
            return Offer(task, sentence)
    return None


@dataclass(frozen=True)
class Opened:
    """What became of `paths` under `options`; without a measurement `problem` says why there is none."""

    paths: tuple[Path, ...]
    options: OpenOptions
    role_table: RoleTable
    measurement: Measurement | None
    problem: LorunError | None
    choice: Choice | None = None
    fit: Fit | None = None

    def kept_besides(self, asked: tuple[Path, ...]) -> tuple[Path, ...]:
        """The files that go with the measurement among those `asked` for; none where they were to join another."""
        row = self.role_table.row("measurement")
        is_asked = row is not None and row.found.path in asked
        return tuple(path for path in self.paths if path not in asked) if is_asked else ()


def open_files(
    paths: tuple[Path, ...],
    options: OpenOptions,
    keep: RoleTable | None,
    decoders: Decoders,
    decoder_name: str | None,
    full_scales: FullScales = ALONE,
) -> Opened:
    """`paths` read and understood, see `understood`.

    With the measurement comes the decoder of this name, or else the first one that suits it.
    """
    paths, options, table = understood(paths, options, keep, full_scales)
    if table.problem is not None:
        return Opened(paths, options, table, None, table.problem)
    try:
        table, measurement = with_measurement(table)
    except LorunError as error:
        return Opened(paths, options, table, None, error)
    choices = [choice for choice in decoders.choices() if choice.task == measurement.task]
    wanted = [choice for choice in choices if choice.name == decoder_name]
    choice, fit = first_fit(decoders, wanted or choices, measurement)
    return Opened(paths, options, table, measurement, None, choice, fit)


def understood(
    paths: tuple[Path, ...], options: OpenOptions, keep: RoleTable | None, full_scales: FullScales = ALONE
) -> tuple[tuple[Path, ...], OpenOptions, RoleTable]:
    """What `paths` hold, as (files, options, table); where they do not suffice, together with what `keep` has besides.

    `full_scales` are those that the files share with others of their folder.
    """
    table = inspect(list(paths), _for_files(options, paths), full_scales=full_scales)
    if keep is not None and (more := _completed(paths, table, keep)) != paths:
        together = inspect(list(more), _for_files(options, more), full_scales=full_scales)
        makes_sense = together.problem is None or isinstance(together.problem, AmbiguousGeometry | SeveralCaptures)
        if makes_sense and (table.problem is not None or together.task == keep.task):
            paths, table = more, together
    return paths, _for_files(options, paths), table


def shared_scales_of(table: RoleTable | None) -> dict[str, float]:
    """The full scales of integers that were taken from the other files of a folder, by the type of number."""
    rows = () if table is None else table.rows
    return {row.dtype: row.scale for row in rows if row.scale_reason.endswith(OF_FOLDER)}


def is_built_in(paths: Sequence[Path]) -> bool:
    """Whether files are a sample of the program's own."""
    return bool(paths) and paths[0].parent == resource_path("samples")


def without_arrays(table: RoleTable) -> RoleTable:
    """Which file had which role; what the files hold may leave the memory."""
    rows = tuple(replace(row, found=replace(row.found, array=np.empty(0))) for row in table.rows)
    return replace(table, rows=rows, arrays={})


def companions_of(keep: RoleTable | None) -> tuple[Path, ...]:
    """The files of a measurement that stay with the instrument, such as its mask."""
    if keep is None:
        return ()
    companions = set(reading_of(keep.task).ROLES) - OF_ONE_MEASUREMENT
    return tuple(path for path, has in _held(keep).items() if has <= companions)


def _completed(paths: tuple[Path, ...], table: RoleTable, keep: RoleTable) -> tuple[Path, ...]:
    """`paths` with those files of `keep` that hold what a measurement needs besides, and nothing that it has already.

    A capture takes over the mask, samples their matrix, a picture its kernel; a mask, a matrix or a reference joins
    the measurement with everything that belongs to it.
    """
    brought = {row.role for row in table.rows if row.role}
    companions = set(reading_of(keep.task).ROLES) - OF_ONE_MEASUREMENT
    if {"measurement", *companions} <= brought:
        return paths
    wanted = companions if "measurement" in brought else set(reading_of(table.task).ROLES) - brought
    return (*paths, *(path for path, has in _held(keep).items() if has <= wanted and path not in paths))


def _held(table: RoleTable) -> Mapping[Path, set[str]]:
    """The roles that every file has."""
    held: dict[Path, set[str]] = {}
    for row in table.rows:
        if row.role:
            held.setdefault(row.found.path, set()).add(row.role)
    return held


def _for_files(options: OpenOptions, paths: tuple[Path, ...]) -> OpenOptions:
    """`options` without the roles of files that are not among `paths`: they were remembered for others."""
    names = {str(path) for path in paths}
    roles = tuple((selector, role) for selector, role in options.roles if selector.split("::")[0] in names)
    return replace(options, roles=roles)

"""Several captures in one array or file: which one is meant is a choice, `--key NAME[:N]`, never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import GeometryError, SeveralCaptures, by
from ..task import TASKS
from .options import OpenOptions
from .readers import FoundArray
from .reading import reading_of

HIGHEST_OF_ALL = "highest_of_all"  # the attribute with the highest number of an array that a capture was taken from


def key_and_number(key: str | None) -> tuple[str | None, int | None]:
    """The name of an array and the number, from 1, of a capture in it: "meas:2" is ("meas", 2), ":2" (None, 2)."""
    match = re.fullmatch(r"(.*):([1-9]\d{0,8})", key or "", re.DOTALL)
    return (match[1] or None, int(match[2])) if match else (key, None)


def captured(
    found: Sequence[FoundArray], options: OpenOptions, task: str, number: int | None
) -> tuple[list[FoundArray], SeveralCaptures | None]:
    """`found` with one capture in the place of every array that holds several, and the choice that is open.

    `number` is the one that the user wants of the first such array; without one the first stands for all.
    """
    chosen, problem, wanted = [], None, number
    for entry in found:
        axis = _axis_of_captures(entry, found, options, task)
        if axis is None:
            chosen.append(entry)
            continue
        count = entry.array.shape[axis]
        asked = _number_said(entry, options) or wanted
        if asked is None or asked > count:
            problem = problem or _several(entry, count, asked)
        chosen.append(part_of(entry, axis, asked if asked is not None and asked <= count else 1))
        wanted = None
    if wanted is not None:
        raise GeometryError(
            f"{found[0].path.name} holds no array of several captures; number {wanted} was asked for. Leave it out."
        )
    return chosen, problem


def last_name(entry: FoundArray) -> str:
    """The last part of an array's key in lower case: "kernels" for "data/kernels[3]", "meas" for "meas:2"."""
    return re.sub(r"(\[\d+\])?(:\d+)?$", "", entry.key.lower().split("/")[-1])


def is_longer(snapshot: tuple[int, ...] | None, mask: tuple[int, ...] | None) -> bool:
    """Whether a snapshot is larger than a mask in one direction and equal in the other."""
    if snapshot is None or mask is None or len(snapshot) != 2 or len(mask) != 2:
        return False
    more = (snapshot[0] - mask[0], snapshot[1] - mask[1])
    return min(more) == 0 and max(more) > 0


def part_of(entry: FoundArray, axis: int, number: int) -> FoundArray:
    """The capture `number`, from 1, along an axis of an array."""
    axes = entry.axes[:axis] + entry.axes[axis + 1 :] if entry.axes else ""
    is_whole = entry.array.dtype.kind in "iu"
    return replace(
        entry,
        key=f"{entry.key}:{number}",
        array=entry.array.take(number - 1, axis),
        axes="YX" if entry.array.ndim == 3 else axes,
        attributes={**entry.attributes, **({HIGHEST_OF_ALL: float(entry.array.max())} if is_whole else {})},
        notes=(*entry.notes, f"{_name(entry)}: capture {number} of {entry.array.shape[axis]} is used."),
    )


def one_scene(entry: FoundArray, number: int | None, *, is_photograph: bool) -> FoundArray:
    """The scene of an array, of several in one array that of the number; pages of a cube are its bands."""
    axis = entry.axes.index("T") if "T" in entry.axes else 0
    if entry.array.ndim != 4 and not ("T" in entry.axes and is_photograph):
        if number is not None:
            raise GeometryError(f"{_name(entry)} holds one scene; number {number} was asked for. Leave it out.")
        return entry
    count = entry.array.shape[axis]
    if number is None or number > count:
        raise _several(entry, count, number, what="scenes")
    return part_of(entry, axis, number)


def other_captures(
    found: Sequence[FoundArray], taken: FoundArray, roles: Sequence[str | None], task: str
) -> SeveralCaptures | None:
    """The choice among arrays of one file that are as good a measurement as the one that was `taken`.

    `roles` are those of `found`: an array with another role is none, nor is one without the name of a measurement
    where the one that was taken has it.
    """
    is_named = last_name(taken) in reading_of(task).ROLES["measurement"]

    def is_rival(entry: FoundArray, role: str | None) -> bool:
        is_alike = entry.path == taken.path and entry.array.shape == taken.array.shape and bool(entry.key)
        return role is None and is_alike and not (is_named and last_name(entry) != last_name(taken))

    rivals = [entry for entry, role in zip(found, roles, strict=True) if entry is taken or is_rival(entry, role)]
    if len(rivals) < 2:
        return None
    keys = tuple(entry.key for entry in rivals)
    listed = ", ".join(keys[:6]) + (", ..." if len(keys) > 6 else "")
    return SeveralCaptures(
        f"{taken.path.name} holds {len(keys)} captures: {listed}. Choose one with --key {keys[0]}.", keys
    )


def _several(entry: FoundArray, count: int, number: int | None, *, what: str = "captures") -> SeveralCaptures:
    keys = tuple(f"{entry.key}:{n}" for n in range(1, count + 1))
    asked = "" if number is None else f"; number {number} was asked for"
    return SeveralCaptures(
        f"{_name(entry)} is {by(entry.array.shape)}: {count} {what}{asked}. Choose one, e.g. with --key {keys[0]}.",
        keys,
    )


def _name(entry: FoundArray) -> str:
    return f"{entry.path.name}, {entry.key}" if entry.key else entry.path.name


def _axis_of_captures(entry: FoundArray, found: Sequence[FoundArray], options: OpenOptions, task: str) -> int | None:
    """The axis along which an array holds several measurements; None where it holds one thing."""
    role = _role(entry, options, task)
    if options.cube_axes is not None or "adapter" in entry.attributes or role not in (None, "measurement"):
        return None
    if TASKS[task].measures == "picture":
        return _axis_of_pictures(entry)
    if TASKS[task].measures != "plane" or entry.array.ndim != 3 or 1 in entry.array.shape:
        return None
    if "T" in entry.axes:
        return entry.axes.index("T")
    others = [other for other in found if other is not entry]
    if role is None and any(_role(other, options, task) == "measurement" for other in others):
        return None
    shape, fields = entry.array.shape, {plane for other in others for plane in _planes(other.array.squeeze().shape)}
    longer = [axis for axis in range(3) if any(is_longer(_without(shape, axis), field) for field in fields)]
    if len(longer) == 1 and _without(shape, longer[0]) not in fields:
        return longer[0]
    return int(np.argmin(shape)) if role == "measurement" and not entry.axes else None


def _axis_of_pictures(entry: FoundArray) -> int | None:
    """The axis along which an array holds several pictures, grey or in three colours."""
    if "T" in entry.axes:
        return entry.axes.index("T")
    if entry.array.ndim == 4 and 1 not in entry.array.shape:
        return 0
    return None


def _role(entry: FoundArray, options: OpenOptions, task: str) -> str | None:
    """The role that the user or its name gives an array, or None."""
    said = next((role for key, role in _said(entry, options) if key_and_number(key)[0] in (None, entry.key)), None)
    keys = reading_of(task).ROLES
    return said or next((role for role, names in keys.items() if last_name(entry) in names), None)


def _number_said(entry: FoundArray, options: OpenOptions) -> int | None:
    """The capture of an array that a selector of the roles names."""
    said = (key_and_number(key) for key, _ in _said(entry, options))
    return next((number for key, number in said if (key or "") == entry.key and number is not None), None)


def _said(entry: FoundArray, options: OpenOptions) -> list[tuple[str | None, str]]:
    """(key or None, role) of what the user says of the file of an array."""
    parts = [(*selector.partition("::"), role) for selector, role in options.roles]
    return [(key or None, role) for file, _, key, role in parts if file in (str(entry.path), entry.path.name)]


def _planes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The planes of an image or a cube."""
    return [shape] if len(shape) == 2 else [_without(shape, axis) for axis in range(3)] if len(shape) == 3 else []


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]

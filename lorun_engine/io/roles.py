"""What every array of the opened files was taken for, why, and how to correct it: the role table.

Roles are told by what the user said, then by our own files' names, then by the keys in circulation, then by shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..errors import AmbiguousGeometry, FileError, GeometryError, LorunError, SeveralCaptures
from ..measurement import Measurement, Scene
from ..task import DEFAULT, TASKS
from .captures import captured, key_and_number, last_name, one_scene, other_captures
from .cassi_bands import named_wavelengths
from .cassi_geometry import Geometry
from .options import NO_CORRECTIONS, OpenOptions
from .readers import FoundArray, as_nanometres, is_wavelengths, read
from .reading import Reading, reading_of, task_of
from .resolved import SCENE_KEYS, RoleRow, kernel_image
from .scales import FullScales, scale_of
from .units import WAVELENGTH_KEYS

UNUSED = "unused"
RESULT_KEYS = ("pred", "res", "recon", "x_rec", "stages", "initial")  # what decoders write
MOST_BANDS_LAST = 64  # a last axis up to this length is taken for the spectral one
SAID = "as you said"


@dataclass(frozen=True)
class RoleTable:
    """Everything that was understood of the opened files.

    `geometry` is the task's own record, None until it is known; `problem` is the sentence that stands in the way of a
    measurement; among `solutions`, (num_bands, step) pairs, or `captures`, keys of the file, the user may choose.
    """

    rows: tuple[RoleRow, ...]
    options: OpenOptions
    task: str = DEFAULT
    geometry: Any = None
    notes: tuple[str, ...] = ()
    problem: LorunError | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    input_scale: float | None = None

    @property
    def solutions(self) -> tuple[tuple[int, float], ...]:
        """The band counts and steps that all explain the sizes."""
        return self.problem.solutions if isinstance(self.problem, AmbiguousGeometry) else ()

    @property
    def captures(self) -> tuple[str, ...]:
        """The captures that the file holds, as `OpenOptions.key` names them, where one is to be chosen."""
        return self.problem.keys if isinstance(self.problem, SeveralCaptures) else ()

    def choosing(self, capture: str) -> OpenOptions:
        """The corrections with which one of the `captures` is the measurement."""
        row = self.row("measurement")
        files = () if row is None else (str(row.found.path), row.found.path.name)
        rest = (pair for pair in self.options.roles if pair[1] != "measurement" or pair[0].split("::")[0] not in files)
        return replace(
            self.options, key=None, roles=(*rest, *((f"{file}::{capture}", "measurement") for file in files[:1]))
        )

    def row(self, role: str) -> RoleRow | None:
        """The row that has this role."""
        return next((row for row in self.rows if row.role == role), None)

    def array(self, role: str) -> np.ndarray | None:
        """The array of this role, bands first, scaled, flipped and turned as asked; None where there is none."""
        return self.arrays.get(role)

    def measurement(self) -> Measurement:
        """The measurement; raises the problem where there is one."""
        if self.problem is not None:
            raise self.problem
        row = self.row("measurement")
        if row is None:
            raise GeometryError("No measurement was found among the opened files. Add it.")
        return reading_of(self.task).measurement(
            self.arrays, self.geometry, path=row.found.path, input_scale=self.input_scale, notes=self.notes
        )


def with_measurement(table: RoleTable) -> tuple[RoleTable, Measurement]:
    """The measurement, and the table with what became known when it was made; raises the problem where there is one."""
    measurement = table.measurement()
    geometry = reading_of(table.task).told(table.geometry, measurement)
    return replace(table, geometry=geometry, notes=measurement.notes), measurement


def inspect(
    paths: Sequence[Path | str],
    options: OpenOptions = NO_CORRECTIONS,
    *,
    hints: Geometry | None = None,
    full_scales: FullScales = MappingProxyType({}),
) -> RoleTable:
    """The role table of some files. Raises a LorunError for files that cannot be read or corrections that mean nothing;
    a misfit is the table's `problem`.

    `hints` is what an adapter set or an earlier answer knows of the instrument; options and files come first. `key`
    of the options chooses among the arrays of the first file, and among the captures of one. `full_scales` are those
    that the file shares with others of its folder.
    """
    rows, task, problem = _understood(paths, options, hints, full_scales)
    reading = reading_of(task)
    hints = hints if isinstance(hints, reading.GEOMETRY) else None
    notes = [note for row in rows for note in row.found.notes]
    notes += [f"{row.found.path.name}: {row.scale_reason}" for row in rows if row.role and row.scale != 1]
    arrays: Mapping[str, np.ndarray] = {}
    geometry, input_scale = None, None
    with np.errstate(all="ignore"):  # what is not finite, or too large, is refused in words
        try:
            arrays = {row.role: row.values() for row in rows if row.role and row.role != "wavelengths"}
            arrays = reading.prepared(arrays, options)
            resolved = reading.resolve(rows, arrays, options, hints)
            arrays, geometry, input_scale = resolved.arrays, resolved.geometry, resolved.input_scale
            notes += resolved.notes
        except LorunError as error:
            problem = problem or error
    return RoleTable(
        rows=tuple(rows),
        options=options,
        task=task,
        geometry=geometry,
        notes=tuple(dict.fromkeys(notes)),
        problem=problem,
        arrays=arrays,
        input_scale=input_scale,
    )


def role_rows(
    paths: Sequence[Path | str], options: OpenOptions = NO_CORRECTIONS, *, hints: Geometry | None = None
) -> list[RoleRow]:
    """What every array of some files is taken for, whatever comes of it."""
    return _understood(paths, options, hints, {})[0]


def _understood(
    paths: Sequence[Path | str], options: OpenOptions, hints: Geometry | None, full_scales: FullScales
) -> tuple[list[RoleRow], str, LorunError | None]:
    """The rows of some files, their task, and the choice that is open among their captures."""
    if not paths:
        raise FileError("No file was given. Open a snapshot and its mask, samples and their matrix, or a picture.")
    first, *more = dict.fromkeys(Path(path) for path in paths)
    key, number = key_and_number(options.key)
    found = [*read(first, key=key, besides=_companion_names()), *(entry for path in more for entry in read(path))]
    if key is not None:
        options = _with_key(options, first, key if number is None else f"{key}:{number}")
    task = task_of(found, options)
    hints = hints if isinstance(hints, reading_of(task).GEOMETRY) else None
    found, problem = captured(found, options, task, number if key is None else None)
    rows = _rows(found, options, task, hints, full_scales)
    taken = next((n for n, row in enumerate(rows) if row.role == "measurement"), None)
    if problem is None and key is None and taken is not None and rows[taken].reason != SAID:
        problem = other_captures(found, found[taken], [row.role for row in rows], task)
    return rows, task, problem


def _companion_names() -> frozenset[str]:
    """What is read beside an array that was chosen by its key: what is called something else than a measurement."""
    roles = (pair for task in TASKS for pair in reading_of(task).ROLES.items())
    return frozenset(name for role, names in roles if role != "measurement" for name in names)


def _with_key(options: OpenOptions, first: Path, key: str) -> OpenOptions:
    """`options` in which the array `key` has the role that was said of the whole first file, or is the measurement."""
    whole = {role for selector, role in options.roles if selector in (str(first), first.name)}
    rest = tuple(pair for pair in options.roles if pair[0] not in (str(first), first.name))
    return replace(options, roles=((f"{first}::{key}", next(iter(whole), "measurement")), *rest))


def open_measurement(
    paths: Sequence[Path | str],
    options: OpenOptions = NO_CORRECTIONS,
    *,
    hints: Geometry | None = None,
    full_scales: FullScales = MappingProxyType({}),
) -> Measurement:
    """The measurement that some files make together; a LorunError says what is missing or does not fit."""
    return inspect(paths, options, hints=hints, full_scales=full_scales).measurement()


def open_companion(path: Path | str, role: str, options: OpenOptions) -> np.ndarray:
    """The array of a file that belongs to measurements, such as a "mask" or a "sampling" matrix, corrected as asked."""
    array = inspect([path], replace(options, roles=((str(path), role),))).array(role)
    if array is None:
        raise FileError(f"{path} holds no array that could be a {role}. Choose another file.")
    return array


def open_scene(
    path: Path | str,
    options: OpenOptions = NO_CORRECTIONS,
    *,
    num_bands: int | None = None,
    field: tuple[int, int] | None = None,
    full_scales: FullScales = MappingProxyType({}),
) -> Scene:
    """The cube or image of a file as a Scene: linear, (C, H, W) float32, integers divided by their full scale.

    `num_bands` and the (height, width) of a mask, `field`, tell the axes of a cube whose file does not. `full_scales`
    are those that the file shares with others of its folder.
    """
    row, wavelengths_nm = scene_row(path, options, num_bands=num_bands, field=field, full_scales=full_scales)
    with np.errstate(all="ignore"):
        image = row.values()
    image = image[None] if image.ndim == 2 else image
    if options.num_bands is not None and len(image) != options.num_bands:
        raise GeometryError(
            f"{Path(path).name} has {len(image)} bands; {options.num_bands} were asked for. Correct their number, or "
            "give the axes of the cube."
        )
    if wavelengths_nm is not None and len(wavelengths_nm) != len(image):
        raise GeometryError(
            f"{Path(path).name} has {len(image)} bands and {len(wavelengths_nm)} wavelengths. "
            "Give the axes of the cube or another list of wavelengths."
        )
    if wavelengths_nm is not None:
        order = np.argsort(wavelengths_nm, kind="stable")
        image, wavelengths_nm = np.ascontiguousarray(image[order]), wavelengths_nm[order]
    notes = [*row.found.notes, *([f"{row.found.path.name}: {row.scale_reason}"] if row.scale != 1 else [])]
    source = str(row.found.attributes.get("source", ""))
    return Scene(image, wavelengths_nm, source=source, path=Path(path), notes=tuple(notes))


def scene_row(
    path: Path | str,
    options: OpenOptions = NO_CORRECTIONS,
    *,
    num_bands: int | None = None,
    field: tuple[int, int] | None = None,
    full_scales: FullScales = MappingProxyType({}),
) -> tuple[RoleRow, np.ndarray | None]:
    """The array of a file that is its scene, and its wavelengths in nm where they are known, band by band."""
    key, number = key_and_number(options.key)
    task = options.task or DEFAULT
    found = [_squeezed(entry) for entry in read(path, key=key, besides=WAVELENGTH_KEYS)]
    images = [entry for entry in found if entry.array.ndim in (2, 3, 4)]
    cubes = next((some for n in (3, 4, 2) if (some := [entry for entry in images if entry.array.ndim == n])), [])
    if not cubes:
        raise FileError(f"{Path(path).name} holds no cube or image. Choose a file with one.")
    keyed = [entry for entry in images if last_name(entry) in SCENE_KEYS]
    keyed.sort(key=lambda entry: SCENE_KEYS.index(last_name(entry)))
    chosen = keyed[0] if keyed else max(cubes, key=lambda entry: entry.array.size)
    chosen = one_scene(chosen, number, is_photograph=TASKS[task].is_photograph)
    wavelengths_nm = _stated_wavelengths(chosen, found, options)
    known = _count(wavelengths_nm) or options.num_bands or num_bands
    if known is None and TASKS[task].is_photograph:
        known = max(TASKS[task].channels)
    images_of = [] if field is None else [field]
    row = _row(chosen, "scene", "the cube of the file", (options, task, full_scales), num_bands=known, images=images_of)
    return row, wavelengths_nm


# ---- roles -------------------------------------------------------------------------------------------------------


class _Guess(NamedTuple):
    """A role, or None, with its reason; the smallest `rank` wins where several arrays claim one role."""

    rank: int
    role: str | None
    reason: str


def _assigned(found: Sequence[FoundArray], options: OpenOptions, task: str) -> list[_Guess]:
    """What every array is taken for; each role is given once, to the array with the strongest reason."""
    reading = reading_of(task)
    unknown = {role for _, role in options.roles} - {*reading.ROLES, UNUSED}
    if unknown:
        raise GeometryError(f"{sorted(unknown)[0]!r} is no role; {', '.join(reading.ROLES)} or {UNUSED} was expected.")
    guesses = [_guess(entry, found, options, reading) for entry in found]
    pairs = [(guess.role, entry) for guess, entry in zip(guesses, found, strict=True)]
    taken = {role: entry for role, entry in pairs if role is not None and role in reading.ROLES}
    free = sorted((n for n, guess in enumerate(guesses) if guess.role is None), key=lambda n: -found[n].array.size)
    shapes = {role: entry.array.squeeze().shape for role, entry in taken.items()}
    for number, role, reason in reading.by_shape(found, free, shapes):
        guesses[number] = _Guess(60, role, reason)
    winners: dict[str, int] = {}
    for number in sorted(range(len(found)), key=lambda n: guesses[n].rank):
        claimed = guesses[number].role
        if claimed is not None and claimed in reading.ROLES:
            winners.setdefault(claimed, number)
    for number, guess in enumerate(guesses):
        if guess.role == UNUSED:
            guesses[number] = guess._replace(role=None)
        elif guess.role is not None and winners[guess.role] != number:
            winner = found[winners[guess.role]]
            reason = f"not used: {winner.key or winner.path.name} is the {guess.role}"
            guesses[number] = _Guess(guess.rank, None, reason)
    return guesses


def _guess(entry: FoundArray, found: Sequence[FoundArray], options: OpenOptions, reading: Reading) -> _Guess:
    """By the user's word, then by the name of the array, then by the name of its file."""
    said = _said(entry, found, options, reading)
    if said is not None:
        return _Guess(0, said, SAID if said != UNUSED else "not used: its file was given for something else")
    name = last_name(entry)
    if name in RESULT_KEYS or "adapter" in entry.attributes:
        return _Guess(99, UNUSED, "not used: it looks like the result of a decoder")
    for role, keys in reading.ROLES.items():
        if name in keys and _may_be(entry, role, reading):
            return _Guess(1 + keys.index(name), role, f"called {entry.key!r} in its file")
    stem = entry.path.stem.lower()
    for role, words in reading.FILE_WORDS.items():
        if any(word in stem for word in words) and _may_be(entry, role, reading):
            return _Guess(50, role, f"its file is called a {role}")
    return _Guess(99, None, "not used: neither its name nor its shape says what it is")


def _said(entry: FoundArray, found: Sequence[FoundArray], options: OpenOptions, reading: Reading) -> str | None:
    """The role that the user gave this array, or its whole file: then the best array in it has the role."""
    for selector, role in options.roles:
        file, _, key = selector.partition("::")
        if Path(file) != entry.path and file != entry.path.name:
            continue
        if key:
            if key == entry.key:
                return role
            continue
        if role == UNUSED:
            return UNUSED
        fitting = [other for other in found if other.path == entry.path and _may_be(other, role, reading)]
        named = [other for other in fitting if last_name(other) in reading.ROLES[role]]
        if any(entry is other for other in (named or fitting)[:1]):
            return role
        if entry.path != found[0].path:  # what else is in the first file keeps its own meaning
            return UNUSED
    return None


def _may_be(entry: FoundArray, role: str, reading: Reading) -> bool:
    """Whether an array has as many axes longer than 1 as `role` needs."""
    num_axes = _squeezed(entry).array.ndim if entry.array.size > 1 else 0
    return num_axes in reading.NUM_AXES[role] and (role != "wavelengths" or is_wavelengths(entry.array))


# ---- rows --------------------------------------------------------------------------------------------------------


def _rows(
    found: Sequence[FoundArray], options: OpenOptions, task: str, hints: Geometry | None, full_scales: FullScales
) -> list[RoleRow]:
    guesses, fixed = _assigned(found, options, task), reading_of(task).AXES
    by_role = {guess.role: entry for guess, entry in zip(guesses, found, strict=True) if guess.role}
    listed = by_role["wavelengths"].array.size if "wavelengths" in by_role else None
    num_bands = options.num_bands or listed or (None if hints is None else hints.num_bands)
    images = [by_role[role].array.squeeze().shape for role in ("mask", "measurement") if role in by_role]
    return [
        _row(
            entry if entry.axes else replace(entry, axes=fixed.get(guess.role or "", "")),
            guess.role,
            guess.reason,
            (options, task, full_scales),
            num_bands=num_bands,
            images=images,
        )
        for guess, entry in zip(guesses, found, strict=True)
    ]


def _row(
    entry: FoundArray,
    role: str | None,
    reason: str,
    known: tuple[OpenOptions, str, FullScales],
    *,
    num_bands: int | None,
    images: Sequence[tuple[int, ...]] = (),
) -> RoleRow:
    """The row of an array; `known` are the corrections, the task, and the scales that files share."""
    options, task, full_scales = known
    entry = replace(entry, array=kernel_image(entry.array), axes="YX") if role == "kernel" else _squeezed(entry)
    array = entry.array
    axes = _axes(entry, options, num_bands, images) if array.ndim == 3 else {1: "C", 2: "YX"}.get(array.ndim, "")
    scale, scale_reason = scale_of(entry, role, options, task, full_scales)
    kept, num_nan = array, 0
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        num_nan = int(array.size - np.count_nonzero(finite))
        kept = array if num_nan == 0 else array[finite]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (math.nan, math.nan)
    return RoleRow(entry, role, reason, axes, scale, scale_reason, low, high, num_nan)


def _squeezed(entry: FoundArray) -> FoundArray:
    """Without axes of length 1, such as those that MATLAB and NHWC files put round a list or a cube.

    Rows and columns stay where a file states them: an image may be one row high.
    """
    states = len(entry.axes) == entry.array.ndim and {"Y", "X"} <= set(entry.axes)
    kept = [n for n, length in enumerate(entry.array.shape) if length > 1 or (states and entry.axes[n] in "YX")]
    if len(kept) in (0, entry.array.ndim):
        return entry
    axes = "".join(entry.axes[n] for n in kept if n < len(entry.axes))
    return replace(entry, array=entry.array.reshape([entry.array.shape[n] for n in kept]), axes=axes)


def _axes(entry: FoundArray, options: OpenOptions, num_bands: int | None, images: Sequence[tuple[int, ...]]) -> str:
    """Which axis of a stored cube is the spectral one; `images` are the shapes of those it may lie over."""
    if options.cube_axes is not None and not _in_yxc(options.cube_axes):
        raise GeometryError(f"The cube axes {options.cube_axes!r} were given; HWC, CHW or another order was expected.")
    stated = _in_yxc(options.cube_axes or entry.axes.replace("T", "C"))
    if stated:
        return stated
    shape = entry.array.shape
    wanted = _count(entry.attributes.get("wavelengths_nm")) or num_bands
    over_image = [n for n in range(3) if shape[:n] + shape[n + 1 :] in images]
    if shape.count(wanted) == 1:
        spectral = shape.index(wanted)
    elif len(over_image) == 1:
        spectral = over_image[0]
    elif wanted in shape:
        spectral = max(n for n in range(3) if shape[n] == wanted)
    else:
        spectral = _spectral_by_size(shape)
    return {0: "CYX", 1: "YCX", 2: "YXC"}[spectral]


def _spectral_by_size(shape: tuple[int, ...]) -> int:
    """The axis that is taken for the spectral one where nothing says which: cubes are mostly stored (H, W, C).

    The last one unless it is long, or the first is shorter than two that are alike; then the odd one out of a square
    image, or the only one that is short.
    """
    height, width, last = shape
    if height == width or (last <= MOST_BANDS_LAST and not height < width == last):
        return 2
    if last in (height, width):
        return 0 if last == width else 1
    return 2 if max(height, width) <= MOST_BANDS_LAST else int(np.argmin(shape))


def _in_yxc(axes: str) -> str:
    """Axes such as "HWC" in the letters Y, X and C; "" where they are not those of a cube."""
    axes = axes.upper().replace("H", "Y").replace("W", "X")
    return axes if sorted(axes) == ["C", "X", "Y"] else ""


def _stated_wavelengths(chosen: FoundArray, found: Sequence[FoundArray], options: OpenOptions) -> np.ndarray | None:
    """The file's list, in the order of its bands; the user's where the file states none."""
    stated = chosen.attributes.get("wavelengths_nm")
    if stated is None:
        lists = [e.array for e in found if last_name(e) in WAVELENGTH_KEYS and is_wavelengths(e.array)]
        stated = lists[0] if lists else None
    if stated is not None:
        return as_nanometres(stated)
    return None if options.wavelengths is None else named_wavelengths(options.wavelengths)


def _count(values: Any) -> int | None:
    return None if values is None else int(np.size(values))

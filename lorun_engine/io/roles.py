"""What every array of the opened files was taken for, why, and how to correct it: the role table.

Roles are told by what the user said, then by our own files' names, then by the keys in circulation, then by shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AmbiguousGeometry, FileError, GeometryError, LorunError
from ..measurement import Measurement, Scene
from . import cassi
from .cassi import Geometry
from .options import NO_CORRECTIONS, OpenOptions
from .readers import FoundArray, read

ROLES = ("measurement", "mask", "reference", "wavelengths")
UNUSED = "unused"

# keys that public code and data sets use, in lower case
KEYS: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "meas_real", "meas", "y", "snapshot", "capture"),
    "mask": ("mask", "mask_3d", "mask_3d_shift", "masks", "coded_aperture"),
    "reference": (
        *("reference", "cube", "img", "img_expand", "img_expend", "data_slice", "hsi", "orig", "truth", "gt", "label"),
        *("rad", "scene", "hyperspectral"),
    ),
    "wavelengths": ("wavelengths_nm", "wavelengths", "wavelength", "wavelength_nm", "lambda", "bands", "wl"),
}
MOST_BANDS_LAST = 64  # a last axis up to this length is taken for the spectral one


@dataclass(frozen=True)
class RoleRow:
    """One array and what it was taken for.

    `axes` are the axes assumed ("YX", "YXC", ...), `shape` the stored one, `scale` what integers are divided by (1 for
    real numbers). `role` is None where the array is not used.
    """

    found: FoundArray
    role: str | None
    reason: str
    axes: str
    scale: float
    scale_reason: str
    minimum: float
    maximum: float
    num_nan: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The stored shape."""
        return self.found.array.shape

    @property
    def dtype(self) -> str:
        """The stored type of number."""
        return str(self.found.array.dtype)

    @property
    def selector(self) -> str:
        """How `OpenOptions.roles` names this array."""
        return f"{self.found.path}::{self.found.key}" if self.found.key else str(self.found.path)

    def values(self) -> np.ndarray:
        """The array as float32 with bands first, (C, H, W) or (H, W), divided by `scale`."""
        array = self.found.array
        if len(self.axes) == array.ndim and "C" in self.axes:
            array = np.moveaxis(array, [self.axes.index(name) for name in "CYX"], [0, 1, 2])
        array = np.ascontiguousarray(array, dtype=np.float32)
        return array if self.scale == 1 else array / np.float32(self.scale)


@dataclass(frozen=True)
class RoleTable:
    """Everything that was understood of the opened files.

    `geometry` is None until bands and step are known; `problem` is the sentence that stands in the way of a
    measurement, and `solutions` the (num_bands, step) pairs among which the user may choose.
    """

    rows: tuple[RoleRow, ...]
    options: OpenOptions
    task: str = "cassi"
    geometry: Geometry | None = None
    notes: tuple[str, ...] = ()
    problem: LorunError | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    input_scale: float | None = None

    @property
    def solutions(self) -> tuple[tuple[int, int], ...]:
        """The band counts and steps that all explain the sizes."""
        return self.problem.solutions if isinstance(self.problem, AmbiguousGeometry) else ()

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
        return cassi.measurement(
            self.arrays, self.geometry, path=row.found.path, input_scale=self.input_scale, notes=self.notes
        )


def inspect(
    paths: Sequence[Path | str], options: OpenOptions = NO_CORRECTIONS, *, hints: Geometry | None = None
) -> RoleTable:
    """The role table of some files. Raises FileError for files that cannot be read; a misfit is the table's `problem`.

    `hints` is what an adapter set or an earlier answer knows of the instrument; options and files come first.
    """
    if not paths:
        raise FileError("No file was given. Open a snapshot and its mask.")
    found = [
        entry for number, path in enumerate(paths) for entry in _read_chosen(Path(path), options, first=number == 0)
    ]
    rows = _assigned(found, options)
    notes = [note for row in rows for note in row.found.notes]
    notes += [f"{row.found.path.name}: {row.scale_reason}" for row in rows if row.role and row.scale != 1]
    arrays: dict[str, np.ndarray] = {}
    geometry, problem, input_scale = None, None, None
    try:
        arrays = {row.role: row.values() for row in rows if row.role and row.role != "wavelengths"}
        if "mask" in arrays:
            arrays["mask"] = cassi.turned(arrays["mask"], flip=options.flip, rotate=options.rotate or 0)
        resolved = cassi.resolve(rows, arrays, options, hints)
        arrays, geometry, input_scale = resolved.arrays, resolved.geometry, resolved.input_scale
        notes += resolved.notes
    except LorunError as error:
        problem = error
    return RoleTable(
        rows=tuple(rows),
        options=options,
        geometry=geometry,
        notes=tuple(dict.fromkeys(notes)),
        problem=problem,
        arrays=arrays,
        input_scale=input_scale,
    )


def open_measurement(
    paths: Sequence[Path | str], options: OpenOptions = NO_CORRECTIONS, *, hints: Geometry | None = None
) -> Measurement:
    """The measurement that some files make together; a LorunError says what is missing or does not fit."""
    return inspect(paths, options, hints=hints).measurement()


def open_scene(path: Path | str, options: OpenOptions = NO_CORRECTIONS) -> Scene:
    """The cube or image of a file as a Scene: linear, (C, H, W) float32, integers divided by their full scale."""
    found = read(path, key=options.key)
    candidates = [entry for entry in found if entry.array.ndim == 3] or [
        entry for entry in found if entry.array.ndim == 2
    ]
    if not candidates:
        raise FileError(f"{Path(path).name} holds no cube or image. Choose a file with one.")
    keyed = [entry for entry in candidates if _last_name(entry) in KEYS["reference"]]
    chosen = (keyed or candidates)[0]
    if not keyed and len(candidates) > 1 and options.key is None:
        chosen = max(candidates, key=lambda entry: entry.array.size)
    wavelengths_nm = _stated_wavelengths(chosen, found, options)
    row = _row(chosen, "reference", "the cube of the file", options, num_bands=_count(wavelengths_nm))
    image = row.values()
    image = image[None] if image.ndim == 2 else image
    if wavelengths_nm is not None and len(wavelengths_nm) != len(image):
        raise GeometryError(
            f"{Path(path).name} has {len(image)} bands and {len(wavelengths_nm)} wavelengths. Give the axes of the cube or "
            "another list of wavelengths."
        )
    attributes = chosen.attributes
    source = str(attributes.get("source", ""))
    return Scene(image, wavelengths_nm, source=source, path=Path(path))


# ---- roles -------------------------------------------------------------------------------------------------------


def _read_chosen(path: Path, options: OpenOptions, *, first: bool) -> list[FoundArray]:
    """The arrays of a file; `--key` chooses among those of the first file."""
    return read(path, key=options.key if first else None)


def _assigned(found: Sequence[FoundArray], options: OpenOptions) -> list[RoleRow]:
    """A row for every array; each role is given once, to the array with the strongest reason."""
    guesses: list[tuple[int, str | None, str]] = [_guess(entry, found, options) for entry in found]
    guesses = _guess_by_shape(found, guesses)
    taken: dict[str, int] = {}
    for number in sorted(range(len(found)), key=lambda n: guesses[n][0]):
        role = guesses[number][1]
        if role is not None and role != UNUSED:
            taken.setdefault(role, number)
    num_bands = options.num_bands
    rows = []
    for number, (entry, (_, role, reason)) in enumerate(zip(found, guesses, strict=True)):
        if role == UNUSED:
            role = None
        elif role is not None and taken[role] != number:
            winner = found[taken[role]]
            reason = f"not used: {winner.key or winner.path.name} is the {role}"
            role = None
        rows.append(_row(entry, role, reason, options, num_bands=num_bands))
    return rows


def _guess(entry: FoundArray, found: Sequence[FoundArray], options: OpenOptions) -> tuple[int, str | None, str]:
    """(strength, role, reason); 0 is the user's word, 99 no idea."""
    said = _said(entry, found, options)
    if said is not None:
        return 0, said, "as you said" if said != UNUSED else "not used: its file was given for something else"
    name = _last_name(entry)
    for role, keys in KEYS.items():
        if name in keys and _may_be(entry, role):
            return 1 + keys.index(name), role, f"called {entry.key!r} in its file"
    stem = entry.path.stem.lower()
    if "mask" in stem and _may_be(entry, "mask"):
        return 20, "mask", "its file is called a mask"
    if any(word in stem for word in ("meas", "snapshot", "capture")) and _may_be(entry, "measurement"):
        return 20, "measurement", "its file is called a measurement"
    return 99, None, "not used: neither its name nor its shape says what it is"


def _said(entry: FoundArray, found: Sequence[FoundArray], options: OpenOptions) -> str | None:
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
        fitting = [other for other in found if other.path == entry.path and _may_be(other, role)]
        named = [other for other in fitting if _last_name(other) in KEYS[role]]
        return role if any(entry is other for other in (named or fitting)[:1]) else UNUSED
    return None


def _last_name(entry: FoundArray) -> str:
    return entry.key.lower().split("/")[-1]


def _may_be(entry: FoundArray, role: str) -> bool:
    squeezed = entry.array.squeeze().ndim
    return squeezed == 1 if role == "wavelengths" else squeezed in ((2,) if role == "measurement" else (2, 3))


def _guess_by_shape(
    found: Sequence[FoundArray], guesses: Sequence[tuple[int, str | None, str]]
) -> list[tuple[int, str | None, str]]:
    """Roles for what has none yet: the larger of two images is the measurement, the smaller its mask, a cube the truth."""
    guesses = list(guesses)
    named = {role for _, role, _ in guesses}
    open_ = [number for number, (_, role, _) in enumerate(guesses) if role is None]
    images = sorted((n for n in open_ if found[n].array.squeeze().ndim == 2), key=lambda n: -found[n].array.size)
    masks = [found[n].array.squeeze().shape[-2:] for n, (_, role, _) in enumerate(guesses) if role == "mask"]
    if "measurement" not in named and images:
        guesses[images[0]] = (50, "measurement", "the largest image without another role")
        images = images[1:]
    elif "measurement" in named and masks and images:
        images = []
    if "mask" not in named and images:
        guesses[images[0]] = (50, "mask", "the other image")
    for number in open_:
        ndim = found[number].array.squeeze().ndim
        if ndim == 3 and "reference" not in named:
            guesses[number] = (50, "reference", "the only cube")
            named.add("reference")
        elif ndim == 1 and "wavelengths" not in named and _is_spectrum_axis(found[number].array):
            guesses[number] = (50, "wavelengths", "a rising list between 200 and 3000")
            named.add("wavelengths")
    return guesses


def _is_spectrum_axis(array: np.ndarray) -> bool:
    values = np.asarray(array, dtype=np.float64).ravel()
    return values.size > 1 and 200 <= values.min() and values.max() <= 3000 and bool(np.all(np.diff(values) > 0))


def _row(
    entry: FoundArray, role: str | None, reason: str, options: OpenOptions, *, num_bands: int | None = None
) -> RoleRow:
    entry = _squeezed(entry)
    array = entry.array
    axes = _axes(entry, options, num_bands) if array.ndim == 3 else "YX"[-array.ndim :]
    scale, scale_reason = _scale(entry, options)
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        num_nan = int(array.size - np.count_nonzero(finite))
        kept = array if num_nan == 0 else array[finite]
    else:
        num_nan, kept = 0, array
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (math.nan, math.nan)
    return RoleRow(entry, role, reason, axes, scale, scale_reason, low, high, num_nan)


def _squeezed(entry: FoundArray) -> FoundArray:
    """Without axes of length 1; a single image keeps its two axes."""
    array = entry.array
    if array.ndim <= 2 and not (array.ndim == 2 and 1 in array.shape and max(array.shape) > 1):
        return entry
    squeezed = array.squeeze()
    if squeezed.ndim == array.ndim:
        return entry
    axes = "".join(a for a, n in zip(entry.axes, array.shape, strict=True) if n > 1) if entry.axes else ""
    return FoundArray(entry.path, entry.key, squeezed, axes, entry.attributes, entry.notes)


def _axes(entry: FoundArray, options: OpenOptions, num_bands: int | None) -> str:
    """Which axis of a stored cube is the spectral one."""
    if options.cube_axes is not None:
        axes = options.cube_axes.upper().replace("H", "Y").replace("W", "X")
        if sorted(axes) != ["C", "X", "Y"]:
            raise GeometryError(
                f"The cube axes {options.cube_axes!r} were given; HWC, CHW or another order was expected."
            )
        return axes
    if entry.axes:
        return entry.axes
    shape = entry.array.shape
    stated = entry.attributes.get("wavelengths_nm")
    wanted = _count(stated) or num_bands
    if wanted in shape:
        spectral = max(n for n in range(3) if shape[n] == wanted)
    elif shape[2] <= MOST_BANDS_LAST:
        spectral = 2
    else:
        spectral = int(np.argmin(shape))
    return {0: "CYX", 1: "YCX", 2: "YXC"}[spectral]


def _scale(entry: FoundArray, options: OpenOptions) -> tuple[float, str]:
    """What the stored numbers are divided by, and why."""
    if entry.array.dtype.kind not in "iu":
        return 1.0, "real numbers are taken as they are"
    if options.integer_scale is not None:
        return float(options.integer_scale), f"divided by {options.integer_scale:g}, as you said"
    stated = entry.attributes.get("scale")
    if isinstance(stated, (int, float)) and stated > 0:
        return float(stated), f"divided by {stated:g}, the scale its file states"
    highest = int(entry.array.max())
    if highest <= 1:
        return 1.0, "zeros and ones are taken as they are"
    bits = next((b for b in (8, 10, 12, 14, 16) if highest < 2**b), None)
    full = 2**bits - 1 if bits else highest
    return float(full), f"integers up to {highest} were divided by {full}" + (f" ({bits} bits)" if bits else "")


def _stated_wavelengths(chosen: FoundArray, found: Sequence[FoundArray], options: OpenOptions) -> np.ndarray | None:
    if options.wavelengths is not None:
        named = cassi.named_wavelengths(options.wavelengths)
        shape = chosen.array.shape
        if len(named) in shape or "wavelengths_nm" not in chosen.attributes:
            return named
    stated = chosen.attributes.get("wavelengths_nm")
    if stated is None:
        listed = [e.array for e in found if _last_name(e) in KEYS["wavelengths"] and e.array.size > 1]
        stated = listed[0] if listed else None
    return None if stated is None else cassi.as_nanometres(stated)


def _count(values: Any) -> int | None:
    return None if values is None else int(np.size(values))

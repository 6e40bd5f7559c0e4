"""What CASSI files mean: bands, step and wavelengths from sizes, pre-shifted masks, and the measurement they make.

Loads no torch until a measurement is made: the window reads files before torch is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AmbiguousGeometry, FileError, GeometryError
from ..measurement import Measurement
from .dark_level import estimated_dark_level
from .light_beside import LIGHT_BESIDE, light_beside
from .options import OpenOptions
from .readers import FoundArray, as_nanometres, is_wavelengths, read_wavelengths
from .resolved import Resolved, RoleRow, by, require_numbers, stated_input_scale
from .wavelengths import WAVELENGTHS

# role -> keys that public code and data sets use, in lower case
ROLES: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "meas_real", "meas", "y", "snapshot", "capture"),
    "mask": ("mask", "mask_3d", "mask_3d_shift", "masks", "coded_aperture"),
    "reference": (
        *("reference", "cube", "img", "img_expand", "img_expend", "data_slice", "hsi", "orig", "truth", "gt", "label"),
        *("rad", "scene", "hyperspectral"),
    ),
    "wavelengths": ("wavelengths_nm", "wavelengths", "wavelength", "wavelength_nm", "lambda", "bands", "wl"),
}
NUM_AXES: Mapping[str, tuple[int, ...]] = {
    "measurement": (2,),
    "mask": (2, 3),
    "reference": (2, 3),
    "wavelengths": (1,),
}
FILE_WORDS: Mapping[str, tuple[str, ...]] = {"mask": ("mask",), "measurement": ("meas", "snapshot", "capture")}
AXES: Mapping[str, str] = {}  # no role has fixed axes
OPTIONS = (
    *("num_bands", "step", "axis", "direction", "first_offset", "wavelengths", "flip", "rotate", "mask_shift", "crop"),
    *("dark_level", "light_beside", "input_scale", "integer_scale", "cube_axes", "key"),
)
FEWEST_BANDS, MOST_BANDS = 3, 256  # what a solution for band count and step may be
USUAL_LISTS = {28: "cassi-28", 24: "smem-24", 31: "cave-31"}
VALUES = {
    "num_bands": ("--bands", "a whole number from 1"),
    "step": ("--step", "a number of pixels from 0"),
    "axis": ("--axis", "x or y"),
    "direction": ("--direction", "+ or -"),
    "first_offset": ("--first-offset", "a number of pixels"),
}


@dataclass(frozen=True)
class Geometry:
    """What is known of a CASSI instrument; None where it is not. `reasons` says where each value comes from.

    `dark_level` is what the detector reads without light, in the unit of the opened file; it is subtracted. Where a
    `mask_shift` is given the mask's place was measured: bands and step need not fit the detector's size any more.
    """

    num_bands: int | None = None
    step: float | None = None
    axis: str | None = None
    direction: str | None = None
    first_offset: float | None = None
    wavelengths_nm: tuple[float, ...] | None = None
    dark_level: float | None = None
    mask_shift: tuple[float, float] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)


def prepared(arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
    """The arrays with the mask turned, mirrored and moved as the options ask."""
    arrays = dict(arrays)
    if "mask" in arrays:
        arrays["mask"] = turned(arrays["mask"], flip=options.flip, rotate=options.rotate or 0)
        arrays["mask"] = moved(arrays["mask"], options.mask_shift or (0.0, 0.0))
    return arrays


def by_shape(
    found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, str, str]]:
    """(number, role, reason) for the arrays `free` without a role: of two images the larger is the measurement.

    The other is its mask, and a cube is the truth. `taken` are the shapes of the roles that are given already.
    """
    shapes = [tuple(length for length in entry.array.shape if length > 1) for entry in found]
    free, of_role = list(free), dict(taken)
    given: list[tuple[int, str, str]] = []

    def give(number: int, role: str, reason: str) -> None:
        given.append((number, role, reason))
        of_role[role] = shapes[number]
        free.remove(number)

    images = [n for n in free if len(shapes[n]) == 2]
    if "measurement" not in of_role and images:
        fitting = [n for n in images if _is_longer(shapes[n], of_role.get("mask"))]
        if fitting:
            give(fitting[0], "measurement", "an image that is larger than the mask in one direction")
        else:
            give(images[0], "measurement", "the largest image without another role")
    images = [n for n in free if len(shapes[n]) == 2]
    if "mask" not in of_role and images:
        fitting = [n for n in images if _is_longer(of_role.get("measurement"), shapes[n])]
        give((fitting or images)[0], "mask", "the other image")
    for number in [n for n in free if len(shapes[n]) == 3]:
        if "mask" not in of_role and of_role.get("measurement") in (shapes[number][:2], shapes[number][1:]):
            give(number, "mask", "one pattern per band, as large as the snapshot")
        elif "reference" not in of_role:
            give(number, "reference", "the only cube without another role")
    for number in [n for n in free if len(shapes[n]) == 1 and is_wavelengths(found[n].array)]:
        if "wavelengths" not in of_role:
            give(number, "wavelengths", "a steady list of numbers between 200 and 3000 nm")
    return given


def _is_longer(snapshot: tuple[int, ...] | None, mask: tuple[int, ...] | None) -> bool:
    """Whether a snapshot is larger than a mask in one direction and equal in the other."""
    if snapshot is None or mask is None or len(snapshot) != 2 or len(mask) != 2:
        return False
    more = (snapshot[0] - mask[0], snapshot[1] - mask[1])
    return min(more) == 0 and max(more) > 0


def resolve(
    rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Geometry | None
) -> Resolved:
    """Bands, step, axis, direction, offset and wavelengths of the files, and arrays that fit them.

    The user's word comes first, then the file's, then `hints`, then what the sizes W' = W + (C-1) step leave open.
    Raises a GeometryError that says what is amiss.
    """
    arrays, notes = dict(arrays), []
    given = {row.role: row for row in rows if row.role}
    _require_measurement_and_mask(given, arrays)
    known = _known(given, arrays, options)
    if is_shifted(given["mask"], arrays["mask"], arrays["measurement"].shape):
        if options.flip or options.rotate:
            raise GeometryError(
                "A mask that is stored shifted for every band cannot be turned or mirrored here. "
                "Give the mask as the first band sees it."
            )
        arrays["mask"], known = _unshifted(arrays["mask"], known, arrays["measurement"].shape, notes)
    detector, mask = arrays["measurement"].shape, arrays["mask"].shape[-2:]
    geometry = _fitting(detector, mask, known, hints)
    geometry = _with_wavelengths(geometry, given, options, hints, notes)
    if "reference" in arrays and arrays["reference"].ndim == 2:
        arrays["reference"] = arrays["reference"][None]
    _require_fitting_cubes(given, arrays, geometry)
    geometry = _with_dark_level(geometry, given["measurement"], arrays, options, notes)
    if geometry.dark_level:
        arrays["measurement"] = arrays["measurement"] - np.float32(geometry.dark_level)
    if options.crop is not None:
        arrays = _cropped(arrays, options.crop, geometry, notes)
    if _may_be_lit_from_beside(given["measurement"], options, geometry, mask):
        arrays["measurement"] = _without_light_beside(arrays, geometry, notes)
    _require_light(given, arrays)
    input_scale = _input_scale(given["measurement"], options, notes)
    return Resolved(arrays, geometry, input_scale, tuple(notes))


def measurement(
    arrays: Mapping[str, np.ndarray],
    geometry: Geometry,
    *,
    path: Path,
    input_scale: float | None,
    notes: tuple[str, ...],
) -> Measurement:
    """The Measurement of resolved arrays: y (1, H', W') with its operator."""
    import torch

    from ..instrument import Dispersion
    from ..tasks.cassi import CassiPhysics

    dispersion = Dispersion(
        geometry.num_bands,
        step=geometry.step,
        axis=geometry.axis,
        direction=geometry.direction,
        first_offset=geometry.first_offset,
    )
    y = arrays["measurement"]
    physics = CassiPhysics(torch.from_numpy(arrays["mask"]), dispersion, detector_shape=y.shape)
    wavelengths_nm = geometry.wavelengths_nm
    return Measurement(
        task="cassi",
        y=y[None],
        physics=physics,
        wavelengths_nm=None if wavelengths_nm is None else np.asarray(wavelengths_nm),
        reference=arrays.get("reference"),
        input_scale=input_scale,
        dark_level=geometry.dark_level,
        path=path,
        notes=notes,
    )


def described(geometry: Geometry) -> str:
    """As "28 bands 453.5 – 648.0 nm · step 2 px →"."""
    text = f"{geometry.num_bands} band" + ("s" if geometry.num_bands != 1 else "")
    if geometry.wavelengths_nm is not None:
        text += f"  {geometry.wavelengths_nm[0]:.1f} – {geometry.wavelengths_nm[-1]:.1f} nm"
    arrow = {"x+": "→", "x-": "←", "y+": "↓", "y-": "↑"}[geometry.axis + geometry.direction]
    return f"{text}  ·  step {geometry.step:g} px {arrow}"


def stored(measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
    """What belongs into a measurement file beside y: (name, array, axes) of the mask, and the attributes."""
    dispersion = measurement.physics.dispersion
    mask = measurement.physics.mask[0].cpu().numpy()
    attributes = {
        "num_bands": dispersion.num_bands,
        "step": float(dispersion.step),
        "axis": dispersion.axis,
        "direction": dispersion.direction,
        "first_offset": float(dispersion.first_offset),
    }
    return [("mask", *((mask[0], "YX") if len(mask) == 1 else (mask, "CYX")))], attributes


def turned(mask: np.ndarray, *, flip: str | None, rotate: int) -> np.ndarray:
    """The (H, W) or (C, H, W) mask turned by quarter turns counter-clockwise, then mirrored left-right or up-down."""
    if flip not in (None, "lr", "ud"):
        raise GeometryError(f"The mask should be mirrored {flip!r}; lr or ud was expected. Correct --flip.")
    if mask.ndim not in (2, 3):
        return mask
    mask = np.rot90(mask, rotate, axes=(-2, -1))
    if flip is not None:
        mask = np.flip(mask, axis=-1 if flip == "lr" else -2)
    return np.ascontiguousarray(mask)


def moved(mask: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """The (H, W) or (C, H, W) mask moved down and right by `shift` (y, x) pixels; between pixels it is interpolated.

    Where no mask is known any more it is 0.
    """
    if not np.isfinite(shift).all():
        raise GeometryError(f"The mask should be moved by {shift} pixels; two numbers were expected. Correct them.")
    if not any(shift) or mask.ndim not in (2, 3):
        return mask
    from scipy import ndimage

    along_all = (0.0,) * (mask.ndim - 2) + tuple(shift)
    return ndimage.shift(mask.astype(np.float64), along_all, order=1, mode="constant").astype(np.float32)


def is_shifted(row: RoleRow, mask: np.ndarray, detector: tuple[int, ...]) -> bool:
    """Whether a mask (C, H, W) holds every band where it falls on the detector, as Phi does."""
    return mask.ndim == 3 and (row.found.key.lower() == "mask_3d_shift" or mask.shape[-2:] == detector)


def named_wavelengths(name: str) -> np.ndarray:
    """The band centres in nm of a list in WAVELENGTHS or of a file."""
    if name in WAVELENGTHS:
        return np.asarray(WAVELENGTHS[name])
    if not Path(name).exists():
        raise FileError(
            f"The wavelengths {name!r} are neither a list that LoRun knows nor a file. "
            f"Give {', '.join(WAVELENGTHS)} or a file with one number per band."
        )
    return read_wavelengths(name)


# ---- what is known -----------------------------------------------------------------------------------------------


def _require_measurement_and_mask(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    if "measurement" not in given:
        others = ", ".join(f"{row.found.path.name} is the {role}" for role, row in given.items()) or "nothing fits"
        raise GeometryError(f"No snapshot was found among the opened files ({others}). Add the snapshot.")
    row, y = given["measurement"], arrays["measurement"]
    if y.ndim != 2:
        raise GeometryError(
            f"{row.found.path.name} has the shape {by(row.shape)}; a snapshot is one grey image. "
            "Choose another array or role."
        )
    if "mask" not in given:
        raise GeometryError(
            f"{row.found.path.name} is a snapshot of {by(y.shape)} pixels; it cannot be decoded without the mask of "
            "its camera. Add the mask file, or the sampling matrix if these are compressive samples."
        )
    if arrays["mask"].ndim not in (2, 3):
        raise GeometryError(
            f"The mask {given['mask'].found.path.name} has the shape {by(arrays['mask'].shape)}; one image, or one "
            "per band, was expected. Choose another array or role."
        )


def _known(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions) -> Geometry:
    """What the user and the files say, each value with its reason."""
    values: dict[str, Any] = {}
    reasons: dict[str, str] = {}

    def take(name: str, value: Any, reason: str) -> None:
        if value is not None and name not in values:
            values[name], reasons[name] = _checked(name, value, reason), reason

    for name in VALUES:
        take(name, getattr(options, name), "as you said")
    if options.wavelengths is not None:
        take("num_bands", len(named_wavelengths(options.wavelengths)), "one band per wavelength of your list")
    attributes = {**given["mask"].found.attributes, **given["measurement"].found.attributes}
    for name in VALUES:
        take(name, attributes.get(name), "stated in the file")
    if given["measurement"].found.key.lower() == "meas_real" and not {"num_bands", "step"} & set(values):
        take("num_bands", 28, "captures called 'meas_real' come from the TSA-Net camera, which has 28 bands")
        take("step", 2.0, "captures called 'meas_real' come from the TSA-Net camera, whose bands lie 2 columns apart")
    if arrays["mask"].ndim == 3:
        take("num_bands", len(arrays["mask"]), "the mask has one pattern per band")
    if "reference" in arrays and arrays["reference"].ndim == 3:
        take("num_bands", len(arrays["reference"]), "the reference has so many bands")
    if "wavelengths" in given:
        take("num_bands", given["wavelengths"].found.array.size, "one band per wavelength of the file")
    return Geometry(**values, mask_shift=options.mask_shift, reasons=reasons)


def _checked(name: str, value: Any, reason: str) -> Any:
    """`value` as the field `name` of a Geometry holds it; a GeometryError where it cannot be one."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    is_number = isinstance(value, int | float) and math.isfinite(value)
    is_good = {
        "num_bands": is_number and value >= 1 and float(value).is_integer(),
        "step": is_number and value >= 0,
        "axis": isinstance(value, str) and value in ("x", "y"),
        "direction": isinstance(value, str) and value in ("+", "-"),
        "first_offset": is_number,
    }[name]
    if not is_good:
        flag, expected = VALUES[name]
        subject = name.replace("num_", "number of ").replace("_", " ")
        raise GeometryError(f"The {subject} is {value!r} ({reason}); {expected} was expected. Correct it with {flag}.")
    return int(value) if name == "num_bands" else float(value) if is_number else value


def _completed(known: Geometry, hints: Geometry) -> Geometry:
    """`known` with what only `hints` know."""
    new = {name: getattr(hints, name) for name in VALUES if getattr(known, name) is None}
    new = {name: value for name, value in new.items() if value is not None}
    return replace(known, **new, reasons={**known.reasons, **dict.fromkeys(new, "known of this instrument")})


# ---- masks that are stored shifted -------------------------------------------------------------------------------


def _unshifted(
    mask: np.ndarray, known: Geometry, detector: tuple[int, ...], notes: list[str]
) -> tuple[np.ndarray, Geometry]:
    """Every band of a pre-shifted mask (C, H', W') moved back to (C, H, W), its values as they are stored."""
    if mask.shape[-2:] != detector:
        raise GeometryError(
            f"The shifted mask is {by(mask.shape[-2:])} pixels; the snapshot is {by(detector)}. "
            "Choose the mask of this camera."
        )
    known = replace(known, axis=known.axis or "x")
    if known.step is None:
        step, reason = _step_of_shifted(mask, known.axis), "where the bands of the shifted mask begin"
        if step is None:
            step, reason = 2.0, "assumed: the usual step of masks that are stored shifted"
        known = replace(known, step=step, reasons={**known.reasons, "step": reason})
    first = int(known.first_offset or 0)
    if not (known.step.is_integer() and first == (known.first_offset or 0) and first >= 0):
        raise GeometryError(
            f"A mask that is stored shifted has whole steps; a step of {known.step:g} from {known.first_offset or 0:g} "
            "was given. Give the mask as the first band sees it."
        )
    along = 2 if known.axis == "x" else 1
    length = mask.shape[along] - first - (len(mask) - 1) * int(known.step)
    if length < 1:
        raise GeometryError(
            f"The shifted mask is {mask.shape[along]} pixels long; {len(mask)} bands at step {known.step:g} need more. "
            "Correct bands or step."
        )
    starts = [first + int(known.step) * band for band in range(len(mask))]
    starts = starts if (known.direction or "+") == "+" else starts[::-1]
    bands = [band.take(range(at, at + length), axis=along - 1) for band, at in zip(mask, starts, strict=True)]
    notes.append(
        f"The mask is stored shifted for every band; each band was moved back by its offset (step {known.step:g}: "
        f"{known.reasons['step']}) and keeps the values that are stored."
    )
    unshifted = np.stack(bands)
    if np.count_nonzero(unshifted) != np.count_nonzero(mask):
        notes.append("Values of the shifted mask beside the bands' own places were left out.")
    return unshifted, known


def _step_of_shifted(mask: np.ndarray, axis: str) -> float | None:
    """The whole step that the first open pixels of the first and the last band tell; None where they tell none."""
    across = 0 if axis == "x" else 1
    first, last = (int(np.argmax(band.any(axis=across))) for band in (mask[0], mask[-1]))
    step, rest = divmod(abs(last - first), max(len(mask) - 1, 1))
    return float(step) if step and not rest else None


# ---- bands and step from sizes -----------------------------------------------------------------------------------


def _fitting(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry, hints: Geometry | None) -> Geometry:
    """The complete geometry; hints that do not fit the sizes are those of another camera and are left out."""
    if hints is None:
        return _solved(detector, mask, known)
    try:
        return _solved(detector, mask, _completed(known, hints))
    except GeometryError as misfit:
        try:
            return _solved(detector, mask, known)
        except AmbiguousGeometry:
            raise
        except GeometryError:
            raise misfit from None


def _solved(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry) -> Geometry:
    """The geometry with the band count and step that fit the sizes; raises where none or several do."""
    reasons = dict(known.reasons)
    axis = known.axis
    if axis is None:
        axis = "y" if detector[1] == mask[1] and detector[0] > mask[0] else "x"
        reasons["axis"] = "the direction in which the snapshot is larger than the mask"
    reasons.setdefault("direction", "the usual direction")
    reasons.setdefault("first_offset", "the first band usually lies at the edge")
    known = replace(known, axis=axis, direction=known.direction or "+", first_offset=known.first_offset or 0.0)
    along, across = (1, 0) if axis == "x" else (0, 1)
    shear = detector[along] - mask[along]
    solutions = _solutions(known, shear) if detector[across] == mask[across] and shear >= 0 else []
    if not solutions:
        raise GeometryError(_misfit(detector, mask, known))
    if len(solutions) > 1:
        listed = ", ".join(f"{bands} bands at step {step:g}" for bands, step in solutions)
        raise AmbiguousGeometry(
            f"The snapshot is {by(detector)} pixels and the mask {by(mask)}; {listed} fit. "
            "Give the number of bands or the step.",
            tuple(solutions),
        )
    ((num_bands, step),) = solutions
    of_shear = f"a shear of {shear} pixels"
    if known.step is None:
        reasons["step"] = f"the only whole step for {of_shear}"
    if known.num_bands is None:
        reasons["num_bands"] = f"the only number of bands for {of_shear}"
    return replace(known, num_bands=num_bands, step=float(step), reasons=reasons)


def _solutions(known: Geometry, shear: int) -> list[tuple[int, int | float]]:
    """The (num_bands, step) pairs with this shear: whole steps where the step is not known; small steps first.

    A mask whose place was measured decides by itself what falls beside the detector.
    """
    if known.mask_shift is not None and known.num_bands is not None and known.step is not None:
        return [(known.num_bands, known.step)]
    bands = [known.num_bands] if known.num_bands is not None else range(FEWEST_BANDS, MOST_BANDS + 1)
    found = []
    for num_bands in bands:
        if known.step is not None:
            steps = [known.step]
        elif num_bands == 1 or (shear == 0 and known.num_bands is not None):
            steps = [0]
        else:
            steps = range(1, int((shear - known.first_offset) // (num_bands - 1)) + 2)
        found += [(num_bands, step) for step in steps if shear_of(num_bands, step, known.first_offset) == shear]
    return sorted(found, key=lambda pair: pair[1])


def shear_of(num_bands: int, step: float, first_offset: float) -> int:
    """How many pixels a detector that sees all bands is longer than the scene, as `Dispersion.detector_shape`."""
    return max(0, math.ceil(first_offset + (num_bands - 1) * step - 1e-9))


def _misfit(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry) -> str:
    """The sentence about a mask that does not fit, with the size that would."""
    along, across, side = (1, 0, "width") if known.axis == "x" else (0, 1, "height")
    sizes = f"The snapshot is {by(detector)} pixels"
    num_bands, step, is_as_high = known.num_bands, known.step, detector[across] == mask[across]
    if num_bands is not None and step is not None:
        shear = shear_of(num_bands, step, known.first_offset)
        if is_as_high:
            return (
                f"{sizes}; this mask with {num_bands} bands and step {step:g} needs a {side} of {mask[along] + shear}. "
                "Choose another mask, correct bands or step, or crop the file."
            )
        fitting = list(detector)
        fitting[along] -= shear
        if fitting[along] > 0:
            return (
                f"{sizes}; with {num_bands} bands and step {step:g} its mask has {by(fitting)} pixels, this one has "
                f"{by(mask)}. Choose the mask of this camera, or turn it."
            )
    if is_as_high and detector[along] > mask[along]:
        what = "no band count and whole step explain"
        if num_bands is not None:
            what = f"no whole step of {num_bands} bands explains"
        elif step is not None:
            what = f"no number of bands at step {step:g} explains"
        return (
            f"{sizes} and the mask {by(mask)}; {what} the difference of {detector[along] - mask[along]} pixels. "
            "Give bands and step, or choose another mask."
        )
    other = "rows" if known.axis == "x" else "columns"
    return (
        f"{sizes}; the mask is {by(mask)}. A mask has as many {other} as its snapshot and is smaller along the "
        "dispersion. Choose the mask of this camera, or turn it."
    )


def _with_wavelengths(
    geometry: Geometry, given: Mapping[str, RoleRow], options: OpenOptions, hints: Geometry | None, notes: list[str]
) -> Geometry:
    """The band centres: the user's, the file's, the hints', else the list in circulation with that many bands."""
    num_bands = geometry.num_bands
    stated = [
        given[role].found.attributes.get("wavelengths_nm") for role in ("measurement", "reference") if role in given
    ]
    stated += [given["wavelengths"].found.array] if "wavelengths" in given else []
    stated = [as_nanometres(values) for values in stated if values is not None]
    if options.wavelengths is not None:
        wavelengths_nm, reason = named_wavelengths(options.wavelengths), "as you said"
    elif stated:
        wavelengths_nm, reason = stated[0], "stated in the file"
    elif hints is not None and hints.wavelengths_nm is not None and len(hints.wavelengths_nm) == num_bands:
        wavelengths_nm, reason = hints.wavelengths_nm, "known of this instrument"
    elif num_bands in USUAL_LISTS:
        name = USUAL_LISTS[num_bands]
        wavelengths_nm, reason = WAVELENGTHS[name], f"assumed: the list {name}, the usual one for {num_bands} bands"
        notes.append(
            f"The files state no wavelengths; the list {name} ({wavelengths_nm[0]:g} to {wavelengths_nm[-1]:g} nm) was "
            "assumed."
        )
    else:
        notes.append(f"The wavelengths of the {num_bands} bands are not known; give a list to see colours.")
        return replace(geometry, wavelengths_nm=None)
    if len(wavelengths_nm) != num_bands:
        raise GeometryError(
            f"{len(wavelengths_nm)} wavelengths were found ({reason}) for {num_bands} bands. "
            "Give one wavelength per band."
        )
    if not (np.isfinite(wavelengths_nm).all() and np.min(wavelengths_nm) > 0):
        raise GeometryError(f"The wavelengths ({reason}) are not all positive numbers. Give one wavelength per band.")
    return replace(
        geometry,
        wavelengths_nm=tuple(float(value) for value in wavelengths_nm),
        reasons={**geometry.reasons, "wavelengths_nm": reason},
    )


def _with_dark_level(
    geometry: Geometry, row: RoleRow, arrays: Mapping[str, np.ndarray], options: OpenOptions, notes: list[str]
) -> Geometry:
    """The user's dark level, the file's, none for other files of ours, else what the ends of the detector read."""
    attributes = row.found.attributes
    level, reason = 0.0, "simulated measurements have none"
    if options.dark_level is not None:
        level, reason = options.dark_level, "as you said"
    elif isinstance(attributes.get("dark_level"), int | float):
        level, reason = float(attributes["dark_level"]), "stated in the file"
    elif "task" not in attributes:
        level = estimated_dark_level(arrays["measurement"], arrays["mask"], _offsets(geometry), geometry.axis)
        reason = "what the ends of the detector read, where hardly any band arrives"
    if not math.isfinite(level):
        raise GeometryError(f"The dark level is {level} ({reason}); a number was expected. Correct --dark-level.")
    if level and options.dark_level is None:
        notes.append(
            f"The detector reads {level:.3g} without light ({reason}); this dark level was subtracted. "
            "Give a dark level of 0 to keep it."
        )
    return replace(geometry, dark_level=float(level), reasons={**geometry.reasons, "dark_level": reason})


def _may_be_lit_from_beside(row: RoleRow, options: OpenOptions, geometry: Geometry, field: tuple[int, int]) -> bool:
    """Whether the scene may go on beside the field: that of a camera does, and that of a window along the dispersion.

    A simulated scene ends with its mask, and what LoRun has written holds no such light any more.
    """
    if options.light_beside not in (None, *LIGHT_BESIDE):
        raise GeometryError(
            f"Light from beside the field is {options.light_beside!r}; {' or '.join(LIGHT_BESIDE)} was expected. "
            "Correct --light-beside."
        )
    along = 1 if geometry.axis == "x" else 0
    is_window = options.crop is not None and options.crop[2 + along] < field[along]
    return options.light_beside != "keep" and (is_window or "task" not in row.found.attributes)


def _without_light_beside(arrays: Mapping[str, np.ndarray], geometry: Geometry, notes: list[str]) -> np.ndarray:
    """The snapshot without the light from beside the field, where there is some for sure."""
    y = arrays["measurement"]
    light = light_beside(y, arrays["mask"], _offsets(geometry), geometry.axis)
    lit = light > 0
    if not lit.any():
        return y
    across, along = ("rows", "columns") if geometry.axis == "x" else ("columns", "rows")
    lines = np.flatnonzero(lit.any(axis=1 if geometry.axis == "x" else 0))
    places = np.flatnonzero(lit.any(axis=0 if geometry.axis == "x" else 1))
    half = y.shape[1 if geometry.axis == "x" else 0] // 2
    ends = " and ".join(end for end, is_lit in (("first", places[0] < half), ("last", places[-1] >= half)) if is_lit)
    notes.append(
        f"Light from beside the field of view falls on the {ends} {along} of the detector ({across} {lines[0] + 1} to "
        f"{lines[-1] + 1}, up to {light.max():.3g}); an estimate of it was subtracted. "
        "Keep it with the option for light from beside, or --light-beside keep."
    )
    return y - light


def _offsets(geometry: Geometry) -> list[float]:
    """Where every band begins along the dispersion."""
    offsets = [geometry.first_offset + band * geometry.step for band in range(geometry.num_bands)]
    return offsets if geometry.direction == "+" else offsets[::-1]


# ---- arrays that fit ---------------------------------------------------------------------------------------------


def _require_fitting_cubes(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray], geometry: Geometry) -> None:
    mask, reference = arrays["mask"], arrays.get("reference")
    if mask.ndim == 3 and len(mask) != geometry.num_bands:
        raise GeometryError(
            f"The mask has {len(mask)} bands; the snapshot has {geometry.num_bands}. "
            "Choose another mask or correct the bands."
        )
    scene = (geometry.num_bands, *mask.shape[-2:])
    if reference is not None and reference.shape != scene:
        raise GeometryError(
            f"The reference {given['reference'].found.path.name} has {by(reference.shape)} bands, rows and columns; "
            f"the decoded image will have {by(scene)}. Choose the reference of this snapshot or leave it out."
        )


def _require_light(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses values that are no numbers, and what is black all over."""
    require_numbers(given, arrays)
    for role, advice in (("measurement", "a capture that saw light"), ("mask", "the mask that the light went through")):
        if not arrays[role].any():
            raise GeometryError(f"Every value of the {role} {given[role].found.path.name} is zero. Choose {advice}.")


def _cropped(
    arrays: Mapping[str, np.ndarray], crop: tuple[int, int, int, int], geometry: Geometry, notes: list[str]
) -> dict[str, np.ndarray]:
    """The arrays of a window of the scene; along the dispersion the detector's window is longer by the shear."""
    y, x, height, width = crop
    full = arrays["mask"].shape[-2:]
    if min(y, x) < 0 or min(height, width) < 1 or y + height > full[0] or x + width > full[1]:
        raise GeometryError(
            f"The window {y},{x},{height},{width} (top, left, height, width) was asked for; the scene is {by(full)} "
            "pixels. Choose a window inside it."
        )
    shear = shear_of(geometry.num_bands, geometry.step, geometry.first_offset)
    more_y, more_x = (0, shear) if geometry.axis == "x" else (shear, 0)
    cut = {role: array[..., y : y + height, x : x + width] for role, array in arrays.items() if role != "measurement"}
    cut["measurement"] = arrays["measurement"][y : y + height + more_y, x : x + width + more_x]
    if (width < full[1] and geometry.axis == "x") or (height < full[0] and geometry.axis == "y"):
        notes.append(
            "The window leaves out a part of the scene along the dispersion: light from there falls on up to "
            f"{shear} pixels at each end and can only be estimated. Keep the full length for exact spectra."
        )
    return {role: np.ascontiguousarray(array) for role, array in cut.items()}


def _input_scale(row: RoleRow, options: OpenOptions, notes: list[str]) -> float | None:
    """The factor to the engine's 0..1 scale: the user's, the file's; None leaves it to the decoder's rule."""
    stated = stated_input_scale(row, options, name="scale")
    if stated is None and row.scale == 1 and row.maximum > 1:
        notes.append(
            f"The snapshot reaches {row.maximum:.3g}: taken as the sum over the bands of a scene in 0..1. "
            "Give an input scale if it is in another unit."
        )
        return 1.0
    return stated

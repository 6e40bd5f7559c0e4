"""What CASSI files mean: bands, step and wavelengths from sizes, pre-shifted masks, and the measurement they make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AmbiguousGeometry, GeometryError
from ..measurement import Measurement
from .options import OpenOptions
from .readers import as_nanometres, read_wavelengths
from .wavelengths import WAVELENGTHS

if TYPE_CHECKING:
    from .roles import RoleRow

FEWEST_BANDS, MOST_BANDS = 3, 256  # what a solution for band count and step may be


@dataclass(frozen=True)
class Geometry:
    """What is known of a CASSI instrument; None where it is not. `reasons` says where each value comes from."""

    num_bands: int | None = None
    step: float | None = None
    axis: str | None = None
    direction: str | None = None
    first_offset: float | None = None
    wavelengths_nm: tuple[float, ...] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Resolved:
    """The arrays as the operator takes them, the complete geometry, and what was assumed."""

    arrays: Mapping[str, np.ndarray]
    geometry: Geometry
    input_scale: float | None
    notes: tuple[str, ...]


def resolve(
    rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Geometry | None
) -> Resolved:
    """Bands, step, axis, direction, offset and wavelengths of the files; raises a GeometryError that says what is amiss.

    The user's word comes first, then the file's, then `hints`, then what the sizes W' = W + (C - 1) step leave open.
    """
    arrays = dict(arrays)
    given = {row.role: row for row in rows if row.role}
    _require_measurement_and_mask(given, arrays)
    known = _known(given, arrays, options, hints)
    notes: list[str] = []
    if _is_shifted(given["mask"], arrays):
        arrays["mask"], known = _unshifted(arrays["mask"], known, arrays["measurement"].shape)
        notes.append(
            "The mask is stored shifted for every band; it was moved back band by band and is used as it is stored."
        )
    y, mask = arrays["measurement"], arrays["mask"]
    if not np.isfinite(mask).all():
        raise GeometryError(
            f"The mask holds {int((~np.isfinite(mask)).sum())} values that are not finite. Repair the file."
        )
    if not mask.any():
        raise GeometryError("Every value of the mask is zero. Choose the mask that the light went through.")
    geometry = _solved(y.shape, mask.shape[-2:], known)
    geometry = _with_wavelengths(geometry, given, options, notes)
    if mask.ndim == 3 and len(mask) != geometry.num_bands:
        raise GeometryError(
            f"The mask has {len(mask)} bands; the snapshot has {geometry.num_bands}. Choose another mask or correct the bands."
        )
    if "reference" in arrays and arrays["reference"].ndim == 2:
        arrays["reference"] = arrays["reference"][None]
    if options.crop is not None:
        arrays = _cropped(arrays, options.crop, geometry, notes)
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

    from ..tasks.cassi import CassiPhysics, Dispersion

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
        path=path,
        notes=notes,
    )


def turned(mask: np.ndarray, *, flip: str | None, rotate: int) -> np.ndarray:
    """The (H, W) or (C, H, W) mask turned by quarter turns counter-clockwise, then mirrored left-right or up-down."""
    mask = np.rot90(mask, rotate, axes=(-2, -1))
    if flip is not None:
        mask = np.flip(mask, axis=-1 if flip == "lr" else -2)
    return np.ascontiguousarray(mask)


def named_wavelengths(name: str) -> np.ndarray:
    """The band centres in nm of a list in WAVELENGTHS or of a file."""
    return np.asarray(WAVELENGTHS[name]) if name in WAVELENGTHS else read_wavelengths(name)


# ---- steps of resolve --------------------------------------------------------------------------------------------


def _require_measurement_and_mask(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    if "measurement" not in given:
        others = ", ".join(f"{row.found.path.name} is the {role}" for role, row in given.items()) or "nothing fits"
        raise GeometryError(f"No snapshot was found among the opened files ({others}). Add the snapshot.")
    y = arrays["measurement"]
    if y.ndim != 2:
        raise GeometryError(
            f"{given['measurement'].found.path.name} has the shape {_by(given['measurement'].shape)}; a snapshot is one grey "
            "image. Choose another array or role."
        )
    if "mask" not in given:
        raise GeometryError(
            f"{given['measurement'].found.path.name} is a snapshot of {_by(y.shape)} pixels; it cannot be decoded without the "
            "mask of its camera. Add the mask file."
        )


def _known(
    given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Geometry | None
) -> Geometry:
    """What user, file and hints say, each value with its reason."""
    attributes = {**given["mask"].found.attributes, **given["measurement"].found.attributes}
    values: dict[str, object] = {}
    reasons: dict[str, str] = {}

    def take(name: str, value: object, reason: str) -> None:
        if value is not None and name not in values:
            values[name], reasons[name] = value, reason

    for name in ("num_bands", "step", "axis", "direction", "first_offset"):
        take(name, getattr(options, name), "as you said")
    for name in ("step", "axis", "direction", "first_offset"):
        take(name, attributes.get(name), "stated in the file")
    if options.wavelengths is not None:
        take("num_bands", len(named_wavelengths(options.wavelengths)), "one band per wavelength of your list")
    if given["measurement"].found.key.lower() == "meas_real" and options.num_bands is None and options.step is None:
        take("num_bands", 28, "captures called 'meas_real' come from the TSA-Net camera, which has 28 bands")
        take("step", 2.0, "captures called 'meas_real' come from the TSA-Net camera, whose bands lie 2 columns apart")
    mask, reference = arrays["mask"], arrays.get("reference")
    if mask.ndim == 3:
        take("num_bands", len(mask), "the mask has one pattern per band")
    if reference is not None and reference.ndim == 3:
        take("num_bands", len(reference), "the reference has so many bands")
    listed = given.get("wavelengths")
    if listed is not None:
        take("num_bands", listed.found.array.size, "one band per wavelength of the file")
    for name in ("num_bands", "step", "axis", "direction", "first_offset"):
        take(name, None if hints is None else getattr(hints, name), "known of this instrument")
    return Geometry(**values, reasons=reasons)


def _is_shifted(row: RoleRow, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a mask is stored as Phi: every band already moved to its place on the detector."""
    mask, y = arrays["mask"], arrays["measurement"]
    return mask.ndim == 3 and (row.found.key.lower() == "mask_3d_shift" or mask.shape[-2:] == y.shape)


def _unshifted(mask: np.ndarray, known: Geometry, detector: tuple[int, int]) -> tuple[np.ndarray, Geometry]:
    """Every band of a pre-shifted mask (C, H', W') moved back to (C, H, W)."""
    reasons = dict(known.reasons)
    if known.step is None:
        reasons["step"] = "the usual step of masks that are stored shifted"
    step = 2.0 if known.step is None else known.step
    axis, direction, first = known.axis or "x", known.direction or "+", known.first_offset or 0.0
    if not (float(step).is_integer() and float(first).is_integer()):
        raise GeometryError(
            f"A mask stored shifted needs a whole step; {step:g} was given. Give the mask of the first band."
        )
    num_bands, dimension = len(mask), 2 if axis == "x" else 1
    span = int(first + (num_bands - 1) * step)
    length = mask.shape[dimension] - span
    if length < 1 or mask.shape[-2:] != detector:
        raise GeometryError(
            f"The shifted mask is {_by(mask.shape)}; the snapshot is {_by(detector)}. Choose the mask of this camera."
        )
    bands = []
    for band in range(num_bands):
        start = int(first + step * (band if direction == "+" else num_bands - 1 - band))
        bands.append(np.take(mask[band], range(start, start + length), axis=dimension - 1))
    geometry = replace(known, num_bands=num_bands, step=step, axis=axis, direction=direction, reasons=reasons)
    return np.ascontiguousarray(np.stack(bands)), geometry


def _solved(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry) -> Geometry:
    """The geometry with band count and step that fit the sizes; raises where none or several do."""
    reasons = dict(known.reasons)
    axis = known.axis
    if axis is None:
        axis = "y" if detector[1] == mask[1] and detector[0] > mask[0] else "x"
        reasons["axis"] = "the direction in which the snapshot is larger than the mask"
    along, across = (1, 0) if axis == "x" else (0, 1)
    direction, first = known.direction or "+", known.first_offset or 0.0
    reasons.setdefault("direction", "the usual direction")
    reasons.setdefault("first_offset", "the first band usually lies at the edge")
    span = detector[along] - mask[along] - first
    num_bands, step = known.num_bands, known.step
    if detector[across] != mask[across] or (span < 0 and (num_bands is None or step is None)):
        raise GeometryError(_misfit(detector, mask, axis, num_bands, step, first))
    if num_bands is None and step is None:
        num_bands, step = _only_solution(detector, mask, span)
        reasons["num_bands"] = reasons["step"] = "the only band count and step that fit the sizes"
    elif step is None:
        step = span / (num_bands - 1) if num_bands > 1 else 0.0
        reasons["step"] = f"{span:g} pixels over {num_bands} bands"
    elif num_bands is None:
        num_bands = round(span / step) + 1 if step > 0 else 1
        reasons["num_bands"] = f"{span:g} pixels at {step:g} a band"
    needed = mask[along] + math.ceil(first + (num_bands - 1) * step - 1e-9)
    if needed != detector[along]:
        raise GeometryError(_misfit(detector, mask, axis, num_bands, step, first))
    return replace(
        known,
        num_bands=num_bands,
        step=float(step),
        axis=axis,
        direction=direction,
        first_offset=first,
        reasons=reasons,
    )


def _only_solution(detector: tuple[int, ...], mask: tuple[int, ...], span: float) -> tuple[int, float]:
    whole = int(span) if float(span).is_integer() else 0
    solutions = tuple(
        (whole // step + 1, step)
        for step in range(1, whole + 1)
        if whole % step == 0 and FEWEST_BANDS <= whole // step + 1 <= MOST_BANDS
    )
    if len(solutions) == 1:
        return solutions[0][0], float(solutions[0][1])
    if not solutions:
        raise GeometryError(
            f"The snapshot is {_by(detector)} pixels and the mask {_by(mask)}; no band count and whole step explain the "
            f"difference of {span:g}. Give the number of bands or the step, or choose another mask."
        )
    listed = ", ".join(f"{bands} bands at step {step}" for bands, step in solutions)
    raise AmbiguousGeometry(
        f"The snapshot is {_by(detector)} pixels and the mask {_by(mask)}; {listed} all fit. Give the number of bands or "
        "the step.",
        solutions,
    )


def _misfit(
    detector: tuple[int, ...], mask: tuple[int, ...], axis: str, num_bands: int | None, step: float | None, first: float
) -> str:
    """The sentence about a mask that does not fit, with the size that would."""
    along, across, side = (1, 0, "width") if axis == "x" else (0, 1, "height")
    found = f"The snapshot is {_by(detector)} pixels"
    if num_bands is not None and step is not None and detector[across] == mask[across]:
        needed = mask[along] + math.ceil(first + (num_bands - 1) * step - 1e-9)
        return (
            f"{found}; this mask with {num_bands} bands and step {step:g} needs a {side} of {needed}. Choose another mask, "
            "correct bands or step, or crop the file."
        )
    other = "rows" if axis == "x" else "columns"
    return (
        f"{found}; the mask is {_by(mask)}. A mask has as many {other} as its snapshot and is smaller along the dispersion. "
        "Choose the mask of this camera, or turn it."
    )


def _with_wavelengths(
    geometry: Geometry, given: Mapping[str, RoleRow], options: OpenOptions, notes: list[str]
) -> Geometry:
    """The band centres: the user's, the file's, else the list in circulation with that many bands."""
    reasons = dict(geometry.reasons)
    stated = [
        given[role].found.attributes.get("wavelengths_nm") for role in ("measurement", "reference") if role in given
    ]
    stated += [given["wavelengths"].found.array] if "wavelengths" in given else []
    stated = [as_nanometres(values) for values in stated if values is not None]
    if options.wavelengths is not None:
        wavelengths_nm, reasons["wavelengths_nm"] = named_wavelengths(options.wavelengths), "as you said"
    elif stated:
        wavelengths_nm, reasons["wavelengths_nm"] = stated[0], "stated in the file"
    else:
        name = {28: "cassi-28", 24: "smem-24", 31: "cave-31"}.get(geometry.num_bands)
        if name is None:
            notes.append(
                f"The wavelengths of the {geometry.num_bands} bands are not known; give a list to see colours."
            )
            return replace(geometry, wavelengths_nm=None)
        wavelengths_nm = np.asarray(WAVELENGTHS[name])
        reasons["wavelengths_nm"] = f"assumed: the list {name}, the usual one for {geometry.num_bands} bands"
        notes.append(
            f"The files state no wavelengths; the list {name} ({wavelengths_nm[0]:g} to {wavelengths_nm[-1]:g} nm) was assumed."
        )
    if len(wavelengths_nm) != geometry.num_bands:
        raise GeometryError(
            f"{len(wavelengths_nm)} wavelengths were found for {geometry.num_bands} bands. Give one wavelength per band."
        )
    return replace(geometry, wavelengths_nm=tuple(float(value) for value in wavelengths_nm), reasons=reasons)


def _cropped(
    arrays: Mapping[str, np.ndarray], crop: tuple[int, int, int, int], geometry: Geometry, notes: list[str]
) -> dict[str, np.ndarray]:
    """The arrays of a window of the scene; along the dispersion the detector's window is longer by the shear."""
    y, x, height, width = crop
    full = arrays["mask"].shape[-2:]
    if min(height, width) < 1 or y + height > full[0] or x + width > full[1]:
        raise GeometryError(
            f"The window {y},{x},{height},{width} was asked for; the scene is {_by(full)} pixels. Choose a window inside it."
        )
    span = math.ceil(geometry.first_offset + (geometry.num_bands - 1) * geometry.step - 1e-9)
    more_y, more_x = (0, span) if geometry.axis == "x" else (span, 0)
    cut = {role: array[..., y : y + height, x : x + width] for role, array in arrays.items() if role != "measurement"}
    cut["measurement"] = arrays["measurement"][y : y + height + more_y, x : x + width + more_x]
    if (width < full[1] and geometry.axis == "x") or (height < full[0] and geometry.axis == "y"):
        notes.append(
            f"The window leaves out a part of the scene along the dispersion: light from there still falls on up to {span} "
            "pixels at each end. Keep the full length for exact spectra."
        )
    return {role: np.ascontiguousarray(array) for role, array in cut.items()}


def _input_scale(row: RoleRow, options: OpenOptions, notes: list[str]) -> float | None:
    """The factor to the engine's 0..1 scale: the user's, the file's; None leaves it to the decoder's rule."""
    if options.input_scale is not None:
        if not (options.input_scale > 0 and math.isfinite(options.input_scale)):
            raise GeometryError(f"The input scale is {options.input_scale}; a positive number was expected.")
        return float(options.input_scale)
    stated = row.found.attributes.get("input_scale")
    if isinstance(stated, (int, float)) and stated > 0:
        return float(stated)
    if "task" in row.found.attributes:
        return 1.0  # a measurement that LoRun simulated from a scene in 0..1
    if row.scale == 1 and row.maximum > 1:
        notes.append(
            f"The snapshot reaches {row.maximum:.3g}: taken as the sum over the bands of a scene in 0..1. "
            "Give an input scale if it is in another unit."
        )
        return 1.0
    return None


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)

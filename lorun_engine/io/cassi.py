"""What CASSI files mean: bands, step and wavelengths from sizes, pre-shifted masks, and the measurement they make.

Loads no torch until a measurement is made: the window reads files before torch is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import GeometryError, by
from ..measurement import Measurement
from . import cassi_options
from .captures import is_longer
from .cassi_bands import in_rising_order, named_wavelengths, with_wavelengths
from .cassi_geometry import VALUES, Geometry, fitting, rising
from .dark_level import estimated_dark_level
from .guide import guide_words, with_guide
from .light_beside import LIGHT_BESIDE, light_beside
from .masks import is_shifted, moved, turned, unshifted
from .options import OpenOptions
from .readers import FoundArray, is_wavelengths
from .resolved import (
    SCENE_KEYS,
    SMALLEST,
    Resolved,
    RoleRow,
    Said,
    require_numbers,
    stated_input_scale,
)
from .units import WAVELENGTH_KEYS

if TYPE_CHECKING:
    from ..tasks.camera import Camera
    from ..tasks.cassi import CassiPhysics


# role -> keys that public code and data sets use, in lower case
ROLES: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "meas_real", "meas", "y", "snapshot", "capture"),
    "mask": ("mask", "mask_3d", "mask_3d_shift", "masks", "coded_aperture"),
    "reference": SCENE_KEYS,
    "wavelengths": WAVELENGTH_KEYS,
    "guide": ("guide", "rgb", "side_image"),
    "response": ("response", "guide_response", "spectral_response"),
}
NUM_AXES: Mapping[str, tuple[int, ...]] = {
    "measurement": (2,),
    "mask": (2, 3),
    "reference": (2, 3),
    "wavelengths": (1,),
    "guide": (2, 3),
    "response": (1, 2),
}
FILE_WORDS: Mapping[str, tuple[str, ...]] = {
    "mask": ("mask",),
    "guide": ("guide",),
    "measurement": ("meas", "snapshot", "capture"),
}
AXES: Mapping[str, str] = {}  # no role has fixed axes
COMPANIONS: Mapping[str, str] = {"mask": "the coded aperture", "guide": "a picture that a second camera took"}
OPTIONS, CHANGES = cassi_options.OPTIONS, cassi_options.CHANGES
OF_CAMERA = (
    *("num_bands", "step", "axis", "direction", "first_offset", "wavelengths", "flip", "rotate", "mask_shift"),
    *("guide_response", "guide_camera", "guide_noise"),
)
USUAL_BANDS = 28
_SATURATED = 0.01  # of the pixels


GEOMETRY = Geometry


def claims(found: Sequence[FoundArray], options: OpenOptions) -> bool:
    """No: what no other task claims is taken for a snapshot."""
    return False


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
        fitting = [n for n in images if is_longer(shapes[n], of_role.get("mask"))]
        if fitting:
            give(fitting[0], "measurement", "an image that is larger than the mask in one direction")
        else:
            give(images[0], "measurement", "the largest image without another role")
    images = [n for n in free if len(shapes[n]) == 2]
    if "mask" not in of_role and images:
        fitting = [n for n in images if is_longer(of_role.get("measurement"), shapes[n])]
        give((fitting or images)[0], "mask", "the other image")
    for number in [n for n in free if len(shapes[n]) == 3]:
        if "mask" not in of_role and of_role.get("measurement") in (shapes[number][:2], shapes[number][1:]):
            give(number, "mask", "one pattern per band, as large as the snapshot")
        elif "guide" not in of_role and _is_in_colours(shapes[number], of_role):
            give(number, "guide", "a picture in colours, as large as the mask")
        elif "reference" not in of_role:
            give(number, "reference", "the only cube without another role")
    for number in [n for n in free if len(shapes[n]) == 1 and is_wavelengths(found[n].array)]:
        if "wavelengths" not in of_role:
            give(number, "wavelengths", "a steady list of numbers between 200 and 3000 nm")
    return given


def resolve(
    rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: Geometry | None
) -> Resolved:
    """Bands, step, axis, direction, offset and wavelengths of the files, and arrays that fit them.

    The user's word comes first, then the file's, then `hints`, then what the sizes W' = W + (C-1) step leave open.
    Raises a GeometryError that says what is amiss.
    """
    arrays, notes = dict(arrays), list[str]()
    given = {row.role: row for row in rows if row.role}
    _require_measurement_and_mask(given, arrays)
    known = _known(given, arrays, options)
    if known.detector_shape is None and is_shifted(given["mask"], arrays["mask"], arrays["measurement"].shape):
        if options.flip or options.rotate:
            raise GeometryError(
                "A mask that is stored shifted for every band cannot be turned or mirrored here. "
                "Give the mask as the first band sees it."
            )
        arrays["mask"], known = unshifted(arrays["mask"], known, arrays["measurement"].shape, notes)
    detector, mask = arrays["measurement"].shape, arrays["mask"].shape[-2:]
    geometry = fitting(detector, mask, known, hints)
    geometry = with_wavelengths(geometry, given, options, hints, notes)
    if "reference" in arrays and arrays["reference"].ndim == 2:
        arrays["reference"] = arrays["reference"][None]
    geometry = in_rising_order(geometry, given, arrays, notes)
    geometry = with_guide(geometry, given, arrays, options, notes)
    _require_fitting_cubes(given, arrays, geometry)
    geometry = _with_dark_level(geometry, given["measurement"], arrays, options, notes)
    notes += _saturation(given["measurement"], arrays["measurement"])
    if geometry.dark_level:
        arrays["measurement"] = arrays["measurement"] - np.float32(geometry.dark_level)
    if options.crop is not None:
        arrays = _cropped(arrays, options.crop, geometry, notes)
    if _may_be_lit_from_beside(given["measurement"], options, geometry, mask):
        arrays["measurement"], geometry = _without_light_beside(arrays, geometry, notes)
    _require_light(given, arrays)
    input_scale, geometry = _input_scale(given["measurement"], options, geometry, notes)
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

    from ..tasks.cassi import CassiPhysics

    y = arrays["measurement"]
    physics = CassiPhysics(
        torch.from_numpy(arrays["mask"]), geometry.dispersion, detector_shape=(y.shape[0], y.shape[1])
    )
    wavelengths_nm = geometry.wavelengths_nm
    unguided = Measurement(
        task="cassi",
        y=y[None],
        physics=physics,
        wavelengths_nm=None if wavelengths_nm is None else np.asarray(wavelengths_nm),
        reference=arrays.get("reference"),
        input_scale=input_scale,
        dark_level=geometry.dark_level or 0.0,
        path=path,
        notes=notes,
    )
    if "guide" not in arrays:
        return unguided
    from ..tasks.guiding import guided

    return guided(
        unguided,
        arrays["guide"],
        arrays["response"],
        shift=geometry.guide_shift,
        is_scaled=geometry.guide_is_scaled,
    )


def told(geometry: Geometry, measurement: Measurement) -> Geometry:
    """The geometry with the place of a guide, which only a decode shows."""
    guide = cast("CassiPhysics", measurement.physics).guide
    if guide is None or geometry.guide_shift is not None or not any(guide.moved):
        return geometry
    reasons = {**geometry.reasons, "guide_shift": "estimated: where it resembles what the snapshot shows most"}
    return replace(geometry, guide_shift=guide.moved, reasons=reasons)


def cameras(said: Said) -> Mapping[str, Camera]:
    """One camera: with the mask that was named, else with any; what else is left open is the set's, or usual."""
    from ..tasks.cassi import CassiCamera

    options, stated = said.options, said.task_config.get("wavelengths_nm")
    if options.wavelengths is not None:
        stated = named_wavelengths(options.wavelengths)
    num_bands = options.num_bands or (said.channels or USUAL_BANDS if stated is None else len(stated))
    if stated is not None and num_bands != len(stated):
        raise GeometryError(
            f"{num_bands} bands were asked for; {len(stated)} wavelengths are known. Give --wavelengths."
        )
    geometry, is_turned = rising(
        Geometry(
            num_bands,
            step=said.task_config.get("step", 2.0) if options.step is None else options.step,
            axis=options.axis or "x",
            direction=options.direction or "+",
            first_offset=options.first_offset or 0.0,
            wavelengths_nm=None if stated is None else tuple(stated),
        )
    )
    mask = said.arrays.get("mask")
    if mask is None and any(turn is not None for turn in (options.flip, options.rotate, options.mask_shift)):
        raise GeometryError("A mask is to be turned or moved, but none was named. Name it with --mask.")
    if is_turned and mask is not None and mask.ndim == 3:
        mask = np.ascontiguousarray(mask[::-1])
    wavelengths_nm = None if stated is None else np.asarray(geometry.wavelengths_nm, dtype=np.float64)
    camera = CassiCamera(said.noise, mask=mask, dispersion=geometry.dispersion, wavelengths_nm=wavelengths_nm)
    return {"": replace(camera, **guide_words(said, wavelengths_nm))}


def described(geometry: Geometry) -> str:
    """As "28 bands 453.5 – 648.0 nm · step 2 px →"."""
    text = f"{geometry.num_bands} band" + ("s" if geometry.num_bands != 1 else "")
    if geometry.wavelengths_nm is not None:
        text += f"  {geometry.wavelengths_nm[0]:.1f} – {geometry.wavelengths_nm[-1]:.1f} nm"
    dispersion = geometry.dispersion
    arrow = {"x+": "→", "x-": "←", "y+": "↓", "y-": "↑"}[dispersion.axis + dispersion.direction]
    return f"{text}  ·  step {dispersion.step:g} px {arrow}"


def stored(measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
    """What belongs into a measurement file beside y: (name, array, axes) of the mask, and the attributes."""
    physics = cast("CassiPhysics", measurement.physics)
    dispersion, mask = physics.dispersion, physics.mask[0].cpu().numpy()
    attributes = {
        "num_bands": dispersion.num_bands,
        "step": float(dispersion.step),
        "axis": dispersion.axis,
        "direction": dispersion.direction,
        "first_offset": float(dispersion.first_offset),
    }
    detector = physics.measurement_shape[1:]
    if detector != dispersion.detector_shape(*physics.scene_shape[1:]):
        attributes["detector_shape"] = detector
    companions = [("mask", *((mask[0], "YX") if len(mask) == 1 else (mask, "CYX")))]
    if physics.guide is not None:
        companions += [
            ("guide", physics.guide.picture[0].cpu().numpy(), "CYX"),
            ("response", physics.guide.response.cpu().numpy(), ""),
        ]
    return companions, attributes


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
        camera = "assumed: captures called 'meas_real' come from the TSA-Net camera"
        take("num_bands", 28, f"{camera}, which has 28 bands")
        take("step", 2.0, f"{camera}, whose bands lie 2 columns apart")
    if arrays["mask"].ndim == 3:
        take("num_bands", len(arrays["mask"]), "the mask has one pattern per band")
    if "reference" in arrays and arrays["reference"].ndim == 3:
        take("num_bands", len(arrays["reference"]), "the reference has so many bands")
    if "wavelengths" in given:
        take("num_bands", given["wavelengths"].found.array.size, "one band per wavelength of the file")
    stated = np.ravel(given["measurement"].found.attributes.get("detector_shape", ()))
    detector = (int(stated[0]), int(stated[1])) if stated.shape == (2,) and stated.dtype.kind in "iu" else None
    return Geometry(**values, detector_shape=detector, mask_shift=options.mask_shift, reasons=reasons)


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
        level = estimated_dark_level(
            arrays["measurement"], arrays["mask"], geometry.dispersion.offsets, geometry.dispersion.axis
        )
        reason = "what the ends of the detector read, where hardly any band arrives"
    if not math.isfinite(level):
        raise GeometryError(f"The dark level is {level} ({reason}); a number was expected. Correct --dark-level.")
    if level and options.dark_level is None:
        notes.append(
            f"The detector reads {level:.3g} without light ({reason}); this dark level was subtracted. "
            "Give a dark level of 0 to keep it."
        )
    reasons = {**geometry.reasons, "dark_level": f"subtracted: {reason}" if level else reason}
    return replace(geometry, dark_level=float(level), reasons=reasons)


def _saturation(row: RoleRow, y: np.ndarray) -> list[str]:
    """A sentence where more pixels than a scene explains read the snapshot's highest value: what was brighter is lost.

    Integers that stay below half of their full scale are taken for a dim snapshot of few levels.
    """
    share = float(np.mean(y == y.max()))
    if share <= _SATURATED or (row.scale > 1 and y.max() < 0.5):
        return []
    return [
        f"{100 * share:.3g} % of the pixels of {row.found.path.name} read its highest value, {row.maximum:.6g}: the "
        "detector was probably saturated there, and spectra that reach them are wrong. Expose for a shorter time."
    ]


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


def _without_light_beside(
    arrays: Mapping[str, np.ndarray], geometry: Geometry, notes: list[str]
) -> tuple[np.ndarray, Geometry]:
    """The snapshot without the light from beside the field, where there is some for sure, which the geometry says."""
    y = arrays["measurement"]
    light = light_beside(y, arrays["mask"], geometry.dispersion.offsets, geometry.dispersion.axis)
    lit = light > 0
    if not lit.any():
        return y, geometry
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
    reasons = {**geometry.reasons, "light_from_beside": "subtracted: what closed pixels of the mask read at the ends"}
    return np.asarray(y - light), replace(geometry, light_from_beside=float(light.max()), reasons=reasons)


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


def _is_in_colours(shape: tuple[int, ...], of_role: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a cube has three channels of the size of the mask, whose own bands are not three."""
    mask = of_role.get("mask", ())
    return len(mask) == 2 and shape in ((*mask, 3), (3, *mask))


def _require_light(given: Mapping[str, RoleRow], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses values that are no numbers, and what is black all over."""
    require_numbers(given, arrays)
    for role, advice in (("measurement", "a capture that saw light"), ("mask", "the mask that the light went through")):
        if not arrays[role].any():
            raise GeometryError(f"Every value of the {role} {given[role].found.path.name} is zero. Choose {advice}.")
    brightest = float(np.abs(arrays["mask"]).max())
    if brightest < SMALLEST:
        raise GeometryError(
            f"The mask {given['mask'].found.path.name} reaches {brightest:.3g}; shares of the light from 0 to 1 were "
            "expected. Divide it by its largest value."
        )


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
    shear = geometry.dispersion.span
    more_y, more_x = (0, shear) if geometry.axis == "x" else (shear, 0)
    images = {role: array for role, array in arrays.items() if role not in ("measurement", "response")}
    cut = {role: array[..., y : y + height, x : x + width] for role, array in images.items()}
    if "response" in arrays:
        cut["response"] = arrays["response"]
    cut["measurement"] = arrays["measurement"][y : y + height + more_y, x : x + width + more_x]
    if (width < full[1] and geometry.axis == "x") or (height < full[0] and geometry.axis == "y"):
        notes.append(
            "The window leaves out a part of the scene along the dispersion: light from there falls on up to "
            f"{shear} pixels at each end and can only be estimated. Keep the full length for exact spectra."
        )
    return {role: np.ascontiguousarray(array) for role, array in cut.items()}


def _input_scale(
    row: RoleRow, options: OpenOptions, geometry: Geometry, notes: list[str]
) -> tuple[float | None, Geometry]:
    """The factor to the engine's 0..1 scale: the user's, the file's; None leaves it to the decoder's rule."""
    stated = stated_input_scale(row, options, name="scale")
    if stated is None and row.scale == 1 and row.maximum > 1:
        notes.append(
            f"The snapshot reaches {row.maximum:.3g}: taken as the sum over the bands of a scene in 0..1. "
            "Give an input scale if it is in another unit."
        )
        reason = "the snapshot is the sum over the bands of a scene in 0..1"
        reason = reason if "task" in row.found.attributes else f"assumed: {reason}"
        return 1.0, replace(geometry, reasons={**geometry.reasons, "input_scale": reason})
    return stated, geometry

"""What super-resolution files mean: a low-resolution picture, its factor, and the kernel that blurred it.

Loads no torch until a measurement is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import FileError, GeometryError, by
from ..instrument import BORDERS, GALLERY, SCIPY_MODES
from ..measurement import Measurement
from .options import CUBE_AXES, INPUT_SCALE, INTEGER_SCALE, KEY, OpenOptions, Option, file_and_number
from .readers import FoundArray, read
from .resolved import Resolved, RoleRow, Said, kernel_image, require_numbers, stated_input_scale

if TYPE_CHECKING:
    from ..tasks.camera import Camera
    from ..tasks.sr import SrPhysics

ROLES: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "lr", "low", "y", "img", "image"),
    "kernel": ("kernel", "kernels", "psf", "k"),
    "reference": ("reference", "hr", "high", "orig", "truth", "gt"),
}
NUM_AXES: Mapping[str, tuple[int, ...]] = {"measurement": (2, 3), "kernel": (1, 2), "reference": (2, 3)}
FILE_WORDS: Mapping[str, tuple[str, ...]] = {
    "kernel": ("kernel", "psf"),
    "measurement": ("low", "_lr", "x2", "x3", "x4"),
}
AXES: Mapping[str, str] = {}  # no role has fixed axes
COMPANIONS: Mapping[str, str] = {}  # a kernel has its option
_SCALE = Option(
    "scale",
    "--scale",
    int,
    "Factor",
    "factor to the low-resolution image",
    choices=(("× 2", 2), ("× 3", 3), ("× 4", 4)),
)
_KERNEL = Option(
    "kernel", "--kernel", str, "Blur kernel", "blur kernel: of the gallery, or the N-th of a file", "NAME|FILE[:N]",
    choices=tuple((name.replace(" x ", " × "), name) for name in GALLERY), is_open=True, role="kernel",
)  # fmt: skip
OPTIONS = (
    _SCALE,
    _KERNEL,
    Option(
        "border",
        "--border",
        str,
        "Beyond the border",
        "how the scene goes on beyond its border",
        choices=tuple((border, border) for border in BORDERS),
    ),
    *(INPUT_SCALE, INTEGER_SCALE, CUBE_AXES, KEY),
)
CHANGES = (_KERNEL, _SCALE)
OF_CAMERA = ("kernel", "scale", "border")
USUAL_SCALE = 2
LARGEST_KERNEL = 64  # pixels a side; a larger image is a picture


@dataclass(frozen=True)
class SrGeometry:
    """How a picture was made small. `reasons` says where each value comes from.

    `kernel` is the name of one in the gallery, "FILE[:N]", or "gaussian SD" with the estimated width. `border` is how
    the scene goes on beyond its border, one of BORDERS.
    """

    scale: int
    kernel: str
    kernel_size: tuple[int, int]
    noise_level: float | None = None  # standard deviation, where the file states it
    border: str = "mirrored"
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)


GEOMETRY = SrGeometry


def claims(found: Sequence[FoundArray], options: OpenOptions) -> bool:
    """Where a kernel or a factor was said, or everything that was opened are photographs."""
    said = {role for _, role in options.roles}
    return "kernel" in said or options.scale is not None or options.kernel is not None or _are_photographs(found)


def prepared(arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
    """The arrays as they are."""
    return dict(arrays)


def by_shape(
    found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, str, str]]:
    """(number, role, reason): small grey images are kernels, of the others the smallest is the one to be enlarged."""
    shapes = {number: tuple(length for length in found[number].array.shape if length > 1) for number in free}
    kernels = [n for n in free if len(shapes[n]) == 2 and max(shapes[n]) <= LARGEST_KERNEL]
    kernels += [n for n in free if len(shapes[n]) == 1 and _is_line_kernel(found[n].array)]
    pictures = [n for n in free if len(shapes[n]) in (2, 3) and n not in kernels]  # the largest first
    if "measurement" not in taken and not pictures:
        pictures, kernels = kernels[:1], kernels[1:]
    given = []
    if "measurement" not in taken and pictures:
        given.append((pictures.pop(), "measurement", "the smallest picture"))
    if "reference" not in taken and pictures:
        given.append((pictures[-1], "reference", "a larger picture"))
    if "kernel" not in taken and kernels:
        given.append((min(kernels), "kernel", "an image as small as a blur kernel"))
    return given


def resolve(rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: None) -> Resolved:
    """The picture (C, h, w), its factor and its kernel: the user's, the file's, else estimated from the picture.

    Raises a GeometryError that says what is amiss.
    """
    arrays, notes = dict(arrays), []
    given = {row.role: row for row in rows if row.role}
    if "measurement" not in given:
        raise GeometryError("No picture was found among the opened files. Open a low-resolution picture.")
    require_numbers(given, arrays)
    row, y = given["measurement"], arrays["measurement"]
    y = y[None] if y.ndim == 2 else y
    if len(y) not in (1, 3):
        raise GeometryError(
            f"{row.found.path.name} has {len(y)} channels ({by(row.shape)}); a grey or a colour picture was expected. "
            "Choose another array, or give the axes of the cube."
        )
    arrays["measurement"] = y
    scale, reasons = _scale(row, y, arrays.get("reference"), options)
    kernel, name, reasons["kernel"] = _kernel(row, y, scale, given.get("kernel"), arrays, options)
    if kernel.shape[0] > scale * y.shape[1] or kernel.shape[1] > scale * y.shape[2]:
        raise GeometryError(
            f"The kernel {name} is {by(kernel.shape)} pixels; the enlarged picture has {scale * y.shape[1]} x "
            f"{scale * y.shape[2]}. Choose a smaller kernel."
        )
    arrays["kernel"] = kernel
    if "reference" in arrays:
        arrays["reference"] = _reference(given["reference"], arrays["reference"], (len(y), scale), y.shape[1:])
    others = _other_kernels(rows, given.get("kernel"), options)
    if others:
        notes.append(
            f"{name} holds {others + 1} kernels; {given['kernel'].found.key} is used. Say which one blurred it."
        )
    if name.startswith("gaussian") and "estimated" in reasons["kernel"]:
        notes.append(f"The blur was estimated from the picture: {name} pixels. Choose a kernel if you know it.")
    border, reasons["border"] = _border(row, arrays, scale, options)
    geometry = SrGeometry(scale, name, kernel.shape, _noise_level(row), border, reasons)
    input_scale = stated_input_scale(row, options)
    return Resolved(arrays, geometry, 1.0 if input_scale is None else input_scale, tuple(notes))


def measurement(
    arrays: Mapping[str, np.ndarray],
    geometry: SrGeometry,
    *,
    path: Path,
    input_scale: float | None,
    notes: tuple[str, ...],
) -> Measurement:
    """The Measurement of resolved arrays: y (C, h, w) with its operator."""
    import torch

    from ..tasks.sr import SrPhysics

    y = arrays["measurement"]
    height, width = (side * geometry.scale for side in y.shape[1:])
    physics = SrPhysics(
        torch.from_numpy(np.ascontiguousarray(arrays["kernel"], dtype=np.float32)),
        geometry.scale,
        (height, width),
        channels=len(y),
        noise_level=geometry.noise_level or 0.0,
        border=geometry.border,
    )
    return Measurement(
        task="sr",
        y=y,
        physics=physics,
        reference=arrays.get("reference"),
        input_scale=input_scale,
        path=path,
        notes=notes,
    )


def told(geometry: SrGeometry, measurement: Measurement) -> SrGeometry:
    """The geometry as it is."""
    return geometry


def cameras(said: Said) -> Mapping[str, Camera]:
    """A camera for every kernel of the file that was named, "K1" and so on; scenes are measured in 8 bits.

    A set that adapts learns one kernel, or all of them where none was named.
    """
    from ..tasks.sr import USUAL_KERNEL, SrCamera

    name = said.options.kernel
    if said.adapts:
        known = said.task_config.get("scales") or [USUAL_SCALE]
        kernels = [None] if name is None else read_kernels(name)
        if len(kernels) != 1:
            raise GeometryError(f"{name} holds {len(kernels)} kernels; one is adapted to. Choose it, e.g. :1.")
        return {"": SrCamera(said.noise, kernel=kernels[0], scale=said.options.scale or int(known[0]))}
    named = read_kernels(name or USUAL_KERNEL)
    labels = [f"K{number}" for number in range(1, len(named) + 1)] if len(named) > 1 else [""]
    scale, border = said.options.scale or USUAL_SCALE, said.options.border or "circular"
    return {
        label: SrCamera(said.noise, kernel=kernel, scale=scale, border=border, eight_bit=True)
        for label, kernel in zip(labels, named, strict=True)
    }


def described(geometry: SrGeometry) -> str:
    """As "× 2 · blur gaussian 1.6"."""
    return f"× {geometry.scale}  ·  blur: {geometry.kernel}"


def stored(measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
    """What belongs into a measurement file beside y: the kernel, the factor, and the noise level that networks see."""
    physics = cast("SrPhysics", measurement.physics)
    attributes = {"scale": physics.scale, "noise_level": physics.noise_level, "border": physics.border}
    return [("kernel", physics.kernel[0].cpu().numpy(), "YX")], attributes


def _is_line_kernel(array: np.ndarray) -> bool:
    """Whether a row or a column of an image is a kernel: as short as one, with the sum 1."""
    is_line = array.ndim == 2 and 2 < array.size <= LARGEST_KERNEL
    return is_line and abs(float(array.sum()) - 1) < 1e-3


def _are_photographs(found: Sequence[FoundArray]) -> bool:
    """Whether what was opened is one picture of 8 bits, or one and its enlargement; detectors give more bits.

    A TIFF is one where it has colours.
    """
    pictures = [entry for entry in found if entry.path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp")]
    tiffs = [entry for entry in found if entry.path.suffix.lower() in (".tif", ".tiff")]
    pictures += [entry for entry in tiffs if entry.axes == "YXC" and entry.array.shape[2] == 3]
    if not pictures or len(pictures) < len(found) or len(pictures) > 2:
        return False
    if any(entry.array.dtype != np.uint8 or "mask" in entry.path.stem.lower() for entry in pictures):
        return False
    (height, width), *others = sorted(entry.array.shape[:2] for entry in pictures)
    return all(y > height and y % height == 0 and x % width == 0 for y, x in others)


def read_kernels(name: str) -> list[np.ndarray]:
    """The kernels that `name` stands for: one of the gallery, those of a file, or the N-th of a file, "FILE:N"."""
    from ..tasks.kernels import gallery

    known = gallery()
    if name in known:
        return [known[name]]
    file, number = file_and_number(name)
    if not Path(file).is_file():
        raise FileError(
            f"The kernel {name!r} is neither in the gallery nor a file. Choose {', '.join(known)}, or FILE or FILE:N."
        )
    images = [image for entry in read(Path(file)) for image in _images_of(kernel_image(entry.array))]
    kernels = [image for image in images if image.ndim == 2 and 1 not in image.shape]
    kernels = kernels or [image for image in images if image.ndim == 2 and image.size > 1]
    if number:
        if not 1 <= int(number) <= len(kernels):
            raise FileError(f"{file} holds {len(kernels)} kernels; number {number} was asked for.")
        kernels = kernels[int(number) - 1 : int(number)]
    if not kernels:
        raise FileError(f"{file} holds no image that could be a kernel. Choose another file.")
    return [_normalised(kernel, file) for kernel in kernels]


def _images_of(array: np.ndarray) -> list[np.ndarray]:
    """The images of an array; of a stack those along the axis that is not as long as the others, else the first."""
    if array.ndim != 3:
        return [array]
    others = [array.shape[1] == array.shape[2], array.shape[0] == array.shape[2], array.shape[0] == array.shape[1]]
    return list(np.moveaxis(array, others.index(True) if any(others) else 0, 0))


def _normalised(kernel: np.ndarray, name: str) -> np.ndarray:
    """A kernel as float32 of sum 1; a sentence for what is none."""
    kernel = np.asarray(kernel, dtype=np.float64)
    total = float(kernel.sum())
    if max(kernel.shape) > LARGEST_KERNEL or not math.isfinite(total) or total <= 0:
        raise GeometryError(
            f"The kernel in {name} is {by(kernel.shape)} pixels with the sum {total:g}; at most {LARGEST_KERNEL} x "
            f"{LARGEST_KERNEL} pixels and a positive sum were expected. Choose another kernel."
        )
    return (kernel / total).astype(np.float32)


def _scale(
    row: RoleRow, y: np.ndarray, reference: np.ndarray | None, options: OpenOptions
) -> tuple[int, dict[str, str]]:
    """The factor and where it comes from."""
    attributes = row.found.attributes
    if options.scale is not None:
        scale, reason = options.scale, "as you said"
    elif "task" in attributes and isinstance(attributes.get("scale"), int | float | np.number):
        scale, reason = attributes["scale"], "stated in the file"
    elif reference is not None:
        scale, reason = reference.shape[-1] / y.shape[-1], "how much larger the reference is"
    else:
        scale, reason = USUAL_SCALE, "assumed: the usual one"
    if float(scale) not in (1, 2, 3, 4, 5, 6, 7, 8):
        raise GeometryError(
            f"The factor is {scale:g} ({reason}); a whole number up to 8 was expected. Correct --scale."
        )
    return int(scale), {"scale": reason}


def _kernel(
    row: RoleRow,
    y: np.ndarray,
    scale: int,
    given: RoleRow | None,
    arrays: Mapping[str, np.ndarray],
    options: OpenOptions,
) -> tuple[np.ndarray, str, str]:
    """The kernel, its name and where it comes from."""
    if options.kernel is not None:
        kernels = read_kernels(options.kernel)
        if len(kernels) > 1:
            raise GeometryError(
                f"{options.kernel} holds {len(kernels)} kernels. Choose one by its number, e.g. {options.kernel}:1."
            )
        return kernels[0], options.kernel, "as you said"
    if given is not None:
        name = given.found.path.name if given.found.path != row.found.path else given.found.key
        return _normalised(arrays["kernel"], name), name, given.reason
    from ..tasks.kernels import SIZE, estimated_width, gaussian_kernel

    width = round(min(max(estimated_width(y, scale), 0.3), 4.0), 1)
    size = min(SIZE, scale * y.shape[1], scale * y.shape[2])
    return gaussian_kernel(width, size=size), f"gaussian {width:g}", "estimated: from the picture"


def _other_kernels(rows: Sequence[RoleRow], given: RoleRow | None, options: OpenOptions) -> int:
    """How many more elements the cell has that the kernel in use was taken from without being asked for."""
    if given is None:
        return 0
    key = given.found.key
    if options.kernel is not None or "[" not in key or any(said.endswith(f"::{key}") for said, _ in options.roles):
        return 0
    cell = key.partition("[")[0] + "["
    return sum(row.found.path == given.found.path and row.found.key.startswith(cell) for row in rows) - 1


def _border(row: RoleRow, arrays: Mapping[str, np.ndarray], scale: int, options: OpenOptions) -> tuple[str, str]:
    """How the scene goes on beyond its border, and where that comes from."""
    stated = row.found.attributes.get("border")
    if options.border is not None:
        if options.border not in BORDERS:
            raise GeometryError(f"The border is {options.border!r}; {' or '.join(BORDERS)} was expected.")
        return options.border, "as you said"
    if stated in BORDERS:
        return stated, "stated in the file"
    if "task" in row.found.attributes:
        return "circular", "simulated by an earlier version"
    if "reference" in arrays:
        from scipy import ndimage

        kernel, y, scene = arrays["kernel"], arrays["measurement"], arrays["reference"]
        misfits = {}
        for border, mode in SCIPY_MODES.items():
            blurred = ndimage.convolve(scene[0].astype(np.float64), kernel.astype(np.float64), mode=mode)
            misfits[border] = float(np.abs(blurred[::scale, ::scale] - y[0]).mean())
        return min(misfits, key=misfits.__getitem__), "explains the picture from its reference best"
    return "mirrored", "assumed: a photograph goes on beyond its border"


def _noise_level(row: RoleRow) -> float | None:
    """The standard deviation of the noise that a file of ours states."""
    stated = row.found.attributes.get("noise_level")
    if not isinstance(stated, int | float | np.number) or not 0 <= stated < math.inf:
        return None
    return float(stated)


def _reference(
    row: RoleRow, reference: np.ndarray, channels_and_scale: tuple[int, int], size: tuple[int, ...]
) -> np.ndarray:
    """The true picture, cut to what the low-resolution one stands for."""
    channels, scale = channels_and_scale
    reference = reference[None] if reference.ndim == 2 else reference
    wanted = (channels, size[0] * scale, size[1] * scale)
    if len(reference) != channels or reference.shape[1] < wanted[1] or reference.shape[2] < wanted[2]:
        raise GeometryError(
            f"The reference {row.found.path.name} has the shape {by(reference.shape)}; {by(wanted)} was expected. "
            "Choose the picture that this one was made of, or leave it out."
        )
    return np.ascontiguousarray(reference[:, : wanted[1], : wanted[2]])

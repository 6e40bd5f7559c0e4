"""What low-light files mean: a dark photograph, and the bright picture of the same scene where there is one.

Loads no torch until a measurement is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import GeometryError, by
from ..measurement import Measurement
from .options import CUBE_AXES, INPUT_SCALE, INTEGER_SCALE, KEY, OpenOptions, Option
from .readers import FoundArray
from .resolved import Resolved, RoleRow, Said, require_numbers, stated_input_scale

if TYPE_CHECKING:
    from ..tasks.camera import Camera
    from ..tasks.lowlight import LowLightPhysics

ROLES: Mapping[str, tuple[str, ...]] = {
    "measurement": ("measurement", "low", "dark", "y", "img", "image"),
    "reference": ("reference", "high", "bright", "normal", "orig", "truth", "gt"),
}
NUM_AXES: Mapping[str, tuple[int, ...]] = {"measurement": (2, 3), "reference": (2, 3)}
FILE_WORDS: Mapping[str, tuple[str, ...]] = {"reference": ("high", "bright"), "measurement": ("low", "dark")}
AXES: Mapping[str, str] = {}  # no role has fixed axes
COMPANIONS: Mapping[str, str] = {}
NUMBERS = ("exposure", "gamma", "electrons", "read_noise")  # of a darkening, as files of ours state them
DARK = 0.2  # the mean of a picture below which it is offered as one in low light
_SPARED = 4  # of so many rows and columns one is enough for a mean


OPTIONS = (INPUT_SCALE, INTEGER_SCALE, CUBE_AXES, KEY)
CHANGES = (
    Option(
        "exposure", "--exposure", float, "Exposure", "factor of a bright picture to the power of its gamma", "E",
        of_scenes=True, least=0.001, most=1, decimals=3, usual=0.25,
    ),
    Option(
        "darkening_gamma", "--darkening-gamma", float, "Gamma of the darkening",
        "power that a bright picture is taken to", "G", of_scenes=True, least=0.1, most=5, decimals=2, usual=1.6,
    ),
    Option(
        "electrons", "--electrons", float, "Electrons at white", "electrons of a pixel at white; 0: no shot noise", "N",
        of_scenes=True, most=1e9, decimals=0, usual=2000,
    ),
    Option(
        "read_noise", "--read-noise", float, "Read noise", "standard deviation of the read noise, on the 0..1 scale",
        "S", of_scenes=True, most=1, decimals=4, usual=0.004,
    ),
)  # fmt: skip
OF_CAMERA = tuple(option.field for option in CHANGES)


@dataclass(frozen=True)
class LowLightGeometry:
    """What is known of a dark picture: how it was darkened (see NUMBERS), or None. `reasons` says where that is from.

    `image_size` is its height and width.
    """

    image_size: tuple[int, int]
    darkening: tuple[float, ...] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)


GEOMETRY = LowLightGeometry


def claims(found: Sequence[FoundArray], options: OpenOptions) -> bool:
    """No: a photograph is taken for a low-resolution one unless the task is named."""
    return False


def offered(y: np.ndarray) -> str:
    """What says that a picture (C, H, W) in 0..1 is dark enough to have been taken in low light; "" where it is not."""
    mean = float(y[:, ::_SPARED, ::_SPARED].mean())
    return f"This picture is dark: its mean is {mean:.2f} of white." if 0 < mean < DARK else ""


def prepared(arrays: Mapping[str, np.ndarray], options: OpenOptions) -> dict[str, np.ndarray]:
    """The arrays as they are."""
    return dict(arrays)


def by_shape(
    found: Sequence[FoundArray], free: Sequence[int], taken: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, str, str]]:
    """(number, role, reason): of two pictures the darker one is the measurement, by the means of their values."""
    pictures = [n for n in free if found[n].array.squeeze().ndim in (2, 3)]
    pictures.sort(key=lambda n: float(np.mean(found[n].array)))
    given = []
    if "measurement" not in taken and pictures:
        given.append((pictures.pop(0), "measurement", "the darkest picture"))
    if "reference" not in taken and pictures:
        given.append((pictures[-1], "reference", "a brighter picture"))
    return given


def resolve(rows: Sequence[RoleRow], arrays: Mapping[str, np.ndarray], options: OpenOptions, hints: None) -> Resolved:
    """The picture (C, H, W), and how it was darkened, as far as a file of ours states it.

    Raises a GeometryError that says what is amiss.
    """
    arrays = {role: array[None] if array.ndim == 2 else array for role, array in arrays.items()}
    given = {row.role: row for row in rows if row.role}
    if "measurement" not in given:
        raise GeometryError("No picture was found among the opened files. Open a dark photograph.")
    require_numbers(given, arrays)
    row, y = given["measurement"], arrays["measurement"]
    if len(y) not in (1, 3):
        raise GeometryError(
            f"{row.found.path.name} has {len(y)} channels ({by(row.shape)}); a grey or a colour picture was expected. "
            "Choose another array, or give the axes of the cube."
        )
    if "reference" in arrays and arrays["reference"].shape != y.shape:
        raise GeometryError(
            f"The reference {given['reference'].found.path.name} has the shape {by(arrays['reference'].shape)}; "
            f"{by(y.shape)} was expected. Choose the bright picture of this scene, or leave it out."
        )
    darkening, reason = _darkening(row)
    geometry = LowLightGeometry((y.shape[1], y.shape[2]), darkening, {"darkening": reason})
    input_scale = stated_input_scale(row, options)
    return Resolved(arrays, geometry, 1.0 if input_scale is None else input_scale, ())


def _darkening(row: RoleRow) -> tuple[tuple[float, ...] | None, str]:
    """How the picture was darkened, and where that comes from."""
    stated = [row.found.attributes.get(name) for name in NUMBERS]
    numbers = tuple(float(value) for value in stated if isinstance(value, int | float | np.number))
    if "task" in row.found.attributes and len(numbers) == len(NUMBERS) and all(np.isfinite(numbers)):
        return numbers, "stated in the file"
    return None, "a photograph in too little light"


def measurement(
    arrays: Mapping[str, np.ndarray],
    geometry: LowLightGeometry,
    *,
    path: Path,
    input_scale: float | None,
    notes: tuple[str, ...],
) -> Measurement:
    """The Measurement of resolved arrays: y (C, H, W) with its operator."""
    from ..tasks.lowlight import Darkening, LowLightPhysics

    y = arrays["measurement"]
    darkening = None if geometry.darkening is None else Darkening(*geometry.darkening)
    return Measurement(
        task="lowlight",
        y=y,
        physics=LowLightPhysics(len(y), geometry.image_size, darkening),
        reference=arrays.get("reference"),
        input_scale=input_scale,
        path=path,
        notes=notes,
    )


def told(geometry: LowLightGeometry, measurement: Measurement) -> LowLightGeometry:
    """The geometry as it is."""
    return geometry


def cameras(said: Said) -> Mapping[str, Camera]:
    """One camera in too little light: darkened as was said, else as is usual."""
    from ..tasks.lowlight import Darkening, LowLightCamera

    return {"": LowLightCamera(said.noise, Darkening()).changed(said.words)}


def described(geometry: LowLightGeometry) -> str:
    """As "darkened: exposure 0.25, gamma 1.6", or "in low light"."""
    if geometry.darkening is None:
        return "in low light"
    exposure, gamma, *_ = geometry.darkening
    return f"darkened: exposure {exposure:g}, gamma {gamma:g}"


def stored(measurement: Measurement) -> tuple[list[tuple[str, np.ndarray, str]], dict[str, Any]]:
    """What belongs into a measurement file beside y: how the picture was darkened."""
    darkening = cast("LowLightPhysics", measurement.physics).darkening
    return [], {} if darkening is None else {name: getattr(darkening, name) for name in NUMBERS}

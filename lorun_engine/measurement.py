"""What was opened: a measurement with its physics, or a scene. Both are valid once made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import GeometryError, by

if TYPE_CHECKING:
    from .physics import Physics


@dataclass(frozen=True)
class Scene:
    """A ground-truth cube or image.

    `image` is (C, H, W) float32, linear in [0, 1]; `wavelengths_nm` has one centre per band, rising, or is None for
    pictures.
    """

    image: np.ndarray
    wavelengths_nm: np.ndarray | None = None
    source: str = ""  # what the file says of its origin, e.g. "CAVE multispectral database"
    path: Path | None = None
    notes: tuple[str, ...] = ()  # what was assumed and applied on opening

    def __post_init__(self) -> None:
        _require_image(self.image, "scene")
        _require_wavelengths(self.wavelengths_nm, self.image.shape[0], "scene")


@dataclass(frozen=True)
class Measurement:
    """A measurement y = Phi x + n with everything that decoding needs.

    `y` is (C', H', W') float32 in the unit of the opened file (integers already divided by their full scale).
    `wavelengths_nm` are the centres of the bands, rising. `dark_level` is what was subtracted from the file's values,
    in their unit: what the detector reads without light. `reference` is the true scene (C, H, W) in the same unit, or
    None. `input_scale` is the factor a of the engine's input a*y where the user or the file fixed it, None where the
    adapter set's rule decides. `notes` are sentences about what was assumed on opening.
    """

    task: str
    y: np.ndarray
    physics: Physics
    wavelengths_nm: np.ndarray | None = None
    reference: np.ndarray | None = None
    input_scale: float | None = None
    dark_level: float = 0.0
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_image(self.y, "measurement")
        if self.y.shape != tuple(self.physics.measurement_shape):
            raise GeometryError(
                f"The measurement has the shape {by(self.y.shape)}; its mask, bands and step ask for "
                f"{by(self.physics.measurement_shape)}. Choose another mask or correct the geometry."
            )
        if self.reference is not None:
            _require_image(self.reference, "reference")
            if self.reference.shape != tuple(self.physics.scene_shape):
                raise GeometryError(
                    f"The reference has the shape {by(self.reference.shape)}; the decoded image will have "
                    f"{by(self.physics.scene_shape)}. Choose the reference of this measurement or leave it out."
                )
        _require_wavelengths(self.wavelengths_nm, self.physics.scene_shape[0], "measurement")
        if not np.any(self.y):
            raise GeometryError("Every value of the measurement is zero. Choose a capture that saw light.")


def _require_image(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or image.dtype != np.float32 or 0 in image.shape:
        raise GeometryError(
            f"The {name} is a {image.dtype} array of shape {by(image.shape)}; a (C, H, W) float32 image was expected."
        )
    num_bad = int(image.size - np.count_nonzero(np.isfinite(image)))
    if num_bad:
        raise GeometryError(
            f"{num_bad} of the {image.size} values of the {name} are not finite numbers (NaN or infinity). "
            "Repair or crop the file."
        )


def require_rising(wavelengths_nm: np.ndarray, whose: str) -> None:
    """Raises a GeometryError unless the centres (C,) are positive numbers that rise from band to band.

    `whose` completes "The wavelengths of the ...". Everything that goes along wavelengths relies on their order.
    """
    if not (np.isfinite(wavelengths_nm).all() and np.all(wavelengths_nm > 0)):
        raise GeometryError(
            f"The wavelengths of the {whose} are not all positive numbers. Give one wavelength in nm per band."
        )
    (wrong,) = np.nonzero(np.diff(wavelengths_nm) <= 0)
    if wrong.size:
        band = int(wrong[0])
        raise GeometryError(
            f"The wavelengths of the {whose} do not rise: band {band + 1} lies at {wavelengths_nm[band]:g} nm and band "
            f"{band + 2} at {wavelengths_nm[band + 1]:g} nm. Give every band a wavelength of its own, in rising order."
        )


def _require_wavelengths(wavelengths_nm: np.ndarray | None, num_bands: int, whose: str) -> None:
    if wavelengths_nm is None:
        return
    if wavelengths_nm.shape != (num_bands,):
        raise GeometryError(
            f"{wavelengths_nm.size} wavelengths were given for {num_bands} bands. Give one wavelength per band."
        )
    require_rising(wavelengths_nm, whose)

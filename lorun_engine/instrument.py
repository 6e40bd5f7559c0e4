"""An instrument in words and numbers, without torch: dispersion, borders, the names of kernels, and light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import GeometryError

if TYPE_CHECKING:
    import numpy as np

SCIPY_MODES = {"circular": "wrap", "mirrored": "reflect"}  # of ndimage.convolve
BORDERS = tuple(SCIPY_MODES)
RANGE_SLACK_NM = 10.0  # bands may lie this far beyond those that are known
SAME_SHIFT = 0.25  # pixels; less a search for the mask cannot tell from nothing
SURE_OF_DIRECTION = 0.9  # margins of a search from it on leave no doubt
# the names of `tasks.kernels.gallery`, for menus that must not wait for torch
GALLERY = (
    *("none", "gaussian 0.7", "gaussian 1.2", "gaussian 1.6", "gaussian 2", "gaussian 3"),
    *("gaussian 2.5 x 1.2, 0 deg", "gaussian 2.5 x 1.2, 45 deg", "gaussian 2.5 x 1.2, 90 deg"),
    *("gaussian 3 x 1.5, 135 deg", "camera shake 1", "camera shake 2", "camera shake 3"),
)
DARKEST_LIGHT = 1 / 512  # that 8 bits can tell: half of their last step
RELIT_GAMMA = 0.25  # of the light L in what is shown of a reflectance R: R L^gamma
# of cameras that take a guide: the centre and the standard deviation in nm of what every channel sees
RESPONSES = {"rgb": ((605.0, 30.0), (540.0, 35.0), (460.0, 28.0)), "grey": ((550.0, 120.0),)}
LONGEST_SPREAD = 1_000_000  # pixels of a detector


@dataclass(frozen=True)
class Dispersion:
    """Where every band lands on the detector.

    `num_bands` bands, `step` >= 0 pixels a band, along `axis` ("x": columns, "y": rows), growing with the band number
    (`direction` "+") or falling ("-"), the nearest band `first_offset` pixels from the detector's edge.
    """

    num_bands: int
    step: float = 2.0
    axis: str = "x"
    direction: str = "+"
    first_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.num_bands < 1:
            raise GeometryError(f"{self.num_bands} bands were asked for; a scene has at least one. Give --bands.")
        if not (self.step >= 0 and math.isfinite(self.step)):
            raise GeometryError(
                f"The dispersion step is {self.step}; a number of pixels >= 0 was expected. Give --step."
            )
        if self.axis not in ("x", "y") or self.direction not in ("+", "-"):
            raise GeometryError(
                f"The dispersion runs along {self.axis!r} in direction {self.direction!r}; "
                "the axis is x or y and the direction + or -."
            )
        if not math.isfinite(self.first_offset):
            raise GeometryError(f"The first offset is {self.first_offset}; a number of pixels was expected.")
        spread = abs(self.first_offset) + self.step * (self.num_bands - 1)
        if spread > LONGEST_SPREAD:
            raise GeometryError(
                f"The {self.num_bands} bands would be spread over {spread:.4g} pixels; no detector has more than "
                f"{LONGEST_SPREAD:,}. Correct the step, the first offset or the number of bands."
            )

    @property
    def offsets(self) -> tuple[float, ...]:
        """The offset of every band in pixels, band 0 (shortest wavelength) first."""
        order = range(self.num_bands) if self.direction == "+" else range(self.num_bands - 1, -1, -1)
        return tuple(self.first_offset + index * self.step for index in order)

    @property
    def is_whole(self) -> bool:
        """Whether every offset is a whole number of pixels, so that Phi Phi^T is diagonal."""
        return float(self.step).is_integer() and float(self.first_offset).is_integer()

    @property
    def span(self) -> int:
        """How many pixels a detector that sees all bands is longer than the scene."""
        return max(0, math.ceil(max(self.offsets) - 1e-9))

    def detector_shape(self, height: int, width: int) -> tuple[int, int]:
        """The smallest detector (H', W') that sees all bands of an H x W scene."""
        return (height, width + self.span) if self.axis == "x" else (height + self.span, width)


def response_of(name: str, wavelengths_nm: np.ndarray) -> np.ndarray:
    """The response (G, C) of the camera `name` of RESPONSES at the bands; rows sum to one, as for a grey scene."""
    import numpy as np

    curves = [np.exp(-(((wavelengths_nm - centre) / width) ** 2) / 2) for centre, width in RESPONSES[name]]
    return np.stack([curve / curve.sum() for curve in curves])


def relit(image: np.ndarray, light: np.ndarray, gamma: float) -> np.ndarray:
    """R L^gamma, (C, H, W), of a picture that was relit at the usual gamma, and its light L, (1, H, W) above 0.

    At gamma 0 it is the reflectance R, at 1 as dark as it was taken.
    """
    changed: np.ndarray = image * light ** (gamma - RELIT_GAMMA)
    return changed.astype(image.dtype, copy=False)

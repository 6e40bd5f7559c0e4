"""The pictures of panes, tiles and thumbnails: what the session selects, rendered when painted and kept for a while."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QImage

from .. import render
from ..comparing import Result
from ..kinds import PERCENTILES, RGB
from ..quantities import number
from ..session import MEASUREMENT, REFERENCE, Session

IMAGE_BYTES = 96 << 20  # of rendered pictures
LINEAR_BYTES = 160 << 20  # of linear colour at the size shown: 60 stages of 660 x 660 in a quarter of a screen
LOOKS = {"grey": "Grey", "own": "In its own colour", "viridis": "Viridis"}  # of single bands


@dataclass(frozen=True)
class Seen:
    """The pane that shows what the denoiser of a stage saw."""

    stage: int


Pane = int | Seen | Result  # a stage, REFERENCE, MEASUREMENT, a denoiser's input, or the result of another decode


def title_of(pane: Pane) -> str:
    """What the pane of a stage, the reference, a denoiser's input or a result is called."""
    if isinstance(pane, Seen):
        return f"Input of stage {pane.stage}"
    if isinstance(pane, Result):
        return pane.title
    return {REFERENCE: "Reference", 0: "Start"}.get(pane, f"Stage {pane}")


class Pictures:
    """Renders the session's arrays without changing them; another measurement or restoration starts it afresh.

    `look` is how single bands are drawn, a key of LOOKS.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._images = render.Cache(IMAGE_BYTES)
        self._linear = render.Cache(LINEAR_BYTES)
        self._levels: dict[tuple, tuple[float, float]] = {}
        self._weights: np.ndarray | None = None
        self._of: tuple = ()
        self.look = "grey"

    @property
    def looks(self) -> tuple[str, ...]:
        """The looks there are for what is open; a band of unknown wavelength has no colour of its own."""
        has_own = self.wavelengths_nm is not None or self._is_rgb
        return tuple(look for look in LOOKS if look != "own" or has_own)

    @property
    def wavelengths_nm(self) -> np.ndarray | None:
        """The wavelengths of the bands, where they are known."""
        return None if self._session.measurement is None else self._session.measurement.wavelengths_nm

    @property
    def num_bands(self) -> int:
        """The bands of the scene; 0 while nothing is open."""
        return 0 if self._session.measurement is None else self._session.measurement.physics.scene_shape[0]

    @property
    def num_stages(self) -> int:
        """The stages announced so far, the initial estimate among them; the worker may be one ahead."""
        return min(self._session.restoration.done_stages + 1, len(self._session.stages))

    def band_title(self, band: int) -> str:
        """As "551.5 nm" or "green", or "band index 18" where the wavelength is not known."""
        if self._session.kind.is_photograph:
            return RGB[band] if self._is_rgb else "grey"
        return f"band index {band + 1}" if self.wavelengths_nm is None else f"{self.wavelengths_nm[band]:.1f} nm"

    def title(self, pane: Pane) -> str:
        """What a pane is called."""
        return self._session.kind.measured if pane == MEASUREMENT else title_of(pane)

    def value(self, pane: Pane, pixel: tuple[int, int]) -> str:
        """The numbers of a pane at (y, x) of the scene: three of a photograph in its colours, else the band's."""
        array = self.array(pane)
        if array is None or (pane == MEASUREMENT and self._session.kind.measures != "picture"):
            return ""
        y, x = pixel
        if pane == MEASUREMENT:
            _, height, width = self._session.measurement.physics.scene_shape
            y, x = y * array.shape[1] // height, x * array.shape[2] // width
        if self._is_rgb and self._session.selection.in_colour:
            return " ".join(number(float(value)) for value in array[:, y, x])
        return number(float(array[self._session.selection.band if len(array) > 1 else 0, y, x]))

    def array(self, pane: Pane) -> np.ndarray | None:
        """(C, H, W) of what a pane shows; None where it is not there."""
        session = self._session
        if pane == MEASUREMENT:
            return session.snapshot
        if session.measurement is None:
            return None
        if isinstance(pane, Result):
            return session.comparing.image(pane)
        if isinstance(pane, Seen):
            return session.stages.denoiser_input(pane.stage) if pane.stage < len(session.stages) else None
        if pane == REFERENCE:
            return session.measurement.reference
        return session.stages.image(pane) if pane < len(session.stages) else None

    def size(self, pane: Pane) -> tuple[int, int] | None:
        """(height, width) of the picture of a pane."""
        array = self.array(pane)
        return None if array is None else array.shape[1:]

    def picture(self, pane: Pane, factor: int = 1) -> QImage | None:
        """The picture of a pane at 1 / factor of its size, as the selection and `look` ask for it."""
        self._start_afresh_if_other()
        if self.array(pane) is None:
            return None
        selection = self._session.selection
        if self._has_colours(pane) and selection.in_colour:
            levels = self.levels(pane, None)
            key = (pane, factor, levels)
            return self._kept(key, lambda: self._bytes(self._colour(pane, factor), levels))
        band = selection.band if self._has_colours(pane) else 0
        return self._band(pane, band, factor, self.levels(pane, band))

    def tile(self, pane: Pane, band: int, factor: int) -> QImage | None:
        """One band of a pane for the montage; with a shared stretch all bands have the same levels."""
        self._start_afresh_if_other()
        array, selection = self.array(pane), self._session.selection
        if array is None:
            return None
        if selection.shared_stretch:
            levels = self._levels_once((pane, "bands", selection.stretch), lambda: array)
        else:
            levels = self._levels_once((pane, band, selection.stretch), lambda: array[band])
        return self._band(pane, band, factor, levels)

    def thumbnail(self, pane: Pane, side: int) -> QImage | None:
        """A small colour picture, in the stretch of its kind and no other's."""
        self._start_afresh_if_other()
        array = self.array(pane)
        if array is None:
            return None
        if self._session.kind.is_photograph:
            colour = render.shrunk(array, math.ceil(max(array.shape[1:]) / side))
        else:
            colour = render.linear_colour(render.thumbnail(array, side), self._rgb_weights())
        return to_image(self._bytes(colour, render.levels_of(colour, self._session.kind.stretch)))

    def levels(self, pane: Pane, band: int | None) -> tuple[float, float]:
        """Black and white of a pane in one band, or in colour with `band` None.

        A shared stretch takes them from the newest stage for all panes in the unit of the scene. What a detector saw
        has a unit of its own: percentiles stand in for 0 to 1 there.
        """
        selection = self._session.selection
        stretch = selection.stretch
        if not self._has_colours(pane):
            stretch = stretch or PERCENTILES
        elif selection.shared_stretch and self.num_stages:
            pane = self.num_stages - 1
        if band is None:
            return self._levels_once((pane, "colour", stretch), lambda: self._colour_sample(pane))
        return self._levels_once((pane, band, stretch), lambda: self.array(pane)[band])

    @property
    def _is_rgb(self) -> bool:
        """Whether what is open is a photograph in red, green and blue."""
        return self._session.kind.is_photograph and self.num_bands == len(RGB)

    def _has_colours(self, pane: Pane) -> bool:
        """Whether a pane shows the bands of a scene: a stage, the reference, or a measurement that is a picture."""
        return pane != MEASUREMENT or self._session.kind.measures == "picture"

    def _band(self, pane: Pane, band: int, factor: int, levels: tuple[float, float]) -> QImage:
        look = self.look if self._has_colours(pane) and self.look in self.looks else "grey"

        def rendered() -> np.ndarray:
            grey = render.grey_bytes(render.shrunk(self.array(pane)[band], factor), levels)
            if look == "grey":
                return grey
            return render.mapped_bytes(grey, viridis() if look == "viridis" else self._own_colour(band))

        return self._kept((pane, band, factor, levels, look), rendered)

    def _own_colour(self, band: int) -> np.ndarray:
        return render.channel_map(band) if self._is_rgb else render.wavelength_map(float(self.wavelengths_nm[band]))

    def _colour(self, pane: Pane, factor: int) -> np.ndarray:
        """Linear (3, H, W) at 1 / factor of its size: the one slow step, kept while the stretch changes.

        A photograph is left as it is coded.
        """
        if self._session.kind.is_photograph:
            return render.shrunk(self.array(pane), factor)
        return self._linear.get(
            (pane, factor),
            lambda: render.shrunk(render.linear_colour(self.array(pane), self._rgb_weights()), factor),
            lambda linear: linear.nbytes,
        )

    def _bytes(self, colour: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
        """What `_colour` gave as the bytes of a picture."""
        make = render.photograph_bytes if self._session.kind.is_photograph else render.colour_bytes
        return make(colour, levels)

    def _colour_sample(self, pane: Pane) -> np.ndarray:
        if self._session.kind.is_photograph:
            return self.array(pane)
        side = math.isqrt(render.MOST_SAMPLES // 3)
        return render.linear_colour(render.thumbnail(self.array(pane), side), self._rgb_weights())

    def _rgb_weights(self) -> np.ndarray:
        if self._weights is None:
            composite = self._session.selection.composite
            self._weights = render.colour_weights(self.wavelengths_nm, self.num_bands, composite=composite)
        return self._weights

    def _levels_once(self, key: tuple, array: Callable[[], np.ndarray]) -> tuple[float, float]:
        """The levels of an array by (pane, band, stretch)."""
        if key not in self._levels:
            self._levels[key] = render.levels_of(array(), key[-1])
        return self._levels[key]

    def _kept(self, key: tuple, rendered) -> QImage:
        return self._images.get(key, lambda: to_image(rendered()), QImage.sizeInBytes)

    def _start_afresh_if_other(self) -> None:
        session = self._session
        of = (session.role_table, session.measurement, session.stages, session.selection.composite)
        if not self._of or any(one is not other for one, other in zip(of, self._of, strict=True)):
            self._images.clear()
            self._linear.clear()
            self._levels.clear()
            self._weights, self._of = None, of


def to_image(pixels: np.ndarray) -> QImage:
    """A QImage that owns its pixels, of (H, W) or (H, W, 3) uint8, in the format that is painted fastest."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    kind = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, pixels.strides[0], kind).convertToFormat(QImage.Format.Format_RGB32)


@lru_cache(maxsize=1)
def viridis() -> np.ndarray:
    """The perceptually uniform map (256, 3) uint8 that people with colour-blindness read too."""
    return pg.colormap.get("viridis").getLookupTable(nPts=256, alpha=False).astype(np.uint8)

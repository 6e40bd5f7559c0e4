"""The pictures of panes, tiles and thumbnails: what the session selects, rendered when painted and kept for a while."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QImage

from .. import render
from ..session import MEASUREMENT, REFERENCE, Session

IMAGE_BYTES = 96 << 20  # of rendered pictures
LINEAR_BYTES = 160 << 20  # of linear colour at the size shown: 60 stages of 660 x 660 in a quarter of a screen
LOOKS = {"grey": "Grey", "own": "In its own colour", "viridis": "Viridis"}  # of single bands


def title_of(pane: int) -> str:
    """What a pane is called."""
    return {MEASUREMENT: "Measurement", REFERENCE: "Reference", 0: "Start"}.get(pane, f"Stage {pane}")


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
        return tuple(look for look in LOOKS if look != "own" or self.wavelengths_nm is not None)

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
        """As "551.5 nm", or "band index 18" where the wavelength is not known."""
        return f"band index {band + 1}" if self.wavelengths_nm is None else f"{self.wavelengths_nm[band]:.1f} nm"

    def array(self, pane: int) -> np.ndarray | None:
        """(C, H, W) of a stage, the reference or the measurement; None where it is not there."""
        session = self._session
        if pane == MEASUREMENT:
            return session.snapshot
        if session.measurement is None:
            return None
        if pane == REFERENCE:
            return session.measurement.reference
        return session.stages.image(pane) if pane < len(session.stages) else None

    def size(self, pane: int) -> tuple[int, int] | None:
        """(height, width) of the picture of a pane."""
        array = self.array(pane)
        return None if array is None else array.shape[1:]

    def picture(self, pane: int, factor: int = 1) -> QImage | None:
        """The picture of a pane at 1 / factor of its size, as the selection and `look` ask for it."""
        self._start_afresh_if_other()
        if self.array(pane) is None:
            return None
        selection = self._session.selection
        if pane != MEASUREMENT and selection.mode == "colour":
            levels = self.levels(pane, None)
            key = (pane, factor, levels)
            return self._kept(key, lambda: render.colour_bytes(self._colour(pane, factor), levels))
        band = 0 if pane == MEASUREMENT else selection.band
        return self._band(pane, band, factor, self.levels(pane, band))

    def tile(self, pane: int, band: int, factor: int) -> QImage | None:
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

    def thumbnail(self, pane: int, side: int) -> QImage | None:
        """A small colour picture with a stretch of its own."""
        self._start_afresh_if_other()
        array = self.array(pane)
        if array is None:
            return None
        linear = render.linear_colour(render.thumbnail(array, side), self._rgb_weights())
        return to_image(render.colour_bytes(linear, render.levels_of(linear, 1, 99)))

    def levels(self, pane: int, band: int | None) -> tuple[float, float]:
        """Black and white of a pane in one band, or in colour with `band` None.

        A shared stretch takes them from the newest stage for all stages and the reference.
        """
        selection = self._session.selection
        if pane != MEASUREMENT and selection.shared_stretch and self.num_stages:
            pane = self.num_stages - 1
        if band is None:
            return self._levels_once((pane, "colour", selection.stretch), lambda: self._colour_sample(pane))
        return self._levels_once((pane, band, selection.stretch), lambda: self.array(pane)[band])

    def _band(self, pane: int, band: int, factor: int, levels: tuple[float, float]) -> QImage:
        look = "grey" if pane == MEASUREMENT or self.look not in self.looks else self.look

        def rendered() -> np.ndarray:
            grey = render.grey_bytes(render.shrunk(self.array(pane)[band], factor), levels)
            if look == "grey":
                return grey
            return render.mapped_bytes(grey, viridis() if look == "viridis" else self._own_colour(band))

        return self._kept((pane, band, factor, levels, look), rendered)

    def _own_colour(self, band: int) -> np.ndarray:
        return render.wavelength_map(float(self.wavelengths_nm[band]))

    def _colour(self, pane: int, factor: int) -> np.ndarray:
        """Linear (3, H, W) at 1 / factor of its size: the one slow step, kept while the stretch changes."""
        return self._linear.get(
            (pane, factor),
            lambda: render.shrunk(render.linear_colour(self.array(pane), self._rgb_weights()), factor),
            lambda linear: linear.nbytes,
        )

    def _colour_sample(self, pane: int) -> np.ndarray:
        side = math.isqrt(render.MOST_SAMPLES // 3)
        return render.linear_colour(render.thumbnail(self.array(pane), side), self._rgb_weights())

    def _rgb_weights(self) -> np.ndarray:
        if self._weights is None:
            self._weights = render.colour_weights(self.wavelengths_nm, self.num_bands)
        return self._weights

    def _levels_once(self, key: tuple, array) -> tuple[float, float]:
        if key not in self._levels:
            self._levels[key] = render.levels_of(array(), *self._session.selection.stretch)
        return self._levels[key]

    def _kept(self, key: tuple, rendered) -> QImage:
        return self._images.get(key, lambda: to_image(rendered()), QImage.sizeInBytes)

    def _start_afresh_if_other(self) -> None:
        of = (self._session.role_table, self._session.measurement, self._session.stages)
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

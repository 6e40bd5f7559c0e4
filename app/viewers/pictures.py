"""The picture of a pane: what the session selects, rendered once and kept while it is looked at."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QImage

from .. import render
from ..session import MEASUREMENT, REFERENCE, Session

KEPT = 24  # rendered pictures and linear colour images; 5 MB each for 660 x 660


def title_of(pane: int) -> str:
    """What a pane is called."""
    return {MEASUREMENT: "Measurement", REFERENCE: "Reference", 0: "Initial estimate"}.get(pane, f"Stage {pane}")


class Pictures:
    """Renders the session's arrays; `forget` when another measurement or other stages are there."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._linear = render.Cache(KEPT)
        self._levels = render.Cache(8 * KEPT)
        self._images = render.Cache(KEPT)
        self._weights: np.ndarray | None = None

    def forget(self) -> None:
        """Drops everything that was rendered."""
        for cache in (self._linear, self._levels, self._images):
            cache.clear()
        self._weights = None

    def array(self, pane: int) -> np.ndarray | None:
        """(C, H, W) of a stage, the reference or the measurement; None where it is not there."""
        session = self._session
        if session.measurement is None:
            return None
        if pane == MEASUREMENT:
            return session.measurement.y
        if pane == REFERENCE:
            return session.measurement.reference
        return session.stages.image(pane) if pane < len(session.stages) else None

    def picture(self, pane: int) -> QImage | None:
        """The picture of a pane in the mode selected: colour, or one band."""
        array, selection = self.array(pane), self._session.selection
        if array is None:
            return None
        levels = self._levels_for(pane)
        if pane == MEASUREMENT:
            return self._kept((pane, levels), lambda: render.grey_bytes(array[0], levels))
        if selection.mode == "colour":
            return self._kept((pane, "colour", levels), lambda: render.colour_bytes(self._colour(pane), levels))
        band = selection.band
        return self._kept((pane, band, levels), lambda: self.tint(render.grey_bytes(array[band], levels), band))

    def tint(self, grey: np.ndarray, band: int) -> np.ndarray:
        """A grey band in its own colour, where its wavelength is known."""
        wavelengths_nm = self._session.measurement.wavelengths_nm
        return grey if wavelengths_nm is None else render.tinted(grey, float(wavelengths_nm[band]))

    def tile(self, pane: int, band: int, side: int) -> QImage:
        """A small picture of one band of a pane, for the montage; levels are shared by all bands."""
        cube = self.array(pane)
        selection = self._session.selection
        levels = self._levels.get(
            (pane, "all bands", selection.stretch), lambda: render.levels_of(cube, *selection.stretch)
        )
        small = render.thumbnail(cube[band : band + 1], side)[0]
        return to_image(self.tint(render.grey_bytes(small, levels), band))

    def thumbnail(self, pane: int, side: int) -> QImage | None:
        """A small colour picture, stretched by itself."""
        cube = self.array(pane)
        if cube is None:
            return None
        linear = render.linear_colour(render.thumbnail(cube, side), self._rgb_weights())
        return to_image(render.colour_bytes(linear, render.levels_of(linear, 1, 99)))

    def _colour(self, pane: int) -> np.ndarray:
        return self._linear.get(pane, lambda: render.linear_colour(self.array(pane), self._rgb_weights()))

    def _rgb_weights(self) -> np.ndarray:
        if self._weights is None:
            physics = self._session.measurement.physics
            self._weights = render.colour_weights(self._session.measurement.wavelengths_nm, physics.scene_shape[0])
        return self._weights

    def _levels_for(self, pane: int) -> tuple[float, float]:
        """Levels of the pane itself, or of the newest stage where they are shared."""
        selection = self._session.selection
        if pane != MEASUREMENT and selection.shared_stretch and len(self._session.stages):
            pane = len(self._session.stages) - 1
        what = "colour" if selection.mode == "colour" else selection.band
        if pane == MEASUREMENT:
            return self._levels.get(
                (pane, selection.stretch), lambda: render.levels_of(self.array(pane), *selection.stretch)
            )
        return self._levels.get((pane, what, selection.stretch), lambda: self._measure(pane, selection))

    def _measure(self, pane: int, selection) -> tuple[float, float]:
        if selection.mode == "colour":
            return render.levels_of(self._colour(pane), *selection.stretch)
        return render.levels_of(self.array(pane)[selection.band], *selection.stretch)

    def _kept(self, key, make) -> QImage:
        return self._images.get(key, lambda: to_image(make()))


def to_image(pixels: np.ndarray) -> QImage:
    """A QImage that owns its pixels, of (H, W) or (H, W, 3) uint8."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    is_grey = pixels.ndim == 2
    kind = QImage.Format.Format_Grayscale8 if is_grey else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, pixels.strides[0], kind).copy()

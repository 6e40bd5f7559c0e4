"""The pictures of panes, tiles and thumbnails: what the session selects, rendered when painted and kept for a while.

What takes long is rendered aside; until it is there, a coarse picture of the same numbers stands in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from .. import render
from ..assembly import Parts
from ..document.relight import RelitImage, relit_stage, shown_stage
from ..document.ruler import range_title
from ..document.selection import MEASUREMENT, REFERENCE, Look
from ..document.session import Session
from ..document.shelf import Result
from ..document.wording import shown_step
from ..kinds import PERCENTILES, RGB, SAMPLES, Stretch, stretch_of
from ..quantities import number
from ..widgets.colours import to_image, viridis
from .making import Making

IMAGE_BYTES = 96 << 20  # of rendered pictures
LINEAR_BYTES = 160 << 20  # of linear colour at the size shown: 60 stages of 660 x 660 in a quarter of a screen
COARSE = 128  # pixels along the longer side of what stands in for a picture
COST_OF_LIGHT = 8  # of a number that is relit, in numbers that are added
SHRUNK_FIRST = 4  # from this factor on it is quicker to shrink all bands than to make their colours at full size
LOOKS: dict[Look, str] = {"grey": "Grey", "own": "In its own colour", "viridis": "Viridis"}  # of single bands


@dataclass(frozen=True)
class Seen:
    """The pane that shows what the denoiser of a stage saw."""

    stage: int


@dataclass(frozen=True)
class Reflectance:
    """The pane that shows the reflectance of a stage, whose light was sought too."""

    stage: int


# a stage, REFERENCE, MEASUREMENT, a denoiser's input, a reflectance, or the result of another decode
Pane = int | Seen | Reflectance | Result


def title_of(session: Session, pane: Pane) -> str:
    """What the pane of a stage or a part of it, the reference, the measurement or a result is called."""
    step_name = shown_step(session)
    if isinstance(pane, Seen):
        return f"Input of {step_name} {pane.stage}"
    if isinstance(pane, Reflectance):
        return f"Reflectance, {title_of(session, pane.stage).lower()}"
    if isinstance(pane, Result):
        return pane.title
    named = {REFERENCE: "Reference", MEASUREMENT: session.kind.measured, 0: "Start"}
    return named.get(pane, f"{step_name.capitalize()} {pane}")


class Pictures:
    """Renders the session's arrays without changing them; another measurement or restoration starts it afresh."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._session = parts, parts.session
        self.making = Making(parts)
        self._images = render.Cache(IMAGE_BYTES)
        self._linear = render.Cache(LINEAR_BYTES)
        self._levels: dict[tuple, tuple[float, float]] = {}
        self._weights: np.ndarray | None = None
        self._of: tuple = ()

    @property
    def looks(self) -> tuple[Look, ...]:
        """The looks there are for what is open; a band of unknown wavelength has no colour of its own."""
        has_own = self.wavelengths_nm is not None or self._is_rgb
        return tuple(look for look in LOOKS if look != "own" or has_own)

    @property
    def look(self) -> Look:
        """The chosen look of single bands, or grey where what is open does not have it."""
        look = self._session.selection.look
        return look if look in self.looks else "grey"

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
        return self._session.num_announced

    def band_title(self, band: int) -> str:
        """As "551.5 nm" or "green", or "band index 18" where the wavelength is not known."""
        if self._session.kind.is_photograph:
            return RGB[band] if self._is_rgb else "grey"
        return f"band index {band + 1}" if self.wavelengths_nm is None else f"{self.wavelengths_nm[band]:.1f} nm"

    def bands_title(self, bands: tuple[int, int]) -> str:
        """As "551.5 nm" of one band, "500.0 – 560.0 nm" of the mean over several."""
        is_single = bands[0] == bands[1]
        return self.band_title(bands[0]) if is_single else range_title(bands, self.wavelengths_nm)

    def title(self, pane: Pane) -> str:
        """What a pane is called."""
        return title_of(self._session, pane)

    def title_of_change(self, stage: int) -> str:
        """What the map of what a stage changed is called."""
        return f"Change in {shown_step(self._session)} {stage}"

    def words_of_mean(self, pane: Pane) -> str:
        """As "500 – 560 nm" where a pane shows the mean over a range of bands, else nothing."""
        selection = self._session.selection
        is_mean = selection.band_range is not None and not selection.in_colour and self._has_colours(pane)
        return range_title(selection.bands, self.wavelengths_nm, digits=0) if is_mean else ""

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
        first, last = self._session.selection.bands if len(array) > 1 else (0, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            return number(float(array[first : last + 1, y, x].mean()))

    def array(self, pane: Pane) -> np.ndarray | None:
        """(C, H, W) of what a pane shows, which may be a `RelitImage`; None where it is not there."""
        session = self._session
        if pane == MEASUREMENT:
            return session.snapshot
        if session.measurement is None:
            return None
        if isinstance(pane, Result):
            return self._parts.shelf.image(pane)
        if isinstance(pane, Seen):
            return session.stages.denoiser_input(pane.stage) if pane.stage < len(session.stages) else None
        if pane == REFERENCE:
            return session.measurement.reference
        if isinstance(pane, Reflectance):
            return relit_stage(session.stages, pane.stage, 0.0) if pane.stage < len(session.stages) else None
        return shown_stage(session, pane) if pane < len(session.stages) else None

    def size(self, pane: Pane) -> tuple[int, int] | None:
        """(height, width) of the picture of a pane."""
        array = self.array(pane)
        return None if array is None else array.shape[1:]

    def picture(self, pane: Pane, factor: int = 1) -> QImage | None:
        """The picture of a pane at 1 / factor of its size, as the selection and `look` ask for it."""
        self._start_afresh_if_other()
        if self.array(pane) is None:
            return None
        bands = self.bands_in(pane)
        if bands is not None:
            return self._mean_of_bands(pane, bands, factor, self.levels(pane, bands))
        image = self._in_colour(pane, factor, self.levels(pane, None))
        if pane == self._session.selection.stage:
            self._prepare_neighbours(pane, factor)
        return image

    def drawing(self, pane: Pane | None) -> Callable[[int], QImage | None]:
        """How a pane is drawn at 1 / factor of the scene; a smaller measurement has fewer pixels to leave out."""
        if pane != MEASUREMENT:
            return (lambda factor: None) if pane is None else partial(self.picture, pane)

        def draw(factor: int) -> QImage | None:
            size = self.size(pane)
            times = 1 if size is None else self._session.measurement.physics.scene_shape[1] // size[0]
            return self.picture(pane, max(factor // times, 1))

        return draw

    def sample(self, pane: Pane) -> np.ndarray | None:
        """Some numbers that the picture of a pane shows, before its levels: linear colour, or those of its bands."""
        self._start_afresh_if_other()
        if self.array(pane) is None:
            return None
        bands = self.bands_in(pane)
        return self._colour_sample(pane) if bands is None else render.mean_of_bands(self._some(pane), bands)

    def bands_in(self, pane: Pane) -> tuple[int, int] | None:
        """The bands whose mean a pane shows, from the first to the last; None where it has the colours of all."""
        if self._has_colours(pane) and (self._session.selection.in_colour or self.num_bands == 1):
            return None
        return self._session.selection.bands if self._has_colours(pane) else (0, 0)

    def colours_of(self, pane: Pane) -> np.ndarray:
        """(256, 3) uint8: what the numbers of a pane's bands look like from black to white."""
        look = self.look if self._has_colours(pane) else "grey"
        if look == "own":
            return self._own_colour(self._session.selection.bands)
        return viridis() if look == "viridis" else np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)

    def plane(self, pane: Pane, bands: tuple[int, int]) -> np.ndarray | None:
        """(H, W) of a band, or the mean over several, which may still be in the making."""
        self._start_afresh_if_other()
        array = self.array(pane)
        is_lit = isinstance(array, RelitImage)
        if array is None or (bands[0] == bands[1] and not is_lit):
            return None if array is None else array[bands[0]]
        make = partial(render.mean_of_bands, array, bands)
        cost = (bands[1] - bands[0] + 1) * array.size / len(array) * (COST_OF_LIGHT if is_lit else 1)
        return self.making.get(
            self._linear, ("mean", _lit(pane, self.array(pane)), bands), make, lambda plane: plane.nbytes, cost=cost
        )

    def tile(self, pane: Pane, band: int, factor: int) -> QImage | None:
        """One band of a pane for the montage; with a shared stretch all bands have the same levels."""
        self._start_afresh_if_other()
        array, selection = self.array(pane), self._session.selection
        if array is None:
            return None
        if selection.shared_stretch:
            levels = self._levels_once((_lit(pane, self.array(pane)), "bands", selection.stretch), lambda: array)
        else:
            levels = self._levels_once(
                (_lit(pane, self.array(pane)), (band, band), selection.stretch), lambda: self._numbers(pane)[band]
            )
        levels = render.exposed(levels, selection.light.stops)
        return self._mean_of_bands(pane, (band, band), factor, levels)

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
        stretch = stretch_of(self._session.kind) if self._has_colours(pane) else self._stretch_of_samples(None)
        return _coloured(colour, render.levels_of(colour, stretch), self._plain_bytes)

    def levels(self, pane: Pane, bands: tuple[int, int] | None) -> tuple[float, float]:
        """Black and white of a pane in the mean over some bands, or in colour with `bands` None.

        A shared stretch takes them from the newest stage for all panes in the unit of the scene. What a detector saw
        has a unit of its own: percentiles stand in for 0 to 1 there.
        """
        selection = self._session.selection
        stretch = selection.stretch
        if not self._has_colours(pane):
            stretch = self._stretch_of_samples(stretch)
        elif selection.shared_stretch and self.num_stages:
            pane = self.num_stages - 1
        if bands is None:
            levels = self._levels_once(
                (_lit(pane, self.array(pane)), "colour", stretch), lambda: self._colour_sample(pane)
            )
            return render.exposed(levels, selection.light.stops)

        def sample() -> np.ndarray:
            is_single = bands[0] == bands[1]
            return render.mean_of_bands(self._numbers(pane) if is_single else self._some(pane), bands)

        return render.exposed(
            self._levels_once((_lit(pane, self.array(pane)), bands, stretch), sample), selection.light.stops
        )

    @property
    def _is_rgb(self) -> bool:
        """Whether what is open is a photograph in red, green and blue."""
        return self._session.kind.is_photograph and self.num_bands == len(RGB)

    def _stretch_of_samples(self, chosen: Stretch) -> Stretch:
        """Of what a detector saw; of samples the first few, which are means of their block, dwarf all others."""
        return SAMPLES if self._session.kind.measures == "blocks" else chosen or PERCENTILES

    def _has_colours(self, pane: Pane) -> bool:
        """Whether a pane shows the bands of a scene: a stage, the reference, or a measurement that is a picture."""
        return pane != MEASUREMENT or self._session.kind.measures == "picture"

    def _mean_of_bands(
        self, pane: Pane, bands: tuple[int, int], factor: int, levels: tuple[float, float]
    ) -> QImage | None:
        look = self.look if self._has_colours(pane) else "grey"
        colours = {"grey": lambda: None, "viridis": viridis, "own": lambda: self._own_colour(bands)}[look]()
        gamma = self._session.selection.light.gamma
        key = (_lit(pane, self.array(pane)), bands, factor, levels, look, gamma)
        plane = None if key in self._images else self.plane(pane, bands)
        if plane is not None or key in self._images:
            make = partial(_in_grey, plane, factor, levels, colours, gamma)
            cost = 0 if plane is None else 5 * plane.size / factor**2
            image = self.making.get(self._images, key, make, QImage.sizeInBytes, cost=cost)
            if image is not None:
                return image
        return self._coarse(
            pane, factor, lambda few: _in_grey(render.mean_of_bands(few, bands), 1, levels, colours, gamma)
        )

    def _own_colour(self, bands: tuple[int, int]) -> np.ndarray:
        """The map from black to the colour of a band, or of the middle of several."""
        if self._is_rgb:
            return render.channel_map(bands[0])
        return render.wavelength_map(float(np.mean(self.wavelengths_nm[list(bands)])))

    def _in_colour(self, pane: Pane, factor: int, levels: tuple[float, float]) -> QImage | None:
        key, in_bytes = (_lit(pane, self.array(pane)), factor, levels, self._session.selection.light.gamma), self._bytes
        colour = None if key in self._images else self._colour(pane, factor)
        if colour is not None or key in self._images:
            make = partial(_coloured, colour, levels, in_bytes)
            cost = 0 if colour is None else 4 * colour.size
            image = self.making.get(self._images, key, make, QImage.sizeInBytes, cost=cost)
            if image is not None:
                return image
        if self._session.kind.is_photograph:
            return self._coarse(pane, factor, lambda few: _coloured(few, levels, in_bytes))
        weights = self._rgb_weights()
        return self._coarse(pane, factor, lambda few: _coloured(render.linear_colour(few, weights), levels, in_bytes))

    def _colour(self, pane: Pane, factor: int) -> np.ndarray | None:
        """Linear (3, H, W) at 1 / factor of its size, which may be in the making: it is kept while the stretch changes.

        A photograph is left as it is coded.
        """
        array = self.array(pane)
        if isinstance(array, RelitImage):
            make, cost = partial(render.shrunk, array, factor), COST_OF_LIGHT * array.size / max(factor / 2, 1) ** 2
            return self.making.get(
                self._linear, (_lit(pane, self.array(pane)), factor), make, lambda relit: relit.nbytes, cost=cost
            )
        if self._session.kind.is_photograph:
            return render.shrunk(array, factor)
        make = partial(_linear_colour, array, self._rgb_weights(), factor)
        cost = array.size * (1 if factor < SHRUNK_FIRST else SHRUNK_FIRST / factor)
        return self.making.get(self._linear, (pane, factor), make, lambda linear: linear.nbytes, cost=cost)

    def _prepare_neighbours(self, stage: int, factor: int) -> None:
        """The colours of the stages that a scrub reaches next."""
        for near in (stage - 1, stage + 1):
            if 0 <= near < self.num_stages and not self._session.kind.is_photograph:
                make = partial(_linear_colour, self.array(near), self._rgb_weights(), factor)
                self.making.prepare(self._linear, (near, factor), make, lambda linear: linear.nbytes)

    @property
    def _bytes(self) -> Callable[[np.ndarray, tuple[float, float]], np.ndarray]:
        """What turns the result of `_colour` into the bytes of a picture."""
        return partial(self._plain_bytes, gamma=self._session.selection.light.gamma)

    @property
    def _plain_bytes(self) -> Callable[..., np.ndarray]:
        """The same without a gamma."""
        return render.photograph_bytes if self._session.kind.is_photograph else render.colour_bytes

    def _coarse(self, pane: Pane, factor: int, draw: Callable[[np.ndarray], QImage]) -> QImage:
        """What `draw` makes of some pixels of a pane, as large as its picture."""
        array = self.array(pane)
        height, width = (length // factor for length in array.shape[1:])
        few = draw(render.thumbnail(array, COARSE))
        smooth = Qt.TransformationMode.SmoothTransformation
        return few.scaled(width, height, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)

    def _colour_sample(self, pane: Pane) -> np.ndarray:
        if self._session.kind.is_photograph:
            return self._numbers(pane)
        return render.linear_colour(self._some(pane), self._rgb_weights())

    def _some(self, pane: Pane) -> np.ndarray:
        """As many pixels of a pane as levels are taken from."""
        return render.thumbnail(self.array(pane), math.isqrt(render.MOST_SAMPLES // 3))

    def _numbers(self, pane: Pane) -> np.ndarray:
        """What the levels of a pane are taken from: all that it shows, or some where that would have to be relit."""
        array = self.array(pane)
        return self._some(pane) if isinstance(array, RelitImage) else array

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

    def _start_afresh_if_other(self) -> None:
        session = self._session
        of = (session.role_table, session.measurement, session.stages, session.selection.composite)
        if not self._of or any(one is not other for one, other in zip(of, self._of, strict=True)):
            self.making.forget()
            self._images.clear()
            self._linear.clear()
            self._levels.clear()
            self._weights, self._of = None, of


def _lit(pane: Pane, array: np.ndarray | None) -> tuple[Pane, float | None]:
    """What tells the pictures of a pane apart: its array may be relit by several gammas."""
    return pane, array.gamma if isinstance(array, RelitImage) else None


def _in_grey(
    plane: np.ndarray, factor: int, levels: tuple[float, float], colours: np.ndarray | None, gamma: float
) -> QImage:
    """(H, W) numbers at 1 / factor of their size between black and white, or through a map of colours."""
    grey = render.grey_bytes(render.shrunk(plane, factor), levels, gamma)
    return to_image(grey if colours is None else render.mapped_bytes(grey, colours))


def _coloured(colour: np.ndarray, levels: tuple[float, float], in_bytes: Callable[..., np.ndarray]) -> QImage:
    return to_image(in_bytes(colour, levels))


def _linear_colour(cube: np.ndarray, weights: np.ndarray, factor: int) -> np.ndarray:
    """Linear (3, H, W) at 1 / factor of the size of a cube."""
    if factor >= SHRUNK_FIRST:
        return render.linear_colour(render.shrunk(cube, factor), weights)
    return render.shrunk(render.linear_colour(cube, weights), factor)

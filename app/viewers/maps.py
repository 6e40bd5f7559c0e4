"""Maps of numbers over the scene: the light, what a stage changed, how two images differ, where several disagree.

Magnitudes go through a perceptual map from 0, signed differences through a diverging one with equal ends; what is not
a number has a colour of its own. Over all bands a map is the mean of the bands' maps, of one band it is that band's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from .. import render
from ..assembly import Parts
from ..document.comparing import band_deviation
from ..document.relight import asked_gamma
from ..document.shelf import Result
from ..document.stage_store import mean_change
from ..quantities import number
from ..widgets.colours import NAN_COLOUR, blue_red, mapped, to_image, viridis
from ..widgets.theme import tokens
from .pictures import COST_OF_LIGHT, Pane, Pictures

PERCENTILE = 99.5  # of the magnitudes: the end of the colours, so that single pixels do not darken the rest
PLANE_BYTES, IMAGE_BYTES = 64 << 20, 48 << 20
BAR, TEXT_GAP, PADDING = (96, 8), 6, 6  # px of the legend


@dataclass(frozen=True)
class Change:
    """The pane that shows what a stage changed: |x_k - x_(k-1)|."""

    stage: int


@dataclass(frozen=True)
class Difference:
    """left - right."""

    left: Pane
    right: Pane


@dataclass(frozen=True)
class Spread:
    """The disagreement of results: their standard deviation, or the largest spectral angle between two of them."""

    of: tuple[Result, ...]
    is_angle: bool


@dataclass(frozen=True)
class LightMap:
    """The pane that shows the light of a stage, for all stages on the scale from 0 to its most in any of them."""

    stage: int


MapKind = Change | Difference | Spread | LightMap
Bands = tuple[int, int]  # the first and the last


@dataclass(frozen=True)
class Range:
    """The numbers at the ends of a map's colours; `has_nan` says that some pixels have no number."""

    low: float
    high: float
    unit: str = ""
    has_nan: bool = False

    @property
    def words(self) -> tuple[str, str]:
        """Both ends as they are printed."""
        if self.low < 0:
            return f"−{number(self.high)}{self.unit}", f"+{number(self.high)}{self.unit}"
        return "0", f"{number(self.high)}{self.unit}"

    @property
    def sentence(self) -> str:
        """As "0 to 0.032" or "−0.1 to +0.1"."""
        return " to ".join(self.words)


class Maps:
    """Makes the maps of the session's arrays and keeps them for a while; the numbers are never changed."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self._planes = render.Cache(PLANE_BYTES)
        self._images = render.Cache(IMAGE_BYTES)
        self._highs: dict[tuple, float] = {}
        self._of: tuple = ()

    def plane(self, kind: MapKind) -> np.ndarray | None:
        """(H, W) of a map as the selection asks for it; None where something that it needs is not there."""
        self._start_afresh_if_other()
        make = {
            Change: self._change,
            Difference: self._difference,
            Spread: self._spread,
            LightMap: self._light,
        }[type(kind)]
        if isinstance(kind, LightMap) or (isinstance(kind, Change) and self._bands is None and not self._is_relit):
            return make(kind)  # made with the stage
        key = (kind, self._bands)
        plane = None if key in self._planes else make(kind)
        if plane is None and key not in self._planes:
            return None  # what it needs may be in the making
        return self._planes.get(key, lambda: plane, lambda plane: plane.nbytes)

    def range(self, kind: MapKind) -> Range | None:
        """The ends of the colours; the light, and what stages changed with a shared contrast, have the same for all."""
        plane = self.plane(kind)
        if plane is None:
            return None
        bands = self._bands
        if isinstance(kind, LightMap):
            return Range(0.0, max(self._most_light(stage) for stage in range(self._pictures.num_stages)))
        if isinstance(kind, Change) and self._session.selection.shared_stretch:
            if bands is not None and bands[0] != bands[1]:
                bands = None  # the change of all bands, whose maps are there already, stands in for that of several
            high = max(self._high(Change(stage), bands) for stage in range(1, self._pictures.num_stages))
        else:
            high = self._high(kind, bands)
        unit = "°" if isinstance(kind, Spread) and kind.is_angle else ""
        return Range(-high if isinstance(kind, Difference) else 0.0, high, unit, self._has_nan(kind, plane))

    def picture(self, kind: MapKind, factor: int = 1) -> QImage | None:
        """The map at 1 / factor of its size."""
        plane, ends = self.plane(kind), self.range(kind)
        if plane is None or ends is None:
            return None
        key = (kind, self._bands, factor, ends.low, ends.high)
        return self._images.get(key, lambda: to_image(_bytes(plane, factor, ends)), QImage.sizeInBytes)

    def value(self, kind: MapKind, pixel: tuple[int, int]) -> float | None:
        """The number of a map at (y, x)."""
        plane = self.plane(kind)
        return None if plane is None else float(plane[pixel])

    @property
    def _bands(self) -> Bands | None:
        """The first and the last of the bands that maps are of the mean of, or None for the mean over all."""
        selection = self._session.selection
        return None if selection.in_colour else selection.bands

    def _change(self, kind: Change) -> np.ndarray | None:
        if not 0 < kind.stage < self._pictures.num_stages:
            return None
        if self._bands is None and self._is_relit:
            images = [self._pictures.array(stage) for stage in (kind.stage, kind.stage - 1)]
            make, cost = partial(mean_change, *images), 2 * COST_OF_LIGHT * images[0].size
            return self._pictures.making.get(self._planes, (kind, None), make, lambda plane: plane.nbytes, cost=cost)
        if self._bands is None:
            return self._session.stages.change(kind.stage)
        planes = [self._pictures.plane(stage, self._bands) for stage in (kind.stage, kind.stage - 1)]
        return None if any(plane is None for plane in planes) else _magnitude(*planes)

    def _light(self, kind: LightMap) -> np.ndarray | None:
        stages = self._session.stages
        light = stages.light(kind.stage) if 0 <= kind.stage < self._pictures.num_stages else None
        return None if light is None else light[0]

    def _most_light(self, stage: int) -> float:
        key = (LightMap(stage), None)
        if key not in self._highs:
            light = self._light(LightMap(stage))
            self._highs[key] = 0.0 if light is None else float(light.max())
        return self._highs[key]

    @property
    def _is_relit(self) -> bool:
        """Whether stages are shown by another gamma of their light than the usual one."""
        return asked_gamma(self._session) is not None

    def _difference(self, kind: Difference) -> np.ndarray | None:
        left, right = self._side(kind.left), self._side(kind.right)
        if left is None or right is None:
            return None
        left, right = _as_large(left, right), _as_large(right, left)
        with np.errstate(invalid="ignore", over="ignore"):
            return left - right

    def _side(self, pane: Pane) -> np.ndarray | None:
        """(H, W): the mean over all bands, or over those that are looked at."""
        image = self._pictures.array(pane)
        return None if image is None else self._pictures.plane(pane, self._bands or (0, len(image) - 1))

    def _spread(self, kind: Spread) -> np.ndarray | None:
        comparing, bands = self._parts.comparing, self._bands
        known = comparing.disagreement
        if known is None or known.of != kind.of:
            return None
        if kind.is_angle:
            return known.angle
        if bands is None:
            return known.deviation
        planes = [self._pictures.plane(result, bands) for result in kind.of]
        return None if any(plane is None for plane in planes) else band_deviation(planes)

    def _high(self, kind: MapKind, bands: Bands | None) -> float:
        """The end of a map's colours, from a part of its pixels."""
        key = (kind, bands)
        if key not in self._highs:
            if isinstance(kind, Change) and bands is None and self._is_relit:
                few = (
                    render.thumbnail(self._pictures.array(kind.stage - offset), math.isqrt(render.MOST_SAMPLES))
                    for offset in (0, 1)
                )
                sample = mean_change(*few)
            elif isinstance(kind, Change) and bands is None:
                sample = _sampled(self._session.stages.change(kind.stage))
            elif isinstance(kind, Change) and bands[0] == bands[1]:
                planes = (self._pictures.array(kind.stage - offset)[bands[0]] for offset in (0, 1))
                sample = _magnitude(*(_sampled(plane) for plane in planes))
            else:
                sample = np.abs(_sampled(self.plane(kind)))
            sample = sample[np.isfinite(sample)]
            high = float(np.percentile(sample, PERCENTILE)) if sample.size else 0.0
            self._highs[key] = high or float(sample.max(initial=0.0)) or 1e-6
        return self._highs[key]

    def _has_nan(self, kind: MapKind, plane: np.ndarray) -> bool:
        key = (kind, self._bands, "nan")
        if key not in self._highs:
            self._highs[key] = float(not np.isfinite(plane).all())
        return bool(self._highs[key])

    def _start_afresh_if_other(self) -> None:
        gamma, disagreement = self._session.selection.relight, self._parts.comparing.disagreement
        of = (self._session.measurement, self._session.stages, gamma, disagreement)
        if not self._of or any(one is not other for one, other in zip(of, self._of, strict=True)):
            self._planes.clear()
            self._images.clear()
            self._highs.clear()
            self._of = of


def title_of_light(pictures: Pictures, stage: int) -> str:
    """What the map of the light of a stage is called."""
    return f"Light, {pictures.title(stage).lower()}"


def paint_legend(painter: QPainter, place: QRectF, ends: Range) -> None:
    """Paints the colours of a map with the numbers at their ends into the lower left corner of `place`."""
    colours = blue_red() if ends.low < 0 else viridis()
    paint_bar(painter, place, ends.words, colours, missing="  not a number" if ends.has_nan else "")


def paint_bar(painter: QPainter, place: QRectF, words: tuple[str, str], colours: np.ndarray, missing: str = "") -> None:
    """Paints a (256, 3) map with the words at its ends, and what is missing, into the lower left corner of `place`."""
    metrics = painter.fontMetrics()
    low, high = words
    widths = [metrics.horizontalAdvance(words) for words in (low, high, missing)]
    square = BAR[1] + TEXT_GAP if missing else 0
    chip = QRectF(0, 0, sum(widths) + BAR[0] + 2 * TEXT_GAP + 2 * PADDING + square, metrics.height() + PADDING)
    if chip.width() > place.width() or chip.height() > place.height():
        return  # the title says it too
    chip.moveBottomLeft(place.bottomLeft() + QPointF(PADDING, -PADDING))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tokens().card))
    painter.drawRoundedRect(chip, 4, 4)
    bar = QRectF(chip.x() + PADDING + widths[0] + TEXT_GAP, chip.center().y() - BAR[1] / 2, *BAR)
    painter.drawImage(bar, to_image(np.ascontiguousarray(colours[None])))
    painter.setPen(QColor(tokens().text))
    middle = Qt.AlignmentFlag.AlignVCenter
    painter.drawText(chip.adjusted(PADDING, 0, 0, 0), middle, low)
    after = QRectF(bar.right() + TEXT_GAP, chip.y(), chip.right() - bar.right(), chip.height())
    painter.drawText(after, middle, high)
    if missing:
        after.setLeft(after.x() + widths[1] + TEXT_GAP)
        painter.fillRect(QRectF(after.x(), bar.y(), BAR[1], BAR[1]), QColor(*NAN_COLOUR))
        painter.drawText(after.adjusted(BAR[1], 0, 0, 0), middle, missing)


def _bytes(plane: np.ndarray, factor: int, ends: Range) -> np.ndarray:
    """(H, W) numbers through the map of their range, (H, W, 3) uint8."""
    return mapped(render.shrunk(plane, factor), (ends.low, ends.high), blue_red() if ends.low < 0 else viridis())


def _magnitude(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(one - other)


def _sampled(plane: np.ndarray) -> np.ndarray:
    """Some pixels of (H, W), of every row and every phase of a grid: enlarged pictures differ between their pixels."""
    stride = math.ceil(plane.size / render.MOST_SAMPLES)
    while math.gcd(stride, 6 * plane.shape[1]) > 1:
        stride += 1
    return plane.ravel()[::stride]


def _as_large(plane: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A plane with its pixels repeated until it is as large as the other one, where that is larger."""
    times = other.shape[0] // plane.shape[0]
    return plane.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else plane

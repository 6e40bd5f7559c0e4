"""What the curves are of: the place that is looked at, in all stages, and regions; spectra, or rows of a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import render
from ..assembly import Parts
from ..document.regions import Region
from ..document.relight import shown_stage
from ..document.selection import REFERENCE
from ..document.session import Session
from .pictures import title_of

Pixel = tuple[int, int]  # (y, x)


@dataclass(frozen=True)
class Subject:
    """The place whose stages are fanned out: under the mouse, else the chosen region, else the pinned pixel.

    `curves` are those of all stages, `stage` is the chosen one; `true` is that of the reference, if there is one. Where
    two sides are compared, `curves` are theirs, left and right, and `sides` their names.
    """

    title: str
    curves: tuple[np.ndarray, ...]
    stage: int
    true: np.ndarray | None
    sides: tuple[str, ...] = ()

    @property
    def curve(self) -> np.ndarray:
        """That of the chosen stage."""
        return self.curves[self.stage]


def chosen_stage(session: Session) -> int:
    """The stage that is looked at, of those there are."""
    return max(min(session.selection.stage, session.num_announced - 1), 0)


def subject_of(parts: Parts, cursor: Pixel | None) -> Subject | None:
    """What is fanned out now; None where no place is looked at, or the worker still measures it."""
    session, regions = parts.session, parts.regions
    stages = range(session.num_announced)
    region = regions.chosen if cursor is None else None
    if session.selection.mode == "compare" and region is None:
        return _compared(parts, cursor)
    if not stages:
        return None
    if region is not None:
        curves = [region_curve(parts, region, index) for index in stages]
        if None in curves:
            return None
        true = region_curve(parts, region, REFERENCE)
        means = tuple(mean for mean, _ in curves)
        true = None if true is None else true[0]
        return Subject(f"region {regions.title(region)}", means, chosen_stage(session), true)
    pixel = cursor or session.selection.pixel
    if pixel is None:
        return None
    curves = tuple(pixel_curve(parts, shown_stage(session, index), pixel) for index in stages)
    return Subject(_words(cursor), curves, chosen_stage(session), _true(parts, pixel))


def _compared(parts: Parts, cursor: Pixel | None) -> Subject | None:
    """The curves of both sides at a pixel, left and right; one alone where the other is gone."""
    comparing, pixel = parts.comparing, cursor or parts.session.selection.pixel
    images = {side: image for side in comparing.pair if (image := comparing.image(side)) is not None}
    if pixel is None or not images:
        return None
    height = parts.session.measurement.physics.scene_shape[1]
    curves = []
    for image in images.values():
        times = height // image.shape[1]  # of a measurement with fewer pixels
        curve = pixel_curve(parts, image, (pixel[0] // times, pixel[1] // times))
        curves.append(curve.repeat(times) if parts.session.kind.is_photograph else curve)
    names = tuple(title_of(parts.session, side) for side in images)
    return Subject(_words(cursor), tuple(curves), 0, _true(parts, pixel), names)


def _words(cursor: Pixel | None) -> str:
    return "the pixel under the mouse" if cursor else "the pinned pixel"


def _true(parts: Parts, pixel: Pixel) -> np.ndarray | None:
    """The curve of the reference at a pixel, if there is one."""
    reference = parts.session.measurement.reference
    return None if reference is None else pixel_curve(parts, reference, pixel)


def pixel_curve(parts: Parts, image: np.ndarray, pixel: Pixel) -> np.ndarray:
    """The spectrum at a pixel, or of a photograph the row through it."""
    if parts.session.kind.is_photograph:
        return render.line_profile(image, pixel[0], parts.regions.side)
    return render.mean_spectrum(image, pixel, parts.regions.side)


def region_curve(parts: Parts, region: Region, pane: int) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Mean and deviation of a region in a stage or the reference; of a photograph its middle row.

    None without a reference, or while the worker measures it.
    """
    session = parts.session
    if session.kind.is_photograph:
        image = session.measurement.reference if pane == REFERENCE else shown_stage(session, pane)
        top, _, bottom, _ = region.bounds
        return (
            None if image is None else (render.line_profile(image, int((top + bottom) / 2), parts.regions.side), None)
        )
    curve = parts.regions.curve(region, pane)
    return None if curve is None else (curve.mean, curve.std if curve.num_pixels > 1 else None)

"""Scores of a decoder on scenes: protocols that say which windows are decoded and which pixels count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..decoder import Decoder
from ..errors import GeometryError, LorunError
from ..instrument import RANGE_SLACK_NM
from ..measurement import Measurement, Scene, require_rising
from .metrics import score
from .restore import restore

WINDOW = 256  # pixels; the size of the usual simulation mask


@dataclass(frozen=True)
class Window:
    """A part of a scene that is measured whole; `score_crop` (left, top, right, bottom) pixels do not count."""

    name: str
    scene: Scene
    score_crop: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class WindowScore:
    """The figures of one window after the last stage (see `metrics`), and the relative residual.

    `notes` are sentences about what the decoder was not made for.
    """

    name: str
    metrics: Mapping[str, float]
    residual: float
    seconds: float
    notes: tuple[str, ...] = ()


def at_wavelengths(scene: Scene, wavelengths_nm: np.ndarray) -> Scene:
    """`scene` interpolated linearly in wavelength to other band centres, which rise, inside its range."""
    own = scene.wavelengths_nm
    require_rising(wavelengths_nm, "list")
    if own is None:
        raise LorunError(f"{scene.path or 'The scene'} states no wavelengths. Give them with --wavelengths.")
    if wavelengths_nm.min() < own.min() - 1e-6 or wavelengths_nm.max() > own.max() + 1e-6:
        raise LorunError(
            f"The scene covers {own.min():g} to {own.max():g} nm; bands from {wavelengths_nm.min():g} to "
            f"{wavelengths_nm.max():g} nm were asked for. Choose a band list inside the scene's range."
        )
    position = np.interp(wavelengths_nm, own, np.arange(len(own)))
    lower = position.astype(int)
    share = (position - lower).astype(np.float32)[:, None, None]
    image = scene.image[lower] * (1 - share) + scene.image[np.minimum(lower + 1, len(own) - 1)] * share
    return replace(scene, image=image, wavelengths_nm=np.asarray(wavelengths_nm, dtype=np.float64))


def at_wavelengths_near(scene: Scene, wavelengths_nm: np.ndarray) -> Scene:
    """The scene at other band centres; its ends are repeated up to RANGE_SLACK_NM beyond."""
    own = scene.wavelengths_nm
    if own is None:
        return at_wavelengths(scene, wavelengths_nm)
    inside = np.clip(wavelengths_nm, own.min(), own.max())
    near = np.where(np.abs(inside - wavelengths_nm) <= RANGE_SLACK_NM, inside, wavelengths_nm)
    return replace(at_wavelengths(scene, near), wavelengths_nm=np.asarray(wavelengths_nm, dtype=np.float64))


def cave_border(width: int) -> int:
    """The columns at the left of a CAVE cube so wide that hold wrong values: 4 at full resolution, 2 at half of it."""
    return 4 if width == 512 else 2


def cut_windows(scene: Scene, *, name: str, score_crop: tuple[int, int, int, int] = (0, 0, 0, 0)) -> list[Window]:
    """WINDOW x WINDOW pieces from the top left, remainders dropped; a scene smaller than that is one window."""
    height, width = scene.image.shape[1:]
    size_y, size_x = min(WINDOW, height), min(WINDOW, width)
    rows, columns = height // size_y, width // size_x
    left, top, right, bottom = score_crop
    windows = []
    for row in range(rows):
        for column in range(columns):
            y, x = row * size_y, column * size_x
            crop = (
                left if column == 0 else 0,
                top if row == 0 else 0,
                right if column == columns - 1 else 0,
                bottom if row == rows - 1 else 0,
            )
            part = replace(scene, image=np.ascontiguousarray(scene.image[:, y : y + size_y, x : x + size_x]))
            label = name if rows * columns == 1 else f"{name}[{row},{column}]"
            windows.append(Window(label, part, crop))
    return windows


def cave_28_windows(scene: Scene, wavelengths_nm: np.ndarray, *, name: str) -> list[Window]:
    """Protocol `cave-28`: the 28-band scene in its 256 x 256 windows, without the sensor border in the scores.

    The border is the leftmost 4 columns of a CAVE cube, 2 of one at half resolution (256 x 256).
    """
    height, width = scene.image.shape[1:]
    if (height, width) not in ((512, 512), (256, 256)):
        raise GeometryError(
            f"{name} is {height} x {width} pixels; protocol cave-28 takes CAVE cubes of 512 x 512 or 256 x 256. "
            "Use --protocol windows."
        )
    windows = at_wavelengths(scene, wavelengths_nm)
    return cut_windows(windows, name=name, score_crop=(cave_border(width), 0, 0, 0))


def evaluate(
    decoder: Decoder,
    windows: Iterable[Window],
    measure: Callable[[Scene], Measurement],
    *,
    num_stages: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Iterator[WindowScore]:
    """Measures every window, decodes it and yields its score."""
    for window in windows:
        measurement = measure(window.scene)
        # per-stage figures are not wanted here: the reference is kept out of the restoration
        blind, seconds = replace(measurement, reference=None), 0.0
        fitted = decoder.fitted(blind)
        for stage in restore(fitted, blind, num_stages=num_stages, device=device, threads=threads):
            seconds += stage.seconds
        height, width = stage.image.shape[1:]
        left, top, right, bottom = window.score_crop
        counted = (slice(None), slice(top, max(top, height - bottom)), slice(left, max(left, width - right)))
        border = measurement.physics.score_border
        if measurement.reference is None:
            raise LorunError(f"{window.name} was measured without its true scene; nothing can be scored then.")
        figures = score(stage.image[counted], measurement.reference[counted], measurement.task, border=border)
        notes = getattr(fitted, "notes", ())
        yield WindowScore(window.name, figures, residual=stage.residual, seconds=seconds, notes=notes)

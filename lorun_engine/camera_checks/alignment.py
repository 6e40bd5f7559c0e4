"""Where the mask of a CASSI capture really lies: its shift, its mirroring, the dispersion step and the direction.

A mask codes every band, and every band arrives at its own offset. The fine pattern of a capture, what is left after its
local mean is taken away, is therefore a sum of the mask's fine pattern at the offsets of the bands. For given offsets
the weights of that sum are a least-squares problem of one unknown a band, whose normal equations hold nothing but the
cross-correlation of capture and mask and the autocorrelation of the mask (the matched filter, Turin, IRE Trans. Inf.
Theory 1960). Both are computed once by FFT; after that a supposition costs microseconds and no decoder is needed.
The share of the fine pattern's energy that the bands explain is the criterion. It is largest for the true offsets.

Optics show a mask softer than it is stored. Between pixels interpolation softens it too, so that a mask that is too
sharp for its capture fits best half a pixel off. The blur that explains most is therefore found along with the place.

The order of the bands leaves no trace in this pattern: a scene decoded with the other direction has its spectra
reversed and explains the capture as well. Only the spectra themselves tell it (see `direction`), and not always.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import fft, ndimage

from ..errors import LorunError
from ..instrument import Dispersion
from ..io import OpenOptions
from ..io.masks import moved
from ..measurement import Measurement
from ..tasks.cassi import CassiPhysics
from .direction import coarse_spectra, direction_log_odds

FLIPS = ("", "lr", "ud", "both")
_NEIGHBOURHOOD = 2.0  # pixels, the deviation of the Gaussian of the local mean
_RIDGE = 0.02  # of the mask's variance: bands less than a pixel apart share their pattern
_SMOOTHNESS = 3.0  # of the mask's variance: spectra bend little from band to band
_ENDS = 0.02  # of the brightest local mean; darker pixels count as if they were as bright
# of the criterion for every pixel of shift: on the TSA-Net captures several positions are nearly as good
_RELUCTANCE = 0.004
_MOST_PEAKS = 8  # places that are looked at more closely
_APART, _STEPS_APART = 0.75, 0.06  # pixels of shift along the dispersion or of step between them
_BLURS = (0.0, 0.5, 0.7, 1.0, 1.4)  # pixels, the deviation of the Gaussian that the optics are taken for
_UNDECIDED = 0.1  # margins below it tell no direction
_CROP = 256  # rows across the dispersion that are decoded to tell the direction
_FEWEST_BANDS = 3
_AT_ONCE = 128  # suppositions: the matrices of that many stay in the cache
_MORE_LAGS = 12  # beyond the shifts, where the pattern of a mask that lies elsewhere shows nothing


@dataclass(frozen=True)
class Supposition:
    """Offsets of the bands to be tried: the mask `shift_y` rows further down and `shift_x` columns further right."""

    shift_y: float = 0.0
    shift_x: float = 0.0
    step: float = 2.0
    flip: str = ""


@dataclass(frozen=True)
class AlignmentProgress:
    """How far a search is: `done` of `total` rounds, and the best so far."""

    done: int
    total: int
    best: Supposition
    explained: float


@dataclass(frozen=True)
class Alignment:
    """The result of a search.

    `explained` is the share of the fine pattern's energy that the bands explain at `best`, `explained_as_opened` that
    of the geometry the measurement was opened with, `explained_by_chance` the median at offsets that are surely wrong.
    `direction` is "+" or "-", whichever gives the likelier spectra, and as opened where both do. `direction_margin` in
    0..1 says how much likelier: 0 where both are as good, 1 where the other is out of the question. `spectrum` holds
    the mean of every band, band 0 first, in a unit of its own.
    `map` (rows, columns) is the criterion at the shifts `map_shifts` (both axes, pixels) for the best step and flip.
    `blur` is how much softer than stored the capture shows the mask, the deviation of a Gaussian in pixels.
    """

    best: Supposition
    direction: str
    direction_margin: float
    explained: float
    explained_as_opened: float
    explained_by_chance: float
    spectrum: np.ndarray
    map: np.ndarray
    map_shifts: np.ndarray
    blur: float = 0.0

    @property
    def is_found(self) -> bool:
        """Whether the mask shows in the capture at all."""
        return self.explained > 4 * self.explained_by_chance


class FinePattern:
    """The correlations of one capture (H', W') with one mask (H, W) that was seen with some `blur`."""

    def __init__(
        self,
        y: np.ndarray,
        mask: np.ndarray,
        dispersion: Dispersion,
        *,
        reach: float,
        widest: float,
        blur: float = 0.0,
    ) -> None:
        self.dispersion = dispersion
        capture, pattern = fine_pattern(y), _less_local_mean(mask)
        sharp_energy = float(np.square(pattern).sum())
        if blur:
            pattern = _less_local_mean(ndimage.gaussian_filter(mask, blur, mode="nearest"))
        if dispersion.axis == "y":  # turned, so that the bands always move along the columns
            capture, pattern = capture.T, pattern.T
        self.energy = float(np.square(capture).sum())
        self._rows = int(np.ceil(reach)) + _MORE_LAGS + 1
        low = int(np.floor(dispersion.first_offset - reach)) - 1
        high = int(np.ceil(dispersion.first_offset + reach + (dispersion.num_bands - 1) * widest)) + 3
        self._low = low
        self._cross = _correlation(capture, pattern, self._rows, low, high)
        bends = np.diff(np.eye(dispersion.num_bands), 2, axis=0)
        # spectra are no smoother for a blur, so what is expected of them is not either
        self._prior = sharp_energy * (_RIDGE * np.eye(dispersion.num_bands) + _SMOOTHNESS * bends.T @ bends)
        self._span = high - low + 1
        self._auto = _correlation(pattern, pattern, 1, -self._span, self._span)

    def explained(self, suppositions: Sequence[Supposition]) -> tuple[np.ndarray, np.ndarray]:
        """The share of the fine pattern's energy (N,) and the weights of the bands (N, C), in order of their offset."""
        dispersion = self.dispersion
        order = np.arange(dispersion.num_bands)
        shifts = np.array([(s.shift_y, s.shift_x) for s in suppositions])
        across, along = shifts.T if dispersion.axis == "x" else shifts.T[::-1]
        steps = np.array([s.step for s in suppositions])
        offsets = dispersion.first_offset + steps[:, None] * order
        taps = [_split(across), _split(along), _split(offsets)]
        cross = np.zeros(offsets.shape)
        for row, column, band in itertools.product((0, 1), repeat=3):
            row_share, row_lag = _tap(*taps[0], row)
            column_share, column_lag = _tap(*taps[1], column)
            band_share, band_lag = _tap(*taps[2], band)
            lags = column_lag[:, None] + band_lag - self._low
            share = (row_share * column_share)[:, None] * band_share
            cross += share * self._cross[self._rows + row_lag[:, None], lags]
        softer, beside = (part * (1 - part) for part in (taps[0][1], taps[1][1]))
        # the same for all whole shifts, which most of a search is made of
        _, first, own = np.unique(np.stack([steps, softer, beside]), axis=1, return_index=True, return_inverse=True)
        starts, parts = taps[2]
        gram = self._gram(starts[first], parts[first], softer[first], beside[first])
        inverse = np.linalg.inv(gram + self._prior)
        weights = np.einsum("nij,nj->ni", inverse[own.ravel()], cross)
        return (weights * cross).sum(axis=1) / self.energy, weights

    def _gram(self, starts: np.ndarray, parts: np.ndarray, softer: np.ndarray, beside: np.ndarray) -> np.ndarray:
        """(N, C, C): the scalar products of the mask's pattern at the offsets of two bands, softened by its shift."""
        softer, beside = softer[:, None], beside[:, None]
        auto = (1 - 2 * softer) * self._auto[1] + softer * (self._auto[0] + self._auto[2])  # (N, lags)
        auto = (1 - 2 * beside) * auto + beside * (np.roll(auto, 1, axis=1) + np.roll(auto, -1, axis=1))
        rows = np.arange(len(starts))[:, None, None]
        gram = np.zeros((*starts.shape, starts.shape[1]))
        for first, second in itertools.product((0, 1), repeat=2):
            left, right = (parts if chosen else 1 - parts for chosen in (first, second))
            lags = starts[:, :, None] + first - starts[:, None, :] - second
            gram += left[:, :, None] * right[:, None, :] * auto[rows, lags + self._span]
        return gram


def align(
    measurement: Measurement, *, reach: float = 4.0, step_reach: float = 0.5, flips: bool = True
) -> Iterator[AlignmentProgress | Alignment]:
    """Searches shifts to +-`reach` pixels and steps to +-`step_reach`, coarse to fine; the last event is the Alignment.

    Raises LorunError where there is nothing to search: another task, no mask's pattern, too few bands.
    """
    physics, mask = dispersed_mask(measurement)
    opened = physics.dispersion
    low, high = max(0.0, opened.step - step_reach), opened.step + step_reach
    tried = FLIPS if flips else FLIPS[:1]
    total = len(tried) + 3
    best, best_value = Supposition(step=opened.step), -1.0
    shifts, steps = _grid(0.0, reach, 0.5), np.unique(np.append(np.arange(low, high + 1e-9, 0.05), opened.step))
    coarse = [(y, x, s) for s in steps for y in shifts if float(y).is_integer() for x in shifts]
    for done, flip in enumerate(tried, 1):
        pattern = _pattern(measurement, _flipped(mask, flip), opened, reach=reach, widest=high)
        candidate, value = _best(pattern, [Supposition(float(y), float(x), float(step), flip) for y, x, step in coarse])
        if value > best_value:
            best, best_value = candidate, value
        yield AlignmentProgress(done, total, best, best_value)
    bounds = (-reach, reach), (low, high)
    places, found = _along(best, opened, reach=reach, low=low, high=high), []
    for blur in _BLURS:  # told apart only once the places are known to a fraction of a pixel
        pattern = _pattern(measurement, _flipped(mask, best.flip), opened, reach=reach, widest=high, blur=blur)
        peaks = _peaks(places, _values(pattern, places), along=_along_name(opened))
        peaks = [_refined(pattern, peak, 0.25, 0.02, bounds) for peak in peaks]
        found.append((blur, pattern, peaks, float(_values(pattern, peaks).max())))
    blur, pattern, peaks, _ = max(found, key=lambda blurred: blurred[-1])
    best, best_value = _best(pattern, peaks)
    yield AlignmentProgress(len(tried) + 1, total, best, best_value)
    for done, (apart, step_apart) in enumerate(((0.1, 0.01), (0.04, 0.004)), len(tried) + 2):
        peaks = [_refined(pattern, peak, apart, step_apart, bounds) for peak in peaks]
        best, best_value = _best(pattern, peaks)
        yield AlignmentProgress(done, total, best, best_value)
    unmoved = pattern if not best.flip else _pattern(measurement, mask, opened, reach=reach, widest=high, blur=blur)
    as_opened, _ = unmoved.explained([Supposition(step=opened.step)])
    log_odds = _log_odds(measurement, best)
    concluded = _concluded(pattern, best, best_value, float(as_opened[0]), opened, reach, log_odds)
    yield replace(concluded, blur=blur)


def aligned(measurement: Measurement, alignment: Alignment) -> Measurement:
    """The measurement with its mask moved and its dispersion corrected; where no mask is known any more it is 0."""
    best = alignment.best
    physics = _moved_camera(measurement, best, direction=alignment.direction)
    note = (
        f"The mask was moved by {best.shift_y:+.2f} rows and {best.shift_x:+.2f} columns"
        f"{f' after a flip ({best.flip})' if best.flip else ''}; the step is {best.step:.3f} pixels."
    )
    return replace(measurement, physics=physics, notes=(*measurement.notes, note))


def corrected(options: OpenOptions, alignment: Alignment, *, num_bands: int, direction: bool = True) -> OpenOptions:
    """The corrections that open the measurement as `alignment` found it, on top of those it was opened with.

    Without `direction` that of the dispersion stays as it is.
    """
    best = alignment.best
    flip, rotate = _turned_further(options.flip, options.rotate or 0, best.flip)
    y, x = options.mask_shift or (0.0, 0.0)
    y, x = (-y if best.flip in ("ud", "both") else y), (-x if best.flip in ("lr", "both") else x)
    return replace(
        options,
        num_bands=num_bands,
        step=round(best.step, 3),
        direction=alignment.direction if direction else options.direction,
        flip=flip,
        rotate=rotate or None,
        mask_shift=(round(y + best.shift_y, 3), round(x + best.shift_x, 3)),
    )


def fine_pattern(y: np.ndarray) -> np.ndarray:
    """A capture (H', W') less its local mean, in shares of that mean's root: shot noise is equal everywhere then."""
    mean = ndimage.gaussian_filter(y, _NEIGHBOURHOOD, mode="nearest")
    pattern: np.ndarray = (y - mean) / np.sqrt(np.maximum(mean, _ENDS * mean.max()))
    return pattern


def _less_local_mean(mask: np.ndarray) -> np.ndarray:
    pattern: np.ndarray = mask - ndimage.gaussian_filter(mask, _NEIGHBOURHOOD, mode="nearest")
    return pattern


def _turned_further(flip: str | None, rotate: int, further: str) -> tuple[str | None, int]:
    """What mirrors and turns as (flip, rotate) and then `further` do; two different mirrors are half a turn."""
    if not further:
        return flip, rotate
    if further == "both" or (flip is not None and flip != further):
        return (flip if further == "both" else None), (rotate + 2) % 4
    return (None if flip == further else further), rotate


def _moved_camera(measurement: Measurement, best: Supposition, *, direction: str) -> CassiPhysics:
    """The operator with its mask flipped and moved and its dispersion corrected, for the same detector."""
    physics, _ = dispersed_mask(measurement)
    mask = np.stack([_flipped(band, best.flip) for band in physics.mask[0].cpu().numpy()])
    mask = np.ascontiguousarray(moved(mask, (best.shift_y, best.shift_x)))
    dispersion = replace(physics.dispersion, step=best.step, direction=direction)
    return CassiPhysics(torch.from_numpy(mask), dispersion, detector_shape=physics.measurement_shape[1:])


def _log_odds(measurement: Measurement, best: Supposition) -> float:
    """The logarithm of the odds for direction "+", from a coarse decode of the middle of the capture."""
    physics = _moved_camera(measurement, best, direction="+")
    y, mask, detector = torch.from_numpy(measurement.y)[None], physics.mask, physics.measurement_shape[1:]
    dimension = -2 if physics.dispersion.axis == "x" else -1  # across the dispersion, where a cut loses no light
    length = mask.shape[dimension]
    if length > _CROP:
        first = (length - _CROP) // 2
        y, mask = (whole.narrow(dimension, first, _CROP) for whole in (y, mask))
        detector = y.shape[-2], y.shape[-1]
    spectra = coarse_spectra(y, CassiPhysics(mask, physics.dispersion, detector_shape=detector))
    return direction_log_odds(spectra.flatten(1).T.numpy(), measurement.wavelengths_nm)


def dispersed_mask(measurement: Measurement) -> tuple[CassiPhysics, np.ndarray]:
    """The operator, and its mask as one (H, W) pattern: the bands of a grey one share their pattern."""
    physics = measurement.physics
    if not isinstance(physics, CassiPhysics):
        raise LorunError(
            f"The position of a mask was to be searched in a {measurement.task} measurement; only CASSI captures have "
            "a mask that is dispersed. Open a CASSI capture."
        )
    if physics.dispersion.num_bands < _FEWEST_BANDS:
        raise LorunError(
            f"The capture has {physics.dispersion.num_bands} bands; at least {_FEWEST_BANDS} are needed to see a "
            "dispersion. Correct the number of bands."
        )
    mask = physics.mask[0].mean(dim=0).cpu().numpy().astype(np.float64)
    if mask.std() < 1e-6 * max(abs(mask.max()), 1e-12):
        raise LorunError("Every pixel of the mask is alike; a pattern was expected. Choose the mask of this capture.")
    return physics, mask


def _pattern(
    measurement: Measurement, mask: np.ndarray, opened: Dispersion, *, reach: float, widest: float, blur: float = 0.0
) -> FinePattern:
    return FinePattern(measurement.y[0].astype(np.float64), mask, opened, reach=reach, widest=widest, blur=blur)


def _along(best: Supposition, opened: Dispersion, *, reach: float, low: float, high: float) -> list[Supposition]:
    """All shifts along the dispersion with all steps, finely: moved by whole bands a mask fits nearly as well.

    Across it the shift is known to a pixel so far.
    """
    is_along_x = opened.axis == "x"
    steps = np.append(np.arange(low, high + 1e-9, 0.02), best.step)
    across = _within(_grid(best.shift_y if is_along_x else best.shift_x, 0.5, 0.5), -reach, reach)
    along = _grid(0.0, reach, 0.25)
    places = [(a, b) if is_along_x else (b, a) for a in across.tolist() for b in along.tolist()]
    return [replace(best, shift_y=y, shift_x=x, step=step) for step in steps.tolist() for y, x in places]


def _along_name(opened: Dispersion) -> str:
    """The shift along the dispersion."""
    return "shift_x" if opened.axis == "x" else "shift_y"


def _peaks(suppositions: list[Supposition], values: np.ndarray, *, along: str) -> list[Supposition]:
    """The best suppositions, the first the very best, no two of them with nearly the same place of the bands.

    Either end of the dispersion may be the one with the light, so that both the shift and the step tell places apart.
    """
    found: list[Supposition] = []
    for number in np.argsort(-values):
        candidate = suppositions[number]
        if all(
            abs(getattr(candidate, along) - getattr(other, along)) >= _APART
            or abs(candidate.step - other.step) >= _STEPS_APART
            for other in found
        ):
            found.append(candidate)
        if len(found) == _MOST_PEAKS:
            break
    return found


def _refined(
    pattern: FinePattern,
    peak: Supposition,
    apart: float,
    step_apart: float,
    bounds: tuple[tuple[float, float], tuple[float, float]],
) -> Supposition:
    """The best supposition near `peak` on a grid that fine, within the bounds of the shifts and of the step."""
    near = [
        replace(peak, shift_y=float(y), shift_x=float(x), step=float(s))
        for y in _within(_grid(peak.shift_y, 3 * apart, apart), *bounds[0])
        for x in _within(_grid(peak.shift_x, 3 * apart, apart), *bounds[0])
        for s in _within(_grid(peak.step, 3 * step_apart, step_apart), *bounds[1])
    ]
    return _best(pattern, near)[0]


def _best(pattern: FinePattern, suppositions: list[Supposition]) -> tuple[Supposition, float]:
    """The supposition that explains most, and how much."""
    chosen = int(_values(pattern, suppositions).argmax())
    return suppositions[chosen], float(pattern.explained([suppositions[chosen]])[0][0])


def _values(pattern: FinePattern, suppositions: list[Supposition]) -> np.ndarray:
    """What each explains, a little less the further it is from where the mask was opened."""
    parts = [suppositions[n : n + _AT_ONCE] for n in range(0, len(suppositions), _AT_ONCE)]
    explained = np.concatenate([pattern.explained(part)[0] for part in parts])
    distances = np.array([abs(s.shift_y) + abs(s.shift_x) for s in suppositions])
    return explained * (1 - _RELUCTANCE * distances)


def _concluded(
    pattern: FinePattern,
    best: Supposition,
    value: float,
    as_opened: float,
    opened: Dispersion,
    reach: float,
    log_odds: float,
) -> Alignment:
    shifts = _grid(0.0, reach, 0.5)
    places = [replace(best, shift_y=float(y), shift_x=float(x)) for y in shifts for x in shifts]
    drawn, _ = pattern.explained(places)
    rows = [sign * (reach + far) for far in range(4, _MORE_LAGS) for sign in (-1, 1)]  # across the dispersion
    aside = [replace(best, shift_y=row) if opened.axis == "x" else replace(best, shift_x=row) for row in rows]
    chance, _ = pattern.explained(aside)
    _, weights = pattern.explained([best])
    margin = float(np.tanh(abs(log_odds) / 2))
    direction = opened.direction if margin < _UNDECIDED else "+" if log_odds > 0 else "-"
    return Alignment(
        best=best,
        direction=direction,
        direction_margin=margin,
        explained=value,
        explained_as_opened=as_opened,
        explained_by_chance=float(np.median(chance)),
        spectrum=weights[0] if direction == "+" else weights[0][::-1],
        map=drawn.reshape(len(shifts), len(shifts)),
        map_shifts=shifts,
    )


def _flipped(mask: np.ndarray, flip: str) -> np.ndarray:
    mask = mask[:, ::-1] if flip in ("lr", "both") else mask
    return mask[::-1] if flip in ("ud", "both") else mask


def _correlation(image: np.ndarray, pattern: np.ndarray, rows: int, low: int, high: int) -> np.ndarray:
    """sum image[i, j] pattern[i - dy, j - dx] for dy in -rows..rows and dx in low..high."""
    # room for every lag that is asked for, even where it is larger than the images
    ranges = ((-rows, rows), (low, high))
    shape = [
        fft.next_fast_len(max(a, last + 1) + max(b, 1 - first), real=True)
        for a, b, (first, last) in zip(image.shape, pattern.shape, ranges, strict=True)
    ]
    spectrum = fft.rfft2(image, shape) * np.conj(fft.rfft2(pattern, shape))
    lags: np.ndarray = fft.irfft2(spectrum, shape)
    wanted: np.ndarray = lags[np.ix_(np.arange(-rows, rows + 1), np.arange(low, high + 1) % shape[1])]
    return wanted


def _split(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    whole = np.floor(offsets)
    return whole.astype(int), offsets - whole


def _tap(whole: np.ndarray, part: np.ndarray, which: int) -> tuple[np.ndarray, np.ndarray]:
    """The share of the nearer (0) or the further (1) pixel of a linear interpolation, and its place."""
    return (part, whole + 1) if which else (1 - part, whole)


def _grid(centre: float, reach: float, apart: float) -> np.ndarray:
    count = int(round(reach / apart))
    return centre + apart * np.arange(-count, count + 1)


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.unique(np.clip(values, low, high))

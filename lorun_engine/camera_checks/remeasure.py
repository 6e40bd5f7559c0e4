"""Measuring a decoded image again: what Phi x leaves unexplained, and whether the camera is the one that was assumed.

A decoder can explain a wrong capture too, and a strong prior leaves structure where all is right. The figures of the
residual are therefore shown, and the verdict comes from the capture itself: if its fine pattern agrees better with a
moved, flipped or stretched mask (see `alignment`), the camera is not the one that was assumed; if it agrees with none,
the mask is another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import GeometryError, LorunError
from ..instrument import SAME_SHIFT, SURE_OF_DIRECTION
from ..io.quantities import number
from ..measurement import Measurement
from ..tasks.cassi import CassiPhysics
from .alignment import Alignment, align, dispersed_mask

LAGS = (1, 2, 3, 4)
_ROUNDING = 1e-5  # of the measurement; float32 leaves so much
_LARGEST_SHIFT = 0.7  # pixels; the TSA-Net captures with their own mask show up to 0.5
_LARGEST_STEP_ERROR = 0.07  # pixels a band
_LARGEST_SCALE_ERROR = 0.1
_FEW_LIMITS = 2.5  # of eight correlations of noise one is above its 95 % limit every third time
_LARGEST_RESIDUAL = 0.25  # of the measurement; decodes with the right camera leave less than half of it
_FINE = "fine: mask, shift and step are those of the capture"


@dataclass(frozen=True)
class CameraVerdict:
    """Whether the assumed camera took the capture: what is off, a sentence with the figures, and the search behind it.

    `findings` say each in a few words what is off; without any the camera is fine.
    """

    findings: tuple[str, ...]
    sentence: str
    alignment: Alignment

    @property
    def is_fine(self) -> bool:
        """Whether nothing is off."""
        return not self.findings

    @property
    def word(self) -> str:
        """The verdict as a heading."""
        if not self.findings:
            best = self.alignment.best
            shift = max(abs(best.shift_y), abs(best.shift_x))
            return f"{_FINE}{', to a fraction of a pixel' if shift > SAME_SHIFT else ''}"
        *most, last = self.findings
        return f"off: {', '.join(most)}{' and ' if most else ''}{last}"

    @property
    def look(self) -> tuple[str, str]:
        """The heading as a sentence, and its look: "good" or "warn"."""
        return f"{self.word[0].upper()}{self.word[1:]}.", "good" if self.is_fine else "warn"


@dataclass(frozen=True)
class Remeasurement:
    """A decoded image seen by the camera again.

    `phi_x` and `residual` = y - phi_x are (C', H', W') float32 in the unit of the measurement. `autocorrelation_y` and
    `autocorrelation_x` are those of the residual at `LAGS` pixels; white noise stays within +-`white_limit` (95 %).
    `scale` is the factor that brings phi_x closest to y. `camera` is None for tasks without a dispersed mask.
    """

    phi_x: np.ndarray
    residual: np.ndarray
    relative_norm: float
    scale: float
    counts: np.ndarray
    edges: np.ndarray
    row_means: np.ndarray
    column_means: np.ndarray
    autocorrelation_y: tuple[float, ...]
    autocorrelation_x: tuple[float, ...]
    white_limit: float
    camera: CameraVerdict | None

    @property
    def is_white(self) -> bool:
        """Whether neighbours in the residual are as unlike as those of noise, up to chance at the lags looked at."""
        largest = max(map(abs, self.autocorrelation_y + self.autocorrelation_x))
        return largest <= _FEW_LIMITS * self.white_limit

    @property
    def is_rounding(self) -> bool:
        """Whether no more is left than numbers of single precision leave."""
        return self.relative_norm < _ROUNDING

    @property
    def deviation(self) -> float:
        """The standard deviation of the residual."""
        return float(self.residual.std(dtype=np.float64))

    @property
    def is_fine(self) -> bool | None:
        """Whether the camera is right and the image explains the measurement; None where no camera was judged."""
        if self.camera is None:
            return None
        return self.camera.is_fine and self.result[1] != "warn"

    @property
    def result(self) -> tuple[str, str]:
        """Whether the image explains the measurement, in one sentence, and its look: "good", "warn" or "dim".

        It is "good" only beside a camera that is fine: a decoder can explain the capture of another one too.
        """
        if abs(self.scale - 1) > _LARGEST_SCALE_ERROR:
            return f"The scale is off: {self.scale:.2f} times the result explains the measurement.", "warn"
        if self.is_rounding:
            return "The result explains all but rounding. That alone does not make a good picture.", "dim"
        if self.relative_norm > _LARGEST_RESIDUAL:
            return f"The result leaves {self.share} of the measurement unexplained.", "warn"
        if self.is_white:
            is_sure = self.camera is not None and self.camera.is_fine
            words = "The result explains the measurement: what is left looks like white noise."
            return words, "good" if is_sure else "dim"
        return "What the result leaves is more than white noise: detail that the decoder left out.", "dim"

    def look(self, unjudged: str = "") -> tuple[str, str]:
        """Both verdicts as one: what is off where something is, else that of the camera, else that of the result.

        `unjudged` says why there is no verdict on the camera.
        """
        words, look = self.result
        if self.camera is not None:
            return self.camera.look if self.is_fine or not self.camera.is_fine else (words, look)
        return (words if look == "warn" else unjudged or words), look

    @property
    def share(self) -> str:
        """The residual in percent of the measurement."""
        share = self.relative_norm
        return f"{share:.2%}" if share >= 1e-4 or share == 0 else f"{number(100 * share)} %"

    @property
    def figure(self) -> str:
        """The number behind the verdict."""
        figure = f"Residual {self.share} of the measurement"
        if self.camera is not None:
            explained = self.camera.alignment.explained_as_opened
            return f"{figure}  ·  the mask explains {explained:.0%} of the fine pattern"
        return figure


@torch.no_grad()
def remeasure(
    measurement: Measurement,
    image: np.ndarray,
    *,
    light: np.ndarray | None = None,
    num_bins: int = 101,
    camera: CameraVerdict | None = None,
    is_judged: bool = True,
) -> Remeasurement:
    """Measures `image` (C, H, W), in the unit of the measurement, again and compares.

    Where it was relit, `light` (1, H, W) is that of its stage.

    The verdict on the camera does not depend on the image: give the one of `judge_camera` to look at several images,
    or leave it out with `is_judged`.
    """
    if image.shape != tuple(measurement.physics.scene_shape):
        raise GeometryError(
            f"The image has the shape {' x '.join(map(str, image.shape))}; the measurement decodes to "
            f"{' x '.join(map(str, measurement.physics.scene_shape))}. Choose the image decoded from this measurement."
        )
    seen = torch.tensor(image, dtype=torch.float32)[None]
    lit = None if light is None else torch.tensor(light, dtype=torch.float32)[None]
    phi_x = measurement.physics.forward(measurement.physics.unknown(seen, lit))[0].numpy()
    y = measurement.y.astype(np.float64)
    residual = y - phi_x
    spread = max(float(np.nanmax(np.abs(residual), initial=0.0)), float(np.finfo(np.float32).tiny))
    counts, edges = np.histogram(residual, bins=num_bins, range=(-spread, spread))
    energy = float(np.square(phi_x, dtype=np.float64).sum())
    if camera is None and is_judged and isinstance(measurement.physics, CassiPhysics):
        camera = judge_camera(measurement)
    return Remeasurement(
        phi_x=phi_x,
        residual=residual.astype(np.float32),
        relative_norm=float(np.linalg.norm(residual) / np.linalg.norm(y)),
        scale=float((y * phi_x).sum()) / energy if energy > 0 else float("inf"),
        counts=counts,
        edges=edges,
        row_means=residual.mean(axis=(0, 2)),
        column_means=residual.mean(axis=(0, 1)),
        autocorrelation_y=autocorrelation(residual, axis=1),
        autocorrelation_x=autocorrelation(residual, axis=2),
        white_limit=1.96 / float(np.sqrt(residual.size)),
        camera=camera,
    )


def checked(
    measurement: Measurement, image: np.ndarray, *, light: np.ndarray | None = None
) -> tuple[Remeasurement, str]:
    """`image` measured again, by its `light` where it was relit, and why there is no verdict on the camera, if so."""
    try:
        return remeasure(measurement, image, light=light), ""
    except LorunError as error:  # of the search: a capture may be too small for it
        return remeasure(measurement, image, light=light, is_judged=False), str(error)


def judge_camera(measurement: Measurement, *, alignment: Alignment | None = None) -> CameraVerdict:
    """Whether mask, shift and step of a CASSI measurement are those that its capture shows.

    Searches for a better camera unless the result of `align` is given.
    """
    if alignment is None:
        alignment = next(event for event in align(measurement) if isinstance(event, Alignment))
    (physics, _), best = dispersed_mask(measurement), alignment.best
    shift, step_error = max(abs(best.shift_y), abs(best.shift_x)), abs(best.step - physics.dispersion.step)
    if not alignment.is_found:
        return CameraVerdict(
            ("the mask is another one, or the capture is out of focus",),
            f"The pattern of this mask explains {alignment.explained:.2%} of the capture's fine pattern wherever it is "
            f"put, against {alignment.explained_by_chance:.2%} by chance: it is another mask.",
            alignment,
        )
    runs_back = alignment.direction != physics.dispersion.direction and alignment.direction_margin >= SURE_OF_DIRECTION
    is_off = {
        "the mask lies elsewhere or is another one": shift > _LARGEST_SHIFT,
        f"the mask is{_FLIPPED.get(best.flip, '')[1:]}": bool(best.flip),
        f"the step is {best.step:.2f} pixels a band": step_error > _LARGEST_STEP_ERROR,
        "the spectra run the other way": runs_back,
    }
    findings = tuple(words for words, is_so in is_off.items() if is_so)
    where = (
        f"{best.shift_y:+.2f} rows, {best.shift_x:+.2f} columns and a step of {best.step:.3f}"
        f"{_FLIPPED.get(best.flip, '')}{f', seen with a blur of {alignment.blur:g} pixels' if alignment.blur else ''}"
    )
    sentence = (
        f"The mask explains {alignment.explained_as_opened:.1%} of the capture's fine pattern as opened and "
        f"{alignment.explained:.1%} at best, which is at {where}."
    )
    return CameraVerdict(findings, sentence, alignment)


_FLIPPED = {
    "lr": ", flipped left to right",
    "ud": ", flipped upside down",
    "both": ", turned by half a turn",
}


def autocorrelation(residual: np.ndarray, *, axis: int) -> tuple[float, ...]:
    """Along one axis at `LAGS`; 0 where the image is not longer than the lag or the residual is constant."""
    centred = residual - residual.mean()
    variance, length = float(np.square(centred).mean()), residual.shape[axis]
    if variance == 0:
        return (0.0,) * len(LAGS)
    moved = np.moveaxis(centred, axis, 0)
    return tuple(float((moved[lag:] * moved[:-lag]).mean()) / variance if lag < length else 0.0 for lag in LAGS)

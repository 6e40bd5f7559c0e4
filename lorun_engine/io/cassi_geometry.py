"""What is known of a CASSI instrument, and the number of bands and the step that the sizes of its files leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import AmbiguousGeometry, GeometryError, by
from ..instrument import Dispersion

FEWEST_BANDS, MOST_BANDS = 3, 256  # what a solution for band count and step may be
KNOWN = "known of this instrument"  # where hints say so
VALUES = {
    "num_bands": ("--bands", "a whole number from 1"),
    "step": ("--step", "a number of pixels from 0"),
    "axis": ("--axis", "x or y"),
    "direction": ("--direction", "+ or -"),
    "first_offset": ("--first-offset", "a number of pixels"),
}


@dataclass(frozen=True)
class Geometry:
    """What is known of a CASSI instrument; None where it is not. `reasons` says where each value comes from.

    `dark_level` is what the detector reads without light, in the unit of the opened file, and `light_from_beside` the
    most that falls on a pixel from beside the field; both are subtracted. Where a `mask_shift` is given the place of
    the mask was measured: bands and step need not fit the detector's size any more. Nor need they where a file states
    its `detector_shape` (H', W'), which is not the smallest that sees all bands then. `guide_response` names the
    response of a guide, None where a file holds it or there is no guide; `guide_shift` is what was said of its
    place, and it `guide_is_scaled` where its numbers are in the unit of the scene.
    """

    num_bands: int | None = None
    step: float | None = None
    axis: str | None = None
    direction: str | None = None
    first_offset: float | None = None
    wavelengths_nm: tuple[float, ...] | None = None
    dark_level: float | None = None
    light_from_beside: float | None = None
    mask_shift: tuple[float, float] | None = None
    detector_shape: tuple[int, int] | None = None
    guide_response: str | None = None
    guide_shift: tuple[float, float] | None = None
    guide_encoding: str | None = None
    guide_is_scaled: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def dispersion(self) -> Dispersion:
        """Where every band lands, once that is known."""
        num_bands, step, axis = self.num_bands, self.step, self.axis
        direction, first_offset = self.direction, self.first_offset
        if num_bands is None or step is None or axis is None or direction is None or first_offset is None:
            raise GeometryError("Bands, step or direction of the dispersion are not known yet. State them.")
        return Dispersion(num_bands, step=step, axis=axis, direction=direction, first_offset=first_offset)


def _completed(known: Geometry, hints: Geometry) -> Geometry:
    """`known` with what only `hints` know."""
    new = {name: getattr(hints, name) for name in VALUES if getattr(known, name) is None}
    new = {name: value for name, value in new.items() if value is not None}
    return replace(known, **new, reasons={**known.reasons, **dict.fromkeys(new, KNOWN)})


def fitting(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry, hints: Geometry | None) -> Geometry:
    """The complete geometry; hints that do not fit the sizes are those of another camera and are left out."""
    if hints is None:
        return _solved(detector, mask, known)
    try:
        return _solved(detector, mask, _completed(known, hints))
    except GeometryError as misfit:
        try:
            return _solved(detector, mask, known)
        except AmbiguousGeometry:
            raise
        except GeometryError:
            raise misfit from None


def rising(geometry: Geometry) -> tuple[Geometry, bool]:
    """The same instrument with its bands in the order of rising wavelengths, and whether that turned them round.

    Files and users list bands by number, and with them the direction; what hints know is of rising bands.
    """
    if geometry.wavelengths_nm is None or len(geometry.wavelengths_nm) < 2:
        return geometry, False
    if geometry.wavelengths_nm[0] < geometry.wavelengths_nm[-1]:
        return geometry, False
    direction, reasons = geometry.direction, dict(geometry.reasons)
    if reasons.get("direction") != KNOWN:
        direction = "-" if direction == "+" else "+"
        reasons["direction"] = f"{reasons.get('direction', '')}, for wavelengths that fall".removeprefix(", ")
    return replace(geometry, wavelengths_nm=geometry.wavelengths_nm[::-1], direction=direction, reasons=reasons), True


def _solved(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry) -> Geometry:
    """The geometry with the band count and step that fit the sizes; raises where none or several do."""
    reasons = dict(known.reasons)
    axis = known.axis
    if axis is None:
        axis = "y" if detector[1] == mask[1] and detector[0] > mask[0] else "x"
        reasons["axis"] = "the direction in which the snapshot is larger than the mask"
    reasons.setdefault("direction", "assumed: the usual direction")
    reasons.setdefault("first_offset", "assumed: the first band usually lies at the edge")
    known = replace(known, axis=axis, direction=known.direction or "+", first_offset=known.first_offset or 0.0)
    along, across = (1, 0) if axis == "x" else (0, 1)
    shear = detector[along] - mask[along]
    if known.detector_shape == detector and known.num_bands is not None and known.step is not None:
        solutions = [(known.num_bands, known.step)]
    else:
        solutions = _solutions(known, shear) if detector[across] == mask[across] and shear >= 0 else []
    if not solutions:
        raise GeometryError(_misfit(detector, mask, known))
    if len(solutions) > 1:
        listed = ", ".join(f"{bands} bands at step {step:g}" for bands, step in solutions)
        raise AmbiguousGeometry(
            f"The snapshot is {by(detector)} pixels and the mask {by(mask)}; {listed} fit. "
            "Give the number of bands or the step.",
            tuple(solutions),
        )
    ((num_bands, step),) = solutions
    of_shear = f"a shear of {shear} pixels"
    if known.step is None:
        reasons["step"] = f"the only whole step for {of_shear}"
    if known.num_bands is None:
        reasons["num_bands"] = f"the only number of bands for {of_shear}"
    return replace(known, num_bands=num_bands, step=float(step), reasons=reasons)


def _solutions(known: Geometry, shear: int) -> list[tuple[int, float]]:
    """The (num_bands, step) pairs with this shear: whole steps where the step is not known; small steps first.

    A mask whose place was measured decides by itself what falls beside the detector.
    """
    if known.mask_shift is not None and known.num_bands is not None and known.step is not None:
        return [(known.num_bands, known.step)]
    bands = [known.num_bands] if known.num_bands is not None else range(FEWEST_BANDS, MOST_BANDS + 1)
    found = []
    for num_bands in bands:
        if known.step is not None:
            steps: Sequence[float] = [known.step]
        elif num_bands == 1 or (shear == 0 and known.num_bands is not None):
            steps = [0]
        else:
            steps = range(1, int((shear - (known.first_offset or 0.0)) // (num_bands - 1)) + 2)
        found += [(num_bands, step) for step in steps if _shear(num_bands, step, known.first_offset) == shear]
    return sorted(found, key=lambda pair: pair[1])


def _shear(num_bands: int, step: float, first_offset: float | None) -> int:
    return Dispersion(num_bands, step, first_offset=first_offset or 0.0).span


def _misfit(detector: tuple[int, ...], mask: tuple[int, ...], known: Geometry) -> str:
    """The sentence about a mask that does not fit, with the size that would."""
    along, across, side = (1, 0, "width") if known.axis == "x" else (0, 1, "height")
    sizes = f"The snapshot is {by(detector)} pixels"
    num_bands, step, is_as_high = known.num_bands, known.step, detector[across] == mask[across]
    if num_bands is not None and step is not None:
        shear = _shear(num_bands, step, known.first_offset)
        if is_as_high:
            return (
                f"{sizes}; this mask with {num_bands} bands and step {step:g} needs a {side} of {mask[along] + shear}. "
                "Choose another mask, correct bands or step, or crop the file."
            )
        fitting = list(detector)
        fitting[along] -= shear
        if fitting[along] > 0:
            return (
                f"{sizes}; with {num_bands} bands and step {step:g} its mask has {by(fitting)} pixels, this one has "
                f"{by(mask)}. Choose the mask of this camera, or turn it."
            )
    if is_as_high and detector[along] > mask[along]:
        what = "no band count and whole step explain"
        if num_bands is not None:
            what = f"no whole step of {num_bands} bands explains"
        elif step is not None:
            what = f"no number of bands at step {step:g} explains"
        return (
            f"{sizes} and the mask {by(mask)}; {what} the difference of {detector[along] - mask[along]} pixels. "
            "Give bands and step, or choose another mask."
        )
    other = "rows" if known.axis == "x" else "columns"
    return (
        f"{sizes}; the mask is {by(mask)}. A mask has as many {other} as its snapshot and is smaller along the "
        "dispersion. Choose the mask of this camera, or turn it."
    )

"""The ruler on the spectra: a range of bands whose mean the pictures show in place of a single band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoCommand

from .looking import Looking
from .steps import Ranged, SavedStep, Step, Steps

REACH = 2  # bands to either side of the one looked at, where a key lays the ruler down
WORDS = "the range of bands"

Range = tuple[int, int]  # the first and the last band


def range_title(bands: Range, wavelengths_nm: np.ndarray | None, *, digits: int = 1) -> str:
    """As "500.0 – 560.0 nm", from the first to the last band, or "bands 3 – 9" where wavelengths are not known."""
    if wavelengths_nm is None:
        return f"band {bands[0] + 1}" if bands[0] == bands[1] else f"bands {bands[0] + 1} – {bands[1] + 1}"
    low, high = (f"{nm:.{digits}f}" for nm in sorted(float(wavelengths_nm[band]) for band in bands))
    return f"{low} nm" if low == high else f"{low} – {high} nm"


class BandRuler(QObject):
    """Its verbs change the selection, and can be taken back."""

    def __init__(self, looking: Looking, steps: Steps) -> None:
        super().__init__(looking)
        self._looking, self._session, self._steps = looking, looking.session, steps

    @property
    def is_possible(self) -> bool:
        """Whether there are pictures of several bands to take the mean of."""
        session = self._session
        return len(session.stages) > 0 and self._num_bands > 1 and not session.kind.is_photograph

    @property
    def range(self) -> Range | None:
        """The first and the last of the bands; None where single bands are shown."""
        return self._session.selection.band_range

    def take(self, first: int, last: int, *, drag: str = "") -> None:
        """Shows the mean over these bands; what one `drag` does is taken back as one."""
        first, last = sorted(min(max(band, 0), self._num_bands - 1) for band in (first, last))
        if self.is_possible:
            self._change((first, last), drag)

    def clear(self) -> None:
        """Shows single bands again."""
        self._change(None, "")

    def toggle(self) -> None:
        """Takes the bands around the one looked at, or shows that one again."""
        if self.range is None:
            band = self._session.selection.band
            self.take(band - REACH, band + REACH)
        else:
            self.clear()

    def grow(self, bands: int) -> None:
        """Adds as many bands at both ends, or takes them away below 0; one band is left at least."""
        if self.range is not None:
            first, last = self.range[0] - bands, self.range[1] + bands
            self.take(*((first, last) if first <= last else self.range), drag="grow")

    def move(self, bands: int) -> None:
        """Moves the range by as many bands, no further than they go; without one, looks at another band."""
        if self.range is None:
            self._looking.select_band(self._session.selection.band + bands)
            return
        first, last = self.range
        way = min(max(bands, -first), self._num_bands - 1 - last)
        self.take(first + way, last + way, drag="move")

    @property
    def _num_bands(self) -> int:
        measurement = self._session.measurement
        return 0 if measurement is None else measurement.physics.scene_shape[0]

    def _change(self, bands: Range | None, drag: str) -> None:
        before = self._session.selection
        if bands == self.range and (bands is None or not before.in_colour):
            return
        self._steps.push(self.step(Ranged(before, bands, before.mode, drag)))

    def step(self, value: Ranged) -> Step:
        """A change of the range that was made, or is to be."""
        return _Change(self._looking, value)


class _Change(Step):
    """From one range to another; the way back leads to the mode that was left for it, if it was."""

    def __init__(self, looking: Looking, value: Ranged) -> None:
        super().__init__(WORDS)
        self._looking, self._value = looking, value

    @property
    def saved(self) -> SavedStep:
        return SavedStep(ranged=self._value)

    def do(self) -> None:
        self._looking.select_bands(self._value.after)
        self._value = replace(self._value, mode_after=self._looking.session.selection.mode)

    def take_back(self) -> None:
        before, looking, session = self._value.before, self._looking, self._looking.session
        looking.select_bands(before.band_range)
        if before.mode != self._value.mode_after == session.selection.mode:
            looking.set_mode(before.mode)
        elif before.in_colour and before.mode == session.selection.mode:
            looking.set_in_colour(True)

    def id(self) -> int:
        return 2

    def joins(self, later: QUndoCommand) -> bool:
        own = self._value
        if not isinstance(later, _Change) or not own.drag or own.drag != later._value.drag:
            return False
        self._value = replace(own, after=later._value.after, mode_after=later._value.mode_after)
        return True

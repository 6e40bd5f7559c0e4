"""The spectral library beside a restoration: read aside, resampled to the bands of what is open, and ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import GeometryError, LorunError
from lorun_engine.io.spectra import SpectralLibrary, read_library, spectral_angles

from ..job import Job
from ..problems import explain
from .session import Session

CLOSE_DEGREES = 5.0  # within it two spectra are said to match


@dataclass(frozen=True)
class Match:
    """A spectrum of the library, its angle to a curve, and the first stage within CLOSE_DEGREES of it, if any."""

    index: int
    name: str
    degrees: float
    first_stage: int | None


class LibraryBeside(QObject):
    """The open library; `spectra` are its rows at the bands of what is open, None where they cannot be compared."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._reading: Job | None = None
        self.library: SpectralLibrary | None = None
        self.spectra: np.ndarray | None = None
        self.problem = ""  # a sentence: why it could not be read, or not be compared
        self.shown: int | None = None  # the spectrum drawn beside the curves
        session.opened_changed.connect(self._resample)

    def open(self, path: Path | str, *, shown: int | None = None) -> None:
        """Reads an ENVI library or a CSV table, and draws a spectrum of it where one is to be `shown`.

        One that cannot be read leaves the open one as it is.
        """
        path = Path(path)
        then = partial(self._take, shown)
        job = self._session.lanes.run_aside(partial(read_library, path), doing=f"reading {path.name}", then=then)
        self._reading = job
        job.failed.connect(lambda: self._refuse(job))

    def close(self) -> None:
        """Lays the library down."""
        self._reading = self.library = self.shown = None
        self._resample()

    def show(self, index: int | None) -> None:
        """Draws a spectrum beside the curves, or none."""
        if index != self.shown and (index is None or self.spectra is not None):
            self.shown = index
            self.changed.emit()

    @property
    def coverage(self) -> str:
        """As "28 spectra, linearly resampled to 20 of the 28 bands"."""
        if self.library is None or self.spectra is None:
            return ""
        num_bands = self.spectra.shape[1]
        num_covered = int(np.isfinite(self.spectra).any(axis=0).sum())
        bands = f"all {num_bands} bands" if num_covered == num_bands else f"{num_covered} of the {num_bands} bands"
        return f"{len(self.library.names)} spectra, resampled linearly to {bands}"

    def ranking(self, curves: Sequence[np.ndarray], *, chosen: int, most: int = 5) -> list[Match]:
        """The spectra nearest in angle to the curve of the chosen stage; `curves` are those of all stages."""
        if self.spectra is None or self.library is None:
            return []
        degrees = spectral_angles(curves[chosen], self.spectra)
        order = [int(index) for index in np.argsort(degrees, kind="stable")[:most] if np.isfinite(degrees[index])]
        names = self.library.names
        first = first_stages(curves, self.spectra[order]) if order else []
        return [
            Match(index, names[index], float(degrees[index]), stage) for index, stage in zip(order, first, strict=True)
        ]

    def scaled(self, index: int, curve: np.ndarray) -> np.ndarray:
        """A spectrum (C,) of the library with the mean of a curve over the bands where both are known."""
        if self.spectra is None:
            return np.full_like(curve, np.nan)
        spectrum = self.spectra[index]
        is_shared = np.isfinite(spectrum) & np.isfinite(curve)
        mean = float(spectrum[is_shared].mean()) if is_shared.any() else 0.0
        return spectrum * (float(curve[is_shared].mean()) / mean) if mean > 0 else np.full_like(spectrum, np.nan)

    def _take(self, shown: int | None, job: Job) -> None:
        if job is self._reading:
            self._reading, self.library = None, job.result
            self.shown = shown if shown is not None and shown < len(job.result.names) else None
            self._session.lanes.log(f"Opened the spectral library {job.result.path.name}")
            self._resample()

    def _refuse(self, job: Job) -> None:
        if job is self._reading:
            self._reading = None
            is_ours = isinstance(job.error, LorunError)
            self.problem = str(job.error) if is_ours else explain(job.failure, doing=job.title).sentence
            self.changed.emit()

    def _resample(self) -> None:
        measurement = self._session.measurement
        self.spectra, self.problem = None, ""
        if self.library is not None and measurement is not None and not self._session.kind.is_photograph:
            try:
                self.spectra = _at(self.library, measurement.wavelengths_nm)
            except GeometryError as error:
                self.problem = str(error)
        if self.spectra is None:
            self.shown = None
        self.changed.emit()


def _at(library: SpectralLibrary, wavelengths_nm: np.ndarray | None) -> np.ndarray:
    """(M, C) of the library at the bands of a capture."""
    if wavelengths_nm is None:
        raise GeometryError(
            "The wavelengths of this capture are not known, so no library can be compared with it. "
            "Give them in Roles and geometry."
        )
    return library.at(wavelengths_nm)


def first_stages(curves: Sequence[np.ndarray], spectra: np.ndarray) -> list[int | None]:
    """For every spectrum (M, C) the first stage whose curve lies within CLOSE_DEGREES of it; None where none does."""
    is_close = np.array([spectral_angles(curve, spectra) for curve in curves]) <= CLOSE_DEGREES  # (K, M); NaN is not
    return [int(column.argmax()) if column.any() else None for column in is_close.T]

"""Wavelengths in the units of other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FileError

# what public code and data sets call a list of them, in lower case
WAVELENGTH_KEYS = ("wavelengths_nm", "wavelengths", "wavelength", "wavelength_nm", "lambda", "bands", "wl")
_LENGTHS = {  # in nm, by the first letters of the unit
    "nanom": 1.0,
    "nm": 1.0,
    "microm": 1e3,
    "micron": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "millim": 1e6,
    "mm": 1e6,
    "centim": 1e7,
    "cm": 1e7,
    "ångstr": 0.1,
    "angstr": 0.1,
    "å": 0.1,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
}
_INVERSE = {"wavenum": 1e7, "cm-1": 1e7, "1/cm": 1e7, "cm^-1": 1e7}  # nm times the unit
_INVERSE |= {"thz": 299792.458, "terah": 299792.458, "ghz": 299792458.0, "gigah": 299792458.0}
_INVERSE |= {"mhz": 299792458e3, "megah": 299792458e3, "hz": 299792458e9, "hertz": 299792458e9, "ev": 1239.841984}
_COUNTS = ("index", "band", "channel")
_WORD = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s,;].*)?")


def as_nanometres(values: Any, unit: str = "") -> np.ndarray:
    """Wavelengths as float64 nm; without a unit those below 30 are micrometres. Raises FileError for another unit."""
    values = np.asarray(values, dtype=np.float64).ravel()
    unit = _plain(unit)
    if unit:
        for units, is_inverse in ((_INVERSE, True), (_LENGTHS, False)):  # "cm-1" before "cm"
            for start, factor in units.items():
                if unit == start or (unit.startswith(start) and len(start) > 3):
                    if is_inverse and not np.all(values > 0):
                        raise FileError(f"Wavelengths in {unit!r} have to be positive. Correct the list.")
                    in_nm: np.ndarray = factor / values if is_inverse else factor * values
                    return in_nm
        raise FileError(f"Wavelengths in {unit[:40]!r} cannot be converted to nm. Give them in nm.")
    is_micrometres = values.size > 0 and 0 < values.max() < 30
    listed: np.ndarray = values * 1000 if is_micrometres else values
    return listed


def in_nanometres(values: Sequence[float] | np.ndarray, unit: str, name: str) -> tuple[np.ndarray | None, str]:
    """A list of wavelengths in nm, or None where it is none, and what is to be said of it, "" for nothing."""
    plain = _plain(unit)
    if plain.startswith(_COUNTS) or (plain in ("", "unknown") and is_count(np.asarray(values))):
        return None, f"{name} numbers its bands and states no wavelengths; give a list to see colours."
    try:
        return as_nanometres(values, "" if plain == "unknown" else unit), ""
    except FileError as error:
        return None, f"The wavelengths of {name} were left out. {error}"


def wavelengths_of_words(words: Sequence[str]) -> tuple[list[float], str]:
    """The numbers of words such as "450" or "450 nm", NaN for those that are none, and the unit that all of them have.

    Units that differ make no list: all are NaN then.
    """
    found = [_WORD.fullmatch(word.strip()) for word in words]
    units = {_plain(match[2] or "") for match in found if match}
    if len(units) > 1:
        return [np.nan] * len(words), ""
    return [float(match[1]) if match else np.nan for match in found], units.pop() if units else ""


def is_count(values: np.ndarray) -> bool:
    """Whether numbers count from 0 or 1, as numbers of bands do."""
    values = np.asarray(values, dtype=np.float64).ravel()
    return values.size > 1 and values[0] in (0, 1) and bool(np.array_equal(values, values[0] + np.arange(values.size)))


def is_wavelengths(array: np.ndarray) -> bool:
    """Whether a list rises or falls steadily between 200 and 3000 nm, or between 0.2 and 3 micrometres.

    The numbers of bands are none.
    """
    if sum(length > 1 for length in array.shape) != 1:
        return False
    values = np.asarray(array, dtype=np.float64).ravel()
    steps = np.diff(values)
    if not (np.isfinite(values).all() and (np.all(steps > 0) or np.all(steps < 0))) or is_count(values):
        return False
    return any(low <= values.min() and values.max() <= high for low, high in ((200, 3000), (0.2, 3)))


def _plain(unit: str) -> str:
    return unit.strip(" ()[].").lower().replace("μ", "µ").replace("⁻¹", "-1")

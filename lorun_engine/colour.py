"""Colours of spectra: the CIE 1931 2 degree observer, a stated illuminant, sRGB.

A cube is taken as reflectances (or transmittances) between 0 and 1 that are linear between its bands and unknown, hence
left out, beyond them. XYZ = sum of reflectance * illuminant * colour matching functions (CIE 15:2018), adapted so that
a flat spectrum is the white of sRGB (linear Bradford, ICC.1:2022 annex E), then IEC 61966-2-1.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import FileError, LorunError

_XYZ_TO_RGB = np.array(  # IEC 61966-2-1, D65
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LEAST_RESPONSE = 0.02  # of the strongest cone's to white; bands that excite a cone less cannot tell hues apart


@dataclass(frozen=True)
class ColourTable:
    """Colour matching functions `observer` (N, 3) and relative powers of `illuminants` (N,), at N `wavelengths_nm`."""

    wavelengths_nm: np.ndarray
    observer: np.ndarray
    illuminants: Mapping[str, np.ndarray]


def read_observer(path: Path) -> ColourTable:
    """The table of a CSV file with the columns wavelength_nm, x, y, z and one more for every illuminant."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            names, *rows = csv.reader(stream)
        columns = np.array(rows, dtype=np.float64).T
        if names[:4] != ["wavelength_nm", "x", "y", "z"] or len(columns) != len(names):
            raise ValueError(f"the columns {', '.join(names)}")
    except (OSError, ValueError) as error:
        raise FileError(
            f"{path} is no colour table ({error}); the columns wavelength_nm, x, y, z and illuminants were expected. "
            "Reinstall LoRun."
        ) from error
    return ColourTable(columns[0], columns[1:4].T, dict(zip(names[4:], columns[4:], strict=True)))


def rgb_weights(wavelengths_nm: np.ndarray, table: ColourTable, *, illuminant: str = "D65") -> np.ndarray:
    """(C, 3) float32 weights W: a spectrum (C,) times W is its linear sRGB, and a flat spectrum gives its value thrice.

    Bands need not be equally spaced. Bands too narrowly spread to tell hues apart give three equal columns: a grey
    picture.
    """
    if illuminant not in table.illuminants:
        raise LorunError(f"The illuminant {illuminant!r} is not known; choose {', '.join(table.illuminants)}.")
    xyz = _integrals(np.asarray(wavelengths_nm, dtype=np.float64), table, table.illuminants[illuminant])
    flat = xyz.sum(axis=0)  # XYZ of a spectrum of ones
    if flat[1] <= 0:
        return np.full(xyz.shape, 1 / len(xyz), dtype=np.float32)  # no band is visible: the plain mean
    cones = _BRADFORD @ flat
    if cones.min() < _LEAST_RESPONSE * cones.max():
        grey: np.ndarray = np.repeat(xyz[:, 1:2] / flat[1], 3, axis=1).astype(np.float32)
        return grey
    white = np.linalg.inv(_XYZ_TO_RGB) @ np.ones(3)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ white) / cones) @ _BRADFORD
    weights: np.ndarray = (xyz @ adaptation.T @ _XYZ_TO_RGB.T).astype(np.float32)
    return weights


def false_colour_bands(num_bands: int) -> tuple[int, int, int]:
    """The bands shown as red, green and blue where no wavelength is known: one of each third, the last as red."""
    if num_bands <= 3:
        return num_bands - 1, num_bands // 2, 0
    return 5 * num_bands // 6, num_bands // 2, num_bands // 6


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB, clipped to 0..1, as the gamma-coded values that a display takes, 0..1 (IEC 61966-2-1)."""
    linear = np.clip(np.nan_to_num(linear), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_decode(encoded: np.ndarray) -> np.ndarray:
    """Linear values of sRGB-coded ones in [0, 1] (IEC 61966-2-1)."""
    encoded = np.clip(encoded, 0.0, 1.0)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_srgb(
    cube: np.ndarray, wavelengths_nm: np.ndarray, table: ColourTable, *, white: float, illuminant: str = "D65"
) -> np.ndarray:
    """The colour picture (H, W, 3) uint8 of a (C, H, W) cube; the value `white` in every band becomes white."""
    linear = np.tensordot(cube, rgb_weights(wavelengths_nm, table, illuminant=illuminant), axes=(0, 0))  # H, W, 3
    picture: np.ndarray = np.rint(255 * srgb_encode(linear / white)).astype(np.uint8)
    return picture


def wavelength_colour(nm: float, table: ColourTable) -> tuple[float, float, float]:
    """The gamma-coded (red, green, blue) in 0..1 nearest in hue to light of one wavelength; white outside the table.

    Spectral colours lie outside sRGB: what is below 0 is cut, and the largest component becomes 1.
    """
    if not table.wavelengths_nm[0] <= nm <= table.wavelengths_nm[-1]:
        return (1.0, 1.0, 1.0)
    xyz = np.array([np.interp(nm, table.wavelengths_nm, function) for function in table.observer.T])
    linear = np.maximum(_XYZ_TO_RGB @ xyz, 0)
    red, green, blue = srgb_encode(linear / linear.max())
    return (float(red), float(green), float(blue))


def _integrals(wavelengths_nm: np.ndarray, table: ColourTable, powers: np.ndarray) -> np.ndarray:
    """(C, 3): what one unit in a band adds to X, Y, Z, the spectrum falling linearly to 0 at the neighbouring bands."""
    order = np.argsort(wavelengths_nm)
    fine_nm = np.arange(table.wavelengths_nm[0], table.wavelengths_nm[-1] + 1)  # the CIE's own interval of 1 nm
    fine = np.stack([np.interp(fine_nm, table.wavelengths_nm, powers * f) for f in table.observer.T], axis=1)
    weights = np.empty((len(order), 3))
    for band, one in zip(order, np.eye(len(order)), strict=True):
        weights[band] = np.interp(fine_nm, wavelengths_nm[order], one, left=0, right=0) @ fine
    return weights

"""Spectral libraries: ENVI .sli with its header, and CSV tables with a wavelength column and one column a spectrum.

A library is resampled linearly to the bands of a capture; outside of what it covers it is NaN, never continued.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileError, GeometryError
from .atomic import replacing
from .envi import plain, write_envi_header
from .readers import LONGEST_TEXT, as_nanometres, envi_header_of, head_of, is_envi_header, read, read_envi_header

FEWEST_BANDS = 3  # below that an angle says nothing
MOST_SPECTRA = 20_000
LIBRARY_SUFFIXES = (".sli", ".hdr", ".csv", ".txt")

_ENVI_LIBRARY = "ENVI Spectral Library"
_DELETED = -1e30  # what the libraries of the USGS put where a channel was deleted
_FIGURES = (" std", " n")  # columns that our own export adds to "... mean"


@dataclass(frozen=True)
class SpectralLibrary:
    """Named spectra (M, N) over N wavelengths in nm that rise; NaN where a spectrum has no value."""

    path: Path
    names: tuple[str, ...]
    wavelengths_nm: np.ndarray
    spectra: np.ndarray

    def at(self, wavelengths_nm: np.ndarray) -> np.ndarray:
        """(M, C) at other wavelengths, linearly between those of the library; NaN where it does not reach.

        Raises GeometryError when it covers fewer than FEWEST_BANDS of them.
        """
        bands = np.asarray(wavelengths_nm, dtype=np.float64)
        first, last = self.wavelengths_nm[0], self.wavelengths_nm[-1]
        num_covered = int(((bands >= first) & (bands <= last)).sum())
        if num_covered < FEWEST_BANDS:
            raise GeometryError(
                f"{self.path.name} covers {first:.4g} to {last:.4g} nm and so {num_covered} of the {len(bands)} bands "
                f"({bands.min():.4g} to {bands.max():.4g} nm); at least {FEWEST_BANDS} are needed to compare spectra. "
                "Choose a library of this range, or check its unit."
            )
        return np.array([np.interp(bands, self.wavelengths_nm, s, left=np.nan, right=np.nan) for s in self.spectra])


def spectral_angles(spectrum: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The angles in degrees between a spectrum (C,) and others (M, C), over the bands where both have numbers.

    NaN where they share fewer than FEWEST_BANDS, or one of them is black.
    """
    spectrum, others = np.asarray(spectrum, dtype=np.float64), np.asarray(others, dtype=np.float64)
    is_shared = np.isfinite(spectrum) & np.isfinite(others)
    x, y = np.where(is_shared, spectrum, 0.0), np.where(is_shared, others, 0.0)
    norms = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    is_known = (is_shared.sum(axis=1) >= FEWEST_BANDS) & (norms > 1e-12)
    cosines = (x * y).sum(axis=1) / np.where(is_known, norms, 1.0)
    return np.where(is_known, np.degrees(np.arccos(np.clip(cosines, -1, 1))), np.nan)


def read_library(path: Path | str) -> SpectralLibrary:
    """The spectra of an ENVI library (its .sli or .hdr file) or of a CSV table. Raises FileError with a sentence."""
    path = Path(path)
    is_envi = is_envi_header(head_of(path)) or envi_header_of(path) is not None
    names, wavelengths_nm, spectra = _read_envi(path) if is_envi else _read_csv(path)
    return _checked(path, names, wavelengths_nm, spectra)


def write_library(
    path: Path | str,
    wavelengths_nm: np.ndarray | None,
    spectra: Mapping[str, Sequence[float]],
    *,
    protected: Iterable[Path | str] = (),
) -> None:
    """Writes named spectra as an ENVI library: float32 in the .sli file, the rest in the .hdr file beside it."""
    path = Path(path).with_suffix(".sli")
    array = np.array(list(spectra.values()), dtype="<f4")
    names = [plain(name) for name in spectra]
    fields = {"samples": array.shape[1], "lines": array.shape[0], "bands": 1, "spectra names": names}
    headers = [header for given in protected if (header := envi_header_of(Path(given)))]
    with (  # the data appear first, so that a header never points to missing ones
        replacing(path.with_suffix(".hdr"), protected=[*protected, *headers]) as header,
        replacing(path, protected=protected) as data,
    ):
        data.write_bytes(array.data)
        write_envi_header(header, fields, wavelengths_nm=wavelengths_nm, is_library=True)


# ---- formats -----------------------------------------------------------------------------------------------------

Found = tuple[list[str], np.ndarray, np.ndarray]  # names, wavelengths in nm, spectra (M, N)


def _read_envi(path: Path) -> Found:
    """An ENVI library; size, type and byte order of its data are checked as those of every ENVI file."""
    header_path = envi_header_of(path) or path
    data_path = path
    if header_path == path:
        beside = [path.with_suffix(""), path.with_suffix(".sli"), path.with_suffix(".SLI")]
        data_path = next((candidate for candidate in beside if candidate.is_file()), path)
    found = read(data_path)[0]
    header = read_envi_header(header_path)
    if str(header.get("file type", "")).strip().lower() != _ENVI_LIBRARY.lower() or found.array.ndim != 2:
        raise FileError(
            f"{header_path.name} describes an image ({header.get('file type', 'no file type')}); "
            f'"file type = {_ENVI_LIBRARY}" was expected. Choose a spectral library.'
        )
    if "wavelengths_nm" not in found.attributes:
        raise FileError(f"{header_path.name} states no wavelengths. Add the line wavelength = {{...}} to the header.")
    spectra = np.where(found.array < _DELETED, np.nan, found.array.astype(np.float64))
    names = header.get("spectra names") or [f"spectrum {number + 1}" for number in range(len(spectra))]
    return list(names), found.attributes["wavelengths_nm"], spectra / float(found.attributes.get("scale") or 1)


def _read_csv(path: Path) -> Found:
    """A table with the wavelengths in its first column; commas, semicolons or tabs between."""
    if path.stat().st_size > LONGEST_TEXT:
        raise FileError(f"{path.name} is longer than {LONGEST_TEXT >> 20} MiB, the most that is read of a table.")
    lines = [line for line in _text(path).splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise FileError(f"{path.name} is empty. Choose a table with wavelengths and spectra.")
    separator = max("\t;,", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=separator))
    has_titles = any(_number(word, separator) is None for word in rows[0])
    titles = [word.strip() for word in rows[0]] if has_titles else []
    numbers = [_numbers(path, row, len(rows[0]), separator) for row in rows[int(has_titles) :]]
    if not numbers or len(rows[0]) < 2:
        raise FileError(
            f"{path.name} is no table of spectra: a wavelength column and one column for each spectrum, with their "
            "names in the first line, were expected. Choose another file."
        )
    table = np.array(numbers)
    titles = titles or ["wavelength", *(f"spectrum {column}" for column in range(1, table.shape[1]))]
    if titles[0].lower().startswith("band"):
        raise FileError(
            f"The first column of {path.name} ({titles[0]}) counts bands; wavelengths in nm or micrometres were "
            "expected. Add them to the table."
        )
    wanted = [column for column in range(1, len(titles)) if not _is_figure(titles[column], titles)]
    names = [titles[column].removesuffix(" mean") for column in wanted]
    return names, _in_nanometres(titles[0], table[:, 0]), table[:, wanted].T


def _is_figure(title: str, titles: list[str]) -> bool:
    """Whether a column holds the deviation or the count that belongs to a column of means."""
    return any(title.endswith(end) and f"{title.removesuffix(end)} mean" in titles for end in _FIGURES)


def _in_nanometres(title: str, values: np.ndarray) -> np.ndarray:
    unit = title.lower().replace("μ", "µ")
    if any(word in unit for word in ("µm", "um)", "_um", "(um", " um", "micro", "micron")) or unit == "um":
        return values * 1000
    return values if "nm" in unit or "nano" in unit else as_nanometres(values)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        return path.read_text("latin-1")


def _numbers(path: Path, row: list[str], length: int, separator: str) -> list[float]:
    values = [_number(word, separator) for word in row]
    if len(values) != length or None in values:
        wrong = next((word for word, value in zip(row, values, strict=True) if value is None), "")
        found = f"{wrong!r}" if wrong else f"{len(values)} columns"
        raise FileError(
            f"{path.name} has {found[:80]} in the line of {row[0][:20]!r}; {length} numbers were expected. "
            "Correct the table."
        )
    return [value for value in values if value is not None]


def _number(word: str, separator: str) -> float | None:
    """A number, NaN for an empty cell, None for a word; decimal commas where semicolons separate."""
    word = word.strip()
    if not word:
        return np.nan
    try:
        return float(word.replace(",", ".") if separator == ";" else word)
    except ValueError:
        return None


def _checked(path: Path, names: list[str], wavelengths_nm: np.ndarray, spectra: np.ndarray) -> SpectralLibrary:
    """The library in the order of rising wavelengths, or a sentence on what does not fit together."""
    if len(names) != len(spectra) or len(wavelengths_nm) != spectra.shape[1]:
        raise FileError(
            f"{path.name} has {len(spectra)} spectra of {spectra.shape[1]} values, but {len(names)} names and "
            f"{len(wavelengths_nm)} wavelengths. Correct its header."
        )
    if not 1 <= len(spectra) <= MOST_SPECTRA:
        raise FileError(f"{path.name} holds {len(spectra)} spectra; 1 to {MOST_SPECTRA} were expected. Split it.")
    if not (np.isfinite(wavelengths_nm).all() and (wavelengths_nm > 0).all()):
        raise FileError(f"The wavelengths of {path.name} are not all positive numbers. Correct them.")
    order = np.argsort(wavelengths_nm, kind="stable")
    spectra = np.where(np.isfinite(spectra) & (spectra > _DELETED), spectra, np.nan)
    return SpectralLibrary(path, tuple(map(str, names)), wavelengths_nm[order], spectra[:, order])

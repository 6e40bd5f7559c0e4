"""Tables of numbers as text, with decimal points or commas, and the wavelengths among their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...errors import FileError
from ..units import in_nanometres, is_count, is_wavelengths
from .found import LONGEST_TEXT, FoundArray, PassedOver, Request

_TITLE = re.compile(r"wave\s*len|lambda|λ|wavenumber|^wl\b|^nm$|\bnm\b|\(nm\)|_nm\b|^[uµ]m$", re.IGNORECASE)
_UNIT = re.compile(r"nm|[uµ]m|nano\w*|micro\w*|[åa]ngstr\w*|cm-1|cm\^-1|wavenumber|g?hz", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def looks_like_a_table(head: bytes) -> bool:
    """Whether the first lines are numbers between separators, below at most a line of titles."""
    try:
        lines = _lines(head.decode("utf-8-sig"))
    except UnicodeDecodeError:
        lines = _lines(head.decode("latin-1"))
        if any(ord(letter) < 9 for line in lines for letter in line):
            return False
    if len(head) == 1024 and len(lines) > 2:
        lines = lines[:-1]  # the last may be cut
    return len(lines) > 0 and any(_numbers(line, _separator(lines)) for line in lines[:2])


def read_table(request: Request) -> Iterator[FoundArray | PassedOver]:
    """The numbers of a text file (rows, columns); where a title says wavelengths, that column alone, as a list in nm.

    A lone column with a comma in every line is one of decimal commas where that makes a list of wavelengths.
    """
    path = request.path
    if path.stat().st_size > LONGEST_TEXT:
        raise FileError(
            f"{path.name} is a text of {path.stat().st_size >> 20} MiB; at most {LONGEST_TEXT >> 20} MiB are read. "
            "Save the numbers as .npy or .h5."
        )
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = _lines(text)
    separator = _separator(lines)
    has_titles = not _numbers(lines[0], separator)
    titles = [title.strip(' "') for title in lines[0].split(separator or None)] if has_titles else []
    rows = [_numbers(line, separator) for line in lines[int(has_titles) :]]
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise FileError(f"{path.name} is text, but not a table of numbers with equal rows. Choose another file.")
    if not request.wants(""):
        return
    request.take("", 8 * len(rows) * len(rows[0]))
    array, notes = np.asarray(rows), tuple[str, ...]()
    column = next((at for at, title in enumerate(titles) if _TITLE.search(title) and at < array.shape[1]), None)
    if column is not None and array.shape[1] <= 3 and not is_count(array[:, column]):
        unit = _UNIT.search(titles[column])
        listed, note = in_nanometres(array[:, column], unit[0] if unit else "", path.name)
        if listed is not None:
            yield FoundArray(path, "", listed)
            return
        notes = (note,)
    if array.shape[1] == 2 and not titles and all(map(_DECIMAL_COMMA.fullmatch, (line.strip() for line in lines))):
        decimals = np.asarray([float(line.strip().replace(",", ".")) for line in lines])
        if is_wavelengths(decimals) and not is_count(array[:, 0]):
            array, notes = decimals, (f"The commas of {path.name} were read as decimal commas.",)
    yield FoundArray(path, "", array, notes=notes)


def wavelengths_among(array: np.ndarray) -> np.ndarray | None:
    """The column of a table, or the list, that can be wavelengths; the numbers of bands are none."""
    array = array.squeeze()
    columns = [array] if array.ndim == 1 else list(array.T) if array.ndim == 2 and array.shape[1] <= 3 else []
    serving = [column for column in columns if column.size and not is_count(column)]
    return next((column for column in serving if is_wavelengths(column)), serving[0] if serving else None)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _separator(lines: list[str]) -> str:
    """What stands between the numbers: a semicolon or a tab where there is one, a comma, or "" for spaces.

    Commas are decimal where something else separates.
    """
    few = lines[:100]
    for separator in (";", "\t"):
        if few and all(separator in line for line in few[-1:]):
            return separator
    words = [word for line in few[-1:] for word in line.split()]
    if len(words) > 1 and all(_DECIMAL_COMMA.fullmatch(word) or word.isdigit() for word in words):
        return ""
    return ","


def _words(line: str, separator: str) -> list[str]:
    return re.split(r"[,\s]+", line.strip()) if separator == "," else line.strip().split(separator or None)


def _numbers(line: str, separator: str) -> list[float]:
    """The numbers of a line, or nothing where one of its words is none."""
    words = _words(line, separator)
    if separator != ",":
        words = [word.strip().replace(",", ".") for word in words]
    try:
        return [float(word) for word in words if word]
    except ValueError:
        return []

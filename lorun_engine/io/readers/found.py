"""What every reader returns, and how readers call the libraries that know a format."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ...errors import FileError
from ..sizes import Allowance

NUMBERS = "biuf"  # kinds of NumPy types
MOST_ARRAYS = 500
MOST_AXES = 4  # longer than 1: several cubes of one file
LONGEST_TEXT = 16 << 20  # bytes of a table of numbers
COMPLEX = "holds complex numbers; real ones were expected. Save its magnitude or its real part"


@dataclass(frozen=True)
class FoundArray:
    """One array of a file: the numbers that it states, which are those it stores where nothing else is said.

    `key` is its name in the file ("" where files hold one array), `axes` its axes where the file states them, such as
    "YX", "YXC", "CYX", or with T for several captures, else "". `attributes` are what the file says of it:
    wavelengths_nm, scale, step, source, ... `notes` are sentences about what reading changed.
    """

    path: Path
    key: str
    array: np.ndarray
    axes: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassedOver:
    """An array that is not read; "KEY REASON." is the sentence."""

    key: str
    reason: str


class Request:
    """What is asked of a reader: the file, the one array that is wanted (or None for all), and what it may unfold to.

    With the one come those whose last names are among `besides`. `names` are those of all arrays come across.
    """

    def __init__(self, path: Path, key: str | None, besides: Collection[str] = ()) -> None:
        self.path = path
        self.names: list[str] = []
        self._key, self._besides = key, besides
        self._allowance = Allowance(path)
        self.take = self._allowance.take

    def wants(self, name: str) -> bool:
        """Whether the array of this name is to be read; there may be no more than MOST_ARRAYS."""
        self.names.append(name)
        is_beside = self._key is None or name.lower().rpartition("/")[2] in self._besides
        return name == self._key or (is_beside and len(self.names) <= MOST_ARRAYS)


@contextmanager
def calling(path: Path, library: str) -> Iterator[None]:
    """Turns what a library raises into a sentence. Nothing of our own belongs into the block: our bugs are bugs."""
    try:
        with _without_warnings():
            yield
    except (FileError, MemoryError):
        raise
    except Exception as error:  # libraries raise anything on what they do not understand
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileError(
            f"{path.name} cannot be read: {library} says {reason!r}. It is cut short, or holds what {library} does not "
            "know. Get the file again, or save it in another way."
        ) from error


_lock = Lock()
_readers = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Libraries warn of what becomes a sentence or a note.

    The filters are the whole process's: the first of the reads that overlap sets them, the last brings back the old.
    """
    global _readers, _filters
    with _lock:
        _readers += 1
        if _readers == 1:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0 and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None


def head_of(path: Path) -> bytes:
    """The first bytes of an ordinary file that is not empty."""
    try:
        if not path.exists():
            raise FileError(f"{path} does not exist. Check the path.")
        if path.is_dir():
            raise FileError(f"{path} is a folder; a file was expected. Open the files in it.")
        if not path.is_file():
            raise FileError(f"{path} is no ordinary file. Choose a file on a disk.")
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{path} cannot be opened: {reason}. Check the path and its rights.") from error
    if not head:
        raise FileError(f"{path.name} is empty. Choose another file.")
    return head

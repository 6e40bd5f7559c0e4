"""Errors written for the user: one sentence that says what was found, what was expected and what to do.

Anything raised by the engine that is not a `LorunError` is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


def by(shape: Iterable[int]) -> str:
    """Sizes in words, as "28 x 256 x 256"."""
    return " x ".join(map(str, shape))


class LorunError(Exception):
    """A sentence for the user: found, expected, what to do."""


class FileError(LorunError):
    """A file is missing, unreadable, of an unknown kind, or cannot be written."""


class GeometryError(LorunError):
    """Sizes, axes, bands, step or roles do not fit together."""


class AmbiguousGeometry(GeometryError):
    """Several band counts and steps explain the sizes; `solutions` lists them as (num_bands, step)."""

    def __init__(self, sentence: str, solutions: tuple[tuple[int, float], ...]) -> None:
        super().__init__(sentence)
        self.solutions = solutions


class SeveralCaptures(GeometryError):
    """A file holds several captures; `keys` lists them as `--key` names them."""

    def __init__(self, sentence: str, keys: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.keys = keys


class ModelError(LorunError):
    """A backbone or adapter file is damaged, or does not fit its backbone or the measurement."""


class DeviceError(LorunError):
    """The device is absent or out of memory."""


class NumericalError(LorunError):
    """A computation produced values that are not finite."""

"""Stages that were computed and are kept: a decode that differs only in what comes later goes on from them.

A stage is known by a digest of all that it depends on: the measurement with its operator, the device and its threads,
and what its decoder and those before it say (see `decoder.Resumable`). So another set of the same kind of start takes
the start, another strength too, an ablated stage all stages before it, and more stages all that are there. What comes
out is the same bit for bit; anything else that is changed is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..decoder import Resumable, Stage
    from ..measurement import Measurement

MOST_BYTES = 512 << 20


class Figures(NamedTuple):
    """What was found out about a stage: its residual, and its metrics against the reference."""

    residual: float
    metrics: Mapping[str, float]


@dataclass
class _Entry:
    stage: Stage
    figures: Figures
    decode: int  # the number of the last one that took it


class KeptStages:
    """The stages of the last decodes, on the device they were computed on; `most_bytes` of them at most.

    Where there is no room, those of older decodes go first, of one decode its last stages; the start goes last. One
    thread uses it.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: dict[str, _Entry] = {}
        self._decode = 0

    def begin(self, keys: tuple[str, ...]) -> list[tuple[Stage, Figures]]:
        """A decode of these stages begins: the first of them that are there, which stay longer than all others."""
        self._decode += 1
        found = []
        for key in keys:
            if key not in self._entries:
                break
            entry = self._entries[key]
            entry.decode = self._decode
            found.append((entry.stage, entry.figures))
        return found

    def keep(self, keys: tuple[str, ...], stage: Stage, figures: Figures) -> None:
        """Keeps a stage of the decode that has begun, where there is room; without `keys` nothing."""
        if not keys:
            return
        self._entries[keys[stage.index]] = _Entry(stage, figures, self._decode)
        while self._entries and self.num_bytes > self._most_bytes:
            del self._entries[min(self._entries, key=self._worth)]

    def clear(self) -> None:
        """Gives all memory back."""
        self._entries.clear()

    @property
    def num_bytes(self) -> int:
        """What the tensors take; those that stages share count once."""
        kept = (tensor for entry in self._entries.values() for tensor in _tensors(entry.stage))
        return sum({tensor.data_ptr(): tensor.nbytes for tensor in kept}.values())

    def _worth(self, key: str) -> tuple[int, int]:
        entry = self._entries[key]
        return entry.decode, -entry.stage.index


class Conditions(NamedTuple):
    """How a decode is done: with the factor a of the engine's input a*y, on a device, there with so many threads."""

    input_scale: float
    device: str
    threads: int | None


def keys_of(
    decoder: Resumable, measurement: Measurement, conditions: Conditions, *, num_stages: int
) -> tuple[str, ...]:
    """The digests of the start and of every stage of a decode."""
    physics = {name: value for name, value in vars(measurement.physics).items() if not name.startswith("_")}
    digest = hashlib.sha256()
    _feed(
        digest,
        (
            measurement.task,
            type(measurement.physics).__name__,
            measurement.y,
            measurement.reference,
            physics,
            conditions,
        ),
    )
    keys = []
    for stage in range(num_stages + 1):
        _feed(digest, decoder.depends_on(stage))
        keys.append(digest.hexdigest())
    return tuple(keys)


def _feed(digest: Any, value: object) -> None:
    """Adds a value with its type and size, so that no two read the same."""
    if hasattr(value, "detach"):  # a tensor; torch is not imported for it
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, Mapping):
        _feed(digest, tuple(value.items()))
    elif isinstance(value, (tuple, list)):
        digest.update(f"{len(value)} values".encode())
        for part in value:
            _feed(digest, part)
    elif is_dataclass(value):
        _feed(digest, (type(value).__name__, *(getattr(value, field.name) for field in fields(value))))
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())


def _tensors(value: object) -> Iterator[Any]:
    """The tensors in a stage and in what it passes on."""
    if hasattr(value, "data_ptr"):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))

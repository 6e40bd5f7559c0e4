"""The restoration tasks, by name. Adding a task is one file and one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..decoder import Decoder
from .cs import PseudoInverse
from .gap_tv import GapTv
from .sr import Bicubic, Tikhonov
from .subspace_tv import SubspaceTv


@dataclass(frozen=True)
class Task:
    """`title` as the window names it; `decoders` are those that need no weights, the default first."""

    name: str
    title: str
    decoders: Mapping[str, Decoder]


TASKS: dict[str, Task] = {
    "cassi": Task("cassi", "CASSI snapshot", {"gap-tv": GapTv(), "subspace-tv": SubspaceTv()}),
    "cs": Task("cs", "Compressive samples", {"pinv": PseudoInverse()}),
    "sr": Task("sr", "Low-resolution image", {"bicubic": Bicubic(), "tikhonov": Tikhonov()}),
}

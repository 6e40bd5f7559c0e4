"""Steps that can be taken back, each with its value: what was done, so that a session file can hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

from PySide6.QtGui import QUndoCommand

from lorun_engine.io import OpenOptions
from lorun_engine.schema import Entries, Number, Share

from .region import Region
from .selection import Mode, Selection

MOST_STEPS = 1000  # of a history; the oldest go

Places = Annotated[tuple[Region, ...], Entries(0, 10_000)]


@dataclass(frozen=True)
class Corrected:
    """From some roles and geometry to others."""

    text: str  # in the Edit menu
    before: OpenOptions
    after: OpenOptions


@dataclass(frozen=True)
class Placed:
    """From some places, with the number of the chosen one, to others; `is_step` joins the steps of the same text."""

    text: str
    before: Places
    after: Places
    chosen_before: Number | None = None
    chosen_after: Number | None = None
    is_step: bool = False


@dataclass(frozen=True)
class Ranged:
    """From what was looked at to a range of bands, and the mode in which that left the pictures.

    Steps of the same `drag` are taken back as one.
    """

    before: Selection
    after: tuple[int, int] | None
    mode_after: Mode
    drag: str = ""


@dataclass(frozen=True)
class Relit:
    """From one gamma of the light to another. Steps of the same `drag` are taken back as one."""

    before: Share
    after: Share
    drag: str = ""


@dataclass(frozen=True)
class SavedStep:
    """A step as a session file holds it: one of these."""

    corrected: Corrected | None = None
    placed: Placed | None = None
    ranged: Ranged | None = None
    relit: Relit | None = None


class Step(QUndoCommand):
    """Does what its value says, and takes it back; while it `rests` the history may move over it without either."""

    rests = False

    @property
    def saved(self) -> SavedStep:
        """Its value."""
        raise NotImplementedError

    def do(self) -> None:
        """Does it, for the first time or again."""
        raise NotImplementedError

    def take_back(self) -> None:
        """Brings back what was before."""
        raise NotImplementedError

    def joins(self, later: QUndoCommand) -> bool:
        """Takes a later step of its kind in, where both are one to the user."""
        return False

    def redo(self) -> None:
        if not self.rests:
            self.do()

    def undo(self) -> None:
        if not self.rests:
            self.take_back()

    def mergeWith(self, other: QUndoCommand) -> bool:
        return not self.rests and self.joins(other)


class Steps(Protocol):
    """Where steps are recorded, such as `Corrections`."""

    def push(self, step: Step, /) -> None:
        """Does a step and records it."""

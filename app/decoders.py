"""What can decode: the adapter sets of the library and the algorithms that need no weights, as the worker knows them.

Everything here imports torch, so it is called in the worker thread only; the window keeps `Choice`, which is plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lorun_engine.errors import LorunError
from lorun_engine.measurement import Measurement

from .kinds import KINDS

if TYPE_CHECKING:
    from lorun_engine.restore import Decoder


@dataclass(frozen=True)
class Choice:
    """One decoder as the menus show it; `num_stages` is what it takes unless asked otherwise."""

    name: str
    task: str
    num_stages: int
    has_weights: bool


@dataclass(frozen=True)
class Fit:
    """Whether a decoder suits a measurement, in one sentence."""

    is_good: bool
    sentence: str


class Decoders(Protocol):
    """Where the session gets its decoders from."""

    def choices(self) -> tuple[Choice, ...]:
        """All decoders, the preferred ones of every task first."""

    def open(self, choice: Choice) -> Decoder:
        """The decoder of a choice."""


class LibraryDecoders:
    """The engine's decoders with the adapter sets found in the `library` folders."""

    def __init__(self, library: Sequence[Path]) -> None:
        self._library = tuple(library)
        self._opened: dict[str, Decoder] = {}

    def choices(self) -> tuple[Choice, ...]:
        """The adapter sets, then the algorithms without weights."""
        from lorun_engine.model import list_decoders
        from lorun_engine.tasks import TASKS

        return tuple(
            Choice(
                entry.name,
                entry.task,
                TASKS[entry.task].decoders[entry.name].num_stages
                if entry.card is None
                else entry.card.fields["stages"],
                has_weights=entry.card is not None,
            )
            for entry in list_decoders(self._library)
            if entry.task in TASKS
        )

    def open(self, choice: Choice) -> Decoder:
        """The decoder of a choice; its files are read once."""
        from lorun_engine.model import open_decoder

        if choice.name not in self._opened:
            self._opened[choice.name] = open_decoder(choice.name, library=self._library, task=choice.task)
        return self._opened[choice.name]


def first_fit(decoders: Decoders, choices: Sequence[Choice], measurement: Measurement) -> tuple[Choice | None, Fit]:
    """The first of `choices` that suits the measurement; where none does, the first one and why it does not."""
    kind, refused = KINDS[measurement.task], None
    for choice in choices:
        try:
            fitted = decoders.open(choice).fitted(measurement)
            if not choice.has_weights:
                return choice, Fit(True, kind.untrained)
            return choice, Fit(True, " ".join(fitted.notes) or kind.trained)
        except LorunError as error:
            refused = refused or Fit(False, str(error))
    sentence = f"Nothing that is installed decodes {kind.short} measurements. Add an adapter set for them."
    return (choices[0] if choices else None), refused or Fit(False, sentence)

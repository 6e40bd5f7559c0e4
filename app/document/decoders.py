"""What can decode: the adapter sets of the library and the algorithms that need no weights, as the workers know them.

Everything here imports torch, so it is called in worker threads only; the window keeps `Choice`, which is plain.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lorun_engine.errors import LorunError
from lorun_engine.library.cards import cards_in, tensor_names
from lorun_engine.measurement import Measurement
from lorun_engine.task import STAGE, TASKS

if TYPE_CHECKING:
    from lorun_engine.decoder import Decoder
    from lorun_engine.library.suiting import Suited


@dataclass(frozen=True)
class Choice:
    """One decoder as the menus show it; `num_stages` is what it takes unless asked otherwise.

    `is_adaptable` says that its stages differ from a shared backbone, so that they can be scaled and ablated;
    `step_name` is what it calls a stage.
    """

    name: str
    task: str
    num_stages: int
    has_weights: bool
    is_adaptable: bool = False
    step_name: str = STAGE


@dataclass(frozen=True)
class Fit:
    """Whether a decoder suits a measurement, in one sentence.

    One that `is_good` decodes it; it `is_sure` where nothing speaks against that, such as another camera's mask.
    `num_bytes` is about how much memory a decode takes, None where that is not known.
    """

    is_good: bool
    sentence: str
    is_sure: bool = True
    num_bytes: int | None = None

    @property
    def look(self) -> Literal["good", "warn"]:
        """The look of the sentence: "good" or "warn"."""
        return "good" if self.is_good and self.is_sure else "warn"


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
        self._opened: dict[tuple[str, str], tuple[str, Decoder]] = {}  # with the hash of the set that was read
        self._lock = threading.Lock()  # both workers open decoders

    def choices(self) -> tuple[Choice, ...]:
        """The adapter sets, then the algorithms without weights."""
        from lorun_engine.library.model import list_decoders

        found: dict[tuple[str, str], Choice] = {}  # of two sets of one name the first counts
        for entry in list_decoders(self._library):
            name, task, card = entry.name, entry.task, entry.card
            if task not in TASKS or (name, task) in found:
                continue
            if card is None:
                decoder = TASKS[task].decoders[name]
                choice = Choice(name, task, decoder.num_stages, False, step_name=decoder.step_name)
            else:
                choice = Choice(name, task, card.fields["stages"], True, is_adaptable=_is_adaptable(card.path))
            found[name, task] = choice
        return tuple(found.values())

    def open(self, choice: Choice) -> Decoder:
        """The decoder of a choice; its files are read again only when the library has another set of that name."""
        from lorun_engine.library.model import open_decoder

        key = (choice.name, choice.task)
        found = ""
        if choice.has_weights:
            known = (card for card in cards_in(self._library) if card.kind == "adapters")
            found = next((card.hash for card in known if (card.name, card.task) == key), "")
        with self._lock:
            if key not in self._opened or self._opened[key][0] != found:
                self._opened[key] = found, open_decoder(choice.name, library=self._library, task=choice.task)
            return self._opened[key][1]


def first_fit(decoders: Decoders, choices: Sequence[Choice], measurement: Measurement) -> tuple[Choice | None, Fit]:
    """The one of `choices` that suits the measurement best; where none does, the first one and why it does not."""
    from lorun_engine.library.suiting import first_suited

    reasons: list[str] = []
    found = first_suited(
        choices,
        measurement,
        card_of=lambda choice: _card_of(decoders, choice),
        opened=decoders.open,
        refused=lambda _, error: reasons.append(str(error)),
    )
    if found is not None:
        choice, suited = found
        return choice, _fit(suited, measurement, has_weights=choice.has_weights)
    sentence = f"Nothing that is installed decodes {TASKS[measurement.task].short} measurements. Add an adapter set."
    return (choices[0] if choices else None), Fit(False, next(iter(reasons), sentence))


def _fit(suited: Suited, measurement: Measurement, *, has_weights: bool) -> Fit:
    """What there is to say of a decoder that takes the measurement."""
    from lorun_engine.library.memory import bytes_needed

    kind, remarks = TASKS[measurement.task], suited.remarks
    num_bytes = bytes_needed(suited.decoder, measurement.physics)
    if not has_weights:
        return Fit(True, kind.untrained, num_bytes=num_bytes)
    if suited.is_made_for:
        return Fit(True, " ".join(("Adapted to this very camera.", *remarks)), not remarks, num_bytes)
    return Fit(True, " ".join(remarks) or kind.trained, not remarks, num_bytes)


def _card_of(decoders: Decoders, choice: Choice) -> Mapping[str, Any] | None:
    """The fields of a set's card, none of a file that cannot be read; None for what needs no weights."""
    from lorun_engine.library.model import Model

    if not choice.has_weights:
        return None
    try:
        decoder = decoders.open(choice)
    except LorunError:
        return {}
    return decoder.card if isinstance(decoder, Model) else {}


def _is_adaptable(path: Path) -> bool:
    from lorun_engine.networks.lora import is_step

    try:
        return not all(is_step(name) for name in tensor_names(path))
    except LorunError:  # gone since it was listed
        return False

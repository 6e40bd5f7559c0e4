"""What can decode: the adapter sets of the library and the algorithms that need no weights, as the workers know them.

Everything here imports torch, so it is called in worker threads only; the window keeps `Choice`, which is plain.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from lorun_engine.errors import LorunError
from lorun_engine.library.cards import cards_in, tensor_names
from lorun_engine.measurement import Measurement
from lorun_engine.task import STAGE, TASKS

if TYPE_CHECKING:
    from lorun_engine.decoder import Decoder


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
    """

    is_good: bool
    sentence: str
    is_sure: bool = True

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
    """The first of `choices` that suits the measurement; where none does, the first one and why it does not.

    Sets that were adapted to the very camera of the measurement come before all others, and those of which there is
    nothing to say before those that serve with a remark.
    """
    refused, remarked = None, None
    made_for = [choice for choice in choices if _is_made_for(decoders, choice, measurement)]
    for choice in (*made_for, *(choice for choice in choices if choice not in made_for)):
        if remarked is not None and not choice.has_weights:
            break
        try:
            fit = _fit(decoders, choice, measurement, is_made_for=choice in made_for)
        except LorunError as error:
            refused = refused or Fit(False, str(error))
            continue
        if fit.is_sure or choice in made_for:
            return choice, fit
        remarked = remarked or (choice, fit)
    if remarked is not None:
        return remarked
    sentence = f"Nothing that is installed decodes {TASKS[measurement.task].short} measurements. Add an adapter set."
    return (choices[0] if choices else None), refused or Fit(False, sentence)


def _fit(decoders: Decoders, choice: Choice, measurement: Measurement, *, is_made_for: bool) -> Fit:
    """How a decoder suits the measurement; a LorunError where it does not."""
    from lorun_engine.library.model import Model
    from lorun_engine.tasks.camera import other_camera

    kind, fitted = TASKS[measurement.task], decoders.open(choice).fitted(measurement)
    if not choice.has_weights:
        return Fit(True, kind.untrained)
    notes = fitted.notes if isinstance(fitted, Model) else ()
    if is_made_for:
        return Fit(True, " ".join(("Adapted to this very camera.", *notes)), not notes)
    if isinstance(fitted, Model) and (others := other_camera(fitted.card, measurement)):
        differ = f"{' and '.join(others)} {'differs' if len(others) == 1 else 'differ'}"
        words = f"Adapted to a camera whose {differ} from this one's. It may serve less than a set for any."
        return Fit(True, " ".join((words, *notes)), False)
    return Fit(True, " ".join(notes) or kind.trained, not notes)


def _is_made_for(decoders: Decoders, choice: Choice, measurement: Measurement) -> bool:
    """Whether a set was adapted to the camera of the measurement; a file that cannot be read was not."""
    from lorun_engine.library.model import Model
    from lorun_engine.tasks.camera import is_made_for

    try:
        decoder = decoders.open(choice) if choice.has_weights else None
    except LorunError:
        return False
    return isinstance(decoder, Model) and is_made_for(decoder.card, measurement)


def _is_adaptable(path: Path) -> bool:
    from lorun_engine.networks.lora import is_step

    try:
        return not all(is_step(name) for name in tensor_names(path))
    except LorunError:  # gone since it was listed
        return False

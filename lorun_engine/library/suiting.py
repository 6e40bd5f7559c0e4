"""Which decoder takes a measurement where nobody names one, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import LorunError
from ..measurement import Measurement
from ..tasks.camera import is_made_for, other_camera
from .model import Model

if TYPE_CHECKING:
    from ..decoder import Decoder

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Suited:
    """A decoder as it is fitted to a measurement.

    The `remarks` say why it may serve less than another; one that `is_made_for` the measurement was adapted to its very
    camera.
    """

    decoder: Decoder
    remarks: tuple[str, ...] = ()
    is_made_for: bool = False


def suited(decoder: Decoder, measurement: Measurement) -> Suited:
    """The decoder fitted to the measurement; a ModelError where it does not take it."""
    fitted = decoder.fitted(measurement)
    if not isinstance(fitted, Model):
        return Suited(fitted)
    if is_made_for(fitted.card, measurement):
        return Suited(fitted, fitted.notes, is_made_for=True)
    others = other_camera(fitted.card, measurement)
    if not others:
        return Suited(fitted, fitted.notes)
    differ = f"{' and '.join(others)} {'differs' if len(others) == 1 else 'differ'}"
    remark = f"Adapted to a camera whose {differ} from this one's. It may serve less than a set for any."
    return Suited(fitted, (remark, *fitted.notes))


def first_suited(
    choices: Sequence[Choice],
    measurement: Measurement,
    *,
    card_of: Callable[[Choice], Mapping[str, Any] | None],
    opened: Callable[[Choice], Decoder],
    refused: Callable[[Choice, LorunError], None],
) -> tuple[Choice, Suited] | None:
    """The first of `choices` that takes the measurement, or None; `refused` hears which did not before, and why.

    `card_of` gives the fields of a set's card, None for what needs no weights. Sets that were adapted to the very
    camera of the measurement come before all others, and those without a remark before those with one.
    """
    cards = [(choice, card_of(choice)) for choice in choices]
    cards.sort(key=lambda each: each[1] is None or not is_made_for(each[1], measurement))
    remarked = None
    for choice, card in cards:
        if remarked is not None and card is None:
            break
        try:
            found = suited(opened(choice), measurement)
        except LorunError as error:
            refused(choice, error)
            continue
        if found.is_made_for or not found.remarks:
            return choice, found
        remarked = remarked or (choice, found)
    return remarked

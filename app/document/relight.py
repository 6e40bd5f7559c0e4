"""The light that is given back to what was decoded in too little of it: R L^gamma, without decoding again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoCommand

from lorun_engine.instrument import RELIT_GAMMA, relit

from .session import Session
from .stage_store import StageStore
from .steps import Relit, SavedStep, Step, Steps

STEP = 0.05  # of the gamma, per key
DIGITS = 2  # behind the point of a gamma
WORDS = "the light"
KEYS = "keys"  # the drag of all that they do in a row


class RelitImage:
    """(C, H, W) of R L^gamma that is computed where it is looked at: indexing it in two or three axes gives arrays."""

    def __init__(self, image: np.ndarray, light: np.ndarray, gamma: float) -> None:
        self._image, self._light, self.gamma = image, light, gamma
        self.shape, self.ndim, self.size = image.shape, image.ndim, image.size
        self.nbytes, self.dtype = image.nbytes, image.dtype

    def __len__(self) -> int:
        return len(self._image)

    def __getitem__(self, place: Any) -> np.ndarray:
        band, *pixels = place if isinstance(place, tuple) else (place,)
        band = slice(None) if band is Ellipsis else band
        return relit(self._image[band, *pixels], self._light[0, *pixels], self.gamma)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return relit(self._image, self._light, self.gamma).astype(dtype or self.dtype, copy=False)


def relit_stage(stages: StageStore, index: int, gamma: float) -> np.ndarray:
    """(C, H, W) of a stage by a gamma of its light; at the usual one, and where it has no light, its image itself.

    Another one is a `RelitImage`, which is an array to all that index it and becomes one by `np.asarray`.
    """
    image, light = stages.image(index), stages.light(index)
    return image if light is None or gamma == RELIT_GAMMA else cast(np.ndarray, RelitImage(image, light, gamma))


def shown_stage(session: Session, index: int) -> np.ndarray:
    """(C, H, W) of a stage of what is shown, by the gamma that is chosen (see `relit_stage`)."""
    return relit_stage(session.stages, index, session.selection.relight)


def seen_stage(session: Session, index: int) -> np.ndarray:
    """What the mode shows of a stage: its light (1, H, W), its reflectance, or the picture of `shown_stage`."""
    mode, light = session.selection.mode, session.stages.light(index)
    if mode == "light" and light is not None:
        return light
    return relit_stage(session.stages, index, 0.0) if mode == "reflectance" else shown_stage(session, index)


def is_relit(session: Session) -> bool:
    """Whether what is shown holds the light that it was taken in."""
    return len(session.stages) > 0 and session.stages.light(0) is not None


def asked_gamma(session: Session) -> float | None:
    """The gamma of what is shown as `--relight` takes it; None at the usual one, or where there is no light."""
    gamma = session.selection.relight
    return gamma if is_relit(session) and gamma != RELIT_GAMMA else None


def relight_words(session: Session) -> str:
    """As "relit by γ 0.4"; nothing at the usual gamma, or where there is no light."""
    gamma = asked_gamma(session)
    return "" if gamma is None else f"relit by γ {gamma:g}"


class Relight(QObject):
    """Its verbs change the gamma of the selection, and can be taken back."""

    def __init__(self, session: Session, steps: Steps) -> None:
        super().__init__(session)
        self._session, self._steps = session, steps

    @property
    def is_possible(self) -> bool:
        """Whether there is a light."""
        return is_relit(self._session)

    @property
    def gamma(self) -> float:
        """Of the light in what is shown: at 0 the reflectance alone, at 1 as dark as it was taken."""
        return self._session.selection.relight

    def take(self, gamma: float, *, drag: str = "") -> None:
        """Shows another gamma, within 0 and 1; what one `drag` does is taken back as one."""
        gamma = round(min(max(gamma, 0.0), 1.0), DIGITS)
        if self.is_possible and gamma != self.gamma:
            self._steps.push(self.step(Relit(self.gamma, gamma, drag)))

    def brighten(self, steps: int) -> None:
        """Gives back more of the light by keys, or less below 0."""
        self.take(self.gamma - steps * STEP, drag=KEYS)

    def reset(self) -> None:
        """Shows the usual gamma."""
        self.take(RELIT_GAMMA)

    def step(self, value: Relit) -> Step:
        """A change of the gamma that was made, or is to be."""
        return _Change(self._session, value)


class _Change(Step):
    def __init__(self, session: Session, value: Relit) -> None:
        super().__init__(WORDS)
        self._session, self._value = session, value

    @property
    def saved(self) -> SavedStep:
        return SavedStep(relit=self._value)

    def do(self) -> None:
        self._show(self._value.after)

    def take_back(self) -> None:
        self._show(self._value.before)

    def _show(self, gamma: float) -> None:
        self._session.select(replace(self._session.selection, relight=gamma))

    def id(self) -> int:
        return 3

    def joins(self, later: QUndoCommand) -> bool:
        own = self._value
        if not isinstance(later, _Change) or not own.drag or own.drag != later._value.drag:
            return False
        self._value = replace(own, after=later._value.after)
        return True

"""The word for the steps of a decode: sets have stages, algorithms have iterations; whatever is said has their word."""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from lorun_engine.task import STAGE

from .session import Session

_STAGE = re.compile(r"\b(?:([Aa]) )?([Ss])tage(s?)\b")


def shown_step(session: Session) -> str:
    """What a step of the decode that is shown is called, in singular and lower case."""
    return STAGE if session.recipe is None else session.recipe.step_name


def worded(sentence: str, step_name: str) -> str:
    """A sentence about stages, said of steps that are called otherwise."""

    def word(found: re.Match[str]) -> str:
        article, initial, plural = found.groups("")
        article = f"{article}n " if article and step_name[:1] in "aeiou" else f"{article} " if article else ""
        return f"{article}{step_name.capitalize() if initial == 'S' else step_name}{plural}"

    return sentence if step_name == STAGE else _STAGE.sub(word, sentence)


class Wording(QObject):
    """Has sentences about the stages that are shown said in the word of their decoder, whichever is shown."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.step_name = shown_step(session)
        for changed in (session.restoration_changed, session.stage_added, session.opened_changed):
            changed.connect(self._follow)

    def of(self, sentence: str) -> str:
        """A sentence about the stages that are shown."""
        return worded(sentence, self.step_name)

    def say(self, owner: QObject, take: Callable[[str], object], sentence: str) -> None:
        """Gives `take` a sentence about the stages that are shown, now and as long as `owner` lives."""
        _Said(self, owner, take, sentence)

    def _follow(self) -> None:
        step_name = shown_step(self._session)
        if step_name != self.step_name:
            self.step_name = step_name
            self.changed.emit()


class _Said(QObject):
    """One sentence; its connection ends with its owner."""

    def __init__(self, wording: Wording, owner: QObject, take: Callable[[str], object], sentence: str) -> None:
        super().__init__(owner)
        self._wording, self._take, self._sentence = wording, take, sentence
        wording.changed.connect(self._say)
        self._say()

    def _say(self) -> None:
        self._take(self._wording.of(self._sentence))

"""The steps that can be taken back, and the corrections of roles and geometry among them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QUndoGroup, QUndoStack

from lorun_engine.io import OpenOptions

from .recipe import SetAside
from .session import Session
from .steps import MOST_STEPS, Corrected, SavedStep, Step


class Corrections(QUndoGroup):
    """What the user corrected of roles and geometry, and what other parts record, in one history.

    A job that is set aside keeps its own.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._paths = session.paths
        self.steps = _new_history()
        self._follow(self.steps)
        session.opened_changed.connect(self._forget)
        session.put_aside.connect(self._put_aside)
        session.taken_back.connect(self._take_back)

    def push(self, step: Step) -> None:
        """Does a step that can be taken back."""
        self.steps.push(step)

    def correct(self, options: OpenOptions, *, text: str) -> None:
        """Corrects what is open to `options`; `text` names the step in the Edit menu."""
        if self._session.paths and options != self._session.options:
            self.push(self.step(Corrected(text, self._session.options, options)))

    def step(self, value: Corrected) -> Step:
        """A correction that was made, or is to be."""
        return _Correction(self._session, value)

    # ---- keeping -------------------------------------------------------------------------------------------------

    @property
    def saved(self) -> tuple[SavedStep, ...]:
        """The values of all steps, the oldest first, those that were taken back last."""
        history = (self.steps.command(number) for number in range(self.steps.count()))
        return tuple(step.saved for step in history if isinstance(step, Step))

    @property
    def num_done(self) -> int:
        """How many of them can be taken back."""
        return self.steps.index()

    def take(self, steps: Sequence[Step], *, num_done: int) -> None:
        """Takes over a history: its first steps were done before and can be taken back, the others done again."""
        before, history = self.steps, _new_history()  # of its own: many steps are told of once
        for step in steps:
            step.rests = True
            history.push(step)
        history.setIndex(min(num_done, len(steps)))
        for step in steps:
            step.rests = False
        self._follow(history)
        self.removeStack(before)

    def _forget(self) -> None:
        """Steps that belong to other files cannot be taken back."""
        if self._session.paths != self._paths:
            self._paths = self._session.paths
            self.steps.clear()

    def _put_aside(self, aside: SetAside) -> None:
        aside.keep(self, ("steps", "_paths"))
        self._follow(_new_history())

    def _take_back(self, aside: SetAside) -> None:
        aside.give_back(self)
        self._follow(self.steps)

    def _follow(self, steps: QUndoStack) -> None:
        self.steps = steps
        if steps not in self.stacks():
            self.addStack(steps)
        steps.setActive()


def _new_history() -> QUndoStack:
    steps = QUndoStack()
    steps.setUndoLimit(MOST_STEPS)
    return steps


class _Correction(Step):
    def __init__(self, session: Session, value: Corrected) -> None:
        super().__init__(value.text)
        self._session, self._value = session, value

    @property
    def saved(self) -> SavedStep:
        return SavedStep(corrected=self._value)

    def do(self) -> None:
        self._session.correct(self._value.after)

    def take_back(self) -> None:
        self._session.correct(self._value.before)

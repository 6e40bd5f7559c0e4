"""What signals say to a command: Ctrl-C, SIGTERM and SIGHUP all end it the same way, with nothing left half-written.

A signal raises `Interrupted`, so that every block on the way out removes its temporary files. A training hears it
between two steps instead, see `Listening`. What the process ignores from its start on, as `nohup` has it, stays
ignored.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, Self

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
_SAME_S = 1.0  # a terminal that is closed, and a launcher that ends, tell the same thing more than once


class Interrupted(KeyboardInterrupt):
    """The signal `number` told the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(number: int) -> int:
    """What a process that a signal ended leaves with, as shells count: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """A block that signals end by `Interrupted`; one that was lost on its way, as in a destructor, comes again."""
    with _heard(_raise), _nothing_lost():
        yield


class Listening:
    """The commands of `source`, and "leave" once a signal tells this process to end.

    It listens from its first call on, when a step is done: before that nothing is lost by ending at once. Who tells it
    twice wants that too.
    """

    def __init__(self, source: Callable[[], str | None]) -> None:
        self.told: int | None = None  # the signal that told it to end
        self._source = source
        self._signals: ExitStack | None = None

    def __call__(self) -> str | None:
        if self._signals is None:
            self._signals = ExitStack()
            self._signals.enter_context(_heard(self._take))
        return "leave" if self.told is not None else self._source()

    def leave(self) -> None:
        """Makes "leave" the next command."""
        self.told = self.told or signal.SIGINT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._signals is not None:
            self._signals.close()

    def _take(self, number: int) -> None:
        if self.told is not None:
            raise Interrupted(number)
        self.told = number


def _raise(number: int) -> None:
    raise Interrupted(number)


@contextmanager
def _heard(take: Callable[[int], None]) -> Iterator[None]:
    """Gives `take` every signal that tells the process to end, its echoes left out; only the main thread hears any."""
    last_s = -_SAME_S

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _SAME_S:
            last_s = time.monotonic()
            take(number)

    before: dict[int, Any] = {}
    try:
        for number in _NUMBERS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Raises an `Interrupted` again that Python dropped, as it does in destructors and weak-reference callbacks."""
    before = sys.unraisablehook

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if isinstance(lost.exc_value, Interrupted):
            _raise_at_the_next_line(lost.exc_value.number)
        else:
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _raise_at_the_next_line(number: int) -> None:
    """Lets the code that called the destructor go on to its next line, which raises what the destructor could not."""

    def trace(frame: FrameType, event: str, argument: object) -> None:
        sys.settrace(None)
        raise Interrupted(number)

    frame: FrameType | None = sys._getframe(2)  # neither this function nor the hook
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(trace)

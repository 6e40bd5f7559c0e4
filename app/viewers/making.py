"""What takes long to draw is made aside, so that the window never stands still; what was wanted last is made first."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from ..assembly import Parts
from ..job import Job
from ..render import Cache

AT_ONCE = 16_000_000  # numbers that are worked through in one turn of the event loop, in some 5 ms
MOST_WANTED = 32  # what was wanted before is not looked at any more
MOST_AHEAD = 2

T = TypeVar("T")
Wanted = tuple[Cache, Hashable]
Recipe = tuple[Callable[[], object], Callable[[object], int]]  # what makes it, and its bytes


class Making(QObject):
    """Fills caches: at once where that is quick, else aside from the session's worker, one thing after another."""

    made = Signal()  # something that was wanted is in its cache now

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts
        self._wanted: dict[Wanted, Recipe] = {}  # the last one first
        self._ahead: dict[Wanted, Recipe] = {}
        self._at_work: Wanted | None = None
        self._is_awaited = False  # whether somebody waits for what is at work
        self._done: set[Wanted] = set()  # what a full cache drops of it is not made again and again
        for changed in (parts.session.selection_changed, parts.session.stage_added):
            changed.connect(self._look_again)
        self._left = AT_ONCE
        self._turn = QTimer(self, singleShot=True, interval=0)
        self._turn.timeout.connect(self._begin_turn)

    def get(
        self, cache: Cache, key: Hashable, make: Callable[[], T], num_bytes: Callable[[T], int], *, cost: float
    ) -> T | None:
        """The kept result, or a new one where `cost`, in numbers, is small; else None until it is `made`.

        `make` may run in another thread: it must not touch the window.
        """
        if key in cache or cost <= self._left:
            if key not in cache:
                self._left -= cost
                self._turn.start()
            return cache.get(key, make, num_bytes)
        wanted = (cache, key)
        if wanted == self._at_work:
            self._is_awaited = True
        elif wanted not in self._done:
            self._wanted.pop(wanted, None)
            self._wanted[wanted] = make, num_bytes
            self._make_next()
        return None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In the block everything is made at once, however long it takes: for what leaves the window."""
        left, self._left = self._left, math.inf
        try:
            yield
        finally:
            self._left = left

    def prepare(self, cache: Cache, key: Hashable, make: Callable[[], T], num_bytes: Callable[[T], int]) -> None:
        """Makes aside, once nothing is wanted, what may be wanted next; of older guesses some are forgotten."""
        ahead = (cache, key)
        if key in cache or ahead == self._at_work or ahead in self._wanted or ahead in self._done:
            return
        self._ahead.pop(ahead, None)
        self._ahead[ahead] = make, num_bytes
        while len(self._ahead) > MOST_AHEAD:
            del self._ahead[next(iter(self._ahead))]
        self._make_next()

    def forget(self) -> None:
        """Drops what is still wanted: it is of something else than what is open."""
        self._wanted.clear()
        self._ahead.clear()
        self._done.clear()
        self._at_work = None

    def _look_again(self) -> None:
        self._done.clear()

    def _begin_turn(self) -> None:
        self._left = AT_ONCE

    def _make_next(self) -> None:
        queue = self._wanted or self._ahead
        if self._at_work is not None or not queue:
            return
        self._is_awaited = queue is self._wanted
        self._at_work = wanted = next(reversed(queue))
        make, num_bytes = queue.pop(wanted)
        for old in list(self._wanted)[:-MOST_WANTED]:
            del self._wanted[old]
        job = self._parts.lanes.run_aside(make, doing="drawing a picture", then=partial(self._keep, wanted, num_bytes))
        for ended in (job.failed, job.cancelled):
            ended.connect(partial(self._end, wanted))

    def _keep(self, wanted: Wanted, num_bytes: Callable[[object], int], job: Job) -> None:
        if wanted == self._at_work:
            cache, key = wanted
            cache.get(key, lambda: job.result, num_bytes)
            self._done.add(wanted)
            is_awaited = self._is_awaited
            self._end(wanted)
            if is_awaited:
                self.made.emit()

    def _end(self, wanted: Wanted) -> None:
        if wanted == self._at_work:
            self._at_work = None
            self._make_next()

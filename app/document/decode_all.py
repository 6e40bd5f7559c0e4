"""The captures of a folder decoded one after the other in the lane of the decodes, and those that come.

Each is decoded with the settings that were chosen when it was asked for; its result is written at once, and nothing of
it stays in memory. One that fails says why, and the next begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lorun_engine.io.folders import result_stems

from ..job import Job
from ..quantities import duration, plural
from .captures import Capture, Order, State, decode_into, results_there
from .exports import CUBE_SUFFIXES
from .folder import Folder
from .opening import companions_of
from .pace import Pace, Timed
from .session import Session

LACKING: tuple[State, ...] = ("waiting", "failed", "skipped")


@dataclass(frozen=True)
class FolderProgress:
    """How far the captures are that were asked for; `words` and `share` are of the one that is being decoded."""

    num_ended: int
    num_asked: int
    words: str = ""
    share: float = 0.0
    seconds_left: float | None = None


@dataclass
class _Current:
    """The capture that is being decoded."""

    path: Path
    order: Order
    job: Job
    is_skipped: bool = False


class DecodeAll(QObject):
    """Decodes what a folder lists: pause, skip, retry, cancel, and what comes while it is watched."""

    changed = Signal()
    announced = Signal(str)

    def __init__(self, session: Session, folder: Folder) -> None:
        super().__init__(folder)
        self._session, self._lanes, self._setup, self._folder = session, session.lanes, session.setup, folder
        self.target: Path | None = None  # where results go; None for beside their captures
        self.suffix = next(iter(CUBE_SUFFIXES.values()))
        self.is_paused = False
        self._queue: deque[tuple[Path, Order, bool]] = deque()  # the last says that a result is made again
        self._current: _Current | None = None
        self.timed = Timed(session.paces, self)  # the capture that is being decoded
        self._num_ended = self._num_asked = 0
        self._times: list[float] = []  # that the captures took
        self._watch_order: Order | None = None
        self._looking: Job | None = None
        self._names: tuple[object, ...] = ()  # what the names of the results depend on
        folder.closed.connect(self.cancel)
        folder.changed.connect(self._follow_folder)
        folder.listed.connect(self._look_again)
        folder.come.connect(self._take_new)
        self._setup.changed.connect(self._look_for_results)
        self._setup.adapting_changed.connect(self._look_for_results)

    # ---- how far it is -------------------------------------------------------------------------------------------

    @property
    def can_decode(self) -> bool:
        """Whether captures could be asked for."""
        return bool(self._folder.captures) and self.can_watch

    @property
    def can_watch(self) -> bool:
        """Whether the folder could be watched; it may be empty."""
        return self._folder.path is not None and not self._folder.is_surveying and self.has_decoder

    @property
    def has_decoder(self) -> bool:
        """Whether a decoder is chosen that is for captures such as those of the folder."""
        return self._setup.choice is not None and self._folder.task in (None, self._setup.choice.task)

    @property
    def is_under_way(self) -> bool:
        """Whether captures are being decoded or wait for that."""
        return self._current is not None or bool(self._queue)

    @property
    def current(self) -> int | None:
        """The place of the capture that is being decoded."""
        return None if self._current is None else self._folder.place_of(self._current.path)

    @property
    def lacking(self) -> list[Path]:
        """The captures without a result that nobody has asked for."""
        return [seen.path for seen in self._folder.captures if seen.state in LACKING and not seen.is_asked]

    @property
    def failed(self) -> list[Path]:
        """The captures that could not be decoded."""
        return [seen.path for seen in self._folder.captures if seen.state == "failed" and not seen.is_asked]

    @property
    def progress(self) -> FolderProgress:
        """How far it is; the time that is left follows from the captures and stages that were decoded."""
        current = self._current
        if current is None:
            each = self._mean_s
            left = None if each is None else each * len(self._queue)
            return FolderProgress(self._num_ended, self._num_asked, seconds_left=left)
        pace = self.timed.pace
        left = this = pace.seconds_left
        if this is not None:
            left = this + (self._mean_s or pace.elapsed_s + this) * len(self._queue)
        return FolderProgress(self._num_ended, self._num_asked, pace.words, pace.share, left)

    @property
    def waits_for(self) -> str:
        """What has to end before the next capture begins, in words."""
        return "" if self._current is None else self._lanes.before(self._current.job)

    @property
    def _mean_s(self) -> float | None:
        return sum(self._times) / len(self._times) if self._times else None

    # ---- verbs ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Decodes every capture without a result as the open one would be now; all again where every one has one."""
        if self.can_decode and not self.is_under_way:
            lacking = self.lacking
            self._ask(lacking or [capture.path for capture in self._folder.captures], again=not lacking)

    def decode(self, place: int) -> None:
        """Decodes one capture, whether or not it has a result."""
        capture = self._folder.captures[place]
        if self.can_decode and not capture.is_asked:
            self._ask([capture.path], again=True)

    def retry_failed(self) -> None:
        """Decodes once more what failed."""
        if self.can_decode:
            self._ask(self.failed, again=False)

    def pause(self) -> None:
        """Lets the capture that is being decoded end, and begins no other."""
        self.is_paused = self.is_under_way
        self.changed.emit()

    def go_on(self) -> None:
        """Goes on after a pause."""
        self.is_paused = False
        self._next()

    def skip(self) -> None:
        """Gives up the capture that is being decoded, and goes on with the next."""
        if self._current is not None:
            self._current.is_skipped = True
            self._current.job.cancel()

    def cancel(self) -> None:
        """Ends after the step that is being computed; results that are there stay."""
        self._drop_queue()
        self.is_paused = False
        if self._current is not None:
            self._folder.put(self._current.path, is_asked=False)
            self._current.job.cancel()
        self.changed.emit()

    def stop(self) -> None:
        """Cancels, and takes no captures that come."""
        self.watch(False)
        self.cancel()

    def write_to(self, folder: Path | None) -> None:
        """Has results written into a folder from now on, or beside their captures."""
        self.target = folder
        self._look_for_results()
        self.changed.emit()

    def write_as(self, suffix: str) -> None:
        """Has results written in the format of a suffix from now on."""
        self.suffix = suffix
        self._look_for_results()
        self.changed.emit()

    def watch(self, is_on: bool) -> None:
        """Decodes captures that come from now on with the settings of now; or no longer."""
        if is_on and not self.can_watch:
            return
        self._watch_order = self._order() if is_on else None
        self._folder.watch(is_on)
        self.changed.emit()

    @property
    def watched_with(self) -> str:
        """The decoder for what comes, with its strength; nothing where the folder is not watched."""
        return "" if self._watch_order is None else self._watch_order.recipe.title

    # ---- one after the other -------------------------------------------------------------------------------------

    def _order(self) -> Order:
        choice = self._setup.choice
        if choice is None:
            raise ValueError("no decoder is chosen")
        options, keep = self._folder.understanding()
        return Order(self._setup.recipe(choice, (), options), choice, keep, self.target, self.suffix)

    def _ask(self, paths: Sequence[Path], *, again: bool, order: Order | None = None) -> None:
        if not self.is_under_way:
            self._num_ended = self._num_asked = 0
            self._times = []
        order = order or self._order()
        self._num_asked += len(paths)
        self._queue.extend((path, order, again) for path in paths)
        for path in paths:
            self._folder.put(path, state="waiting", is_asked=True, sentence="", seconds=None)
        self._next()

    def _take_new(self, paths: list[Path]) -> None:
        new = [path for path in paths if not self._is_asked(path)]
        if self._watch_order is not None and new:
            self._ask(new, again=False, order=self._watch_order)

    def _is_asked(self, path: Path) -> bool:
        place = self._folder.place_of(path)
        return place is not None and self._folder.captures[place].is_asked

    def _next(self) -> None:
        """Gives the next capture to the lane of the decodes; a decode that was asked for meanwhile comes first."""
        if self._current is None and self._queue and not self.is_paused:
            path, order, again = self._queue.popleft()
            captures = [capture.path for capture in self._folder.captures]
            result = order.result_of(path, result_stems(captures)[path])
            protected, scales = [*captures, *companions_of(order.keep)], self._folder.full_scales_of(path)
            work = partial(decode_into, path, order, result, scales, protected, self._setup.decoders, again)
            job = Job(work, title=f"decoding {path.name}")
            self._current = _Current(path, order, job)
            self.timed.expect(self._pace(order))
            job.began.connect(lambda: self._begin(job))
            job.progressed.connect(lambda: self._take_stage(job))
            job.succeeded.connect(lambda: self._end(job, "done" if job.result else "earlier"))
            job.failed.connect(lambda: self._end(job, "failed"))
            job.cancelled.connect(lambda: self._end(job, "waiting"))
            self._folder.put(path, result=result)
            self._lanes.decode(job)
            job.is_asked_for = False  # alone: the captures that are left count together
        self.changed.emit()

    def _begin(self, job: Job) -> None:
        if self._current is not None and self._current.job is job:
            self.timed.begin()
            self._folder.put(self._current.path, state="decoding")
            self.changed.emit()

    def _take_stage(self, job: Job) -> None:
        if self._current is not None and self._current.job is job:
            self.timed.take(job.progress)

    def _end(self, job: Job, state: State) -> None:
        current = self._current
        if current is None or current.job is not job:
            return
        self._current = None
        seconds = self.timed.pace.elapsed_s if state == "done" else None
        self.timed.end()
        sentence = self._lanes.fail(job).sentence if state == "failed" else ""
        if state == "waiting" and current.is_skipped:
            state = "skipped"
        if state == "waiting":  # cancelled, by whomever
            self._drop_queue()
        else:
            self._num_ended += 1
        if seconds is not None:
            self._times.append(seconds)
            self._lanes.log(f"Decoded {current.path.name} in {duration(seconds)}")
        self._folder.put(current.path, state=state, is_asked=False, seconds=seconds, sentence=sentence)
        if not self._queue:
            self.is_paused = False
            self.announced.emit(self._outcome())
        self._next()

    def _pace(self, order: Order) -> Pace:
        """That of captures which are as large as the one that is open."""
        session, recipe = self._session, order.recipe
        if session.measurement is None:
            return Pace(recipe.num_stages, step_name=recipe.step_name, clock=session.paces.clock)
        return session.paces.of(recipe, session.measurement)

    def _drop_queue(self) -> None:
        for path, _, _ in self._queue:
            self._folder.put(path, is_asked=False)
        self._queue.clear()

    def _outcome(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{self._folder.title}: {self._num_ended} of {plural(self._num_asked, 'capture')} ended{failed}"

    def _follow_folder(self) -> None:
        if not self._folder.is_watching:
            self._watch_order = None
        self.changed.emit()

    # ---- results of before ---------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        self._names = ()
        self._look_for_results()

    def _look_for_results(self) -> None:
        """Finds out which captures have a result with the settings of now, where its name is not that of before."""
        if not self.can_decode:
            self._names = ()
            return
        order = self._order()
        names = (self._folder.path, order.recipe.file_word, order.folder, order.suffix)
        if names == self._names:
            return
        self._names = names
        if self._looking is not None:
            self._looking.cancel()
        work = partial(results_there, order, [capture.path for capture in self._folder.captures])
        doing = f"looking for results of {self._folder.title}"
        self._looking = self._lanes.run_look(work, doing=doing, then=self._take_results)

    def _take_results(self, job: Job) -> None:
        if job is not self._looking:
            return
        self._looking = None
        for path, result, is_there in job.result:
            place = self._folder.place_of(path)
            if place is None or self._folder.captures[place].is_asked:
                continue
            capture = self._folder.captures[place]
            is_of_now = capture.result == result
            if is_there and not (is_of_now and capture.state == "done"):
                self._folder.captures[place] = Capture(path, "earlier", result=result)
            elif not is_there and not is_of_now:
                self._folder.captures[place] = Capture(path)
        self._folder.changed.emit()

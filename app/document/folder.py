"""A folder at a time: its captures, which are shown one after the other, and those that come while it is watched.

What is no capture - masks, results, what is not read - is left out. Every capture is understood as the one that is open
is: with the same mask and corrections, and the full scale that the folder shares. `decode_all` decodes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from lorun_engine.io import OpenOptions, RoleTable
from lorun_engine.io.folders import POLL_S, Arrivals, Look, Survey, grown
from lorun_engine.io.scales import IMAGES, FullScales, shared_scales

from ..job import Job
from ..problems import Problem
from ..quantities import plural
from .captures import Capture, Listing, arrived, survey_folder
from .opening import ALONE, without_arrays
from .session import Session


class Folder(QObject):
    """The captures of a folder, with verbs to look at them."""

    changed = Signal()  # the list, or anything that is said of all of it
    capture_changed = Signal(int)  # by its place in the list
    listed = Signal()  # all its files have been looked at
    closed = Signal()
    come = Signal(object)  # the paths of captures that are new or have changed

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session, self._lanes = session, session.lanes
        self._timer = QTimer(self, interval=int(1000 * POLL_S))
        self._timer.timeout.connect(self._poll)
        self._send_soon = QTimer(self, singleShot=True, interval=0)
        self._send_soon.timeout.connect(self._send)
        self._forget()
        session.full_scales_of = self.full_scales_of
        session.opened_changed.connect(self._follow_session)

    def _forget(self) -> None:
        self.path: Path | None = None
        self.captures: list[Capture] = []
        self.left_out: tuple[tuple[Path, str], ...] = ()  # with the reasons
        self.survey = Survey()
        self.notice = ""  # about the folder, in a sentence
        self.num_seen = self.num_files = 0  # while the files are looked at
        self._looks: dict[Path, Look] = {}
        self._places: dict[Path, int] = {}
        self._kept: RoleTable | None = None  # whose mask goes with every capture: the last one that was open, or mask.*
        self._arrivals: Arrivals | None = None
        self._surveying: Job | None = None
        self._polling: Job | None = None
        self._asked: Path | None = None  # the capture that is to be shown
        self._sent: Path | None = None  # that which the session is opening
        self._is_known = False  # from a session, which says what is shown

    # ---- what is in it -------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Its name, for sentences."""
        return "The folder" if self.path is None else self.path.name or str(self.path)

    @property
    def is_surveying(self) -> bool:
        """Whether the files are being looked at."""
        return self._surveying is not None

    @property
    def num_left(self) -> int:
        """The captures that are being decoded or wait for that."""
        return sum(capture.is_asked for capture in self.captures)

    @property
    def index(self) -> int | None:
        """The place of the capture that is open; None where it is none of them."""
        return self.place_of(self._session.paths[0]) if self._session.paths else None

    def place_of(self, path: Path) -> int | None:
        """The place of a capture in the list."""
        return self._places.get(path)

    def full_scales_of(self, path: Path) -> FullScales:
        """The full scales that a capture shares with the others; none for another file."""
        return self.survey.full_scales if path in self._places else ALONE

    def understanding(self) -> tuple[OpenOptions, RoleTable | None]:
        """The corrections and the companions with which captures are understood now."""
        options = OpenOptions() if self.path is None else self._session.memory.options_of(self.path)
        return options, self._kept

    @property
    def task(self) -> str | None:
        """Of the captures; None while none was open."""
        return None if self._kept is None else self._kept.task

    def _keep(self) -> None:
        """Keeps which files belong to the capture of the folder that is open, if one is."""
        session = self._session
        is_here = bool(session.paths) and session.paths[0].parent == self.path
        if is_here and session.measurement is not None and session.role_table is not None:
            self._kept = without_arrays(session.role_table)

    def open(self, path: Path | str, *, known: Sequence[Capture] | None = None) -> None:
        """Lists the captures of a folder, and shows the first unless one of them is open.

        Where it is `known` what became of them, nothing else is shown, and it is listed at once.
        """
        if self.num_left:
            left = f"{plural(self.num_left, 'capture')} of {self.title} {'is' if self.num_left == 1 else 'are'}"
            self._lanes.problem_raised.emit(
                Problem(f"{left} still to be decoded. Cancel that in the folder, or open the other folder afterwards.")
            )
            return
        self.close()
        self.path = Path(path).absolute()
        self._arrivals = Arrivals(self.path)
        if known is not None:
            self.captures, self._is_known = list(known), True
            self._places = {capture.path: place for place, capture in enumerate(known)}
        self._keep()
        work = partial(survey_folder, self._arrivals, *self.understanding(), self._looks, self._decoder_names())
        job = self._lanes.run_look(work, doing=f"looking at the files of {self.title}", then=self._take_survey)
        self._surveying = job
        job.progressed.connect(lambda: self._count(job))
        job.failed.connect(lambda: self._miss(job))
        job.cancelled.connect(lambda: self._miss(job))
        self.changed.emit()

    def close(self) -> None:
        """Forgets the folder; nothing of it is decoded any more."""
        if self.path is None:
            return
        self.closed.emit()
        self.watch(False)
        if self._surveying is not None:
            self._surveying.cancel()
        self._forget()
        self.changed.emit()

    def put(self, path: Path, **values: Any) -> None:
        """Says something of a capture; one that is no longer listed is passed over."""
        if (place := self._places.get(path)) is not None:
            self.captures[place] = replace(self.captures[place], **values)
            self.capture_changed.emit(place)

    def _count(self, job: Job) -> None:
        if job is self._surveying:
            self.num_seen, self.num_files = job.progress
            self.changed.emit()

    def _miss(self, job: Job) -> None:
        """The folder cannot be read, or nobody wants it any more."""
        if job is self._surveying:
            self._surveying = None
            if job.error is not None:
                self._lanes.refuse(job)
            self.close()

    def _take_survey(self, job: Job) -> None:
        if job is not self._surveying:
            return
        self._surveying = None
        mask, listed = job.result
        self._kept = self._kept or mask
        self._list(listed)
        if not self.captures:
            self.notice = f"{self.title} holds no capture. Open a folder that holds some, with their mask."
        elif self.index is None and self._asked is None and not self._is_known:
            self._asked = self.captures[0].path
        elif self.index is not None and self._is_scaled_otherwise():
            if len(self._session.stages) or self._session.restoration.is_busy:
                self.notice = "The open capture has a full scale of its own. Click it to see it as it is decoded here."
            else:
                self._asked = self._session.paths[0]
        self._send_soon.start()  # in an event of its own: the list is seen before its first capture is opened
        self.changed.emit()
        self.listed.emit()

    def _list(self, listed: Listing) -> None:
        """Makes the list; what is known of captures that stay is kept."""
        known = {capture.path: capture for capture in self.captures}
        self.survey, self.left_out, self._places = listed.survey, listed.left_out, listed.places
        self.captures = (
            [known.get(capture.path, capture) for capture in listed.captures] if known else [*listed.captures]
        )

    def _decoder_names(self) -> list[str]:
        return [choice.name for choice in self._session.setup.choices]

    # ---- one at a time -------------------------------------------------------------------------------------------

    @property
    def can_step(self) -> bool:
        """Whether there is another capture to show."""
        return len(self.captures) > (self.index is not None)

    def step(self, by: int) -> None:
        """Shows the capture that many places further; the list has a first and a last."""
        place = self.index if self._asked is None else self._places.get(self._asked)
        if self.captures:
            self.show(0 if place is None else max(0, min(place + by, len(self.captures) - 1)))

    def show(self, place: int) -> None:
        """Opens a capture in the window as the one before was; of several that are asked for the last."""
        path = self.captures[place].path
        is_shown = self._session.paths[:1] == (path,) and self._session.measurement is not None
        if self._asked is not None or not is_shown or self._is_scaled_otherwise():
            self._asked, self.notice = path, ""
            self._send()

    def _is_scaled_otherwise(self) -> bool:
        """Whether the capture that is open was not divided by the full scale that it shares with the others."""
        table, shared = self._session.role_table, self.survey.full_scales
        if table is None or table.options.integer_scale is not None:
            return False
        kinds = shared_scales(table.rows)  # those whose scale nothing states
        rows = [row for row in table.rows if row.role in IMAGES and row.dtype in kinds]
        return any(row.scale != shared.get(row.dtype, row.scale) for row in rows)

    def _send(self) -> None:
        if self._asked is not None and not self.is_surveying and not self._session.is_opening:
            self._sent = self._asked
            self._session.step_to(self._asked, self.understanding()[1])

    def _follow_session(self) -> None:
        """Sends the capture that was asked for last once the one before was opened, or could not be."""
        self._keep()
        if not self._session.is_opening and self._asked is not None:
            if self._asked == self._sent:
                self._asked = self._sent = None
            else:
                self._send()
        if self.path is not None:
            self.changed.emit()

    # ---- what comes ----------------------------------------------------------------------------------------------

    @property
    def is_watching(self) -> bool:
        """Whether it is looked for captures that come."""
        return self._timer.isActive()

    def watch(self, is_on: bool) -> None:
        """Tells of captures that come, or change, from now on; or no longer."""
        if is_on == self.is_watching:
            return
        if is_on and self.path is not None and not self.is_surveying:
            self._timer.start()
        else:
            self._timer.stop()
        self.changed.emit()

    def _poll(self) -> None:
        if self._polling is None and self._arrivals is not None:
            work = partial(arrived, self._arrivals, *self.understanding(), self._looks, self._decoder_names())
            job = self._lanes.run_look(work, doing=f"watching {self.title}", then=self._take_arrivals)
            self._polling = job
            job.failed.connect(lambda: self._miss_arrivals(job))
            job.cancelled.connect(lambda: self._miss_arrivals(job))

    def _miss_arrivals(self, job: Job) -> None:
        if job is self._polling:
            self._polling = None
            self.notice = "" if job.error is None else f"{job.error} The folder is no longer watched."
            self.watch(False)

    def _take_arrivals(self, job: Job) -> None:
        if job is not self._polling:
            return
        self._polling = None
        if job.result is None or not self.is_watching:
            return
        before = self.survey
        looks, self._looks, listed = job.result
        self._list(listed)
        self.notice = " ".join(grown(before, self.survey))
        self.changed.emit()
        if new := [path for path in looks if path in self._places]:
            self._lanes.log(f"{', '.join(path.name for path in new)} came into {self.title}")
            self.come.emit(new)

"""The training of the window: at most one child process `lorun train` at a time, and what is known of it.

Everything that must outlive the window lies in the training's folder (see `runs`); this object follows the
events of the process, gives it commands, and brings what it made into the library.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from lorun_engine.errors import FileError, LorunError
from lorun_engine.task import TASKS
from lorun_engine.training.events import Previewed, Started, Step, TrainEvent, Validated
from lorun_engine.training.run_folder import EVENTS, PREVIEW, EventFile

from ..document.session import Session
from ..job import Job
from ..problems import Problem
from .child import Child, Follower
from .plan import Plan
from .record import Record, TrainingProgress
from .results import Preview, bring_in, read_preview
from .runs import Run, find_runs, load_run, move_to_trash, new_folder, process_start, runs_folder


class Training(QObject):
    """What the training page shows and asks for. Signals carry nothing: read the attributes then."""

    changed = Signal()  # progress, or the run it is about
    curves_changed = Signal()
    preview_changed = Signal()
    runs_changed = Signal()
    kept = Signal(str)  # the name of the set that is in the library now
    child_ended = Signal()

    def __init__(self, session: Session, library: Sequence[Path]) -> None:
        """What is kept goes into the user's own folder of the `library`."""
        super().__init__(session)
        self.session, self._library = session, tuple(library)
        self._folder: Path | None = None
        self.command: tuple[str, ...] | None = None  # in place of this program's own
        self.run: Run | None = None
        self.progress = TrainingProgress()
        self.record = Record()
        self.is_followed = False  # the process is not ours: it goes on without this window
        self._events = EventFile(Path())  # of the run
        self._looking: Job | None = None  # into the events of the run, while they are read
        self.preview: Preview | None = None
        self.unfinished: tuple[Run, ...] = ()
        self.doing = ""  # what is done to keep a set, in words
        self._is_finding = self._is_another_wanted = False  # a preview
        self._child: Child | Follower | None = None
        self._wanted: Literal["", "keep", "discard", "leave"] = ""  # why it was asked to end
        self._wanted_decoder: str | None = None  # a set that was kept, until it is listed
        session.setup.changed.connect(self._take_decoder)

    @property
    def folder(self) -> Path:
        """Where trainings lie."""
        return self._folder or runs_folder()

    def run_with(self, *, folder: Path | None = None, command: Sequence[str] | None = None) -> None:
        """Lets trainings lie in another folder, or another command stand in for this program's `lorun`."""
        self._folder = folder or self._folder
        self.command = self.command if command is None else tuple(command)

    @property
    def has_child(self) -> bool:
        """Whether a process of ours, or one that we follow, still runs."""
        return self._child is not None

    # ---- starting ------------------------------------------------------------------------------------------------

    def start(self, plan: Plan) -> None:
        """Makes the folder of a new training and starts its process."""
        if self.has_child:
            return
        try:
            folder = new_folder(self.folder, plan.title)
            run = Run(folder, plan.title, plan.task, plan.starting_set, plan.arguments(folder), plan.device)
            run.save()
        except FileError as error:
            self._tell(error)
            return
        self._begin(run, run.arguments)

    def resume(self, run: Run) -> None:
        """Goes on with an unfinished training from its last checkpoint; one without any begins again."""
        if self.has_child or run.is_alive:
            return
        if run.is_resumable:
            self._begin(run, ("train", "--resume", str(run.folder), "--device", run.device, "--events", "json"))
        elif run.is_restartable:
            self._begin(run, run.arguments)

    def watch(self, run: Run) -> None:
        """Follows a training whose process an earlier window left behind."""
        if self.has_child:
            return

        def follow() -> None:
            self._attach(Follower(self.run, self, events=self._events))
            if self.progress.step:
                self._show(replace(self.progress, state="paused" if self.progress.state == "paused" else "running"))
            self._child.start()

        self._look_into(run, then=follow)

    def _begin(self, run: Run, arguments: Sequence[str]) -> None:
        def start() -> None:
            child = Child(arguments, self, command=self.command)
            self._attach(child)
            self._show(replace(self.progress, state="starting"))
            pid = child.start()
            if pid is not None:
                self._save(run, pid=pid, began=process_start(pid), is_settled=False)

        self._look_into(run, then=start)

    def _attach(self, child: Child | Follower) -> None:
        """Shows the run as its events so far tell it, and listens to `child` from now on."""
        self.progress = replace(self.progress, outcome="", seconds_left=None)
        self.record.restart_clock()
        self._child, self.is_followed = child, isinstance(child, Follower)
        child.came.connect(self._come)
        child.ended.connect(partial(self._end, child))
        self.changed.emit()
        self.curves_changed.emit()
        self.find_runs()

    def _look_into(self, run: Run, *, then: Callable[[], None]) -> None:
        """Knows of `run` what its events tell, then goes on; what an earlier training told is read in a worker."""
        is_known = self._looking is None and self.run is not None and self.run.folder == run.folder
        if not is_known:
            self._events, self.record = EventFile(run.folder / EVENTS), Record()
            self.progress = TrainingProgress(num_steps=run.num_steps)
        self.run, self._wanted, self.preview = run, "", None
        self.progress = replace(self.progress, state="starting")

        def know(record: Record, progress: TrainingProgress) -> None:
            self._looking = None
            self.record, self.progress = record, progress
            then()

        if is_known or not self._events.path.exists():
            know(*_told(self._events, self.record, self.progress))
            return
        work = partial(_told, self._events, Record(), self.progress)
        self._looking = self.session.lanes.run_look(
            work,
            doing=f"reading what {run.title} told",
            then=lambda job: know(*job.result) if job is self._looking else None,  # unless something else is wanted
        )
        self.changed.emit()

    # ---- commands ------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Lets the process write a checkpoint and give its memory back, until `go_on`."""
        if self.progress.state == "running" and self._command_child("pause"):
            self._show(replace(self.progress, state="pausing"))

    def go_on(self) -> None:
        """Continues after a pause."""
        if self.progress.state == "paused" and self._command_child("continue"):
            self._show(replace(self.progress, state="running"))

    def validate(self) -> None:
        """Scores the weights as they are now, and keeps them if they are the best."""
        if self.progress.state == "running":
            self._command_child("validate")

    def checkpoint(self) -> None:
        """Writes a checkpoint now."""
        if self.progress.state == "running":
            self._command_child("checkpoint")

    def stop_and_keep(self) -> None:
        """Ends the training; what was best so far can be kept."""
        self._stop("keep")

    def stop_and_discard(self) -> None:
        """Ends the training and gives it up: its folder goes to the trash."""
        self._stop("discard")

    def leave(self) -> None:
        """Ends the process because the window closes; the training is offered again at the next start.

        A process that another window left behind goes on.
        """
        if isinstance(self._child, Follower):
            self.close()
            QTimer.singleShot(0, self, self.child_ended.emit)
        else:
            self._stop("leave")

    def _stop(self, wanted: Literal["keep", "discard", "leave"]) -> None:
        if self._child is None:
            return
        was_starting, self._wanted = self.progress.state == "starting", wanted
        self._show(replace(self.progress, state="stopping", seconds_left=None))
        if not was_starting and self._command_child("discard" if wanted == "discard" else "stop"):
            self._child.expect_the_end()
        else:  # nothing is lost yet, and it does not listen yet
            self._child.end()

    def _command_child(self, command: str) -> bool:
        """Gives the process a command; False, with a sentence, where the folder takes none."""
        try:
            self.run.give(command)
        except FileError as error:
            self._tell(error)
            return False
        return True

    # ---- events --------------------------------------------------------------------------------------------------

    def _come(self, event: TrainEvent) -> None:
        """Takes an event over and shows what it changed."""
        self.progress = self.record.take(event, self.progress)
        if isinstance(event, Step | Validated | Started):
            self.curves_changed.emit()
        if isinstance(event, Previewed):
            self._find_preview()
        self.changed.emit()

    def _find_preview(self) -> None:
        """Reads the latest preview in the worker; one that is half written or gone is passed over."""
        if self._is_finding:
            self._is_another_wanted = True
            return
        self._is_finding, self._is_another_wanted = True, False
        is_photograph = TASKS[self.run.task].is_photograph
        work = partial(read_preview, self.run.folder / PREVIEW, is_photograph=is_photograph)
        job = self.session.lanes.run_file(
            work, doing="reading the preview", then=partial(self._preview_found, self.run.folder)
        )
        for ended in (job.failed, job.cancelled):
            ended.connect(self._finding_ended)

    def _preview_found(self, folder: Path, job: Job) -> None:
        if self.run is not None and self.run.folder == folder and job.result is not None:
            self.preview = job.result
            self.preview_changed.emit()
        self._finding_ended()

    def _finding_ended(self) -> None:
        """Another preview, or another run, may have come while one was read."""
        self._is_finding = False
        if self._is_another_wanted and self.run is not None:
            self._find_preview()

    # ---- ends ----------------------------------------------------------------------------------------------------

    def _end(self, child: Child | Follower) -> None:
        """The process has ended, whoever wanted it to."""
        if child is not self._child:
            return
        self._child, wanted = None, self._wanted
        child.deleteLater()
        self._events.skip()  # they came from the process
        outcome, sentence = self.progress.outcome, self.progress.sentence
        if wanted == "discard":
            outcome, sentence = "discarded", self._given_up()
        elif not outcome:
            outcome = "stopped" if wanted else "broken"
            sentence = self._broken(child.complaint)
            if not (self.run.is_resumable or self.run.is_keepable):
                self._settle(self.run)  # there is nothing to offer
        self._show(replace(self.progress, state="ended", outcome=outcome, sentence=sentence, seconds_left=None))
        if outcome == "broken":
            self.session.lanes.log(sentence, level=logging.WARNING)
        self.find_runs()
        self.child_ended.emit()

    def _broken(self, complaint: str) -> str:
        """Why the process ended early and what is left of it, in words."""
        if self.run.is_resumable:
            left = "Its last checkpoint is there: resume to go on from it."
        else:
            left = "It had written no checkpoint yet; start it again."
        return f"{complaint or 'The training ended early.'} {left}"

    def _given_up(self) -> str:
        try:
            self._settle(self.run)
            place = move_to_trash(self.run.folder)
        except FileError as error:
            return str(error)
        return f"The training was given up; its folder is in {'the trash' if place is None else place}."

    # ---- what is left on the disk --------------------------------------------------------------------------------

    def find_runs(self) -> None:
        """Looks for trainings that were neither kept nor given up."""
        self.session.lanes.run_file(
            partial(find_runs, self.folder), doing="looking for unfinished trainings", then=self._runs_found
        )

    def keep(self, run: Run, name: str) -> None:
        """Copies what a training has so far into the library, under a name of its own."""
        work = partial(bring_in, run, name, self._library)
        then = partial(self._was_kept, run)
        job = self.session.lanes.run_file(work, doing=f"keeping {name}", then=then, is_asked_for=True)
        job.failed.connect(lambda: self.session.lanes.refuse(job))

        def say(doing: str) -> None:
            self.doing = doing
            self.changed.emit()

        for ended in (job.succeeded, job.failed, job.cancelled):
            ended.connect(partial(say, ""))
        say(self.session.lanes.announcement(job))

    def look_at(self, run: Run) -> None:
        """Shows an unfinished training as it ended, with what can be kept of it."""
        if self.has_child:
            return

        def show() -> None:
            outcome = self.progress.outcome or "stopped"
            self._show(replace(self.progress, state="ended", outcome=outcome, seconds_left=None))
            self.curves_changed.emit()
            self._find_preview()

        self._look_into(run, then=show)

    def forget(self) -> None:
        """Leaves the training that is shown; it stays on the disk."""
        if not self.has_child:
            self._events, self._looking = EventFile(Path()), None
            self.run, self.preview = None, None
            self.record, self.progress = Record(), TrainingProgress()
            self.changed.emit()
            self.curves_changed.emit()
            self.preview_changed.emit()
            self.find_runs()

    def use(self, name: str) -> None:
        """Decodes with a set that was kept, as soon as it is listed."""
        self._wanted_decoder = name
        self._take_decoder()

    def trash(self, run: Run) -> None:
        """Moves the folder of an unfinished training to the trash."""
        work = partial(move_to_trash, run.folder)
        doing = f"moving {run.title} to the trash"
        job = self.session.lanes.run_file(work, doing=doing, then=lambda _: self.find_runs(), is_asked_for=True)
        job.failed.connect(lambda: self.session.lanes.refuse(job))

    def _runs_found(self, job: Job) -> None:
        shown = None if self.run is None else self.run.folder
        self.unfinished = tuple(run for run in job.result if run.folder != shown)
        self.runs_changed.emit()

    def _was_kept(self, run: Run, job: Job) -> None:
        name: str = job.result
        self.session.lanes.log(f"The adapter set {name} is in the library")
        self._settle(run)
        self.find_runs()
        self.kept.emit(name)

    def _take_decoder(self) -> None:
        """Switches to the set that was just kept, once it is listed."""
        if self._wanted_decoder in self.session.setup.decoder_names:
            name, self._wanted_decoder = self._wanted_decoder, None
            self.session.setup.switch_decoder(name)

    def _settle(self, run: Run) -> None:
        """Notes that the training is not to be offered again."""
        self._save(run, is_settled=True)

    def _save(self, run: Run, **changes: Any) -> None:
        """Writes down how the training stands; a full disk is told and stands in nobody's way.

        What another window wrote down since, as the process that it started, stays.
        """
        run = replace(load_run(run.folder) or run, **changes)
        if self.run is not None and self.run.folder == run.folder:
            self.run = run
        try:
            run.save()
        except FileError as error:
            self._tell(error)

    def _show(self, progress: TrainingProgress) -> None:
        self.progress = progress
        self.changed.emit()

    def _tell(self, error: LorunError) -> None:
        self.session.lanes.problem_raised.emit(Problem(str(error)))

    def close(self) -> None:
        """Ends what still runs at once; what was learned up to the last checkpoint stays."""
        if self._child is not None:
            self._child.kill(wait=True)
        self._child = self._looking = None


def _told(events: EventFile, record: Record, progress: TrainingProgress) -> tuple[Record, TrainingProgress]:
    """`record` with what was added to a file of events, and how far the training is after them."""
    for event in events.new():
        progress = record.take(event, progress)
    return record, progress

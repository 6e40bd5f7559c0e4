"""The one document of the window: what was opened, the stages decoded from it so far, and what is looked at.

Widgets call verbs and redraw on signals; they hold no state of their own about the work. The session knows none of
the parts that work on it, such as the regions: they know the session and listen to its signals (see `app.assembly`).
Everything slow runs in `lanes`; cubes stay in the `StageStore`; signals carry indices.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.decoding.kept import KeptStages
from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, RoleTable
from lorun_engine.io.scales import FullScales
from lorun_engine.measurement import Measurement
from lorun_engine.task import DEFAULT, TASKS, Task

from ..job import Job
from ..kinds import RGB
from ..problems import Problem, explain
from ..quantities import duration, plural
from ..resources import resource_path
from ..settings import RecentJob
from .decoders import Choice, Decoders
from .decoding import as_asked, decoded
from .lanes import Lanes
from .memory import Memory
from .opening import ALONE, Kept, Opened, is_built_in, open_files
from .pace import Paces, Step, Timed, start_words
from .recipe import Recipe, Restoration, RestorationState, SetAside
from .selection import MEASUREMENT, REFERENCE, Selection, default_panes, followed, fresh
from .setup import Setup
from .stage_store import StageStore


@dataclass(frozen=True)
class _Wish:
    """What is to happen once files are understood; `chosen` is the decoder that the user had asked for by then."""

    job: RecentJob | None  # whose decoder and number of stages are taken
    chosen: str | None
    decode: bool
    before: Callable[[], None] | None
    is_remembered: bool
    kept: Kept  # whose files may be more once they are understood


class Session(QObject):
    """Measurement, stages and selection, with one signal for each; it opens, decodes and cancels.

    A signal is sent once everything has moved, and a stage is one signal: restoration and selection go with it.
    """

    opened_changed = Signal()
    restoration_changed = Signal()
    stage_added = Signal(int)
    selection_changed = Signal()  # and nothing else
    progressed = Signal()  # the decode, and time: see `timed`
    cancelled = Signal()  # nothing is to be decoded any more, by whatever part
    put_aside = Signal(object)  # SetAside: a part that keeps anything of what was open puts it in
    taken_back = Signal(object)  # SetAside: and takes it out
    held_changed = Signal()

    def __init__(self, lanes: Lanes, memory: Memory, setup: Setup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lanes, self.memory, self.setup = lanes, memory, setup
        self.paths: tuple[Path, ...] = ()
        self.options = OpenOptions()
        self.kept = Kept()  # what of it nobody opened or said with the measurement
        self.role_table: RoleTable | None = None
        self.measurement: Measurement | None = None
        self.problem: LorunError | None = None
        self._misfit: LorunError | None = None  # the problem of what is open
        self.restoration = Restoration()
        self.stages = StageStore()
        self.kept_stages = KeptStages()  # of all decodes of the window; the worker alone uses it
        self.paces = Paces()
        self.timed = Timed(self.paces, self)  # the decode of what is open
        self.timed.passed.connect(self.progressed)
        self.num_announced = 0  # stages that the signals have told of
        self.keeps_denoiser_input = False  # in decodes from now on: it doubles what is stored
        self.recipe: Recipe | None = None  # of the stages that are there
        self.selection = Selection()
        self.full_scales_of: Callable[[Path], FullScales] = lambda path: ALONE  # those it shares with its folder
        self.opens_otherwise: Callable[[Sequence[Path]], bool] = lambda paths: False  # whether another part opens them
        self.simulated: set[Path] = set()  # files that were made here and do not stay
        self._is_held = False
        self._opening: Job | None = None
        self._asked: list[Callable[[], None]] = []  # what is to be opened next
        self._decoding: Job | None = None
        self._coming: tuple[StageStore, Recipe] | None = None  # of a decode without any stage yet
        self._before = Restoration()  # of what is shown until then

    # ---- what is open --------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Task:
        """How to show and name what is open; a CASSI snapshot while nothing is."""
        return TASKS[DEFAULT if self.role_table is None else self.role_table.task]

    @property
    def num_bands(self) -> int:
        """Of the scene; 1 while nothing is open."""
        return 1 if self.measurement is None else self.measurement.physics.scene_shape[0]

    @property
    def snapshot(self) -> np.ndarray | None:
        """What was measured as a picture (C', H', W'), also while roles or geometry are in question; None without one.

        Samples of blocks are a matrix: a row for each sample, a column for each block.
        """
        table, image = self.role_table, None if self.measurement is None else self.measurement.y
        if image is None and table is not None:
            image = table.array("measurement")
        if image is None or image.ndim not in (2, 3):
            return None
        if self.kind.measures == "blocks":
            return image.reshape(1, len(image), -1)
        image = image[None] if image.ndim == 2 else image
        is_rgb = self.kind.measures == "picture" and len(image) == len(RGB)
        return image if len(image) == 1 or is_rgb else None

    @property
    def name(self) -> str:
        """Of the measurement, for sentences."""
        return self.paths[0].name if self.paths else "the measurement"

    @property
    def is_sample(self) -> bool:
        """Whether what is open is built in, or was simulated here: nothing that another day should remember."""
        return is_built_in(self.paths) or bool(self.simulated.intersection(self.paths[:1]))

    @property
    def is_opening(self) -> bool:
        """Whether files are being read."""
        return self._opening is not None

    @property
    def is_problem_elsewhere(self) -> bool:
        """Whether the problem is about files that could not be opened, and not about what is open."""
        return self.problem is not self._misfit

    # ---- opening -------------------------------------------------------------------------------------------------

    def open(self, paths: Sequence[Path | str], *, alone: bool = False) -> None:
        """Opens files; what they do not bring themselves (the mask, say) is kept from what was open before.

        With them go the corrections that were made for their folder. `alone` leaves out both, and forgets the latter.

        What is open stays, and is decoded on, until they are understood. Files that are being read come first, so that
        a mask joins its capture however soon it follows.
        """
        files = tuple(Path(path).absolute() for path in paths)
        if files and alone:
            self.memory.remember_folder(files[0].parent, OpenOptions())
            self._ask(lambda: self._open(files, OpenOptions(), keep=None))
        elif files:
            options = self.memory.options_of(files[0].parent)
            self._ask(lambda: self._open(files, options, keep=self.role_table, kept=Kept(options=options)))

    def step_to(self, path: Path, keep: RoleTable | None) -> None:
        """Opens another capture of a folder with the same decoder and number of stages, as `open` does.

        What it does not bring itself is taken from `keep`, or from what is open. It does not count as a recent job
        before it is decoded.
        """
        job = RecentJob(decoder=self.setup.decoder_name, num_stages=self.setup.num_stages or None)
        options, kept = self.memory.options_of(path.parent), keep or self.role_table
        said = Kept(options=options)
        self._ask(lambda: self._open((path,), options, keep=kept, wanted=job, is_remembered=False, kept=said))

    def add(self, paths: Sequence[Path | str]) -> None:
        """Opens files together with those that are open."""
        more = tuple(Path(path).absolute() for path in paths)
        self._ask(
            lambda: self._open(tuple(dict.fromkeys((*self.paths, *more))), self.options, keep=None, kept=self.kept)
        )

    def open_sample(self, name: str, *, decode: bool = False) -> None:
        """Opens the built-in sample of this name, e.g. "cassi", and decodes it if asked to."""
        self._open((resource_path("samples", TASKS[name].sample),), OpenOptions(), keep=None, decode=decode)

    def open_simulated(self, path: Path, before: Callable[[], None]) -> None:
        """Opens a simulated measurement and decodes it with the chosen decoder and number of stages.

        `before` is called once it is understood, while what was open is still there: it may `set_aside` that.
        """
        self.simulated.add(path)
        wanted = RecentJob((str(path),), OpenOptions(), self.setup.decoder_name, self.setup.num_stages or None)
        self._open((path,), OpenOptions(), keep=None, wanted=wanted, decode=True, before=before)

    def open_recent(
        self,
        job: RecentJob,
        *,
        before: Callable[[], None] | None = None,
        kept: Kept = Kept(),  # noqa: B008 - frozen
        scales: FullScales | None = None,
    ) -> None:
        """Opens the files of a recent job with its corrections, decoder and number of stages.

        `before` is called once they are understood, while what was open is still there. `kept` was not said with them,
        and `scales` are the full scales that they shared with others.
        """
        paths = tuple(map(Path, job.paths))
        self._open(paths, job.options, keep=None, wanted=job, before=before, kept=kept, scales=scales)

    def relocate_recent(self, job: RecentJob, folder: Path) -> None:
        """Looks for the missing files of a recent job in `folder`, and opens the job if they are all there."""
        moved = self.memory.relocate(job, folder)
        if moved.missing:
            names = ", ".join(Path(path).name for path in moved.missing)
            problem = Problem(f"{folder} does not hold {names}. Choose the folder it was moved to.")
            self.lanes.problem_raised.emit(problem)
        else:
            self.open_recent(moved)

    def correct(self, options: OpenOptions) -> None:
        """Reads the open files again with other roles or another geometry, and remembers that for their folder."""
        if not self.paths:
            return
        self.options = options  # at once: the next correction builds on it
        if not self.is_sample:
            self.memory.remember_folder(self.paths[0].parent, options)
        self._open(self.paths, options, keep=None, kept=self.kept)

    def dismiss_problem(self) -> None:
        """Takes the sentence about files that could not be opened away; a misfit of what is open stays."""
        self.problem = self._misfit
        self.opened_changed.emit()

    def set_aside(self) -> SetAside:
        """What is open with all its stages, which from now on belong to the caller.

        Nothing is told of it: something else is open at once.
        """
        if self.role_table is None or self.measurement is None:
            raise ValueError("nothing is open that could be set aside")
        aside = SetAside(
            self.paths,
            self.options,
            self.role_table,
            self.measurement,
            self.setup.decoder_name,
            self.setup.fit,
            self.setup.num_stages,
            self.restoration,
            self.stages,
            self.recipe,
            self.selection,
            self.setup.adapting,
        )
        aside.keep(self, ("kept",))
        self.put_aside.emit(aside)
        self.stages = StageStore()
        self.forget_stages()
        return aside

    def take_back(self, aside: SetAside) -> None:
        """Puts what was set aside in the place of what is open."""
        self.cancel()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._asked = []
        self.forget_stages()
        self.paths, self.options, self.role_table = aside.paths, aside.options, aside.role_table
        self.measurement, self.problem, self._misfit = aside.measurement, None, None
        self.stages, self.recipe, self.restoration = aside.stages, aside.recipe, aside.restoration
        self.num_announced = len(aside.stages)
        self.selection = aside.selection
        self.setup.take_back(
            aside.role_table.task,
            aside.measurement,
            decoder_name=aside.decoder_name,
            fit=aside.fit,
            num_stages=aside.num_stages,
            adapting=aside.adapting,
        )
        aside.give_back(self)
        self.taken_back.emit(aside)
        self.selection_changed.emit()
        self.restoration_changed.emit()
        self.opened_changed.emit()

    def _ask(self, open_next: Callable[[], None]) -> None:
        """Opens something once what is being read was understood, or could not be."""
        self._asked.append(open_next)
        if self._opening is None:
            self._open_next()

    def _open_next(self) -> None:
        if self._asked:
            open_next, *others = self._asked
            open_next()
            self._asked = others
            if self._opening is None:  # another part opens it
                self._open_next()

    def _open(
        self,
        paths: tuple[Path, ...],
        options: OpenOptions,
        *,
        keep: RoleTable | None,
        wanted: RecentJob | None = None,
        decode: bool = False,
        before: Callable[[], None] | None = None,
        is_remembered: bool = True,
        kept: Kept = Kept(),  # noqa: B008 - frozen
        scales: FullScales | None = None,
    ) -> None:
        if self.opens_otherwise(paths):
            return
        if self._opening is not None:
            self._opening.cancel()
        self._asked = []
        names = ", ".join(path.name for path in paths)
        chosen = self.setup.wanted_name
        name = wanted.decoder if wanted else chosen
        scales = self.full_scales_of(paths[0]) if scales is None else scales
        work = partial(open_files, paths, options, keep, self.setup.decoders, name, scales)
        then = partial(self._opened, _Wish(wanted, chosen, decode, before, is_remembered, kept), paths)
        job = self.lanes.run_open(work, doing=f"opening {names}", then=then)
        self._opening = job
        job.failed.connect(lambda: self._open_failed(job))
        job.cancelled.connect(lambda: self._open_ended(job))
        self.opened_changed.emit()

    def _opened(self, wish: _Wish, asked: tuple[Path, ...], job: Job) -> None:
        if job is not self._opening:
            return  # something else was asked for meanwhile
        self._opening = None
        self.cancel()
        if wish.before is not None:
            wish.before()
        opened: Opened = job.result
        shown_before = self.kind
        self.paths, self.options, self.role_table = opened.paths, opened.options, opened.role_table
        self.measurement = opened.measurement
        files = (*wish.kept.files, *opened.kept_besides(asked))
        self.kept = replace(wish.kept, files=files).still(opened.paths, opened.options)
        self.problem = self._misfit = opened.problem
        self.forget_stages()
        self.selection = fresh(self.selection, self.kind, before=shown_before, num_bands=self.num_bands)
        chosen, wanted = self.setup.wanted_name, wish.job
        self.setup.suit(opened.role_table.task, self.measurement, choice=opened.choice, fit=opened.fit)
        if chosen is not None and chosen != wish.chosen:  # while the files were read
            self.setup.switch_decoder(chosen)
        if wanted is not None and wanted.decoder == self.setup.decoder_name and wanted.num_stages:
            self.setup.set_num_stages(wanted.num_stages)
        self.lanes.log(f"Opened {', '.join(path.name for path in self.paths)}")
        for note in opened.role_table.notes:
            self.lanes.log(note)
        if self.problem is not None:
            self.lanes.log(str(self.problem), level=logging.WARNING)
        elif wish.is_remembered:
            self._remember_job()
        self.selection_changed.emit()
        self.restoration_changed.emit()
        self.opened_changed.emit()
        if wish.decode:
            self.restore()
        self._open_next()

    def _open_failed(self, job: Job) -> None:
        """A file that cannot be read leaves what was open as it is, and says why beside it."""
        if job is not self._opening:
            return
        self._opening = None
        problem = explain(job.failure, doing=job.title)
        self.problem = job.error if isinstance(job.error, LorunError) else LorunError(problem.sentence)
        self.opened_changed.emit()
        self._open_next()

    def _open_ended(self, job: Job) -> None:
        if job is self._opening:
            self._opening = None
            self.opened_changed.emit()
            self._open_next()

    def _remember_job(self) -> None:
        if not self.is_sample:
            paths, setup = tuple(map(str, self.paths)), self.setup
            self.memory.remember_job(RecentJob(paths, self.options, setup.decoder_name, setup.num_stages or None))

    # ---- decoding ------------------------------------------------------------------------------------------------

    @property
    def can_restore(self) -> bool:
        """Whether Decode would start."""
        return (
            self.measurement is not None
            and self.setup.choice is not None
            and (self.setup.fit is None or self.setup.fit.is_good)
            and not self.restoration.is_busy
            and not self._is_held
            and not self.is_opening
        )

    def hold(self, is_held: bool) -> None:
        """Says that a part of the window decodes by itself, so that Decode has to wait; or that it has ended."""
        self._is_held = is_held
        self.held_changed.emit()

    def restore(self) -> None:
        """Decodes what is open; its stages come one by one, and take the place of those before with the first."""
        setup, choice, measurement = self.setup, self.setup.choice, self.measurement
        if not self.can_restore or choice is None or measurement is None:
            return
        stages, recipe = StageStore(), setup.recipe(choice, self.paths, self.options)
        kept = self.keeps_denoiser_input
        work = partial(_decode, setup.decoders, choice, measurement, stages, recipe, kept, self.kept_stages)
        self.timed.expect(self.paces.of(recipe, measurement))
        self._coming, self._before = (stages, recipe), self.restoration
        if not len(self.stages):
            self._take_coming()
        self.restoration = Restoration(
            "running", num_stages=setup.num_stages, started=time.monotonic(), keeps_denoiser_input=kept
        )
        self.lanes.log(f"Decoding with {recipe.title}, {recipe.length}, on {setup.device}")
        job = Job(work, title=f"decoding {self.name}")
        self._decoding = job
        job.progressed.connect(lambda: self._take_step(job, job.progress))
        job.succeeded.connect(lambda: self._decode_ended(job, "done"))
        job.cancelled.connect(lambda: self._decode_ended(job, "cancelled"))
        job.failed.connect(lambda: self._decode_ended(job, "failed"))
        job.began.connect(lambda: self._decode_began(job))
        self.lanes.decode(job)
        self.restoration = replace(self.restoration, waits_for=self.lanes.before(job))
        self.restoration_changed.emit()
        self._remember_job()

    def cancel(self) -> None:
        """Stops every decode at the end of the iteration or stage that is being computed; the stages so far stay."""
        self.cancelled.emit()
        if self._decoding is not None and self.restoration.state == "running":
            self._decoding.cancel()
            self.restoration = replace(self.restoration, state="cancelling")
            self.restoration_changed.emit()

    def _decode_began(self, job: Job) -> None:
        """What stood before it has ended; the time counts from here."""
        if job is self._decoding:
            self.timed.begin()
            has_waited = bool(self.restoration.waits_for)
            self.restoration = replace(self.restoration, started=time.monotonic(), waits_for="")
            if has_waited:
                self.restoration_changed.emit()

    def _take_step(self, job: Job, step: Step) -> None:
        """Announces every stage up to that of `step`; the mailbox may have skipped some."""
        if job is not self._decoding:
            return
        self.timed.take(step)
        if step.stage >= 0:
            self._take_coming()
        for index in range(self.num_announced if step.stage >= 0 else 0, step.stage + 1):
            elapsed = time.monotonic() - self.restoration.started
            self.num_announced = index + 1
            self.restoration = replace(self.restoration, done_stages=index, seconds=elapsed)
            self.selection = followed(self.selection, index, self.default_panes(index))
            self.stage_added.emit(index)

    def _decode_ended(self, job: Job, state: RestorationState) -> None:
        if job is not self._decoding:
            return
        stages = self.stages if self._coming is None else self._coming[0]
        if len(stages):
            self._take_step(
                job, Step(time.monotonic(), len(stages) - 1, is_reused=stages.row(len(stages) - 1).is_reused)
            )
        self._decoding = None
        self.timed.end()
        has_stages = self._coming is None and len(self.stages) > 0
        done, asked = self.restoration.done_stages if has_stages else 0, self.restoration.num_stages
        error, sentence = None, ""
        if state == "failed":
            problem = self.lanes.fail(job)
            error, sentence = job.error if isinstance(job.error, LorunError) else None, problem.sentence
        elif state == "cancelled":
            sentence = f"Cancelled after {self.timed.pace.step_name} {done} of {asked}." if has_stages else "Cancelled."
        elapsed = time.monotonic() - self.restoration.started
        ended = replace(self.restoration, seconds=elapsed, partial=has_stages and done < asked)
        if self._coming is not None:  # what was shown before is shown still
            ended, self._coming = self._before, None
        self.restoration = replace(ended, state=state, waits_for="", message=sentence, error=error)
        if state != "failed":
            start = start_words(stages.rows())
            took, steps = duration(self.restoration.seconds), plural(asked, self.timed.pace.step_name)
            self.lanes.log(sentence or f"Decoded {steps} in {took}{f', {start}' if start else ''}")
        self.restoration_changed.emit()
        self.setup.look_at_devices()

    def forget_stages(self) -> None:
        """Drops the stages that are there; a decode still under way no longer counts."""
        self._decoding = None
        self.timed.end()
        if self._coming is not None:
            self._coming[0].close()
            self._coming = None
        self._let_go()
        self.recipe = None
        self.restoration = Restoration()

    def _take_coming(self) -> None:
        """The stages that are being decoded take the place of those that are shown."""
        if self._coming is None:
            return
        self._let_go()
        (self.stages, self.recipe), self._coming = self._coming, None
        self.selection = replace(self.selection, stage=0, follow_newest=True, is_arranged=False)

    def _let_go(self) -> None:
        """Shows no stages any more; the shelf may keep them."""
        if not self.stages.is_kept:
            self.stages.close()
        self.stages, self.num_announced = StageStore(), 0

    def show(self, stages: StageStore, recipe: Recipe, restoration: Restoration) -> None:
        """Shows the stages of a decode of what is open that has ended; nothing is decoded meanwhile."""
        if self.restoration.is_busy or stages is self.stages:
            return
        self._let_go()
        self.stages, self.recipe, self.restoration = stages, recipe, restoration
        self.num_announced = len(stages)
        newest = len(stages) - 1
        is_arranged = self.selection.is_arranged and all(pane < len(stages) for pane in self.selection.panes)
        panes = self.selection.panes if is_arranged else self.default_panes(newest)
        self.selection = replace(
            self.selection, stage=newest, panes=panes, alone=None, follow_newest=True, is_arranged=is_arranged
        )
        self.selection_changed.emit()
        self.restoration_changed.emit()

    # ---- what is looked at ---------------------------------------------------------------------------------------

    def select(self, selection: Selection) -> None:
        """Looks at something else; see `looking` for the verbs."""
        if selection != self.selection:
            self.selection = selection
            self.selection_changed.emit()

    def has_pane(self, pane: int) -> bool:
        """Whether there is anything to show in a pane; those of a decode before wait for their stages."""
        if pane == REFERENCE:
            return self.measurement is not None and self.measurement.reference is not None
        return self.measurement is not None if pane == MEASUREMENT else 0 <= pane < self.num_announced

    def default_panes(self, newest: int) -> tuple[int, ...]:
        """The panes that stand side by side when nobody chose others, once stage `newest` is there."""
        return default_panes(newest, self.restoration.num_stages, self.kind)


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _decode(
    decoders: Decoders,
    choice: Choice,
    measurement: Measurement,
    stages: StageStore,
    recipe: Recipe,
    keep_denoiser_input: bool,
    kept: KeptStages,
) -> Iterator[Step]:
    """Decodes into `stages`, from what is kept, and yields every step."""
    from lorun_engine.decoding.report import made_by

    decoder = as_asked(decoders.open(choice), recipe)
    stages.made_by = made_by(decoder.fitted(measurement))
    yield from decoded(decoder, measurement, recipe, stages.append, keep_denoiser_input=keep_denoiser_input, kept=kept)

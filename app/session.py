"""The one document of the window: what was opened, with what it is decoded, the stages so far, and what is looked at.

Widgets call its verbs and redraw on its signals; they hold no state of their own about the work. Everything slow runs
in one worker thread, one thing after another; what somebody waits for and takes little runs in a second one, aside, so
that it does not wait for a decode. Cubes stay in the `StageStore`; signals carry indices.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal

from lorun_engine.decoding.execution import PRECISIONS
from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, RoleTable, write_cube
from lorun_engine.measurement import Measurement

from . import exports, settings
from .checking import Checking
from .comparing import Comparing
from .decoders import Choice, Decoders, Fit, LibraryDecoders, adapted, first_fit
from .job import Job, Worker
from .kinds import KINDS, PERCENTILES, RGB, Kind, Stretch
from .opening import Opened, open_files
from .problems import LOG, Problem, explain
from .regions import Regions
from .resources import resource_path
from .ruler import BandRuler
from .settings import RecentJob, Settings
from .spectral_library import LibraryBeside
from .stage_store import StageStore
from .training import Training
from .what_if import WhatIf
from .workshop import WHOLE, Adapting, Workshop

if TYPE_CHECKING:
    from lorun_engine.decoding.device import Device

REFERENCE = -1  # the pane that shows the true scene
MEASUREMENT = -2  # the pane that shows y

Mode = Literal["colour", "band", "montage", "compare", "residual"]
View = Literal["image", "change", "input"]  # of the panes of stages; see viewers.maps
State = Literal["idle", "running", "cancelling", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class Selection:
    """What is looked at: `panes` are stage indices, REFERENCE or MEASUREMENT; without a `stretch` 0 to 1 is shown.

    `in_colour` says whether pictures have all bands or one: modes such as "compare" know both.
    """

    stage: int = 0
    band: int = 0
    pixel: tuple[int, int] | None = None  # (y, x) of the scene
    panes: tuple[int, ...] = (MEASUREMENT,)
    mode: Mode = "colour"
    in_colour: bool = True
    view: View = "image"
    band_range: tuple[int, int] | None = None  # the first and the last band of those whose mean stands for the band
    composite: tuple[int, int, int] | None = None  # the bands shown as red, green and blue; None for true colour
    stretch: Stretch = PERCENTILES
    shared_stretch: bool = True
    follow_newest: bool = True

    @property
    def bands(self) -> tuple[int, int]:
        """The first and the last band that pictures of single bands show, the mean where they are several."""
        return self.band_range or (self.band, self.band)


@dataclass(frozen=True)
class Restoration:
    """How far the decode is. `partial` says that the stages kept are not all that were asked for."""

    state: State = "idle"
    done_stages: int = 0
    num_stages: int = 0
    started: float | None = None  # time.monotonic()
    seconds: float = 0.0
    seconds_left: float | None = None
    partial: bool = False
    keeps_denoiser_input: bool = False
    message: str = ""
    error: LorunError | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the worker is on it."""
        return self.state in ("running", "cancelling")


@dataclass(frozen=True)
class Recipe:
    """Everything that a decode depends on, so that it can be said and done again."""

    paths: tuple[Path, ...]
    options: OpenOptions
    decoder: str
    num_stages: int
    device: str
    threads: int | None
    precision: str | None  # of the network; None where the decoder has none
    adapting: Adapting = WHOLE

    @property
    def title(self) -> str:
        """As "cassi-any-mask at 60 %"."""
        return f"{self.decoder}{self.adapting.words}"

    @property
    def file_word(self) -> str:
        """The decoder as names of files have it, e.g. "cassi-any-mask_60percent"."""
        return f"{self.decoder}{self.adapting.file_word}"


@dataclass(frozen=True)
class SetAside:
    """A job that waits with everything that was computed while another one is open."""

    paths: tuple[Path, ...]
    options: OpenOptions
    role_table: RoleTable
    measurement: Measurement
    decoder_name: str | None
    fit: Fit | None
    num_stages: int
    restoration: Restoration
    stages: StageStore
    recipe: Recipe | None
    selection: Selection


class Session(QObject):
    """Measurement, decoder, stages and selection, with one signal for each and a verb for everything one can do."""

    opened_changed = Signal()
    decoder_changed = Signal()
    restoration_changed = Signal()
    stage_added = Signal(int)
    selection_changed = Signal()
    log_added = Signal(str)
    problem_raised = Signal(object)  # Problem
    settings_changed = Signal()
    exported = Signal(str)
    worker_idle = Signal()

    def __init__(
        self,
        *,
        library: Sequence[Path] = (),
        settings_path: Path | None = None,
        decoders: Decoders | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`library` are the folders with adapter sets, or `decoders` stands in for them and for the engine's own.

        With `settings_path` None nothing is remembered on the disk.
        """
        super().__init__(parent)
        self.paths: tuple[Path, ...] = ()
        self.options = OpenOptions()
        self.role_table: RoleTable | None = None
        self.measurement: Measurement | None = None
        self.problem: LorunError | None = None
        self._misfit: LorunError | None = None  # the problem of what is open
        self.choices: tuple[Choice, ...] = ()
        self.decoder_name: str | None = None
        self.fit: Fit | None = None  # of the chosen decoder to what is open; None while that is not known
        self.num_stages = 0
        self.device = "cpu"
        self.devices: tuple[Device, ...] = ()
        self.precision = PRECISIONS[0]
        self.threads: int | None = None
        self.restoration = Restoration()
        self.stages = StageStore()
        self.keeps_denoiser_input = False  # in decodes from now on: it doubles what is stored
        self.recipe: Recipe | None = None  # of the stages that are there
        self.selection = Selection()
        self.settings = Settings() if settings_path is None else settings.load(settings_path)
        self._settings_path = settings_path
        self._decoders = decoders or LibraryDecoders(library)
        self._is_decoder_wanted = False  # the user asked for it by name
        self._worker, self._aside = Worker(self), Worker(self)
        for worker in (self._worker, self._aside):
            worker.idle.connect(self._tell_if_idle)
        self._opening: Job | None = None
        self._decoding: Job | None = None
        self._panes_are_automatic = True
        self.workshop = Workshop(self, library, self._decoders)
        self.training = Training(self)
        self.regions = Regions(self)
        self.ruler = BandRuler(self)
        self.checking = Checking(self)
        self.what_if = WhatIf(self)
        self.comparing = Comparing(self, self._decoders)
        self.comparing.changed.connect(self.workshop.compared)
        self.spectral_library = LibraryBeside(self)

    # ---- the engine ----------------------------------------------------------------------------------------------

    def load_engine(self) -> None:
        """Imports torch in the worker and finds decoders and devices; call it once the window is on the screen."""
        job = self._do(partial(_load_engine, self._decoders), doing="loading the engine", then=self._engine_loaded)
        job.failed.connect(lambda: self._engine_failed(job))

    @property
    def is_engine_loaded(self) -> bool:
        """Whether decoders and devices are known."""
        return bool(self.devices)

    @property
    def decoder_names(self) -> tuple[str, ...]:
        """The decoders for the task of what is open; all of them while nothing is."""
        return tuple(choice.name for choice in self._choices_here())

    @property
    def choice(self) -> Choice | None:
        """The chosen decoder."""
        return next((choice for choice in self._choices_here() if choice.name == self.decoder_name), None)

    @property
    def fallback(self) -> Choice | None:
        """A decoder for what is open that needs no weights and is not the chosen one."""
        others = (choice for choice in self._choices_here() if choice.name != self.decoder_name)
        return next((choice for choice in others if not choice.has_weights), None)

    @property
    def plain_choices(self) -> tuple[Choice, ...]:
        """The decoders for what is open that need no weights."""
        return tuple(choice for choice in self._choices_here() if not choice.has_weights)

    @property
    def decoders(self) -> Decoders:
        """Where decoders come from; for the worker thread."""
        return self._decoders

    def switch_decoder(self, name: str) -> None:
        """Takes another decoder, with its own number of stages; the stages that are there stay."""
        if name == self.decoder_name or name not in self.decoder_names:
            return
        self._is_decoder_wanted = True
        self._take_choice(next(choice for choice in self._choices_here() if choice.name == name), fit=None)
        if self.measurement is not None:
            work = partial(first_fit, self._decoders, [self.choice], self.measurement)
            self.run_aside(work, doing=f"opening {name}", then=partial(self._fit_found, self.measurement))

    def set_num_stages(self, num_stages: int) -> None:
        """Asks for `num_stages` stages in the next decode."""
        if num_stages >= 1 and num_stages != self.num_stages:
            self.num_stages = num_stages
            self.decoder_changed.emit()

    def set_device(self, name: str) -> None:
        """Decodes on the device of this name from now on."""
        if name != self.device and name in [device.name for device in self.devices]:
            self.device = name
            self.decoder_changed.emit()

    def set_precision(self, name: str) -> None:
        """Runs networks in this precision from now on; the physics stays in float32."""
        if name != self.precision and name in PRECISIONS:
            self.precision = name
            self.decoder_changed.emit()

    def _engine_loaded(self, job: Job) -> None:
        self.choices, self.devices, self.threads = job.result
        if self.device not in [device.name for device in self.devices]:
            self.device = self.devices[0].name
        if self.choices and self.decoder_name is None:
            self._take_choice(self.choices[0], fit=None)
        self.log(f"The engine is loaded: {', '.join(self.decoder_names)} on {self.devices[0].title}")
        self.decoder_changed.emit()
        self.workshop.start()

    def take_choices(self, choices: Sequence[Choice], *, renamed: tuple[str, str] | None = None) -> None:
        """Takes over what the library holds now; a chosen set that is gone gives way to the first that suits.

        A set that was `renamed` (from, to) stays chosen.
        """
        if tuple(choices) == self.choices:
            return
        self.choices = tuple(choices)
        if renamed is not None and self.decoder_name == renamed[0]:
            self.decoder_name = renamed[1]
        self.decoder_changed.emit()
        if self.choice is not None:
            return
        if self.measurement is None:
            self._take_choice(next(iter(self._choices_here()), None), fit=None)
            return
        work = partial(first_fit, self._decoders, self._choices_here(), self.measurement)
        then = partial(self._first_fit_found, self.measurement)
        self.run_aside(work, doing="finding a decoder that fits", then=then)

    def _first_fit_found(self, measurement: Measurement, job: Job) -> None:
        if measurement is self.measurement and self.choice is None:
            choice, fit = job.result
            self._take_choice(choice, fit=fit)

    def _engine_failed(self, job: Job) -> None:
        self.fit = Fit(False, f"The engine did not load: {job.error}. Reinstall LoRun, or copy the report to tell us.")
        self.decoder_changed.emit()

    def _fit_found(self, measurement: Measurement, job: Job) -> None:
        choice, fit = job.result
        if choice == self.choice and measurement is self.measurement:
            self.fit = fit
            self.decoder_changed.emit()

    def _take_choice(self, choice: Choice | None, *, fit: Fit | None) -> None:
        if choice is None or choice.name != self.decoder_name:
            self.num_stages = 0 if choice is None else choice.num_stages
        self.decoder_name, self.fit = (None if choice is None else choice.name), fit
        self.decoder_changed.emit()

    def _choices_here(self) -> tuple[Choice, ...]:
        task = None if self.role_table is None else self.role_table.task
        return tuple(choice for choice in self.choices if task in (None, choice.task))

    # ---- opening -------------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        """How to show and name what is open; a CASSI snapshot while nothing is."""
        return KINDS["cassi" if self.role_table is None else self.role_table.task]

    @property
    def snapshot(self) -> np.ndarray | None:
        """What was measured as a picture (C', H', W'), also while roles or geometry are in question; None without one.

        Samples of blocks are a matrix: a row for each sample, a column for each block.
        """
        if self.measurement is not None:
            image = self.measurement.y
        else:
            image = None if self.role_table is None else self.role_table.array("measurement")
        if image is None or image.ndim not in (2, 3):
            return None
        if self.kind.measures == "blocks":
            return image.reshape(1, len(image), -1)
        image = image[None] if image.ndim == 2 else image
        is_rgb = self.kind.measures == "picture" and len(image) == len(RGB)
        return image if len(image) == 1 or is_rgb else None

    @property
    def is_opening(self) -> bool:
        """Whether files are being read."""
        return self._opening is not None

    def open(self, paths: Sequence[Path | str]) -> None:
        """Opens files; what they do not bring themselves (the mask, say) is kept from what was open before."""
        paths = tuple(Path(path).absolute() for path in paths)
        if paths:
            options = self.settings.folders.get(str(paths[0].parent), OpenOptions())
            self._open(paths, options, keep=self.role_table)

    def add(self, paths: Sequence[Path | str]) -> None:
        """Opens files together with those that are open."""
        more = tuple(Path(path).absolute() for path in paths)
        self._open((*self.paths, *(path for path in more if path not in self.paths)), self.options, keep=None)

    def open_sample(self, name: str, *, decode: bool = False) -> None:
        """Opens the built-in sample of this name, e.g. "cassi", and decodes it if asked to."""
        self._open((resource_path("samples", f"{name}.h5"),), OpenOptions(), keep=None, decode=decode)

    def open_simulated(self, path: Path) -> None:
        """Opens a simulated measurement and decodes it with the chosen decoder and number of stages."""
        wanted = RecentJob((str(path),), OpenOptions(), self.decoder_name, self.num_stages or None)
        self._open((path,), OpenOptions(), keep=None, wanted=wanted, decode=True)

    def set_aside(self) -> SetAside:
        """What is open with all its stages, which from now on belong to the caller."""
        aside = SetAside(
            self.paths,
            self.options,
            self.role_table,
            self.measurement,
            self.decoder_name,
            self.fit,
            self.num_stages,
            self.restoration,
            self.stages,
            self.recipe,
            self.selection,
        )
        self.stages = StageStore()
        self._forget_stages()
        self.selection = replace(self.selection, stage=0, panes=(MEASUREMENT,), follow_newest=True)
        self.selection_changed.emit()
        self.restoration_changed.emit()
        return aside

    def take_back(self, aside: SetAside) -> None:
        """Puts what was set aside in the place of what is open."""
        self.cancel()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._forget_stages()
        self.paths, self.options, self.role_table = aside.paths, aside.options, aside.role_table
        self.measurement, self.problem, self._misfit = aside.measurement, None, None
        self.stages, self.recipe, self.restoration = aside.stages, aside.recipe, aside.restoration
        self._num_announced = len(aside.stages)
        self.decoder_name, self.fit, self.num_stages = aside.decoder_name, aside.fit, aside.num_stages
        self.selection = aside.selection
        self.decoder_changed.emit()
        self.selection_changed.emit()
        self.restoration_changed.emit()
        self.opened_changed.emit()

    def open_recent(self, job: RecentJob) -> None:
        """Opens the files of a recent job with its corrections, decoder and number of stages."""
        self._open(tuple(map(Path, job.paths)), job.options, keep=None, wanted=job)

    def correct(self, options: OpenOptions) -> None:
        """Reads the open files again with other roles or another geometry, and remembers that for their folder."""
        if not self.paths:
            return
        self.options = options  # at once: the next correction builds on it
        if not self.is_sample:
            self.settings = self.settings.with_folder(self.paths[0].parent, options)
            self._save_settings()
        self._open(self.paths, options, keep=None)

    def _open(
        self,
        paths: tuple[Path, ...],
        options: OpenOptions,
        *,
        keep: RoleTable | None,
        wanted: RecentJob | None = None,
        decode: bool = False,
    ) -> None:
        self.cancel()
        if self._opening is not None:
            self._opening.cancel()
        names = ", ".join(path.name for path in paths)
        name = wanted.decoder if wanted is not None else self.decoder_name if self._is_decoder_wanted else None
        work = partial(open_files, paths, options, keep, self._decoders, name)
        job = self._do(work, doing=f"opening {names}", then=partial(self._opened, wanted, decode))
        self._opening = job
        job.failed.connect(lambda: self._open_failed(job))
        job.cancelled.connect(lambda: self._open_ended(job))
        self.opened_changed.emit()

    def _opened(self, wanted: RecentJob | None, decode: bool, job: Job) -> None:
        if job is not self._opening:
            return  # something else was asked for meanwhile
        self._opening = None
        opened: Opened = job.result
        shown_before = self.kind
        self.paths, self.options, self.role_table = opened.paths, opened.options, opened.role_table
        self.measurement = opened.measurement
        self.problem = self._misfit = opened.problem
        self._forget_stages()
        self.selection = self._fresh_selection(shown_before)
        if opened.measurement is not None:
            self._take_choice(opened.choice, fit=opened.fit)
        else:
            self._take_choice(self.choice, fit=None)
        if wanted is not None and wanted.decoder == self.decoder_name and wanted.num_stages:
            self.set_num_stages(wanted.num_stages)
        self.log(f"Opened {', '.join(path.name for path in self.paths)}")
        for note in opened.role_table.notes:
            self.log(note)
        if self.problem is not None:
            self.log(str(self.problem), level=logging.WARNING)
        elif not self.is_sample:
            self._remember_job()
        self.selection_changed.emit()
        self.restoration_changed.emit()
        self.opened_changed.emit()
        if decode:
            self.restore()

    def _fresh_selection(self, shown_before: Kind) -> Selection:
        """What is looked at first: the measurement; mode and stretch stay where they suit what is open now."""
        selection = replace(
            self.selection, stage=0, band=self._num_bands // 2, pixel=None, panes=(MEASUREMENT,), follow_newest=True
        )
        selection = replace(selection, composite=None, band_range=None)  # other bands
        if self.kind.is_photograph != shown_before.is_photograph:
            selection = replace(selection, stretch=self.kind.stretch, shared_stretch=True)
        if selection.mode == "compare":  # of sides that are gone
            selection = replace(selection, mode="colour" if selection.in_colour else "band")
        return replace(selection, mode="colour", in_colour=True) if self.kind.is_photograph else selection

    def _open_failed(self, job: Job) -> None:
        """A file that cannot be read leaves what was open as it is, and says why beside it."""
        if job is not self._opening:
            return
        self._opening = None
        problem = explain(job.error, doing=job.title)
        self.problem = job.error if isinstance(job.error, LorunError) else LorunError(problem.sentence)
        self.opened_changed.emit()

    def _open_ended(self, job: Job) -> None:
        if job is self._opening:
            self._opening = None
            self.opened_changed.emit()

    @property
    def is_problem_elsewhere(self) -> bool:
        """Whether the problem is about files that could not be opened, and not about what is open."""
        return self.problem is not self._misfit

    def dismiss_problem(self) -> None:
        """Takes the sentence about files that could not be opened away; a misfit of what is open stays."""
        self.problem = self._misfit
        self.opened_changed.emit()

    @property
    def is_sample(self) -> bool:
        """Whether what is open is built in, or was simulated here: nothing that another day should remember."""
        is_built_in = bool(self.paths) and self.paths[0].parent == resource_path("samples")
        return is_built_in or self.what_if.is_open

    # ---- decoding ------------------------------------------------------------------------------------------------

    @property
    def can_restore(self) -> bool:
        """Whether Decode would start."""
        return (
            self.measurement is not None
            and self.choice is not None
            and (self.fit is None or self.fit.is_good)
            and not self.restoration.is_busy
            and not self.comparing.is_running
            and not self.is_opening
        )

    def restore(self) -> None:
        """Decodes what is open; its stages come one by one."""
        if not self.can_restore:
            return
        self._forget_stages()
        self.recipe = self._recipe()
        kept = self.keeps_denoiser_input
        work = partial(_decode, self._decoders, self.choice, self.measurement, self.stages, self.recipe, kept)
        self.restoration = Restoration(
            "running", num_stages=self.num_stages, started=time.monotonic(), keeps_denoiser_input=kept
        )
        self._panes_are_automatic = True
        self._select(replace(self.selection, stage=0, follow_newest=True))
        self.restoration_changed.emit()
        self.log(f"Decoding with {self.recipe.title}, {self.num_stages} stages, on {self.device}")
        job = Job(work, title=f"decoding {self._measurement_name()}")
        self._decoding = job
        job.progressed.connect(lambda: self._take_stages(job, job.progress))
        job.succeeded.connect(lambda: self._decode_ended(job, "done"))
        job.cancelled.connect(lambda: self._decode_ended(job, "cancelled"))
        job.failed.connect(lambda: self._decode_ended(job, "failed"))
        self._worker.give(job)
        if not self.is_sample:
            self._remember_job()

    def cancel(self) -> None:
        """Stops the decode at the end of the stage that is being computed; the stages so far stay."""
        self.comparing.cancel()
        if self._decoding is not None and self.restoration.state == "running":
            self._decoding.cancel()
            self.restoration = replace(self.restoration, state="cancelling", seconds_left=None)
            self.restoration_changed.emit()

    def _take_stages(self, job: Job, newest: int) -> None:
        """Announces every stage up to `newest`; the mailbox may have skipped some."""
        if job is not self._decoding:
            return
        first = self._num_announced
        for index in range(first, newest + 1):
            self._num_announced = index + 1
            self._follow(index)
            self.stage_added.emit(index)
        if newest >= first:
            elapsed = time.monotonic() - self.restoration.started
            left = (self.restoration.num_stages - newest) * elapsed / newest if newest else None
            is_running = self.restoration.state == "running"
            self.restoration = replace(
                self.restoration, done_stages=newest, seconds=elapsed, seconds_left=left if is_running else None
            )
            self.restoration_changed.emit()

    def _decode_ended(self, job: Job, state: State) -> None:
        if job is not self._decoding:
            return
        self._take_stages(job, len(self.stages) - 1)
        self._decoding = None
        done, asked = self.restoration.done_stages, self.restoration.num_stages
        error, sentence = None, ""
        if state == "failed":
            problem = self._failed(job)
            error, sentence = job.error if isinstance(job.error, LorunError) else None, problem.sentence
        elif state == "cancelled":
            sentence = f"Cancelled after stage {done} of {asked}." if len(self.stages) else "Cancelled."
        self.restoration = replace(
            self.restoration,
            state=state,
            seconds=time.monotonic() - self.restoration.started,
            seconds_left=None,
            partial=len(self.stages) > 0 and done < asked,
            message=sentence,
            error=error,
        )
        if state != "failed":
            self.log(sentence or f"Decoded {asked} stages in {self.restoration.seconds:.3g} s")
        self.restoration_changed.emit()
        self._do(_list_devices, doing="looking at the devices", then=self._devices_found)

    def _devices_found(self, job: Job) -> None:
        """Takes over how much memory is free now."""
        self.devices = job.result
        self.decoder_changed.emit()

    def _follow(self, index: int) -> None:
        """Moves the selection to the newest stage unless the user looks elsewhere."""
        selection = self.selection
        if not selection.follow_newest:
            return
        panes = selection.panes
        if self._panes_are_automatic:
            panes = self._automatic_panes(index)
        elif selection.stage in panes:
            panes = tuple(index if pane == selection.stage else pane for pane in panes)
        self._select(replace(selection, stage=index, panes=panes))

    def _automatic_panes(self, newest: int) -> tuple[int, ...]:
        panes = (*(m for m in milestones(self.restoration.num_stages) if m < newest), newest)
        return (MEASUREMENT, *panes[-3:]) if self.kind.measures == "picture" else panes  # before and after

    def _forget_stages(self) -> None:
        """Drops the stages that are there; a decode still under way no longer counts."""
        self._decoding = None
        self._num_announced = 0
        self.stages.close()
        self.stages = StageStore()
        self.recipe = None
        self.restoration = Restoration()

    _num_announced = 0

    # ---- looking -------------------------------------------------------------------------------------------------

    def select_stage(self, index: int) -> None:
        """Looks at a stage; the pane of the stage looked at before shows it. The newest is followed again."""
        if not 0 <= index < self._num_announced:
            return
        selection, panes = self.selection, self.selection.panes
        if index not in panes:
            panes = tuple(index if pane == selection.stage else pane for pane in panes)
            panes = panes if index in panes else (index,)
        is_newest = index == self._num_announced - 1
        self._select(replace(selection, stage=index, panes=panes, follow_newest=is_newest))

    def select_band(self, band: int) -> None:
        """Looks at a single band, 0 the shortest wavelength."""
        if self.measurement is not None:
            band = max(0, min(band, self._num_bands - 1))
            self._select(replace(self.selection, band=band, band_range=None))

    def select_bands(self, bands: tuple[int, int] | None) -> None:
        """Looks at the mean over the bands from the first to the last, or for None at a single one again."""
        if bands is None:
            self._select(replace(self.selection, band_range=None))
        elif 0 <= bands[0] <= bands[1] < self._num_bands:
            mode = self.selection.mode if self.selection.mode in ("band", "compare") else "band"
            self._select(replace(self.selection, band_range=bands, band=sum(bands) // 2, mode=mode, in_colour=False))

    def select_pixel(self, pixel: tuple[int, int] | None) -> None:
        """Puts the cursor at (y, x) of the scene, or nowhere; a place beside the scene is nowhere."""
        if pixel is not None:
            y, x = pixel
            _, height, width = (0, 0, 0) if self.measurement is None else self.measurement.physics.scene_shape
            pixel = (int(y), int(x)) if 0 <= y < height and 0 <= x < width else None
        self._select(replace(self.selection, pixel=pixel))

    def set_panes(self, panes: Sequence[int]) -> None:
        """Shows these stages, REFERENCE or MEASUREMENT side by side; from now on the user arranges the panes."""
        known = [pane for pane in dict.fromkeys(panes) if self.has_pane(pane)]
        if known:
            self._panes_are_automatic = False
            stage = self.selection.stage
            chosen = [pane for pane in known if pane >= 0]
            if chosen and stage not in chosen:
                stage = chosen[-1]
            is_newest = stage == self._num_announced - 1
            self._select(replace(self.selection, panes=tuple(known), stage=stage, follow_newest=is_newest))

    def set_mode(self, mode: Mode) -> None:
        """Shows colour, one band, all bands, or two sides compared; a grey photograph has no bands to tell apart."""
        if self.kind.is_photograph and self._num_bands == 1 and mode in ("band", "montage"):
            mode = "colour"
        in_colour = mode == "colour" if mode in ("colour", "band", "montage") else self.selection.in_colour
        self._select(replace(self.selection, mode=mode, in_colour=in_colour))

    def set_in_colour(self, in_colour: bool) -> None:
        """Shows all bands as colour, or one band, in the mode that is shown; montages are of bands."""
        mode = self.selection.mode
        if mode in ("colour", "band", "montage"):
            self.set_mode("colour" if in_colour else "band" if mode == "colour" else mode)
        elif in_colour or self._num_bands > 1:
            self._select(replace(self.selection, in_colour=in_colour))

    def set_view(self, view: View) -> None:
        """Shows the stages, what each changed, or what its denoiser saw, which decodes keep from now on."""
        self.keeps_denoiser_input = self.keeps_denoiser_input or view == "input"
        self._select(replace(self.selection, view=view))

    def toggle_view(self, view: View) -> None:
        """Shows the stages in this way, or as they are again."""
        if self.selection.mode not in ("colour", "band"):
            self.set_mode("colour" if self.selection.in_colour else "band")
            self.set_view(view)
        else:
            self.set_view("image" if self.selection.view == view else view)

    def reset_panes(self) -> None:
        """Shows the panes that stand side by side when nobody chose others."""
        self._panes_are_automatic = True
        if self._num_announced:
            newest = self._num_announced - 1
            self._select(replace(self.selection, stage=newest, panes=self._automatic_panes(newest), follow_newest=True))

    def set_composite(self, bands: tuple[int, int, int] | None) -> None:
        """Shows three bands as red, green and blue, or for None the colours that the eye would see."""
        if bands is None or all(0 <= band < self._num_bands for band in bands):
            self._select(replace(self.selection, composite=bands))

    def set_stretch(self, stretch: Stretch, shared: bool) -> None:
        """Black and white of the display: percentiles, the same for all panes or each its own, or 0 and 1 for None."""
        if stretch is None or 0 <= stretch[0] < stretch[1] <= 100:
            self._select(replace(self.selection, stretch=stretch, shared_stretch=shared))

    @property
    def _num_bands(self) -> int:
        return 1 if self.measurement is None else self.measurement.physics.scene_shape[0]

    def has_pane(self, pane: int) -> bool:
        """Whether there is anything to show in a pane; those of a decode before wait for their stages."""
        if pane == REFERENCE:
            return self.measurement is not None and self.measurement.reference is not None
        return self.measurement is not None if pane == MEASUREMENT else 0 <= pane < self._num_announced

    def _select(self, selection: Selection) -> None:
        if selection != self.selection:
            self.selection = selection
            self.selection_changed.emit()

    # ---- exporting -----------------------------------------------------------------------------------------------

    def export(self, path: Path | str, *, stage: int | None = None) -> None:
        """Writes the newest stage, or `stage`, as a cube; the format follows from the suffix."""
        if not len(self.stages):
            return
        row = self.stages.row(len(self.stages) - 1 if stage is None else stage)
        image, wavelengths_nm = self.stages.image(row.index), self.measurement.wavelengths_nm
        attributes = {
            "adapter": self.recipe.title,
            "source": str(self.measurement.path or self._measurement_name()),
            "intensity_scale": row.input_scale,
            "dark_level": self.measurement.dark_level,
        }
        inputs = self.recipe.paths
        self._export(
            Path(path),
            lambda target: write_cube(
                target, image, wavelengths_nm=wavelengths_nm, attributes=attributes, protected=inputs
            ),
        )

    def export_spectra(self, path: Path | str, *, side: int = 1) -> None:
        """Writes the spectra at the pinned pixel, means over `side` x `side` pixels, as CSV: one column per stage.

        Of photographs it writes the values along the row of that pixel, means over channels and `side` rows.
        """
        pixel = self.selection.pixel
        if pixel is None or not len(self.stages):
            return
        columns = {f"stage_{row.index}": partial(self.stages.image, row.index) for row in self.stages.rows()}
        if self.measurement.reference is not None:
            columns["reference"] = partial(np.asarray, self.measurement.reference)
        wavelengths_nm, inputs = self.measurement.wavelengths_nm, self.recipe.paths
        if self.kind.is_photograph:
            write = partial(exports.write_profiles, row=pixel[0])
        else:
            write = partial(exports.write_spectra, pixel=pixel, wavelengths_nm=wavelengths_nm)
        self._export(Path(path), lambda target: write(target, columns, side=side, protected=inputs))

    def export_picture(self, path: Path | str) -> None:
        """Writes the chosen stage as a picture in its colours, with the stretch of the display."""
        if not len(self.stages):
            return
        image, selection = self.stages.image(self.selection.stage), self.selection
        levels_from = self.stages.image(len(self.stages) - 1) if selection.shared_stretch else image
        wavelengths_nm, inputs = self.measurement.wavelengths_nm, self.recipe.paths
        self._export(
            Path(path),
            lambda target: exports.write_picture(
                target,
                image,
                wavelengths_nm=wavelengths_nm,
                is_photograph=self.kind.is_photograph,
                composite=selection.composite,
                levels_from=levels_from,
                stretch=selection.stretch,
                protected=inputs,
            ),
        )

    def command(self) -> str | None:
        """The `lorun restore` line that does the decode again; None while nothing is open."""
        if self.measurement is None or self.choice is None:
            return None
        return exports.restore_command(self.recipe or self._recipe(), self.role_table)

    def _recipe(self) -> Recipe:
        threads = self.threads if self.device == "cpu" else None
        precision = self.precision if self.choice.has_weights else None
        return Recipe(
            self.paths,
            self.options,
            self.decoder_name,
            self.num_stages,
            self.device,
            threads,
            precision,
            self.workshop.adapting,
        )

    def write_file(self, path: Path, write: Callable[[Path], None]) -> None:
        """Lets `write` make a file in the worker, and says so."""
        self._export(path, write)

    def _export(self, path: Path, write: Callable[[Path], None]) -> None:
        job = self._do(lambda: write(path), doing=f"writing {path.name}", then=lambda job: self._exported(path))
        job.failed.connect(lambda: self._export_failed(job))

    def _export_failed(self, job: Job) -> None:
        problem = explain(job.error, doing=job.title)
        if not problem.is_bug:  # bugs are shown anyway
            self.problem_raised.emit(problem)

    def _exported(self, path: Path) -> None:
        self.log(f"Wrote {path}")
        self.exported.emit(str(path))

    # ---- remembering, reporting, ending --------------------------------------------------------------------------

    def set_theme(self, choice: str) -> None:
        """Remembers "system", "light" or "dark"."""
        self.settings = replace(self.settings, theme=choice)
        self._save_settings()

    def remember_window(self, geometry: str) -> None:
        """Remembers where the window was and how large, as Qt's geometry in hex; `close` writes it."""
        self.settings = replace(self.settings, window=geometry)

    def relocate_recent(self, job: RecentJob, folder: Path) -> None:
        """Looks for the missing files of a recent job in `folder`, and opens the job if they are all there."""
        moved = job.relocated(folder)
        self.settings = self.settings.without_recent(job).with_recent(moved)
        self._save_settings()
        if moved.missing:
            names = ", ".join(Path(path).name for path in moved.missing)
            self.problem_raised.emit(Problem(f"{folder} does not hold {names}. Choose the folder it was moved to."))
        else:
            self.open_recent(moved)

    def self_test(self) -> None:
        """Runs the checks of `lorun self-test` in the worker; every check is a line of the log."""
        self._do(_self_test, doing="testing itself", then=self._self_tested)

    def _self_tested(self, job: Job) -> None:
        for line in job.result:
            self.log(line)

    def log(self, sentence: str, *, level: int = logging.INFO) -> None:
        """Adds a line to the log."""
        LOG.log(level, sentence)
        self.log_added.emit(f"{time.strftime('%H:%M:%S')}  {sentence}")

    def report_lines(self) -> list[str]:
        """Device and shapes, for a report."""
        titles = {device.name: device.title for device in self.devices}
        lines = [f"device {self.device} ({titles.get(self.device, 'engine not loaded')}), decoder {self.decoder_name}"]
        if self.role_table is not None:
            lines += [
                f"{row.role or 'unused'}: {' x '.join(map(str, row.shape))} {row.dtype}" for row in self.role_table.rows
            ]
        state = self.restoration
        return [*lines, f"restoration {state.state}, {state.done_stages} of {state.num_stages} stages"]

    @property
    def is_busy(self) -> bool:
        """Whether a worker has anything to do."""
        return bool(self._worker.jobs or self._aside.jobs)

    def tasks(self) -> list[str]:
        """What the workers are on, in words."""
        return [*(job.title for job in (*self._worker.jobs, *self._aside.jobs)), *self.training.tasks()]

    def cancel_all(self) -> None:
        """Asks everything that runs or waits to stop."""
        self.cancel()
        for worker in (self._worker, self._aside):
            worker.cancel_all()
        self.training.leave()

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """Stops everything and ends the workers; False if one was still busy after `timeout_s`."""
        self.training.close()
        self.workshop.close()
        self._save_settings()
        has_ended = all([worker.stop(timeout_s=timeout_s) for worker in (self._aside, self._worker)])
        if has_ended:
            self.stages.close()
            self.comparing.results.clear()
            self.what_if.close()
        return has_ended

    def run_job(self, work: Callable, *, doing: str, then: Callable[[Job], None]) -> Job:
        """Gives slow `work` to the worker thread; `then` gets the job in this one once it has succeeded."""
        return self._do(work, doing=doing, then=then)

    def run_aside(self, work: Callable, *, doing: str, then: Callable[[Job], None]) -> Job:
        """As `run_job`, for work of less than a second that decodes nothing and that a decode may not keep waiting."""
        return self._do(work, doing=doing, then=then, worker=self._aside)

    def _do(self, work: Callable, *, doing: str, then: Callable[[Job], None], worker: Worker | None = None) -> Job:
        """Gives `work` to the worker; what goes wrong is logged, and shown when it is a bug."""
        job = Job(work, title=doing)
        job.succeeded.connect(lambda: then(job))
        job.failed.connect(lambda: self._failed(job))
        return (worker or self._worker).give(job)

    def _tell_if_idle(self) -> None:
        if not self.is_busy:
            self.worker_idle.emit()

    def _failed(self, job: Job) -> Problem:
        problem = explain(job.error, doing=job.title)
        self.log(problem.sentence, level=logging.WARNING)
        if problem.is_bug:
            LOG.error("unexpected error while %s", job.title, exc_info=job.error)
            self.problem_raised.emit(problem)
        return problem

    def _remember_job(self) -> None:
        self.settings = self.settings.with_recent(
            RecentJob(tuple(map(str, self.paths)), self.options, self.decoder_name, self.num_stages or None)
        )
        self._save_settings()

    def _save_settings(self) -> None:
        if self._settings_path is not None:
            settings.save(self._settings_path, self.settings)
        self.settings_changed.emit()

    def _measurement_name(self) -> str:
        return self.paths[0].name if self.paths else "the measurement"


def milestones(num_stages: int) -> tuple[int, ...]:
    """Four stages, the first and the last among them, that stand side by side when nobody chose others."""
    return tuple(dict.fromkeys(round(1 + part * (num_stages - 1) / 3) for part in range(4)))


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _decode(
    decoders: Decoders,
    choice: Choice,
    measurement: Measurement,
    stages: StageStore,
    recipe: Recipe,
    keep_denoiser_input: bool,
) -> Iterator[int]:
    """Decodes into `stages` and yields the index of every stage."""
    from lorun_engine.decoding.restore import restore

    decoder = adapted(decoders.open(choice), scale=recipe.adapting.scale, ablated=recipe.adapting.ablated)
    if recipe.precision is not None:
        decoder = decoder.running(precision=recipe.precision)
    for result in restore(
        decoder,
        measurement,
        num_stages=recipe.num_stages,
        device=recipe.device,
        threads=recipe.threads,
        keep_denoiser_input=keep_denoiser_input,
    ):
        yield stages.append(result)


def _load_engine(decoders: Decoders) -> tuple:
    """Choices, devices, and the number of CPU threads."""
    import torch

    return decoders.choices(), _list_devices(), torch.get_num_threads()


def _list_devices() -> tuple[Device, ...]:
    from lorun_engine.decoding.device import list_devices

    return tuple(list_devices())


def _self_test() -> list[str]:
    """One line for every check."""
    from lorun_engine.cli.self_test import SELF_TESTS

    lines = []
    for title, check in SELF_TESTS.items():
        try:
            check(resource_path())
            lines.append(f"ok      {title}")
        except Exception as error:  # a self-test reports whatever broke, of any kind
            lines.append(f"FAILED  {title}: {type(error).__name__}: {error}")
    return lines

"""With what the next decode is made: the decoder, its number of stages, the device, the precision and the strength.

It knows of what is open only its task and its measurement, which the session tells it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from lorun_engine.decoding.execution import PRECISIONS
from lorun_engine.io import OpenOptions
from lorun_engine.measurement import Measurement

from ..garbage import keep_what_is_loaded
from ..job import Job
from ..quantities import plural
from .decoders import Choice, Decoders, Fit, first_fit
from .lanes import Lanes
from .recipe import MOST_PERCENT, WHOLE, Adapting, Recipe

if TYPE_CHECKING:
    from lorun_engine.decoding.device import Device


class Setup(QObject):
    """Everything about the next decode that can be chosen, with a verb for each choice."""

    changed = Signal()
    adapting_changed = Signal()
    loaded = Signal()  # the engine

    def __init__(self, decoders: Decoders, lanes: Lanes, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.decoders = decoders  # for the worker threads
        self.choices: tuple[Choice, ...] = ()
        self.decoder_name: str | None = None
        self.fit: Fit | None = None  # of the chosen decoder to what is open; None while that is not known
        self.num_stages = 0
        self.device = "cpu"
        self.devices: tuple[Device, ...] = ()
        self.precision = PRECISIONS[0]
        self.threads: int | None = None  # of the CPU; None until the engine is loaded
        self._wanted_threads: int | None = None  # None: as many as torch takes
        self._torch_threads: int | None = None
        self._lanes = lanes
        self._task: str | None = None  # of what is open
        self._measurement: Measurement | None = None
        self._is_wanted = False  # the user asked for the decoder by name
        self._adapting: dict[str, Adapting] = {}  # of the chosen decoder alone

    # ---- the engine ----------------------------------------------------------------------------------------------

    def load_engine(self) -> None:
        """Imports torch in the worker and finds decoders and devices; call it once the window is on the screen."""
        work = partial(_load_engine, self.decoders)
        job = self._lanes.run_open(work, doing="loading the engine", then=self._take_engine)
        job.failed.connect(lambda: self._miss_engine(job))

    @property
    def is_engine_loaded(self) -> bool:
        """Whether decoders and devices are known."""
        return bool(self.devices)

    def look_at_devices(self) -> None:
        """Finds out how much memory is free now."""
        self._lanes.run(_list_devices, doing="looking at the devices", then=self._take_devices)

    def _take_engine(self, job: Job) -> None:
        self.choices, devices, self._torch_threads = job.result
        self._know_devices(devices)
        if self.choices and self.decoder_name is None:
            self._take_choice(self.choices[0], fit=None)
        self._lanes.log(f"The engine is loaded: {', '.join(self.decoder_names)} on {self.devices[0].title}")
        self._tell()
        self.loaded.emit()

    def _miss_engine(self, job: Job) -> None:
        self.fit = Fit(False, f"The engine did not load: {job.error}. Reinstall LoRun, or copy the report to tell us.")
        self._tell()

    def _take_devices(self, job: Job) -> None:
        self._know_devices(job.result)
        self._tell()

    def set_threads(self, num_threads: int | None) -> None:
        """Decodes with so many threads of the CPU from now on; None takes as many as torch does."""
        self._wanted_threads = num_threads
        if self.is_engine_loaded:
            self._know_devices(self.devices)
            self._tell()

    def begin_with(self, *, device: str, precision: str, threads: int | None) -> None:
        """What decodes are made with from the start; call it before the engine is loaded, which knows the devices."""
        self.device, self.precision, self._wanted_threads = device, precision, threads

    def _know_devices(self, devices: Sequence[Device]) -> None:
        """Takes the devices that there are, the CPU with the threads of decodes; the first stands in for one gone."""
        self.threads = self._wanted_threads or self._torch_threads
        words = "CPU" if self.threads is None else f"CPU · {plural(self.threads, 'thread')}"
        self.devices = tuple(replace(each, title=words) if each.name == "cpu" else each for each in devices)
        names = [device.name for device in devices]
        if names and self.device not in names:
            sentence = f"{self.device} is no longer there; the next decode runs on {names[0]}"
            self._lanes.log(sentence, level=logging.WARNING)
            self.device = names[0]

    # ---- the decoder ---------------------------------------------------------------------------------------------

    @property
    def decoder_names(self) -> tuple[str, ...]:
        """The decoders for the task of what is open; all of them while nothing is."""
        return tuple(choice.name for choice in self._choices_here())

    @property
    def choice(self) -> Choice | None:
        """The chosen decoder."""
        return next((choice for choice in self._choices_here() if choice.name == self.decoder_name), None)

    @property
    def wanted_name(self) -> str | None:
        """The chosen decoder, where the user asked for it by name."""
        return self.decoder_name if self._is_wanted else None

    @property
    def fallback(self) -> Choice | None:
        """A decoder for what is open that needs no weights and is not the chosen one."""
        return next((choice for choice in self.plain_choices if choice.name != self.decoder_name), None)

    @property
    def plain_choices(self) -> tuple[Choice, ...]:
        """The decoders for what is open that need no weights."""
        return tuple(choice for choice in self._choices_here() if not choice.has_weights)

    def switch_decoder(self, name: str) -> None:
        """Takes another decoder, with its own number of stages; the stages that are there stay."""
        if name == self.decoder_name or name not in self.decoder_names:
            return
        self._is_wanted = True
        choice = next(choice for choice in self._choices_here() if choice.name == name)
        self._take_choice(choice, fit=None)
        if self._measurement is not None:
            work = partial(first_fit, self.decoders, [choice], self._measurement)
            self._lanes.run_aside(work, doing=f"opening {name}", then=partial(self._take_fit, self._measurement))

    def take(self, recipe: Recipe) -> None:
        """Takes the decoder of an earlier decode with its stages, strength, device and precision, where it is there."""
        self.switch_decoder(recipe.decoder)
        if self.decoder_name != recipe.decoder:
            return
        self.set_num_stages(recipe.num_stages)
        self.set_device(recipe.device)
        if recipe.precision is not None:
            self.set_precision(recipe.precision)
        self._adapt(recipe.adapting)

    def set_num_stages(self, num_stages: int) -> None:
        """Asks for `num_stages` stages in the next decode."""
        if num_stages >= 1 and num_stages != self.num_stages:
            self.num_stages = num_stages
            self._tell()

    def set_device(self, name: str) -> None:
        """Decodes on the device of this name from now on."""
        if name != self.device and name in [device.name for device in self.devices]:
            self.device = name
            self._tell()

    def set_precision(self, name: str) -> None:
        """Runs networks in this precision from now on; the physics stays in float32."""
        if name != self.precision and name in PRECISIONS:
            self.precision = name
            self._tell()

    def take_choices(self, choices: Sequence[Choice], *, renamed: tuple[str, str] | None = None) -> None:
        """Takes over what the library holds now; a chosen set that is gone gives way to the first that suits.

        A set that was `renamed` (from, to) stays chosen.
        """
        if tuple(choices) == self.choices:
            return
        self.choices = tuple(choices)
        if renamed is not None and self.decoder_name == renamed[0]:
            self.decoder_name = renamed[1]
        self._tell()
        if self.choice is not None:
            return
        if self._measurement is None:
            self._take_choice(next(iter(self._choices_here()), None), fit=None)
            return
        work = partial(first_fit, self.decoders, self._choices_here(), self._measurement)
        then = partial(self._take_first_fit, self._measurement)
        self._lanes.run_aside(work, doing="finding a decoder that fits", then=then)

    def _take_first_fit(self, measurement: Measurement, job: Job) -> None:
        if measurement is self._measurement and self.choice is None:
            choice, fit = job.result
            self._take_choice(choice, fit=fit)

    def _take_fit(self, measurement: Measurement, job: Job) -> None:
        choice, fit = job.result
        if choice == self.choice and measurement is self._measurement:
            self.fit = fit
            self._tell()

    def _take_choice(self, choice: Choice | None, *, fit: Fit | None) -> None:
        if choice is None or choice.name != self.decoder_name:
            self.num_stages = 0 if choice is None else choice.num_stages
        self.decoder_name, self.fit = (None if choice is None else choice.name), fit
        self._tell()

    def _choices_here(self) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if self._task in (None, choice.task))

    def _tell(self) -> None:
        self._adapting = {name: kept for name, kept in self._adapting.items() if name == self.decoder_name}
        self.changed.emit()

    # ---- how much of it ------------------------------------------------------------------------------------------

    @property
    def is_adaptable(self) -> bool:
        """Whether the chosen decoder has adapters to scale and ablate."""
        return self.choice is not None and self.choice.is_adaptable

    @property
    def adapting(self) -> Adapting:
        """How much of the chosen set the next decode takes."""
        choice = self.choice
        return WHOLE if choice is None or not choice.is_adaptable else self._adapting.get(choice.name, WHOLE)

    def set_percent(self, percent: int) -> None:
        """Takes `percent` of the set's differences in the next decode, 0 (the shared backbone) to 150."""
        self._adapt(Adapting(max(0, min(percent, MOST_PERCENT)), self.adapting.ablated))

    def set_ablated(self, stage: int, is_ablated: bool) -> None:
        """Lets `stage` (from 1) run the shared backbone in the next decode, or its own weights again."""
        others = set(self.adapting.ablated) - {stage}
        self._adapt(Adapting(self.adapting.percent, tuple(sorted(others | {stage} if is_ablated else others))))

    def take_whole(self) -> None:
        """Takes the set as it is again, in all stages."""
        self._adapt(WHOLE)

    def _adapt(self, adapting: Adapting) -> None:
        choice = self.choice
        if choice is None or not choice.is_adaptable or adapting == self.adapting:
            return
        if any(stage > choice.num_stages for stage in adapting.ablated):
            return
        self._adapting = {choice.name: adapting}
        self.adapting_changed.emit()

    # ---- for what is open ----------------------------------------------------------------------------------------

    def suit(self, task: str, measurement: Measurement | None, *, choice: Choice | None, fit: Fit | None) -> None:
        """Takes the decoder that was found for what is open now; without a measurement the chosen one stays."""
        self._task, self._measurement = task, measurement
        if choice is not None and choice not in self.choices:  # found before the library was listed again
            self.choices = (*self.choices, choice)
        if measurement is None:
            self._take_choice(self.choice, fit=None)
        else:
            self._take_choice(choice, fit=fit)

    def take_back(
        self,
        task: str,
        measurement: Measurement,
        *,
        decoder_name: str | None,
        fit: Fit | None,
        num_stages: int,
        adapting: Adapting,
    ) -> None:
        """Takes what was chosen for a measurement that is open again."""
        self._task, self._measurement = task, measurement
        self.decoder_name, self.fit, self.num_stages = decoder_name, fit, num_stages
        self._adapting = {} if decoder_name is None else {decoder_name: adapting}
        self._tell()
        self.adapting_changed.emit()

    def recipe(self, choice: Choice, paths: tuple[Path, ...], options: OpenOptions) -> Recipe:
        """The decode of these files with this decoder as it would be made now."""
        return Recipe(
            paths,
            options,
            choice.name,
            self.num_stages,
            self.device,
            self.threads if self.device == "cpu" else None,
            self.precision if choice.has_weights else None,
            self.adapting,
            choice.step_name,
        )

    def recipe_as_it_is(self, choice: Choice, paths: tuple[Path, ...], options: OpenOptions) -> Recipe:
        """The decode of these files with this decoder as it is, with its own number of stages."""
        return replace(self.recipe(choice, paths, options), num_stages=choice.num_stages, adapting=WHOLE)


# ---- in the worker thread ----------------------------------------------------------------------------------------


def _load_engine(decoders: Decoders) -> tuple[tuple[Choice, ...], tuple[Device, ...], int]:
    """Choices, devices, and the number of CPU threads."""
    is_first = "torch" not in sys.modules
    import torch

    if is_first:
        keep_what_is_loaded()
    return decoders.choices(), _list_devices(), torch.get_num_threads()


def _list_devices() -> tuple[Device, ...]:
    from lorun_engine.decoding.device import list_devices

    return tuple(list_devices())

"""The three questions of an adaptation (to what, from which data, for how long) with their answers, and what they are
worth: the plan, or what is missing for one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lorun_engine.errors import LorunError
from lorun_engine.io.commands import camera_words
from lorun_engine.io.options import Option
from lorun_engine.io.pairs import pairs_among
from lorun_engine.io.reading import reading_of
from lorun_engine.schema import Between
from lorun_engine.task import DEFAULT, TASKS

from ..document.decoders import Choice
from ..document.session import Session
from .material import Material
from .plan import Aim, Plan, Preset, Probe, capture_of, companions_of, stated_noise, suggested_title
from .probing import Probing
from .scenes import Route, Wanted

USUAL_LEVELS = {"shot": "200", "gaussian": "0.02"}  # electrons at the peak; a standard deviation


@dataclass(frozen=True)
class Answers:
    """What was chosen and typed, as it stands there.

    `is_given` says that the texts `given`, by the options that they are of, describe the instrument in place of the
    open measurement; what is not there is as usual.
    """

    aim: Aim = "camera"
    starting_set: str | None = None  # the one that `Planning` proposes where there is none
    is_given: bool = False
    given: Mapping[str, str] = field(default_factory=dict)
    noise: str = ""  # "shot", "gaussian" or none
    level: str = ""
    route: Route = "scenes"
    preset: Preset = "standard"
    title: str = ""  # the suggested one where there is none
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Situation:
    """What the values and the choice of the advanced settings depend on."""

    preset: Preset
    task: str
    route: Route
    has_scenes: bool


class Planning(QObject):
    """Everything is pre-filled from what is open; the page shows this and takes answers."""

    changed = Signal()  # the answers, what they are about, or the files to learn from

    def __init__(self, session: Session, probing: Probing) -> None:
        super().__init__(session)
        self._session, self._probing = session, probing
        self._noise_from: tuple[Path, ...] | None = None  # the files that the noise was taken from
        self._had_pairs = False
        self.answers = Answers()
        self.material = Material(session.lanes, self)
        for changed in (session.opened_changed, session.setup.changed):
            changed.connect(self._follow)
        self.material.changed.connect(self._follow_pairs)
        self.material.changed.connect(self.changed)
        self._follow()

    # ---- answers -------------------------------------------------------------------------------------------------

    def take(self, answers: Answers, *, is_typing: bool = False) -> None:
        """Takes other answers; while one `is_typing` nobody is told."""
        if is_typing:
            self.answers = answers
        elif answers != self.answers:
            if answers.noise != self.answers.noise:
                answers = replace(answers, level=USUAL_LEVELS.get(answers.noise, ""))
            self.answers = answers
            self._settle()

    def tell(self) -> None:
        """Says that what was being typed stands."""
        self._settle()

    def keep_starting_set(self) -> None:
        """Takes the proposed set as chosen: somebody has seen it, so it stays when the decoder changes."""
        self.answers = replace(self.answers, starting_set=self.starting_set)

    def _follow(self) -> None:
        """Another measurement or decoder: the noise that the measurement states is taken."""
        session = self._session
        if session.paths != self._noise_from:
            self._noise_from = session.paths
            stated = "" if session.role_table is None else stated_noise(session.role_table)
            noise, _, level = stated.partition(":")
            is_known = noise in USUAL_LEVELS
            self.answers = replace(self.answers, noise=noise if is_known else "", level=level if is_known else "")
        self._settle()

    def _follow_pairs(self) -> None:
        """Pairs among the files are taken for what they are, once; who wants their scenes alone says so afterwards."""
        has_pairs, had_pairs = self.has_pairs, self._had_pairs
        self._had_pairs = has_pairs
        if has_pairs and not had_pairs and self.answers.route == "scenes":
            self.take(replace(self.answers, route="pairs"))

    def _settle(self) -> None:
        is_given = self.answers.is_given and bool(self._options)
        aim = self.answers.aim if self.answers.aim in self.aims else self.aims[0]
        route = self.answers.route if self.answers.route in self.routes else self.routes[0]
        self.answers = replace(self.answers, is_given=is_given, aim=aim, route=route)
        self.material.set_wanted(self._wanted())
        self.changed.emit()

    # ---- what they are about -------------------------------------------------------------------------------------

    @property
    def choices(self) -> list[Choice]:
        """The sets to start from: for what is open, or all of them while nothing is."""
        table = self._session.role_table
        task = None if table is None else table.task
        return [choice for choice in self._session.setup.choices if choice.has_weights and task in (None, choice.task)]

    @property
    def starting_set(self) -> str | None:
        """The chosen set to start from, or the chosen decoder, or the first set; None while there is none."""
        names = [choice.name for choice in self.choices]
        liked = (self.answers.starting_set, self._session.setup.decoder_name, *names)
        return next((name for name in liked if name in names), None)

    @property
    def task(self) -> str | None:
        """The task of the starting set; None while there is no set."""
        name = self.starting_set
        return next((choice.task for choice in self.choices if choice.name == name), None)

    @property
    def aims(self) -> tuple[Aim, ...]:
        """What a set of the task can adapt to."""
        table = self._session.role_table
        task = self.task or (DEFAULT if table is None else table.task)
        return ("degradation" if TASKS[task].given else "camera", "scenes")

    @property
    def routes(self) -> tuple[Route, ...]:
        """What a set of the task can learn from."""
        is_alone = self.task is None or TASKS[self.task].learns_alone
        return ("scenes", "pairs", "captures") if is_alone else ("scenes", "pairs")

    @property
    def has_pairs(self) -> bool:
        """Whether both folders of pairs are among the files."""
        return self.task is not None and bool(pairs_among(self.material.paths, self.task))

    @property
    def _brings_camera(self) -> bool:
        """Whether the files themselves say how they were measured."""
        return self.answers.route == "pairs" and self.has_pairs

    @property
    def is_camera_open(self) -> bool:
        """Whether the open measurement is one of the starting set's task."""
        measurement = self._session.measurement
        return measurement is not None and measurement.task == self.task

    @property
    def noise_text(self) -> str:
        """The noise as the command line takes it, as "shot:200"; nothing without noise."""
        answers = self.answers
        return f"{answers.noise}:{answers.level.strip()}" if answers.noise else ""

    @property
    def suggested_title(self) -> str:
        """The name of the training unless another one is given."""
        return suggested_title(self._session.paths, self.starting_set)

    @property
    def situation(self) -> Situation:
        """What decides on the values of the advanced settings."""
        route = self.answers.route
        has_scenes = route != "scenes" or bool(self.material.used("learn"))
        return Situation(self.answers.preset, self.task or DEFAULT, route, has_scenes)

    def _wanted(self) -> Wanted | None:
        """What the files have to be like; None while there is no set to start from."""
        session, route = self._session, self.answers.route
        if self.task is None:
            return None
        if not self.is_camera_open:
            return Wanted(self.task, route)
        wavelengths_nm = session.measurement.wavelengths_nm
        return Wanted(
            self.task,
            route,
            wavelengths_nm=None if wavelengths_nm is None else tuple(map(float, wavelengths_nm)),
            companions=tuple(dict.fromkeys(path for _, path in companions_of(session.role_table))),
            options=session.options,
        )

    # ---- what they come to ---------------------------------------------------------------------------------------

    def plan(self) -> Plan | None:
        """What the answers come to; None while something is missing, see `missing`."""
        if self.missing():
            return None
        answers = self.answers
        plan = Plan(
            title=answers.title.strip() or self.suggested_title,
            task=self.task,
            starting_set=self.starting_set,
            aim=answers.aim,
            route=answers.route,
            learn=self.material.used("learn"),
            check=self.material.used("check"),
            camera=tuple(self._camera_words()),
            capture=capture_of(self._session.role_table) if self.is_camera_open and not answers.is_given else (),
            noise=self.noise_text if answers.route == "scenes" else "",
            preset=answers.preset,
            device=self._session.setup.device,
            settings=answers.settings,
        )
        probe = self._probing.result
        cost = probe.cost(plan.preset) if probe is not None and probe.key == plan.probe_key else None
        return plan if cost is None or probe.parts is not None else replace(plan, num_steps=cost.steps)

    def probe(self) -> Probe | None:
        """What a short trial said of these answers; None while there was none for them."""
        probe, plan = self._probing.result, self.plan()
        return probe if probe is not None and plan is not None and probe.key == plan.probe_key else None

    def missing(self) -> str:
        """What stands in the way of a start, in a sentence; nothing when nothing does."""
        session, answers = self._session, self.answers
        if not session.setup.is_engine_loaded:
            return "Loading the engine…"
        if self.task is None:
            kind = "" if session.role_table is None else f" for {session.kind.short} measurements"
            return f"There is no adapter set{kind} to start from. Import one into the library first."
        if not self.is_camera_open and not answers.is_given and not self._brings_camera:
            return f"Open a {TASKS[self.task].short} measurement of your camera first."
        try:
            self._camera_words()
        except LorunError as error:
            return str(error)
        if problem := self._given_problem() or self._noise_problem():
            return problem
        if self.material.is_checking:
            return "The files are being looked at…"
        is_built_in = answers.route == "scenes" and answers.aim != "scenes" and not self.material.files
        return "" if self.material.used("learn") or is_built_in else "Add data to learn from."

    def _camera_words(self) -> list[str]:
        """The flags that say how the instrument measures."""
        session, answers = self._session, self.answers
        if self._brings_camera:
            return []
        if not answers.is_given:
            companions = tuple(reading_of(self.task).COMPANIONS)
            return camera_words(session.options, session.role_table, companions=companions)
        return [word for option in self._options for word in (option.flag, self.given_texts[option.field])]

    @property
    def _options(self) -> tuple[Option, ...]:
        """Those that say all of an instrument of the task; none where a few do not."""
        return reading_of(self.task).CHANGES if self.task is not None and TASKS[self.task].given else ()

    @property
    def given_texts(self) -> dict[str, str]:
        """What is given of the instrument, by the fields of the options."""
        return {option.field: self.answers.given.get(option.field, option.start).strip() for option in self._options}

    def _given_problem(self) -> str:
        for option in self._options if self.answers.is_given and not self._brings_camera else ():
            text = self.given_texts[option.field]
            if not option.choices and not Between(option.least, option.most).holds(_number(text)):
                said = f"{option.title}: {text!r} was given"
                return f"{said}; a number from {option.least:g} to {option.most:g} was expected."
        return ""

    def _noise_problem(self) -> str:
        noise, level = self.answers.noise, self.answers.level
        if not noise or Between(0, above=True).holds(_number(level)):
            return ""
        wanted = "electrons at the brightest pixel" if noise == "shot" else "a standard deviation"
        return f"The noise level {level!r} was given; {wanted} above 0 was expected."


def _number(text: str) -> float:
    """Of a text; NaN, which lies in no range, where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan

"""What an adaptation is to do, as the three questions have it, and the command line that says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lorun_engine.io import RoleTable
from lorun_engine.io.commands import command_line
from lorun_engine.io.reading import reading_of
from lorun_engine.schema import json_of, made

from .runs import file_name
from .scenes import Route

Aim = Literal["camera", "scenes", "degradation"]
Preset = Literal["quick", "standard", "thorough"]

PRESETS: tuple[Preset, ...] = ("quick", "standard", "thorough")
RANDOM_MASKS = 0.5  # of the samples where a set learns new scenes: it goes on serving other cameras
OF_CAPTURES = ("measurement", "reference", "wavelengths", "guide")  # roles that do not belong to the instrument


@dataclass(frozen=True)
class Plan:
    """Everything that `lorun train --adapt` is told.

    `learn` are the files to learn from, `check` those that are withheld; without any the scenes that come with the
    program serve. `camera` are flags that say how the instrument measures, `capture` are the user's own measurement
    and the files that belong to it, which previews show. `settings` are the advanced fields that were filled in.
    """

    title: str
    task: str
    starting_set: str
    aim: Aim
    route: Route
    learn: tuple[Path, ...]
    check: tuple[Path, ...] = ()
    camera: tuple[str, ...] = ()
    capture: tuple[Path, ...] = ()
    noise: str = ""
    preset: Preset = "standard"
    num_steps: int | None = None  # as the trial found it for the preset
    device: str = "cpu"
    settings: tuple[tuple[str, str], ...] = ()

    def arguments(self, folder: Path) -> tuple[str, ...]:
        """The arguments of the process that trains into `folder`."""
        words = [*self._what(), "--preset", self.preset, "--out", str(folder), "--name", self.title]
        if self.num_steps is not None and "adapter_steps" not in dict(self.settings):
            words += ["--steps", str(self.num_steps)]
        return (*words, "--events", "json")

    @property
    def command(self) -> str:
        """The `lorun` line that makes the same set, to be run in a terminal; it trains into a folder of that name."""
        *words, _, _ = self.arguments(Path(file_name(self.title)))  # people read sentences instead of events
        return command_line(["lorun", *words])

    def probe_arguments(self) -> tuple[str, ...]:
        """The arguments of the process that only measures what a training would cost, for every preset."""
        return (*self._what(), "--probe", "--events", "json")

    @property
    def probe_key(self) -> tuple[str, ...]:
        """What a measured cost depends on."""
        return self.probe_arguments()

    def _what(self) -> tuple[str, ...]:
        words = ["train", "--adapt", self.starting_set, "--route", self.route, "--device", self.device, *self.camera]
        for flag, paths in (("--data", self.learn), ("--check", self.check), ("--like", self.capture)):
            words += [flag, *map(str, paths)] if paths else []
        if self.noise:
            words += ["--noise", self.noise]
        if self.aim == "scenes" and "mask" in reading_of(self.task).COMPANIONS:
            words += ["--random-masks", str(RANDOM_MASKS)]
        for name, value in self.settings:
            words += ["--set", f"{name}={value}"]
        return tuple(words)


@dataclass(frozen=True)
class Cost:
    """What one preset would take on this computer, as the event of a trial has it."""

    steps: int
    seconds: float
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Probe:
    """What a short measured trial said; `key` tells for which answers."""

    key: tuple[str, ...]
    costs: tuple[tuple[str, Cost], ...]
    num_parameters: int | None = None
    sentence: str = ""
    is_needless: bool = False  # the starting set serves this camera as it is
    parts: tuple[int, int] | None = None  # how many of how many are done while it measures; None once it has ended

    def cost(self, preset: str) -> Cost | None:
        """The cost of a preset."""
        return dict(self.costs).get(preset)


@dataclass(frozen=True)
class _ProbeEvent:
    """The event of a trial."""

    event: Literal["probe", "probing"]
    presets: Mapping[str, Cost] = field(default_factory=dict)
    parameters: int | None = None
    message: str = ""
    serves: bool = False
    done: int = 0
    total: int = 0


def probe_of(line: bytes, key: tuple[str, ...]) -> Probe | None:
    """What a line of a trial says; what it does not say is left open. None for a line that is something else."""
    try:
        event = made(_ProbeEvent, json_of(line), drops_unknown=True)
    except ValueError:
        return None
    parts = (event.done, event.total) if event.event == "probing" else None
    return Probe(key, tuple(event.presets.items()), event.parameters, event.message, event.serves, parts)


def companions_of(table: RoleTable) -> list[tuple[str, Path]]:
    """The roles of the instrument's files, as its mask, with those files."""
    return [(row.role, row.found.path) for row in table.rows if row.role and row.role not in OF_CAPTURES]


def capture_of(table: RoleTable) -> tuple[Path, ...]:
    """The file of the measurement, then those that belong to it."""
    rows = [table.row("measurement"), *(row for row in table.rows if row.role)]
    return tuple(dict.fromkeys(row.found.path for row in rows))


def stated_noise(table: RoleTable) -> str:
    """The noise that a measurement file states, as "shot:200"; nothing where it states none."""
    row = table.row("measurement")
    stated = "" if row is None else row.found.attributes.get("noise", "")
    return stated if isinstance(stated, str) else ""


def suggested_title(paths: Sequence[Path], starting_set: str | None) -> str:
    """A name for the new set, from the files of the camera."""
    named = [path.stem for path in paths if any(word in path.stem.lower() for word in ("mask", "phi", "kernel"))]
    stem = (named or [path.stem for path in paths] or [""])[0]
    return f"{starting_set or 'set'}-{stem}" if stem else f"{starting_set or 'set'}-adapted"

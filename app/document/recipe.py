"""What a decode depends on and how far it is, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from lorun_engine.decoding.asked import Asked, strength_words
from lorun_engine.errors import LorunError
from lorun_engine.io import OpenOptions, RoleTable
from lorun_engine.measurement import Measurement
from lorun_engine.schema import Between, Iterations, Stages, Threads
from lorun_engine.task import STAGE

from ..quantities import plural
from .decoders import Fit
from .selection import Selection
from .stage_store import StageStore

FULL = 100  # percent
MOST_PERCENT = 150

RestorationState = Literal["idle", "running", "cancelling", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class Adapting:
    """How much of a set acts: `percent` of its differences, none in the `ablated` stages."""

    percent: Annotated[int, Between(0, MOST_PERCENT)] = FULL
    ablated: tuple[Stages, ...] = ()

    @property
    def scale(self) -> float:
        """What the differences are multiplied by, as `--adapter-scale` takes it."""
        return self.percent / 100

    @property
    def words(self) -> str:
        """As " at 60 % without the adapters of stage 2"; nothing for the whole set."""
        return strength_words(self.scale, self.ablated)

    @property
    def file_word(self) -> str:
        """As "_60percent_without2"; nothing for the whole set."""
        strength = "" if self.percent == FULL else f"_{self.percent}percent"
        return strength + ("_without" + "-".join(map(str, self.ablated)) if self.ablated else "")


WHOLE = Adapting()


@dataclass(frozen=True)
class Restoration:
    """How far the decode is. `partial` says that the stages kept are not all that were asked for."""

    state: RestorationState = "idle"
    done_stages: int = 0
    num_stages: int = 0
    started: float = 0.0  # time.monotonic()
    seconds: float = 0.0
    partial: bool = False
    keeps_denoiser_input: bool = False
    waits_for: str = ""  # what has to end before it begins, in words
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
    num_stages: Iterations
    device: str
    threads: Threads | None
    precision: str | None  # of the network; None where the decoder has none
    adapting: Adapting = WHOLE
    step_name: str = STAGE  # of the decoder

    @property
    def length(self) -> str:
        """As "60 iterations"."""
        return plural(self.num_stages, self.step_name)

    @property
    def asked(self) -> Asked:
        """The decode as the engine knows it."""
        scale, ablated = self.adapting.scale, self.adapting.ablated
        return Asked(
            self.decoder,
            self.num_stages,
            self.device,
            self.threads,
            self.precision,
            scale=scale,
            ablated=ablated,
            step_name=self.step_name,
        )

    @property
    def title(self) -> str:
        """As "cassi-any-mask at 60 %"."""
        return self.asked.title

    @property
    def file_word(self) -> str:
        """The decoder as names of files have it, e.g. "cassi-any-mask_60percent"."""
        return f"{self.decoder}{self.adapting.file_word}"


@dataclass(frozen=True)
class SetAside:
    """A job that waits with everything that was computed and made of it while another one is open.

    `parts` has what the parts that know the session keep of it, by part and by the names of their attributes.
    """

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
    adapting: Adapting
    parts: dict[object, dict[str, Any]] = field(default_factory=dict)

    def keep(self, part: object, names: Iterable[str]) -> None:
        """Keeps attributes of a part as they are."""
        self.parts[part] = {name: getattr(part, name) for name in names}

    def give_back(self, part: object) -> None:
        """Gives a part what was kept of it."""
        for name, value in self.parts.pop(part, {}).items():
            setattr(part, name, value)

    def close(self) -> None:
        """Drops everything: nothing is left on the disk but what the shelf keeps."""
        if not self.stages.is_kept:
            self.stages.close()
        self.parts.clear()

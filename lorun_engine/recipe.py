"""Recipes: a training, complete and reproducible, as a TOML file describes it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .dataset_cassi import CassiData
from .datasets import DATA
from .errors import FileError, LorunError
from .unfolding import NetworkConfig

VARIANTS = {
    "lorun": ("warm-start", "backbone", "adapters"),
    "share": ("warm-start", "backbone"),
    "block": ("warm-start", "backbone"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast and how carefully. Rates rise linearly and fall along a cosine to `final_rate` of the peak.

    `loss` is "l2" (Eq. 13, as a mean over pixels), "l1", "charbonnier" or "rmse", of the last stage; `earlier_stages`
    weighs the losses of the stages before it, the latest first. A training pauses after `piece_s` seconds, if not 0.
    """

    warm_start_steps: int = 0
    backbone_steps: int = 20_000
    adapter_steps: int = 20_000
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    adapter_learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warm_up_steps: int = 50
    final_rate: float = 0.01
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    loss: str = "l2"
    earlier_stages: tuple[float, ...] = ()
    seed: int = 0
    checkpoint_steps: int = 200
    checkpoint_s: float = 15.0
    validation_steps: int = 1_000
    piece_s: float = 0.0
    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False
    save_memory: bool = False


@dataclass(frozen=True)
class Recipe:
    """A training, complete: what `lorun train --recipe` reads. `bands` names a shipped wavelength list."""

    task: str = "cassi"
    variant: str = "lorun"
    bands: str = "cassi-28"
    step: float = 2.0
    gamma: float = 10.0
    network: NetworkConfig = NetworkConfig(28, 9)
    data: Any = CassiData()  # of DATA[task]
    training: TrainingConfig = TrainingConfig()

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise LorunError(f"The variant {self.variant!r} is not known; choose one of {', '.join(VARIANTS)}.")
        num_blocks = self.network.num_stages if self.variant == "block" else 1
        object.__setattr__(self, "network", replace(self.network, num_blocks=num_blocks))

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of the variant that take any steps, in order."""
        return tuple(phase for phase in VARIANTS[self.variant] if self.num_steps(phase))

    def num_steps(self, phase: str) -> int:
        """The steps of `phase`."""
        training = self.training
        steps = {"warm-start": training.warm_start_steps, "backbone": training.backbone_steps}
        return steps.get(phase, training.adapter_steps)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file; a sentence for unknown settings."""
    try:
        with open(path, "rb") as stream:
            return recipe_from(tomllib.load(stream), source=str(path))
    except OSError as error:
        raise FileError(f"The recipe {path} cannot be read: {error.strerror or error}. Check the path.") from error
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"The recipe {path} is not valid TOML: {error}. Correct the file.") from error


def recipe_from(table: Mapping[str, Any], *, source: str) -> Recipe:
    """The recipe that nested tables describe."""
    table = dict(table)
    task = table.get("task", "cassi")
    if task not in DATA:
        raise FileError(f"{source} names the task {task!r}; {', '.join(DATA)} was expected.")
    table.setdefault("data", {})
    parts = {
        name: _configured(kind, table.pop(name), f"{source} [{name}]")
        for name, kind in (("network", NetworkConfig), ("data", DATA[task]), ("training", TrainingConfig))
        if name in table
    }
    return _configured(Recipe, {**table, **parts}, source)


def _configured(kind: type, table: Mapping[str, Any], source: str) -> Any:
    """A frozen config of `kind` from a table; lists become tuples, unknown settings a sentence."""
    known = {entry.name for entry in fields(kind)}
    if unknown := set(table) - known:
        raise FileError(
            f"{source} has the unknown setting {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}."
        )
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items()})
    except TypeError as error:
        raise FileError(f"{source} is incomplete: {error}. Complete the recipe.") from error

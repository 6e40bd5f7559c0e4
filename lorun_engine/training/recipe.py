"""Recipes: a training, complete and reproducible, as a TOML file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from torch import Tensor

from ..errors import FileError, LorunError
from ..io import WAVELENGTHS
from ..networks.unfolding import NetworkConfig
from ..schema import (
    Between,
    Count,
    NotNegative,
    Number,
    Percent,
    Positive,
    Seed,
    Share,
    read,
    require,
)
from ..task import DEFAULT, TASKS
from ..training_data.dataset import Material, TrainingSet, task_data
from ..training_data.settings import LocalData
from .toml import read_toml

AUTO = "auto"  # the precision of a recipe that leaves precision, memory layout and threads to the machine
Loss = Literal["l2", "l1", "charbonnier", "rmse", "decibel", "structural"]
Precision = Literal["auto", "float32", "bfloat16"]
LOSSES: tuple[str, ...] = get_args(Loss)
Variant = Literal["lorun", "share", "block"]
Decay = Annotated[float, Between(0, 0.999999)]
VARIANTS = {
    "lorun": ("warm-start", "backbone", "adapters"),
    "share": ("warm-start", "backbone"),
    "block": ("warm-start", "backbone"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast and how carefully. Rates rise linearly and fall along a cosine to `final_rate` of the peak.

    `loss` is "l2" (Eq. 13, as a mean over pixels), "l1", "charbonnier", "rmse", "decibel" or "structural" (see
    `learning`), of the last stage; `earlier_stages` weighs the losses of the stages before it, the latest first, and
    `residual_weight` the squared residual of the last stage, in units of the squared measurement. A learned Phi takes
    the share `sampling_rate` of the learning rate, as its entries are small, and the data steps' parameters the share
    `step_rate`. After `patience` validations without a better one, if not 0, a phase ends early. A training pauses
    after `piece_s` seconds, if not 0. The `precision` "auto" becomes what is quickest on the machine, and so do
    `channels_last` and, if 0, `threads` then (see `execution`). With a `pool_size` initial estimates are kept for so
    many batches, each for about `pool_uses` steps (see `pool`).
    """

    warm_start_steps: Number = 0
    backbone_steps: Number = 20_000
    adapter_steps: Number = 20_000
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    adapter_learning_rate: Positive = 1e-3
    sampling_rate: NotNegative = 1.0
    step_rate: NotNegative = 1.0
    weight_decay: NotNegative = 0.0
    warm_up_steps: Number = 50
    final_rate: Share = 0.01
    ema_decay: Decay = 0.999
    clip_norm: Positive = 1.0
    loss: Loss = "l2"
    earlier_stages: tuple[NotNegative, ...] = ()
    residual_weight: NotNegative = 0.0
    seed: Seed = 0
    checkpoint_steps: Count = 200
    checkpoint_s: NotNegative = 15.0
    validation_steps: Count = 1_000
    patience: Number = 0
    piece_s: NotNegative = 0.0
    precision: Precision = "float32"
    channels_last: bool = False
    threads: Annotated[int, Between(0, 1024)] = 0
    compiled: bool = False
    pool_size: Number = 0
    pool_uses: Count = 8
    save_memory: bool = False

    def __post_init__(self) -> None:
        require(self)


@dataclass(frozen=True)
class Recipe:
    """A training, complete: what `lorun train --recipe` reads. `bands` names a shipped wavelength list.

    `adapts` is the hash of the set that an adaptation starts from; its `data` are LocalData.
    """

    task: str = DEFAULT
    variant: Variant = "lorun"
    bands: str = "cassi-28"
    step: Annotated[float, Between(0, 100)] = 2.0
    gamma: Percent = 10.0
    network: NetworkConfig = NetworkConfig(28, 9)
    data: Any = field(default_factory=lambda: task_data(DEFAULT).DATA())  # of the task, or LocalData
    training: TrainingConfig = TrainingConfig()
    adapts: str = ""

    def __post_init__(self) -> None:
        require(self)
        if self.bands not in WAVELENGTHS:
            raise LorunError(f"The bands {self.bands!r} are not known; choose one of {', '.join(WAVELENGTHS)}.")
        num_blocks = self.network.num_stages if self.variant == "block" else 1
        object.__setattr__(self, "network", replace(self.network, num_blocks=num_blocks))

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of the variant that take any steps, in order."""
        return tuple(phase for phase in VARIANTS[self.variant] if self.num_steps(phase))

    def num_steps(self, phase: str) -> int:
        """The steps of `phase`. A variant without adapters has their steps for its backbone: all have one budget."""
        training = self.training
        if phase == "backbone" and "adapters" not in VARIANTS[self.variant]:
            return training.backbone_steps + training.adapter_steps
        steps = {"warm-start": training.warm_start_steps, "backbone": training.backbone_steps}
        return steps.get(phase, training.adapter_steps)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file; a sentence for unknown settings."""
    return recipe_from(read_toml(path, "recipe"), source=str(path))


def adapt_settings(task: str, *, has_scenes: bool) -> dict[str, Any]:
    """What an adaptation changes in every preset, for the task and where no scenes are given."""
    settings: dict[str, Any] = {}
    if TASKS[task].is_photograph:
        settings["crop"] = (96, 96)
    if not has_scenes:
        settings["built_in"] = 0.6  # the sample that comes with the program is one scene
    return settings


def preset_values(path: Path) -> dict[str, Any]:
    """Every setting of an adaptation by its name, as a preset's file gives it, or as it is where nothing is said."""
    table = read_toml(path, "recipe")
    values: dict[str, Any] = {}
    for name, kind in (("data", LocalData), ("training", TrainingConfig)):
        config = read(kind, table.get(name, {}), source=f"{path} [{name}]", remedy="Correct the recipe.")
        values |= {entry.name: getattr(config, entry.name) for entry in fields(kind)}
    return values


def recipe_from(table: Mapping[str, Any], *, source: str) -> Recipe:
    """The recipe that nested tables describe."""
    task = table.get("task", DEFAULT)
    if not isinstance(task, str) or task not in TASKS:
        raise FileError(f"{source} names the task {task!r}; {', '.join(TASKS)} was expected.")
    data = LocalData if table.get("adapts") else task_data(task).DATA
    kinds = {"network": NetworkConfig, "data": data, "training": TrainingConfig}
    parts: dict[str, Any] = {
        name: read(kind, table.get(name, {}), source=f"{source} [{name}]", remedy="Correct the recipe.")
        for name, kind in kinds.items()
        if name in table or name == "data"
    }
    return read(Recipe, {**table, **parts}, source=source, remedy="Correct the recipe.")


def initial_sampling(recipe: Recipe) -> Tensor | None:
    """The matrix Phi that a training of this recipe starts to learn; None where it learns none."""
    return None if isinstance(recipe.data, LocalData) else task_data(recipe.task).new_sampling(recipe.data)


def training_set(material: Material, recipe: Recipe) -> TrainingSet:
    """The samples and the validation of a recipe, on the CPU."""
    return task_data(recipe.task).training_set(material, recipe.data, bands=recipe.bands, step=recipe.step)

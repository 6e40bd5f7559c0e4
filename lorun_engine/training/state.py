"""A training between two steps: the weights, the optimizer, their averages and draws, and the checkpoint of it all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .. import __version__
from ..errors import FileError, LorunError, ModelError
from ..io import replacing
from ..library.model import Model, require_fit
from ..networks.lora import SAMPLING, AdapterSet, new_adapters
from ..networks.unfolding import Backbone, DenoiserView, UnfoldingNet, new_step_parameters, run_denoiser
from ..schema import Count, Number, Positive, Seconds, json_of, read
from ..tasks.camera import Camera
from ..training_data.dataset import Material, find_material
from .distributed import ALONE, Team, require_batch
from .own_material import LocalMaterial, ready, starting_point, view_of
from .places import found_from, seen_from
from .recipe import Recipe, TrainingConfig, initial_sampling, recipe_from
from .run_folder import CHECKPOINT, require_space, set_aside

_CHECKPOINT_FORMAT = 1
_DAMAGED = "Resume an earlier checkpoint, or start the training anew."


@dataclass
class Course:
    """How far a training is; all of it stands in a checkpoint.

    `num_parts` are those that a batch is computed in, `best` the best score so far in dB, `num_waited` the validations
    since then. `start_metrics` are those of the set that an adaptation starts from; `pretrained` is the task's
    configuration in phase 1, where that is over.
    """

    phase: str
    step: Number = 0
    elapsed_s: Seconds = 0.0
    num_parts: Count = 1
    best: float | None = None
    num_waited: Number = 0
    start_metrics: Mapping[str, float] = field(default_factory=dict)
    pretrained: Mapping[str, Any] = field(default_factory=dict)

    def begin(self, phase: str) -> None:
        """Enters a phase before its first step."""
        self.phase, self.step, self.best, self.num_waited = phase, 0, None, 0

    @property
    def moment(self) -> tuple[float, str, int]:
        """Seconds of training, phase and step: what every event says."""
        return self.elapsed_s, self.phase, self.step


@dataclass
class Learned:
    """What a phase trains: its tensors by name, their running means, and their optimizer."""

    tensors: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, phase: str, backbone: Backbone, adapters: AdapterSet, config: TrainingConfig) -> Learned:
        """Marks what `phase` trains, and starts its optimizer and means."""
        learn_backbone = phase != "adapters"
        backbone.requires_grad_(learn_backbone)
        tensors: dict[str, Tensor] = {}
        if learn_backbone:
            tensors |= {f"backbone/{name}": tensor for name, tensor in backbone.named_parameters()}
        if phase != "warm-start":
            for tensor in adapters.tensors.values():
                tensor.requires_grad_()
            tensors |= {f"adapters/{name}": tensor for name, tensor in adapters.tensors.items()}
        tensors = dict(sorted(tensors.items()))  # one order, whether begun or resumed
        average = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return cls(tensors, average, _optimizer(tensors, config))

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def averaged(self, prefix: str) -> dict[str, Tensor]:
        """The means of the tensors whose names begin with `prefix`, as "backbone/", by the rest of their names."""
        return below(prefix, self.average)


@dataclass
class Adapted:
    """What an adaptation starts from: its material, its camera, and the set as it serves that camera.

    `view` is how the network sees what the camera measures; `shown` the user's capture (C, H, W) as the starting set
    decodes it, once it was.
    """

    material: LocalMaterial
    camera: Camera
    start: Model
    view: DenoiserView | None
    shown: NDArray[np.float32] | None = None


@dataclass
class TrainingState:
    """A training between two steps: all that a checkpoint holds, and what it was made from."""

    recipe: Recipe
    source: Material | Adapted
    phases: tuple[str, ...]
    team: Team
    backbone: Backbone
    adapters: AdapterSet
    course: Course
    learned: Learned
    generator: torch.Generator

    @classmethod
    def _begun(
        cls,
        recipe: Recipe,
        source: Material | Adapted,
        phases: tuple[str, ...],
        team: Team,
        backbone: Backbone,
        adapters: AdapterSet,
    ) -> TrainingState:
        require_batch(recipe.data.batch, team)
        device = next(backbone.parameters()).device
        generator = torch.Generator(device).manual_seed(recipe.training.seed)
        learned = Learned.of(phases[0], backbone, adapters, recipe.training)
        course = Course(phases[0])
        return cls(recipe, source, phases, team, backbone, adapters, course, learned, generator)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.generator.device

    @property
    def material(self) -> Material | LocalMaterial:
        """What it learns from."""
        return self.source.material if isinstance(self.source, Adapted) else self.source

    @property
    def adapted(self) -> Adapted | None:
        """What an adaptation starts from; None where the training is none."""
        return self.source if isinstance(self.source, Adapted) else None

    @property
    def view(self) -> DenoiserView | None:
        """How the network sees what an adaptation's camera measures."""
        return None if self.adapted is None else self.adapted.view

    @cached_property
    def files(self) -> list[dict[str, object]]:
        """Name, size and SHA-256 of every training file, read once: a resumed training wants the same."""
        return self.material.listing()

    @classmethod
    def new(
        cls,
        recipe: Recipe,
        material: Material | LocalMaterial,
        phases: tuple[str, ...],
        device: torch.device,
        team: Team = ALONE,
    ) -> TrainingState:
        """The state before the first step."""
        if isinstance(material, LocalMaterial):
            return cls._adapting(recipe, material, phases, device, team)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.training.seed)
            backbone = Backbone(recipe.network).to(device)
            tensors = new_step_parameters(recipe.network)
        sampling = initial_sampling(recipe)
        if sampling is not None:
            tensors[SAMPLING] = sampling
        adapters = AdapterSet(recipe.network.num_stages, tensors).to(device)
        return cls._begun(recipe, material, phases, team, backbone, adapters)

    @classmethod
    def _adapting(
        cls, recipe: Recipe, material: LocalMaterial, phases: tuple[str, ...], device: torch.device, team: Team
    ) -> TrainingState:
        """The state before the first step of an adaptation: the starting set on its own frozen backbone."""
        start, camera = material.start(), material.reading.camera
        adapters, task_config = starting_point(start, camera, recipe)
        learned = adapters.mapped({name: tensor.clone() for name, tensor in adapters.tensors.items()}).to(device)
        backbone = start.net.backbone.to(device)  # read from its file just now: nobody else's
        start = ready(start, camera, adapters, task_config)
        adapted = Adapted(material, camera, start, view_of(material, start))
        return cls._begun(recipe, adapted, phases, team, backbone, learned)

    @property
    def seeks_components(self) -> bool:
        """Whether the backbone works with spectral components and has not been given any."""
        if not self.recipe.network.uses_components:
            return False
        known = self.backbone.known_components
        return torch.equal(known, torch.eye(len(known), device=known.device))

    def go_on_with_backbone_of(self, start: Model) -> None:
        """Phase 1 from the backbone and the data steps of a set; a ModelError as in `begin_adapters`.

        The set may be one that came from phase 1 alone, without factors.
        """
        self._require_like(start)
        self.backbone.load_state_dict(start.net.backbone.state_dict())
        known = {name: start.adapters.tensors.get(name, value) for name, value in self.adapters.tensors.items()}
        self.adapters = self.adapters.mapped({name: value.clone() for name, value in known.items()}).to(self.device)
        self._begin(self.course.phase)

    def begin_backbone(self) -> None:
        """Phase 1 after the warm start: every independent denoiser begins as the one that was trained."""
        first, *others = self.backbone.blocks
        first.load_state_dict(self.learned.averaged("backbone/blocks.0."))
        for block in others:
            block.load_state_dict(first.state_dict())
        self._begin("backbone")

    def begin_adapters(self, phase_1: Model, *, goes_on: bool = False) -> None:
        """Phase 2: the frozen backbone of phase 1, its data steps, and adapters that change nothing yet.

        Where it `goes_on`, `phase_1` is a set whose adapters learn more; a ModelError says what of it is not as the
        recipe has it. A sampling matrix of another ratio than that of phase 1 starts anew.
        """
        if goes_on:
            self._require_like(phase_1, ("the rank factor gamma", phase_1.adapters.gamma, self.recipe.gamma))
        known = phase_1.card.get("training", {}).get("pretrained")
        self.course.pretrained = known or phase_1.card.get("task_config", {})
        self.backbone.load_state_dict(phase_1.net.backbone.state_dict())
        generator = torch.Generator().manual_seed(self.recipe.training.seed + 1)
        fresh = new_adapters(
            self.backbone.blocks[0],
            num_stages=self.recipe.network.num_stages,
            gamma=self.recipe.gamma,
            generator=generator,
        )
        learned = dict(phase_1.adapters.tensors)
        own = initial_sampling(self.recipe)
        if own is None:
            learned.pop(SAMPLING, None)  # another task on the same backbone
        elif SAMPLING not in learned or learned[SAMPLING].shape != own.shape:
            learned[SAMPLING] = own
        self.adapters = fresh.mapped({**fresh.tensors, **learned}).to(self.device)
        self._begin("adapters")

    def _require_like(self, start: Model, *others: tuple[str, object, object]) -> None:
        """Raises a ModelError where a set that is to go on to learn is not what the recipe makes."""
        made, wanted = start.net.config, self.recipe.network
        for what, has, asked in (
            ("the task", start.task, self.recipe.task),
            ("the denoiser", made.denoiser, wanted.denoiser),
            ("the settings of the denoiser", made.denoiser_settings, wanted.denoiser_settings),
            ("the channels of the denoiser", made.denoiser_channels, wanted.denoiser_channels),
            ("the stages", made.num_stages, wanted.num_stages),
            ("the denoisers", made.num_blocks, wanted.num_blocks),
            ("the data step", made.data_step, wanted.data_step),
            *others,
        ):
            if has != asked:
                raise ModelError(f"As to {what} the set has {has}, the recipe {asked}. Choose the recipe of the set.")

    def _begin(self, phase: str) -> None:
        self.course.begin(phase)
        self.learned = Learned.of(phase, self.backbone, self.adapters, self.recipe.training)

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine from the phase's peak rate to `final_rate` of it."""
        config, phase, step = self.recipe.training, self.course.phase, self.course.step
        peak = config.adapter_learning_rate if phase == "adapters" else config.learning_rate
        warm_up = min(1.0, (step + 1) / max(1, config.warm_up_steps))
        share = min(1.0, step / max(1, self.recipe.num_steps(phase)))
        cosine = config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * share))
        return peak * warm_up * cosine

    def net(self) -> UnfoldingNet:
        """The network with the weights as they are now."""
        config = self.recipe.training
        return UnfoldingNet(
            self.recipe.network,
            self.backbone,
            self.adapters,
            precision=config.precision,
            channels_last=config.channels_last,
            save_memory=config.save_memory,
            denoise=torch.compile(run_denoiser) if config.compiled else None,
        )

    def averaged(self, fields_of_card: Mapping[str, Any]) -> Model:
        """A model of its own with the averaged weights."""
        backbone = Backbone(self.recipe.network).to(self.device)
        values = self.backbone.state_dict() | self.learned.averaged("backbone/")
        backbone.load_state_dict({name: value.detach().clone() for name, value in values.items()})
        values = dict(self.adapters.tensors) | self.learned.averaged("adapters/")
        tensors = {name: value.detach().clone() for name, value in values.items()}
        net = UnfoldingNet(
            self.recipe.network,
            backbone.requires_grad_(False),
            self.adapters.mapped(tensors),
            precision=self.recipe.training.precision,
        )
        return Model("training", self.recipe.task, net, card=fields_of_card)

    def save(self, path: Path) -> None:
        """Writes the checkpoint, atomically; the first process of a team does."""
        if not self.team.leads:
            return
        tensors = {f"model/backbone/{name}": value for name, value in self.backbone.state_dict().items()}
        tensors |= {f"model/adapters/{name}": value for name, value in self.adapters.tensors.items()}
        tensors |= {f"average/{name}": value for name, value in self.learned.average.items()}
        for index, entry in self.learned.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in entry.items()}
        tensors["generator"] = self.generator.get_state()
        facts = {
            "format": _CHECKPOINT_FORMAT,
            "recipe": asdict(self.recipe),
            "material": seen_from(path.parent, self.material.fields()),
            "files": self.files,
            "phases": self.phases,
            **asdict(self.course),
            "gamma": self.adapters.gamma,
            "device": self.device.type,
            "engine_version": __version__,
        }
        stored = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        require_space(path.parent, sum(tensor.nbytes for tensor in stored.values()))
        with replacing(path) as temporary:
            temporary.write_bytes(save(stored, metadata={"checkpoint": json.dumps(facts)}))
            if path.name == CHECKPOINT:
                set_aside(path)

    @classmethod
    def loaded(
        cls, path: Path, device: torch.device, team: Team = ALONE, *, moved: Moved | None = None
    ) -> TrainingState:
        """The state that a checkpoint holds; refused when its training files have changed, wherever they lie now."""
        facts, tensors = _read_checkpoint(path)
        recipe = recipe_from(facts.recipe, source=str(path))
        if not facts.phases or not set(facts.phases) <= set(recipe.phases) or facts.course.phase not in facts.phases:
            raise FileError(f"{path} names phases that its recipe does not have. {_DAMAGED}")
        material = _moved(facts.source(path), path.parent, recipe.task, moved)
        state = cls.new(recipe, material, facts.phases, device, team)
        if _contents(state.files) != _contents(facts.files):
            raise FileError(
                f"The training files of {path.parent} have changed since its checkpoint. Give those it began with, or "
                "start anew."
            )
        adapters = {name: value.to(device) for name, value in below("model/adapters/", tensors).items()}
        state.adapters = AdapterSet(recipe.network.num_stages, adapters, gamma=facts.gamma)
        state.course = facts.course
        try:
            state.backbone.load_state_dict(below("model/backbone/", tensors))
            require_fit(state.adapters, state.backbone, recipe.network, source=path.name)
            state._take_learned(tensors)
            if facts.device == device.type:
                state.generator.set_state(tensors["generator"])
        except (ModelError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise FileError(f"{path} holds other tensors than its recipe needs. {_DAMAGED}") from error
        if facts.device != device.type:  # another kind of device draws other numbers: a fresh, reproducible start
            state.generator.manual_seed(recipe.training.seed + 1_000_003 * (1 + state.course.step))
        return state

    def _take_learned(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over the running means and the optimizer of a checkpoint; raises what torch does where they misfit."""
        learned = self.learned = Learned.of(self.course.phase, self.backbone, self.adapters, self.recipe.training)
        learned.average = {
            name: tensors[f"average/{name}"].to(self.device).reshape(own.shape) for name, own in learned.tensors.items()
        }
        every = [tensor for group in learned.optimizer.param_groups for tensor in group["params"]]
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in below("optimizer/", tensors).items():
            index, key = name.split("/")
            is_number = value.dim() == 0
            entries.setdefault(int(index), {})[key] = value if is_number else value.reshape(every[int(index)].shape)
        groups = learned.optimizer.state_dict()["param_groups"]
        learned.optimizer.load_state_dict({"state": entries, "param_groups": groups})


@dataclass(frozen=True)
class Moved:
    """Where the files of a training lie now: what was given with the same names when it began."""

    data: tuple[Path, ...] = ()
    masks: tuple[Path, ...] = ()
    photographs: tuple[Path, ...] = ()

    @property
    def places(self) -> tuple[Path, ...]:
        """All that is named."""
        return (*self.data, *self.masks, *self.photographs)


def _moved(material: Material | LocalMaterial, run: Path, task: str, moved: Moved | None) -> Material | LocalMaterial:
    """The material of the training in `run`, where it lies now."""
    if isinstance(material, LocalMaterial):
        if moved is not None and moved.places:
            material = material.moved_to(moved.places)
    elif moved is not None and moved.data:
        masks = moved.masks or tuple(path for path in material.masks if path.is_file())
        photographs = moved.photographs or tuple(path for path in material.photographs if path.is_dir())
        material = find_material(moved.data[0], task=task, masks=masks, photographs=photographs)
    gone = next((path for path in material.paths if not path.exists()), None)
    if gone is not None:
        raise FileError(
            f"{gone} is no longer there, and the training in {run} learns from it. Put it back, or say where its files "
            f"lie now: lorun train --resume {run} --data FOLDER."
        )
    return material


def _contents(files: Iterable[Mapping[str, object]]) -> list[tuple[object, object]]:
    """What files hold, whatever their names are now."""
    return [(file.get("bytes"), file.get("sha256")) for file in files]


def _optimizer(tensors: Mapping[str, Tensor], config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimizer of a phase: vectors and scalars do not decay, some tensors take a share of the learning rate."""
    kinds: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if config.optimizer not in kinds:
        raise LorunError(f"The optimizer {config.optimizer!r} is not known; choose adam or adamw.")
    shares = {name: _share_of_rate(name.removeprefix("adapters/"), config) for name in tensors}
    groups = []
    for share in sorted(set(shares.values()), reverse=True):
        for is_wide, decay in ((True, config.weight_decay), (False, 0.0)):
            group = [t for name, t in tensors.items() if shares[name] == share and (t.dim() > 1) == is_wide]
            if group:
                groups.append({"params": group, "weight_decay": decay, "share": share})
    return kinds[config.optimizer](groups, lr=config.learning_rate)


def _share_of_rate(name: str, config: TrainingConfig) -> float:
    """The share of the learning rate that a tensor of the adapter set takes."""
    if name == SAMPLING:
        return config.sampling_rate
    return config.step_rate if "/step/" in name else 1.0


@dataclass(frozen=True)
class _Facts:
    """What a checkpoint says beside its tensors; the entries of `course` stand among its own."""

    recipe: Mapping[str, Any]
    material: Mapping[str, Any]
    files: tuple[Mapping[str, Any], ...]
    phases: tuple[str, ...]
    device: str
    course: Course
    gamma: Positive | None = None

    def source(self, path: Path) -> Material | LocalMaterial:
        """What a checkpoint at `path` learns from."""
        kind: type[Any] = LocalMaterial if "route" in self.material else Material
        material: Material | LocalMaterial = read(
            kind, {**self.material, "folder": path.parent}, source=str(path), remedy=_DAMAGED, drops_unknown=True
        )
        return material


def _read_checkpoint(path: Path) -> tuple[_Facts, dict[str, Tensor]]:
    """The facts and tensors of a checkpoint."""
    if not path.is_file():
        raise FileError(f"{path.parent} holds no checkpoint. Choose the folder of a training.")
    try:
        with safe_open(path, framework="pt") as stored:
            facts = found_from(path.parent, json_of((stored.metadata() or {})["checkpoint"]))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FileError(f"{path} is not a checkpoint of LoRun, or is damaged. {_DAMAGED}") from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if version != _CHECKPOINT_FORMAT:
        raise FileError(f"{path} has format {version}; this version reads {_CHECKPOINT_FORMAT}. Start anew.")
    table = {**facts, "course": facts}
    return read(_Facts, table, source=str(path), remedy=_DAMAGED, drops_unknown=True), tensors


def is_whole(path: Path) -> bool:
    """Whether a checkpoint can be read to its end."""
    try:
        _read_checkpoint(path)
    except FileError:
        return False
    return True


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

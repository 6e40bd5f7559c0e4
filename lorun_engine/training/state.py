"""A training between two steps: the weights, the optimizer, their averages and draws, and the checkpoint of it all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import __version__
from ..errors import FileError, LorunError
from ..io import replacing
from ..library.model import Model
from ..networks.lora import SAMPLING, AdapterSet, new_adapters
from ..networks.unfolding import Backbone, DenoiserView, UnfoldingNet, new_step_parameters, run_denoiser
from ..training_data.dataset import Material
from .distributed import ALONE, Team, require_batch
from .own_material import LocalMaterial, ready, starting_point, view_of
from .recipe import Recipe, TrainingConfig, initial_sampling, recipe_from
from .run_folder import CHECKPOINT, require_space, set_aside

_CHECKPOINT_FORMAT = 1


class TrainingState:
    """A training between two steps: all that a checkpoint holds."""

    def __init__(
        self,
        recipe: Recipe,
        material: Material,
        phases: tuple[str, ...],
        backbone: Backbone,
        adapters: AdapterSet,
        team: Team,
    ) -> None:
        require_batch(recipe.data.batch, team)
        self.recipe, self.material, self.phases, self.team = recipe, material, phases, team
        self.phase, self.step, self.elapsed_s, self.num_parts = phases[0], 0, 0.0, 1
        self.best: float | None = None
        self.num_waited = 0  # validations since the best
        self.start: Model | None = None  # of an adaptation: the set it starts from, as it serves the camera
        self.start_metrics: Mapping[str, float] = {}
        self.view: DenoiserView | None = None
        self.shown: np.ndarray | None = None  # the user's capture by the starting set
        self.pretrained: Mapping[str, Any] = {}  # the task's configuration in phase 1, where that is over
        self.backbone, self.adapters = backbone, adapters
        self.files = material.listing()
        self.device = next(backbone.parameters()).device
        self.generator = torch.Generator(self.device).manual_seed(recipe.training.seed)
        self._begin_phase()

    @classmethod
    def new(
        cls, recipe: Recipe, material: Material, phases: tuple[str, ...], device: torch.device, team: Team = ALONE
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
        return cls(recipe, material, phases, backbone, adapters, team)

    @classmethod
    def _adapting(
        cls, recipe: Recipe, material: LocalMaterial, phases: tuple[str, ...], device: torch.device, team: Team
    ) -> TrainingState:
        """The state before the first step of an adaptation: the starting set on its own frozen backbone."""
        start, camera = material.start(), material.reading.camera
        adapters, task_config = starting_point(start, camera, recipe)
        learned = adapters.mapped({name: tensor.clone() for name, tensor in adapters.tensors.items()}).to(device)
        state = cls(recipe, material, phases, start.net.backbone.to(device), learned, team)
        state.start = ready(start, camera, adapters, task_config)
        state.view = view_of(material, state.start)
        return state

    def begin_backbone(self) -> None:
        """Phase 1 after the warm start: every independent denoiser begins as the one that was trained."""
        self.phase, self.step, self.best = "backbone", 0, None
        first, *others = self.backbone.blocks
        first.load_state_dict(
            {name[18:]: value for name, value in self.average.items() if name.startswith("backbone/blocks.0.")}
        )
        for block in others:
            block.load_state_dict(first.state_dict())
        self._begin_phase()

    def begin_adapters(self, phase_1: Model, *, earlier: Model | None = None) -> None:
        """Phase 2: the frozen backbone of phase 1, its data steps, and adapters that change nothing yet.

        An `earlier` set of the same backbone, gamma and data goes on to learn instead. A sampling matrix of another
        ratio than that of phase 1 starts anew.
        """
        self.phase, self.step, self.best = "adapters", 0, None
        self.pretrained = phase_1.card.get("task_config", {})
        self.backbone.load_state_dict(phase_1.net.backbone.state_dict())
        generator = torch.Generator().manual_seed(self.recipe.training.seed + 1)
        fresh = new_adapters(
            self.backbone.blocks[0],
            num_stages=self.recipe.network.num_stages,
            gamma=self.recipe.gamma,
            generator=generator,
        )
        learned = dict((earlier or phase_1).adapters.tensors)
        own = initial_sampling(self.recipe)
        if own is None:
            learned.pop(SAMPLING, None)  # another task on the same backbone
        elif SAMPLING not in learned or learned[SAMPLING].shape != own.shape:
            learned[SAMPLING] = own
        self.adapters = fresh.mapped({**fresh.tensors, **learned}).to(self.device)
        self._begin_phase()

    def _begin_phase(self) -> None:
        """Marks what the phase trains, and starts its optimizer and averages."""
        learn_backbone = self.phase != "adapters"
        self.backbone.requires_grad_(learn_backbone)
        tensors = {f"backbone/{name}": tensor for name, tensor in self.backbone.named_parameters() if learn_backbone}
        if self.phase != "warm-start":
            for tensor in self.adapters.tensors.values():
                tensor.requires_grad_()
            tensors |= {f"adapters/{name}": tensor for name, tensor in self.adapters.tensors.items()}
        tensors = dict(sorted(tensors.items()))  # one order, whether begun or resumed
        self.learned = tensors
        self.average = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        config = self.recipe.training
        shares = {name: _share_of_rate(name.removeprefix("adapters/"), config) for name in tensors}
        groups = [
            (
                [tensor for name, tensor in tensors.items() if shares[name] == share and (tensor.dim() > 1) == wide],
                share,
                decay,
            )
            for share in sorted(set(shares.values()), reverse=True)
            for wide, decay in ((True, config.weight_decay), (False, 0.0))
        ]
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        if config.optimizer not in kinds:
            raise LorunError(f"The optimizer {config.optimizer!r} is not known; choose adam or adamw.")
        groups = [{"params": group, "weight_decay": decay, "share": share} for group, share, decay in groups if group]
        self.optimizer = kinds[config.optimizer](groups, lr=config.learning_rate)

    @property
    def moment(self) -> tuple[float, str, int]:
        """Seconds of training, phase and step: what every event says."""
        return self.elapsed_s, self.phase, self.step

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine from the phase's peak rate to `final_rate` of it."""
        config = self.recipe.training
        peak = config.adapter_learning_rate if self.phase == "adapters" else config.learning_rate
        warm_up = min(1.0, (self.step + 1) / max(1, config.warm_up_steps))
        share = min(1.0, self.step / max(1, self.recipe.num_steps(self.phase)))
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
        values = dict(self.backbone.state_dict())
        values |= {name[9:]: value for name, value in self.average.items() if name.startswith("backbone/")}
        backbone.load_state_dict({name: value.detach().clone() for name, value in values.items()})
        tensors = {name: value.detach().clone() for name, value in self.adapters.tensors.items()}
        tensors |= {name[9:]: value.clone() for name, value in self.average.items() if name.startswith("adapters/")}
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
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in entry.items()}
        tensors["generator"] = self.generator.get_state()
        facts = {
            "format": _CHECKPOINT_FORMAT,
            "recipe": asdict(self.recipe),
            "material": self.material.fields(),
            "files": self.files,
            "phases": self.phases,
            "phase": self.phase,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "num_parts": self.num_parts,
            "best": self.best,
            "num_waited": self.num_waited,
            "start_metrics": self.start_metrics,
            "pretrained": self.pretrained,
            "gamma": self.adapters.gamma,
            "device": self.device.type,
            "engine_version": __version__,
        }
        stored = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        require_space(path.parent, sum(tensor.nbytes for tensor in stored.values()))
        with replacing(path) as temporary:
            try:
                save_file(stored, temporary, metadata={"checkpoint": json.dumps(facts)})
            except SafetensorError as error:  # what the format's own writer makes of a full disk
                raise FileError(f"{path} could not be written: {error}. Free space, then resume.") from error
            if path.name == CHECKPOINT:
                set_aside(path)

    @classmethod
    def loaded(cls, path: Path, device: torch.device, team: Team = ALONE) -> TrainingState:
        """The state that a checkpoint holds; refused when its training files have changed."""
        facts, tensors = _read_checkpoint(path)
        recipe = recipe_from(facts["recipe"], source=str(path))
        stored = facts["material"]
        is_local = "route" in stored
        material = LocalMaterial.from_fields(stored, path.parent) if is_local else Material.from_fields(stored)
        state = cls.new(recipe, material, tuple(facts["phases"]), device, team)
        if state.files != facts["files"]:
            raise FileError(
                f"The training files of {path.parent} have changed since its checkpoint. Put them back, or start anew."
            )
        state.backbone.load_state_dict(_below("model/backbone/", tensors))
        adapters = {name: value.to(device) for name, value in _below("model/adapters/", tensors).items()}
        state.adapters = AdapterSet(recipe.network.num_stages, adapters, gamma=facts["gamma"])
        state.phase = facts["phase"]
        state._begin_phase()
        state.average = {name: tensors[f"average/{name}"].to(device) for name in state.learned}
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer/", tensors).items():
            index, key = name.split("/")
            entries.setdefault(int(index), {})[key] = value
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": entries, "param_groups": groups})
        for name in ("step", "elapsed_s", "num_parts", "best", "num_waited", "start_metrics", "pretrained"):
            setattr(state, name, facts.get(name, getattr(state, name)))
        if facts["device"] == device.type:
            state.generator.set_state(tensors["generator"])
        else:  # another kind of device draws other numbers: a fresh, reproducible start
            state.generator.manual_seed(recipe.training.seed + 1_000_003 * (1 + state.step))
        return state


def _share_of_rate(name: str, config: TrainingConfig) -> float:
    """The share of the learning rate that a tensor of the adapter set takes."""
    if name == SAMPLING:
        return config.sampling_rate
    return config.step_rate if "/step/" in name else 1.0


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and tensors of a checkpoint."""
    if not path.is_file():
        raise FileError(f"{path.parent} holds no checkpoint. Choose the folder of a training.")
    try:
        with safe_open(path, framework="pt") as stored:
            facts = json.loads((stored.metadata() or {})["checkpoint"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, ValueError) as error:
        raise FileError(f"{path} is not a checkpoint of LoRun, or is damaged. Start the training anew.") from error
    if facts.get("format") != _CHECKPOINT_FORMAT:
        raise FileError(
            f"{path} has format {facts.get('format')}; this version reads {_CHECKPOINT_FORMAT}. Start anew."
        )
    return facts, tensors


def is_whole(path: Path) -> bool:
    """Whether a checkpoint can be read to its end."""
    try:
        _read_checkpoint(path)
    except FileError:
        return False
    return True


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

"""Training by Algorithm 1 of the paper as a generator of events: phase 1 the backbone, phase 2 the adapters.

Phase "backbone" trains one denoiser shared by all K stages, end to end, with the data steps' parameters (Block-K: K
independent denoisers); phase "adapters" freezes the backbone and trains K adapter sets and the data steps' parameters.
A cheap phase "warm-start", the denoiser alone on noise and mask artefacts, may come first. A run lives in a folder:
`checkpoint.safetensors` (everything, replaced atomically), `backbone.safetensors`, `share.safetensors` and
`adapters.safetensors` (the best by validation so far, usable at any moment). An adaptation (see `adapting`) is phase 2
alone, from a set and for a camera that lie in the folder.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import __version__
from .dataset import Material, Sample, Sampler, TrainingSet, spectra_of
from .dataset_local import LocalMaterial, local_training_set, ready, starting_point, view_of
from .datasets import initial_sampling, training_set
from .distributed import ALONE, Team, require_batch
from .errors import DeviceError, FileError, LorunError, NumericalError
from .evaluate import evaluate
from .io import replacing
from .lora import SAMPLING, AdapterSet, new_adapters
from .model import Model, backbone_hash, load_model, save_adapters, save_backbone
from .physics import LinearPhysics
from .recipe import Recipe, TrainingConfig, recipe_from
from .restore import restore
from .run_folder import BEST_CHECKPOINT, CHECKPOINT, EARLIER, PREVIEW, require_space, set_aside, write_preview
from .selfsupervised import self_supervised_loss
from .subspace import spectral_components
from .unfolding import Backbone, DenoiserView, UnfoldingNet, new_step_parameters, run_denoiser

_CHECKPOINT_FORMAT = 1
_PREVIEW_SHARE = 0.1  # of the time may go into previews


@dataclass(frozen=True)
class TrainEvent:
    """One line of a training.

    `event` is started, step, validated, saved, phase, memory, preview, paused, continued, stopped, discarded or
    finished. `step` counts from 1 within `phase`; `metrics` are the validation means; `message` is a sentence for
    people. `reason` says why it stopped: "asked", "early", "disk-full" or "not-finite". What is validated before the
    first step is the start (`is_start`).
    """

    event: str
    elapsed_s: float
    phase: str | None = None
    step: int | None = None
    loss: float | None = None
    learning_rate: float | None = None
    metrics: Mapping[str, float] | None = None
    message: str | None = None
    reason: str | None = None
    is_start: bool | None = None
    is_best: bool | None = None
    num_steps: int | None = None
    num_parameters: int | None = None
    device: str | None = None
    start_metrics: Mapping[str, float] | None = None
    starting_set: str | None = None
    starting_hash: str | None = None
    backbone_hash: str | None = None
    name: str | None = None
    path: str | None = None
    report: str | None = None


def train(
    recipe: Recipe,
    material: Material | LocalMaterial,
    run: Path,
    *,
    phases: Sequence[str] | None = None,
    device: str = "cpu",
    team: Team = ALONE,
) -> Generator[TrainEvent, str | None, None]:
    """Trains into the folder `run`, yielding an event after every step; starts phase 1 or `phases` from their start.

    After the event of a step it may be sent "validate" or "checkpoint" (see `steering`). A phase "adapters" alone takes
    the backbone that lies in the folder. The processes of a `team` share every batch; all yield events, the first alone
    writes.
    """
    if team.leads and (run / CHECKPOINT).exists():
        raise FileError(f"{run} already holds a training. Resume it, or choose another folder.")
    run.mkdir(parents=True, exist_ok=True)
    phases = recipe.phases if phases is None else tuple(phases)
    state = _State.new(recipe, material, phases, torch.device(device), team)
    if phases[0] == "adapters" and state.start is None:
        state.begin_adapters(load_model(run / "share.safetensors"))
    return _trained(state, run)


def resume(run: Path, *, device: str = "cpu", team: Team = ALONE) -> Generator[TrainEvent, str | None, None]:
    """Goes on with the training in `run` from its checkpoint; the loss sequence is that of an unbroken run."""
    for path in (run / CHECKPOINT, *(run / name for name in EARLIER)):
        if path.is_file() and _is_whole(path):  # a disk may have lost what it was given last
            return _trained(_State.loaded(path, torch.device(device), team), run)
    return _trained(_State.loaded(run / CHECKPOINT, torch.device(device), team), run)


class AdaptationTrial:
    """A few real steps of an adaptation that keeps nothing: what it takes, and how its starting set scores."""

    def __init__(self, recipe: Recipe, material: LocalMaterial, *, device: str = "cpu") -> None:
        self.device = device
        self._state = _State.new(recipe, material, recipe.phases, torch.device(device))
        self.start, self.camera = self._state.start, material.reading.camera
        self.drawn_from = _training_set(self._state)
        self._sampler, self._net = self.drawn_from.sampler.to(device), self._state.net()

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(tensor.numel() for tensor in self._state.learned.values())

    def step(self) -> float:
        """One update; the loss before it."""
        state = self._state
        return _step(state, self._net, self._sampler.sample(state.generator), state.learning_rate())

    def start_scores(self) -> dict[str, float]:
        """The starting set's scores on what is withheld."""
        return _scores(self.start, self.drawn_from, self.device)


class _State:
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
    ) -> _State:
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
    ) -> _State:
        """The state before the first step of an adaptation: the starting set on its own frozen backbone."""
        start, camera = material.start(), material.reading.camera
        adapters, task_config = starting_point(start, camera, recipe)
        learned = adapters.mapped({name: tensor.clone() for name, tensor in adapters.tensors.items()}).to(device)
        state = cls(recipe, material, phases, start.net.backbone.to(device), learned, team)
        state.start = ready(start, camera, adapters, task_config)
        state.view = view_of(material, state.start)
        return state

    def begin_adapters(self, phase_1: Model) -> None:
        """Phase 2: the frozen backbone of phase 1, its data steps, and adapters that change nothing yet.

        A sampling matrix of another ratio than that of phase 1 starts anew.
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
        learned = dict(phase_1.adapters.tensors)
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
    def loaded(cls, path: Path, device: torch.device, team: Team = ALONE) -> _State:
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


def _trained(state: _State, run: Path) -> Generator[TrainEvent, str | None, None]:
    """The phases one after the other."""
    recipe = state.recipe
    drawn_from = _training_set(state)
    sampler = drawn_from.sampler.to(state.device)
    if recipe.network.uses_components and state.step == 0 and state.phase == state.phases[0] != "adapters":
        generator = torch.Generator(state.device).manual_seed(recipe.training.seed)
        state.backbone.components.copy_(spectral_components(spectra_of(sampler, generator)))
    num_learned = sum(tensor.numel() for tensor in state.learned.values())
    counts = {name: count for name, count in sampler.summary().items() if isinstance(count, int) and count}
    counts["validation windows"] = sum(len(windows) for windows, _ in drawn_from.validation)
    *drawn, windows = (f"{n} {name.removesuffix('s') if n == 1 else name}" for name, n in counts.items())
    message = f"{num_learned} parameters are learned from {', '.join(drawn)}; {windows}."
    yield _started(state, message, num_learned)
    if state.start is not None and state.step == 0:
        yield from _first_look(state, run, drawn_from)
    first = state.phases.index(state.phase)
    for phase in state.phases[first:]:
        if phase != state.phase:
            state.team.wait()  # until the first has written the phase before
            if phase == "adapters":
                state.begin_adapters(load_model(run / "share.safetensors"))
            else:
                state.phase, state.step, state.best = phase, 0, None
                _share_warm_start(state)
                state._begin_phase()
            yield TrainEvent("phase", state.elapsed_s, phase, 0)
        yield from _phase(state, run, sampler, drawn_from)
        if _has_waited_enough(state):
            message = f"No better score in {state.num_waited} validations: the training ended early."
            yield TrainEvent("stopped", state.elapsed_s, phase, state.step, message=message, reason="early")
            return
        if state.step < recipe.num_steps(phase):
            yield TrainEvent("paused", state.elapsed_s, phase, state.step, message=f"Paused; resume {run} to go on.")
            return
    message = f"The training in {run} is complete."
    yield TrainEvent("finished", state.elapsed_s, state.phase, state.step, message=message)


def _training_set(state: _State) -> TrainingSet:
    if isinstance(state.material, LocalMaterial):
        recipe = state.recipe
        return local_training_set(state.material, recipe.data, state.start, seed=recipe.training.seed)
    return training_set(state.material, state.recipe)


def _started(state: _State, message: str, num_learned: int) -> TrainEvent:
    """What a training is, before its first step."""
    event = TrainEvent(
        "started",
        state.elapsed_s,
        state.phase,
        state.step,
        message=message,
        num_steps=state.recipe.num_steps(state.phase),
        num_parameters=num_learned,
        device=state.device.type,
    )
    if not isinstance(state.material, LocalMaterial):
        return event
    name, digest = state.material.origin
    return replace(
        event,
        name=state.material.title,
        starting_set=name,
        starting_hash=digest,
        backbone_hash=state.start.card["backbone_hash"],
    )


def _first_look(state: _State, run: Path, drawn_from: TrainingSet) -> Iterator[TrainEvent]:
    """The starting set's own score, which also is the first best one, its preview, and a checkpoint to resume from."""
    if state.best is None:
        event = _validated(state, run, drawn_from)
        state.num_waited = 0
        yield replace(event, is_start=True)
    if state.team.leads and state.material.preview:
        _preview(state, run, drawn_from)
        yield TrainEvent("preview", state.elapsed_s, state.phase, 0, path=PREVIEW, is_start=True)
    state.save(run / CHECKPOINT)


def _has_waited_enough(state: _State) -> bool:
    return 0 < state.recipe.training.patience <= state.num_waited


def _preview(state: _State, run: Path, drawn_from: TrainingSet) -> None:
    """Decodes the user's own capture by the starting set, once, and by the weights as they are."""
    capture = state.material.capture()
    model = state.averaged(_card_fields(state, drawn_from, {}))
    images = []
    for decoder in (state.start, model) if state.shown is None else (model,):
        *_, last = restore(decoder, capture, device=str(state.device))
        images.append(last.image)
    state.shown = images[0] if state.shown is None else state.shown
    write_preview(run / PREVIEW, state.shown, images[-1], step=state.step, wavelengths_nm=capture.wavelengths_nm)


def _phase(
    state: _State, run: Path, sampler: Sampler, drawn_from: TrainingSet
) -> Generator[TrainEvent, str | None, None]:
    """The rest of the current phase, with validations and checkpoints at their intervals; saves when it is closed.

    After a step it may be sent "validate", "preview" or "checkpoint".
    """
    config, num_steps, before = state.recipe.training, state.recipe.num_steps(state.phase), state.elapsed_s
    net, began, saved_s = state.net(), time.perf_counter(), -math.inf
    shown_s, look_s = state.elapsed_s, 0.0  # when the last preview was made, and how long it took
    shows = isinstance(state.material, LocalMaterial) and bool(state.material.preview) and state.team.leads
    try:
        while state.step < num_steps and not _has_waited_enough(state):
            sample, rate, num_parts = sampler.sample(state.generator), state.learning_rate(), state.num_parts
            loss = _step(state, net, sample, rate)
            state.elapsed_s = before + time.perf_counter() - began
            if state.num_parts != num_parts:
                message = f"The memory was full: every batch is now computed in {state.num_parts} parts."
                yield TrainEvent("memory", state.elapsed_s, state.phase, state.step, message=message)
            done = state.step == num_steps
            is_due = done or state.step % config.validation_steps == 0
            if is_due:
                event = _validated(state, run, drawn_from)
                state.num_waited = 0 if event.is_best else state.num_waited + 1
                yield event
            if state.step == 1 or done or _due(state, saved_s):
                state.save(run / CHECKPOINT)
                saved_s = state.elapsed_s
            wanted = yield TrainEvent("step", state.elapsed_s, state.phase, state.step, loss, rate)
            passed_s = state.elapsed_s - shown_s
            if shows and (wanted == "preview" or done or (is_due and look_s < _PREVIEW_SHARE * passed_s)):
                look_s = time.perf_counter()
                _preview(state, run, drawn_from)
                look_s, shown_s = time.perf_counter() - look_s, state.elapsed_s
                yield TrainEvent("preview", state.elapsed_s, state.phase, state.step, path=PREVIEW)
            if wanted == "validate":
                yield _validated(state, run, drawn_from)
            elif wanted == "checkpoint":
                state.save(run / CHECKPOINT)
                saved_s = state.elapsed_s
                yield TrainEvent("saved", saved_s, state.phase, state.step, message="A checkpoint was written.")
            if config.piece_s and state.elapsed_s - before > config.piece_s:
                break
    except NumericalError as error:
        message = f"{error} The checkpoint in {run} is the last good one."
        where = (state.elapsed_s, state.phase, state.step + 1)
        yield TrainEvent("stopped", *where, message=message, reason="not-finite")
        raise NumericalError(message) from error
    except (FileError, SafetensorError) as error:  # the second is what the format's own writer makes of a full disk
        message = f"{error} The training stopped; its last checkpoint in {run} is whole. Resume it from there."
        yield TrainEvent("stopped", state.elapsed_s, state.phase, state.step, message=message, reason="disk-full")
        raise FileError(message) from error
    except GeneratorExit:
        state.save(run / CHECKPOINT)
        raise
    state.save(run / CHECKPOINT)


def _due(state: _State, saved_s: float) -> bool:
    config = state.recipe.training
    return state.step % config.checkpoint_steps == 0 or state.elapsed_s - saved_s > config.checkpoint_s


def _step(state: _State, net: UnfoldingNet, sample: Sample, rate: float) -> float:
    """One update; the loss before it. A full device halves the parts a batch is computed in, until it fits."""
    while True:
        try:
            loss = _gradients(state, net, sample)
            break
        except torch.OutOfMemoryError:
            pass  # leave the handler first: it holds the frames that hold the tensors
        if state.num_parts >= len(sample.scene):
            raise DeviceError(
                f"The memory of {state.device} is full even with one sample at a time. Choose a smaller crop."
            )
        state.num_parts *= 2
        if state.device.type == "cuda":
            torch.cuda.empty_cache()
    config = state.recipe.training
    norm = torch.nn.utils.clip_grad_norm_(list(state.learned.values()), config.clip_norm)
    if not (math.isfinite(loss) and math.isfinite(float(norm))):
        raise NumericalError(f"The loss of step {state.step + 1} is not a finite number. Lower the learning rate.")
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["share"]
    state.optimizer.step()
    state.step += 1
    decay = min(config.ema_decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.values()), list(state.learned.values()), 1 - decay)
    return loss


def _gradients(state: _State, net: UnfoldingNet, sample: Sample) -> float:
    """Fills the gradients of the whole batch, part by part, those of the team's other processes added; its loss."""
    state.optimizer.zero_grad(set_to_none=True)
    team, total = state.team, 0.0
    for part in sample.parts(team.size)[team.rank].parts(state.num_parts):
        if state.adapters.sampling is not None:  # Phi is being learned: a fresh operator at every step
            part = part.measured_with(part.physics.with_sampling(state.adapters.sampling))
        share = len(part.scene) / len(sample.scene)
        loss = _warm_start_loss(state, net, part) if state.phase == "warm-start" else _loss(state, net, part)
        (loss * share).backward()
        total += float(loss.detach()) * share
    return team.add_up(total, [tensor.grad for tensor in state.learned.values() if tensor.grad is not None])


def _loss(state: _State, net: UnfoldingNet, sample: Sample) -> Tensor:
    """Eq. 13 on the last stage, plus the weighted losses of the stages before it."""
    if not sample.scene.shape[1]:
        return _loss_without_scenes(state, net, sample)
    config = state.recipe.training
    counted = (..., *(slice(sample.margin, size - sample.margin) for size in sample.scene.shape[-2:]))
    scene = sample.scene[counted]
    images = [stage.image[counted] for stage in net.stages(sample.y, sample.physics, view=state.view)]
    loss = distance(images[-1], scene, config.loss)
    for weight, image in zip(config.earlier_stages, images[-2:0:-1], strict=False):
        loss = loss + weight * distance(image, scene, config.loss)
    return loss


def _loss_without_scenes(state: _State, net: UnfoldingNet, sample: Sample) -> Tensor:
    """The loss of measurements alone (see `selfsupervised`)."""
    data = state.recipe.data

    def decode(y: Tensor, physics: LinearPhysics) -> Tensor:
        *_, last = net.stages(y, physics, view=state.view)
        return last.image

    return self_supervised_loss(
        decode,
        sample.y,
        sample.physics,
        state.generator,
        share=data.withheld,
        equivariance=data.equivariance,
        noise=state.material.reading.camera.noise,
    )


def _warm_start_loss(state: _State, net: UnfoldingNet, sample: Sample) -> Tensor:
    """The denoiser alone, on scenes between the truth and the initial estimate, with Gaussian noise of many levels."""
    batch, device = len(sample.scene), sample.scene.device
    share, level = torch.rand(2, batch, 1, 1, 1, device=device, generator=state.generator)
    noise = torch.randn(sample.scene.shape, device=device, generator=state.generator)
    with torch.no_grad():
        z = torch.lerp(sample.scene, net.initial(sample.y, sample.physics), share) + 0.1 * level**2 * noise
    x, _ = net.denoised(z, sample.physics.conditioning(), None, 1)
    return distance(x, sample.scene, state.recipe.training.loss)


def distance(estimate: Tensor, truth: Tensor, loss: str) -> Tensor:
    """The mean loss between two (B, C, H, W) images: "l2" squared, "rmse" its root, "l1", or "charbonnier"."""
    if loss == "l2":
        return F.mse_loss(estimate, truth)
    if loss == "rmse":
        return F.mse_loss(estimate, truth).sqrt()
    if loss == "l1":
        return F.l1_loss(estimate, truth)
    if loss == "charbonnier":
        return ((estimate - truth).square() + 1e-6).sqrt().mean()
    raise LorunError(f"The loss {loss!r} is not known; choose l2, l1, charbonnier or rmse.")


def _share_warm_start(state: _State) -> None:
    """After the warm start every independent denoiser begins as the one that was trained."""
    first, *others = state.backbone.blocks
    first.load_state_dict(
        {name[18:]: value for name, value in state.average.items() if name.startswith("backbone/blocks.0.")}
    )
    for block in others:
        block.load_state_dict(first.state_dict())


@torch.no_grad()
def _validated(state: _State, run: Path, drawn_from: TrainingSet) -> TrainEvent:
    """Scores the averaged weights on the validation windows and keeps them in `run` when they are the best so far."""
    if state.phase == "warm-start":
        return TrainEvent("saved", state.elapsed_s, state.phase, state.step, message="The warm start has no score.")
    if not state.team.leads:
        return TrainEvent("validated", state.elapsed_s, state.phase, state.step)
    model = state.averaged(_card_fields(state, drawn_from, {}))
    metrics = _scores(model, drawn_from, str(state.device))
    if state.start is not None and state.step == 0:
        state.start_metrics = metrics
    return _kept_if_best(state, run, drawn_from, model, metrics)


@torch.no_grad()
def _scores(model: Model, drawn_from: TrainingSet, device: str) -> dict[str, float]:
    """The mean figures of a model on what is withheld; none where nothing is."""
    if drawn_from.scored is not None:
        return dict(drawn_from.scored(model, device))
    scores = [
        result
        for windows, measure in drawn_from.validation
        for result in evaluate(model, windows, partial(measure, adapters=model.adapters), device=device)
    ]
    return {name: float(np.mean([s.metrics[name] for s in scores])) for name in scores[0].metrics} if scores else {}


def _kept_if_best(
    state: _State, run: Path, drawn_from: TrainingSet, model: Model, metrics: Mapping[str, float]
) -> TrainEvent:
    """Keeps the model when its deciding figure is the best so far, and says how it stands."""
    score = metrics.get("withheld_psnr", metrics.get("psnr"))
    is_best = state.best is None or score is None or score > state.best
    if is_best:
        state.best = score
        _keep(replace(model, card=_card_fields(state, drawn_from, metrics)), run, state.phase)
        if state.start is not None and state.step:
            state.save(run / BEST_CHECKPOINT)
    where = (state.elapsed_s, state.phase, state.step)
    return TrainEvent("validated", *where, metrics=metrics, is_best=is_best or None)


def _keep(model: Model, run: Path, phase: str) -> None:
    """Writes the backbone (phase 1) and the set; the set last, as it names the backbone's hash."""
    config, backbone = model.net.config, model.net.backbone
    digest = backbone_hash(backbone, config)
    if phase != "adapters":
        save_backbone(run / "backbone.safetensors", backbone, config, task=model.task, training=model.card["training"])
    name = "adapters" if phase == "adapters" else "share"
    save_adapters(run / f"{name}.safetensors", model, backbone_hash=digest)


def _card_fields(state: _State, drawn_from: TrainingSet, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What the card says beside the network: bands, intensity rule, training and validation scores."""
    recipe = state.recipe
    local = {} if state.start is None else _local_card_fields(state)
    return local | {
        "task_config": dict(drawn_from.task_config),
        "input_scale": local.get("input_scale", "exposure" if recipe.task == "cassi" else "none"),
        "training": {
            "variant": recipe.variant,
            "pretrained": dict(state.pretrained),
            "phase": state.phase,
            "steps": state.step,
            "hours": round(state.elapsed_s / 3600, 3),
            "device": state.device.type,
            "files": state.material.names("learn"),
            "masks": [path.name for path in getattr(state.material, "masks", ())],
            "drawn_from": dict(drawn_from.sampler.summary()),
        },
        "metrics": {f"validation_{name}": round(value, 4) for name, value in metrics.items()},
    }


def _local_card_fields(state: _State) -> dict[str, Any]:
    """What the card of an adapted set says beside what every set's says."""
    material, start = state.material, state.start
    return {
        "title": material.title,
        "made_from": {"adapted": list(material.origin)},
        "input_scale": start.card.get("input_scale", "exposure"),
        "camera": material.reading.camera.summary(),
        "checked_on": material.names("check"),
        "start_metrics": {f"validation_{name}": round(value, 4) for name, value in state.start_metrics.items()},
    }


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


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint can be read to its end."""
    try:
        _read_checkpoint(path)
    except FileError:
        return False
    return True


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

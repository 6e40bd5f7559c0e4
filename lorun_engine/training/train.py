"""Training by Algorithm 1 of the paper as a generator of events: phase 1 the backbone, phase 2 the adapters.

Phase "backbone" trains one denoiser shared by all K stages, end to end, with the data steps' parameters (Block-K: K
independent denoisers); phase "adapters" freezes the backbone and trains K adapter sets and the data steps' parameters.
A cheap phase "warm-start", the denoiser alone on noise and mask artefacts, may come first. A run lives in a folder:
`checkpoint.safetensors` (everything, replaced atomically), `backbone.safetensors`, `share.safetensors` and
`adapters.safetensors` (the best by validation so far, usable at any moment). An adaptation (see `adapting`) is phase 2
alone, from a set and for a camera that lie in the folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from ..decoding.evaluate import evaluate
from ..decoding.restore import restore
from ..errors import FileError, LorunError, NumericalError
from ..io import made_folder
from ..library.model import Model, backbone_hash, load_model, save_adapters, save_backbone
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..networks.unfolding import ITERATIVE
from ..task import TASKS
from ..tasks.subspace import shipped_components, spectral_components
from ..training_data.dataset import Material, Sampler, TrainingSet, spectra_of
from .distributed import ALONE, Team
from .events import (
    Events,
    Finished,
    MemoryFull,
    Origin,
    Paused,
    PhaseBegun,
    Previewed,
    Saved,
    Started,
    Step,
    Stopped,
    TrainEvent,
    Validated,
    WayChosen,
)
from .execution import Way, settle, way_of
from .learning import one_step
from .own_material import LocalMaterial, local_training_set
from .pool import StartPool
from .recipe import Recipe, training_set
from .run_folder import (
    BACKBONE,
    BEST,
    BEST_CHECKPOINT,
    CHECKPOINT,
    EARLIER,
    PREVIEW,
    SHARE,
    held,
    require_new,
    run_lock,
    write_preview,
)
from .state import Adapted, Moved, TrainingState, is_whole

_NEGLIGIBLE = 1e-4  # of the energy's unit, for components that are not shipped
_PREVIEW_SHARE = 0.1  # of the time may go into previews


def train(
    recipe: Recipe,
    material: Material | LocalMaterial,
    run: Path,
    *,
    phases: Sequence[str] | None = None,
    start: Model | None = None,
    device: str = "cpu",
    team: Team = ALONE,
    lock: FileLock | None = None,
) -> Events:
    """Trains into the folder `run`, yielding an event after every step; starts phase 1 or `phases` from their start.

    After the event of a step it may be sent "validate" or "checkpoint" (see `steering`). With a set `start`, whose
    backbone lies in the folder, a phase 1 goes on with that backbone, and a phase "adapters" alone with its adapters;
    without one the latter takes the backbone of a phase 1 that the folder holds. The processes of a `team` share every
    batch; all yield events, the first alone writes. Until its end, or until it is closed, the training holds the `lock`
    of its folder (see `run_folder`); its caller may hold it already.
    """
    made_folder(run)
    with _held_by(run, lock, team) as holder:
        if team.leads:
            require_new(run)
        phases = recipe.phases if phases is None else tuple(phases)
        state = TrainingState.new(recipe, material, phases, torch.device(device), team)
        if phases[0] == "adapters" and state.adapted is None:
            state.begin_adapters(load_model(run / SHARE) if start is None else start, goes_on=start is not None)
        elif start is not None:
            state.go_on_with_backbone_of(start)
        return _holding(holder.pop_all(), _trained(state, run))


def resume(
    run: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    moved: Moved | None = None,
    team: Team = ALONE,
    lock: FileLock | None = None,
) -> Events:
    """Goes on with the training in `run` from its checkpoint; the loss sequence is that of an unbroken run.

    With another number of `threads` than it had before it is so but for rounding. `moved` says where its files lie now.
    """
    if not run.is_dir():
        raise FileError(f"{run} is no folder. Choose the folder of a training.")
    with _held_by(run, lock, team) as holder:
        state = _resumed(run, device, threads, moved, team)
        return _holding(holder.pop_all(), _trained(state, run))


def _held_by(run: Path, lock: FileLock | None, team: Team) -> ExitStack:
    """What holds the folder for the first process of a team, until it is closed."""
    holder = ExitStack()
    if team.leads:
        holder.enter_context(held(lock or run_lock(run)))
    return holder


def _holding(holder: ExitStack, events: Events) -> Events:
    """The events of a training that holds its folder until they end."""
    with holder:
        yield from events


def _resumed(run: Path, device: str, threads: int | None, moved: Moved | None, team: Team) -> TrainingState:
    """The state of the newest checkpoint that is whole."""
    paths = (run / name for name in (CHECKPOINT, *EARLIER))
    path = next((path for path in paths if path.is_file() and is_whole(path)), run / CHECKPOINT)  # disks lose files
    state = TrainingState.loaded(path, torch.device(device), team, moved=moved)
    if threads is not None:
        state.recipe = replace(way_of(state.recipe), threads=threads).of(state.recipe)
    return state


class AdaptationTrial:
    """A few real steps of an adaptation that keeps nothing: what it takes, and how its starting set scores."""

    def __init__(self, recipe: Recipe, material: LocalMaterial, *, device: str = "cpu") -> None:
        self.device = device
        self._state = state = TrainingState.new(recipe, material, recipe.phases, torch.device(device))
        if state.adapted is None:
            raise LorunError("A trial was asked for without a starting set; an adaptation was expected.")
        self.start, self.camera = state.adapted.start, state.adapted.camera
        self.drawn_from = _training_set(state)
        sampler = self.drawn_from.sampler.to(device)
        self.path = settle(state, _pool(state, sampler))  # how it is computed, where that was chosen here
        self._pool, self._net = _pool(state, sampler), state.net()

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self._state.learned.num_parameters

    @property
    def way(self) -> Way:
        """How its steps are computed."""
        return way_of(self._state.recipe)

    def step(self) -> float:
        """One update; the loss before it."""
        state = self._state
        return one_step(state, self._net, self._pool.sample(state.generator, state.course.step), state.learning_rate())

    def start_scores(self) -> dict[str, float]:
        """The starting set's scores on what is withheld."""
        return _scores(self.start, self.drawn_from, self.device)


def _trained(state: TrainingState, run: Path) -> Events:
    """The phases one after the other."""
    drawn_from, course, recipe = _training_set(state), state.course, state.recipe
    sampler = drawn_from.sampler.to(state.device)
    if state.seeks_components:
        state.backbone.known_components.copy_(_components(state, drawn_from, sampler))
    yield _started(state, drawn_from)
    way = settle(state, _pool(state, sampler))
    if way is not None:
        yield WayChosen(*course.moment, way)
    if state.adapted is not None and course.step == 0:
        yield from _first_look(state, state.adapted, run, drawn_from)
    first = state.phases.index(course.phase)
    for phase in state.phases[first:]:
        if phase != course.phase:
            state.team.wait()  # until the first has written the phase before
            if phase == "adapters":
                state.begin_adapters(load_model(run / SHARE))
            else:
                state.begin_backbone()
            yield PhaseBegun(*course.moment, recipe.num_steps(phase))
        yield from _phase(state, run, _pool(state, sampler), drawn_from)
        is_early = course.step < recipe.num_steps(phase)
        if is_early and not _has_waited_enough(state):
            yield Paused(*course.moment, f"Paused; resume {run} to go on.")
            return
    if is_early:
        waited = f"No better score in {course.num_waited} validations: the training ended early."
        yield Stopped(*course.moment, waited, "early")
        return
    yield Finished(*course.moment, f"The training in {run} is complete.")


def _components(state: TrainingState, drawn_from: TrainingSet, sampler: Sampler) -> Tensor:
    """The (C, C) spectral components of a new backbone.

    A network that starts from subspace TV has that decoder's own, so that it starts from what the decoder gives; the
    spectra of composed scenes are more varied than a scene's and give a worse estimate. Others have the samples'.
    """
    if state.recipe.network.initial != "multiscale-tv":
        generator = torch.Generator(state.device).manual_seed(state.recipe.training.seed)
        return spectral_components(spectra_of(sampler, generator))
    wavelengths_nm = np.asarray(drawn_from.task_config["wavelengths_nm"])
    shipped = shipped_components(wavelengths_nm, state.recipe.network.channels)
    others = torch.linalg.svd(shipped)[2][len(shipped) :]
    return torch.cat([shipped, _NEGLIGIBLE * others])


def _training_set(state: TrainingState) -> TrainingSet:
    recipe, source = state.recipe, state.source
    if isinstance(source, Adapted):
        return local_training_set(source.material, recipe.data, source.start, seed=recipe.training.seed)
    return training_set(source, recipe)


def _pool(state: TrainingState, sampler: Sampler) -> StartPool:
    """What the steps of the current phase draw from."""
    config = state.recipe.training
    # what is withheld of measurements alone is drawn at every step, before an estimate
    alone = state.adapted is not None and state.adapted.material.route == "captures"
    size = config.pool_size if state.recipe.network.initial in ITERATIVE and not alone else 0
    return StartPool(
        sampler,
        state.net(),
        seed=config.seed,
        size=size,
        uses=config.pool_uses,
        device=state.device,
        view=state.view,
    )


def _started(state: TrainingState, drawn_from: TrainingSet) -> Started:
    """What a training is, before its first step."""
    num_learned, summary = state.learned.num_parameters, drawn_from.sampler.summary()
    counts = {name: count for name, count in summary.items() if isinstance(count, int) and count}
    counts["validation windows"] = sum(len(windows) for windows, _ in drawn_from.validation)
    *drawn, windows = (f"{n} {name.removesuffix('s') if n == 1 else name}" for name, n in counts.items())
    message = f"{num_learned} parameters are learned from {', '.join(drawn)}; {windows}."
    origin, adapted = None, state.adapted
    if adapted is not None:
        origin = Origin(adapted.material.title, *adapted.material.origin, adapted.start.card["backbone_hash"])
    num_steps = state.recipe.num_steps(state.course.phase)
    return Started(*state.course.moment, message, num_steps, num_learned, state.device.type, origin)


def _first_look(state: TrainingState, adapted: Adapted, run: Path, drawn_from: TrainingSet) -> Iterator[TrainEvent]:
    """The starting set's own score, which also is the first best one, its preview, and a checkpoint to resume from."""
    if state.course.best is None:
        scored = _scored(state, run, drawn_from)
        state.course.num_waited = 0
        yield replace(scored, is_start=True)
    if state.team.leads and adapted.material.preview:
        _preview(state, adapted, run, drawn_from)
        yield Previewed(*state.course.moment, PREVIEW, is_start=True)
    state.save(run / CHECKPOINT)


def _has_waited_enough(state: TrainingState) -> bool:
    return 0 < state.recipe.training.patience <= state.course.num_waited


def _preview(state: TrainingState, adapted: Adapted, run: Path, drawn_from: TrainingSet) -> None:
    """Decodes the user's own capture by the starting set, once, and by the weights as they are."""
    capture = adapted.material.capture()
    model = state.averaged(_card_fields(state, drawn_from, {}))
    device, step = str(state.device), state.course.step
    if adapted.shown is None:
        *_, last = restore(adapted.start, capture, device=device)
        adapted.shown = last.image
    *_, last = restore(model, capture, device=device)
    write_preview(run / PREVIEW, adapted.shown, last.image, step=step, wavelengths_nm=capture.wavelengths_nm)


def _phase(state: TrainingState, run: Path, pool: StartPool, drawn_from: TrainingSet) -> Events:
    """The rest of the current phase, with validations and checkpoints at their intervals; saves when it is closed.

    After a step it may be sent "validate", "preview" or "checkpoint".
    """
    config, course = state.recipe.training, state.course
    num_steps, before = state.recipe.num_steps(course.phase), course.elapsed_s
    net, began, saved_s = state.net(), time.perf_counter(), -math.inf
    shown_s, look_s = course.elapsed_s, 0.0  # when the last preview was made, and how long it took
    shown = state.adapted if state.adapted and state.adapted.material.preview and state.team.leads else None
    try:
        while course.step < num_steps and not _has_waited_enough(state):
            sample, rate = pool.sample(state.generator, course.step), state.learning_rate()
            num_parts = course.num_parts
            loss = one_step(state, net, sample, rate)
            course.elapsed_s = before + time.perf_counter() - began
            if course.num_parts != num_parts:
                message = f"The memory was full: every batch is now computed in {course.num_parts} parts."
                yield MemoryFull(*course.moment, message)
            done = course.step == num_steps
            is_due = done or course.step % config.validation_steps == 0
            if is_due:
                scored = _validated(state, run, drawn_from)
                if isinstance(scored, Validated):
                    course.num_waited = state.team.decided(0 if scored.is_best else course.num_waited + 1)
                yield scored
            if course.step == 1 or done or _due(state, saved_s):
                state.save(run / CHECKPOINT)
                saved_s = course.elapsed_s
            wanted = yield Step(*course.moment, loss, rate)
            passed_s = course.elapsed_s - shown_s
            if shown is not None and (wanted == "preview" or done or (is_due and look_s < _PREVIEW_SHARE * passed_s)):
                look_s = time.perf_counter()
                _preview(state, shown, run, drawn_from)
                look_s, shown_s = time.perf_counter() - look_s, course.elapsed_s
                yield Previewed(*course.moment, PREVIEW)
            if wanted == "validate":
                yield _validated(state, run, drawn_from)
            elif wanted == "checkpoint":
                state.save(run / CHECKPOINT)
                saved_s = course.elapsed_s
                yield Saved(*course.moment, "A checkpoint was written.")
            if config.piece_s and state.team.decided(course.elapsed_s - before > config.piece_s):
                break
        state.save(run / CHECKPOINT)
    except NumericalError as error:
        message = f"{error} {_what_is_left(run)}"
        yield Stopped(course.elapsed_s, course.phase, course.step + 1, message, "not-finite")
        raise NumericalError(message) from error
    except FileError as error:
        message = f"{error} The training stopped. {_what_is_left(run)}"
        yield Stopped(*course.moment, message, "disk-full")
        raise FileError(message) from error
    except GeneratorExit:
        state.save(run / CHECKPOINT)
        raise


def _what_is_left(run: Path) -> str:
    """What there is to go on from, in words."""
    if (run / CHECKPOINT).is_file():
        return f"The checkpoint in {run} is the last good one; the training can be resumed from there."
    return "It had written no checkpoint yet; start it again."


def _due(state: TrainingState, saved_s: float) -> bool:
    config = state.recipe.training
    return state.course.step % config.checkpoint_steps == 0 or state.course.elapsed_s - saved_s > config.checkpoint_s


def _validated(state: TrainingState, run: Path, drawn_from: TrainingSet) -> Validated | Saved:
    """What `_scored` says; the warm start has nothing to score."""
    if state.course.phase == "warm-start":
        return Saved(*state.course.moment, "The warm start has no score.")
    return _scored(state, run, drawn_from)


@torch.no_grad()
def _scored(state: TrainingState, run: Path, drawn_from: TrainingSet) -> Validated:
    """Scores the averaged weights on the validation windows and keeps them in `run` when they are the best so far."""
    if not state.team.leads:
        return Validated(*state.course.moment)
    model = state.averaged(_card_fields(state, drawn_from, {}))
    metrics = _scores(model, drawn_from, str(state.device))
    if state.adapted is not None and state.course.step == 0:
        state.course.start_metrics = metrics
    return _kept_if_best(state, run, drawn_from, model, metrics)


@torch.no_grad()
def _scores(model: Model, drawn_from: TrainingSet, device: str) -> dict[str, float]:
    """The mean figures of a model on what is withheld; none where nothing is."""
    if drawn_from.scored is not None:
        return dict(drawn_from.scored(model, device))
    scores = [
        result
        for windows, measure in drawn_from.validation
        for result in evaluate(model, windows, measured_by(measure, model.adapters), device=device)
    ]
    return {name: float(np.mean([s.metrics[name] for s in scores])) for name in scores[0].metrics} if scores else {}


def measured_by(
    measure: Callable[[Scene, AdapterSet], Measurement], adapters: AdapterSet
) -> Callable[[Scene], Measurement]:
    """What measures a scene for one set: where it learns the sampling matrix, by its own."""
    return lambda scene: measure(scene, adapters)


def _kept_if_best(
    state: TrainingState, run: Path, drawn_from: TrainingSet, model: Model, metrics: Mapping[str, float]
) -> Validated:
    """Keeps the model when its deciding figure is the best so far, and says how it stands."""
    score = metrics.get("withheld_psnr", metrics.get("psnr"))
    is_best = state.course.best is None or score is None or score > state.course.best
    if is_best:
        state.course.best, state.course.num_waited = score, 0
        _keep(replace(model, card=_card_fields(state, drawn_from, metrics)), run, state.course.phase)
        if state.adapted is not None and state.course.step:
            state.save(run / BEST_CHECKPOINT)
    return Validated(*state.course.moment, metrics, is_best=is_best)


def _keep(model: Model, run: Path, phase: str) -> None:
    """Writes the backbone (phase 1) and the set; the set last, as it names the backbone's hash."""
    config, backbone = model.net.config, model.net.backbone
    digest = backbone_hash(backbone, config)
    if phase != "adapters":
        save_backbone(run / BACKBONE, backbone, config, task=model.task, training=model.card["training"])
    save_adapters(run / (BEST if phase == "adapters" else SHARE), model, backbone_hash=digest)


def _card_fields(state: TrainingState, drawn_from: TrainingSet, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What the card says beside the network: bands, intensity rule, training and validation scores."""
    recipe = state.recipe
    local = {} if state.adapted is None else _local_card_fields(state.adapted)
    return local | {
        "task_config": dict(drawn_from.task_config),
        "input_scale": local.get("input_scale", "none" if TASKS[recipe.task].is_photograph else "exposure"),
        "training": {
            "variant": recipe.variant,
            "pretrained": dict(state.course.pretrained),
            "phase": state.course.phase,
            "steps": state.course.step,
            "hours": round(state.course.elapsed_s / 3600, 3),
            "device": state.device.type,
            **asdict(way_of(recipe)),
            "files": state.material.names("learn"),
            "masks": [path.name for path in state.source.masks] if isinstance(state.source, Material) else [],
            "drawn_from": dict(drawn_from.sampler.summary()),
            **({} if state.adapted is None else {"started_from": state.adapted.material.origin[0]}),
        },
        "metrics": {
            f"{kind}_{name}": round(value, 4)
            for kind, scores in (("start", state.course.start_metrics), ("validation", metrics))
            for name, value in scores.items()
        },
    }


def _local_card_fields(adapted: Adapted) -> dict[str, Any]:
    """What the card of an adapted set says beside what every set's says."""
    material, start = adapted.material, adapted.start
    return {
        "title": material.title,
        "made_from": {"adapted": list(material.origin)},
        "input_scale": start.card.get("input_scale", "exposure"),
        "camera": adapted.camera.summary(),
        "checked_on": material.checked_on(),
    }

"""From a starting set to a training on a user's own camera and data: presets, the folder, and a short measured trial.

Only the adapters, the data steps' parameters and, where it is learned, Phi are trained; the backbone stays as it is.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..decoding.evaluate import evaluate
from ..errors import FileError, LorunError
from ..io import OpenOptions, made_folder, replacing
from ..library.cards import Card, backbone_of, read_card
from ..schema import hints_of, parsed, read
from ..tasks.camera import Camera
from ..training_data.camera import save_camera
from ..training_data.own_files import Examined
from ..training_data.settings import LocalData
from .events import Discarded, Finished, Result, Stopped, TrainEvent
from .execution import Way
from .own_material import LocalMaterial, known_camera_measures
from .recipe import AUTO, Recipe, TrainingConfig, recipe_from
from .run_folder import (
    BACKBONE,
    BEST,
    BEST_CHECKPOINT,
    CAMERA,
    CHECKPOINT,
    DATA,
    EARLIER,
    RECIPE,
    REPORT,
    START,
    require_new,
    write_json,
    write_text,
)
from .toml import read_toml, toml_text
from .train import AdaptationTrial, measured_by

PRESETS: Mapping[str, float] = {"quick": 8 * 60, "standard": 60 * 60, "thorough": 8 * 60 * 60}  # seconds meant
_FEWEST_STEPS = 30
_TRIAL_S = 8.0  # after which no further step of a recipe is timed
_TRIAL_STEPS = 3  # that are timed, after one that is not
_SAME_DB = 0.5  # a set that loses less than this by a camera serves it


@dataclass(frozen=True)
class Adaptation:
    """What is to be adapted to what. `library` is where the backbone may lie, `learned` what `examined` gave."""

    card: Card
    library: tuple[Path, ...]
    camera: Camera
    route: str
    learned: Examined | None
    options: OpenOptions = OpenOptions()
    companions: tuple[Path, ...] = ()
    preview: tuple[Path, ...] = ()
    title: str = ""

    def into(self, folder: Path) -> LocalMaterial:
        """The material of this adaptation in `folder`: camera, starting set and its backbone are copied there."""
        require_new(made_folder(folder))
        backbone = backbone_of(self.card, self.library)
        save_camera(self.camera, folder / CAMERA)
        for source, name in ((backbone.path, BACKBONE), (self.card.path, START)):
            _copy(source, folder / name)
        return LocalMaterial(
            folder,
            self.route,
            () if self.learned is None else self.learned.files,
            self.options,
            self.companions,
            self.title or f"{self.card.name} adapted",
            (self.card.name, self.card.hash),
            self.preview,
            {} if self.learned is None else self.learned.full_scales,
        )


def read_adapt_recipe(path: Path, card: Card, *, settings: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a preset or a user's file for the set of this card; `settings` replace single fields by name."""
    table = read_toml(path, "recipe")
    return adapt_recipe(table, card, settings=settings or {}, source=str(path))


def adapt_recipe(table: Mapping[str, Any], card: Card, *, settings: Mapping[str, Any], source: str) -> Recipe:
    """The recipe that [data] and [training] of `table` make for the set of this card."""
    kinds: Mapping[str, type] = {"training": TrainingConfig, "data": LocalData}
    if unknown := set(table) - {"task", "variant", "bands", "step", "gamma", "network", "adapts", *kinds}:
        raise FileError(
            f"{source} has the unknown setting {', '.join(sorted(unknown))}; [data] and [training] say all."
        )
    tables: dict[str, dict[str, Any]] = {
        name: asdict(read(kind, table.get(name, {}), source=f"{source} [{name}]")) for name, kind in kinds.items()
    }
    whole = {
        "task": card.task,
        "variant": "lorun",
        "gamma": card.fields.get("gamma") or 10.0,
        "network": card.fields["network"],
        "adapts": card.hash,
    }
    for name, value in settings.items():
        owner = next((owner for owner, kind in kinds.items() if name in hints_of(kind)), None)
        if owner is None:
            raise LorunError(f"The recipe has no setting {name!r}. Settings are those of RUN/recipe.toml.")
        try:
            tables[owner][name] = parsed(value, hints_of(kinds[owner])[name]) if isinstance(value, str) else value
        except ValueError as error:
            raise LorunError(f"The setting {name}: {error}.") from error
    training = {**tables["training"], "warm_start_steps": 0, "backbone_steps": 0}
    recipe = recipe_from({**whole, **tables, "training": training}, source=source)
    if recipe.training.adapter_steps < 1:
        raise LorunError(f"{recipe.training.adapter_steps} steps were asked for; at least 1 was expected.")
    return recipe


def write_plan(material: LocalMaterial, recipe: Recipe, examined: Examined | None) -> None:
    """The recipe and the data list, beside the training."""
    write_text(material.folder / RECIPE, toml_text(recipe))
    skipped = () if examined is None else examined.skipped
    document = {
        "task": recipe.task,
        "route": material.route,
        "files": [file.listed() for file in material.files],
        "skipped": [{"path": str(path), "reason": reason} for path, reason in skipped],
        "notes": [] if examined is None else list(examined.notes),
        "camera": material.reading.camera.summary(),
    }
    write_json(material.folder / DATA, document)


def with_ends(events: Generator[TrainEvent], run: Path) -> Generator[TrainEvent]:
    """The events of an adaptation, the last with its scores and a report, which is written before; a discarded one
    leaves no set."""
    with closing(events):
        for event in events:
            if isinstance(event, Discarded):
                for name in (BEST, BEST_CHECKPOINT, CHECKPOINT, *EARLIER):
                    (run / name).unlink(missing_ok=True)
            elif isinstance(event, Finished | Stopped) and (run / BEST).is_file():
                card = read_card(run / BEST)
                scores = card.scores("validation"), card.scores("start")
                event = replace(event, result=Result(*scores, BEST, card.fields["backbone_hash"], REPORT))
            yield event


def probe(
    adaptation: Adaptation, recipes: Mapping[str, Recipe], *, device: str = "cpu"
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """What every recipe would take here, from a few real steps, and how the starting set does before any.

    Yields what is known so far, first after one step: the fields of the event "probing", which are presets, done and
    total, the parts of the trial. Returns the fields of the event "probe": parameters, step_s, memory_bytes, presets,
    metrics, known_metrics, serves, path, message. How the steps of the first recipe are computed, where it leaves that
    open, holds for all.
    """
    presets: dict[str, Any] = {}
    way: Way | None = None
    done, total, check_s = 0, len(recipes) + 2, 0.0

    def so_far(step_s: float) -> dict[str, Any]:
        guessed = {name: _cost(recipe, step_s, check_s, PRESETS.get(name)) for name, recipe in recipes.items()}
        return {"event": "probing", "presets": guessed | presets, "done": done, "total": total}

    with tempfile.TemporaryDirectory(prefix="lorun-probe-") as folder:
        material = adaptation.into(Path(folder) / "run")
        for name, recipe in recipes.items():
            is_open = recipe.training.precision == AUTO
            trial = AdaptationTrial(way.of(recipe) if way and is_open else recipe, material, device=device)
            for step_s in _timed(trial):
                if not done:
                    yield so_far(step_s)
            if name == next(iter(recipes)):
                way, path = trial.way, trial.path
                done += 1
                yield so_far(step_s)
                check_s, metrics = _scored(trial)
                done += 1
                yield so_far(step_s)
                known = _known_scores(trial)
            done += 1
            presets[name] = _cost(recipe, step_s, check_s, PRESETS.get(name)) | {"memory_bytes": _memory(device)}
            yield so_far(step_s)
        first = presets[next(iter(presets))]
    serves, message = _verdict(adaptation, metrics, known)
    return {
        "event": "probe",
        "elapsed_s": 0.0,
        "parameters": trial.num_parameters,
        "num_parameters": trial.num_parameters,
        "device": device,
        "step_s": first.pop("step_s"),
        "memory_bytes": first["memory_bytes"],
        "presets": presets,
        "metrics": metrics,
        "known_metrics": known,
        "serves": serves,
        "path": path,
        "message": message,
    }


def _timed(trial: AdaptationTrial) -> Generator[float]:
    """Seconds a step, after each of a few the quickest so far; slow ones are not repeated for long."""
    quickest, began = math.inf, time.perf_counter()
    for _ in range(1 + _TRIAL_STEPS):  # the first also makes everything ready
        step_began = time.perf_counter()
        trial.step()
        ended = time.perf_counter()
        quickest = min(quickest, ended - step_began)
        yield quickest
        if ended - began > _TRIAL_S:
            return


def _scored(trial: AdaptationTrial) -> tuple[float, dict[str, float]]:
    began = time.perf_counter()
    metrics = trial.start_scores()
    return time.perf_counter() - began, metrics


def _known_scores(trial: AdaptationTrial) -> dict[str, float] | None:
    """The starting set's scores on the same scenes under a camera that it was trained for."""
    measure = known_camera_measures(trial.camera, trial.start.card.get("task_config", {}))
    windows = [window for group, _ in trial.drawn_from.validation for window in group]
    if measure is None or not windows:
        return None
    scores = list(evaluate(trial.start, windows, measured_by(measure, trial.start.adapters), device=trial.device))
    return {name: float(np.mean([score.metrics[name] for score in scores])) for name in scores[0].metrics}


def _cost(recipe: Recipe, step_s: float, check_s: float, meant_s: float | None) -> dict[str, Any]:
    """The steps that fit into the time that a preset means, at most its own, and what they take with validations."""
    training = recipe.training
    a_step_s = step_s + check_s / training.validation_steps
    steps = training.adapter_steps
    if meant_s is not None:
        steps = max(min(_FEWEST_STEPS, steps), min(steps, int((meant_s - check_s) / a_step_s)))
    return {"steps": steps, "seconds": round(steps * a_step_s + check_s, 1), "step_s": round(step_s, 4)}


def _memory(device: str) -> int | None:
    """The most bytes that this process has held, on a GPU those of its tensors."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _verdict(
    adaptation: Adaptation, metrics: Mapping[str, float], known: Mapping[str, float] | None
) -> tuple[bool, str]:
    """Whether the starting set serves the camera already, in words."""
    name = adaptation.card.name
    if "psnr" not in metrics:
        figure = metrics["withheld_psnr"]
        return False, f"{name} predicts withheld values of your captures with {figure:.1f} dB."
    found = f"{name} reaches {metrics['psnr']:.1f} dB on the withheld data with your camera as it is"
    if known is None:
        return False, f"{found}."
    lost = known["psnr"] - metrics["psnr"]
    if lost < _SAME_DB:
        return (
            True,
            f"{found}, and no more than {known['psnr']:.1f} dB with a camera it knows: it serves yours already.",
        )
    return (
        False,
        f"{found}, {lost:.1f} dB less than the {known['psnr']:.1f} dB with a camera it knows: adapting may help.",
    )


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)

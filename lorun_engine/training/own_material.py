"""What an adaptation learns from: a user's own scenes, pairs or captures, the starting set, and what is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..decoder import scale_for
from ..decoding.evaluate import Window
from ..io import OpenOptions, open_measurement
from ..library.model import Model, load_model
from ..measurement import Measurement, Scene
from ..networks.lora import SAMPLING, AdapterSet, new_adapters
from ..networks.unfolding import DenoiserView, new_step_parameters
from ..physics import linear
from ..schema import require
from ..tasks.camera import Camera
from ..tasks.withheld import withheld_error, withheld_for_scores
from ..training_data.camera import read_camera
from ..training_data.dataset import TrainingSet
from ..training_data.folders import found_among
from ..training_data.own_captures import CaptureSampler
from ..training_data.own_files import LocalFile, OwnFiles, Route, file_hash
from ..training_data.own_scenes import own_scene_set
from ..training_data.settings import LocalData
from .run_folder import CAMERA, START

if TYPE_CHECKING:
    from .recipe import Recipe

_PROBE = 96  # pixels of a scene that is measured only to see how the network would see it


@dataclass(frozen=True)
class LocalMaterial:
    """What an adaptation learns from: a folder with its camera and starting set, and the files of one route.

    `notes` go into the data list; `title`, `origin` and `preview` (the files of the user's capture) are the run's own.
    """

    folder: Path
    route: Route
    files: tuple[LocalFile, ...] = ()
    options: OpenOptions = OpenOptions()
    companions: tuple[Path, ...] = ()
    title: str = ""
    origin: tuple[str, str] = ("", "")  # the starting set's name and hash
    preview: tuple[Path, ...] = ()
    full_scales: Mapping[str, float] = field(default_factory=dict)  # that the integers of the files share

    def __post_init__(self) -> None:
        require(self)

    @cached_property
    def reading(self) -> OwnFiles:
        """How its files are read."""
        return OwnFiles(self.route, read_camera(self.folder / CAMERA), self.options, self.companions, self.full_scales)

    def start(self) -> Model:
        """The starting set on its own backbone."""
        return load_model(self.folder / START)

    def listing(self) -> list[dict[str, object]]:
        """Name, size and SHA-256 of every file as it is now."""
        listed = []
        for path in self._own:
            listed.append({"name": path.name, "bytes": path.stat().st_size, "sha256": file_hash(path)})
        return listed

    @property
    def _own(self) -> tuple[Path, ...]:
        """The files, each with the scene beside it where they are pairs."""
        every = ((file.path, self.reading.beside(file.path)) for file in self.files)
        return tuple(path for pair in every for path in pair if path is not None)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that it needs beside those in its folder."""
        return (*self._own, *self.companions, *self.preview)

    def moved_to(self, places: Sequence[Path]) -> LocalMaterial:
        """The same with every file that is not where it was found among `places`: by its content, others by name."""
        among = found_among(places).files

        def alike(file: LocalFile) -> LocalFile:
            found = (path for path in among if file_hash(path) == file.sha256)
            return file if file.path.exists() else replace(file, path=next(found, file.path))

        def named(path: Path) -> Path:
            found = (other for other in (*among, *(place / path.name for place in places)) if other.name == path.name)
            return path if path.exists() else next((other for other in found if other.is_file()), path)

        return replace(
            self,
            files=tuple(map(alike, self.files)),
            companions=tuple(map(named, self.companions)),
            preview=tuple(map(named, self.preview)),
        )

    def fields(self) -> dict[str, Any]:
        """Everything but the folder, for a checkpoint."""
        return {
            "route": self.route,
            "files": [file.listed() for file in self.files],
            "options": asdict(self.options),
            "companions": [str(path) for path in self.companions],
            "title": self.title,
            "origin": list(self.origin),
            "preview": [str(path) for path in self.preview],
            "full_scales": dict(self.full_scales),
        }

    def capture(self) -> Measurement:
        """The user's own capture, for previews."""
        options = replace(self.options, task=self.reading.camera.task)
        return open_measurement(self.preview, options, full_scales=self.full_scales)

    def names(self, use: str) -> list[str]:
        """The names of the files that are learned from or checked."""
        return [file.path.name for file in self.files if file.use == use]

    def checked_on(self) -> list[str]:
        """What the scores are of, for the card."""
        if self.route == "captures" and not self.names("check"):
            return [f"withheld values of {name}" for name in self.names("learn")]
        return self.names("check")


def starting_point(start: Model, camera: Camera, recipe: Recipe) -> tuple[AdapterSet, dict[str, Any]]:
    """The adapters that the training begins with, and the fields of the card that a new camera changes.

    A set without factors gets fresh ones that change nothing; a sampling matrix of another shape replaces the set's.
    """
    tensors = {name: tensor.detach().clone() for name, tensor in start.adapters.baked().tensors.items()}
    adapters = AdapterSet(start.num_stages, tensors, gamma=start.adapters.gamma)
    if not adapters.has_factors:
        generator = torch.Generator().manual_seed(recipe.training.seed + 1)
        fresh = new_adapters(
            start.net.backbone.blocks[0], num_stages=start.num_stages, gamma=recipe.gamma, generator=generator
        )
        adapters = fresh.mapped({**fresh.tensors, **new_step_parameters(start.net.config), **tensors})
    if camera.replaces_sampling:
        own = {name: tensor for name, tensor in adapters.tensors.items() if name != SAMPLING}
        learned = camera.new_sampling()
        adapters = adapters.mapped(own if learned is None else {**own, SAMPLING: torch.from_numpy(learned.copy())})
    return adapters, camera.task_config(start.card.get("task_config", {}))


def ready(start: Model, camera: Camera, adapters: AdapterSet, config: Mapping[str, Any]) -> Model:
    """The starting set as it serves this camera: with these adapters and this task configuration."""
    model = start.with_adapters(adapters)
    return replace(model, card={**start.card, "task_config": dict(config)})


def local_training_set(material: LocalMaterial, data: LocalData, model: Model, *, seed: int = 0) -> TrainingSet:
    """The sampler over what is learned from, on the CPU, and the validation on what is withheld."""
    reading, config = material.reading, model.card.get("task_config", {})
    if material.route == "scenes":
        return own_scene_set(material.files, data, reading, config, model.net.config.channels, seed=seed)
    learned = [reading.capture(file) for file in material.files if file.use == "learn"]
    withheld_files = [file for file in material.files if file.use == "check"]
    checked = [reading.capture(file) for file in withheld_files[: data.check_windows]] or learned
    is_own_check = material.route == "captures" and not withheld_files
    sampler = CaptureSampler.of(learned, data, model, scored_alone=is_own_check)
    if material.route == "pairs":
        windows = pair_windows(checked)
        return TrainingSet(sampler, [([window], partial(as_given, capture=one)) for window, one in windows], config)
    return TrainingSet(sampler, [], config, scored=partial(withheld_scores, captures=checked, share=data.withheld))


def view_of(material: LocalMaterial, model: Model) -> DenoiserView | None:
    """How the network sees what this camera measures: mirrored, transposed, at other bands, or as it is (None)."""
    reading = material.reading
    if material.route != "scenes":
        first = next(file for file in material.files if file.use == "learn")
        return model.fitted(reading.capture(first)).view
    camera = replace(reading.camera.with_any_mask(), noise=None)
    channels = camera.channels(model.net.config.channels)
    grey = Scene(np.full((channels, _PROBE, _PROBE), 0.5, np.float32), camera.wavelengths_nm)
    return model.fitted(camera.measured(grey)).view


def known_camera_measures(
    camera: Camera, task_config: Mapping[str, Any]
) -> Callable[[Scene, AdapterSet], Measurement] | None:
    """What measures a scene with a camera that the set was trained for, or None."""
    known = camera.known_to(task_config)
    if known is None:
        return None

    def measured(scene: Scene, adapters: AdapterSet) -> Measurement:
        return known.measured(scene, seed=5)

    return measured


def pair_windows(captures: Sequence[Measurement]) -> list[tuple[Window, Measurement]]:
    """Every withheld pair whole."""
    return [
        (Window(f"pair {number}", Scene(capture.reference, capture.wavelengths_nm)), capture)
        for number, capture in enumerate(captures, 1)
        if capture.reference is not None
    ]


def as_given(scene: Scene, adapters: AdapterSet, *, capture: Measurement) -> Measurement:
    """The measurement of a withheld pair: nothing is simulated."""
    return capture


@torch.no_grad()
def withheld_scores(model: Model, device: str, *, captures: Sequence[Measurement], share: float) -> dict[str, float]:
    """The error at withheld values as decibels below the largest one, and figures where references are known."""
    from ..decoding.restore import restore, scored

    errors, known = [], []
    for capture in captures:
        scale = scale_for(model, capture)
        y, physics = torch.from_numpy(capture.y)[None] * scale, linear(capture.physics).scaled(scale)
        given, seen, hidden = withheld_for_scores(y, physics, share)
        fitted = model.fitted(capture)
        *_, last = fitted.stages(given.to(device), seen.to(device), num_stages=model.num_stages)
        error = withheld_error(last.image.cpu(), y, physics, hidden) / y.max().square()
        errors.append(float(-10 * torch.log10(error.clamp(min=1e-12))))
        if capture.reference is not None:
            *_, stage = restore(model, replace(capture, reference=None), device=device)
            known.append(scored(stage.image, capture))
    means = {} if len(known) < len(captures) else {name: float(np.mean([k[name] for k in known])) for name in known[0]}
    return {"withheld_psnr": float(np.mean(errors)), **means}

"""What trainings draw from: the material on disk, samples, and what validates them. One module a task draws them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

import torch
from torch import Tensor

from ..decoding.evaluate import Window
from ..errors import FileError
from ..measurement import Measurement, Scene
from ..networks.lora import AdapterSet
from ..physics import Physics
from ..task import DEFAULT, TASKS
from .folders import CUBES, PICTURES, found_in, is_companion

OTHER_SHARE = 0.25  # of the draws per pixel for cubes of `train_other`


@dataclass(frozen=True)
class Material:
    """Where training material lies.

    CASSI: `cubes` with their share of the draws per pixel, `masks`, and folders with `spectra` and `photographs` that
    compose scenes. CS and SR: `pictures`, and those for `validation`; low light: pairs among them, and folders with
    `photographs` to darken. `notes` say what was passed over.
    """

    cubes: tuple[tuple[Path, float], ...] = ()
    masks: tuple[Path, ...] = ()
    spectra: Path | None = None
    photographs: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """The paths as a checkpoint keeps them."""
        return {
            "cubes": [[str(path.resolve()), share] for path, share in self.cubes],
            "masks": [str(path.resolve()) for path in self.masks],
            "spectra": None if self.spectra is None else str(self.spectra.resolve()),
            "photographs": [str(path.resolve()) for path in self.photographs],
            "pictures": [str(path.resolve()) for path in self.pictures],
            "validation": [str(path.resolve()) for path in self.validation],
        }

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files and folders that it needs."""
        folders = () if self.spectra is None else (self.spectra,)
        return (
            *(path for path, _ in self.cubes),
            *self.masks,
            *folders,
            *self.photographs,
            *self.pictures,
            *self.validation,
        )

    def names(self, use: str) -> list[str] | str:
        """What the card says of the files that are learned from."""
        return [path.name for path, _ in self.cubes] or f"{len(self.pictures)} pictures"

    def listing(self) -> list[dict[str, object]]:
        """Name, size and SHA-256 of every cube, mask and picture: the data list of checkpoints and cards."""
        paths = (*(path for path, _ in self.cubes), *self.masks, *self.pictures, *self.validation)
        listed: list[dict[str, object]] = []
        for path in paths:
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            listed.append({"name": path.name, "bytes": path.stat().st_size, "sha256": digest})
        return listed


def find_material(
    folder: Path, *, task: str = DEFAULT, masks: Sequence[Path] = (), photographs: Sequence[Path] = ()
) -> Material:
    """The training material of `folder`; what lies in a folder named `test` is never read."""
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder. Give the folder with the training material.")
    return (
        _find_pictures(folder, task, photographs)
        if TASKS[task].is_photograph
        else _find_cubes(folder, masks, photographs)
    )


def _find_cubes(folder: Path, masks: Sequence[Path], photographs: Sequence[Path]) -> Material:
    """Its cubes, or those of its `train` and `train_other`, `spectra` and masks; photographs from `images/train`."""
    named = (folder / "train").is_dir()
    shares = {folder / "train": 1.0, folder / "train_other": OTHER_SHARE} if named else {folder: 1.0}
    if not masks:
        known = [path for path in sorted(folder.iterdir()) if is_companion(path) and path.suffix.lower() in CUBES]
        masks = [path for path in (*known, folder / "real" / "tsa_net" / "mask.mat") if path.is_file()]
    used = {path.resolve() for path in masks}
    places = {place: found_in(place, CUBES, used=used, is_deep=False) for place in shares if place.is_dir()}
    cubes = tuple((path, shares[place]) for place, found in places.items() for path in found.files)
    if not cubes:
        raise FileError(f"{folder} holds no spectral cubes. Give a folder with cube files, or one with a folder train.")
    if not photographs and (folder.parent / "images" / "train").is_dir():
        photographs = [folder.parent / "images" / "train"]
    spectra = folder / "spectra"
    notes = tuple(note for found in places.values() for note in found.notes)
    return Material(cubes, tuple(masks), spectra if spectra.is_dir() else None, tuple(photographs), notes=notes)


def _find_pictures(folder: Path, task: str, photographs: Sequence[Path]) -> Material:
    """Its pictures, or those of its `train`; validated on `val` there or beside it, else on every tenth picture.

    Of a task with pairs also photographs, those of `images/train` beside the folder unless others are named.
    """
    train = folder / "train" if (folder / "train").is_dir() else folder
    found = found_in(train, PICTURES)
    pictures = [path for path in found.files if "test" not in path.relative_to(train).parts[:-1]]
    if not pictures:
        raise FileError(f"{train} holds no pictures. Give a folder with PNG, JPEG, BMP or TIFF files.")
    val = train.parent / "val"
    validation = found_in(val, PICTURES).files if train.name == "train" and val.is_dir() else ()
    if not validation and len(pictures) > 1:
        validation = tuple(pictures[9::10] or pictures[-1:])
    kept = set(validation)
    learned = tuple(path for path in pictures if path not in kept)
    beside = folder.parent / "images" / "train"
    if TASKS[task].pairs and not photographs and beside.is_dir() and beside != train:
        photographs = [beside]
    return Material(pictures=learned, validation=validation, photographs=tuple(photographs), notes=found.notes)


@dataclass(frozen=True)
class Sample:
    """A batch: `scene` (B, C, H, W) in [0, 1], the physics of every sample, and the measurement `y`.

    `noise` is what of y is noise, where that is known; `margin` pixels at each side of the scene do not count. A scene
    without channels is not known. `start` is the network's initial estimate, where it was computed already, and
    `variance` the noise of every detector pixel that was found with it.
    """

    scene: Tensor
    physics: Physics
    y: Tensor
    noise: Tensor | None = None
    margin: int = 0
    variance: Tensor | None = None
    start: Tensor | None = None

    def parts(self, num_parts: int) -> list[Self]:
        """The batch in `num_parts` parts (or as many as it has samples), for training in less memory."""
        rows = torch.arange(len(self.scene), device=self.scene.device).tensor_split(min(num_parts, len(self.scene)))
        return [
            type(self)(
                self.scene[part],
                self.physics.part(part),
                self.y[part],
                None if self.noise is None else self.noise[part],
                self.margin,
                None if self.variance is None else self.variance[part],
                None if self.start is None else self.start[part],
            )
            for part in rows
        ]

    def measured_with(self, physics: Physics) -> Self:
        """The same scenes, with the same noise, by another operator, which may be one that is being learned."""
        y = physics.forward(self.scene)
        return replace(self, physics=physics, y=y if self.noise is None else y + self.noise)


class Sampler(Protocol):
    """Draws samples of one task, on its device."""

    def sample(self, generator: torch.Generator) -> Sample:
        """One batch; the generator lives on the sampler's device."""

    def to(self, device: torch.device | str) -> Sampler:
        """The same sampler on another device."""

    def summary(self) -> Mapping[str, object]:
        """What it draws from, in numbers, for the card."""


class TaskData(Protocol):
    """What a task's module offers: `DATA` is the class of its [data] table in recipes."""

    DATA: type

    def training_set(self, material: Material, data: Any, *, bands: str, step: float) -> TrainingSet:
        """The samples and the validation, on the CPU; `bands` names a wavelength list, `step` is the dispersion's."""

    def new_sampling(self, data: Any) -> Tensor | None:
        """The matrix Phi (M, N) that a training begins to learn; None where it learns none."""


def task_data(task: str) -> TaskData:
    """What samples of a task are drawn from."""
    return cast(TaskData, TASKS[task].part(TASKS[task].training_at))


@dataclass(frozen=True)
class TrainingSet:
    """A sampler and what validates it: windows, with what makes their measurements from a scene and a set.

    Where there are no scenes to compare with, `scored` gives the figures of a model on a device instead.
    `task_config` goes into the card.
    """

    sampler: Sampler
    validation: Sequence[tuple[Sequence[Window], Callable[[Scene, AdapterSet], Measurement]]]
    task_config: Mapping[str, Any]
    scored: Callable[[Any, str], Mapping[str, float]] | None = None


def spectra_of(sampler: Sampler, generator: torch.Generator, *, num_batches: int = 64) -> Tensor:
    """(N, C): spectra of pixels of `num_batches` batches of scenes."""
    scenes = [sampler.sample(generator).scene.movedim(1, -1).flatten(0, -2)[::37] for _ in range(num_batches)]
    return torch.cat(scenes)

"""What measures scenes: one instrument of a task, with its geometry and its noise. Every task's file has its class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ..measurement import Measurement, Scene
from ..physics import Physics
from ..task import TASKS
from .noise import Noise


@dataclass(frozen=True)
class Camera(ABC):
    """One instrument, with its noise where that is known. Arrays, numbers, words and a Dispersion are its fields.

    Everything but `measured` and `physics` has an answer that serves a task without masks, matrices or kernels.
    """

    task: ClassVar[str]
    noise: Noise | None = None

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """The camera that made a measurement, as far as the measurement tells it."""
        return cls(noise)

    @abstractmethod
    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """What this camera sees of a scene; `sampling` stands in for a matrix that is being learned."""

    @abstractmethod
    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> Physics:
        """The operator for a batch of crops (B, C, h, w), on their device.

        A share `other_masks` of the samples has another mask than the camera's.
        """

    def taken(self, scenes: Tensor, physics: Physics, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """What it sees of a batch of scenes by its operator for them, and what of that is noise, where there is any."""
        clean = physics.forward(scenes)
        if self.noise is None:
            return clean, None
        y = torch.stack([self.noise.add_to(one, generator) for one in clean])
        return y, y - clean

    @property
    def axis(self) -> str:
        """The axis of the dispersion; "x" where there is none."""
        return "x"

    def crop(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the crops that it can measure, about `size`, which is across x along its dispersion."""
        return size

    def channels(self, network: int) -> int:
        """The channels of its scenes, where the network has `network`."""
        return network

    @property
    def wavelengths_nm(self) -> np.ndarray | None:
        """The band centres of its scenes in nm; None for pictures and where nothing is known."""
        return None

    @property
    def shown(self) -> Mapping[str, Any]:
        """The values it has now of the options that a "what if" offers, those that say something."""
        return {}

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """The camera with other values of the options that a "what if" offers; what is drawn comes from `seed`."""
        return replace(self, **changes)

    def framed(self, scene: Scene) -> tuple[Self, Scene]:
        """The camera and the scene cut to what it sees of it."""
        return self, scene

    def with_any_mask(self) -> Self:
        """The same camera whatever codes its scenes."""
        return self

    def known_to(self, task_config: Mapping[str, Any]) -> Camera | None:
        """A camera like those that a set with this configuration was trained for; None where that says nothing."""
        return None

    def task_config(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of a set adapted to this camera that comes from one with the configuration `known`."""
        return dict(known)

    def new_sampling(self) -> np.ndarray | None:
        """The matrix (M, N) that is learned from here on; None where none is."""
        return None

    @property
    def replaces_sampling(self) -> bool:
        """Whether a matrix that a set has learned is of no use with this camera."""
        return False

    def summary(self) -> dict[str, Any]:
        """What the card and the report say of it."""
        return {"noise": "none" if self.noise is None else str(self.noise)}


def camera_class(task: str) -> type[Camera]:
    """The cameras of a task."""
    found: type[Camera] = TASKS[task].part(TASKS[task].camera_at)
    return found


def camera_of(measurement: Measurement, *, noise: Noise | None = None) -> Camera:
    """The camera that made a measurement, as far as the measurement tells it."""
    return camera_class(measurement.task).of(measurement, noise=noise)


def is_made_for(card: Mapping[str, Any], measurement: Measurement) -> bool:
    """Whether a set with these fields of its card was adapted to the camera of a measurement, mask and all."""
    return "mask_hash" in card.get("camera", {}) and not other_camera(card, measurement)


def other_camera(card: Mapping[str, Any], measurement: Measurement) -> tuple[str, ...]:
    """What a set with these fields of its card was adapted to and the camera of a measurement has otherwise.

    As ("mask", "step"), or "mask or crop" where the masks have different sizes: the smaller may be a part of the other.
    Nothing for a set that was adapted to no mask of its own.
    """
    known = card.get("camera", {})
    if "mask_hash" not in known:
        return ()
    camera = camera_of(measurement).summary()
    differing = [name for name, value in camera.items() if name != "noise" and known.get(name) != value]
    mask = "mask or crop" if "mask" in differing else "mask"
    words = (mask if name in ("mask", "mask_hash", "open_share") else name.replace("_", " ") for name in differing)
    return tuple(dict.fromkeys(words))

"""Physics: what a task's forward operator offers to every solver and network.

An operator is a value: immutable, passed as an argument (`net(y, physics)`), never a member of a network. Paper: Eq. 1
(y = Phi x + n), Eq. 5 (gradient step) and Eq. 9 (the proximal data step of HQS).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from .errors import LorunError


class Withheld(NamedTuple):
    """A measurement without some of its values: what a decoder is given, by which operator, and which they were.

    `hidden` is 1 at the withheld values of the whole measurement and 0 elsewhere, shaped like it.
    """

    y: Tensor
    physics: LinearPhysics
    hidden: Tensor


class Part(NamedTuple):
    """A part of a measurement (1, C', H', W') with its operator and the scene of it, where that is known.

    `margin` pixels at each side of the scene are seen together with what lies beyond the part.
    """

    y: Tensor
    physics: Physics
    scene: Tensor | None
    margin: int = 0


class Physics(ABC):
    """A map from scenes (B, C, H, W) to measurements (B, C', H', W'), linear or not.

    Its public attributes say all that it is made of; private ones follow from them.
    """

    task: str = ""  # the name of its task in TASKS; an operator of no task takes every data step
    scene_shape: tuple[int, int, int]  # (C, H, W)
    measurement_shape: tuple[int, int, int]  # (C', H', W')
    score_border: int = 0  # pixels at each side that the protocol leaves out of scores
    initial_method: str = "back-projection"  # what `initial` is called
    is_transposed: bool = False  # whether networks, which are trained on strips along rows, see its scenes transposed
    is_mirrored: bool = False  # whether they see them mirrored along the rows
    has_diagonal_gram: bool = False  # whether Phi Phi^T is diagonal, or nearly, so that one can divide by it
    num_lights: int = 0  # planes of an unknown behind those of its picture: 1 where the light is sought too

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """What is measured of scenes without noise: (B, C, H, W) to (B, C', H', W')."""

    @abstractmethod
    def initial(self, y: Tensor) -> Tensor:
        """The estimate solvers start from: (B, C', H', W') to (B, C, H, W)."""

    @abstractmethod
    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""

    def conditioning(self) -> Tensor | None:
        """What the task offers a denoiser beside z: a (1 or B, C, H, W) map such as the mask, or None."""
        return None

    def degradation(self) -> Tensor | None:
        """What a hyper-parameter net sees of the degradation, (1 or B, 2): noise level and scale factor; or None."""
        return None

    def part(self, rows: Tensor) -> Self:
        """The operator of some samples of its batch, by their numbers (N,); itself where all samples share it."""
        return self

    def joined(self, others: Sequence[Self]) -> Self:
        """The operator of a batch whose samples have `others`, itself the first; itself where all share it."""
        return self

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """A random part of a measurement (1, C', H', W') of about `crop` scene pixels; all of it where none is cut."""
        return Part(y, self, scene)

    def with_sampling(self, sampling: Tensor) -> Self:
        """The operator with another matrix (M, N), which may be one that is being learned; itself where it has none."""
        return self

    def agreed(self, x: Tensor) -> Tensor:
        """Scenes brought to agree with what is known of them beside the measurement; themselves where nothing is."""
        return x

    def scaled(self, factor: float) -> Self:
        """The operator for measurements times a factor; itself where it knows of no scene."""
        return self

    def picture(self, x: Tensor) -> Tensor:
        """What is shown and scored of unknowns (B, C + `num_lights`, H, W): (B, C, H, W); scenes themselves."""
        return x

    def light(self, x: Tensor) -> Tensor | None:
        """The light of unknowns, (B, 1, H, W); None where it is not sought."""
        return None

    def unknown(self, picture: Tensor, light: Tensor | None) -> Tensor:
        """The unknowns (B, C + `num_lights`, H, W) that `picture` and `light` are of; None for scenes themselves."""
        return picture

    def misfit(self, name: str, task_config: Mapping[str, Any], sampling: Tensor | None) -> str:
        """Why the set of this name, with its configuration and its learned matrix, does not serve; "" where it does."""
        return ""

    def caution(self, name: str, task_config: Mapping[str, Any]) -> str:
        """How this differs from what the set of this name was trained on, though the set serves; "" where nothing."""
        return ""


class LinearPhysics(Physics):
    """A linear map Phi from scenes (B, C, H, W) to measurements (B, C', H', W')."""

    def withheld(self, y: Tensor, share: float, generator: torch.Generator) -> Withheld:
        """The measurement without a random share of its values; a LorunError where the task cannot spare any."""
        raise LorunError(f"Sets for {self.task or 'this task'} cannot learn from measurements alone. Give scenes.")

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Phi x: scenes (B, C, H, W) to measurements (B, C', H', W')."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Phi^T y: measurements (B, C', H', W') to scenes (B, C, H, W)."""

    @abstractmethod
    def gram(self) -> Tensor:
        """A diagonal D >= Phi Phi^T without zeros, shaped like a measurement; equal to it where that is diagonal."""

    @abstractmethod
    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        """argmin_x 1/2 ||Phi x - y||^2 + mu/2 ||x - z||^2, exactly (Eq. 9); mu > 0 is a number or (B, 1, 1, 1)."""

    def initial(self, y: Tensor) -> Tensor:
        """The estimate solvers start from, (B, C, H, W): Phi^T (y / D) with the diagonal D of `gram`."""
        return self.adjoint(y / self.gram())

    def views(self, y: Tensor) -> Tensor:
        """What a learned initial estimate sees of y, (B, C, H, W): Phi^T y, or less where Phi codes by a known mask."""
        return self.adjoint(y)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi^T (Phi x - y), the gradient of 1/2 ||Phi x - y||^2 (Eq. 5)."""
        return self.adjoint(self.forward(x) - y)


def linear(physics: Physics) -> LinearPhysics:
    """The operator, which networks need to be linear; a LorunError where it is not."""
    if not isinstance(physics, LinearPhysics):
        raise LorunError(f"Measurements of the task {physics.task} are not linear in their scene; sets need that.")
    return physics


def adjoint_mismatch(physics: LinearPhysics, generator: torch.Generator) -> float:
    """|<Phi x, y> - <x, Phi^T y>| / (||Phi x|| ||y||) of a random pair in float64; about 1e-16 for a true adjoint."""
    exact = physics.to("cpu", torch.float64)
    x = torch.randn(1, *exact.scene_shape, dtype=torch.float64, generator=generator)
    y = torch.randn(1, *exact.measurement_shape, dtype=torch.float64, generator=generator)
    phi_x = exact.forward(x)
    difference = (phi_x * y).sum() - (x * exact.adjoint(y)).sum()
    return float(difference.abs() / (phi_x.norm() * y.norm()))

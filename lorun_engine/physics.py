"""Linear physics: what a task's forward operator offers to every solver and network.

An operator is a value: immutable, passed as an argument (`net(y, physics)`), never a member of a network. Paper: Eq. 1
(y = Phi x + n), Eq. 5 (gradient step) and Eq. 9 (the proximal data step of HQS).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor


class LinearPhysics(ABC):
    """A linear map Phi from scenes (B, C, H, W) to measurements (B, C', H', W')."""

    task: str = ""  # the name of its task in TASKS; an operator of no task takes every data step
    scene_shape: tuple[int, int, int]  # (C, H, W)
    measurement_shape: tuple[int, int, int]  # (C', H', W')
    score_border: int = 0  # pixels at each side that the protocol leaves out of scores

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

    @abstractmethod
    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""

    @abstractmethod
    def conditioning(self) -> Tensor | None:
        """What the task offers a denoiser beside z: a (1 or B, C, H, W) map such as the mask, or None."""

    @abstractmethod
    def part(self, rows: Tensor) -> Self:
        """The operator of some samples of its batch, by their numbers (N,); itself where all samples share it."""

    def degradation(self) -> Tensor | None:
        """What a hyper-parameter net sees of the degradation, (1 or B, 2): noise level and scale factor; or None."""
        return None

    def initial(self, y: Tensor) -> Tensor:
        """The estimate solvers start from, (B, C, H, W): Phi^T (y / D) with the diagonal D of `gram`."""
        return self.adjoint(y / self.gram())

    def views(self, y: Tensor) -> Tensor:
        """What a learned initial estimate sees of y, (B, C, H, W): Phi^T y, or less where Phi codes by a known mask."""
        return self.adjoint(y)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Phi^T (Phi x - y), the gradient of 1/2 ||Phi x - y||^2 (Eq. 5)."""
        return self.adjoint(self.forward(x) - y)


def adjoint_mismatch(physics: LinearPhysics, generator: torch.Generator) -> float:
    """|<Phi x, y> - <x, Phi^T y>| / (||Phi x|| ||y||) of a random pair in float64; about 1e-16 for a true adjoint."""
    exact = physics.to("cpu", torch.float64)
    x = torch.randn(1, *exact.scene_shape, dtype=torch.float64, generator=generator)
    y = torch.randn(1, *exact.measurement_shape, dtype=torch.float64, generator=generator)
    phi_x = exact.forward(x)
    difference = (phi_x * y).sum() - (x * exact.adjoint(y)).sum()
    return float(difference.abs() / (phi_x.norm() * y.norm()))

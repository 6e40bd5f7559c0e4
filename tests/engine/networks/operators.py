"""Small operators of compressive sensing and super-resolution, written for tests straight from their definitions."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from lorun_engine.physics import LinearPhysics


class OrthonormalBlocks(LinearPhysics):
    """y = Phi x_b for every block x_b of a grey scene; Phi (M, b^2) has orthonormal rows, so Phi Phi^T = 1."""

    task = "cs"
    has_diagonal_gram = True

    def __init__(self, sampling: Tensor, height: int, width: int, *, channels: int = 1) -> None:
        self.sampling, self.block = sampling, round(sampling.shape[1] ** 0.5)
        self.scene_shape = (channels, height, width)
        self.measurement_shape = (channels * len(sampling), height // self.block, width // self.block)

    def forward(self, x: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(x, self.block).unflatten(1, (x.shape[1], -1))
        return torch.einsum("mn,bcnhw->bcmhw", self.sampling, blocks).flatten(1, 2)

    def adjoint(self, y: Tensor) -> Tensor:
        samples = y.unflatten(1, (self.scene_shape[0], -1))
        return F.pixel_shuffle(torch.einsum("mn,bcmhw->bcnhw", self.sampling, samples).flatten(1, 2), self.block)

    def gram(self) -> Tensor:
        return self.sampling.new_ones(1, 1, 1, 1)

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        return z + self.adjoint(y - self.forward(z)) / (1 + mu)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        return type(self)(self.sampling.to(device, dtype), *self.scene_shape[1:], channels=self.scene_shape[0])

    def conditioning(self) -> None:
        return None

    def part(self, rows: Tensor) -> Self:
        return self


class CircularBlur(LinearPhysics):
    """y = every s-th pixel of the circular convolution of x with a kernel; Phi Phi^T is diagonal after a Fourier."""

    task = "sr"

    def __init__(self, kernel: Tensor, scale: int, height: int, width: int, *, channels: int = 3, noise: float = 0.0):
        self.kernel, self.scale, self.noise = kernel, scale, noise
        self.scene_shape = (channels, height, width)
        self.measurement_shape = (channels, height // scale, width // scale)
        canvas = F.pad(kernel, (0, width - kernel.shape[1], 0, height - kernel.shape[0]))
        self.otf = torch.fft.fft2(canvas.roll((-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.ifft2(self.otf * torch.fft.fft2(x)).real[..., :: self.scale, :: self.scale]

    def adjoint(self, y: Tensor) -> Tensor:
        x = y.new_zeros(*y.shape[:-2], *self.scene_shape[1:])
        x[..., :: self.scale, :: self.scale] = y
        return torch.fft.ifft2(self.otf.conj() * torch.fft.fft2(x)).real

    def gram(self) -> Tensor:
        return self.otf.abs().square().amax().reshape(1, 1, 1, 1)

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        _, height, width = self.measurement_shape
        aliases = self.otf.abs().square().reshape(self.scale, height, self.scale, width).mean(dim=(0, 2))
        solved = torch.fft.ifft2(torch.fft.fft2(y - self.forward(z)) / (aliases + mu)).real
        return z + self.adjoint(solved)  # Woodbury

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        channels, height, width = self.scene_shape
        kernel = self.kernel.to(device, dtype)
        return type(self)(kernel, self.scale, height, width, channels=channels, noise=self.noise)

    def conditioning(self) -> None:
        return None

    def degradation(self) -> Tensor:
        return torch.tensor([[self.noise, float(self.scale)]])

    def initial(self, y: Tensor) -> Tensor:
        return F.interpolate(y, scale_factor=float(self.scale), mode="nearest")

    def part(self, rows: Tensor) -> Self:
        return self


def orthonormal_rows(num_samples: int, num_pixels: int, generator: torch.Generator) -> Tensor:
    """A random (M, N) sampling matrix with orthonormal rows."""
    return torch.linalg.qr(torch.randn(num_pixels, num_samples, generator=generator)).Q.T.contiguous()

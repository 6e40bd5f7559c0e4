"""Blur kernels: Gaussians, random camera shakes, and a gallery of them to choose from.

All are (size, size), non-negative, of sum 1, with their centre at index size // 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 25  # the usual one, USRNet's
_VARIANCES = (0.6, 12.0)  # of training Gaussians along each axis, in square pixels
_STEPS = 96  # of a camera shake
_FALL = 1.2  # of the amplitudes of photographs over frequency


def gaussian_kernel(sd: float, *, size: int = SIZE) -> np.ndarray:
    """An isotropic Gaussian with standard deviation `sd` in pixels, float32."""
    return anisotropic_kernel(sd, sd, 0.0, size=size)


def anisotropic_kernel(sd_major: float, sd_minor: float, angle_deg: float, *, size: int = SIZE) -> np.ndarray:
    """A Gaussian with its longer axis `angle_deg` counter-clockwise of the rows, float32."""
    angle = torch.tensor([np.radians(angle_deg)])
    variances = torch.tensor([[sd_major**2, sd_minor**2]])
    return _gaussians(variances, angle, size)[0].numpy()


def motion_kernel(generator: torch.Generator, *, size: int = SIZE) -> np.ndarray:
    """The blur of one random camera shake, float32."""
    return _shakes(1, generator, size)[0].cpu().numpy()


def random_kernels(batch: int, generator: torch.Generator, *, size: int = SIZE) -> Tensor:
    """(batch, size, size) kernels for training on the generator's device: half camera shakes, half Gaussians."""
    device = generator.device
    draws = torch.rand(4, batch, device=device, generator=generator)
    low, high = _VARIANCES
    gaussians = _gaussians(low + (high - low) * draws[:2].T, np.pi * draws[2], size)
    return torch.where(draws[3][:, None, None] < 0.5, gaussians, _shakes(batch, generator, size))


def _gaussians(variances: Tensor, angles: Tensor, size: int) -> Tensor:
    """(B, size, size) Gaussians of (B, 2) variances along axes turned by (B,) angles in radians."""
    taps = torch.arange(size, device=angles.device, dtype=torch.float32) - size // 2
    y, x = torch.meshgrid(-taps, taps, indexing="ij")
    cosine, sine = angles.float().cos()[:, None, None], angles.float().sin()[:, None, None]
    along, across = cosine * x + sine * y, cosine * y - sine * x
    major, minor = variances.float().T[:, :, None, None]
    kernels = torch.exp(-0.5 * (along.square() / major + across.square() / minor))
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def _shakes(batch: int, generator: torch.Generator, size: int) -> Tensor:
    """(B, size, size) traces of a hand whose velocity is a random walk with inertia, of random extent, 1 pixel wide."""
    device = generator.device
    pushes = torch.randn(batch, _STEPS, 2, device=device, generator=generator)
    draws = torch.rand(2, batch, 1, 1, device=device, generator=generator)
    inertia = 0.7 + 0.29 * draws[0]
    velocities, velocity = [], torch.zeros(batch, 1, 2, device=device)
    for step in range(_STEPS):
        velocity = inertia * velocity + pushes[:, step : step + 1]
        velocities.append(velocity)
    path = torch.cat(velocities, dim=1).cumsum(dim=1)
    path = path - path.mean(dim=1, keepdim=True)
    extent = path.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    reach = (size - 1) / 2 - 2
    path = path / extent * (1 + draws[1] * (reach - 1)) + size // 2
    taps = torch.arange(size, device=device, dtype=path.dtype)
    hits = torch.exp(-0.5 * ((path[..., None] - taps) / 0.5).square())  # (B, steps, 2, size)
    kernels = torch.einsum("bsy,bsx->byx", hits[:, :, 0], hits[:, :, 1])
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def estimated_width(image: np.ndarray, scale: int) -> float:
    """The standard deviation in pixels of the scene of the isotropic Gaussian that may have blurred an image.

    `image` (C, h, w) was taken at every `scale`-th pixel. Amplitudes of photographs fall like frequency^-1.2 (fitted
    to validation photographs); what they fall faster is a Gaussian's exp(-2 (pi f sd)^2). On 16 validation photographs
    and sd from 1.2 to 2 the estimates are 0.1 to 0.2 too small on average and scatter by 0.1 to 0.2 at x2, 0.35 to 0.5
    at x3 and 0.6 to 0.75 at x4, where the blur hardly shows below half a cycle a pixel. At x2 they end near 2.5. They
    are 0 for a picture that is too small to tell.
    """
    grey = image.mean(axis=0, dtype=np.float64)
    window = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1]))
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in grey.shape), indexing="ij"))
    edges = np.geomspace(0.04, 0.45, 13)  # cycles a pixel; aliases grow towards the end
    bands = [(frequency >= low) & (frequency < high) for low, high in zip(edges, edges[1:], strict=False)]
    used = [band for band in bands if band.sum() >= 8]
    if len(used) < 3:
        return 0.0
    radius = np.array([frequency[band].mean() for band in used]) / scale  # cycles a pixel of the scene
    level = np.log(np.array([power[band].mean() for band in used]) + 1e-12) + 2 * _FALL * np.log(radius)
    slope = np.polyfit(radius**2, level, 1)[0]  # of log power: -(2 pi sd)^2
    return float(np.sqrt(max(-slope, 0.0)) / (2 * np.pi))


def _shake(seed: int) -> np.ndarray:
    return motion_kernel(torch.Generator().manual_seed(seed))


def _delta() -> np.ndarray:
    kernel = np.zeros((SIZE, SIZE), np.float32)
    kernel[SIZE // 2, SIZE // 2] = 1
    return kernel


def gallery() -> Mapping[str, np.ndarray]:
    """Kernels by name, from none to heavy camera shake."""
    kernels = {"none": _delta()}
    kernels |= {f"gaussian {sd:g}": gaussian_kernel(sd) for sd in (0.7, 1.2, 1.6, 2.0, 3.0)}
    kernels |= {
        f"gaussian {major:g} x {minor:g}, {angle} deg": anisotropic_kernel(major, minor, angle)
        for major, minor, angle in ((2.5, 1.2, 0), (2.5, 1.2, 45), (2.5, 1.2, 90), (3.0, 1.5, 135))
    }
    return kernels | {f"camera shake {number}": _shake(seed) for number, seed in enumerate((1, 2, 3), start=1)}


def resized(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Kernels (B, kh, kw) laid into (B, H, W) zeros with their centres at index (0, 0), wrapped around."""
    high, wide = kernel.shape[-2:]
    placed = F.pad(kernel, (0, size[1] - wide, 0, size[0] - high))
    return placed.roll((-(high // 2), -(wide // 2)), dims=(-2, -1))

"""The dual-path denoiser of CPP-Net (Guo and Gan, "CPP-Net", CVPR 2024), the compressive-sensing denoiser of the paper.

One path keeps features at full resolution behind a learned soft threshold, the other goes down to 1/8 and up again; on
the way up every level modulates the first. Features of all levels pass from stage to stage. A head makes them from the
first image; a tail makes the final image from the image and the features of every stage.

With `dual_branch` the gradient step is taken on features, u = P1(x) - rho P2(Phi^T d), with the Phi^T d of the
primal-dual data step; otherwise z comes from any other data step and u = P1(z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Size
from .layers import layer_norm, pad_to_multiple

_MULTIPLE = 8  # three halvings
_EPS = 1e-6
_START_RHO, _START_THRESHOLD = 1e-3, 1.0  # CPP-Net's
_WIDENED = 1 << 21  # elements of the widest layer computed at once without gradients: 8 MiB stay in a cache


@dataclass(frozen=True)
class DualPathConfig:
    """`width` features at full resolution, 2, 4 and 8 times as many below; `reduction` narrows the gates.

    The upward convolutions are 3x3 behind a doubling of the pixels (as the paper's parameter count has it) or, with
    `transposed`, CPP-Net's 2x2 transposed ones.
    """

    channels: Size
    width: Size = 32
    reduction: Size = 8
    transposed: bool = False
    dual_branch: bool = False
    reach: ClassVar[None] = None  # its gates see the means of whole rows and columns

    @property
    def sees(self) -> str:
        """What the network conditions it on."""
        return "dual" if self.dual_branch else "mask"


class Features(NamedTuple):
    """What a stage hands on, of the padded image: at full resolution (which a tail sees too), 1/2, 1/4 and 1/8."""

    full: Tensor
    half: Tensor
    quarter: Tensor
    eighth: Tensor


class DualPath(nn.Module):
    """One stage of the dual-path denoiser; sizes are padded to multiples of 8 and cropped again."""

    def __init__(self, config: DualPathConfig) -> None:
        super().__init__()
        self.config = config
        c, reduction = config.width, config.reduction
        self.lift = _lift(config.channels, c)
        self.lift_dual = _lift(config.channels, c) if config.dual_branch else None
        self.rho = nn.Parameter(torch.full((c, 1, 1), _START_RHO))
        self.threshold = nn.Parameter(torch.full((c, 1, 1), _START_THRESHOLD))
        self.gate = _gate(c, reduction, bias=True)
        self.down = nn.ModuleList(nn.Sequential(_Mixer(w, reduction), _Down(w)) for w in (c, 2 * c, 4 * c))
        self.bottleneck = _Mixer(8 * c, reduction)
        self.up = nn.ModuleList(
            nn.Sequential(_Up(2 * w, config.transposed), _Mixer(w, reduction)) for w in (4 * c, 2 * c, c)
        )
        self.modulate = nn.ModuleList(_Modulation(c, w, reduction) for w in (8 * c, 4 * c, 2 * c))
        self.fuse = nn.Sequential(_Mixer(3 * c, reduction), nn.Conv2d(3 * c, c, 1), _Mixer(c, reduction))
        self.out = nn.Sequential(_Mixer(c, reduction), nn.Conv2d(c, config.channels, 1))
        self.apply(_small_normal)

    def forward(self, z: Tensor, conditioning: Tensor | None, state: Features) -> tuple[Tensor, Features]:
        """The denoised z, (B, C, H, W), and the features for the next stage.

        `conditioning` is the Phi^T d that a dual branch steps along; without it no step is taken.
        """
        height, width = z.shape[-2:]
        u = self.lift(pad_to_multiple(z, _MULTIPLE))
        if self.lift_dual is not None and conditioning is not None:
            u = u - self.rho * self.lift_dual(pad_to_multiple(conditioning, _MULTIPLE))
        half = self.down[0](u) + state.half  # (B, 2c, H/2, W/2)
        quarter = self.down[1](half) + state.quarter  # (B, 4c, H/4, W/4)
        eighth = self.bottleneck(self.down[2](quarter) + state.eighth)  # (B, 8c, H/8, W/8)

        u = self.softened(u)
        path = self.modulate[0](u, eighth)
        quarter = self.up[0](eighth) + quarter
        path = self.modulate[1](path, quarter)
        half = self.up[1](quarter) + half
        path = self.modulate[2](path, half)
        full = self.fuse(torch.cat([state.full, path, self.up[2](half) + u], dim=1))
        return self.out(full)[..., :height, :width], Features(full, half, quarter, eighth)

    def softened(self, u: Tensor) -> Tensor:
        """u plus u softly thresholded at rho * lambda times its gated mean (compare Eq. 8)."""
        level = u.mean(dim=(2, 3), keepdim=True) * (self.rho * self.threshold)
        level = level * self.gate(level)
        return u.sign() * F.relu(u.abs() - level) + u


class DualPathHead(nn.Module):
    """The features of all levels that stage 1 starts from, made of the first image (B, C, H, W)."""

    def __init__(self, config: DualPathConfig) -> None:
        super().__init__()
        c, reduction = config.width, config.reduction
        self.to_full = nn.Sequential(nn.Conv2d(config.channels, c, 1), _Mixer(c, reduction))
        self.to_half = _Down(c)
        self.to_quarter = nn.Sequential(_Mixer(2 * c, reduction), _Down(2 * c))
        self.to_eighth = nn.Sequential(_Mixer(4 * c, reduction), _Down(4 * c))
        self.apply(_small_normal)

    def forward(self, x: Tensor) -> Features:
        full = self.to_full(pad_to_multiple(x, _MULTIPLE))
        half = self.to_half(full)
        quarter = self.to_quarter(half)
        return Features(full, half, quarter, self.to_eighth(quarter))


class DualPathTail(nn.Module):
    """The final image, of the images and full-resolution features before stage 1 and after every stage."""

    def __init__(self, config: DualPathConfig, num_stages: int) -> None:
        super().__init__()
        c, inputs = config.width, (num_stages + 1) * (config.channels + config.width)
        self.mix = nn.Sequential(_Mixer(inputs, config.reduction), nn.Conv2d(inputs, c, 1), _Mixer(c, config.reduction))
        self.out = nn.Conv2d(c, config.channels, 1)
        self.apply(_small_normal)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """(B, C, H, W); `seen` is image, features, image, features, ... in the order of the stages."""
        height, width = seen[0].shape[-2:]
        stacked = torch.cat([pad_to_multiple(part, _MULTIPLE) for part in seen], dim=1)
        x: Tensor = self.out(self.mix(stacked))
        return x[..., :height, :width]


class _Mixer(nn.Module):
    """x plus a 3x3 depthwise convolution, two dense layers per pixel and a gate per channel ("DCAB")."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.gate = _gate(width, reduction, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pixelwise(self.spatial(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        gate: Tensor = self.gate(y.mean(dim=(2, 3), keepdim=True))
        return x + y * gate

    def pixelwise(self, y: Tensor) -> Tensor:
        """The dense layers of (B, H, W, C); in parts without gradients, as the hidden layer is four times as wide."""
        if torch.is_grad_enabled():
            y = self.narrow(F.gelu(self.widen(self.norm(y))))
            return y
        pixels = y.flatten(0, 2)
        parts = pixels.split(max(1, _WIDENED // self.widen.out_features))
        return torch.cat([self.narrow(F.gelu(self.widen(self.norm(part)))) for part in parts]).reshape(y.shape)


class _Modulation(nn.Module):
    """Full-resolution features modulated by coarser ones along both axes, then mixed ("MSTB")."""

    def __init__(self, width: int, coarse_width: int, reduction: int) -> None:
        super().__init__()
        self.norm, self.norm_coarse = nn.LayerNorm(width, eps=_EPS), nn.LayerNorm(coarse_width, eps=_EPS)
        self.gate_columns, self.gate_rows = _gate(width, reduction, bias=True), _gate(width, reduction, bias=True)
        self.value = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.GELU(), nn.Conv2d(width, width, 1)
        )
        self.norm_mixed = nn.LayerNorm(width, eps=_EPS)
        self.mix = _Mixer(width, reduction)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        """`coarse` has s times the features at 1/s of the resolution: its axis means hold as many numbers as x's."""
        x, coarse = layer_norm(x, self.norm), layer_norm(coarse, self.norm_coarse)
        columns, rows = x.mean(dim=2, keepdim=True), x.mean(dim=3, keepdim=True)  # (B, c, 1, W), (B, c, H, 1)
        coarse_columns = coarse.mean(dim=2, keepdim=True).reshape(columns.shape)
        coarse_rows = coarse.mean(dim=3, keepdim=True).reshape(rows.shape)
        gates = self.gate_columns(rows * coarse_columns) * self.gate_rows(coarse_rows * columns)  # of rank-one maps
        x = self.mix(layer_norm(x + self.value(x) * gates, self.norm_mixed))
        return x


class _Down(nn.Module):
    """Half the resolution, twice the features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(width, 2 * width, 2, 2)
        self.norm = nn.LayerNorm(2 * width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(self.halve(x), self.norm)


class _Up(nn.Module):
    """Twice the resolution, half the features."""

    def __init__(self, width: int, transposed: bool) -> None:
        super().__init__()
        if transposed:
            self.enlarge: nn.Module = nn.ConvTranspose2d(width, width // 2, 2, 2)
        else:
            self.enlarge = nn.Conv2d(width, width // 2, 3, padding=1)
        self.transposed = transposed
        self.norm = nn.LayerNorm(width // 2, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        if not self.transposed:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return layer_norm(self.enlarge(x), self.norm)


def _lift(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 1), nn.Conv2d(width, width, 3, padding=1, groups=width))


def _gate(width: int, reduction: int, *, bias: bool) -> nn.Sequential:
    """Values in 0..1 per channel and pixel of (B, width, H, W)."""
    narrow = max(1, width // reduction)
    return nn.Sequential(
        nn.Conv2d(width, narrow, 1, bias=bias), nn.GELU(), nn.Conv2d(narrow, width, 1, bias=bias), nn.Sigmoid()
    )


def _small_normal(layer: nn.Module) -> None:
    """Truncated normal weights of standard deviation 0.02, zero biases, as CPP-Net starts."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)

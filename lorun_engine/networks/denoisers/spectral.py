"""The spectral-spatial rectification denoiser of SSR (Zhang et al., CVPR 2024), the CASSI denoiser of the paper.

A three-level U-shape over spectral attention in 8x8 windows (attention between bands, not between pixels), large-kernel
modulation and a spatial gate, followed by one more rectification block at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Size
from .layers import layer_norm, pad_to_multiple

_WINDOW = 8  # pixels; attention is computed in windows of this size on every level
_MULTIPLE = 32  # two halvings and windows of 8 pixels on the coarsest level


@dataclass(frozen=True)
class SpectralConfig:
    """`channels` bands; the three levels have 1, 2 and 4 times as many channels.

    With `identity_start` the untrained denoiser returns z, for training from a good estimate; SSR starts random.
    """

    channels: Size
    identity_start: bool = False
    sees: ClassVar[str] = "mask"
    reach: ClassVar[None] = None  # its normalisations see the whole image


class SpectralDenoiser(nn.Module):
    """z and the mask to the denoised cube, then one rectification block; sizes are padded to multiples of 32."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        scale = c**-0.5  # the same on all levels
        self.embed = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.embed_mask = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.encode1, self.down1 = _Block(c, scale), nn.Conv2d(c, 2 * c, 4, 2, 1, bias=False)
        self.encode2, self.down2 = _Block(2 * c, scale), nn.Conv2d(2 * c, 4 * c, 4, 2, 1, bias=False)
        self.bottleneck = _Block(4 * c, scale)
        self.up2, self.fuse2 = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), nn.Conv2d(4 * c, 2 * c, 1, bias=False)
        self.decode2 = _Block(2 * c, scale)
        self.up1, self.fuse1 = nn.ConvTranspose2d(2 * c, c, 2, 2), nn.Conv2d(2 * c, c, 1, bias=False)
        self.decode1 = _Block(c, scale)
        self.out = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.rectify = AttentionRectification(c)
        if config.identity_start:
            for last in (self.out, self.rectify.modulation.to_out, self.rectify.gate.to_out):
                for parameter in last.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, z: Tensor, conditioning: Tensor | None = None, state: None = None) -> tuple[Tensor, None]:
        """The denoised z, (B, C, H, W); without a mask the mask branch sees ones; there is no state."""
        height, width = z.shape[-2:]
        mask = torch.ones_like(z[:1]) if conditioning is None else conditioning
        padded, mask = pad_to_multiple(z, _MULTIPLE), pad_to_multiple(mask, _MULTIPLE)
        x = self.embed(padded) * (1 + self.embed_mask(mask))
        skip1 = self.encode1(x)
        skip2 = self.encode2(self.down1(skip1))  # (B, 2C, H/2, W/2)
        x = self.bottleneck(self.down2(skip2))  # (B, 4C, H/4, W/4)
        x = self.decode2(self.fuse2(torch.cat([self.up2(x), skip2], dim=1)))
        x = self.decode1(self.fuse1(torch.cat([self.up1(x), skip1], dim=1)))
        x = self.out(x) + padded
        return self.rectify(x[..., :height, :width]), None


class AttentionRectification(nn.Module):
    """x plus a large-kernel modulation (11x11), plus a spatial gate times one estimated map ("ARB")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_modulation = nn.LayerNorm(channels)
        self.modulation = _Modulation(channels)
        self.norm_gate = nn.GroupNorm(channels, channels)
        self.gate = _SpatialGate(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self.modulation(layer_norm(x, self.norm_modulation))
        x = x + self.gate(self.norm_gate(x))
        return x


class _Block(nn.Module):
    """Position (depthwise 5x5), spectral attention, feed-forward, rectification ("SSRB")."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = _SpectralAttention(channels, scale)
        self.norm_feed = nn.GroupNorm(channels, channels)
        self.feed = _FeedForward(channels)
        self.rectify = AttentionRectification(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        x = x + self.attention(layer_norm(x, self.norm_attention))
        x = x + self.feed(self.norm_feed(x))
        x = self.rectify(x)
        return x


class _SpectralAttention(nn.Module):
    """Attention between the channels of every 8x8 window ("WSSA"): softmax(scale q k^T) v with q, k, v of C x 64."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.to_out = nn.Conv2d(channels, channels, 1)
        _small_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns = height // _WINDOW, width // _WINDOW
        windows = self.to_qkv(x).reshape(batch, 3, channels, rows, _WINDOW, columns, _WINDOW)
        q, k, v = windows.permute(1, 0, 3, 5, 2, 4, 6).reshape(3, batch * rows * columns, channels, _WINDOW**2)
        weights = torch.matmul(q * self.scale, k.transpose(1, 2)).softmax(dim=-1)  # (windows, C, C)
        mixed = torch.matmul(weights, v).reshape(batch, rows, columns, channels, _WINDOW, _WINDOW)
        x = self.to_out(mixed.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width))
        return x


class _FeedForward(nn.Module):
    """1x1 to four times the channels, depthwise 3x3, 1x1 back, GELU between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.widen = nn.Conv2d(channels, hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
        self.narrow = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(F.gelu(self.depthwise(F.gelu(self.widen(x)))))
        return x


class _Modulation(nn.Module):
    """An 11x11 depthwise context times a value ("CMB")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_context = nn.Conv2d(channels, channels, 1, bias=False)
        self.context = nn.Conv2d(channels, channels, 11, padding=5, groups=channels, bias=False)
        self.to_value = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_out = nn.Conv2d(channels, channels, 1)
        _small_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.to_out(self.context(self.to_context(x)) * self.to_value(x))
        return x


class _SpatialGate(nn.Module):
    """A sigmoid gate per channel times one estimated map ("SAB")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_feature = nn.Conv2d(channels, channels, 1, bias=False)
        self.estimate = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.weigh = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.to_out = nn.Conv2d(channels, channels, 1)
        _small_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        feature = self.to_feature(x)
        x = self.to_out(torch.sigmoid(self.weigh(feature)) * F.gelu(self.estimate(feature)))
        return x


def _small_normal(module: nn.Module) -> None:
    """Truncated normal weights of standard deviation 0.02, zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

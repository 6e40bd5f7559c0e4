"""A classical U-Net of double convolutions, the plain denoiser of the paper's Tables II and IV.

Two 3x3 convolutions with ReLU per level, 2x2 max-pooling down, interpolation and a 3x3 convolution up, concatenated
skips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Entries, Size
from .layers import Reach, pad_to_multiple
from .spectral import AttentionRectification


@dataclass(frozen=True)
class UNetConfig:
    """`widths` are the channels of the levels, finest first.

    `residual` predicts the change of z instead of the image, starting from no change; `rectified` adds the spectral
    rectification block of the spectral denoiser behind the U-Net; `sees_mask` adds the band mean of the conditioning as
    an input channel. With `patch` s the finest level sees cells of s x s pixels as channels (space-to-depth, Shi et
    al., CVPR 2016), which costs a fraction of the time; with `remembers` its last features enter the next stage's.
    `sees_level` adds the noise level of the capture as an input channel in place of the mask.
    """

    channels: Size
    widths: Annotated[tuple[Size, ...], Entries(1, 8)] = (32, 64, 128)
    residual: bool = False
    rectified: bool = False
    sees_mask: bool = False
    patch: Size = 1
    remembers: bool = False
    sees_level: bool = False

    @property
    def sees(self) -> str:
        """What the conditioning is (see `denoisers`)."""
        return "level" if self.sees_level else "mask"

    @property
    def reach(self) -> Reach | None:
        """Two convolutions on every level down, three on every level up; rectification sees the whole image."""
        if self.rectified:
            return None
        *finer, coarsest = (self.patch * 2**level for level in range(len(self.widths)))
        return Reach(5 * sum(finer) + 3 * coarsest, coarsest)


class UNet(nn.Module):
    """The U-Net of `config`; sizes are padded to whole cells of the coarsest level and cropped again."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        inputs = ((config.channels + (config.sees_mask or config.sees_level)) * config.patch**2, *widths[:-1])
        self.down = nn.ModuleList(_DoubleConv(before, after) for before, after in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1) for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.merge = nn.ModuleList(_DoubleConv(2 * width, width) for width in widths[:-1])
        self.out = out = nn.Conv2d(widths[0], config.channels * config.patch**2, 1)
        self.recall = nn.Conv2d(widths[0], widths[0], 1) if config.remembers else None
        self.rectify = AttentionRectification(config.channels) if config.rectified else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.groups == 1:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # He et al., ICCV 2015
        if config.residual:
            for tensor in out.parameters():
                nn.init.zeros_(tensor)

    def forward(
        self, z: Tensor, conditioning: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The denoised z, (B, C, H, W), and the features that the next stage recalls, if it does."""
        height, width = z.shape[-2:]
        x = z
        if self.config.sees_level:
            noise = torch.zeros(1, 1, 1, 1).to(z) if conditioning is None else conditioning
            x = torch.cat([z, noise.to(z).expand(z.shape[0], 1, height, width)], dim=1)
        elif self.config.sees_mask:
            seen = torch.ones_like(z[:, :1]) if conditioning is None else conditioning.mean(dim=1, keepdim=True)
            x = torch.cat([z, seen.expand(z.shape[0], -1, -1, -1)], dim=1)
        patch = self.config.patch
        x = F.pixel_unshuffle(pad_to_multiple(x, patch * 2 ** (len(self.down) - 1)), patch)
        skips = []
        for level, double_conv in enumerate(self.down):
            x = double_conv(F.max_pool2d(x, 2) if level else x)  # (B, widths[level], H / 2^level, W / 2^level) cells
            if level == 0 and state is not None and self.recall is not None:
                x = x + self.recall(state)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = F.relu(self.up[level](F.interpolate(x, scale_factor=2.0, mode="nearest")))
            x = self.merge[level](torch.cat([skips[level], x], dim=1))
        features = x if self.config.remembers else None
        x = F.pixel_shuffle(self.out(x), patch)[..., :height, :width]
        if self.config.residual:
            x = z + x
        return (x if self.rectify is None else self.rectify(x)), features


class _DoubleConv(nn.Sequential):
    """(3x3 convolution, ReLU) twice."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
        )

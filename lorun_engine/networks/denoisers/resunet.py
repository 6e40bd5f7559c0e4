"""The residual U-Net of USRNet (Zhang, Van Gool and Timofte, CVPR 2020), the super-resolution denoiser of the paper.

Residual blocks on four levels, strided 2x2 convolutions down, transposed ones up, added skips, no biases. It sees the
noise level it is to remove as one more channel and predicts the image itself. The widths are those of USRNet-tiny.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Depth, Entries, Size
from .layers import Reach, pad_to_multiple


@dataclass(frozen=True)
class ResUNetConfig:
    """`widths` are the channels of the levels, finest first, with `depth` residual blocks on each way of each level.

    With `noise_map` the noise level is an input channel beside the image.
    """

    channels: Size
    widths: Annotated[tuple[Size, ...], Entries(1, 8)] = (16, 32, 64, 64)
    depth: Depth = 2
    noise_map: bool = True

    @property
    def sees(self) -> str:
        """What the network conditions it on."""
        return "noise" if self.noise_map else "mask"

    @property
    def reach(self) -> Reach:
        """Two convolutions a residual block, on every level but the coarsest down and up, and the first and last."""
        *finer, coarsest = (2**level for level in range(len(self.widths)))
        return Reach(2 + 4 * self.depth * sum(finer) + (2 * self.depth + 1) * coarsest, coarsest)


class ResUNet(nn.Module):
    """The residual U-Net of `config`; sizes are padded to whole cells of the coarsest level and cropped again."""

    def __init__(self, config: ResUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        levels = list(zip(widths, widths[1:], strict=False))  # (finer, coarser)
        self.inlet = nn.Conv2d(config.channels + config.noise_map, widths[0], 3, padding=1, bias=False)
        self.encode = nn.ModuleList(_residuals(fine, config.depth) for fine, _ in levels)
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2, bias=False) for fine, coarse in levels)
        self.bottleneck = _residuals(widths[-1], config.depth)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2, bias=False) for fine, coarse in levels)
        self.decode = nn.ModuleList(_residuals(fine, config.depth) for fine, _ in levels)
        self.out = nn.Conv2d(widths[0], config.channels, 3, padding=1, bias=False)

    def forward(self, z: Tensor, conditioning: Tensor | None = None, state: None = None) -> tuple[Tensor, None]:
        """The denoised z, (B, C, H, W); `conditioning` is the noise level, (B or 1, 1, 1, 1), 0 if None; no state."""
        (height, width), x = z.shape[-2:], z
        if self.config.noise_map:
            level = z.new_zeros(1, 1, 1, 1) if conditioning is None else conditioning
            x = torch.cat([z, level.to(z).expand(len(z), 1, height, width)], dim=1)
        x = self.inlet(pad_to_multiple(x, 2 ** len(self.down), mode="replicate"))
        skips = [x]
        for encode, down in zip(self.encode, self.down, strict=True):
            x = down(encode(x))  # (B, widths[level], H / 2^level, W / 2^level)
            skips.append(x)
        x = self.bottleneck(x)
        for up, decode in zip(reversed(self.up), reversed(self.decode), strict=True):
            x = decode(up(x + skips.pop()))
        return self.out(x + skips.pop())[..., :height, :width], None


def _residuals(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(depth)))


class _Residual(nn.Module):
    """x plus two 3x3 convolutions with a ReLU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.second(F.relu(self.first(x)))
        return x

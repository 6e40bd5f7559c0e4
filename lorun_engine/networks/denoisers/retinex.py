"""The two priors of low light: a U-Net or a Mamba for the reflectance, guided by the light, and a small network for the
light.

The light is smooth, so its prior works on a grid of `cell` pixels and with what the whole picture has in common; what
comes back is interpolated. Both see the light as its logarithm, in which a change of exposure is a shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...instrument import DARKEST_LIGHT
from ...schema import Depth, Entries, Size
from .mamba import Mamba, MambaConfig
from .unet import UNet, UNetConfig

_UNIT = 4.0  # the logarithm of light in these units lies about within -1.5..0


@dataclass(frozen=True)
class RetinexConfig:
    """`channels` are those of the reflectance, whose `network` works on cells of `patch` x `patch` pixels.

    `widths` and `remembers` are those of its U-Net (see `unet`), `width`, `depth` and `num_states` those of a `mamba`.
    The prior of the light has `light_width` features on a grid of cells of `cell` pixels a side.
    """

    channels: Size
    widths: Annotated[tuple[Size, ...], Entries(1, 8)] = (32, 64, 96)
    patch: Size = 2
    remembers: bool = True
    light_width: Size = 32
    cell: Size = 16
    network: Literal["unet", "mamba"] = "unet"
    width: Size = 32
    depth: Depth = 2
    num_states: Size = 8
    reach: ClassVar[None] = None  # the light's prior sees the whole picture

    @property
    def sees(self) -> str:
        """What the conditioning is (see `denoisers`)."""
        return "light"


class RetinexPriors(nn.Module):
    """P of R and Q of L: z and x are (B, C + 1, H, W), the light last; the features of a U-Net are the state."""

    def __init__(self, config: RetinexConfig) -> None:
        super().__init__()
        self.config = config
        self.reflectance = _guided(config)
        self.light = LightPrior(config.channels, config.light_width, config.cell)

    def forward(
        self, z: Tensor, conditioning: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The reflectance and the light of z, (B, C + 1, H, W), and the features that the next stage recalls."""
        logarithm = z[:, -1:].clamp(min=DARKEST_LIGHT).log() / _UNIT
        light = self.light(z[:, :-1], logarithm)
        reflectance, state = self.reflectance(z[:, :-1], light, state)
        return torch.cat([reflectance, (light * _UNIT).exp()], dim=1), state


def _guided(config: RetinexConfig) -> UNet | Mamba:
    """The network of the reflectance."""
    channels, patch = config.channels, config.patch
    if config.network == "mamba":
        return Mamba(MambaConfig(channels, config.width, config.depth, config.num_states, patch, guided=True))
    return UNet(
        UNetConfig(
            channels,
            widths=config.widths,
            residual=True,
            sees_mask=True,
            patch=patch,
            remembers=config.remembers,
        )
    )


class LightPrior(nn.Module):
    """The logarithm of a smooth light: of the means of cells plus what convolutions over cells make of them."""

    def __init__(self, channels: int, width: int, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.first = nn.Conv2d(2 * channels + 2, width, 3, padding=1)
        self.whole = nn.Linear(2 * width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 1, 1)
        for tensor in self.out.parameters():
            nn.init.zeros_(tensor)

    def forward(self, reflectance: Tensor, logarithm: Tensor) -> Tensor:
        """(B, 1, H, W) of a reflectance (B, C, H, W) and the logarithm of its light (B, 1, H, W)."""
        size = logarithm.shape[-2:]
        cells = (-(-size[0] // self.cell), -(-size[1] // self.cell))
        seen = torch.cat([reflectance, logarithm], dim=1)
        mean = F.interpolate(seen, cells, mode="area")
        spread = (F.interpolate(seen.square(), cells, mode="area") - mean.square()).clamp(min=0)
        x = F.relu(self.first(torch.cat([mean, (spread + 1e-6).sqrt()], dim=1)))
        x = F.relu(self.second(x))
        whole = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        x = x + self.whole(whole)[:, :, None, None]
        x = F.relu(self.third(F.relu(x)))
        smooth = mean[:, -1:] + self.out(x)
        return F.interpolate(smooth, size, mode="bilinear", align_corners=False)

"""A plain window Transformer, the light denoiser of the paper's Tables II and VII.

Attention between the pixels of 8x8 windows with a learned table of positions, and a feed-forward layer, between two 3x3
convolutions. The paper prints two sizes of it, 0.10 M and 0.06 M; this is a design with those sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Depth, Size
from .layers import Reach, pad_to_multiple

_WINDOW = 8  # pixels


@dataclass(frozen=True)
class TransformerConfig:
    """`width` features a pixel through `depth` pairs of attention (`num_heads` heads) and feed-forward layers."""

    channels: Size
    width: Size = 28
    depth: Depth = 1
    num_heads: Size = 1
    sees: ClassVar[str] = "mask"
    reach: ClassVar[Reach] = Reach(_WINDOW + 2, _WINDOW)


class Transformer(nn.Module):
    """z plus what the Transformer of `config` finds to change; sizes are padded to whole windows and cropped again."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.inlet = nn.Conv2d(config.channels, config.width, 3, padding=1)
        self.blocks = nn.Sequential(*(_Block(config.width, config.num_heads) for _ in range(config.depth)))
        self.out = nn.Conv2d(config.width, config.channels, 3, padding=1)

    def forward(self, z: Tensor, conditioning: Tensor | None = None, state: None = None) -> tuple[Tensor, None]:
        """The denoised z, (B, C, H, W); it sees no conditioning and has no state."""
        height, width = z.shape[-2:]
        x = self.inlet(pad_to_multiple(z, _WINDOW))
        batch, features, rows, columns = x.shape
        cells = (batch, features, rows // _WINDOW, _WINDOW, columns // _WINDOW, _WINDOW)
        x = x.reshape(cells).permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, 8, 8, D)
        x = self.blocks(x.reshape(-1, _WINDOW**2, features))  # (windows, 64, D)
        x = x.reshape(batch, cells[2], cells[4], _WINDOW, _WINDOW, features).permute(0, 5, 1, 3, 2, 4)
        return z + self.out(x.reshape(batch, features, rows, columns))[..., :height, :width], None


class _Block(nn.Module):
    """Attention, then a feed-forward layer, each behind a normalisation and added to its input."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = _Attention(width, num_heads)
        self.norm_feed = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x))
        x = x + self.narrow(F.gelu(self.widen(self.norm_feed(x))))
        return x


class _Attention(nn.Module):
    """softmax(q k^T / sqrt(D) + position) v between the 64 pixels of a window; (windows, 64, D) to the same shape."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.position = nn.Parameter(torch.zeros(num_heads, _WINDOW**2, _WINDOW**2))
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        windows, pixels, width = x.shape
        heads = self.to_qkv(x).reshape(windows, pixels, 3, self.num_heads, width // self.num_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (windows, heads, 64, D / heads)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self.position)
        x = self.to_out(x.transpose(1, 2).reshape(windows, pixels, width))
        return x

"""A selective state-space network, the kind of prior that LLEMamba unfolds, in plain PyTorch.

Along columns and rows, both ways, N states a feature are carried on: h_t = exp(Delta_t A) h_(t-1) + Delta_t B_t u_t and
y_t = C_t h_t + D u_t, where Delta, B and C are linear maps of u and A < 0. The recurrence, its gate, the convolution
before it and the starts of A and Delta are those of Mamba (Gu and Dao, arXiv 2312.00752).

LLEMamba (Zhang et al., arXiv 2406.01028) relights the reflectance by a bidirectional Mamba that is aware of the light;
no more of its design was known here. That the light moves the logits of Delta, that columns and rows take turns, the
cells of pixels, the 3x3 convolutions and their widths are this program's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schema import Depth, Size
from .layers import layer_norm, pad_to_multiple

_LANES = 1 << 12  # numbers side by side that keep a processor busy
_STEPS = (1e-3, 0.1)  # between these Delta starts, log-uniformly


@dataclass(frozen=True)
class MambaConfig:
    """`width` features a cell of `patch` x `patch` pixels through `depth` blocks with `num_states` numbers a feature.

    A `guided` one sees the band mean of the conditioning, which changes the steps Delta of its scans.
    """

    channels: Size
    width: Size = 32
    depth: Depth = 2
    num_states: Size = 8
    patch: Size = 2
    guided: bool = False
    reach: ClassVar[None] = None  # its scans run through the whole image

    @property
    def sees(self) -> str:
        """What the conditioning is (see `denoisers`)."""
        return "mask"


class Mamba(nn.Module):
    """z plus what the network of `config` finds to change, nothing at first; sizes are padded to whole cells."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        seen = config.patch**2
        self.inlet = nn.Conv2d(config.channels * seen, config.width, 3, padding=1)
        num_guides = seen if config.guided else 0
        self.blocks = nn.ModuleList(_Block(config.width, config.num_states, num_guides) for _ in range(config.depth))
        self.out = nn.Conv2d(config.width, config.channels * seen, 3, padding=1)
        for tensor in self.out.parameters():
            nn.init.zeros_(tensor)

    def forward(self, z: Tensor, conditioning: Tensor | None = None, state: None = None) -> tuple[Tensor, None]:
        """The denoised z, (B, C, H, W), by the guide (1 or B, C or 1, H, W), ones if None; no state."""
        height, width = z.shape[-2:]
        guide = None
        if self.config.guided:
            guide = self._cells(torch.ones_like(z[:1, :1]) if conditioning is None else conditioning.mean(1, True))
        x = self.inlet(self._cells(z))
        for block in self.blocks:
            x = block(x, guide)
        return z + F.pixel_shuffle(self.out(x), self.config.patch)[..., :height, :width], None

    def _cells(self, x: Tensor) -> Tensor:
        """(B, C, H, W) as (B, C patch^2, H / patch, W / patch)."""
        return F.pixel_unshuffle(pad_to_multiple(x, self.config.patch), self.config.patch)


class _Block(nn.Module):
    """Scans of the columns, scans of the rows and two convolutions, each behind a normalisation and added."""

    def __init__(self, width: int, num_states: int, num_guides: int) -> None:
        super().__init__()
        self.norm_columns, self.norm_rows, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.columns = _Mixer(width, num_states, num_guides)
        self.rows = _Mixer(width, num_states, num_guides)
        self.widen = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.narrow = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor, guide: Tensor | None) -> Tensor:
        x = x + self.columns(layer_norm(x, self.norm_columns), guide)
        turned = layer_norm(x, self.norm_rows).transpose(2, 3)
        x = x + self.rows(turned, None if guide is None else guide.transpose(2, 3)).transpose(2, 3)
        x = x + self.narrow(F.gelu(self.widen(layer_norm(x, self.norm_feed))))
        return x


class _Mixer(nn.Module):
    """Mamba's block over the columns of (B, D, H, W), down and up them."""

    def __init__(self, width: int, num_states: int, num_guides: int) -> None:
        super().__init__()
        self.inlet = nn.Conv2d(width, 2 * width, 1)
        self.local = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.down = _Scan(width, num_states, num_guides)
        self.up = _Scan(width, num_states, num_guides)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, guide: Tensor | None) -> Tensor:
        u, gate = self.inlet(x).chunk(2, dim=1)
        u = F.silu(self.local(u))
        y: Tensor = self.down(u, guide) + self.up(u.flip(2), None if guide is None else guide.flip(2)).flip(2)
        x = self.out(y * F.silu(gate))
        return x


class _Scan(nn.Module):
    """Down the columns of u, (B, D, H, W)."""

    def __init__(self, width: int, num_states: int, num_guides: int) -> None:
        super().__init__()
        self.step = nn.Conv2d(width, width, 1)
        self.guide = nn.Conv2d(num_guides, width, 1, bias=False) if num_guides else None
        self.select = nn.Conv2d(width, 2 * num_states, 1, bias=False)
        self.log_rates = nn.Parameter(torch.arange(1.0, num_states + 1).log().repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width, 1, 1))
        least, most = map(math.log, _STEPS)
        steps = torch.empty(width).uniform_(least, most).exp()
        self.step.bias = nn.Parameter(steps.expm1().log())  # of which softplus makes the steps again

    def forward(self, u: Tensor, guide: Tensor | None) -> Tensor:
        logits = self.step(u) if self.guide is None else self.step(u) + self.guide(guide)
        exact = torch.promote_types(u.dtype, torch.float32)
        delta, selected, sequences = (
            x.to(exact).permute(2, 1, 0, 3).flatten(2).contiguous() for x in (logits, self.select(u), u)
        )  # (H, D or 2 N, B W)
        b, c = selected.chunk(2, dim=1)
        y = selective_scan(sequences, F.softplus(delta), -self.log_rates.exp(), b, c).to(u.dtype)
        u = y.unflatten(2, (len(u), -1)).permute(2, 1, 0, 3) + self.skip * u
        return u


def selective_scan(u: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """y_t = C_t h_t of h_t = exp(Delta_t A) h_(t-1) + Delta_t B_t u_t, h_0 = 0, along the first axis; (T, D, S).

    u and delta >= 0 are (T, D, S), the rates A <= 0 (D, N), b and c (T, N, S): S sequences of length T with D features
    and N states each. It takes memory for a few tensors like u, with gradients too, and never overflows.
    """
    y: Tensor = torch.ops.lorun.selective_scan(delta * u, delta, rates, b, c)
    return y


def _scanned(v: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """One state after the other; v is Delta u."""
    y, decay, h = torch.zeros_like(v), torch.empty_like(v), torch.empty_like(v)
    for n in range(rates.shape[1]):
        torch.mul(delta, rates[:, n, None], out=decay).exp_()
        y.addcmul_(c[:, n, None], _recurrence(decay, torch.mul(v, b[:, n, None], out=h)))
    return y


def _slopes(
    slope: Tensor, v: Tensor, delta: Tensor, rates: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of all that `_scanned` takes: every state is computed again, and its recurrence run from the end."""
    of_v, of_delta, of_rates = torch.zeros_like(v), torch.zeros_like(v), torch.zeros_like(rates)
    of_b, of_c = torch.empty_like(b), torch.empty_like(c)
    decays = torch.cat([torch.empty_like(v), torch.zeros_like(v[:1])])  # nothing comes back from behind the end
    decay, ahead = decays[:-1], decays[1:]
    own_h, own_of_h, product = (torch.empty_like(v) for _ in range(3))
    for n in range(rates.shape[1]):
        rate, b_n = rates[:, n, None], b[:, n, None]
        torch.mul(delta, rate, out=decay).exp_()
        h = _recurrence(decay, torch.mul(v, b_n, out=own_h))
        of_c[:, n] = torch.mul(slope, h, out=product).sum(dim=1)
        of_h = _recurrence(ahead, torch.mul(slope, c[:, n, None], out=own_of_h), backwards=True)
        of_b[:, n] = torch.mul(of_h, v, out=product).sum(dim=1)
        of_v.addcmul_(of_h, b_n)
        of_exponent = of_h[1:].mul_(decay[1:]).mul_(h[:-1])  # the first state decays from nothing
        of_delta[1:].addcmul_(of_exponent, rate)
        of_rates[:, n] = torch.mul(of_exponent, delta[1:], out=product[1:]).sum(dim=(0, 2))
    return of_v, of_delta, of_rates, of_b, of_c


def _recurrence(decay: Tensor, h: Tensor, *, backwards: bool = False) -> Tensor:
    """h_t = decay_t h_(t-1) + h_t in place along the first axis, or h_t = decay_t h_(t+1) + h_t.

    It runs in chunks in lockstep, then from each to the next. There are as many, up to the root of the length, as are
    needed to have enough to do at a time. All products are of decays of at most 1.
    """
    length = len(h)
    num_chunks = max(1, min(math.isqrt(length), _LANES // max(1, h[0].numel())))
    size = -(-length // num_chunks)
    if spare := -length % size:
        decay, h = (torch.cat([x, x.new_zeros(spare, *x.shape[1:])]) for x in (decay, h))
    decay, chunks = decay.unflatten(0, (-1, size)), h.unflatten(0, (-1, size))
    order, last = (slice(None, None, -1), 0) if backwards else (slice(None), -1)
    steps = chunks.unbind(1)[order]
    for before, own, factor in zip(steps, steps[1:], decay.unbind(1)[order][1:], strict=False):
        own.addcmul_(factor, before)
    if len(chunks) > 1:
        products = (decay.flip(1).cumprod(dim=1).flip(1) if backwards else decay.cumprod(dim=1)).unbind()[order]
        each = chunks.unbind()[order]
        for before, own, factors in zip(each, each[1:], products[1:], strict=False):
            own.addcmul_(factors, before[last])
    return h[:length]


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, slope: Tensor) -> tuple[Tensor, ...]:
    slopes: tuple[Tensor, ...] = torch.ops.lorun.selective_scan_slopes(slope, *ctx.saved_tensors)
    return slopes


# operators of their own, as a compiler would unroll their loops; `torch.library.custom_op` loads it at the first call
_OPERATORS = torch.library.Library("lorun", "FRAGMENT")
_KNOWN = "Tensor v, Tensor delta, Tensor rates, Tensor b, Tensor c"
_OPERATORS.define(f"selective_scan({_KNOWN}) -> Tensor")
_OPERATORS.define(f"selective_scan_slopes(Tensor slope, {_KNOWN}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)")
_OPERATORS.impl("selective_scan", _scanned, "CompositeExplicitAutograd")
_OPERATORS.impl("selective_scan_slopes", _slopes, "CompositeExplicitAutograd")
torch.library.register_fake("lorun::selective_scan", lambda v, *others: torch.empty_like(v), lib=_OPERATORS)
torch.library.register_fake(
    "lorun::selective_scan_slopes", lambda slope, *known: tuple(map(torch.empty_like, known)), lib=_OPERATORS
)
torch.library.register_autograd("lorun::selective_scan", _backward, setup_context=_keep, lib=_OPERATORS)

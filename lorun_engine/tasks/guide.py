"""A guide: a picture of the scene taken beside its snapshot, by a camera of known spectral response.

    y2 = S x + n2,    S (G, C), the same in every pixel

Dual-camera CASSI (Wang et al., Applied Optics 54, 2015): the guide knows where the edges are, the snapshot what the
spectra are. With spectra of the second moment Q, that of measured ones, the best linear estimate from the guide alone
is K y2, K = Q S^T (S Q S^T + v)^-1 (Wiener 1949); what is left of a spectrum then has the moment Q - K S Q, small in
what the guide sees. So a decoder seeks what is left, and any estimate x comes to agree with the guide by x + K (y2 -
S x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import GeometryError, by
from .haar import shrunk

LEAST_NOISE = 0.002  # of the guide's root mean square: no response is known better
# Chosen on the built-in sample and two validation scenes, with noise of 0.5 and 2 % of white: 42.1 to 45.7 and 38.5 to
# 43.2 dB, where 3 and 0 give 39.9 to 42.2 and 34.2 to 36.3, with larger spectral angles than without a guide.
_DOUBT = 1.5  # times the noise: so much of it may still be in what was smoothed
_SMOOTHED = 2.5  # times the noise: finest details that are taken for it
FARTHEST = 16  # pixels that a guide is sought at to every side
_SMOOTH = 9  # pixels of the mean that is taken off before a guide is sought


@dataclass(frozen=True)
class Guide:
    """`picture` (1 or B, G, H, W) in the unit of the scene, `response` (G, C), rows that sum to one for a grey scene.

    `components` (R, C) are those of measured spectra (see `subspace`). `noise` is the standard deviation of the
    picture's own noise and of what its response is wrong by. `moved` is by how many pixels the file's picture was moved
    down and right. What it tells is told by `smoothed`.
    """

    picture: Tensor
    response: Tensor
    components: Tensor
    noise: float = 0.0
    moved: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def taken(
        cls, scenes: Tensor, response: Tensor, components: Tensor, *, noise: float, generator: torch.Generator
    ) -> Self:
        """What a camera of this response and noise sees of scenes (B, C, H, W)."""
        clean = cls(scenes, response, components).seen(scenes)
        drawn = torch.randn(clean.shape, device=clean.device, generator=generator)
        return cls(clean + noise * drawn, response, components, noise)

    def seen(self, x: Tensor) -> Tensor:
        """S x: scenes (B, C, H, W) to pictures (B, G, H, W)."""
        return torch.einsum("gc,bchw->bghw", self.response, x)

    @cached_property
    def smoothed(self) -> Tensor:
        """The picture without the details that are no larger than its noise."""
        thresholds = self.picture.new_full(self.picture.shape[:2], _SMOOTHED * self.noise)
        return shrunk(self.picture, thresholds)

    def estimate(self, components: Tensor) -> Tensor:
        """K y2, (1 or B, C, H, W), for spectra of these components (R, C)."""
        return torch.einsum("bcg,bghw->bchw", self._gain(components, self._doubts()), self.smoothed)

    def left(self, components: Tensor) -> Tensor:
        """The components (C, C) of what `estimate` leaves of spectra of the given ones, largest first."""
        moments = components.T @ components
        (gain,) = self._gain(components, self._doubts().mean(dim=0, keepdim=True))
        energies, vectors = torch.linalg.eigh((moments - gain @ self.response @ moments).double())
        scales = energies.clamp(min=1e-9 * float(energies.max())).sqrt()
        found: Tensor = (vectors * scales).T.flip(0).to(components)
        return found

    def agreed(self, x: Tensor) -> Tensor:
        """x + K (y2 - S x): scenes (B, C, H, W) as like x as measured spectra allow that agree with the picture."""
        gain = self._gain(self.components.to(x), self._doubts())
        rest = self.smoothed - self.seen(x)
        return x + torch.einsum("bcg,bghw->bchw", gain.expand(len(rest), -1, -1), rest)

    def scaled(self, factor: float) -> Self:
        """That of the scene times a factor."""
        return replace(self, picture=self.picture * factor, noise=self.noise * factor)

    def part(self, rows: Tensor) -> Self:
        """Those of some samples."""
        return self if len(self.picture) == 1 else replace(self, picture=self.picture[rows])

    def narrow(self, axis: int, first: int, size: int) -> Self:
        """That of a part of the scene."""
        return replace(self, picture=self.picture.narrow(axis, first, size))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same on another device or in another precision."""
        named = {name: getattr(self, name) for name in ("picture", "response", "components")}
        return replace(self, **{name: tensor.to(device=device, dtype=dtype) for name, tensor in named.items()})

    def require(self, scene_shape: tuple[int, int, int]) -> None:
        """Raises a GeometryError unless it shows scenes (C, H, W) of this shape."""
        if self.picture.shape[-2:] != scene_shape[1:]:
            raise GeometryError(
                f"The guide has {by(tuple(self.picture.shape[-2:]))} pixels; the scene has {by(scene_shape[1:])}. Crop "
                "or resample the guide to what the mask sees."
            )
        wanted = (self.picture.shape[1], scene_shape[0])
        if tuple(self.response.shape) != wanted:
            raise GeometryError(
                f"The response of the guide is {by(tuple(self.response.shape))} numbers; {by(wanted)}, one row for "
                "each of its channels and one column a band, were expected. Correct --guide-response."
            )

    def _doubts(self) -> Tensor:
        """(1 or B, 1, 1): v in units of the mean square of every picture."""
        strength = self.picture.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=1e-9)
        return (_DOUBT * (self.noise / strength).clamp(min=LEAST_NOISE)).square()[:, None, None]

    def _gain(self, components: Tensor, doubts: Tensor) -> Tensor:
        """K, (N, C, G), for spectra of the moments Q of the components (R, C) and doubts (N, 1, 1)."""
        moments = components.T @ components
        seen = self.response @ moments @ self.response.T
        least = doubts * seen.diagonal().mean() * torch.eye(len(seen)).to(seen)
        gain: Tensor = torch.linalg.solve(seen + least, self.response @ moments).mT
        return gain


def joined(guides: Sequence[Guide | None]) -> Guide | None:
    """The guide of a batch whose samples have these; they have one response."""
    first = guides[0]
    if first is None:
        return None
    return replace(first, picture=torch.cat([guide.picture for guide in guides if guide is not None]))


def noise_of(picture: Tensor) -> float:
    """The standard deviation of the noise of a picture (1, G, H, W), by the median of its diagonal details.

    Donoho and Johnstone (Biometrika 1994).
    """
    detail = picture[..., :-1, :-1] - picture[..., 1:, :-1] - picture[..., :-1, 1:] + picture[..., 1:, 1:]
    sigma = detail[..., ::2, ::2].abs().flatten(2).median(dim=2).values.max() / (2 * 0.6745)
    return float(sigma)


def displacement(picture: Tensor, expected: Tensor) -> tuple[int, int]:
    """How many pixels down and right `picture` lies from `expected`, both (1, G, H, W): where their details agree most.

    The sum over the channels of the cross-correlation of what a local mean leaves, with circular borders, up to
    FARTHEST pixels.
    """
    spectra = [torch.fft.rfft2(_details(image)) for image in (picture, expected)]
    size = picture.shape[-2:]
    agreement = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=size).sum(dim=(0, 1))
    far_y, far_x = (min(FARTHEST, (length - 1) // 2) for length in size)
    near = torch.roll(agreement, (far_y, far_x), dims=(0, 1))[: 2 * far_y + 1, : 2 * far_x + 1]
    place = int(near.argmax())
    return place // near.shape[1] - far_y, place % near.shape[1] - far_x


def resemblance(picture: Tensor, expected: Tensor) -> float:
    """The correlation of the details of two pictures (1, G, H, W): 1 where they are the same."""
    return float((_details(picture) * _details(expected)).mean())


def _details(image: Tensor) -> Tensor:
    """An image without its local means, each channel of the same energy."""
    radius = _SMOOTH // 2
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    rest = image - F.avg_pool2d(padded, _SMOOTH, stride=1)
    return rest / rest.square().mean(dim=(-2, -1), keepdim=True).sqrt().clamp(min=1e-12)

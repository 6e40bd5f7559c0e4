"""Low light: a dark picture is the reflectance R of its scene times the light L that fell on it, y = R L + n.

R has the channels of the picture, L is one smooth plane for all of them (Retinex). Both are unknown: the pair, L behind
the channels of R, is what decoders seek. What is shown is the picture relit, R L^gamma: at gamma 1 it is as dark as it
was taken, at 0 the reflectance alone. The closed forms are those of LLEMamba's ADMM (Zhang et al., arXiv 2406.01028),
derived here: with a pull towards R' and L' of the weights mu / 2 and nu / 2

    R = argmin ||R L - y||^2 + mu/2 ||R - R'||^2 = (2 L y + mu R') / (2 L^2 + mu)
    L = argmin ||R L - y||^2 + nu/2 ||L - L'||^2 = (2 sum_c R_c y_c + nu L') / (2 sum_c R_c^2 + nu)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import Stage, WithoutWeights
from ..instrument import DARKEST_LIGHT, RELIT_GAMMA
from ..measurement import Measurement, Scene
from ..physics import Part, Physics
from .camera import Camera
from .noise import Noise
from .withheld import random_start

# of `retinex`, with a gamma of 0.25: mean PSNR on every second one of 68 training pairs 17.24 dB, matched in the mean
# 19.03; a gamma of 0.2 gives 16.90, one of 0.3 16.72, and a mean over 17 x 17 pixels, taken twice, 16.95
_RADIUS = 8  # pixels of the guided filter's window to every side
_EDGE = 0.1  # variance below which the filter smooths, in units of the squared mean of the picture
_RETINEX_DARKEST = 0.03


class LowLightPhysics(Physics):
    """R times L of one size: unknowns (B, C + 1, H, W), the light last, to dark pictures (B, C, H, W)."""

    task = "lowlight"
    initial_method = "smooth light"
    num_lights = 1

    def __init__(self, channels: int, image_size: tuple[int, int], darkening: Darkening | None = None) -> None:
        self.scene_shape = self.measurement_shape = (channels, *image_size)
        self.darkening = darkening

    def forward(self, x: Tensor) -> Tensor:
        """R L."""
        return x[:, :-1] * x[:, -1:]

    def initial(self, y: Tensor) -> Tensor:
        """The largest channel of y, smoothed but for its edges, as the light, and y divided by it."""
        light = smooth_light(y).clamp(min=DARKEST_LIGHT)
        return torch.cat([y / light, light], dim=1)

    def reflectance(self, y: Tensor, light: Tensor, pulled: Tensor, mu: Tensor | float) -> Tensor:
        """(2 L y + mu R') / (2 L^2 + mu), (B, C, H, W), of the light (B, 1, H, W) and the R' it is pulled to."""
        return (2 * light * y + mu * pulled) / (2 * light.square() + mu)

    def lit(self, y: Tensor, reflectance: Tensor, pulled: Tensor, nu: Tensor | float) -> Tensor:
        """(2 sum_c R_c y_c + nu L') / (2 sum_c R_c^2 + nu), (B, 1, H, W), of R (B, C, H, W) and the L' of the pull."""
        explained = 2 * (reflectance * y).sum(dim=1, keepdim=True)
        return (explained + nu * pulled) / (2 * reflectance.square().sum(dim=1, keepdim=True) + nu)

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """A window of the picture."""
        height, width = (min(wanted, total) for wanted, total in zip(crop, y.shape[-2:], strict=True))
        top, left = (random_start(t - u, generator) for t, u in zip(y.shape[-2:], (height, width), strict=True))
        place = (..., slice(top, top + height), slice(left, left + width))
        physics = type(self)(y.shape[1], (height, width), self.darkening)
        return Part(y[place], physics, None if scene is None else scene[place])

    def picture(self, x: Tensor) -> Tensor:
        """The picture relit: R L^gamma at the usual gamma."""
        return x[:, :-1] * self.light(x) ** RELIT_GAMMA

    def light(self, x: Tensor) -> Tensor:
        """L, nowhere darker than 8 bits can tell."""
        return x[:, -1:].clamp(min=DARKEST_LIGHT)

    def unknown(self, picture: Tensor, light: Tensor | None) -> Tensor:
        """R and L of a relit picture and its light; without one the picture is taken for the reflectance."""
        light = torch.ones_like(picture[:, :1]) if light is None else light
        return torch.cat([picture / light**RELIT_GAMMA, light], dim=1)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Itself: it holds no tensors."""
        return self


def smooth_light(y: Tensor, *, radius: int = _RADIUS, edge: float = _EDGE) -> Tensor:
    """(B, 1, H, W): the largest channel of y (B, C, H, W) by the guided filter (He et al., TPAMI 2013) with itself.

    Where it varies by less than `edge` times the squared mean of the picture, it becomes its mean over `radius` pixels
    to every side.
    """
    brightest = y.amax(dim=1, keepdim=True)
    mean = _box(brightest, radius)
    variance = (_box(brightest.square(), radius) - mean.square()).clamp(min=0)
    least = edge * brightest.mean(dim=(2, 3), keepdim=True).square()
    slope = variance / (variance + least).clamp(min=1e-12)
    return _box(slope, radius) * brightest + _box(mean - slope * mean, radius)


def _box(x: Tensor, radius: int) -> Tensor:
    """The mean over a square window, of what lies inside of the picture."""
    for size in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        x = F.avg_pool2d(x, size, stride=1, padding=(size[0] // 2, size[1] // 2), count_include_pad=False)
    return x


@dataclass(frozen=True)
class Darkening:
    """How a bright picture x becomes a dark one: `exposure` x^`gamma`, then the noise of a detector.

    `electrons` fall on a pixel where the picture is 1 (0: no shot noise); `read_noise` is the standard deviation of the
    detector's own noise on the 0..1 scale.
    """

    exposure: float = 0.25
    gamma: float = 1.6
    electrons: float = 2000.0
    read_noise: float = 0.004

    def darkened(self, x: Tensor) -> Tensor:
        """The dark picture without noise."""
        return self.exposure * x.clamp(min=0) ** self.gamma

    def noisy(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """A dark picture as the detector gives it."""
        if self.electrons:
            y = torch.poisson(y.clamp(min=0) * self.electrons, generator=generator) / self.electrons
        return y + self.read_noise * torch.randn(y.shape, generator=generator, dtype=y.dtype, device=y.device)

    @property
    def words(self) -> str:
        """As "exposure 0.25, gamma 1.6, 2000 electrons at white, read noise 0.004"."""
        return f"exposure {self.exposure:g}, gamma {self.gamma:g}, {self.noise_words}"

    @property
    def noise_words(self) -> str:
        """As "2000 electrons at white, read noise 0.004"."""
        shot = f"{self.electrons:g} electrons at white" if self.electrons else "no shot noise"
        return f"{shot}, read noise {self.read_noise:g}"


@dataclass(frozen=True)
class LowLightCamera(Camera):
    """A camera in too little light. A `noise` of its own takes the place of that of the `darkening`."""

    task: ClassVar[str] = "lowlight"
    darkening: Darkening = field(default_factory=Darkening)

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """The darkening that a simulated picture states, else the usual one."""
        physics = measurement.physics
        assert isinstance(physics, LowLightPhysics)
        return cls(noise, physics.darkening or Darkening())

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """The darkened picture, with the bright one as its reference."""
        channels, height, width = scene.image.shape
        darkening = self.darkening if self.noise is None else replace(self.darkening, electrons=0.0, read_noise=0.0)
        y, _ = self.taken(torch.from_numpy(scene.image)[None], None, torch.Generator().manual_seed(seed))
        physics = LowLightPhysics(channels, (height, width), darkening)
        notes = (f"Darkened: {darkening.words}.",)
        return Measurement(
            "lowlight", y[0].numpy(), physics, reference=scene.image, input_scale=1.0, path=scene.path, notes=notes
        )

    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> LowLightPhysics:
        """R times L of the size of the crops."""
        return LowLightPhysics(scenes.shape[1], (scenes.shape[2], scenes.shape[3]), self.darkening)

    def taken(
        self, scenes: Tensor, physics: Physics | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """The dark pictures, and what of them is noise."""
        clean = self.darkening.darkened(scenes)
        y = self.darkening.noisy(clean, generator) if self.noise is None else self.noise.add_to(clean, generator)
        return y, y - clean

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """With another `exposure`, `darkening_gamma`, number of `electrons` or `read_noise`."""
        named = {name.removeprefix("darkening_"): float(value) for name, value in changes.items()}
        return replace(self, darkening=replace(self.darkening, **named))

    @property
    def shown(self) -> Mapping[str, Any]:
        """All four numbers."""
        own = self.darkening
        numbers = {"exposure": own.exposure, "darkening_gamma": own.gamma}
        return {**numbers, "electrons": own.electrons, "read_noise": own.read_noise}

    def summary(self) -> dict[str, Any]:
        """The darkening, its noise among it."""
        own = self.darkening
        noise = own.noise_words if self.noise is None else str(self.noise)
        return {"noise": noise, "exposure": own.exposure, "gamma": own.gamma}


@dataclass(frozen=True)
class Retinex(WithoutWeights):
    """Division by the smooth light: R = y / L with the light of `smooth_light`, relit by L^gamma."""

    name: str = "retinex"
    task: str = "lowlight"
    num_stages: int = 1

    def stages(self, y: Tensor, physics: LowLightPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The operator's own start, then the division by a light that is nowhere black, which further stages repeat."""
        yield Stage(0, physics.initial(y), method=physics.initial_method)
        light = smooth_light(y).clamp(min=_RETINEX_DARKEST)
        x = torch.cat([y / light, light], dim=1)
        for index in range(1, num_stages + 1):
            yield Stage(index, x)

"""GAP-TV: a CASSI decoder that needs no weights.

Accelerated generalised alternating projection (Yuan, ICIP 2016; Liao, Li, Carin, SIAM J. Imaging Sci. 2014) with
Chambolle's total-variation denoiser (J. Math. Imaging Vis. 2004) on every band.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..decoder import Stage
from ..measurement import Measurement
from ..physics import LinearPhysics

_CACHED_PIXELS = 2**16  # a quarter of a megabyte per plane buffer
INPUT_PEAK = 0.8  # what the brightest scene pixel of a real capture is brought to


@dataclass(frozen=True)
class GapTv:
    """GAP-TV with one `weight` for every scene (on the 0..1 scale) and `inner_iterations` Chambolle steps a stage."""

    weight: float = 0.3
    inner_iterations: int = 5
    num_stages: int = 60
    name: str = "gap-tv"
    task: str = "cassi"
    step_name: ClassVar[str] = "iteration"
    citation: ClassVar[str] = (
        "X. Yuan, “Generalized alternating projection based total variation minimization for compressive sensing,” "
        "in Proc. IEEE Int. Conf. on Image Processing, 2016."
    )

    def fitted(self, measurement: Measurement) -> GapTv:
        """Itself: GAP-TV treats every band alike."""
        return self

    def input_scale(self, measurement: Measurement) -> float:
        """The factor a that brings a capture of unknown exposure to the 0..1 scale on which `weight` is defined.

        y / (Phi 1) is the mask-weighted mean over the bands that a pixel sees; its 99.9th percentile becomes half of
        `INPUT_PEAK`, as the brightest pixels of a coloured scene have about twice their mean over the spectrum.
        """
        y = torch.from_numpy(measurement.y)[None]
        physics = measurement.physics
        light = physics.forward(torch.ones(1, 1, 1, 1).expand(1, *physics.scene_shape))
        seen = light > 0.25 * light.max()
        return float(INPUT_PEAK / 2 / torch.quantile((y / light)[seen][:: max(1, seen.sum() // 1_000_000)], 0.999))

    def stages(self, y: Tensor, physics: LinearPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The start Phi^T(y / phi), then one Stage per iteration; y is (B, 1, H', W') on the 0..1 scale."""
        gram = physics.gram()
        x = physics.adjoint(y / gram)
        yield Stage(0, x)
        accumulated = y  # y plus everything that was not yet explained
        for index in range(1, num_stages + 1):
            phi_x = physics.forward(x)
            accumulated = accumulated + (y - phi_x)
            z = x + physics.adjoint((accumulated - phi_x) / gram)
            x = physics.agreed(denoise_tv_chambolle(z, self.weight, self.inner_iterations))
            yield Stage(index, x, denoiser_input=z)


def denoise_tv_chambolle(images: Tensor, weight: float, num_iterations: int) -> Tensor:
    """The result of `num_iterations` of Chambolle's dual projection on every (H, W) image of a (..., H, W) tensor.

    Minimises 1/2 ||u - image||^2 + weight * TV(u); equal to scikit-image's `denoise_tv_chambolle` with eps = 0.
    """
    images = images.contiguous()  # views of its planes are written to
    denoised = torch.empty_like(images)
    planes, results = images.flatten(0, -3), denoised.flatten(0, -3)
    # On a CPU few planes at a time: the working set stays in the cache.
    at_once = len(planes) if images.is_cuda else max(1, _CACHED_PIXELS // planes[0].numel())
    for source, target in zip(torch.split(planes, at_once), torch.split(results, at_once), strict=True):
        _denoise_planes(source, target, weight, num_iterations)
    return denoised


def _denoise_planes(image: Tensor, out: Tensor, weight: float, num_iterations: int) -> None:
    """Chambolle's iteration p <- (p - tau grad u) / (1 + tau/weight |grad u|), u = image - div* p, tau = 1/4."""
    tau = 0.25
    dual_y, dual_x = torch.zeros_like(image), torch.zeros_like(image)
    slope_y, slope_x = torch.zeros_like(image), torch.zeros_like(image)
    shrink = torch.empty_like(image)
    out.copy_(image)
    for iteration in range(num_iterations):
        if iteration:
            torch.sub(image, dual_y, out=out).sub_(dual_x)
            out[:, 1:] += dual_y[:, :-1]
            out[:, :, 1:] += dual_x[:, :, :-1]
        torch.sub(out[:, 1:], out[:, :-1], out=slope_y[:, :-1])
        torch.sub(out[:, :, 1:], out[:, :, :-1], out=slope_x[:, :, :-1])
        torch.mul(slope_y, slope_y, out=shrink).addcmul_(slope_x, slope_x).sqrt_().mul_(tau / weight).add_(1)
        dual_y.sub_(slope_y, alpha=tau).div_(shrink)
        dual_x.sub_(slope_x, alpha=tau).div_(shrink)

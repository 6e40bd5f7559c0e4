"""SR: super-resolution, y = (x * k) taken at every s-th pixel (Eq. 15 and 16 of the paper).

The blur is a convolution with a kernel whose centre is at index size // 2; the pixels 0, s, 2 s, ... are kept, as
USRNet has it (Zhang, Van Gool, Timofte, CVPR 2020). Beyond its border a simulated scene goes on from the other side
(circular, the published protocol), that of a photograph as its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..decoder import Stage, WithoutWeights
from ..errors import GeometryError
from ..instrument import BORDERS, SCIPY_MODES
from ..measurement import Measurement, Scene
from ..physics import LinearPhysics, Part, Withheld
from .camera import Camera
from .kernels import SIZE, gallery, random_kernels, resized
from .noise import Noise
from .withheld import mean_of_neighbours, random_share, random_start

USUAL_KERNEL = "gaussian 1.6"  # of the gallery
# mu of one exact data step from the bicubic image: the best of nine values on eight validation photographs under random
# kernels (27.00, 25.78 and 24.94 dB for x2, x3 and x4; bicubic 24.13, 24.02 and 23.80 dB). Noise asks for more: at a
# standard deviation of 0.01 the best is 0.01 at x2 and x3, 0.005 at x4, about (noise / _NOISE)^2.
TIKHONOV_MU = {2: 2e-4, 3: 1e-4, 4: 1e-4}
_NOISE = 0.1
_SOLVED, _MOST_ITERATIONS = 1e-4, 50  # of conjugate gradients: the relative residual, after 2 to 10 of them
_CUBIC = -0.5  # the cubic of Keys (1981)


class SrPhysics(LinearPhysics):
    """Blur by `kernel`, (kh, kw) or one a sample (B, kh, kw), and decimation by `scale` of scenes of `image_size`.

    `noise_level` is the standard deviation of the noise in the measurement, as far as it is known. With `border`
    "mirrored" the scene goes on as its mirror image (d c b a | a b c d | d c b a); Phi Phi^T is no convolution then,
    and `prox` comes to its solution by a few iterations.
    """

    task = "sr"
    initial_method = "repeated pixels"

    def __init__(
        self,
        kernel: Tensor,
        scale: int,
        image_size: tuple[int, int],
        *,
        channels: int = 3,
        noise_level: float = 0.0,
        border: str = "circular",
    ) -> None:
        if border not in BORDERS:
            raise GeometryError(f"The border is {border!r}; one of {', '.join(BORDERS)} was expected.")
        kernel = kernel if kernel.dim() == 3 else kernel[None]
        height, width = image_size
        if height % scale or width % scale:
            raise GeometryError(
                f"The scene is {height} x {width} pixels; whole multiples of the factor {scale} were expected. Crop it."
            )
        if kernel.shape[-2] > height or kernel.shape[-1] > width:
            raise GeometryError(
                f"The kernel is {kernel.shape[-2]} x {kernel.shape[-1]} pixels, the scene {height} x {width}. "
                "Choose a smaller kernel or a larger image."
            )
        self.kernel, self.scale, self.noise_level, self.border = kernel, scale, noise_level, border
        self.scene_shape = (channels, height, width)
        self.measurement_shape = (channels, height // scale, width // scale)
        self.score_border = scale**2
        self._margin = 0 if border == "circular" else -(-max(kernel.shape[-2:]) // scale) * scale
        height, width = height + 2 * self._margin, width + 2 * self._margin
        self._otf = torch.fft.rfft2(resized(kernel, (height, width)))[:, None]  # (B or 1, 1, H, W // 2 + 1)
        power = torch.fft.fft2(resized(kernel, (height, width)))[:, None].abs().square()  # (B or 1, 1, H, W)
        aliases = power.reshape(-1, 1, scale, height // scale, scale, width // scale)
        self._folded_power = aliases.mean(dim=(2, 4))  # (B or 1, 1, H / s, W / s)

    def forward(self, x: Tensor) -> Tensor:
        """Phi x: (B, C, H, W) to (B, C, H / s, W / s)."""
        blurred = self._filtered(_mirrored(x, self._margin), self._otf)
        return _inner(blurred, self._margin)[..., :: self.scale, :: self.scale]

    def adjoint(self, y: Tensor) -> Tensor:
        """Phi^T y: zeros between the pixels, then correlation with the kernel."""
        spread = y.new_zeros(*y.shape[:2], *self.scene_shape[1:])
        spread[..., :: self.scale, :: self.scale] = y
        back = self._filtered(F.pad(spread, (self._margin,) * 4), self._otf.conj())
        return _folded(back, self._margin)

    def initial(self, y: Tensor) -> Tensor:
        """Every pixel of y repeated s x s times."""
        return y.repeat_interleave(self.scale, dim=-2).repeat_interleave(self.scale, dim=-1)

    def gram(self) -> Tensor:
        """A bound of Phi Phi^T.

        (B or 1, 1, 1, 1), its largest eigenvalue, where the scene is circular: the mean of |OTF|^2 over aliases at its
        largest. (B or 1, 1, H / s, W / s), the sums of its rows, which majorise it, where the border is mirrored.
        """
        if not self._margin:
            return torch.amax(self._folded_power, dim=(-2, -1), keepdim=True)
        absolute = self if bool((self.kernel >= 0).all()) else self._with(self.kernel.abs())
        ones = self.kernel.new_ones(len(self.kernel), 1, *self.measurement_shape[1:])
        return absolute.forward(absolute.adjoint(ones))

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        """z + Phi^T (Phi Phi^T + mu)^-1 (y - Phi z): Eq. 9 by the Woodbury identity.

        Of a circular scene Phi Phi^T is a circular convolution of low-resolution images: its transfer function is the
        mean of |OTF|^2 over the s^2 frequencies that decimation folds onto each other. Of a mirrored one the system is
        solved by conjugate gradients to a relative residual of 1e-4.
        """
        rest, mu = y - self.forward(z), torch.as_tensor(mu, dtype=y.dtype, device=y.device)
        solved: Tensor = _Solve.apply(rest, mu, self) if self._margin else self.deconvolved(rest, mu)  # type: ignore[no-untyped-call]
        return z + self.adjoint(solved)

    def deconvolved(self, rest: Tensor, mu: Tensor) -> Tensor:
        """(Phi Phi^T + mu)^-1 of `rest` (B, C, H / s, W / s), going on beyond its border as the scene does.

        Exact of a circular scene; of a mirrored one nearly, but for a kernel's width at the border.
        """
        rest = _mirrored(rest, self._margin // self.scale)
        power = self._folded_power[..., : rest.shape[-1] // 2 + 1]
        solved = torch.fft.irfft2(torch.fft.rfft2(rest) / (power + mu), s=rest.shape[-2:])
        return _inner(solved, self._margin // self.scale)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""
        kernel = self.kernel.to(device=device, dtype=dtype or self.kernel.dtype)
        return self if kernel is self.kernel else self._with(kernel)

    def part(self, rows: Tensor) -> Self:
        """The kernels of some samples."""
        return self if len(self.kernel) == 1 else self._with(self.kernel[rows])

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """A part of the picture; it sees a blur that went on beyond it, so its border does not count."""
        s, size = self.scale, []
        for axis, wanted in zip((-2, -1), crop, strict=True):
            total = y.shape[axis]
            used = min(max(wanted // s, self.kernel.shape[axis] // s + 1), total)
            first = random_start(total - used, generator)
            y = y.narrow(axis, first, used)
            if scene is not None:
                scene = scene.narrow(axis, first * s, used * s)
            size.append(used * s)
        is_whole = tuple(size) == tuple(self.scene_shape[1:])
        physics = type(self)(
            self.kernel,
            s,
            (size[0], size[1]),
            channels=self.scene_shape[0],
            noise_level=self.noise_level,
            border=self.border if is_whole else "mirrored",
        )
        margin = 0 if is_whole else min(self.kernel.shape[-1] // 2, min(size) // 4) // s * s
        return Part(y, physics, scene, margin)

    def withheld(self, y: Tensor, share: float, generator: torch.Generator) -> Withheld:
        """A random share of the pixels has the mean of its neighbours instead; the operator is the same."""
        hidden = random_share((len(y), 1, *y.shape[2:]), share, y.device, generator)
        given = torch.where(hidden > 0, mean_of_neighbours(y, 1 - hidden), y)
        return Withheld(given, self, hidden.expand_as(y))

    def misfit(self, name: str, task_config: Mapping[str, Any], sampling: Tensor | None) -> str:
        """Another factor of enlargement."""
        scales = task_config.get("scales")
        if not scales or self.scale in scales:
            return ""
        return (
            f"The picture is to be enlarged {self.scale} times; {name} was trained for "
            f"{', '.join(map(str, scales))} times. Choose a set of this factor, or tikhonov."
        )

    def degradation(self) -> Tensor:
        """(1, 2): what USRNet's hyper-parameter net sees, noise level and factor."""
        return self.kernel.new_tensor([[self.noise_level, float(self.scale)]])

    def _with(self, kernel: Tensor) -> Self:
        channels, height, width = self.scene_shape
        return type(self)(
            kernel, self.scale, (height, width), channels=channels, noise_level=self.noise_level, border=self.border
        )

    def _filtered(self, x: Tensor, otf: Tensor) -> Tensor:
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * otf, s=x.shape[-2:])
        return filtered


class _Solve(torch.autograd.Function):
    """(Phi Phi^T + mu)^-1 of `rest` by conjugate gradients; its gradient by the same, as the matrix is symmetric."""

    @staticmethod
    def forward(ctx: Any, rest: Tensor, mu: Tensor, physics: SrPhysics) -> Tensor:
        solved = _conjugate_gradients(rest, mu, physics)
        ctx.physics = physics
        ctx.save_for_backward(solved, mu)
        return solved

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        solved, mu = ctx.saved_tensors
        back = _conjugate_gradients(gradient, mu, ctx.physics)
        return back, -(back * solved).sum_to_size(mu.shape), None


def _conjugate_gradients(rest: Tensor, mu: Tensor, physics: SrPhysics) -> Tensor:
    """(Phi Phi^T + mu)^-1 of `rest`, every plane by itself, preconditioned by the mirrored deconvolution.

    That is not quite symmetric, which flexible conjugate gradients allow (Notay, SIAM J. Sci. Comput. 2000).
    """

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(-2, -1), keepdim=True)

    def quotient(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(b != 0, a / torch.where(b != 0, b, torch.ones_like(b)), torch.zeros_like(a))

    solved, wanted = torch.zeros_like(rest), _SOLVED**2 * inner(rest, rest)
    move = physics.deconvolved(rest, mu)
    for _ in range(_MOST_ITERATIONS):
        seen = physics.forward(physics.adjoint(move)) + mu * move
        energy = inner(move, seen)
        length = quotient(inner(move, rest), energy)
        solved, rest = solved + length * move, rest - length * seen
        if bool((inner(rest, rest) <= wanted).all()):
            break
        step = physics.deconvolved(rest, mu)
        move = step - quotient(inner(step, seen), energy) * move
    return solved


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """(B, C, H, W) with `margin` more pixels at every side, mirrored as often as it takes."""
    if not margin:
        return x
    rows, columns = (_sources(length, margin).to(x.device) for length in x.shape[-2:])
    return x[..., rows[:, None], columns]


def _folded(x: Tensor, margin: int) -> Tensor:
    """The transpose of `_mirrored`: what lies in the margin is added to the pixels it mirrors."""
    if not margin:
        return x
    for axis in (-2, -1):
        length = x.shape[axis] - 2 * margin
        shape = list(x.shape)
        shape[axis] = length
        x = x.new_zeros(shape).index_add(axis, _sources(length, margin).to(x.device), x)
    return x


def _sources(length: int, margin: int) -> Tensor:
    """Which pixel of `length` ones is seen at -margin ... length + margin - 1."""
    position = torch.arange(-margin, length + margin) % (2 * length)
    return torch.minimum(position, 2 * length - 1 - position)


def _inner(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]


@dataclass(frozen=True)
class SrCamera(Camera):
    """`kernel` (kh, kw), or None for any, the factor `scale`, and how scenes go on beyond their `border`.

    Measurements are cut down to 8 bits before noise comes where `eight_bit` says so, or, if None, where there is none.
    """

    task: ClassVar[str] = "sr"
    kernel: np.ndarray | None = None
    scale: int = 2
    border: str = "circular"
    eight_bit: bool | None = None

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """Kernel and factor of a measurement."""
        physics = measurement.physics
        assert isinstance(physics, SrPhysics)
        return cls(noise, kernel=physics.kernel[0].cpu().numpy(), scale=physics.scale)

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """The low-resolution picture; without a kernel of its own by the usual one."""
        kernel = gallery()[USUAL_KERNEL] if self.kernel is None else self.kernel
        eight_bit = self.noise is None if self.eight_bit is None else self.eight_bit
        return simulate(scene, kernel, self.scale, noise=self.noise, seed=seed, eight_bit=eight_bit, border=self.border)

    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> SrPhysics:
        """Blur by the kernel, or by a random one a sample."""
        batch, channels, height, width = scenes.shape
        if self.kernel is None:
            kernel = random_kernels(batch, generator)
        else:
            kernel = torch.from_numpy(np.ascontiguousarray(self.kernel)).to(scenes.device)
        level = self.noise.level if self.noise is not None and self.noise.kind == "gaussian" else 0.0
        return SrPhysics(kernel, self.scale, (height, width), channels=channels, noise_level=level)

    def crop(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width): whole multiples of the factor, no smaller than the kernel."""
        return crop_for(size, self.scale, (SIZE, SIZE) if self.kernel is None else self.kernel.shape[-2:])

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """With another `kernel`, by its name in the gallery, or another `scale`; nothing is cut down to 8 bits."""
        kernel = gallery()[changes["kernel"]] if "kernel" in changes else self.kernel
        return replace(self, kernel=kernel, scale=changes.get("scale", self.scale), eight_bit=False)

    def task_config(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Its factor alone."""
        return {**known, "scales": [self.scale]}

    def summary(self) -> dict[str, Any]:
        """Factor and size of the kernel."""
        kernel = "random" if self.kernel is None else " x ".join(map(str, self.kernel.shape))
        return {**super().summary(), "scale": self.scale, "kernel": kernel}


@dataclass(frozen=True)
class Bicubic(WithoutWeights):
    """Cubic interpolation on the sampling grid: output pixel u reads position u / s, as decimation keeps index 0."""

    name: str = "bicubic"
    task: str = "sr"
    num_stages: int = 1

    def stages(self, y: Tensor, physics: SrPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The repeated pixels, then the interpolation, which further stages only repeat."""
        yield Stage(0, physics.initial(y))
        x = bicubic(y, physics.scale)
        for index in range(1, num_stages + 1):
            yield Stage(index, x)


@dataclass(frozen=True)
class Tikhonov(WithoutWeights):
    """One exact data step from the bicubic image: the image that explains y and lies nearest to it."""

    name: str = "tikhonov"
    task: str = "sr"
    num_stages: int = 1

    def stages(self, y: Tensor, physics: SrPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The bicubic image, then the data step, which further stages only repeat."""
        start = bicubic(y, physics.scale)
        yield Stage(0, start)
        mu = TIKHONOV_MU.get(physics.scale, TIKHONOV_MU[4]) + (physics.noise_level / _NOISE) ** 2
        x = physics.prox(start, y, mu)
        for index in range(1, num_stages + 1):
            yield Stage(index, x, denoiser_input=start, parameters={"mu": mu})


def bicubic(y: Tensor, scale: int) -> Tensor:
    """(B, C, h, w) to (B, C, s h, s w) by Keys' cubic convolution; the picture is continued by its edge pixels."""
    for axis in (-2, -1):
        y = _interpolated(y.transpose(axis, -1), scale).transpose(axis, -1)
    return y


def _interpolated(rows: Tensor, scale: int) -> Tensor:
    """Cubic convolution along the last axis at positions u / scale."""
    position = torch.arange(rows.shape[-1] * scale, device=rows.device) / scale
    first = position.floor()
    values = torch.zeros_like(rows.repeat_interleave(scale, dim=-1))
    for tap in range(-1, 3):
        weight = _keys((position - first - tap).abs()).to(rows)
        index = (first.long() + tap).clamp(0, rows.shape[-1] - 1)
        values = values + weight * rows[..., index]
    return values


def _keys(distance: Tensor) -> Tensor:
    near = (_CUBIC + 2) * distance**3 - (_CUBIC + 3) * distance**2 + 1
    far = _CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def crop_for(size: Sequence[int], scale: int, kernel: Sequence[int]) -> tuple[int, int]:
    """The (height, width) of crops of about `size` that a kernel (kh, kw) fits: whole multiples of the factor."""
    height, width = (
        max(length // scale, -(-least // scale)) * scale for length, least in zip(size, kernel, strict=True)
    )
    return height, width


def simulate(
    scene: Scene,
    kernel: np.ndarray,
    scale: int,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    eight_bit: bool = True,
    border: str = "circular",
) -> Measurement:
    """The low-resolution image of a picture, cropped to whole multiples of scale and 8, with the crop as its reference.

    `border` is how the crop goes on beyond its border. With `eight_bit` the blurred picture is cut down to 8 bits
    before it is decimated, as the published protocol does.
    """
    multiple = math.lcm(scale, 8)
    channels, height, width = scene.image.shape
    height, width = height // multiple * multiple, width // multiple * multiple
    if not height or not width:
        raise GeometryError(
            f"The picture is {scene.image.shape[1]} x {scene.image.shape[2]} pixels; at least {multiple} x {multiple} "
            "were expected. Choose a larger one."
        )
    reference = np.ascontiguousarray(scene.image[:, :height, :width])
    level = noise.level if noise is not None and noise.kind == "gaussian" else 0.0
    blur = torch.from_numpy(np.asarray(kernel, dtype=np.float32))
    physics = SrPhysics(blur, scale, (height, width), channels=channels, noise_level=level, border=border)
    if eight_bit:
        y = torch.from_numpy(_eight_bit(reference, kernel, scale, SCIPY_MODES[border]))[None]
    else:
        y = physics.forward(torch.from_numpy(reference)[None])
    if noise is not None:
        y = noise.add_to(y, torch.Generator().manual_seed(seed))
    return Measurement("sr", y[0].numpy(), physics, reference=reference, input_scale=1.0, path=scene.path)


def _eight_bit(image: np.ndarray, kernel: np.ndarray, scale: int, mode: str) -> np.ndarray:
    """(C, H / s, W / s) float32: SciPy cuts its result down to the 8 bits of its input, which the protocol keeps."""
    pixels = np.round(image * 255).clip(0, 255).astype(np.uint8)
    blurred = [ndimage.convolve(channel, kernel.astype(np.float64), mode=mode) for channel in pixels]
    return (np.stack(blurred)[:, ::scale, ::scale] / 255).astype(np.float32)

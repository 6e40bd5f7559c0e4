"""CASSI: coded-aperture snapshot spectral imaging with a single disperser.

A mask codes every band of the scene, a prism moves band c by its own offset along one axis, the detector sums:

    y = sum_c S_c(M_c * x_c) + n                                                        (Eq. 1 of the paper)

S_c places band c on the detector at offset_c = first_offset + c * step pixels (direction "+") or
first_offset + (C - 1 - c) * step ("-"). A fractional offset splits a pixel between its two neighbours linearly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import GeometryError, by
from ..instrument import Dispersion
from ..measurement import Measurement, Scene
from ..physics import LinearPhysics, Part, Withheld
from .camera import Camera
from .noise import Noise
from .withheld import random_share, random_start

MEASURED_STEPS = (0.25, 4.0)  # pixels a band, where sets trained at 2 serve as well (resources/help/results-cassi.md)


class CassiPhysics(LinearPhysics):
    """The CASSI operator for one mask or a batch of masks.

    `mask` is (H, W) or (C, H, W) for one camera, (B, 1 or C, H, W) for one mask a sample; real values, binary or grey.
    `detector_shape` is (H', W') where the capture is longer or shorter along the dispersion than the smallest detector
    that sees all bands; what falls beside it is lost. `seen` (1 or B, 1, H', W') is 0 at detector pixels that do not
    count, such as dead ones and those withheld to be predicted, and 1 elsewhere.
    """

    task = "cassi"
    has_diagonal_gram = True  # tridiagonal with a dominant diagonal for fractional offsets

    def __init__(
        self,
        mask: Tensor,
        dispersion: Dispersion,
        *,
        detector_shape: tuple[int, int] | None = None,
        seen: Tensor | None = None,
    ) -> None:
        while mask.dim() < 4:
            mask = mask.unsqueeze(0)
        num_bands, (height, width) = dispersion.num_bands, mask.shape[-2:]
        if mask.shape[1] not in (1, num_bands):
            raise GeometryError(
                f"The mask has {mask.shape[1]} bands; 1 or {num_bands} were expected. Choose another mask or --bands."
            )
        across = 0 if dispersion.axis == "x" else 1
        if detector_shape is not None and detector_shape[across] != (height, width)[across]:
            raise GeometryError(
                f"The detector has {by(detector_shape)} pixels and the mask {by((height, width))}; across the "
                f"dispersion ({'rows' if across == 0 else 'columns'}) as many were expected. Crop one of them."
            )
        self.mask = mask  # (B, 1 or C, H, W)
        self.dispersion = dispersion
        self.scene_shape = (num_bands, height, width)
        self.measurement_shape = (1, *(detector_shape or dispersion.detector_shape(height, width)))
        self.seen = seen
        self.is_transposed, self.is_mirrored = dispersion.axis == "y", dispersion.direction == "-"
        self._diagonal, self._off_diagonal = self._phi_phi_t()

    def forward(self, x: Tensor) -> Tensor:
        """Phi x: (B, C, H, W) to (B, 1, H', W')."""
        return self.counted(_dispersed(self.mask * x, self.dispersion, self.measurement_shape[1:]))

    def adjoint(self, y: Tensor) -> Tensor:
        """Phi^T y: (B, 1, H', W') to (B, C, H, W)."""
        return self.mask * self.views(y)

    def views(self, y: Tensor) -> Tensor:
        """Every band's view of the detector without its mask: (B, 1, H', W') to (B, C, H, W)."""
        return _gathered(self.counted(y), self.dispersion, self.scene_shape[1:])

    def gram(self) -> Tensor:
        """(B, 1, H', W'): diag(PhiPhi^T) for whole offsets, else its row sums, which majorise it; dark pixels are 1."""
        if self._off_diagonal is None:
            return self._diagonal
        return self._diagonal + self._off_diagonal + _moved(self._off_diagonal, self.dispersion.axis)

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        """z + Phi^T (Phi Phi^T + mu)^-1 (y - Phi z): Eq. 9 by the Woodbury identity.

        Phi Phi^T is diagonal for whole offsets and tridiagonal along the dispersion axis otherwise.
        """
        rest = y - self.forward(z)
        if self._off_diagonal is None:
            return z + self.adjoint(rest / (self._diagonal + mu))
        columns = -1 if self.dispersion.axis == "x" else -2
        solved = _solve_tridiagonal(
            (self._diagonal + mu).movedim(columns, 0), self._off_diagonal.movedim(columns, 0), rest.movedim(columns, 0)
        )
        return z + self.adjoint(solved.movedim(0, columns))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""
        mask = self.mask.to(device=device, dtype=dtype or self.mask.dtype)
        if mask is self.mask:
            return self
        return self._with(mask, None if self.seen is None else self.seen.to(mask))

    def part(self, rows: Tensor) -> Self:
        """The cameras of some samples."""
        mask = self.mask if len(self.mask) == 1 else self.mask[rows]
        seen = self.seen if self.seen is None or len(self.seen) == 1 else self.seen[rows]
        return self if mask is self.mask and seen is self.seen else self._with(mask, seen)

    def joined(self, others: Sequence[Self]) -> Self:
        """One camera a sample: masks as large as the first one's."""
        seen = None if self.seen is None else torch.cat([other.seen for other in others if other.seen is not None])
        return self._with(torch.cat([other.mask for other in others]), seen)

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """Lines across the dispersion; along it everything is kept, as a detector pixel holds bands of many places."""
        rows = -2 if self.dispersion.axis == "x" else -1
        total = self.scene_shape[rows]
        size = min(crop[0], total)
        first = random_start(total - size, generator)
        detector = list(self.measurement_shape[1:])
        detector[rows] = size
        physics = type(self)(
            self.mask.narrow(rows, first, size),
            self.dispersion,
            detector_shape=(detector[0], detector[1]),
            seen=None if self.seen is None else self.seen.narrow(rows, first, size),
        )
        return Part(y.narrow(rows, first, size), physics, None if scene is None else scene.narrow(rows, first, size))

    def withheld(self, y: Tensor, share: float, generator: torch.Generator) -> Withheld:
        """Without a random share of the detector pixels, which the operator no longer sees."""
        seen = torch.ones_like(y) if self.seen is None else self.seen.expand_as(y)
        hidden = seen * random_share(y.shape, share, y.device, generator)
        return Withheld(y * (1 - hidden), self.seeing(seen * (1 - hidden)), hidden)

    def seeing(self, seen: Tensor) -> Self:
        """The same camera where only the detector pixels count at which `seen` is 1."""
        return self._with(self.mask, seen.to(self.mask))

    def misfit(self, name: str, task_config: Mapping[str, Any], sampling: Tensor | None) -> str:
        """A dispersion step at which sets are no better than decoders without weights."""
        own, step, (least, most) = task_config.get("step"), self.dispersion.step, MEASURED_STEPS
        if own is None or step == own or least <= step <= most:
            return ""
        return (
            f"The bands lie {step:g} pixels apart; {name} was trained at {own:g}, and sets serve from {least:g} to "
            f"{most:g} pixels. Decode with subspace-tv, or adapt the set to this camera."
        )

    def caution(self, name: str, task_config: Mapping[str, Any]) -> str:
        """Another dispersion step."""
        own, step = task_config.get("step"), self.dispersion.step
        if own is None or step == own:
            return ""
        return (
            f"{name} was trained at a dispersion step of {own:g} pixels a band; this camera has {step:g}. At other "
            "steps sets kept what they gain over subspace-tv to within 0.6 dB; adapt it to this camera for more."
        )

    def conditioning(self) -> Tensor:
        """The unshifted mask, (1 or B, C, H, W)."""
        return self.mask.expand(-1, self.scene_shape[0], -1, -1)

    def _with(self, mask: Tensor, seen: Tensor | None) -> Self:
        return type(self)(mask, self.dispersion, detector_shape=self.measurement_shape[1:], seen=seen)

    def counted(self, y: Tensor) -> Tensor:
        return y if self.seen is None else self.seen * y

    def _phi_phi_t(self) -> tuple[Tensor, Tensor | None]:
        """The diagonal of Phi Phi^T (zeros replaced by 1) and, for fractional offsets, its first off-diagonal.

        Entry n of the off-diagonal couples detector pixels n and n + 1 along the dispersion axis.
        """
        squared = (self.mask * self.mask).expand(-1, self.scene_shape[0], -1, -1)
        shape, dispersion = self.measurement_shape[1:], self.dispersion
        if dispersion.is_whole:
            diagonal, off_diagonal = _dispersed(squared, dispersion, shape), None
        else:
            splits = [_split(offset) for offset in dispersion.offsets]
            diagonal = _place(squared, [(s, (1 - f) ** 2) for s, f in splits], dispersion.axis, shape) + _place(
                squared, [(s + 1, f**2) for s, f in splits], dispersion.axis, shape
            )
            off_diagonal = _place(squared, [(s, f * (1 - f)) for s, f in splits], dispersion.axis, shape)
            last = (..., slice(-1, None)) if dispersion.axis == "x" else (..., slice(-1, None), slice(None))
            off_diagonal[last] = 0  # the neighbour of the last detector pixel lies beside the detector
            if self.seen is not None:
                along = -1 if dispersion.axis == "x" else -2
                off_diagonal = off_diagonal * self.seen * self.seen.roll(-1, along)
        diagonal = self.counted(diagonal)
        return torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)), off_diagonal


@dataclass(frozen=True)
class CassiCamera(Camera):
    """`mask` (H, W) or (C, H, W), or None for any mask, and `wavelengths_nm` (C) of the bands, or None.

    The `dispersion` is that of its bands; scenes of another number of bands are dispersed alike.
    """

    task: ClassVar[str] = "cassi"
    mask: np.ndarray | None = None
    dispersion: Dispersion = Dispersion(28)
    wavelengths_nm: np.ndarray | None = None
    density: float = 0.5  # the open share of a mask that is drawn

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """Mask, dispersion and bands of a measurement."""
        physics = measurement.physics
        assert isinstance(physics, CassiPhysics)
        mask = physics.mask[0].cpu().numpy()
        return cls(
            noise,
            mask=mask[0] if len(mask) == 1 else mask,
            dispersion=physics.dispersion,
            wavelengths_nm=measurement.wavelengths_nm,
        )

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """A snapshot: a larger mask gives its top-left part; without one a random binary one is drawn from `seed`."""
        num_bands, height, width = scene.image.shape
        mask = random_mask(height, width, density=self.density, seed=seed) if self.mask is None else self.mask
        dispersion = replace(self.dispersion, num_bands=num_bands)
        return simulate(scene, mask[..., :height, :width], dispersion, noise=self.noise, seed=seed)

    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> CassiPhysics:
        """Random parts of the mask as it stands, or random masks; the first band less than a pixel from the edge."""
        batch, _, height, width = scenes.shape
        near = replace(self.dispersion, first_offset=self.dispersion.first_offset % 1)
        return CassiPhysics(self._masks(batch, height, width, generator, other_masks), near)

    @property
    def axis(self) -> str:
        """The axis of the dispersion."""
        return self.dispersion.axis

    def crop(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width): long along the dispersion, at most the mask's."""
        height, width = size if self.axis == "x" else size[::-1]
        if self.mask is None:
            return height, width
        return min(height, self.mask.shape[-2]), min(width, self.mask.shape[-1])

    def channels(self, network: int) -> int:
        """Its bands."""
        return self.dispersion.num_bands

    @property
    def shown(self) -> Mapping[str, Any]:
        """Step and direction."""
        return {"step": self.dispersion.step, "direction": self.dispersion.direction}

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """With another `step` or `direction`, or with a new random mask of which `density` percent are open."""
        optics = {name: changes[name] for name in ("step", "direction") if name in changes}
        camera = replace(self, dispersion=replace(self.dispersion, **optics))
        if "density" not in changes:
            return camera
        return replace(camera, mask=None, density=changes["density"] / 100)

    def framed(self, scene: Scene) -> tuple[Self, Scene]:
        """The middle of the mask and of the scene, as large as the smaller of both."""
        if self.mask is None:
            return self, scene
        size = [min(lengths) for lengths in zip(scene.image.shape[1:], self.mask.shape[-2:], strict=True)]
        image = np.ascontiguousarray(_middle(scene.image, size))
        return replace(self, mask=_middle(self.mask, size)), replace(scene, image=image)

    def with_any_mask(self) -> Self:
        """Without its mask."""
        return replace(self, mask=None)

    def known_to(self, task_config: Mapping[str, Any]) -> Camera | None:
        """Any mask and no noise, the set's own step along the rows."""
        dispersion = Dispersion(self.dispersion.num_bands, float(task_config.get("step", 2.0)))
        return replace(self, noise=None, mask=None, dispersion=dispersion)

    def task_config(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """With its own step."""
        return {**known, "step": self.dispersion.step}

    def summary(self) -> dict[str, Any]:
        """Dispersion, bands, and what tells its mask from others."""
        said = super().summary()
        said |= {name: value for name, value in asdict(self.dispersion).items() if name != "num_bands"}
        said |= {"bands": self.dispersion.num_bands, "mask": "random"}
        if self.mask is not None:
            said["mask"] = " x ".join(map(str, self.mask.shape))
            said["open_share"] = round(float((self.mask > 0.5 * self.mask.max()).mean()), 4)
            said["mask_hash"] = hashlib.sha256(np.ascontiguousarray(self.mask, dtype="<f4").tobytes()).hexdigest()
        return said

    def _masks(self, batch: int, height: int, width: int, generator: torch.Generator, other_masks: float) -> Tensor:
        """(B, 1 or C, h, w) parts of the mask, or random ones for a share of the samples."""
        device = generator.device
        density = 0.1 + 0.5 * torch.rand(batch, 1, 1, 1, device=device, generator=generator)
        random = (torch.rand(batch, 1, height, width, device=device, generator=generator) < density).float()
        if self.mask is None:
            return random
        mask = torch.from_numpy(np.ascontiguousarray(self.mask)).to(device)
        mask = mask[None] if mask.dim() == 2 else mask
        starts = torch.rand(2, batch, device=device, generator=generator)
        other = torch.rand(batch, device=device, generator=generator) < other_masks
        parts = []
        for index in range(batch):
            y, x = (
                int(float(start) * (own - used + 1))
                for start, own, used in zip(starts[:, index], mask.shape[-2:], (height, width), strict=True)
            )
            part = mask[:, y : y + height, x : x + width]
            parts.append(random[index].expand_as(part) if bool(other[index]) else part)
        return torch.stack(parts)


def simulate(
    scene: Scene, mask: np.ndarray, dispersion: Dispersion, *, noise: Noise | None = None, seed: int = 0
) -> Measurement:
    """The snapshot of `scene` by a camera with this (H, W) or (C, H, W) mask, with the scene as its reference."""
    if mask.shape[-2:] != scene.image.shape[-2:]:
        raise GeometryError(
            f"The mask is {mask.shape[-2]} x {mask.shape[-1]} pixels; the scene is {scene.image.shape[1]} x "
            f"{scene.image.shape[2]}. Choose another mask or crop the scene."
        )
    physics = CassiPhysics(torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32)), dispersion)
    y = physics.forward(torch.from_numpy(scene.image)[None])
    if noise is not None:
        y = noise.add_to(y, torch.Generator().manual_seed(seed))
    return Measurement(
        task="cassi",
        y=y[0].numpy(),
        physics=physics,
        wavelengths_nm=scene.wavelengths_nm,
        reference=scene.image,
        input_scale=1.0,
        path=scene.path,
    )


def _middle(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The middle (..., height, width) of an image."""
    y, x = ((length - wanted) // 2 for length, wanted in zip(image.shape[-2:], size, strict=True))
    return image[..., y : y + size[0], x : x + size[1]]


def random_mask(height: int, width: int, *, density: float = 0.5, seed: int = 0) -> np.ndarray:
    """A random binary (H, W) float32 mask in which a share `density` of the pixels is open."""
    return (np.random.default_rng(seed).random((height, width)) < density).astype(np.float32)


class _Disperse(torch.autograd.Function):
    """Sum of the bands, each at its offset: (B, C, H, W) to (B, 1, H', W'). Its gradient is `_Gather`."""

    @staticmethod
    def forward(ctx: Any, coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
        ctx.dispersion, ctx.scene_shape = dispersion, tuple(coded.shape[-2:])
        return disperse(coded, dispersion, detector_shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _gathered(gradient, ctx.dispersion, ctx.scene_shape), None, None


class _Gather(torch.autograd.Function):
    """Every band's view of the detector: (B, 1, H', W') to (B, C, H, W). Its gradient is `_Disperse`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
        ctx.dispersion, ctx.detector_shape = dispersion, tuple(y.shape[-2:])
        return gather(y, dispersion, scene_shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _dispersed(gradient, ctx.dispersion, ctx.detector_shape), None, None


def _dispersed(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    """`disperse` with a gradient that is quick too; torch gives `apply` no types."""
    found: Tensor = _Disperse.apply(coded, dispersion, detector_shape)  # type: ignore[no-untyped-call]
    return found


def _gathered(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    """`gather` with a gradient that is quick too."""
    found: Tensor = _Gather.apply(y, dispersion, scene_shape)  # type: ignore[no-untyped-call]
    return found


def disperse(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    """sum_c S_c(coded_c): (B, C, H, W) to (B, 1, H', W').

    Whole offsets are written through one strided view of a zero buffer in which every band is moved by its offset.
    """
    height, width = coded.shape[-2:]
    if not _fits_view(dispersion, (height, width), detector_shape):
        return _place_split(coded, dispersion, detector_shape)
    batch, num_bands = coded.shape[:2]
    buffer = coded.new_zeros(batch, num_bands, *detector_shape)
    unit = 1 if dispersion.axis == "x" else detector_shape[1]  # elements per pixel along the dispersion axis
    offsets = [int(offset) for offset in dispersion.offsets]
    band_stride = detector_shape[0] * detector_shape[1] + unit * (offsets[1] - offsets[0] if num_bands > 1 else 0)
    moved = buffer.as_strided(
        (batch, num_bands, height, width),
        (buffer.stride(0), band_stride, detector_shape[1], 1),
        unit * offsets[0],
    )
    moved.copy_(coded)
    return buffer.sum(dim=1, keepdim=True)


def gather(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    """S_c^T y for every band: (B, 1, H', W') to (B, C, H, W); for whole offsets a view without a copy."""
    height, width = scene_shape
    detector_shape = (y.shape[-2], y.shape[-1])
    if not _fits_view(dispersion, scene_shape, detector_shape):
        return _gather_split(y, dispersion, scene_shape)
    y = y.contiguous()
    unit = 1 if dispersion.axis == "x" else detector_shape[1]
    bands = y.as_strided(
        (y.shape[0], dispersion.num_bands, height, width),
        (y.stride(0), unit * int(dispersion.step), detector_shape[1], 1),
        y.storage_offset() + unit * int(min(dispersion.offsets)),
    )
    return bands if dispersion.direction == "+" else bands.flip(1)


def _fits_view(dispersion: Dispersion, scene_shape: tuple[int, int], detector_shape: tuple[int, int]) -> bool:
    """Whether all offsets are whole and every band lies inside the detector."""
    axis = 1 if dispersion.axis == "x" else 0
    return (
        dispersion.is_whole
        and min(dispersion.offsets) >= 0
        and max(dispersion.offsets) + scene_shape[axis] <= detector_shape[axis]
        and scene_shape[1 - axis] == detector_shape[1 - axis]
    )


def _split(offset: float) -> tuple[int, float]:
    """A pixel moved by `offset` puts 1 - f of itself at the whole part and f one pixel further."""
    whole = math.floor(offset)
    return whole, offset - whole


def _overlap(start: int, length: int, detector_length: int) -> tuple[slice, slice] | None:
    """The parts of a band and of the detector that meet when the band begins at `start`; None if they do not."""
    low, high = max(0, start), min(detector_length, start + length)
    return (slice(low - start, high - start), slice(low, high)) if low < high else None


def _along(axis: str, part: slice) -> tuple[Any, ...]:
    return (..., part) if axis == "x" else (..., part, slice(None))


def _place(coded: Tensor, starts: list[tuple[int, float]], axis: str, detector_shape: tuple[int, int]) -> Tensor:
    """sum_c weight_c * (band c placed at start_c), cut to the detector: (B, C, H, W) to (B, 1, H', W')."""
    detector = coded.new_zeros(coded.shape[0], 1, *detector_shape)
    dimension = -1 if axis == "x" else -2
    for band, (start, weight) in enumerate(starts):
        parts = _overlap(start, coded.shape[dimension], detector.shape[dimension])
        if weight and parts:
            detector[_along(axis, parts[1])] += weight * coded[:, band : band + 1][_along(axis, parts[0])]
    return detector


def _place_split(coded: Tensor, dispersion: Dispersion, detector_shape: tuple[int, int]) -> Tensor:
    splits = [_split(offset) for offset in dispersion.offsets]
    whole = _place(coded, [(s, 1 - f) for s, f in splits], dispersion.axis, detector_shape)
    return whole + _place(coded, [(s + 1, f) for s, f in splits], dispersion.axis, detector_shape)


def _gather_split(y: Tensor, dispersion: Dispersion, scene_shape: tuple[int, int]) -> Tensor:
    bands = y.new_zeros(y.shape[0], dispersion.num_bands, *scene_shape)
    dimension = -1 if dispersion.axis == "x" else -2
    for band, offset in enumerate(dispersion.offsets):
        start, fraction = _split(offset)
        for begin, weight in ((start, 1 - fraction), (start + 1, fraction)):
            parts = _overlap(begin, bands.shape[dimension], y.shape[dimension])
            if weight and parts:
                bands[:, band : band + 1][_along(dispersion.axis, parts[0])] += (
                    weight * y[_along(dispersion.axis, parts[1])]
                )
    return bands


def _moved(off_diagonal: Tensor, axis: str) -> Tensor:
    """Entry n - 1 at n: the coupling of every pixel to the one before it."""
    if axis == "x":
        return F.pad(off_diagonal, (1, 0))[..., :-1]
    return F.pad(off_diagonal, (0, 0, 1, 0))[..., :-1, :]


def _solve_tridiagonal(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    """Solves symmetric tridiagonal systems along dimension 0 by the Thomas algorithm; differentiable."""
    length = right.shape[0]
    ratios, values = list[Tensor](), list[Tensor]()
    for n in range(length):
        pivot, value = diagonal[n], right[n]
        if n:
            pivot = pivot - off_diagonal[n - 1] * ratios[-1]
            value = value - off_diagonal[n - 1] * values[-1]
        ratios.append(off_diagonal[n] / pivot)
        values.append(value / pivot)
    solution = [values[-1]]
    for n in range(length - 2, -1, -1):
        solution.append(values[n] - ratios[n] * solution[-1])
    return torch.stack(solution[::-1])

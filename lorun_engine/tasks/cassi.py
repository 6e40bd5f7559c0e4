"""CASSI: coded-aperture snapshot spectral imaging with a single disperser.

A mask codes every band of the scene, a prism moves band c by its own offset along one axis, the detector sums:

    y = sum_c S_c(M_c * x_c) + n                                                        (Eq. 1 of the paper)

S_c places band c on the detector at offset_c = first_offset + c * step pixels (direction "+") or
first_offset + (C - 1 - c) * step ("-"). A fractional offset splits a pixel between its two neighbours linearly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import GeometryError, by
from ..instrument import RESPONSES, Dispersion, response_of
from ..measurement import Measurement, Scene
from ..physics import LinearPhysics, Part, Withheld
from .camera import Camera
from .guide import Guide, joined
from .noise import Noise
from .shear import dispersed, gathered, neighbour, placed, solve_tridiagonal, split_offset
from .subspace import shipped_components
from .withheld import random_share, random_start

_GROUP = 1 << 20  # numbers of a scene that are coded at once
MEASURED_STEPS = (0.25, 4.0)  # pixels a band, where sets trained at 2 serve as well (resources/help/results-cassi.md)


class CassiPhysics(LinearPhysics):
    """The CASSI operator for one mask or a batch of masks.

    `mask` is (H, W) or (C, H, W) for one camera, (B, 1 or C, H, W) for one mask a sample; real values, binary or grey.
    `detector_shape` is (H', W') where the capture is longer or shorter along the dispersion than the smallest detector
    that sees all bands; what falls beside it is lost. `seen` (1 or B, 1, H', W') is 0 at detector pixels that do not
    count, such as dead ones and those withheld to be predicted, and 1 elsewhere. A `guide` is what a second camera saw
    of the scene: decoders take it from the operator, measurements do not show it.
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
        guide: Guide | None = None,
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
        self.seen, self.guide = seen, guide
        if guide is not None:
            guide.require(self.scene_shape)
        self.is_transposed, self.is_mirrored = dispersion.axis == "y", dispersion.direction == "-"
        self._diagonal, self._off_diagonal = self._phi_phi_t()

    def forward(self, x: Tensor) -> Tensor:
        """Phi x: (B, C, H, W) to (B, 1, H', W')."""
        return self.counted(self._dispersed(self.mask, x))

    def adjoint(self, y: Tensor) -> Tensor:
        """Phi^T y: (B, 1, H', W') to (B, C, H, W)."""
        return self.mask * self.views(y)

    def views(self, y: Tensor) -> Tensor:
        """Every band's view of the detector without its mask: (B, 1, H', W') to (B, C, H, W)."""
        return gathered(self.counted(y), self.dispersion, self.scene_shape[1:])

    def gram(self) -> Tensor:
        """(B, 1, H', W'): diag(PhiPhi^T) for whole offsets, else its row sums, which majorise it; dark pixels are 1."""
        if self._off_diagonal is None:
            return self._diagonal
        return self._diagonal + self._off_diagonal + neighbour(self._off_diagonal, self.dispersion.axis)

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        """z + Phi^T (Phi Phi^T + mu)^-1 (y - Phi z): Eq. 9 by the Woodbury identity.

        Phi Phi^T is diagonal for whole offsets and tridiagonal along the dispersion axis otherwise.
        """
        rest = y - self.forward(z)
        if self._off_diagonal is None:
            return self._added(z, rest / (self._diagonal + mu))
        columns = -1 if self.dispersion.axis == "x" else -2
        solved = solve_tridiagonal(
            (self._diagonal + mu).movedim(columns, 0), self._off_diagonal.movedim(columns, 0), rest.movedim(columns, 0)
        )
        return self._added(z, solved.movedim(0, columns))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""
        mask = self.mask.to(device=device, dtype=dtype or self.mask.dtype)
        if mask is self.mask:
            return self
        moved = self._with(mask, None if self.seen is None else self.seen.to(mask))
        return moved if self.guide is None else moved.guided_by(self.guide.to(device, dtype))

    def part(self, rows: Tensor) -> Self:
        """The cameras of some samples."""
        mask = self.mask if len(self.mask) == 1 else self.mask[rows]
        seen = self.seen if self.seen is None or len(self.seen) == 1 else self.seen[rows]
        guide = None if self.guide is None else self.guide.part(rows)
        if mask is self.mask and seen is self.seen and guide is self.guide:
            return self
        return self._with(mask, seen).guided_by(guide)

    def joined(self, others: Sequence[Self]) -> Self:
        """One camera a sample: masks as large as the first one's."""
        seen = None if self.seen is None else torch.cat([other.seen for other in others if other.seen is not None])
        guide = joined([other.guide for other in others])
        return self._with(torch.cat([other.mask for other in others]), seen).guided_by(guide)

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """Lines across the dispersion; along it everything is kept, as a detector pixel holds bands of many places."""
        rows = -2 if self.dispersion.axis == "x" else -1
        total = self.scene_shape[rows]
        size = min(crop[0], total)
        lines = (rows, random_start(total - size, generator), size)
        return Part(y.narrow(*lines), self.lines(*lines), None if scene is None else scene.narrow(*lines))

    def lines(self, axis: int, first: int, size: int) -> Self:
        """The camera of `size` lines across the dispersion, whose axis is -2 or -1."""
        detector = list(self.measurement_shape[1:])
        detector[axis] = size
        return type(self)(
            self.mask.narrow(axis, first, size),
            self.dispersion,
            detector_shape=(detector[0], detector[1]),
            seen=None if self.seen is None else self.seen.narrow(axis, first, size),
            guide=None if self.guide is None else self.guide.narrow(axis, first, size),
        )

    def withheld(self, y: Tensor, share: float, generator: torch.Generator) -> Withheld:
        """Without a random share of the detector pixels, which the operator no longer sees."""
        seen = torch.ones_like(y) if self.seen is None else self.seen.expand_as(y)
        hidden = seen * random_share(y.shape, share, y.device, generator)
        return Withheld(y * (1 - hidden), self.seeing(seen * (1 - hidden)), hidden)

    def seeing(self, seen: Tensor) -> Self:
        """The same camera where only the detector pixels count at which `seen` is 1."""
        return self._with(self.mask, seen.to(self.mask))

    def guided_by(self, guide: Guide | None) -> Self:
        """The same camera with another guide beside it, or with none."""
        return type(self)(
            self.mask, self.dispersion, detector_shape=self.measurement_shape[1:], seen=self.seen, guide=guide
        )

    def agreed(self, x: Tensor) -> Tensor:
        """Scenes that agree with the guide (see `guide`); themselves without one."""
        return x if self.guide is None else self.guide.agreed(x)

    def scaled(self, factor: float) -> Self:
        """The camera for the scene times a factor."""
        return self if self.guide is None else self.guided_by(self.guide.scaled(factor))

    def misfit(self, name: str, task_config: Mapping[str, Any], sampling: Tensor | None) -> str:
        """A dispersion step at which sets are no better than decoders without weights, or a guide that is missed."""
        if self.guide is None and task_config.get("guide"):
            return f"{name} was trained with a guide beside the snapshot; here is none. Add it, or take another set."
        own, step, (least, most) = task_config.get("step"), self.dispersion.step, MEASURED_STEPS
        if own is None or step == own or least <= step <= most:
            return ""
        return (
            f"The bands lie {step:g} pixels apart; {name} was trained at {own:g}, and sets serve from {least:g} to "
            f"{most:g} pixels. Decode with subspace-tv, or adapt the set to this camera."
        )

    def caution(self, name: str, task_config: Mapping[str, Any]) -> str:
        """Another dispersion step, or a guide that it does not know."""
        own, step, said = task_config.get("step"), self.dispersion.step, []
        if own is not None and step != own:
            said.append(
                f"{name} was trained at a dispersion step of {own:g} pixels a band; this camera has {step:g}. At other "
                "steps sets kept what they gain over subspace-tv to within 0.6 dB; adapt it to this camera for more."
            )
        if self.guide is not None and not task_config.get("guide"):
            said.append(
                f"{name} was trained without a guide. Its stages are brought to agree with this one; a set that knows "
                "guides, or subspace-tv, makes more of it."
            )
        return " ".join(said)

    def conditioning(self) -> Tensor:
        """The unshifted mask, (1 or B, C, H, W)."""
        return self.mask.expand(-1, self.scene_shape[0], -1, -1)

    def _with(self, mask: Tensor, seen: Tensor | None) -> Self:
        detector = self.measurement_shape[1:]
        return type(self)(mask, self.dispersion, detector_shape=detector, seen=seen, guide=self.guide)

    def _dispersed(self, weights: Tensor, x: Tensor) -> Tensor:
        """sum_c S_c(w_c * x_c) of weights (B or 1, 1 or C, H, W)."""
        if self._is_learned_through(weights, x):
            return dispersed(weights * x, self.dispersion, self.measurement_shape[1:])
        y = x.new_empty(max(len(x), len(weights)), *self.measurement_shape)
        for lines in self._groups_of_lines():
            of_lines = y.narrow(*lines)
            coded = weights.narrow(*lines) * x.narrow(*lines)
            of_lines.copy_(dispersed(coded, self.dispersion, (of_lines.shape[-2], of_lines.shape[-1])))
        return y

    def _added(self, x: Tensor, y: Tensor) -> Tensor:
        """x + Phi^T y."""
        if self._is_learned_through(x, y):
            return x + self.adjoint(y)
        y = self.counted(y)
        found = x.new_empty(max(len(x), len(y), len(self.mask)), *self.scene_shape)
        for lines in self._groups_of_lines():
            of_lines = found.narrow(*lines)
            bands = gathered(y.narrow(*lines), self.dispersion, (of_lines.shape[-2], of_lines.shape[-1]))
            torch.addcmul(x.narrow(*lines), self.mask.narrow(*lines), bands, out=of_lines)
        return found

    def _is_learned_through(self, *tensors: Tensor) -> bool:
        """Whether a gradient is asked for: then everything is computed at once, and kept."""
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (self.mask, *tensors))

    def _groups_of_lines(self) -> Iterator[tuple[int, int, int]]:
        """(axis, first, size) of lines across the dispersion, so few that all their bands stay in a cache."""
        axis = -2 if self.dispersion.axis == "x" else -1
        num_bands, height, width = self.scene_shape
        num_lines, length = (height, width) if axis == -2 else (width, height)
        size = max(1, _GROUP // (num_bands * length))
        for first in range(0, num_lines, size):
            yield axis, first, min(size, num_lines - first)

    def counted(self, y: Tensor) -> Tensor:
        return y if self.seen is None else self.seen * y

    def _phi_phi_t(self) -> tuple[Tensor, Tensor | None]:
        """The diagonal of Phi Phi^T (zeros replaced by 1) and, for fractional offsets, its first off-diagonal.

        Entry n of the off-diagonal couples detector pixels n and n + 1 along the dispersion axis.
        """
        squared, bands = self.mask * self.mask, self.mask.new_ones(1, 1, 1, 1).expand(1, *self.scene_shape)
        shape, dispersion = self.measurement_shape[1:], self.dispersion
        if dispersion.is_whole:
            diagonal, off_diagonal = self._dispersed(squared, bands), None
        else:
            squared = squared.expand(-1, self.scene_shape[0], -1, -1)
            splits = [split_offset(offset) for offset in dispersion.offsets]
            diagonal = placed(squared, [(s, (1 - f) ** 2) for s, f in splits], dispersion.axis, shape) + placed(
                squared, [(s + 1, f**2) for s, f in splits], dispersion.axis, shape
            )
            off_diagonal = placed(squared, [(s, f * (1 - f)) for s, f in splits], dispersion.axis, shape)
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

    The `dispersion` is that of its bands; scenes of another number of bands are dispersed alike. It has a second camera
    beside it where `guide` names the response of one, or `guide_response` (G, C) is there; the standard deviation of
    that one's noise is `guide_noise`, on the 0..1 scale.
    """

    task: ClassVar[str] = "cassi"
    mask: np.ndarray | None = None
    dispersion: Dispersion = Dispersion(28)
    wavelengths_nm: np.ndarray | None = None
    density: float = 0.5  # the open share of a mask that is drawn
    guide: str = ""  # a name of RESPONSES
    guide_response: np.ndarray | None = None
    guide_noise: float = 0.002

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """Mask, dispersion and bands of a measurement."""
        physics = measurement.physics
        assert isinstance(physics, CassiPhysics)
        mask, guide = physics.mask[0].cpu().numpy(), physics.guide
        camera = cls(
            noise,
            mask=mask[0] if len(mask) == 1 else mask,
            dispersion=physics.dispersion,
            wavelengths_nm=measurement.wavelengths_nm,
        )
        if guide is None:
            return camera
        return replace(camera, guide_response=guide.response.cpu().numpy(), guide_noise=guide.noise)

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """A snapshot: a larger mask gives its top-left part; without one a random binary one is drawn from `seed`."""
        num_bands, height, width = scene.image.shape
        mask = random_mask(height, width, density=self.density, seed=seed) if self.mask is None else self.mask
        dispersion = replace(self.dispersion, num_bands=num_bands)
        found = simulate(scene, mask[..., :height, :width], dispersion, noise=self.noise, seed=seed)
        generator = torch.Generator().manual_seed(seed + 1)
        guide = self._guide(torch.from_numpy(scene.image)[None], scene.wavelengths_nm, generator)
        physics = found.physics
        assert isinstance(physics, CassiPhysics)
        return found if guide is None else replace(found, physics=physics.guided_by(guide))

    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> CassiPhysics:
        """Random parts of the mask as it stands, or random masks; the first band less than a pixel from the edge."""
        batch, _, height, width = scenes.shape
        near = replace(self.dispersion, first_offset=self.dispersion.first_offset % 1)
        masks = self._masks(batch, height, width, generator, other_masks)
        return CassiPhysics(masks, near, guide=self._guide(scenes, self.wavelengths_nm, generator))

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
        """Step and direction, and the guide where it is a usual one, or none."""
        shown = {"step": self.dispersion.step, "direction": self.dispersion.direction}
        return shown if self.guide_response is not None else {**shown, "guide_camera": self.guide or "none"}

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """With another `step` or `direction`, another guide, or a new random mask of which `density` percent are open.

        A guide is a `guide_camera`, a name of RESPONSES or "none", with a `guide_noise`.
        """
        optics = {name: changes[name] for name in ("step", "direction") if name in changes}
        camera = replace(self, dispersion=replace(self.dispersion, **optics))
        if "guide_camera" in changes:
            name = changes["guide_camera"]
            camera = replace(camera, guide="" if name == "none" else name, guide_response=None)
        if "guide_noise" in changes:
            if not camera.guide and camera.guide_response is None:
                raise GeometryError("A noise of the guide was given, but no guide. Choose one, or leave the noise out.")
            camera = replace(camera, guide_noise=float(changes["guide_noise"]))
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
        camera = replace(self, noise=None, mask=None, dispersion=dispersion)
        return camera if task_config.get("guide") else replace(camera, guide="", guide_response=None)

    def task_config(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """With its own step and guide."""
        other = {name: value for name, value in known.items() if name != "guide"}
        return {**other, "step": self.dispersion.step, **({"guide": self._num_guides} if self._num_guides else {})}

    def summary(self) -> dict[str, Any]:
        """Dispersion, bands, and what tells its mask from others."""
        said = super().summary()
        said |= {name: value for name, value in asdict(self.dispersion).items() if name != "num_bands"}
        said |= {"bands": self.dispersion.num_bands, "mask": "random"}
        if self._num_guides:
            said["guide"] = f"{self._num_guides} channels"
        if self.mask is not None:
            said["mask"] = " x ".join(map(str, self.mask.shape))
            said["open_share"] = round(float((self.mask > 0.5 * self.mask.max()).mean()), 4)
            said["mask_hash"] = hashlib.sha256(np.ascontiguousarray(self.mask, dtype="<f4").tobytes()).hexdigest()
        return said

    @property
    def _num_guides(self) -> int:
        """The channels of its guide; 0 without one."""
        return len(RESPONSES.get(self.guide, ()) if self.guide_response is None else self.guide_response)

    def _guide(self, scenes: Tensor, wavelengths_nm: np.ndarray | None, generator: torch.Generator) -> Guide | None:
        """What the second camera sees of scenes (B, C, H, W)."""
        if not self._num_guides:
            return None
        response = self.guide_response
        if response is None:
            known = wavelengths_nm if self.wavelengths_nm is None else self.wavelengths_nm
            if known is None:
                raise GeometryError(
                    "The wavelengths of the bands are not known; the response of a guide needs them. Give "
                    "--wavelengths."
                )
            response = response_of(self.guide, known)
        components = shipped_components(wavelengths_nm, scenes.shape[1]).to(scenes)
        seen = torch.from_numpy(response).to(scenes)
        return Guide.taken(scenes, seen, components, noise=self.guide_noise, generator=generator)

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

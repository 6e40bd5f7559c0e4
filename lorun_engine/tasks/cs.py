"""CS: block compressive sampling, y = Phi x for every non-overlapping block of an image.

Blocks of 32 x 32 pixels are usual, older data has 33 x 33; Phi (M, N) has N = block_size^2 columns and floor(ratio N)
rows (Eq. 1 of the paper; CPP-Net, ISTA-Net). Phi may be random, come from a file, or be learned with a network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft
from torch import Tensor

from ..decoder import Stage, WithoutWeights
from ..errors import GeometryError
from ..measurement import Measurement, Scene
from ..physics import LinearPhysics, Part, Withheld
from .camera import Camera
from .noise import Noise
from .withheld import random_start

LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601 at full range, as OpenCV's YCrCb has it
OTHER_MATRIX = 0.05  # relative distance of two matrices; one that was stored in 8 bits is still the same
_ORTHONORMAL = 1e-5  # how far Phi Phi^T may be from the identity, element by element


class CsPhysics(LinearPhysics):
    """The sampling of grey images (1, H, W), block by block, by one matrix Phi (M, N).

    Blocks and the pixels of a block are numbered row by row. Images whose sides are not multiples of the block size are
    continued by zeros at the right and the bottom. Phi may require gradients: a matrix that is being learned.
    """

    task = "cs"
    has_diagonal_gram = True  # that of the published matrices, which have orthonormal rows

    def __init__(self, sampling: Tensor, image_size: tuple[int, int]) -> None:
        if sampling.dim() != 2:
            raise GeometryError(f"The sampling matrix has {sampling.dim()} axes; rows and columns were expected.")
        num_rows, num_columns = sampling.shape
        self.block_size = math.isqrt(num_columns)
        if self.block_size**2 != num_columns or not 0 < num_rows <= num_columns:
            raise GeometryError(
                f"The sampling matrix is {num_rows} x {num_columns}; a square number of columns (the pixels of a "
                "block) and no more rows than columns were expected. Choose another matrix, or transpose it."
            )
        self.sampling = sampling
        height, width = image_size
        self.num_blocks = (math.ceil(height / self.block_size), math.ceil(width / self.block_size))
        self.scene_shape = (1, height, width)
        self.measurement_shape = (num_rows, *self.num_blocks)
        self._kept_factors: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Phi x: (B, 1, H, W) to (B, M, rows of blocks, columns of blocks)."""
        b, (height, width) = self.block_size, x.shape[-2:]
        down, across = (count * b - size for count, size in zip(self.num_blocks, (height, width), strict=True))
        blocks = F.pixel_unshuffle(F.pad(x, (0, across, 0, down)), b)  # (B, N, h, w)
        return torch.einsum("mn,bnhw->bmhw", self.sampling, blocks)

    def adjoint(self, y: Tensor) -> Tensor:
        """Phi^T y: (B, M, h, w) to (B, 1, H, W)."""
        blocks = torch.einsum("mn,bmhw->bnhw", self.sampling, y)
        _, height, width = self.scene_shape
        return F.pixel_shuffle(blocks, self.block_size)[..., :height, :width]

    def gram(self) -> Tensor:
        """(1, M, 1, 1): ones where the rows of Phi are orthonormal, else the row sums of |Phi Phi^T|."""
        if self._is_orthonormal:
            return self.sampling.new_ones(1, len(self.sampling), 1, 1)
        return self._products.abs().sum(dim=1).clamp(min=1e-12).reshape(1, -1, 1, 1)

    def prox(self, z: Tensor, y: Tensor, mu: Tensor | float) -> Tensor:
        """z + Phi^T (Phi Phi^T + mu)^-1 (y - Phi z), Eq. 9 by the Woodbury identity: one M x M system for all blocks.

        Blocks that reach beyond the image have a system of their own, as only a part of Phi's columns counts there.
        """
        rest = y - self.forward(z)
        mu = torch.as_tensor(mu, dtype=rest.dtype, device=rest.device).reshape(-1, 1, 1, 1)
        solved = torch.empty_like(rest)
        for rows, columns, inside in self._parts:
            solved[..., rows, columns] = self._solved(rest[..., rows, columns], mu, inside)
        return z + self.adjoint(solved)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another precision."""
        sampling = self.sampling.to(device=device, dtype=dtype or self.sampling.dtype)
        return self if sampling is self.sampling else type(self)(sampling, self.scene_shape[1:])

    def random_part(self, y: Tensor, scene: Tensor | None, crop: tuple[int, int], generator: torch.Generator) -> Part:
        """Whole blocks of samples; those at the right and lower border only where there are no others."""
        b = self.block_size
        whole = [max(1, size // b) for size in self.scene_shape[1:]]
        counts = [min(max(1, size // b), count) for size, count in zip(crop, whole, strict=True)]
        firsts = [random_start(count - used, generator) for count, used in zip(whole, counts, strict=True)]
        for axis, first, count in zip((-2, -1), firsts, counts, strict=True):
            y = y.narrow(axis, first, count)
            if scene is not None:
                scene = scene.narrow(axis, first * b, min(count * b, scene.shape[axis]))
        height, width = (min(count * b, own) for count, own in zip(counts, self.scene_shape[1:], strict=True))
        return Part(y, type(self)(self.sampling, (height, width)), scene)

    def withheld(self, y: Tensor, share: float, generator: torch.Generator) -> Withheld:
        """Without a random share of the rows of Phi, at least one and not all."""
        num_rows = len(self.sampling)
        order = torch.randperm(num_rows, device=y.device, generator=generator)
        num_hidden = min(max(1, round(share * num_rows)), num_rows - 1)
        kept = order[num_hidden:].sort().values
        hidden = torch.zeros(1, num_rows, 1, 1, device=y.device)
        hidden[:, order[:num_hidden]] = 1
        return Withheld(y[:, kept], self.with_sampling(self.sampling[kept]), hidden.expand_as(y))

    def misfit(self, name: str, task_config: Mapping[str, Any], sampling: Tensor | None) -> str:
        """Samples by another matrix than the learned one: its denoiser knows the artefacts of its own matrix only."""
        if sampling is None:
            return ""
        if self.sampling.shape != sampling.shape:
            (own_rows, own_columns), (rows, columns) = self.sampling.shape, sampling.shape
            return (
                f"The measurement has {own_rows} samples of {own_columns} pixels; {name} was trained for {rows} of "
                f"{columns}. Choose another set, or pinv."
            )
        apart = torch.linalg.norm(self.sampling.cpu() - sampling.cpu()) / torch.linalg.norm(sampling.cpu())
        if apart <= OTHER_MATRIX:
            return ""
        return (
            f"The samples were taken with another matrix than the one that {name} has learned. Decode with pinv, or "
            "adapt the set to this matrix (Decode > Adapt…, lorun train --adapt)."
        )

    def with_sampling(self, sampling: Tensor) -> Self:
        """The sampling of images of the same size by another matrix."""
        return type(self)(sampling, self.scene_shape[1:])

    @cached_property
    def _products(self) -> Tensor:
        """Phi Phi^T, (M, M)."""
        return self.sampling @ self.sampling.T

    @cached_property
    def _is_orthonormal(self) -> bool:
        if self.sampling.requires_grad:  # it moves away from where it started
            return False
        identity = torch.eye(len(self.sampling), dtype=self.sampling.dtype, device=self.sampling.device)
        return bool((self._products - identity).abs().max() < _ORTHONORMAL)

    @cached_property
    def _parts(self) -> list[tuple[slice, slice, tuple[int, int]]]:
        """The blocks in up to four parts, each with the (height, width) of its blocks that lies inside the image."""
        parts = []
        for size, count in zip(self.scene_shape[1:], self.num_blocks, strict=True):
            whole, rest = divmod(size, self.block_size)
            parts.append(
                [(slice(0, whole), self.block_size)] * (whole > 0) + [(slice(whole, count), rest)] * (rest > 0)
            )
        return [(rows, columns, (high, wide)) for rows, high in parts[0] for columns, wide in parts[1]]

    def _seen(self, inside: tuple[int, int]) -> Tensor:
        """Phi Phi^T over the first `inside` rows and columns of a block."""
        if inside == (self.block_size, self.block_size):
            return self._products
        pixels = self.sampling.reshape(-1, self.block_size, self.block_size)[:, : inside[0], : inside[1]].flatten(1)
        return pixels @ pixels.T

    def _solved(self, right: Tensor, mu: Tensor, inside: tuple[int, int]) -> Tensor:
        """(Phi Phi^T + mu)^-1 applied to the samples of every block, (B, M, h, w)."""
        if self._is_orthonormal and inside == (self.block_size, self.block_size):
            return right / (1 + mu)
        if self.sampling.requires_grad:  # the gradient of eigenvectors is not defined where eigenvalues are equal
            identity = torch.eye(len(self.sampling), dtype=right.dtype, device=right.device)
            factor = torch.linalg.cholesky(self._seen(inside) + mu[..., 0] * identity)
            columns = right.flatten(2)
            return torch.cholesky_solve(columns, factor.expand(len(columns), -1, -1)).view_as(right)
        values, vectors = self._factors(inside)
        turned = torch.einsum("mk,bmhw->bkhw", vectors, right)
        return torch.einsum("mk,bkhw->bmhw", vectors, turned / (values[:, None, None] + mu))

    def _factors(self, inside: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The eigenvalues and eigenvectors of `_seen`, kept: one factorisation for every mu."""
        if inside not in self._kept_factors:
            values, vectors = torch.linalg.eigh(self._seen(inside).double())
            self._kept_factors[inside] = values.clamp(min=0).to(self.sampling), vectors.to(self.sampling)
        return self._kept_factors[inside]


@dataclass(frozen=True)
class CsCamera(Camera):
    """`sampling` (M, N), which is learned with the set where `learns_sampling`."""

    task: ClassVar[str] = "cs"
    sampling: np.ndarray | None = None
    learns_sampling: bool = False

    def __post_init__(self) -> None:
        if self.sampling is None:
            raise GeometryError(
                "No sampling matrix was given. Give one with --sampling FILE, or a ratio with --ratio PERCENT."
            )

    @classmethod
    def of(cls, measurement: Measurement, *, noise: Noise | None = None) -> Self:
        """The matrix of a measurement."""
        physics = measurement.physics
        assert isinstance(physics, CsPhysics)
        return cls(noise, sampling=physics.sampling.detach().cpu().numpy())

    def measured(self, scene: Scene, *, seed: int = 0, sampling: np.ndarray | None = None) -> Measurement:
        """The samples of the scene's luma by the matrix, or by the one that stands in for it."""
        return simulate(scene, self.matrix if sampling is None else sampling, noise=self.noise, seed=seed)

    def physics(self, scenes: Tensor, generator: torch.Generator, *, other_masks: float = 0.0) -> CsPhysics:
        """The sampling of crops of this size."""
        matrix = torch.from_numpy(np.ascontiguousarray(self.matrix)).to(scenes.device)
        return CsPhysics(matrix, (scenes.shape[-2], scenes.shape[-1]))

    @property
    def matrix(self) -> np.ndarray:
        """Phi."""
        assert self.sampling is not None  # a camera without one is not made
        return self.sampling

    def channels(self, network: int) -> int:
        """One: the luma."""
        return 1

    def changed(self, changes: Mapping[str, Any], *, seed: int = 0) -> Self:
        """With a new random matrix of the `ratio`, in percent."""
        if "ratio" not in changes:
            return self
        block_size = math.isqrt(self.matrix.shape[1])
        return replace(self, sampling=random_sampling(changes["ratio"], block_size=block_size, seed=seed))

    def task_config(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The ratio in percent and the size of a block."""
        rows, columns = self.matrix.shape
        return {**known, "ratio": round(100 * rows / columns, 4), "block_size": round(columns**0.5)}

    def new_sampling(self) -> np.ndarray | None:
        """Its matrix, where it is learned."""
        return self.sampling if self.learns_sampling else None

    @property
    def replaces_sampling(self) -> bool:
        """Samples are decoded with the matrix that took them."""
        return True

    def summary(self) -> dict[str, Any]:
        """The size of the matrix, and whether it is learned."""
        shape = " x ".join(map(str, self.matrix.shape))
        return {**super().summary(), "sampling": shape, "learned": self.learns_sampling}


@dataclass(frozen=True)
class PseudoInverse(WithoutWeights):
    """The least-norm image Phi^T (Phi Phi^T)^-1 y: the yardstick that needs no weights."""

    name: str = "pinv"
    task: str = "cs"
    num_stages: int = 1

    def stages(self, y: Tensor, physics: LinearPhysics, *, num_stages: int) -> Iterator[Stage]:
        """The start Phi^T y in units of its gram, then the pseudo-inverse, which further stages only repeat."""
        x = physics.initial(y)
        yield Stage(0, x)
        least = float(physics.gram().max()) * 1e-6
        for index in range(1, num_stages + 1):
            x = physics.prox(torch.zeros_like(x) if index == 1 else x, y, least)
            yield Stage(index, x)


def num_samples(ratio: float, block_size: int = 32) -> int:
    """The rows of Phi at a ratio in percent: floor(ratio N / 100), e.g. 10, 40, 102, 256 for 1, 4, 10, 25 %."""
    count = math.floor(ratio * block_size**2 / 100 + 1e-9)
    if not 1 <= count <= block_size**2:
        raise GeometryError(
            f"A ratio of {ratio:g} % of {block_size**2} pixels is {count} samples; 1 to {block_size**2} were expected."
        )
    return count


def random_sampling(ratio: float, *, block_size: int = 32, seed: int = 0) -> np.ndarray:
    """A Gaussian matrix (M, N) float32 with orthonormal rows, reproducible from `seed`; `ratio` is in percent."""
    gaussian = np.random.default_rng(seed).standard_normal((block_size**2, num_samples(ratio, block_size)))
    columns, triangle = np.linalg.qr(gaussian)
    return np.ascontiguousarray((columns * np.sign(np.diag(triangle))).T, dtype=np.float32)


def cosine_sampling(ratio: float, *, block_size: int = 32) -> np.ndarray:
    """The lowest two-dimensional cosines of a block (M, N) float32, orthonormal; `ratio` is in percent.

    Photographs' blocks have nearly these principal components (Ahmed et al., IEEE Trans. Computers 1974).
    """
    cosines = fft.dct(np.eye(block_size), axis=0, norm="ortho")  # (frequency, pixel)
    frequency = np.arange(block_size) ** 2
    lowest = np.argsort(np.add.outer(frequency, frequency), axis=None, kind="stable")[: num_samples(ratio, block_size)]
    rows, columns = np.unravel_index(lowest, (block_size, block_size))
    products = np.einsum("mi,mj->mij", cosines[rows], cosines[columns])
    return np.asarray(products.reshape(len(lowest), -1), dtype=np.float32)


def luma(image: np.ndarray) -> np.ndarray:
    """(1, H, W) of a picture (1 or 3, H, W) in 0..1: grey as it is; the Y of colours in 8 bits, exactly OpenCV's."""
    if len(image) == 1:
        return image
    if len(image) != 3:
        raise GeometryError(f"The picture has {len(image)} channels; grey or red, green and blue were expected.")
    red, green, blue = np.round(np.clip(image, 0, 1) * 255).astype(np.int32)
    y = (4899 * red + 9617 * green + 1868 * blue + (1 << 13)) >> 14  # LUMA in the fixed point of OpenCV
    return np.asarray(y / 255, dtype=np.float32)[None]


def simulate(scene: Scene, sampling: np.ndarray, *, noise: Noise | None = None, seed: int = 0) -> Measurement:
    """The samples of a picture's luma by this matrix, with the luma as their reference."""
    reference = luma(scene.image)
    physics = CsPhysics(torch.from_numpy(np.ascontiguousarray(sampling, dtype=np.float32)), reference.shape[1:])
    y = physics.forward(torch.from_numpy(reference)[None])
    if noise is not None:
        y = noise.add_to(y, torch.Generator().manual_seed(seed))
    return Measurement("cs", y[0].numpy(), physics, reference=reference, input_scale=1.0, path=scene.path)

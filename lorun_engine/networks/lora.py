"""Per-stage low-rank adapters as values: what they hold and the weights they give (Eq. 3, 4, 12).

Stage k runs the one shared denoiser with the weights `adapters.weights(backbone, k)`; nothing is injected into a
module. A set stores differences from the backbone for everything it changes:

    dense convolutions and linears   reshape(A B), A (Cout k, r k), B (r k, Cin k), r = ceil(min(Cin, Cout) gamma / 100)
    transposed convolutions, biases  a full difference, as for what a denoiser learns outside of layers (tables, levels)
    grouped convolutions, norms      none: shared by all stages

A kernel of k x m taps has A (Cout k, r min(k, m)) and B (r min(k, m), Cin m), one of k taps along a line A (Cout k, r).

The split is the one that reproduces the published parameter counts (CASSI 1.62, SR 1.96).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from ..errors import ModelError

SAMPLING = "common/sampling"
NORMS = nn.GroupNorm | nn.LayerNorm | nn.RMSNorm
CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class AdapterSet:
    """The adapters of `num_stages` stages and their data steps' parameters.

    `tensors` maps "K/PARAMETER/A", "K/PARAMETER/B", "K/PARAMETER/difference" (K from 1, PARAMETER as the denoiser names
    it) and the data steps' parameters "K/step/NAME" to tensors; common to all stages there are "common/step/NAME" and
    "common/sampling", the learned Phi of compressive sensing. `scales` multiplies every difference of a stage, so that
    0 is the shared backbone; data-step parameters are never scaled. A set without factors is the backbone shared by all
    stages.
    """

    num_stages: int
    tensors: Mapping[str, Tensor]
    gamma: float | None = None  # percent, Eq. 12; None where ranks do not follow one rule
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", self.scales or (1.0,) * self.num_stages)

    def weights(self, backbone: Mapping[str, Tensor], stage: int) -> dict[str, Tensor]:
        """The denoiser's weights at `stage` (from 1): W + scale * dW (Eq. 3); the rest is the backbone's."""
        merged = dict(backbone)
        scale = self.scales[stage - 1]
        if scale == 0:
            return merged
        for name, difference in self.differences(stage, backbone):
            merged[name] = backbone[name] + (difference if scale == 1 else scale * difference)
        return merged

    def differences(self, stage: int, backbone: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """(parameter name, unscaled dW of its shape) for everything of `backbone` that `stage` changes."""
        prefix = f"{stage}/"
        for key, tensor in self.tensors.items():
            if not key.startswith(prefix):
                continue
            name, _, part = key[len(prefix) :].rpartition("/")
            if name not in backbone:
                continue
            if part == "difference":
                yield name, tensor
            elif part == "A":
                yield name, (tensor @ self.tensors[f"{prefix}{name}/B"]).reshape(backbone[name].shape)  # Eq. 4

    def misfit(self, known: Mapping[str, Tensor]) -> str:
        """What of the set has no place beside these parameters of the denoiser and of the data steps, or ""."""
        own = set(map(str, range(1, self.num_stages + 1)))
        for key, tensor in self.tensors.items():
            stage, _, rest = key.partition("/")
            name, _, part = rest.rpartition("/")
            is_stage = stage == "common" or stage in own
            is_right = tensor.is_floating_point() and is_stage
            if key == SAMPLING:
                is_right &= tensor.dim() == 2
            elif is_step(key) or part == "difference":
                wanted = known.get(key if is_step(key) else name)
                is_right &= wanted is not None and tensor.shape == wanted.shape
            else:
                factors = [self.tensors.get(f"{stage}/{name}/{factor}") for factor in "AB"]
                is_right &= part in ("A", "B") and name in known and _multiply_to(known[name], *factors)
            if not is_right:
                return f"{key} of the shape {tuple(tensor.shape)}"
        return ""

    def step_parameters(self, stage: int) -> dict[str, Tensor]:
        """The data step's parameters of `stage`, by name."""
        return self._below(f"{stage}/step/")

    def common_parameters(self) -> dict[str, Tensor]:
        """The data steps' parameters that all stages share, by name."""
        return self._below("common/step/")

    @property
    def sampling(self) -> Tensor | None:
        """The learned sampling matrix Phi, (M, N), where the set has one."""
        return self.tensors.get(SAMPLING)

    @property
    def has_factors(self) -> bool:
        """Whether any stage differs from the backbone by more than its data step."""
        return not all(is_step(key) for key in self.tensors)

    def scaled(self, scale: float) -> Self:
        """All differences times `scale`: 0 is the shared backbone, 1 the set itself."""
        return replace(self, scales=tuple(scale * own for own in self.scales))

    def ablated(self, stage: int) -> Self:
        """The set with `stage` (from 1) running the shared backbone."""
        if not 1 <= stage <= self.num_stages:
            raise ModelError(f"Stage {stage} was to be ablated; the set has the stages 1 to {self.num_stages}.")
        return replace(self, scales=tuple(0.0 if k == stage else own for k, own in enumerate(self.scales, start=1)))

    def baked(self) -> Self:
        """The same set with its scales multiplied into the stored differences, for a file."""
        tensors = {}
        for key, tensor in self.tensors.items():
            scale = 1.0 if is_step(key) or key.endswith("/B") else self.scales[int(key.split("/")[0]) - 1]
            tensors[key] = tensor if scale == 1 else tensor * scale
        return replace(self, tensors=tensors, scales=(1.0,) * self.num_stages)

    def mapped(self, tensors: Mapping[str, Tensor]) -> Self:
        """The same set over other tensors of the same names."""
        return replace(self, tensors=dict(tensors))

    def to(self, device: torch.device | str) -> Self:
        """The same set on another device."""
        return self.mapped({key: tensor.to(device) for key, tensor in self.tensors.items()})

    @property
    def num_parameters(self) -> int:
        """How many numbers the set stores, the data steps' included."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {key[len(prefix) :]: tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


def _multiply_to(weight: Tensor, a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two factors give a weight, Eq. 4."""
    if a is None or b is None or a.dim() != 2 or b.dim() != 2:
        return False
    return a.shape[1] == b.shape[0] and len(a) * b.shape[1] == weight.numel()


@dataclass(frozen=True)
class LayerEnergy:
    """What one stage changes at one layer: ||dW|| / ||W||, the stored rank, and the effective rank of dW as a matrix.

    The effective rank is the exponential of the entropy of the normalised singular values (Roy and Vetterli, 2007);
    `rank` and `effective_rank` are None for full differences.
    """

    stage: int
    layer: str
    ratio: float
    rank: int | None = None
    effective_rank: float | None = None


def new_adapters(
    denoiser: nn.Module, *, num_stages: int, gamma: float, generator: torch.Generator | None = None
) -> AdapterSet:
    """A set that leaves every stage equal to the backbone: A = 0, B ~ N(0, 1 / columns), differences 0."""
    tensors: dict[str, Tensor] = {}
    for stage in range(1, num_stages + 1):
        for name, (module, kind) in _adapted(denoiser).items():
            weight = denoiser.get_parameter(name)
            if kind == "difference":
                tensors[f"{stage}/{name}/difference"] = torch.zeros_like(weight, requires_grad=False)
                continue
            rows, inner, columns = _factor_shape(module, gamma)
            tensors[f"{stage}/{name}/A"] = torch.zeros(rows, inner, dtype=weight.dtype, device=weight.device)
            b = torch.empty(inner, columns, dtype=weight.dtype, device=weight.device)
            if not b.is_meta:
                b.copy_(torch.randn(inner, columns, generator=generator) / math.sqrt(columns))
            tensors[f"{stage}/{name}/B"] = b
    return AdapterSet(num_stages=num_stages, tensors=tensors, gamma=gamma)


def is_step(key: str) -> bool:
    """Whether a key of AdapterSet.tensors is the data steps': a value of its own, not a difference."""
    return "/step/" in key or key == SAMPLING


def rank_of(num_inputs: int, num_outputs: int, gamma: float) -> int:
    """ceil(min(Cin, Cout) * gamma / 100) of Eq. 12, over channel counts; at least 1."""
    return max(1, math.ceil(min(num_inputs, num_outputs) * gamma / 100 - 1e-9))


def interpolated(first: AdapterSet, second: AdapterSet, share: float) -> AdapterSet:
    """(1 - share) * first + share * second, exactly, in the space of differences; ranks add.

    The data steps' parameters are interpolated linearly. Both sets must belong to one backbone and have equal stages.
    """
    if first.num_stages != second.num_stages:
        raise ModelError(
            f"The sets have {first.num_stages} and {second.num_stages} stages; interpolation needs equal numbers."
        )
    first, second = first.baked(), second.baked()
    tensors: dict[str, Tensor] = {}
    for key in dict.fromkeys((*first.tensors, *second.tensors)):
        sets = ((1 - share, first.tensors), (share, second.tensors))
        parts = [(weight, tensors_of[key]) for weight, tensors_of in sets if key in tensors_of]
        if key.endswith("/A"):
            tensors[key] = torch.cat([weight * tensor for weight, tensor in parts], dim=1)
        elif key.endswith("/B"):
            tensors[key] = torch.cat([tensor for _, tensor in parts], dim=0)
        elif is_step(key) and len(parts) == 1:
            raise ModelError(
                "The data steps of the two sets differ in kind; interpolation needs two sets of one network."
            )
        else:
            tensors[key] = torch.stack([weight * tensor for weight, tensor in parts]).sum(dim=0)
    return AdapterSet(num_stages=first.num_stages, tensors=tensors)


def truncated(adapters: AdapterSet, backbone: Mapping[str, Tensor], gamma: float) -> tuple[AdapterSet, float]:
    """The set with every product A B cut to the rank of Eq. 12 by SVD, and the relative error in the Frobenius norm.

    The error is the root of the summed squared error over all low-rank layers and stages by their summed squared norms.
    """
    adapters = adapters.baked()
    tensors = dict(adapters.tensors)
    lost = total = 0.0
    for key, a in adapters.tensors.items():
        if not key.endswith("/A"):
            continue
        b = adapters.tensors[key[:-1] + "B"]
        shape = backbone[key.split("/", 1)[1][:-2]].shape
        inner = rank_of(shape[1], shape[0], gamma) * min(_sides(shape))
        left, values, right = torch.linalg.svd(a.double() @ b.double(), full_matrices=False)
        total += float(values.square().sum())
        lost += float(values[inner:].square().sum())
        kept = values[:inner].sqrt()
        tensors[key] = (left[:, :inner] * kept).to(a.dtype)
        tensors[key[:-1] + "B"] = (kept[:, None] * right[:inner]).to(b.dtype)
    return replace(adapters, tensors=tensors, gamma=gamma), math.sqrt(lost / total) if total else 0.0


def energies(adapters: AdapterSet, backbone: Mapping[str, Tensor]) -> list[LayerEnergy]:
    """One LayerEnergy per stage and changed parameter, scales applied, in the backbone's order within a stage."""
    rows = []
    for stage, scale in enumerate(adapters.scales, start=1):
        for name, difference in adapters.differences(stage, backbone):
            norm = float(torch.linalg.vector_norm(backbone[name]))
            change = abs(scale) * float(torch.linalg.vector_norm(difference))
            ratio = change / norm if norm else (0.0 if change == 0 else math.inf)
            a = adapters.tensors.get(f"{stage}/{name}/A")
            if a is None:
                rows.append(LayerEnergy(stage, name, ratio))
                continue
            matrix = a.double() @ adapters.tensors[f"{stage}/{name}/B"].double()
            rank = a.shape[1] // min(_sides(difference.shape))
            rows.append(LayerEnergy(stage, name, ratio, rank, _effective_rank(matrix)))
    return rows


def _effective_rank(matrix: Tensor) -> float:
    values = torch.linalg.svdvals(matrix)
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values / total
    return float(torch.exp(torch.special.entr(shares).sum()))


def _adapted(denoiser: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """parameter name -> (its module, "factors" or "difference") for every parameter that stages may change."""
    adapted: dict[str, tuple[nn.Module, str]] = {}
    for path, module in denoiser.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            kind = _treatment(module, name)
            if kind is not None:
                adapted[f"{path}.{name}" if path else name] = (module, kind)
    return adapted


def _treatment(module: nn.Module, name: str) -> str | None:
    """What a stage has of the parameter `name` of a layer: "factors", a "difference", or None, the backbone's."""
    if isinstance(module, NORMS):
        return None
    if name != "weight" or not isinstance(module, nn.Linear | CONVOLUTIONS):
        return "difference"
    return None if getattr(module, "groups", 1) > 1 else "factors"


def _factor_shape(module: nn.Module, gamma: float) -> tuple[int, int, int]:
    """(Cout k, r min(k, m), Cin m) of a kernel k x m: the rows of A, the inner size, the columns of B."""
    shape = module.get_parameter("weight").shape
    rows, columns = _sides(shape)
    return shape[0] * rows, rank_of(shape[1], shape[0], gamma) * min(rows, columns), shape[1] * columns


def _sides(shape: Sequence[int]) -> tuple[int, int]:
    """The taps of a weight (Cout, Cin, *kernel) along its first axis, and those of all others; 1 where it has none."""
    first, *others = shape[2:] or (1,)
    return first, math.prod(others)

"""Deep unfolding: a data step and a denoiser in turn, K times (Eq. 5-11). One loop for training and restoration.

The network holds no physics: `net.stages(y, physics)` takes the operator as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from .classical import GapTv
from .denoisers import build_denoiser
from .errors import ModelError
from .lora import AdapterSet
from .physics import LinearPhysics
from .stage import Stage
from .subspace import from_coefficients, orthogonalised, subspace_basis, subspace_tv, to_coefficients


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that rebuilds an unfolding network.

    `denoiser` and `denoiser_settings` name the proximal mapping module; `data_step` is a name of DATA_STEPS, its step
    size a learned number per stage or, with `estimated_step`, SSR's small network per stage. `initial` is the estimate
    the first stage starts from: "adjoint" Phi^T(y / phi), "learned" SSR's 1x1 convolution, "gap-tv" or "subspace-tv"
    `initial_iterations` of either (the second with `initial_rank` spectral components). With a `rank` the denoiser sees
    and gives that many coefficients of the spectra instead of all bands. `num_blocks` is 1 for one denoiser shared by
    all stages, K for independent ones.
    """

    channels: int
    num_stages: int
    denoiser: str = "spectral"
    denoiser_settings: Mapping[str, Any] = field(default_factory=dict)
    data_step: str = "half-quadratic"
    estimated_step: bool = False
    initial: str = "adjoint"
    initial_iterations: int = 0
    initial_rank: int = 6
    rank: int | None = None
    num_blocks: int = 1

    def __post_init__(self) -> None:
        if self.data_step not in DATA_STEPS:
            raise ModelError(f"The data step {self.data_step!r} is not known; choose one of {', '.join(DATA_STEPS)}.")
        if self.initial not in INITIALS:
            raise ModelError(
                f"The initial estimate {self.initial!r} is not known; choose one of {', '.join(INITIALS)}."
            )
        if self.num_blocks not in (1, self.num_stages) or self.num_stages < 1:
            raise ModelError(
                f"{self.num_blocks} denoisers were asked for {self.num_stages} stages; either one is shared or every "
                "stage has its own."
            )

    @property
    def uses_components(self) -> bool:
        """Whether the network works with spectral components, which its backbone then keeps."""
        return self.rank is not None or self.initial == "subspace-tv"


def half_quadratic(x: Tensor, y: Tensor, physics: LinearPhysics, mu: Tensor) -> Tensor:
    """Eq. 9: argmin_z 1/2 ||Phi z - y||^2 + mu/2 ||z - x||^2, in closed form; mu > 0 is (B or 1, 1, 1, 1)."""
    return physics.prox(x, y, mu)


def proximal_gradient(x: Tensor, y: Tensor, physics: LinearPhysics, rho: Tensor) -> Tensor:
    """Eq. 5: z = x - rho Phi^T (Phi x - y), with rho in units of 1 / max(phi) so that rho < 2 never diverges."""
    return x - (rho / physics.gram().amax(dim=(-3, -2, -1), keepdim=True)) * physics.gradient(x, y)


def normalised_projection(x: Tensor, y: Tensor, physics: LinearPhysics, rho: Tensor) -> Tensor:
    """SSR's step: z = x + rho Phi^T [(y - Phi x) / phi]; rho = 1 is the projection on Phi z = y where phi is exact."""
    return x + rho * physics.adjoint((y - physics.forward(x)) / physics.gram())


# name -> (the step, its parameter); the parameter starts at 0.5 (Algorithm 1), an estimated one near 1 as in SSR
DATA_STEPS: dict[str, tuple[Callable[[Tensor, Tensor, LinearPhysics, Tensor], Tensor], str]] = {
    "half-quadratic": (half_quadratic, "mu"),
    "proximal-gradient": (proximal_gradient, "rho"),
    "normalised-projection": (normalised_projection, "rho"),
}
INITIALS = ("adjoint", "learned", "gap-tv", "subspace-tv")
_INITIAL_STEP = 0.5
_SMALLEST_MU = 1e-4  # keeps the prox of Eq. 9 defined while mu is learned
_ESTIMATOR_WIDTH = 32


class Backbone(nn.Module):
    """What all stages share: the denoiser (or, for Block-K, one per stage) and the network's common parts."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.rank or config.channels
        self.blocks = nn.ModuleList(
            build_denoiser(config.denoiser, channels, config.denoiser_settings) for _ in range(config.num_blocks)
        )
        self.initialiser = nn.Conv2d(2 * config.channels, config.channels, 1) if config.initial == "learned" else None
        # the spectral components of the training spectra (see `subspace`), measured, not learned
        self.register_buffer("components", torch.eye(config.channels) if config.uses_components else None)

    def block_weights(self, stage: int) -> dict[str, Tensor]:
        """The weights of the denoiser that `stage` (from 1) shares or owns."""
        return dict(self.blocks[(stage - 1) % len(self.blocks)].named_parameters())


@dataclass(frozen=True)
class DenoiserView:
    """How the denoiser sees a capture that differs from its training: linear, and undone on the way back.

    `to` (C_network, C_capture) and `back` (C_capture, C_network) change the bands, or None. `transposed` swaps rows and
    columns, `mirrored` then reverses the columns, so that the dispersion points the way it did in training.
    """

    to: Tensor | None = None
    back: Tensor | None = None
    transposed: bool = False
    mirrored: bool = False

    def seen(self, x: Tensor) -> Tensor:
        """(B, C_capture, H, W) as the network sees it."""
        if self.to is not None:
            x = torch.einsum("nc,bchw->bnhw", self.to.to(x), x)
        if self.transposed:
            x = x.transpose(-2, -1)
        return x.flip(-1) if self.mirrored else x

    def returned(self, x: Tensor) -> Tensor:
        """An image of the network brought back to the capture's bands and directions."""
        if self.mirrored:
            x = x.flip(-1)
        if self.transposed:
            x = x.transpose(-2, -1)
        return x if self.back is None else torch.einsum("cn,bnhw->bchw", self.back.to(x), x)


@dataclass(frozen=True)
class UnfoldingNet:
    """K stages of data step and denoiser over one backbone and one adapter set.

    `precision` is the denoiser's ("float32" or, on CUDA, "bfloat16"; the physics is always float32), `channels_last`
    its memory layout. With `save_memory` every stage's denoiser is recomputed in the backward pass. `denoise` runs a
    denoiser with given weights; a compiled version of `run_denoiser` may stand in for it.
    """

    config: NetworkConfig
    backbone: Backbone
    adapters: AdapterSet
    precision: str = "float32"
    channels_last: bool = False
    save_memory: bool = False
    denoise: Callable[..., tuple[Tensor, Any]] | None = None

    def stages(
        self,
        y: Tensor,
        physics: LinearPhysics,
        *,
        num_stages: int | None = None,
        view: DenoiserView | None = None,
    ) -> Iterator[Stage]:
        """Stage 0 (the initial estimate), then one Stage per stage to `num_stages`; parameters are (B or 1,) tensors.

        Through a `view` the denoiser sees z changed, and only what it changes of z is brought back.
        """
        num_stages = self.config.num_stages if num_stages is None else num_stages
        if num_stages > self.config.num_stages:
            raise ModelError(f"{num_stages} stages were asked for; this network has {self.config.num_stages}.")
        step, parameter = DATA_STEPS[self.config.data_step]
        conditioning = physics.conditioning()
        if view is not None and conditioning is not None:
            conditioning = view.seen(conditioning)
        x, state = self.initial(y, physics, view=view), None
        yield Stage(0, x)
        for stage in range(1, num_stages + 1):
            size = self.step_size(x if view is None else view.seen(x), stage)
            z = step(x, y, physics, size).contiguous()
            if view is None:
                x, state = self.denoised(z, conditioning, state, stage)
            else:
                seen = view.seen(z)
                denoised, state = self.denoised(seen, conditioning, state, stage)
                x = z + view.returned(denoised - seen)
            yield Stage(stage, x, denoiser_input=z, parameters={parameter: size.detach().flatten()})

    def initial(self, y: Tensor, physics: LinearPhysics, *, view: DenoiserView | None = None) -> Tensor:
        """The estimate that stage 1 starts from, (B, C, H, W)."""
        iterations = self.config.initial_iterations
        if self.config.initial == "gap-tv":
            with torch.no_grad():
                *_, estimate = GapTv().stages(y, physics, num_stages=iterations)
            return estimate.image
        if self.config.initial == "subspace-tv":
            components = self.backbone.components
            if view is not None and view.back is not None:
                components = orthogonalised(components @ view.back.to(components).T)
            return subspace_tv(y, physics, components, rank=self.config.initial_rank, num_iterations=iterations)
        if self.config.initial == "adjoint":
            return physics.adjoint(y / physics.gram())
        views = physics.views(y * (2 / physics.scene_shape[0]))  # SSR: about half of the bands reach a pixel
        mask = physics.conditioning()
        mask = torch.ones_like(views) if mask is None else mask.expand(len(views), -1, -1, -1)
        if view is None:
            return self.backbone.initialiser(torch.cat([views, mask], dim=1))
        return view.returned(self.backbone.initialiser(torch.cat([view.seen(views), view.seen(mask)], dim=1)))

    def step_size(self, x: Tensor, stage: int) -> Tensor:
        """mu_k or rho_k, (B or 1, 1, 1, 1)."""
        parameters = self.adapters.step_parameters(stage)
        if self.config.estimated_step:
            size = _estimate(x, parameters)
        else:
            (size,) = parameters.values()
        if self.config.data_step == "half-quadratic":
            size = _SMALLEST_MU + F.softplus(size) if self.config.estimated_step else size.abs() + _SMALLEST_MU
        return size.reshape(-1, 1, 1, 1)

    def denoised(self, z: Tensor, conditioning: Tensor | None, state: Any, stage: int) -> tuple[Tensor, Any]:
        """What the denoiser of `stage` makes of z (B, C, H, W), and the state it hands on."""
        denoise = self.denoise or run_denoiser
        block = self.backbone.blocks[0]
        weights = self.adapters.weights(self.backbone.block_weights(stage), stage)
        basis = None
        if self.config.rank is not None:
            basis, _ = subspace_basis(self.backbone.components, self.config.rank)
            z = to_coefficients(z, basis)
            if conditioning is not None:  # a mask has no spectrum: every coefficient sees its mean over the bands
                conditioning = conditioning.mean(dim=1, keepdim=True).expand(-1, self.config.rank, -1, -1)
        if self.channels_last:
            z = z.contiguous(memory_format=torch.channels_last)
        with torch.autocast(z.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            if self.save_memory and torch.is_grad_enabled():
                x, state = checkpoint(denoise, block, weights, z, conditioning, state, use_reentrant=False)
            else:
                x, state = denoise(block, weights, z, conditioning, state)
        x = x.to(z.dtype).contiguous()
        return (x if basis is None else from_coefficients(x, basis)), state


def run_denoiser(
    block: nn.Module, weights: dict[str, Tensor], z: Tensor, conditioning: Tensor | None, state: Any
) -> tuple[Tensor, Any]:
    """The denoiser `block` with `weights` in place of its own: one graph for all stages."""
    return functional_call(block, weights, (z, conditioning, state))


def new_step_parameters(config: NetworkConfig, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """The data steps' parameters of all stages as an adapter set stores them, "K/step/NAME"."""
    parameter = DATA_STEPS[config.data_step][1]
    tensors: dict[str, Tensor] = {}
    for stage in range(1, config.num_stages + 1):
        if not config.estimated_step:
            tensors[f"{stage}/step/{parameter}"] = torch.full((1,), _INITIAL_STEP)
            continue
        width = _ESTIMATOR_WIDTH
        shapes = {"fuse": (width, config.channels), "hidden1": (width, width), "hidden2": (width, width)}
        for name, shape in shapes.items():
            bound = shape[1] ** -0.5  # PyTorch's default for a 1x1 convolution
            tensors[f"{stage}/step/{name}.weight"] = (torch.rand(shape, generator=generator) * 2 - 1) * bound
            tensors[f"{stage}/step/{name}.bias"] = (torch.rand(shape[0], generator=generator) * 2 - 1) * bound
        tensors[f"{stage}/step/out.weight"] = (torch.rand(1, width, generator=generator) * 2 - 1) * width**-0.5
        tensors[f"{stage}/step/{parameter}"] = torch.ones(1)
    return tensors


def _estimate(x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """SSR's estimator: 1x1 convolution, ReLU, global mean, two hidden layers, output plus a learned number; (B, 1)."""
    (offset,) = (tensor for name, tensor in parameters.items() if "." not in name)
    weight = parameters["fuse.weight"][:, :, None, None]
    hidden = F.relu(F.conv2d(x, weight, parameters["fuse.bias"])).mean(dim=(2, 3))  # (B, 32)
    hidden = F.relu(F.linear(hidden, parameters["hidden1.weight"], parameters["hidden1.bias"]))
    hidden = F.relu(F.linear(hidden, parameters["hidden2.weight"], parameters["hidden2.bias"]))
    return F.linear(hidden, parameters["out.weight"]) + offset

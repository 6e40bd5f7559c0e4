"""Deep unfolding: a data step and a denoiser in turn, K times (Eq. 5-11). One loop for training and restoration.

The network holds no physics: `net.stages(y, physics)` takes the operator as an argument.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from ..decoder import StartStep, returned
from ..decoding.execution import Execution, Tile
from ..errors import ModelError
from ..physics import Physics, linear
from ..schema import Between, Finite, NotNegative, Size, Stages, require
from ..tasks.gap_tv import GapTv
from ..tasks.subspace import from_coefficients, orthogonalised, subspace_basis, to_coefficients
from ..tasks.subspace_tv import ITERATIONS, noise_level_of, solutions
from .data_steps import (
    DATA_STEPS,
    START,
    DataStep,
    Dual,
    Split,
    estimated_size,
    hyper_numbers,
    learned_numbers,
    new_estimator,
    new_hyper_net,
    noise_level,
)
from .denoisers import DENOISERS, build_denoiser, build_ends, denoiser_config
from .denoisers.layers import Reach
from .lora import AdapterSet
from .strips import in_strips, rows_of
from .subspace import subspace_tv

Initial = Literal["adjoint", "learned", "gap-tv", "subspace-tv", "multiscale-tv"]


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that rebuilds an unfolding network.

    `denoiser` and `denoiser_settings` name the proximal mapping module; `data_step` is a name of DATA_STEPS, its step
    size a learned number per stage or, with `estimated_step`, SSR's small network per stage. `initial` is the estimate
    the first stage starts from: "adjoint" the physics' own, "learned" SSR's 1x1 convolution, "gap-tv", "multiscale-tv"
    (see `tasks.subspace_tv`) or "subspace-tv" (see `subspace`) `initial_iterations` of either, the last two with
    `initial_rank` spectral components. "multiscale-tv" knows the noise of the capture: data steps and denoisers that
    ask for it are told. With a `rank` the denoiser sees
    and gives that many coefficients of the spectra instead of all bands, in units of their root mean energies to the
    power `evened`: at 0 as they are, at 1 all are equally strong. `num_blocks` is 1 for one denoiser shared by
    all stages, K for independent ones. `starts` says where learned numbers such as mu start, if not at 0.5 as in
    Algorithm 1.
    """

    channels: Size
    num_stages: Stages
    denoiser: str = "spectral"
    denoiser_settings: Mapping[str, Any] = field(default_factory=dict)
    data_step: str = "half-quadratic"
    estimated_step: bool = False
    initial: Initial = "adjoint"
    initial_iterations: Annotated[int, Between(0, 100_000)] = 0
    initial_rank: Size = 6
    rank: Size | None = None
    evened: NotNegative = 0.0
    num_blocks: Stages = 1
    starts: Mapping[str, Finite] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self, ModelError)
        if self.data_step not in DATA_STEPS:
            raise ModelError(f"The data step {self.data_step!r} is not known; choose one of {', '.join(DATA_STEPS)}.")
        if self.num_blocks not in (1, self.num_stages):
            raise ModelError(
                f"{self.num_blocks} denoisers were asked for {self.num_stages} stages; either one is shared or every "
                "stage has its own."
            )
        if self.estimated_step and self.step.size is None:
            raise ModelError(
                f"The data step {self.data_step} has no step size that a network could estimate; choose another one, "
                "or leave estimated_step out."
            )
        if unknown := set(self.starts) - set(self.step.numbers) - {"lambda"}:
            raise ModelError(
                f"The data step {self.data_step} has no number {', '.join(sorted(unknown))}; it has "
                f"{', '.join(self.step.numbers) or 'none'}."
            )
        if (self.step.dual is not None) != (self.denoiser_sees == "dual"):
            raise ModelError(
                f"The data step {self.data_step} and the denoiser {self.denoiser} do not fit together: primal-dual "
                "needs dual-path with the setting dual_branch, and that setting needs primal-dual."
            )
        if self.step.alternates != (self.denoiser_sees == "light"):
            raise ModelError(
                f"The data step {self.data_step} and the denoiser {self.denoiser} do not fit together: alternating and "
                "retinex need each other."
            )

    @property
    def step(self) -> DataStep:
        """The data step's entry in DATA_STEPS."""
        return DATA_STEPS[self.data_step]

    @property
    def learned_starts(self) -> dict[str, float]:
        """Where the learned numbers of every stage start, by name."""
        usual = dict(self.step.numbers) | ({"lambda": START} if self.denoiser_sees == "noise" else {})
        return usual | dict(self.starts)

    @property
    def denoiser_channels(self) -> int:
        """The channels that the denoiser sees: the bands, or with a `rank` the coefficients of their spectra."""
        return self.rank or self.channels

    @property
    def denoiser_sees(self) -> str:
        """What the denoiser is conditioned on: "mask", "noise" or "dual" (see `denoisers`)."""
        sees: str = denoiser_config(self.denoiser, self.denoiser_channels, self.denoiser_settings).sees
        return sees

    @property
    def reach(self) -> Reach | None:
        """How far the denoiser sees (see `denoisers`)."""
        found: Reach | None = denoiser_config(self.denoiser, self.denoiser_channels, self.denoiser_settings).reach
        return found

    @property
    def has_tail(self) -> bool:
        """Whether the last image is made of those of all stages, so that no stage can be left out."""
        return DENOISERS[self.denoiser].tail is not None

    def require(self, physics: Physics) -> None:
        """Raises a ModelError where the data step does not serve the operator."""
        if physics.task and not self.step.serves(physics):
            others = ", ".join(name for name, step in DATA_STEPS.items() if step.serves(physics))
            raise ModelError(f"The data step {self.data_step} does not serve {physics.task}; choose one of {others}.")

    @property
    def uses_components(self) -> bool:
        """Whether the network works with spectral components, which its backbone then keeps."""
        return self.rank is not None or self.initial in ("subspace-tv", "multiscale-tv")


ITERATIVE: dict[str, str] = {  # initial estimates that take long, and what people call them
    "gap-tv": "GAP-TV",
    "subspace-tv": "subspace TV",
    "multiscale-tv": "multiscale subspace TV",
}


class Start(NamedTuple):
    """The estimate that stage 1 starts from, (B, C, H, W), and the variance of the noise of every detector pixel.

    `variance` is (B or 1, 1, H' or 1, W' or 1), or None where nothing is known of the noise.
    """

    image: Tensor
    variance: Tensor | None = None


class Backbone(nn.Module):
    """What all stages share: the denoiser (or, for Block-K, one per stage) and the network's common parts."""

    components: Tensor | None  # spectral components of the training spectra (see `subspace`), measured, not learned

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        denoiser = (config.denoiser, config.denoiser_channels, config.denoiser_settings)
        self.blocks = nn.ModuleList(build_denoiser(*denoiser) for _ in range(config.num_blocks))
        self.head, self.tail = build_ends(*denoiser, num_stages=config.num_stages)
        self.initialiser = nn.Conv2d(2 * config.channels, config.channels, 1) if config.initial == "learned" else None
        self.register_buffer("components", torch.eye(config.channels, device="cpu") if config.uses_components else None)

    @property
    def known_components(self) -> Tensor:
        """The spectral components; a ModelError where the network works with none."""
        if self.components is None:
            raise ModelError("The backbone has no spectral components; a network that works with them was expected.")
        return self.components

    def first_image(self, seen: Tensor) -> Tensor:
        """The learned initial estimate, (B, C, H, W), of a capture's views and its mask, (B, 2 C, H, W)."""
        if self.initialiser is None:
            raise ModelError("The backbone has no learned initial estimate; a network that starts from one has it.")
        image: Tensor = self.initialiser(seen)
        return image

    def block_weights(self, stage: int) -> dict[str, Tensor]:
        """The weights of the denoiser that `stage` (from 1) shares or owns."""
        return dict(self.blocks[(stage - 1) % len(self.blocks)].named_parameters())


class Passage(NamedTuple):
    """What passes from stage to stage beside the image.

    `state` is the denoiser's own, None for most; `seen` what its tail will see: image, features, image, features, ...
    """

    state: Any = None
    seen: tuple[Tensor, ...] = ()


class PassedOn(NamedTuple):
    """All that passes from stage to stage beside the image: the `variance` of the noise, as the start found it.

    `unmixed` is what of the start no mixture of the denoiser's components explains; it is kept in the image of every
    stage. The start itself has none yet.
    """

    variance: Tensor | None = None
    unmixed: Tensor | None = None
    dual: Dual | Split | None = None
    passage: Passage | None = None


@dataclass(frozen=True)
class NetworkStage:
    """The state after stage `index` of a network, as a `decoder.Stage`; `parameters` are (B or 1,) tensors."""

    index: int
    image: Tensor
    passed_on: PassedOn
    denoiser_input: Tensor | None = None
    parameters: Mapping[str, Tensor] = field(default_factory=dict)


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
    its memory layout, and `tile` says how many rows it sees at once (see `strips`). With `save_memory` every stage's
    denoiser is recomputed in the backward pass. `denoise` runs a denoiser with given weights; a compiled version of
    `run_denoiser` may stand in for it.
    """

    config: NetworkConfig
    backbone: Backbone
    adapters: AdapterSet
    precision: str = "float32"
    channels_last: bool = False
    tile: Tile = "auto"
    save_memory: bool = False
    denoise: Callable[..., tuple[Tensor, Any]] | None = None

    def executed(self, execution: Execution) -> Self:
        """The network executed another way."""
        compiled = torch.compile(run_denoiser) if execution.path == "compiled" else None
        return replace(self, precision=execution.precision, channels_last=execution.path != "plain", denoise=compiled)

    def to(self, device: torch.device) -> Self:
        """The network on another device; its own backbone stays where it is, for whoever else decodes with it."""
        backbone = self.backbone
        if any(tensor.device != device for tensor in backbone.state_dict().values()):
            backbone = copy.deepcopy(backbone).to(device)
        return replace(self, backbone=backbone, adapters=self.adapters.to(device))

    def stages(
        self,
        y: Tensor,
        physics: Physics,
        *,
        num_stages: int | None = None,
        view: DenoiserView | None = None,
        start: Start | None = None,
    ) -> Iterator[NetworkStage]:
        """Stage 0 (the initial estimate), then one NetworkStage per stage to `num_stages`.

        Through a `view` the denoiser sees z changed, and only what it changes of z is brought back. A `start` that is
        known already is not computed again.
        """
        num_stages = self.config.num_stages if num_stages is None else num_stages
        self.require(num_stages, physics)
        start = self.initial(y, physics, view=view) if start is None else start
        first = NetworkStage(0, start.image, PassedOn(start.variance))
        yield first
        yield from self.stages_after(first, y, physics, num_stages=num_stages, view=view)

    def stages_after(
        self,
        reached: NetworkStage,
        y: Tensor,
        physics: Physics,
        *,
        num_stages: int,
        view: DenoiserView | None = None,
    ) -> Iterator[NetworkStage]:
        """The stages behind one that was reached, up to `num_stages`."""
        x, (variance, unmixed, dual, passage) = reached.image, reached.passed_on
        if unmixed is None:
            unmixed = self._unmixed(x if view is None else view.seen(x))
        index = reached.index
        del reached  # no image is kept longer than it is needed
        for stage in range(index + 1, num_stages + 1):
            numbers = self.numbers(x if view is None else view.seen(x), physics.degradation(), stage)
            z, dual = self.config.step.moved(x, y, physics, numbers, dual, variance)
            conditioning = self._conditioning(physics, numbers, dual, variance)
            x, passage = self._denoised_through(view, z, conditioning, passage, stage, unmixed)
            x = physics.agreed(x)
            passed_on = PassedOn(variance, unmixed, dual, passage)
            yield NetworkStage(stage, x, passed_on, denoiser_input=z, parameters=self._reported(numbers, stage))
            del z

    def initial(self, y: Tensor, physics: Physics, *, view: DenoiserView | None = None) -> Start:
        """The estimate that stage 1 starts from, and the noise where it was found with it."""
        return returned(self.starting(y, physics, view=view))

    def starting(
        self, y: Tensor, physics: Physics, *, view: DenoiserView | None = None
    ) -> Generator[StartStep, None, Start]:
        """Yields what is to be done for the start, then every iteration that is done; returns the start."""
        config, method = self.config, self.start_method(physics)
        if config.initial not in ITERATIVE:
            yield StartStep(method)
            return Start(self._initial_image(y, physics, view))
        rounded = config.initial_iterations // ITERATIONS * ITERATIONS
        num_iterations = rounded if config.initial == "multiscale-tv" else config.initial_iterations
        cost = DENOISERS[config.denoiser].stage_in_iterations
        yield StartStep(method, 0, num_iterations, cost)
        for iteration, newest in enumerate(self._estimates(y, physics, view)):
            estimate = newest
            yield StartStep(method, iteration, num_iterations, cost)
        return estimate()

    def start_method(self, physics: Physics) -> str:
        """What the start is called."""
        others = {"adjoint": physics.initial_method, "learned": "learned estimate"}
        return (others | ITERATIVE)[self.config.initial]

    def start_depends_on(self, view: DenoiserView | None) -> tuple[object, ...]:
        """What the start depends on beside the measurement: numbers, names, tensors and values of them.

        Networks with other denoisers, adapters or data steps share a start.
        """
        config, initialiser = self.config, self.backbone.initialiser
        if config.initial in ("subspace-tv", "multiscale-tv"):
            return config.initial, config.initial_iterations, config.initial_rank, self._components(view)
        if initialiser is not None:
            return config.initial, initialiser.state_dict(), view
        return config.initial, config.initial_iterations

    @torch.no_grad()
    def _estimates(self, y: Tensor, physics: Physics, view: DenoiserView | None) -> Iterator[Callable[[], Start]]:
        """What makes a start of where an iterative method stands, at its beginning and after every iteration."""
        iterations, rank = self.config.initial_iterations, self.config.initial_rank
        if self.config.initial == "gap-tv":
            for stage in GapTv().stages(y, linear(physics), num_stages=iterations):
                yield partial(Start, stage.image)
        elif self.config.initial == "subspace-tv":
            for image in subspace_tv(y, linear(physics), self._components(view), rank=rank, num_iterations=iterations):
                yield partial(_start_of, image)
        else:
            rounds = iterations // ITERATIONS
            for solution in solutions(y, linear(physics), self._components(view), num_rounds=rounds, rank=rank):
                yield partial(_start_of, solution.image, solution.variance)

    def _components(self, view: DenoiserView | None) -> Tensor:
        """The spectral components at the capture's own bands."""
        components = self.backbone.known_components
        if view is None or view.back is None:
            return components
        return orthogonalised(components @ view.back.to(components).T)

    def _initial_image(self, y: Tensor, physics: Physics, view: DenoiserView | None) -> Tensor:
        """An initial estimate that is made in one step."""
        if self.config.initial == "adjoint":
            return physics.initial(y)
        views = linear(physics).views(y * (2 / physics.scene_shape[0]))  # SSR: about half of the bands reach a pixel
        mask = physics.conditioning()
        mask = torch.ones_like(views) if mask is None else mask.expand(len(views), -1, -1, -1)
        seen = (views, mask) if view is None else (view.seen(views), view.seen(mask))
        image = self.backbone.first_image(torch.cat(seen, dim=1))
        return image if view is None else view.returned(image)

    def numbers(self, x: Tensor, degradation: Tensor | None, stage: int) -> dict[str, Tensor]:
        """rho_k or mu_k, lambda_k and what else the data step of `stage` takes, each (B or 1, 1, 1, 1).

        The `degradation` of the physics decides only where a hyper-parameter net gives them.
        """
        step, stored, size = self.config.step, self.adapters.step_parameters(stage), self.config.step.size
        if step.hyper_net:
            if degradation is None:
                raise ModelError(f"The data step {self.config.data_step} needs a noise level and a scale factor.")
            return hyper_numbers(degradation, self.adapters.common_parameters(), stage)
        if size is None or not self.config.estimated_step:
            return learned_numbers(stored, step, None)
        return learned_numbers(stored, step, estimated_size(x, stored, stored[size]))

    def denoised(
        self, z: Tensor, conditioning: Tensor | None, passage: Passage | None, stage: int
    ) -> tuple[Tensor, Passage]:
        """What the denoiser of `stage` makes of z (B, C, H, W), and what it hands on; stage 1 is handed None."""
        reach = self.config.reach
        rows = None if torch.is_grad_enabled() else rows_of(self.tile, (z.shape[-2], z.shape[-1]), reach)
        if rows is None or reach is None:
            return self._denoised_at_once(z, conditioning, passage, stage)

        def of_strip(part: Tensor, told: Tensor | None, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
            x, passage = self._denoised_at_once(part, told, Passage(state), stage)
            return x, passage.state

        x, state = in_strips(of_strip, z, conditioning, passage and passage.state, rows=rows, reach=reach)
        return x, Passage(state)

    def _denoised_at_once(
        self, z: Tensor, conditioning: Tensor | None, passage: Passage | None, stage: int
    ) -> tuple[Tensor, Passage]:
        """`denoised` of a whole image, or of a strip as if it were one."""
        denoise = self.denoise or run_denoiser
        backbone = self.backbone
        block, head, tail = backbone.blocks[0], backbone.head, backbone.tail
        weights = self.adapters.weights(backbone.block_weights(stage), stage)
        basis, units = None, z.new_ones(1)
        if self.config.rank is not None:
            basis, scales = subspace_basis(backbone.known_components, self.config.rank)
            units = (scales / scales[0]) ** self.config.evened
            z = to_coefficients(z, basis / units)
            conditioning = self._in_coefficients(conditioning, basis / units)
        if self.channels_last:
            z = z.contiguous(memory_format=torch.channels_last)
        with torch.autocast(z.device.type, dtype=torch.bfloat16) if self.precision == "bfloat16" else nullcontext():
            state, seen = passage or Passage()
            if state is None and head is not None:
                state = self._run(head, z)
                seen = (z, state[0])
            x, state = self._run(denoise, block, weights, z, conditioning, state)
            if tail is not None:
                seen = (*seen, x, state[0])
                x = self._run(tail, seen) if stage == self.config.num_stages else x
        x = x.to(z.dtype).contiguous()
        return (x if basis is None else from_coefficients(x, basis * units)), Passage(state, seen)

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; to save memory its intermediate values are computed again in the backward pass."""
        if self.save_memory and torch.is_grad_enabled():
            return checkpoint(function, *arguments, use_reentrant=False)
        return function(*arguments)

    def require(self, num_stages: int, physics: Physics) -> None:
        """Raises a ModelError where this network cannot run so many stages, or not with this physics."""
        config = self.config
        if num_stages > config.num_stages:
            raise ModelError(f"{num_stages} stages were asked for; this network has {config.num_stages}.")
        if num_stages < config.num_stages and config.has_tail:
            raise ModelError(
                f"{num_stages} stages were asked for; the denoiser {config.denoiser} joins the images of all "
                f"{config.num_stages} stages at the end, so it cannot stop before. Ask for {config.num_stages}."
            )
        config.require(physics)

    def _conditioning(
        self, physics: Physics, numbers: Mapping[str, Tensor], dual: Dual | Split | None, variance: Tensor | None
    ) -> Tensor | None:
        """What the denoiser sees beside z (see `denoisers`)."""
        if self.config.denoiser_sees == "noise":
            return noise_level(numbers)
        if self.config.denoiser_sees == "level":
            return torch.zeros(1, 1, 1, 1) if variance is None else noise_level_of(variance, linear(physics))
        return dual.back_projection if isinstance(dual, Dual) else physics.conditioning()

    def _unmixed(self, image: Tensor) -> Tensor:
        """What of a start no mixture of the denoiser's components explains; it is kept in the image of every stage."""
        if self.config.rank is None or self.config.initial != "multiscale-tv":
            return image.new_zeros(1)
        basis, _ = subspace_basis(self.backbone.known_components, self.config.rank)
        return image - from_coefficients(to_coefficients(image, basis), basis)

    def _denoised_through(
        self,
        view: DenoiserView | None,
        z: Tensor,
        conditioning: Tensor | None,
        passage: Passage | None,
        stage: int,
        unmixed: Tensor,
    ) -> tuple[Tensor, Passage]:
        """`denoised` through a view: only what the denoiser changes of z is brought back."""
        if view is None:
            denoised, passage = self.denoised(z, conditioning, passage, stage)
            return self._joined(denoised, unmixed), passage
        seen = view.seen(z)
        if conditioning is not None and self.config.denoiser_sees not in ("noise", "level"):
            conditioning = view.seen(conditioning)
        denoised, passage = self.denoised(seen, conditioning, passage, stage)
        return z + view.returned(self._joined(denoised, unmixed) - seen), passage

    def _joined(self, mixed: Tensor, unmixed: Tensor) -> Tensor:
        """An image of its two parts; the first one's memory is taken where there is a second."""
        return mixed if self.config.rank is None else mixed.add_(unmixed)

    def _in_coefficients(self, conditioning: Tensor | None, basis: Tensor) -> Tensor | None:
        """What a denoiser of coefficients is conditioned on: a mask has no spectrum, each sees its mean over bands."""
        if conditioning is None or self.config.denoiser_sees in ("noise", "level"):
            return conditioning
        if self.config.denoiser_sees == "dual":
            return to_coefficients(conditioning, basis)
        return conditioning.mean(dim=1, keepdim=True).expand(-1, self.config.denoiser_channels, -1, -1)

    def _reported(self, numbers: Mapping[str, Tensor], stage: int) -> dict[str, Tensor]:
        """The numbers of `stage` for people, (B or 1,): the denoiser's own as means, and the implied noise level."""
        own = {
            symbol: self.backbone.block_weights(stage)[name]
            for symbol, name in DENOISERS[self.config.denoiser].parameters.items()
        }
        own = self.adapters.weights(own, stage)
        reported = {name: value.detach().mean().reshape(1) for name, value in own.items()} | dict(numbers)
        level = noise_level(reported)
        if level is not None:
            reported["noise_level"] = level
        return {name: value.detach().flatten() for name, value in reported.items()}


def _start_of(image: Callable[[], Tensor], variance: Tensor | None = None) -> Start:
    return Start(image(), variance)


def run_denoiser(
    block: nn.Module, weights: dict[str, Tensor], z: Tensor, conditioning: Tensor | None, state: Any
) -> tuple[Tensor, Any]:
    """The denoiser `block` with `weights` in place of its own: one graph for all stages."""
    result: tuple[Tensor, Any] = functional_call(block, weights, (z, conditioning, state))
    return result


def new_step_parameters(config: NetworkConfig, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """The data steps' parameters as an adapter set stores them, "K/step/NAME" and "common/step/NAME"."""
    step = config.step
    if step.hyper_net:
        return {f"common/step/{name}": w for name, w in new_hyper_net(config.num_stages, generator).items()}
    starts = config.learned_starts
    tensors: dict[str, Tensor] = {}
    for stage in range(1, config.num_stages + 1):
        own = {}
        if config.estimated_step and step.size is not None:
            own = new_estimator(config.channels, generator)
            starts[step.size] = 1.0  # which an estimator adds to
        own |= {name: torch.full((1,), start) for name, start in starts.items()}
        tensors |= {f"{stage}/step/{name}": tensor for name, tensor in own.items()}
    return tensors

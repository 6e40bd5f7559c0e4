"""What decodes a measurement, and one step of it as every decoder reports it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

from torch import Tensor

from .measurement import Measurement

CITATION = (  # of the method that all trained sets follow; README has the same line
    "X. Wang, H. Zeng, B. Sun, J. Cao, K. Zhang, Q. Shen, and Y. Chen, “Deep LoRA-Unfolding Networks for Image "
    "Restoration,” arXiv preprint, 2026."
)


@dataclass(frozen=True)
class Stage:
    """The state after stage `index`; 0 is the initial estimate.

    `image` is (B, C, H, W) on the decoder's device; `denoiser_input` the image the denoiser saw (z of Eq. 5), or None.
    `parameters` are the data step's (rho, lambda or mu) and the implied `noise_level` where the decoder has them.
    `method` is what the initial estimate is called, `passed_on` what a `Resumable` decoder hands on beside the image,
    `executed` how a network was: in which precision, by which path.
    """

    index: int
    image: Tensor
    denoiser_input: Tensor | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    method: str = ""
    passed_on: Any = None
    executed: tuple[str, str] | None = None


@dataclass(frozen=True)
class StartStep:
    """How far the start is, before there is a stage 0: `iteration` of `num_iterations` of a method, by its title.

    Both are 0 where the method does not iterate. A stage behind it takes about `stage_in_iterations` as long as an
    iteration on a processor, where that is known.
    """

    method: str
    iteration: int = 0
    num_iterations: int = 0
    stage_in_iterations: float | None = field(default=None, compare=False)

    @property
    def words(self) -> str:
        """As "Start: subspace TV, iteration 34 of 80"."""
        counted = f", iteration {self.iteration} of {self.num_iterations}" if self.num_iterations else ""
        return f"Start: {self.method}{counted}"


class WithoutWeights:
    """What decoders have in common that take any operator of their task and measurements in the unit of the image."""

    step_name: ClassVar[str] = "iteration"

    def fitted(self, measurement: Measurement) -> Self:
        """Itself."""
        return self

    def input_scale(self, measurement: Measurement) -> float:
        """1: measurements are in the unit of the image."""
        return 1.0


class Decoder(Protocol):
    """Anything that turns a measurement into images stage by stage: a trained model or a classical algorithm."""

    @property
    def name(self) -> str:
        """As `--adapter` takes it."""

    @property
    def task(self) -> str:
        """The task whose measurements it decodes."""

    @property
    def num_stages(self) -> int:
        """K, unless the user asks for another number."""

    @property
    def step_name(self) -> str:
        """What people call what it yields one after the other: in singular: a stage of a network, an iteration."""

    def fitted(self, measurement: Measurement) -> Decoder:
        """This decoder made ready for the measurement's bands; a LorunError that says why it cannot be."""

    def input_scale(self, measurement: Measurement) -> float:
        """The factor a of the engine's input a*y, by this decoder's rule."""

    def stages(self, y: Tensor, physics: Any, *, num_stages: int) -> Iterator[Stage]:
        """With the operator of its task: stage 0 (the initial estimate), then one Stage per stage."""


@runtime_checkable
class Resumable(Protocol):
    """A decoder that tells of its start while it is computed, and that goes on from any stage that was kept."""

    def require(self, num_stages: int, physics: Any) -> None:
        """Raises a LorunError where so many stages cannot be computed."""

    def on(self, device: str) -> Self:
        """This decoder on a device."""

    def sparing(self) -> Self | None:
        """This decoder in as little memory as it can do with; None where it is that already."""

    def depends_on(self, stage: int) -> tuple[object, ...]:
        """What a stage, 0 for the start, depends on beside the measurement and the stage before it.

        Numbers, names, tensors, and tuples, mappings and dataclasses of them; on the host before `on`.
        """

    def start(self, y: Tensor, physics: Any) -> Generator[StartStep, None, Stage]:
        """Yields the iterations of the start; returns stage 0."""

    def stages_after(self, reached: Stage, y: Tensor, physics: Any, *, num_stages: int) -> Iterator[Stage]:
        """The stages behind one that was reached, up to `num_stages`."""


Returned = TypeVar("Returned")


def returned(steps: Generator[Any, None, Returned]) -> Returned:
    """What a generator returns, once it has come to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Returned = end.value
            return result


def scale_for(decoder: Decoder, measurement: Measurement) -> float:
    """The factor a of the engine's input a*y: the one that is fixed for the measurement, else by the decoder's rule."""
    fixed = measurement.input_scale
    return decoder.input_scale(measurement) if fixed is None else fixed

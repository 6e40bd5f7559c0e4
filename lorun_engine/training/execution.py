"""How the steps of a training are computed: precision, memory layout and threads, chosen where the recipe says "auto".

A few real gradients are timed on this machine before the first step: with one thread and with all, in float32 plain and
channels last, and in bfloat16 channels last where the processor computes that. Neither the weights nor the random
numbers are changed by it, and the choice stays for the whole training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..decoding.execution import seconds_of_convolutions, why_not_compiled
from ..training_data.dataset import Sample
from .learning import gradients
from .pool import StartPool
from .recipe import AUTO, Precision, Recipe
from .state import TrainingState

_WORTH = 0.9  # of the time of what is simpler, at most
_HOPELESS = 3.0  # times the quickest: not timed again
_TIMED = 2  # after one that is not
_ENOUGH_S = 2.0  # for one way: long steps are timed once


@dataclass(frozen=True)
class Way:
    """One way to compute a step; `threads` is 0 where nobody chose a number."""

    precision: Precision = "float32"
    channels_last: bool = False
    threads: int = 0

    def __str__(self) -> str:
        layout = " channels last" if self.channels_last else ""
        threads = f" on {self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else ""
        return f"{self.precision}{layout}{threads}"

    def of(self, recipe: Recipe) -> Recipe:
        """The recipe computed this way."""
        training = replace(
            recipe.training, precision=self.precision, channels_last=self.channels_last, threads=self.threads
        )
        return replace(recipe, training=training)


def way_of(recipe: Recipe) -> Way:
    """How the steps of a recipe are computed."""
    training = recipe.training
    return Way(training.precision, training.channels_last, training.threads)


def settle(state: TrainingState, pool: StartPool) -> str | None:
    """Replaces what the state's recipe leaves open by what is quickest here, and says so; None where nothing is open.

    From then on the process has the recipe's threads. Nothing else of the state is changed.
    """
    message = None
    training = state.recipe.training
    if training.compiled and (reason := why_not_compiled(state.device.type)):
        state.recipe = replace(state.recipe, training=replace(training, compiled=False))
        message = f"The network cannot be compiled here ({reason}); it is computed as it is."
    if state.recipe.training.precision == AUTO:
        way, said = _of_a_gpu(state) if state.device.type != "cpu" else _of_this_processor(state, pool)
        state.recipe, message = way.of(state.recipe), said if message is None else f"{message} {said}"
    if state.recipe.training.threads:
        torch.set_num_threads(state.recipe.training.threads)
    return message


def _of_a_gpu(state: TrainingState) -> tuple[Way, str]:
    """What GPUs with bfloat16 are made for, else the plain way."""
    training = state.recipe.training
    has_bfloat16 = state.device.type == "cuda" and torch.cuda.is_bf16_supported()
    way = Way("bfloat16", True, training.threads) if has_bfloat16 else Way("float32", False, training.threads)
    return way, f"This training is computed in {way}, as is usual on such a GPU."


def _of_this_processor(state: TrainingState, pool: StartPool) -> tuple[Way, str]:
    """The quickest way of a processor, by the same batch in each."""
    recipe, drawn = state.recipe, state.generator.get_state()
    training = recipe.training
    plain = Way("float32", training.channels_last, training.threads or 1)
    seconds: dict[Way, float] = {}

    def is_worth(way: Way, *, than: Way) -> bool:
        state.recipe = way.of(recipe)
        seconds[way] = seconds_of(state, sample, limit_s=_HOPELESS * min(seconds.values(), default=math.inf))
        return than in seconds and seconds[way] <= _WORTH * seconds[than]

    most = torch.get_num_threads()
    try:
        sample = pool.sample(state.generator, state.course.step)
        is_worth(plain, than=plain)
        if not training.threads and most > 1:
            together = replace(plain, threads=most)
            plain = together if is_worth(together, than=plain) else plain
        way, channels_last = plain, replace(plain, channels_last=True)
        if not plain.channels_last and is_worth(channels_last, than=plain):
            way = channels_last
        torch.set_num_threads(plain.threads)
        has_bfloat16 = computes_bfloat16(state)
        half = replace(channels_last, precision="bfloat16")
        if has_bfloat16 and is_worth(half, than=plain) and seconds[half] < seconds[way]:
            way = half
    finally:
        torch.set_num_threads(most)
        state.recipe = recipe
        state.generator.set_state(drawn)
        state.learned.optimizer.zero_grad(set_to_none=True)
    figures = ", ".join(f"{figure:.3g} s in {tried}" for tried, figure in seconds.items())
    without = "" if has_bfloat16 else "; bfloat16 is slower than float32 on this processor"
    return way, f"A step takes {figures}{without}. This training is computed in {way}."


def seconds_of(state: TrainingState, sample: Sample, *, limit_s: float) -> float:
    """Seconds for the gradients of a batch as the state's recipe computes them; over `limit_s` they are timed once."""
    torch.set_num_threads(state.recipe.training.threads)
    net = state.net()
    return _quickest(state, lambda: gradients(state, net, sample), limit_s=limit_s)


def computes_bfloat16(state: TrainingState) -> bool:
    """Whether a small convolution takes no longer in bfloat16 than in float32, on average over a team's processes."""
    single, half = (state.team.add_up(seconds, [torch.zeros(1)]) for seconds in seconds_of_convolutions())
    return half <= single


def _quickest(state: TrainingState, function: Callable[[], object], *, limit_s: float) -> float:
    """Seconds that the function takes, the least of a few calls, on average over the processes of a team."""
    seconds: list[float] = []
    while len(seconds) <= _TIMED and sum(seconds) < _ENOUGH_S and (not seconds or seconds[-1] <= limit_s):
        began = time.perf_counter()
        function()
        passed_s = (time.perf_counter() - began) / state.team.size
        seconds.append(state.team.add_up(passed_s, [torch.zeros(1)]))
    return min(seconds[1:] or seconds)

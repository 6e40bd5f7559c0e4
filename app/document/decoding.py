"""A decode as its recipe says. Everything here imports torch, so it is called in worker threads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lorun_engine.measurement import Measurement

from .pace import Step

if TYPE_CHECKING:
    from lorun_engine.decoder import Decoder
    from lorun_engine.decoding.kept import KeptStages
    from lorun_engine.decoding.restore import StageResult

    from .recipe import Recipe


def as_asked(decoder: Decoder, recipe: Recipe) -> Decoder:
    """A network in the precision of the recipe, with its strength of the adapters and without those it leaves out.

    A decoder without weights has nothing of the kind, and stays what it is.
    """
    from lorun_engine.decoding.execution import AUTO
    from lorun_engine.library.model import Model

    if not isinstance(decoder, Model):
        return decoder
    adapting = recipe.adapting
    adapters = decoder.adapters if adapting.scale == 1 else decoder.adapters.scaled(adapting.scale)
    for stage in adapting.ablated:
        adapters = adapters.ablated(stage)
    decoder = decoder if adapters is decoder.adapters else decoder.with_adapters(adapters)
    return decoder if recipe.precision is None else decoder.running(precision=recipe.precision, path=AUTO)


def decoded(
    decoder: Decoder,
    measurement: Measurement,
    recipe: Recipe,
    take: Callable[[StageResult], object],
    *,
    keep_denoiser_input: bool = False,
    kept: KeptStages | None = None,
) -> Iterator[Step]:
    """Decodes as the recipe says, hands every stage to `take`, and yields what is to be told of each step."""
    from lorun_engine.decoder import StartStep
    from lorun_engine.decoding.restore import restore_steps

    for found in restore_steps(
        decoder,
        measurement,
        num_stages=recipe.num_stages,
        device=recipe.device,
        threads=recipe.threads,
        keep_denoiser_input=keep_denoiser_input,
        kept=kept,
    ):
        if isinstance(found, StartStep):
            yield Step(time.monotonic(), start=found)
        else:
            take(found)
            yield Step(time.monotonic(), found.index, is_reused=found.is_reused)

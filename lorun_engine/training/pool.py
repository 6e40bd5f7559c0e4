"""A pool of samples with their initial estimates: each is computed once and learned from several times.

An estimate takes as long as a step of the network or longer; the pool makes it a small part of a training. Batch number
n is drawn with a generator of its own, so that a training that was interrupted finds the same batches again, whatever
was lost with the pool.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..networks.unfolding import DenoiserView, UnfoldingNet
from ..training_data.dataset import Sample, Sampler

_FIRST = 16  # batches that the first steps draw from


class StartPool:
    """Draws batches of `sampler` with the initial estimate of `net`, each for about `uses` steps; `size` at most.

    Without a `size` every batch is new and comes without an estimate.
    """

    def __init__(
        self,
        sampler: Sampler,
        net: UnfoldingNet,
        *,
        seed: int,
        size: int,
        uses: int,
        device: torch.device | str,
        view: DenoiserView | None = None,
    ) -> None:
        self._sampler, self._net, self._view, self._device = sampler, net, view, device
        self._seed, self._size, self._uses = seed, size, uses
        self._batches: dict[int, Sample] = {}

    def sample(self, generator: torch.Generator, step: int) -> Sample:
        """The batch of `step` (from 0); the generator chooses among those that the pool holds by then."""
        if not self._size:
            return self._sampler.sample(generator)
        newest = _FIRST + step // self._uses
        oldest = max(0, newest - self._size)
        number = int(torch.randint(oldest, newest, (), device=generator.device, generator=generator))
        for gone in [known for known in self._batches if known < oldest]:
            del self._batches[gone]
        if number not in self._batches:
            self._batches[number] = self._made(number)
        return _cast(self._batches[number], torch.float32)

    def _made(self, number: int) -> Sample:
        """Batch `number`, with scenes and estimates in 16 bits."""
        generator = torch.Generator(self._device).manual_seed((self._seed << 32) + number)
        sample = self._sampler.sample(generator)
        start = self._net.initial(sample.y, sample.physics, view=self._view)
        return _cast(replace(sample, start=start.image, variance=start.variance), torch.float16)


def _cast(sample: Sample, dtype: torch.dtype) -> Sample:
    start: Tensor | None = sample.start
    return replace(sample, scene=sample.scene.to(dtype), start=None if start is None else start.to(dtype))

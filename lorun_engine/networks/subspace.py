"""The initial estimate "subspace-tv" of sets that were trained with it; newer ones start from `tasks.subspace_tv`.

Accelerated GAP (see `tasks.gap_tv`) with momentum in the space of spectral components, total variation on every
coefficient with the weight its variance asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from ..physics import LinearPhysics
from ..tasks.gap_tv import denoise_tv_chambolle
from ..tasks.subspace import from_coefficients, subspace_basis, to_coefficients

_WEIGHT = 0.15  # of total variation on the first coefficient; chosen on the validation windows
_MOMENTUM = 0.5
_INNER_ITERATIONS = 5
# Added to phi, as a share of its mean. Few bands reach the ends of the detector, and on real captures light from beside
# the scene does too; without this two bright columns stand there (34 times as bright as the scene on a TSA-Net capture,
# 6 times with it; 0.03 dB lower on the validation windows, which have no such light).
_LEAST_LIGHT = 0.05


@torch.no_grad()
def subspace_tv(
    y: Tensor, physics: LinearPhysics, components: Tensor, *, rank: int, num_iterations: int
) -> Iterator[Callable[[], Tensor]]:
    """Total variation on the coefficients of `rank` spectral components.

    Yields what makes the estimate (B, C, H, W) of the scene of y: at its beginning, and after every iteration.
    """
    basis, scales = subspace_basis(components, rank)
    weights = _WEIGHT * scales[0] / scales  # noise is equal in all coefficients: weak ones need more smoothing
    gram = physics.gram()
    gram = gram + _LEAST_LIGHT * gram.mean()

    # coefficients are kept in units of their weights, so that one weight of 1 serves all
    def shown(c: Tensor) -> Tensor:
        return from_coefficients(c, basis * weights)

    def seen(rest: Tensor) -> Tensor:
        return to_coefficients(physics.adjoint(rest / gram), basis / weights)

    coefficients = before = seen(y)
    accumulated = y  # y plus everything that was not yet explained
    yield partial(shown, coefficients)
    for _ in range(num_iterations):
        ahead = coefficients + _MOMENTUM * (coefficients - before)
        before = coefficients
        phi_x = physics.forward(shown(ahead))
        accumulated = accumulated + (y - phi_x)
        coefficients = denoise_tv_chambolle(ahead + seen(accumulated - phi_x), 1.0, _INNER_ITERATIONS)
        yield partial(shown, coefficients)

"""What an adapter set changes, as tables and matrices to look at: energies and ranks, and the change dW of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..networks.lora import energies
from .model import Model


@dataclass(frozen=True)
class ChangeTable:
    """What every stage changes at every layer, in the network's order of layers.

    `ratios` (K, L) is ||dW|| / ||W|| in the Frobenius norm: NaN where a stage leaves the layer alone, infinite where
    the backbone's weight is zero. `effective_ranks` (K, L) is the effective rank of dW (see `lora.LayerEnergy`), NaN
    for full differences; `ranks` (L,) is the rank that A and B have room for, 0 for full differences.
    """

    layers: tuple[str, ...]
    ratios: np.ndarray
    effective_ranks: np.ndarray
    ranks: np.ndarray

    @property
    def num_stages(self) -> int:
        """K."""
        return len(self.ratios)

    @property
    def is_zero(self) -> bool:
        """Whether no stage changes anything."""
        return not np.nansum(self.ratios)


def change_table(model: Model) -> ChangeTable:
    """The energies and ranks of the model's set, its scales applied."""
    backbone, adapters = model.net.backbone.block_weights(1), model.adapters
    rows = energies(adapters, backbone)
    changed = {row.layer for row in rows}
    layers = tuple(name for name in backbone if name in changed)
    ratios = np.full((model.num_stages, len(layers)), np.nan)
    effective_ranks, ranks = ratios.copy(), np.zeros(len(layers), int)
    for row in rows:
        place = row.stage - 1, layers.index(row.layer)
        ratios[place] = row.ratio
        a = adapters.tensors.get(f"{row.stage}/{row.layer}/A")
        if a is not None:
            effective_ranks[place], ranks[place[1]] = row.effective_rank, a.shape[1]
    return ChangeTable(layers, ratios, effective_ranks, ranks)


def changes_of_layer(model: Model, layer: str) -> list[np.ndarray | None]:
    """dW of a layer as a matrix for every stage, scales applied; None where a stage leaves the layer alone.

    A product A B is shown as it is stored, (Cout k, Cin k); other kernels have a row for each first index, and what has
    one dimension is a single row.
    """
    backbone, matrices = model.net.backbone.block_weights(1), []
    for stage, scale in enumerate(model.adapters.scales, start=1):
        change = dict(model.adapters.differences(stage, backbone)).get(layer)
        a = model.adapters.tensors.get(f"{stage}/{layer}/A")
        if a is not None:
            change = a @ model.adapters.tensors[f"{stage}/{layer}/B"]
        matrices.append(None if change is None else scale * _as_matrix(change).numpy())
    return matrices


def _as_matrix(change: Tensor) -> Tensor:
    change = change.detach().float().cpu()
    return change.reshape(1, -1) if change.dim() < 2 else change.reshape(len(change), -1)

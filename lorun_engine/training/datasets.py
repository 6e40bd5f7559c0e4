"""The training samples of every task: the settings of a recipe's [data] table, and what draws from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from ..training_data.cassi import CassiData, cassi_training_set
from ..training_data.dataset import Material, TrainingSet
from ..training_data.sr import CsData, SrData, cs_training_set, sr_training_set

if TYPE_CHECKING:
    from .recipe import Recipe

DATA: dict[str, type] = {"cassi": CassiData, "cs": CsData, "sr": SrData}

_TRAINING_SETS: dict[str, Callable[[Material, Recipe], TrainingSet]] = {
    "cassi": lambda material, recipe: cassi_training_set(material, recipe.data, bands=recipe.bands, step=recipe.step),
    "cs": lambda material, recipe: cs_training_set(material, recipe.data),
    "sr": lambda material, recipe: sr_training_set(material, recipe.data),
}


def initial_sampling(recipe: Recipe) -> Tensor | None:
    """The matrix Phi that a training of this recipe starts to learn; None where it learns none."""
    data = recipe.data
    if not isinstance(data, CsData) or not data.learn_sampling:
        return None
    return data.initial_sampling()


def training_set(material: Material, recipe: Recipe) -> TrainingSet:
    """The samples and the validation of a recipe, on the CPU."""
    return _TRAINING_SETS[recipe.task](material, recipe)

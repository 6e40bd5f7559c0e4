"""The [data] tables of recipes: what a sample of each task, and of an adaptation, is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import LorunError
from ..tasks import cs


@dataclass(frozen=True)
class CassiData:
    """What a sample is drawn from.

    `crop` is height x width, `batch` samples a step. `real_share` of the scenes are cut from measured cubes, the others
    composed. A share `varied` of the measured ones has its spectra moved and stretched along the bands and is relit by
    a ratio of two measured lights. `validation` names cubes that are not trained on, whole or with ":lower" for their
    lower half; where none of them is found it is the lower half of the last cube; empty holds nothing out. At most
    `validation_windows` of their windows are decoded, if not 0, without noise and, if not 0, with shot noise of
    `validation_electrons` at the peak. Masks: a share `measured_masks` is cut from mask files, the rest is random;
    `upright_masks` of the measured ones keep their orientation; in half of the samples the mask that the network is
    told differs from the true one by up to `mask_error` (relative). Noise: `gaussian_share` of the samples get sigma up
    to `largest_sigma` (0..1 scale), `shot_share` at least `fewest_electrons` at the peak. For a share `displaced_share`
    the true mask lies up to `largest_shift` pixels beside the one that is told, blurred by (standard deviation) 0.1 to
    0.1 + `largest_blur` pixels. A share `other_steps` of the batches is dispersed by 1, 3 or 4 pixels a band instead of
    the set's own step. Random binary masks are open for a share between `densities`.
    """

    crop: tuple[int, int] = (32, 256)
    batch: int = 4
    real_share: float = 0.5
    zoom: tuple[float, float] = (0.6, 1.6)
    varied: float = 0.0
    validation: tuple[str, ...] = ("cave_feathers_crop150", "cave_stuffed_toys:lower")
    validation_windows: int = 0
    validation_electrons: float = 0.0
    measured_masks: float = 0.7
    upright_masks: float = 0.5
    mask_error: float = 0.0
    gaussian_share: float = 0.0
    largest_sigma: float = 0.05
    shot_share: float = 0.0
    fewest_electrons: float = 200.0
    displaced_share: float = 0.0
    largest_shift: float = 0.1
    largest_blur: float = 0.15
    photographs: int = 400
    other_steps: float = 0.0
    densities: tuple[float, float] = (0.3, 0.7)


@dataclass(frozen=True)
class CsData:
    """What a CS sample is drawn from: grey crops (height x width), `batch` a step, zoomed by up to `zoom`.

    Phi has floor(`ratio` % of block_size^2) orthonormal rows, drawn from `sampling_seed` or, with `sampling_start`
    "cosine", the lowest cosines of a block; `learn_sampling` trains it. Of the validation pictures the first
    `validation` are used.
    """

    crop: tuple[int, int] = (96, 96)
    batch: int = 8
    zoom: tuple[float, float] = (0.6, 1.6)
    ratio: float = 25.0
    block_size: int = 32
    learn_sampling: bool = True
    sampling_start: str = "random"
    sampling_seed: int = 0
    validation: int = 8

    def __post_init__(self) -> None:
        if self.sampling_start not in ("random", "cosine"):
            raise LorunError(f"sampling_start is {self.sampling_start!r}; random or cosine was expected.")

    def initial_sampling(self) -> Tensor:
        """The matrix (M, N) before it is learned."""
        if self.sampling_start == "cosine":
            return torch.from_numpy(cs.cosine_sampling(self.ratio, block_size=self.block_size))
        return torch.from_numpy(cs.random_sampling(self.ratio, block_size=self.block_size, seed=self.sampling_seed))


@dataclass(frozen=True)
class SrData:
    """What an SR sample is drawn from: crops, `batch` a step, one factor of `scales` a batch, random kernels.

    Crops are in colour, or with `grey` their luma.

    A share `noise_share` of the samples has Gaussian noise up to `largest_sigma`. With `eight_bit` half of the images
    are rounded to 8 bits and half cut down to them, as the published protocol does. Of the validation pictures the
    first `validation` are used, at every factor.
    """

    crop: tuple[int, int] = (96, 96)
    batch: int = 16
    zoom: tuple[float, float] = (0.6, 1.6)
    scales: tuple[int, ...] = (2, 3, 4)
    kernel_size: int = 25
    grey: bool = False
    noise_share: float = 0.0
    largest_sigma: float = 25 / 255
    eight_bit: bool = False
    validation: int = 4


@dataclass(frozen=True)
class LocalData:
    """What a sample of an adaptation is drawn from.

    `crop` is across x along the dispersion (CASSI) or height x width, at most the mask's size; `batch` samples a step.
    Scenes are zoomed by `zoom` and, cubes, relit in half of the cases; a share `built_in` is computed instead. A share
    `random_masks` of the CASSI samples has another mask than the user's. Of the withheld scenes `check_windows` windows
    of `check_size` are scored. Captures alone: `withheld` of the values are predicted, and `equivariance` weighs the
    error of moved scenes.
    """

    crop: tuple[int, int] = (32, 192)
    batch: int = 2
    zoom: tuple[float, float] = (0.7, 1.4)
    built_in: float = 0.3
    random_masks: float = 0.0
    check_windows: int = 4
    check_size: tuple[int, int] = (96, 256)
    withheld: float = 0.04
    equivariance: float = 1.0

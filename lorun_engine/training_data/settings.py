"""The [data] tables of recipes: what a sample of each task, and of an adaptation, is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..schema import Between, Count, NotNegative, Number, Percent, Positive, Seed, Share, Size, require
from ..tasks import cs

Factor = Annotated[int, Between(1, 16)]
KernelSize = Annotated[int, Between(1, 255)]
BlockSize = Annotated[int, Between(2, 64)]
Batch = Annotated[int, Between(1, 4096)]


class _Checked:
    """What the tables have in common: none holds a value that its annotation does not allow."""

    def __post_init__(self) -> None:
        require(self)


@dataclass(frozen=True)
class CassiData(_Checked):
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
    the set's own step. Random binary masks are open for a share between `densities`. Where they are `guided`, a second
    camera takes a guide of every scene.
    """

    crop: tuple[Size, Size] = (32, 256)
    batch: Batch = 4
    real_share: Share = 0.5
    zoom: tuple[Positive, Positive] = (0.6, 1.6)
    varied: Share = 0.0
    validation: tuple[str, ...] = ("cave_feathers_crop150", "cave_stuffed_toys:lower")
    validation_windows: Number = 0
    validation_electrons: NotNegative = 0.0
    measured_masks: Share = 0.7
    upright_masks: Share = 0.5
    mask_error: Share = 0.0
    gaussian_share: Share = 0.0
    largest_sigma: NotNegative = 0.05
    shot_share: Share = 0.0
    fewest_electrons: Positive = 200.0
    displaced_share: Share = 0.0
    largest_shift: NotNegative = 0.1
    largest_blur: NotNegative = 0.15
    photographs: Number = 400
    other_steps: Share = 0.0
    densities: tuple[Share, Share] = (0.3, 0.7)
    guided: bool = False


@dataclass(frozen=True)
class CsData(_Checked):
    """What a CS sample is drawn from: grey crops (height x width), `batch` a step, zoomed by up to `zoom`.

    Phi has floor(`ratio` % of block_size^2) orthonormal rows, drawn from `sampling_seed` or, with `sampling_start`
    "cosine", the lowest cosines of a block; `learn_sampling` trains it. Of the validation pictures the first
    `validation` are used.
    """

    crop: tuple[Size, Size] = (96, 96)
    batch: Batch = 8
    zoom: tuple[Positive, Positive] = (0.6, 1.6)
    ratio: Percent = 25.0
    block_size: BlockSize = 32
    learn_sampling: bool = True
    sampling_start: Literal["random", "cosine"] = "random"
    sampling_seed: Seed = 0
    validation: Number = 8

    def initial_sampling(self) -> Tensor:
        """The matrix (M, N) before it is learned."""
        if self.sampling_start == "cosine":
            return torch.from_numpy(cs.cosine_sampling(self.ratio, block_size=self.block_size))
        return torch.from_numpy(cs.random_sampling(self.ratio, block_size=self.block_size, seed=self.sampling_seed))


@dataclass(frozen=True)
class SrData(_Checked):
    """What an SR sample is drawn from: crops, `batch` a step, one factor of `scales` a batch, random kernels.

    Crops are in colour, or with `grey` their luma.

    A share `noise_share` of the samples has Gaussian noise up to `largest_sigma`. With `eight_bit` half of the images
    are rounded to 8 bits and half cut down to them, as the published protocol does. Of the validation pictures the
    first `validation` are used, at every factor.
    """

    crop: tuple[Size, Size] = (96, 96)
    batch: Batch = 16
    zoom: tuple[Positive, Positive] = (0.6, 1.6)
    scales: tuple[Factor, ...] = (2, 3, 4)
    kernel_size: KernelSize = 25
    grey: bool = False
    noise_share: Share = 0.0
    largest_sigma: NotNegative = 25 / 255
    eight_bit: bool = False
    validation: Number = 4


@dataclass(frozen=True)
class LowLightData(_Checked):
    """What a low-light sample is drawn from: crops (height x width), `batch` a step, zoomed by up to `zoom`.

    A share `paired` of the samples is cut from pairs of a dark and a bright picture, the others from photographs that
    are darkened: an exposure between `exposures`, a gamma between `gammas`, at least `fewest_electrons` at white and a
    read noise of up to `largest_read_noise`, rounded to 8 bits. `validation` names pairs, by the stems of their files,
    that are not learned from: those of whole scenes. Where none of them is there it is the last tenth of the pairs, in
    the order of their names; without pairs the first `validation_photographs` of those kept back.
    """

    crop: tuple[Size, Size] = (128, 128)
    batch: Batch = 4
    zoom: tuple[Positive, Positive] = (1.0, 3.0)
    paired: Share = 0.6
    exposures: tuple[Positive, Positive] = (0.08, 0.4)
    gammas: tuple[Positive, Positive] = (1.0, 2.2)
    fewest_electrons: Positive = 500.0
    largest_read_noise: NotNegative = 0.02
    validation: tuple[str, ...] = ()
    validation_photographs: Number = 4


@dataclass(frozen=True)
class LocalData(_Checked):
    """What a sample of an adaptation is drawn from.

    `crop` is across x along the dispersion (CASSI) or height x width, at most the mask's size; `batch` samples a step.
    Scenes are zoomed by `zoom` and, cubes, relit in half of the cases; a share `built_in` is computed instead. A share
    `random_masks` of the CASSI samples has another mask than the user's. Of the withheld scenes `check_windows` windows
    of `check_size` are scored. Captures alone: `withheld` of the values are predicted, and `equivariance` weighs the
    error of moved scenes.
    """

    crop: tuple[Size, Size] = (32, 192)
    batch: Batch = 2
    zoom: tuple[Positive, Positive] = (0.7, 1.4)
    built_in: Share = 0.3
    random_masks: Share = 0.0
    check_windows: Count = 4
    check_size: tuple[Size, Size] = (96, 256)
    withheld: Share = 0.04
    equivariance: NotNegative = 1.0

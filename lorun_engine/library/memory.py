"""How much memory a decode takes, before it begins: a prediction from sizes alone.

It counts what lives at the same time: whole images, the features that pass from stage to stage, and what the denoiser
holds of the rows that it sees at once. The factors were measured (tests/benchmarks/test_memory.py; trained sets and
GAP-TV took 0.7 to 1.1 times what is said); where nobody has, nothing is said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ..networks.denoisers import denoiser_config
from ..networks.denoisers.retinex import RetinexConfig
from ..networks.denoisers.spectral import SpectralConfig
from ..networks.denoisers.unet import UNetConfig
from ..networks.strips import rows_of
from ..physics import Physics
from .model import Model

if TYPE_CHECKING:
    from ..decoder import Decoder

_FLOAT = 4  # bytes
_ALWAYS = 100e6  # bytes, of many small things
_IMAGES = 5.5  # of a network: what goes into its denoiser and comes out, the start's rest, and the last result
_IMAGES_OF = {"gap-tv": 5.5, "subspace-tv": 8.0, "tikhonov": 11.0, "retinex": 6.0}  # decoders without weights
_IMAGES_OF_OPERATOR = {"sr": 6.0}  # complex spectra
_WIDTHS_OF_UNET, _CHANNELS_OF_SPECTRAL = 10.0, 18.0  # features of the finest level at the same time


class _Features(NamedTuple):
    """Numbers a pixel: that a stage hands on, and that its denoiser holds at the same time."""

    kept: float
    at_once: float


def bytes_needed(decoder: Decoder, physics: Physics) -> int | None:
    """Bytes that a decode takes at its most beside what was opened; None where that is not known."""
    channels, height, width = physics.scene_shape
    images = _IMAGES_OF_OPERATOR.get(physics.task, 0.0)
    features = _Features(0.0, 0.0)
    pixels = seen = height * width
    if isinstance(decoder, Model):
        config = decoder.net.config
        found = _features(denoiser_config(config.denoiser, config.denoiser_channels, config.denoiser_settings))
        if found is None:
            return None
        features, images = found, images + _IMAGES
        across, along = (width, height) if physics.is_transposed else (height, width)
        rows = rows_of(decoder.net.tile, (across, along), config.reach)
        if rows is not None and config.reach is not None:
            seen = min(pixels, (rows + 2 * config.reach.margin) * along)
    elif decoder.name in _IMAGES_OF:
        images = _IMAGES_OF[decoder.name]
    else:
        return None
    floats = pixels * ((channels + physics.num_lights) * images + 2 * features.kept) + seen * features.at_once
    return math.ceil(_FLOAT * floats + _ALWAYS)


def _features(config: object) -> _Features | None:
    """Those of a denoiser, None of one that was not measured."""
    match config:
        case UNetConfig() | RetinexConfig(network="unet"):
            of_pixel = config.widths[0] / config.patch**2
            return _Features(of_pixel if config.remembers else 0.0, _WIDTHS_OF_UNET * of_pixel)
        case SpectralConfig():
            return _Features(0.0, _CHANNELS_OF_SPECTRAL * config.channels)
    return None

"""The denoisers (proximal mapping modules) an unfolding network can be built from, by name.

A denoiser is a module `(z, conditioning, state) -> (x, state)`: z and x are (B, C, H, W), `conditioning` is what the
task offers beside z (the mask of a CASSI camera, (1 or B, C, H, W)) or None, `state` is what a denoiser hands on to the
next stage, None for most. It has a frozen config that rebuilds it, and sees any image size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import nn

from ..errors import ModelError
from .spectral import SpectralConfig, SpectralDenoiser
from .unet import UNet, UNetConfig

DENOISERS: dict[str, tuple[type, type[nn.Module]]] = {
    "spectral": (SpectralConfig, SpectralDenoiser),
    "unet": (UNetConfig, UNet),
}


def build_denoiser(name: str, channels: int, settings: Mapping[str, Any]) -> nn.Module:
    """The denoiser `name` for `channels` bands; `settings` are fields of its config that differ from the default."""
    if name not in DENOISERS:
        raise ModelError(f"The denoiser {name!r} is not known; this version has {', '.join(sorted(DENOISERS))}.")
    config_class, denoiser_class = DENOISERS[name]
    known = {field.name for field in fields(config_class)} - {"channels"}
    unknown = set(settings) - known
    if unknown:
        raise ModelError(
            f"The denoiser {name} has no setting {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
        )
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return denoiser_class(config_class(channels=channels, **settings))

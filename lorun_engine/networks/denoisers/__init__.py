"""The denoisers (proximal mapping modules) an unfolding network can be built from, by name.

A denoiser is a module `(z, conditioning, state) -> (x, state)`: z and x are (B, C, H, W), and sizes are free. Its
frozen config rebuilds it and says in `sees` what `conditioning` is: "mask", what the task offers beside z, (1 or B, C,
H, W), or None; "noise", the noise level of a stage, and "level", that of the capture, (1 or B, 1, 1, 1); "dual", the
Phi^T d of the primal-dual step, (B, C, H, W); "light", none, but z and x have the light as one plane more.
`state` is what a denoiser hands on to the next stage, None for most; a denoiser with a head has a named tuple.
`reach` is how far it sees (see `layers.Reach`), None where that is the whole image; a state is one tensor then or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ...errors import ModelError
from ...schema import read
from .dualpath import DualPath, DualPathConfig, DualPathHead, DualPathTail
from .mamba import Mamba, MambaConfig
from .resunet import ResUNet, ResUNetConfig
from .retinex import RetinexConfig, RetinexPriors
from .spectral import SpectralConfig, SpectralDenoiser
from .transformer import Transformer, TransformerConfig
from .unet import UNet, UNetConfig


@dataclass(frozen=True)
class Denoiser:
    """How a kind of denoiser is made.

    `head` makes the state that stage 1 starts from of the first image; `tail` makes the last image of every stage's
    image and first entry of its state. Both are common to all stages. `parameters` names the denoiser's own parameters
    that stand for a symbol of Eq. 5 to 8. `stage_in_iterations` says how long a stage takes on a processor, in
    iterations of the start that sets with this denoiser have, where that was measured.
    """

    config: type
    block: Callable[[Any], nn.Module]
    head: Callable[[Any], nn.Module] | None = None
    tail: Callable[[Any, int], nn.Module] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    stage_in_iterations: float | None = None


DENOISERS: dict[str, Denoiser] = {
    "spectral": Denoiser(SpectralConfig, SpectralDenoiser, stage_in_iterations=17.0),
    "unet": Denoiser(UNetConfig, UNet, stage_in_iterations=8.5),
    "resunet": Denoiser(ResUNetConfig, ResUNet),
    "retinex": Denoiser(RetinexConfig, RetinexPriors),
    "transformer": Denoiser(TransformerConfig, Transformer),
    "mamba": Denoiser(MambaConfig, Mamba),
    "dual-path": Denoiser(
        DualPathConfig, DualPath, DualPathHead, DualPathTail, parameters={"rho": "rho", "lambda": "threshold"}
    ),
}


def denoiser_config(name: str, channels: int, settings: Mapping[str, Any]) -> Any:
    """The config of the denoiser `name` for `channels` bands; `settings` are the fields that are not the default."""
    if name not in DENOISERS:
        raise ModelError(f"The denoiser {name!r} is not known; this version has {', '.join(sorted(DENOISERS))}.")
    table = {**settings, "channels": channels}
    return read(DENOISERS[name].config, table, source=f"The denoiser {name}", remedy="Correct it.", error=ModelError)


def build_denoiser(name: str, channels: int, settings: Mapping[str, Any]) -> nn.Module:
    """The denoiser `name` of one stage for `channels` bands."""
    config = denoiser_config(name, channels, settings)
    return DENOISERS[name].block(config)


def build_ends(
    name: str, channels: int, settings: Mapping[str, Any], *, num_stages: int
) -> tuple[nn.Module | None, nn.Module | None]:
    """The head and the tail that the denoiser `name` needs around `num_stages` stages, None where it has none."""
    kind, config = DENOISERS[name], denoiser_config(name, channels, settings)
    return kind.head and kind.head(config), kind.tail and kind.tail(config, num_stages)

"""Parameter counts and cost of every model of ours that the paper prints, from instantiated modules.

Nothing is computed: the modules live on the meta device. The paper's M is 2^20 in its table of the spectral network and
10^6 in the others. What a figure counts is said beside it; the paper's block diagrams are in its supplement, so that a
design can only be judged by whether its count is the printed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..library.model import count_parameters
from ..networks.lora import AdapterSet
from ..networks.unfolding import Backbone, NetworkConfig, UnfoldingNet, new_step_parameters

_GAMMA = 10  # percent
_PIXELS = 32 * 32  # of a block of compressive sensing
_SIZE = (256, 256)  # for which the cost is stated


@dataclass(frozen=True)
class PublishedModel:
    """A model of the paper's `table`: `config` builds its nine stages, `counted` says what its figures count.

    `figures` maps ("block" or "lorun", number of stages) to the paper's M, None where it prints none; `unit` is what M
    stands for. `sampling` is the shape of the learned Phi where that is counted.
    """

    table: str
    name: str
    config: NetworkConfig
    figures: Mapping[tuple[str, int], float | None]
    counted: str
    unit: str = "10^6"
    sampling: tuple[int, int] | None = None


def parameter_table() -> list[dict[str, Any]]:
    """One row per model, variant and number of stages: its count, the paper's, the unit, what is counted, the cost.

    `gmac` are the multiply-adds, in units of 10^9, of the convolutions and matrix products of all stages' denoisers,
    head, tail and estimators for one image of `size` (height, width); adapters add none once they are merged.
    """
    return [row for model in PUBLISHED for row in _rows(model)]


def multiply_adds(config: NetworkConfig, height: int, width: int) -> int:
    """The multiply-adds of the convolutions and matrix products of one pass; the physics is left out.

    All stages between the first and the last cost the same: one of them is counted for all.
    """
    last = config.num_stages
    times = {1: 1, last: 1} if last < 3 else {1: 1, 2: last - 2, last: 1}
    flops = 0
    with torch.device("meta"):
        backbone = Backbone(config).requires_grad_(False)
        net = UnfoldingNet(config, backbone, AdapterSet(last, new_step_parameters(config)))
        x, passage = torch.empty(1, config.channels, height, width), None
        conditioning = {"noise": torch.empty(1, 1, 1, 1), "dual": x}.get(config.denoiser_sees)
        for stage, num_alike in times.items():
            with FlopCounterMode(display=False) as counter:
                if config.estimated_step:
                    net.numbers(x, None, stage)
                x, passage = net.denoised(x, conditioning, passage, stage)
            flops += num_alike * int(counter.get_total_flops())
            left_out = passage.seen[-2:] * (num_alike - 1)  # image and features of each, for the tail
            passage = passage._replace(seen=(*passage.seen, *left_out))
    return flops // 2


def _rows(model: PublishedModel) -> Iterator[dict[str, Any]]:
    """The rows of one model; its cost is that of the shared denoiser, whichever the variant."""
    costs: dict[int, int] = {}
    for (variant, num_stages), paper in model.figures.items():
        shared = replace(model.config, num_stages=num_stages, num_blocks=1)
        if num_stages not in costs:
            costs[num_stages] = multiply_adds(shared, *_SIZE)
        config = replace(shared, num_blocks=num_stages) if variant == "block" else shared
        gamma = _GAMMA if variant == "lorun" else None
        yield {
            "table": model.table,
            "model": model.name,
            "variant": variant,
            "stages": num_stages,
            "gamma": gamma,
            "parameters": count_parameters(config, gamma=gamma, sampling=model.sampling),
            "paper": paper,
            "unit": model.unit,
            "counted": model.counted,
            "size": list(_SIZE),
            "gmac": round(costs[num_stages] / 1e9, 3),
        }


def _nine_stages(block: float, lorun: float) -> dict[tuple[str, int], float | None]:
    return {("block", 1): None, ("block", 9): block, ("lorun", 9): lorun}


_DUAL_PATH = NetworkConfig(1, 9, denoiser="dual-path", denoiser_settings={"dual_branch": True}, data_step="primal-dual")
_RESUNET = NetworkConfig(3, 9, denoiser="resunet", data_step="usrnet")

PUBLISHED: tuple[PublishedModel, ...] = (
    PublishedModel(
        "I",
        "cs dual-path",
        _DUAL_PATH,
        _nine_stages(15.96, 5.23),
        "denoisers, head, tail, primal-dual steps and Phi at 25 %",
        sampling=(256, _PIXELS),
    ),
    PublishedModel(
        "II",
        "cs transformer",
        NetworkConfig(1, 9, denoiser="transformer", data_step="proximal-gradient"),
        _nine_stages(0.10, 0.06),
        "denoisers and one rho per stage, without Phi",
    ),
    PublishedModel(
        "II",
        "cs u-net",
        NetworkConfig(1, 9, denoiser="unet", data_step="proximal-gradient"),
        _nine_stages(4.65, 1.42),
        "denoisers and one rho per stage, without Phi",
    ),
    PublishedModel(
        "III",
        "cassi spectral",
        NetworkConfig(28, 9, data_step="normalised-projection", estimated_step=True, initial="learned"),
        _nine_stages(5.18, 1.62),
        "denoisers, a step-size estimator per stage and the learned initial estimate",
        unit="2^20",
    ),
    PublishedModel(
        "IV",
        "cassi u-net",
        NetworkConfig(28, 9, denoiser="unet", denoiser_settings={"rectified": True}),
        _nine_stages(4.80, 1.43),
        "denoisers with a rectification block each and one mu per stage",
    ),
    PublishedModel(
        "V",
        "sr resunet",
        _RESUNET,
        _nine_stages(5.3, 1.96),
        "denoisers with a noise map and the hyper-parameter net",
    ),
    PublishedModel("VIII", "sr resunet", _RESUNET, {("block", 1): 0.59}, "denoiser and hyper-parameter net"),
    PublishedModel(
        "VIII",
        "sr resunet w/o GDM",
        replace(_RESUNET, data_step="none"),
        {("block", 1): 0.59},
        "denoiser and one lambda",
    ),
    PublishedModel(
        "IX",  # whose task and ratio the paper does not name; its figures are near those of 10 % in Table I
        "cs dual-path",
        _DUAL_PATH,
        {(variant, num_stages): None for num_stages in (1, 4, 9, 12) for variant in ("block", "lorun")},
        "denoisers, head, tail, primal-dual steps and Phi at 10 %",
        sampling=(102, _PIXELS),
    ),
)

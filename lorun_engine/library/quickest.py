"""How a network is executed where nobody says it: by what is quickest on this machine, tried once and remembered.

A few denoisings of a part of the first image are timed: contiguous tensors and channels last in float32, and channels
last in bfloat16 where the device computes that and the part comes out nearly as in float32. What won is remembered in a
file (see `decoding.execution`) by everything that it depends on, and stays for as long as that stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache, partial

import torch
from torch import Tensor

from ..decoding.execution import (
    AUTO,
    PATHS,
    PRECISIONS,
    Execution,
    choices_file,
    seconds_of,
    seconds_of_convolutions,
)
from ..errors import FileError
from ..io import replacing
from ..networks.unfolding import UnfoldingNet
from ..schema import json_of

_PART = 256  # pixels a side, at most
_SMALL = 128 * 128  # pixels: smaller images take no time worth a choice
_WORTH = 0.9  # of the time of what is simpler, at most
_LEAST_PSNR = 50.0  # dB between bfloat16 and float32: a restoration of 40 dB loses less than 0.02 dB by it
_known: dict[str, Execution] = {}  # of this process


@torch.no_grad()
def quickest(net: UnfoldingNet, image: Tensor, asked: Execution) -> Execution:
    """What `asked` leaves open, chosen for images like this one, (B, C, H, W) as the network sees them."""
    simplest, *others = asked.candidates()
    height, width = image.shape[-2:]
    if not others or height * width < _SMALL:
        return simplest
    top, left = max(0, height - _PART) // 2, max(0, width - _PART) // 2
    part = image[:1, :, top : top + _PART, left : left + _PART].contiguous()
    key = _key(net, part, asked)
    if key not in _known:
        _known[key] = _remembered().get(key) or _tried(net, part, asked)
        _remember(key)
    return _known[key]


def _tried(net: UnfoldingNet, part: Tensor, asked: Execution) -> Execution:
    """The quickest way for a part of an image; a simpler one where it takes hardly longer."""
    conditioning = part if net.config.denoiser_sees == "dual" else None
    chosen, least_s, plain = asked.candidates()[0], float("inf"), None
    for execution in asked.candidates():
        if asked.precision == AUTO and execution.precision == "bfloat16" and not _computes_bfloat16(part.device.type):
            continue
        run = partial(_denoised, net.executed(execution), part, conditioning)
        image = run()
        plain = image if plain is None else plain
        if asked.precision == AUTO and _psnr(image, plain) < _LEAST_PSNR:
            continue
        seconds = seconds_of(run)
        if seconds <= _WORTH * least_s:
            chosen, least_s = execution, seconds
    return chosen


def _denoised(net: UnfoldingNet, part: Tensor, conditioning: Tensor | None) -> Tensor:
    image, _ = net.denoised(part, conditioning, None, 1)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return image


def _psnr(image: Tensor, reference: Tensor) -> float:
    error = (image - reference).square().mean().clamp(min=1e-20)
    return float(10 * torch.log10(reference.abs().max().square() / error))


@cache
def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    single, half = seconds_of_convolutions()
    return half <= single


def _key(net: UnfoldingNet, part: Tensor, asked: Execution) -> str:
    """All that a choice depends on, as a line."""
    config = net.config
    device = part.device
    title = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    depends_on = {
        "torch": torch.__version__,
        "device": f"{device.type} {title}",
        "threads": torch.get_num_threads(),
        "denoiser": [config.denoiser, config.denoiser_channels, asdict(config)["denoiser_settings"]],
        "size": list(part.shape),
        "asked": asked,
    }
    return json.dumps(depends_on, sort_keys=True)


def _remembered() -> dict[str, Execution]:
    """What the file holds; nothing of what this version does not know."""
    path = choices_file()
    if path is None:
        return {}
    with suppress(OSError, ValueError):
        table = json_of(path.read_bytes())
        return dict(_understood(table)) if isinstance(table, dict) else {}
    return {}


def _understood(table: dict[str, object]) -> Iterator[tuple[str, Execution]]:
    for key, value in table.items():
        match value:
            case [str(precision), str(path)] if precision in PRECISIONS and path in PATHS:
                execution = Execution(precision, path)
                if not execution.is_open:
                    yield key, execution


def _remember(key: str) -> None:
    """Adds a choice to the file; where that cannot be written it is made again another time."""
    path = choices_file()
    if path is None:
        return
    with suppress(OSError, FileError):
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {**_remembered(), key: _known[key]}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(table, indent=1), encoding="utf-8")

"""Restoration as a generator: every stage is yielded once it exists, and a yield is where a cancel is honoured."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..decoder import Decoder, Stage, scale_for
from ..errors import DeviceError, LorunError, NumericalError
from ..measurement import Measurement
from .device import threads_of
from .metrics import score


@dataclass(frozen=True)
class StageResult:
    """One stage of a restoration, on the host.

    `index` 0 is the initial estimate. `image` is (C, H, W) float32, unclipped, in the unit of the opened file: the
    engine's image divided by `input_scale`. `residual` is ||y - Phi x|| / ||y||. `parameters` are the data step's;
    `metrics` (psnr in dB, ssim, and sam in degrees for cubes) exist when the measurement has a reference.
    """

    index: int
    image: np.ndarray
    residual: float
    seconds: float
    input_scale: float = 1.0
    denoiser_input: np.ndarray | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    def without_images(self) -> StageResult:
        """The figures alone; nothing of it keeps a cube in memory, as an empty view would."""
        return replace(self, image=np.empty((0, 0, 0), np.float32), denoiser_input=None)


@torch.no_grad()
def restore(
    decoder: Decoder,
    measurement: Measurement,
    *,
    num_stages: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
    keep_denoiser_input: bool = False,
) -> Iterator[StageResult]:
    """Yields the initial estimate and then every stage of `decoder` on `measurement`.

    Raises LorunError when the decoder serves another task, the device is missing or full, or values stop being finite.
    """
    if decoder.task != measurement.task:
        raise LorunError(
            f"{decoder.name} decodes {decoder.task} measurements; this is a {measurement.task} measurement. "
            "Choose another decoder."
        )
    decoder = decoder.fitted(measurement)
    stages_to_run = decoder.num_stages if num_stages is None else num_stages
    if stages_to_run < 1:
        raise LorunError(f"{stages_to_run} stages were asked for; at least 1 was expected.")
    scale = scale_for(decoder, measurement)
    physics = measurement.physics.to(device)
    with threads_of(threads):
        y = torch.from_numpy(measurement.y)[None].to(device) * scale
        norm = torch.linalg.vector_norm(y)

    stages = decoder.stages(y, physics, num_stages=stages_to_run)
    while True:
        started = time.perf_counter()
        with threads_of(threads):  # not across the yield: it would hold for whoever takes the stage
            stage = _next(stages, device)
            if stage is None:
                return
            residual = float(torch.linalg.vector_norm(y - physics.forward(stage.image)) / norm)
        seconds = time.perf_counter() - started
        if not math.isfinite(residual):
            raise NumericalError(
                f"Stage {stage.index} of {decoder.name} produced values that are not finite. "
                "Check the mask and the input scale, or choose another decoder."
            )
        image = _on_host(stage.image, scale)
        yield StageResult(
            index=stage.index,
            image=image,
            residual=residual,
            seconds=seconds,
            input_scale=scale,
            denoiser_input=(
                _on_host(stage.denoiser_input, scale)
                if keep_denoiser_input and stage.denoiser_input is not None
                else None
            ),
            parameters=dict(stage.parameters),
            metrics=scored(image, measurement),
        )


def scored(image: np.ndarray, measurement: Measurement) -> dict[str, float]:
    """The figures of an image against the measurement's reference; none where it has none."""
    if measurement.reference is None:
        return {}
    return score(image, measurement.reference, measurement.task, border=measurement.physics.score_border)


def _next(stages: Iterator[Stage], device: str) -> Stage | None:
    """The next stage, None after the last; a full device becomes a sentence after its tensors are dropped."""
    try:
        return next(stages, None)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        # leave the handler first: it holds the frames that hold the tensors
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    if device == "cpu":
        raise DeviceError("The memory of this computer is full. Close other programs or crop the measurement.")
    raise DeviceError(f"The memory of {device} is full. Decode on the CPU or crop the measurement.")


def _is_out_of_memory(error: Exception) -> bool:
    """torch has an error of its own for a full GPU only; a full host is a RuntimeError of its allocator."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _on_host(image: Tensor, scale: float) -> np.ndarray:
    """(1, C, H, W) on any device to (C, H, W) float32 in the unit of the opened file."""
    image = image[0].float()
    return (image if scale == 1.0 else image / scale).cpu().numpy().copy()

"""Restoration as a generator: every stage is yielded once it exists, and a yield is where a cancel is honoured."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.linalg import vector_norm as norm

from ..decoder import Decoder, Resumable, Stage, StartStep, scale_for
from ..errors import DeviceError, LorunError, NumericalError
from ..instrument import relit
from ..measurement import Measurement
from ..physics import Physics
from .device import threads_of
from .kept import Conditions, Figures, KeptStages, keys_of
from .metrics import score

Step = StartStep | tuple[Stage, Figures | None]  # a stage, with its figures where it was kept of an earlier decode


@dataclass(frozen=True)
class StageResult:
    """One stage of a restoration, on the host.

    `index` 0 is the initial estimate. `image` is (C, H, W) float32, unclipped, in the unit of the opened file: the
    engine's image divided by `input_scale`. `residual` is ||y - Phi x|| / ||y||. `parameters` are the data step's;
    `metrics` (psnr in dB, ssim, and sam in degrees for cubes) exist when the measurement has a reference. `method` is
    what the initial estimate is called where its decoder says so; `is_reused` that the stage was kept of an earlier
    decode, and `seconds` what it took to take it from there. `light` is L, (1, H, W), of a task that seeks the light
    too: the image is relit by it (see `instrument.relit`), and the residual is that of R L. `executed` says in which
    precision and by which path a network made it, `spared` how memory was spared where it was full.
    """

    index: int
    image: np.ndarray
    residual: float
    seconds: float
    input_scale: float = 1.0
    denoiser_input: np.ndarray | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    method: str = ""
    is_reused: bool = False
    light: np.ndarray | None = None
    executed: tuple[str, str] | None = None
    spared: str = ""

    def without_images(self) -> StageResult:
        """The figures alone; nothing of it keeps a cube in memory, as an empty view would."""
        return replace(self, image=np.empty((0, 0, 0), np.float32), denoiser_input=None, light=None)

    def relit(self, gamma: float | None) -> np.ndarray:
        """The image by another gamma of its light; itself where none is asked for, or it has no light."""
        return self.image if gamma is None or self.light is None else relit(self.image, self.light, gamma)


def restore(
    decoder: Decoder,
    measurement: Measurement,
    *,
    num_stages: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
    keep_denoiser_input: bool = False,
) -> Iterator[StageResult]:
    """`restore_steps` without the steps of the start."""
    steps = restore_steps(
        decoder,
        measurement,
        num_stages=num_stages,
        device=device,
        threads=threads,
        keep_denoiser_input=keep_denoiser_input,
    )
    return (step for step in steps if isinstance(step, StageResult))


@torch.no_grad()
def restore_steps(
    decoder: Decoder,
    measurement: Measurement,
    *,
    num_stages: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
    keep_denoiser_input: bool = False,
    kept: KeptStages | None = None,
) -> Iterator[StartStep | StageResult]:
    """Yields the steps of the start, the initial estimate and then every stage of `decoder` on `measurement`.

    What `kept` holds of it is taken from there, and what is computed is put there. Where the memory of the device is
    full it is begun again in strips, then on the CPU, and the stages say so. Raises LorunError when the decoder serves
    another task, the device is missing, the computer's memory is full, or values stop being finite.
    """
    decoder, stages_to_run = _made_ready(decoder, measurement, num_stages)
    done = -1
    for way in _ways(decoder, device):
        spared, is_full = way.words.format(device=_title(device)), False
        steps = _attempt(way.decoder, measurement, stages_to_run, way.device, threads, keep_denoiser_input, kept)
        try:
            for step in steps:
                if isinstance(step, StartStep):
                    yield step
                elif step.index > done:
                    done = step.index
                    yield replace(step, spared=spared)
                del step  # no image is kept longer than it is needed
        except _MemoryFull:
            is_full = True
        if not is_full:
            return
        # outside of the handler, which holds the frames that hold the tensors
        del steps
        if kept is not None:
            kept.clear()
        if way.device.startswith("cuda"):
            torch.cuda.empty_cache()
    raise DeviceError("The memory of this computer is full. Close other programs or crop the measurement.")


class _MemoryFull(Exception):
    """The memory of the device is full."""


class _Way(NamedTuple):
    """A decoder on a device, and why, in words."""

    decoder: Decoder
    device: str
    words: str = ""


def _ways(decoder: Decoder, device: str) -> Iterator[_Way]:
    """As it was asked for, then in less memory, then on the CPU."""
    yield _Way(decoder, device)
    sparing = decoder.sparing() if isinstance(decoder, Resumable) else None
    if sparing is not None:
        yield _Way(sparing, device, "{device} had too little memory: the network saw few rows at a time.")
    if device != "cpu":
        yield _Way(sparing or decoder, "cpu", "{device} had too little memory: it was decoded on the CPU.")


def _title(device: str) -> str:
    return "This computer" if device == "cpu" else device


def _attempt(
    decoder: Decoder,
    measurement: Measurement,
    stages_to_run: int,
    device: str,
    threads: int | None,
    keep_denoiser_input: bool,
    kept: KeptStages | None,
) -> Iterator[StartStep | StageResult]:
    """`restore_steps` in one way; raises _MemoryFull where there is too little."""
    scale = scale_for(decoder, measurement)
    physics = measurement.physics.scaled(scale).to(device)
    with threads_of(threads):
        y = torch.from_numpy(measurement.y)[None].to(device) * scale
        length = norm(y)
    keys: tuple[str, ...] = ()
    if kept is not None and isinstance(decoder, Resumable):
        keys = keys_of(decoder, measurement, Conditions(scale, device, threads), num_stages=stages_to_run)
    kept, seconds = kept or KeptStages(), 0.0
    steps = _steps(decoder, y, physics, stages_to_run, device, kept, keys)
    while True:
        started = time.perf_counter()
        with threads_of(threads):  # not across the yield: it would hold for whoever takes the stage
            step = _next(steps)
            if step is None:
                return
            if not isinstance(step, StartStep):
                stage, known = step
                residual = known.residual if known else float(norm(y - physics.forward(stage.image)) / length)
        seconds += time.perf_counter() - started
        if isinstance(step, StartStep):
            yield step
            continue
        del step
        if not math.isfinite(residual):
            raise NumericalError(
                f"{decoder.name} produced values that are not finite in {decoder.step_name} {stage.index}. "
                "Check the mask and the input scale, or choose another decoder."
            )
        result = _shown(stage, physics, scale, keep_denoiser_input)
        figures = known or Figures(residual, scored(result.image, measurement))
        kept.keep(keys, stage, figures)
        is_reused = known is not None
        yield replace(result, residual=residual, seconds=seconds, metrics=figures.metrics, is_reused=is_reused)
        del result, stage  # no image is kept longer than it is needed
        seconds = 0.0


def _made_ready(decoder: Decoder, measurement: Measurement, num_stages: int | None) -> tuple[Decoder, int]:
    """The decoder for the measurement, and its number of stages; a LorunError where that cannot be."""
    if decoder.task != measurement.task:
        raise LorunError(
            f"{decoder.name} decodes {decoder.task} measurements; this is a {measurement.task} measurement. "
            "Choose another decoder."
        )
    decoder = decoder.fitted(measurement)
    stages_to_run = decoder.num_stages if num_stages is None else num_stages
    if stages_to_run < 1:
        raise LorunError(f"{stages_to_run} {decoder.step_name}s were asked for; at least 1 was expected.")
    if isinstance(decoder, Resumable):
        decoder.require(stages_to_run, measurement.physics)
    return decoder, stages_to_run


def _steps(
    decoder: Decoder, y: Tensor, physics: Any, num_stages: int, device: str, kept: KeptStages, keys: tuple[str, ...]
) -> Iterator[Step]:
    """The steps of the start, then every stage, with its figures where it was kept; without `keys` none is."""
    if not isinstance(decoder, Resumable):
        yield from ((stage, None) for stage in decoder.stages(y, physics, num_stages=num_stages))
        return
    decoder, found = decoder.on(device), kept.begin(keys)
    yield from found
    if found:
        reached, _ = found[-1]
    else:
        reached = yield from decoder.start(y, physics)
        yield reached, None
    stages = decoder.stages_after(reached, y, physics, num_stages=num_stages)
    del found, reached  # what is kept may be dropped, and no image is kept longer than it is needed
    for stage in stages:
        yield stage, None
        del stage


def _shown(stage: Stage, physics: Physics, scale: float, keep_denoiser_input: bool) -> StageResult:
    """A stage on the host, without its figures: what its denoiser saw where that is kept, its light where sought."""
    seen, light = stage.denoiser_input if keep_denoiser_input else None, physics.light(stage.image)
    return StageResult(
        index=stage.index,
        image=_on_host(physics.picture(stage.image), scale),
        residual=math.nan,
        seconds=0.0,
        input_scale=scale,
        denoiser_input=None if seen is None else _on_host(physics.picture(seen), scale),
        parameters=dict(stage.parameters),
        method=stage.method,
        light=None if light is None else _on_host(light, 1.0),
        executed=stage.executed,
    )


def scored(image: np.ndarray, measurement: Measurement) -> dict[str, float]:
    """The figures of an image against the measurement's reference; none where it has none."""
    if measurement.reference is None:
        return {}
    return score(image, measurement.reference, measurement.task, border=measurement.physics.score_border)


def _next(steps: Iterator[Step]) -> Step | None:
    """The next step, None after the last."""
    try:
        return next(steps, None)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        # leave the handler first: it holds the frames that hold the tensors
    raise _MemoryFull


def _is_out_of_memory(error: Exception) -> bool:
    """torch has an error of its own for a full GPU only; a full host is a RuntimeError of its allocator."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _on_host(image: Tensor, scale: float) -> np.ndarray:
    """(1, C, H, W) on any device to (C, H, W) float32 in the unit of the opened file."""
    image = image[0].float()
    return (image.clone() if scale == 1.0 else image / scale).cpu().numpy()

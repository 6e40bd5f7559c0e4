"""What a training gets out of this machine: multiply-adds and pixels a second, beside what its processor can do.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_training_speed.py -s -m benchmark

The recipes are timed in turn in one process, on two threads (THREADS names another number); `cassi-spectral.toml`
beside this file is the recipe that `cassi-small` had before. Nothing here asserts a time.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from lorun_engine.training.learning import one_step
from lorun_engine.training.pool import StartPool
from lorun_engine.training.recipe import Recipe, read_recipe, training_set
from lorun_engine.training.state import TrainingState
from lorun_engine.training.train import _pool, train
from lorun_engine.training_data.dataset import find_material

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
RECIPES = Path(__file__).parents[2] / "resources" / "recipes"
BEFORE = Path(__file__).with_name("cassi-spectral.toml")
ROUNDS = 6


@dataclass
class Timed:
    """A training of `recipe` whose steps are timed: seconds of drawing samples and of the steps themselves."""

    name: str
    recipe: Recipe
    state: TrainingState
    pool: StartPool
    multiply_adds: float = 0.0
    draw_s: list[float] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, recipe: Recipe, material) -> Timed:
        state = TrainingState.new(recipe, material, ("backbone",), torch.device("cpu"))
        timed = cls(name, recipe, state, _pool(state, training_set(material, recipe).sampler))
        with FlopCounterMode(display=False) as counter:
            one_step(state, state.net(), timed.pool.sample(state.generator, 0), 1e-4)
        timed.multiply_adds = counter.get_total_flops() / 2
        return timed

    def go(self, num_steps: int) -> None:
        """Draws and steps, the draws of a pool as often as they come."""
        for _ in range(num_steps):
            began = time.perf_counter()
            sample = self.pool.sample(self.state.generator, self.state.course.step)
            drawn = time.perf_counter()
            one_step(self.state, self.state.net(), sample, 1e-4)
            self.draw_s.append(drawn - began)
            self.step_s.append(time.perf_counter() - drawn)

    @property
    def seconds(self) -> float:
        """Of a step with its share of the draws."""
        return sum(self.draw_s) / len(self.draw_s) + sorted(self.step_s)[len(self.step_s) // 2]

    def line(self, peak: float) -> str:
        height, width = self.recipe.data.crop
        pixels = self.recipe.data.batch * height * width
        rate = self.multiply_adds / self.seconds
        return (
            f"{self.name:14s} {self.seconds:7.3f} s a step ({sum(self.draw_s) / len(self.draw_s):.3f} s of it drawn), "
            f"{rate / 1e9:7.1f} G multiply-adds/s, {pixels / self.seconds / 1e3:8.1f} k pixels/s, "
            f"{rate / peak:.0%} of a dense convolution's"
        )


def dense_convolution_rate() -> float:
    """Multiply-adds a second of a 3x3 convolution of 64 channels, forward and backward, the best of a few."""
    x = torch.randn(4, 64, 32, 128, requires_grad=True)
    weight = torch.randn(64, 64, 3, 3, requires_grad=True)
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        y = F.conv2d(x, weight, padding=1)
        y.backward(y.detach())
        best = min(best, time.perf_counter() - began)
    return 3 * 4 * 64 * 64 * 9 * 32 * 128 / best


def test_the_recipes_on_the_cpu(lorun_data):
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    cassi, images = find_material(lorun_data / "cassi"), find_material(lorun_data / "images", task="cs")
    found = [
        Timed.of("cassi before", read_recipe(BEFORE), cassi),
        Timed.of("cassi-small", read_recipe(RECIPES / "cassi-small.toml"), cassi),
        Timed.of("cs-small", read_recipe(RECIPES / "cs-small.toml"), images),
        Timed.of("sr-small", read_recipe(RECIPES / "sr-small.toml"), find_material(lorun_data / "images", task="sr")),
    ]
    found[1].go(32)  # the pool is filled
    found[1].draw_s.clear()
    found[1].step_s.clear()
    for _ in range(ROUNDS):
        for timed in found:
            timed.go(8 if timed.recipe.training.pool_size else 2)
    peak = dense_convolution_rate()
    print(f"\na dense 3x3 convolution, forward and backward: {peak / 1e9:.1f} G multiply-adds/s")
    for timed in found:
        print(timed.line(peak))
    before, now = found[:2]
    rates = [timed.multiply_adds / timed.seconds for timed in (before, now)]
    print(f"cassi-small to what it was: {rates[1] / rates[0]:.1f} times the multiply-adds, ", end="")
    print(f"{before.seconds / now.seconds:.1f} times the pixels a second")


def time_steps(recipe: Recipe, folder: Path, run: Path, device: str, *, num_steps: int) -> None:
    """Prints the first step's time, the mean of the others, samples a second and the peak memory."""
    training = replace(
        recipe.training, backbone_steps=num_steps, adapter_steps=num_steps, validation_steps=10**9, checkpoint_s=1e9
    )
    started, clock = time.perf_counter(), {}
    for event in train(replace(recipe, training=training), find_material(folder), run, device=device):
        if event.event == "step":
            clock.setdefault(event.phase, []).append(time.perf_counter())
    for phase, times in clock.items():
        mean = (times[-2] - times[0]) / (len(times) - 2)  # the last step is followed by a validation
        print(
            f"\n{recipe.network.denoiser} K={recipe.network.num_stages} {phase} on {device}: first step after "
            f"{times[0] - started:.1f} s, then {mean:.3f} s a step, {recipe.data.batch / mean:.1f} samples of "
            f"{recipe.data.crop[0]} x {recipe.data.crop[1]} a second"
        )
    print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["cassi-small", "cassi-gpu"])
def test_the_recipes_on_a_gpu(lorun_data, tmp_path, name, compiled):
    recipe = read_recipe(RECIPES / f"{name}.toml")
    training = replace(recipe.training, precision="bfloat16", channels_last=True, compiled=compiled)
    recipe = replace(recipe, training=training, data=replace(recipe.data, batch=16))
    time_steps(recipe, lorun_data / "cassi", tmp_path / "run", "cuda:0", num_steps=30)

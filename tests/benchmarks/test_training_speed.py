"""Seconds per training step of the recipes on this machine's devices, and what one step's parts cost.

Run with `make bench`; the GPU recipe is timed where there is one. Nothing here asserts a time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lorun_engine.training.recipe import Recipe, read_recipe
from lorun_engine.training.train import train
from lorun_engine.training_data.dataset import find_material

pytestmark = pytest.mark.benchmark
RECIPES = Path(__file__).parents[2] / "resources" / "recipes"


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
    if device.startswith("cuda"):
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def test_the_small_recipe_on_the_cpu(lorun_data, tmp_path):
    recipe = read_recipe(RECIPES / "cassi-small.toml")
    time_steps(recipe, lorun_data / "cassi", tmp_path / "run", "cpu", num_steps=8)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["cassi-small", "cassi-gpu"])
def test_the_recipes_on_a_gpu(lorun_data, tmp_path, name, compiled):
    recipe = read_recipe(RECIPES / f"{name}.toml")
    training = replace(recipe.training, precision="bfloat16", channels_last=True, compiled=compiled)
    recipe = replace(recipe, training=training, data=replace(recipe.data, batch=16))
    time_steps(recipe, lorun_data / "cassi", tmp_path / "run", "cuda:0", num_steps=30)

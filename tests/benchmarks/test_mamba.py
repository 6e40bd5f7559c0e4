"""What a stage of the state-space network takes, and a gradient of it.

python -m pytest tests/benchmarks/test_mamba.py -s -m benchmark
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
import torch

from lorun_engine.networks.denoisers import build_denoiser

pytestmark = pytest.mark.benchmark

NUM_THREADS = int(os.environ.get("THREADS", 2))


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    yield
    torch.set_num_threads(before)


def report(title: str, call: Callable[[], object], *, num_rounds: int = 5) -> None:
    """Prints the least of both times."""
    times = []
    for _ in range(num_rounds):
        started = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, cpu = map(min, zip(*times, strict=True))
    print(f"\n{title}: {wall:.2f} s on the clock, {cpu:.2f} s of processor time, {NUM_THREADS} threads", flush=True)


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("channels", [3, 28])
def test_a_stage(channels, size):
    denoiser, z = build_denoiser("mamba", channels, {}), torch.rand(1, channels, size, size)
    with torch.no_grad():
        report(f"{channels} x {size} x {size}", lambda: denoiser(z))


def test_a_gradient():
    denoiser, z = build_denoiser("mamba", 3, {}), torch.rand(4, 3, 96, 96)
    report("gradient of 4 x 3 x 96 x 96", lambda: denoiser(z)[0].square().mean().backward())

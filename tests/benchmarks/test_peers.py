"""Our networks beside public ones with the same weights: outputs are compared first, then both run in turn.

`make bench` prints, for every way our networks can be executed, the ratio of the clock and of the peak memory above
what the process has before. It needs checkouts of the public networks (see tests/engine/networks/peers.py).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from lorun_engine.decoding.execution import Execution, seconds_of_convolutions
from lorun_engine.networks.unfolding import UnfoldingNet
from tests.engine.networks.peers import Peer, cpp, ssr, usrnet

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
ROUNDS = 3

PEERS: dict[str, Callable[[pytest.MonkeyPatch], Peer]] = {
    "SSR-9, 256 x 256 x 28": lambda monkeypatch: ssr(monkeypatch, size=256),
    "CPP-9, 256 x 256 at 25 %": lambda monkeypatch: cpp(monkeypatch, size=(256, 256), num_images=1),
    "USRNet-tiny, 128 x 128 enlarged 2 times": lambda monkeypatch: usrnet(
        monkeypatch, scale=2, size=(128, 128), num_images=1
    ),
}


def ways() -> list[Execution]:
    """In float32, and in bfloat16 where the processor does not imitate it."""
    single, half = seconds_of_convolutions()
    found = [Execution(), Execution("float32", "nhwc")]
    return [*found, Execution("bfloat16", "nhwc")] if half <= single else found


def peak_mb(run: Callable[[], object]) -> float:
    """MB that a run has above what the process had before; only Linux says it."""
    if sys.platform != "linux":
        return float("nan")

    def resident(key: str) -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key))

    ctypes.CDLL(None).malloc_trim(0)  # what earlier runs had and nobody needs
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # from now on VmHWM is that of the run
    run()
    return (resident("VmHWM") - before) / 1e3


@pytest.mark.parametrize("title", PEERS)
@torch.no_grad()
def test_a_public_network_and_ours(monkeypatch, title):
    peer = PEERS[title](monkeypatch)
    for image, reference in zip(peer.images(peer.ours), peer.theirs(), strict=True):
        assert (image - reference).abs().max() <= 1e-5 * reference.abs().max()
    runs: dict[str, Callable[[], object]] = {"theirs": peer.theirs}
    for way in ways():
        runs[f"{way.precision} {way.path}"] = partial(all_stages, peer, peer.ours.executed(way))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    memory = {name: peak_mb(run) for name, run in runs.items()}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    print(f"\n{title}: {min(seconds['theirs']):.2f} s, {memory['theirs']:.0f} MB")
    for name in list(runs)[1:]:
        ratio, share = min(seconds[name]) / min(seconds["theirs"]), memory[name] / memory["theirs"]
        print(f"  ours, {name}: {min(seconds[name]):.2f} s ({ratio:.2f}), {memory[name]:.0f} MB ({share:.2f})")


def all_stages(peer: Peer, net: UnfoldingNet) -> None:
    """All stages of ours, each dropped once the next is there."""
    for stage in net.stages(peer.y, peer.physics):
        del stage

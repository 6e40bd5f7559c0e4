"""Ratios of the engine's hot paths to straightforward versions of the same mathematics, timed alternately.

Run with `make bench`; nothing here asserts a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle as skimage_tv

from lorun_engine.instrument import Dispersion
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.gap_tv import denoise_tv_chambolle

pytestmark = pytest.mark.benchmark


def report_ratio(title: str, ours: Callable[[], object], plain: Callable[[], object], *, num_rounds: int = 7) -> None:
    """Prints the minima of both, timed in turn in one process, and their ratio."""
    times = {ours: [], plain: []}
    for _ in range(num_rounds):
        for call in (ours, plain):
            started = time.process_time(), time.perf_counter()
            call()
            times[call].append((time.process_time() - started[0], time.perf_counter() - started[1]))
    cpu = [min(t[0] for t in times[call]) for call in (plain, ours)]
    wall = [min(t[1] for t in times[call]) for call in (plain, ours)]
    print(
        f"\n{title}: {wall[1] * 1e3:.1f} ms against {wall[0] * 1e3:.1f} ms; "
        f"{wall[0] / wall[1]:.2f} times faster on the clock, {cpu[0] / cpu[1]:.2f} times in CPU time"
    )


@pytest.fixture(scope="module", params=[(256, 256), (660, 660)], ids=str)
def camera(request) -> tuple[CassiPhysics, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    physics = CassiPhysics(torch.rand(*request.param, generator=generator), Dispersion(28))
    return physics, torch.rand(1, *physics.scene_shape, generator=generator)


def test_forward_and_adjoint_against_one_roll_per_band(camera):
    physics, scene = camera
    mask = physics.conditioning()
    width = scene.shape[-1]

    def forward_by_rolls() -> torch.Tensor:
        canvas = torch.nn.functional.pad(mask * scene, (0, 54))
        return sum(torch.roll(canvas[:, c : c + 1], 2 * c, dims=-1) for c in range(28))

    y = physics.forward(scene)

    def adjoint_by_slices() -> torch.Tensor:
        return mask * torch.cat([y[..., 2 * c : 2 * c + width] for c in range(28)], dim=1)

    torch.testing.assert_close(forward_by_rolls(), y)
    report_ratio(f"forward {width}", lambda: physics.forward(scene), forward_by_rolls)
    report_ratio(f"adjoint {width}", lambda: physics.adjoint(y), adjoint_by_slices)


def test_tv_denoiser_against_scikit_image(camera):
    _, scene = camera
    images = scene[0].numpy()
    report_ratio(
        f"Chambolle TV, 5 iterations, 28 x {scene.shape[-1]}^2",
        lambda: denoise_tv_chambolle(scene[0], 0.3, 5),
        lambda: skimage_tv(images, 0.3, eps=0, max_num_iter=5, channel_axis=0),
        num_rounds=3,
    )
    assert np.isfinite(images).all()

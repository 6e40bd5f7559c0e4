"""Which way a capture's spectra run is told from the spectra; the coarse decode favours neither."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.camera_checks.direction import BLOCK, coarse_spectra, direction_log_odds, layer_shapes, stored_layers
from lorun_engine.instrument import Dispersion
from lorun_engine.tasks.cassi import CassiPhysics

NM = np.linspace(450, 650, 24)


def dyes(count: int = 60, *, seed: int = 0) -> np.ndarray:
    """(count, 24) reflectances that rise steeply somewhere, as those of red, orange and yellow dyes do."""
    rng = np.random.default_rng(seed)
    edges, heights = rng.choice([490.0, 540.0, 580.0, 605.0], (count, 1)), rng.uniform(0.3, 0.9, (count, 1))
    return 0.05 + heights / (1 + np.exp(-(NM - edges) / 9))


def test_dyes_run_from_blue_to_red_and_reversed_ones_the_other_way():
    spectra = dyes()
    assert direction_log_odds(spectra, NM) > 1
    assert direction_log_odds(spectra[:, ::-1], NM) == pytest.approx(-direction_log_odds(spectra, NM), rel=1e-3)


def test_the_brightness_of_a_scene_and_its_dark_parts_tell_nothing():
    spectra = dyes()
    dark = np.concatenate([1e-3 * spectra[:, ::-1], spectra])
    assert direction_log_odds(dark, NM) == pytest.approx(direction_log_odds(spectra, NM), rel=1e-6)
    assert direction_log_odds(7 * spectra, NM) == pytest.approx(direction_log_odds(spectra, NM), rel=1e-4)


def test_symmetric_spectra_are_undecided():
    nodes = np.linspace(-1, 1, 24)
    spectra = 0.2 + np.random.default_rng(1).random((30, 1)) * np.exp(-(nodes**2))
    assert direction_log_odds(spectra, NM) == pytest.approx(0, abs=1e-4)


def test_nothing_but_darkness_is_undecided():
    assert direction_log_odds(np.zeros((5, 24)), None) == 0


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("size", [(64, 96), (70, 50)])
def test_a_scene_of_blocks_with_smooth_spectra_is_decoded(axis, size):
    rows, columns = (-(-length // BLOCK) for length in size)
    draws = np.random.default_rng(2)
    ends = 0.2 * draws.random((2, 1, rows, columns)) + np.array([0.3, 0.6])[:, None, None, None]
    ramp = np.linspace(0, 1, 12)[:, None, None]
    blocks = torch.tensor(ends[0] * (1 - ramp) + ends[1] * ramp, dtype=torch.float32)
    scene = blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)[:, : size[0], : size[1]]
    mask = torch.rand(size, generator=torch.Generator().manual_seed(0))
    physics = CassiPhysics(mask, Dispersion(12, axis=axis))
    decoded = coarse_spectra(physics.forward(scene[None]), physics)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    assert float((decoded - blocks)[inner].norm() / blocks[inner].norm()) < 0.1


def test_a_coarse_decode_of_the_other_direction_is_the_same_one_reversed():
    draws = torch.Generator().manual_seed(3)
    mask, scene = torch.rand(48, 64, generator=draws), torch.rand(1, 12, 48, 64, generator=draws)
    one, other = (CassiPhysics(mask, Dispersion(12, direction=sign)) for sign in "+-")
    y = one.forward(scene)
    torch.testing.assert_close(coarse_spectra(y, one), coarse_spectra(y, other).flip(0), atol=1e-3, rtol=1e-2)


def test_fine_texture_within_the_blocks_changes_the_decoded_spectra_little():
    draws = torch.Generator().manual_seed(4)
    mask = torch.rand(64, 96, generator=draws)
    ramp = torch.linspace(0.2, 0.8, 12)[:, None, None]
    texture = 1 + 0.8 * torch.sin(torch.arange(96) / 96 * 2 * torch.pi * 15)  # fifteen waves, six blocks
    physics = CassiPhysics(mask, Dispersion(12))
    even, uneven = (coarse_spectra(physics.forward(ramp * light.expand(1, 12, 64, 96)), physics)
                    for light in (torch.ones(96), texture))  # fmt: skip
    inner = (slice(None), slice(1, -1), slice(1, -1))
    assert float((uneven - even)[inner].norm() / even[inner].norm()) < 0.15


def test_the_stored_weights_fill_the_network():
    assert [tuple(weight.shape) for weight, _ in stored_layers()] == layer_shapes()

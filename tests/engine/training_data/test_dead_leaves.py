"""Pictures and spectra from random numbers alone: the same for a seed, and what they claim to be."""

from __future__ import annotations

import numpy as np
import torch

from lorun_engine.training_data.dead_leaves import dead_leaves, smooth_spectra


def test_dead_leaves_are_the_same_for_a_seed_and_have_edges_and_all_colours():
    first, again, other = (
        dead_leaves(2, height=48, width=64),
        dead_leaves(2, height=48, width=64),
        dead_leaves(2, height=48, width=64, seed=1),
    )
    assert torch.equal(first.pixels, again.pixels) and not torch.equal(first.pixels, other.pixels)
    assert first.pixels.shape == (2, 3, 48, 64) and first.sizes.tolist() == [[48, 64]] * 2
    steps = first.pixels.float().diff(dim=-1).abs()
    assert float(steps.max()) > 60 and float(steps.median()) < 20  # few steps are edges, most are texture


def test_computed_reflectances_lie_between_black_and_white_and_lights_are_planck_s():
    nm = np.linspace(450, 650, 28)
    spectra = smooth_spectra(nm)
    assert 0 < float(spectra.reflectances.min()) and float(spectra.reflectances.max()) < 1
    cold, hot = spectra.lights[0], spectra.lights[-1]
    assert cold[-1] > 2 * cold[0] and hot[0] > hot[-1]  # 2500 K is red, 10000 K is blue
    ratio = (450 / 650) ** -5 * np.expm1(1.4388e7 / (650 * 2500)) / np.expm1(1.4388e7 / (450 * 2500))
    np.testing.assert_allclose(float(cold[0] / cold[-1]), ratio, rtol=1e-4)

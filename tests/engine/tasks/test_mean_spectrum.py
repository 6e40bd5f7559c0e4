"""The mean spectrum of a capture: exact for scenes of one colour, harmless where there is none to find."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lorun_engine.instrument import Dispersion
from lorun_engine.tasks.cassi import CassiPhysics
from lorun_engine.tasks.mean_spectrum import mean_spectrum
from lorun_engine.tasks.noise import Noise
from lorun_engine.tasks.subspace import shipped_components
from lorun_engine.tasks.subspace_tv import solutions

BANDS = 12
WAVELENGTHS = np.linspace(450, 650, BANDS)


@pytest.fixture(scope="module")
def components() -> torch.Tensor:
    return shipped_components(WAVELENGTHS, BANDS)


@pytest.fixture(scope="module")
def lamp() -> torch.Tensor:
    """A spectrum (BANDS,) with a line in band 5 that no mixture of eight components has."""
    return torch.tensor([0.2 + 0.3 * (band == 5) for band in range(BANDS)])


def of_one_colour(spectrum: torch.Tensor, *sizes: int) -> torch.Tensor:
    return spectrum[:, None, None].expand(-1, *sizes)[None]


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("step", "direction"), [(1.0, "+"), (2.0, "-"), (1.4, "+")])
def test_the_spectrum_of_a_scene_of_one_colour_is_found(components, lamp, axis, step, direction):
    mask = (torch.rand(40, 44, generator=torch.Generator().manual_seed(1)) < 0.6).float()
    physics = CassiPhysics(mask, Dispersion(BANDS, step, axis, direction))
    y = physics.forward(of_one_colour(lamp, 40, 44))
    spectrum, level, trust = mean_spectrum(y, physics, components, physics.gram())
    torch.testing.assert_close(spectrum[0], lamp, atol=2e-3, rtol=0)
    assert float(trust) > 0.99
    # bands overlap in the detector's pixels, so the level lies between the mean and the root mean square
    assert 0.9 * lamp.mean() < float(level) < lamp.square().mean().sqrt() * 1.1


def test_every_sample_of_a_batch_has_its_own_mask_and_spectrum(components, lamp):
    generator = torch.Generator().manual_seed(2)
    masks = (torch.rand(2, 1, 40, 44, generator=generator) < 0.5).float()
    physics = CassiPhysics(masks, Dispersion(BANDS))
    scenes = torch.cat([of_one_colour(lamp, 40, 44), of_one_colour(2 * lamp.flip(0), 40, 44)])
    spectra, levels, _ = mean_spectrum(physics.forward(scenes), physics, components, physics.gram())
    torch.testing.assert_close(spectra, torch.stack([lamp, 2 * lamp.flip(0)]), atol=4e-3, rtol=0)
    assert levels.shape == (2, 1, 1, 1) and levels[1] > 1.8 * levels[0]


def test_a_capture_of_noise_alone_says_nothing_against_the_components(components):
    """White noise has no spectrum: it stays near the prior's, far from lines of its own strength."""
    physics = CassiPhysics(
        (torch.rand(40, 44, generator=torch.Generator().manual_seed(3)) < 0.5).float(), Dispersion(12)
    )
    flat = physics.forward(of_one_colour(torch.full((BANDS,), 0.2), 40, 44))
    y = Noise("gaussian", 0.3).add_to(flat, torch.Generator().manual_seed(4))
    spectrum, *_ = mean_spectrum(y, physics, components, physics.gram())
    assert (spectrum - 0.2).square().mean().sqrt() < 0.04


def test_the_decoder_shows_a_line_that_its_components_lack(components, lamp):
    generator = torch.Generator().manual_seed(5)
    mask = (torch.rand(48, 52, generator=generator) < 0.5).float()
    physics = CassiPhysics(mask, Dispersion(BANDS))
    scene = of_one_colour(lamp, 48, 52)
    *_, last = solutions(physics.forward(scene), physics, components, rank=5)
    assert (last.image() - scene).square().mean().sqrt() < 0.005
    assert last.known.abs().max() > 0.05  # the components alone could not have done it


def test_pixels_that_do_not_count_change_nothing(components, lamp):
    generator = torch.Generator().manual_seed(6)
    physics = CassiPhysics((torch.rand(40, 44, generator=generator) < 0.5).float(), Dispersion(BANDS))
    seen = (torch.rand(1, *physics.measurement_shape, generator=generator) > 0.2).float()
    y = physics.forward(of_one_colour(lamp, 40, 44))
    physics = physics.seeing(seen)
    spectrum, *_ = mean_spectrum(torch.where(seen > 0, y, 100.0), physics, components, physics.gram())
    torch.testing.assert_close(spectrum[0], lamp, atol=2e-3, rtol=0)


def test_a_constant_is_not_trusted_before_a_bright_thing_on_black(components, lamp):
    physics = CassiPhysics(
        (torch.rand(40, 44, generator=torch.Generator().manual_seed(7)) < 0.5).float(), Dispersion(12)
    )
    scene = of_one_colour(lamp, 40, 44).clone()
    scene[..., 12:] = 0
    y = physics.forward(scene)
    *_, trust = mean_spectrum(y, physics, components, physics.gram())
    assert float(trust) == 0
    *_, last = solutions(y, physics, components, num_rounds=2)
    assert not last.known.any()

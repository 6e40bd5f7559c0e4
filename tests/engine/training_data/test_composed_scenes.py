"""Composed training scenes: spectra read at the bands, crops, and scenes of plausible statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from lorun_engine.io import WAVELENGTHS
from lorun_engine.training_data import composed_scenes
from lorun_engine.training_data.composed_scenes import Composer, Spectra, read_spectra
from lorun_engine.training_data.photographs import Photographs, picture_files, read_photographs

BANDS = np.asarray(WAVELENGTHS["cassi-28"])


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def composer(generator) -> Composer:
    """Two soft pictures, smooth reflectances, one flat light."""
    pictures = torch.nn.functional.interpolate(torch.rand(2, 3, 5, 8, generator=generator), (80, 120), mode="bilinear")
    centres = torch.rand(20, 1, generator=generator) * 28
    reflectances = 0.1 + 0.8 * torch.exp(-((torch.arange(28) - centres) ** 2) / 60)
    spectra = Spectra(reflectances, torch.ones(20), torch.ones(1, 28), torch.ones(1), ("made",))
    return Composer(Photographs((pictures * 255).to(torch.uint8), torch.tensor([[80, 120]] * 2)), spectra)


def test_composed_scenes_lie_between_0_and_1_and_are_reproducible(composer):
    first = composer.scenes(4, 16, 64, torch.Generator().manual_seed(1))
    again = composer.scenes(4, 16, 64, torch.Generator().manual_seed(1))
    other = composer.scenes(4, 16, 64, torch.Generator().manual_seed(2))
    assert first.shape == (4, 28, 16, 64) and torch.isfinite(first).all()
    assert first.min() >= 0 and first.max() <= 1 and first.std() > 0
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_neighbouring_bands_of_composed_scenes_are_alike(composer, generator):
    pixels = composer.scenes(8, 16, 64, generator).movedim(1, -1).flatten(0, -2).double()
    assert torch.diagonal(torch.corrcoef(pixels.T), 1).min() > 0.95


def test_the_materials_of_one_measured_scene_belong_together(composer, generator, monkeypatch):
    monkeypatch.setattr(composed_scenes, "_SCENE_SHARE", 1.0)
    monkeypatch.setattr(composed_scenes, "_TINTED_SHARE", 0.0)
    short, long = torch.full((2, 30, 28), 0.02)
    short[:, :14], long[:, 14:] = 0.8, 0.8
    spectra = replace(
        composer.spectra,
        reflectances=torch.cat([short, long]),
        reflectance_shares=torch.ones(60),
        scenes=torch.tensor([[0, 30], [30, 30]]),
    )
    scenes = replace(composer, spectra=spectra).scenes(16, 16, 64, generator)
    share = scenes[:, :14].sum(dim=(1, 2, 3)) / scenes.sum(dim=(1, 2, 3))
    assert ((share < 0.2) | (share > 0.8)).all() and share.min() < 0.2 and share.max() > 0.8


@pytest.mark.parametrize(("share", "varies"), [(0.0, False), (1.0, True)])
def test_a_tint_varies_the_spectra_of_one_material(composer, generator, monkeypatch, share, varies):
    monkeypatch.setattr(composed_scenes, "_TINTED_SHARE", share)
    grey = replace(composer.spectra, reflectances=torch.full((20, 28), 0.5))
    scenes = replace(composer, spectra=grey).scenes(4, 16, 64, generator)
    shapes = scenes / scenes.sum(dim=1, keepdim=True)
    assert (float(shapes.std(dim=(2, 3)).amax()) > 1e-3) == varies


def test_a_light_in_place_of_another_keeps_the_brightness(composer, generator):
    relights = composer.relights(32, generator)
    assert relights.shape == (32, 28) and relights.min() > 0 and relights.std() > 0.05
    torch.testing.assert_close(relights.mean(dim=1), torch.ones(32))


def test_spectra_that_share_a_name_are_the_pixels_of_one_scene(tmp_path: Path):
    names = ["a scene"] * 120 + ["a chip", "another chip"] + ["a second scene"] * 150
    for file, count in (("b_pixels", 272), ("a_chips", 3), ("illuminant_flat", 2)):
        with h5py.File(tmp_path / f"{file}.h5", "w") as stored:
            stored["spectra"] = np.full((count, 31), 0.5, dtype=np.float32)
            stored["wavelengths_nm"] = np.linspace(400.0, 700.0, 31)
            if file == "b_pixels":
                stored["names"] = names
    assert read_spectra(tmp_path, BANDS).scenes.tolist() == [[3, 120], [125, 150]]


def test_measured_spectra_are_read_at_the_bands_without_the_sets_of_closed_licence(lorun_data: Path):
    spectra = read_spectra(lorun_data / "cassi" / "spectra", BANDS)
    assert spectra.reflectances.shape[1] == spectra.lights.shape[1] == 28
    assert len(spectra.reflectances) > 10_000 and len(spectra.lights) > 1_000
    assert "artist_paints" not in spectra.names
    assert spectra.reflectances.min() >= 0 and spectra.reflectances.max() <= 1
    assert len(spectra.reflectances) == len(spectra.reflectance_shares)


def test_composed_scenes_resemble_measured_ones(lorun_data: Path, generator):
    photographs = read_photographs(picture_files([lorun_data / "images" / "train" / "bsds500"])[:40])
    composer = Composer(photographs, read_spectra(lorun_data / "cassi" / "spectra", BANDS))
    scenes = torch.cat([composer.scenes(16, 32, 256, generator) for _ in range(4)])
    pixels = scenes.movedim(1, -1).flatten(0, -2).double()
    pixels = pixels[pixels.mean(dim=1) > 0.005]
    correlation = torch.corrcoef(pixels.T)
    energies = torch.linalg.eigvalsh(torch.cov(pixels.T)).flip(0)
    explained = energies.cumsum(0) / energies.sum()
    # Measured CAVE crops: mean 0.10, neighbours 0.994, first to last 0.17, components 0.736 / 0.927 / 0.985 / 0.998
    assert 0.06 < pixels.mean() < 0.16
    assert torch.diagonal(correlation, 1).mean() > 0.985 and correlation[0, -1] < 0.6
    assert 0.65 < explained[0] < 0.85 and explained[2] > 0.96 and explained[4] > 0.985

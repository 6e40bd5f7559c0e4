"""Composed training scenes beside measured cubes: spectral correlation, components, dynamic range, edges.

    LORUN_DATA=FOLDER python -m pytest tests/benchmarks/test_scene_statistics.py -s -m benchmark

The cubes are those for training, without their validation parts; nothing here is asserted but that scenes are valid.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lorun_engine.io import WAVELENGTHS
from lorun_engine.training_data.cassi import cassi_sampler
from lorun_engine.training_data.dataset import find_material
from lorun_engine.training_data.settings import CassiData

pytestmark = pytest.mark.benchmark

BATCHES, SIDE = 24, 128
ROWS = {
    "correlation of neighbouring bands": lambda x: _correlation(x, 1),
    "correlation of bands 10 apart": lambda x: _correlation(x, 10),
    "energy in 3 components (%)": lambda x: 100 * _explained(x, 3),
    "energy in 6 components (%)": lambda x: 100 * _explained(x, 6),
    "components for 99.9 % of the energy": lambda x: _components(x, 0.999),
    "dynamic range, 99 % over 5 % of the pixels": lambda x: _dynamic_range(x),
    "mean over brightest": lambda x: float(x.mean() / np.quantile(x, 0.999)),
    "edge density (% of pixels)": lambda x: 100 * _edges(x),
    "mean gradient over mean": lambda x: float(_gradient(x).mean() / x.mean()),
}


def test_the_statistics_of_composed_scenes_beside_measured_ones():
    folder = Path(os.environ.get("LORUN_DATA", "")) / "cassi"
    if not (folder / "spectra").is_dir():
        pytest.skip("LORUN_DATA names no folder with cubes and spectra")
    found = {}
    for name, share in (("measured", 1.0), ("composed", 0.0)):
        config = CassiData(crop=(SIDE, SIDE), batch=4, real_share=share, zoom=(1.0, 1.0))
        sampler, _ = cassi_sampler(
            find_material(folder), config, wavelengths_nm=np.asarray(WAVELENGTHS["cassi-28"]), step=2.0
        )
        generator = torch.Generator().manual_seed(0)
        scenes = torch.cat([sampler.sample(generator).scene for _ in range(BATCHES)]).numpy()
        assert np.isfinite(scenes).all() and scenes.min() >= 0
        kept = [scene for scene in scenes if np.quantile(scene, 0.99) > 0.02]  # crops of a black background say nothing
        found[name] = {row: np.array([measure(scene) for scene in kept]) for row, measure in ROWS.items()}
    print(f"\n| median over {4 * BATCHES} scenes (quartiles) | measured cubes | composed |\n| --- | --- | --- |")
    for row in ROWS:
        cells = [
            "{1:.3g} ({0:.3g} to {2:.3g})".format(*np.quantile(found[name][row], (0.25, 0.5, 0.75))) for name in found
        ]
        print(f"| {row} | " + " | ".join(cells) + " |")


def _correlation(x: np.ndarray, distance: int) -> float:
    """The mean correlation over pixels of bands that lie `distance` apart."""
    rows = x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(axis=1, keepdims=True)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return float((rows[:-distance] * rows[distance:]).sum(axis=1).mean())


def _energies(x: np.ndarray) -> np.ndarray:
    """The shares of the energy of the spectra along their own components, cumulated."""
    rows = x.reshape(len(x), -1).astype(np.float64)
    energies = np.linalg.eigvalsh(rows @ rows.T)[::-1].clip(min=0)
    return np.cumsum(energies) / energies.sum()


def _explained(x: np.ndarray, count: int) -> float:
    return float(_energies(x)[count - 1])


def _components(x: np.ndarray, share: float) -> float:
    return float(np.searchsorted(_energies(x), share) + 1)


def _dynamic_range(x: np.ndarray) -> float:
    low, high = np.quantile(x.mean(axis=0), (0.05, 0.99))
    return float(high / max(low, 1e-3))


def _gradient(x: np.ndarray) -> np.ndarray:
    y, x = np.gradient(x.mean(axis=0))
    return np.hypot(y, x)


def _edges(x: np.ndarray) -> float:
    """The share of pixels where the mean band changes by more than a tenth of its brightest value."""
    return float((_gradient(x) > 0.1 * np.quantile(x.mean(axis=0), 0.99)).mean())

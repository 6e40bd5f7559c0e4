"""Writes lorun_engine/tasks/components.csv, the spectral components that come with the engine.

    LORUN_DATA=FOLDER python -m resources.colour.make_components

They are those of the pixels of CASSI training scenes: cubes of CAVE, and scenes composed of measured reflectances under
measured lights. The first row has the wavelengths in nm, every other one a component, its root mean energy included.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lorun_engine.tasks.subspace import spectral_components
from lorun_engine.training_data.cassi import cassi_sampler
from lorun_engine.training_data.dataset import find_material, spectra_of
from lorun_engine.training_data.settings import CassiData

WAVELENGTHS_NM = np.arange(400.0, 701, 10)
NUM_COMPONENTS = 12
TABLE = Path(__file__).parents[2] / "lorun_engine" / "tasks" / "components.csv"


def main() -> None:
    material = find_material(Path(os.environ["LORUN_DATA"]) / "cassi")
    whole_range = tuple((path, share) for path, share in material.cubes if path.stem.startswith("cave"))
    data = CassiData(crop=(48, 64), batch=8)
    sampler, _ = cassi_sampler(replace(material, cubes=whole_range), data, wavelengths_nm=WAVELENGTHS_NM, step=2.0)
    spectra = spectra_of(sampler, torch.Generator().manual_seed(1), num_batches=200)
    components = spectral_components(spectra)[:NUM_COMPONENTS].tolist()
    rows = [",".join(f"{nm:g}" for nm in WAVELENGTHS_NM)]
    rows += [",".join(f"{value:.6f}" for value in component) for component in components]
    TABLE.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What every installed or packaged build must pass: mathematics, files and resources, in a few seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..colour import read_observer, rgb_weights
from ..decoding.restore import restore
from ..errors import FileError, LorunError
from ..instrument import Dispersion
from ..io import open_measurement, open_scene, write_cube
from ..physics import adjoint_mismatch
from ..task import TASKS
from ..tasks.cassi import CassiPhysics
from ..tasks.cs import CsPhysics
from ..tasks.sr import SrPhysics


def _check_operators(resources: Path) -> None:
    operators = (
        CassiPhysics(torch.rand(8, 9), Dispersion(4, 1.5)),
        CsPhysics(torch.rand(5, 16), (7, 8)),
        SrPhysics(torch.rand(3, 3), 2, (8, 10)),
    )
    for physics in operators:
        mismatch = adjoint_mismatch(physics, torch.Generator().manual_seed(0))
        if mismatch > 1e-12:
            raise LorunError(f"The adjoint of {physics.task} is off by {mismatch:.1e}; below 1e-12 was expected.")


def _check_samples(resources: Path) -> None:
    for task in TASKS.values():
        measurement = open_measurement([resources / "samples" / task.sample])
        for decoder in task.decoders.values():
            num_results = sum(1 for _ in restore(decoder, measurement, num_stages=3))
            if num_results != 4:
                raise LorunError(f"{decoder.name} gave {num_results} results for 3 stages; 4 were expected.")


def _check_files(resources: Path) -> None:
    cube = np.random.default_rng(0).random((4, 6, 5), dtype=np.float32)
    wavelengths_nm = np.linspace(450, 650, 4)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".h5", ".mat", ".tif", ".hdr", ".npy"):
            path = Path(folder) / f"cube{suffix}"
            write_cube(path, cube, wavelengths_nm=wavelengths_nm, attributes={})
            if not np.array_equal(open_scene(path).image, cube):
                raise FileError(f"A {suffix} cube did not come back as it was written.")


def _check_colours(resources: Path) -> None:
    observer = read_observer(resources / "colour" / "cie1931.csv")
    white = rgb_weights(np.linspace(400, 700, 31), observer).sum(axis=0)
    if not np.allclose(white, 1, atol=0.02):
        raise LorunError(f"A flat spectrum has the linear colour {white}; (1, 1, 1) was expected.")


SELF_TESTS: dict[str, Callable[[Path], None]] = {
    "operators and their adjoints": _check_operators,
    "built-in samples open and decode": _check_samples,
    "cubes in every format": _check_files,
    "colour tables": _check_colours,
}

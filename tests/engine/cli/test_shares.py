"""A folder that several processes share: every file is decoded once, and what cannot be shared is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lorun_engine.cli import main
from lorun_engine.cli.shares import Share, own_share
from lorun_engine.errors import LorunError
from lorun_engine.instrument import Dispersion
from lorun_engine.io import write_measurement
from lorun_engine.measurement import Scene
from lorun_engine.tasks.cassi import random_mask, simulate

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def captures(tmp_path) -> Path:
    """A folder of three captures."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for seed in range(3):
        scene = Scene(np.random.default_rng(seed).random((4, 16, 14), dtype=np.float32))
        measurement = simulate(scene, random_mask(16, 14, seed=seed), Dispersion(4))
        write_measurement(folder / f"{seed}.h5", measurement, attributes={})
    return folder


def cube(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["cube"][()]


def test_torchrun_shares_a_folder_between_two_processes(captures, tmp_path):
    words = ["restore", str(captures), "-o", str(tmp_path / "out"), "--adapter", "gap-tv", "--stages", "2"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    told = subprocess.run(
        [*start, "-m", "lorun_engine", *words], cwd=ROOT, env=alone, capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    assert "2 of 2 files decoded into" in told.stderr and "1 of 1 files decoded into" in told.stderr
    assert "(share 1 of 2)" in told.stderr and "(share 2 of 2)" in told.stderr
    words[3] = str(tmp_path / "by one")
    assert main(words) == 0
    for name in ("0.h5", "1.h5", "2.h5"):
        np.testing.assert_allclose(cube(tmp_path / "out" / name), cube(tmp_path / "by one" / name), atol=1e-5)


def test_shares_are_apart_and_all_together_the_whole():
    paths = [Path(str(number)) for number in range(7)]
    parts = [Share(rank, 3).of(paths) for rank in range(3)]
    assert sorted(path for part in parts for path in part) == paths
    assert Share().of(paths) == paths and Share().words == "" and Share(1, 4).words == " (share 2 of 4)"


def test_every_process_of_a_computer_has_a_graphics_card_of_its_own(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Share(4, 8, rank).device("auto") for rank in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert Share(4, 8, 1).device("cpu") == "cpu" and Share(4, 8, 1).device("cuda:0") == "cuda:0"
    assert Share().device("auto") == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Share(4, 8, 1).device("auto") == "auto"


@pytest.mark.parametrize(
    ("of", "output", "watch", "sentence"),
    [
        ("0.h5", "out", False, "0.h5 is a single file. Start it without torchrun"),
        (".", "out", True, "--watch is for one process"),
        (".", ".", False, "one would take another's results for captures"),
    ],
)
def test_what_cannot_be_shared_is_refused(captures, monkeypatch, of, output, watch, sentence):
    assert own_share(captures / of, captures / output, watch=watch) == Share()
    for name, number in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, number)
    with pytest.raises(LorunError, match=sentence):
        own_share(captures / of, captures / output, watch=watch)
    assert own_share(captures, captures / "out", watch=False) == Share(1, 2, 1)


def test_numbers_that_are_none_are_told(captures, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(LorunError, match="whole numbers"):
        own_share(captures, captures / "out", watch=False)

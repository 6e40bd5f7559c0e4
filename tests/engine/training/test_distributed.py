"""Training in several processes: the steps of one process with the same batch, and sentences where that cannot be."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lorun_engine.cli import main
from lorun_engine.errors import LorunError
from lorun_engine.training.distributed import ALONE, Team, join_team, require_batch
from lorun_engine.training.run_folder import give_command, read_events

RECIPE = """
task = "cs"

[network]
channels = 1
num_stages = 2
denoiser = "unet"
denoiser_settings = {{ widths = [4, 8], residual = true }}
data_step = "proximal-gradient"

[data]
crop = [32, 32]
batch = 4
block_size = 16

[training]
backbone_steps = 2
adapter_steps = 2
checkpoint_steps = 1
checkpoint_s = 0.0
validation_steps = {validation_steps}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "recipe.toml").write_text(RECIPE.format(validation_steps=2))
    return tmp_path


PAIR = """
import os, sys, torch
from lorun_engine.cli import main
os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[1]}
os.environ["RANK"] = os.environ["LOCAL_RANK"] = "0" if (other := os.fork()) else "1"
code = main(sys.argv[2:])
if other:
    code = [code, os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])]
    sys.exit(0 if code == [0, 0] else str(code))
os._exit(code)
"""
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lorun_engine"]


def words(folder: Path, run: str) -> list[str]:
    """The training as it is given on the command line."""
    command = ["train", "--task", "cs", "--data", folder / "pictures", "--recipe", folder / "recipe.toml"]
    return [str(word) for word in (*command, "--out", folder / run, "--threads", "1")]


@contextmanager
def started(program: list[str]) -> Iterator[subprocess.Popen]:
    """Python with these arguments, its threads kept to one; it does not outlive the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    place = Path(__file__).parents[3]
    command = [sys.executable, *program]
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def pair() -> list[str]:
    """Two processes that read the program once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ["-c", PAIR, str(free.getsockname()[1])]


def checkpoint(folder: Path, run: str) -> dict[str, torch.Tensor]:
    return load_file(folder / run / "checkpoint.safetensors")


def test_two_processes_make_the_steps_of_one(folder):
    assert main(words(folder, "alone")) == 0
    with started([*LAUNCHER, *words(folder, "together")]) as process:
        process.communicate(timeout=120)
    assert process.returncode == 0
    alone, together = checkpoint(folder, "alone"), checkpoint(folder, "together")
    assert alone.keys() == together.keys()
    gradients = [name for name in alone if name.endswith("exp_avg")]  # 0.1 of the last gradient and what is left
    assert gradients
    for name in alone:
        tolerance = 1e-6 if name in gradients else 1e-4
        torch.testing.assert_close(together[name].float(), alone[name].float(), atol=tolerance, rtol=1e-3)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_two_processes_choose_one_way_to_compute_their_steps(folder):
    (folder / "recipe.toml").write_text(RECIPE.format(validation_steps=2) + 'precision = "auto"\n')
    with started([*pair(), *words(folder, "run")]) as process:
        process.communicate(timeout=120)  # they would wait for each other for ever if they tried different ways
    assert process.returncode == 0
    events = read_events(folder / "run" / "events.jsonl")
    assert [event.event for event in events[:3]] == ["started", "path", "step"] and events[-1].event == "finished"


LONG = RECIPE.format(validation_steps=2).replace("backbone_steps = 2", "backbone_steps = 3000")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_two_processes_obey_the_same_commands(folder):
    (folder / "recipe.toml").write_text(LONG)
    with started([*pair(), *words(folder, "run"), "--events", "json"]) as process:
        num_steps = 0
        for line in process.stdout:
            num_steps += b'"step",' in line
            if num_steps == 3 and b'"step",' in line:
                for word in ("validate", "pause", "continue", "checkpoint", "stop"):
                    give_command(folder / "run", word)
        assert process.wait(timeout=120) == 0
    events = [event.event for event in read_events(folder / "run" / "events.jsonl")]
    kept = [name for name in events if name not in ("step", "validated", "started")]
    assert kept == ["paused", "continued", "saved", "stopped"]
    assert read_events(folder / "run" / "events.jsonl")[-1].reason == "asked"


def test_one_process_is_a_team_of_its_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_team("cpu") == (ALONE, "cpu") and ALONE.leads
    ALONE.wait()
    gradient = torch.ones(3)
    assert ALONE.add_up(0.5, [gradient]) == 0.5 and torch.equal(gradient, torch.ones(3))


def test_fewer_samples_than_processes_are_refused():
    require_batch(4, Team(0, 4))
    with pytest.raises(LorunError, match="5 processes share batches of 4"):
        require_batch(4, Team(0, 5))

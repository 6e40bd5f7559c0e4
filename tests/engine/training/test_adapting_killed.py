"""A training that is killed at any moment: every file stays readable, and resuming ends with the same set."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from lorun_engine.library.cards import read_card
from lorun_engine.training.events import Step
from lorun_engine.training.run_folder import read_events
from tests.engine.training.test_adapting import TINY, camera, new_set, scenes, train

STEPS, CHECKPOINT_STEPS = 12, 2


def arguments(place: Path, run: Path) -> list[str]:
    """The flags of a small adaptation, which is the same in every process."""
    library, data, mask = place / "library", place / "data", place / "mask.npy"
    if not library.exists():
        new_set("cassi", library)
        scenes("cassi", data, count=2)
        np.save(mask, camera("cassi").mask)
    words = ["--adapt", library / "cassi.safetensors", "--data", data, "--mask", mask, "--out", run, "--steps", STEPS]
    settings = ["--set", f"checkpoint_steps={CHECKPOINT_STEPS}", "--set", "checkpoint_s=1e9"]
    return [str(word) for word in (*words, *TINY, *settings, "--set", "validation_steps=3", "--threads", 1)]


def killed_after(place: Path, run: Path, num_events: int, *, later_s: float = 0.0) -> list[dict]:
    """Starts the training in a process of its own and kills it `later_s` after an event; what it had told by then."""
    program = [sys.executable, "-m", "lorun_engine", "train", *arguments(place, run), "--events", "json"]
    with subprocess.Popen(program, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        for _ in islice(process.stdout, num_events):
            pass
        try:
            process.wait(timeout=later_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    return read_events(run / "events.jsonl")


def require_readable(run: Path) -> None:
    """Opens everything that lies in the folder under its own name."""
    for path in run.glob("[!.]*.safetensors"):
        with safe_open(path, framework="np") as stored:
            assert all(np.isfinite(stored.get_tensor(name)).all() for name in stored.keys() if name != "generator")  # noqa: SIM118
    for path in run.glob("*.json"):
        json.loads(path.read_text())
    if (run / "adapters.safetensors").exists():
        assert read_card(run / "adapters.safetensors").hash


def require_the_same_end(place: Path, run: Path, num_events: int, whole: str, *, later_s: float = 0.0) -> None:
    events = killed_after(place, run, num_events, later_s=later_s)
    require_readable(run)
    done = max((event.step for event in events if isinstance(event, Step)), default=0)
    if (run / "checkpoint.safetensors").exists():
        begun = len(read_events(run / "events.jsonl"))
        assert train(place / "library", "--resume", run, "--threads", 1) == 0
        again = [event.step for event in read_events(run / "events.jsonl")[begun:] if isinstance(event, Step)]
        assert not again or again[0] > done - CHECKPOINT_STEPS
    else:
        assert done == 0  # nothing to lose yet
        assert train(place / "library", *arguments(place, run)) == 0
    assert read_card(run / "adapters.safetensors").hash == whole


def unbroken(place: Path) -> str:
    """The hash of the set that nobody disturbs."""
    assert train(place / "library", *arguments(place, place / "whole")) == 0
    return read_card(place / "whole" / "adapters.safetensors").hash


def test_a_training_that_is_killed_early_in_the_middle_and_late_ends_with_the_same_set(tmp_path):
    whole = unbroken(tmp_path)
    for number, num_events in enumerate((1, 6, 12)):
        require_the_same_end(tmp_path, tmp_path / f"run{number}", num_events, whole)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_training_that_is_killed_at_twenty_random_moments_ends_with_the_same_set(tmp_path):
    whole, draw = unbroken(tmp_path), random.Random(8)
    for number in range(20):
        num_events, later_s = draw.randint(0, STEPS + 6), draw.uniform(0, 0.2)
        require_the_same_end(tmp_path, tmp_path / f"run{number}", num_events, whole, later_s=later_s)

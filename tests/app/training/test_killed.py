"""The window's own process is killed while it adapts a set: the next one offers to go on, and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from app.training.runs import load_run
from lorun_engine.library.cards import read_card
from lorun_engine.training.events import Step
from lorun_engine.training.run_folder import read_events
from tests.engine.training.test_adapting import captures, new_set, scenes
from tests.engine.training.test_adapting_killed import require_readable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the process finds its library by XDG_DATA_HOME")
CHECKPOINT_STEPS = 4  # of `window_that_adapts`
LOOK_S = 0.005
LONGEST_S = 1500  # on a computer that does much else


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A library with a set, a capture of a camera, and scenes to learn from."""
    folder = tmp_path_factory.mktemp("adapting")
    new_set("cassi", folder / "library")
    captures("cassi", folder / "captures", count=1, known=True)
    scenes("cassi", folder / "scenes")
    return folder


class Home:
    """One user's folders, with windows that are opened there."""

    def __init__(self, place: Path, folder: Path) -> None:
        self.place, self.trainings = place, folder / "LoRun" / "trainings"
        adapters = folder / "LoRun" / "adapters"
        adapters.mkdir(parents=True)
        for path in (place / "library").iterdir():
            os.link(path, adapters / path.name)
        own = {name: str(folder) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
        self.environment = os.environ | own | {"QT_QPA_PLATFORM": "offscreen"}

    def open_window(self) -> subprocess.Popen:
        script = [sys.executable, str(Path(__file__).parents[1] / "window_that_adapts.py")]
        files = [self.place / "captures" / "capture0.h5", *sorted((self.place / "scenes").iterdir())]
        root = Path(__file__).parents[3]
        environment = self.environment | {"PYTHONPATH": str(root)}
        return subprocess.Popen([*script, *map(str, files)], cwd=root, env=environment, stderr=subprocess.DEVNULL)

    @property
    def run(self) -> Path | None:
        """The folder of the training; None before it was started."""
        return next((path.parent for path in self.trainings.glob("*/window.json")), None)

    def num_events(self) -> int:
        """How many events the training has told; -1 before it was started."""
        return -1 if self.run is None else len(read_events(self.run / "events.jsonl"))


def kill_window(home: Home, *, after: int, later_s: float) -> None:
    """Opens a window that adapts the set and kills it `later_s` after that many events."""
    window = home.open_window()
    try:
        wait_until(window, lambda: home.num_events() >= after)
        pause(window, later_s)
    finally:
        window.kill()
        window.wait()


def wait_until(process: subprocess.Popen, is_so) -> None:
    for _ in range(round(LONGEST_S / LOOK_S)):
        if is_so():
            return
        assert pause(process, LOOK_S), "the window ended by itself"
    raise AssertionError("the window did not come that far")


def pause(process: subprocess.Popen, seconds: float) -> bool:
    """Waits; whether the process still runs."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def by_command_line(home: Home, run: Path, folder: Path) -> str:
    """The hash of the set that `lorun train` makes with the words of the window's run."""
    words = [str(folder) if word == str(run) else word for word in load_run(run).arguments]
    with safe_open(run / "checkpoint.safetensors", "pt") as checkpoint:  # what was chosen as the quickest way by then
        training = json.loads(checkpoint.metadata()["checkpoint"])["recipe"]["training"]
    for name in ("precision", "channels_last"):
        words += ["--set", f"{name}={json.dumps(training[name]).strip(chr(34))}"]
    words += ["--threads", str(training["threads"])]
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "app", *words]
    subprocess.run(command, cwd=root, env=home.environment, stdout=subprocess.DEVNULL, check=True)
    return read_card(folder / "adapters.safetensors").hash


def require_nothing_lost(home: Home) -> None:
    """The next window goes on by what it offers, from the last checkpoint, to the end."""
    run = home.run
    if run is not None:
        require_readable(run)
    assert home.open_window().wait(timeout=LONGEST_S) == 0
    run = home.run
    steps = [event.step for event in read_events(run / "events.jsonl") if isinstance(event, Step)]
    falls = [(before, after) for before, after in zip(steps, steps[1:], strict=False) if after <= before]
    assert all(before - after < CHECKPOINT_STEPS for before, after in falls), falls
    assert set(steps) == set(range(1, 41)) and len(falls) <= 1
    require_readable(run)
    assert len(list(home.trainings.glob("*/window.json"))) == 1  # it was offered, and not begun anew


@pytest.mark.timeout(3000)
def test_a_window_that_is_killed_is_followed_by_one_that_goes_on_to_the_set_of_the_command_line(place, tmp_path):
    home = Home(place, tmp_path / "home")
    kill_window(home, after=12, later_s=0)
    require_nothing_lost(home)
    own = read_card(home.run / "adapters.safetensors").hash
    assert own == by_command_line(home, home.run, tmp_path / "again")


@pytest.mark.slow
@pytest.mark.timeout(9000)
def test_a_window_that_is_killed_at_five_random_moments_loses_nothing(place, tmp_path):
    draw, hashes = random.Random(8), set()
    for number in range(5):
        home = Home(place, tmp_path / f"home{number}")
        after = -1 if number == 0 else draw.randint(1, 40)  # the first while its process still starts
        kill_window(home, after=after, later_s=draw.uniform(0, 0.3))
        require_nothing_lost(home)
        hashes.add(read_card(home.run / "adapters.safetensors").hash)
    hashes.add(by_command_line(home, home.run, tmp_path / "again"))
    assert len(hashes) == 1

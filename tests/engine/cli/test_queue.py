"""`lorun train --queue`: the order, what is passed over, failures, ends from outside, and the lines of its state."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from lorun_engine.errors import FileError, LorunError
from lorun_engine.io import WAVELENGTHS, write_cube
from lorun_engine.library.cards import read_card
from lorun_engine.training.events import Step, Validated
from lorun_engine.training.queue import held, read_queue
from lorun_engine.training.run_folder import give_command, read_events
from lorun_engine.training.train import resume
from tests.engine.cli.test_training import RECIPE, Library, run
from tests.engine.training.test_adapting import new_set, scenes
from tests.engine.training.test_train import smooth_cube

NOWHERE = Library(())
FIRST = '[[training]]\nout = "a"\nrecipe = "tiny.toml"\ndata = "cubes"\n'
SECOND = '[[training]]\nout = "b"\nrecipe = "tiny.toml"\ndata = ["cubes"]\nphase = "backbone"\nseed = 5\n'


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a recipe and a cube for tiny trainings."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "cubes").mkdir()
    bands = np.asarray(WAVELENGTHS["cassi-28"])
    write_cube(tmp_path / "cubes" / "a.h5", smooth_cube(1), wavelengths_nm=bands, attributes={"source": "made"})
    return tmp_path


def queue(place: Path, *trainings: str) -> Path:
    path = place / "night.toml"
    path.write_text("threads = 1\npriority = 0\n" + "\n".join(trainings))  # tests go on as they began
    return path


def status(capsys, path: Path, context: Library = NOWHERE) -> list[dict]:
    capsys.readouterr()
    assert run(context, "train", "--queue", path, "--status", "--json") == 0
    return json.loads(capsys.readouterr().out)


def steps(folder: Path) -> list[tuple[str, int]]:
    return [(event.phase, event.step) for event in read_events(folder / "events.jsonl") if isinstance(event, Step)]


def test_the_trainings_run_in_order_and_their_words_are_those_of_the_command_line(place, capsys):
    path = queue(place, FIRST, SECOND)
    assert [row["state"] for row in status(capsys, path)] == ["waiting", "waiting"]
    assert run(NOWHERE, "train", "--queue", path, "--events", "json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lines = [(event["name"], event["state"]) for event in told if event["event"] == "training"]
    assert lines == [("a", "running"), ("a", "finished"), ("b", "running"), ("b", "finished")]
    words = ["--recipe", place / "tiny.toml", "--data", place / "cubes", "--phase", "backbone", "--seed", 5]
    assert run(NOWHERE, "train", *words, "--threads", 1, "--out", place / "alone") == 0
    assert read_card(place / "b" / "share.safetensors").hash == read_card(place / "alone" / "share.safetensors").hash


def test_the_lines_tell_phase_steps_score_and_state(place, capsys):
    path = queue(place, FIRST, SECOND)
    run(NOWHERE, "train", "--queue", path)
    first, second = status(capsys, path)
    assert (first["name"], first["state"], first["phase"], first["step"]) == ("a", "finished", "adapters", 2)
    assert (second["phase"], second["step"], second["num_steps"]) == ("backbone", 2, 2)
    assert first["best"] == max(
        event.metrics["psnr"]
        for event in read_events(place / "a" / "events.jsonl")
        if isinstance(event, Validated) and event.phase == "adapters"
    )
    assert run(NOWHERE, "train", "--queue", path, "--status") == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert re.fullmatch(r"b  backbone 2 of 2  \d+\.\d\d dB  0:00:\d\d  finished", line)


def test_what_is_finished_is_passed_over_and_what_is_not_goes_on(place, capsys):
    path = queue(place, FIRST, SECOND)
    run(NOWHERE, "train", "--queue", path)
    done = steps(place / "a")
    for name in ("checkpoint", "checkpoint-1", "checkpoint-2"):  # b has lost everything
        (place / "b" / f"{name}.safetensors").unlink(missing_ok=True)
    (place / "b" / "events.jsonl").unlink()
    assert run(NOWHERE, "train", "--queue", path) == 0
    assert steps(place / "a") == done and steps(place / "b") == [("backbone", 1), ("backbone", 2)]


def test_a_training_that_fails_is_named_and_the_next_one_runs(place, capsys):
    path = queue(place, FIRST.replace("cubes", "nowhere"), SECOND)
    assert run(NOWHERE, "train", "--queue", path) == 1
    assert "a  failed: " in capsys.readouterr().err
    first, second = status(capsys, path)
    assert first["state"] == "failed" and "nowhere" in first["message"] and second["state"] == "finished"
    (place / "cubes").rename(place / "nowhere")
    assert run(NOWHERE, "train", "--queue", path) == 0  # tried again, and the failure forgotten
    assert [row["state"] for row in status(capsys, path)] == ["finished", "finished"]


def test_a_training_in_pieces_goes_on_piece_by_piece(place):
    (place / "tiny.toml").write_text(RECIPE + "piece_s = 1e-9\n")
    assert run(NOWHERE, "train", "--queue", queue(place, FIRST)) == 0
    assert steps(place / "a") == [("backbone", 1), ("backbone", 2), ("adapters", 1), ("adapters", 2)]


def test_a_table_may_only_say_what_to_resume(place):
    (place / "tiny.toml").write_text(RECIPE + "piece_s = 1e-9\n")
    words = ["--recipe", place / "tiny.toml", "--data", place / "cubes", "--out", place / "a"]
    run(NOWHERE, "train", *words)  # one piece
    assert run(NOWHERE, "train", "--queue", queue(place, '[[training]]\nresume = "a"\n')) == 0
    assert len(steps(place / "a")) == 4


def test_an_adaptation_takes_its_settings_from_a_table(tmp_path):
    new_set("cassi", tmp_path / "library")
    scenes("cassi", tmp_path / "data", count=2)
    path = queue(
        tmp_path,
        '[[training]]\nout = "own"\nadapt = "library/cassi.safetensors"\ndata = ["data/scene0.h5"]\n'
        'check = ["data/scene1.h5"]\nsteps = 2\npreset = "quick"\n'
        "set = { crop = [16, 24], batch = 2, built_in = 0, check_size = [32, 48] }\n",
    )
    context = Library((tmp_path / "library",), Path(__file__).parents[3] / "resources")
    assert run(context, "train", "--queue", path) == 0
    recipe = tomllib.loads((tmp_path / "own" / "recipe.toml").read_text())
    assert len(steps(tmp_path / "own")) == 2 and recipe["data"]["crop"] == [16, 24]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "lists no training"),
        ("trainings = 3", "unknown setting trainings"),
        ('threads = "all"\n' + FIRST, "threads is 'all'"),
        ('[[training]]\nrecipe = "tiny.toml"', "needs either out"),
        ('[[training]]\nout = "a"\nresume = "a"', "needs either out"),
        (FIRST + 'colour = "red"', "Training 1 of .*unrecognized arguments: --colour=red"),
        (FIRST + "probe = true", "has probe"),
        (FIRST + FIRST.replace('"a"', '"./a"'), "folder of another one"),
        ("[[training]", "not valid TOML"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_before_anything_runs(place, text, reason):
    path = place / "night.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=reason):
        run(NOWHERE, "train", "--queue", path)
    assert not (place / "a").exists()


def test_a_queue_runs_once_at_a_time(place):
    path = queue(place, FIRST)
    with held(read_queue(path)), pytest.raises(FileError, match="runs already"):
        run(NOWHERE, "train", "--queue", path)
    with pytest.raises(LorunError, match="described in its file"):
        run(NOWHERE, "train", "--queue", path, "--out", place / "a")
    with pytest.raises(LorunError, match="--queue FILE"):
        run(NOWHERE, "train", "--status")


def started(path: Path) -> subprocess.Popen:
    """The queue in a process of its own."""
    program = [sys.executable, "-m", "lorun_engine", "train", "--queue", str(path), "--events", "json"]
    return subprocess.Popen(program, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True)


def until_step(process: subprocess.Popen, name: str, step: int) -> None:
    """Reads what a queue tells until the training `name` has done a step."""
    events = map(json.loads, process.stdout)
    for _ in takewhile(lambda event: (event["event"], event.get("name")) != ("training", name), events):
        pass
    for _ in takewhile(lambda event: (event["event"], event.get("step")) != ("step", step), events):
        pass


LONG = RECIPE.replace("backbone_steps = 2", "backbone_steps = 40") + "checkpoint_steps = 4\ncheckpoint_s = 1e9\n"


def test_a_queue_that_was_killed_goes_on_where_it_was(place, capsys):
    (place / "long.toml").write_text(LONG)
    path = queue(place, FIRST, SECOND.replace("tiny", "long"))
    with started(path) as process:
        until_step(process, "b", 9)
        assert [row["state"] for row in status(capsys, path)] == ["finished", "running"]
        process.kill()
    assert [row["state"] for row in status(capsys, path)] == ["finished", "paused"]
    before = len(steps(place / "b"))
    assert run(NOWHERE, "train", "--queue", path) == 0
    assert steps(place / "b")[before][1] > 8 and len(steps(place / "a")) == 4
    words = ["--recipe", place / "long.toml", "--data", place / "cubes", "--phase", "backbone", "--seed", 5]
    run(NOWHERE, "train", *words, "--threads", 1, "--out", place / "whole")
    assert read_card(place / "b" / "share.safetensors").hash == read_card(place / "whole" / "share.safetensors").hash


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a word")
def test_a_queue_that_is_told_to_end_writes_a_checkpoint_and_obeys_commands_before(place, capsys):
    endless = RECIPE.replace("backbone_steps = 2", "backbone_steps = 100000") + "checkpoint_s = 1e9\n"
    (place / "long.toml").write_text(endless.replace("validation_steps = 2", "validation_steps = 1000"))
    path = queue(place, FIRST.replace("tiny", "long"), SECOND.replace("tiny", "long"))
    with started(path) as process:
        until_step(process, "a", 2)
        give_command(place / "a", "stop")  # ends this one, and the next begins
        until_step(process, "b", 3)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=60) == 143
    first, second = status(capsys, path)
    assert first["state"] == "finished" and first["message"].startswith("Stopped")
    assert second["state"] == "paused"
    goes_on = resume(place / "b")
    assert next(event for event in goes_on if event.event == "step").step == second["step"] + 1
    goes_on.close()

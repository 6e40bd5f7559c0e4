"""Commands to a running training: obeyed between two steps, and nothing is lost by any of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lorun_engine.cli.interrupts import Listening
from lorun_engine.library.model import load_model
from lorun_engine.training.run_folder import give_command, read_events
from lorun_engine.training.steering import CommandFile, steered
from lorun_engine.training.train import resume, train
from lorun_engine.training_data.dataset import Material
from tests.engine.training.test_train import losses, material, tiny  # noqa: F401 (a fixture)

STEPS = {"warm_start_steps": 0, "backbone_steps": 6, "adapter_steps": 2, "validation_steps": 100}


def told(run: Path, material: Material, *orders: tuple[int, str]) -> list:  # noqa: F811
    """The events of a training that gets every order right after the step with its number (of all steps done)."""
    events, done = [], 0
    for event in steered(train(tiny(**STEPS), material, run), CommandFile(run), lambda: resume(run)):
        events.append(event)
        if event.event == "step":
            done += 1
        for _, command in [order for order in orders if event.event == "step" and order[0] == done]:
            give_command(run, command)
    return events


def test_a_paused_training_that_continues_has_the_losses_of_an_unbroken_one(material, tmp_path):  # noqa: F811
    unbroken = losses(train(tiny(**STEPS), material, tmp_path / "unbroken"))
    events = told(tmp_path / "run", material, (2, "pause"), (2, "validate"), (2, "continue"))
    assert losses(events) == unbroken
    assert [event.event for event in events if event.event in ("paused", "started")] == ["started", "paused", "started"]


def test_stop_scores_keeps_a_usable_set_and_can_be_resumed(material, tmp_path):  # noqa: F811
    events = told(tmp_path / "run", material, (3, "stop"))
    assert [event.event for event in events[-3:]] == ["step", "validated", "stopped"] and events[-1].step == 3
    assert load_model(tmp_path / "run" / "share.safetensors").num_stages == 2
    rest = list(resume(tmp_path / "run"))
    assert rest[-1].event == "finished" and len(losses(rest)) == 5


def test_stop_while_paused_ends(material, tmp_path):  # noqa: F811
    events = told(tmp_path / "run", material, (1, "pause"), (1, "stop"))
    assert [event.event for event in events[-2:]] == ["paused", "stopped"]


def test_discard_ends_at_once_whether_it_runs_or_waits(material, tmp_path):  # noqa: F811
    events = told(tmp_path / "run", material, (3, "discard"))
    assert [event.event for event in events[-2:]] == ["step", "discarded"] and events[-1].step == 3
    events = told(tmp_path / "other", material, (1, "pause"), (1, "discard"))
    assert [event.event for event in events[-2:]] == ["paused", "discarded"]


def test_going_on_after_a_pause_is_told(material, tmp_path):  # noqa: F811
    events = told(tmp_path / "run", material, (2, "pause"), (2, "continue"))
    names = [event.event for event in events]
    assert names[names.index("paused") + 1] == "continued"


@pytest.mark.parametrize("command, answer", [("validate", "validated"), ("checkpoint", "saved")])
def test_scores_and_checkpoints_come_when_asked_for(material, tmp_path, command, answer):  # noqa: F811
    events = told(tmp_path / "run", material, (2, command))
    names = [event.event for event in events]
    assert names.index(answer) == names.index("step") + 2  # after the second step
    assert events[-1].event == "finished"


def test_words_that_are_no_commands_change_nothing(material, tmp_path):  # noqa: F811
    assert losses(told(tmp_path / "a", material, (1, "hurry"))) == losses(told(tmp_path / "b", material))


def test_half_a_line_waits_and_what_was_there_before_the_start_is_left_alone(tmp_path):
    give_command(tmp_path, "stop")
    commands = CommandFile(tmp_path)
    assert commands() is None
    with open(tmp_path / "commands", "a") as file:
        file.write("pau")
        file.flush()
        assert commands() is None
        file.write("se\nstop\n")
    assert [commands(), commands(), commands()] == ["pause", "stop", None]


def long_training(material, tmp_path: Path) -> subprocess.Popen:  # noqa: F811
    """`lorun train` in a process of its own, with more steps than anybody waits for."""
    (tmp_path / "recipe.toml").write_text(
        "[network]\nchannels = 28\nnum_stages = 2\ndenoiser = 'unet'\ndenoiser_settings = { widths = [4, 8] }\n"
        "[data]\ncrop = [8, 16]\nbatch = 2\nvalidation = ['second:lower']\n"
        "[training]\nbackbone_steps = 100000\nadapter_steps = 1\ncheckpoint_s = 1e9\ncheckpoint_steps = 100000\n"
    )
    program = [sys.executable, "-m", "lorun_engine", "train", "--events", "json"]
    words = ["--data", material.cubes[0][0].parent, "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "run"]
    place = Path(__file__).parents[3]
    return subprocess.Popen([*program, *map(str, words)], cwd=place, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a word")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_process_that_is_told_to_end_writes_a_checkpoint_within_one_step(material, tmp_path, number):  # noqa: F811
    with long_training(material, tmp_path) as process:
        events, told_at = [], None
        for line in process.stdout:
            events.append(json.loads(line))
            if told_at is None and events[-1].get("step") == 4:
                told_at = 4
                process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
    last = events[-1]
    assert (last["event"], last["reason"], last["step"]) == ("stopped", "told", events[-2]["step"])
    assert "validated" not in [event["event"] for event in events]  # that would take longer than a step
    goes_on = resume(tmp_path / "run")
    first = next(event for event in goes_on if event.event == "step")
    goes_on.close()
    assert first.step == last["step"] + 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows break otherwise")
def test_a_process_whose_listener_is_gone_writes_a_checkpoint_and_leaves(material, tmp_path):  # noqa: F811
    with long_training(material, tmp_path) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 130
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert [event.event for event in events[-2:]] == ["step", "stopped"]
    assert [event.step for event in events[1:-1]] == list(range(1, events[-1].step + 1))
    goes_on = resume(tmp_path / "run")
    assert next(event for event in goes_on if event.event == "step").step == events[-1].step + 1
    goes_on.close()


def test_a_training_that_is_told_to_end_while_it_is_paused_ends(material, tmp_path):  # noqa: F811
    events = told(tmp_path / "run", material, (1, "pause"), (1, "leave"))
    assert [event.event for event in events[-2:]] == ["paused", "stopped"] and events[-1].reason == "told"


def test_after_a_training_signals_are_heard_by_whoever_heard_them_before():
    before = signal.getsignal(signal.SIGTERM)
    with Listening(lambda: None) as commands:
        assert commands() is None and signal.getsignal(signal.SIGTERM) != before
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # an echo, as of a terminal that is closed
        assert commands() == "leave" and commands.told == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_command_line_obeys_the_file_in_its_folder(material, tmp_path, capsys):  # noqa: F811
    run = tmp_path / "run"
    with long_training(material, tmp_path) as process:
        names = []
        for line in process.stdout:
            names.append(json.loads(line)["event"])
            if names.count("step") == 1 and names[-1] == "step":
                give_command(run, "checkpoint")
                give_command(run, "stop")
        assert process.wait(timeout=60) == 0
    assert [name for name in names if name != "step"] == ["started", "saved", "validated", "stopped"]
    assert load_model(run / "share.safetensors").num_stages == 2

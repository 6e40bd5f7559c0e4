"""How a training stands, told by its folder, and the memory of a queue that one process holds at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorun_engine.errors import FileError
from lorun_engine.training.events import (
    Discarded,
    Finished,
    Paused,
    PhaseBegun,
    Started,
    Step,
    Stopped,
    TrainEvent,
    Validated,
    line_of,
)
from lorun_engine.training.queue import Queue, held, remembered, standing

AT = (7.0, "backbone", 3)
STEP, PAUSED, FINISHED = Step(*AT, 0.5, 1e-3), Paused(*AT, "Paused."), Finished(*AT, "It is complete.")


def folder(place: Path, *events: TrainEvent, checkpoint: bool = True) -> Path:
    run = place / "run"
    run.mkdir(exist_ok=True)
    (run / "events.jsonl").write_text("".join(line_of(event) + "\n" for event in events))
    if checkpoint:
        (run / "checkpoint-1.safetensors").touch()  # the newest may have been lost
    return run


@pytest.mark.parametrize(
    "last, state",
    [
        (STEP, "paused"),
        (PAUSED, "paused"),
        (FINISHED, "finished"),
        (Stopped(*AT, "No better score.", "early"), "finished"),
        (Stopped(*AT, "Stopped.", "asked"), "finished"),
        (Stopped(*AT, "Told to end.", "told"), "paused"),
        (Stopped(*AT, "The loss is no number.", "not-finite"), "failed"),
        (Stopped(*AT, "The disk is full.", "disk-full"), "failed"),
        (Discarded(*AT, "Nothing is kept."), "finished"),
    ],
)
def test_the_last_event_of_a_folder_tells_the_state(tmp_path, last, state):
    assert standing(folder(tmp_path, STEP, last), name="run").state == state


def test_without_a_checkpoint_a_training_waits_for_its_start(tmp_path):
    assert standing(tmp_path / "nothing", name="run").state == "waiting"
    found = standing(folder(tmp_path, STEP, checkpoint=False), name="run")
    assert found.state == "waiting" and found.step is None


def test_score_and_steps_are_those_of_the_current_phase(tmp_path):
    run = folder(
        tmp_path,
        Started(0.0, "backbone", 0, "It begins.", num_steps=3, num_parameters=99, device="cpu"),
        Validated(*AT, {"psnr": 40.0}),
        PhaseBegun(8.0, "adapters", 0, num_steps=9),
        Validated(8.5, "adapters", 1, {"psnr": 31.0, "ssim": 0.9}),
        Validated(9.0, "adapters", 2, {"psnr": 30.0}),
        Step(9.5, "adapters", 2, 0.5, 1e-3),
    )
    found = standing(run, name="run", runs=True)
    assert (found.state, found.phase, found.step, found.num_steps) == ("running", "adapters", 2, 9)
    assert (found.best, found.elapsed_s) == (31.0, 9.5)


def test_a_training_that_runs_may_be_paused_and_a_failure_is_told_until_it_ends_well(tmp_path):
    assert standing(folder(tmp_path, STEP, PAUSED), name="run", runs=True).state == "paused"
    failed = standing(folder(tmp_path, STEP), name="run", failure="No such mask.")
    assert (failed.state, failed.message) == ("failed", "No such mask.")
    assert standing(folder(tmp_path, FINISHED), name="run", failure="No such mask.").state == "finished"


def test_the_memory_of_a_queue_is_held_by_one_and_read_by_all(tmp_path):
    queue = Queue(tmp_path / "night.toml", ())
    assert remembered(queue) == (None, {})
    with held(queue) as memory:
        memory.failures["a"] = "No such mask."
        memory.write(running="b")
        assert remembered(queue) == ("b", {"a": "No such mask."})
        with pytest.raises(FileError, match="runs already"), held(queue):
            pass
    assert remembered(queue) == (None, {"a": "No such mask."})
    with held(queue) as again:
        assert again.failures == {"a": "No such mask."}


def test_a_memory_that_was_cut_off_counts_as_none(tmp_path):
    queue = Queue(tmp_path / "night.toml", ())
    queue.memory.write_text('{"running": "a", "fai')
    assert remembered(queue) == (None, {})

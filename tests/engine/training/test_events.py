"""What a training tells, as lines of JSON: the same event comes back, and what is not known is passed over."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from lorun_engine.training.events import (
    Discarded,
    Finished,
    Noted,
    Origin,
    PhaseBegun,
    Previewed,
    Result,
    Skipped,
    Started,
    Step,
    Stopped,
    TrainEvent,
    Validated,
    event_of,
    line_of,
)
from lorun_engine.training.run_folder import EventFile, read_events

AT = (1.5, "adapters", 7)
RESULT = Result({"psnr": 31.0}, {"psnr": 30.0}, "adapters.safetensors", "ab12", "report.html")
EVENTS = [
    Skipped(0.0, "a.h5", "It is a picture."),
    Noted(0.0, "Half of the file is withheld."),
    Started(*AT, "It begins.", 40, 1234, "cpu"),
    Started(*AT, "It begins.", 40, 1234, "cpu", Origin("Mine", "cassi-any-mask", "cd34", "ab12")),
    PhaseBegun(*AT, 40),
    Step(*AT, 0.5, 1e-3),
    Validated(*AT),
    Validated(*AT, {"psnr": 30.0}, is_start=True, is_best=True),
    Previewed(*AT, "preview.npz", is_start=True),
    Stopped(*AT, "Stopped.", "asked", RESULT),
    Discarded(*AT, "Nothing is kept."),
    Finished(*AT, "It is complete."),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_an_event_comes_back_from_its_line(event):
    assert event_of(line_of(event)) == event


def test_every_kind_has_a_name_of_its_own():
    names = [kind.event for kind in get_args(TrainEvent)]
    assert len(set(names)) == len(names)


def test_a_line_holds_what_is_set_side_by_side():
    assert json.loads(line_of(Step(*AT, 0.5, 1e-3))) == {
        "event": "step", "elapsed_s": 1.5, "phase": "adapters", "step": 7, "loss": 0.5, "learning_rate": 1e-3,
    }  # fmt: skip
    ended = json.loads(line_of(Finished(*AT, "It is complete.", RESULT)))
    assert ended["metrics"] == {"psnr": 31.0} and ended["path"] == "adapters.safetensors" and "result" not in ended
    assert "is_best" not in json.loads(line_of(Validated(*AT, {"psnr": 30.0})))


def test_fields_of_a_later_version_are_passed_over():
    step = Step(*AT, 0.5, 1e-3)
    assert event_of(json.dumps({**json.loads(line_of(step)), "watts": 30})) == step


@pytest.mark.parametrize(
    "line",
    [
        b'{"event": "sa',
        b"[1]",
        b"a library's warning",
        b'{"event": "probe"}',
        b'{"event": ["step"]}',
        b'{"event": "phase", "elapsed_s": 1, "phase": "adapters", "step": 1}',
        b'{"event": "phase", "elapsed_s": 1, "phase": "adapters", "step": true, "num_steps": 3}',
        b'{"event": "phase", "elapsed_s": "1", "phase": "adapters", "step": 1, "num_steps": 3}',
        b'{"event": "phase", "elapsed_s": 1e300, "phase": "adapters", "step": 1, "num_steps": 3}',
        b'{"event": "phase", "elapsed_s": -1, "phase": "adapters", "step": 1, "num_steps": 3}',
    ],
)
def test_what_is_no_event_is_passed_over(line):
    assert event_of(line) is None


def test_a_file_of_events_tells_every_line_once(tmp_path):
    events, first, second = EventFile(tmp_path / "events.jsonl"), Step(*AT, 0.5, 1e-3), Step(*AT, 0.4, 1e-3)
    assert events.new() == []
    events.path.write_text(f"{line_of(first)}\n{line_of(second)[:9]}")
    assert events.new() == [first] and events.new() == []
    with open(events.path, "a") as stream:
        stream.write(f"{line_of(second)[9:]}\n{line_of(first)}\n")
    assert events.new() == [second, first]
    with open(events.path, "a") as stream:
        stream.write(f"{line_of(first)}\n")
    events.skip()
    assert events.new() == [] and read_events(events.path) == [first, second, first, first]

"""A decode whose start takes long: named while it lasts, cancelled inside, and taken again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import Qt

from app.document.decoders import Choice, LibraryDecoders
from app.panels.decode import DecodeCard
from app.panels.status import StatusBar
from app.viewers.strip import StageStrip


@dataclass(frozen=True)
class SlowStart:
    """Three stages behind a start of eight iterations, each of which `gate` is asked for."""

    gate: object
    name: str = "slow"
    task: str = "cassi"
    num_stages: int = 3
    step_name: str = "stage"
    set_name: str = "a"
    computed: list = None

    def fitted(self, measurement):
        return self

    def input_scale(self, measurement):
        return 1.0

    def require(self, num_stages, physics):
        pass

    def on(self, device):
        return self

    def sparing(self):
        return None

    def depends_on(self, stage):
        return ("subspace TV", 8) if not stage else (self.set_name, stage)

    def start(self, y, physics):
        import torch

        from lorun_engine.decoder import Stage, StartStep

        for iteration in range(9):
            self.gate(iteration)
            self.computed.append(iteration)
            yield StartStep("subspace TV", iteration, 8)
        return Stage(0, torch.ones(1, *physics.scene_shape), method="subspace TV")

    def stages_after(self, reached, y, physics, *, num_stages):
        from lorun_engine.decoder import Stage

        for index in range(reached.index + 1, num_stages + 1):
            yield Stage(index, reached.image * 0.5**index)

    def stages(self, y, physics, *, num_stages):
        raise AssertionError("a decoder that can be resumed is asked for its start")


class Library:
    """Two sets of one kind of start."""

    def __init__(self, slow: SlowStart) -> None:
        self.sets = {"slow": slow, "other": replace(slow, name="other", set_name="b")}

    def choices(self):
        return tuple(Choice(name, "cassi", 3, True) for name in self.sets)

    def open(self, choice):
        return self.sets[choice.name]


@pytest.fixture
def gate(gate_type):
    return gate_type(at=4)


@pytest.fixture
def parts(qtbot, tmp_path, make_parts, snapshot, gate):
    made = make_parts(SlowStart(gate, computed=[]))
    made.setup.decoders = Library(SlowStart(gate, computed=[]))
    made.setup.take_choices(made.setup.decoders.choices())
    with qtbot.waitSignal(made.lanes.idle):
        made.session.open([snapshot])
    return made


def test_a_start_is_named_cancelled_inside_and_taken_again(qtbot, parts, show, gate):
    window, session = show(parts), parts.session
    computed = parts.setup.decoders.sets["slow"].computed
    decode, status, strip = (window.findChild(kind) for kind in (DecodeCard, StatusBar, StageStrip))
    qtbot.mouseClick(decode.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(gate.is_reached.is_set)
    qtbot.waitUntil(lambda: decode.sentence.text().startswith("Start: subspace TV, iteration 3 of 8"))
    assert status.result.text().startswith("Start: subspace TV, iteration 3 of 8")
    assert decode.progress.isVisible() and session.num_announced == 0

    decode.button.setFocus()
    qtbot.keyClick(decode.button, Qt.Key.Key_Space)
    assert decode.sentence.text() == "Stops after the iteration that is being computed."
    with qtbot.waitSignal(parts.lanes.idle):
        gate.is_open.set()
    assert computed == [0, 1, 2, 3, 4] and session.restoration.message == "Cancelled." and not len(session.stages)

    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.keyClick(decode.button, Qt.Key.Key_Space)
    assert len(session.stages) == 4 and not session.stages.row(0).is_reused
    assert ", start by subspace TV in " in parts.lanes.logged[-1]
    hint = strip.stages.index(0).data(Qt.ItemDataRole.ToolTipRole)
    assert strip.stages.index(0).data() == "Start"
    assert hint.startswith("What the first stage begins with: subspace TV\nStart, residual ")
    assert "Taken from" not in hint

    del computed[:]
    shown = session.stages
    parts.setup.switch_decoder("other")
    with qtbot.waitSignal(parts.lanes.idle):
        qtbot.waitUntil(lambda: decode.button.isEnabled())
        qtbot.mouseClick(decode.button, Qt.MouseButton.LeftButton)
    assert session.stages is not shown and computed == []
    assert [row.is_reused for row in session.stages.rows()] == [True, False, False, False]
    assert "start taken from the last decode" in decode.sentence.text()
    assert parts.lanes.logged[-1].endswith("start taken from the last decode")
    assert "Taken from the last decode" in strip.stages.index(0).data(Qt.ItemDataRole.ToolTipRole)


def test_a_cancel_in_the_start_leaves_the_picture_of_before(qtbot, parts, gate):
    session = parts.session
    gate.is_open.set()
    with qtbot.waitSignal(parts.lanes.idle):
        session.restore()
    shown, restoration = session.stages, session.restoration
    session.kept_stages.clear()
    gate.is_open.clear()
    gate.is_reached.clear()
    session.restore()
    qtbot.waitUntil(gate.is_reached.is_set)
    session.cancel()
    with qtbot.waitSignal(parts.lanes.idle):
        gate.is_open.set()
    assert session.stages is shown and len(shown) == 4
    assert (session.restoration.state, session.restoration.done_stages) == ("cancelled", restoration.done_stages)


def test_more_stages_and_a_comparison_take_what_is_there(qtbot, parts, gate):
    session, computed = parts.session, parts.setup.decoders.sets["slow"].computed
    gate.is_open.set()
    parts.setup.set_num_stages(1)
    with qtbot.waitSignal(parts.lanes.idle):
        session.restore()
    parts.setup.set_num_stages(3)
    with qtbot.waitSignal(parts.lanes.idle):
        session.restore()
    assert [row.is_reused for row in session.stages.rows()] == [True, True, False, False]
    assert session.timed.pace.seconds_left == 0 and session.timed.pace.share == 1
    for name in parts.comparing.ticked:
        parts.comparing.tick(name, name == "other")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.comparing.decode()
    (outcome,) = parts.comparing.progress.outcomes
    assert outcome.result is not None and computed.count(8) == 1


def test_the_engine_takes_the_start_of_a_real_set_for_another_strength(qtbot, make_parts, snapshot, make_trained_set):
    parts = make_parts()
    parts.setup.decoders = LibraryDecoders([make_trained_set([450.0, 500.0, 560.0, 640.0])])
    parts.setup.take_choices(parts.setup.decoders.choices())
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    parts.setup.switch_decoder("tiny")
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    whole = [parts.session.stages.image(k).copy() for k in range(3)]
    parts.setup.set_percent(50)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert [row.is_reused for row in parts.session.stages.rows()] == [True, False, False]
    assert (parts.session.stages.image(0) == whole[0]).all() and (parts.session.stages.image(2) != whole[2]).any()
    parts.setup.take_whole()
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.restore()
    assert all((parts.session.stages.image(k) == whole[k]).all() for k in range(3))

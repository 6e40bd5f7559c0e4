"""What twenty stages of a decode cost the window: one signal a stage, and the rules of the actions once a turn."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from collections import Counter
from dataclasses import replace

import pytest
from PySide6.QtWidgets import QWidget

import app.viewers
from app import actions
from app.document.session import Session

NUM_STAGES, MOST = 20, 25
SIGNALS = ("opened_changed", "restoration_changed", "stage_added", "selection_changed", "held_changed")
SEEN = {  # the viewers that draw in each mode
    "colour": {"CentreView", "PaneGrid"},
    "band": {"CentreView", "PaneGrid"},
    "montage": {"CentreView", "Montage"},
    "compare": {"CentreView", "CompareView"},
    "residual": {"CentreView", "ResidualView"},
}


def viewers() -> list[type]:
    """Every widget of the viewers that is refreshed."""
    modules = [
        importlib.import_module(f"app.viewers.{found.name}") for found in pkgutil.iter_modules(app.viewers.__path__)
    ]
    classes = [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)]
    widgets = [kind for kind in dict.fromkeys(classes) if issubclass(kind, QWidget) and hasattr(kind, "refresh")]
    assert {name for drawing in SEEN.values() for name in drawing} < {kind.__name__ for kind in widgets}
    return widgets


@pytest.fixture
def counted(monkeypatch) -> Counter:
    """How often each viewer was refreshed and each rule was read; asked for before a window is made."""
    counts: Counter = Counter()

    def counting(name, original):
        def counted(of):  # a viewer itself, or the parts that a rule is read of
            counts[name] += 1
            return original(of)

        return counted

    for viewer in viewers():
        monkeypatch.setattr(viewer, "refresh", counting(viewer.__name__, viewer.refresh))
    entries = [replace(entry, rule=counting(f"rule of {entry.name}", entry.rule)) for entry in actions.ENTRIES]
    monkeypatch.setattr(actions, "ENTRIES", tuple(entries))
    return counts


@pytest.mark.parametrize("mode", SEEN)
def test_twenty_stages_refresh_no_viewer_and_read_no_rule_more_than_25_times(qtbot, counted, opened, fake, show, mode):
    fake.gate = lambda index: time.sleep(0.02)  # so that the mailbox skips no stage
    window = show(opened)
    opened.setup.set_num_stages(NUM_STAGES)
    opened.looking.set_mode(mode)
    qtbot.wait(10)
    at_the_end: list[Counter] = []  # what is computed from the result afterwards is not of the stages
    session = opened.session
    session.restoration_changed.connect(lambda: session.restoration.is_busy or at_the_end.append(counted.copy()))
    counted.clear()
    session.restore()
    qtbot.waitUntil(lambda: bool(at_the_end), timeout=20_000)
    assert len(session.stages) == NUM_STAGES + 1 and window.actions_["decode"].isEnabled()
    counts = at_the_end[0]
    assert max(counts.values()) <= MOST, counts.most_common(3)
    drawing = {*SEEN[mode], "SteppingCard", "StageStrip", "ConvergenceView", "SpectrumView"}
    assert all(counts[name] > 2 for name in drawing), counts
    assert counts["rule of decode"] >= 1  # once a turn, and many stages may come in one


def test_a_stage_is_one_signal_and_everything_has_moved_when_it_is_sent(qtbot, opened):
    told: list[tuple[str, int, int]] = []
    session: Session = opened.session
    for name in SIGNALS:
        getattr(session, name).connect(
            lambda *_, name=name: told.append((name, session.restoration.done_stages, session.selection.stage))
        )
    with qtbot.waitSignal(opened.lanes.idle):
        session.restore()
    stages = [entry for entry in told if entry[0] == "stage_added"]
    assert stages == [("stage_added", index, index) for index in range(len(session.stages))]
    assert [name for name, *_ in told if name != "stage_added"] == ["restoration_changed"] * 2  # begun and done

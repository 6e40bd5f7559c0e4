"""What twenty stages of a decode cost the window: one signal a stage, and the rules of the actions once a turn."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from app.actions import Actions
from app.document.session import Session
from app.viewers.centre import CentreView
from app.viewers.compare import CompareView
from app.viewers.convergence import ConvergenceView
from app.viewers.grid import PaneGrid
from app.viewers.montage import Montage
from app.viewers.region_panel import RegionPanel
from app.viewers.residual import ResidualView
from app.viewers.spectrum import SpectrumView
from app.viewers.stepping import SteppingCard

NUM_STAGES, MOST = 20, 25
PICTURES = (CentreView, PaneGrid, Montage, CompareView, ResidualView, SteppingCard)
VIEWERS = (*PICTURES, ConvergenceView, SpectrumView, RegionPanel)
SIGNALS = ("opened_changed", "restoration_changed", "stage_added", "selection_changed", "held_changed")


@pytest.fixture
def counted(monkeypatch) -> Counter:
    """How often each viewer was refreshed and the rules were read; asked for before a window is made."""
    counts: Counter = Counter()

    def count(of: type, method: str) -> None:
        original = getattr(of, method)

        def counting(self) -> None:
            counts[of.__name__] += 1
            original(self)

        monkeypatch.setattr(of, method, counting)

    for viewer in VIEWERS:
        count(viewer, "refresh")
    count(Actions, "update")
    return counts


@pytest.mark.parametrize("mode", ["colour", "band", "montage", "compare", "residual"])
def test_twenty_stages_refresh_no_viewer_more_than_25_times(qtbot, counted, opened, fake, show, mode):
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
    assert at_the_end[0]["CentreView"] > 2 and max(at_the_end[0].values()) <= MOST, at_the_end[0]


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

"""Two hundred things at random, of all that the window can do: nothing is raised, and the session stays consistent."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app import main_window
from app.actions import ENTRIES
from app.assembly import Parts
from app.document.selection import MEASUREMENT, REFERENCE
from app.main_window import MainWindow
from app.pages import preferences
from app.panels import exporting, sessions
from app.panels import folder as folder_panel

NUM_ACTIONS = 200
# it ends the window, starts a process of its own, or takes long
LEFT_OUT = ("quit", "adapt", "self_test", "about", "open_cassi_sample", "open_cs_sample", "open_sr_sample")


@pytest.fixture
def window(qtbot, make_parts, fake_decoder_type, monkeypatch) -> MainWindow:
    """A window with two decoders for every task, whose file dialogs are always left by Cancel."""
    decoders = []
    for task in ("cassi", "cs", "sr"):
        for name in ("one", "other"):
            decoder = fake_decoder_type(f"{name}-{task}", num_stages=3)
            decoder.task = task
            decoders.append(decoder)
    for module in (main_window, exporting, folder_panel, preferences, sessions):
        for name in vars(module).copy():
            if name.startswith("ask_"):
                monkeypatch.setattr(module, name, lambda *arguments: None)
    window = MainWindow(make_parts(*decoders))
    qtbot.addWidget(window)
    window.show()
    return window


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("measured", ["snapshot", "samples", "low_resolution"])
def test_a_monkey_leaves_the_session_consistent(qtbot, request, window, measured, seed):
    parts, rng = window.parts, random.Random(seed)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([request.getfixturevalue(measured)])
    with qtbot.waitSignal(parts.lanes.idle, timeout=20_000):
        parts.session.restore()
    tricks = _tricks(window, rng)
    for _ in range(NUM_ACTIONS):
        rng.choice(tricks)()
        QApplication.processEvents()
        if rng.random() < 0.2:
            qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=20_000)
        _assert_consistent(parts)
    qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=20_000)
    _assert_consistent(parts)
    window.actions_.update()
    for entry in ENTRIES:
        if entry.name and entry.name not in ("recent", "theme", "undo", "redo"):
            assert window.actions_[entry.name].isEnabled() == entry.rule(parts), entry.name


def _tricks(window: MainWindow, rng: random.Random) -> list[Callable[[], None]]:
    """All actions of the table, and what hands do beside them, sensible or not."""
    parts = window.parts
    names = [e.name for e in ENTRIES if e.name and e.name not in ("recent", "theme", *LEFT_OUT)]
    keys = [
        Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down,
        Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Delete, Qt.Key.Key_Tab,
    ]  # fmt: skip

    def click() -> None:
        place = QPoint(rng.randrange(window.centre.width()), rng.randrange(window.centre.height()))
        target = window.centre.childAt(place)
        if target is not None:
            QTest.mouseClick(target, Qt.MouseButton.LeftButton, pos=target.mapFrom(window.centre, place))

    return [
        *(lambda name=name: window.actions_[name].trigger() for name in names),
        *(lambda key=key: QTest.keyClick(window.centre, key) for key in keys),
        *[click] * 8,
        lambda: parts.looking.select_stage(rng.randrange(-2, 9)),
        lambda: parts.looking.select_band(rng.randrange(-2, 9)),
        lambda: parts.looking.select_pixel((rng.randrange(-3, 40), rng.randrange(-3, 40))),
        lambda: parts.looking.select_pixel(None),
        lambda: parts.looking.set_panes([rng.randrange(-3, 6) for _ in range(rng.randrange(5))]),
        lambda: parts.setup.set_num_stages(rng.randrange(5)),
        lambda: parts.setup.switch_decoder(rng.choice([*parts.setup.decoder_names, "nobody"])),
        lambda: parts.looking.set_stretch((rng.choice([0.0, 1.0]), rng.choice([99.0, 100.0])), rng.random() < 0.5),
        lambda: window.resize(rng.randrange(1180, 1600), rng.randrange(640, 1000)),
    ]


def _assert_consistent(parts: Parts) -> None:
    """Everything that is selected exists, and what is said of the decode is so."""
    selection, restoration = parts.session.selection, parts.session.restoration
    num_bands, height, width = parts.session.measurement.physics.scene_shape
    assert 0 <= selection.stage < max(1, len(parts.session.stages))
    assert 0 <= selection.band < num_bands
    assert selection.pixel is None or (0 <= selection.pixel[0] < height and 0 <= selection.pixel[1] < width)
    asked = restoration.num_stages  # the panes of a decode before wait for the stages of the next
    assert selection.panes and all(p in (MEASUREMENT, REFERENCE) or 0 <= p <= asked for p in selection.panes)
    assert restoration.done_stages <= restoration.num_stages
    assert not (restoration.is_busy and parts.session.can_restore)
    assert parts.setup.decoder_name in parts.setup.decoder_names

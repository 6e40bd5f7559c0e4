"""Five hundred things at random, of all that the window can do, sessions among them.

Nothing is raised, the session stays consistent, and what was saved is there again when it is opened.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app import main_window
from app.actions import ENTRIES
from app.assembly import Parts
from app.document.region import SHAPES
from app.document.selection import MEASUREMENT, REFERENCE
from app.document.shelf import Result
from app.main_window import MainWindow
from app.pages import preferences
from app.panels import exporting, sessions
from app.panels import folder as folder_panel
from lorun_engine.task import TASKS
from tests.app.conftest import FakeDecoder

NUM_ACTIONS = 500
NUM_SAVED = 6  # about, of the actions
# it ends the window, starts a process of its own, or takes long
LEFT_OUT = ("quit", "adapt", "self_test", "about", *(f"open_{task}_sample" for task in TASKS))


class Random(FakeDecoder):
    """Three stages of noise that no other decode has."""

    num_decodes = 0

    def stages(self, y, physics, *, num_stages: int):
        Random.num_decodes += 1
        generator = torch.Generator().manual_seed(Random.num_decodes)
        for stage in super().stages(y, physics, num_stages=num_stages):
            yield replace(stage, image=torch.rand((1, *physics.scene_shape), generator=generator))


@dataclass(frozen=True)
class Monkey:
    """A window, and parts without one in which sessions are opened too."""

    window: MainWindow
    beside: Parts
    rng: random.Random
    qtbot: object
    folder: Path

    @property
    def parts(self) -> Parts:
        return self.window.parts

    def rest(self, parts: Parts | None = None) -> None:
        """Waits until nothing is under way."""
        lanes, session = (parts or self.parts).lanes, (parts or self.parts).session
        self.qtbot.waitUntil(lambda: not lanes.is_busy and not session.is_opening, timeout=60_000)

    def act(self, tricks: list[Callable[[], None]]) -> None:
        self.rng.choice(tricks)()
        QApplication.processEvents()
        if self.rng.random() < 0.2:
            self.qtbot.waitUntil(lambda: not self.parts.lanes.is_busy, timeout=60_000)
        _assert_consistent(self.parts)

    def save_and_open(self, tricks: list[Callable[[], None]]) -> None:
        """Saves, at times while something is under way, goes on, and opens what was saved here or beside."""
        parts, path = self.parts, self.folder / "work.lorun"
        is_at_rest = self.rng.random() < 0.8
        if is_at_rest:
            self.rest()
        if not parts.session_files.can_save:  # a simulation
            return
        was = _on_screen(parts)
        on_shelf = _on_shelf(parts)
        with self.qtbot.waitSignal(parts.session_files.saved, timeout=60_000):
            parts.session_files.save(path)
        copied = shutil.copy(path, path.with_stem(f"copy{self.rng.random()}"))  # Save session writes to the other
        for _ in range(self.rng.randrange(12)):
            self.act(tricks)
        self.rest()
        target = self.rng.choice((parts, self.beside))
        if target is self.beside:
            target.shelf.clear()
        with self.qtbot.waitSignal(target.session_files.opened, timeout=60_000):
            target.session.open([copied])
        self.rest(target)
        _assert_consistent(target)
        again = _on_shelf(target)
        assert again[len(again) - len(on_shelf) :] == on_shelf  # whatever was decoded since stands before
        if target is self.beside:
            assert len(again) == len(on_shelf)
        if is_at_rest:
            assert _on_screen(target) == was


@pytest.fixture
def monkey(qtbot, request, make_parts, monkeypatch, tmp_path) -> Callable[[str, int], Monkey]:
    """Makes one with two decoders for every task, whose file dialogs are always left by Cancel."""
    for module in (main_window, exporting, folder_panel, preferences, sessions):
        for name in vars(module).copy():
            if name.startswith("ask_"):
                monkeypatch.setattr(module, name, lambda *arguments: None)

    def decoders() -> list[Random]:
        made = []
        for task in ("cassi", "cs", "sr"):
            for name in ("one", "other"):
                made.append(Random(f"{name}-{task}", num_stages=3))
                made[-1].task = task
        return made

    def make(measured: str, seed: int) -> Monkey:
        window = MainWindow(make_parts(*decoders()))
        qtbot.addWidget(window)
        window.show()
        monkey = Monkey(window, make_parts(*decoders()), random.Random(seed), qtbot, tmp_path)
        path = request.getfixturevalue(measured)
        shutil.copy(path, tmp_path / f"second{path.suffix}")
        with qtbot.waitSignal(window.parts.lanes.idle):
            window.parts.session.open([path])
        with qtbot.waitSignal(window.parts.lanes.idle, timeout=20_000):
            window.parts.session.restore()
        return monkey

    return make


@pytest.mark.parametrize(("measured", "seed"), [("snapshot", 1), ("samples", 2), ("low_resolution", 3)])
def test_a_monkey_leaves_the_session_consistent(monkey, measured, seed):
    monkey = monkey(measured, seed)
    window, parts = monkey.window, monkey.parts
    (opened,) = parts.session.paths
    tricks = _tricks(window, monkey.rng, [opened, opened.with_stem("second")])
    for _ in range(NUM_ACTIONS):
        if monkey.rng.random() < NUM_SAVED / NUM_ACTIONS:
            monkey.save_and_open(tricks)
        else:
            monkey.act(tricks)
    monkey.rest()
    _assert_consistent(parts)
    window.actions_.update()
    for entry in ENTRIES:
        if entry.name and entry.name not in ("recent", "theme", "undo", "redo"):
            assert window.actions_[entry.name].isEnabled() == entry.rule(parts), entry.name


def _tricks(window: MainWindow, rng: random.Random, files: list[Path]) -> list[Callable[[], None]]:
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

    def corners() -> list[tuple[float, float]]:
        return [(rng.uniform(-2, 18), rng.uniform(-2, 26)) for _ in range(rng.choice((1, 2, 3)))]

    def on_shelf(verb: Callable[[Result], None]) -> None:
        if parts.shelf.all:
            verb(rng.choice(parts.shelf.all))

    def correct() -> None:
        options = replace(parts.session.options, input_scale=rng.choice((None, 1.0, 2.0)))
        parts.corrections.correct(options, text="scale")

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
        lambda: parts.regions.add(rng.choice(SHAPES), corners()),
        lambda: parts.regions.move(rng.randrange(6), rng.uniform(-9, 9), rng.uniform(-9, 9)),
        lambda: parts.comparing.choose(left=rng.choice([None, *parts.comparing.sides()])),
        lambda: parts.comparing.choose(right=rng.choice([None, *parts.comparing.sides()])),
        parts.comparing.decode,
        lambda: on_shelf(parts.shelf.show),
        lambda: on_shelf(parts.shelf.drop),
        lambda: on_shelf(parts.shelf.use_settings),
        correct,
        lambda: parts.session.open([rng.choice(files)]),
        lambda: parts.folder.open(files[0].parent),
        parts.folder.close,
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


def _pixels(stages) -> tuple[bytes, ...]:
    return tuple(stages.image(index).tobytes() for index in range(len(stages)))


def _on_shelf(parts: Parts) -> list[tuple]:
    """The results that a session has, the oldest first, with all their pixels."""
    kept = [parts.shelf.of(result) for result in parts.shelf.all]
    simulated = parts.session.simulated
    return [(each.recipe, _pixels(each.stages)) for each in kept if not simulated.intersection(each.recipe.paths[:1])]


def _on_screen(parts: Parts) -> dict[str, object]:
    """What a user sees and can take back."""
    session, setup, regions, steps = parts.session, parts.setup, parts.regions, parts.corrections.steps
    look, shelf = parts.comparing.look, parts.shelf

    def side(of: object) -> object:
        kept = shelf.of(of) if isinstance(of, Result) else None
        return of if kept is None else (kept.recipe, _pixels(kept.stages))

    return {
        "files": (session.paths, session.options, session.kept),
        "pixels": _pixels(session.stages),
        "made with": (session.recipe, session.restoration.done_stages, session.restoration.num_stages),
        "selection": session.selection,
        "regions": (regions.all, regions.chosen_number, regions.side),
        "compared": (*map(side, parts.comparing.pair), look.way, look.divider, look.has_lens, parts.comparing.ticked),
        "next": (setup.decoder_name, setup.num_stages, setup.device, setup.precision, setup.adapting),
        "steps": ([steps.command(number).text() for number in range(steps.count())], steps.index()),
        "folder": (parts.folder.path, [capture.path.name for capture in parts.folder.captures]),
        "keeps": session.keeps_denoiser_input,
    }

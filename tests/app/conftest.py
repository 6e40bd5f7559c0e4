"""A tiny CASSI snapshot on the disk, decoders that do as they are told, and parts that end with their test."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QMessageBox

from app.assembly import Parts
from app.document.decoders import Choice
from app.main_window import MainWindow
from app.widgets import theme
from lorun_engine.errors import LorunError

NUM_BANDS, STEP, HEIGHT, WIDTH = 4, 2, 16, 14
WAVELENGTHS_NM = np.array([450.0, 500.0, 560.0, 640.0])


class FakeDecoder:
    """K stages that halve the image. `gate` is waited for before every stage, `fail` maps a stage to what it raises.

    `refusal` is the sentence why it does not fit, if it does not.
    """

    task = "cassi"
    step_name = "stage"

    def __init__(self, name: str = "fake", *, num_stages: int = 5) -> None:
        self.name, self.num_stages = name, num_stages
        self.gate: Callable[[int], object] = lambda index: None
        self.fail: dict[int, BaseException] = {}
        self.refusal = ""
        self.computed: list[int] = []

    def fitted(self, measurement):
        if self.refusal:
            raise LorunError(self.refusal)
        return self

    def input_scale(self, measurement) -> float:
        return 1.0

    def stages(self, y, physics, *, num_stages: int):
        import torch

        from lorun_engine.decoder import Stage

        for index in range(num_stages + 1):
            self.gate(index)
            if index in self.fail:
                raise self.fail[index]
            self.computed.append(index)
            yield Stage(index, torch.full((1, *physics.scene_shape), 0.5**index), parameters={"rho": 0.5})


class FakeDecoders:
    """Stands in for the library."""

    def __init__(self, *decoders: FakeDecoder) -> None:
        self.decoders = {decoder.name: decoder for decoder in decoders}

    def choices(self) -> tuple[Choice, ...]:
        return tuple(Choice(d.name, d.task, d.num_stages, False, step_name=d.step_name) for d in self.decoders.values())

    def open(self, choice: Choice) -> FakeDecoder:
        return self.decoders[choice.name]


class Gate:
    """Holds a decoder before a stage until it is opened, and tells when it got there."""

    def __init__(self, *, at: int) -> None:
        self.at, self.is_reached, self.is_open = at, threading.Event(), threading.Event()

    def __call__(self, index: int) -> None:
        if index == self.at:
            self.is_reached.set()
            assert self.is_open.wait(20)


class Heartbeat:
    """A timer of 10 ms: how long the event loop did not come round to it, by the clock and in its own time.

    The clock also counts what other programs took of the computer, the time of the thread does not.
    """

    def __init__(self) -> None:
        self.longest_s = self.longest_own_s = 0.0
        self._last, self._last_own = time.monotonic(), time.thread_time()
        self._timer = QTimer(interval=10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now, own = time.monotonic(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.longest_own_s = max(self.longest_own_s, own - self._last_own)
        self._last, self._last_own = now, own

    def stop(self) -> None:
        self._timer.stop()
        print(f"longest gap {1000 * self.longest_s:.0f} ms, {1000 * self.longest_own_s:.0f} ms of it our own work")


@pytest.fixture
def heartbeat() -> type[Heartbeat]:
    return Heartbeat


@pytest.fixture
def qtbot(qtbot):
    """Waits 20 s where a test names no time: pytest-qt's 5 s are too few while other programs want all cores."""
    for name in ("waitSignal", "waitSignals", "waitUntil", "waitExposed", "waitActive"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=20_000))
    return qtbot


_SEARCHED: dict[tuple, list] = {}  # the events of whole searches


@pytest.fixture(autouse=True)
def mouse_is_elsewhere(qapp):
    """Where an earlier test left the mouse, what moves below it would be entered and left."""
    QCursor.setPos(-100, -100)


@pytest.fixture(autouse=True)
def search_each_capture_once(monkeypatch):
    """Every decode searches the mask of its capture, most of them that of the same snapshot: one search serves all."""
    from lorun_engine.camera_checks import alignment

    align = alignment.align

    def once(measurement, **reach):
        physics = measurement.physics
        if measurement.task != "cassi":
            yield from align(measurement, **reach)
            return
        mask = physics.mask.numpy()
        key = (measurement.y.tobytes(), mask.tobytes(), mask.shape, repr(physics.dispersion), repr(reach))
        if key in _SEARCHED:
            yield from _SEARCHED[key]
            return
        events = []
        for event in align(measurement, **reach):
            events.append(event)
            yield event
        _SEARCHED[key] = events

    monkeypatch.setattr(alignment, "align", once)


@pytest.fixture
def fake() -> FakeDecoder:
    return FakeDecoder()


@pytest.fixture
def fake_decoder_type() -> type[FakeDecoder]:
    return FakeDecoder


@pytest.fixture
def gate_type() -> type[Gate]:
    return Gate


@pytest.fixture
def snapshot(tmp_path) -> Path:
    """A measurement file of ours, with its mask and its true scene."""
    return write_snapshot(tmp_path / "snapshot.h5", seed=1)


@pytest.fixture
def foreign(tmp_path) -> tuple[Path, Path]:
    """A capture and its mask in two files that state no geometry."""
    y, mask, _ = _simulate(seed=2)
    np.save(tmp_path / "capture.npy", y)
    np.save(tmp_path / "mask.npy", mask)
    return tmp_path / "capture.npy", tmp_path / "mask.npy"


@pytest.fixture
def samples(tmp_path) -> Path:
    """A file of ours with 16 samples of each of six 8 x 8 blocks of a grey picture, and the picture."""
    from lorun_engine.io import write_measurement
    from lorun_engine.measurement import Scene
    from lorun_engine.tasks import cs

    scene = Scene(np.random.default_rng(3).random((1, HEIGHT, 24), dtype=np.float32))
    measurement = cs.simulate(scene, cs.random_sampling(25, block_size=8))
    write_measurement(tmp_path / "samples.h5", measurement, attributes={})
    return tmp_path / "samples.h5"


@pytest.fixture
def low_resolution(tmp_path) -> Path:
    """A file of ours with a colour picture at half its size, and the picture."""
    from lorun_engine.io import write_measurement
    from lorun_engine.measurement import Scene
    from lorun_engine.tasks import sr

    scene = Scene(np.random.default_rng(4).random((3, HEIGHT, 24), dtype=np.float32))
    measurement = sr.simulate(scene, np.full((3, 3), 1 / 9, np.float32), 2)
    write_measurement(tmp_path / "small.h5", measurement, attributes={})
    return tmp_path / "small.h5"


@pytest.fixture
def decode_photograph(qtbot, make_parts):
    """Opens a file in parts of its own and decodes it with three stages: stage k is 0.5^k everywhere."""

    def decode(path: Path, task: str) -> Parts:
        decoder = FakeDecoder(num_stages=3)
        decoder.task = task
        parts = make_parts(decoder)
        with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
            parts.session.open([path])
        assert parts.session.problem is None
        with qtbot.waitSignal(parts.lanes.idle):
            parts.session.restore()
        return parts

    return decode


@pytest.fixture
def make_parts(qtbot, tmp_path):
    """Makes parts with a loaded engine; every one has ended when the test has."""
    made = []

    def make(*decoders: FakeDecoder, state_folder: Path | None = None) -> Parts:
        """Without `decoders` it has the engine's own; in a `state_folder` it keeps what is open."""
        source = FakeDecoders(*decoders) if decoders else None
        parts = Parts(decoders=source, settings_path=tmp_path / "settings.json", state_folder=state_folder)
        made.append(parts)
        with qtbot.waitSignal(parts.lanes.idle, timeout=60_000):
            parts.setup.load_engine()
        return parts

    yield make
    while made:
        parts = made.pop()
        assert parts.close(timeout_s=20)
        QCoreApplication.processEvents()  # what its threads said last
        parts.deleteLater()  # its connections hold the window, which has been closed
    parts = None
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()  # every widget that is left slows down the making of those of later tests


@pytest.fixture
def opened(qtbot, make_parts, fake, snapshot) -> Parts:
    """Parts with the snapshot open and the fake decoder chosen."""
    parts = make_parts(fake)
    with qtbot.waitSignal(parts.lanes.idle):
        parts.session.open([snapshot])
    assert parts.session.measurement is not None
    return parts


@pytest.fixture
def decoded(qtbot, opened) -> Parts:
    """Parts with all stages of the fake decoder: stage k is 0.5^k everywhere."""
    with qtbot.waitSignal(opened.lanes.idle):
        opened.session.restore()
    return opened


@pytest.fixture
def show(qtbot):
    """Shows parts in an active window of 1440 x 900 pixels."""

    def make(parts: Parts) -> MainWindow:
        window = MainWindow(parts)
        qtbot.addWidget(window)
        window.resize(1440, 900)
        with qtbot.waitExposed(window):
            window.show()
        window.activateWindow()
        return window

    return make


@pytest.fixture
def leave():
    """Closes a window and presses a button of the question that it asks."""

    def press(window: MainWindow, answer: str) -> None:
        window.close()
        (box,) = [box for box in window.findChildren(QMessageBox, "leave") if box.isVisible()]
        next(button for button in box.buttons() if button.text() == answer).click()

    return press


@pytest.fixture
def wear(qapp):
    """Gives the application a look, as `wear(theme.dark())`; the light one comes back after the test."""
    yield partial(theme.apply, qapp)
    theme.apply(qapp, theme.light())


def write_snapshot(path: Path, *, seed: int) -> Path:
    """A simulated capture in the program's own format."""
    y, mask, scene = _simulate(seed=seed)
    with h5py.File(path, "w") as file:
        file["measurement"], file["mask"], file["reference"] = y, mask, scene.transpose(1, 2, 0)
        file["wavelengths_nm"] = WAVELENGTHS_NM
        file.attrs.update({"task": "cassi", "step": float(STEP), "axis": "x", "direction": "+", "first_offset": 0.0})
    return path


def _simulate(*, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, mask (H, W) and scene (C, H, W)."""
    rng = np.random.default_rng(seed)
    scene = rng.random((NUM_BANDS, HEIGHT, WIDTH), dtype=np.float32)
    mask = (rng.random((HEIGHT, WIDTH)) < 0.5).astype(np.float32)
    y = np.zeros((HEIGHT, WIDTH + STEP * (NUM_BANDS - 1)), np.float32)
    for band, image in enumerate(scene):
        y[:, STEP * band : STEP * band + WIDTH] += mask * image
    return y, mask, scene

"""How long the window takes to redraw a 660 x 660 x 28 result, what it stores, and how long a large cube takes to open.

Every figure is the time from a selection to the painted viewers, four panes at 1440 x 900: on the clock, and of the
processor, which other programs do not spoil. Run with `make bench`; nothing here asserts a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PySide6.QtCore import QDeadlineTimer, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from scipy.io import savemat

from app.assembly import Parts
from app.document.recipe import Restoration
from app.document.selection import REFERENCE
from app.main_window import MainWindow
from app.viewers.centre import CentreView
from app.viewers.convergence import ConvergenceView
from app.viewers.grid import Cursor
from app.viewers.spectrum import SpectrumView
from app.widgets import theme
from lorun_engine.decoding.restore import StageResult
from lorun_engine.io import OpenOptions

pytestmark = pytest.mark.benchmark

NUM_BANDS, SIDE, NUM_STAGES, RUNS = 28, 660, 9, 60
LARGE = (2048, 2048, 31)
TICK_MS = 5
REPEAT_MS = 33


@pytest.fixture
def parts() -> Parts:
    """A session with a synthetic result and what its denoiser saw, as if it had been decoded."""
    parts = Parts()
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    wavelengths_nm = np.linspace(450, 650, NUM_BANDS)
    centre_nm = 450 + 200 * (0.5 + 0.5 * np.sin(9 * x) * np.cos(7 * y))
    scene = np.exp(-(((wavelengths_nm[:, None, None] - centre_nm) / 40) ** 2)).astype(np.float32)
    noise = np.random.default_rng(1)
    parts.session.measurement = SimpleNamespace(
        y=scene[:1],
        reference=scene,
        wavelengths_nm=wavelengths_nm,
        physics=SimpleNamespace(scene_shape=scene.shape, measurement_shape=(1, SIDE, SIDE)),
    )
    for index in range(NUM_STAGES + 1):
        image = scene + noise.standard_normal(scene.shape, dtype=np.float32) * 0.5 ** (index / 2 + 1)
        seen = image if index else None
        parts.session.stages.append(
            StageResult(index, image, 0.5 ** (index / 2), 0.4, denoiser_input=seen, metrics={"psnr": 20.0 + index})
        )
    parts.session.num_announced = NUM_STAGES + 1
    parts.session.restoration = Restoration("done", NUM_STAGES, NUM_STAGES)
    parts.session.selection = replace(parts.session.selection, stage=NUM_STAGES, panes=(NUM_STAGES,))
    yield parts
    parts.close()


@pytest.fixture
def centre(qtbot, parts) -> Iterator[CentreView]:
    """The three viewers at the size that they have in the window."""
    theme.apply(QApplication.instance(), theme.light())
    views = [view(parts) for view in (CentreView, SpectrumView, ConvergenceView)]
    views[0].cursor_moved.connect(views[1].show_cursor)
    for view, (width, height) in zip(views, ((728, 850), (360, 400), (360, 440)), strict=True):
        qtbot.addWidget(view)
        view.resize(width, height)
        theme.dress(view)
        view.show()
    parts.looking.select_pixel((SIDE // 2, SIDE // 2))
    parts.looking.set_panes((1, 3, 6, NUM_STAGES))
    settle()
    yield views[0]  # all three live as long


def test_scrubbing_stages_and_bands(parts, centre):
    stages, bands = cycle(range(NUM_STAGES + 1)), cycle(range(NUM_BANDS))
    ways = cycle([1] * 20 + [-1] * 20)
    report("stage, colour, first time", lambda: parts.looking.select_stage(next(stages)), runs=NUM_STAGES)
    report("stage, colour", lambda: parts.looking.select_stage(next(stages)))
    parts.looking.set_mode("band")
    report("band, first time", lambda: parts.looking.select_band(next(bands)), runs=NUM_BANDS)
    report("band", lambda: parts.looking.select_band(next(bands)))
    parts.ruler.take(0, 7)
    report("mean over eight bands", lambda: parts.ruler.move(next(ways)))
    parts.ruler.clear()
    report("stage, one band", lambda: parts.looking.select_stage(next(stages)))
    parts.looking.set_view("input")
    report("stage beside its input", lambda: parts.looking.select_stage(next(stages)))
    parts.looking.set_view("change")
    report("change, band, first time", lambda: parts.looking.select_band(next(bands)), runs=NUM_BANDS)
    parts.looking.set_mode("colour")
    report("change, first time", lambda: parts.looking.select_stage(next(stages)), runs=NUM_STAGES)
    report("change", lambda: parts.looking.select_stage(next(stages)))
    parts.looking.set_view("image")
    parts.looking.set_mode("montage")
    report("montage, first time", lambda: parts.looking.select_stage(next(stages)), runs=NUM_STAGES)
    report("montage", lambda: parts.looking.select_stage(next(stages)))


def test_comparing(parts, centre):
    stages = cycle(range(NUM_STAGES + 1))
    parts.looking.set_mode("compare")
    report("split, stages", lambda: parts.looking.select_stage(next(stages)))
    dividers = cycle(np.linspace(0, 1, 30))
    report("divider dragged", lambda: parts.comparing.move_divider(float(next(dividers))))
    parts.comparing.show("difference")
    report("difference, first time", lambda: parts.looking.select_stage(next(stages)), runs=NUM_STAGES)
    report("difference", lambda: parts.looking.select_stage(next(stages)))


def test_mouse_and_zoom(parts, centre):
    parts.looking.set_panes((1, 4, 8, NUM_STAGES, 0, REFERENCE))
    settle()
    places = cycle((y, y) for y in range(100, 500, 7))
    report("mouse moved", lambda: centre.grid.hub.point_at(next(places)))
    cursors = cycle(Cursor(1, y, y) for y in range(100, 500, 7))
    report("spectra under the mouse", lambda: centre.cursor_moved.emit(next(cursors)))
    zooms = cycle([*np.linspace(1, 8, 20), *np.linspace(8, 1, 20)])
    report("zoom of six panes", lambda: centre.grid.hub.look_at(centre.grid.hub.centre, float(next(zooms))))


def test_what_nine_stages_take(parts, centre):
    for stage in range(NUM_STAGES + 1):
        parts.looking.select_stage(stage)
        settle()
    cubes = parts.session.stages.num_bytes
    kind = "some of them on the disk" if parts.session.stages.is_spilled else "none on the disk"
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    print(f"\n{NUM_STAGES} stages with their inputs: cubes of {cubes / 1e9:.3f} GB in memory, {kind};")
    print(f"the whole process with all that was drawn of them, and the files that it maps: {resident / 1e9:.3f} GB")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("suffix", [".h5", ".npy", ".mat"])
def test_opening_a_large_cube(qtbot, tmp_path, suffix):
    """A capture with its true scene of 2048 x 2048 x 31, while a timer watches how long the window stands still."""
    paths = write_large(tmp_path, suffix)
    parts = Parts()
    options = OpenOptions(step=2.0, axis="x", direction="+", first_offset=0.0, num_bands=LARGE[2])
    parts.memory.settings = parts.memory.settings.with_folder(tmp_path, options)
    session = parts.session
    window = MainWindow(parts)
    qtbot.addWidget(window)
    window.resize(1440, 900)
    window.show()
    with qtbot.waitSignal(parts.lanes.idle, timeout=300_000):
        parts.setup.load_engine()
    with Heartbeat() as heartbeat:
        started = time.perf_counter(), time.process_time()
        session.open(paths)
        qtbot.waitUntil(lambda: (session.measurement or session.problem) is not None, timeout=300_000)
        elapsed = time.perf_counter() - started[0], time.process_time() - started[1]
        qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=300_000)
        settle()
    assert parts.session.problem is None and parts.session.measurement.reference is not None
    took = f"open in {elapsed[0]:.2f} s, processor {elapsed[1]:.2f} s"
    print(f"\n{' x '.join(map(str, LARGE))} {suffix}: {took}; {heartbeat.words}")
    keep_stages(parts, [parts.session.measurement.reference] * 2)
    for mode, panes in (("colour", [REFERENCE]), ("colour", [0, 1, REFERENCE]), ("band", [0, 1, REFERENCE])):
        with Heartbeat() as heartbeat:
            parts.looking.set_mode(mode)
            parts.looking.set_panes(panes)
            settle()
            qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=300_000)
            settle()
        print(f"{len(panes)} panes in {mode}: {heartbeat.words}")
    bands = cycle(range(LARGE[2]))
    report("band of the large cube", lambda: parts.looking.select_band(next(bands)), runs=LARGE[2])
    report("mean over bands", lambda: parts.ruler.take(0, next(bands)), runs=LARGE[2])
    assert parts.close(timeout_s=60)


class Heartbeat:
    """Measures how long the window could not answer: the longest time between two beats, and its own part of it."""

    def __init__(self) -> None:
        self._last = 0.0, 0.0
        self._gaps_ms: list[tuple[float, float]] = []  # on the clock, of the processor in the window's own thread
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last = time.perf_counter(), time.thread_time()
        self._timer.start(TICK_MS)
        return self

    def __exit__(self, *_: object) -> None:
        self._beat()
        self._timer.stop()

    @property
    def words(self) -> str:
        """The longest gap, and the most processor time that one gap took."""
        clock, own = (max(column) for column in zip(*self._gaps_ms, strict=True))
        return f"at most {clock:.0f} ms without an event, of which the window worked {own:.0f} ms"

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self._gaps_ms.append(tuple(1e3 * (later - before) for later, before in zip(now, self._last, strict=True)))
        self._last = now


def write_large(folder: Path, suffix: str) -> list[Path]:
    """The capture, its mask and its scene: a file of ours, plain arrays, or one MATLAB file."""
    height, width, num_bands = LARGE
    noise = np.random.default_rng(0)
    some_rows = noise.random((128, width, num_bands), dtype=np.float32)
    arrays = {
        "measurement": noise.random((height, width + 2 * (num_bands - 1)), dtype=np.float32),
        "mask": np.ones((height, width), np.float32),
        "reference": np.tile(some_rows, (height // len(some_rows), 1, 1)),
    }
    if suffix == ".npy":
        for name, array in arrays.items():
            np.save(folder / name, array)
        return [folder / f"{name}.npy" for name in arrays]
    path = folder / f"large{suffix}"
    if suffix == ".mat":
        savemat(path, arrays)
        return [path]
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file["wavelengths_nm"] = np.linspace(400, 700, num_bands)
        file.attrs.update({"task": "cassi", "step": 2.0, "axis": "x", "direction": "+", "first_offset": 0.0})
    return [path]


def keep_stages(parts: Parts, images: list[np.ndarray]) -> None:
    """Gives a session stages as if it had decoded them."""
    for index, image in enumerate(images):
        parts.session.stages.append(StageResult(index, image, 0.5 ** (index / 2), 0.4))
    parts.session.num_announced = len(images)
    parts.session.restoration = Restoration("done", len(images) - 1, len(images) - 1)


def report(name: str, change: Callable[[], object], *, runs: int = RUNS) -> None:
    """Prints the medians of the milliseconds from `change` to the painted window, and the 95th percentile.

    The changes come as quickly as a key that is held down repeats itself; what is made between them counts not.
    """
    on_clock, of_processor = [], []
    for _ in range(runs):
        rest = QDeadlineTimer(REPEAT_MS)
        while not rest.hasExpired():
            QApplication.instance().processEvents(QEventLoop.ProcessEventsFlag.AllEvents, rest.remainingTime())
            time.sleep(1e-3)
        started = time.perf_counter(), time.process_time()
        change()
        settle()
        on_clock.append(1e3 * (time.perf_counter() - started[0]))
        of_processor.append(1e3 * (time.process_time() - started[1]))
    median, slow = np.percentile(on_clock, (50, 95))
    print(f"\n{name:28s} {median:6.1f} ms, 95 %: {slow:6.1f} ms, processor {np.median(of_processor):6.1f} ms", end="")


def settle() -> None:
    """Handles what is waiting: layouts, paints, timers that are due."""
    QApplication.instance().sendPostedEvents()
    QApplication.instance().processEvents()

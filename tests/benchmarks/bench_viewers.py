"""Median times to redraw the viewers for a 660 x 660 x 28 result, printed: python tests/benchmarks/bench_viewers.py

Every figure is the time from a selection to the painted window, four panes at 1440 x 900; nothing is asserted.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from PySide6.QtWidgets import QApplication

from app import theme
from app.session import REFERENCE, Restoration, Session
from app.viewers.centre import CentreView
from app.viewers.convergence import ConvergenceView
from app.viewers.grid import Cursor
from app.viewers.spectrum import SpectrumView
from lorun_engine.restore import StageResult

NUM_BANDS, SIDE, NUM_STAGES, RUNS = 28, 660, 12, 60


def main() -> None:
    app = QApplication([])
    session = decoded_session()
    theme.apply(app, theme.light())
    centre, spectrum, convergence = (
        view(session, theme.light()) for view in (CentreView, SpectrumView, ConvergenceView)
    )
    centre.cursor_moved.connect(spectrum.show_cursor)
    for view, (width, height) in ((centre, (728, 850)), (spectrum, (360, 400)), (convergence, (360, 440))):
        view.resize(width, height)
        view.show()
    session.select_pixel((SIDE // 2, SIDE // 2))
    stages, bands = cycle(range(NUM_STAGES + 1)), cycle(range(NUM_BANDS))
    session.set_panes((1, 4, 8, NUM_STAGES))
    settle(app)

    report("stage, colour, first time", app, lambda: session.select_stage(next(stages)), runs=NUM_STAGES)
    report("stage, colour", app, lambda: session.select_stage(next(stages)))
    session.set_mode("band")
    report("band, first time", app, lambda: session.select_band(next(bands)), runs=NUM_BANDS)
    report("band", app, lambda: session.select_band(next(bands)))
    report("stage, one band", app, lambda: session.select_stage(next(stages)))
    session.set_mode("montage")
    report("montage, first time", app, lambda: session.select_stage(next(stages)), runs=NUM_STAGES)
    report("montage", app, lambda: session.select_stage(next(stages)))
    session.set_mode("colour")
    session.set_panes((1, 4, 8, NUM_STAGES, 0, REFERENCE))
    settle(app)
    places = cycle((y, y) for y in range(100, 500, 7))
    report("mouse moved", app, lambda: centre.grid.hub.point_at(next(places)))
    places = cycle(Cursor(1, y, y) for y in range(100, 500, 7))
    report("spectra under the mouse", app, lambda: centre.cursor_moved.emit(next(places)))
    zooms = cycle([*np.linspace(1, 8, 20), *np.linspace(8, 1, 20)])
    report("zoom of six panes", app, lambda: centre.grid.hub.look_at(centre.grid.hub.centre, float(next(zooms))))
    strip = centre.stepping.strip.strip
    strip._images.clear()
    report("one thumbnail", app, strip._render_one, runs=NUM_STAGES)
    session.close()


def decoded_session() -> Session:
    """A session with a synthetic result, as if it had been decoded."""
    session = Session()
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    wavelengths_nm = np.linspace(450, 650, NUM_BANDS)
    centre_nm = 450 + 200 * (0.5 + 0.5 * np.sin(9 * x) * np.cos(7 * y))
    scene = np.exp(-(((wavelengths_nm[:, None, None] - centre_nm) / 40) ** 2)).astype(np.float32)
    noise = np.random.default_rng(1)
    session.measurement = SimpleNamespace(
        y=scene[:1],
        reference=scene,
        wavelengths_nm=wavelengths_nm,
        physics=SimpleNamespace(scene_shape=scene.shape, measurement_shape=(1, SIDE, SIDE)),
    )
    for index in range(NUM_STAGES + 1):
        image = scene + noise.standard_normal(scene.shape, dtype=np.float32) * 0.5 ** (index / 2 + 1)
        session.stages.append(StageResult(index, image, 0.5 ** (index / 2), 0.4, metrics={"psnr": 20.0 + index}))
    session._num_announced = NUM_STAGES + 1
    session.restoration = Restoration("done", NUM_STAGES, NUM_STAGES)
    session.selection = replace(session.selection, stage=NUM_STAGES, panes=(NUM_STAGES,))
    return session


def report(name: str, app: QApplication, change: Callable[[], object], *, runs: int = RUNS) -> None:
    """Prints median and 95th percentile of the milliseconds from `change` to the painted window."""
    elapsed_ms = []
    for _ in range(runs):
        started = time.perf_counter()
        change()
        settle(app)
        elapsed_ms.append(1e3 * (time.perf_counter() - started))
    median, slow = np.percentile(elapsed_ms, (50, 95))
    sys.stdout.write(f"{name:28s} {median:6.1f} ms   95 %: {slow:6.1f} ms\n")


def settle(app: QApplication) -> None:
    """Handles what is waiting: layouts, paints, timers that are due."""
    app.sendPostedEvents()
    app.processEvents()


if __name__ == "__main__":
    main()

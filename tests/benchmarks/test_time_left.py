"""How well the time that is left of a decode is said: what was said at parts of its true duration, over the truth.

Decodes with the decoder that the window would take, through the session and its pace: for the first time, then as if of
another capture of the same size, then with the start of the decode before. Run with `make bench`; nothing here asserts
a time.
"""

from __future__ import annotations

import os
import time
from dataclasses import astuple
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer

from app.assembly import Parts
from app.document.pace import Costs
from app.resources import resource_path

pytestmark = pytest.mark.benchmark

PARTS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
EVERY_MS = 20
DATA = Path(os.environ.get("LORUN_DATA", "")) / "cassi" / "real" / "tsa_net"


@pytest.fixture
def parts(qtbot):
    made = Parts(library=(resource_path("weights"),))
    with qtbot.waitSignal(made.lanes.idle, timeout=120_000):
        made.setup.load_engine()
    yield made
    assert made.close(timeout_s=60)


def said_of(qtbot, parts: Parts) -> tuple[float, list[tuple[float, float | None]], Costs]:
    """The seconds of a decode, (seconds since it began, seconds that were said to be left), and what it cost."""
    session, said = parts.session, []
    look = QTimer(interval=EVERY_MS)
    look.timeout.connect(lambda: said.append((session.timed.pace.elapsed_s, session.timed.pace.seconds_left)))
    session.restore()
    qtbot.waitUntil(lambda: not session.restoration.waits_for, timeout=600_000)
    look.start()
    qtbot.waitUntil(lambda: not session.restoration.is_busy, timeout=3_600_000)
    look.stop()
    assert session.restoration.state == "done"
    seconds = session.restoration.seconds
    qtbot.waitUntil(lambda: not parts.lanes.is_busy, timeout=600_000)
    return seconds, said, session.timed.pace.seen


def row_of(title: str, seconds: float, said: list[tuple[float, float | None]], costs: Costs) -> str:
    """A line of the table: the ratio of what was said and what was true, at parts of the duration.

    Behind it stand the load of the computer and what the decode cost: an iteration of its start, stage 0, the first
    stage and a later one, in milliseconds.
    """
    ratios = []
    for part in PARTS:
        elapsed, left = min(said, key=lambda each: abs(each[0] - part * seconds))
        ratios.append("     –" if left is None else f"{left / max(seconds - elapsed, 1e-3):6.2f}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    cost = " ".join("     –" if each is None else f"{1000 * each:6.0f}" for each in astuple(costs))
    return f"{title:42s} {seconds:7.1f} {' '.join(ratios)} {load:6.1f} {cost}"


def told(qtbot, parts: Parts, name: str) -> None:
    """Decodes what is open three times and prints what was said."""
    session = parts.session
    head = " ".join(f"{part:6.0%}" for part in PARTS)
    print(f"\n{time.strftime('%H:%M')} {name} with {parts.setup.decoder_name}")
    print(f"{'':42s} {'s':>7s} {head}   load   iter  start  first  stage")
    print(row_of("first", *said_of(qtbot, parts)))
    session.kept_stages.clear()
    print(row_of("second, as of another capture", *said_of(qtbot, parts)))
    if parts.setup.is_adaptable:
        parts.setup.set_percent(60)
        print(row_of("third, its start taken from the second", *said_of(qtbot, parts)))
    parts.shelf.clear()


@pytest.mark.parametrize("decoder", [None, "gap-tv"])
def test_what_is_said_of_the_sample(qtbot, parts, decoder):
    with qtbot.waitSignal(parts.lanes.idle, timeout=120_000):
        parts.session.open_sample("cassi")
    if decoder is not None:
        parts.setup.switch_decoder(decoder)
    told(qtbot, parts, "the CASSI sample")


@pytest.mark.skipif(not DATA.is_dir(), reason="LORUN_DATA names no folder with real captures")
@pytest.mark.parametrize("decoder", [None, "cassi-any-mask"])
def test_what_is_said_of_a_real_capture(qtbot, parts, decoder):
    with qtbot.waitSignal(parts.lanes.idle, timeout=120_000):
        parts.session.open([DATA / "scene1.mat", DATA / "mask.mat"])
    assert parts.session.problem is None
    if decoder is not None:
        parts.setup.switch_decoder(decoder)
    told(qtbot, parts, "a capture of 660 x 660 pixels")

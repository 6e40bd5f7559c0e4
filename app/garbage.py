"""Cyclic garbage is collected in the GUI thread alone.

Left to itself, Python collects in whichever thread makes one object too many. In a worker thread that destroys
widgets, which is forbidden there, and can stop the program for ever: one thread holds a lock of Qt and waits for the
interpreter, the other holds the interpreter and waits for the lock.
"""

from __future__ import annotations

import gc

import shiboken6
from PySide6.QtCore import QCoreApplication, QTimer

INTERVAL_MS = 1000
THRESHOLDS = (700, 10, 10)  # by generation: objects made, then collections of the generation below (Python's own)

_timer: QTimer | None = None


def collect_here() -> None:
    """From now on garbage is collected now and then in this thread, as long as its events are, and in no other."""
    global _timer
    if _timer is not None and shiboken6.isValid(_timer):
        return
    gc.set_threshold(0)  # not gc.disable(): libraries that pause the collector switch it on again afterwards
    keep_what_is_loaded()
    _timer = QTimer(QCoreApplication.instance(), interval=INTERVAL_MS)
    _timer.timeout.connect(collect_if_due)
    _timer.start()


def keep_what_is_loaded() -> None:
    """What exists is never looked through again: a library's 200,000 objects would hold the window up for 0.1 s."""
    gc.freeze()


def collect_if_due() -> None:
    """Collects the oldest generation whose count is over its threshold, and with it the younger ones."""
    for generation, (count, threshold) in reversed(list(enumerate(zip(gc.get_count(), THRESHOLDS, strict=True)))):
        if count > threshold:
            gc.collect(generation)
            return

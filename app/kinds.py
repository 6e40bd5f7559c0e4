"""How the window shows the scenes of a task: their colours, and the stretch that makes them visible."""

from __future__ import annotations

from lorun_engine.task import Task

RGB = ("red", "green", "blue")

Stretch = tuple[float, float] | None  # percentiles that become black and white; None shows 0 as black and 1 as white
PERCENTILES = (1.0, 99.0)  # the stretch of cubes, whose unit is not known


def stretch_of(task: Task) -> Stretch:
    """How pictures are shown when nobody chose otherwise."""
    return None if task.is_photograph else PERCENTILES

"""How the window shows the scenes of a task: their colours, and the stretch that makes them visible."""

from __future__ import annotations

from dataclasses import dataclass

from lorun_engine.task import Task

RGB = ("red", "green", "blue")

# The percentiles that become black and white; without the first 0 is black. None shows 0 as black and 1 as white.
Stretch = tuple[float | None, float] | None
PERCENTILES = (None, 99.9)  # the stretch of cubes, whose unit is not known
SAMPLES = (2.0, 98.0)  # that of samples of blocks, which have either sign
MOST_STOPS = 4.0
GAMMAS = (0.4, 2.5)


@dataclass(frozen=True)
class Light:
    """How bright pictures are shown: `stops` double the light each, a `gamma` above 1 lifts the shadows."""

    stops: float = 0.0
    gamma: float = 1.0

    @property
    def words(self) -> str:
        """As "+1.5 EV, γ 1.2"; nothing where nothing is changed."""
        stops = f"{self.stops:+.1f} EV" if self.stops else ""
        return ", ".join(filter(None, [stops, f"γ {self.gamma:.2g}" if self.gamma != 1 else ""]))


def stretch_of(task: Task) -> Stretch:
    """How pictures are shown when nobody chose otherwise."""
    return None if task.is_photograph else PERCENTILES
